# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels as pictures for people: flow, UDP, ids, depth, normals, occlusion. No files, and nothing here is data again.

Every picture is uint8 (H, W, 3) RGB in display colours, row 0 the top. What is not a number counts as unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .snapshot import Bool, Float32, Int32

UInt8 = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

UNKNOWN_FLOW_GREY = 128  # the wheel has no such grey: its brightest channel is 255 within the scale and 191 beyond it
NOTHING_RGB = (16, 16, 16)  # no surface: near black, which no id, no unit normal and hardly any UDP is

# The wheel of Baker et al., "A Database and Evaluation Methodology for Optical Flow": its hues from corner to corner.
_HUES_BETWEEN = (15, 6, 4, 11, 13, 6)
_CORNERS_RGB = ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255), (255, 0, 0))
_BEYOND_SCALE = 0.75  # motion beyond the scale is this much darker

_MOVING_PX = 0.01  # slower is the arithmetic's own noise, and the smallest scale
_SCALES_PX = np.array([step * 10.0**power for power in range(-2, 6) for step in (1, 2, 5)], np.float32)
_FASTER_SHARE = 0.01  # of what moves may be off the scale
_OUTLIER_SHARE = 1e-4  # of all pixels may be, if only a few move

_ID_PERIOD = 4096
_FAR_GREY = 40  # the farthest surface: darker is only the background
_BINS_PER_OCTAVE = 16
_OCTAVES = (-20, 30)  # a micrometre to a million kilometres
_DEPTH_SHARE_OUTSIDE = 0.01  # at either end of a depth range

_OCCLUDED_RGB = (255, 20, 20)
_TINT = 0.6
_DIM = 0.59  # no dimmed pixel gets as red as the darkest tinted one


@cache
def _wheel() -> Float32:
    """(55, 3), 0..255, from one turn's start to its end.

    The original has 55 different hues and so jumps from the last to the first at motion to the right, where a camera
    pan would flicker. Here the last is the first again: the rest of the circle has the original's colours.
    """
    hues = [
        np.asarray(start) + np.sign(np.subtract(end, start)) * (255 * step // count)
        for count, start, end in zip(_HUES_BETWEEN, _CORNERS_RGB, _CORNERS_RGB[1:], strict=False)
        for step in range(count)
    ]
    return np.array([*hues[:-1], hues[0]], np.float32)


def flow_colours(flow_px: Floats, valid: Bool, scale_px: float) -> UInt8:
    """(H, W, 2) flow (u right, v down) on the Middlebury wheel; plain mid grey where (H, W) `valid` is false.

    White stands still, full colour moves by `scale_px`, darker colour moves faster.
    """
    scale = _checked_scale(scale_px)
    with np.errstate(over="ignore"):  # absurdly long is off the scale, not an error
        u, v = (flow_px[..., axis].astype(np.float32) for axis in (0, 1))
        known = valid & np.isfinite(u) & np.isfinite(v)
        u[~known] = 0
        v[~known] = 0
        length = np.hypot(u, v) / scale
    wheel = _wheel()
    last = len(wheel) - 2
    hue = (np.arctan2(-v, -u) + np.float32(np.pi)) * np.float32((last + 1) / (2 * np.pi))
    lower = np.minimum(hue.astype(np.intp), last)
    part = hue - lower.astype(np.float32)
    paleness = 1 - np.minimum(length, 1)
    strength = np.where(length <= 1, 1 - paleness, np.float32(_BEYOND_SCALE))
    white = 255 * paleness
    picture = np.empty((*known.shape, 3), np.uint8)
    for channel in range(3):
        steps = np.diff(wheel[:, channel])
        colour = (wheel[lower, channel] + part * steps[lower]) * strength + white
        picture[..., channel] = colour  # cut off to whole numbers, as the original does
    picture[~known] = UNKNOWN_FLOW_GREY
    return picture


def sequence_scale(flows: Iterable[tuple[Floats, Bool]]) -> float:
    """One scale in pixels for all (flow (H, W, 2), valid (H, W)) of a sequence: 1, 2 or 5 times a power of ten.

    The smallest that covers 99 % of the pixels that move, so that a small character before a still background counts.
    """
    moving = np.zeros(len(_SCALES_PX) + 1, np.int64)  # pixels from one scale to the next: exact, and flat in memory
    known_count = 0
    for flow_px, valid in flows:
        with np.errstate(over="ignore"):
            u, v = (flow_px[..., axis][valid].astype(np.float32) for axis in (0, 1))
            length = np.hypot(u, v)
        length = length[np.isfinite(u) & np.isfinite(v)]
        known_count += length.size
        moving += np.bincount(np.searchsorted(_SCALES_PX, length[length > _MOVING_PX]), minlength=len(moving))
    faster = moving.sum() - np.cumsum(moving)
    allowed = max(_FASTER_SHARE * moving.sum(), _OUTLIER_SHARE * known_count)
    enough = faster[: len(_SCALES_PX)] <= allowed
    best = int(np.argmax(enough)) if enough.any() else len(_SCALES_PX) - 1
    return float(f"{_SCALES_PX[best]:.1g}")  # the float32 0.1 is 0.1 again


def flow_legend(size_px: int, scale_px: float) -> UInt8:
    """(size, size, 3): the wheel as a disc on white, its rim at `scale_px`, which is written in the corner below."""
    _checked_scale(scale_px)
    text = f"{scale_px:.4g} px"
    smallest_px = len(text) * _GLYPH_WIDTH + 2
    if size_px < smallest_px:
        raise InputError(f"A legend of {size_px} px cannot hold '{text}': make it at least {smallest_px} px.")
    zoom = max(1, size_px // max(_LEGEND_PX, smallest_px))
    writing = np.kron(_written(text), np.ones((zoom, zoom), np.bool_))
    diameter = size_px - writing.shape[0] - 3 * zoom  # a margin above, between and below
    offset = (np.arange(diameter) + 0.5) * (2 / diameter) - 1
    motion = np.stack(np.broadcast_arrays(offset[None, :], offset[:, None]), axis=-1)
    inside = np.hypot(motion[..., 0], motion[..., 1]) <= 1
    legend = np.full((size_px, size_px, 3), 255, np.uint8)
    left = (size_px - diameter) // 2
    disc = legend[zoom : zoom + diameter, left : left + diameter]
    disc[inside] = flow_colours(motion, inside, 1.0)[inside]
    legend[-writing.shape[0] - zoom : -zoom, -writing.shape[1] - zoom : -zoom][writing] = 0
    return legend


def udp_colours(udp: Floats) -> UInt8:
    """(H, W, 4) UDP with its raw numbers taken as display colours; near black where alpha is 0."""
    there = (udp[..., 3] > 0) & np.isfinite(udp[..., :3]).all(axis=-1)
    return _unit_colours(udp[..., :3], there)


def normal_colours(normals: Floats) -> UInt8:
    """(H, W, 3) unit normals as (n + 1) / 2; near black where there is no surface, that is 0 or not a number."""
    there = np.isfinite(normals).all(axis=-1) & (normals != 0).any(axis=-1)
    return _unit_colours(np.clip(normals, -1, 1) * 0.5 + 0.5, there)


def id_colours(ids: Int32) -> UInt8:
    """(H, W) ids: the same id always has the same colour, unlike its neighbours' (4096 colours, then again).

    Near black where the id is negative.
    """
    return _id_palette()[np.where(ids < 0, _ID_PERIOD, ids % _ID_PERIOD)]


def depth_greys(depth_m: Floats, near_m: float, far_m: float) -> UInt8:
    """(H, W) depth, even steps of 1 / depth: white up to `near_m`, dark grey from `far_m` on.

    Black where there is no surface: infinite, not a number, or not in front of the camera.
    """
    if not 0 < near_m < far_m:
        raise InputError(f"Depths from {near_m} m to {far_m} m cannot be drawn: give a near above 0 and a farther far.")
    there = np.isfinite(depth_m) & (depth_m > 0)
    depth = np.clip(np.where(there, depth_m.astype(np.float64), far_m), near_m, far_m)
    nearness = (near_m / depth - near_m / far_m) / (1 - near_m / far_m)
    grey = np.where(there, _FAR_GREY + (255 - _FAR_GREY) * nearness + 0.5, 0).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def depth_range(depths: Iterable[Floats]) -> tuple[float, float]:
    """(near, far) in metres for all (H, W) depths of a sequence, its nearest and farthest percent left out.

    (1, 2) if no pixel shows a surface.
    """
    first, last = (octave * _BINS_PER_OCTAVE for octave in _OCTAVES)
    counts = np.zeros(last - first, np.int64)
    for depth_m in depths:
        seen_m = depth_m[np.isfinite(depth_m) & (depth_m > 0)].astype(np.float64)
        places = np.floor(np.log2(seen_m) * _BINS_PER_OCTAVE).astype(np.int64) - first
        counts += np.bincount(np.clip(places, 0, len(counts) - 1), minlength=len(counts))
    if not counts.any():
        return 1.0, 2.0
    share = np.cumsum(counts) / counts.sum()
    near_bin = int(np.argmax(share > _DEPTH_SHARE_OUTSIDE))
    far_bin = int(np.argmax(share >= 1 - _DEPTH_SHARE_OUTSIDE))
    return 2.0 ** ((near_bin + first) / _BINS_PER_OCTAVE), 2.0 ** ((far_bin + 1 + first) / _BINS_PER_OCTAVE)


def occlusion_over(frame: UInt8, occluded: Bool) -> UInt8:
    """(H, W, 3) RGB frame, dimmed, with red over what (H, W) `occluded` marks: only there is red above 152."""
    values = np.arange(256)
    dimmed = (values * _DIM).astype(np.uint8)[frame]
    tinted = np.rint(values[:, None] * (1 - _TINT) + np.asarray(_OCCLUDED_RGB) * _TINT).astype(np.uint8)
    picture: UInt8 = dimmed
    for channel in range(3):
        picture[occluded, channel] = tinted[frame[occluded, channel], channel]
    return picture


def _checked_scale(scale_px: float) -> np.float32:
    with np.errstate(all="ignore"):
        scale = np.float32(scale_px)
    if not 0 < scale < math.inf:
        raise InputError(f"Flow cannot be drawn with a scale of {scale_px} px: give a number above 0.")
    return scale


def _unit_colours(colours: Floats, there: Bool) -> UInt8:
    """(H, W, 3) in 0..1, and (H, W) where they count."""
    unit = np.clip(np.where(there[..., None], colours, 0), 0, 1)
    picture = (unit * 255 + 0.5).astype(np.uint8)
    picture[~there] = NOTHING_RGB
    return picture


@cache
def _id_palette() -> UInt8:
    """(4097, 3), a colour for each id and the last one for none.

    Steps of the golden ratio keep the hues of neighbours far apart; those that come close again (8, 13, 21, ... ids on)
    have another saturation and value. Those steps were searched for: of 512 ids, any two up to 8 apart differ by 58 or
    more of 441, all of the first 201 by 15.
    """
    ids = np.arange(_ID_PERIOD, dtype=np.float64)
    hue = ids * 0.6180339887498949 % 1.0
    saturation = 0.4 + 0.6 * (ids * 0.8240018 % 1.0)
    value = 1.0 - 0.5 * (ids * 0.6806863 % 1.0)
    # The distance around the circle from each channel's own hue, as in every HSV formula.
    towards = np.abs((hue[:, None] - np.array([0, 1 / 3, 2 / 3]) + 0.5) % 1.0 - 0.5)
    pure = np.clip(2 - 6 * towards, 0, 1)
    colours = value[:, None] * (1 - saturation[:, None] * (1 - pure))
    return np.vstack([np.rint(colours * 255), NOTHING_RGB]).astype(np.uint8)


_GLYPHS = "0123456789.e+-px"
_GLYPH_WIDTH = 6  # the gap included
_LEGEND_PX = 80  # the size at which the glyphs are drawn as they stand here
_GLYPH_ROWS = (
    " ###    #    ###  #####    #  #####  ###  #####  ###   ###                                      ",
    "#   #  ##   #   #    #    ##  #     #   #     # #   # #   #               #                     ",
    "#  ##   #       #   #    # #  ####  #        #  #   # #   #        ###    #         ####  #   # ",
    "# # #   #     ##   ###  #  #      # ####     #   ###   ####       #   # ##### ##### #   #  # #  ",
    "##  #   #    #        # #####     # #   #   #   #   #     #       #####   #         #   #   #   ",
    "#   #   #   #     #   #    #  #   # #   #   #   #   # #   #  ##   #       #         ####   # #  ",
    " ###   ###  #####  ###     #   ###   ###    #    ###   ###   ##    ###              #     #   # ",
)


def _written(text: str) -> Bool:
    """(7, 6 * characters), true where there is ink. A blank for what is no number and no unit."""
    font = np.array([list(row) for row in _GLYPH_ROWS]) == "#"
    letters = np.zeros((len(font), len(text), _GLYPH_WIDTH), np.bool_)
    for place, letter in enumerate(text):
        if letter in _GLYPHS:
            start = _GLYPHS.index(letter) * _GLYPH_WIDTH
            letters[:, place] = font[:, start : start + _GLYPH_WIDTH]
    return letters.reshape(len(font), -1)
