# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of one frame that are read off the surface points: depth, normals, ids, UDP. Motion and hiding, elsewhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks
from .snapshot import NO_SURFACE, Float32, Int32, Snapshot
from .surface import Surface

# Beyond 0..1 by this much is the rounding of a box that was fitted to the unit cube, not clipping.
_ROUNDING = 1e-5


def depth(surface: Surface) -> Float32:
    """(H, W) metres along the view axis; inf in the background."""
    return surface.image(surface.depth_m.astype(np.float32), np.inf)


def normals(surface: Surface) -> Float32:
    """(H, W, 3), the faces' unit normals in world space, out of the side their winding says; 0 in the background."""
    return surface.image(surface.normals.astype(np.float32)[surface.places], 0.0)


def object_ids(snapshot: Snapshot, surface: Surface) -> Int32:
    """(H, W), places in snapshot.object_names; NO_SURFACE in the background."""
    return surface.image(snapshot.object_ids[surface.triangles][surface.places], NO_SURFACE)


def material_ids(snapshot: Snapshot, surface: Surface) -> Int32:
    """(H, W), places in snapshot.material_names; NO_SURFACE in the background and where there is no material."""
    return surface.image(snapshot.material_ids[surface.triangles][surface.places], NO_SURFACE)


def udp(snapshot: Snapshot, surface: Surface, scale: npt.ArrayLike, offset: npt.ArrayLike) -> tuple[Float32, float]:
    """Ultra-Dense Pose (H, W, 4), and the share of its surface that had to be clipped.

    RGB is rest coordinate * scale (3,) + offset (3,), clipped to 0..1, and A is 1, where all corners have
    rest coordinates.
    """
    if snapshot.rest_positions is None:
        return np.zeros((surface.height_px, surface.width_px, 4), dtype=np.float32), 0.0
    corners = snapshot.rest_positions[snapshot.triangles[surface.triangles]]
    has_rest = np.isfinite(corners).all(axis=(1, 2))
    encoded = corners * np.asarray(scale, dtype=np.float32) + np.asarray(offset, dtype=np.float32)
    encoded[~has_rest] = 0.0
    raw = surface.interpolated(encoded.astype(np.float32, copy=False))
    occupied = has_rest[surface.places]
    values = np.empty((len(raw), 4), dtype=np.float32)
    beyond = np.empty(len(raw), dtype=np.bool_)

    def work(part: slice) -> None:
        values[part, :3] = np.clip(raw[part], 0.0, 1.0)
        values[part, 3] = occupied[part]
        clipped = np.abs(raw[part] - values[part, :3]) > _ROUNDING
        beyond[part] = clipped[:, 0] | clipped[:, 1] | clipped[:, 2]

    in_chunks(len(raw), work)
    return surface.image(values, 0.0), int(beyond.sum()) / max(int(occupied.sum()), 1)
