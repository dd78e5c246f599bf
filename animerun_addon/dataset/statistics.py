# SPDX-License-Identifier: GPL-3.0-or-later
"""What a data set is like: the figures of the AnimeRun paper's Table 1 and Figure 4, defined in docs/statistics.md.

Of all frames only sums are kept, so the length of a film makes no difference. What has no labels is None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..labels.matching import NO_MATCH, Matches
from ..progress import Progress, Steps
from .clips import FrameClip
from .formats import FormatError
from .items import PICTURE_SUFFIXES, Frame, Pair, read_any_picture
from .layout import SPLITS
from .reader import AnimeRun

Float64 = npt.NDArray[np.float64]
UInt8 = npt.NDArray[np.uint8]

ALL = "all"
# The size at which derivatives and flow of any film are compared.
WIDTH_PX, HEIGHT_PX = 960, 540
LUMINANCE_BINS = np.arange(256)
# Steps of luminance from a pixel to its right neighbour.
DERIVATIVE_BINS = np.arange(-255, 256)
# Whole pixels; the last bin has all that is faster too.
FLOW_BINS_PX = np.arange(512)
# Each bin of a luminance histogram gets this share more before two are compared.
KL_SMOOTHING = 1e-6
# What is rarer counts as just so rare in a log-histogram.
RAREST = 1e-6

_REC_601 = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Pictures:
    """What the pictures of a folder or a data set are like: shares of pixels, or None if there are none."""

    count: int
    luminance: Float64 | None
    derivative: Float64 | None


@dataclass(frozen=True)
class Figures:
    """The statistics of one split, or of all; None is what there are no labels for."""

    clips: int
    frames: int
    sizes: tuple[str, ...]
    segments_per_frame: float | None
    occluded_segments_per_frame: float | None
    pixel_shift_px: float | None
    segment_shift_px: float | None
    accumulated_shift_px: float | None
    flow_magnitude: Float64 | None
    pictures: Pictures
    # Against the reference, if there is one.
    luminance_kl: float | None = None
    derivative_sad: float | None = None


@dataclass(frozen=True)
class Statistics:
    """The figures of each split and of all clips, and the pictures they were compared with."""

    sets: Mapping[str, Figures]
    reference: Pictures | None = None


# One frame, one pair --------------------------------------------------------------------------------------------------


def luminance_of(image: UInt8) -> npt.NDArray[np.float32]:
    """Rec. 601 luma (H, W), 0 to 255, float32, of a picture (H, W, 3)."""
    return np.asarray(image.astype(np.float32) @ _REC_601)


def luminance_shares(image: UInt8) -> Float64:
    """Which part of a picture (H, W, 3) has which luminance, (256,)."""
    steps = np.rint(luminance_of(image)).astype(np.intp)
    return np.bincount(steps.ravel(), minlength=len(LUMINANCE_BINS)) / steps.size


def derivative_shares(image: UInt8) -> Float64:
    """Which part of a picture (H, W, 3), brought to 960x540, has which step of luminance to the right, (511,)."""
    import cv2

    luminance = luminance_of(image)
    if luminance.shape != (HEIGHT_PX, WIDTH_PX):
        luminance = np.asarray(cv2.resize(luminance, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA))
    steps = np.rint(np.diff(luminance, axis=1)).astype(np.intp) - DERIVATIVE_BINS[0]
    return np.bincount(steps.ravel(), minlength=len(DERIVATIVE_BINS)) / steps.size


def flow_magnitude_shares(flow_px: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> Float64:
    """Which part of the frame moves how far, (512,), as it would at 960x540; of flow (H, W, 2), where it is `valid`."""
    height, width = valid.shape
    magnitude_px = _magnitudes(flow_px[valid] * np.array([WIDTH_PX / width, HEIGHT_PX / height]))
    bins = np.minimum(magnitude_px, FLOW_BINS_PX[-1]).astype(np.intp)
    return np.bincount(bins, minlength=len(FLOW_BINS_PX)) / valid.size


def _magnitudes(flow_px: npt.NDArray[np.floating[Any]]) -> Float64:
    vectors = flow_px.astype(np.float64)
    return np.hypot(vectors[..., 0], vectors[..., 1])


def centroids_of(labels: npt.NDArray[np.int32]) -> Float64:
    """Where the middle of each segment of a label map (H, W) lies, x and y, (K, 2); nan for a label without pixels."""
    y, x = np.indices(labels.shape).reshape(2, -1)
    counts = np.bincount(labels.ravel())
    with np.errstate(invalid="ignore"):
        return np.stack([np.bincount(labels.ravel(), weights=axis) / counts for axis in (x, y)], axis=-1)


def segment_shifts(matches: Matches, here: Float64, there: Float64) -> Float64:
    """How far each segment that has a match goes to its best one, in pixels, from their centroids (K, 2)."""
    best = np.array([targets[0] for targets in matches], dtype=np.intp)
    has_match = best != NO_MATCH
    shifts = _magnitudes(there[best[has_match]] - here[has_match])
    return shifts[~np.isnan(shifts)]


# Comparisons ----------------------------------------------------------------------------------------------------------


def kl_divergence(shares: Float64, reference: Float64) -> float:
    """How much is lost, in nats, when the reference is taken for the other: 0 if they are the same."""
    one, other = (smoothed / smoothed.sum() for smoothed in (shares + KL_SMOOTHING, reference + KL_SMOOTHING))
    return float((one * np.log(one / other)).sum())


def log_shares(shares: Float64) -> Float64:
    """A log-histogram: the decadic logarithm of shares."""
    return np.log10(np.maximum(shares, RAREST))


def sum_of_log_differences(shares: Float64, reference: Float64) -> float:
    """The sum of absolute differences of two log-histograms."""
    return float(np.abs(log_shares(shares) - log_shares(reference)).sum())


# Sums -----------------------------------------------------------------------------------------------------------------


@dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, total: float, count: int = 1) -> None:
        self.total += total
        self.count += count

    def __add__(self, other: _Mean) -> _Mean:
        return _Mean(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count else None


def _empty(bins: npt.NDArray[np.signedinteger[Any]]) -> Float64:
    return np.zeros(len(bins))


@dataclass
class _PictureSums:
    count: int = 0
    luminance: Float64 = field(default_factory=lambda: _empty(LUMINANCE_BINS))
    derivative: Float64 = field(default_factory=lambda: _empty(DERIVATIVE_BINS))

    def add(self, image: UInt8) -> None:
        self.count += 1
        self.luminance += luminance_shares(image)
        self.derivative += derivative_shares(image)

    def __add__(self, other: _PictureSums) -> _PictureSums:
        return _PictureSums(
            self.count + other.count, self.luminance + other.luminance, self.derivative + other.derivative
        )

    def pictures(self) -> Pictures:
        return Pictures(self.count, _normalised(self.luminance), _normalised(self.derivative))


@dataclass
class _Sums:
    clips: int = 0
    frames: int = 0
    sizes: set[tuple[int, int]] = field(default_factory=set)
    segments: _Mean = field(default_factory=_Mean)
    occluded_segments: _Mean = field(default_factory=_Mean)
    pixel_shift: _Mean = field(default_factory=_Mean)
    segment_shift: _Mean = field(default_factory=_Mean)
    accumulated_shift: _Mean = field(default_factory=_Mean)
    flow_magnitude: Float64 = field(default_factory=lambda: _empty(FLOW_BINS_PX))
    pictures: _PictureSums = field(default_factory=_PictureSums)

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            clips=self.clips + other.clips,
            frames=self.frames + other.frames,
            sizes=self.sizes | other.sizes,
            segments=self.segments + other.segments,
            occluded_segments=self.occluded_segments + other.occluded_segments,
            pixel_shift=self.pixel_shift + other.pixel_shift,
            segment_shift=self.segment_shift + other.segment_shift,
            accumulated_shift=self.accumulated_shift + other.accumulated_shift,
            flow_magnitude=self.flow_magnitude + other.flow_magnitude,
            pictures=self.pictures + other.pictures,
        )

    def figures(self, reference: Pictures | None) -> Figures:
        pictures = self.pictures.pictures()
        other = reference or Pictures(0, None, None)
        return Figures(
            clips=self.clips,
            frames=self.frames,
            sizes=tuple(f"{width}x{height}" for width, height in sorted(self.sizes)),
            segments_per_frame=self.segments.value,
            occluded_segments_per_frame=self.occluded_segments.value,
            pixel_shift_px=self.pixel_shift.value,
            segment_shift_px=self.segment_shift.value,
            accumulated_shift_px=self.accumulated_shift.value,
            flow_magnitude=_normalised(self.flow_magnitude),
            pictures=pictures,
            luminance_kl=_compared(kl_divergence, pictures.luminance, other.luminance),
            derivative_sad=_compared(sum_of_log_differences, pictures.derivative, other.derivative),
        )


def _compared(compare: Callable[[Float64, Float64], float], one: Float64 | None, other: Float64 | None) -> float | None:
    return None if one is None or other is None else compare(one, other)


def _normalised(sums: Float64) -> Float64 | None:
    total = sums.sum()
    return sums / total if total > 0 else None


# Clips ----------------------------------------------------------------------------------------------------------------


def _add_clip(sums: _Sums, clip: FrameClip) -> Iterator[None]:
    """A step for each frame, with the pair that ends there."""
    sums.clips += 1
    accumulated = _Mean()
    here: Float64 | None = None
    for place in range(clip.frame_count):
        there = _add_frame(sums, clip.frame(place))
        if place:
            pair = clip.pair(place - 1)
            _add_flow(sums, pair, accumulated)
            _add_matches(sums, pair, here, there)
        here = there
        yield
    if accumulated.count:
        sums.accumulated_shift.add(accumulated.total)


def _add_frame(sums: _Sums, frame: Frame) -> Float64 | None:
    """Returns the centroids of its segments."""
    sums.frames += 1
    if frame.path.is_file():
        sums.pictures.add(frame.image)
        sums.sizes.add((frame.image.shape[1], frame.image.shape[0]))
    if frame.segments is None or frame.segments_file is None:
        return None
    if frame.segments.min() < 0 or frame.segments.max() >= frame.segments.size:
        raise FormatError(frame.segments_file.path, "has labels that are not 0 to K-1")
    sums.sizes.add((frame.segments.shape[1], frame.segments.shape[0]))
    centroids = centroids_of(frame.segments)
    sums.segments.add(np.count_nonzero(~np.isnan(centroids[:, 0])))
    return centroids


def _add_flow(sums: _Sums, pair: Pair, accumulated: _Mean) -> None:
    if not pair.has_flow:
        return
    flow_px, valid = pair.flow_px, pair.valid
    sums.sizes.add((valid.shape[1], valid.shape[0]))
    known = int(np.count_nonzero(valid))
    if known:
        total_px = float(_magnitudes(flow_px[valid]).sum())
        sums.pixel_shift.add(total_px, known)
        accumulated.add(total_px / known)
        sums.flow_magnitude += flow_magnitude_shares(flow_px, valid)


def _add_matches(sums: _Sums, pair: Pair, here: Float64 | None, there: Float64 | None) -> None:
    matches = pair.matches
    if matches is None:
        return
    sums.occluded_segments.add(sum(targets[0] == NO_MATCH for targets in matches))
    if here is None or there is None:
        return
    if len(matches) != len(here) or max((target for targets in matches for target in targets), default=0) >= len(there):
        raise InputError(f"The matches of '{pair.name}' do not fit its segments: `animerun check` says what is wrong")
    shifts = segment_shifts(matches, here, there)
    sums.segment_shift.add(float(shifts.sum()), len(shifts))


# Data sets and folders ------------------------------------------------------------------------------------------------


def statistics_steps(
    root: Path, splits: Sequence[str] | None = None, reference: Path | None = None
) -> Steps[Statistics]:
    """The statistics of a data set in AnimeRun's layout, by split and of all clips.

    `reference` is a folder of pictures to compare with.
    """
    return (yield from clip_statistics_steps(clips_of(root, splits), reference))


def clips_of(root: Path, splits: Sequence[str] | None = None) -> dict[str, Sequence[FrameClip]]:
    """The clips by split; if no split is named, of those that have any."""
    names = splits or [split for split in SPLITS if any((root / split).glob("*/*"))] or SPLITS[:1]
    return {name: AnimeRun(root, name).clips for name in names}


def clip_statistics_steps(clips: Mapping[str, Sequence[FrameClip]], reference: Path | None = None) -> Steps[Statistics]:
    """The statistics of sets of clips by the sets' names, whatever reader they come from, and of all clips."""
    pictures = [] if reference is None else _pictures_in(reference)
    total = len(pictures) + sum(clip.frame_count for each in clips.values() for clip in each)
    done = 0
    compared = _PictureSums()
    for path in pictures:
        yield Progress(done, total, path.name)
        compared.add(read_any_picture(path))
        done += 1
    known = None if reference is None else compared.pictures()
    sums = {name: _Sums() for name in clips}
    for name, each in clips.items():
        for clip in each:
            yield Progress(done, total, clip.name)
            for _ in _add_clip(sums[name], clip):
                done += 1
                yield Progress(done, total, clip.name)
    sums[ALL] = sum(sums.values(), start=_Sums())
    return Statistics({name: each.figures(known) for name, each in sums.items()}, known)


def _pictures_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}': choose one with PNG or JPEG pictures to compare with")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    pictures = [path for path in found if not path.name.startswith(".")]
    if not pictures:
        raise InputError(f"There are no PNG or JPEG pictures in '{folder}': choose a folder that has some")
    return pictures
