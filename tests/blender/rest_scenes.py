# SPDX-License-Identifier: GPL-3.0-or-later
"""A character of stiff blocks, one a bone: where a bone carries each point of its rest surface is known by hand."""

import bpy
import numpy as np
import shots
from mathutils import Matrix
from snapshot_scenes import link

# Bones run along their limb; blocks: centre and half sizes, in armature space. X is the character's left.
BONES = {"Spine": ((0, 0, 0.2), (0, 0, 1.4)), "Arm.L": ((0.5, 0, 1.0), (1.2, 0, 0.6))}
TORSO, ARM = ((0.0, 0.05, 0.8), (0.3, 0.2, 0.6)), ((0.9, 0.0, 0.8), (0.3, 0.1, 0.1))
HAT, FEATHER = ((0.1, 0.0, 1.65), (0.25, 0.25, 0.15)), ((0.1, 0.1, 2.0), (0.05, 0.05, 0.1))
FRAMES = (1, 4, 8)


def build(scene, character="Hero"):
    """The armature; it waves its arms, bends and turns over eight frames."""
    rig = build_rig(scene, character)
    body = link(scene, f"{character} body", blocks(f"{character} body", half_of(TORSO), ARM))
    for name, of in (("Spine", range(8)), ("Arm.L", range(8, 16)), ("Arm.R", ())):
        body.vertex_groups.new(name=name).add(list(of), 1, "REPLACE")
    mirror = body.modifiers.new("Mirror", "MIRROR")
    mirror.mirror_object, mirror.use_clip = rig, True
    body.modifiers.new("Armature", "ARMATURE").object = rig
    body.parent = rig
    hat = link(scene, f"{character} hat", blocks(f"{character} hat", HAT))
    to_bone(hat, rig, "Spine")
    feather = link(scene, f"{character} feather", blocks(f"{character} feather", FEATHER))
    feather.parent = hat
    # As Blender's Set Parent with Keep Transform does it.
    feather.matrix_parent_inverse = Matrix.Identity(4)
    return rig


def build_rig(scene, character):
    rig = link(scene, character, bpy.data.armatures.new(character))
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, (head, tail) in BONES.items():
        bone = rig.data.edit_bones.new(name)
        bone.head, bone.tail = head, tail
        if name != "Spine":
            bone.parent = rig.data.edit_bones["Spine"]
    other = rig.data.edit_bones.new("Arm.R")
    other.head, other.tail = (np.array(end) * (-1, 1, 1) for end in BONES["Arm.L"])
    other.parent = rig.data.edit_bones["Spine"]
    bpy.ops.object.mode_set(mode="OBJECT")
    for name, angles in (("Spine", (0.2, 0.5, 0.3)), ("Arm.L", (0.6, 0.3, 0.8)), ("Arm.R", (0.1, -0.4, -0.7))):
        bone = rig.pose.bones[name]
        bone.rotation_mode = "XYZ"
        for frame, share in ((FRAMES[0], 0.2), (FRAMES[-1], 1)):
            bone.rotation_euler = share * np.array(angles)
            bone.keyframe_insert("rotation_euler", frame=frame)
    return rig


def stage(scene):
    """A camera before the characters."""
    shots.new_camera(scene, location=(0, -9, 1))
    scene.frame_end = FRAMES[-1]
    scene.frame_set(FRAMES[1])


def placed(rig):
    rig.location, rig.rotation_euler, rig.scale = (0.3, 2, 0.5), (0.1, 0.2, 0.7), (1.3, 1.3, 1.3)


def placed_unevenly(rig):
    rig.location, rig.rotation_euler, rig.scale = (0.2, 1, 0.1), (0.0, 0.1, 0.4), (1.5, 0.7, 1.1)


def mirrored(rig):
    rig.scale = (-1, 1, 1)


def to_bone(thing, rig, bone):
    """Parented, and left where it stands in the rest position."""
    thing.parent, thing.parent_type, thing.parent_bone = rig, "BONE", bone
    rest = rig.data.bones[bone]
    thing.matrix_parent_inverse = (rest.matrix_local @ Matrix.Translation((0, rest.length, 0))).inverted()


def half_of(block):
    """Its side of x > 0, open at the middle as a mesh is that is mirrored."""
    (_, y, z), (half, *others) = block
    return (half / 2, y, z), (half / 2, *others)


def blocks(name, *boxes):
    """A mesh of boxes; those that touch x = 0 have no side there."""
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    points, faces = [], []
    for number, (centre, half) in enumerate(boxes):
        points.extend((centre + corners * half).tolist())
        is_open = abs(centre[0] - half[0]) < 1e-9
        faces.extend(tuple(8 * number + corner for corner in side) for side in sides[int(is_open) :])
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points, [], faces)
    return mesh


def bone_of(points):
    """The bone that carries each rest point (N, 3)."""
    return np.where(points[:, 0] > 0.45, "Arm.L", np.where(points[:, 0] < -0.45, "Arm.R", "Spine"))


def carried(rig, points):
    """Rest points (N, 3) where the bones carry them now, in the world."""
    result = np.empty(points.shape)
    names = bone_of(points)
    for bone in rig.pose.bones:
        here = names == bone.name
        world_from_rest = np.array(rig.matrix_world @ bone.matrix @ bone.bone.matrix_local.inverted())
        result[here] = points[here] @ world_from_rest[:3, :3].T + world_from_rest[:3, 3]
    return result
