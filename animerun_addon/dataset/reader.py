# SPDX-License-Identifier: GPL-3.0-or-later
"""A data set in AnimeRun's layout as clips, pairs and triplets: the published one, and what is exported here.

The published data set goes by place: its loaders sort names and pair lists, whatever the names are. A clip of ours says
in its Meta folder which frames it has, so its files are found by name and an unfinished export is never mispaired.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, TypeGuard, TypeVar

from ..errors import InputError
from .clips import ClipSet, FrameClip
from .formats import Bool, FormatError, read_flo, read_matching
from .items import (
    Frame,
    Pair,
    Source,
    read_floats,
    read_greys,
    read_not_zero,
    read_whole_numbers,
    read_zero,
)
from .layout import ORIGINAL, SPLITS, SUFFIXES, Clip, Direction, Kind
from .listing import files_in, folders_in
from .udp import read_udp

Content = TypeVar("Content")

# A folder in one of these makes a clip, and the first that has files says how many frames there are. LineArea is not
# among them: the published data set has none for a clip's last frame.
_FRAME_KINDS = (Kind.CONTOUR, Kind.SEGMENT, Kind.OBJECT_ID, Kind.MATERIAL_ID, Kind.DEPTH, Kind.NORMAL, Kind.UDP)
_CLIP_KINDS = (Kind.FRAMES, Kind.META, *_FRAME_KINDS)
_PAIR_KINDS = (Kind.FLOW, Kind.UNMATCHED_FORWARD, Kind.UNMATCHED_BACKWARD, Kind.MATCHING)
_PAIR_FOLDER = re.compile(rf"({'|'.join(_PAIR_KINDS)})(?:_stride([1-9]\d{{0,5}}))?", re.ASCII)


class AnimeRun(ClipSet["ClipReader"]):
    """A split of a data set: its clips, sorted by name."""

    def __init__(self, root: Path | str, split: str = "train") -> None:
        self.root = Path(root)
        self.split = split
        names = _clip_names(self.root, split)
        super().__init__(ClipReader(self.root, split, name) for name in names)


class ClipReader(FrameClip):
    """A clip of a data set. Files are listed when they are first needed; what is in them is read when asked for."""

    def __init__(self, root: Path, split: str, name: str) -> None:
        self.name = name
        self._clip = Clip(root, split, name)
        self._listings: dict[Path, dict[str, Path]] = {}

    @cached_property
    def meta(self) -> dict[str, Any] | None:
        """What the clip was made with; the published data set does not say."""
        path = self._clip.meta
        return _read_meta(path) if path.is_file() else None

    @cached_property
    def looks(self) -> tuple[str, ...]:
        """The folders of colour frames, `original` first."""
        folder = self._clip.folder(Kind.FRAMES)
        looks = [look for look in folders_in(folder) if self._listed(folder / look, ".png")]
        return tuple(sorted(looks, key=lambda look: (look != ORIGINAL, look)))

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """How many frames apart the pairs are that have labels."""
        if self.meta is not None:
            return tuple(self.meta["strides"])
        matches = (_PAIR_FOLDER.fullmatch(name) for name in folders_in(self._clip.root / self._clip.split))
        found = {(Kind(match[1]), int(match[2] or 1)) for match in matches if match}
        return tuple(sorted({stride for kind, stride in found if self._clip.folder(kind, stride).is_dir()}))

    @property
    def frame_count(self) -> int:
        """How many frames it has."""
        return len(self._stems)

    @cached_property
    def _stems(self) -> tuple[str, ...]:
        """What the frames are called."""
        if self.meta is not None:
            return tuple(f"{frame:0{self.meta['digits']}d}" for frame in self.meta["frames"])
        listings = [self._listed(self._clip.folder(Kind.FRAMES) / look, ".png") for look in self.looks[:1]]
        listings += [self._listed(self._clip.folder(kind), SUFFIXES[kind]) for kind in _FRAME_KINDS]
        return next((tuple(listing) for listing in listings if listing), ())

    def _frame(self, place: int, look: str | None) -> Frame:
        labels = partial(self._of_frame, place)
        return Frame(
            name=self._stems[place],
            path=self._picture(place, look),
            contour_file=labels(Kind.CONTOUR, read_greys),
            flat_file=self._line_area(place),
            segments_file=labels(Kind.SEGMENT, read_whole_numbers),
            object_ids_file=labels(Kind.OBJECT_ID, read_whole_numbers),
            material_ids_file=labels(Kind.MATERIAL_ID, read_whole_numbers),
            depth_file=labels(Kind.DEPTH, partial(read_floats, channels=1)),
            normals_file=labels(Kind.NORMAL, partial(read_floats, channels=3)),
            udp_file=labels(Kind.UDP, read_udp),
        )

    def _between(self, source: int, target: int, first: Frame, second: Frame) -> Pair:
        direction = Direction.FORWARD if source < target else Direction.BACKWARD
        stride = abs(target - source)
        unmatched = Kind.UNMATCHED_FORWARD if source < target else Kind.UNMATCHED_BACKWARD
        labels = partial(self._of_pair, source, target)
        flow_file = labels(self._clip.folder(Kind.FLOW, stride) / direction, Kind.FLOW, read_flo)
        if flow_file is not None and isinstance(flow_file.read, _Misfit):
            flow_file()
        return Pair(
            clip=self.name,
            first=first,
            second=second,
            stride=stride,
            direction=direction,
            flow_file=flow_file,
            occluded_file=labels(self._clip.folder(unmatched, stride), unmatched, read_zero),
            matches_file=labels(self._clip.folder(Kind.MATCHING, stride) / direction, Kind.MATCHING, read_matching),
        )

    def _picture(self, place: int, look: str | None) -> Path:
        """Where a colour frame lies, or would lie if this clip had any."""
        chosen = look or (*self.looks, ORIGINAL)[0]
        if self.looks and chosen not in self.looks:
            raise InputError(f"Clip '{self.name}' has no look '{chosen}': there are {', '.join(self.looks)}")
        folder = self._clip.folder(Kind.FRAMES) / chosen
        files = self._listed(folder, ".png")
        if self.meta is not None or not files:
            return folder / f"{self._stems[place]}.png"
        if len(files) != self.frame_count:
            _Misfit(self.name, len(files), self.frame_count, "frames")(folder)
        return tuple(files.values())[place]

    def _of_frame(self, place: int, kind: Kind, read: Callable[[Path], Content]) -> Source[Content] | None:
        """By name where names tell which frame is meant, else by place."""
        folder = self._clip.folder(kind)
        files = self._listed(folder, SUFFIXES[kind])
        if self.meta is None and len(files) == self.frame_count:
            return Source(tuple(files.values())[place], read)
        if self.meta is None and not files.keys() <= set(self._stems):
            return Source(folder, _Misfit(self.name, len(files), self.frame_count, "frames"))
        path = files.get(self._stems[place])
        return None if path is None else Source(path, read)

    def _line_area(self, place: int) -> Source[Bool] | None:
        """In the published data set it is called what the pair's occlusion file is called."""
        pairs = tuple(self._listed(self._clip.folder(Kind.UNMATCHED_FORWARD), ".npy"))
        files = self._listed(self._clip.folder(Kind.LINE_AREA), ".npy")
        goes_by_pairs = self.meta is None and len(pairs) == self.frame_count - 1 and files.keys() <= set(pairs)
        if not files or not goes_by_pairs:
            return self._of_frame(place, Kind.LINE_AREA, read_not_zero)
        path = files.get(pairs[place]) if place < len(pairs) else None
        return None if path is None else Source(path, read_not_zero)

    def _of_pair(
        self, source: int, target: int, folder: Path, kind: Kind, read: Callable[[Path], Content]
    ) -> Source[Content] | None:
        """By name in a clip of ours, else by place, whichever way the pair leads."""
        files = self._listed(folder, SUFFIXES[kind])
        if not files:
            return None
        if self.meta is not None:
            path = files.get(self._stems[source])
            return None if path is None else Source(path, read)
        count = self.frame_count - abs(target - source)
        if len(files) != count:
            return Source(folder, _Misfit(self.name, len(files), count, "pairs"))
        return Source(tuple(files.values())[min(source, target)], read)

    def _listed(self, folder: Path, suffix: str) -> dict[str, Path]:
        """A folder's files by stem, sorted by name; listed once."""
        if folder not in self._listings:
            self._listings[folder] = files_in(folder, suffix)
        return self._listings[folder]


@dataclass(frozen=True)
class _Misfit:
    """Instead of reading: there are not as many files as there must be, so nobody knows which is whose."""

    clip: str
    files: int
    expected: int
    what: str

    def __call__(self, path: Path) -> NoReturn:
        raise InputError(
            f"Clip '{self.clip}' has {self.expected} {self.what}, but {self.files} files in '{path}': "
            "copy it anew, or take that folder away"
        )


def _clip_names(root: Path, split: str) -> list[str]:
    """The clips of a split, sorted by name."""
    if not root.is_dir():
        raise InputError(f"There is no folder '{root}': choose the folder that holds {' and '.join(SPLITS)}")
    splits = [name for name in folders_in(root) if _is_split(root / name)]
    if split not in splits:
        there = f"there are {', '.join(splits)}" if splits else "choose the folder that holds train or test"
        raise InputError(f"There is no split '{split}' in '{root}': {there}")
    names = sorted({name for kind in _CLIP_KINDS for name in folders_in(root / split / kind)})
    if not names:
        raise InputError(f"There are no clips in '{root / split}': export or copy some into its {Kind.FRAMES} folder")
    return names


def _is_split(folder: Path) -> bool:
    return any((folder / kind).is_dir() for kind in _CLIP_KINDS)


def _read_meta(path: Path) -> dict[str, Any]:
    """What of meta.json is needed to find files is as it must be; the rest is as it stands there."""
    try:
        meta = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"is no JSON file ({error})") from error
    if not isinstance(meta, dict):
        raise FormatError(path, "does not hold named values")
    frames, strides, digits = meta.get("frames"), meta.get("strides"), meta.get("digits")
    if not _are_rising(frames) or not _are_whole(strides) or min(strides, default=1) < 1:
        raise FormatError(path, "does not name frames and strides as rising whole numbers")
    if type(digits) is not int or not 1 <= digits <= 20:
        raise FormatError(path, "does not say how many digits the names of frames have")
    return meta


def _are_rising(numbers: Any) -> TypeGuard[list[int]]:
    return _are_whole(numbers) and bool(numbers) and all(one < next_one for one, next_one in pairwise(numbers))


def _are_whole(numbers: Any) -> TypeGuard[list[int]]:
    return isinstance(numbers, list) and all(type(number) is int for number in numbers)
