# SPDX-License-Identifier: GPL-3.0-or-later
"""The exact surface point behind every pixel centre, from the image of triangle numbers. What is made of it, elsewhere.

A point of a triangle has homogeneous image coordinates c = b0·c0 + b1·c1 + b2·c2. The shares b / w, w = c[2], are
linear in the picture, and cross products of the corners' coordinates give them: no ray, no clipping, whatever corners
lie behind the camera. Every triangle has an origin, a pixel that sees it, and every pixel knows how far it is from
there: what depends on the triangle is computed once, in float64, and float32 mostly does for what pixels add to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks, in_rows
from .projection import nearness
from .snapshot import Bool, Camera, Float32, Float64, Int32, Snapshot

Places = npt.NDArray[np.intp]
Real = npt.NDArray[np.floating[Any]]  # float32 or float64, as what it is made of

# Facets worked on at once: some thirty numbers for each fit the cache.
FACETS_AT_ONCE = 1 << 12
# Rasterisers snap corners to a fraction of a pixel, so a pixel centre may lie a little outside of its triangle. The
# plane goes on there; but of a triangle seen edge-on it goes to the horizon, and then its nearest point is meant.
_FARTHEST_OUTSIDE = 1.0
# Where no barycentric grows by more in a pixel, no pixel centre is drawn that far outside.
_STEEPEST = 16.0
# Farther from the origin, float32 would lose what the flow's last digits are made of on a plane in steep perspective.
_WIDE_PX = 32.0


@dataclass(frozen=True)
class Surface:
    """What a snapshot's camera sees: F facets. One is a triangle, or one pixel of a triangle that is seen edge-on.

    Facet -1 is the background; tables by facet therefore have F + 1 rows, its own the last.
    """

    snapshot: Snapshot
    facets: Places  # (H, W), -1 in the background
    dx_px: Float32  # (H, W), whole pixels from the facet's origin
    dy_px: Float32  # (H, W)
    nearness: Float32  # (H, W), as projection.nearness has it
    is_wide: Bool  # (H,), rows with pixels so far from their facet's origin that float32 may round too much
    triangles: Places  # (F,), rows of snapshot.triangles
    corners: Places  # (3, F), rows of snapshot.positions
    origins: Places  # (F + 1,), flat places of pixels
    shares: Float64  # (3, 3, F): at the origin, what a pixel to the right adds, and a pixel down; of each corner
    planes: Float64  # (3, F + 1), likewise of the nearness

    @property
    def height_px(self) -> int:
        """Rows of the picture."""
        return self.facets.shape[0]

    @property
    def width_px(self) -> int:
        """Columns of the picture."""
        return self.facets.shape[1]

    @cached_property
    def pixels(self) -> Places:
        """(N,), flat places of the pixels that see a surface, ascending."""
        return np.flatnonzero(self.facets >= 0)

    @cached_property
    def places(self) -> Places:
        """(N,), the facets of these pixels."""
        return self.facets.reshape(-1)[self.pixels]

    @cached_property
    def barycentrics(self) -> Float64:
        """(3, N) of these pixels' surface points in their triangles, sum 1."""
        dx, dy = (offset.reshape(-1)[self.pixels].astype(np.float64) for offset in (self.dx_px, self.dy_px))
        at_origin, to_right, down = (shares[:, self.places] for shares in self.shares)
        shares = at_origin + to_right * dx + down * dy
        return np.asarray(shares / shares.sum(axis=0))

    def points_m(self) -> Float64:
        """(N, 3), these pixels' surface points in world space."""
        corners_m = self.snapshot.positions[self.corners[:, self.places]]
        return np.asarray((self.barycentrics[:, :, None] * corners_m).sum(axis=0))

    def background(self) -> Places:
        """Flat places of the pixels without a surface."""
        return np.flatnonzero(self.facets < 0)


def surface_points(snapshot: Snapshot, ids: Int32) -> Surface:
    """The surface behind each pixel centre of a visibility buffer (H, W) of this snapshot."""
    height, width = ids.shape
    triangles, origins, facets = _facets(ids, len(snapshot.triangles))
    corners = snapshot.triangles[triangles].T.astype(np.intp, order="C")
    shares, steep = _shares(snapshot, corners, pixel_centres(origins, width))
    if steep.any():
        pixels = np.flatnonzero(np.append(steep, False)[facets])
        whole = facets.reshape(-1)[pixels]
        facets.reshape(-1)[pixels] = np.arange(len(triangles), len(triangles) + len(pixels))
        triangles = np.concatenate((triangles, triangles[whole]))
        origins = np.concatenate((origins, pixels))
        shares = np.concatenate(
            (shares, _nearest_shares(snapshot, corners[:, whole], pixel_centres(pixels, width))), axis=2
        )
        corners = np.concatenate((corners, corners[:, whole]), axis=1)
    origins = np.append(origins, height // 2 * width + width // 2)
    planes = _planes(snapshot, corners, shares)
    return Surface(snapshot, facets, *_per_pixel(facets, origins, planes), triangles, corners, origins, shares, planes)


def pixel_centres(pixels: Places, width_px: int) -> tuple[Float64, Float64]:
    """x and y (N,) of the centres of the pixels at flat places (N,) of a picture."""
    y, x = np.divmod(pixels, width_px)
    return x + 0.5, y + 0.5


def edges_of(image_corners: Float64) -> Float64:
    """(3, 3, K): times 1, x and y, for each corner, its share times the determinant.

    Of homogeneous image coordinates (>= 3, 3, K) of the three corners of K triangles.
    """
    start, end = image_corners[:3, (1, 2, 0)], image_corners[:3, (2, 0, 1)]
    # The product with the difference equals that with the end, and cancels less where triangles are small.
    end -= start
    (x, y, w), (dx, dy, dw) = start, end
    return np.stack((x * dy - y * dx, y * dw - w * dy, w * dx - x * dw))


def determinants(image_corners: Float64, edges: Float64) -> Float64:
    """(K,) of image corners (>= 3, 3, K) that have these edges; negative where counter-clockwise."""
    x, y, w = image_corners[:3, 0]
    return np.asarray(w * edges[0, 0] + x * edges[1, 0] + y * edges[2, 0])


def seen_from_behind(camera: Camera, determinant: Float64) -> Bool:
    """(K,): whether the camera looks at the backs of triangles whose image corners have these determinants."""
    # Windings are counter-clockwise, but image y points down.
    is_behind: Bool = determinant < 0.0 if camera.is_mirrored else determinant > 0.0
    return is_behind


def nearness_planes(camera: Camera, shares: Float64, depths_m: Float64) -> Float64:
    """(3, K), linear in the picture as the shares (3, 3, K) are; depths (3, K) are the corners'."""
    return np.asarray((shares * -depths_m).sum(axis=1) if camera.is_orthographic else shares.sum(axis=1))


def grown(terms: Real, facets: Places, dx_px: Float32, dy_px: Float32) -> Real:
    """What the linear terms (3, F + 1) of `facets` add from the origins to pixels so far to the right and down."""
    result: Real = terms[1][facets]
    result *= dx_px
    below = terms[2][facets]
    below *= dy_px
    result += below
    return result


def _facets(ids: Int32, triangle_count: int) -> tuple[Places, Places, Places]:
    """The triangles that are seen, ascending, a pixel that sees each, and the image (H, W) of their places."""
    # NO_SURFACE is the last row.
    pixel_of = np.full(triangle_count + 1, -1, dtype=np.int32)
    pixel_of[ids.reshape(-1)] = np.arange(ids.size, dtype=np.int32)
    triangles = np.flatnonzero(pixel_of[:-1] >= 0)
    facet_of = np.full(triangle_count + 1, -1, dtype=np.intp)
    facet_of[triangles] = np.arange(len(triangles))
    facets = np.empty(ids.shape, dtype=np.intp)

    def work(rows: slice) -> None:
        facets[rows] = facet_of[ids[rows]]

    in_rows(ids.shape, work)
    return triangles, pixel_of[triangles].astype(np.intp), facets


def _shares(snapshot: Snapshot, corners: Places, origins_px: tuple[Float64, Float64]) -> tuple[Float64, Bool]:
    """The shares (3, 3, F), and which triangles (F,) are seen too edge-on to have any."""
    count, vertices = corners.shape[1], snapshot.image_vertices
    shares, steep = np.empty((3, 3, count)), np.empty(count, dtype=np.bool_)

    def work(part: slice) -> None:
        image_corners = _about(vertices, corners[:, part], [axis[part] for axis in origins_px])
        edges = edges_of(image_corners)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            edges /= determinants(image_corners, edges)
            # A share's growth times the depth is a barycentric's. What is not finite is steep as well.
            growth = np.abs(edges[1:]).sum(axis=0).max(axis=0)
            steep[part] = ~(growth * image_corners[2].max(axis=0) <= _STEEPEST)
        edges[:, :, steep[part]] = 0.0
        shares[:, :, part] = edges

    in_chunks(count, work, FACETS_AT_ONCE)
    return shares, steep


def _nearest_shares(snapshot: Snapshot, corners: Places, centres_px: tuple[Float64, Float64]) -> Float64:
    """The shares (3, 3, P) at single pixels, which add nothing: of the nearest points of triangles seen edge-on."""
    image_corners = _about(snapshot.image_vertices, corners, centres_px)
    edges = edges_of(image_corners)
    weights = edges[0] * np.where(determinants(image_corners, edges) < 0.0, -1.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        barycentrics = weights / weights.sum(axis=0)
    # Not finite and reversed (the sum is not positive) ones are wild as well.
    wild = ~(barycentrics.min(axis=0) >= -_FARTHEST_OUTSIDE) | (weights.sum(axis=0) <= 0.0)
    inside = np.maximum(weights[:, wild], 0.0)
    inside[:, inside.sum(axis=0) <= 0.0] = 1.0
    barycentrics[:, wild] = inside / inside.sum(axis=0)
    shares = np.zeros((3, *barycentrics.shape))
    shares[0] = barycentrics / (barycentrics * image_corners[2]).sum(axis=0)
    return shares


def _about(vertices: Float64, corners: Places, origins_px: Sequence[Float64]) -> Float64:
    """Homogeneous image coordinates (3, 3, F) of corners (3, F), about places (F,) of the picture."""
    image_corners = np.take(vertices[:3], corners, axis=1)
    for axis, origin in enumerate(origins_px):
        image_corners[axis] -= image_corners[2] * origin
    return image_corners


def _planes(snapshot: Snapshot, corners: Places, shares: Float64) -> Float64:
    """(3, F + 1), of the nearness to the snapshot's camera."""
    camera, count = snapshot.camera, corners.shape[1]
    planes = np.zeros((3, count + 1))
    planes[0, -1] = nearness(camera, np.array(np.inf))

    def work(part: slice) -> None:
        planes[:, part] = nearness_planes(camera, shares[:, :, part], snapshot.image_vertices[3][corners[:, part]])

    in_chunks(count, work, FACETS_AT_ONCE)
    return planes


def _per_pixel(facets: Places, origins: Places, planes: Float64) -> tuple[Float32, Float32, Float32, Bool]:
    """What Surface calls dx_px, dy_px, nearness and is_wide."""
    height, width = facets.shape
    origin_row, origin_column = np.array(np.divmod(origins, width), dtype=np.float32)
    column, row = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    dx, dy, near = np.empty((3, height, width), dtype=np.float32)
    is_wide = np.empty(height, dtype=np.bool_)

    def work(rows: slice) -> None:
        at = facets[rows]
        dx[rows] = column - origin_column[at]
        dy[rows] = row[rows] - origin_row[at]
        # In float64, since the nearness of a ground may vary a thousandfold.
        near[rows] = planes[0][at] + grown(planes, at, dx[rows], dy[rows])
        # Not the background's, which moves by little more than the camera's rotation.
        far = np.where(at >= 0, np.maximum(np.abs(dx[rows]), np.abs(dy[rows])), np.float32(0.0))
        is_wide[rows] = far.max(axis=1) > _WIDE_PX

    in_rows(facets.shape, work)
    return dx, dy, near, is_wide
