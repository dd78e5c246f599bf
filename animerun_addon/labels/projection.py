# SPDX-License-Identifier: GPL-3.0-or-later
"""Between world space and a camera's picture, in float64: where points land, and the rays through pixels.

Homogeneous image coordinates (x·w, y·w, w) are used throughout: x, y in pixels, y down, w > 0 before a perspective
camera. They stay finite for points beside and behind the camera, so nothing here needs clipping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks

if TYPE_CHECKING:  # snapshot.py asks here where its vertices are in the picture
    from .snapshot import Camera, Float64, Int32

# What rounding may move the end of a box by.
_BOX_MARGIN_PX = 0.01
# Triangles are cut off a little before clip start: rounding must not lose what is right at it.
_SHORT_OF_START = 0.99


def image_from_world(camera: Camera) -> Float64:
    """(4, 4): rows x·w, y·w, w in pixels, and the depth in metres along the view axis."""
    clip_x, clip_y, _, clip_w = camera.clip_from_world
    rows = ((clip_x + clip_w) * (camera.width_px / 2), (clip_w - clip_y) * (camera.height_px / 2), clip_w)
    return np.array((*rows, -camera.camera_from_world[2]), dtype=np.float64)


def transformed(target_from_source: Float64, points: Float64) -> Float64:
    """Points (N, 3) through a matrix (R, 4): (R, N)."""
    result = np.empty((len(target_from_source), len(points)))

    def work(part: slice) -> None:
        # Explicit multiply-adds: BLAS threads can slow such small products fifty-fold.
        x, y, z = np.ascontiguousarray(points[part].T)
        for row, (of_x, of_y, of_z, constant) in enumerate(target_from_source):
            result[row, part] = x * of_x + y * of_y + z * of_z + constant

    in_chunks(len(points), work)
    return result


def on_image(camera: Camera, points_m: Float64) -> Float64:
    """World points (N, 3) as (4, N): x·w, y·w, w in pixels, and depth in metres along the view axis."""
    return transformed(image_from_world(camera), points_m)


def boxes_on_image(camera: Camera, image_vertices: Float64, triangles: Int32) -> Int32:
    """(4, T): first column, end, first row, end of the pixels that triangles (T, 3) may touch, from clip start on."""
    count = image_vertices.shape[1]
    ends = np.empty((4, count), dtype=np.int32)  # of each vertex
    # An orthographic camera's w is 1 everywhere.
    nearest = 0.0 if camera.is_orthographic else camera.clip_start_m * _SHORT_OF_START
    is_before = image_vertices[2] > nearest

    def each_vertex(part: slice) -> None:
        ends[:, part] = _ends(camera, image_vertices[:3, part], is_before[part])

    in_chunks(count, each_vertex)
    boxes = np.empty((4, len(triangles)), dtype=np.int32)

    def each_triangle(part: slice) -> None:
        a, b, c = triangles[part].T.astype(np.intp, order="C")
        for row in (0, 2):
            boxes[row, part] = np.minimum(np.minimum(ends[row][a], ends[row][b]), ends[row][c])
        for row in (1, 3):
            boxes[row, part] = np.maximum(np.maximum(ends[row][a], ends[row][b]), ends[row][c])
        # Wholly behind the camera it touches nothing; a street that the camera walks has half a town there.
        before = is_before[a].astype(np.int8) + is_before[b] + is_before[c]
        boxes[:, part] *= before > 0
        crossing = np.flatnonzero((before > 0) & (before < 3))
        if len(crossing):
            corners = np.stack([image_vertices[:3, corner[crossing]] for corner in (a, b, c)], axis=1)
            boxes[:, part.start + crossing] = _boxes_of_crossing(camera, corners, nearest)

    in_chunks(len(triangles), each_triangle)
    return boxes


def _ends(camera: Camera, points: Float64, is_before: npt.NDArray[np.bool_]) -> Int32:
    """(4, ...): first column, end, first row, end of what image points (3, ...) may touch; behind the camera, all."""
    x, y, w = points
    ends = np.empty((4, *w.shape), dtype=np.int32)
    scale = 1.0 / np.where(is_before, w, 1.0)
    for row, (along, size) in enumerate(((x, camera.width_px), (y, camera.height_px))):
        px = along * scale
        ends[2 * row] = np.where(is_before, np.clip(np.floor(px - _BOX_MARGIN_PX), 0, size), 0)
        ends[2 * row + 1] = np.where(is_before, np.clip(np.ceil(px + _BOX_MARGIN_PX), 0, size), size)
    return ends


def _boxes_of_crossing(camera: Camera, corners: Float64, nearest: float) -> Int32:
    """(4, K) for the parts beyond w = `nearest` of triangles with image corners (3, 3 corners, K) on both sides."""
    following = corners[:, (1, 2, 0)]
    w, next_w = corners[2], following[2]
    crosses = (w > nearest) != (next_w > nearest)
    share = (nearest - w) / np.where(crosses, next_w - w, 1.0)
    points = np.concatenate((corners, corners + (following - corners) * share), axis=1)
    points[2, 3:] = nearest
    counts = np.concatenate((w > nearest, crosses))
    ends = _ends(camera, points, counts)
    first, last = np.where(counts, ends[::2], np.iinfo(np.int32).max), np.where(counts, ends[1::2], 0)
    boxes: Int32 = np.stack((first.min(axis=1), last.max(axis=1)), axis=1).reshape(4, -1)
    return boxes


def nearness(camera: Camera, depth_m: Float64) -> Float64:
    """A number that grows towards the camera and is linear in the picture on a plane: 1 / depth, or -depth."""
    if camera.is_orthographic:
        # Any finite number that is farther than all things will do for what is infinitely far.
        return np.maximum(-depth_m, -1e30)
    return 1.0 / depth_m


def depth_from_nearness(camera: Camera, near: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """What `nearness` made a number of."""
    if camera.is_orthographic:
        return np.where(near > -1e30, -near, np.inf)
    with np.errstate(divide="ignore"):
        return 1.0 / near


def camera_rays(camera: Camera, x_px: Float64, y_px: Float64) -> tuple[Float64, Float64]:
    """Origins and directions (N, 3) of the rays through image points (N,): origin + depth * direction, world metres."""
    to_image = image_from_world(camera)
    # Perspective: every ray starts at the camera, and w is the depth. Orthographic: w = 1, and the depth is a row.
    rows = (0, 1, 3) if camera.is_orthographic else (0, 1, 2)
    world_from_image = np.linalg.inv(to_image[rows, :3])
    shift = to_image[rows, 3]
    if camera.is_orthographic:
        origins = _rotated(world_from_image, np.stack((x_px, y_px, np.zeros_like(x_px)), axis=-1) - shift)
        return origins, np.broadcast_to(world_from_image[:, 2], origins.shape)
    directions = _rotated(world_from_image, np.stack((x_px, y_px, np.ones_like(x_px)), axis=-1))
    return np.broadcast_to(-(world_from_image @ shift), directions.shape), directions


def infinity_from_image(camera: Camera, other: Camera) -> Float64:
    """(3, 3): image points (x, y, 1) of infinitely far things to (x·w, y·w, w) in another perspective camera."""
    rotation, other_rotation = image_from_world(camera)[:3, :3], image_from_world(other)[:3, :3]
    return other_rotation @ np.linalg.inv(rotation)


def _rotated(matrix: Float64, points: Float64) -> Float64:
    """Points (N, 3) through a matrix (3, 3)."""
    return transformed(np.column_stack((matrix, np.zeros(3))), points).T
