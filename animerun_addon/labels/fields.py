# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of one frame that are read off the surface points: depth, normals, ids, UDP. Motion and hiding, elsewhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks, in_rows
from .projection import depth_from_nearness
from .snapshot import NO_SURFACE, Bool, Float32, Int32, Snapshot
from .surface import FACETS_AT_ONCE, Surface, grown
from .udp_encoding import ROUNDING

# So that the depth of the background is a number: it is multiplied by nothing.
_FARTHEST = 1e-30


def depth(surface: Surface) -> Float32:
    """(H, W) metres along the view axis; inf in the background."""
    result = np.empty_like(surface.nearness)

    def work(rows: slice) -> None:
        result[rows] = depth_from_nearness(surface.snapshot.camera, surface.nearness[rows])

    in_rows(result.shape, work)
    return result


def normals(surface: Surface) -> Float32:
    """(H, W, 3), the faces' unit normals in world space, out of the side their winding says; 0 in the background."""
    by_facet = normals_by_facet(surface)
    result = np.empty((*surface.facets.shape, 3), dtype=np.float32)

    def work(rows: slice) -> None:
        result[rows] = np.take(by_facet, surface.facets[rows], axis=0)

    in_rows(surface.facets.shape, work)
    return result


def normals_by_facet(surface: Surface) -> Float32:
    """(F + 1, 3), unit, world; the background's is 0."""
    result = np.zeros((len(surface.triangles) + 1, 3), dtype=np.float32)
    positions = surface.snapshot.positions

    def work(part: slice) -> None:
        start, along, across = (np.take(positions, corners, axis=0).T for corners in surface.corners[:, part])
        (ax, ay, az), (bx, by, bz) = along - start, across - start
        x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        length = np.sqrt(x * x + y * y + z * z)
        length[length == 0.0] = 1.0
        result[part] = np.stack((x / length, y / length, z / length), axis=-1)

    in_chunks(len(surface.triangles), work, FACETS_AT_ONCE)
    return result


def object_ids(snapshot: Snapshot, surface: Surface) -> Int32:
    """(H, W), places in snapshot.object_names; NO_SURFACE in the background."""
    return _looked_up(snapshot.object_ids, surface)


def material_ids(snapshot: Snapshot, surface: Surface) -> Int32:
    """(H, W), places in snapshot.material_names; NO_SURFACE in the background and where there is no material."""
    return _looked_up(snapshot.material_ids, surface)


def udp(snapshot: Snapshot, surface: Surface, scale: npt.ArrayLike, offset: npt.ArrayLike) -> tuple[Float32, float]:
    """Ultra-Dense Pose (H, W, 4), and the share of its surface that had to be clipped.

    RGB is rest coordinate * scale (3,) + offset (3,), clipped to 0..1, and A is 1, where all corners have
    rest coordinates.
    """
    shape = surface.facets.shape
    if snapshot.rest_positions is None:
        return np.zeros((*shape, 4), dtype=np.float32), 0.0
    channels, has_rest = _encoded_rest(snapshot.rest_positions, surface, scale, offset)
    result = np.empty((*shape, 4), dtype=np.float32)
    occupied_counts, clipped_counts = np.zeros((2, shape[0]), dtype=np.intp)

    def work(rows: slice) -> None:
        at, dx, dy = surface.facets[rows], surface.dx_px[rows], surface.dy_px[rows]
        if not snapshot.camera.is_orthographic:
            # What is linear on the surface is linear in the picture once it is divided by the depth.
            depth_m = 1.0 / np.maximum(surface.nearness[rows], _FARTHEST)
            dx, dy = dx * depth_m, dy * depth_m
        beyond = np.zeros(at.shape, dtype=np.bool_)
        for channel, terms in enumerate(channels):
            value = grown(terms, at, dx, dy)
            value += terms[0][at]
            if value.min() < -ROUNDING or value.max() > 1.0 + ROUNDING:
                beyond |= (value < -ROUNDING) | (value > 1.0 + ROUNDING)
            result[rows, :, channel] = np.minimum(np.maximum(value, 0.0), 1.0)
        occupied = has_rest[at]
        result[rows, :, 3] = occupied
        occupied_counts[rows.start], clipped_counts[rows.start] = np.count_nonzero(occupied), np.count_nonzero(beyond)

    in_rows(shape, work)
    return result, int(clipped_counts.sum()) / max(int(occupied_counts.sum()), 1)


def _encoded_rest(rest: Float32, surface: Surface, scale: npt.ArrayLike, offset: npt.ArrayLike) -> tuple[Float32, Bool]:
    """Linear terms (3 channels, 3, F + 1) of the encoded rest coordinate, and whether there is one (F + 1,).

    What pixels add is to be multiplied by the depth at the pixel, if the camera has perspective.
    """
    scales, offsets = (np.asarray(numbers, dtype=np.float64)[:, None] for numbers in (scale, offset))
    axes = np.ascontiguousarray(rest.T)
    terms = np.zeros((3, 3, len(surface.triangles) + 1), dtype=np.float32)
    has_rest = np.zeros(len(surface.triangles) + 1, dtype=np.bool_)

    def work(part: slice) -> None:
        corners, shares = surface.corners[:, part], surface.shares[:, :, part]
        at_corners = np.take(axes, corners, axis=1).astype(np.float64)
        # Triangles seen edge-on have no shares of their own, and no pixels: each of these is a facet of its own.
        with np.errstate(invalid="ignore"):
            at_origin = (at_corners * (shares[0] / shares[0].sum(axis=0))).sum(axis=1)
        at_corners -= at_origin[:, None]
        terms[:, 0, part] = at_origin * scales + offsets
        for term in (1, 2):
            terms[:, term, part] = (at_corners * shares[term]).sum(axis=1) * scales
        has_rest[part] = np.isfinite(at_origin.sum(axis=0))

    in_chunks(len(surface.triangles), work, FACETS_AT_ONCE)
    if not has_rest[:-1].all():
        terms[:, :, ~has_rest] = 0.0
    return terms, has_rest


def _looked_up(numbers: Int32, surface: Surface) -> Int32:
    """(H, W) of what triangles (T,) have."""
    by_facet = np.append(numbers[surface.triangles], np.int32(NO_SURFACE))
    result = np.empty(surface.facets.shape, dtype=np.int32)

    def work(rows: slice) -> None:
        result[rows] = by_facet[surface.facets[rows]]

    in_rows(result.shape, work)
    return result
