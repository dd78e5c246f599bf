# SPDX-License-Identifier: GPL-3.0-or-later
"""Held frames are left out, and no other: whatever moves, appears or changes material, however little."""

import bpy
import numpy as np
import pytest
from snapshot_scenes import link, shots, square

from animerun_addon.pipeline.job import Job
from animerun_addon.scene.holds import kept_frames_steps

FRAMES = range(1, 9)
ON_TWOS = [1, 3, 5, 7]


@pytest.fixture
def scene():
    """A square before a camera."""
    scene = bpy.context.scene
    square(scene)
    scene.camera = link(scene, "Camera", bpy.data.cameras.new("Camera"))
    scene.camera.location.z = 6
    scene.render.resolution_x, scene.render.resolution_y = 32, 32
    return scene


@pytest.fixture
def thing(scene):
    return scene.objects["Square"]


def kept(scene, frames=FRAMES):
    return Job("Held frames", kept_frames_steps(scene, frames)).run()


def key(owner, path, values, every=1, interpolation="CONSTANT"):
    """Keys at frames 1, 1 + every, 1 + 2 * every ..."""
    for number, value in enumerate(values):
        parent, _, name = path.rpartition(".")
        setattr(owner.path_resolve(parent) if parent else owner, name, value)
        owner.keyframe_insert(path, frame=1 + every * number)
    (bag,) = owner.animation_data.action.layers[0].strips[0].channelbags
    for curve in bag.fcurves:
        for point in curve.keyframe_points:
            point.interpolation = interpolation


def move_on_twos(thing):
    key(thing, "delta_location", [(0.1 * step, 0, 0) for step in range(4)], every=2)


def armature(scene, thing, bones=1):
    """A chain of bones, the last of which moves the thing."""
    rig = link(scene, "Rig", bpy.data.armatures.new("Rig"))
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    parent = None
    for number in range(bones):
        bone = rig.data.edit_bones.new("Bone")
        bone.head, bone.tail, bone.parent = (0, 0, number), (0, 0, number + 1), parent
        parent = bone
    name = parent.name
    bpy.ops.object.mode_set(mode="OBJECT")
    thing.modifiers.new("Armature", "ARMATURE").object = rig
    thing.vertex_groups.new(name=name).add([0, 1, 2, 3], 1, "REPLACE")
    return rig


# Characters on twos --------------------------------------------------------------------------------------------------


def test_a_scene_in_which_nothing_moves_is_one_frame(scene):
    assert kept(scene) == [1]


def test_no_frames_are_no_frames(scene):
    assert kept(scene, []) == []


def test_a_shape_key_on_twos(scene, thing):
    thing.shape_key_add(name="Basis")
    thing.shape_key_add(name="Up").data[0].co.z = 1
    keys = thing.data.shape_keys
    key(keys, 'key_blocks["Up"].value', [0.1, 0.2, 0.3, 0.4], every=2)
    assert kept(scene) == ON_TWOS


def test_an_armature_on_twos(scene, thing):
    rig = armature(scene, thing)
    rig.pose.bones["Bone"].rotation_mode = "XYZ"
    key(rig, 'pose.bones["Bone"].rotation_euler', [(0.1 * step, 0, 0) for step in range(4)], every=2)
    assert kept(scene) == ON_TWOS


def test_a_camera_on_twos(scene):
    move_on_twos(scene.camera)
    assert kept(scene) == ON_TWOS


def test_a_lens_on_twos(scene):
    key(scene.camera.data, "lens", [50, 51, 52, 53], every=2)
    assert kept(scene) == ON_TWOS


def test_a_camera_that_moves_over_held_characters_keeps_every_frame(scene, thing):
    move_on_twos(thing)
    key(scene.camera, "location", [(0, 0, 6), (1, 0, 6)], every=7, interpolation="LINEAR")
    assert kept(scene) == list(FRAMES)


def test_an_instance_on_twos(scene, thing):
    collection = bpy.data.collections.new("Inside")
    scene.collection.objects.unlink(thing)
    collection.objects.link(thing)
    empty = link(scene, "Instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", collection
    move_on_twos(empty)
    assert kept(scene) == ON_TWOS


def test_frames_that_are_not_asked_for_are_not_looked_at(scene, thing):
    move_on_twos(thing)
    assert kept(scene, [2, 4, 5, 6]) == [2, 4, 5]


def test_long_shots_are_read_in_parts(scene, thing):
    key(thing, "location", [(0, 0, 0), (0, 0, 0.1), (0, 0, 0.2)], every=16)
    job = Job("Held frames", kept_frames_steps(scene, range(1, 41)))
    told = []
    assert job.run(lambda status: told.append(status.progress)) == [1, 17, 33]
    assert [(progress.done, progress.total) for progress in told] == [(0, 40), (16, 40), (32, 40), (40, 40)]


def test_the_scene_is_left_as_it_was(scene, thing):
    move_on_twos(thing)
    scene.frame_set(5)
    before = scene.render.engine
    kept(scene)
    assert (scene.frame_current, scene.render.engine) == (5, before)


# Small things count --------------------------------------------------------------------------------------------------


def test_a_hundredth_of_a_pixel_counts(scene, thing):
    key(thing, "location", [(0, 0, 0), (0.001, 0, 0)], every=4)
    assert kept(scene) == [1, 5]


def test_slow_motion_adds_up(scene, thing):
    """A millionth of the square's size a frame is more than rounding after a few frames, if not at once."""
    key(thing, "location", [(0, 0, 0), (14e-6, 0, 0)], every=7, interpolation="LINEAR")
    found = kept(scene)
    assert 1 < len(found) < len(FRAMES)


def test_a_slow_turn_of_a_far_camera_counts(scene, thing):
    """A tenth of a pixel of 1024."""
    thing.location.y = scene.camera.location.y = 5000
    key(scene.camera, "rotation_euler", [(7e-5 * step, 0, 0) for step in range(4)], every=2)
    assert kept(scene) == ON_TWOS


def test_what_rounding_does_is_no_motion(scene, thing):
    """One bit more in the coordinates of an object 1000 m away."""
    away = float(np.nextafter(np.float32(1000), np.float32(2000)))
    key(thing, "location", [(1000, 0, 0), (away, 0, 0)], every=2)
    assert kept(scene) == [1]


def test_a_pose_that_is_blended_with_itself_is_held(scene, thing):
    """Its bones' matrices then differ from frame to frame, by what float32 rounds away."""
    rig = armature(scene, thing, bones=12)
    for bone in rig.pose.bones:
        bone.rotation_mode = "XYZ"
        key(rig, f'pose.bones["{bone.name}"].rotation_euler', [(0.3, 0.2, 0.1)] * 2, every=20)
    pose, slot = rig.animation_data.action, rig.animation_data.action_slot
    rig.animation_data.action = None
    for start in (1, 2):
        strip = rig.animation_data.nla_tracks.new().strips.new("Pose", start, pose)
        strip.action_slot = slot
    strip.blend_in = 10
    one, *others = (snapshot.positions for snapshot in shots(scene, FRAMES))
    assert 0 < max(np.abs(other - one).max() for other in others) < 1e-4
    assert kept(scene) == [1]


def test_a_millimetre_near_the_origin_is_motion_though_the_sky_is_far(scene, thing):
    sky = square(scene, "Sky")
    sky.scale = (100_000, 100_000, 1)
    key(thing, "location", [(0, 0, 0), (0.001, 0, 0)], every=2)
    assert kept(scene) == [1, 3]


def test_only_one_vertex_moves(scene, thing):
    thing.shape_key_add(name="Basis")
    thing.shape_key_add(name="Nudge").data[2].co.x += 0.001
    key(thing.data.shape_keys, 'key_blocks["Nudge"].value', [0.0, 1.0], every=3)
    assert kept(scene) == [1, 4]


# Not only motion -----------------------------------------------------------------------------------------------------


def test_who_vanishes_and_comes_back_is_seen(scene, thing):
    square(scene, "Ground").location.z = -1
    key(thing, "hide_render", [False, True, False], every=3)
    assert kept(scene) == [1, 4, 7]


def test_another_material_is_another_frame(scene, thing):
    for name in ("Red", "Blue"):
        thing.data.materials.append(bpy.data.materials.new(name))
    tree = bpy.data.node_groups.new("Switch", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    entry, change, leave = (
        tree.nodes.new(kind) for kind in ("NodeGroupInput", "GeometryNodeSetMaterialIndex", "NodeGroupOutput")
    )
    tree.links.new(entry.outputs[0], change.inputs["Geometry"])
    tree.links.new(change.outputs[0], leave.inputs[0])
    key(tree, 'nodes["Set Material Index"].inputs["Material Index"].default_value', [0, 1], every=4)
    thing.modifiers.new("Switch", "NODES").node_group = tree
    assert kept(scene) == [1, 5]


def test_a_new_topology_is_another_frame(scene, thing):
    key(
        thing.modifiers.new("Subdivision", "SUBSURF").id_data, 'modifiers["Subdivision"].render_levels', [1, 2], every=4
    )
    assert kept(scene) == [1, 5]


def test_a_cut_is_another_frame(scene):
    other = link(scene, "Other camera", scene.camera.data)
    other.matrix_world = scene.camera.matrix_world.copy()
    for frame, camera in ((1, scene.camera), (6, other)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    assert kept(scene) == [1, 6]


def test_coming_to_the_front_is_another_frame(scene, thing):
    scene.render.engine = "BLENDER_WORKBENCH"
    key(thing, "show_in_front", [False, True], every=3)
    assert kept(scene) == [1, 4]


# What has no labels --------------------------------------------------------------------------------------------------


def test_hair_that_moves_alone_keeps_its_frames(scene):
    hair = bpy.data.hair_curves.new("Hair")
    hair.add_curves([3])
    move_on_twos(link(scene, "Hair", hair))
    assert kept(scene) == ON_TWOS


def test_drawings_on_twos(scene):
    """Grease Pencil has no labels, but its drawings are what an animator holds."""
    bpy.ops.object.grease_pencil_add(type="EMPTY")
    layer = bpy.context.object.data.layers.new("Layer")
    for number, frame in enumerate((1, 3, 5, 7)):
        drawing = layer.frames.new(frame).drawing
        drawing.add_strokes([2])
        drawing.strokes[0].points[0].position = (0.1 * number, 0, 0)
    assert kept(scene) == ON_TWOS
