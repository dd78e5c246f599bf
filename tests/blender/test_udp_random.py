# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of random build, pose and place keep their landmarks, by the rays of landmark_rays.py."""

import bpy
import numpy as np
import pytest
from landmark_rays import show_as_rendered
from people import BUILT, bones, person
from rest_scenes import FRAMES, blocks, stage, to_bone
from snapshot_scenes import instance_of, link
from test_rest_coordinates import divide
from test_udp_landmarks import assert_landmarks_stay

SEEDS = range(12)


def modifier(kind, **settings):
    def add(thing, random):
        one = thing.modifiers.new(kind.title(), kind)
        for name, value in settings.items():
            setattr(one, name, value)

    return add


def mask(thing, random):
    one = thing.modifiers.new("Mask", "MASK")
    one.vertex_group, one.invert_vertex_group = "forearm.R", True


def bound_smoothing(thing, random):
    one = thing.modifiers.new("Bound", "CORRECTIVE_SMOOTH")
    one.rest_source = "BIND"
    show_as_rendered()  # bound are the vertices that renders have
    with bpy.context.temp_override(object=thing, active_object=thing):
        bpy.ops.object.correctivesmooth_bind(modifier=one.name)


def broader(thing, random):
    thing.shape_key_add(name="Basis")
    shape = thing.shape_key_add(name="Broader", from_mix=False)
    for point in shape.points:
        point.co.x *= 1.2
    shape.value = random.uniform(0.2, 1)


def talking(thing, random):
    if thing.data.shape_keys is None:
        thing.shape_key_add(name="Basis")
    shape = thing.shape_key_add(name="Talking", from_mix=False)
    for number, point in enumerate(shape.points):
        point.co.y += 0.01 * (number % 5)
    for frame in (FRAMES[0], FRAMES[-1]):
        shape.value = random.uniform(0, 1)
        shape.keyframe_insert("value", frame=frame)


BUILDING = [
    modifier("SUBSURF", render_levels=1, levels=0),
    modifier("SUBSURF", render_levels=1, levels=0, subdivision_type="SIMPLE"),
    modifier("SOLIDIFY", thickness=0.02, offset=0.3),
    modifier("BEVEL", width=0.01, segments=2, limit_method="NONE"),
    modifier("TRIANGULATE", quad_method="FIXED"),  # else its triangles depend on the pose
    modifier("EDGE_SPLIT"),
    modifier("WELD", merge_threshold=1e-4),
    modifier("ARRAY", count=2, relative_offset_displace=(0.02, 0.3, 0)),
    modifier("DISPLACE", strength=0.02, mid_level=0.0),
    modifier("CAST", factor=0.1),
    modifier("SMOOTH", iterations=2),
    lambda thing, random: divide(thing),
    mask,
    broader,
    talking,
]
AFTERWARDS = [
    modifier("SUBSURF", render_levels=1, levels=0),
    modifier("SOLIDIFY", thickness=0.015, offset=-0.5, use_even_offset=True),
    modifier("CORRECTIVE_SMOOTH", iterations=3, rest_source="ORCO"),
    bound_smoothing,
    modifier("LAPLACIANSMOOTH", lambda_factor=0.1),
    modifier("BEVEL", width=0.005, limit_method="NONE"),
    modifier("EDGE_SPLIT", use_edge_angle=False),
]


def dress(scene, rig, body, random):
    """Things that follow a bone, a vertex, the body's own bones as a tube, or another such thing."""
    hat = link(scene, "Hat", blocks("Hat", ((0, 0, 0.1), (0.12, 0.12, 0.05))))
    to_bone(hat, rig, "head")
    tassel = link(scene, "Tassel", blocks("Tassel", ((0.1, 0, 0.2), (0.03, 0.03, 0.08))))
    tassel.parent = hat
    button = link(scene, "Button", blocks("Button", ((0, 0, 0), (0.03, 0.03, 0.03))))
    button.parent, button.parent_type = body, "VERTEX"
    button.parent_vertices = (int(random.integers(len(body.data.vertices))), 0, 0)
    curve = bpy.data.curves.new("Rope", "CURVE")
    curve.dimensions, curve.bevel_depth = "3D", 0.02
    spline = curve.splines.new("POLY")
    spline.points.add(3)
    for number, point in enumerate(spline.points):
        point.co = (*(rig.data.bones["spine"].head_local + 0.1 * number * rig.data.bones["spine"].vector), 1)
    rope = link(scene, "Rope", curve)
    rope.parent, rope.parent_type, rope.parent_bone = rig, "BONE", "hand.L"


def into_no_scene(scene, things):
    """A collection that is in no scene, with these things in it."""
    collection = bpy.data.collections.new("Inside")
    for thing in things:
        scene.collection.objects.unlink(thing)
        collection.objects.link(thing)
    return collection


def wave(rig, random):
    for bone in random.choice(list(bones()), 7, replace=False):
        pose = rig.pose.bones[bone]
        pose.rotation_mode = "XYZ"
        for frame in (FRAMES[0], FRAMES[-1]):
            pose.rotation_euler = random.uniform(-0.7, 0.7, 3)
            pose.scale = random.uniform(0.9, 1.1, 3)
            pose.keyframe_insert("rotation_euler", frame=frame)
            pose.keyframe_insert("scale", frame=frame)


def place(scene, rig, random):
    """Turned, moved, scaled, sheared by an uneven parent, mirrored, moving."""
    rig.rotation_euler = random.uniform(-0.5, 0.5, 3)
    rig.scale = random.uniform(0.7, 1.3, 3) * random.choice((-1, 1))
    root = link(scene, "Root", None)
    root.scale = random.uniform(0.7, 1.3, 3)
    root.rotation_euler = (0, 0, random.uniform(-3, 3))
    rig.parent = root
    for frame in (FRAMES[0], FRAMES[-1]):
        root.location = (*random.uniform(-0.2, 0.2, 2), random.uniform(0.4, 0.6))
        root.keyframe_insert("location", frame=frame)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_character_keeps_its_landmarks(seed):
    scene, random = bpy.context.scene, np.random.default_rng(seed)
    rig = person(scene, "Hero", random.uniform(10, 95), random.choice(list(BUILT)), random.uniform(-0.5, 0.5, 3))
    body = scene.objects["Hero body"]
    armature = body.modifiers[0]
    for add in random.choice(len(BUILDING), 3, replace=False):
        BUILDING[add](body, random)
    body.modifiers.move(list(body.modifiers).index(armature), len(body.modifiers) - 1)
    for add in random.choice(len(AFTERWARDS), 2, replace=False):
        AFTERWARDS[add](body, random)
    dress(scene, rig, body, random)
    wave(rig, random)
    place(scene, rig, random)
    if seed % 3 == 0:
        things = [rig.parent, rig, *rig.children_recursive]
        instance_of(scene, "Instance", into_no_scene(scene, things)).location = (0.1, 0, 0.1)
    stage(scene)
    scene.render.engine = "CYCLES"
    scene.camera.location = (0, -6, 0.8)
    scene.render.resolution_percentage = 150
    hero = assert_landmarks_stay(scene, "Hero", least=250, moving=False, spread=0.3)
    assert set(hero.by_object) == {"Hero body", "Hat", "Tassel", "Button", "Rope"}
    assert not hero.notes
