# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin weights from distances to bones. Pure numpy; who builds a part says which bones may pull on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from .shapes import Floats, Shape, weighted

BoneSegments = Mapping[str, tuple[Floats, Floats]]  # name -> (head (3,), tail (3,)) in armature space
MOST_BONES_PER_POINT = 4


def segment_distances(points: Floats, heads: Floats, tails: Floats) -> Floats:
    """Distances (N, B) of points (N, 3) to the segments heads (B, 3) .. tails (B, 3)."""
    along = tails - heads
    from_head = points[:, None] - heads[None]
    share = (from_head * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-12)
    nearest = heads + np.clip(share, 0.0, 1.0)[..., None] * along
    return np.asarray(np.linalg.norm(points[:, None] - nearest, axis=-1))


def smooth_weights(points: Floats, segments: BoneSegments, bones: Iterable[str], sharpness: float) -> dict[str, Floats]:
    """Influences of the named bones on points (N, 3); they sum to one at every point.

    A bone pulls with distance ** -sharpness: the blend around a joint is as wide as the limb is thick there, whatever
    its size. Only the strongest few are kept, as game engines do; the cut is subtracted, so that it leaves no step.
    """
    names = list(bones)
    heads = np.array([segments[name][0] for name in names])
    tails = np.array([segments[name][1] for name in names])
    distance = np.maximum(segment_distances(points, heads, tails), 1e-5)
    pull = (distance.min(axis=1, keepdims=True) / distance) ** sharpness
    if len(names) > MOST_BONES_PER_POINT:
        pull = np.maximum(pull - np.sort(pull, axis=1)[:, -MOST_BONES_PER_POINT - 1][:, None], 0.0)
    pull = np.where(pull < 0.01, 0.0, pull)
    pull /= pull.sum(axis=1, keepdims=True)
    return {name: pull[:, number] for number, name in enumerate(names) if pull[:, number].any()}


def skinned(part: Shape, segments: BoneSegments, bones: Iterable[str], sharpness: float = 6.0) -> Shape:
    """The part with smooth weights for these bones."""
    return weighted(part, smooth_weights(part.points, segments, bones, sharpness))


def rigid(part: Shape, bone: str) -> Shape:
    """The part, following one bone only."""
    return weighted(part, {bone: np.ones(len(part.points))})


def blended(low: dict[str, Floats], high: dict[str, Floats], share_of_high: Floats) -> dict[str, Floats]:
    """Weights that go over from `low` to `high`, point by point (N,)."""
    zeros = np.zeros_like(share_of_high)
    return {
        bone: low.get(bone, zeros) * (1.0 - share_of_high) + high.get(bone, zeros) * share_of_high
        for bone in dict.fromkeys([*low, *high])
    }
