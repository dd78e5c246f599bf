# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels that are made from a clip's other files: line areas, segments, matches. What is there is not touched."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..labels.matching import Matches, match_by_flow, match_by_surface, surface_numbers
from ..labels.segments import FREE_ABOVE, segments_from_contours, segments_from_frame
from .formats import read_flo, read_npy, read_png, write_matching, write_npy
from .layout import Clip, Direction, Kind

# The data set's border between "line" and "flat".
LINE_AREA_PX = 10.0


def line_area(contour: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Of line art (H, W): 0 within 10 px of a line, 1 beyond."""
    import cv2

    apart_px = cv2.distanceTransform((contour > FREE_ABOVE).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(apart_px > LINE_AREA_PX).view(np.uint8)


def make_line_area(clip: Clip, frame: int) -> None:
    """From the contour image."""
    if not clip.line_area(frame).exists():
        write_npy(clip.line_area(frame), line_area(read_png(clip.contour(frame))))


def make_segments(clip: Clip, frame: int, by_contour: bool) -> None:
    """From the contour image, or from the colour frame alone."""
    if clip.segment(frame).exists():
        return
    picture = read_png(clip.frame(frame))[..., :3]
    if by_contour:
        segments = segments_from_contours(read_png(clip.contour(frame)), picture)
    else:
        segments = segments_from_frame(picture)
    write_npy(clip.segment(frame), segments)


def make_matching(clip: Clip, source: int, target: int, stride: int, by_flow: bool) -> None:
    """From segments, flow and occlusion, or from segments and ids."""
    direction = Direction.FORWARD if source < target else Direction.BACKWARD
    path = clip.matching(source, direction, stride)
    if not path.exists():
        write_matching(
            path, _matches(clip, source, target, direction, stride) if by_flow else _by_ids(clip, source, target)
        )


def _matches(clip: Clip, source: int, target: int, direction: Direction, stride: int) -> Matches:
    flow_px, valid = read_flo(clip.flow(source, direction, stride))
    occluded = (read_npy(clip.unmatched(source, direction, stride)) == 0) | ~valid
    return match_by_flow(read_npy(clip.segment(source)), flow_px, occluded, read_npy(clip.segment(target)))


def _by_ids(clip: Clip, source: int, target: int) -> Matches:
    here, there = (
        surface_numbers(*(read_npy(clip.of_frame(kind, frame, ".npy")) for kind in (Kind.OBJECT_ID, Kind.MATERIAL_ID)))
        for frame in (source, target)
    )
    return match_by_surface(read_npy(clip.segment(source)), here, read_npy(clip.segment(target)), there)
