# SPDX-License-Identifier: GPL-3.0-or-later
"""What a clip was made with, and what is known about its frames: Meta/<clip>/. Two makings never mix in one clip."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError
from ..output import writable_folder, write_text
from .layout import SPLITS, Clip, Kind
from .udp import CONVENTION

# Of the folders' layout and of meta.json itself.
FORMAT = 1

# What may grow from one export into a clip to the next; all else has to be the same.
_GROWING = ("frames", "strides", "labels", "looks")
_CONVENTIONS = {
    "images": "row 0 is the top; pixel (x, y) has its centre at (x + 0.5, y + 0.5)",
    "flow": "pixels, u right and v down; a file's stem is the frame that the flow starts from; unknown is 1e10",
    "unmatched": "1: visible in the other frame too, 0: occluded",
    "line_area": "0: within 10 px of a contour line, 1: beyond",
    "segment": "labels 0..K-1 without gaps",
    "matching": "labels in the other frame, best first; -1: none",
    "ids": "rows of the names in notes.json; -1: no surface",
    "geometry": "Blender's world space, metres, Z up; depth along the view axis, inf in the background",
}

Plain = dict[str, Any]


def read_meta(clip: Clip) -> Plain | None:
    """What the clip was made with; None where nothing says so."""
    if not clip.meta.exists():
        return None
    meta = _read_json(clip.meta)
    has_lists = all(isinstance(meta.get(key, []), list) for key in _GROWING)
    if meta.get("format") != FORMAT or not has_lists or not meta.get("frames"):
        raise InputError(f"'{clip.meta}' is not of this version: export into another folder, or start anew")
    return meta


def begin(clip: Clip, wanted: Plain) -> Plain:
    """Note down what the clip is made with, or find that it goes on as it began; returns what it has to have now.

    `wanted` has the same keys each time. Frames may only be added behind those that are there, and then everything
    that the clip has is made for them.
    """
    meta = {"format": FORMAT, **wanted, "conventions": _CONVENTIONS}
    before = read_meta(clip)
    if before is None:
        _check_empty(clip)
    else:
        _check_same(clip, before, meta)
        if meta["frames"][: len(before["frames"])] != before["frames"]:
            raise OutputError(
                f"Clip '{clip.name}' has frames {_described(before['frames'])} already: export these, or more after "
                "them, name another clip, or start anew"
            )
        kept = {key: _joined(before.get(key, []), meta[key]) for key in _GROWING[1:]}
        if len(meta["frames"]) > len(before["frames"]):
            wanted = {**wanted, **kept}
            # What has no next frame yet is without its forward vectors there.
            clip.of_frame(Kind.EXR, before["frames"][-1], ".exr").unlink(missing_ok=True)
        meta |= kept
    if meta != before:
        writable_folder(clip.meta.parent)
        write_text(clip.meta, json.dumps(meta, indent=1))
    return wanted


def put_characters(clip: Clip, characters: Plain) -> None:
    """Note down what the numbers of the clip's UDP pictures mean, or find that they go on meaning that."""
    now = json.loads(json.dumps({"convention": CONVENTION, "characters": characters}))
    if clip.characters.exists():
        _check_same(clip, _read_json(clip.characters, "characters"), now)
        return
    writable_folder(clip.characters.parent)
    write_text(clip.characters, json.dumps(now, indent=1))


def _described(frames: Sequence[int]) -> str:
    """Frame numbers in short."""
    return str(frames[0]) if len(frames) == 1 else f"{frames[0]} to {frames[-1]} ({len(frames)} of them)"


def remove(clip: Clip) -> None:
    """Delete all files of a clip, what tells of them last."""
    for folder in _folders(clip):
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise OutputError(f"Cannot delete '{error.filename or folder}': {error.strerror or error}") from error


def _folders(clip: Clip) -> list[Path]:
    """The folders of the clip's files that are there, the one that tells of them last."""
    split = clip.root / clip.split
    kinds = [kind for kind in Kind if kind is not Kind.META]
    folders = [
        kind / clip.name
        for kind in (sorted(split.iterdir()) if split.is_dir() else ())
        if kind.name.partition("_stride")[0] in kinds
    ]
    return [folder for folder in (*folders, clip.meta.parent) if folder.is_dir()]


def check_only_in(clip: Clip) -> None:
    """A clip of one name on both sides of the split could be one shot on both sides."""
    for split in SPLITS:
        other = Clip(clip.root, split, clip.name)
        if split != clip.split and other.meta.exists():
            raise OutputError(f"Clip '{clip.name}' is in '{split}' already: name another clip, or export it there")


def _check_empty(clip: Clip) -> None:
    for folder in _folders(clip):
        if any(path.is_file() for path in folder.rglob("*")):
            raise OutputError(
                f"'{folder}' has files already, and '{clip.meta}', which would tell what they were made with, is not "
                "there: name another clip or folder, or start anew (--anew deletes them)"
            )


def _check_same(clip: Clip, before: Plain, meta: Plain) -> None:
    for path, old, new in _differences(
        {key: value for key, value in before.items() if key not in _GROWING},
        {key: value for key, value in meta.items() if key not in _GROWING},
    ):
        what = (
            "the scene was changed since" if path == "source.sha256" else f"{path} was {_short(old)}, now {_short(new)}"
        )
        raise OutputError(
            f"Clip '{clip.name}' in '{clip.root}' was begun otherwise ({what}): nothing is mixed; export as before, "
            "name another clip or folder, or start anew (--anew)"
        )


def _differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            inner = f"{path}.{key}" if path else key
            yield from _differences(before.get(key), now.get(key), inner)
    elif before != now:
        yield path, before, now


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."


def _joined(before: Iterable[Any], now: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys([*before, *now]))


# What is known about frames and pairs -----------------------------------------------------------------------------


class Records:
    """Cameras and notes, one small file each until the clip is whole, then all in camera.json and notes.json.

    Keys are the frame's stem, and for pairs "forward/0001", "stride2/backward/0003".
    """

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._parts = clip.meta.parent / "parts"
        self._frames: Plain = {}
        self._pairs: Plain = {}
        self._names: Plain = {"object_names": [], "material_names": []}
        if clip.camera.exists() and clip.notes.exists():
            cameras, notes = _read_json(clip.camera, "frames")["frames"], _read_json(clip.notes, "frames", "pairs")
            self._frames = {
                stem: {"camera": camera, "notes": notes["frames"].get(stem, [])} for stem, camera in cameras.items()
            }
            self._pairs = notes["pairs"]
            self._names = {key: notes.get(key, []) for key in self._names}
        # Without what a killed export has only begun to write.
        for part in sorted(self._parts.glob("[!.]*.json")):
            self._take(_read_json(part))

    def has_frame(self, frame: int) -> bool:
        """Whether the frame's camera is known."""
        return self._clip.stem(frame) in self._frames

    def has_pair(self, key: str) -> bool:
        """Whether it is known what of a pair has no correspondence."""
        return key in self._pairs

    def put_frame(self, frame: int, camera: Plain, notes: Sequence[str]) -> None:
        """Keep what is known about a frame."""
        stem = self._clip.stem(frame)
        self._put(f"frame_{stem}", {"frames": {stem: {"camera": camera, "notes": list(notes)}}})

    def put_pair(self, key: str, notes: Sequence[str]) -> None:
        """Keep what of a pair has no correspondence."""
        self._put("pair_" + key.replace("/", "_"), {"pairs": {key: list(notes)}})

    def put_names(self, objects: Sequence[str], materials: Sequence[str]) -> None:
        """Keep what the ids mean: lists that only grow."""
        names = {"object_names": list(objects), "material_names": list(materials)}
        if any(len(names[key]) > len(self._names[key]) for key in names):
            self._put("names", {"names": names})

    def finish(self) -> list[str]:
        """Write camera.json and notes.json; returns all notes, each once."""
        writable_folder(self._parts)
        frames = dict(sorted(self._frames.items()))
        cameras = {stem: frame["camera"] for stem, frame in frames.items()}
        notes = {
            **self._names,
            "frames": {stem: frame["notes"] for stem, frame in frames.items() if frame["notes"]},
            "pairs": dict(sorted(self._pairs.items())),
        }
        write_text(self._clip.camera, json.dumps({"frames": cameras}, indent=1))
        write_text(self._clip.notes, json.dumps(notes, indent=1))
        shutil.rmtree(self._parts)
        return list(
            dict.fromkeys(note for of in (notes["frames"], notes["pairs"]) for each in of.values() for note in each)
        )

    def _put(self, name: str, part: Plain) -> None:
        writable_folder(self._parts)
        write_text(self._parts / f"{name}.json", json.dumps(part))
        self._take(part)

    def _take(self, part: Mapping[str, Any]) -> None:
        self._frames |= part.get("frames", {})
        self._pairs |= part.get("pairs", {})
        self._names |= part.get("names", {})


def _read_json(path: Path, *parts: str) -> Plain:
    """The object that a file holds; so is each of its `parts`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read ({error}): start the clip anew") from error
    if not isinstance(value, dict) or not all(isinstance(value.get(part), dict) for part in parts):
        raise InputError(f"'{path}' does not hold what it should: start the clip anew")
    return value
