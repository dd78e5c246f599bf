# SPDX-License-Identifier: GPL-3.0-or-later
"""Polygon shapes from numpy: rings, tubes, strands, boxes, sheets. No bpy here, and no knowledge of what they depict.

A tube's rings run counter-clockwise when one looks from its end to its start, so that all its faces look outward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Shape:
    """Polygons: `points` (N, 3); `corners` (C,) point numbers, face after face; `sizes` and `slots` (F,).

    `slots` are material numbers, `weights` maps bone names to (N,) influences, `uv` is (C, 2) or None.
    """

    points: Floats
    corners: Ints
    sizes: Ints
    slots: Ints
    weights: dict[str, Floats] = field(default_factory=dict)
    uv: Floats | None = None

    @property
    def triangle_count(self) -> int:
        """How many triangles the faces fall into."""
        return int((self.sizes - 2).sum())


def shape(points: ArrayLike, faces: Sequence[Sequence[int]], slot: int = 0) -> Shape:
    """A shape from (N, 3) points and lists of point numbers."""
    sizes = np.array([len(face) for face in faces], dtype=np.int32)
    corners = np.array([corner for face in faces for corner in face], dtype=np.int32)
    return Shape(np.asarray(points, dtype=np.float64), corners, sizes, np.full(len(sizes), slot, dtype=np.int32))


def joined(parts: Sequence[Shape]) -> Shape:
    """All parts as one shape. A part without a bone's weights gets zeros there."""
    starts = np.cumsum([0] + [len(part.points) for part in parts])
    bones = list(dict.fromkeys(bone for part in parts for bone in part.weights))
    weights = {
        bone: np.concatenate([part.weights.get(bone, np.zeros(len(part.points))) for part in parts]) for bone in bones
    }
    uv = None
    if any(part.uv is not None for part in parts):
        uv = np.concatenate([part.uv if part.uv is not None else np.zeros((len(part.corners), 2)) for part in parts])
    return Shape(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.corners + start for part, start in zip(parts, starts, strict=False)]).astype(np.int32),
        np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.slots for part in parts]),
        weights,
        uv,
    )


def moved(
    part: Shape, offset: ArrayLike = (0.0, 0.0, 0.0), scale: ArrayLike = 1.0, matrix: ArrayLike | None = None
) -> Shape:
    """The shape scaled, then turned by a 3x3 rotation, then shifted."""
    points = part.points * np.asarray(scale, dtype=np.float64)
    if matrix is not None:
        points = points @ np.asarray(matrix, dtype=np.float64).T
    return replace(part, points=points + np.asarray(offset, dtype=np.float64))


def mirrored(part: Shape) -> Shape:
    """The shape reflected in x = 0, faces turned so that they still look outward, `.L` and `.R` weights swapped."""
    ends = np.cumsum(part.sizes)
    order = np.repeat(2 * ends - part.sizes - 1, part.sizes) - np.arange(len(part.corners))
    other_side = {".L": ".R", ".R": ".L"}
    weights = {
        bone[:-2] + other_side[bone[-2:]] if bone[-2:] in other_side else bone: weight
        for bone, weight in part.weights.items()
    }
    return replace(
        part,
        points=part.points * (-1.0, 1.0, 1.0),
        corners=part.corners[order],
        uv=None if part.uv is None else part.uv[order],
        weights=weights,
    )


def face_centres(part: Shape) -> Floats:
    """The mean of each face's corners, (F, 3)."""
    starts = np.concatenate([[0], np.cumsum(part.sizes)[:-1]])
    return np.asarray(np.add.reduceat(part.points[part.corners], starts, axis=0) / part.sizes[:, None])


def painted(part: Shape, where: NDArray[np.bool_], slot: int) -> Shape:
    """The shape with another material on some faces (F,)."""
    return replace(part, slots=np.where(where, slot, part.slots))


def weighted(part: Shape, weights: dict[str, Floats]) -> Shape:
    """The shape with these influences."""
    return replace(part, weights=weights)


def turned(part: Shape) -> Shape:
    """The shape with its faces looking the other way."""
    there_and_back = mirrored(part)
    return replace(there_and_back, points=part.points, weights=part.weights)


# --- curves -----------------------------------------------------------------------------------------------------------


def smooth_curve(knots: ArrayLike, count: int) -> Floats:
    """`count` points (count, D) on a Catmull-Rom curve through the knots (K, D), evenly spread over the knots."""
    given = np.asarray(knots, dtype=np.float64)
    padded = np.concatenate([2 * given[:1] - given[1:2], given, 2 * given[-1:] - given[-2:-1]])
    where = np.linspace(0.0, len(given) - 1.0, count)
    piece = np.minimum(where.astype(int), len(given) - 2)
    t = (where - piece)[:, None]
    before, start, end, after = (padded[piece + shift] for shift in range(4))
    return 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )


def smoothstep(low: float, high: float, value: ArrayLike) -> Floats:
    """0 below `low`, 1 above `high`, smooth between; `low` may be the larger one."""
    t = np.clip((np.asarray(value, dtype=np.float64) - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def unit(vectors: ArrayLike) -> Floats:
    """The vectors (..., 3) at length one."""
    given = np.asarray(vectors, dtype=np.float64)
    return np.asarray(given / np.maximum(np.linalg.norm(given, axis=-1, keepdims=True), 1e-12))


def frames_along(path: Floats, up_hint: ArrayLike) -> tuple[Floats, Floats]:
    """Directions (right, up), each (R, 3), across the path (R, 3); `up` follows the hint (3,) or hints (R, 3).

    right x up points along the path.
    """
    along = unit(np.gradient(path, axis=0))
    hints = np.broadcast_to(np.asarray(up_hint, dtype=np.float64), path.shape)
    right = unit(np.cross(hints, along))
    return right, np.cross(along, right)


# --- rings and tubes --------------------------------------------------------------------------------------------------


def superellipse(count: int, power: float = 2.0, half: bool = False) -> Floats:
    """Points (count, 2) of a unit superellipse: 2 is a circle, more is boxier.

    `half`: the side x >= 0 only, from (0, -1) to (0, 1).
    """
    angle = np.linspace(-np.pi / 2, np.pi / 2, count) if half else np.arange(count) * (2 * np.pi / count)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    flat = np.sign(circle) * np.abs(circle) ** (2.0 / power)
    if half:
        flat[[0, -1], 0] = 0.0
    return np.asarray(flat)


def limb_rings(path: Floats, radii: ArrayLike, up_hint: ArrayLike, count: int, power: float = 2.0) -> Floats:
    """Rings (R, count, 3) across a path (R, 3); radii (R,) or (R, 2) = half-widths along right and up."""
    right, up = frames_along(path, up_hint)
    sizes = np.asarray(radii, dtype=np.float64)
    if sizes.ndim == 1:
        sizes = np.stack([sizes, sizes], axis=-1)
    outline = superellipse(count, power)
    return np.asarray(
        path[:, None]
        + right[:, None] * (sizes[:, None, :1] * outline[None, :, :1])
        + up[:, None] * (sizes[:, None, 1:] * outline[None, :, 1:])
    )


def level_rings(table: ArrayLike, count: int, power: float = 2.0, half: bool = False) -> Floats:
    """Horizontal rings from rows (z, half width, y of the front, y of the back), bottom to top: (R, count, 3)."""
    z, width, front, back = np.asarray(table, dtype=np.float64).T
    outline = superellipse(count, power, half)
    rings = np.empty((len(z), count, 3))
    rings[:, :, 0] = width[:, None] * outline[None, :, 0]
    rings[:, :, 1] = (front + back)[:, None] / 2 + (back - front)[:, None] / 2 * outline[None, :, 1]
    rings[:, :, 2] = z[:, None]
    return rings


def tube(
    rings: Floats,
    slots: int | Sequence[int] = 0,
    *,
    closed: bool = True,
    caps: tuple[bool, bool] = (True, True),
    bulge: tuple[float, float] = (0.0, 0.0),
) -> Shape:
    """Faces between successive rings (R, S, 3). `slots`: one material, or one for each of the R - 1 bands.

    A cap is a fan around the ring's middle, pushed out by `bulge` times the ring's mean radius.
    `closed=False` leaves each ring open (half of a body that a mirror completes).
    """
    ring_count, size = rings.shape[:2]
    across = size if closed else size - 1
    band = np.arange(ring_count - 1)[:, None] * size
    here = np.arange(across)[None, :]
    ahead = (here + 1) % size
    quads = np.stack([band + here, band + ahead, band + size + ahead, band + size + here], axis=-1).reshape(-1, 4)
    bands = np.full(ring_count - 1, slots) if isinstance(slots, int) else np.asarray(slots)
    points = [rings.reshape(-1, 3)]
    corners, sizes, materials = [quads.ravel()], [np.full(len(quads), 4)], [np.repeat(bands, across)]
    for end, wanted in enumerate(caps):
        if not wanted:
            continue
        ring, inner = (rings[0], rings[1]) if end == 0 else (rings[-1], rings[-2])
        first = 0 if end == 0 else (ring_count - 1) * size
        middle = _middle(ring, closed)
        radius = np.linalg.norm(ring - middle, axis=1).mean()
        middle = middle + unit(middle - _middle(inner, closed)) * radius * bulge[end]
        fan = np.stack([first + here[0], first + ahead[0], np.full(across, sum(map(len, points)))], axis=-1)
        if end == 0:
            fan = fan[:, [1, 0, 2]]
        points.append(middle[None])
        corners.append(fan.ravel())
        sizes.append(np.full(across, 3))
        materials.append(np.full(across, bands[0 if end == 0 else -1]))
    return Shape(
        np.concatenate(points),
        np.concatenate(corners).astype(np.int32),
        np.concatenate(sizes).astype(np.int32),
        np.concatenate(materials).astype(np.int32),
    )


def _middle(ring: Floats, closed: bool) -> Floats:
    """The ring's centre; of an open half ring the middle between its two ends."""
    return np.asarray(ring.mean(axis=0) if closed else (ring[0] + ring[-1]) / 2)


def limb(
    knots: ArrayLike,
    radii: ArrayLike,
    *,
    rings: int,
    count: int = 8,
    up_hint: ArrayLike = (0.0, -1.0, 0.0),
    slots: int | Sequence[int] = 0,
    power: float = 2.0,
    bulge: tuple[float, float] = (0.35, 0.35),
) -> Shape:
    """A closed round tube through knots (K, 3) with radii (K,) or (K, 2), resampled to `rings` rings."""
    path = smooth_curve(knots, rings)
    sizes = np.asarray(radii, dtype=np.float64)
    sizes = smooth_curve(sizes if sizes.ndim == 2 else np.stack([sizes, sizes], axis=-1), rings)
    return tube(limb_rings(path, np.maximum(sizes, 1e-4), up_hint, count, power), slots, bulge=bulge)


def strand(
    knots: ArrayLike,
    outward: ArrayLike,
    width: float,
    *,
    rings: int = 8,
    thickness: float = 0.35,
    root: float = 0.6,
    fullest: float = 0.35,
    slots: int | Sequence[int] = 0,
) -> Shape:
    """A lock of hair: a flat tapering tube of lens-shaped section, broad side towards `outward` (3,) or (K, 3).

    `width` is half its breadth at `fullest`, a fraction of its length; `root` is the share of that at its start.
    """
    path = smooth_curve(knots, rings)
    hints = np.asarray(outward, dtype=np.float64)
    hints = smooth_curve(hints, rings) if hints.ndim == 2 else hints
    t = np.linspace(0.0, 1.0, rings)
    growing = root + (1.0 - root) * smoothstep(0.0, fullest, t)
    past = np.clip((t - fullest) / (1.0 - fullest), 0.0, 1.0)
    breadth = width * np.where(t < fullest, growing, (1.0 - past**1.7))
    breadth = np.maximum(breadth, width * 0.03)
    right, up = frames_along(path, hints)
    # Two sharp edges, a ridge outside, a lower one inside.
    section = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -0.6)])
    rings_xyz = (
        path[:, None]
        + right[:, None] * (breadth[:, None, None] * section[None, :, :1])
        + up[:, None] * (breadth[:, None, None] * thickness * section[None, :, 1:])
    )
    return tube(rings_xyz, slots)


# --- simple solids ----------------------------------------------------------------------------------------------------


def box(low: ArrayLike, high: ArrayLike, slot: int = 0) -> Shape:
    """An axis-aligned box between two corners."""
    corner = np.stack([np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)])
    points = [(corner[x, 0], corner[y, 1], corner[z, 2]) for z in (0, 1) for y in (0, 1) for x in (0, 1)]
    faces = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    return shape(points, faces, slot)


def prism(outline: ArrayLike, low: float, high: float, slot: int = 0) -> Shape:
    """A slab with an outline (N, 2) in x and z (counter-clockwise seen from -y), from y = low to y = high."""
    flat = np.asarray(outline, dtype=np.float64)
    count = len(flat)
    points = np.concatenate([np.insert(flat, 1, low, axis=1), np.insert(flat, 1, high, axis=1)])
    sides = [(i, i + count, (i + 1) % count + count, (i + 1) % count) for i in range(count)]
    return shape(points, [tuple(range(count)), tuple(range(2 * count - 1, count - 1, -1)), *sides], slot)


def ball(centre: ArrayLike, radii: ArrayLike, *, rings: int = 6, count: int = 10, slot: int = 0) -> Shape:
    """An ellipsoid of horizontal rings with a point at either pole."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, rings + 2)[1:-1]
    outline = superellipse(count)
    xyz = np.empty((rings, count, 3))
    xyz[:, :, :2] = np.cos(angle)[:, None, None] * outline[None]
    xyz[:, :, 2] = np.sin(angle)[:, None]
    part = tube(xyz)
    points = part.points.copy()
    points[-2], points[-1] = (0, 0, -1), (0, 0, 1)
    return moved(replace(part, points=points, slots=np.full_like(part.slots, slot)), centre, radii)


def sheet(grid: Floats, slots: int | Sequence[int] = 0) -> Shape:
    """An open surface over a grid of points (R, S, 3); rows upward and columns to the right, it looks at the viewer."""
    return tube(grid, slots, closed=False, caps=(False, False))
