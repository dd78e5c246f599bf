# SPDX-License-Identifier: GPL-3.0-or-later
"""The report speaks of settings as Blender's interface does."""

import bpy

from animerun_addon.scene.style import StyleSettings, convert, restore


def test_a_setting_that_the_user_changed_is_called_by_its_name():
    scene = bpy.context.scene
    convert(scene, StyleSettings(contours="OUTLINE"))
    scene.display.shading.light = "STUDIO"
    report = restore(scene)
    assert [finding.text for finding in report.kept] == ["its 'Lighting'"]
    assert scene.display.shading.light == "STUDIO"


def test_a_setting_whose_place_is_gone_is_told_by_its_path():
    scene = bpy.context.scene
    mesh = bpy.data.meshes.new("Mesh")
    mesh.materials.append(bpy.data.materials.new("Glass"))
    mesh.materials["Glass"].diffuse_color = (1, 1, 1, 0.5)
    scene.collection.objects.link(bpy.data.objects.new("Thing", mesh))
    convert(scene, StyleSettings(contours="OUTLINE"))
    bpy.data.materials.remove(bpy.data.materials["Glass"])
    report = restore(scene)
    assert [finding.name for finding in report.gone] == ["Glass"]
