# SPDX-License-Identifier: GPL-3.0-or-later
"""Which segment of another frame shows what a segment shows: by flow, after the AnimeRun paper, or by surface.

Both directions are the same call with the frames swapped. How segments are found, in segments.py.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .snapshot import Bool, Float32, Int32

Labels = npt.NDArray[np.integer[Any]]
Int64 = npt.NDArray[np.int64]
# For each segment the labels of its matches there, best first; [NO_MATCH] if there is none.
Matches = list[list[int]]

NO_MATCH = -1


def match_by_flow(segments: Labels, flow_px: Float32, occluded: Bool, other_segments: Labels) -> Matches:
    """Follow each segment's pixels to the other frame and count where they land; the paper's way.

    `segments`, `other_segments` (H, W), labels 0..K-1, may differ in size; `flow_px` (H, W, 2) leads to the other
    frame; `occluded` (H, W), hidden there or unknown. Every label on which at least one pixel lands is a match, the
    one with the most pixels first, of equal ones the smaller label.

    - A pixel speaks if its segment holds all of the 3x3 around it (what lies beyond the picture speaks against
      nobody) and it is not occluded. A segment that is nowhere 3 pixels wide has no such pixel: there all its pixels
      speak, or thin strands in plain view would count as hidden.
    - It lands on the pixel that its centre falls into: floor(x + 0.5 + u), so half a pixel goes right and down.
      What falls outside or is not a number votes for nothing.
    """
    height, width = segments.shape
    height_there, width_there = other_segments.shape
    x_there = flow_px[..., 0] + np.arange(0.5, width, dtype=np.float32)
    y_there = flow_px[..., 1] + np.arange(0.5, height, dtype=np.float32)[:, None]
    inside = (x_there >= 0) & (x_there < width_there) & (y_there >= 0) & (y_there < height_there)
    at = np.flatnonzero(_speaking(segments) & ~occluded & inside)
    # From 0 on, a cast to integers is the floor.
    column, row = (there.reshape(-1)[at].astype(np.int32) for there in (x_there, y_there))
    landed = other_segments.reshape(-1)[row * width_there + column]
    source, target, votes = _counted_pairs(segments.reshape(-1)[at], landed)
    return _sorted_matches(source, target, votes, _label_count(segments))


def match_by_surface(segments: Labels, surfaces: Labels, other_segments: Labels, other_surfaces: Labels) -> Matches:
    """The segments of the other frame that show the same surface, the largest first, of equal ones the smaller label.

    All (H, W); `surfaces` say which surface each pixel sees, in the same numbers in both frames (surface_numbers()).
    A segment shows what most of its pixels see, of equal ones the smaller number. Neither motion nor hiding is asked
    about: several regions of one surface are matches of each other.
    """
    shown, _ = _shown_surfaces(segments, surfaces)
    shown_there, area_there = _shown_surfaces(other_segments, other_surfaces)
    # Labels there, surface by surface; a segment's matches are the run of its surface.
    order = np.lexsort((-area_there, shown_there))
    order = order[area_there[order] > 0]
    known = shown_there[order]
    first, last = np.searchsorted(known, shown, "left"), np.searchsorted(known, shown, "right")
    labels = order.tolist()
    present = np.bincount(segments.reshape(-1)) > 0
    return [
        (labels[start:stop] if is_there else []) or [NO_MATCH]
        for start, stop, is_there in zip(first.tolist(), last.tolist(), present.tolist(), strict=True)
    ]


def surface_numbers(object_ids: Int32, material_ids: Int32) -> Int64:
    """(H, W), another number for every pair of object and material; both from -1, which is none."""
    return (object_ids.astype(np.int64) + 1 << 32) + material_ids + 1


def colours_by_matches(
    matches: Matches, segments: Labels, colours: npt.NDArray[np.generic], unmatched: npt.ArrayLike = 0
) -> npt.NDArray[np.generic]:
    """(H, W, C): each segment in the colour of its best match.

    `colours` (K, C) of the other frame's segments; `unmatched`, one number or (C,), for those without a match.
    """
    palette = np.empty((len(colours) + 1, colours.shape[1]), dtype=colours.dtype)
    palette[:-1], palette[NO_MATCH] = colours, unmatched
    best = np.array([targets[0] for targets in matches], dtype=np.intp)
    return palette[best][segments]


def _speaking(segments: Labels) -> Bool:
    """(H, W): the pixels of each segment's 3x3 erosion, or all of it if none is left."""
    # Whether a pixel and its right, and lower, neighbour are of one segment; so is what lies beyond the border.
    right = np.pad(segments[:, 1:] == segments[:, :-1], ((0, 0), (1, 1)), constant_values=True)
    below = np.pad(segments[1:] == segments[:-1], ((1, 1), (0, 0)), constant_values=True)
    row = np.pad(right[:, 1:] & right[:, :-1], ((1, 1), (0, 0)), constant_values=True)
    eroded: Bool = row[1:-1] & row[:-2] & row[2:] & below[1:] & below[:-1]
    count = _label_count(segments)
    vanished = np.bincount(segments[eroded], minlength=count) == 0
    return eroded | vanished[segments]


def _shown_surfaces(segments: Labels, surfaces: Labels) -> tuple[Int64, Int64]:
    """Of every label (K,): the surface that most of its pixels see (0 for a label that is nowhere), and its area."""
    source, number, votes = _counted_pairs(segments.reshape(-1), surfaces.reshape(-1))
    order = np.lexsort((number, -votes, source))
    present, first = np.unique(source[order], return_index=True)
    area = np.bincount(segments.reshape(-1))
    shown = np.zeros(len(area), dtype=np.int64)
    shown[present] = number[order][first]
    return shown, area


def _counted_pairs(labels: Labels, numbers: Labels) -> tuple[Int64, Int64, Int64]:
    """The distinct pairs of two lists, a label and any number each, in ascending order, and how often each occurs."""
    # Neighbours mostly say the same: only runs are sorted, not pixels.
    changes = (labels[1:] != labels[:-1]) | (numbers[1:] != numbers[:-1])
    starts = np.flatnonzero(np.concatenate(([len(labels) > 0], changes)))
    distinct_numbers, place = np.unique(numbers[starts], return_inverse=True)
    base = max(len(distinct_numbers), 1)
    pairs, run_of = np.unique(labels[starts].astype(np.int64) * base + place, return_inverse=True)
    lengths = np.diff(starts, append=len(labels))
    counts = np.bincount(run_of, weights=lengths, minlength=len(pairs)).astype(np.int64)
    return pairs // base, distinct_numbers[pairs % base].astype(np.int64), counts


def _sorted_matches(source: Int64, target: Int64, votes: Int64, count: int) -> Matches:
    order = np.lexsort((target, -votes, source))
    bounds = np.searchsorted(source, np.arange(count + 1)).tolist()
    targets = target[order].tolist()
    return [targets[start:stop] or [NO_MATCH] for start, stop in pairwise(bounds)]


def _label_count(segments: Labels) -> int:
    return int(segments.max()) + 1
