# SPDX-License-Identifier: GPL-3.0-or-later
"""Make A-pose: what turns a character's arms to an angle. Computes only; scene/skeletons.py poses copies with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .bone_names import NamedBone, Part, Side, read_names
from .bones import Bone, BoneTree
from .facing import Facing
from .skeleton import A_POSE_DEG, Arm, PoseCheck, outward
from .snapshot import Float64
from .vectors import level, unit

_FARTHEST_OUT_OF_LINE = np.radians(25)


@dataclass(frozen=True)
class ArmTurn:
    """What brings one arm to an angle: a turn about its shoulder, of all bones that go with it."""

    side: Side
    posed_from_held: Float64  # (4, 4), armature space
    bones: frozenset[str]


def arm_turns(bones: Sequence[Bone], check: PoseCheck, angle_deg: float = A_POSE_DEG) -> tuple[ArmTurn, ...]:
    """The turns that bring each arm to `angle_deg` from straight down, out to its side; bends in it stay."""
    if not 0 <= angle_deg <= 150:
        raise InputError(f"the arms cannot be turned to {angle_deg:g} degrees: choose 0 (down) to 150, 45 is an A-pose")
    if not check.arms:
        raise InputError(f"{check.verdict}; or choose another rest pose than A-pose: without arms there is none")
    tree = BoneTree(bones)
    names = read_names(tree.bones)
    return tuple(
        ArmTurn(arm.side, _turn(arm, check.facing, angle_deg), _goes_along(tree, names, arm)) for arm in check.arms
    )


def _turn(arm: Arm, facing: Facing, angle_deg: float) -> Float64:
    """(4, 4)"""
    side, angle = outward(arm.side, facing), np.radians(angle_deg)
    # An arm that is a little before or behind the body stays so; one that hangs or points forwards goes to the side.
    ahead = float(np.arctan2(arm.direction @ facing.back, arm.direction @ side))
    if abs(ahead) > _FARTHEST_OUT_OF_LINE:
        ahead = 0.0
    flat = np.cos(ahead) * side + np.sin(ahead) * facing.back
    target = np.sin(angle) * flat - np.cos(angle) * facing.up
    rotation = rotation_between(arm.direction, target, facing.back)
    turn = np.eye(4)
    turn[:3, :3] = rotation
    turn[:3, 3] = arm.shoulder - rotation @ arm.shoulder
    return turn


def rotation_between(start: Float64, target: Float64, axis_if_opposite: Float64) -> Float64:
    """(3, 3) The shortest rotation of one unit vector onto another."""
    cos = float(start @ target)
    if cos < -1 + 1e-9:
        half = unit(level(axis_if_opposite, start))
        return 2 * np.outer(half, half) - np.eye(3)
    x, y, z = np.cross(start, target)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cos))


def _goes_along(tree: BoneTree, names: Mapping[str, NamedBone], arm: Arm) -> frozenset[str]:
    """All bones of an arm: what hangs on it, and its doubles (deforming, control and helper bones of other chains)."""
    own_side = names[arm.bones[0]].side
    parts = {Part.UPPER_ARM, Part.FOREARM, Part.HAND}
    if names[arm.bones[0]].part is not Part.UPPER_ARM:
        return frozenset(tree.below(arm.bones))
    wrist = tree.head(arm.bones[2]) if len(arm.bones) > 2 else tree.end(arm.bones[-1])
    near = 0.6 * float(np.linalg.norm(wrist - arm.shoulder))
    tops = [
        name
        for name, said in names.items()
        if said.side is own_side
        and (said.part in parts or (said.part is Part.FINGER and np.linalg.norm(tree.head(name) - wrist) < near))
    ]
    return frozenset(tree.below((*tops, *arm.bones)))
