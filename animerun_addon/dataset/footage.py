# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as a folder of pictures has them: numbered, or in the order of their names; and whose frames they are.

What is in the pictures is not looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..errors import InputError
from .items import PICTURE_SUFFIXES
from .layout import ORIGINAL, SPLITS, Clip, Kind, safe_name
from .listing import names_in

_LAST_NUMBER = re.compile(r"(\d+)\D*$", re.ASCII)
# More are no frame number but a date or a hash.
_MOST_DIGITS = 9


@dataclass(frozen=True)
class Footage:
    """Frames of one take: pictures by their numbers, in order. `clip` is the data set's own, if they are of one."""

    folder: Path
    files: Mapping[int, Path]
    clip: Clip | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Split and name of the clip that is made of them."""
        if self.clip is not None:
            return self.clip.split, self.clip.name
        return SPLITS[0], safe_name(self.folder.name)


def footage_in(folder: Path, frames: Sequence[int] | None = None) -> Footage:
    """The PNG and JPEG files of a folder, or of those only these frames.

    They have the last number in their names. If one has none, they are counted from 1 in the order of their names.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}': choose one with PNG or JPEG frames, or a .blend file")
    clip = clip_around(folder)
    if clip is not None and clip.folder(Kind.FRAMES) == folder and (folder / ORIGINAL).is_dir():
        folder = folder / ORIGINAL
    files = _numbered(folder)
    if frames is not None:
        missing = [frame for frame in frames if frame not in files]
        if missing:
            raise InputError(f"'{folder}' has no frame {missing[0]}: it has {_range(files)}")
        files = {frame: files[frame] for frame in frames}
    if len(files) < 2:
        raise InputError(
            f"Flow leads from one frame to the next, and of '{folder}' there is one only: give two or more"
        )
    return Footage(folder, files, clip)


def clip_around(folder: Path) -> Clip | None:
    """The clip of a data set that a folder is of: .../train/Frame_Anime/<clip>, or one of its folders."""
    for place in (folder, folder.parent):
        kind, split = place.parent.name, place.parent.parent
        if kind in list(Kind) and split.name in SPLITS:
            return Clip(split.parent, split.name, place.name)
    return None


def _numbered(folder: Path) -> dict[int, Path]:
    paths = [folder / name for name in names_in(folder) if Path(name).suffix.lower() in PICTURE_SUFFIXES]
    if not paths:
        raise InputError(f"There are no PNG or JPEG pictures in '{folder}': choose the folder that the frames are in")
    for one, other in pairwise(paths):
        if one.stem == other.stem:
            raise InputError(f"'{folder}' has a frame twice, '{one.name}' and '{other.name}': take one of them away")
    matches = [_last_number(path) for path in paths]
    numbers = [number for number in matches if number is not None]
    if len(numbers) < len(paths):
        return dict(enumerate(paths, start=1))
    files = dict(sorted(zip(numbers, paths, strict=True)))
    if len(files) < len(paths):
        one, other = next(_same_number(zip(numbers, paths, strict=True)))
        raise InputError(
            f"'{one.name}' and '{other.name}' in '{folder}' have one number: give each sequence a folder of its own"
        )
    return files


def _last_number(path: Path) -> int | None:
    match = _LAST_NUMBER.search(path.stem)
    return None if match is None or len(match[1]) > _MOST_DIGITS else int(match[1])


def _same_number(numbered: Iterator[tuple[int, Path]]) -> Iterator[tuple[Path, Path]]:
    for (number, one), (next_number, other) in pairwise(sorted(numbered)):
        if number == next_number:
            yield one, other


def _range(files: Mapping[int, Path]) -> str:
    numbers = sorted(files)
    return f"{numbers[0]} to {numbers[-1]} ({len(numbers)} of them)"
