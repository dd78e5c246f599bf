# SPDX-License-Identifier: GPL-3.0-or-later
"""Optical flow without a network: OpenCV's DIS both ways, and what both agree on spread over what they do not.

Flat pictures say where they move only along their lines. So where the flow there and back disagree (in flat colours, at
what gets hidden), the flow of the surroundings of like colour takes over. No torch, no bpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..labels.motion import Flow
from ..labels.occlusion import consistency_occlusion
from ..labels.snapshot import Bool, Float32

UInt8 = npt.NDArray[np.uint8]
Stop = Callable[[], None]

# DIS for drawings: large patches, in pictures of about this size at the finest, or of a quarter of the frame's size.
# What is finer follows noise in flat colours.
_FINEST_PX = 256
_MOST_HALVINGS = 2
_PATCH_PX, _PATCH_STRIDE_PX = 12, 4
_SMOOTHINGS = 20
# In smaller pictures DIS would take other settings, and in narrow ones it crashes.
_LEAST_SIDE_PX = 136
# Where both ways disagree by d pixels, the flow counts exp(-d), but never nothing.
_LEAST_TRUST = 1e-4
_APART_PX = 1e3  # and out of the picture
# How far trusted flow spreads, and the change of colour (three channels of 0..1 together) that is as far.
_REACH_PX = 60.0
_EDGE = 0.15
# Each goes half as far as the one before: fewer leave streaks along rows and columns.
_SPREADINGS = 3


def never() -> None:
    """Of work that nobody stops."""


@dataclass(frozen=True)
class ClassicalFlow:
    """Flow both ways, known everywhere, and what of each frame is hidden in the other."""

    forward: Flow
    backward: Flow
    occluded_forward: Bool  # (H, W), of the first frame's pixels
    occluded_backward: Bool


def classical_flow(first: UInt8, second: UInt8, stop: Stop = never) -> ClassicalFlow:
    """Between frames (H, W, 3), red first, of any size. `stop` is called between steps and may raise."""
    for frame in (first, second):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise InputError(f"A frame is no 8-bit RGB picture but {frame.dtype} {frame.shape}: convert it")
    if first.shape != second.shape:
        raise InputError(f"The frames differ in size, {_size(first)} and {_size(second)}: render or scale them alike")
    one, other = _padded(first), _padded(second)
    stop()
    there_px = _inverse_search(one, other)
    stop()
    back_px = _inverse_search(other, one)
    flows = []
    for frame, flow_px, opposite_px in ((one, there_px, back_px), (other, back_px, there_px)):
        stop()
        whole = _spread(flow_px, _trust(flow_px, opposite_px), frame)
        flows.append(Flow(_cut(whole, first.shape), np.ones(first.shape[:2], dtype=np.bool_), ()))
    stop()
    forward, backward = flows
    return ClassicalFlow(
        forward, backward, consistency_occlusion(forward, backward), consistency_occlusion(backward, forward)
    )


def _inverse_search(here: UInt8, there: UInt8) -> Float32:
    """(H, W, 2), DIS alone."""
    import cv2

    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    halvings = round(math.log2(max(here.shape) / _FINEST_PX))
    search.setFinestScale(min(max(halvings, 0), _MOST_HALVINGS))
    search.setPatchSize(_PATCH_PX)
    search.setPatchStride(_PATCH_STRIDE_PX)
    search.setVariationalRefinementIterations(_SMOOTHINGS)
    grey_here, grey_there = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (here, there))
    flow_px: Any = None  # OpenCV's word for a new array
    return np.asarray(search.calc(grey_here, grey_there, flow_px), dtype=np.float32)


def _trust(flow_px: Float32, back_px: Float32) -> Float32:
    """(H, W), 1 where the flow there and back leads to where it began."""
    import cv2

    height, width = flow_px.shape[:2]
    y, x = np.indices((height, width), dtype=np.float32)
    back_there = cv2.remap(
        back_px,
        x + flow_px[..., 0],
        y + flow_px[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(_APART_PX, _APART_PX),
    )
    apart_px = np.linalg.norm(flow_px + back_there, axis=2)
    return np.asarray(np.exp(-apart_px) + _LEAST_TRUST, dtype=np.float32)


def _spread(flow_px: Float32, trust: Float32, frame: UInt8) -> Float32:
    """(H, W, 2): means of the flow around, weighed by trust and by the way there, on which edges count as distance.

    The recursive filter of Gastal and Oliveira (Domain Transform, 2011, section 5.2).
    """
    shares = np.dstack((flow_px * trust[..., None], trust))
    colour = frame.astype(np.float32) / 255.0
    # (W - 1, H) and (H - 1, W): how far pixels are from the next one.
    to_right, down = (1.0 + _REACH_PX / _EDGE * np.abs(np.diff(colour, axis=axis)).sum(2) for axis in (1, 0))
    to_right = np.ascontiguousarray(to_right.T)
    for number in range(1, _SPREADINGS + 1):
        reach_px = _REACH_PX * np.sqrt(3.0) * 2.0 ** (_SPREADINGS - number) / np.sqrt(4.0**_SPREADINGS - 1.0)
        kept = np.float32(np.exp(-np.sqrt(2.0) / reach_px))
        columns = np.ascontiguousarray(shares.transpose(1, 0, 2))
        _run_along(columns, kept**to_right)
        shares = np.ascontiguousarray(columns.transpose(1, 0, 2))
        _run_along(shares, kept**down)
    return np.asarray(shares[..., :2] / shares[..., 2:], dtype=np.float32)


def _run_along(lines: Float32, kept: Float32) -> None:
    """Let lines (L, K, C) run into their followers and back, in place; `kept` (L - 1, K): what arrives."""
    shares = kept[..., None]
    for here in range(1, len(lines)):
        lines[here] += shares[here - 1] * (lines[here - 1] - lines[here])
    for here in range(len(lines) - 2, -1, -1):
        lines[here] += shares[here] * (lines[here + 1] - lines[here])


def _padded(frame: UInt8) -> UInt8:
    """With its border drawn out where a side is too short, half on each side."""
    (top, bottom), (left, right) = (_padding(side) for side in frame.shape[:2])
    return np.pad(frame, ((top, bottom), (left, right), (0, 0)), mode="edge")


def _cut(whole: Float32, shape: tuple[int, ...]) -> Float32:
    (top, _), (left, _) = (_padding(side) for side in shape[:2])
    return np.ascontiguousarray(whole[top : top + shape[0], left : left + shape[1]])


def _padding(side: int) -> tuple[int, int]:
    extra = max(_LEAST_SIDE_PX - side, 0)
    return extra // 2, extra - extra // 2


def _size(frame: UInt8) -> str:
    return f"{frame.shape[1]} x {frame.shape[0]}"
