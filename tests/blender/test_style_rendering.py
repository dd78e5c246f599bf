# SPDX-License-Identifier: GPL-3.0-or-later
"""How a converted scene is rendered: flat, hard-edged, unblurred, uncorrected; and which backs are not drawn."""

import bpy
import numpy as np
import pytest
from snapshot_scenes import link, square
from style_scenes import block, convert, frame_of, material, told

from animerun_addon.scene import style
from animerun_addon.scene.versions import eevee_engine
from animerun_addon.style_settings import Contours


@pytest.fixture
def scene():
    scene = bpy.context.scene
    scene.render.engine = eevee_engine()
    scene.render.film_transparent = True
    scene.render.resolution_x, scene.render.resolution_y = 64, 32
    scene.camera = link(scene, "Camera", bpy.data.cameras.new("Camera"))
    scene.camera.location = 0, 0, 8
    scene.view_layers[0].update()
    return scene


def painted(name, *colour):
    made = material("Emission", name=name)
    made.diffuse_color = (*colour, 1)
    return made


def colours(pixels):
    return np.unique(pixels.reshape(-1, 4), axis=0)


def test_a_round_blurred_shadowed_thing_becomes_one_flat_colour(scene, tmp_path):
    bpy.ops.mesh.primitive_uv_sphere_add()
    bpy.context.object.data.materials.append(painted("Red", 0.8, 0.1, 0.1))
    shading = scene.display.shading
    shading.show_shadows = shading.show_cavity = shading.show_xray = shading.use_dof = True
    scene.camera.data.dof.use_dof = True
    scene.camera.data.dof.aperture_fstop = 0.01
    scene.render.use_motion_blur = True
    assert len(colours(frame_of(scene, tmp_path))) > 20
    convert(scene, "flat_shading", "sharp_pixels", "no_blur", "plain_display", contours=Contours.FAST)
    assert len(colours(frame_of(scene, tmp_path))) == 2


def test_colours_come_out_as_they_are(scene, tmp_path):
    """sRGB of the linear 0.2 is 0.4845."""
    square(scene, "Wall").data.materials.append(painted("Grey", 0.2, 0.2, 0.2))
    scene.view_settings.view_transform, scene.view_settings.exposure = "AgX", 1.0
    scene.view_settings.look = "AgX - Punchy"
    convert(scene, "flat_shading", "sharp_pixels", "plain_display", contours=Contours.FAST)
    middle = frame_of(scene, tmp_path)[16, 32]
    assert (middle[:3] == round(0.4845 * 255)).all()
    style.restore(scene)
    assert [scene.view_settings.view_transform, scene.view_settings.look] == ["AgX", "AgX - Punchy"]


def test_cameras_of_cuts_lose_their_depth_of_field_too(scene):
    other = link(scene, "Other", bpy.data.cameras.new("Other"))
    other.data.dof.use_dof = scene.camera.data.dof.use_dof = True
    other.data.keyframe_insert("dof.use_dof")
    scene.timeline_markers.new("Cut", frame=5).camera = other
    convert(scene, "no_blur")
    assert not other.data.dof.use_dof
    assert not scene.camera.data.dof.use_dof
    scene.frame_set(3)
    assert not other.data.dof.use_dof, "its curve is not muted"


def test_compositor_sequencer_and_stamp_are_off(scene):
    render = scene.render
    render.use_compositing = render.use_sequencer = render.use_stamp = True
    convert(scene, "no_postprocessing")
    assert [render.use_compositing, render.use_sequencer, render.use_stamp] == [False, False, False]


def test_cycles_gets_its_narrowest_filter(scene):
    scene.render.engine = "CYCLES"
    convert(scene, "sharp_pixels")
    assert scene.cycles.filter_width == pytest.approx(0.01)
    style.restore(scene)
    assert scene.cycles.filter_width == pytest.approx(1.5)


def test_backs_are_drawn_where_nothing_needs_that_they_are_not(scene):
    block(scene, "Box")
    scene.display.shading.show_backface_culling = True
    convert(scene, "flat_shading")
    assert not scene.display.shading.show_backface_culling


def by_material(thing):
    thing.data.materials.append(painted("Culled", 0, 0, 0))
    thing.data.materials[-1].use_backface_culling = True


def by_modifier(thing):
    thing.modifiers.new("Outline", "SOLIDIFY").use_flip_normals = True


@pytest.mark.parametrize("outline", [by_material, by_modifier], ids=lambda way: way.__name__)
def test_inverted_hulls_switch_back_face_culling_on(scene, outline):
    outline(block(scene, "Hero"))
    convert(scene, "flat_shading")
    assert scene.display.shading.show_backface_culling


def test_an_inverted_hull_is_a_line_around_and_no_black_shape(scene, tmp_path):
    hero = block(scene, "Hero", 1.0, painted("Body", 0.9, 0.7, 0.2))
    hero.data.materials.append(painted("Line", 0, 0, 0))
    hull = hero.modifiers.new("Outline", "SOLIDIFY")
    hull.use_flip_normals, hull.use_rim = True, False
    hull.offset, hull.thickness, hull.material_offset = -1, -0.2, 1
    convert(scene, "flat_shading", "sharp_pixels", "plain_display", contours=Contours.FAST)
    pixels = frame_of(scene, tmp_path)
    solid = pixels[pixels[..., 3] == 255]
    black = (solid[:, :3] == 0).all(axis=1).mean()
    assert 0.1 < black < 0.6
    assert not (pixels[16, 32, :3] == 0).all()


def turned(thing):
    thing.rotation_euler.x = np.pi


def shelter(thing):
    """Walls and a roof, seen from below."""
    mesh = bpy.data.meshes.new("Shelter")
    corners = [(x, y, z) for z in (0, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    walls = [(number, (number + 1) % 4, 4 + (number + 1) % 4, 4 + number) for number in range(4)]
    mesh.from_pydata(corners, [], [*walls, (4, 5, 6, 7)])
    thing.data = mesh
    turned(thing)


def towards(thing):
    pass


def thickened(thing):
    turned(thing)
    thing.modifiers.new("Thickness", "SOLIDIFY")


def hidden(thing):
    turned(thing)
    thing.hide_render = True


@pytest.mark.parametrize(
    ("way", "is_told"), [(turned, True), (towards, False), (thickened, False), (hidden, False), (shelter, False)]
)
def test_cards_that_culling_makes_invisible_are_told(scene, way, is_told):
    by_modifier(block(scene, "Hero"))
    card = square(scene, "Card")
    way(card)
    scene.view_layers[0].update()
    report = convert(scene, "flat_shading")
    assert ("back" in told(report, card)) == is_told
    assert not told(report, scene.objects["Hero"])
