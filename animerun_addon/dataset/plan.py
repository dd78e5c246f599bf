# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a clip consists of, by the labels that are chosen, and whether what they are made from is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError
from ..export_settings import ExportSettings, Label, SegmentSource, needs
from ..style_settings import Contours
from .layout import ORIGINAL, Clip, Direction, Kind


@dataclass(frozen=True)
class Pair:
    """Two frames of a clip, the earlier first, so many of its frames apart."""

    first: int
    second: int
    stride: int

    @property
    def ways(self) -> tuple[tuple[int, int, Direction], tuple[int, int, Direction]]:
        """Both directions: from, to, and which it is."""
        return (self.first, self.second, Direction.FORWARD), (self.second, self.first, Direction.BACKWARD)


@dataclass(frozen=True)
class Plan:
    """The files of one clip."""

    clip: Clip
    frames: tuple[int, ...]
    settings: ExportSettings
    lines_from_labels: bool  # whether contours come from the ids rather than from Blender

    def has(self, label: Label) -> bool:
        """Whether a label is chosen."""
        return label in self.settings.labels

    @property
    def looks(self) -> tuple[str, ...]:
        """The folders of colour frames."""
        return (ORIGINAL, *(f"color_{number + 1}" for number in range(self.settings.augment)))

    @property
    def pairs(self) -> Iterator[Pair]:
        """All pairs of all strides, by their second frame: in the order in which frames become known."""
        for second in self.frames:
            yield from self.pairs_to(second)

    def pairs_to(self, second: int) -> list[Pair]:
        """The pairs of all strides that end with this frame."""
        place = self.frames.index(second)
        strides = [stride for stride in self.settings.strides if stride <= place]
        return [Pair(self.frames[place - stride], second, stride) for stride in strides]

    def surface_files(self, frame: int) -> list[Path]:
        """What is read off the surfaces that one frame shows."""
        clip = self.clip
        kinds = {Label.DEPTH: [Kind.DEPTH], Label.NORMAL: [Kind.NORMAL], Label.IDS: [Kind.OBJECT_ID, Kind.MATERIAL_ID]}
        files = [clip.of_frame(kind, frame, ".npy") for label in kinds if self.has(label) for kind in kinds[label]]
        if self.has(Label.UDP):
            files.append(clip.udp(frame))
        if self.has(Label.CONTOUR) and self.lines_from_labels:
            files.append(clip.contour(frame))
        if self.has(Label.SEGMENT) and self.settings.segments is SegmentSource.EXACT:
            files.append(clip.segment(frame))
        return files

    def motion_files(self, pair: Pair) -> list[Path]:
        """What is known of where surfaces go, both ways."""
        clip, files = self.clip, []
        for source, _, direction in pair.ways:
            if self.has(Label.FLOW):
                files.append(clip.flow(source, direction, pair.stride))
            if self.has(Label.VALID):
                files.append(clip.valid(source, direction, pair.stride))
            if self.has(Label.OCCLUSION):
                files.append(clip.unmatched(source, direction, pair.stride))
        return files

    def matching_files(self, pair: Pair) -> list[Path]:
        """Which segments match, both ways."""
        if not self.has(Label.MATCHING):
            return []
        return [self.clip.matching(source, direction, pair.stride) for source, _, direction in pair.ways]

    def derived_files(self, frame: int) -> list[Path]:
        """What is made from one frame's pictures."""
        files = [self.clip.line_area(frame)] if self.has(Label.LINE_AREA) else []
        if self.has(Label.SEGMENT) and self.settings.segments is not SegmentSource.EXACT:
            files.append(self.clip.segment(frame))
        return files

    def colour_files(self, look: str) -> list[Path]:
        """The colour frames of one look."""
        return [self.clip.frame(frame, look) for frame in self.frames] if self.has(Label.FRAMES) else []

    def contour_files(self) -> list[Path]:
        """The contours that Blender renders."""
        is_rendered = self.has(Label.CONTOUR) and not self.lines_from_labels
        return [self.clip.contour(frame) for frame in self.frames] if is_rendered else []

    def exr_files(self) -> list[Path]:
        """One multi-layer picture a frame."""
        return [self.exr(frame) for frame in self.frames] if self.has(Label.EXR) else []

    def exr(self, frame: int) -> Path:
        """The multi-layer picture of a frame."""
        return self.clip.of_frame(Kind.EXR, frame, ".exr")

    @property
    def files(self) -> Iterator[Path]:
        """All of them."""
        for look in self.looks:
            yield from self.colour_files(look)
        yield from self.contour_files()
        for frame in self.frames:
            yield from self.surface_files(frame)
            yield from self.derived_files(frame)
        for pair in self.pairs:
            yield from self.motion_files(pair)
            yield from self.matching_files(pair)
        yield from self.exr_files()

    def check_sources(self, may_be_there: bool) -> None:
        """Every label that others are made from is chosen too, or, if that counts, there already."""
        if self.has(Label.EXR) and 1 not in self.settings.strides:
            raise InputError("EXR files hold the flow to the next frame: choose stride 1 as well")
        for label in sorted(self.settings.labels):
            wanted = [need for need in sorted(needs(label, self.settings)) if not self.has(need)]
            lacking = [need for need in wanted if not (may_be_there and self._is_made(need))]
            if lacking:
                names = ", ".join(lacking)
                raise InputError(
                    f"'{label}' is made from {names}: choose {'it' if len(lacking) == 1 else 'them'} as well"
                )

    def _is_made(self, label: Label) -> bool:
        alone = replace(self, settings=replace(self.settings, labels=frozenset({label}), augment=0))
        return all(path.exists() for path in alone.files)

    def folders(self) -> set[Path]:
        """Where the files go."""
        return {path.parent for path in self.files}


def lines_for(settings: ExportSettings) -> bool:
    """Whether contours come from the ids: they do unless the 2D style has Blender draw them."""
    return settings.style is None or settings.style.contours is Contours.FAST


def with_what_frames_need(settings: ExportSettings) -> ExportSettings:
    """Frames with lines that come from the labels take them from the contour images."""
    draws_lines = settings.style is not None and lines_for(settings) and Label.FRAMES in settings.labels
    if not draws_lines or Label.CONTOUR in settings.labels:
        return settings
    return replace(settings, labels=settings.labels | {Label.CONTOUR})
