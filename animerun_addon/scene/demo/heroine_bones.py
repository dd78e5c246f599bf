# SPDX-License-Identifier: GPL-3.0-or-later
"""The heroine's bones at rest, an A-pose: 1.64 m, five and a half heads tall, facing -Y, on z = 0. Pure data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .shapes import Floats
from .skeleton import Bone, Skeleton, with_mirrored

Point = tuple[float, float, float]

UP = (0.0, 0.0, 1.0)
HIP, KNEE, ANKLE, BALL, TOE_TIP = (
    (0.080, 0.012, 0.800),
    (0.083, 0.000, 0.440),
    (0.085, 0.022, 0.085),
    (0.088, -0.085, 0.020),
    (0.090, -0.150, 0.020),
)
SHOULDER, ELBOW, WRIST = (0.122, 0.015, 1.222), (0.284, 0.024, 1.062), (0.428, 0.008, 0.922)
KNUCKLES, FINGER_MIDDLE, FINGER_TIP = (0.482, 0.004, 0.868), (0.512, 0.003, 0.836), (0.538, 0.004, 0.806)
THUMB_ROOT, THUMB_TIP = (0.438, -0.018, 0.905), (0.466, -0.046, 0.862)
TAIL_KNOTS = (
    (0.128, 0.050, 1.570),
    (0.205, 0.062, 1.545),
    (0.250, 0.076, 1.400),
    (0.268, 0.090, 1.215),
    (0.262, 0.108, 1.030),
    (0.240, 0.125, 0.860),
)
LOCK_KNOTS = ((0.112, -0.045, 1.475), (0.117, -0.052, 1.385), (0.112, -0.056, 1.290))
# Head and hair are modelled on a skull of real size and then enlarged about the neck: anime's proportions.
HEAD_PIVOT, HEAD_SCALE = np.array([0.0, 0.008, 1.330]), 1.13
SCARF_KNOTS = (
    (0.030, 0.085, 1.275),
    (0.040, 0.125, 1.150),
    (0.046, 0.135, 1.020),
    (0.050, 0.140, 0.890),
    (0.052, 0.142, 0.760),
)
SKIRT_ANGLES_DEG = {
    "skirt_front": 0.0,
    "skirt_front_side.L": 45.0,
    "skirt_side.L": 90.0,
    "skirt_back_side.L": 135.0,
    "skirt_back": 180.0,
}
SKIRT_HEIGHTS_AND_RADII = ((0.930, 0.112), (0.805, 0.172), (0.660, 0.240))
SKIRT_DEPTH = 0.86  # the waist is an ellipse: narrower from front to back than from side to side


def enlarged_with_head(points: Floats) -> Floats:
    """Where points (..., 3) of the real-size head model stand on the enlarged head."""
    return np.asarray(HEAD_PIVOT + (points - HEAD_PIVOT) * HEAD_SCALE)


def chain_names(base: str, count: int) -> tuple[str, ...]:
    """Names of a chain's bones: `hair_tail_01.L`, `hair_tail_02.L`..."""
    stem, side = (base[:-2], base[-2:]) if base[-2:] in (".L", ".R") else (base, "")
    return tuple(f"{stem}_{number:02}{side}" for number in range(1, count + 1))


def _chain(base: str, knots: Sequence[Point] | Floats, parent: str, facing: Point) -> list[Bone]:
    names = chain_names(base, len(knots) - 1)
    parents = [parent, *names]
    points: list[Point] = [(float(x), float(y), float(z)) for x, y, z in knots]
    return [Bone(name, points[i], points[i + 1], parents[i], facing) for i, name in enumerate(names)]


def _skirt_chain(name: str, angle_deg: float) -> list[Bone]:
    across, front = float(np.sin(np.radians(angle_deg))), -float(np.cos(np.radians(angle_deg)))
    knots = tuple((radius * across, 0.01 + SKIRT_DEPTH * radius * front, z) for z, radius in SKIRT_HEIGHTS_AND_RADII)
    return _chain(name, knots, "hips", (across, front, 0.0))


def heroine_skeleton() -> Skeleton:
    """All bones; names as in Rigify and VRM, so that A-pose checks and retargeting find them."""
    middle = [
        Bone("hips", (0.0, 0.012, 0.820), (0.0, 0.012, 0.930)),
        Bone("spine", (0.0, 0.012, 0.930), (0.0, 0.010, 1.055), "hips"),
        Bone("chest", (0.0, 0.010, 1.055), (0.0, 0.018, 1.245), "spine"),
        Bone("neck", (0.0, 0.018, 1.245), (0.0, 0.008, 1.330), "chest"),
        Bone("head", (0.0, 0.008, 1.330), (0.0, 0.008, 1.636), "neck"),
    ]
    left = [
        Bone("shoulder.L", (0.020, 0.010, 1.220), SHOULDER, "chest"),
        Bone("upper_arm.L", SHOULDER, ELBOW, "shoulder.L"),
        Bone("forearm.L", ELBOW, WRIST, "upper_arm.L"),
        Bone("hand.L", WRIST, KNUCKLES, "forearm.L"),
        Bone("fingers_01.L", KNUCKLES, FINGER_MIDDLE, "hand.L"),
        Bone("fingers_02.L", FINGER_MIDDLE, FINGER_TIP, "fingers_01.L"),
        Bone("thumb.L", THUMB_ROOT, THUMB_TIP, "hand.L"),
        Bone("thigh.L", HIP, KNEE, "hips"),
        Bone("shin.L", KNEE, ANKLE, "thigh.L"),
        Bone("foot.L", ANKLE, BALL, "shin.L", UP),
        Bone("toe.L", BALL, TOE_TIP, "foot.L", UP),
        *_chain("hair_tail.L", enlarged_with_head(np.array(TAIL_KNOTS)), "head", (1.0, 0.0, 0.0)),
        *_chain("hair_lock.L", enlarged_with_head(np.array(LOCK_KNOTS)), "head", (0.0, -1.0, 0.0)),
        *(
            bone
            for name, angle in SKIRT_ANGLES_DEG.items()
            if name.endswith(".L")
            for bone in _skirt_chain(name, angle)
        ),
    ]
    loose = [
        *_skirt_chain("skirt_front", SKIRT_ANGLES_DEG["skirt_front"]),
        *_skirt_chain("skirt_back", SKIRT_ANGLES_DEG["skirt_back"]),
        *_chain("scarf", SCARF_KNOTS, "chest", (0.0, 1.0, 0.0)),
    ]
    return Skeleton([*middle, *with_mirrored(left), *loose])
