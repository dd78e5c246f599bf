# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels of a picture are hidden at another frame: by the data set's rule on flows, and exactly, by geometry.

The exact kind asks of each surface point: at the very place where it lands in the other picture, does anything lie in
front of it there? The other visibility buffer only knows pixel centres, so the answer is made in two steps.

1. On a plane, nearness (1 / depth, or -depth) is linear in the picture. A neighbouring pixel of the landing place
   speaks against the point when what it sees is nearer than the point's own plane at that pixel centre, AND the seen
   triangle's plane is nearer than the point at the landing place. Around a convex edge or on a bulging surface only
   the second holds, around a concave one only the first, so a surface does not hide itself, however fine its mesh.
   No neighbour against it: visible. All four: hidden.
2. Where they disagree (along silhouettes) a ray is cast against all triangles (cover.py).

What is left of error: things so thin that none of the four pixel centres around a landing place sees them (or gaps so
thin that all four miss them), and what lies nearer before a surface than 1e-5 of its depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .chunks import in_rows
from .cover import PicturePoints, covered, hiding_nearness
from .motion import Flow, Landing, landing
from .projection import nearness
from .snapshot import Bool, Float32, Int32, Snapshot
from .surface import Places, Surface, pixel_centres

# The data set's rule: forward and backward flow that differ by more do not belong to one another.
_LARGEST_DISAGREEMENT_PX = 0.5
# Of the four flows around a landing place, those with at least this weight together must be known.
_LEAST_KNOWN_SHARE = 0.5
# The picture's border belongs to it, in spite of rounding: shifted by half a pixel, the last column lands on it.
_BORDER_PX = 1e-3


@dataclass(frozen=True)
class _Square:
    """The four pixels around landing places (...), all of them in the picture."""

    upper_left: Places  # flat places
    dx_px: Float32  # from the landing places to their centres
    dy_px: Float32
    inside: Bool  # whether the landing places themselves lie in the picture
    steps: tuple[tuple[int, int, int], ...]  # from upper left to each of the four: in flat places, columns, rows


def consistency_occlusion(forward: Flow, backward: Flow) -> Bool:
    """(H, W), the data set's rule: |f + w(b)| > 0.5, the backward flow taken bilinearly at the landing place.

    Occluded as well: no valid flow, landing out of the picture, no valid flow (for the most part) there.
    """
    back_u, back_v = (np.ascontiguousarray(backward.flow_px[..., axis]).reshape(-1) for axis in (0, 1))
    back_weights = None if backward.valid.all() else backward.valid.reshape(-1).astype(np.float32)
    occluded = np.empty(forward.valid.shape, dtype=np.bool_)

    def work(rows: slice) -> None:
        square = _around(forward.flow_px[rows], *_rows_and_columns(rows, occluded.shape), backward.valid.shape)
        at = square.upper_left
        # Beyond the outermost centres the border goes on.
        dx, dy = np.clip(square.dx_px, -1.0, 0.0), np.clip(square.dy_px, -1.0, 0.0)
        known, u, v = np.zeros((3, *dx.shape), dtype=np.float32)
        for step, right, below in square.steps:
            weight = (1.0 - np.abs(dx + right)) * (1.0 - np.abs(dy + below))
            if back_weights is not None:
                weight *= back_weights[step:][at]
            known += weight
            u += weight * back_u[step:][at]
            v += weight * back_v[step:][at]
        enough = known >= _LEAST_KNOWN_SHARE
        share = np.where(enough, known, np.float32(1.0))
        apart = np.hypot(forward.flow_px[rows, :, 0] + u / share, forward.flow_px[rows, :, 1] + v / share)
        visible = forward.valid[rows] & square.inside & enough & (apart <= _LARGEST_DISAGREEMENT_PX)
        occluded[rows] = ~visible

    in_rows(occluded.shape, work)
    return occluded


def exact_occlusion(
    snapshot: Snapshot, surface: Surface, other: Snapshot, other_surface: Surface, landed: Landing | None = None
) -> Bool:
    """(H, W): what `surface` shows of `snapshot` and `other` does not show, as the file's docstring says.

    Occluded as well: not followed, out of the picture, beyond the clip range, seen from a side that is culled there.
    Background is hidden by any surface. Give `landed` (motion.landing) if it is there already.
    """
    landed = landed or landing(snapshot, surface, other)
    visible, suspects = _first_look(surface, other, other_surface, landed)
    points = _points(snapshot, surface, landed, suspects)
    votes, in_doubt = _votes_against(surface, other, other_surface, landed, suspects, points)
    hidden = votes == 4
    doubtful = np.flatnonzero(in_doubt | ((votes > 0) & ~hidden))
    hidden[doubtful] = covered(other, points[doubtful])
    visible.reshape(-1)[suspects[hidden]] = False
    return ~visible


def _first_look(surface: Surface, other: Snapshot, other_surface: Surface, landed: Landing) -> tuple[Bool, Places]:
    """What lands in view (H, W), and flat places of those of it that at least one pixel may speak against."""
    camera, shape = other.camera, surface.facets.shape
    nearest, farthest, infinite = nearness(camera, np.array((camera.clip_start_m, camera.clip_end_m, np.inf))).tolist()
    some_face_away = bool(landed.faces_away.any())
    seen_near = _seen_nearness(other, other_surface).reshape(-1)
    visible, suspicious = np.empty((2, *shape), dtype=np.bool_)

    def work(rows: slice) -> None:
        at, near = surface.facets[rows], landed.nearness[rows]
        square = _around(landed.flow.flow_px[rows], *_rows_and_columns(rows, shape), other_surface.facets.shape)
        seen = landed.flow.valid[rows] & square.inside & (near <= nearest) & ((near >= farthest) | (near <= infinite))
        if some_face_away:
            seen &= ~landed.faces_away[at]
        to_right, to_below = (slope[at] for slope in landed.slopes)
        with np.errstate(invalid="ignore", over="ignore"):  # planes seen edge-on
            own = hiding_nearness(near) + to_right * square.dx_px + to_below * square.dy_px
            passed = np.ones(at.shape, dtype=np.bool_)
            for step, right, below in square.steps:
                plane = own + to_right * right if right else own
                plane = plane + to_below if below else plane
                # Not "seen > plane": a plane seen edge-on is NaN and must not end the matter.
                passed &= seen_near[step:][square.upper_left] <= plane
        visible[rows] = seen
        suspicious[rows] = seen & ~passed

    in_rows(shape, work)
    return visible, np.flatnonzero(suspicious)


def _seen_nearness(other: Snapshot, other_surface: Surface) -> Float32:
    """(H, W), of what the other picture sees; infinite where that may hide points whatever their depth."""
    hides_all = np.zeros(other_surface.facets.shape, dtype=np.bool_)
    if other.in_front.any():
        hides_all |= _by_facet(other.in_front, other_surface)[other_surface.facets]
    if other.holds_out.any():
        hides_all |= other_surface.facets < 0
    return np.where(hides_all, np.float32(np.inf), other_surface.nearness)


def _points(snapshot: Snapshot, surface: Surface, landed: Landing, pixels: Places) -> PicturePoints:
    """Where the surface points of pixels (P,) land."""
    x, y = pixel_centres(pixels, surface.width_px)
    u, v = landed.flow.flow_px.reshape(-1, 2)[pixels].T
    in_front = _by_facet(snapshot.in_front, surface)[surface.facets.reshape(-1)[pixels]]
    return PicturePoints(x + u, y + v, landed.nearness.reshape(-1)[pixels].astype(np.float64), in_front)


def _votes_against(
    surface: Surface, other: Snapshot, other_surface: Surface, landed: Landing, pixels: Places, points: PicturePoints
) -> tuple[npt.NDArray[np.int8], Bool]:
    """Of pixels (P,): how many of the four around their points speak against these, and where they may be wrong."""
    row, column = np.divmod(pixels.astype(np.int32), np.int32(surface.width_px))
    square = _around(landed.flow.flow_px.reshape(-1, 2)[pixels], row, column, other_surface.facets.shape)
    hiding = hiding_nearness(points.nearness)
    to_right, to_below = landed.slopes[:, surface.facets.reshape(-1)[pixels]]
    ranks = _by_facet(other.in_front, other_surface)
    has_holdouts = bool(other.holds_out.any())
    votes, in_doubt = np.zeros(len(pixels), dtype=np.int8), np.zeros(len(pixels), dtype=np.bool_)
    for step, right, below in square.steps:
        dx, dy = square.dx_px + right, square.dy_px + below
        seen = other_surface.facets.reshape(-1)[square.upper_left + step]
        near = other_surface.nearness.reshape(-1)[square.upper_left + step]
        with np.errstate(invalid="ignore", over="ignore"):
            # Not "near > plane": a plane seen edge-on is NaN and must not end the matter.
            against = ~(near <= hiding + to_right * dx + to_below * dy)
        against &= near - other_surface.planes[1][seen] * dx - other_surface.planes[2][seen] * dy > hiding
        votes += np.where(ranks[seen] == points.in_front, against, ranks[seen])
        if has_holdouts:
            in_doubt |= seen < 0
    return votes, in_doubt


def _by_facet(flags: Bool, surface: Surface) -> Bool:
    """(F + 1,), what triangles (T,) are; the background is not."""
    return np.append(flags[surface.triangles], False)


def _rows_and_columns(rows: slice, shape: tuple[int, ...]) -> tuple[Int32, Int32]:
    """(h, 1) and (W,) of some rows of a picture (H, W)."""
    return np.arange(rows.start, rows.stop, dtype=np.int32)[:, None], np.arange(shape[1], dtype=np.int32)


def _around(flow_px: Float32, row: Int32, column: Int32, shape: tuple[int, ...]) -> _Square:
    """The pixels in a picture (H', W') around where pixels with a flow (..., 2) land."""
    height, width = shape
    left, dx, in_width = _along(flow_px[..., 0], column, width)
    top, dy, in_height = _along(flow_px[..., 1], row, height)
    upper_left = (top * np.int32(width) + left).astype(np.intp)
    to_right, to_below = min(width - 1, 1), min(height - 1, 1)
    steps = tuple((y * width + x, x, y) for y in (0, to_below) for x in (0, to_right))
    return _Square(upper_left, dx, dy, in_width & in_height, steps)


def _along(flow_px: Float32, start: Int32, size: int) -> tuple[Int32, Float32, Bool]:
    """One axis: the first of the two pixels, how far its centre is from the landing place, whether that is inside."""
    # Never start + flow in float32, for sums that large lose what counts.
    whole = np.floor(flow_px)
    pixel = start + whole.astype(np.int32)
    first = np.minimum(np.maximum(pixel, 0), max(size - 2, 0))
    offset = (first - pixel).astype(np.float32)
    offset -= flow_px - whole
    beyond = 0.5 + _BORDER_PX
    return first, offset, (offset <= beyond) & (offset >= -beyond - min(size - 1, 1))
