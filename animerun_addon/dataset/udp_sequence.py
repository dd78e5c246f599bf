# SPDX-License-Identifier: GPL-3.0-or-later
"""A sequence of Ultra-Dense Pose pictures: its folders, how it is begun and gone on with, and reading it.

One picture, and what udp.json says, are udp.py's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from ..errors import InputError, OutputError
from ..labels.udp_encoding import Float32, Float64
from ..output import writable_folder
from .formats import FormatError
from .udp import UdpInfo, frames_folder, info_path, parse_info, read_info, read_udp, to_json, write_info

_COLOUR, _SHEET = "colour", "sheet"
# Of udp.json, what all pictures of a sequence have in common.
_SAME = ("encoding", "rest", "character", "file_format", "width_px", "height_px", "digits", "made_from", "versions")


# ---------------------------------------------------------------- making a sequence


def colour_folder(folder: Path) -> Path:
    """The folder of the colour frames that belong to a sequence's pictures."""
    return folder / _COLOUR


def sheet_folder(folder: Path) -> Path:
    """The folder of a character sheet's pictures: what CoNR's loader is to be given as references."""
    return folder / _SHEET


def overview_path(folder: Path) -> Path:
    """All pictures of a character sheet in one."""
    return folder / f"{_SHEET}.png"


def begin(folder: Path, wanted: UdpInfo) -> UdpInfo:
    """Note down what a sequence is made with, or find that it goes on as it began; returns what is there of it.

    `wanted` has no frames yet. Files that were made otherwise are never added to.
    """
    path = info_path(folder)
    if not path.exists():
        if any(folder_of(folder).exists() for folder_of in (frames_folder, colour_folder, sheet_folder)):
            raise OutputError(
                f"'{folder}' has pictures already, and no {path.name}, which would tell what they were made with: "
                "choose another folder, or start anew"
            )
        writable_folder(folder)
        write_info(folder, wanted)
        return wanted
    before = read_info(folder)
    # As a file has it: there, tuples are lists.
    now = parse_info(path, json.loads(to_json(wanted)))
    for name in _SAME:
        if getattr(before, name) != getattr(now, name):
            raise OutputError(
                f"The sequence in '{folder}' was begun otherwise ({_difference(name, before, now)}): nothing is mixed; "
                "export as before, choose another folder, or start anew (--anew)"
            )
    there = {frame: share for frame, share in before.clipped_by_frame.items() if before.path(folder, frame).exists()}
    return replace(before, clipped_by_frame=there)


def remove(folder: Path) -> None:
    """Delete all files of a sequence, what tells of them last; nothing else in its folder."""
    try:
        for each in (frames_folder(folder), colour_folder(folder), sheet_folder(folder)):
            if each.is_dir():
                shutil.rmtree(each)
        for path in (overview_path(folder), info_path(folder)):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot delete '{error.filename or folder}': {error.strerror or error}") from error


def _difference(name: str, before: UdpInfo, now: UdpInfo) -> str:
    if name != "made_from":
        return name.replace("_px", "").replace("_", " ")
    keys = [key for key in {**before.made_from, **now.made_from} if before.made_from.get(key) != now.made_from.get(key)]
    return "the scene was changed since" if keys == ["sha256"] else ", ".join(keys)


# ---------------------------------------------------------------- a sequence


class UdpSequence(Sequence[Float32]):
    """A sequence's pictures (H, W, 4) by place, read when they are asked for; `folder` is the one with udp.json."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.info = read_info(self.folder)

    def __len__(self) -> int:
        return len(self.info.frames)

    @overload
    def __getitem__(self, place: int) -> Float32: ...

    @overload
    def __getitem__(self, place: slice) -> list[Float32]: ...

    def __getitem__(self, place: int | slice) -> Float32 | list[Float32]:
        frames = self.info.frames[place]
        return self.frame(frames) if isinstance(frames, int) else [self.frame(frame) for frame in frames]

    def path(self, frame: int) -> Path:
        """The file of a frame, by its number."""
        info = self.info
        if frame not in info.clipped_by_frame:
            raise InputError(
                f"'{self.folder}' has no frame {frame}: choose one of those in {info_path(self.folder).name}"
            )
        return info.path(self.folder, frame)

    def frame(self, frame: int) -> Float32:
        """The picture of a frame, by its number: float32 (H, W, 4)."""
        path = self.path(frame)
        udp, size = read_udp(path), (self.info.height_px, self.info.width_px)
        if udp.shape[:2] != size:
            raise FormatError(
                path, f"has {udp.shape[1]} x {udp.shape[0]} pixels where udp.json has {size[1]} x {size[0]}"
            )
        return udp

    def decode(self, frame: int) -> Float64:
        """Rest coordinates (H, W, 3) in metres of what each pixel of a frame shows, NaN outside of the character."""
        return self.info.encoding.decode(self.frame(frame))
