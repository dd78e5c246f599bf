# SPDX-License-Identifier: GPL-3.0-or-later
"""The exact surface point behind every pixel centre, from the image of triangle numbers. What is made of it, elsewhere.

A point of a triangle has homogeneous image coordinates c = b0·c0 + b1·c1 + b2·c2. The cross products of the corners'
coordinates (the edges) give the b at a pixel up to a common factor: no ray, no clipping, whatever corners lie behind
the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks
from .projection import on_image, pixel_centres
from .snapshot import NO_SURFACE, Float64, Int32, Snapshot

_Value = TypeVar("_Value", np.float32, np.float64, np.int32, np.intp)
_Real = TypeVar("_Real", np.float32, np.float64)

# Rasterisers snap corners to a fraction of a pixel, so a pixel centre may lie a little outside of its triangle. The
# plane goes on there; but of a triangle seen edge-on it goes to the horizon, and then its nearest point is meant.
_FARTHEST_OUTSIDE = 1.0


@dataclass(frozen=True)
class Surface:
    """What a snapshot's camera sees: N pixels with a surface, K triangles that are seen."""

    width_px: int
    height_px: int
    pixels: npt.NDArray[np.intp]  # (N,), flat places in the image, ascending
    triangles: npt.NDArray[np.intp]  # (K,), rows of snapshot.triangles, ascending
    places: npt.NDArray[np.intp]  # (N,), places in `triangles`
    barycentrics: Float64  # (3, N), sum 1
    depth_m: Float64  # (N,), along the view axis
    normals: Float64  # (K, 3), unit, world, as the windings say
    corners_m: Float64  # (K, 3, 3), world
    image_corners: Float64  # (K, 3, 4), x·w, y·w, w in the picture, and depth

    def background(self) -> npt.NDArray[np.intp]:
        """Flat places of the pixels without a surface."""
        empty = np.ones(self.width_px * self.height_px, dtype=np.bool_)
        empty[self.pixels] = False
        return np.flatnonzero(empty)

    def place_image(self) -> npt.NDArray[np.intp]:
        """(H·W,): places in `triangles`, -1 in the background."""
        return self.image(self.places, -1).reshape(-1)

    def image(self, values: npt.NDArray[_Value], background: float) -> npt.NDArray[_Value]:
        """Values (N, ...) of the pixels with a surface as an image (H, W, ...) of their dtype."""
        image = np.full((self.height_px * self.width_px, *values.shape[1:]), background, dtype=values.dtype)
        image[self.pixels] = values
        return image.reshape(self.height_px, self.width_px, *values.shape[1:])

    def interpolated(self, corner_values: npt.NDArray[_Real]) -> npt.NDArray[_Real]:
        """Values (K, 3, C) at the seen triangles' corners, at the surface points: (N, C), of their dtype."""
        return _interpolated(corner_values, self.places, self.barycentrics)

    def points_m(self) -> Float64:
        """(N, 3), world."""
        return self.interpolated(self.corners_m)


def surface_points(snapshot: Snapshot, ids: Int32) -> Surface:
    """The surface behind each pixel centre of a visibility buffer (H, W) of this snapshot."""
    height, width = ids.shape
    flat = ids.reshape(-1)
    pixels = np.flatnonzero(flat != NO_SURFACE)
    triangles, places = _seen(flat if len(pixels) == flat.size else flat[pixels], len(snapshot.triangles))
    corners = snapshot.triangles[triangles]
    corners_m = snapshot.positions[corners]
    image_corners = on_image(snapshot.camera, corners_m.reshape(-1, 3)).reshape(-1, 3, 4)
    edges = edges_of(image_corners)
    barycentrics = np.empty((3, len(pixels)))

    def work(part: slice) -> None:
        x, y = pixel_centres(pixels[part], width)
        barycentrics[:, part] = _barycentrics(np.take(edges, places[part], axis=0), x, y)

    in_chunks(len(pixels), work)
    depth_m = _interpolated(image_corners[:, :, 3:], places, barycentrics)[:, 0]
    normals = _normals(corners_m)
    return Surface(width, height, pixels, triangles, places, barycentrics, depth_m, normals, corners_m, image_corners)


def edges_of(image_corners: Float64) -> Float64:
    """Rows (K, 9) whose products with (x, y, 1) are the three barycentrics times one positive factor.

    The corners are (K, 3, >= 3) homogeneous image coordinates; only the part before the camera gets positive values.
    """
    edges = np.empty((len(image_corners), 9))
    x, y, w = (image_corners[:, :, axis] for axis in range(3))
    for corner, (start, end) in enumerate(((1, 2), (2, 0), (0, 1))):
        # The product with the difference equals that with `end`, and cancels less where triangles are small.
        dx, dy, dw = (row[:, end] - row[:, start] for row in (x, y, w))
        edges[:, 3 * corner] = y[:, start] * dw - w[:, start] * dy
        edges[:, 3 * corner + 1] = w[:, start] * dx - x[:, start] * dw
        edges[:, 3 * corner + 2] = x[:, start] * dy - y[:, start] * dx
    edges *= np.where(determinants(image_corners, edges) < 0.0, -1.0, 1.0)[:, None]
    return edges


def determinants(image_corners: Float64, edges: Float64) -> Float64:
    """(K,): the scale between edge products and barycentrics·w; of edges before their sign is mended, its sign too."""
    return (image_corners[:, 0, :3] * edges[:, :3]).sum(axis=1)


def seen_from_behind(image_corners: Float64) -> npt.NDArray[np.bool_]:
    """(K,): whether the camera looks at the backs of triangles with these homogeneous image corners (K, 3, >= 3)."""
    x, y, w = (image_corners[:, :, axis] for axis in range(3))
    volume = (
        x[:, 0] * (y[:, 1] * w[:, 2] - w[:, 1] * y[:, 2])
        + y[:, 0] * (w[:, 1] * x[:, 2] - x[:, 1] * w[:, 2])
        + w[:, 0] * (x[:, 1] * y[:, 2] - y[:, 1] * x[:, 2])
    )
    # Image y points down, so counter-clockwise triangles have negative volumes.
    return volume > 0.0


def _seen(ids: Int32, triangle_count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The ids that occur, ascending, and each id's place among them: np.unique without its sort."""
    occurs = np.zeros(triangle_count, dtype=np.bool_)
    occurs[ids] = True
    place_of = np.cumsum(occurs) - 1
    return np.flatnonzero(occurs), place_of[ids]


def _interpolated(
    corner_values: npt.NDArray[_Real], places: npt.NDArray[np.intp], barycentrics: Float64
) -> npt.NDArray[_Real]:
    """(N, C) of the dtype of the corner values (K, 3, C)."""
    channels = corner_values.shape[2]
    table = corner_values.reshape(len(corner_values), 3 * channels)
    result = np.empty((len(places), channels), dtype=corner_values.dtype)

    def work(part: slice) -> None:
        rows = np.take(table, places[part], axis=0)
        b0, b1, b2 = barycentrics[:, part].astype(corner_values.dtype, copy=False)
        for channel in range(channels):
            of_0, of_1, of_2 = (rows[:, corner * channels + channel] for corner in range(3))
            result[part, channel] = b0 * of_0 + b1 * of_1 + b2 * of_2

    in_chunks(len(places), work)
    return result


def _barycentrics(edges: Float64, x: Float64, y: Float64) -> Float64:
    """(3, n) at image points (n,), from edge rows (n, 9)."""
    result = np.empty((3, len(x)))
    for corner in range(3):
        result[corner] = edges[:, 3 * corner] * x + edges[:, 3 * corner + 1] * y + edges[:, 3 * corner + 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = result / (result[0] + result[1] + result[2])
    # Not finite and reversed (the sum is not positive) ones are wild as well.
    lowest = np.minimum(np.minimum(scaled[0], scaled[1]), scaled[2])
    wild = np.flatnonzero(~(lowest >= -_FARTHEST_OUTSIDE) | (result[0] + result[1] + result[2] <= 0.0))
    if len(wild):
        inside = np.maximum(result[:, wild], 0.0)
        total = inside.sum(axis=0)
        scaled[:, wild] = np.where(total > 0.0, inside / np.where(total > 0.0, total, 1.0), 1.0 / 3.0)
    return scaled


def _normals(corners_m: Float64) -> Float64:
    along, across = corners_m[:, 1] - corners_m[:, 0], corners_m[:, 2] - corners_m[:, 0]
    normals = np.cross(along, across)
    length = np.sqrt((normals * normals).sum(axis=1))
    return normals / np.where(length > 0.0, length, 1.0)[:, None]
