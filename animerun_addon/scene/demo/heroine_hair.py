# SPDX-License-Identifier: GPL-3.0-or-later
"""The heroine's hair: a cap, a fringe, side locks and two tails, each made of tapered strands. Pure geometry, skinned.

Azimuth is 0 in front and grows to her left, elevation is 90 at the crown; both in degrees.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from .heroine_bones import LOCK_KNOTS, TAIL_KNOTS, chain_names, enlarged_with_head
from .look import Paint
from .shapes import Floats, Shape, ball, joined, limb_rings, mirrored, smooth_curve, strand, tube, unit
from .skeleton import Skeleton
from .weights import rigid, skinned

CENTRE = np.array([0.0, 0.010, 1.498])
RADII = np.array([0.116, 0.123, 0.118])


def _scalp(azimuth_deg: ArrayLike, elevation_deg: ArrayLike, lift: ArrayLike = 1.0) -> Floats:
    """Points (..., 3) around the skull; `lift` 1 is the hair's ground."""
    azimuth, elevation = np.radians(np.asarray(azimuth_deg, float)), np.radians(np.asarray(elevation_deg, float))
    direction = np.stack(
        [np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation) + 0 * azimuth],
        axis=-1,
    )
    return np.asarray(CENTRE + RADII * direction * np.asarray(lift, dtype=np.float64)[..., None])


def _enlarged(part: Shape) -> Shape:
    return replace(part, points=enlarged_with_head(part.points))


def _cap() -> Shape:
    """The hair that lies on the skull, down to a hairline that is high in front and low at the nape."""
    azimuth = np.arange(24) * 15.0
    front = (1.0 + np.cos(np.radians(azimuth))) / 2
    hairline = -52.0 + 82.0 * front**1.6
    rings = [_scalp(azimuth, hairline + (86.0 - hairline) * share) for share in np.linspace(0.0, 1.0, 9) ** 0.85]
    return tube(np.stack(rings), Paint.HAIR, caps=(False, True))


def _gloss(rings: int, first: int, last: int, slot: Paint = Paint.HAIR) -> list[int]:
    """A lit band across the strands: the ring of light that anime hair has."""
    return [int(Paint.HAIR_LIGHT) if first <= band < last else int(slot) for band in range(rings - 1)]


def _lying(
    azimuths: ArrayLike, elevations: ArrayLike, lifts: ArrayLike, width: float, slots: int | list[int], rings: int
) -> Shape:
    knots = _scalp(azimuths, elevations, lifts)
    return strand(knots, unit(knots - CENTRE), width, rings=rings, slots=slots, thickness=0.34, root=0.55)


def _fringe(chance: np.random.Generator) -> list[Shape]:
    """Two layers, the upper one's strands between the lower one's, so that their outlines draw the parting."""
    parts = []
    for azimuth, end, lift, width in (
        (-60, -34, 1.075, 0.030),
        (-37, -16, 1.070, 0.026),
        (-15, -9, 1.070, 0.026),
        (10, -14, 1.070, 0.026),
        (33, -10, 1.070, 0.026),
        (58, -36, 1.075, 0.030),
        (-49, -27, 1.125, 0.026),
        (-25, -21, 1.130, 0.025),
        (-3, -29, 1.140, 0.024),
        (20, -19, 1.130, 0.025),
        (45, -26, 1.125, 0.026),
    ):
        sweep = chance.uniform(-4.0, 10.0) * (1.0 if azimuth < 5 else -1.0)
        tip = end + chance.uniform(-3.0, 3.0)
        parts.append(
            _lying(
                [azimuth * 0.3, azimuth * 0.65, azimuth * 0.92, azimuth, azimuth + 0.5 * sweep, azimuth + sweep],
                [84.0, 62.0, 40.0, 18.0, tip * 0.45, tip],
                [1.0, lift - 0.02, lift, lift + 0.005, lift, lift - 0.055],
                width,
                _gloss(9, 3, 4),
                9,
            )
        )
    return parts


def _back(chance: np.random.Generator) -> list[Shape]:
    parts = []
    for number, azimuth in enumerate(np.linspace(84.0, 276.0, 11)):
        lift = 0.045 * (number % 2)
        low = -62.0 + chance.uniform(-6.0, 4.0) + 16.0 * abs(azimuth - 180.0) / 96.0
        parts.append(
            _lying(
                [azimuth, azimuth, azimuth, azimuth, azimuth + chance.uniform(-5, 5)],
                [80.0, 45.0, 5.0, -32.0, low],
                [1.01, 1.06 + lift, 1.07 + lift, 1.06 + lift, 1.02],
                0.037,
                _gloss(7, 1, 2),
                7,
            )
        )
    return parts


def _side_locks(skeleton: Skeleton, chance: np.random.Generator) -> list[Shape]:
    segments = skeleton.segments()
    bones = ("head", *chain_names("hair_lock.L", len(LOCK_KNOTS) - 1))
    locks = []
    for number, (shift, width) in enumerate((((0.0, 0.0, 0.0), 0.0200), ((0.004, 0.022, -0.025), 0.0175))):
        hang = np.array(LOCK_KNOTS) + shift
        hang[-1] += chance.uniform(-0.008, 0.008, 3)
        start = _scalp([38.0 + 14 * number, 62.0 + 14 * number], [68.0, 28.0], [1.02, 1.08])
        knots = np.concatenate([start, hang])
        outward = unit(np.concatenate([start - CENTRE, np.broadcast_to((1.0, -0.35 + 0.5 * number, 0.0), hang.shape)]))
        lock = strand(knots, outward, width, rings=8, slots=_gloss(8, 2, 3), fullest=0.5)
        locks.append(skinned(_enlarged(lock), segments, bones, 3.0))
    return locks


def _tail(skeleton: Skeleton, chance: np.random.Generator) -> list[Shape]:
    """The left tail: strands around the chain of its bones, and the ribbon that ties it."""
    segments = skeleton.segments()
    bones = chain_names("hair_tail.L", len(TAIL_KNOTS) - 1)
    centre_line = np.array(TAIL_KNOTS)
    parts = []
    fullness = np.array([0.25, 1.0, 1.15, 1.0, 0.75, 0.35])
    for number in range(8):
        angle = 2 * np.pi * number / 7
        away = np.array([0.75 * np.cos(angle), np.sin(angle), 0.0]) if number < 7 else np.zeros(3)
        reach = chance.uniform(0.88, 1.06) if number < 7 else 1.08
        line = centre_line[0] + (centre_line - centre_line[0]) * np.array([1.0, 1.0, reach])
        knots = line + 0.036 * fullness[:, None] * away
        knots[-1] += chance.uniform(-0.018, 0.018, 3)
        outward = away if number < 7 else np.array([1.0, 0.0, 0.0])
        slots = _gloss(10, 3, 4) if number % 2 == 0 else [int(Paint.HAIR)] * 9
        lock = strand(knots, outward, 0.034, rings=10, thickness=0.5, root=0.4, fullest=0.42, slots=slots)
        parts.append(skinned(_enlarged(lock), segments, bones, 3.0))
    return parts


def _ribbon() -> Shape:
    root, towards = np.array(TAIL_KNOTS[0]), unit(np.array(TAIL_KNOTS[1]) - np.array(TAIL_KNOTS[0]))
    tie = tube(
        limb_rings(np.stack([root - 0.014 * towards, root + 0.016 * towards]), [0.024, 0.024], (0, 0, 1), 9),
        Paint.RIBBON,
    )
    loops = []
    for side in (-1.0, 1.0):
        knots = root + np.array(
            [
                (0.012, 0.0, 0.010),
                (0.020, side * 0.035, 0.040),
                (0.024, side * 0.072, 0.030),
                (0.022, side * 0.078, 0.002),
            ]
        )
        path = smooth_curve(knots, 5)
        radii = np.stack([[0.006, 0.014, 0.022, 0.024, 0.016], np.full(5, 0.006)], axis=-1)
        loops.append(tube(limb_rings(path, radii, (1.0, 0.0, 0.0), 6), Paint.RIBBON))
    return joined(
        [
            tie,
            *loops,
            ball(root + np.array([0.022, 0.0, 0.014]), (0.012, 0.014, 0.014), rings=4, count=8, slot=Paint.RIBBON),
        ]
    )


def _crown_lock() -> Shape:
    """The single unruly strand on top."""
    knots = np.array(
        [
            (0.0, 0.010, 1.605),
            (-0.012, 0.004, 1.652),
            (0.004, -0.020, 1.690),
            (0.040, -0.050, 1.690),
            (0.062, -0.068, 1.662),
        ]
    )
    return strand(knots, (-0.5, -0.5, 1.0), 0.0085, rings=10, thickness=0.6, slots=Paint.HAIR, root=0.8)


def hair(skeleton: Skeleton, seed: int) -> Shape:
    """All of it; the seed moves the strands a little."""
    chance = np.random.default_rng([seed, 2])
    still = joined([_cap(), *_fringe(chance), *_back(chance), _crown_lock()])
    ribbon = rigid(_enlarged(_ribbon()), "head")
    # Both sides are drawn from the same chance: tails that match look designed, not grown.
    left = joined([*_side_locks(skeleton, chance), *_tail(skeleton, chance), ribbon])
    return joined([rigid(_enlarged(still), "head"), left, mirrored(left)])
