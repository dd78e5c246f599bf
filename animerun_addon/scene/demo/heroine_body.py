# SPDX-License-Identifier: GPL-3.0-or-later
"""The heroine's body and clothes, her left half where a mirror modifier makes the other. Pure geometry, skinned.

Heads and hair have rooms of their own.
"""

from __future__ import annotations

import numpy as np

from .heroine_bones import (
    ELBOW,
    FINGER_MIDDLE,
    FINGER_TIP,
    KNUCKLES,
    SCARF_KNOTS,
    SHOULDER,
    SKIRT_ANGLES_DEG,
    SKIRT_DEPTH,
    SKIRT_HEIGHTS_AND_RADII,
    THUMB_ROOT,
    THUMB_TIP,
    WRIST,
    chain_names,
)
from .look import Paint
from .shapes import (
    Floats,
    Shape,
    joined,
    level_rings,
    limb,
    limb_rings,
    moved,
    sheet,
    smooth_curve,
    smoothstep,
    tube,
    unit,
    weighted,
)
from .skeleton import FORWARD, Skeleton, other_side
from .weights import BoneSegments, blended, skinned, smooth_weights

_TORSO_BONES = ("hips", "spine", "chest")

# x, y, z, radius from the hip down into the shoe. Rings stand double where shorts end and where the sock begins.
_LEG = (
    (0.070, 0.016, 0.880, 0.060),
    (0.074, 0.014, 0.835, 0.074),
    (0.077, 0.012, 0.765, 0.078),
    (0.0795, 0.010, 0.705, 0.0775),
    (0.0795, 0.010, 0.704, 0.0735),
    (0.082, 0.007, 0.610, 0.070),
    (0.0825, 0.005, 0.570, 0.0655),
    (0.0825, 0.005, 0.569, 0.0695),
    (0.083, 0.003, 0.510, 0.060),
    (0.083, 0.000, 0.460, 0.0535),
    (0.083, 0.000, 0.420, 0.0500),
    (0.084, 0.006, 0.370, 0.0510),
    (0.085, 0.014, 0.310, 0.0530),
    (0.085, 0.018, 0.240, 0.0465),
    (0.085, 0.021, 0.160, 0.0355),
    (0.085, 0.022, 0.085, 0.0310),
    (0.085, 0.020, 0.050, 0.0290),
)
_SHORTS_BANDS, _SOCK_STARTS_AT_BAND = 3, 6

# z, half width, y of the front, y of the back.
_TORSO = (
    (0.862, 0.150, -0.118, 0.136),
    (0.868, 0.158, -0.126, 0.144),
    (0.888, 0.156, -0.124, 0.142),
    (0.896, 0.150, -0.119, 0.136),
    (0.930, 0.134, -0.104, 0.120),
    (0.975, 0.117, -0.086, 0.100),
    (1.030, 0.109, -0.082, 0.088),
    (1.085, 0.117, -0.100, 0.090),
    (1.125, 0.124, -0.110, 0.093),
    (1.165, 0.126, -0.102, 0.094),
    (1.205, 0.120, -0.082, 0.090),
    (1.238, 0.096, -0.060, 0.078),
    (1.262, 0.064, -0.044, 0.066),
    (1.285, 0.056, -0.044, 0.060),
    (1.290, 0.046, -0.036, 0.050),
)
_HEM_BANDS = 3

# z, half width, toe y, heel y of a high-top sneaker.
_SHOE = (
    (0.000, 0.034, -0.156, 0.050),
    (0.004, 0.039, -0.164, 0.056),
    (0.026, 0.039, -0.163, 0.056),
    (0.027, 0.0365, -0.158, 0.053),
    (0.046, 0.0360, -0.142, 0.053),
    (0.062, 0.0355, -0.104, 0.053),
    (0.078, 0.0355, -0.058, 0.054),
    (0.100, 0.0370, -0.028, 0.056),
    (0.122, 0.0385, -0.020, 0.058),
    (0.134, 0.0380, -0.018, 0.057),
    (0.132, 0.0320, -0.012, 0.051),
    (0.110, 0.0300, -0.010, 0.048),
)
_SOLE_BANDS, _COLLAR_FROM_BAND = 3, 7

_SKIRT_PLEATS = 10  # on the left half


def leg(segments: BoneSegments) -> Shape:
    """The left leg, with its sock."""
    path = np.array(_LEG)[:, :3]
    bands = np.full(len(_LEG) - 1, int(Paint.SKIN))
    bands[:_SHORTS_BANDS] = Paint.SHORTS
    bands[_SOCK_STARTS_AT_BAND:] = Paint.SOCK
    part = tube(limb_rings(path, [row[3] for row in _LEG], FORWARD, 8), bands.tolist(), bulge=(0.3, 0.2))
    return skinned(part, segments, ("hips", "thigh.L", "shin.L", "foot.L"))


def neck(segments: BoneSegments) -> Shape:
    """Half of the neck, open where chest and head hide it."""
    rows = (
        (1.225, 0.050, -0.020, 0.060),
        (1.262, 0.038, -0.028, 0.050),
        (1.300, 0.033, -0.030, 0.040),
        (1.350, 0.035, -0.036, 0.044),
    )
    part = tube(level_rings(rows, 6, half=True), Paint.SKIN, closed=False)
    return skinned(part, segments, ("chest", "neck", "head"))


def hand(segments: BoneSegments) -> Shape:
    """The left hand: palm, four fingers, thumb. The palm looks down and inward."""
    wrist, knuckles = np.array(WRIST), np.array(KNUCKLES)
    palm = limb(
        [wrist - 0.25 * (knuckles - wrist), wrist, (wrist + knuckles) / 2, knuckles],
        [(0.019, 0.021), (0.0165, 0.0205), (0.0165, 0.0275), (0.0125, 0.0290)],
        rings=5,
        count=8,
        power=2.4,
        slots=Paint.SKIN,
    )
    parts = [skinned(palm, segments, ("forearm.L", "hand.L", "fingers_01.L"))]
    middle, tip = np.array(FINGER_MIDDLE), np.array(FINGER_TIP)
    for row, (across, length) in enumerate(((-0.0215, 0.93), (-0.0072, 1.04), (0.0072, 0.98), (0.0212, 0.80))):
        shift = np.array([0.0, across, 0.0])
        spread = np.array([0.0, across * 0.18, 0.0])
        start = knuckles - 0.2 * (middle - knuckles) + shift
        knots = [
            start,
            knuckles + length * (middle - knuckles) + shift + spread,
            knuckles + length * (tip - knuckles) + shift + 1.6 * spread,
        ]
        radius = 0.0088 if row < 3 else 0.0076
        finger = limb(
            knots, [radius, radius * 0.95, radius * 0.66], rings=4, count=5, slots=Paint.SKIN, bulge=(0.2, 0.7)
        )
        parts.append(skinned(finger, segments, ("hand.L", "fingers_01.L", "fingers_02.L")))
    root, thumb_tip = np.array(THUMB_ROOT), np.array(THUMB_TIP)
    thumb = limb(
        [root - 0.3 * (thumb_tip - root), (root + thumb_tip) / 2 + (0.004, -0.004, 0.002), thumb_tip],
        [0.0120, 0.0100, 0.0068],
        rings=4,
        count=5,
        up_hint=(0.0, 0.0, 1.0),
        slots=Paint.SKIN,
        bulge=(0.2, 0.7),
    )
    return joined([*parts, skinned(thumb, segments, ("hand.L", "thumb.L"))])


def body(skeleton: Skeleton) -> Shape:
    """What is skin and socks, left half."""
    segments = skeleton.segments()
    return joined([leg(segments), neck(segments), hand(segments)])


def _torso(segments: BoneSegments) -> Shape:
    bands = np.full(len(_TORSO) - 1, int(Paint.JACKET))
    bands[:_HEM_BANDS] = Paint.TRIM
    bands[-3:] = Paint.TRIM
    jacket = tube(
        level_rings(_TORSO, 11, 2.3, half=True), bands.tolist(), closed=False, caps=(False, True), bulge=(0.0, -0.3)
    )
    front = smooth_curve(np.array(_TORSO)[2:-2, [0, 2]], 12)
    zip_grid = np.stack(
        [
            np.stack([np.full(12, x), front[:, 1] - lift, front[:, 0]], axis=-1)
            for x, lift in ((0.0, 0.006), (0.007, 0.0055), (0.009, 0.0))
        ],
        axis=1,
    )
    button_line = sheet(zip_grid, Paint.TRIM)
    bones = ("hips", "spine", "chest", "shoulder.L", "shoulder.R")
    z = jacket.points[:, 2]
    upper = smooth_weights(jacket.points, segments, bones, 4.0)
    panels = smooth_weights(jacket.points, segments, [panel for panel in _skirt_panels() if "_01" in panel], 3.0)
    # The hem rides on the skirt, which a lifted thigh pushes up.
    jacket = weighted(jacket, blended(upper, panels, 0.70 * smoothstep(0.950, 0.885, z)))
    return joined([jacket, skinned(button_line, segments, bones, 4.0)])


def _sleeve(segments: BoneSegments) -> Shape:
    shoulder, elbow, wrist = np.array(SHOULDER), np.array(ELBOW), np.array(WRIST)
    path = np.array(
        [
            shoulder - np.array([0.052, 0.002, -0.002]),
            shoulder - np.array([0.010, 0.0, -0.001]),
            shoulder + 0.22 * (elbow - shoulder),
            shoulder + 0.50 * (elbow - shoulder),
            shoulder + 0.80 * (elbow - shoulder),
            elbow,
            elbow + 0.25 * (wrist - elbow),
            elbow + 0.55 * (wrist - elbow),
            elbow + 0.80 * (wrist - elbow),
            elbow + 0.87 * (wrist - elbow),
            elbow + 0.90 * (wrist - elbow),
            elbow + 1.02 * (wrist - elbow),
            elbow + 1.04 * (wrist - elbow),
        ]
    )
    path[:, 2] += 0.006 * np.exp(-(((path[:, 0] - 0.125) / 0.03) ** 2))
    radii = [0.050, 0.0600, 0.0595, 0.0540, 0.0505, 0.0490, 0.0505, 0.0535, 0.0510, 0.0440, 0.0330, 0.0335, 0.0260]
    bands = [int(Paint.JACKET)] * 9 + [int(Paint.TRIM)] * 3
    part = tube(limb_rings(path, radii, FORWARD, 12), bands, bulge=(0.2, -0.3))
    return skinned(part, segments, ("chest", "shoulder.L", "upper_arm.L", "forearm.L"))


def _shoe(segments: BoneSegments) -> Shape:
    bands = np.full(len(_SHOE) - 1, int(Paint.SHOE))
    bands[:_SOLE_BANDS] = Paint.SOLE
    bands[_COLLAR_FROM_BAND:] = Paint.SOLE
    rings = level_rings(_SHOE, 14, 2.5)
    # A foot is broadest at the ball and leans outward there.
    rings[..., 0] *= 1.0 + 1.1 * np.clip(-rings[..., 1] - 0.02, 0.0, 0.10)
    part = moved(tube(rings, bands.tolist(), bulge=(0.0, -0.4)), (0.087, 0.0, 0.0))
    return skinned(part, segments, ("shin.L", "foot.L", "toe.L"), 5.0)


def jacket_and_shoes(skeleton: Skeleton) -> Shape:
    """Jacket, sleeve and sneaker, left half."""
    segments = skeleton.segments()
    return joined([_torso(segments), _sleeve(segments), _shoe(segments)])


def _skirt_panels() -> list[str]:
    """The bones of the skirt, all around."""
    names = dict.fromkeys(name for base in SKIRT_ANGLES_DEG for name in (base, other_side(base)))
    return [bone for name in names for bone in chain_names(name, 2)]


def _skirt_rings(scale: float, heights: Floats) -> Floats:
    """Half rings (R, S, 3) of a pleated skirt at these heights, top to bottom."""
    profile = np.array([*SKIRT_HEIGHTS_AND_RADII])[::-1]
    radius = np.interp(heights, profile[:, 0], profile[:, 1]) * scale
    count = 3 * _SKIRT_PLEATS + 1
    angle = np.linspace(0.0, np.pi, count)
    fold = np.take([1.0, 1.045, 0.93], np.arange(count) % 3)
    depth = smoothstep(0.93, 0.80, heights)[:, None]
    ripple = 1.0 + (fold - 1.0) * depth
    rings = np.empty((len(heights), count, 3))
    rings[..., 0] = radius[:, None] * ripple * np.sin(angle)
    rings[:, [0, -1], 0] = 0.0
    rings[..., 1] = 0.01 - SKIRT_DEPTH * radius[:, None] * ripple * np.cos(angle)
    rings[..., 2] = heights[:, None]
    return rings


def skirt(skeleton: Skeleton) -> Shape:
    """A pleated skirt, left half, with its lining: seen from below it must not be a hole."""
    outer = np.array([0.930, 0.880, 0.820, 0.770, 0.720, 0.703, 0.682, 0.660])
    rings = np.concatenate([_skirt_rings(1.0, outer), _skirt_rings(0.965, outer[::-1][[0, 3, 7]] + 0.004)])[::-1]
    outer_bands = [int(Paint.SKIRT)] * 5 + [int(Paint.SKIRT_STRIPE), int(Paint.SKIRT)]
    part = tube(rings, [*[int(Paint.SKIRT)] * 3, *outer_bands[::-1]], closed=False, caps=(False, False))
    segments = skeleton.segments()
    loose = smooth_weights(part.points, segments, _skirt_panels(), 3.0)
    still = {"hips": np.ones(len(part.points))}
    return weighted(part, blended(loose, still, smoothstep(0.855, 0.925, part.points[:, 2])))


def scarf(skeleton: Skeleton) -> Shape:
    """A scarf: a roll around the neck and a long end that flies."""
    segments = skeleton.segments()
    angle = np.linspace(0.0, 2 * np.pi, 15)
    loop = np.stack([0.074 * np.sin(angle), 0.010 + 0.064 * np.cos(angle), 1.288 + 0.012 * np.cos(angle)], axis=-1)
    roll = tube(
        limb_rings(loop, np.full((15, 2), (0.030, 0.034)), (0.0, 0.0, 1.0), 8, 2.4), Paint.SCARF, caps=(False, False)
    )
    upper_body = ("chest", "neck")
    parts = [skinned(roll, segments, upper_body)]
    bones = ("chest", *chain_names("scarf", len(SCARF_KNOTS) - 1))
    count = 14
    knots = np.array([(0.020, 0.066, 1.300), *SCARF_KNOTS[1:]])
    radii = np.stack([np.linspace(0.034, 0.062, count), np.full(count, 0.009)], axis=-1)
    path = smooth_curve(knots, count)
    stripes = [int(Paint.SCARF)] * (count - 1)
    stripes[-2] = stripes[-4] = int(Paint.SCARF_STRIPE)
    end = tube(limb_rings(path, radii, (0.0, 1.0, 0.0), 8, 3.0), stripes)
    parts.append(skinned(end, segments, bones, 3.0))
    knot_at = unit(np.array([0.2, 1.0, 0.0])) * 0.072 + np.array([0.0, 0.012, 1.285])
    knot = limb(
        knot_at + np.array([(0.0, 0.0, 0.035), (0.004, 0.012, 0.0), (0.0, 0.0, -0.040)]),
        [0.03, 0.036, 0.028],
        rings=4,
        slots=Paint.SCARF,
    )
    return joined([*parts, skinned(knot, segments, upper_body)])
