# SPDX-License-Identifier: GPL-3.0-or-later
"""Animated characters of other makers on a patterned ground, before a moving camera: files, and Rigify's human."""

from pathlib import Path

import addon_utils
import bmesh
import bpy
import numpy as np
import pytest
import shots
from mathutils import Matrix, Vector

ASSETS = Path(__file__).parents[3] / "shared" / "assets"
FRAMES = (8, 9, 10)
COLOUR = "Pattern"


def from_file(name, action=None, action_file=None):
    """A glTF character that plays its own animation, or an action of its own file or of another one."""
    for needed in filter(None, (name, action_file)):
        if not (ASSETS / needed).exists():
            pytest.skip(f"no {ASSETS / needed}")
    armature = import_armature(ASSETS / name)
    if action_file:
        giver = import_armature(ASSETS / action_file)
        for thing in [giver, *giver.children_recursive]:
            bpy.data.objects.remove(thing)
    if action:
        animation = armature.animation_data or armature.animation_data_create()
        for track in animation.nla_tracks:
            track.mute = True
        animation.action = bpy.data.actions[action]
        animation.action_slot = animation.action.slots[0]
    return armature


def import_armature(path):
    before = set(bpy.data.objects)
    addon_utils.enable("io_scene_gltf2")
    bpy.ops.import_scene.gltf(filepath=str(path))
    return next(thing for thing in bpy.data.objects if thing not in before and thing.type == "ARMATURE")


def rigify_human():
    """Rigify's human metarig, generated, in a skin of its own; it bends, turns and lifts its arms."""
    handlers = list(bpy.app.handlers.load_post)
    if addon_utils.enable("rigify", default_set=True) is None:
        pytest.skip("this Blender has no Rigify")
    bpy.ops.object.armature_human_metarig_add()
    metarig = bpy.context.object
    bpy.ops.pose.rigify_generate()
    rig = bpy.context.object
    bpy.data.objects.remove(metarig)
    addon_utils.disable("rigify", default_set=True)
    bpy.app.handlers.load_post[:] = handlers  # 5.0 and later: Rigify leaves its own behind, which fails from then on
    skin = skin_around(rig)
    modifier = skin.modifiers.new("Armature", "ARMATURE")
    modifier.object = rig
    skin.parent = rig
    for side, sign in (("L", 1), ("R", -1)):
        rig.pose.bones[f"upper_arm_parent.{side}"]["IK_FK"] = 1.0
        turn(rig.pose.bones[f"upper_arm_fk.{side}"], (0.9, 0.2, 0.5 * sign))
    turn(rig.pose.bones["torso"], (0.2, 0.3, 0.1))
    turn(rig.pose.bones["head"], (0.1, -0.5, 0.1))
    bone = rig.pose.bones["foot_ik.L"]
    for frame, height_m in ((1, 0.0), (20, 0.5)):
        bone.location.z = height_m
        bone.keyframe_insert("location", frame=frame)
    return rig


def turn(bone, angles):
    bone.rotation_mode = "XYZ"
    for frame, share in ((1, 0), (20, 1)):
        bone.rotation_euler = [share * angle for angle in angles]
        bone.keyframe_insert("rotation_euler", frame=frame)


def skin_around(rig):
    """One closed mesh around the deforming bones, each vertex held by the nearest three."""
    bones = [bone for bone in rig.data.bones if bone.use_deform and "spine.006" not in bone.name and bone.length > 0.04]
    shape = bmesh.new()
    for bone in bones:
        middle, along = (bone.head_local + bone.tail_local) / 2, bone.tail_local - bone.head_local
        thickness = min(0.09, 0.02 + 0.3 * bone.length)
        placed = Matrix.LocRotScale(middle, along.to_track_quat("Z", "Y"), (thickness, thickness, 0.6 * bone.length))
        bmesh.ops.create_uvsphere(shape, u_segments=12, v_segments=8, radius=1.0, matrix=placed)
    head = bmesh.ops.create_uvsphere(shape, u_segments=16, v_segments=12, radius=0.12)
    bmesh.ops.translate(shape, verts=head["verts"], vec=(0, 0, 1.88))
    mesh = bpy.data.meshes.new("Skin")
    shape.to_mesh(mesh)
    shape.free()
    skin = bpy.data.objects.new("Skin", mesh)
    bpy.context.scene.collection.objects.link(skin)
    bpy.context.view_layer.objects.active = skin
    skin.select_set(True)
    remesh = skin.modifiers.new("Remesh", "REMESH")
    remesh.mode, remesh.voxel_size = "VOXEL", 0.03
    bpy.ops.object.modifier_apply(modifier=remesh.name)
    hold(skin, bones)
    return skin


def hold(skin, bones):
    """Weights by distance."""
    points = np.array([vertex.co for vertex in skin.data.vertices])
    heads = np.array([bone.head_local for bone in bones])
    along = np.array([bone.tail_local for bone in bones]) - heads
    share = np.clip(((points[:, None] - heads) * along).sum(-1) / (along**2).sum(-1), 0, 1)
    distance = np.linalg.norm(points[:, None] - heads - share[..., None] * along, axis=-1)
    nearest = np.argsort(distance, axis=1)[:, :3]
    groups = [skin.vertex_groups.new(name=bone.name) for bone in bones]
    for vertex, row in enumerate(nearest):
        for bone in row:
            groups[bone].add([vertex], float(1 / (distance[vertex, bone] + 0.01) ** 3), "REPLACE")


# The stage ------------------------------------------------------------------------------------------------------------


def on_stage(armature):
    """The scene with its ground and camera; everything that is seen wears a pattern that moves with it."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.frame_set(FRAMES[1])
    skins = [thing for thing in scene.objects if thing.find_armature() == armature]
    corners = np.array([thing.matrix_world @ Vector(corner) for thing in skins for corner in thing.bound_box])
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle, size = (low + high) / 2, (high - low).max()
    bpy.ops.mesh.primitive_grid_add(
        x_subdivisions=120, y_subdivisions=120, size=12 * size, location=(*middle[:2], low[2])
    )
    for thing in skins:
        wear_pattern(thing.data, waves=1.5)
    wear_pattern(bpy.context.object.data, waves=10)
    camera = shots.new_camera(scene, lens_mm=45)
    scene.render.resolution_x, scene.render.resolution_y = 240, 200
    camera.rotation_euler.x = 1.35
    places = [middle + size * np.array((0.02 * step, -1.9 + 0.01 * step, 0.45)) for step in range(len(FRAMES))]
    for frame, place in zip(FRAMES, places, strict=True):
        camera.location = place
        camera.keyframe_insert("location", frame=frame)
    return scene


def wear_pattern(mesh, waves):
    """Colours that wave smoothly, so many times, over the mesh's own coordinates."""
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)
    phase = 2 * np.pi * waves * points / max(np.ptp(points, axis=0).max(), 1e-6)
    colours = 0.5 + 0.4 * np.sin(phase * (1, 2, 3))
    attribute = mesh.color_attributes.new(COLOUR, "FLOAT_COLOR", "POINT")
    attribute.data.foreach_set("color", np.column_stack([colours, np.ones(len(colours))]).astype(np.float32).ravel())
    mesh.color_attributes.active_color = attribute
    mesh.color_attributes.render_color_index = mesh.color_attributes.active_color_index


CHARACTERS = {
    "CesiumMan": lambda: from_file("cesium_man/CesiumMan.glb"),
    "Knight": lambda: from_file("kaykit_adventurers/Knight.glb", "Running_A", MOVES),
    "Mage": lambda: from_file("kaykit_adventurers/Mage.glb", "Walking_A", MOVES),
    "Pete": lambda: from_file("kaykit_pete/KayKit_AnimatedCharacter_v1.2.glb", "Dance"),
    "Rigify's human": rigify_human,
}
MOVES = "kaykit_adventurers/Rig_Medium_MovementBasic.glb"
