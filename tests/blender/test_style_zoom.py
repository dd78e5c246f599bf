# SPDX-License-Identifier: GPL-3.0-or-later
"""A zoom becomes a move along the view axis: what is in focus keeps its place and size in the picture to the pixel."""

import bpy
import numpy as np
import pytest
from snapshot_scenes import link, square
from style_scenes import convert, told, touched

from animerun_addon.scene.camera import read_camera
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.style import restore
from animerun_addon.style_settings import Zoom

FRAMES = (1, 4, 7, 10)


@pytest.fixture
def shot(tiny_scene):
    """A camera that moves, shifts its lens and zooms, with its eyes on a target that moves as well."""
    tiny_scene.render.resolution_x, tiny_scene.render.resolution_y = 400, 300
    tiny_scene.frame_end = FRAMES[-1]
    camera, target = tiny_scene.camera, square(tiny_scene, "Target")
    track = camera.constraints.new("TRACK_TO")
    track.target, track.track_axis, track.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"
    key(camera, "location", (-3.0, -9.0, 2.0), (2.0, -7.0, 1.0))
    key(target, "location", (0.0, 0.0, 0.0), (1.0, 1.5, 0.5))
    key(camera.data, "shift_x", 0.1, -0.2)
    key(camera.data, "shift_y", 0.0, 0.15)
    key(camera.data, "lens", 30.0, 75.0)
    return tiny_scene


def key(owner, path, first, last):
    for frame, value in ((FRAMES[0], first), (FRAMES[-1], last)):
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame)


def dolly(scene, **choices):
    return convert(scene, zoom=Zoom.DOLLY, **choices)


def cameras(scene, frames=FRAMES):
    found = []
    with_render_depsgraph(scene, frames, lambda _, depsgraph: found.append(read_camera(depsgraph, scene)))
    return found


def pixels(camera, points):
    """(N, 2), where world points (N, 3) are in the picture."""
    clip = np.c_[points, np.ones(len(points))] @ (camera.clip_from_camera @ camera.camera_from_world).T
    return (clip[:, :2] / clip[:, 3:] + 1) / 2 * (camera.width_px, camera.height_px)


def beside(camera, point):
    """Points around a world point, as deep in the picture as it is."""
    across = np.array([(0, 0), (1, 0), (0, 1), (-0.7, 0.4)])
    return point + across @ camera.camera_from_world[:2, :3]


def target_of(scene, frame):
    scene.frame_set(frame)
    return np.array(scene.objects["Target"].matrix_world.translation)


def assert_keeps_the_subject(scene, before, after):
    for frame, zoomed, moved in zip(FRAMES, before, after, strict=True):
        points = beside(zoomed, target_of(scene, frame))
        old, new = pixels(zoomed, points), pixels(moved, points)
        assert new == pytest.approx(old, abs=0.02)
        sizes = [np.linalg.norm(where[1:] - where[0], axis=1) for where in (old, new)]
        assert sizes[1] == pytest.approx(sizes[0], rel=1e-3)


def lens_scale(camera):
    return camera.clip_from_camera[0, 0]


def test_the_subject_keeps_its_place_and_size_without_zoom(shot):
    before, state = cameras(shot), touched(shot)
    report = dolly(shot)
    after = cameras(shot)
    assert not report.left
    assert max(map(lens_scale, before)) > 2 * min(map(lens_scale, before))
    assert {round(lens_scale(camera), 6) for camera in after} == {round(lens_scale(before[0]), 6)}
    assert_keeps_the_subject(shot, before, after)
    restore(shot)
    assert touched(shot) == state
    assert [camera.name for camera in cameras(shot)] == ["Camera"] * len(FRAMES)


def test_what_is_not_in_focus_changes_its_size(shot):
    before = cameras(shot)
    dolly(shot)
    after = cameras(shot)
    point = target_of(shot, FRAMES[-1]) + before[-1].camera_from_world[2, :3] * -20
    sizes = [np.linalg.norm(np.diff(pixels(one[-1], beside(one[-1], point))[:2], axis=0)) for one in (before, after)]
    assert sizes[1] < 0.9 * sizes[0] or sizes[1] > 1.1 * sizes[0]


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
def test_sensors_that_grow_are_a_zoom(shot, fit):
    data = shot.camera.data
    data.sensor_fit = fit
    data.animation_data_clear()
    key(data, "sensor_height" if fit == "VERTICAL" else "sensor_width", 24.0, 60.0)
    before = cameras(shot)
    dolly(shot)
    assert shot.camera.name == "Camera dolly"
    assert_keeps_the_subject(shot, before, cameras(shot))


def by_a_driver(data):
    data.animation_data_clear()
    data.driver_add("lens").driver.expression = "30 + 4 * frame"


def by_an_nla_strip(data):
    animation = data.animation_data
    animation.nla_tracks.new().strips.new("Zoom", 1, animation.action)
    animation.action = None


def by_its_objects_action(data):
    """A camera and its data may share one action, each with a slot of its own."""
    camera = bpy.data.objects["Camera"]
    data.animation_data_clear()
    data.animation_data_create().action = camera.animation_data.action
    key(data, "lens", 30.0, 75.0)
    assert data.animation_data.action == camera.animation_data.action


@pytest.mark.parametrize("moved", [by_a_driver, by_an_nla_strip, by_its_objects_action], ids=lambda f: f.__name__)
def test_zooms_are_found_however_they_are_made(shot, moved):
    moved(shot.camera.data)
    before = cameras(shot)
    assert lens_scale(before[0]) != pytest.approx(lens_scale(before[-1]), rel=0.2)
    dolly(shot)
    assert shot.camera.name == "Camera dolly"
    assert_keeps_the_subject(shot, before, cameras(shot))


def test_zooms_are_kept_unless_chosen(shot):
    state = touched(shot)
    assert not convert(shot).left
    assert touched(shot) | {"counts": None} == state | {"counts": None}


def test_a_still_lens_is_left_alone(shot):
    shot.camera.data.animation_data_clear()
    key(shot.camera.data, "lens", 40.0, 40.0)
    assert not dolly(shot).left
    assert shot.camera.name == "Camera"


def test_a_growing_orthographic_scale_stays_and_is_told(shot):
    shot.camera.data.type = "ORTHO"
    key(shot.camera.data, "ortho_scale", 4.0, 8.0)
    assert "without perspective" in told(dolly(shot), shot.camera)
    assert shot.camera.name == "Camera"


def without_a_target(scene):
    scene.camera.constraints.clear()
    scene.camera.rotation_euler = (1.5, 0.0, 0.0)
    return scene.camera


def test_without_a_subject_the_zoom_stays_and_is_told(shot):
    camera = without_a_target(shot)
    assert "choose a focus object" in told(dolly(shot), camera)
    assert shot.camera == camera


def test_the_users_focus_object_counts_first(shot):
    near = square(shot, "Near")
    near.location = (0, -4, 0)
    before = cameras(shot)
    dolly(shot, focus_object="Near")
    for zoomed, moved in zip(before, cameras(shot), strict=True):
        points = beside(zoomed, np.array(near.location))
        assert pixels(moved, points) == pytest.approx(pixels(zoomed, points), abs=0.02)


def test_a_focus_object_that_is_not_there_is_told(shot):
    report = dolly(shot, focus_object="Nobody")
    assert "no object 'Nobody'" in told(report, shot)
    assert shot.camera.name == "Camera dolly"


@pytest.mark.parametrize("is_converted_first", [False, True])
def test_the_distance_of_a_lens_that_is_focused_counts(shot, is_converted_first):
    camera = without_a_target(shot)
    camera.data.dof.use_dof = True
    camera.data.dof.focus_distance = 5.0
    if is_converted_first:  # which switches depth of field off
        other = bpy.data.scenes.new("Other")
        other.camera = camera
        other.collection.objects.link(camera)
        convert(other, "no_blur")
        assert not camera.data.dof.use_dof
    before = cameras(shot)
    dolly(shot)
    assert shot.camera != camera
    for zoomed, moved in zip(before, cameras(shot), strict=True):
        ahead = np.linalg.inv(zoomed.camera_from_world) @ (0, 0, -5.0, 1)
        points = beside(zoomed, ahead[:3])
        assert pixels(moved, points) == pytest.approx(pixels(zoomed, points), abs=0.02)


def test_a_bone_can_be_looked_at(shot):
    data = bpy.data.armatures.new("Rig")
    rig = link(shot, "Rig", data)
    shot.view_layers[0].objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bone = data.edit_bones.new("head")
    bone.head, bone.tail = (0, 0, 3), (0, 0, 4)
    bpy.ops.object.mode_set(mode="OBJECT")
    track = shot.camera.constraints[0]
    track.target, track.subtarget = rig, "head"
    before = cameras(shot)
    dolly(shot)
    for zoomed, moved in zip(before, cameras(shot), strict=True):
        points = beside(zoomed, np.array((0, 0, 3)))
        assert pixels(moved, points) == pytest.approx(pixels(zoomed, points), abs=0.02)


def test_a_subject_behind_the_camera_is_told(shot):
    camera = without_a_target(shot)
    camera.rotation_euler = (-1.5, 0, 0)
    assert "behind it" in told(dolly(shot, focus_object="Target"), camera)
    assert shot.camera == camera


def test_a_subject_outside_the_scene_is_told(shot):
    camera = without_a_target(shot)
    camera.data.dof.focus_object = bpy.data.objects.new("Elsewhere", None)
    camera.data.dof.focus_object.location.y = -40
    assert "not in the scene" in told(dolly(shot), camera)
    assert shot.camera == camera


def test_the_clip_range_goes_along(shot):
    key(shot.camera.data, "lens", 75.0, 20.0)  # moves forward, through where the near plane was
    shot.camera.data.clip_start, shot.camera.data.clip_end = 2.0, 12.0
    dolly(shot)
    for frame, camera in zip(FRAMES, cameras(shot), strict=True):
        depth = -(camera.camera_from_world @ np.append(target_of(shot, frame), 1))[2]
        assert 0 < camera.clip_start_m < depth < camera.clip_end_m


def test_a_wall_before_the_old_camera_stays_cut_away(shot):
    key(shot.camera.data, "lens", 75.0, 30.0)  # moves back
    dolly(shot)
    shot.frame_set(FRAMES[-1])
    old, new = (bpy.data.objects[name] for name in ("Camera", "Camera dolly"))
    back_m = (old.matrix_world.translation - new.matrix_world.translation).length
    assert back_m > 5
    for name in ("clip_start", "clip_end"):
        assert getattr(new.data, name) == pytest.approx(getattr(old.data, name) + back_m, abs=1e-3)


def test_markers_look_through_the_dolly_and_back(shot):
    still = link(shot, "Still", bpy.data.cameras.new("Still"))
    for name, frame, camera in (("A", 1, shot.camera), ("B", 5, still), ("C", 8, shot.camera)):
        shot.timeline_markers.new(name, frame=frame).camera = camera
    shot.frame_set(1)
    state = touched(shot)
    dolly(shot)
    names = ["Camera dolly", "Camera dolly", "Still", "Camera dolly"]
    assert [camera.name for camera in cameras(shot)] == names
    restore(shot)
    assert touched(shot) == state


@pytest.mark.parametrize(("converted_at", "restored_at"), [(1, 6), (6, 1), (1, 10)])
def test_markers_bring_the_users_camera_back_whichever_frame_is_shown(shot, converted_at, restored_at):
    still = link(shot, "Still", bpy.data.cameras.new("Still"))
    zooming = shot.camera
    for name, frame, camera in (("A", 1, zooming), ("B", 5, still), ("C", 8, zooming)):
        shot.timeline_markers.new(name, frame=frame).camera = camera
    shot.frame_set(converted_at)
    dolly(shot)
    assert shot.camera.name == ("Still" if converted_at == 6 else "Camera dolly")
    shot.frame_set(restored_at)
    assert not restore(shot).kept
    assert shot.camera == (still if restored_at == 6 else zooming)


def test_what_rides_on_the_camera_is_told(shot):
    square(shot, "Filter").parent = shot.camera
    assert "does not follow" in told(dolly(shot), bpy.data.objects["Camera"])


def test_two_scenes_with_one_camera_get_a_dolly_each(shot):
    other = bpy.data.scenes.new("Other")
    other.frame_end, other.camera = shot.frame_end, shot.camera
    for thing in shot.objects:
        other.collection.objects.link(thing)
    state = touched(shot)
    dolly(shot)
    dolly(other)
    assert shot.camera != other.camera
    restore(shot)
    assert other.camera.name.startswith("Camera dolly")
    assert shot.camera.name == "Camera"
    restore(other)
    assert touched(shot) == state
