# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an armature's bones, checks how its character stands, and poses copies of it in A-pose.

What is found out from the bones is labels/skeleton.py's; only `pose_copy` writes, to a copy that the caller made.
"""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np
from mathutils import Matrix

from ..errors import InputError
from ..labels.a_pose import arm_turns
from ..labels.body import ArmBones
from ..labels.bones import Bone
from ..labels.skeleton import A_POSE_DEG, PoseCheck, check_bones
from ..labels.snapshot import Float64


def read_bones(armature: bpy.types.Object, posed: bool = False) -> list[Bone]:
    """The bones of an armature object, linked ones too, in its own space.

    At rest, whatever its pose; or as it is posed: then give the evaluated object.
    """
    bones = _bones_of(armature)
    places = armature.pose.bones if posed else None
    found = []
    for bone in bones:
        if places is None:
            head, tail = bone.head_local, bone.tail_local
        else:
            head, tail = places[bone.name].head, places[bone.name].tail
        found.append(
            Bone(
                bone.name, None if bone.parent is None else bone.parent.name, tuple(head), tuple(tail), bone.use_deform
            )
        )
    return found


def check_pose(
    armature: bpy.types.Object,
    posed: bool = False,
    facing: Float64 | None = None,
    arm_bones: ArmBones | None = None,
) -> PoseCheck:
    """How the armature's character stands at rest, or as posed (then give the evaluated object).

    `facing` (3, 3) and `arm_bones` are what the user set by hand: see labels/skeleton.py's `check_bones`.
    """
    return check_bones(read_bones(armature, posed), facing, arm_bones)


def a_pose_rotations(
    armature: bpy.types.Object,
    angle_deg: float = A_POSE_DEG,
    posed: bool = False,
    facing: Float64 | None = None,
    arm_bones: ArmBones | None = None,
) -> dict[str, Matrix]:
    """By bone, the `matrix_basis` that puts a copy without constraints in A-pose, from its rest or from this pose.

    Bones that are not named stand as they do at rest, with an identity. Nothing is written.
    """
    bones = read_bones(armature, posed)
    turns = arm_turns(bones, check_bones(bones, facing, arm_bones), angle_deg)
    turn_of = {name: Matrix(turn.posed_from_held) for turn in turns for name in turn.bones}
    matrices: dict[str, Matrix] = {}
    for bone in _bones_of(armature):
        held = armature.pose.bones[bone.name].matrix if posed else bone.matrix_local
        matrices[bone.name] = turn_of[bone.name] @ held if bone.name in turn_of else held.copy()
    basis = {bone.name: _basis(bone, matrices) for bone in _bones_of(armature)}
    return {name: matrix for name, matrix in basis.items() if not np.allclose(matrix, np.eye(4), atol=1e-6)}


def pose_copy(copy: bpy.types.Object, basis: Mapping[str, Matrix]) -> None:
    """Hold a copy of an armature object in a pose made of these, with neither animation nor constraints.

    The object, which a scene has to show, and its armature data have to be the caller's own: both are written to.
    """
    _refuse_what_is_anothers(copy)
    copy.animation_data_clear()
    copy.data.animation_data_clear()
    copy.data.pose_position = "POSE"
    if copy.pose is None:  # of a new object, before its first evaluation
        bpy.context.view_layer.update()
    for bone in copy.pose.bones:
        for constraint in list(bone.constraints):
            bone.constraints.remove(constraint)
        bone.matrix_basis = basis.get(bone.name, Matrix())


def _basis(bone: bpy.types.Bone, matrices: Mapping[str, Matrix]) -> Matrix:
    """What a bone adds to where its parent takes it, in Blender's own arithmetic for bones that inherit only some."""
    if bone.parent is None:
        return bone.convert_local_to_pose(matrices[bone.name], bone.matrix_local, invert=True)
    return bone.convert_local_to_pose(
        matrices[bone.name],
        bone.matrix_local,
        parent_matrix=matrices[bone.parent.name],
        parent_matrix_local=bone.parent.matrix_local,
        invert=True,
    )


def _bones_of(armature: bpy.types.Object) -> bpy.types.ArmatureBones:
    if armature.type != "ARMATURE":
        raise InputError(f"'{armature.name}' is no armature: choose the character's armature")
    if not armature.data.bones:
        raise InputError(f"the armature '{armature.name}' has no bones: choose another armature")
    return armature.data.bones


def _refuse_what_is_anothers(copy: bpy.types.Object) -> None:
    for owned in (copy, copy.data):
        if owned.library is not None or owned.override_library is not None:
            raise InputError(f"'{owned.name}' comes from a library: pose a local copy of it")
    if copy.data.users > 1:
        raise InputError(f"the armature of '{copy.name}' has other users: copy its data too before posing the copy")
