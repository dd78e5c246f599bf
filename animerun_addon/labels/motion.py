# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the surface behind each pixel is at another frame, and the optical flow that follows. Nothing about hiding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks
from .correspondence import Correspondence, positions_at, reasons_by_object
from .projection import infinity_from_image, on_image, pixel_centres
from .snapshot import Bool, Camera, Float32, Float64, Snapshot
from .surface import Surface

# The .flo format reads numbers beyond 1e9 as "unknown"; a point that close to the other camera's plane has no place.
_LARGEST_FLOW_PX = 1e9


@dataclass(frozen=True)
class Landing:
    """Where each pixel's surface point (or, in the background, its point at infinity) is in another camera's picture.

    Arrays are flat, (H·W,); K are the seen triangles of the surface. Coordinates are only meant where `valid`.
    """

    x_px: Float64
    y_px: Float64
    depth_m: Float64  # along the other camera's view axis; inf in the background
    valid: Bool
    image_corners: Float64  # (K, 3, 4): the seen triangles' corners, x·w, y·w, w in the other picture, and depth
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Flow:
    """Optical flow from pixel centres, (u right, v down) in pixels; 0 and not valid where it is unknown."""

    flow_px: Float32  # (H, W, 2)
    valid: Bool  # (H, W)
    notes: tuple[str, ...]  # what is not valid, or guessed from velocities, and why, in the user's words


def landing(snapshot: Snapshot, surface: Surface, other: Snapshot) -> Landing:
    """Follow what `surface` shows of `snapshot` to any other snapshot; its picture may have another size."""
    count = surface.width_px * surface.height_px
    x, y, depth = np.zeros(count), np.zeros(count), np.full(count, np.inf)
    valid = np.zeros(count, dtype=np.bool_)
    if snapshot.camera.name != other.camera.name:
        note = f"a cut to camera '{other.camera.name}' at frame {other.frame:g}: nothing is followed across it"
        return Landing(x, y, depth, valid, np.zeros((len(surface.triangles), 3, 4)), (note,))
    followed = positions_at(snapshot, other)
    corners = snapshot.triangles[surface.triangles]
    moved = followed.positions[corners]
    image_corners = on_image(other.camera, moved.reshape(-1, 3)).reshape(-1, 3, 4)
    known = followed.known[corners].all(axis=1)

    table = image_corners.reshape(-1, 12)

    def work(part: slice) -> None:
        pixels, places = surface.pixels[part], surface.places[part]
        rows = np.take(table, places, axis=0)
        b0, b1, b2 = surface.barycentrics[:, part]
        xw, yw, w = (b0 * rows[:, axis] + b1 * rows[:, 4 + axis] + b2 * rows[:, 8 + axis] for axis in range(3))
        before = w > 0.0
        scale = 1.0 / np.where(before, w, 1.0)
        x[pixels], y[pixels] = xw * scale, yw * scale
        depth[pixels] = b0 * rows[:, 3] + b1 * rows[:, 7] + b2 * rows[:, 11] if other.camera.is_orthographic else w
        valid[pixels] = before & known[places]

    in_chunks(len(surface.pixels), work)
    background = surface.background()
    x[background], y[background], valid[background] = _at_infinity(snapshot.camera, other.camera, background)
    return Landing(x, y, depth, valid, image_corners, _notes(snapshot, surface, followed, known))


def flow(snapshot: Snapshot, surface: Surface, other: Snapshot, landed: Landing | None = None) -> Flow:
    """The flow from `snapshot` to any other one.

    It points from the pixel centre to where the same surface point is in the other picture, in that picture's own
    pixels should its size differ. Background moves as a point at infinity does. Give `landed` if it is there already.
    """
    landed = landed or landing(snapshot, surface, other)
    height, width = surface.height_px, surface.width_px
    x = landed.x_px.reshape(height, width) - (np.arange(width) + 0.5)
    y = landed.y_px.reshape(height, width) - (np.arange(height) + 0.5)[:, None]
    valid = landed.valid.reshape(height, width) & (np.maximum(np.abs(x), np.abs(y)) < _LARGEST_FLOW_PX)
    flow_px = np.empty((height, width, 2), dtype=np.float32)
    flow_px[..., 0] = np.where(valid, x, 0.0)
    flow_px[..., 1] = np.where(valid, y, 0.0)
    return Flow(flow_px, valid, landed.notes)


def _at_infinity(camera: Camera, other: Camera, pixels: npt.NDArray[np.intp]) -> tuple[Float64, Float64, Bool]:
    """Where infinitely far things behind these pixels are in the other picture: x, y, and whether that is known."""
    x, y = pixel_centres(pixels, camera.width_px)
    if camera.is_orthographic or other.is_orthographic:
        # Infinitely far things shift infinitely in a picture without perspective, unless its camera stands still.
        return x, y, np.full(len(pixels), _stands_still(camera, other))
    matrix = infinity_from_image(camera, other)
    xw, yw, w = (row[0] * x + row[1] * y + row[2] for row in matrix)
    before = w > 0.0
    scale = 1.0 / np.where(before, w, 1.0)
    return xw * scale, yw * scale, before


def _stands_still(camera: Camera, other: Camera) -> bool:
    return (
        camera.is_orthographic == other.is_orthographic
        and (camera.width_px, camera.height_px) == (other.width_px, other.height_px)
        and np.array_equal(camera.camera_from_world, other.camera_from_world)
        and np.array_equal(camera.clip_from_camera[:2], other.clip_from_camera[:2])
    )


def _notes(snapshot: Snapshot, surface: Surface, followed: Correspondence, known: Bool) -> tuple[str, ...]:
    """What is seen and not followed, and what is followed by its velocities only, by name."""
    places = snapshot.instance_ids[surface.triangles]
    unknown = reasons_by_object(snapshot, followed.lost, np.unique(places[~known]).tolist())
    guessed = reasons_by_object(snapshot, followed.lost, np.unique(places[known]).tolist())
    return (
        *(f"{name}: no flow, {reason}" for name, reason in sorted(unknown.items())),
        *(f"{name}: flow from its velocities, {reason}" for name, reason in sorted(guessed.items())),
    )
