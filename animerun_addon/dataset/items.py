# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reader gives: frames, pairs and triplets of frames, whose arrays are read when they are asked for.

Of which data set they are makes no difference; where the files lie, the readers know.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..labels.matching import Matches
from .formats import Array, Bool, Float32, FormatError, read_npy, read_png
from .layout import Direction

UInt8 = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]

# Of what read_any_picture reads, in small letters.
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")

Content = TypeVar("Content")
Item = TypeVar("Item", covariant=True)


@dataclass(frozen=True)
class Source(Generic[Content]):
    """A file that is read when it is asked for."""

    path: Path
    read: Callable[[Path], Content]

    def __call__(self) -> Content:
        """What is in the file."""
        return self.read(self.path)


def _content(source: Source[Content] | None) -> Content | None:
    return None if source is None else source()


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame of a clip. What has no file is None; a damaged file is a FormatError once its array is asked for.

    An array stays in memory as long as its Frame does.
    """

    name: str
    path: Path
    contour_file: Source[UInt8] | None = None
    flat_file: Source[Bool] | None = None
    segments_file: Source[Int32] | None = None
    object_ids_file: Source[Int32] | None = None
    material_ids_file: Source[Int32] | None = None
    depth_file: Source[Float32] | None = None
    normals_file: Source[Float32] | None = None
    udp_file: Source[Float32] | None = None

    @cached_property
    def image(self) -> UInt8:
        """The colour frame (H, W, 3), uint8."""
        return read_picture(self.path)

    @cached_property
    def contour(self) -> UInt8 | None:
        """Line art (H, W), uint8, dark on white."""
        return _content(self.contour_file)

    @cached_property
    def flat(self) -> Bool | None:
        """Whether a pixel is far from all lines, bool (H, W)."""
        return _content(self.flat_file)

    @cached_property
    def segments(self) -> Int32 | None:
        """The segments' labels (H, W), int32."""
        return _content(self.segments_file)

    @cached_property
    def object_ids(self) -> Int32 | None:
        """Which object a pixel sees (H, W), int32, -1 for none."""
        return _content(self.object_ids_file)

    @cached_property
    def material_ids(self) -> Int32 | None:
        """Which material a pixel sees (H, W), int32, -1 for none."""
        return _content(self.material_ids_file)

    @cached_property
    def udp(self) -> Float32 | None:
        """Ultra-Dense Pose of all characters (H, W, 4), float32; Meta's udp.json says how each is encoded."""
        return _content(self.udp_file)

    @cached_property
    def depth_m(self) -> Float32 | None:
        """Distance along the camera's axis (H, W), float32, inf for the background."""
        return _content(self.depth_file)

    @cached_property
    def normals(self) -> Float32 | None:
        """The surface's direction (H, W, 3), float32."""
        return _content(self.normals_file)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two frames of a clip and what leads from the `first` to the `second`; backward the first is the later one."""

    clip: str
    first: Frame
    second: Frame
    stride: int
    direction: Direction
    flow_file: Source[tuple[Float32, Bool]] | None = None
    occluded_file: Source[Bool] | None = None
    matches_file: Source[Matches] | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.clip}, {self.first.name} to {self.second.name}"

    @property
    def has_flow(self) -> bool:
        """Whether there is a file of its flow."""
        return self.flow_file is not None

    @property
    def flow_px(self) -> Float32:
        """How far each pixel of the first frame goes, (H, W, 2), right and down, float32; 0 where that is unknown."""
        return self._flow_and_valid[0]

    @property
    def valid(self) -> Bool:
        """Where the flow is known, bool (H, W)."""
        return self._flow_and_valid[1]

    @cached_property
    def occluded(self) -> Bool | None:
        """Which pixels of the first frame the second does not show, bool (H, W)."""
        return _content(self.occluded_file)

    @cached_property
    def matches(self) -> Matches | None:
        """For each segment of the first frame the segments of the second that show the same."""
        return _content(self.matches_file)

    @cached_property
    def _flow_and_valid(self) -> tuple[Float32, Bool]:
        if self.flow_file is None:
            raise InputError(
                f"There is no flow of the pair '{self.name}': ask for its has_flow first, or add the clip's flow files"
            )
        return self.flow_file()


@dataclass(frozen=True, kw_only=True)
class Triplet:
    """Three frames of a clip, `stride` frames apart, and the pairs that they make.

    `forward` and `backward` lead over both strides, past the middle.
    """

    first: Frame
    middle: Frame
    last: Frame
    stride: int
    forward: Pair
    backward: Pair
    first_to_middle: Pair
    middle_to_first: Pair
    middle_to_last: Pair
    last_to_middle: Pair


class Items(Sequence[Item]):
    """What several makers make of 0, 1, 2 and so on, one behind the other; made when it is asked for and not kept."""

    def __init__(self, parts: Iterable[tuple[int, Callable[[int], Item]]]) -> None:
        self._parts = [(count, make) for count, make in parts if count > 0]
        self._ends = list(itertools.accumulate(count for count, _ in self._parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            chosen = range(len(self))[index]
            return Items([(len(chosen), _Chosen(self, chosen))])
        place = range(len(self))[index]
        part = bisect.bisect_right(self._ends, place)
        count, make = self._parts[part]
        return make(place - self._ends[part] + count)

    def __iter__(self) -> Iterator[Item]:
        return (self[place] for place in range(len(self)))


@dataclass(frozen=True)
class _Chosen(Generic[Item]):
    """Items by their place in a slice. A class, so that workers of a loader can be sent it."""

    items: Items[Item]
    places: range

    def __call__(self, place: int) -> Item:
        return self.items[self.places[place]]


# ---------------------------------------------------------------- files as arrays of one kind


def read_picture(path: Path) -> UInt8:
    """A colour picture (H, W, 3), uint8; greys become colours, transparency is left out."""
    picture = _eight_bits(path)
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else np.ascontiguousarray(picture[..., :3])


def read_any_picture(path: Path) -> UInt8:
    """A colour picture (H, W, 3), uint8, from a PNG or JPEG file."""
    if path.suffix.lower() == ".png":
        return read_picture(path)
    import cv2

    try:
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror or error}") from error
    except cv2.error as error:  # what is empty, or claims an absurd size
        raise FormatError(path, f"is no JPEG picture ({error.err})") from error
    if picture is None:
        raise FormatError(path, "is no JPEG picture")
    return np.ascontiguousarray(picture[..., ::-1])


def read_greys(path: Path) -> UInt8:
    """A grey picture (H, W), uint8; of colours the mean, transparency is left out."""
    picture = _eight_bits(path)
    return picture if picture.ndim == 2 else np.rint(picture[..., :3].mean(axis=2)).astype(np.uint8)


def read_whole_numbers(path: Path) -> Int32:
    """Labels or ids (H, W), int32, from an .npy file of any kind of number."""
    array = _plane(path, read_npy(path))
    numbers = array.astype(np.int32) if _fits_int32(array) else None
    if numbers is None or not np.array_equal(numbers, array):
        raise FormatError(path, "does not hold whole numbers of 32 bits")
    return numbers


def read_not_zero(path: Path) -> Bool:
    """Where an .npy file (H, W) is not zero."""
    return _plane(path, read_npy(path)) != 0


def read_zero(path: Path) -> Bool:
    """Where an .npy file (H, W) is zero."""
    return _plane(path, read_npy(path)) == 0


def read_floats(path: Path, channels: int) -> Float32:
    """Numbers (H, W), or (H, W, channels) of more than one, float32, from an .npy file."""
    array = read_npy(path)
    if array.shape[2:] != ((channels,) if channels > 1 else ()) or array.ndim < 2 or array.dtype.kind != "f":
        raise FormatError(path, f"holds {array.dtype} of shape {array.shape}", "floats of a whole picture are needed")
    return array.astype(np.float32)


def _eight_bits(path: Path) -> npt.NDArray[Any]:
    picture = read_png(path)
    if picture.dtype != np.uint8:
        raise FormatError(path, "has 16 bits a channel", "save it with 8")
    return picture


def _plane(path: Path, array: Array) -> Array:
    if array.ndim != 2:
        raise FormatError(path, f"holds an array of shape {array.shape}", "one number a pixel is needed")
    return array


def _fits_int32(array: Array) -> bool:
    limits = np.iinfo(np.int32)
    # What is no number compares with nothing.
    return bool(array.min() >= limits.min and array.max() <= limits.max)
