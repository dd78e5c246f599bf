# SPDX-License-Identifier: GPL-3.0-or-later
"""A data set made by hand in AnimeRun's layout: coloured rectangles that slide over each other, everything known."""

import json

import numpy as np

from animerun_addon.dataset.formats import write_flo, write_matching, write_npy, write_png
from animerun_addon.dataset.layout import Clip, Direction, Kind
from animerun_addon.labels.matching import match_by_flow

WIDTH_PX, HEIGHT_PX = 48, 32
BACKGROUND = (200, 210, 220)
# From back to front: colour, left, top, width, height at the first frame, and pixels a frame to the right and down.
RECTANGLES = [
    ((220, 60, 40), 4, 6, 16, 14, 3, 1),
    ((40, 90, 200), 24, 4, 14, 20, -2, 0),
    ((250, 220, 80), 10, 18, 10, 8, 1, -2),
]


def drawn(step, size=(WIDTH_PX, HEIGHT_PX), rectangles=RECTANGLES):
    """Which rectangle each pixel sees, int32 (H, W), -1 for the background, after so many steps."""
    width, height = size
    ids = np.full((height, width), -1, dtype=np.int32)
    for number, (_, left, top, w, h, u, v) in enumerate(rectangles):
        x, y = left + u * step, top + v * step
        ids[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = number
    return ids


def flow_and_visible(step, other_step, size=(WIDTH_PX, HEIGHT_PX), rectangles=RECTANGLES):
    """Flow (H, W, 2) between two steps and which pixels are seen at both, uint8 (H, W)."""
    here, there = drawn(step, size, rectangles), drawn(other_step, size, rectangles)
    motion = np.array([*([r[5], r[6]] for r in rectangles), [0, 0]]) * (other_step - step)
    flow_px = motion[here].astype(np.float32)
    y, x = np.indices(here.shape)
    x_there, y_there = x + motion[here][..., 0], y + motion[here][..., 1]
    inside = (x_there >= 0) & (x_there < here.shape[1]) & (y_there >= 0) & (y_there < here.shape[0])
    seen = np.zeros(here.shape, dtype=np.uint8)
    seen[inside] = there[y_there[inside], x_there[inside]] == here[inside]
    return flow_px, seen


def write_clip(root, split="train", name="slide", frames=(1, 2, 3, 4), strides=(1,), looks=("original",), **changes):
    """A whole clip; returns its paths. `changes` go into meta.json, or are size= and rectangles= of the pictures."""
    size = changes.pop("size", (WIDTH_PX, HEIGHT_PX))
    rectangles = changes.pop("rectangles", RECTANGLES)
    clip = Clip(root, split, name)
    scene = (size, rectangles)
    palette = np.array([*(r[0] for r in rectangles), BACKGROUND], dtype=np.uint8)
    for step, frame in enumerate(frames):
        ids = drawn(step, *scene)
        edges = np.zeros(ids.shape, dtype=bool)
        edges[:, 1:] |= ids[:, 1:] != ids[:, :-1]
        edges[1:] |= ids[1:] != ids[:-1]
        _made(clip.contour(frame))
        write_png(clip.contour(frame), np.where(edges, 0, 255).astype(np.uint8))
        for number, look in enumerate(looks):
            write_png(_made(clip.frame(frame, look)), np.roll(palette, number, axis=1)[ids])
        write_npy(_made(clip.line_area(frame)), _beyond(edges))
        write_npy(_made(clip.segment(frame)), _segments(ids))
        write_npy(_made(clip.of_frame(Kind.OBJECT_ID, frame, ".npy")), ids)
        write_npy(_made(clip.of_frame(Kind.MATERIAL_ID, frame, ".npy")), ids)
        write_npy(
            _made(clip.of_frame(Kind.DEPTH, frame, ".npy")), np.where(ids < 0, np.inf, 9 - ids).astype(np.float32)
        )
    for stride in strides:
        for step in range(len(frames) - stride):
            _write_pair(clip, frames, step, step + stride, Direction.FORWARD, stride, scene)
            _write_pair(clip, frames, step + stride, step, Direction.BACKWARD, stride, scene)
    meta = {
        "format": 1,
        "clip": name,
        "frames": list(frames),
        "strides": list(strides),
        "digits": 4,
        "width_px": size[0],
        "height_px": size[1],
        "fps": 24.0,
        "source": {"file": f"{name}.blend", "scene": "Scene", "sha256": name},
        "film": "film",
        "looks": list(looks),
        "frames_have_lines": False,
        "contour": "labels",
    }
    _made(clip.meta).write_text(json.dumps({**meta, **changes}))
    return clip


def _write_pair(clip, frames, step, other_step, direction, stride, scene):
    source = frames[step]
    flow_px, seen = flow_and_visible(step, other_step, *scene)
    write_flo(_made(clip.flow(source, direction, stride)), flow_px)
    write_png(_made(clip.valid(source, direction, stride)), np.full(seen.shape, 255, dtype=np.uint8))
    write_npy(_made(clip.unmatched(source, direction, stride)), seen)
    here, there = _segments(drawn(step, *scene)), _segments(drawn(other_step, *scene))
    matches = match_by_flow(here, flow_px, seen == 0, there)
    write_matching(_made(clip.matching(source, direction, stride)), matches)


def _segments(ids):
    """0..K-1 by rectangle, the background last."""
    _, labels = np.unique(np.where(ids < 0, 999, ids), return_inverse=True)
    return labels.reshape(ids.shape).astype(np.int32)


def _beyond(edges):
    """uint8 (H, W), 1 farther than 10 px from any edge: the edges, moved to every place within 10 px."""
    reach = 10
    height, width = edges.shape
    padded = np.pad(edges, reach)
    near = np.zeros_like(edges)
    for y, x in np.ndindex(2 * reach + 1, 2 * reach + 1):
        if np.hypot(y - reach, x - reach) <= reach:
            near |= padded[y : y + height, x : x + width]
    return (~near).astype(np.uint8)


def _made(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
