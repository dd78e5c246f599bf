# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a clip has all its files: as many as its frames ask for, and named as they should be. None is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..export_settings import Label
from .layout import ORIGINAL, SUFFIXES, Clip, Direction, Kind
from .quality_faults import Fault, Finding

# Files that a sentence names one by one.
_NAMED = 5
PAIR_KINDS = (Kind.FLOW, Kind.VALID, Kind.MATCHING, Kind.UNMATCHED_FORWARD, Kind.UNMATCHED_BACKWARD)
_WAYS = {
    Kind.UNMATCHED_FORWARD: (Direction.FORWARD,),
    Kind.UNMATCHED_BACKWARD: (Direction.BACKWARD,),
}
# What AnimeRun's own loaders ask of every clip.
_OFFICIAL = (
    Kind.FRAMES,
    Kind.CONTOUR,
    Kind.FLOW,
    Kind.UNMATCHED_FORWARD,
    Kind.UNMATCHED_BACKWARD,
    Kind.LINE_AREA,
    Kind.SEGMENT,
    Kind.MATCHING,
)
_KINDS_OF_LABEL = {
    Label.FRAMES: (Kind.FRAMES,),
    Label.CONTOUR: (Kind.CONTOUR,),
    Label.FLOW: (Kind.FLOW,),
    Label.OCCLUSION: (Kind.UNMATCHED_FORWARD, Kind.UNMATCHED_BACKWARD),
    Label.LINE_AREA: (Kind.LINE_AREA,),
    Label.SEGMENT: (Kind.SEGMENT,),
    Label.MATCHING: (Kind.MATCHING,),
    Label.VALID: (Kind.VALID,),
    Label.DEPTH: (Kind.DEPTH,),
    Label.NORMAL: (Kind.NORMAL,),
    Label.IDS: (Kind.OBJECT_ID, Kind.MATERIAL_ID),
    Label.UDP: (Kind.UDP,),
    Label.EXR: (Kind.EXR,),
}


@dataclass(frozen=True)
class Folder:
    """A folder that holds one file for each frame, or for each pair, of a clip."""

    path: Path
    suffix: str
    stems: Sequence[str]  # of the files that should be in it
    is_wanted: bool  # whether it has to be there
    may_lack_last: bool = False


def file_findings(clip: Clip, meta: Mapping[str, Any] | None, strides: Sequence[int]) -> list[Finding]:
    """What is missing or too much in a clip's folders.

    A clip with a meta.json is compared with it, name by name. Of any other only numbers are compared: AnimeRun's own
    loaders go by place, whatever the names.
    """
    findings = []
    if meta is not None and (clip.meta.parent / "parts").exists():
        findings.append(Finding(Fault.UNFINISHED, f"{Kind.META}/{clip.name}", "export again to go on with it"))
    for folder in _folders(clip, meta, strides):
        names = _files_in(folder)
        if names is None:
            if folder.is_wanted and folder.stems:
                findings.append(Finding(Fault.MISSING, _title(clip, folder), "the whole folder"))
        elif meta is not None or not _has_the_number(folder, names):
            findings.extend(_compared(folder, names, _title(clip, folder)))
    return findings


def lacking_kinds(clip: Clip) -> list[str]:
    """Folders of AnimeRun's own that a clip does not have."""
    return [kind for kind in _OFFICIAL if not clip.folder(kind).is_dir()]


def _folders(clip: Clip, meta: Mapping[str, Any] | None, strides: Sequence[int]) -> Iterator[Folder]:
    stems = _stems(clip, meta)
    wanted = _wanted_kinds(clip, meta)
    looks = meta.get("looks", [ORIGINAL]) if meta is not None else []
    for look in dict.fromkeys([*looks, *_subfolders(clip.folder(Kind.FRAMES))]):
        yield Folder(clip.folder(Kind.FRAMES) / look, ".png", stems, Kind.FRAMES in wanted and look in looks)
    for kind, suffix in SUFFIXES.items():
        if kind in PAIR_KINDS:
            for stride in strides:
                yield from _pair_folders(clip, kind, suffix, stride, stems, kind in wanted)
        elif kind is not Kind.FRAMES:
            # AnimeRun's loaders look line areas up by the occlusion's names, which the last frame has none of.
            lacks_last = kind is Kind.LINE_AREA and meta is None
            yield Folder(clip.folder(kind), suffix, stems, kind in wanted, lacks_last)


def _pair_folders(
    clip: Clip, kind: Kind, suffix: str, stride: int, stems: Sequence[str], is_wanted: bool
) -> Iterator[Folder]:
    base = clip.folder(kind, stride)
    # One direction alone is half a label.
    is_wanted = is_wanted or base.is_dir()
    for direction in _WAYS.get(kind, tuple(Direction)):
        path = base if kind in _WAYS else base / direction
        sources = stems[:-stride] if direction is Direction.FORWARD else stems[stride:]
        yield Folder(path, suffix, sources, is_wanted)


def _stems(clip: Clip, meta: Mapping[str, Any] | None) -> list[str]:
    """The names of a clip's frames: as its meta.json says, or those of its frames, or else of the first label."""
    if meta is not None:
        return [clip.stem(frame) for frame in meta["frames"]]
    folders = [clip.folder(Kind.FRAMES) / ORIGINAL]
    folders += [clip.folder(kind) for kind in SUFFIXES if kind is not Kind.FRAMES and kind not in PAIR_KINDS]
    for path in folders:
        names = _files_in(Folder(path, path.suffix, (), False))
        if names:
            return sorted(Path(name).stem for name in names)
    return []


def _wanted_kinds(clip: Clip, meta: Mapping[str, Any] | None) -> set[Kind]:
    """What the clip was exported with, and what other clips of its split have that the official loaders read."""
    wanted = {kind for label in (meta or {}).get("labels", ()) for kind in _KINDS_OF_LABEL.get(label, ())}
    return wanted | {kind for kind in _OFFICIAL if _subfolders(clip.folder(kind).parent)}


def _subfolders(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []


def _files_in(folder: Folder) -> list[str] | None:
    """The names in it, hidden ones left out; None if there is no such folder."""
    if not folder.path.is_dir():
        return None
    return sorted(entry.name for entry in folder.path.iterdir() if entry.is_file() and not entry.name.startswith("."))


def _has_the_number(folder: Folder, names: Sequence[str]) -> bool:
    lacking = len(folder.stems) - len(names)
    return lacking == 0 or (folder.may_lack_last and lacking == 1)


def _title(clip: Clip, folder: Folder) -> str:
    return folder.path.relative_to(clip.root / clip.split).as_posix()


def _compared(folder: Folder, names: Sequence[str], title: str) -> Iterator[Finding]:
    expected = {f"{stem}{folder.suffix}" for stem in folder.stems}
    missing, unexpected = sorted(expected - set(names)), sorted(set(names) - expected)
    if names and missing and len(missing) == len(expected):
        # Other names altogether: which are missing cannot be told.
        yield Finding(Fault.MISSING, title, f"{len(names)} instead of {len(expected)}")
        return
    if missing:
        yield Finding(Fault.MISSING, title, _listed(missing))
    if unexpected:
        yield Finding(Fault.UNEXPECTED, title, _listed(unexpected))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def strides_of(clip: Clip, meta: Mapping[str, Any] | None) -> list[int]:
    """Those that the clip should have and those that there are folders of."""
    found = set((meta or {}).get("strides", ()))
    pattern = re.compile(rf"({'|'.join(PAIR_KINDS)})(?:_stride([1-9]\d{{0,5}}))?")
    for kind in _subfolders(clip.root / clip.split):
        named = pattern.fullmatch(kind)
        if named is not None and (clip.root / clip.split / kind / clip.name).is_dir():
            found.add(int(named[2] or 1))
    return sorted(found)
