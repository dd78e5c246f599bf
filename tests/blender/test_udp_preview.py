# SPDX-License-Identifier: GPL-3.0-or-later
"""Baked UDP colours shown in viewports and put back, whatever happens in between. A real window: tests/gui."""

import bpy
import pytest
import rna_dump
from rest_scenes import build, stage

from animerun_addon.errors import InputError
from animerun_addon.labels.udp_encoding import Preset
from animerun_addon.scene import style, udp_preview, viewport
from animerun_addon.scene.udp_bake import BAKE_ATTRIBUTE, bake, unbake
from animerun_addon.udp_choices import EncodingChoice, RestChoice

ALL = ("Hero body", "Hero feather", "Hero hat")


@pytest.fixture
def scene():
    return bpy.context.scene


@pytest.fixture
def window():
    return bpy.context.window_manager.windows[0]


@pytest.fixture
def hero(scene):
    rig = build(scene)
    stage(scene)
    for name in ALL:
        scene.objects[name].data.color_attributes.new("Skin", "BYTE_COLOR", "CORNER")
        scene.objects[name].data.color_attributes.active_color_name = "Skin"
    bake_it(scene)
    return rig


def bake_it(scene, name="Hero"):
    bake(scene, name, RestChoice(), EncodingChoice(Preset.UNIFORM))


def shading(window):
    """All settings of all viewports that a preview may change."""
    return [
        {
            prop.identifier: rna_dump._plain(getattr(area.spaces.active.shading, prop.identifier))
            for prop in area.spaces.active.shading.bl_rna.properties
            if prop.type in {"ENUM", "BOOLEAN", "FLOAT"} and not prop.is_readonly
        }
        for area in window.screen.areas
        if area.type == "VIEW_3D"
    ]


def active(scene, names=ALL):
    return {scene.objects[name].data.color_attributes.active_color_name for name in names}


def test_it_shows_the_colours_flat_and_puts_all_back(scene, window, hero):
    before, looks = rna_dump.dump(), shading(window)
    udp_preview.start(window, "Hero")
    assert udp_preview.is_previewed(window.screen)
    assert active(scene) == {BAKE_ATTRIBUTE}
    (look,) = shading(window)
    assert (look["type"], look["light"], look["color_type"]) == ("SOLID", "FLAT", "VERTEX")
    udp_preview.end(window.screen)
    assert not udp_preview.is_previewed(window.screen)
    assert rna_dump.differences(before, rna_dump.dump()) == []
    assert shading(window) == looks


def test_twice_is_once(scene, window, hero):
    before, looks = rna_dump.dump(), shading(window)
    for _ in range(2):
        udp_preview.start(window, "Hero")
    udp_preview.end(window.screen)
    assert rna_dump.differences(before, rna_dump.dump()) == []
    assert shading(window) == looks


def test_who_is_not_baked_cannot_be_shown(scene, window, hero):
    unbake(scene, "Hero")
    looks = shading(window)
    with pytest.raises(InputError, match="'Hero' is not baked: bake"):
        udp_preview.start(window, "Hero")
    with pytest.raises(InputError, match="no character 'Nobody'"):
        udp_preview.start(window, "Nobody")
    assert shading(window) == looks


def test_baking_again_goes_on_showing(scene, window, hero):
    udp_preview.start(window, "Hero")
    bake_it(scene)
    assert active(scene) == {BAKE_ATTRIBUTE}
    udp_preview.end(window.screen)
    assert active(scene) == {"Skin"}


def test_unbake_ends_it(scene, window, hero):
    looks = shading(window)
    udp_preview.start(window, "Hero")
    assert unbake(scene, "Hero") == ALL
    assert not udp_preview.is_previewed(window.screen)
    assert shading(window) == looks
    assert active(scene) == {"Skin"}
    assert not [key for name in ALL for key in scene.objects[name].data.keys()]  # noqa: SIM118


def test_another_character_takes_its_place(scene, window, hero):
    build(scene, "Villain")
    bake_it(scene, "Villain")
    udp_preview.start(window, "Hero")
    looks = shading(window)
    udp_preview.start(window, "Villain")
    assert active(scene) == {"Skin"}
    assert active(scene, ["Villain body", "Villain hat"]) == {BAKE_ATTRIBUTE}
    assert shading(window) == looks
    udp_preview.end(window.screen)
    assert active(scene, ["Villain body", "Villain hat"]) == {""}


def test_colours_that_the_user_makes_active_meanwhile_stay(scene, window, hero):
    mesh = scene.objects["Hero hat"].data
    mesh.color_attributes.new("Blush", "FLOAT_COLOR", "POINT")
    udp_preview.start(window, "Hero")
    mesh.color_attributes.active_color_name = "Blush"
    udp_preview.end(window.screen)
    assert mesh.color_attributes.active_color_name == "Blush"
    assert active(scene, ["Hero body"]) == {"Skin"}


def test_colours_that_are_deleted_meanwhile_are_not_made_active(scene, window, hero):
    mesh = scene.objects["Hero hat"].data
    mesh.color_attributes.new("Blush", "FLOAT_COLOR", "POINT")
    udp_preview.start(window, "Hero")
    mesh.attributes.remove(mesh.attributes["Skin"])
    mesh.color_attributes.active_color_name = BAKE_ATTRIBUTE
    udp_preview.end(window.screen)
    assert mesh.color_attributes.active_color_name == "Blush"


def test_a_saved_file_is_put_back_later(scene, window, hero, tmp_path):
    before = rna_dump.dump()
    udp_preview.start(window, "Hero")
    path = str(tmp_path / "previewed.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path, load_ui=False)
    udp_preview.settle()
    scene = bpy.context.scene
    assert active(scene) == {"Skin"}
    meshes = [{k: v for k, v in dump.items() if k.startswith("meshes")} for dump in (before, rna_dump.dump())]
    assert rna_dump.differences(*meshes) == []


def test_colours_without_a_screen_and_a_screen_without_colours_are_put_back(scene, window, hero):
    looks = shading(window)
    udp_preview.start(window, "Hero")
    hero.name = "Heroine"
    udp_preview.settle()
    assert not udp_preview.is_previewed(window.screen)
    assert shading(window) == looks
    assert active(scene) == {"Skin"}


def test_it_lies_over_the_preview_of_the_style_whichever_ends_first(scene, window, hero):
    looks = shading(window)
    for ends in ((udp_preview, viewport), (viewport, udp_preview)):
        style.convert(scene)
        viewport.preview(window)
        styled = shading(window)
        assert styled != looks
        udp_preview.start(window, "Hero")
        shown = shading(window)
        assert shown != styled
        for number, end in enumerate(ends):
            if end is viewport:
                style.restore(scene)
                viewport.end_stale_previews()
                assert udp_preview.is_previewed(window.screen) is (number == 0)
            else:
                udp_preview.end(window.screen)
            if number == 0:
                assert shading(window) == (styled if end is udp_preview else shown)
        assert shading(window) == looks


def test_the_preview_of_the_style_lies_over_it_too(scene, window, hero):
    looks = shading(window)
    udp_preview.start(window, "Hero")
    shown = shading(window)
    style.convert(scene)
    viewport.preview(window)
    udp_preview.end(window.screen)
    assert viewport.is_previewed(window.screen)
    assert active(scene) == {"Skin"}
    viewport.end_preview(scene)
    assert shading(window) == looks
    assert shown != looks


def test_what_the_user_changes_in_the_viewport_meanwhile_stays(scene, window, hero):
    (area,) = (area for area in window.screen.areas if area.type == "VIEW_3D")
    udp_preview.start(window, "Hero")
    area.spaces.active.shading.light = "MATCAP"
    udp_preview.end(window.screen)
    assert area.spaces.active.shading.light == "MATCAP"
    assert area.spaces.active.shading.color_type == "MATERIAL"


def test_linked_meshes_that_were_saved_while_shown_are_left_alone(scene, window, hero, tmp_path):
    udp_preview.start(window, "Hero")
    path = str(tmp_path / "hero.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, linked):
        linked.objects = ["Hero", *ALL]
    before = rna_dump.dump()
    udp_preview.settle()
    assert rna_dump.differences(before, rna_dump.dump()) == []
