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

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .chunks import in_chunks
from .cover import PicturePoints, covered, hiding_nearness, nearness, nearness_planes
from .motion import Flow, Landing, landing
from .projection import pixel_centres
from .snapshot import Bool, Float64, Snapshot
from .surface import Surface, edges_of, seen_from_behind

_Value = TypeVar("_Value", np.float64, np.bool_)

# The data set's rule: forward and backward flow that differ by more do not belong to one another.
_LARGEST_DISAGREEMENT_PX = 0.5
# Of the four flows around a landing place, those with at least this weight together must be known.
_LEAST_KNOWN_SHARE = 0.5
# The picture's border belongs to it, in spite of rounding: shifted by half a pixel, the last column lands on it.
_BORDER_PX = 1e-3


def consistency_occlusion(forward: Flow, backward: Flow) -> Bool:
    """(H, W), the data set's rule: |f + w(b)| > 0.5, the backward flow taken bilinearly at the landing place.

    Occluded as well: no valid flow, landing out of the picture, no valid flow (for the most part) there.
    """
    height, width = forward.valid.shape
    other_height, other_width = backward.valid.shape
    flow_px, valid = forward.flow_px.reshape(-1, 2), forward.valid.reshape(-1)
    back_px, back_valid = backward.flow_px.reshape(-1, 2), backward.valid.reshape(-1)
    occluded = np.empty(height * width, dtype=np.bool_)

    def work(part: slice) -> None:
        u, v = flow_px[part].T.astype(np.float64)
        x, y = pixel_centres(np.arange(part.start, part.stop), width)
        x, y = x + u, y + v
        visible = _in_picture(x, y, other_width, other_height) & valid[part]
        known, back_u, back_v = np.zeros((3, len(x)))
        # Beyond the outermost centres the border goes on.
        x, y = np.clip(x, 0.5, other_width - 0.5), np.clip(y, 0.5, other_height - 0.5)
        for at, dx, dy in _around(x, y, other_width, other_height):
            weight = (1.0 - np.abs(dx)) * (1.0 - np.abs(dy)) * back_valid[at]
            known += weight
            back = back_px[at]
            back_u += weight * back[:, 0]
            back_v += weight * back[:, 1]
        enough = known >= _LEAST_KNOWN_SHARE
        share = np.where(enough, known, 1.0)
        apart = np.hypot(u + back_u / share, v + back_v / share)
        occluded[part] = ~(visible & enough & (apart <= _LARGEST_DISAGREEMENT_PX))

    in_chunks(height * width, work)
    return occluded.reshape(height, width)


def exact_occlusion(
    snapshot: Snapshot, surface: Surface, other: Snapshot, other_surface: Surface, landed: Landing | None = None
) -> Bool:
    """(H, W): what `surface` shows of `snapshot` and `other` does not show, as the file's docstring says.

    Occluded as well: not followed, out of the picture, beyond the clip range, seen from a side that is culled there.
    Background is hidden by any surface. Give `landed` (motion.landing) if it is there already.
    """
    landed = landed or landing(snapshot, surface, other)
    visible = _in_view(snapshot, surface, other, landed)
    pixels = np.flatnonzero(visible)
    place = surface.place_image()[pixels]
    in_front = _with_background(snapshot.in_front[surface.triangles], False)[place]
    near = nearness(other.camera, landed.depth_m[pixels])
    points = PicturePoints(landed.x_px[pixels], landed.y_px[pixels], near, in_front)
    gradients = _gradients(other, landed.image_corners)
    votes, in_doubt = _votes_against(other, other_surface, points, gradients, place)
    hidden = votes == 4
    doubtful = np.flatnonzero(in_doubt | ((votes > 0) & ~hidden))
    hidden[doubtful] = covered(other, points[doubtful])
    visible[pixels] = ~hidden
    return ~visible.reshape(surface.height_px, surface.width_px)


def _in_picture(x_px: Float64, y_px: Float64, width_px: int, height_px: int) -> Bool:
    inside: Bool = (x_px >= -_BORDER_PX) & (x_px <= width_px + _BORDER_PX)
    return inside & (y_px >= -_BORDER_PX) & (y_px <= height_px + _BORDER_PX)


def _in_view(snapshot: Snapshot, surface: Surface, other: Snapshot, landed: Landing) -> Bool:
    """(H·W,): followed, in the other picture and clip range, and not culled there."""
    camera = other.camera
    seen = landed.valid & _in_picture(landed.x_px, landed.y_px, camera.width_px, camera.height_px)
    depth = landed.depth_m
    seen &= np.isinf(depth) | ((depth >= camera.clip_start_m) & (depth <= camera.clip_end_m))
    culled = snapshot.culls_back[surface.triangles] & seen_from_behind(landed.image_corners)
    if culled.any():
        seen[surface.pixels[culled[surface.places]]] = False
    return seen


def _votes_against(
    other: Snapshot, other_surface: Surface, points: PicturePoints, gradients: Float64, place: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.int8], Bool]:
    """(P,) how many of the four pixels around each point say that it is hidden, and where they may be wrong.

    Gradients are those of the points' own planes' nearness in the other picture, `place` (P,) the points' rows of it.
    """
    width, height = other_surface.width_px, other_surface.height_px
    seen_place = other_surface.place_image()
    seen_near = nearness(other.camera, other_surface.image(other_surface.depth_m, np.inf)).reshape(-1)
    seen_rank = _with_background(other.in_front[other_surface.triangles], False)
    seen_gradients = _gradients(other, other_surface.image_corners)
    has_holdouts = bool(other.holds_out.any())
    has_ranks = bool(other.in_front.any() or points.in_front.any())
    votes = np.zeros(len(points.x_px), dtype=np.int8)
    in_doubt = np.zeros(len(points.x_px), dtype=np.bool_)

    def work(part: slice) -> None:
        x, y, rank = points.x_px[part], points.y_px[part], points.in_front[part]
        hiding = hiding_nearness(points.nearness[part])
        slope = np.take(gradients, place[part], axis=0)
        for at, dx, dy in _around(x, y, width, height):
            # Not "seen > plane": a plane seen edge-on is NaN and must not end the matter.
            suspicious = ~(seen_near[at] <= hiding + slope[:, 0] * dx + slope[:, 1] * dy)
            if has_ranks:
                suspicious |= seen_rank[seen_place[at]] != rank
            if has_holdouts:
                in_doubt[part] |= seen_place[at] < 0
            rows = np.flatnonzero(suspicious)
            seen = at[rows]
            back = seen_gradients[seen_place[seen]]
            against = seen_near[seen] - back[:, 0] * dx[rows] - back[:, 1] * dy[rows] > hiding[rows]
            if has_ranks:
                ranks = seen_rank[seen_place[seen]]
                against = np.where(ranks == rank[rows], against, ranks)
            votes[part][rows] += against

    in_chunks(len(points.x_px), work)
    return votes, in_doubt


def _around(x: Float64, y: Float64, width: int, height: int) -> Iterator[tuple[npt.NDArray[np.intp], Float64, Float64]]:
    """The four pixels around image points (n,), in turn: their flat places, and how far their centres are from it."""
    left = np.clip((x - 0.5).astype(np.intp), 0, max(width - 2, 0))
    top = np.clip((y - 0.5).astype(np.intp), 0, max(height - 2, 0))
    dx, dy, corner = left + 0.5 - x, top + 0.5 - y, top * width + left
    to_right, to_below = min(width - 1, 1), min(height - 1, 1)
    for right, below in ((0, 0), (to_right, 0), (0, to_below), (to_right, to_below)):
        yield corner + (below * width + right), dx + right, dy + below


def _gradients(other: Snapshot, image_corners: Float64) -> Float64:
    """(K + 1, 2): how the triangles' nearness in the other picture grows a pixel in x and y; background does not."""
    return _with_background(nearness_planes(other.camera, image_corners, edges_of(image_corners))[:, :2], 0.0)


def _with_background(values: npt.NDArray[_Value], background: float) -> npt.NDArray[_Value]:
    """Values (K, ...) of the seen triangles, and a row for place -1."""
    return np.concatenate((values, np.full_like(values[:1], background, shape=(1, *values.shape[1:]))))
