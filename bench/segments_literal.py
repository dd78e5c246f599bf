# SPDX-License-Identifier: GPL-3.0-or-later
"""Trapped-ball segmentation word for word as it is described: the whole picture again for every fill and region.

What labels/segments.py is held against, in the tests and in bench/segments.py; it shares no code with it. Below, random
drawings to try both on.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
Array = npt.NDArray[Any]


def segment_frame(bgr: Picture, diameter: int, colour: float, space: float, low: float, high: float) -> Labels:
    """Segments of a colour frame (H, W, 3) BGR, numbered by ascending size."""
    return segment_contours(contour_picture(bgr, diameter, colour, space, low, high), bgr)


def segment_contours(contours: Picture, bgr: Picture) -> Labels:
    """Segments between contours (H, W), dark on white."""
    _, binary = cv2.threshold(contours, 220, 255, cv2.THRESH_BINARY)
    fills = ball_and_flood_fills(np.asarray(binary))
    return relabel(thin(merge(fill_map(binary.shape, fills), bgr)))


def contour_picture(bgr: Picture, diameter: int, colour: float, space: float, low: float, high: float) -> Picture:
    """Contours (H, W), dark on white."""
    smooth = cv2.bilateralFilter(bgr, diameter, colour, space)
    laplacian = cv2.Laplacian(smooth, cv2.CV_32F, ksize=5)
    if laplacian.max() <= 0:
        return np.full(bgr.shape[:2], 255, dtype=np.uint8)
    laplacian = laplacian * (255.0 / laplacian.max())
    laplacian[~hysteresis(laplacian, low, high)] = 0
    dark = 255 - (laplacian * 20).max(axis=2)
    return np.clip(dark, 0, 255).astype(np.uint8)


def hysteresis(volume: Array, low: float, high: float) -> Array:
    """What is above `high`, and what is above `low` and joined to it through faces of the volume's cells."""
    above = volume > low
    kept = np.zeros(volume.shape, dtype=bool)
    edge = list(zip(*np.nonzero(volume > high), strict=True))
    for cell in edge:
        kept[cell] = True
    height, width, depth = volume.shape
    while edge:
        y, x, c = edge.pop()
        for dy, dx, dc in ((0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)):
            cell = y + dy, x + dx, c + dc
            is_inside = 0 <= cell[0] < height and 0 <= cell[1] < width and 0 <= cell[2] < depth
            if is_inside and above[cell] and not kept[cell]:
                kept[cell] = True
                edge.append(cell)
    return kept


def ball(radius: int) -> Array:
    """The structuring element of a ball."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def flood(free: Picture, seed: tuple[int, int]) -> Picture:
    """255 where a 4-connected flood of the free area (255) gets to from a seed (x, y)."""
    mask = np.zeros((free.shape[0] + 2, free.shape[1] + 2), dtype=np.uint8)
    cv2.floodFill(free.copy(), mask, seed, 0, flags=4 | cv2.FLOODFILL_MASK_ONLY | (255 << 8))
    return mask[1:-1, 1:-1]


def seed_of(area: Picture) -> tuple[int, int] | None:
    """The first pixel (x, y) in raster order."""
    places = np.flatnonzero(area)
    if len(places) == 0:
        return None
    y, x = divmod(int(places[0]), area.shape[1])
    return x, y


def trapped_ball_fill(free: Picture, radius: int, seed: tuple[int, int]) -> Picture:
    """The region that a ball sweeps from a seed."""
    reached = flood(free, seed)
    shrunk = 255 - cv2.dilate(255 - reached, ball(radius))
    return np.asarray(cv2.dilate(flood(np.asarray(shrunk), seed), ball(radius)))


def trapped_ball_fills(free: Picture, radius: int) -> list[Array]:
    """One region after the other, until no ball finds room."""
    left = free.copy()
    regions: list[Array] = []
    for _ in range(1000):
        seed = seed_of(np.asarray(cv2.erode(left, ball(radius))))
        if seed is None:
            break
        region = trapped_ball_fill(left, radius, seed)
        left[region > 0] = 0
        regions.append(region > 0)
    return regions


def flood_fills(free: Picture) -> list[Array]:
    """One region after the other, until nothing is left."""
    left = free.copy()
    regions: list[Array] = []
    for _ in range(20000):
        seed = seed_of(left)
        if seed is None:
            break
        region = flood(left, seed)
        left[region > 0] = 0
        regions.append(region > 0)
    return regions


def ball_and_flood_fills(binary: Picture) -> list[list[Array]]:
    """The regions of each stage."""
    left = binary.copy()
    largest = trapped_ball_fills(left, 3)
    most = max((int(region.sum()) for region in largest), default=0)
    stages = [[region for region in largest if region.sum() == most]]
    cover(left, stages[-1])
    for radius in (2, 1):
        stages.append(trapped_ball_fills(left, radius))
        cover(left, stages[-1])
    stages.append(flood_fills(left))
    return stages


def cover(free: Picture, regions: list[Array]) -> None:
    """Regions become line."""
    for region in regions:
        free[region] = 0


def fill_map(shape: tuple[int, ...], stages: list[list[Array]]) -> Labels:
    """Labels 1, 2, ... in order of creation."""
    labels = np.zeros(shape, dtype=np.int32)
    for number, region in enumerate((region for stage in stages for region in stage), start=1):
        labels[region] = number
    return labels


def merge(labels: Labels, bgr: Picture) -> Labels:
    """At most ten rounds."""
    for _ in range(10):
        count = len(np.unique(labels))
        labels = merge_round(labels, bgr)
        if len(np.unique(labels)) == count:
            break
    return labels


def merge_round(labels: Labels, bgr: Picture) -> Labels:
    """Every small region once."""
    result = labels.copy()
    masks = {int(label): labels == label for label in np.unique(labels)}
    areas = {label: int(mask.sum()) for label, mask in masks.items()}
    histograms = {label: histogram(bgr[mask]) for label, mask in masks.items()}
    for label, mask in masks.items():
        if label == 0 or areas[label] >= 500:
            continue
        target = target_of(label, areas[label], mask, result, histograms)
        if target is not None:
            result[mask] = target
    return result


def histogram(colours: Picture) -> Array:
    """25 bins a channel, between the region's own least and greatest value."""
    counts = np.concatenate([np.histogram(colours[:, channel], bins=25)[0] for channel in range(3)])
    return counts / counts.sum()


def target_of(label: int, area: int, mask: Array, current: Labels, histograms: dict[int, Array]) -> int | None:
    """The label that a region gets, None if it keeps its own."""
    grown = cv2.dilate(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0
    around = current[grown & ~mask]
    neighbours, contacts = np.unique(around[around > 0], return_counts=True)
    count = len(neighbours)
    target, contact, last = (0 if area < 5 else label), 0, 0.0
    best = -1.0
    for neighbour, touched in zip(neighbours.tolist(), contacts.tolist(), strict=True):
        last = float(np.minimum(histograms[label], histograms[neighbour]).sum())
        if last > best:
            best, target, contact = last, neighbour, touched
    corners = corner_count(mask)
    rules = (
        corners == 1 or area == 1,
        area < 300 and count == 1,
        area < 500 and count == 1 and contact > 2,
        area < 50,
        last > 0.2 and area < 150 and contact > 1,
        last > 0.25 and area < 250 and contact > 8,
    )
    return target if any(rules) else None


def corner_count(mask: Array) -> int:
    """Vertices of the polygon that approximates the region's outline."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return len(cv2.approxPolyDP(outlines[0], 0.02 * cv2.arcLength(outlines[0], True), True))


def thin(labels: Labels) -> Labels:
    """At most a hundred passes."""
    for _ in range(100):
        is_line = (labels == 0).astype(np.uint8)
        inner = cv2.erode(is_line, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
        ys, xs = np.nonzero((is_line > 0) & (inner == 0))
        if len(ys) == 0:
            break
        before = labels.copy()
        for y, x in zip(ys.tolist(), xs.tolist(), strict=True):
            labels[y, x] = first_neighbour(before, y, x)
    return labels


def first_neighbour(labels: Labels, y: int, x: int) -> int:
    """The first region around a pixel, clockwise from the left. Coordinates 0 to the left and above do not count."""
    height, width = labels.shape
    for dy, dx in ((0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1)):
        near_y, near_x = y + dy, x + dx
        if (dy < 0 and near_y <= 0) or (dx < 0 and near_x <= 0) or near_y >= height or near_x >= width:
            continue
        if labels[near_y, near_x] > 0:
            return int(labels[near_y, near_x])
    return 0


def relabel(labels: Labels) -> Labels:
    """0, 1, ... by ascending pixel count."""
    found, counts = np.unique(labels, return_counts=True)
    result = np.zeros_like(labels)
    for number, label in enumerate(found[np.argsort(counts, kind="stable")].tolist()):
        result[labels == label] = number
    return result


# Drawings -------------------------------------------------------------------------------------------------------------


def random_drawing(seed: int, height: int, width: int, shapes: int, largest_px: int) -> tuple[Picture, Picture]:
    """A cel (H, W, 3) BGR of flat, shaded and outlined shapes, scribbles and specks, and its line art (H, W)."""
    random = np.random.default_rng(seed)
    cel = np.full((height, width, 3), random.integers(0, 256, 3), dtype=np.uint8)
    lines = np.full((height, width), 255, dtype=np.uint8)
    for _ in range(shapes):
        shape = drawn_shape(random, cel.shape[:2], largest_px)
        fill = random.integers(0, 256, 3)
        cel[shape] = fill
        if random.random() < 0.3:
            shade = (np.arange(width) * random.uniform(-0.5, 0.5)).astype(np.int64)[None, :, None]
            cel[shape] = np.clip(fill + shade, 0, 255).astype(np.uint8).repeat(height, axis=0)[shape]
        lines[shape] = 255
        outlines, _ = cv2.findContours(shape.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        pen = int(random.integers(1, 4))
        cv2.drawContours(lines, outlines, -1, int(random.integers(0, 256)), pen)
        if random.random() < 0.6:
            cv2.drawContours(cel, outlines, -1, [int(value) for value in random.integers(0, 60, 3)], pen)
    for _ in range(shapes // 2):
        start, end = (tuple(int(value) for value in random.integers(0, (width, height))) for _ in range(2))
        if random.random() < 0.2:
            cv2.line(lines, start, end, 0, int(random.integers(1, 3)))
        cv2.circle(cel, start, int(random.integers(0, 3)), (0, 0, 0), -1)
    return cel, lines


def drawn_shape(random: np.random.Generator, size: tuple[int, ...], largest_px: int) -> Array:
    """An ellipse or a polygon somewhere in the picture."""
    mask = np.zeros(size, dtype=np.uint8)
    x, y = (int(value) for value in random.integers(0, (size[1], size[0])))
    if random.random() < 0.5:
        axes = tuple(int(value) for value in random.integers(1, largest_px, 2))
        cv2.ellipse(mask, (x, y), axes, float(random.uniform(0, 180)), 0, 360, 1, -1)
    else:
        corners = np.array((x, y)) + random.integers(-largest_px, largest_px + 1, (int(random.integers(3, 7)), 2))
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
    return mask > 0
