# SPDX-License-Identifier: GPL-3.0-or-later
"""Ultra-Dense Pose as files: one picture as .npz, EXR or PNG, and a sequence of them with what its numbers mean.

The pictures stand in a folder of their own, udp.json beside it: CoNR's loader takes every file of a folder for a pose.
Numbers are raw in every format, never colours that something may convert.
"""

from __future__ import annotations

import enum
import itertools
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..frame_range import LAST_FRAME
from ..labels.udp_encoding import Float32, Preset, Triple, UdpEncoding
from ..output import write_text
from .formats import Array, FormatError, read_exr, read_npz, read_png, write_exr, write_npz, write_png
from .layout import LEAST_DIGITS

# Of udp.json and of what it tells of.
FORMAT = 1
# Above this share of the surface, clipping is more than the tip of a hair.
MOST_CLIPPED = 0.01

CONVENTION = (
    "rgb = rest * scale + offset on each axis, clipped to 0..1; rest: metres in the character's own frame, "
    "X: its left, Y: towards its back, Z: up; a: 1 on the character, 0 elsewhere, where rgb is 0, too; "
    "raw numbers, not colour-managed, alpha not multiplied in; row 0 is the top"
)

_FRAMES, _INFO = "udp", "udp.json"
# Any scale or offset is far below.
_LARGEST = 1e30
# The array that CoNR's loader asks for.
_NPZ_KEY = "i"
_CHANNELS = "RGBA"
# What makes other programs convert a PNG's numbers: what these say, they may have done already.
_COLOUR_CHUNKS = {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP"}


class UdpFormat(enum.StrEnum):
    """How a picture is written. CoNR's own loader reads the first two."""

    NPZ = "npz"
    EXR = "exr"
    PNG16 = "png16"
    PNG8 = "png8"

    @property
    def suffix(self) -> str:
        """What its files' names end with."""
        return f".{self.rstrip('0123456789')}"


# ---------------------------------------------------------------- one picture


def write_udp(path: Path, udp: npt.ArrayLike, file_format: UdpFormat) -> None:
    """UDP (H, W, 4), exact as float32 in .npz and EXR, rounded to the nearest of 65536 or 256 steps in PNG."""
    picture = np.asarray(udp)
    if picture.dtype.kind != "f":
        raise FormatError(path, f"cannot hold {picture.dtype} as UDP", "give floats from 0 to 1")
    numbers = _checked(path, picture)
    if path.suffix.lower() != file_format.suffix:
        raise FormatError(path, f"is no name for {file_format}", f"let it end with {file_format.suffix}")
    if file_format is UdpFormat.NPZ:
        write_npz(path, {_NPZ_KEY: numbers})
    elif file_format is UdpFormat.EXR:
        write_exr(path, {name: numbers[..., place] for place, name in enumerate(_CHANNELS)})
    else:
        dtype = np.uint16 if file_format is UdpFormat.PNG16 else np.uint8
        write_png(path, np.rint(numbers.astype(np.float64) * np.iinfo(dtype).max).astype(dtype))


def read_udp(path: Path) -> Float32:
    """UDP (H, W, 4) of a .npz, .exr or .png file."""
    readers = {".npz": _from_npz, ".exr": _from_exr, ".png": _from_png}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise FormatError(path, "is no UDP picture", "choose a .npz, .exr or .png file")
    return _checked(path, readers[suffix](path))


def _from_npz(path: Path) -> Array:
    arrays = read_npz(path)
    if _NPZ_KEY not in arrays or arrays[_NPZ_KEY].dtype.kind != "f":
        raise FormatError(path, f"holds no UDP: there are no floats under the name '{_NPZ_KEY}'")
    return arrays[_NPZ_KEY]


def _from_exr(path: Path) -> Array:
    channels = read_exr(path)
    if channels.keys() != set(_CHANNELS):
        found = ", ".join(sorted(channels))
        raise FormatError(path, f"holds no UDP but the channels {found:.60}", "save R, G, B and A alone")
    return np.stack([channels[name] for name in _CHANNELS], axis=-1)


def _from_png(path: Path) -> Array:
    picture = read_png(path)
    converted = _COLOUR_CHUNKS & set(_chunks_before_pixels(path))
    if converted:
        kinds = ", ".join(sorted(kind.decode() for kind in converted))
        raise FormatError(
            path,
            f"is colour-managed ({kinds}): its numbers may have been changed",
            "export it anew, and do not re-save it",
        )
    return picture / np.float32(np.iinfo(picture.dtype).max)


def _chunks_before_pixels(path: Path) -> Iterator[bytes]:
    """The kinds of chunks of a sound PNG file up to its first pixels; all that is said about colour stands there."""
    with path.open("rb") as file:
        file.seek(8)
        while True:
            length, kind = struct.unpack(">I4s", file.read(8))
            if kind in (b"IDAT", b"IEND"):
                return
            yield kind
            file.seek(length + 4, 1)


def _checked(path: Path, picture: Array) -> Float32:
    """The same as float32, if it is a UDP: 0 to 1, alpha 0 or 1, and where it is 0 nothing at all."""
    if picture.ndim != 3 or picture.shape[2] != 4 or picture.size == 0:
        raise FormatError(path, f"is no UDP but {picture.dtype} of shape {picture.shape}", "it has 4 channels")
    with np.errstate(over="ignore"):  # what becomes infinite is refused below
        udp = np.ascontiguousarray(picture, dtype=np.float32)
    # Not the other way round: nothing compares with what is no number.
    if not (udp.min() >= 0 and udp.max() <= 1):
        raise FormatError(path, "has UDP numbers that do not lie in 0 to 1", "export it anew")
    red, green, blue, alpha = np.moveaxis(udp, -1, 0)
    outside = alpha == 0
    if not (outside | (alpha == 1)).all():
        raise FormatError(path, "has alpha other than 0 and 1", "export it anew, without anti-aliasing or resizing")
    if (outside & (red + green + blue > 0)).any():
        raise FormatError(path, "has UDP numbers where alpha is 0", "export it anew: outside of the character all is 0")
    return udp


# ---------------------------------------------------------------- udp.json


@dataclass(frozen=True)
class UdpInfo:
    """What a sequence's numbers mean and were made with: udp.json."""

    encoding: UdpEncoding
    character: str
    rest: str  # which pose the rest coordinates are of, in words
    file_format: UdpFormat
    width_px: int
    height_px: int
    clipped_by_frame: Mapping[int, float]  # by frame, ascending: the share of the pixels that show the character
    clipped_surface: float  # the share of the character's whole surface in the rest pose, seen or not
    versions: Mapping[str, str]  # of the programs that made it
    digits: int = LEAST_DIGITS  # of the frames' names, all equally long: so they sort by number
    made_from: Mapping[str, Any] = field(default_factory=dict)  # file, camera and choices, as JSON has it

    def path(self, folder: Path, frame: int) -> Path:
        """Where a frame of the sequence in `folder` lies."""
        return frames_folder(folder) / f"{self.stem(frame)}{self.file_format.suffix}"

    def stem(self, frame: int) -> str:
        """What all files of a frame are called."""
        return f"{frame:0{self.digits}d}"

    @property
    def frames(self) -> tuple[int, ...]:
        """The numbers of the frames, ascending."""
        return tuple(self.clipped_by_frame)

    @property
    def warning(self) -> str | None:
        """What to do about it where more than 1 % is clipped, of the surface or of what a frame shows of it."""
        frame = max(self.frames, key=self.clipped_by_frame.__getitem__, default=None)
        places = [(self.clipped_surface, "the character's surface")]
        if frame is not None:
            places.append((self.clipped_by_frame[frame], f"what frame {frame} shows of the character"))
        return clipping_warning(places)

    def with_frame(self, frame: int, clipped_share: float) -> UdpInfo:
        """The same with one frame more, or with another share for it."""
        shares = {**self.clipped_by_frame, frame: clipped_share}
        return replace(self, clipped_by_frame=dict(sorted(shares.items())))


def clipping_warning(places: Iterable[tuple[float, str]]) -> str | None:
    """What to do about shares that are clipped, of these places, where they are more than 1 %."""
    found = [f"{_percent(share)} of {place}" for share, place in places if share > MOST_CLIPPED]
    if not found:
        return None
    remedy = "choose the uniform preset, a smaller scale or another offset"
    return f"The encoding clips {' and '.join(found)}, so points there cannot be told apart: {remedy}"


def frames_folder(folder: Path) -> Path:
    """The folder of a sequence's pictures and nothing else: what CoNR's loader is to be given."""
    return folder / _FRAMES


def info_path(folder: Path) -> Path:
    """A sequence's udp.json."""
    return folder / _INFO


def write_info(folder: Path, info: UdpInfo) -> None:
    """Write a sequence's udp.json."""
    path, text = info_path(folder), to_json(info)
    # What could not be read again is a mistake to be told of now.
    parse_info(path, json.loads(text))
    write_text(path, text)


def to_json(info: UdpInfo) -> str:
    """As udp.json has it."""
    encoding = info.encoding
    plain = {
        "format": FORMAT,
        "character": info.character,
        "encoding": {"preset": encoding.preset, "scale": encoding.scale, "offset": encoding.offset},
        "convention": CONVENTION,
        "rest": info.rest,
        "file_format": info.file_format,
        "size": [info.width_px, info.height_px],
        "digits": info.digits,
        # Shares and frames may come as numpy's numbers.
        "frames": [int(frame) for frame in info.frames],
        "clipped": {
            "surface": float(info.clipped_surface),
            "frames": [float(share) for share in info.clipped_by_frame.values()],
        },
        "warning": info.warning,
        "made_from": dict(info.made_from),
        "versions": dict(info.versions),
    }
    return json.dumps(plain, indent=1)


def read_info(folder: Path) -> UdpInfo:
    """Read a sequence's udp.json."""
    path = info_path(folder)
    try:
        plain = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror or error}; choose the folder that has it") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"is no JSON file ({error})") from error
    return parse_info(path, plain)


def parse_info(path: Path, plain: Any) -> UdpInfo:
    """What a udp.json says, if all of it is there and makes sense."""
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise FormatError(path, f"is not of version {FORMAT}", "read it with the add-on's version that wrote it")
    of = _Fields(path, plain)
    encoding, clipped = of.inner("encoding"), of.inner("clipped")
    width_px, height_px = of.whole_numbers("size", 1, 1 << 27, length=2)
    digits = of.whole_number("digits", 1, 9)
    frames = of.whole_numbers("frames", 0, min(LAST_FRAME, 10**digits - 1))
    if any(after <= before for before, after in itertools.pairwise(frames)):
        raise FormatError(path, "has frames that do not ascend")
    shares, surface = clipped.shares("frames", len(frames)), clipped.share("surface")
    scale, offset = encoding.triple("scale"), encoding.triple("offset")
    preset, file_format = encoding.text("preset"), of.text("file_format")
    character, rest, programs = of.text("character"), of.text("rest"), of.inner("versions")
    made_from = of.inner("made_from").plain
    versions = {name: programs.text(name) for name in programs.plain}
    try:
        return UdpInfo(
            UdpEncoding(scale, offset, Preset(preset)),
            character,
            rest,
            UdpFormat(file_format),
            width_px,
            height_px,
            dict(zip(frames, shares, strict=True)),
            surface,
            versions,
            digits,
            made_from,
        )
    except (ValueError, InputError) as error:
        raise FormatError(path, f"says what cannot be ({error})") from error


@dataclass(frozen=True)
class _Fields:
    """An object of a JSON file, whose values are asked for by kind."""

    path: Path
    plain: dict[str, Any]

    def inner(self, key: str) -> _Fields:
        value = self.plain.get(key)
        return _Fields(self.path, value) if isinstance(value, dict) else self._wrong(key, "an object")

    def text(self, key: str) -> str:
        value = self.plain.get(key)
        return value if isinstance(value, str) else self._wrong(key, "text")

    def whole_numbers(self, key: str, least: int, most: int, length: int | None = None) -> list[int]:
        return [self._whole(key, number, least, most) for number in self._list(key, length)]

    def whole_number(self, key: str, least: int, most: int) -> int:
        return self._whole(key, self.plain.get(key), least, most)

    def shares(self, key: str, length: int) -> list[float]:
        return [self._share(key, number) for number in self._list(key, length)]

    def share(self, key: str) -> float:
        return self._share(key, self.plain.get(key))

    def triple(self, key: str) -> Triple:
        numbers = self._list(key, 3)
        # Whole numbers compare with floats, however large they are, and what is no number with nothing.
        if not all(type(number) in (int, float) and abs(number) < _LARGEST for number in numbers):
            self._wrong(key, "three numbers")
        x, y, z = (float(number) for number in numbers)
        return x, y, z

    def _list(self, key: str, length: int | None) -> list[Any]:
        value = self.plain.get(key)
        if not isinstance(value, list) or (length is not None and len(value) != length):
            self._wrong(key, "a list" if length is None else f"a list of {length}")
        return value

    def _whole(self, key: str, value: Any, least: int, most: int) -> int:
        if type(value) is not int or not least <= value <= most:
            self._wrong(key, f"whole numbers from {least} to {most}")
        return value

    def _share(self, key: str, value: Any) -> float:
        if type(value) not in (int, float) or not 0 <= value <= 1:
            self._wrong(key, "shares from 0 to 1")
        return float(value)

    def _wrong(self, key: str, kind: str) -> NoReturn:
        raise FormatError(self.path, f"does not have {kind} under '{key}'")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
