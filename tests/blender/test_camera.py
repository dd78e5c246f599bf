# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that labels are computed with is the one that Blender renders with. Blender's Python module only."""

import math

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector

from animerun_addon.errors import InputError
from animerun_addon.scene.camera import read_camera

POINTS = [(0.3, 0.2, -4), (-1.1, 0.7, -9), (0.01, -0.6, -2), (5, 3, -1.5)]


def read(scene):
    return read_camera(bpy.context.evaluated_depsgraph_get(), scene)


def image_of(camera, points):
    """(N, 2) image coordinates, y down."""
    clip = np.c_[np.asarray(points, float), np.ones(len(points))] @ camera.clip_from_world.T
    unit = clip[:, :2] / clip[:, 3:] * (0.5, -0.5) + 0.5
    return unit * (camera.width_px, camera.height_px)


def blenders_image_of(scene, points):
    views = [world_to_camera_view(scene, scene.camera, Vector(point)) for point in points]
    render = scene.render
    width, height = (size * render.resolution_percentage // 100 for size in (render.resolution_x, render.resolution_y))
    return np.array([(view.x * width, (1 - view.y) * height) for view in views])


def test_a_pinhole_projects_as_computed_by_hand(tiny_scene):
    lens = tiny_scene.camera.data
    lens.lens, lens.sensor_width = 50, 36
    tiny_scene.render.resolution_x, tiny_scene.render.resolution_y = 360, 200
    camera = read(tiny_scene)
    # 50 mm on 36 mm over 360 px: 500 px a unit of slope.
    assert image_of(camera, [(0.2, 0.1, -2)]) == pytest.approx(np.array([[180 + 50, 100 - 25]]), abs=1e-3)
    assert (camera.width_px, camera.height_px) == (360, 200)
    assert not camera.is_orthographic
    assert (camera.clip_start_m, camera.clip_end_m) == pytest.approx((lens.clip_start, lens.clip_end))


def test_an_orthographic_camera_shows_its_scale(tiny_scene):
    lens = tiny_scene.camera.data
    lens.type, lens.ortho_scale = "ORTHO", 4
    tiny_scene.render.resolution_x, tiny_scene.render.resolution_y = 400, 200
    camera = read(tiny_scene)
    assert camera.is_orthographic
    assert image_of(camera, [(1, 0.5, -3), (1, 0.5, -30)]) == pytest.approx(np.array([[300, 50]] * 2), abs=1e-3)


@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("size", [(320, 180, 100), (180, 320, 50), (333, 77, 71)])
@pytest.mark.parametrize("aspect", [(1, 1), (2, 1), (1, 1.5)])
def test_it_agrees_with_blenders_own_projection(tiny_scene, kind, fit, size, aspect):
    render, lens = tiny_scene.render, tiny_scene.camera.data
    render.resolution_x, render.resolution_y, render.resolution_percentage = size
    render.pixel_aspect_x, render.pixel_aspect_y = aspect
    lens.type, lens.sensor_fit, lens.shift_x, lens.shift_y, lens.sensor_height = kind, fit, 0.2, -0.1, 20
    # world_to_camera_view lets the percentage out of the aspect; at sizes that it rounds, so must the comparison.
    render.resolution_x, render.resolution_y = (value * size[2] // 100 for value in size[:2])
    render.resolution_percentage = 100
    assert image_of(read(tiny_scene), POINTS) == pytest.approx(blenders_image_of(tiny_scene, POINTS), abs=2e-3)


def test_the_percentage_is_cut_to_whole_pixels(tiny_scene):
    tiny_scene.render.resolution_x, tiny_scene.render.resolution_y = 333, 77
    tiny_scene.render.resolution_percentage = 71
    camera = read(tiny_scene)
    assert (camera.width_px, camera.height_px) == (236, 54)


def test_a_scaled_and_parented_camera_looks_from_its_place_unscaled(tiny_scene):
    parent = bpy.data.objects.new("Parent", None)
    tiny_scene.collection.objects.link(parent)
    parent.location, parent.scale, parent.rotation_euler = (1, 2, 3), (2, 2, 2), (0.1, 0.2, 0.3)
    tiny_scene.camera.parent = parent
    tiny_scene.camera.location, tiny_scene.camera.scale = (0.5, 0, 0), (1, 3, 0.5)
    camera = read(tiny_scene)
    rotation = np.array(Euler((0.1, 0.2, 0.3)).to_matrix())
    place = np.array((1, 2, 3)) + rotation @ (1, 0, 0)
    assert camera.camera_from_world[:3, :3] == pytest.approx(rotation.T, abs=1e-6)
    assert -camera.camera_from_world[:3, :3].T @ camera.camera_from_world[:3, 3] == pytest.approx(place, abs=1e-6)
    assert image_of(camera, POINTS) == pytest.approx(blenders_image_of(tiny_scene, POINTS), abs=2e-3)


@pytest.mark.parametrize(
    ("name", "values"), [("shift_x", (0, 0.5)), ("lens", (20, 80)), ("ortho_scale", (2, 6)), ("clip_end", (50, 99))]
)
def test_animated_settings_are_those_of_the_frame(tiny_scene, name, values):
    lens = tiny_scene.camera.data
    lens.type = "ORTHO" if name == "ortho_scale" else "PERSP"
    for frame, value in enumerate(values, 1):
        setattr(lens, name, value)
        lens.keyframe_insert(name, frame=frame)
    for frame in (1, 2):
        tiny_scene.frame_set(frame)
        camera = read(tiny_scene)
        assert image_of(camera, POINTS) == pytest.approx(blenders_image_of(tiny_scene, POINTS), abs=2e-3)
        assert camera.clip_end_m == pytest.approx(lens.clip_end)
    assert getattr(lens, name) == pytest.approx(values[1])


def test_a_marker_switches_the_camera(tiny_scene):
    second = bpy.data.objects.new("Second", bpy.data.cameras.new("Second"))
    tiny_scene.collection.objects.link(second)
    for frame, camera in ((1, tiny_scene.camera), (2, second)):
        tiny_scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    names = []
    for frame in (1, 2):
        tiny_scene.frame_set(frame)
        names.append(read(tiny_scene).name)
    assert names == ["Camera", "Second"]


def test_a_panoramic_camera_is_refused(tiny_scene):
    tiny_scene.camera.data.type = "PANO"
    with pytest.raises(InputError, match="'Camera' is of type pano"):
        read(tiny_scene)


def test_no_camera_is_refused(tiny_scene):
    tiny_scene.camera = None
    with pytest.raises(InputError, match="has no camera"):
        read(tiny_scene)


def test_something_else_as_camera_is_refused(tiny_scene):
    tiny_scene.camera = bpy.data.objects["Triangle"]
    with pytest.raises(InputError, match="'Triangle' is not a camera"):
        read(tiny_scene)


def test_a_turned_camera_agrees_too(tiny_scene):
    tiny_scene.camera.matrix_world = Matrix.LocRotScale((3, -4, 5), Euler((math.radians(60), 0.2, 0.6)), (1, 1, 1))
    points = [(0, 0, 0), (0.5, 1, 1), (-2, 3, 0.2)]
    assert image_of(read(tiny_scene), points) == pytest.approx(blenders_image_of(tiny_scene, points), abs=2e-3)
