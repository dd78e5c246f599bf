# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of a data set lie: AnimeRun's own folders, and ours beside them. Names only; nothing is read here."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

SPLITS = ("train", "test")
ORIGINAL = "original"
# What official loaders sort is sorted by name: all of a clip's stems are equally long.
LEAST_DIGITS = 4

_NAME = re.compile(r"[\w][\w.-]*", re.ASCII)


class Kind(enum.StrEnum):
    """The folders of a split. The first eight are AnimeRun's; its own loaders know nothing of the others."""

    FRAMES = "Frame_Anime"
    CONTOUR = "contour"
    FLOW = "Flow"
    UNMATCHED_FORWARD = "UnmatchedForward"
    UNMATCHED_BACKWARD = "UnmatchedBackward"
    LINE_AREA = "LineArea"
    SEGMENT = "Segment"
    MATCHING = "SegMatching"
    VALID = "Valid"
    DEPTH = "Depth"
    NORMAL = "Normal"
    OBJECT_ID = "ObjectId"
    MATERIAL_ID = "MaterialId"
    UDP = "UDP"
    EXR = "EXR"
    META = "Meta"


# Of every kind but Meta, which holds files of its own names.
SUFFIXES = {
    Kind.FRAMES: ".png",
    Kind.CONTOUR: ".png",
    Kind.LINE_AREA: ".npy",
    Kind.SEGMENT: ".npy",
    Kind.DEPTH: ".npy",
    Kind.NORMAL: ".npy",
    Kind.OBJECT_ID: ".npy",
    Kind.MATERIAL_ID: ".npy",
    Kind.UDP: ".npz",
    Kind.EXR: ".exr",
    Kind.FLOW: ".flo",
    Kind.VALID: ".png",
    Kind.MATCHING: ".json",
    Kind.UNMATCHED_FORWARD: ".npy",
    Kind.UNMATCHED_BACKWARD: ".npy",
}


class Direction(enum.StrEnum):
    """From a frame to a later one, or back."""

    FORWARD = "forward"
    BACKWARD = "backward"


@dataclass(frozen=True)
class Clip:
    """One clip's place in a data set.

    Of a pair's files the stem is the frame that the flow starts from, in either direction. `stride` counts the clip's
    frames, whatever their numbers: with stride 2, frames 1, 3, 5 of a clip on twos have a flow from 1 to 5.
    """

    root: Path
    split: str
    name: str
    digits: int = LEAST_DIGITS

    def stem(self, frame: int) -> str:
        """What all files of a frame are called."""
        return f"{frame:0{self.digits}d}"

    def folder(self, kind: Kind, stride: int = 1) -> Path:
        """This clip's folder of a kind."""
        return self.root / self.split / (kind if stride == 1 else f"{kind}_stride{stride}") / self.name

    def frame(self, frame: int, look: str = ORIGINAL) -> Path:
        """A colour frame; further looks are colour augmentations."""
        return self.folder(Kind.FRAMES) / look / f"{self.stem(frame)}.png"

    def of_frame(self, kind: Kind, frame: int, suffix: str) -> Path:
        """A label that a frame has by itself."""
        return self.folder(kind) / f"{self.stem(frame)}{suffix}"

    def of_pair(self, kind: Kind, source: int, direction: Direction, stride: int, suffix: str) -> Path:
        """A label that leads from the frame `source` to another: Flow, SegMatching, Valid."""
        return self.folder(kind, stride) / direction / f"{self.stem(source)}{suffix}"

    def contour(self, frame: int) -> Path:
        """Grey line art."""
        return self.of_frame(Kind.CONTOUR, frame, ".png")

    def udp(self, frame: int) -> Path:
        """Ultra-Dense Pose of all characters, float32 (H, W, 4)."""
        return self.of_frame(Kind.UDP, frame, ".npz")

    def line_area(self, frame: int) -> Path:
        """uint8 (H, W): 0 within 10 px of a line, 1 beyond."""
        return self.of_frame(Kind.LINE_AREA, frame, ".npy")

    def segment(self, frame: int) -> Path:
        """int32 (H, W): 0..K-1 without gaps."""
        return self.of_frame(Kind.SEGMENT, frame, ".npy")

    def flow(self, source: int, direction: Direction, stride: int = 1) -> Path:
        """Optical flow from the frame `source`; 1e10 where unknown."""
        return self.of_pair(Kind.FLOW, source, direction, stride, ".flo")

    def valid(self, source: int, direction: Direction, stride: int = 1) -> Path:
        """255 where the flow from the frame `source` is known, else 0."""
        return self.of_pair(Kind.VALID, source, direction, stride, ".png")

    def unmatched(self, source: int, direction: Direction, stride: int = 1) -> Path:
        """uint8 (H, W): 1 where the frame `source` shows what is visible in the other frame too, 0 where occluded."""
        kind = Kind.UNMATCHED_FORWARD if direction is Direction.FORWARD else Kind.UNMATCHED_BACKWARD
        return self.folder(kind, stride) / f"{self.stem(source)}.npy"

    def matching(self, source: int, direction: Direction, stride: int = 1) -> Path:
        """Which segments of the other frame show what those of the frame `source` show."""
        return self.of_pair(Kind.MATCHING, source, direction, stride, ".json")

    @property
    def meta(self) -> Path:
        """What the clip was made with."""
        return self.folder(Kind.META) / "meta.json"

    @property
    def camera(self) -> Path:
        """The cameras of all frames."""
        return self.folder(Kind.META) / "camera.json"

    @property
    def characters(self) -> Path:
        """Whose rest coordinates its UDP pictures have, and how they are encoded."""
        return self.folder(Kind.META) / "udp.json"

    @property
    def notes(self) -> Path:
        """What of the scene has no labels, or no correspondence, by frames and pairs."""
        return self.folder(Kind.META) / "notes.json"


def digits_for(last_frame: int) -> int:
    """How long the stems of a clip are that ends at this frame."""
    return max(LEAST_DIGITS, len(str(last_frame)))


def checked_name(name: str, what: str) -> str:
    """A clip's or look's name that is safe as a folder's: letters, digits, `_`, `-` and `.`, the first no dot."""
    if _NAME.fullmatch(name) is None or len(name) > 100:
        raise InputError(f"'{name}' cannot be the name of a {what}: use letters, digits, _ and - only")
    return name


def safe_name(text: str) -> str:
    """The nearest name that a clip may have."""
    return re.sub(r"[^\w-]+", "_", text, flags=re.ASCII).strip("_-")[:100] or "clip"
