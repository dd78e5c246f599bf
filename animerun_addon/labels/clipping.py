# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles in clip space, cut at the near and the far plane and far outside the image, as triangles in image pixels.

What becomes of them there (culling, pixels, depth) is decided in rasterize.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks
from .snapshot import Bool, Float64, Int32

# So far from the middle of the image, what sticks out of it is cut off: snapped positions and their products then stay
# below 2**53, where integers and float64 are both exact.
GUARD_PX = 2.0**16

# Clip coordinates beyond this, or that are no numbers, are broken. Products of three others are finite.
SOUND = 1e100
BROKEN = np.uint8(128)  # above the bits of all planes

# Cells between pixel centres have 16 bits, and these are none: beyond the far plane, and before the near one.
MOST_CELLS = 32_000
BEYOND, BEFORE = np.uint32(0xFFFC_FFFC), np.uint32(0xFFFE_FFFE)
UNSURE = np.uint32(0x0001_0001)
# GPUs snap corners to a grid, of 1/16 pixel at the coarsest.
UNSURE_PX = 1 / 16

Places = npt.NDArray[np.intp]
UInt32 = npt.NDArray[np.uint32]
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
    clip = np.empty((4, len(positions)))

    def work(part: slice) -> None:
        x, y, z = np.ascontiguousarray(positions[part].T)
        with np.errstate(invalid="ignore", over="ignore"):  # broken positions: pieces_in_view leaves them out
            for axis, row in enumerate(clip_from_world):
                clip[axis, part] = row[0] * x + row[1] * y + row[2] * z + row[3]

    in_chunks(len(positions), work)
    return clip


def rows_to_draw(clip: Float64, triangles: Int32, width_px: int, height_px: int) -> Places:
    """The rows, ascending, of triangles (T, 3) between clip positions (4, V) that can cover a pixel centre.

    Of a fine mesh most lie between the centres, and of a large one most beside the image: they need not be drawn.
    """
    if max(width_px, height_px) > MOST_CELLS:
        return np.arange(len(triangles))
    cells = np.empty(clip.shape[1], np.uint32)
    can_cover = np.empty(len(triangles), np.bool_)

    def find_cells(part: slice) -> None:
        x, y, z, w = clip[:, part]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            per_w = 0.5 / w
            column, row = _cell(x * per_w + 0.5, width_px), _cell(y * per_w + 0.5, height_px)
            cell = column | row << np.uint32(16)
            cell[z > w] = BEYOND
            cell[~(z >= -w)] = BEFORE
        cells[part] = cell

    def compare_corners(part: slice) -> None:
        first, second, third = np.take(cells, triangles[part].T)
        # Its fields are 0 where all three corners are in one column, or row, and the first is sure to be.
        difference = (first ^ second) | (first ^ third) | (first & UNSURE)
        can_cover[part] = ((difference & np.uint32(0xFFFF)) != 0) & (difference > np.uint32(0xFFFF))

    in_chunks(len(cells), find_cells)
    in_chunks(len(triangles), compare_corners)
    return np.flatnonzero(can_cover)


def _cell(share: Float64, size_px: int) -> UInt32:
    """Between which pixel centres positions (N,) in 0..1 across the image are: the cell's number, times 2.

    One more where a centre is so near that a rasteriser's grid may have it on the other side. Outside of the image
    everything is in the first or the last cell; so is what is not a number.
    """
    place = np.fmax(np.fmin(share * size_px - 0.5, size_px - 0.5), -0.5)
    cell = np.floor(place + 1)
    is_unsure = np.abs(place - np.rint(place)) < UNSURE_PX
    return cell.astype(np.uint32) << np.uint32(1) | is_unsure


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
