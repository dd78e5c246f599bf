# SPDX-License-Identifier: GPL-3.0-or-later
"""The job that estimates the flow of a sequence of frames, as a clip of a data set that our reader opens. No bpy.

It goes on where an earlier run was, and never mixes models. Which models there are is flow_models.py's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset.footage import Footage
from ..dataset.formats import Float32, read_flo, write_flo, write_npy, write_png
from ..dataset.items import UInt8, read_any_picture
from ..dataset.layout import Clip, Direction, digits_for
from ..dataset.listing import files_in
from ..dataset.manifest import begin, read_meta, remove
from ..dataset.reader import ClipReader
from ..dataset.true_flow import Truth, true_flow_of, true_flow_of_clip
from ..errors import InputError, OutputError
from ..evaluation.endpoint_error import EndpointError, endpoint_error
from ..labels.motion import Flow
from ..labels.occlusion import consistency_occlusion
from ..labels.visualize import flow_colours, flow_legend, sequence_scale
from ..output import alone_in, writable_folder, write_text
from ..progress import Progress, Steps, as_part
from .flow_models import FlowModel

# Pictures for people stand beside the data set, one folder a clip.
COLOURS = "flow_colours"
LEGEND = "wheel.png"
_LEGEND_PX = 240
# Beside meta.json: which pictures the flow is of.
_PICTURES = "pictures.json"
# What meta.json says beyond that of an exported clip.
_MODEL = "estimated_by"

# Of the whole time.
_LOOK_SHARE, _COLOUR_SHARE = 0.05, 0.1


@dataclass(frozen=True)
class Shot:
    """What flow is estimated of: frames by their numbers, and as what they are noted down.

    `make` brings the pictures of some frames if they are not there, such as by rendering them.
    """

    files: Mapping[int, Path]
    source: Mapping[str, str]
    truth: Truth | None = None
    make: Callable[[Sequence[int]], Steps[Any]] | None = None

    @property
    def frames(self) -> list[int]:
        """The numbers, in order."""
        return list(self.files)


@dataclass(frozen=True)
class FlowRun:
    """What a run has made; `errors` against the true flow, of each pair that has one, by direction and stem."""

    clip: Clip
    frames: tuple[int, ...]
    estimated: int  # pairs
    kept: int  # pairs that were there already
    colours: Path
    scale_px: float
    errors: Mapping[Direction, Mapping[str, EndpointError]] = field(default_factory=dict)

    def error(self, direction: Direction) -> EndpointError:
        """Over all pairs."""
        return sum(self.errors.get(direction, {}).values(), start=EndpointError())


@dataclass(frozen=True)
class _Way:
    """A frame's flow to another."""

    source: int
    target: int
    direction: Direction


def shot_of(footage: Footage, truth: Path | None = None) -> Shot:
    """A folder's frames. The true flow is where `truth` says, else that of the data set's clip that they are of."""
    names = [path.stem for path in footage.files.values()]
    source = {"file": footage.folder.name, "scene": "", "sha256": ""}
    if truth is not None:
        return Shot(footage.files, source, true_flow_of(truth, names))
    return Shot(footage.files, source, None if footage.clip is None else _own_truth(footage.clip, names))


def _own_truth(clip: Clip, names: Sequence[str]) -> Truth | None:
    """The flow of the data set's clip, unless that is an estimate too."""
    reader = ClipReader(clip.root, clip.split, clip.name)
    return None if _MODEL in (reader.meta or {}) else true_flow_of_clip(reader, names)


def flow_clip(out: Path, split: str, name: str, frames: Sequence[int]) -> Clip:
    """Where the flow of such a clip goes."""
    return Clip(writable_folder(out), split, name, digits_for(frames[-1]))


def flow_steps(
    shot: Shot, clip: Clip, model: FlowModel, *, one_way: bool = False, anew: bool = False
) -> Steps[FlowRun]:
    """Estimate what is not there yet; both ways with what is hidden, or only forward.

    Flow and occlusion lie where the data set has them, pictures of the flow in `flow_colours`. Made `anew`, what the
    clip has goes first.
    """
    folder = writable_folder(clip.meta.parent)
    with alone_in(folder.parent, clip.name):
        if anew:
            _remove_estimated(clip)
        begin(clip, _description(shot, clip, model))
        start = 0.0
        if shot.make is not None:
            missing = [frame for frame, path in shot.files.items() if not path.is_file()]
            if missing:
                start = 0.5
                yield from as_part(shot.make(missing), 0.0, start)
        rest = 1.0 - start
        yield from as_part(_look_steps(shot, clip), start, rest * _LOOK_SHARE)
        start += rest * _LOOK_SHARE
        estimating = _estimate_steps(shot, clip, model, both=not one_way)
        estimated = yield from as_part(estimating, start, rest * (1.0 - _LOOK_SHARE - _COLOUR_SHARE))
        start = 1.0 - rest * _COLOUR_SHARE
        ways = _ways(shot.frames, both=not one_way)
        colours, scale_px = yield from as_part(_colour_steps(clip, ways), start, rest * _COLOUR_SHARE)
        errors = {} if shot.truth is None else dict(_errors(shot, clip, ways, shot.truth))
    count = len(shot.files) - 1
    return FlowRun(clip, tuple(shot.files), estimated, count - estimated, colours, scale_px, errors)


def _remove_estimated(clip: Clip) -> None:
    """An exported clip of that name is not ours to delete."""
    meta = read_meta(clip)
    if meta is None:
        return
    if _MODEL not in meta:
        raise OutputError(f"Clip '{clip.name}' in '{clip.root}' was exported, not estimated: name another folder")
    remove(clip)


def _description(shot: Shot, clip: Clip, model: FlowModel) -> dict[str, Any]:
    """What meta.json says, as of an export."""
    return {
        "clip": clip.name,
        "frames": shot.frames,
        "strides": [1],
        "digits": clip.digits,
        "labels": [],
        "looks": [],
        "source": dict(shot.source),
        _MODEL: model.described,
    }


# Looking at the frames ------------------------------------------------------------------------------------------------


def _look_steps(shot: Shot, clip: Clip) -> Steps[None]:
    """All can be read and are of one size, and are those that what is there already was made of."""
    noted = clip.meta.parent / _PICTURES
    before = _read_digests(noted)
    now: dict[str, str] = {}
    first: tuple[Path, tuple[int, ...]] | None = None
    for done, (frame, path) in enumerate(shot.files.items()):
        yield Progress(done, len(shot.files), f"Looking at frame {frame}")
        picture = read_any_picture(path)
        first = first or (path, picture.shape)
        if picture.shape != first[1]:
            raise InputError(
                f"'{path}' is {_size(picture.shape)} and '{first[0].name}' {_size(first[1])}: render or scale all alike"
            )
        stem = clip.stem(frame)
        now[stem] = hashlib.sha256(picture.tobytes()).hexdigest()
        if before.get(stem, now[stem]) != now[stem]:
            raise OutputError(
                f"'{path}' has changed since flow was estimated into '{clip.root}': name another folder, or start anew "
                "(--anew)"
            )
    if now != before:
        write_text(noted, json.dumps(now, indent=1))


def _read_digests(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        digests = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read ({error}): start anew (--anew)") from error
    if not isinstance(digests, dict):
        raise InputError(f"'{path}' does not hold what it should: start anew (--anew)")
    return digests


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


# Flow -----------------------------------------------------------------------------------------------------------------


def _estimate_steps(shot: Shot, clip: Clip, model: FlowModel, *, both: bool) -> Steps[int]:
    """Returns how many pairs were not there yet."""
    total = len(shot.files) - 1
    estimated = 0
    seen: tuple[int, UInt8] | None = None
    for done, (first, second) in enumerate(pairwise(shot.files)):
        progress = Progress(done, total, f"Flow of frames {first} and {second}")
        yield progress
        if all(path.is_file() for path in _files(clip, first, second, both=both)):
            continue
        here = seen[1] if seen and seen[0] == first else read_any_picture(shot.files[first])
        there = read_any_picture(shot.files[second])
        flows = yield from model.steps(here, there, progress, both=both)
        _write_pair(clip, first, second, *flows)
        estimated += 1
        seen = (second, there)
    return estimated


def _files(clip: Clip, first: int, second: int, *, both: bool) -> list[Path]:
    """What there is of a pair when it is done."""
    files = [clip.flow(first, Direction.FORWARD)]
    if both:
        files += [
            clip.flow(second, Direction.BACKWARD),
            clip.unmatched(first, Direction.FORWARD),
            clip.unmatched(second, Direction.BACKWARD),
        ]
    return files


def _write_pair(clip: Clip, first: int, second: int, there_px: Float32, back_px: Float32 | None) -> None:
    there = _flow(there_px)
    _write_flow(clip.flow(first, Direction.FORWARD), there)
    if back_px is None:
        return
    back = _flow(back_px)
    _write_flow(clip.flow(second, Direction.BACKWARD), back)
    _write_visible(clip.unmatched(first, Direction.FORWARD), there, back)
    _write_visible(clip.unmatched(second, Direction.BACKWARD), back, there)


def _flow(flow_px: Float32) -> Flow:
    """What a model answers, unknown where that is no number."""
    known = np.isfinite(flow_px).all(axis=2)
    return Flow(np.where(known[..., None], flow_px, np.float32(0.0)), known, ())


def _write_flow(path: Path, flow: Flow) -> None:
    writable_folder(path.parent)
    write_flo(path, flow.flow_px, flow.valid)


def _write_visible(path: Path, flow: Flow, opposite: Flow) -> None:
    writable_folder(path.parent)
    write_npy(path, (~consistency_occlusion(flow, opposite)).astype(np.uint8))


def _ways(frames: Sequence[int], *, both: bool) -> list[_Way]:
    ways = [_Way(first, second, Direction.FORWARD) for first, second in pairwise(frames)]
    return ways + [_Way(way.target, way.source, Direction.BACKWARD) for way in ways if both]


# What is made of it ---------------------------------------------------------------------------------------------------


def _colour_steps(clip: Clip, ways: Sequence[_Way]) -> Steps[tuple[Path, float]]:
    """Pictures of all flow in one scale, which they are in, and the wheel that explains it; what was there goes."""
    folder = writable_folder(clip.root / COLOURS / clip.name)
    for earlier in (path for direction in Direction for path in files_in(folder / direction, ".png").values()):
        earlier.unlink()
    yield Progress(0, len(ways), "Measuring the flow")
    scale_px = sequence_scale(read_flo(clip.flow(way.source, way.direction)) for way in ways)
    for done, way in enumerate(ways):
        yield Progress(done, len(ways), f"Drawing the flow of frame {way.source}")
        flow_px, valid = read_flo(clip.flow(way.source, way.direction))
        path = writable_folder(folder / way.direction) / f"{clip.stem(way.source)}.png"
        write_png(path, flow_colours(flow_px, valid, scale_px))
    write_png(folder / LEGEND, flow_legend(_LEGEND_PX, scale_px))
    return folder, scale_px


def _errors(
    shot: Shot, clip: Clip, ways: Sequence[_Way], truth: Truth
) -> Iterator[tuple[Direction, dict[str, EndpointError]]]:
    """By direction and the stem of the frame that the flow starts from."""
    for direction in Direction:
        errors = {}
        for way in (way for way in ways if way.direction is direction):
            true = truth(shot.files[way.source].stem, shot.files[way.target].stem)
            if true is None:
                continue
            flow_px, _ = read_flo(clip.flow(way.source, direction))
            if true.flow_px.shape != flow_px.shape:
                raise InputError(
                    f"The true flow of frame {way.source} is {_size(true.flow_px.shape)}, the frame "
                    f"{_size(flow_px.shape)}: compare with that of frames of the same size"
                )
            errors[clip.stem(way.source)] = endpoint_error(flow_px, true.flow_px, true.known, true.occluded)
        if errors:
            yield direction, errors
