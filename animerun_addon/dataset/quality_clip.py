# SPDX-License-Identifier: GPL-3.0-or-later
"""One clip's check: goes through it frame by frame and pair by pair, measures, and holds the figures to their limits.

Memory holds as many frames as the largest stride and one more. What the figures mean is quality_pair.py's, and
quality_faults.py's what is too much.
"""

from __future__ import annotations

import heapq
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InputError
from ..labels.motion import Flow
from ..progress import Progress, Steps
from .items import Pair
from .layout import Clip, Direction, Kind
from .quality_faults import ClipResult, Fault, Finding, Limit, limits_for
from .quality_files import file_findings, lacking_kinds, strides_of
from .quality_pair import Figures, PairView, View, measure, rematched_share
from .quality_read import ClipFiles
from .reader import ClipReader

# Rows of a contact sheet.
_WORST = 4


@dataclass(frozen=True, order=True)
class Badness:
    """How a pair stands among the others of its clip, and which it is."""

    faults: int
    excess: float  # the largest figure in shares of its limit
    warp_error: float
    place: int
    stride: int
    direction: Direction


@dataclass(frozen=True)
class Checked:
    """The verdict about a clip, and its worst pairs, the worst first."""

    result: ClipResult
    worst: tuple[Badness, ...]


@dataclass(frozen=True)
class _Way:
    """The figures of a pair in one direction."""

    title: str
    which: tuple[int, int, Direction]  # place, stride, direction
    figures: Figures


@dataclass
class _Tally:
    """What the pairs of a clip come to."""

    findings: list[Finding] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    pairs: int = 0
    unknown_pairs: int = 0
    worst_pairs: list[Badness] = field(default_factory=list)

    def add(self, found: _Way, limits: tuple[Limit, ...]) -> None:
        """A pair's figures; only the worst pairs are remembered."""
        figures = found.figures
        over = [
            Finding(limit.fault, found.title, figure=figures[limit.figure], most=limit.most_for(figures))
            for limit in limits
            if figures.get(limit.figure, 0.0) > limit.most_for(figures)
        ]
        self.findings.extend(over)
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.worst[name] = max(self.worst.get(name, 0.0), value)
            self.counts[name] = self.counts.get(name, 0) + 1
        self.pairs += 1
        self.unknown_pairs += figures["unknown_share"] == 1.0
        excess = max((finding.excess for finding in over), default=0.0)
        badness = Badness(len(over), excess, figures.get("warp_error", 0.0), *found.which)
        self.worst_pairs = heapq.nlargest(_WORST, [*self.worst_pairs, badness])

    @property
    def figures(self) -> Figures:
        """Numbers of pairs, and of all figures the mean and the largest."""
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        worst = {f"worst_{name}": value for name, value in self.worst.items()}
        return {"pairs": float(self.pairs), "unknown_pairs": float(self.unknown_pairs), **means, **worst}


def clip_steps(reader: ClipReader, clip: Clip, threads: Executor) -> Steps[Checked]:
    """Check one clip."""
    try:
        meta = reader.meta
    except InputError as error:
        finding = Finding(Fault.UNREADABLE, f"{Kind.META}/{clip.name}/meta.json", str(error))
        return Checked(ClipResult(clip.name, clip.split, (finding,), {}, ()), ())
    if meta is not None:
        clip = replace(clip, digits=meta["digits"])
    strides = strides_of(clip, meta)
    missing = file_findings(clip, meta, strides or [1])
    files = ClipFiles(reader, clip, meta)
    tally = _Tally()
    yield from _pair_steps(reader, files, strides, limits_for(meta), tally, threads)
    figures = {"frames": float(reader.frame_count), **tally.figures}
    notes = tuple(_notes(clip, reader.frame_count, tally))
    if files.refusal is not None and not missing:
        missing = [Finding(Fault.UNREADABLE, clip.name, files.refusal)]
    findings = (*missing, *files.findings, *tally.findings)
    return Checked(ClipResult(clip.name, clip.split, findings, figures, notes), tuple(tally.worst_pairs))


def _pair_steps(
    reader: ClipReader,
    files: ClipFiles,
    strides: list[int],
    limits: tuple[Limit, ...],
    tally: _Tally,
    threads: Executor,
) -> Steps[None]:
    """Every frame, and with each the pairs that end there."""
    count = reader.frame_count
    total = count + sum(max(count - stride, 0) for stride in strides)
    done = 0
    views: dict[int, View] = {}
    for place in range(count):
        views[place] = files.frame(place) or View()
        done += 1
        yield Progress(done, total, f"frame {place + 1}")
        for stride in strides:
            if place >= stride:
                first, second = views[place - stride], views[place]
                for way in _both_ways(files, place - stride, stride, (first, second), threads):
                    tally.add(way, limits)
                done += 1
                yield Progress(done, total, f"frame {place + 1}")
        views.pop(place - max(strides, default=0), None)


def _both_ways(files: ClipFiles, place: int, stride: int, views: tuple[View, View], threads: Executor) -> list[_Way]:
    """Both directions of a pair, as far as there is flow."""
    pairs = {direction: files.pair(place, stride, direction) for direction in Direction}
    flows = {direction: None if pair is None else files.flow(pair) for direction, pair in pairs.items()}
    ways = []
    for direction, other in zip(Direction, reversed(Direction), strict=True):
        pair, flow = pairs[direction], flows[direction]
        if pair is not None:
            here, there = views if direction is Direction.FORWARD else views[::-1]
            matches = files.matches(pair, here.segments, there.segments)
            visible, mask = files.visible(pair), files.valid_mask(pair)
            if flow is not None:
                view = PairView(here, there, flow, flows[other], visible, matches if files.matched_by_flow else None)
                ways.append((pair, threads.submit(_measured, view, mask)))
    return [_Way(_title(pair), (place, stride, pair.direction), figures.result()) for pair, figures in ways]


def _measured(view: PairView, valid_mask: Any) -> Figures:
    figures = measure(view)
    rematched = rematched_share(view)
    if rematched is not None:
        figures["rematched_share"] = rematched
    if valid_mask is not None:
        figures["invalid_mask_share"] = float((valid_mask != view.flow.valid).mean())
    return figures


def view_of(reader: ClipReader, badness: Badness) -> tuple[str, PairView] | None:
    """A pair's title and its labels once more, for a picture of it; None if they cannot be read or do not fit."""
    try:
        pair = reader.pair(badness.place, stride=badness.stride, direction=badness.direction)
        here, there = View(pair.first.image), View(pair.second.image)
        flow = Flow(pair.flow_px, pair.valid, ())
        visible = None if pair.occluded is None else ~pair.occluded
    except InputError:
        return None
    shapes = {array.shape[:2] for array in (here.image, there.image, flow.valid, visible) if array is not None}
    return (_title(pair), PairView(here, there, flow, visible=visible)) if len(shapes) == 1 else None


def _title(pair: Pair) -> str:
    """As in notes.json."""
    name = f"{pair.direction}/{pair.first.name}"
    return name if pair.stride == 1 else f"stride{pair.stride}/{name}"


def _notes(clip: Clip, frame_count: int, tally: _Tally) -> list[str]:
    """What is worth knowing and no fault."""
    notes = []
    lacking = lacking_kinds(clip)
    if lacking and frame_count > 1:
        notes.append(f"AnimeRun's own loaders want folders that it does not have: {', '.join(lacking)}")
    if tally.unknown_pairs:
        notes.append(f"{tally.unknown_pairs} of {tally.pairs} pairs have no known flow at all, as at a cut")
    return notes
