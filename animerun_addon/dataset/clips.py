# SPDX-License-Identifier: GPL-3.0-or-later
"""What all data sets' clips have in common: pairs and triplets out of frames and what lies between two of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Generic, TypeVar

from ..errors import InputError
from .items import Frame, Items, Pair, Triplet
from .layout import Direction


class FrameClip(ABC):
    """Frames of one take in order; their place counts from 0. Nothing is kept of what is read."""

    name: str

    @property
    @abstractmethod
    def frame_count(self) -> int:
        """How many frames it has."""

    @property
    @abstractmethod
    def looks(self) -> tuple[str, ...]:
        """In which colours its frames are to be had; the first is what is given when none is named."""

    @property
    @abstractmethod
    def strides(self) -> tuple[int, ...]:
        """How many frames apart the pairs are that have labels."""

    @abstractmethod
    def _frame(self, place: int, look: str | None) -> Frame:
        """The frame at a place that there is."""

    @abstractmethod
    def _between(self, source: int, target: int, first: Frame, second: Frame) -> Pair:
        """The pair of the frames at two places that there are."""

    def frame(self, place: int, look: str | None = None) -> Frame:
        """The frame at a place."""
        return self._frame(_checked_place(place, self.frame_count, f"frames in clip '{self.name}'"), look)

    def pair(
        self, place: int, stride: int = 1, direction: Direction = Direction.FORWARD, look: str | None = None
    ) -> Pair:
        """Forward the pair from the frame at a place to the one `stride` further, backward from that one to it."""
        what = f"pairs of stride {stride} in clip '{self.name}'"
        earlier = _checked_place(place, self.frame_count - checked_stride(stride), what)
        places = (earlier, earlier + stride) if direction is Direction.FORWARD else (earlier + stride, earlier)
        source, target = places
        return self._between(source, target, self._frame(source, look), self._frame(target, look))

    def triplet(self, place: int, stride: int = 1, look: str | None = None) -> Triplet:
        """The frame at a place and those one and two strides further."""
        what = f"triplets of stride {stride} in clip '{self.name}'"
        start = _checked_place(place, self.frame_count - 2 * checked_stride(stride), what)
        places = (start, start + stride, start + 2 * stride)
        frames = [self._frame(each, look) for each in places]

        def pair(source: int, target: int) -> Pair:
            return self._between(places[source], places[target], frames[source], frames[target])

        return Triplet(
            first=frames[0],
            middle=frames[1],
            last=frames[2],
            stride=stride,
            forward=pair(0, 2),
            backward=pair(2, 0),
            first_to_middle=pair(0, 1),
            middle_to_first=pair(1, 0),
            middle_to_last=pair(1, 2),
            last_to_middle=pair(2, 1),
        )

    def pairs(
        self, stride: int = 1, direction: Direction = Direction.FORWARD, look: str | None = None
    ) -> Sequence[Pair]:
        """All pairs of frames that are `stride` frames apart; each is made when it is asked for."""
        return all_pairs([self], stride, direction, look)

    def triplets(self, stride: int = 1, look: str | None = None) -> Sequence[Triplet]:
        """All triplets of frames that are `stride` frames apart; each is made when it is asked for."""
        return all_triplets([self], stride, look)


AnyClip = TypeVar("AnyClip", bound=FrameClip)


class ClipSet(Generic[AnyClip]):
    """Clips, and the pairs and triplets of all of them."""

    def __init__(self, clips: Iterable[AnyClip]) -> None:
        self.clips: tuple[AnyClip, ...] = tuple(clips)

    def pairs(
        self, stride: int = 1, direction: Direction = Direction.FORWARD, look: str | None = None
    ) -> Sequence[Pair]:
        """All pairs of frames that are `stride` frames apart; each is made when it is asked for."""
        return all_pairs(self.clips, stride, direction, look)

    def triplets(self, stride: int = 1, look: str | None = None) -> Sequence[Triplet]:
        """All triplets of frames that are `stride` frames apart; each is made when it is asked for."""
        return all_triplets(self.clips, stride, look)


def all_pairs(clips: Iterable[FrameClip], stride: int, direction: Direction, look: str | None) -> Sequence[Pair]:
    """The pairs of all clips, one clip behind the other."""
    checked_stride(stride)
    return Items(
        (clip.frame_count - stride, partial(clip.pair, stride=stride, direction=direction, look=look)) for clip in clips
    )


def all_triplets(clips: Iterable[FrameClip], stride: int, look: str | None) -> Sequence[Triplet]:
    """The triplets of all clips, one clip behind the other."""
    checked_stride(stride)
    return Items((clip.frame_count - 2 * stride, partial(clip.triplet, stride=stride, look=look)) for clip in clips)


def checked_stride(stride: int) -> int:
    """A number of frames from one frame to another."""
    if stride < 1:
        raise InputError(f"Frames cannot be {stride} frames apart: choose a stride of 1 or more")
    return stride


def _checked_place(place: int, count: int, what: str) -> int:
    if not 0 <= place < count:
        raise IndexError(f"There is no place {place}: there are {max(count, 0)} {what}")
    return place
