# SPDX-License-Identifier: GPL-3.0-or-later
"""The 2D style's buttons and settings: what they refuse and say, and that the panel has all of the style's settings."""

from dataclasses import fields

import bpy
import pytest

from animerun_addon import registration
from animerun_addon.operators.style import summary
from animerun_addon.scene.style import Finding, Report, is_converted, last_report, last_settings
from animerun_addon.style_properties import FROM_PICTURES, StyleProperties, style_settings_of
from animerun_addon.style_settings import Contours, StyleSettings


@pytest.fixture
def scene():
    registration.register()
    scene = bpy.context.scene
    mesh = bpy.data.meshes.new("Triangle")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 0, 1)], [], [(0, 1, 2)])
    mesh.materials.append(bpy.data.materials.new("Red"))
    scene.collection.objects.link(bpy.data.objects.new("Triangle", mesh))
    yield scene
    registration.unregister()


def test_the_panel_begins_with_the_defaults(scene):
    assert style_settings_of(scene) == StyleSettings()


def test_every_setting_is_in_the_panel_with_a_tooltip(scene):
    shown = scene.animerun.style.bl_rna.properties
    in_panel = {shown_property.identifier: shown_property.identifier for shown_property in shown}
    in_panel["focus_object"] = "focus"
    for field in fields(StyleSettings):
        assert field.name in in_panel, f"the panel has no '{field.name}'"
        assert len(shown[in_panel[field.name]].description) > 20
    assert issubclass(StyleProperties, bpy.types.PropertyGroup)


def test_settings_of_the_panel_reach_the_conversion(scene):
    style = scene.animerun.style
    style.contours, style.seed, style.focus = "FAST", 9, scene.objects["Triangle"]
    style.palette, style.palette_folder = FROM_PICTURES, "//pictures"
    settings = style_settings_of(scene)
    assert settings.contours is Contours.FAST
    assert (settings.seed, settings.focus_object) == (9, "Triangle")
    assert settings.palette == bpy.path.abspath("//pictures")


def test_toggle_goes_there_and_back(scene):
    engine = scene.render.engine
    scene.animerun.style.contours = "OUTLINE"
    assert bpy.ops.animerun.toggle_style() == {"FINISHED"}
    assert is_converted(scene)
    assert last_settings(scene) == StyleSettings(contours=Contours.OUTLINE)
    assert scene.render.engine == "BLENDER_WORKBENCH"
    assert bpy.ops.animerun.toggle_style() == {"FINISHED"}
    assert not is_converted(scene)
    assert scene.render.engine == engine


def test_update_takes_changed_settings_and_needs_a_conversion(scene):
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.animerun.update_style()
    bpy.ops.animerun.toggle_style()
    scene.animerun.style.contours = "FAST"
    assert bpy.ops.animerun.update_style() == {"FINISHED"}
    assert last_settings(scene).contours is Contours.FAST


def test_finding_selects_the_object_or_who_uses_the_material(scene):
    triangle = scene.objects["Triangle"]
    other = bpy.data.objects.new("Other", None)
    scene.collection.objects.link(other)
    for kind, name in (("OBJECT", "Triangle"), ("MATERIAL", "Red"), ("MESH", "Triangle")):
        other.select_set(True)
        triangle.select_set(False)
        assert bpy.ops.animerun.select_finding(kind=kind, block_name=name) == {"FINISHED"}
        assert triangle.select_get()
        assert not other.select_get()
        assert bpy.context.view_layer.objects.active == triangle


def test_finding_of_what_is_gone_says_so(scene):
    assert bpy.ops.animerun.select_finding(kind="OBJECT", block_name="Nobody") == {"CANCELLED"}


def test_report_is_kept_with_the_file(scene, tmp_path):
    bpy.ops.animerun.toggle_style()
    before = last_report(scene)
    path = tmp_path / "styled.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert last_report(bpy.context.scene) == before
    assert sum(before.changed.values()) > 0


def test_summary_counts():
    report = Report()
    report.changed["Flat shading"] = 3
    report.left[Finding("OBJECT", "Fog", "stays")] = None
    assert summary(report) == "3 settings changed, 1 to look at"
