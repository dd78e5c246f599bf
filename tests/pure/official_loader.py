# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads AnimeRun's layout as its description says and its own loaders do: sorted names, files matched by their place.

Written from that description alone, on purpose apart from our reader and our formats: the tests hold both together.
"""

import json
import struct
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import cv2
import numpy as np


@dataclass
class OfficialPair:
    """What a training loop gets. `first` is where the flow starts, in either direction."""

    first: np.ndarray  # (H, W, 3) uint8
    second: np.ndarray
    flow: np.ndarray  # (H, W, 2) float32, as the file has it: 1e10 where unknown
    visible: np.ndarray  # (H, W), 1 seen in the second frame too, 0 occluded
    flat: np.ndarray  # (H, W), 0 near a contour line
    segments: tuple[np.ndarray, np.ndarray]  # (H, W) labels of both frames
    matching: dict[int, list[int]]


class OfficialLoader:
    """Pairs of all clips of a split, one clip after the other."""

    def __init__(self, root, split, direction="forward", stride=1, look="original"):
        self.root = Path(root) / split
        self.clips = [Path(folder).name for folder in found(f"{self.root}/Frame_Anime/*")]
        self.frames = {clip: found(f"{self.root}/Frame_Anime/{clip}/{look}/*.png") for clip in self.clips}
        self.contours = {clip: found(f"{self.root}/contour/{clip}/*.png") for clip in self.clips}
        self.segments = {clip: found(f"{self.root}/Segment/{clip}/*.npy") for clip in self.clips}
        suffix = "" if stride == 1 else f"_stride{stride}"
        unmatched = f"Unmatched{direction.capitalize()}{suffix}"
        self._pairs = []
        for clip in self.clips:
            flows = found(f"{self.root}/Flow{suffix}/{clip}/{direction}/*.flo")
            visible = found(f"{self.root}/{unmatched}/{clip}/*.npy")
            matching = found(f"{self.root}/SegMatching{suffix}/{clip}/{direction}/*.json")
            count = len(self.frames[clip]) - stride
            assert len(flows) == len(visible) == len(matching) == count, (clip, len(flows), len(visible), len(matching))
            for place in range(count):
                here, there = (place, place + stride) if direction == "forward" else (place + stride, place)
                line_area = visible[place].replace(unmatched, "LineArea")
                self._pairs.append((clip, here, there, flows[place], visible[place], line_area, matching[place]))

    def __len__(self):
        return len(self._pairs)

    def __getitem__(self, place):
        clip, here, there, flow, visible, line_area, matching = self._pairs[place]
        return OfficialPair(
            read_colours(self.frames[clip][here]),
            read_colours(self.frames[clip][there]),
            read_flow(flow),
            np.load(visible),
            np.load(line_area),
            (np.load(self.segments[clip][here]), np.load(self.segments[clip][there])),
            {int(label): targets for label, targets in json.loads(Path(matching).read_text()).items()},
        )


def found(pattern):
    """By name. What begins with a dot is no file of the data set."""
    return sorted(glob(pattern))  # noqa: PTH207 - as official loaders do


def read_colours(path):
    """(H, W, 3), red first."""
    return cv2.imread(path, cv2.IMREAD_COLOR)[..., ::-1]


def read_flow(path):
    """Middlebury's: 202021.25, width, height, then u and v pixel by pixel from the top left."""
    data = Path(path).read_bytes()
    magic, width, height = struct.unpack("<fii", data[:12])
    assert magic == 202021.25
    numbers = np.frombuffer(data[12:], dtype="<f4")
    assert numbers.size == 2 * width * height
    return numbers.reshape(height, width, 2)
