# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour segments: trapped-ball filling of cel pictures as AnimeInterp and AnimeRun do it, or exactly, from the ids.

Partitions are the published procedure's to the pixel, its quirks included; what it scans the whole picture for
again and again is looked up here: connected components, boxes, and tables that follow from region to region.
Segments are int32 (H, W), 0..K-1 without gaps, by ascending size. Matching them is done elsewhere.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .fields import material_ids, object_ids
from .snapshot import Bool, Float32, Float64, Int32, Snapshot
from .surface import Surface

UInt8 = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.intp]
Box = tuple[slice, slice]

# Brighter contour pictures are free of lines.
FREE_ABOVE = 220
# What is kept of the Laplacian is drawn so much darker.
_INK = 20.0
_MOST_BALL_FILLS, _MOST_FLOOD_FILLS = 1000, 20000
_MOST_MERGING_ROUNDS, _MOST_THINNING_PASSES = 10, 100
_BINS = 25
# Regions of this many pixels are not merged into others.
_LARGE = 500
_SPECK = 5


@dataclass(frozen=True)
class ContourRule:
    """How contours are read off a colour frame: a bilateral filter, and thresholds of 255 for the Laplacian."""

    diameter_px: int
    sigma_colour: float
    sigma_space_px: float
    low: float
    high: float


# The papers smooth painted backgrounds more than flat ones.
FLAT_RULE = ContourRule(10, 10.0, 10.0, 2.0, 20.0)
PAINTED_RULE = ContourRule(30, 40.0, 30.0, 1.0, 20.0)


def segments_from_frame(frame: UInt8, rule: ContourRule = FLAT_RULE) -> Int32:
    """Segments (H, W) of a colour frame (H, W, 3) RGB whose contours are its own."""
    return segments_from_contours(contours_of(frame, rule), frame)


def segments_from_contours(contours: UInt8, frame: UInt8) -> Int32:
    """Segments (H, W) between dark lines on white (H, W); small ones join by the colours of the frame (H, W, 3) RGB."""
    regions, _ = filled(contours > FREE_ABOVE)
    return numbered(thinned(merged(regions, frame)))


def exact_segments(snapshot: Snapshot, surface: Surface) -> Int32:
    """Segments (H, W) that are connected pixels of one object and one material; of the background as well."""
    groups = object_ids(snapshot, surface).astype(np.int64) * (len(snapshot.material_names) + 1)
    groups += material_ids(snapshot, surface)
    return numbered(_connected(groups))


def numbered(regions: Int32) -> Int32:
    """Regions (H, W) under the numbers 0..K-1, by ascending size; of one size, in the order they had."""
    sizes = np.bincount(regions.reshape(-1))
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]
    number_of = np.empty(len(sizes), dtype=np.int32)
    number_of[order] = np.arange(len(order), dtype=np.int32)
    return number_of[regions]


# Contours -------------------------------------------------------------------------------------------------------------


def contours_of(frame: UInt8, rule: ContourRule) -> UInt8:
    """Contours (H, W), dark on white, of a colour frame (H, W, 3) RGB."""
    import cv2

    smooth = cv2.bilateralFilter(_bgr(frame), rule.diameter_px, rule.sigma_colour, rule.sigma_space_px)
    curvature = cv2.Laplacian(smooth, cv2.CV_32F, ksize=5)
    strongest = curvature.max()
    if strongest <= 0.0:
        return np.full(frame.shape[:2], 255, dtype=np.uint8)
    curvature *= 255.0 / strongest
    # Planes of their own: channels next to each other are neighbours, as pixels are.
    planes = np.ascontiguousarray(np.moveaxis(curvature, 2, 0))
    planes[~_held(planes, rule.low, rule.high)] = 0.0
    return np.clip(255.0 - planes.max(axis=0) * _INK, 0.0, 255.0).astype(np.uint8)


def _held(planes: Float32, low: float, high: float) -> Bool:
    """(C, H, W): above `low` and connected, within planes or to the same pixel of the next, to what is above `high`."""
    import cv2

    parts = np.zeros(planes.shape, dtype=np.int32)
    first = 0
    for plane, part in zip(planes, parts, strict=True):
        above = plane > low
        count, found = cv2.connectedComponents(above.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        np.add(found, first, out=part, where=above)
        first += count - 1
    is_held = np.zeros(first + 1, dtype=np.bool_)
    is_held[parts[planes > high]] = True
    for one, other in _links(parts, is_held):
        is_held[one] = is_held[other] = True
    is_held[0] = False
    return is_held[parts]


def _links(parts: Int32, is_held: Bool) -> Iterator[tuple[Int32, Int32]]:
    """Parts of neighbouring planes that share pixels and of which one is held, until no such pair is left."""
    touching = (parts[:-1] > 0) & (parts[1:] > 0)
    one, other = parts[:-1][touching], parts[1:][touching]
    while True:
        open_ones = ~(is_held[one] & is_held[other])
        one, other = one[open_ones], other[open_ones]
        reached = is_held[one] | is_held[other]
        if not reached.any():
            return
        yield one[reached], other[reached]


# Filling --------------------------------------------------------------------------------------------------------------


def filled(free: Bool) -> tuple[Int32, list[int]]:
    """Regions 1, 2, ... (H, W) of what is free of lines, 0 elsewhere, and how many each stage made.

    A ball of radius 3 fills the largest region alone, balls of radius 2 and 1 all that they get into, floods the rest.
    """
    left = free.astype(np.uint8)
    regions = np.zeros(free.shape, dtype=np.int32)
    counts: list[int] = []
    for radius, keeps_largest in ((3, True), (2, False), (1, False)):
        fills = _ball_fills(left, radius)
        if keeps_largest:
            areas = [np.count_nonzero(ball) for _, ball in fills]
            largest = max(areas, default=0)
            fills = [fill for fill, area in zip(fills, areas, strict=True) if area == largest]
        for number, (box, ball) in enumerate(fills, start=sum(counts) + 1):
            left[box][ball] = 0
            regions[box][ball] = number
        counts.append(len(fills))
    floods, count = _in_raster_order(left)
    kept = (floods > 0) & (floods <= _MOST_FLOOD_FILLS)
    regions[kept] = floods[kept] + sum(counts)
    return regions, [*counts, min(count, _MOST_FLOOD_FILLS)]


def _ball_fills(free: UInt8, radius: int) -> list[tuple[Box, Bool]]:
    """What balls sweep (box, mask in it), from the first place in raster order where one still fits.

    A ball that stays within the free area stays within one connected part of it, so a fill's centres are a connected
    component of all centres at once. A fill takes centres away from another only where the balls overlap.
    """
    import cv2

    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    centres = np.zeros(free.shape, dtype=np.int32)
    parts: dict[int, Box] = {}
    queue: list[tuple[int, int]] = []

    def add(mask: UInt8, box: Box) -> None:
        for part, seed in _parts_of(mask, box, centres, len(parts) + 1):
            parts[len(parts) + 1] = part
            heapq.heappush(queue, (seed, len(parts)))

    height, width = free.shape
    add(cv2.erode(free, pen), (slice(0, height), slice(0, width)))
    fills: list[tuple[Box, Bool]] = []
    gone: set[int] = set()
    while queue and len(fills) < _MOST_BALL_FILLS:
        _, number = heapq.heappop(queue)
        if number in gone:
            continue
        box = _grown(parts[number], 2 * radius, free.shape)
        around = centres[box]
        ball = cv2.dilate((around == number).view(np.uint8), pen)
        fills.append((box, ball.view(np.bool_)))
        reach = cv2.dilate(ball, pen).view(np.bool_)
        swept = around[reach]
        touched = np.unique(swept[(swept > 0) & (swept != number)]).tolist()
        around[reach] = 0
        gone.update(touched)
        for other in touched:
            add((centres[parts[other]] == other).view(np.uint8), parts[other])
    return fills


def _parts_of(mask: UInt8, box: Box, numbers: Int32, first: int) -> list[tuple[Box, int]]:
    """4-connected parts of a mask in a box of a picture (boxes, first pixels); `numbers` (H, W) counts on there."""
    import cv2

    count, found, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4, ltype=cv2.CV_32S)
    np.add(found, first - 1, out=numbers[box], where=found > 0)
    top, left, width = box[0].start, box[1].start, numbers.shape[1]
    parts = []
    for number, (x, y, wide, high, _) in enumerate(stats[1:count].tolist(), start=1):
        first_x = x + int((found[y, x : x + wide] == number).argmax())
        part = slice(top + y, top + y + high), slice(left + x, left + x + wide)
        parts.append((part, (top + y) * width + left + first_x))
    return parts


def _grown(box: Box, by_px: int, shape: tuple[int, ...]) -> Box:
    rows, columns = (
        slice(max(side.start - by_px, 0), min(side.stop + by_px, length))
        for side, length in zip(box, shape, strict=True)
    )
    return rows, columns


def _in_raster_order(mask: UInt8) -> tuple[Int32, int]:
    """4-connected parts 1, 2, ... (H, W) of a mask by their first pixels, and how many there are."""
    import cv2

    count, found = cv2.connectedComponents(mask, connectivity=4, ltype=cv2.CV_32S)
    # OpenCV promises no order.
    pixels = np.flatnonzero(found)
    first = np.full(count, -1, dtype=np.intp)
    first[found.reshape(-1)[pixels[::-1]]] = pixels[::-1]
    number_of = np.empty(count, dtype=np.int32)
    number_of[np.argsort(first)] = np.arange(count, dtype=np.int32)
    return number_of[found], count - 1


def _connected(groups: npt.NDArray[np.int64]) -> Int32:
    """4-connected regions (H, W) of equal numbers (H, W).

    Pixels become nodes at every other place of a larger picture, with the bonds between equal ones in the gaps.
    """
    import cv2

    height, width = groups.shape
    bonds = np.zeros((2 * height - 1, 2 * width - 1), dtype=np.uint8)
    bonds[::2, ::2] = 1
    bonds[1::2, ::2] = groups[1:] == groups[:-1]
    bonds[::2, 1::2] = groups[:, 1:] == groups[:, :-1]
    _, found = cv2.connectedComponents(bonds, connectivity=4, ltype=cv2.CV_32S)
    nodes = found[::2, ::2].reshape(-1)
    first = np.zeros(found.max() + 1, dtype=np.int32)
    first[nodes[::-1]] = np.arange(nodes.size - 1, -1, -1, dtype=np.int32)
    return first[nodes].reshape(height, width)


# Merging --------------------------------------------------------------------------------------------------------------


def merged(regions: Int32, frame: UInt8) -> Int32:
    """Regions (H, W) with the small ones joined to neighbours of like colours in the frame (H, W, 3) RGB."""
    merging = _Merging(regions, _bgr(frame))
    count = merging.label_count()
    for _ in range(_MOST_MERGING_ROUNDS):
        merging.run_round()
        before, count = count, merging.label_count()
        if count == before:
            break
    return merging.label_of[regions]


class _Merging:
    """The labels that regions have by now, and the tables that rounds of merging look things up in.

    Within a round all is as it was at its beginning, but for the labels that neighbours have by then.
    """

    def __init__(self, regions: Int32, picture: UInt8) -> None:
        self.regions = regions
        count = int(regions.max()) + 1
        self.label_of = np.arange(count, dtype=np.int32)
        self.values = _value_counts(regions, picture, count)
        self.areas = self.values[:, 0].sum(axis=1)
        self.histograms = _histograms(self.values)
        self.boxes = _boxes(regions, count)
        self.rim, self.beside = _rim(regions)

    def label_count(self) -> int:
        """How many labels there are, lines' included."""
        return int(np.count_nonzero(self.areas))

    def run_round(self) -> None:
        """Every small region, by its label, has its chance to join another."""
        areas = self.areas.tolist()
        now = list(range(len(areas)))
        small = np.flatnonzero((self.areas > 0) & (self.areas < _LARGE))
        bounds, neighbours, contacts = self._adjacency()
        for label in small[small > 0].tolist():
            near = slice(bounds[label], bounds[label + 1])
            touching: dict[int, int] = {}
            for neighbour, contact in zip(neighbours[near], contacts[near], strict=True):
                current = now[neighbour]
                touching[current] = touching.get(current, 0) + contact
            if touching:
                now[label] = self._target(label, areas[label], sorted(touching), touching)
            elif areas[label] < _SPECK:
                now[label] = 0
        self._rename(np.array(now, dtype=np.int32))

    def _target(self, label: int, area: int, near: list[int], contacts: dict[int, int]) -> int:
        """The neighbour that a region joins, or the region itself."""
        if len(near) == 1 and area < 300:
            return near[0]
        likeness = np.minimum(self.histograms[label], self.histograms[near]).sum(axis=1)
        target = near[int(likeness.argmax())]
        contact = contacts[target]
        # The published program compares with the last neighbour it looked at, not with the best.
        last = likeness[-1]
        joins = (
            area < 50
            or (len(near) == 1 and contact > 2)
            or (last > 0.2 and area < 150 and contact > 1)
            or (last > 0.25 and area < 250 and contact > 8)
            or self._corner_count(label) == 1
        )
        return target if joins else label

    def _corner_count(self, label: int) -> int:
        import cv2

        members = np.flatnonzero(self.label_of == label)
        top, left = self.boxes[:2, members].min(axis=1)
        bottom, right = self.boxes[2:, members].max(axis=1)
        mask = self.label_of[self.regions[top : bottom + 1, left : right + 1]] == label
        outline = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0][0]
        return len(cv2.approxPolyDP(outline, 0.02 * cv2.arcLength(outline, True), True))

    def _adjacency(self) -> tuple[list[int], list[int], list[int]]:
        """Neighbours of label n, from place bounds[n] to bounds[n + 1], and how many of their pixels touch it."""
        count = len(self.label_of)
        own, beside = self.label_of[self.rim], self.label_of[self.beside]
        codes = []
        for place, label in enumerate(beside):
            # A pixel touches a label once, however many of its sides do.
            is_new = (label != own) & (label > 0) & (own > 0) & (self.areas[label] < _LARGE)
            for earlier in beside[:place]:
                is_new &= label != earlier
            codes.append(label[is_new].astype(np.int64) * count + own[is_new])
        pairs, contacts = np.unique(np.concatenate(codes), return_counts=True)
        label, neighbour = np.divmod(pairs, count)
        return np.searchsorted(label, np.arange(count + 1)).tolist(), neighbour.tolist(), contacts.tolist()

    def _rename(self, now: Int32) -> None:
        self.label_of = now[self.label_of]
        moved = np.flatnonzero(now != np.arange(len(now)))
        values = self.values[moved]
        self.values[moved] = 0
        for label, added in zip(now[moved].tolist(), values, strict=True):
            self.values[label] += added
        changed = np.unique(np.concatenate((moved, now[moved])))
        self.areas[changed] = self.values[changed, 0].sum(axis=1)
        self.histograms[changed] = _histograms(self.values[changed])


def _bgr(frame: UInt8) -> UInt8:
    """The published program's order of channels, in which their likeness is added up."""
    return np.ascontiguousarray(frame[..., 2::-1])


def _value_counts(regions: Int32, picture: UInt8, count: int) -> Int32:
    """(K, 3, 256): how many pixels of a region have a value in a channel."""
    counts = np.empty((count, 3, 256), dtype=np.int32)
    first = regions.reshape(-1).astype(np.intp) * 256
    for channel in range(3):
        places = first + picture[..., channel].reshape(-1)
        counts[:, channel] = np.bincount(places, minlength=count * 256).reshape(count, 256)
    return counts


def _histograms(values: Int32) -> Float64:
    """(K, 75) of value counts (K, 3, 256): bins between each channel's own ends, as numpy's; shares of the whole."""
    rows = values.reshape(-1, 256)
    occurs = rows > 0
    low, high = occurs.argmax(axis=1).astype(np.float64), 255.0 - occurs[:, ::-1].argmax(axis=1)
    is_flat = low == high
    low[is_flat] -= 0.5
    high[is_flat] += 0.5
    edges = np.ceil(np.linspace(low, high, _BINS + 1, axis=1)).astype(np.intp)
    edges[:, 0] = 0
    edges[:, -1] = 256
    below = np.zeros((len(rows), 257), dtype=np.int32)
    np.cumsum(rows, axis=1, out=below[:, 1:])
    in_bins = np.diff(np.take_along_axis(below, edges, axis=1), axis=1).reshape(-1, 3 * _BINS)
    return np.asarray(in_bins / np.maximum(in_bins.sum(axis=1, keepdims=True), 1))


def _boxes(regions: Int32, count: int) -> Ints:
    """(4, K): first row and column and last row and column of every region."""
    boxes = np.zeros((4, count), dtype=np.intp)
    rows, columns = np.indices(regions.shape, sparse=True)
    for axis, (flat, place) in enumerate(((regions, rows), (regions.T, columns.T))):
        where = np.broadcast_to(place, flat.shape).reshape(-1)
        label = flat.reshape(-1)
        boxes[axis, label[::-1]] = where[::-1]
        boxes[axis + 2, label] = where
    return boxes


def _rim(regions: Int32) -> tuple[Int32, Int32]:
    """The region of each pixel (N,) that touches another one, and the regions (4, N) on its four sides."""
    padded = np.pad(regions, 1)
    sides: Sequence[Int32] = [padded[1:-1, :-2], padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1]]
    is_rim = np.zeros(regions.shape, dtype=np.bool_)
    for side in sides:
        is_rim |= (side != regions) & (side > 0)
    is_rim &= regions > 0
    return regions[is_rim], np.stack([side[is_rim] for side in sides])


# Thinning -------------------------------------------------------------------------------------------------------------


def thinned(regions: Int32) -> Int32:
    """Regions (H, W) that have grown over the lines between them (0), all at one pace.

    As published, the outermost row and column on the left and at the top do not grow right or down. Lines of more than
    200 px stay lines.
    """
    width = regions.shape[1] + 2
    padded = np.pad(regions, 1)
    flat = padded.reshape(-1)
    lines = np.flatnonzero(flat == 0)
    y, x = np.divmod(lines, width)
    lines = lines[(y > 0) & (x > 0) & (y < len(padded) - 1) & (x < width - 1)]
    for _ in range(_MOST_THINNING_PASSES):
        touching = np.maximum.reduce([flat[lines + step] for step in (-1, -width, 1, width)]) > 0
        if not touching.any():
            break
        pixels = lines[touching]
        labels = _first_neighbours(flat, pixels, width)
        flat[pixels] = labels
        lines = np.concatenate((lines[~touching], pixels[labels == 0]))
    return np.ascontiguousarray(padded[1:-1, 1:-1])


def _first_neighbours(flat: Int32, pixels: Ints, width: int) -> Int32:
    """What line pixels (N,) of a padded picture take: the first region around them, clockwise from the left."""
    y, x = np.divmod(pixels, width)
    beside_first_row, beside_first_column = y == 2, x == 2
    labels = np.zeros(len(pixels), dtype=np.int32)
    for dy, dx in ((0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1)):
        label = flat[pixels + (dy * width + dx)]
        if dy < 0:
            label[beside_first_row] = 0
        if dx < 0:
            label[beside_first_column] = 0
        np.copyto(labels, label, where=labels == 0)
    return labels
