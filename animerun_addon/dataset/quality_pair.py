# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the labels of one pair of frames fit its pictures and each other, in figures. What is too much is not
decided here, and nothing is read.

Shares are of the pixels that the pair calls visible. Where hardly any are, they are of a twentieth of the picture, so
that single pixels do not make a share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..labels.matching import Matches, match_by_flow, surface_numbers
from ..labels.motion import Flow
from ..labels.occlusion import consistency_occlusion
from ..labels.snapshot import Bool, Float32, Int32

Figures = dict[str, float]
UInt8 = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]
Pixels = npt.NDArray[np.int64]

# Of a picture, what shares are at least of.
_LEAST_VISIBLE_SHARE = 0.05
# The data set's own limit for flows that belong together.
_LARGEST_DISAGREEMENT_PX = 0.5
# Shifted by half a pixel, the outermost column lands on the picture's border: it counts as inside, rounding included.
_BORDER_PX = 0.501

# Pictures so wide are held to the paper's limit as it stands: beside edges they have no more of error than the paper's.
_PAPERS_WIDTH_PX = 960

# What moves less looks alike with and without its flow.
_MOVING_PX = 1.0
_LEAST_MOVING_SHARE = 0.001
# Less than that is too little for saying which of two flows fits better: the rounding of 8 bits and of resampling.
_LEAST_EVIDENCE = 0.004
# Hard edges, carried to any place between pixels and back, differ as much as edges that are half a pixel off, or a bit
# more: 0.52 to 0.65 in the demo scene, whatever its size.
_ROUNDING_PX = 0.8
# How far the whole flow is moved to see whether it fits better elsewhere, and on how many pixels that is tried.
_SHIFTS_PX = (1, 3, 9)
_TRIED_PIXELS = 80_000
_SIDES = [(right, down) for right in (-1, 0, 1) for down in (-1, 0, 1) if (right, down) != (0, 0)]


_NEIGHBOURS = ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]))


@dataclass(frozen=True)
class View:
    """What is known of a frame, each (H, W, ...); None where there is no such file."""

    image: UInt8 | None = None  # (H, W, 3)
    object_ids: Int32 | None = None  # (H, W), -1 is the background
    material_ids: Int32 | None = None
    segments: Int32 | None = None


@dataclass(frozen=True)
class PairView:
    """Two frames and what leads from the first to the second."""

    here: View
    there: View
    flow: Flow
    back: Flow | None = None  # the other direction's
    visible: Bool | None = None  # (H, W), as the file has it, unknown flow included
    matches: Matches | None = None


def measure(pair: PairView) -> Figures:
    """Every figure that can be had from what is there; few where all flow is unknown."""
    known = pair.flow.valid
    figures = {"unknown_share": 1.0 - float(known.mean())}
    surfaces = _surfaces(pair)
    regions = pair.here.segments if surfaces is None else surfaces[0]
    if regions is not None:
        figures["edge_share"] = _edge_share(regions)
    if pair.visible is not None:
        figures["occluded_share"] = 1.0 - float(pair.visible.mean())
        figures["unknown_visible_share"] = float((pair.visible & ~known).mean())
    if not known.any():
        return figures
    occluded_by_rule = None if pair.back is None else consistency_occlusion(pair.flow, pair.back)
    if pair.visible is not None:
        visible = pair.visible & known
        figures |= _landing_figures(pair, surfaces, visible, occluded_by_rule)
    else:
        visible = known if occluded_by_rule is None else ~occluded_by_rule
    if pair.here.image is not None and pair.there.image is not None and visible.any():
        figures |= warp_figures(pair.here.image, pair.there.image, pair.flow.flow_px, visible)
    return figures


def rematched_share(pair: PairView) -> float | None:
    """The share of segments whose matches are not what the paper's rule finds; None if that cannot be told."""
    here, there = pair.here.segments, pair.there.segments
    if here is None or there is None or pair.visible is None or pair.matches is None:
        return None
    found = match_by_flow(here, pair.flow.flow_px, ~(pair.visible & pair.flow.valid), there)
    if len(found) != len(pair.matches):
        return None
    return float(np.mean([ours != theirs for ours, theirs in zip(found, pair.matches, strict=True)]))


# ---------------------------------------------------------------- pictures


def warp_error_map(image: UInt8, image_there: UInt8, flow_px: Float32) -> Float32:
    """(H, W), 0..1: how much the other picture, carried back by the flow, differs from this one."""
    x, y = _grid(flow_px.shape[:2])
    return _differences(image.astype(np.float32), image_there.astype(np.float32), x, y, flow_px)


def warp_figures(image: UInt8, image_there: UInt8, flow_px: Float32, visible: Bool) -> Figures:
    """The paper's warp test over (H, W) `visible`, and what the flow is compared with.

    `warp_error` and `unwarped_error` are mean differences of pictures in 0..1. `one_pixel_error`, of pictures smaller
    than the paper's, is the picture's own difference from one pixel on: what flow that is wrong by so much costs.
    `following_ratio` is the first over the smaller one of the errors without any flow and with the flow turned round,
    over what moves. `shift_ratio` is the first over the smallest error of the flow shifted as a whole. Neither ratio is
    there where it means nothing.
    """
    here, there = image.astype(np.float32), image_there.astype(np.float32)
    x, y = _grid(visible.shape)
    warped = _differences(here, there, x, y, flow_px)
    unwarped = np.abs(here - there).mean(axis=-1, dtype=np.float32) / 255
    figures = {
        "warp_error": _mean(warped, visible),
        "unwarped_error": _mean(unwarped, visible),
    }
    one_pixel_error = _one_pixel_error(image, visible)
    if max(visible.shape) < _PAPERS_WIDTH_PX:
        figures["one_pixel_error"] = one_pixel_error
    moving = visible & (np.abs(flow_px).max(axis=-1) >= _MOVING_PX)
    if moving.mean() >= _LEAST_MOVING_SHARE:
        turned = _differences(here, there, x, y, -flow_px)
        with_flow, otherwise = _mean(warped, moving), min(_mean(unwarped, moving), _mean(turned, moving))
        # A ball that spins without a pattern looks best without its flow, but only by the rounding along its rim.
        if max(with_flow, otherwise) >= max(_LEAST_EVIDENCE, _ROUNDING_PX * _one_pixel_error(image, moving)):
            figures["following_ratio"] = with_flow / max(otherwise, 1e-6)
    ratio = _shift_ratio(here, there, flow_px, visible, _ROUNDING_PX * one_pixel_error)
    return figures if ratio is None else {**figures, "shift_ratio": ratio}


def _one_pixel_error(image: UInt8, visible: Bool) -> float:
    """To the right and down, the mean of both; 0 if all that is visible is in the first row and column."""
    import cv2

    errors = []
    for later, earlier in _NEIGHBOURS:
        if visible[later].any():
            apart = cv2.absdiff(image[later], image[earlier])[visible[later]]
            errors.append(float(apart.mean()) / 255)
    return float(np.mean(errors)) if errors else 0.0


def _shift_ratio(here: Float32, there: Float32, flow_px: Float32, visible: Bool, rounding: float) -> float | None:
    step = max(1, round((visible.size / _TRIED_PIXELS) ** 0.5))
    some = np.s_[::step, ::step]
    x, y = (axis[some] for axis in _grid(visible.shape))
    seen, image, flow = visible[some], here[some], flow_px[some]
    if not seen.any():
        return None

    def error(right: int, down: int) -> float:
        return _mean(_differences(image, there, x + right, y + down, flow), seen)

    as_it_is = error(0, 0)
    # With few edges, where one surface is seen on one side of them alone, rounding may well fit better elsewhere.
    if as_it_is < max(_LEAST_EVIDENCE, rounding):
        return None
    shifted = [error(px * right, px * down) for px in _SHIFTS_PX for right, down in _SIDES]
    return as_it_is / max(min(shifted), 1e-6)


def _differences(here: Float32, there: Float32, x: Float32, y: Float32, flow_px: Float32) -> Float32:
    """(h, w), 0..1, of pictures in 0..255; `x`, `y` (h, w) are the places of the pixels of `here` (h, w, 3)."""
    import cv2

    places = x + flow_px[..., 0], y + flow_px[..., 1]
    warped = cv2.remap(there, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cv2.absdiff(warped, here, warped)
    sums: Float32 = cv2.transform(warped, np.full((1, 3), 1 / 765, dtype=np.float32))
    return sums


def _grid(shape: tuple[int, ...]) -> tuple[Float32, Float32]:
    """The column and the row of every pixel, (H, W) each."""
    x, y = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
    return x, y


def _mean(numbers: Float32, where: Bool) -> float:
    return float(numbers[where].mean(dtype=np.float64))


# ---------------------------------------------------------------- flow, ids and occlusion


def _edge_share(regions: npt.NDArray[Any]) -> float:
    """The share of pixels whose left or upper neighbour is of another region."""
    edge = np.zeros(regions.shape, dtype=np.bool_)
    for later, earlier in _NEIGHBOURS:
        edge[later] |= regions[later] != regions[earlier]
    return float(edge.mean())


def _landing_figures(
    pair: PairView, surfaces: tuple[Pixels, Pixels] | None, visible: Bool, occluded_by_rule: Bool | None
) -> Figures:
    """What becomes of the visible pixels in the other frame, by kinds of disagreement."""
    x, y, at = _landed(pair.flow.flow_px, visible)
    height, width = visible.shape
    inside = (np.abs(x - (width - 1) / 2) <= (width - 1) / 2 + _BORDER_PX) & (
        np.abs(y - (height - 1) / 2) <= (height - 1) / 2 + _BORDER_PX
    )
    whole = max(len(at), _LEAST_VISIBLE_SHARE * visible.size)
    counts = {"outside_share": int(len(at) - inside.sum())}
    x, y, at = x[inside], y[inside], at[inside]
    if surfaces is not None:
        counts |= _other_surfaces(*surfaces, x, y, at)
    if pair.back is not None and occluded_by_rule is not None:
        in_doubt = occluded_by_rule.reshape(-1)[at]
        apart = ~_leads_back(pair.flow, pair.back, x[in_doubt], y[in_doubt], at[in_doubt])
        counts["inconsistent_share"] = int(apart.sum())
    figures = {name: count / whole for name, count in counts.items()}
    if occluded_by_rule is not None:
        figures["needlessly_occluded_share"] = _needlessly_occluded(pair, ~visible & ~occluded_by_rule, surfaces)
        figures["off_rule_share"] = float((visible == occluded_by_rule).mean())
    return figures


def _landed(flow_px: Float32, where: Bool) -> tuple[Float32, Float32, Places]:
    """Column and row (P,) of where pixels land, in pixel centres, and their flat places."""
    at = np.flatnonzero(where)
    row, column = np.divmod(at, where.shape[1])
    flow = flow_px.reshape(-1, 2)[at]
    return column.astype(np.float32) + flow[:, 0], row.astype(np.float32) + flow[:, 1], at


def _around(x: Float32, y: Float32, shape: tuple[int, ...]) -> list[Places]:
    """Flat places of the up to four pixels (P,) whose centres are less than a pixel away in both axes."""
    height, width = shape
    columns, rows = (
        [np.clip(rounded(axis), 0, size - 1).astype(np.intp) for rounded in (np.floor, np.ceil)]
        for axis, size in ((x, width), (y, height))
    )
    return [row * width + column for row in rows for column in columns]


def _surfaces(pair: PairView) -> tuple[Pixels, Pixels] | None:
    """(H, W) of both frames, a number for each object and material; materials count only if both frames have them."""
    here, there = pair.here, pair.there
    if here.object_ids is None or there.object_ids is None:
        return None
    if here.material_ids is None or there.material_ids is None:
        none = np.zeros_like(here.object_ids)
        return surface_numbers(here.object_ids, none), surface_numbers(there.object_ids, none)
    return surface_numbers(here.object_ids, here.material_ids), surface_numbers(there.object_ids, there.material_ids)


def _other_surfaces(here: Pixels, there: Pixels, x: Float32, y: Float32, at: Places) -> dict[str, int]:
    """How many of the pixels land where nothing around is of their surface, by what is there instead."""
    own, there_flat = here.reshape(-1)[at], there.reshape(-1)
    nearest = np.clip(np.rint(y), 0, there.shape[0] - 1) * there.shape[1] + np.clip(np.rint(x), 0, there.shape[1] - 1)
    odd = np.flatnonzero(there_flat[nearest.astype(np.intp)] != own)
    own = own[odd]
    seen = np.stack([there_flat[place] for place in _around(x[odd], y[odd], there.shape)])
    # surface_numbers() has the object above 32 bits, counted from 1; 0 is the background.
    object_here, objects_there = own >> 32, seen >> 32
    same_object = (objects_there == object_here).any(axis=0)
    lost = ~(seen == own).any(axis=0)
    other = lost & ~same_object
    is_background = object_here == 0
    on_object = objects_there.any(axis=0)
    return {
        "other_material_share": int((lost & same_object).sum()),
        "other_object_share": int((other & ~is_background & on_object).sum()),
        "object_on_background_share": int((other & ~is_background & ~on_object).sum()),
        "background_on_object_share": int((other & is_background).sum()),
    }


def _leads_back(flow: Flow, back: Flow, x: Float32, y: Float32, at: Places) -> Bool:
    """(P,): whether any pixel around the landing places leads back, or none there is known.

    Beside a silhouette the interpolated flow is a mixture of two surfaces' and leads nowhere; the pixels do not mix.
    """
    u, v = flow.flow_px.reshape(-1, 2)[at].T
    back_flat, known_flat = back.flow_px.reshape(-1, 2), back.valid.reshape(-1)
    leads, any_known = np.zeros((2, len(at)), dtype=np.bool_)
    for place in _around(x, y, back.valid.shape):
        apart = np.hypot(u + back_flat[place, 0], v + back_flat[place, 1])
        leads |= known_flat[place] & (apart <= _LARGEST_DISAGREEMENT_PX)
        any_known |= known_flat[place]
    return leads | ~any_known


def _needlessly_occluded(pair: PairView, suspects: Bool, surfaces: tuple[Pixels, Pixels] | None) -> float:
    """The share of the picture that is called occluded though the flows agree and all around is the same surface."""
    x, y, at = _landed(pair.flow.flow_px, suspects & pair.flow.valid)
    clear = np.ones(len(at), dtype=np.bool_)
    if surfaces is not None:
        own, there = surfaces[0].reshape(-1)[at], surfaces[1].reshape(-1)
        for place in _around(x, y, suspects.shape):
            clear &= there[place] == own
    return float(clear.sum()) / suspects.size
