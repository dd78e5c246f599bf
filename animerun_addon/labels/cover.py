# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether anything lies in front of given points at their exact places in a picture: a ray cast on the image plane.

It takes time for each point: occlusion.py asks it about those that the visibility buffer leaves in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks
from .projection import nearness
from .snapshot import Bool, Float64, Int32, Snapshot
from .surface import Places, determinants, edges_of, nearness_planes, seen_from_behind

_Real = TypeVar("_Real", np.float32, np.float64)

# Nothing nearer by less than this share of the depth hides a point: rounding, and faces that lie on each other.
DEPTH_TOLERANCE = 1e-5
# How far outside of a triangle (in barycentrics) still is on its edge, so that no ray slips between two triangles.
_EDGE = 1e-9
_PAIRS_AT_ONCE = 1 << 17
_BLOCK_PX = 8
# A cut-out is there from this alpha on.
_OPAQUE = 0.5


@dataclass(frozen=True)
class PicturePoints:
    """Points (P,) in a camera's picture, and how near what they stand for is."""

    x_px: Float64
    y_px: Float64
    nearness: Float64  # see projection.nearness
    in_front: Bool  # of a surface that is drawn over the rest

    def __getitem__(self, rows: Places) -> PicturePoints:
        return PicturePoints(self.x_px[rows], self.y_px[rows], self.nearness[rows], self.in_front[rows])


def hiding_nearness(of_points: npt.NDArray[_Real]) -> npt.NDArray[_Real]:
    """What is nearer than this hides points of this nearness."""
    return np.abs(of_points) * DEPTH_TOLERANCE + of_points


def covered(snapshot: Snapshot, points: PicturePoints) -> Bool:
    """(P,): whether any drawn triangle of `snapshot`, hold-outs included, lies before the points in its picture.

    Points must lie in the picture. As drawn: culled faces hide nothing, cut-outs only where they are opaque, nothing
    beyond the clip range, and what is in front hides all that is not.
    """
    result = np.zeros(len(points.x_px), dtype=np.bool_)
    if not len(result) or not len(snapshot.triangles):
        return result
    camera = snapshot.camera
    width, height = camera.width_px, camera.height_px
    row = np.minimum(points.y_px.astype(np.intp), height - 1)
    column = np.minimum(points.x_px.astype(np.intp), width - 1)
    cells = row * width + column
    order = np.argsort(cells)
    triangles = _near_points(snapshot.boxes_px, row // _BLOCK_PX, column // _BLOCK_PX)
    image_corners = np.take(snapshot.image_vertices, snapshot.triangles[triangles].T, axis=1)
    edges = edges_of(image_corners)
    determinant = determinants(image_corners, edges)
    drawn = ~(snapshot.culls_back[triangles] & seen_from_behind(camera, determinant))
    triangles, determinant = triangles[drawn], determinant[drawn]
    image_corners, edges = image_corners[:, :, drawn], edges[:, :, drawn]
    edges *= np.where(determinant < 0.0, -1.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        planes = nearness_planes(camera, edges, image_corners[3]) / np.abs(determinant)
    nearest, farthest = nearness(camera, np.array((camera.clip_start_m, camera.clip_end_m)))
    hiding = hiding_nearness(points.nearness)
    for faces, hit in _pairs(snapshot.boxes_px[:, triangles].astype(np.intp), cells[order], width):
        at = order[hit]
        x, y = points.x_px[at], points.y_px[at]
        shares = _at(edges[:, :, faces], x, y)
        with np.errstate(invalid="ignore"):  # planes seen edge-on
            near = _at(planes[:, faces], x, y)
        in_front = snapshot.in_front[triangles[faces]]
        hides = np.where(in_front == points.in_front[at], near > hiding[at], in_front)
        inside = (shares.min(axis=0) >= -_EDGE * shares.sum(axis=0)) & (shares.sum(axis=0) > 0.0)
        blocking = np.flatnonzero(hides & inside & (near <= nearest) & (near >= farthest))
        blocking = blocking[_is_opaque(snapshot, triangles[faces[blocking]], shares[:, blocking])]
        result[at[blocking]] = True
    return result


def _near_points(boxes: Int32, block_row: Places, block_column: Places) -> Places:
    """Triangles whose boxes (4, T) touch a block of pixels that holds at least one of the points (P,)."""
    columns = int(block_column.max()) + 2
    sums = np.zeros((int(block_row.max()) + 2, columns), dtype=np.int32)
    sums[block_row + 1, block_column + 1] = 1
    sums = sums.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
    last_row, last_column = (size - 1 for size in sums.shape)
    sums = sums.reshape(-1)
    near_point = np.empty(boxes.shape[1], dtype=np.bool_)

    def work(part: slice) -> None:
        left, right, top, bottom = boxes[:, part]
        left, right = np.minimum(left // _BLOCK_PX, last_column), np.minimum((right - 1) // _BLOCK_PX + 1, last_column)
        top, bottom = (np.minimum(row, last_row) * columns for row in (top // _BLOCK_PX, (bottom - 1) // _BLOCK_PX + 1))
        near_point[part] = sums[bottom + right] - sums[bottom + left] > sums[top + right] - sums[top + left]

    in_chunks(boxes.shape[1], work)
    return np.flatnonzero(near_point)


def _pairs(boxes: Places, cells: Places, width: int) -> Iterator[tuple[Places, Places]]:
    """Places in boxes (4, S), and of points with ascending cells (P,), that lie in each: some pairs at a time."""
    left, right, top, bottom = boxes
    # In the sorted points, those in one row of a box are one run.
    faces, row = _expanded(bottom - top)
    row_start = (top[faces] + row) * width
    starts = np.searchsorted(cells, row_start + left[faces])
    lengths = np.searchsorted(cells, row_start + right[faces]) - starts
    filled = np.flatnonzero(lengths)
    faces, starts, lengths = faces[filled], starts[filled], lengths[filled]
    groups = np.cumsum(lengths) // _PAIRS_AT_ONCE
    for part in np.split(np.arange(len(faces)), np.flatnonzero(np.diff(groups)) + 1):
        run, step = _expanded(lengths[part])
        yield faces[part][run], starts[part][run] + step


def _expanded(counts: npt.NDArray[np.intp]) -> tuple[Places, Places]:
    """Each row's place as often as it counts, and 0, 1, 2... within each."""
    rows = np.repeat(np.arange(len(counts)), counts)
    return rows, np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]


def _at(terms: Float64, x: Float64, y: Float64) -> Float64:
    """(..., n) at image points, from what is (3, ..., n) times 1, x and y."""
    return np.asarray(terms[0] + terms[1] * x + terms[2] * y)


def _is_opaque(snapshot: Snapshot, triangles: Places, shares: Float64) -> Bool:
    """(n,): whether the triangles' cut-outs leave them there; their points by shares (3, n)."""
    opaque = np.ones(len(triangles), dtype=np.bool_)
    if snapshot.cutout_ids is None or snapshot.uvs is None:
        return opaque
    cutout_ids = snapshot.cutout_ids[triangles]
    for number in np.unique(cutout_ids[cutout_ids >= 0]):
        rows = np.flatnonzero(cutout_ids == number)
        weights = np.maximum(shares[:, rows], 0.0)
        uvs = np.nan_to_num(snapshot.uvs[triangles[rows]].astype(np.float64))
        u, v = ((weights.T * uvs[:, :, axis]).sum(axis=1) / weights.sum(axis=0) for axis in range(2))
        cutout = snapshot.cutouts[number]
        if cutout.repeats:
            u, v = u - np.floor(u), v - np.floor(v)
        height, width = cutout.alpha.shape
        column = np.clip(np.floor(u * width), 0, width - 1).astype(np.intp)
        row = np.clip(np.floor((1.0 - v) * height), 0, height - 1).astype(np.intp)
        opaque[rows] = cutout.alpha[row, column] >= _OPAQUE
    return opaque
