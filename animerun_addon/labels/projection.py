# SPDX-License-Identifier: GPL-3.0-or-later
"""Between world space and a camera's picture, in float64: where points land, and the rays through pixels.

Homogeneous image coordinates (x·w, y·w, w) are used throughout: x, y in pixels, y down, w > 0 before a perspective
camera. They stay finite for points beside and behind the camera, so nothing here needs clipping.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks
from .snapshot import Camera, Float64


def pixel_centres(pixels: npt.NDArray[np.intp], width_px: int) -> tuple[Float64, Float64]:
    """x and y (N,) of the centres of the pixels at flat places (N,) of a row-major picture."""
    y, x = np.divmod(pixels, width_px)
    return x + 0.5, y + 0.5


def image_from_world(camera: Camera) -> Float64:
    """(4, 4): rows x·w, y·w, w in pixels, and the depth in metres along the view axis."""
    clip_x, clip_y, _, clip_w = camera.clip_from_world
    rows = ((clip_x + clip_w) * (camera.width_px / 2), (clip_w - clip_y) * (camera.height_px / 2), clip_w)
    return np.array((*rows, -camera.camera_from_world[2]), dtype=np.float64)


def transformed(target_from_source: Float64, points: Float64) -> Float64:
    """Points (N, 3) through a matrix (R, 4): (N, R)."""
    result = np.empty((len(points), len(target_from_source)))

    def work(part: slice) -> None:
        # Explicit multiply-adds: BLAS threads can slow such small products fifty-fold.
        x, y, z = points[part].T
        for row, (of_x, of_y, of_z, constant) in enumerate(target_from_source):
            result[part, row] = x * of_x + y * of_y + z * of_z + constant

    in_chunks(len(points), work)
    return result


def on_image(camera: Camera, points_m: Float64) -> Float64:
    """World points (N, 3) as (N, 4): x·w, y·w, w in pixels, and depth in metres along the view axis."""
    return transformed(image_from_world(camera), points_m)


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
    return transformed(np.column_stack((matrix, np.zeros(3))), points)
