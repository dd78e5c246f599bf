# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow of whole scenes against those who know it too: Cycles' vector pass, and the next picture."""

import bpy
import labelled
import numpy as np
import pytest
import shots

from animerun_addon.pipeline.job import Job
from animerun_addon.scene.demo import build_steps


@pytest.fixture
def scene():
    return bpy.context.scene


def bent_by_an_armature(scene):
    shots.new_camera(scene)
    grid = shots.new_grid(scene)
    armature = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.data.edit_bones.new("Bone")
    bone.head, bone.tail = (0, 0, -1.5), (0, 0, 1.5)
    bpy.ops.object.mode_set(mode="OBJECT")
    group = grid.vertex_groups.new(name="Bone")
    for vertex in grid.data.vertices:
        group.add([vertex.index], float(np.clip(vertex.co.z / 3 + 0.5, 0, 1)), "REPLACE")
    modifier = grid.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature
    pose = armature.pose.bones["Bone"]
    pose.rotation_mode = "XYZ"
    shots.key(pose, "rotation_euler", (0, 0, 0), (0.05, 0.1, 0.03), (0.1, 0.2, 0.06))


def morphed_by_a_shape_key(scene):
    shots.new_camera(scene)
    grid = shots.new_grid(scene)
    grid.shape_key_add(name="Basis")
    bulge = grid.shape_key_add(name="Bulge")
    for vertex in grid.data.vertices:
        bulge.data[vertex.index].co = vertex.co * 1.3
    shots.key(bulge, "value", 0.0, 0.3, 0.6)


def subdivided_and_spinning(scene):
    shots.new_camera(scene)
    grid = shots.new_grid(scene, cells=3)
    modifier = grid.modifiers.new("Subdivision", "SUBSURF")
    modifier.levels, modifier.render_levels = 0, 2
    shots.key(grid, "rotation_euler", (0, 0, 0), (0.02, 0.1, 0.05), (0.04, 0.2, 0.1))


def instances_of_a_collection(scene):
    shots.new_camera(scene)
    source = bpy.data.collections.new("Source")
    grid = shots.new_grid(scene, cells=3, size=1.2)
    scene.collection.objects.unlink(grid)
    source.objects.link(grid)
    for number, x in enumerate((-1.2, 0.3)):
        empty = bpy.data.objects.new(f"Instance {number}", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", source
        scene.collection.objects.link(empty)
        shots.key(empty, "location", (x, 0, 0), (x + 0.1, 0.05 * number, 0.1), (x + 0.2, 0.1 * number, 0.2))


def moving_camera(scene):
    camera = shots.new_camera(scene)
    shots.new_grid(scene)
    shots.key(camera, "location", (0, -8, 0), (0.1, -7.9, 0.05), (0.2, -7.8, 0.1))


SCENES = [
    bent_by_an_armature,
    morphed_by_a_shape_key,
    subdivided_and_spinning,
    instances_of_a_collection,
    moving_camera,
]


@pytest.mark.parametrize("build", SCENES, ids=lambda build: build.__name__)
def test_flow_agrees_with_cycles_where_cycles_is_right(scene, build, tmp_path):
    build(scene)
    frames = labelled.read_frames(scene, [1, 2, 3])
    for other, theirs in zip((3, 1), labelled.cycles_vectors(scene, 2, tmp_path), strict=True):
        ours = labelled.flow_between(frames, 2, other)
        here = (frames[2].ids >= 0) & ~labelled.silhouettes(frames[2]) & ours.valid
        assert here.sum() > 500
        error_px = np.linalg.norm(ours.flow_px[here] - theirs[here], axis=-1)
        assert np.linalg.norm(theirs[here], axis=-1).max() > 0.5, "the scene moves"
        assert np.median(error_px) < 0.02
        assert np.percentile(error_px, 99) < 0.1


@pytest.mark.parametrize("frame", [5, 30])
def test_next_frame_warped_back_is_this_frame(frame, tmp_path):
    """Without contours: the hulls' black rims do not move with the surface. bench/warp.py tells what they cost."""
    scene = Job("Demo scene", build_steps()).run()
    bpy.context.window.scene = scene
    labelled.show_flat(scene)
    labelled.show_hulls(scene, False)
    pictures = {number: labelled.picture(scene, number, tmp_path) for number in (frame, frame + 1)}
    frames = labelled.read_frames(scene, pictures)
    assert (frames[frame].ids >= 0).mean() > 0.3
    warped, unwarped = labelled.warp_errors(frames, pictures, frame, frame + 1)
    assert warped < 0.01
    assert warped < 0.1 * unwarped, "without the flow the pictures differ far more"
