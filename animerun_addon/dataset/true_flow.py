# SPDX-License-Identifier: GPL-3.0-or-later
"""The true flow between frames, found by the frames' names: a clip's of a data set, or a folder's of .flo files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..errors import InputError
from .footage import clip_around
from .formats import Bool, Float32, read_flo
from .items import Pair
from .layout import Direction, Kind
from .listing import files_in
from .reader import ClipReader


@dataclass(frozen=True)
class TrueFlow:
    """Flow (H, W, 2), where it is known (H, W), and what is hidden in the other frame (H, W) if that is known."""

    flow_px: Float32
    known: Bool
    occluded: Bool | None = None


# The true flow from the frame of one name to that of another, or None.
Truth = Callable[[str, str], TrueFlow | None]


def true_flow_of(path: Path, names: Sequence[str]) -> Truth:
    """What lies at a path for frames of these names in this order: a clip, or .flo files, `forward` and `backward`.

    In a folder without `forward` and `backward` all flow is forward.
    """
    path = path.resolve()
    if not path.is_dir():
        raise InputError(f"There is no folder '{path}': choose a clip of a data set, or a folder with .flo files")
    clip = clip_around(path)
    if clip is None:
        return _of_files(path, names)
    truth = true_flow_of_clip(ClipReader(clip.root, clip.split, clip.name), names)
    if truth is None:
        raise InputError(f"Clip '{clip.name}' in '{clip.root / clip.split}' has no flow of the frames {_ends(names)}")
    return truth


def true_flow_of_clip(clip: ClipReader, names: Sequence[str]) -> Truth | None:
    """The clip's own flow; None if it has none of any two of these frames that follow each other."""
    places = {clip.frame(place).name: place for place in range(clip.frame_count)}

    def pair(first: str, second: str) -> Pair | None:
        source, target = places.get(first), places.get(second)
        if source is None or target is None:
            return None
        direction = Direction.FORWARD if source < target else Direction.BACKWARD
        found = clip.pair(min(source, target), abs(target - source), direction)
        return found if found.has_flow else None

    def truth(first: str, second: str) -> TrueFlow | None:
        found = pair(first, second)
        return None if found is None else TrueFlow(found.flow_px, found.valid, found.occluded)

    return truth if any(map(pair, names, names[1:])) else None


def _of_files(folder: Path, names: Sequence[str]) -> Truth:
    files: dict[tuple[str, str], Path] = {}
    for direction in Direction:
        within = folder / direction
        if direction is Direction.FORWARD and not any((folder / each).is_dir() for each in Direction):
            within = folder
        ways = list(pairwise(names))
        if direction is Direction.BACKWARD:
            ways = [(second, first) for first, second in ways]
        files |= _by_way(within, ways)
    if not files:
        raise InputError(
            f"There are no .flo files in '{folder}': choose a clip of a data set, or a folder of such files"
        )

    def truth(first: str, second: str) -> TrueFlow | None:
        path = files.get((first, second))
        return None if path is None else TrueFlow(*read_flo(path))

    return truth


def _by_way(folder: Path, ways: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Path]:
    """Files called like the frame that their flow starts from; else by place, if there are as many as ways."""
    listed = files_in(folder, ".flo")
    by_name = {way: listed[way[0]] for way in ways if way[0] in listed}
    if by_name or not listed:
        return by_name
    if len(listed) != len(ways):
        raise InputError(
            f"'{folder}' has {len(listed)} .flo files for {len(ways)} pairs, and none is called like a frame: "
            "call each like the frame that its flow starts from"
        )
    return dict(zip(ways, listed.values(), strict=True))


def _ends(names: Sequence[str]) -> str:
    return f"'{names[0]}' to '{names[-1]}': choose the clip that they are of, and see that it has a folder {Kind.FLOW}"
