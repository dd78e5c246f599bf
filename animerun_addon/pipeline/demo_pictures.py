# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a clip's labels for the demo's page, made from what the reader reads: what is shown is in the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dataset.formats import write_png
from ..dataset.items import Frame, Int32, Pair, UInt8
from ..dataset.layout import Direction
from ..dataset.reader import ClipReader
from ..errors import InputError
from ..frame_range import spread
from ..labels.matching import NO_MATCH, Matches, colours_by_matches
from ..labels.visualize import flow_colours, flow_legend, id_colours, occlusion_over, sequence_scale
from ..progress import Progress, Steps
from .demo_page import Gallery, Picture, Sheet

# So many frames are shown with their labels.
SHEETS = 6

_SUFFIX = ".png"
_LEGEND = f"wheel{_SUFFIX}"
_LEGEND_PX = 240

_HATCH_PX = 4
_HATCH_GREYS = (96, 56)

_TO = {Direction.FORWARD: "to the next frame", Direction.BACKWARD: "to the frame before"}
_HIDDEN = {Direction.FORWARD: "in the next frame", Direction.BACKWARD: "in the frame before"}


def gallery_steps(clip: ClipReader, folder: Path, page_folder: Path) -> Steps[Gallery]:
    """Make the pictures of some frames in `folder`, in the place of an earlier run's; files are relative to the page.

    Frames with a flow both ways are shown, if there are any; evenly spread, the first and the last of them included.
    """
    pictures = PagePictures(folder, page_folder)
    pictures.remove_earlier()
    shown = spread(range(1, clip.frame_count - 1) or range(clip.frame_count), SHEETS)
    total = len(shown) + 2
    yield Progress(0, total, "Measuring the flow")
    scale_px = sequence_scale((pair.flow_px, pair.valid) for pair in _all_pairs(clip))
    yield Progress(1, total, "Following segments")
    numbers = followed(clip)
    sheets = []
    for done, place in enumerate(shown, start=2):
        yield Progress(done, total, f"Drawing labels of frame {clip.frame(place).name}")
        sheets.append(_sheet(clip, place, pictures, scale_px, numbers))
    height_px, width_px = clip.frame(0).image.shape[:2]
    return Gallery(
        film=tuple(pictures.told(clip.frame(place).path) for place in range(clip.frame_count)),
        width_px=width_px,
        height_px=height_px,
        sheets=tuple(sheets),
        legend=pictures.save(_LEGEND, flow_legend(_LEGEND_PX, scale_px)),
        scale_px=scale_px,
    )


def followed(clip: ClipReader) -> list[Int32]:
    """Of each frame a number for each segment (K,): the same in the next frame for its counterpart there.

    Counterparts are each other's best match. A segment without one begins a number of its own.
    """
    if clip.frame_count == 1:
        return [np.arange(_label_count(clip.frame(0)), dtype=np.int32)]
    pairs = zip(clip.pairs(direction=Direction.FORWARD), clip.pairs(direction=Direction.BACKWARD), strict=True)
    numbers: list[Int32] = []
    fresh = 0
    for forward, backward in pairs:
        there, back = _best(forward), _best(backward)
        if not numbers:
            numbers.append(np.arange(len(there), dtype=np.int32))
            fresh = len(there)
        _check_labels(forward, there, len(numbers[-1]), len(back))
        _check_labels(backward, back, len(back), len(there))
        mutual = (back != NO_MATCH) & (there[back] == np.arange(len(back)))
        new = fresh + np.cumsum(~mutual, dtype=np.int32) - 1
        numbers.append(np.where(mutual, numbers[-1][back], new).astype(np.int32))
        fresh += int(np.count_nonzero(~mutual))
    return numbers


def matching_pictures(pair: Pair, there_colours: UInt8) -> tuple[UInt8, UInt8]:
    """Both frames' segments (H, W, 3): what matches has one colour, what has no counterpart is hatched.

    `there_colours` (K, 3) of the second frame's segments. There a segment is hatched if it is nobody's best match.
    """
    best = _best(pair)
    segments, segments_there = _segments(pair.first), _segments(pair.second)
    here = colours_by_matches(_matches(pair), segments, there_colours)
    there = there_colours[segments_there]
    is_met = np.isin(np.arange(len(there_colours)), best)
    return _hatched(here, best[segments] == NO_MATCH), _hatched(there, ~is_met[segments_there])


def _sheet(clip: ClipReader, place: int, pictures: PagePictures, scale_px: float, numbers: list[Int32]) -> Sheet:
    frame = clip.frame(place)
    # In a wide window three in a row: forward labels stand above each other, and so do backward labels.
    rows = (
        [pictures.there(frame.path, frame, "Colour", "as the style renders it")],
        [_flow(pair, pictures, scale_px) for pair in _pairs_from(clip, place)],
        [_contour(frame, pictures)],
        [_occlusion(pair, pictures) for pair in _pairs_from(clip, place)],
        [_segment(frame, pictures, id_colours(numbers[place]))],
    )
    matching: tuple[Picture, ...] = ()
    if place + 1 < clip.frame_count:
        matching = _matching(clip.pair(place), pictures, id_colours(numbers[place + 1]))
    return Sheet(frame.name, tuple(picture for row in rows for picture in row), matching)


def flow_file(pair: Pair) -> str:
    """What the picture of a pair's exact flow is called."""
    return f"{pair.first.name}_flow_{pair.direction}{_SUFFIX}"


def _flow(pair: Pair, pictures: PagePictures, scale_px: float) -> Picture:
    drawn = flow_colours(pair.flow_px, pair.valid, scale_px)
    longest_px = float(np.hypot(*np.moveaxis(pair.flow_px[pair.valid], -1, 0)).max(initial=0.0))
    file = pictures.save(flow_file(pair), drawn)
    text = f"{_TO[pair.direction]}, at most {longest_px:.1f} px"
    return Picture(file, "Flow", text, f"Where each pixel of frame {pair.first.name} goes, to frame {pair.second.name}")


def _occlusion(pair: Pair, pictures: PagePictures) -> Picture:
    occluded = _there(pair.occluded, f"occlusion of the pair '{pair.name}'")
    drawn = occlusion_over(pair.first.image, occluded)
    file = pictures.save(f"{pair.first.name}_occlusion_{pair.direction}{_SUFFIX}", drawn)
    text = f"red is hidden {_HIDDEN[pair.direction]}, {occluded.mean():.1%}".replace("%", " %")
    return Picture(file, "Occlusion", text, f"What of frame {pair.first.name} is hidden in frame {pair.second.name}")


def _contour(frame: Frame, pictures: PagePictures) -> Picture:
    if frame.contour_file is None:
        raise InputError(f"Frame {frame.name} has no contour image: export the clip anew")
    return pictures.there(frame.contour_file.path, frame, "Contour", "grey line art")


def _segment(frame: Frame, pictures: PagePictures, colours: UInt8) -> Picture:
    file = pictures.save(f"{frame.name}_segments{_SUFFIX}", colours[_segments(frame)])
    return Picture(file, "Segments", f"{len(colours)} of them", f"The colour segments of frame {frame.name}")


def _matching(pair: Pair, pictures: PagePictures, there_colours: UInt8) -> tuple[Picture, ...]:
    here, there = matching_pictures(pair, there_colours)
    best = _best(pair)
    name = f"{pair.first.name}_matching"
    matched = f"{np.count_nonzero(best != NO_MATCH)} of {len(best)} segments have a match in the next frame"
    return (
        Picture(
            pictures.save(f"{name}_here{_SUFFIX}", here),
            "Matching",
            f"in this frame: {matched}",
            f"The segments of frame {pair.first.name} in the colours of their matches in frame {pair.second.name}",
        ),
        Picture(
            pictures.save(f"{name}_there{_SUFFIX}", there),
            "Matching",
            f"in the next frame, {pair.second.name}: the same colour is the same match",
            f"The segments of frame {pair.second.name}, each that is matched in a colour of its own",
        ),
    )


class PagePictures:
    """Where pictures go, and what the page calls them."""

    def __init__(self, folder: Path, page_folder: Path) -> None:
        self._folder = folder
        self._page_folder = page_folder

    def remove_earlier(self) -> None:
        """What an earlier run drew, maybe of other frames, goes; the folder may hold files of others."""
        self._folder.mkdir(parents=True, exist_ok=True)
        drawn = ("flow_*", "occlusion_*", "segments", "matching_*")
        for pattern in (*(f"[0-9]*_{what}{_SUFFIX}" for what in drawn), _LEGEND):
            for path in self._folder.glob(pattern):
                path.unlink()

    def save(self, name: str, picture: UInt8) -> str:
        """Write a picture; returns its path relative to the page."""
        write_png(self._folder / name, picture)
        return self.place(name)

    def place(self, name: str) -> str:
        """The path of a picture that was saved, relative to the page."""
        return self.told(self._folder / name)

    def there(self, path: Path, frame: Frame, title: str, text: str) -> Picture:
        """A picture of the data set itself."""
        return Picture(self.told(path), title, text, f"{title}: frame {frame.name}")

    def told(self, path: Path) -> str:
        """A file's path relative to the page."""
        return path.relative_to(self._page_folder).as_posix()


def _all_pairs(clip: ClipReader) -> Iterator[Pair]:
    for direction in Direction:
        yield from clip.pairs(direction=direction)


def _pairs_from(clip: ClipReader, place: int) -> Iterator[Pair]:
    """The pairs that lead from a frame, to the next one and to the one before."""
    if place + 1 < clip.frame_count:
        yield clip.pair(place, direction=Direction.FORWARD)
    if place > 0:
        yield clip.pair(place - 1, direction=Direction.BACKWARD)


def _hatched(picture: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> UInt8:
    """(H, W, 3), with grey stripes where (H, W) `where` is true: no colour, so no match."""
    y, x = np.indices(where.shape)
    stripes = np.array(_HATCH_GREYS, dtype=np.uint8)[(x + y) // _HATCH_PX % 2]
    return np.where(where[..., None], stripes[..., None], picture).astype(np.uint8)


def _best(pair: Pair) -> Int32:
    """(K,): each segment's best match, or NO_MATCH."""
    return np.array([targets[0] for targets in _matches(pair)], dtype=np.int32)


def _matches(pair: Pair) -> Matches:
    return _there(pair.matches, f"matching of the pair '{pair.name}'")


def _check_labels(pair: Pair, best: Int32, count: int, count_there: int) -> None:
    """Matches that speak of segments that are not there would paint others."""
    if len(best) != count or best.max(initial=NO_MATCH) >= count_there:
        raise InputError(f"The matching of the pair '{pair.name}' does not fit its segments: export the clip anew")


def _segments(frame: Frame) -> Int32:
    return _there(frame.segments, f"segments of frame {frame.name}")


def _label_count(frame: Frame) -> int:
    return int(_segments(frame).max()) + 1


def _there(content: Any, what: str) -> Any:
    if content is None:
        raise InputError(f"There is no {what}: export the clip anew")
    return content
