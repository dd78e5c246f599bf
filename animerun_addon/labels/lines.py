# SPDX-License-Identifier: GPL-3.0-or-later
"""Contour lines from the image of triangle numbers: where objects, materials, normals or depths break off.

They lie exactly on the labels' borders. Strokes that Blender draws itself (Freestyle) are the scene's business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks
from .fields import normals_by_facet
from .snapshot import Bool, Camera, Float32, Int32, Snapshot
from .surface import Surface

UInt8 = npt.NDArray[np.uint8]

# Freestyle's default: 180 degrees less its crease angle.
CREASE_DEGREES = 45.57
# Depths that lie apart by more than so many pixels' own size break off, beyond what both sides' slopes explain.
_STEP_PX = 6.0
# How much of its colour a surface's own coloured line keeps.
_LINE_SHADE = 0.35


@dataclass(frozen=True)
class _Pixels:
    """What is compared between neighbours, flat (H·W,)."""

    groups: Int32  # the same number for the same instance and material, -1 for background
    normals: Float32  # (3, H·W)
    nearness: Float32
    slopes: Float32  # (2, H·W), of the nearness, a pixel right and down
    order: Float32  # the greater is drawn over the smaller


def contour_lines(
    snapshot: Snapshot, surface: Surface, thickness_px: float = 1.0, crease_degrees: float = CREASE_DEGREES
) -> Bool:
    """(H, W): pixels of the contour lines.

    Of two pixels with a border between them the one of the nearer surface is line: lines move with what they outline.
    Thicker lines grow evenly from there.
    """
    width = surface.width_px
    pixels = _pixels(snapshot, surface)
    step = _STEP_PX * _pixel_size(snapshot.camera)
    least_cosine = np.float32(np.cos(np.radians(crease_degrees)))
    count = len(pixels.groups)
    lines = np.zeros(count, dtype=np.bool_)
    for axis, stride in enumerate((1, width)):
        breaks, on_first = np.zeros((2, count), dtype=np.bool_)

        def work(part: slice) -> None:
            first = slice(part.start, min(part.stop, count - stride))  # noqa: B023 - used up within its turn
            second = slice(first.start + stride, first.stop + stride)  # noqa: B023
            breaks[first] = _breaks(pixels, first, second, axis, least_cosine, step)  # noqa: B023
            on_first[first] = pixels.order[first] >= pixels.order[second]  # noqa: B023

        in_chunks(count - stride, work)
        if axis == 0:
            breaks[width - 1 :: width] = False  # the next pixel begins another row
        lines |= breaks & on_first
        lines[stride:] |= (breaks & ~on_first)[: count - stride]
    return _thickened(lines.reshape(surface.height_px, width), thickness_px)


def drawn_over(frame: UInt8, lines: Bool, is_coloured: bool = False) -> UInt8:
    """A frame (H, W, 3 or 4) with lines (H, W) in black, or each in a darker shade of what it lies on."""
    drawn = frame.copy()
    drawn[lines, :3] = (frame[lines, :3] * _LINE_SHADE).round() if is_coloured else 0
    if frame.shape[2] == 4:
        drawn[lines, 3] = 255
    return drawn


def _pixels(snapshot: Snapshot, surface: Surface) -> _Pixels:
    triangles = surface.triangles
    materials = snapshot.material_ids[triangles].astype(np.int64) + 1
    groups = snapshot.instance_ids[triangles] * (len(snapshot.material_names) + 1) + materials
    table = np.zeros((len(triangles) + 1, 6), dtype=np.float32)
    table[:, :3] = normals_by_facet(surface)
    # Seen edge-on a plane has no slope: nothing can be told of a step there.
    table[:, 3:5] = surface.planes[1:].T
    table[:-1, 5] = snapshot.in_front[triangles]
    places = surface.facets.reshape(-1)
    rows = np.empty((6, len(places)), dtype=np.float32)

    def work(part: slice) -> None:
        rows[:, part] = np.take(table, places[part], axis=0).T

    in_chunks(len(places), work)
    near = surface.nearness.reshape(-1)
    group_of = np.append(groups, -1).astype(np.int32)
    return _Pixels(group_of[places], rows[:3], near, rows[3:5], np.where(rows[5] > 0, np.float32(1e38), near))


def _breaks(pixels: _Pixels, first: slice, second: slice, axis: int, least_cosine: np.float32, step: float) -> Bool:
    """Whether a line runs between neighbours: two things, two faces at an angle, or one that lies behind the other."""
    group = pixels.groups[first]
    apart = group != pixels.groups[second]
    a, b = pixels.normals[:, first], pixels.normals[:, second]
    creased = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] < least_cosine
    near_a, near_b = pixels.nearness[first], pixels.nearness[second]
    half_a, half_b = pixels.slopes[axis, first] / 2, pixels.slopes[axis, second] / 2
    gap = np.abs((near_a + half_a) - (near_b - half_b))
    stepped = gap > step * _footprint(np.maximum(near_a, near_b)) + np.abs(half_a - half_b)
    return apart | ((creased | stepped) & (group >= 0))


def _footprint(near: Float32) -> Float32:
    """What the nearness changes by when the depth changes as much as a pixel is wide, but for the pixel's size."""
    # Orthographic: nearness is -depth (below zero), and a pixel is as wide everywhere.
    return np.where(near > 0, near, np.float32(1.0))


def _pixel_size(camera: Camera) -> float:
    """How wide a pixel is: per metre of depth, or, orthographic, in metres."""
    return 2.0 / (camera.width_px * abs(float(camera.clip_from_camera[0, 0])))


def _thickened(lines: Bool, thickness_px: float) -> Bool:
    size = round(thickness_px)
    if size <= 1:
        return lines
    import cv2

    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(lines.view(np.uint8), pen)).view(np.bool_)
