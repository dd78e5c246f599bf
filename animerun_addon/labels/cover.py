# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether anything lies in front of given points at their exact places in a picture: a ray cast on the image plane.

It takes time for each point: occlusion.py asks it about those that the visibility buffer leaves in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks
from .projection import on_image
from .snapshot import Bool, Camera, Float64, Int32, Snapshot
from .surface import determinants, edges_of, seen_from_behind

Places = npt.NDArray[np.intp]

# Nothing nearer by less than this share of the depth hides a point: rounding, and faces that lie on each other.
DEPTH_TOLERANCE = 1e-5
# How far outside of a triangle (in barycentrics) still is on its edge, so that no ray slips between two triangles.
_EDGE = 1e-9
# What rounding to float32 may move a bounding box by.
_BOX_MARGIN_PX = 0.01
_PAIRS_AT_ONCE = 1 << 17
# A cut-out is there from this alpha on.
_OPAQUE = 0.5


@dataclass(frozen=True)
class PicturePoints:
    """Points (P,) in a camera's picture, and how near what they stand for is."""

    x_px: Float64
    y_px: Float64
    nearness: Float64  # see nearness()
    in_front: Bool  # of a surface that is drawn over the rest

    def __getitem__(self, rows: Places) -> PicturePoints:
        return PicturePoints(self.x_px[rows], self.y_px[rows], self.nearness[rows], self.in_front[rows])


def nearness(camera: Camera, depth_m: Float64) -> Float64:
    """A number that grows towards the camera and is linear in the picture on a plane: 1 / depth, or -depth."""
    if camera.is_orthographic:
        # Any finite number that is farther than all things will do for what is infinitely far.
        return np.maximum(-depth_m, -1e30)
    return 1.0 / depth_m


def nearness_planes(camera: Camera, image_corners: Float64, edges: Float64) -> Float64:
    """(K, 3): times (x_px, y_px, 1), the nearness of triangles' planes; not finite where they are seen edge-on."""
    weights = -image_corners[:, :, 3] if camera.is_orthographic else np.ones(image_corners.shape[:2])
    total = sum(weights[:, corner, None] * edges[:, 3 * corner : 3 * corner + 3] for corner in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(total / np.abs(determinants(image_corners, edges))[:, None])


def hiding_nearness(of_points: Float64) -> Float64:
    """What is nearer than this hides points of this nearness."""
    return np.asarray(of_points + DEPTH_TOLERANCE * np.abs(of_points))


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
    cells = np.minimum(points.y_px.astype(np.intp), height - 1) * width + np.minimum(
        points.x_px.astype(np.intp), width - 1
    )
    order = np.argsort(cells, kind="stable")
    counts = np.bincount(cells, minlength=width * height)
    vertices = on_image(camera, snapshot.positions)
    triangles, boxes = _near_points(snapshot, vertices, counts.reshape(height, width))
    image_corners = vertices[snapshot.triangles[triangles]]
    drawn = ~(snapshot.culls_back[triangles] & seen_from_behind(image_corners))
    triangles, boxes, image_corners = triangles[drawn], boxes[:, drawn], image_corners[drawn]
    edges = edges_of(image_corners)
    planes = nearness_planes(camera, image_corners, edges)
    nearest, farthest = nearness(camera, np.array((camera.clip_start_m, camera.clip_end_m)))
    hiding = hiding_nearness(points.nearness)
    for faces, hit in _pairs(boxes, counts, width):
        at = order[hit]
        x, y = points.x_px[at], points.y_px[at]
        shares = _shares(edges[faces], x, y)
        rows = planes[faces]
        with np.errstate(invalid="ignore"):  # planes seen edge-on
            near = rows[:, 0] * x + rows[:, 1] * y + rows[:, 2]
        in_front = snapshot.in_front[triangles[faces]]
        hides = np.where(in_front == points.in_front[at], near > hiding[at], in_front)
        inside = (shares.min(axis=0) >= -_EDGE * shares.sum(axis=0)) & (shares.sum(axis=0) > 0.0)
        blocking = np.flatnonzero(hides & inside & (near <= nearest) & (near >= farthest))
        blocking = blocking[_is_opaque(snapshot, triangles[faces[blocking]], shares[:, blocking])]
        result[at[blocking]] = True
    return result


def _near_points(
    snapshot: Snapshot, vertices: Float64, counts: npt.NDArray[np.intp]
) -> tuple[Places, npt.NDArray[np.intp]]:
    """Triangles whose boxes hold at least one point, and the boxes (4, S): first column, end, first row, end."""
    height, width = counts.shape
    sums = np.zeros((height + 1, width + 1), dtype=np.int32)
    sums[1:, 1:] = counts
    # Sums along rows are several times faster than along columns: turn the picture in between.
    sums = np.ascontiguousarray(sums.cumsum(axis=1, dtype=np.int32).T).cumsum(axis=1, dtype=np.int32)
    # A corner behind the camera has no place: NaN, so that its triangle's box becomes the whole picture.
    scale = 1.0 / np.where(vertices[:, 2] > 0.0, vertices[:, 2], np.nan)
    x_px, y_px = ((vertices[:, axis] * scale).astype(np.float32) for axis in range(2))
    boxes = np.empty((4, len(snapshot.triangles)), dtype=np.int32)
    holds_points = np.empty(len(snapshot.triangles), dtype=np.bool_)

    def work(part: slice) -> None:
        corners = snapshot.triangles[part].T
        boxes[:2, part] = _box(x_px, corners, width)
        boxes[2:, part] = _box(y_px, corners, height)
        left, right, top, bottom = boxes[:, part]
        holds_points[part] = sums[right, bottom] - sums[right, top] > sums[left, bottom] - sums[left, top]

    in_chunks(len(snapshot.triangles), work)
    chosen = np.flatnonzero(holds_points)
    return chosen, boxes[:, chosen].astype(np.intp)


def _box(px: npt.NDArray[np.float32], corners: Int32, size: int) -> npt.NDArray[np.float32]:
    """(2, T): first pixel and the one after the last, of triangles (3, T) along one axis of the picture."""
    a, b, c = px[corners]
    low = np.nan_to_num(np.minimum(np.minimum(a, b), c) - _BOX_MARGIN_PX, nan=0.0)
    high = np.nan_to_num(np.maximum(np.maximum(a, b), c) + _BOX_MARGIN_PX, nan=float(size))
    return np.stack((np.floor(np.clip(low, 0, size)), np.ceil(np.clip(high, 0, size))))


def _pairs(boxes: npt.NDArray[np.intp], counts: npt.NDArray[np.intp], width: int) -> Iterator[tuple[Places, Places]]:
    """Places in boxes (4, S), and of points sorted by their cells, that lie in each: some pairs at a time."""
    first_point = np.concatenate(([0], np.cumsum(counts)))
    left, right, top, bottom = boxes
    # In the sorted points, those in one row of a box are one run.
    faces, row = _expanded(bottom - top)
    cells = (top[faces] + row) * width
    starts = first_point[cells + left[faces]]
    lengths = first_point[cells + right[faces]] - starts
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


def _shares(edges: Float64, x: Float64, y: Float64) -> Float64:
    """(3, n): barycentrics of image points up to a positive factor, from edges (n, 9)."""
    return np.stack([edges[:, at] * x + edges[:, at + 1] * y + edges[:, at + 2] for at in (0, 3, 6)])


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
