# SPDX-License-Identifier: GPL-3.0-or-later
"""The visibility buffer in numpy: which triangle is seen at each pixel centre. scene/id_pass.py draws it on a GPU.

Triangles become spans (the pixels of one in one row) by exact integers, spans pixels; a pixel keeps its largest key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .clipping import Pieces, clip_positions, pieces_in_view
from .snapshot import NO_SURFACE, Bool, Cutout, Float64, Int32, Snapshot

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]
Numbers = TypeVar("Numbers", Int32, Int64, Float64)

# Corners are snapped to this grid as GPUs do. On integers "inside" is exact: of two triangles that share an edge
# exactly one owns a pixel centre on it. And the edges lie where a GPU draws them.
SUBPIXELS = 256
# Triangles, spans and pixels worked on at once: few enough for the processor's cache, and for any scene's memory.
CHUNK = 1 << 16
# Less high than this, a triangle is a point, a line or seen edge-on: what it has of a height is rounding errors.
DEGENERATE_PX = 1e-9
# A cut-out is there from this alpha on.
OPAQUE = 0.5


def rasterize(snapshot: Snapshot) -> Int32:
    """The row of snapshot.triangles seen at each pixel centre, int32 (H, W); NO_SURFACE where there is none."""
    width, height = snapshot.camera.width_px, snapshot.camera.height_px
    # The bits of a key that hold a triangle's place among them, from 1: 0 is left for pixels that nothing is drawn on.
    id_mask = np.uint64((1 << len(snapshot.triangles).bit_length()) - 1)
    keys = np.zeros(height * width, np.uint64)
    order, _ = draw_order(snapshot, np.arange(len(snapshot.triangles)))
    numbers = np.empty(len(order), np.int32)
    numbers[order] = np.arange(1, len(order) + 1)
    if len(snapshot.triangles):
        clip = clip_positions(snapshot.camera.clip_from_world, snapshot.positions)
        pieces = pieces_in_view(clip, snapshot.triangles, width, height)
        grid = _snapped(pieces.x_px), _snapped(pieces.y_px)
        for start in range(0, len(pieces.triangle_ids), CHUNK):
            faces = _faces(pieces, slice(start, start + CHUNK), grid, snapshot, numbers)
            for chosen, card in _by_cutout(faces, snapshot, clip):
                for spans in _spans(chosen, width):
                    _draw(spans, card, id_mask, keys, width)
    return drawn_rows((keys & id_mask).astype(np.int32).reshape(height, width), order, snapshot)


def draw_order(snapshot: Snapshot, rows: Places) -> tuple[Places, Int32]:
    """`rows` of the triangles as they are drawn, each over what is equally near; and (N,) what tells groups apart.

    Solid ones, then cut-outs (which are seen where they lie flush on a solid surface), in-front ones last; of each,
    those that are culled after those that are not.
    """
    groups = snapshot.in_front[rows].astype(np.int32) * (len(snapshot.cutouts) + 1)
    if snapshot.cutout_ids is not None:
        groups += snapshot.cutout_ids[rows] + 1
    groups = 2 * groups + snapshot.culls_back[rows]
    if not np.any(groups[1:] < groups[:-1]):
        return rows, groups
    by_group = np.argsort(groups, kind="stable")
    return rows[by_group], groups[by_group]


def drawn_rows(numbers: Int32, order: Places, snapshot: Snapshot) -> Int32:
    """From places in the order of drawing, counted from 1, to rows of `triangles`; what holds out is no surface."""
    rows = np.empty(len(order) + 1, np.int32)
    rows[0] = NO_SURFACE
    rows[1:] = np.where(snapshot.holds_out[order], NO_SURFACE, order)
    return rows[numbers]


@dataclass(frozen=True)
class _Faces:
    """F triangles that are not culled and may hold a pixel centre: (F,) where nothing else is said."""

    x: Int64  # (3, F), corners on the grid, clockwise as seen in the image
    y: Int64  # (3, F)
    first_row: Int64  # the pixel rows between the uppermost and the lowest corner
    row_count: Int64
    # (5, F): x_px, y_px and nearness of a corner, and by how much nearness grows a pixel in x and in y
    nearness_plane: Float64
    nearness_range: Float64  # (2, F): least and most of the corners
    tag: UInt64  # a pixel's key, but for the depth
    triangle_ids: Int32

    def __getitem__(self, rows: Places | slice) -> _Faces:
        return _Faces(*(getattr(self, field.name)[..., rows] for field in fields(self)))


@dataclass(frozen=True)
class _Spans:
    """S runs of pixels, each of one face in one row of the image. All (S,)."""

    face: Places  # row of the faces they were made from
    row: Int64
    first_column: Int64
    pixel_count: Int64
    nearness: Float64  # at the first pixel's centre
    nearness_step: Float64  # from each to the next
    tag: UInt64


@dataclass(frozen=True)
class _Card:
    """F faces with one cut-out, and where on it each point of the image lies."""

    cutout: Cutout
    # (3, 3, F): times (x_px, y_px, 1) it gives the corners' shares of the surface point, up to a factor
    weights_from_image: Float64
    uvs: Float64  # (3, 2, F)


def _snapped(image_px: Float64) -> Int32:
    """Image coordinates on the grid."""
    return np.rint(image_px * SUBPIXELS).astype(np.int32)


def _faces(pieces: Pieces, chunk: slice, grid: tuple[Int32, Int32], snapshot: Snapshot, numbers: Int32) -> _Faces:
    """What of a chunk of the pieces, with their points x and y on the grid, is to be drawn."""
    corners, triangle_ids = pieces.corners[:, chunk], pieces.triangle_ids[chunk]
    x, y = grid[0][corners], grid[1][corners]
    _, column_count = _pixels_between(x, snapshot.camera.width_px, owns_first=True)
    first_row, row_count = _pixels_between(y, snapshot.camera.height_px, owns_first=False)
    # Most triangles of a fine mesh lie between the pixel centres and end here.
    near_pixel = np.flatnonzero((column_count > 0) & (row_count > 0))

    x_wide, y_wide = x[:, near_pixel].astype(np.int64), y[:, near_pixel].astype(np.int64)
    corners, triangle_ids = corners[:, near_pixel], triangle_ids[near_pixel]
    x_px, y_px = pieces.x_px[corners], pieces.y_px[corners]
    # Facing by the snapped corners: a mesh then stays closed where its faces turn away from the camera.
    area, area_px = _doubled_area(x_wide, y_wide), _doubled_area(x_px, y_px)
    # y points down here: counter-clockwise in the image is negative.
    is_behind = area < 0 if snapshot.camera.is_mirrored else area > 0
    drawn = np.flatnonzero(
        (area != 0) & ~(is_behind & snapshot.culls_back[triangle_ids]) & (_height(area_px, x_px, y_px) > DEGENERATE_PX)
    )
    first = np.zeros(len(drawn), np.intp)
    turned = np.where(area[drawn] > 0, 1, 2)
    order = np.stack([first, turned, 3 - turned])
    nearness = pieces.nearness[corners[:, drawn]]
    triangle_ids = triangle_ids[drawn]
    return _Faces(
        x_wide[order, drawn],
        y_wide[order, drawn],
        first_row[near_pixel[drawn]].astype(np.int64),
        row_count[near_pixel[drawn]].astype(np.int64),
        _plane(x_px[:, drawn], y_px[:, drawn], nearness, area_px[drawn]),
        np.stack(_least_and_most(nearness)),
        numbers[triangle_ids].astype(np.uint64) | snapshot.in_front[triangle_ids].astype(np.uint64) << np.uint64(63),
        triangle_ids,
    )


def _pixels_between(corners: Int32, size_px: int, *, owns_first: bool) -> tuple[Int32, Int32]:
    """The first pixel centre between the least and the most of grid coordinates (3, P), and how many there are, or < 1.

    One exactly at the least counts where `owns_first`, otherwise one exactly at the most.
    """
    before = SUBPIXELS // 2 - owns_first
    least, most = _least_and_most(corners)
    first = np.maximum((least + before) // SUBPIXELS, 0)
    end = np.minimum((most + before) // SUBPIXELS, size_px)
    return first, end - first


def _least_and_most(corners: Numbers) -> tuple[Numbers, Numbers]:
    """Of each triangle's corners (3, N). Pairwise, which is ten times as fast as along axis 0."""
    least = np.minimum(np.minimum(corners[0], corners[1]), corners[2])
    most = np.maximum(np.maximum(corners[0], corners[1]), corners[2])
    return least, most


def _doubled_area(x: Numbers, y: Numbers) -> Numbers:
    """Twice the area of triangles (3, N), positive when they are clockwise as seen in the image."""
    return (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])


def _height(doubled_area: Float64, x: Float64, y: Float64) -> Float64:
    """The least height of triangles (3, N), from their longest side; zero for points."""
    squared = [(x[i] - x[i - 1]) ** 2 + (y[i] - y[i - 1]) ** 2 for i in range(3)]
    longest = np.sqrt(np.maximum(np.maximum(squared[0], squared[1]), squared[2]))
    return np.abs(doubled_area) / np.maximum(longest, DEGENERATE_PX)


def _plane(x_px: Float64, y_px: Float64, nearness: Float64, doubled_area: Float64) -> Float64:
    """The nearness_plane (5, N) of triangles, corners (3, N).

    Not through the snapped corners: the depth at a pixel centre is the surface's own, exactly.
    """
    (x1, x2), (y1, y2), (n1, n2) = (values[1:] - values[0] for values in (x_px, y_px, nearness))
    along_x, along_y = (n1 * y2 - n2 * y1) / doubled_area, (n2 * x1 - n1 * x2) / doubled_area
    return np.stack([x_px[0], y_px[0], nearness[0], along_x, along_y])


def _spans(faces: _Faces, width_px: int) -> Iterator[_Spans]:
    """The faces' pixels, row by row."""
    for chunk in _chunks(faces.row_count):
        part = faces[chunk]
        face, below = _expanded(part.row_count)
        first = np.zeros(len(face), np.int64)
        end = np.full(len(face), width_px, np.int64)
        for start, stop in ((0, 1), (1, 2), (2, 0)):
            _edge(part, start, stop, face, below, first, end)
        some = np.flatnonzero(end > first)
        face, row, first = face[some], (part.first_row[face] + below)[some], first[some]
        count = end[some] - first
        nearness, step = _nearness(part, face, row, first, count)
        yield _Spans(face + chunk.start, row, first, count, nearness, step, part.tag[face])


def _edge(faces: _Faces, start: int, stop: int, face: Places, below: Int64, first: Int64, end: Int64) -> None:
    """Move `first` and `end` (S,) to the pixels on the inner side of an edge, in the row `below` the face's first.

    Inside is where dx * (y - y0) - dy * (x - x0) is above zero. On left edges and level lower ones it may be zero, as
    on GPUs, whose rows count from below. Solved for the pixel's column in integers. Level edges leave nothing to do:
    _pixels_between has chosen the rows.
    """
    dx, dy = faces.x[stop] - faces.x[start], faces.y[stop] - faces.y[start]
    half = SUBPIXELS // 2
    at_column_0 = dx * (faces.first_row * SUBPIXELS + half - faces.y[start]) - dy * (half - faces.x[start])
    is_left, is_right = dy < 0, dy > 0
    at_column_0 -= is_right  # a right edge does not own the pixel centres on it
    steps = (at_column_0[face] + (dx * SUBPIXELS)[face] * below) // np.maximum(np.abs(dy) * SUBPIXELS, 1)[face]
    np.maximum(first, -steps, out=first, where=is_left[face])
    np.minimum(end, steps + 1, out=end, where=is_right[face])


def _nearness(faces: _Faces, face: Places, row: Int64, first: Int64, count: Int64) -> tuple[Float64, Float64]:
    """Nearness at the first pixel of spans (S,), and its step to the next.

    Held between the corners' at both ends: the centre may lie just outside of a sliver, where its plane is anywhere.
    """
    x_px, y_px, nearness, along_x, along_y = faces.nearness_plane[:, face]
    least, most = faces.nearness_range[:, face]
    at_first = nearness + along_x * (first + 0.5 - x_px) + along_y * (row + 0.5 - y_px)
    at_last = np.clip(at_first + along_x * (count - 1), least, most)
    at_first = np.clip(at_first, least, most)
    return at_first, (at_last - at_first) / np.maximum(count - 1, 1)


def _draw(spans: _Spans, card: _Card | None, id_mask: np.uint64, keys: UInt64, width_px: int) -> None:
    """Raise the keys (H * W,) of the spans' pixels to those of the spans.

    A key is, from its highest bit: in front | nearness | number in the drawing order. Positive floats sort as their
    bits do, and up to 1.0 two of them are free. The number takes the place of the last ones: with a million triangles
    nearness keeps 34 significant bits. Of triangles equally near the later one stays, as on a GPU.
    """
    for chunk in _chunks(spans.pixel_count):
        span, along = _expanded(spans.pixel_count[chunk])
        span += chunk.start
        depth_bits = (spans.nearness[span] + spans.nearness_step[span] * along).view(np.uint64) << np.uint64(1)
        key = (depth_bits & ~id_mask) | spans.tag[span]
        column, row = spans.first_column[span] + along, spans.row[span]
        pixel = row * width_px + column
        if card is not None:
            is_there = _is_there(card, spans.face[span], column + 0.5, row + 0.5)
            pixel, key = pixel[is_there], key[is_there]
        np.maximum.at(keys, pixel, key)


def _by_cutout(faces: _Faces, snapshot: Snapshot, clip: Float64) -> Iterator[tuple[_Faces, _Card | None]]:
    """The faces without a cut-out, and those with each. In any order: the keys decide, not who is drawn last."""
    if snapshot.cutout_ids is None or snapshot.uvs is None or not snapshot.cutouts:
        yield faces, None
        return
    cutout_ids = snapshot.cutout_ids[faces.triangle_ids]
    yield faces[np.flatnonzero(cutout_ids < 0)], None
    for cutout_id in np.unique(cutout_ids[cutout_ids >= 0]):
        chosen = faces[np.flatnonzero(cutout_ids == cutout_id)]
        corners = snapshot.triangles[chosen.triangle_ids].T
        uvs = np.nan_to_num(snapshot.uvs[chosen.triangle_ids].astype(np.float64), posinf=0, neginf=0)
        weights = _weights_from_image(clip[:, corners], snapshot.camera.width_px, snapshot.camera.height_px)
        yield chosen, _Card(snapshot.cutouts[cutout_id], weights, np.moveaxis(uvs, 0, -1))


def _weights_from_image(clip: Float64, width_px: int, height_px: int) -> Float64:
    """A card's weights_from_image, of clip corners (4, 3, F). It holds for corners behind the camera, too."""
    x, y, _, w = clip
    x, y = (x + w) * (width_px / 2), (w - y) * (height_px / 2)
    rows = []
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        rows.append(np.stack([y[j] * w[k] - w[j] * y[k], w[j] * x[k] - x[j] * w[k], x[j] * y[k] - y[j] * x[k]]))
        if i == 0:
            facing = np.sign(x[0] * rows[0][0] + y[0] * rows[0][1] + w[0] * rows[0][2])
    return np.stack(rows) * facing


def _is_there(card: _Card, face: Places, x_px: Float64, y_px: Float64) -> Bool:
    """Whether the cut-out leaves its faces (N,) there at image points (N,)."""
    weights = card.weights_from_image[:, :, face]
    # Below zero is just outside of the triangle, where snapping has moved its edge to.
    shares = np.maximum(weights[:, 0] * x_px + weights[:, 1] * y_px + weights[:, 2], 0)
    shares /= np.maximum(shares.sum(axis=0), np.finfo(np.float64).tiny)
    corner_uvs = card.uvs[:, :, face]
    u, v = shares[0] * corner_uvs[0] + shares[1] * corner_uvs[1] + shares[2] * corner_uvs[2]
    if card.cutout.repeats:
        u, v = u - np.floor(u), v - np.floor(v)
    height, width = card.cutout.alpha.shape
    column = np.clip(np.floor(u * width), 0, width - 1).astype(np.intp)
    row_from_below = np.clip(np.floor(v * height), 0, height - 1).astype(np.intp)
    there: Bool = card.cutout.alpha[height - 1 - row_from_below, column] >= OPAQUE
    return there


def _chunks(counts: Int64) -> Iterator[slice]:
    """Runs of `counts` that sum up to about CHUNK each, at most one of them more."""
    ends = np.cumsum(counts)
    starts = np.flatnonzero(np.diff(ends // CHUNK, prepend=-1))
    for start, stop in pairwise([*starts.tolist(), len(counts)]):
        yield slice(start, stop)


def _expanded(counts: Int64) -> tuple[Places, Int64]:
    """Each row's number as often as it counts, and 0, 1, 2... within each."""
    rows = np.repeat(np.arange(len(counts), dtype=np.intp), counts)
    return rows, np.arange(len(rows), dtype=np.int64) - (np.cumsum(counts) - counts)[rows]
