# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the arms and legs of an armature: by its bones' names, or by the shape of its chains where names fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np

from .bone_names import NamedBone, Part, Side
from .bones import BoneTree
from .snapshot import Float64
from .vectors import cosine


@dataclass(frozen=True)
class Limb:
    """An arm or a leg: its joints' bones from the body outwards (upper, lower, hand or foot), as far as there are."""

    bones: tuple[str, ...]
    start: Float64  # (3,) shoulder or hip, armature space
    tip: Float64  # (3,) wrist or ankle

    @property
    def length(self) -> float:
        """From shoulder to wrist, as the crow flies."""
        return float(np.linalg.norm(self.tip - self.start))


class Pair(NamedTuple):
    """Two like limbs; which is the left one is not always known."""

    one: Limb
    other: Limb


# By names ------------------------------------------------------------------------------------------------------------

_ARM = (Part.UPPER_ARM, Part.FOREARM, Part.HAND)
_LEG = (Part.THIGH, Part.SHIN, Part.FOOT)
# What is asked for next where nothing has the part's own name: SMPL calls the shoulder's joint a shoulder.
_ELSE = {Part.UPPER_ARM: Part.CLAVICLE, Part.THIGH: Part.LEG, Part.SHIN: Part.LEG}


def named_arm(tree: BoneTree, names: dict[str, NamedBone], side: Side) -> Limb | None:
    """The arm of one side; None if no bone has the name of an upper arm."""
    return _named(tree, names, side, _ARM)


def named_leg(tree: BoneTree, names: dict[str, NamedBone], side: Side) -> Limb | None:
    """The leg of one side; None if no bone has the name of a thigh or leg."""
    return _named(tree, names, side, _LEG)


def limb_of(tree: BoneTree, bones: Sequence[str]) -> Limb:
    """The limb that these bones are, from the body outwards; the third is the hand or foot."""
    tip = tree.head(bones[2]) if len(bones) > 2 else tree.end(bones[-1])
    return Limb(tuple(bones), tree.head(bones[0]), tip)


def _named(tree: BoneTree, names: dict[str, NamedBone], side: Side, parts: Sequence[Part]) -> Limb | None:
    chain: list[str] = []
    for part in parts:
        found = _best(tree, names, side, part, chain)
        if found is None and part in _ELSE and (chain or _is_limb_without(tree, names, side, parts)):
            found = _best(tree, names, side, _ELSE[part], chain)
        # Bones that are all called alike (arm_1, arm_2, arm_3) are a chain by their order.
        if found is None and chain:
            found = _best(tree, names, side, names[chain[0]].part, chain)
        if found is None:
            break
        chain.append(found)
    return limb_of(tree, chain) if chain else None


def _is_limb_without(tree: BoneTree, names: dict[str, NamedBone], side: Side, parts: Sequence[Part]) -> bool:
    """Whether the limb goes on although its first part has no bone of that name; a leg may be one bone."""
    return parts is _LEG or _best(tree, names, side, parts[1], []) is not None


def _best(
    tree: BoneTree, names: dict[str, NamedBone], side: Side, part: Part | None, chain: Sequence[str]
) -> str | None:
    """The bone of a part that suits the chain best; it hangs on the chain's end where any does."""
    fits = [
        name
        for name, said in names.items()
        if said.part is part and said.side is side and name not in chain and not said.is_helper
    ]
    if chain:
        hanging = [name for name in fits if tree.is_below(name, chain[-1])]
        # A flat hierarchy, as of game rigs, has the parts apart; those that are called alike must hang together.
        fits = hanging if hanging or part is names[chain[0]].part else fits
    if part is Part.CLAVICLE:  # of a collar bone and a shoulder joint, the joint
        fits = [name for name in fits if not any(tree.is_below(other, name) for other in fits)]
    return min(
        fits, key=lambda name: (names[name].rank, not tree.bones[name].deforms, tree.depth(name), name), default=None
    )


# By shape ------------------------------------------------------------------------------------------------------------

_LIKE = 0.06  # how much the lengths of two like limbs may differ, as a share
_SHORTEST = 0.15  # of the skeleton's extent; what is shorter is a finger, an ear or a breast
_CLAVICLE = 0.2  # two that begin nearer to each other than this share of their length begin with clavicles
_HAND = 0.35  # the share of an arm that a hand with its fingers may be


class _Branch(NamedTuple):
    chain: tuple[str, ...]  # the longest way outwards
    reach: float  # how long it is
    size: int  # bones in all of it


class _Twins(NamedTuple):
    parent: str | None
    one: _Branch
    other: _Branch

    @property
    def reach(self) -> float:
        return (self.one.reach + self.other.reach) / 2


def shaped_arms_and_legs(tree: BoneTree, left_out: set[str]) -> tuple[Pair | None, Pair | None]:
    """The arms and the legs as pairs of like chains off the spine, the legs nearer to the root; (None, None) if unsure.

    Which is left and which right does not show. `left_out` are bones that are known to be no limbs.
    """
    twins = _twins(tree, left_out)
    longest = max((pair.reach for pair in twins), default=0.0)
    legs = min(
        (pair for pair in twins if pair.reach > 0.5 * longest),
        key=lambda pair: (_parent_depth(tree, pair), -pair.reach),
        default=None,
    )
    if legs is None:
        return None, None
    arms = _arms_above(tree, legs, twins)
    if arms is None:
        return None, _legs_pair(tree, legs)
    if _straightness(tree, arms, legs) > -0.5 > _straightness(tree, legs, arms):
        arms, legs = legs, arms
    return _arms_pair(tree, arms), _legs_pair(tree, legs)


def _arms_above(tree: BoneTree, legs: _Twins, twins: list[_Twins]) -> _Twins | None:
    """The pair that is nearest to the hips of all that are long enough; on the hips themselves only if need be."""
    taken = tree.below((legs.one.chain[0], legs.other.chain[0]))
    fit = [
        pair
        for pair in twins
        if pair.reach > 0.4 * legs.reach and pair.one.chain[0] not in taken and pair.other.chain[0] not in taken
    ]
    return min(
        fit,
        key=lambda pair: (
            pair.parent == legs.parent,
            _parent_depth(tree, pair),
            -pair.one.size - pair.other.size,
            -pair.reach,
        ),
        default=None,
    )


def _parent_depth(tree: BoneTree, pair: _Twins) -> int:
    return -1 if pair.parent is None else tree.depth(pair.parent)


def _twins(tree: BoneTree, left_out: set[str]) -> list[_Twins]:
    """All pairs of siblings that are as long, have as many bones and begin as far from their parent."""
    branches = _branches(tree, left_out)
    found = []
    shortest = max(_SHORTEST * tree.extent, 1e-9)
    for parent in (None, *tree.bones):
        siblings = [name for name in tree.children[parent] if name in branches and branches[name].reach > shortest]
        for one, other in combinations(siblings, 2):
            if _is_like(tree, parent, branches[one], branches[other]):
                found.append(_Twins(parent, branches[one], branches[other]))
    return found


def _branches(tree: BoneTree, left_out: set[str]) -> dict[str, _Branch]:
    branches: dict[str, _Branch] = {}
    for name in reversed(tree.downwards()):
        if name in left_out:
            continue
        head = tree.head(name)
        inner = [branches[child] for child in tree.children[name] if child in branches]
        ways = [(float(np.linalg.norm(tree.head(way.chain[0]) - head)) + way.reach, way.chain) for way in inner]
        ways.append((float(np.linalg.norm(np.subtract(tree.bones[name].tail, head))) if not inner else 0.0, ()))
        reach, chain = max(ways, key=lambda way: way[0])
        branches[name] = _Branch((name, *chain), reach, 1 + sum(way.size for way in inner))
    return branches


def _is_like(tree: BoneTree, parent: str | None, one: _Branch, other: _Branch) -> bool:
    if one.size != other.size or abs(one.reach - other.reach) > _LIKE * max(one.reach, other.reach):
        return False
    if parent is None:
        return True
    apart = [np.linalg.norm(tree.head(branch.chain[0]) - tree.head(parent)) for branch in (one, other)]
    return bool(abs(apart[0] - apart[1]) < _LIKE * tree.extent)


def _straightness(tree: BoneTree, arms: _Twins, legs: _Twins) -> float:
    """The cosine between the way from the hips to the shoulders and the legs' way down: -1 for who stands upright."""
    shoulders, hips = _middle(tree, arms, 0), _middle(tree, legs, 0)
    # As far out as the knees or so: feet and hands point elsewhere.
    knees = _middle(tree, legs, max(1, (len(legs.one.chain) - 1) // 2)) if len(legs.one.chain) > 1 else hips
    return cosine(shoulders - hips, knees - hips)


def _middle(tree: BoneTree, pair: _Twins, step: int) -> Float64:
    chains = (pair.one.chain, pair.other.chain)
    return np.asarray(np.mean([tree.head(chain[min(step, len(chain) - 1)]) for chain in chains], axis=0))


def _arms_pair(tree: BoneTree, arms: _Twins) -> Pair:
    chains = [arms.one.chain, arms.other.chain]
    while (
        all(len(chain) > 2 for chain in chains)
        and np.linalg.norm(tree.head(chains[0][0]) - tree.head(chains[1][0])) < _CLAVICLE * arms.reach
    ):
        chains = [chain[1:] for chain in chains]
    return Pair(_arm(tree, chains[0]), _arm(tree, chains[1]))


def _arm(tree: BoneTree, chain: tuple[str, ...]) -> Limb:
    """The arm that a chain from the shoulder to a finger's tip is."""
    ways = _ways(tree, chain)
    ends = [step for step in range(2, len(chain)) if ways[-1] - ways[step] < _HAND * ways[-1]] or [len(chain) - 1]
    # Where fingers begin, if there are any.
    hand = next((step for step in ends if len(tree.children[chain[step]]) > 1), ends[0])
    if hand < 2:
        return limb_of(tree, chain)
    # Twist bones divide an arm anywhere: the elbow is taken to be about halfway.
    elbow = min(range(1, hand), key=lambda step: abs(ways[step] - ways[hand] / 2))
    return limb_of(tree, [chain[0], chain[elbow], chain[hand]])


def _ways(tree: BoneTree, chain: tuple[str, ...]) -> list[float]:
    """How far along the chain each of its bones begins, and where the last one ends."""
    points = [*(tree.head(name) for name in chain), tree.end(chain[-1])]
    return [0.0, *np.cumsum([np.linalg.norm(to - start) for start, to in pairwise(points)]).tolist()]


def _legs_pair(tree: BoneTree, legs: _Twins) -> Pair:
    return Pair(_leg(tree, legs.one.chain), _leg(tree, legs.other.chain))


def _leg(tree: BoneTree, chain: tuple[str, ...]) -> Limb:
    """The leg that a chain from the hip to a toe's tip is: the ankle is where it turns away from its way."""
    heads = [tree.head(name) for name in chain]
    foot = next(
        (
            step
            for step in range(2, len(chain))
            if cosine(tree.end(chain[step]) - heads[step], heads[step] - heads[0]) < 0.8
        ),
        len(chain) - 1 if len(chain) > 2 else None,
    )
    if foot is None:
        return limb_of(tree, chain)
    return limb_of(tree, [chain[0], chain[(foot + 1) // 2], chain[foot]])
