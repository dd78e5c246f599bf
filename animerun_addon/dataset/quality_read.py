# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file of a clip, opened once: whether it can be read, is of the clip's size, and is sound by itself.

What is not is noted down and counts as not there. How labels fit each other is not asked here.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import InputError
from ..labels.matching import Matches
from ..labels.motion import Flow
from ..labels.snapshot import Bool, Int32
from .formats import Array, read_exr, read_png
from .items import Frame, Pair, read_picture
from .layout import Clip, Direction, Kind
from .quality_faults import Fault, Finding
from .quality_pair import View
from .reader import ClipReader

Content = TypeVar("Content")


class ClipFiles:
    """The files of a clip.

    `findings` grows as they are read; `refusal` is why the reader cannot tell which files belong to a frame or pair,
    if it cannot. `matched_by_flow` is false where the clip's meta.json says that matches were made otherwise.
    """

    def __init__(self, reader: ClipReader, clip: Clip, meta: Mapping[str, Any] | None) -> None:
        self.findings: list[Finding] = []
        self.refusal: str | None = None
        self.matched_by_flow = (meta or {}).get("matching", "flow") == "flow"
        self._reader, self._clip, self._size = reader, clip, _size_of(meta)

    def frame(self, place: int) -> View | None:
        """What a frame shows, all its files looked at; None where nobody knows which files are its."""
        try:
            frame = self._reader.frame(place)
        except InputError as error:
            self.refusal = str(error)
            return None
        image = self._picture(frame.path)
        for look in self._reader.looks:
            path = self._clip.folder(Kind.FRAMES) / look / f"{frame.name}.png"
            if path != frame.path:
                self._picture(path)
        for source in (frame.contour_file, frame.flat_file, frame.depth_file, frame.normals_file):
            if source is not None:
                self._array(source.path, source)
        self._look_at_exr(frame.name)
        ids = {
            name: self._array(source.path, source)
            for name, source in (("object_ids", frame.object_ids_file), ("material_ids", frame.material_ids_file))
            if source is not None
        }
        return View(image, segments=self._segments(frame), **ids)

    def pair(self, place: int, stride: int, direction: Direction) -> Pair | None:
        """A pair; None where nobody knows which files are its."""
        try:
            return self._reader.pair(place, stride=stride, direction=direction)
        except InputError as error:
            self.refusal = str(error)
            return None

    def flow(self, pair: Pair) -> Flow | None:
        """The pair's flow."""
        source = pair.flow_file
        found = None if source is None else self._read(source.path, source)
        if source is None or found is None or not self._has_size(source.path, found[0]):
            return None
        return Flow(*found, ())

    def visible(self, pair: Pair) -> Bool | None:
        """What the pair calls visible, (H, W)."""
        source = pair.occluded_file
        occluded = None if source is None else self._array(source.path, source)
        return None if occluded is None else ~occluded

    def valid_mask(self, pair: Pair) -> Bool | None:
        """Where the flow is known, (H, W), by the mask that we write beside it."""
        path = self._clip.folder(Kind.VALID, pair.stride) / pair.direction / f"{pair.first.name}.png"
        mask = self._array(path, partial(read_png, path)) if path.exists() else None
        if mask is None:
            return None
        return np.asarray((mask if mask.ndim == 2 else mask[..., 0]) > 0)

    def matches(self, pair: Pair, segments: Int32 | None, segments_there: Int32 | None) -> Matches | None:
        """Matches of exactly the segments that both frames have."""
        source = pair.matches_file
        if source is None:
            return None
        try:
            matches = source()
        except InputError as error:
            fault = Fault.MATCHING_KEYS if _lacks_keys(source.path) else Fault.UNREADABLE
            self._found(fault, source.path, str(error))
            return None
        largest = max((max(targets) for targets in matches), default=-1)
        if segments is not None and len(matches) != segments.max() + 1:
            self._found(Fault.MATCHING_KEYS, source.path, f"{len(matches)} keys, {segments.max() + 1} segments")
        elif segments_there is not None and largest > segments_there.max():
            self._found(Fault.MATCHING_TARGETS, source.path, f"{largest}, the last is {segments_there.max()}")
        else:
            return matches
        return None

    def _segments(self, frame: Frame) -> Int32 | None:
        """Label maps without gaps."""
        source = frame.segments_file
        segments = None if source is None else self._array(source.path, source)
        if source is None or segments is None:
            return None
        gap = _gap(segments)
        if gap is not None:
            self._found(Fault.LABEL_GAP, source.path, gap)
            return None
        return segments

    def _picture(self, path: Path) -> Any:
        return self._array(path, partial(read_picture, path)) if path.exists() else None

    def _look_at_exr(self, stem: str) -> None:
        path = self._clip.folder(Kind.EXR) / f"{stem}.exr"
        if path.exists() and importlib.util.find_spec("OpenEXR") is not None:
            channels = self._read(path, partial(read_exr, path))
            if channels:
                self._has_size(path, next(iter(channels.values())))

    def _array(self, path: Path, read: Callable[..., Any]) -> Any:
        """An array (H, W, ...) of the clip's size, or None."""
        array = self._read(path, read)
        return array if array is not None and self._has_size(path, array) else None

    def _read(self, path: Path, read: Callable[[], Content]) -> Content | None:
        try:
            return read()
        except InputError as error:
            if path.is_dir():
                self.refusal = str(error)
            else:
                self._found(Fault.UNREADABLE, path, str(error))
            return None

    def _has_size(self, path: Path, array: Array) -> bool:
        height, width = array.shape[:2]
        if self._size is None:
            self._size = (height, width)
        if self._size != (height, width):
            self._found(Fault.SIZE, path, f"{width} x {height}, the clip {self._size[1]} x {self._size[0]}")
        return self._size == (height, width)

    def _found(self, fault: Fault, path: Path, detail: str) -> None:
        where = path.relative_to(self._clip.root / self._clip.split).as_posix()
        self.findings.append(Finding(fault, where, detail))


def _size_of(meta: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """Height and width of a clip's pictures, as far as its meta.json says; else those of the first file count."""
    height, width = ((meta or {}).get(key) for key in ("height_px", "width_px"))
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _gap(segments: Int32) -> str | None:
    """What is wrong with labels that are not 0..K-1."""
    last = int(segments.max())
    if segments.min() < 0:
        return f"a label is {segments.min()}"
    if last >= segments.size:
        return f"the last is {last}, of {segments.size} pixels"
    missing = np.flatnonzero(np.bincount(segments.reshape(-1)) == 0)
    return f"no {missing[0]}, though the last is {last}" if len(missing) else None


def _lacks_keys(path: Path) -> bool:
    """Whether a matching that cannot be used is whole, but for keys that are not 0..K-1."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() != {str(label) for label in range(len(found))}
