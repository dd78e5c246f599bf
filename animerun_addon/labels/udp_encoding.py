# SPDX-License-Identifier: GPL-3.0-or-later
"""How rest coordinates become the colours of an Ultra-Dense Pose, and back: one scale and one offset an axis.

Rest coordinates are in the character's own frame, metres: X to its left, Y towards its back, Z up. Which pixels and
points have one is decided elsewhere.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

Triple = tuple[float, float, float]

# Beyond 0..1 by this much is the rounding of a box that was fitted to the unit cube, not clipping.
ROUNDING = 1e-5

# The authors' scale, read off the colours of their published picture; x, y, z in heights of the body.
_CONR_SCALES = (0.93, 4.0, 0.92)
_CONR_OFFSETS = (0.5, 0.4, 0.03)


class Preset(enum.StrEnum):
    """Where an encoding's numbers come from."""

    UNIFORM = "uniform"
    CONR = "conr"
    FREE = "free"


@dataclass(frozen=True)
class UdpEncoding:
    """encoded = rest * scale + offset on each axis, clipped to 0..1."""

    scale: Triple  # per metre; a negative one mirrors its axis
    offset: Triple
    preset: Preset = Preset.FREE

    def __post_init__(self) -> None:
        scale, offset = _triple(self.scale, "scale"), _triple(self.offset, "offset")
        # What divides by a scale has to stay a number.
        if not all(1e-12 <= abs(number) <= 1e12 for number in scale):
            raise InputError(f"UDP scale {scale} cannot be undone: choose numbers other than 0, such as 1 / height")
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "offset", offset)
        object.__setattr__(self, "preset", Preset(self.preset))

    @classmethod
    def uniform(cls, bounds: npt.ArrayLike) -> UdpEncoding:
        """The box `bounds` (2, 3), its lowest and highest corner, fits the unit cube: nothing is clipped.

        All axes have the scale of the longest one, which goes from 0 to 1; the others lie around 0.5.
        """
        low, high = _box(bounds)
        longest = float((high - low).max())
        if longest <= 0:
            raise InputError("The character's rest pose has no extent: choose one with a surface")
        scale = 1.0 / longest
        offset = 0.5 - (low + high) / 2 * scale
        return cls((scale, scale, scale), _triple(offset, "offset"), Preset.UNIFORM)

    @classmethod
    def conr(cls, body_height_m: float, sole_m: float = 0.0, middle_m: tuple[float, float] = (0.0, 0.0)) -> UdpEncoding:
        """CoNR's own scale, as far as it is known: soles at z 0.03, crown at 0.95, the middle at x 0.5 and y 0.4.

        The body's height is that from the soles to the crown, without hair and hat; `sole_m` is the soles' height in
        the character's frame, `middle_m` the X and Y of the body's axis. Hair and capes may be clipped.
        """
        if not (math.isfinite(body_height_m) and body_height_m > 0):
            raise InputError(f"A body cannot be {body_height_m:g} m high: give its height from soles to crown")
        scale = np.array(_CONR_SCALES) / body_height_m
        offset = _CONR_OFFSETS - scale * _triple((*middle_m, sole_m), "origin")
        return cls(_triple(scale, "scale"), _triple(offset, "offset"), Preset.CONR)

    def encode(self, rest: npt.ArrayLike) -> Float32:
        """Colours (..., 3), float32 in 0..1, of rest coordinates (..., 3). What has none, NaN, stays NaN."""
        return np.clip(self._unclipped(rest), 0.0, 1.0).astype(np.float32)

    def decode(self, colours: npt.ArrayLike) -> Float64:
        """Rest coordinates (..., 3) in metres of colours (..., 3), or (..., 4): NaN where alpha is 0.

        What was clipped comes back as a point on the side of the box that clipped it.
        """
        numbers = np.asarray(colours, dtype=np.float64)
        if numbers.shape[-1:] not in ((3,), (4,)):
            raise InputError(f"UDP colours have 3 or 4 channels, not the shape {numbers.shape}")
        rest = (numbers[..., :3] - self.offset) / self.scale
        if numbers.shape[-1] == 4:
            rest[numbers[..., 3] == 0] = np.nan
        return np.asarray(rest)

    def clipped(self, rest: npt.ArrayLike) -> Bool:
        """(...), which rest coordinates (..., 3) lie beyond what the colours can hold."""
        encoded = self._unclipped(rest)
        return np.asarray(((encoded < -ROUNDING) | (encoded > 1.0 + ROUNDING)).any(axis=-1))

    def clipped_share(self, rest: npt.ArrayLike, triangles: npt.NDArray[np.integer[Any]] | None = None) -> float:
        """The share of vertices (V, 3) that is clipped; with triangles (T, 3) between them, that of their area.

        What has no rest coordinate, NaN, does not count; of nothing the share is 0.
        """
        points = _points(rest)
        if triangles is None:
            has_rest = np.isfinite(points).all(axis=-1)
            return int(self.clipped(points[has_rest]).sum()) / max(int(has_rest.sum()), 1)
        corners = points[triangles]
        corners = corners[np.isfinite(corners).all(axis=(1, 2))]
        areas_m2 = _areas(corners)
        whole_m2 = float(areas_m2.sum())
        return max(1.0 - self._held_area(corners, areas_m2) / whole_m2, 0.0) if whole_m2 > 0 else 0.0

    def _unclipped(self, rest: npt.ArrayLike) -> Float64:
        return np.asarray(_points(rest) * self.scale + self.offset)

    def _held_area(self, corners: Float64, areas_m2: Float64) -> float:
        """Square metres of triangles (T, 3 corners, 3), of areas (T,), that lie inside what the colours can hold."""
        encoded = self._unclipped(corners)
        whole = ((encoded >= -ROUNDING) & (encoded <= 1.0 + ROUNDING)).all(axis=(1, 2))
        held_m2 = float(areas_m2[whole].sum())
        cut = corners[~whole]
        for axis in range(3):
            for side in (1, -1):
                # How far inside of this side of the box, in the colours' unit.
                at = cut[..., axis] * self.scale[axis] + self.offset[axis]
                cut = _cut(cut, ROUNDING + (at if side > 0 else 1.0 - at))
        return held_m2 + float(_areas(cut).sum())


def _cut(corners: Float64, inside: Float64) -> Float64:
    """What of triangles (T, 3, 3) lies where `inside` (T, 3), known at the corners and linear between, is not < 0."""
    is_in = inside >= 0
    count = is_in.sum(axis=1)
    pieces = [corners[count == 3]]
    for single, has_one_in in ((1, True), (2, False)):
        chosen = count == single
        # The corner that is alone on its side of the plane comes first.
        first = np.argmax(is_in[chosen] == has_one_in, axis=1)
        order = (first[:, None] + np.arange(3)) % 3
        alone, second, third = np.take_along_axis(corners[chosen], order[..., None], axis=1).swapaxes(0, 1)
        d0, d1, d2 = np.take_along_axis(inside[chosen], order, axis=1).T[..., None]
        to_second = alone + (second - alone) * (d0 / (d0 - d1))
        to_third = alone + (third - alone) * (d0 / (d0 - d2))
        if has_one_in:
            pieces.append(np.stack((alone, to_second, to_third), axis=1))
        else:
            pieces.append(np.stack((to_second, second, third), axis=1))
            pieces.append(np.stack((to_second, third, to_third), axis=1))
    return np.concatenate(pieces)


def _areas(corners: Float64) -> Float64:
    """(T,) of triangles (T, 3, 3)."""
    # Written out: np.cross takes several times as long.
    (ax, ay, az), (bx, by, bz) = ((corners[:, corner] - corners[:, 0]).T for corner in (1, 2))
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return np.asarray(np.sqrt(x * x + y * y + z * z) / 2)


def _points(rest: npt.ArrayLike) -> Float64:
    points = np.asarray(rest, dtype=np.float64)
    if points.shape[-1:] != (3,):
        raise InputError(f"Rest coordinates have X, Y and Z, not the shape {points.shape}")
    return points


def _box(bounds: npt.ArrayLike) -> Float64:
    box = np.asarray(bounds, dtype=np.float64)
    if box.shape != (2, 3) or not np.isfinite(box).all() or (box[0] > box[1]).any():
        raise InputError("The bounds of a rest pose are its lowest and its highest X, Y and Z: give (2, 3) numbers")
    return box


def _triple(numbers: npt.ArrayLike, what: str) -> Triple:
    try:
        x, y, z = np.asarray(numbers, dtype=np.float64).tolist()
        if all(math.isfinite(number) for number in (x, y, z)):
            return x, y, z
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"UDP {what} {numbers!r:.60} is not a number for each of X, Y and Z: give three")
