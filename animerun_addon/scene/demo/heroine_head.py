# SPDX-License-Identifier: GPL-3.0-or-later
"""The heroine's head and what is painted on it: eyes, brows, mouth. Pure geometry in her own space, metres.

Eyes are thin sheets that follow the face a millimetre above it, the classic way to draw them on a cel-shaded model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .heroine_bones import enlarged_with_head
from .look import Paint
from .shapes import Floats, Shape, ball, joined, level_rings, mirrored, sheet, smooth_curve, tube
from .weights import rigid

# z, half width, y of the front, y of the back; chin to crown.
_HEAD_TABLE = (
    (1.3320, 0.010, -0.086, -0.066),
    (1.3340, 0.020, -0.092, -0.052),
    (1.3420, 0.034, -0.0965, -0.030),
    (1.3580, 0.053, -0.0985, 0.000),
    (1.3800, 0.072, -0.0990, 0.036),
    (1.4050, 0.087, -0.0985, 0.066),
    (1.4350, 0.0975, -0.0985, 0.090),
    (1.4700, 0.1030, -0.0990, 0.106),
    (1.5050, 0.1040, -0.0985, 0.112),
    (1.5350, 0.1000, -0.0930, 0.109),
    (1.5600, 0.0890, -0.0810, 0.098),
    (1.5800, 0.0710, -0.0610, 0.080),
    (1.5940, 0.0470, -0.0360, 0.054),
    (1.6010, 0.0180, -0.0080, 0.026),
)
_ROWS = smooth_curve(_HEAD_TABLE, 24)
_POWER = 2.35
EYE_X, EYE_Z, EYE_HALF_WIDTH, LID_RISE, LID_DROP = 0.0465, 1.4270, 0.0300, 0.0330, 0.0300


def _nose(x: Floats, z: Floats) -> Floats:
    tip = 0.0115 * np.exp(-((x / 0.0085) ** 2) - ((z - 1.3905) / np.where(z > 1.3905, 0.020, 0.0075)) ** 2)
    return np.asarray(tip)


def _sockets(x: Floats, z: Floats) -> Floats:
    """Eyes lie a little deeper than the cheeks, so that the face is no ball in profile."""
    return np.asarray(0.0045 * np.exp(-(((np.abs(x) - 0.045) / 0.03) ** 2) - ((z - 1.43) / 0.035) ** 2))


def face_y(x: Floats, z: Floats) -> Floats:
    """The y of the front of the head at (x, z)."""
    width, front, back = (np.interp(z, _ROWS[:, 0], _ROWS[:, column]) for column in (1, 2, 3))
    bow = np.maximum(1.0 - np.abs(x / width) ** _POWER, 0.0) ** (1.0 / _POWER)
    return np.asarray((front + back) / 2 - (back - front) / 2 * bow - _nose(x, z) + _sockets(x, z))


def _enlarged(part: Shape) -> Shape:
    return replace(part, points=enlarged_with_head(part.points))


def head() -> Shape:
    """Skull, jaw, nose and ears; follows the head bone."""
    rings = level_rings(_ROWS, 28, _POWER)
    x, y, z = rings[..., 0], rings[..., 1], rings[..., 2]
    in_front = np.where(y < -0.02, 1.0, 0.0)
    rings[..., 1] = y + in_front * (_sockets(x, z) - _nose(x, z))
    skull = tube(rings, Paint.SKIN)
    ear = ball((0.101, 0.012, 1.425), (0.011, 0.020, 0.030), slot=Paint.SKIN)
    return rigid(_enlarged(joined([skull, ear, mirrored(ear)])), "head")


# --- eyes -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Patch:
    """A sheet over the face: x and z (rows, columns), rows upward; `height` above the skin, metres."""

    x: Floats
    z: Floats
    height: float
    slots: int | list[int]
    closed_z: Floats | None = None  # where it goes when the eye is shut; None: it stays
    hidden_when_closed: bool = False

    def shape(self, blink: float) -> Shape:
        z, height = self.z, self.height
        if self.closed_z is not None:
            z = z + blink * (self.closed_z - z)
            # A shut eye's white and iris sink below the skin.
            height = height - blink * (height + 0.004) * self.hidden_when_closed
        return sheet(np.stack([self.x, face_y(self.x, z) - height, z], axis=-1), self.slots)


def _upper_lid(side: Floats) -> Floats:
    """z of the lid; `side` is -1 at the nose, 1 at the temple."""
    return EYE_Z + LID_RISE * (1.0 - np.abs(side * 0.96 - 0.04) ** 2.6) + 0.004 * side


def _lower_lid(side: Floats) -> Floats:
    return EYE_Z - LID_DROP * (1.0 - np.abs(side) ** 2.4) + 0.003 * side


def _shut_lid(side: Floats) -> Floats:
    return EYE_Z - 0.010 - 0.012 * (1.0 - side**2)


def _between(side: Floats, low: Floats, high: Floats, rows: int) -> tuple[Floats, Floats]:
    share = np.linspace(0.0, 1.0, rows)[:, None]
    return np.broadcast_to(EYE_X + side * EYE_HALF_WIDTH, (rows, len(side))), low + share * (high - low)


def _disc(
    centre: tuple[float, float], radii: tuple[float, float], height: float, slots: int | list[int], rows: int = 5
) -> _Patch:
    """An ellipse in the eye, cut by the lids; centre and radii in metres from the eye's middle."""
    across = -np.cos(np.linspace(0.0, np.pi, 11))
    side = (centre[0] + radii[0] * across) / EYE_HALF_WIDTH
    half_height = radii[1] * np.sqrt(np.maximum(1.0 - across**2, 0.0))
    low = np.maximum(EYE_Z + centre[1] - half_height, _lower_lid(side))
    high = np.maximum(np.minimum(EYE_Z + centre[1] + half_height, _upper_lid(side)), low)
    x, z = _between(side, low, high, rows)
    return _Patch(x, z, height, slots, np.broadcast_to(_shut_lid(side), z.shape), hidden_when_closed=True)


def _line(side: Floats, lid: Callable[[Floats], Floats], thickness: Floats, lift: Floats, height: float) -> _Patch:
    """A line along a lid, `thickness` upward from it; keeps its thickness when the lid moves."""
    low = lid(side) + lift
    x, z = _between(side, low, low + thickness, 3)
    return _Patch(x, z, height, Paint.LASH, _shut_lid(side) + (z - lid(side)))


def _eye_patches() -> list[_Patch]:
    side = np.linspace(-1.0, 1.0, 13)
    x, z = _between(side, _lower_lid(side), _upper_lid(side), 5)
    white = _Patch(x, z, 0.0014, Paint.EYE_WHITE, np.broadcast_to(_shut_lid(side), z.shape), hidden_when_closed=True)
    iris_bands = [Paint.IRIS_LIGHT, Paint.IRIS_LIGHT, Paint.IRIS, Paint.IRIS, Paint.IRIS_DARK, Paint.IRIS_DARK]
    lash_side = np.linspace(-1.04, 1.22, 16)
    inner_to_outer = (lash_side + 1.04) / 2.26
    lash_thickness = 0.0025 + 0.0065 * np.sin(np.pi * np.clip(inner_to_outer * 0.93, 0, 1)) ** 0.8
    lash_thickness[-1] = 0.0004
    wing = 0.010 * np.clip((lash_side - 0.9) / 0.32, 0.0, 1.0)
    low_side = np.linspace(0.15, 1.02, 8)
    return [
        white,
        _disc((-0.001, 0.001), (0.0205, 0.0310), 0.0022, [int(band) for band in iris_bands], rows=7),
        _disc((-0.001, 0.003), (0.0088, 0.0150), 0.0030, Paint.PUPIL),
        _disc((-0.0080, 0.0150), (0.0062, 0.0080), 0.0038, Paint.HIGHLIGHT),
        _disc((0.0075, -0.0150), (0.0036, 0.0044), 0.0038, Paint.HIGHLIGHT),
        _line(lash_side, _upper_lid, lash_thickness, wing - 0.0015, 0.0046),
        _line(low_side, _lower_lid, np.full(8, 0.0016), np.full(8, -0.0010), 0.0030),
        _line(np.linspace(-0.35, 0.75, 7), _upper_lid, np.full(7, 0.0012), np.full(7, 0.0115), 0.0018),
    ]


def _strip(x: Floats, middle_z: Floats, thickness: Floats, height: float, slot: int) -> _Patch:
    share = np.linspace(-0.5, 0.5, 3)[:, None]
    return _Patch(np.broadcast_to(x, (3, len(x))), middle_z + share * thickness, height, slot)


def _brow() -> _Patch:
    t = np.linspace(0.0, 1.0, 9)
    return _strip(
        0.018 + 0.058 * t,
        1.4890 + 0.008 * np.sin(np.pi * t * 0.85) - 0.003 * t,
        0.0055 * (1 - t) ** 0.6 + 0.0008,
        0.002,
        Paint.HAIR_DARK,
    )


def _blush() -> _Patch:
    t = np.linspace(-1.0, 1.0, 9)
    return _strip(0.0600 + 0.0150 * t, np.full(9, 1.3920), 0.0120 * np.sqrt(1.0 - 0.999 * t**2), 0.0008, Paint.BLUSH)


def _mouth_patches() -> list[_Patch]:
    """An open, out-of-breath smile."""
    t = np.linspace(-1.0, 1.0, 11)
    upper = 1.3635 + 0.0020 * t**2
    depth = 0.0120 * (1.0 - t**2) ** 0.75
    share = np.linspace(1.0, 0.0, 4)[:, None]
    x = np.broadcast_to(0.0145 * t, (4, 11))
    inside = _Patch(x, upper - share * depth, 0.0014, Paint.MOUTH)
    tongue = _Patch(x * 0.62, upper - 0.35 * depth - share * depth * 0.55, 0.0020, Paint.TONGUE)
    lip = _strip(0.0165 * t, 1.3638 + 0.0024 * t**2, 0.0017 * (1.0 - 0.7 * t**2), 0.0024, Paint.LASH)
    return [inside, tongue, lip]


def face_features(blink: float = 0.0) -> Shape:
    """Eyes, brows, mouth and blush as sheets; `blink` 0 is open, 1 is shut. Follows the head bone."""
    left = joined([patch.shape(blink) for patch in [*_eye_patches(), _brow(), _blush()]])
    middle = joined([patch.shape(blink) for patch in _mouth_patches()])
    return rigid(_enlarged(joined([left, mirrored(left), middle])), "head")
