# SPDX-License-Identifier: GPL-3.0-or-later
"""A character's limbs and landmarks, read off its bones. How it holds them is skeleton.py's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum

import numpy as np

from ..errors import InputError
from .bone_names import NamedBone, Part, Side, read_names
from .bones import Bone, BoneTree
from .limbs import Limb, Pair, limb_of, named_arm, named_leg, shaped_arms_and_legs
from .snapshot import Float64
from .vectors import cosine, level, unit

# Which arm is made of which bones, from the shoulder outwards.
ArmBones = Mapping[Side, Sequence[str]]


class FoundBy(Enum):
    """What the arms or the facing direction were seen from."""

    NAMES = "the bones' names"
    SHAPE = "the shape of the bones' chains"
    FEET = "the feet"
    HAND = "your choice"
    NOTHING = "nothing"


class Body:
    """Limbs and landmarks of a skeleton. Sides are those of the names, or undecided: see `sides_known`."""

    def __init__(self, bones: Sequence[Bone], arm_bones: ArmBones | None) -> None:
        self.tree = BoneTree(bones)
        self.names = read_names(self.tree.bones)
        self.sides_known = True
        self.arms_found_by = FoundBy.NAMES
        self.arms = self._by_hand(arm_bones) if arm_bones else _both(named_arm, self.tree, self.names)
        self.legs = _both(named_leg, self.tree, self.names)
        if not self.arms:
            self._search_by_shape()

    def _by_hand(self, arm_bones: ArmBones) -> dict[Side, Limb]:
        self.arms_found_by = FoundBy.HAND
        for name in (name for names in arm_bones.values() for name in names):
            if name not in self.tree.bones:
                raise InputError(f"the armature has no bone '{name}': choose the arm's bones again")
        return {side: limb_of(self.tree, names) for side, names in arm_bones.items() if names}

    def _search_by_shape(self) -> None:
        arms, legs = shaped_arms_and_legs(self.tree, self._no_limbs())
        if arms is None:
            return
        self.arms_found_by = FoundBy.SHAPE
        self.arms, self.sides_known = self._sided(arms)
        if not self.legs and legs is not None:
            self.legs, _ = self._sided(legs)
            self._pair_up()

    def _no_limbs(self) -> set[str]:
        """Hair, skirts, what the names say to be another part, and controls: what deforms nothing, nor carries it."""
        parts = {Part.HEAD, Part.NECK, Part.FINGER}
        named = {name for name, said in self.names.items() if said.is_apart or said.part in parts}
        deforming = [name for name, bone in self.tree.bones.items() if bone.deforms]
        if not deforming:
            return named
        carrying = {*deforming, *(above for name in deforming for above in self.tree.ancestors(name))}
        return named | (set(self.tree.bones) - carrying)

    def _sided(self, pair: Pair) -> tuple[dict[Side, Limb], bool]:
        """By the sides in the names, if there are any; else as they come."""
        sides = [self.names[limb.bones[0]].side for limb in pair]
        if None not in sides and sides[0] is not sides[1]:
            return {side: limb for side, limb in zip(sides, pair, strict=True) if side is not None}, True
        return {Side.LEFT: pair.one, Side.RIGHT: pair.other}, False

    def _pair_up(self) -> None:
        """The legs in the arms' order, where names do not say."""
        arms, legs = (across(limbs) for limbs in (self.arms, self.legs))
        if not self.sides_known and arms @ legs < 0:
            self.legs = {Side.LEFT: self.legs[Side.RIGHT], Side.RIGHT: self.legs[Side.LEFT]}

    def forget_shapes(self) -> None:
        """Without the arms, and legs, that chains only looked like."""
        self.arms = {}
        self.legs = _both(named_leg, self.tree, self.names)
        self.sides_known = True

    def swap_sides(self) -> None:
        """Call left what was called right."""
        other = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}
        self.arms = {other[side]: limb for side, limb in self.arms.items()}
        self.legs = {other[side]: limb for side, limb in self.legs.items()}

    @property
    def stands_on_four_legs(self) -> bool:
        """Whether what could be arms are front legs: they reach the ground, and the spine lies level."""
        if not self.arms or not self.legs or self.arms_found_by is FoundBy.HAND:
            return False
        hips, shoulders = _starts(self.legs), _starts(self.arms)
        down = _tips(self.legs) - hips
        reach = float(np.linalg.norm(down))
        if reach < 1e-9 or abs(cosine(shoulders - hips, down)) > 0.6:
            return False
        hands = float((_tips(self.arms) - hips) @ down) / reach
        return abs(hands - reach) < 0.35 * reach

    @property
    def left(self) -> Float64:
        """(3,) From right to left, not normalised; zeros if nothing shows it."""
        apart = across(self.arms) + across(self.legs)
        if np.linalg.norm(apart) > 1e-4 * self.tree.extent:
            return apart
        pairs: dict[Side, list[Float64]] = {Side.LEFT: [], Side.RIGHT: []}
        for name, said in self.names.items():
            if said.side is not None and not said.is_helper:
                pairs[said.side].append(self.tree.head(name))
        if not all(pairs.values()):
            return np.zeros(3)
        apart = np.mean(pairs[Side.LEFT], axis=0) - np.mean(pairs[Side.RIGHT], axis=0)
        return apart if np.linalg.norm(apart) > 1e-4 * self.tree.extent else np.zeros(3)

    @property
    def up(self) -> Float64:
        """(3,) From the feet, or the hips, to the shoulders, or the head; zeros if nothing shows it."""
        if self.stands_on_four_legs:
            limbs = (self.arms, self.legs)
            return np.asarray(sum(_starts(limb) - _tips(limb) for limb in limbs))
        top = _starts(self.arms) if len(self.arms) == 2 else self._middle_bone(Part.HEAD, Part.NECK)
        bottom = _tips(self.legs) if len(self.legs) == 2 else self._middle_bone(Part.HIPS, Part.SPINE)
        if top is None and self.arms:  # a shoulder is off the middle, but better than nothing
            top = _starts(self.arms)
        if bottom is None and self.arms:
            bottom = self.tree.head(self._root(next(iter(self.arms.values())).bones[0]))
        if top is None or bottom is None or np.linalg.norm(top - bottom) < 1e-4 * self.tree.extent:
            return np.zeros(3)
        return top - bottom

    @property
    def front(self) -> Float64:
        """(3,) The way that the feet point, level with the ground; zeros if nothing shows it."""
        if not self.legs or not self.up.any() or self.stands_on_four_legs:
            return np.zeros(3)
        up = unit(self.up)
        ways = np.array([level(way, up) for limb in self.legs.values() for way in self._foot(limb, up)])
        front = ways.sum(axis=0) if len(ways) else np.zeros(3)
        return front if np.linalg.norm(front) > 0.01 * self.tree.extent else np.zeros(3)

    def _foot(self, leg: Limb, up: Float64) -> list[Float64]:
        """From the ankle to the toes, if that is not but the leg going on downwards."""
        if len(leg.bones) < 3:
            return []
        foot = leg.bones[2]
        joints = [self.tree.head(name) - leg.tip for name in self.tree.below([foot])]
        farthest = max(joints, key=lambda way: float(np.linalg.norm(level(way, up))))
        # Joints are believed before tails, which importers of joints invent.
        ways = (farthest, np.asarray(self.tree.bones[foot].tail) - leg.tip)
        return [way for way in ways if np.linalg.norm(level(way, up)) > 0.3 * np.linalg.norm(way)][:1]

    def _middle_bone(self, *parts: Part) -> Float64 | None:
        for part in parts:
            fits = [
                name
                for name, said in self.names.items()
                if said.part is part and said.side is None and not said.is_helper
            ]
            if fits:
                first = min(fits, key=lambda name: (self.names[name].rank, self.tree.depth(name), name))
                return self.tree.head(first)
        return None

    def _root(self, name: str) -> str:
        return ([name, *self.tree.ancestors(name)])[-1]


def _both(
    find: Callable[[BoneTree, dict[str, NamedBone], Side], Limb | None], tree: BoneTree, names: dict[str, NamedBone]
) -> dict[Side, Limb]:
    limbs = {side: find(tree, names, side) for side in Side}
    return {side: limb for side, limb in limbs.items() if limb is not None}


def _starts(limbs: Mapping[Side, Limb]) -> Float64:
    return np.asarray(np.mean([limb.start for limb in limbs.values()], axis=0))


def _tips(limbs: Mapping[Side, Limb]) -> Float64:
    return np.asarray(np.mean([limb.tip for limb in limbs.values()], axis=0))


def across(limbs: Mapping[Side, Limb]) -> Float64:
    """(3,) From the right one's start to the left one's; zeros without both."""
    if len(limbs) < 2:
        return np.zeros(3)
    return limbs[Side.LEFT].start - limbs[Side.RIGHT].start
