# SPDX-License-Identifier: GPL-3.0-or-later
"""How a character stands: its arms' angle to the body, in degrees and in words.

Works on bones as plain data (bones.py), in armature space; scene/skeletons.py reads them from Blender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from .body import ArmBones, Body, FoundBy
from .bone_names import Side
from .bones import Bone, BoneTree
from .facing import Facing, facing_of, rotation_by_hand
from .limbs import Limb
from .snapshot import Float64
from .vectors import cosine, level, unit

A_POSE_DEG = 45.0


class Stance(Enum):
    """How the arms are held."""

    DOWN = "down"
    A_POSE = "A-pose"
    BETWEEN = "between A-pose and T-pose"
    T_POSE = "T-pose"
    RAISED = "raised"
    FORWARDS = "forwards or backwards"
    UNEVEN = "uneven"
    NO_ARMS = "no arms"


@dataclass(frozen=True)
class Arm:
    """One arm as it is held."""

    side: Side  # of the character's own body
    bones: tuple[str, ...]  # upper arm, forearm, hand, as far as there are
    shoulder: Float64  # (3,), armature space
    direction: Float64  # (3,), unit, from the shoulder to the wrist
    angle_deg: float  # to straight down along the body: 0 down, 90 a T-pose
    sideways: float  # the share of its outward part that points to the arm's own side, -1..1


@dataclass(frozen=True)
class PoseCheck:
    """What was found out about the way a character stands."""

    stance: Stance
    arms: tuple[Arm, ...]
    arms_found_by: FoundBy
    facing: Facing
    verdict: str  # in words, one line, with the remedy
    notes: tuple[str, ...]  # what else the user should know, one line each

    @property
    def is_a_pose(self) -> bool:
        """Whether the arms are held as CoNR expects them."""
        return self.stance is Stance.A_POSE


def check_bones(bones: Sequence[Bone], facing: Float64 | None = None, arm_bones: ArmBones | None = None) -> PoseCheck:
    """How a character with these bones stands.

    `facing` (3, 3) is its character_from_armature where that is set by hand (see `facing_by_hand`), `arm_bones` its
    arms where those are.
    """
    body = Body(bones, arm_bones)
    facing_found, notes = _facing(body, facing)
    arms = () if body.stands_on_four_legs else _arms(body, facing_found)
    if body.arms_found_by is FoundBy.SHAPE and not _are_likely(arms):
        body.forget_shapes()
        facing_found, notes = _facing(body, facing)
        arms = ()
    stance = _stance(arms)
    if facing_found.found_by is FoundBy.NOTHING:
        notes.append("Which way the character faces does not show: set it by hand")
    if len(arms) == 1:
        notes.append(f"Only the {arms[0].side.value} arm was found")
    return PoseCheck(
        stance,
        arms,
        body.arms_found_by if arms else FoundBy.NOTHING,
        facing_found,
        _verdict(stance, arms, body),
        tuple(notes),
    )


def _facing(body: Body, by_hand: Float64 | None) -> tuple[Facing, list[str]]:
    return facing_of(body) if by_hand is None else (Facing(rotation_by_hand(by_hand), FoundBy.HAND), [])


# Arms ----------------------------------------------------------------------------------------------------------------


def _arms(body: Body, facing: Facing) -> tuple[Arm, ...]:
    if facing.found_by is FoundBy.HAND and body.left @ facing.left < 0:
        body.swap_sides()
    made = (_measured(side, body.arms[side], body.tree, facing) for side in Side if side in body.arms)
    return tuple(arm for arm in made if arm is not None)


def _measured(side: Side, limb: Limb, tree: BoneTree, facing: Facing) -> Arm | None:
    """None for an arm of no length."""
    way = limb.tip - limb.start
    upper = (tree.head(limb.bones[1]) if len(limb.bones) > 1 else tree.end(limb.bones[0])) - limb.start
    if np.linalg.norm(way) < 0.5 * np.linalg.norm(upper):  # folded: the hand is at the shoulder
        way = upper
    if np.linalg.norm(way) <= 1e-6 * max(tree.extent, 1e-9):
        return None
    direction = unit(way)
    outwards = level(direction, facing.up)
    return Arm(
        side,
        limb.bones,
        limb.start,
        direction,
        float(np.degrees(np.arccos(np.clip(-direction @ facing.up, -1, 1)))),
        cosine(outwards, outward(side, facing)),
    )


def _are_likely(arms: Sequence[Arm]) -> bool:
    """Whether chains that only look like arms are held as arms are at rest: out to their own side, or down."""
    return all(arm.angle_deg < 25 or (arm.angle_deg < 140 and arm.sideways > 0.5) for arm in arms)


def outward(side: Side, facing: Facing) -> Float64:
    """(3,) Where an arm of that side points in a T-pose."""
    return facing.left if side is Side.LEFT else -facing.left


def _stance(arms: Sequence[Arm]) -> Stance:
    if not arms:
        return Stance.NO_ARMS
    angles = [arm.angle_deg for arm in arms]
    if max(angles) - min(angles) > 10:
        return Stance.UNEVEN
    angle = sum(angles) / len(angles)
    if angle < 25:
        return Stance.DOWN
    if angle > 110:
        return Stance.RAISED
    if min(arm.sideways for arm in arms) < 0.6:
        return Stance.FORWARDS
    if angle <= 65:
        return Stance.A_POSE
    return Stance.T_POSE if angle >= 75 else Stance.BETWEEN


def _verdict(stance: Stance, arms: Sequence[Arm], body: Body) -> str:
    if stance is Stance.NO_ARMS:
        return _no_arms(body)
    remedy = f"CoNR expects about {A_POSE_DEG:.0f}: use Make A-pose"
    degrees = f"{sum(arm.angle_deg for arm in arms) / len(arms):.0f}"
    if stance is Stance.UNEVEN:
        each = ", ".join(f"{arm.side.value} {arm.angle_deg:.0f}" for arm in arms)
        return f"The arms are held differently, {each} degrees, {remedy}"
    return {
        Stance.A_POSE: f"A-pose, {degrees} degrees",
        Stance.T_POSE: f"T-pose: arms at {degrees} degrees, {remedy}",
        Stance.BETWEEN: f"Between A-pose and T-pose: arms at {degrees} degrees, {remedy}",
        Stance.DOWN: f"Arms hang down: {degrees} degrees, {remedy}",
        Stance.RAISED: f"Arms are raised: {degrees} degrees, {remedy}",
        Stance.FORWARDS: f"Arms point forwards or backwards: {degrees} degrees, {remedy}",
    }[stance]


def _no_arms(body: Body) -> str:
    if body.stands_on_four_legs:
        return "No arms found: the character stands on four legs; UDP works, but CoNR expects a person in A-pose"
    if body.arms:
        return "No arms found: the arms' bones have no length; move their ends apart in Edit Mode"
    return (
        "No arms found: no bones are named as arms and none are shaped so; rename the arms' bones "
        "(upper_arm.L, forearm.L, hand.L)"
    )
