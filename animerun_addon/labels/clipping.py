# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles in clip space, cut at the near and the far plane and far outside the image, as triangles in image pixels.

What becomes of them there (culling, pixels, depth) is decided in rasterize.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .snapshot import Bool, Float64, Int32

# So far from the middle of the image, what sticks out of it is cut off: snapped positions and their products then stay
# below 2**53, where integers and float64 are both exact.
GUARD_PX = 2.0**16

# Clip coordinates beyond this, or that are no numbers, are broken. Products of three others are finite.
SOUND = 1e100
BROKEN = np.uint8(128)  # above the bits of all planes

Places = npt.NDArray[np.intp]
Plane = tuple[float, float, float, float]


@dataclass(frozen=True)
class Pieces:
    """N points and P triangles between them: the snapshot's that are wholly in view, and what is left of those cut."""

    x_px: Float64  # (N,), image, right
    y_px: Float64  # (N,), image, down
    nearness: Float64  # (N,), 1 at the near plane, 0 at the far one, linear in the image
    corners: Int32  # (3, P), rows of the above
    triangle_ids: Int32  # (P,), rows of snapshot.triangles


def clip_positions(clip_from_world: Float64, positions: Float64) -> Float64:
    """World positions (V, 3) in clip space, (4, V). No matmul: BLAS threads can slow small ones down 50 times."""
    x, y, z = np.ascontiguousarray(positions.T)
    with np.errstate(invalid="ignore", over="ignore"):  # broken positions: pieces_in_view leaves them out
        return np.stack([row[0] * x + row[1] * y + row[2] * z + row[3] for row in clip_from_world])


def pieces_in_view(clip: Float64, triangles: Int32, width_px: int, height_px: int) -> Pieces:
    """What of the triangles (T, 3) between clip positions (4, V) lies between the near and the far plane."""
    planes = _planes(width_px, height_px)
    is_sound = (np.abs(clip) < SOUND).all(axis=0)
    clip = np.where(is_sound, clip, 0.0)
    outside = np.where(is_sound, np.uint8(0), BROKEN)
    for bit, plane in enumerate(planes):
        outside |= (_distance(plane, clip) < 0).astype(np.uint8) << np.uint8(bit)
    corners = np.ascontiguousarray(triangles.T)
    first, second, third = outside[corners[0]], outside[corners[1]], outside[corners[2]]
    somewhere_outside = first | second | third
    whole = somewhere_outside == 0
    cut = np.flatnonzero(~whole & (somewhere_outside < BROKEN) & ((first & second & third) == 0))
    whole_ids = np.flatnonzero(whole).astype(np.int32)
    x_px, y_px, nearness = _project(clip, outside == 0, width_px, height_px)
    if not cut.size:
        return Pieces(x_px, y_px, nearness, corners[:, whole_ids], whole_ids)

    cut_clip, cut_from = _clip(np.moveaxis(clip[:, corners[:, cut]], 0, -1).swapaxes(0, 1), planes)
    cut_x_px, cut_y_px, cut_nearness = _project(cut_clip, cut_clip[3] > 0, width_px, height_px)
    cut_corners = np.arange(cut_clip.shape[1], dtype=np.int32).reshape(-1, 3).T + np.int32(clip.shape[1])
    return Pieces(
        np.concatenate([x_px, cut_x_px]),
        np.concatenate([y_px, cut_y_px]),
        np.concatenate([nearness, cut_nearness]),
        np.concatenate([corners[:, whole_ids], cut_corners], axis=1),
        np.concatenate([whole_ids, cut[cut_from].astype(np.int32)]),
    )


def _planes(width_px: int, height_px: int) -> tuple[Plane, ...]:
    """Planes in clip space, positive inside. The near one first: beyond it, w is above 0."""
    guard_x, guard_y = 2 * GUARD_PX / width_px, 2 * GUARD_PX / height_px
    return (
        (0, 0, 1, 1),
        (0, 0, -1, 1),
        (1, 0, 0, guard_x),
        (-1, 0, 0, guard_x),
        (0, 1, 0, guard_y),
        (0, -1, 0, guard_y),
    )


def _distance(plane: Plane, clip: Float64) -> Float64:
    """How far inside clip positions (4, ...) are, in no particular unit."""
    axis = next(i for i in range(3) if plane[i])
    distance: Float64 = plane[axis] * clip[axis] + plane[3] * clip[3]
    return distance


def _project(clip: Float64, is_inside: Bool, width_px: int, height_px: int) -> tuple[Float64, Float64, Float64]:
    """Image x, y and nearness of clip positions (4, N); zeros for those not inside, which may have none."""
    x, y, z, w = clip
    per_w = np.divide(0.5, w, out=np.zeros_like(w), where=is_inside)
    middle = np.where(is_inside, 0.5, 0.0)
    x_px = np.where(is_inside, (x * per_w + middle) * width_px, 0.0)
    y_px = np.where(is_inside, (middle - y * per_w) * height_px, 0.0)
    nearness = np.where(is_inside, (w - z) * per_w, 0.0)
    return x_px, y_px, nearness


def _clip(polygons: Float64, planes: tuple[Plane, ...]) -> tuple[Float64, Places]:
    """Sutherland and Hodgman's clipping of polygons (N, K, 4), then fans: points (4, 3M), each triangle's row (M,)."""
    counts = np.full(len(polygons), polygons.shape[1], np.intp)
    for plane in planes:
        polygons, counts = _clip_at(polygons, counts, plane)
    steps = np.arange(1, polygons.shape[1] - 1)
    source, fan = np.nonzero(steps[None, :] + 1 < counts[:, None])
    steps = steps[fan]
    corners = np.stack([polygons[source, 0], polygons[source, steps], polygons[source, steps + 1]], axis=1)
    return np.ascontiguousarray(corners.reshape(-1, 4).T), source


def _clip_at(polygons: Float64, counts: Places, plane: Plane) -> tuple[Float64, Places]:
    """Polygons (N, K, 4) with `counts` (N,) corners each, cut at one plane: (N, K + 1, 4) and counts."""
    size = polygons.shape[1]
    place = np.arange(size)[None, :]
    is_corner = place < counts[:, None]
    following = np.where(place + 1 < counts[:, None], place + 1, 0)
    distance = _distance(plane, np.moveaxis(polygons, -1, 0))
    is_inside = distance >= 0
    keeps = is_inside & is_corner
    crosses = (is_inside != np.take_along_axis(is_inside, following, axis=1)) & is_corner
    emitted = keeps.astype(np.intp) + crosses
    end = np.cumsum(emitted, axis=1)

    clipped = np.zeros((len(polygons), size + 1, 4))
    row, column = np.nonzero(keeps)
    clipped[row, end[row, column] - emitted[row, column]] = polygons[row, column]
    row, column = np.nonzero(crosses)
    # Always from the inner to the outer end: both triangles at an edge then get the very same point.
    ends = np.stack([column, following[row, column]])
    ends = np.where(is_inside[row, column], ends, ends[::-1])
    inner, outer = distance[row, ends[0]], distance[row, ends[1]]
    share = (inner / (inner - outer))[:, None]
    clipped[row, end[row, column] - 1] = polygons[row, ends[0]] * (1 - share) + polygons[row, ends[1]] * share
    return clipped, end[:, -1]
