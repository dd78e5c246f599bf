# SPDX-License-Identifier: GPL-3.0-or-later
"""A person of stiff blocks, one a bone, built standing and facing any way: where each corner is, is known by hand."""

from __future__ import annotations

import bpy
import numpy as np
from snapshot_scenes import link

# Head and tail in the character's frame, metres: X its left, Y its back, Z up, the soles at 0; parent; half width.
TRUNK = {
    "hips": ((0, 0, 0.92), (0, 0, 1.05), None, 0.12),
    "spine": ((0, 0, 1.05), (0, 0, 1.42), "hips", 0.13),
    "head": ((0, 0, 1.47), (0, 0, 1.70), "spine", 0.10),
}
LEG = {
    "thigh": ((0.09, 0, 0.92), (0.10, 0, 0.50), "hips", 0.06),
    "shin": ((0.10, 0, 0.50), (0.10, 0.02, 0.08), "thigh", 0.05),
    "foot": ((0.10, 0.02, 0.04), (0.10, -0.14, 0.04), "shin", 0.04),
}
SHOULDER = np.array((0.18, 0.0, 1.40))
ARM = {"upper_arm": (0.28, "spine", 0.04), "forearm": (0.26, "upper_arm", 0.035), "hand": (0.16, "forearm", 0.03)}
HEIGHT_M = 1.70

# (3, 3) armature_from_character of people that are built this way.
BUILT = {
    "facing -Y": np.eye(3),
    "facing Y": np.diag((-1.0, -1.0, 1.0)),
    "facing X": np.array([(0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)]),
    "Y up, facing Z": np.array([(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)]),
}


def bones(arms_deg=45.0):
    """Head, tail, parent and half width of each bone, in the character's frame; arms so far from straight down."""
    found = dict(TRUNK)
    out = np.array((np.sin(np.radians(arms_deg)), 0.0, -np.cos(np.radians(arms_deg))))
    at = SHOULDER
    limbs = dict(LEG)
    for name, (length, parent, half) in ARM.items():
        limbs[name] = (tuple(at), tuple(at + length * out), parent, half)
        at = at + length * out
    for name, (head, tail, parent, half) in limbs.items():
        for side, sign in (("L", 1), ("R", -1)):
            held_by = parent if parent in TRUNK else f"{parent}.{side}"
            ends = (tuple(np.array(end) * (sign, 1, 1)) for end in (head, tail))
            found[f"{name}.{side}"] = (*ends, held_by, half)
    return found


def block(head, tail, half):
    """(8, 3) corners of a box along a bone; X mirrors with the bone."""
    head, tail = np.array(head, float), np.array(tail, float)
    along = (tail - head) / np.linalg.norm(tail - head)
    # Legs, arms and trunk lie in planes across Y, feet along it.
    one = np.array((0.0, 1.0, 0.0)) if abs(along[1]) < 0.5 else np.array((0.0, 0.0, 1.0))
    one = one - along * (one @ along)
    one /= np.linalg.norm(one)
    other = np.cross(along, one)
    return np.array([end + half * (u * one + v * other) for end in (head, tail) for u in (-1, 1) for v in (-1, 1)])


SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def corners(arms_deg=45.0, origin=(0, 0, 0)):
    """(V, 3) the body's vertices in the character's frame, whose origin stands there beside the soles' middle."""
    return np.concatenate([block(head, tail, half) for head, tail, _, half in bones(arms_deg).values()]) - origin


def person(scene, name="Person", arms_deg=45.0, built="facing -Y", origin=(0, 0, 0), rename=str):
    """The armature and its body "NAME body"; `rename` calls the bones otherwise."""
    turn = BUILT[built]
    rig = link(scene, name, bpy.data.armatures.new(name))
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for bone, (head, tail, parent, _) in bones(arms_deg).items():
        made = rig.data.edit_bones.new(rename(bone))
        made.head, made.tail = (turn @ (np.array(end) - origin) for end in (head, tail))
        made.parent = rig.data.edit_bones[rename(parent)] if parent else None
    bpy.ops.object.mode_set(mode="OBJECT")
    points = corners(arms_deg, origin) @ turn.T
    mesh = bpy.data.meshes.new(f"{name} body")
    faces = [tuple(8 * place + corner for corner in side) for place in range(len(points) // 8) for side in SIDES]
    mesh.from_pydata(points.tolist(), [], faces)
    body = link(scene, f"{name} body", mesh)
    for place, bone in enumerate(bones(arms_deg)):
        body.vertex_groups.new(name=rename(bone)).add(range(8 * place, 8 * place + 8), 1.0, "REPLACE")
    body.modifiers.new("Armature", "ARMATURE").object = rig
    body.parent = rig
    return rig


def of_bones(*names):
    """Rows of corners() that these bones hold."""
    order = list(bones())
    return np.concatenate([np.arange(8) + 8 * order.index(name) for name in names])


def without_names(bone):
    """A name that says nothing."""
    return f"b{list(bones()).index(bone):02}"
