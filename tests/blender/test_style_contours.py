# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that Blender draws on a converted scene: where they are, how thick, and what becomes of the user's own."""

import bpy
import numpy as np
import pytest
from snapshot_scenes import link, square
from style_scenes import convert, frame_of, told

from animerun_addon.scene import style
from animerun_addon.scene.versions import node_tree_of
from animerun_addon.style_settings import Contours

STEPS = ("flat_shading", "sharp_pixels", "plain_display")


@pytest.fixture
def scene():
    """A white square on red, 64 x 64."""
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.camera = link(scene, "Camera", bpy.data.cameras.new("Camera"))
    scene.camera.location = 0, 0, 8
    made = bpy.data.materials.new("White")
    made.diffuse_color = 1, 1, 1, 1
    square(scene, "Square").data.materials.append(made)
    scene.world = bpy.data.worlds.new("World")
    scene.world.color = 1, 0, 0
    return scene


def black_in_the_middle_row(scene, folder):
    frame = frame_of(scene, folder)
    return int((frame[len(frame) // 2, :, :3].max(axis=1) < 5).sum())


def colours(scene, folder):
    return np.unique(frame_of(scene, folder)[..., :3].reshape(-1, 3), axis=0).tolist()


def line_sets(scene, layer=0):
    return scene.view_layers[layer].freestyle_settings.linesets


@pytest.mark.parametrize(("thickness_px", "percentage"), [(2, 100), (2, 50), (4, 200)])
def test_strokes_are_as_thick_as_asked_at_any_percentage(scene, tmp_path, thickness_px, percentage):
    """Two sides of the square; half of a stroke lies on either side of its edge."""
    convert(scene, *STEPS, contours=Contours.FREESTYLE, line_thickness_px=thickness_px)
    scene.display.shading.show_object_outline = False
    scene.render.resolution_percentage = percentage
    assert black_in_the_middle_row(scene, tmp_path) == 2 * thickness_px


def test_strokes_are_pure_black_and_blend_with_nothing(scene, tmp_path):
    convert(scene, *STEPS, contours=Contours.FREESTYLE, line_thickness_px=2)
    scene.display.shading.show_object_outline = False
    assert colours(scene, tmp_path) == [[0, 0, 0], [255, 0, 0], [255, 255, 255]]


def test_material_boundaries_get_strokes(scene, tmp_path):
    mesh = bpy.data.meshes.new("Halves")
    mesh.from_pydata([(x, y, 0) for x in (-1, 0, 1) for y in (-1, 1)], [], [(0, 2, 3, 1), (2, 4, 5, 3)])
    for _ in range(2):
        mesh.materials.append(bpy.data.materials["White"].copy())
    mesh.polygons[1].material_index = 1
    scene.objects["Square"].data = mesh
    convert(scene, *STEPS, contours=Contours.FREESTYLE, line_thickness_px=2)
    scene.display.shading.show_object_outline = False
    assert black_in_the_middle_row(scene, tmp_path) == 6


@pytest.mark.parametrize(("contours", "draws"), [(Contours.OUTLINE, True), (Contours.FAST, False)])
def test_without_freestyle_only_the_outline_is_left_to_blender(scene, tmp_path, contours, draws):
    scene.render.use_freestyle = True
    convert(scene, *STEPS, contours=contours)
    assert not scene.render.use_freestyle
    assert scene.display.shading.show_object_outline == draws
    assert (len(colours(scene, tmp_path)) > 2) == draws


def test_every_view_layer_that_renders_gets_a_line_set(scene):
    scene.view_layers.new("Second")
    scene.view_layers.new("Unused").use = False
    before = [len(line_sets(scene, number)) for number in range(3)]
    convert(scene, contours=Contours.FREESTYLE)
    assert [len(line_sets(scene, number)) - before[number] for number in range(3)] == [1, 1, 0]


def test_the_users_line_sets_do_not_draw_and_come_back_as_they_were(scene):
    mine = [line_sets(scene).new(name) for name in ("Mine", "Also mine")]
    mine[1].linestyle = mine[0].linestyle
    mine[0].show_render = False
    line_sets(scene).active_index = 1
    before = [(one.name, one.linestyle, one.show_render) for one in line_sets(scene)], line_sets(scene).active_index
    convert(scene, contours=Contours.FREESTYLE)
    assert [one.name for one in line_sets(scene) if one.show_render] == ["AnimeRun contours"]
    assert line_sets(scene).active_index == 1
    style.restore(scene)
    assert (
        [(one.name, one.linestyle, one.show_render) for one in line_sets(scene)],
        line_sets(scene).active_index,
    ) == before
    assert not [one for one in bpy.data.linestyles if one.name.startswith("AnimeRun")]


def test_eevee_draws_the_strokes_once_and_without_light(scene):
    convert(scene, contours=Contours.FREESTYLE)
    assert scene.eevee.taa_render_samples == 1
    assert not scene.eevee.use_shadows
    assert not scene.eevee.use_raytracing


def cut_out_square(scene):
    """Its left half is a hole."""
    image = bpy.data.images.new("Half", 4, 4, alpha=True)
    image.pixels.foreach_set(np.repeat([[0, 0, 1, 1]] * 4, 4).astype(np.float32))
    tree = node_tree_of(bpy.data.materials["White"])
    texture, shader = tree.nodes.new("ShaderNodeTexImage"), tree.nodes["Principled BSDF"]
    texture.image = image
    tree.links.new(texture.outputs["Alpha"], shader.inputs["Alpha"])


@pytest.mark.parametrize(("solid", "drawn"), [(True, 0), (False, 4)])
def test_no_strokes_run_around_what_a_texture_cuts_out(scene, tmp_path, solid, drawn):
    cut_out_square(scene)
    steps = (*STEPS, "solid") if solid else STEPS
    report = convert(scene, *steps, contours=Contours.FREESTYLE, line_thickness_px=2)
    scene.display.shading.show_object_outline = False
    assert black_in_the_middle_row(scene, tmp_path) == drawn
    assert ("draws no lines" in told(report, scene.objects["Square"])) == solid
    style.restore(scene)
    assert not bpy.data.collections
