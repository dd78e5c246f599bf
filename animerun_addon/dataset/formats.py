# SPDX-License-Identifier: GPL-3.0-or-later
"""One array or picture in one file: .flo, KITTI's flow PNG, .pfm, .npy, .npz, EXR, PNG, and matching JSON.

Files are written whole or not at all. What is read is checked before memory is taken for it: a file that does not hold
exactly what its format says is a FormatError. Image row 0 is the top. Which files make a data set stands elsewhere.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..labels.matching import NO_MATCH, Matches
from ..output import whole_file, write_text

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

UNKNOWN_FLOW = 1e10
# The .flo format's own rule: what is larger, or no number, is unknown.
_LARGEST_FLOW = 1e9
_FLO_MAGIC = struct.pack("<f", 202021.25)

_KITTI_STEPS_PER_PX = 64
_KITTI_ZERO = 1 << 15

_MOST_PIXELS = 1 << 27  # 16384 x 8192, a panorama
# Nothing that Deflate makes grows by more when it is unpacked.
_DEFLATE_GROWTH = 1032

_PFM_HEADER = re.compile(rb"(PF|Pf)\s+(\d{1,9})\s+(\d{1,9})\s+([-+]?\d{1,20}(?:\.\d{0,20})?(?:[eE][-+]?\d{1,3})?)\s")
_NPY_HEADER = re.compile(
    rb"\s*\{\s*'descr':\s*'([<>|=])(b1|[iu][1248]|f[248])',\s*'fortran_order':\s*(True|False),"
    rb"\s*'shape':\s*\(((?:\d{1,12},\s*)*(?:\d{1,12})?)\)\s*,?\s*\}\s*"
)
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_EXR_MAGIC = b"\x76\x2f\x31\x01"
_EXR_ATTRIBUTE = re.compile(rb"([^\0]{1,255})\0[^\0]{1,255}\0(.{4})", re.DOTALL)
# Name, pixel type (2 is float32), whether it is linear and 3 bytes of nothing, sampling in x and y.
_EXR_CHANNEL = re.compile(rb"[^\0]{1,255}\0(.{4}).{4}(.{4})(.{4})", re.DOTALL)
_EXR_FULL_FLOATS = (2, 1, 1)
# Lines in a block of each lossless compression, by its number in the file: none, RLE, ZIPS, ZIP, PIZ.
_EXR_LINES_PER_BLOCK = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32}


class FormatError(InputError):
    """A file does not hold what its format says, or something cannot be put into that format."""

    def __init__(self, path: Path, wrong: str, remedy: str = "make or copy it anew") -> None:
        super().__init__(f"'{path}' {wrong}: {remedy}")


# ---------------------------------------------------------------- optical flow


def read_flo(path: Path) -> tuple[Float32, Bool]:
    """Middlebury .flo: flow (H, W, 2), 0 where it is unknown, and whether it is known (H, W)."""
    data = _bytes_of(path)
    if data[:4] != _FLO_MAGIC or len(data) < 12:
        raise FormatError(path, "is no .flo file, which begins with 202021.25")
    width, height = struct.unpack_from("<ii", data, 4)
    _check_pixels(path, width, height)
    _check_length(path, len(data), 12 + 8 * width * height)
    return _known_flow(np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2).astype(np.float32))


def write_flo(path: Path, flow_px: npt.ArrayLike, valid: Bool | None = None) -> None:
    """Flow (H, W, 2); where it is not `valid` (H, W), 1e10 stands in both channels."""
    flow, known = _checked_flow(path, flow_px, valid, _LARGEST_FLOW)
    height, width = known.shape
    numbers = np.where(known[..., None], flow, np.float32(UNKNOWN_FLOW)).astype("<f4")
    _write(path, _FLO_MAGIC + struct.pack("<ii", width, height) + numbers.tobytes())


def read_kitti_flow(path: Path) -> tuple[Float32, Bool]:
    """KITTI's 16-bit PNG, in steps of 1/64 px: flow (H, W, 2), 0 where unknown, and whether it is known (H, W)."""
    picture = read_png(path)
    if picture.dtype != np.uint16 or picture.shape[2:] != (3,):
        raise FormatError(path, "is no KITTI flow", "choose a PNG with three channels of 16 bits")
    valid = picture[..., 2] > 0
    flow_px = (picture[..., :2].astype(np.float32) - _KITTI_ZERO) / _KITTI_STEPS_PER_PX
    flow_px[~valid] = 0.0
    return flow_px, valid


def write_kitti_flow(path: Path, flow_px: npt.ArrayLike, valid: Bool | None = None) -> None:
    """Flow (H, W, 2), rounded to 1/64 px; -512 to 511.98 px is all that fits."""
    flow, known = _checked_flow(path, flow_px, valid, _KITTI_ZERO / _KITTI_STEPS_PER_PX)
    steps = np.rint(flow * _KITTI_STEPS_PER_PX) + _KITTI_ZERO
    if (steps[known] > np.iinfo(np.uint16).max).any():
        raise FormatError(path, "cannot hold flow of 512 px", "write a .flo file")
    picture = np.zeros((*known.shape, 3), dtype=np.uint16)
    picture[known, :2], picture[known, 2] = steps[known], 1
    write_png(path, picture)


def read_pfm_flow(path: Path) -> tuple[Float32, Bool]:
    """FlyingThings3D's .pfm, the third channel empty: flow (H, W, 2), 0 where unknown, and whether known (H, W)."""
    numbers = read_pfm(path)
    if numbers.ndim != 3:
        raise FormatError(path, "is no optical flow", "choose a .pfm file of three channels")
    return _known_flow(numbers[..., :2].copy())


def _known_flow(flow_px: Float32) -> tuple[Float32, Bool]:
    """Flow with 0 where it is unknown, and where it is known. It is changed in place."""
    # Not the other way round: nothing compares with what is no number.
    valid = (np.abs(flow_px) <= _LARGEST_FLOW).all(axis=-1)
    flow_px[~valid] = 0.0
    return flow_px, valid


def _checked_flow(path: Path, flow_px: npt.ArrayLike, valid: Bool | None, largest: float) -> tuple[Float32, Bool]:
    flow = np.asarray(flow_px)
    if flow.ndim != 3 or flow.shape[2] != 2 or flow.size == 0 or flow.dtype.kind not in "fiu":
        raise FormatError(path, f"cannot hold {_described(flow)}", "flow is (height, width, 2) numbers")
    known = np.ones(flow.shape[:2], dtype=np.bool_) if valid is None else np.asarray(valid)
    if known.shape != flow.shape[:2] or known.dtype != np.bool_:
        raise FormatError(path, f"cannot be masked by {_described(known)}", "give a bool for every pixel")
    if not (np.abs(flow[known]) <= largest).all():
        raise FormatError(
            path, f"cannot hold flow beyond {largest:g} px, or that is no number", "mark such pixels as not valid"
        )
    return np.where(known[..., None], flow, 0).astype(np.float32), known


# ---------------------------------------------------------------- .pfm


def read_pfm(path: Path) -> Float32:
    """(H, W) or (H, W, 3), of either byte order. What scale the header names is not asked, as in most readers."""
    data = _bytes_of(path)
    header = _PFM_HEADER.match(data)
    if header is None or float(header[4]) == 0:
        raise FormatError(path, "does not begin like a .pfm file")
    channels = 3 if header[1] == b"PF" else 1
    width, height = int(header[2]), int(header[3])
    _check_pixels(path, width, height)
    _check_length(path, len(data), header.end() + 4 * width * height * channels)
    order = "<" if float(header[4]) < 0 else ">"
    numbers = np.frombuffer(data, f"{order}f4", offset=header.end())
    from_below = numbers.reshape((height, width, channels) if channels == 3 else (height, width))
    return from_below[::-1].astype(np.float32, order="C")


def write_pfm(path: Path, numbers: npt.ArrayLike) -> None:
    """(H, W) or (H, W, 3), little-endian."""
    array = np.asarray(numbers)
    if (
        array.ndim not in (2, 3)
        or array.shape[2:] not in ((), (3,))
        or array.size == 0
        or array.dtype.kind not in "fiu"
    ):
        raise FormatError(path, f"cannot hold {_described(array)}", "give one or three channels of numbers")
    kind = b"Pf" if array.ndim == 2 else b"PF"
    floats = _as_floats(path, array)
    header = b"%s\n%d %d\n-1.0\n" % (kind, array.shape[1], array.shape[0])
    _write(path, header + floats[::-1].astype("<f4").tobytes())


# ---------------------------------------------------------------- numpy's own


def read_npy(path: Path) -> Array:
    """An array of bools or numbers; never a pickle."""
    return _npy_array(path, _bytes_of(path))


def write_npy(path: Path, array: npt.ArrayLike) -> None:
    """An array of bools or numbers."""
    _write(path, _npy_bytes(path, array))


def read_npz(path: Path) -> dict[str, Array]:
    """Named arrays; never a pickle."""
    data = _bytes_of(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_npz(path, data, archive.infolist())
            return {
                info.filename.removesuffix(".npy"): _npy_array(path, archive.read(info)) for info in archive.infolist()
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error) as error:
        raise FormatError(path, f"is damaged ({error})") from error


def write_npz(path: Path, arrays: Mapping[str, npt.ArrayLike]) -> None:
    """Named arrays, compressed; the same bytes for the same arrays."""
    if not arrays:
        raise FormatError(path, "would hold nothing", "give at least one array")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            # Without a date of its own an entry has one of 1980.
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            # The digits of floats compress little: level 1 takes a quarter of the time, for a tenth more at most.
            archive.writestr(entry, _npy_bytes(path, array), compresslevel=1)
    _write(path, packed.getvalue())


def _check_npz(path: Path, data: bytes, members: list[zipfile.ZipInfo]) -> None:
    # First file, directory, end record: zipfile itself looks for them anywhere and is content with less.
    count, size = len(members), int.from_bytes(data[-10:-6], "little")
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, size, len(data) - 22 - size, 0)
    if data[-22:] != end or data[:4] != b"PK\x03\x04":
        raise FormatError(path, "is no whole .npz file")
    names = [info.filename for info in members]
    if len(set(names)) < len(names) or not all(name.endswith(".npy") for name in names):
        raise FormatError(path, "does not hold .npy files of different names")
    if {info.compress_type for info in members} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise FormatError(path, "is compressed in a way that numpy does not know", "write it with numpy")
    if sum(info.file_size for info in members) > _DEFLATE_GROWTH * len(data):
        raise FormatError(path, "claims to hold more than fits into a file of its size")


def _npy_array(path: Path, data: bytes) -> Array:
    start = {1: 10, 2: 12}.get(data[6], 0) if data[:6] == b"\x93NUMPY" and len(data) >= 12 else 0
    if not start:
        raise FormatError(path, "is no .npy array of version 1 or 2")
    (header_length,) = struct.unpack_from("<H" if start == 10 else "<I", data, 8)
    header = _NPY_HEADER.fullmatch(data[start : start + header_length])
    if header is None:
        raise FormatError(path, "holds something else than bools or numbers", "write it without pickling")
    shape = tuple(int(length) for length in header[4].decode().replace(",", " ").split())
    dtype = np.dtype((header[1] + header[2]).decode())
    if 0 in shape or len(shape) > 32:
        raise FormatError(path, f"holds an array of shape {shape}")
    _check_length(path, len(data), start + header_length + math.prod(shape) * dtype.itemsize)
    numbers = np.frombuffer(data, dtype, offset=start + header_length)
    if dtype.kind == "b" and numbers.view(np.uint8).max() > 1:
        raise FormatError(path, "holds bools that are neither 0 nor 1")
    in_order = numbers.reshape(shape, order="F" if header[3] == b"True" else "C")
    return in_order.astype(dtype.newbyteorder("="), order="C")


def _npy_bytes(path: Path, array: npt.ArrayLike) -> bytes:
    numbers = np.asarray(array, order="C")
    if numbers.dtype.kind not in "biuf" or numbers.dtype.itemsize > 8 or numbers.size == 0:
        raise FormatError(path, f"cannot hold {_described(numbers)}", "give bools or numbers of up to 64 bits")
    file = io.BytesIO()
    np.save(file, numbers, allow_pickle=False)
    return file.getvalue()


# ---------------------------------------------------------------- PNG


def read_png(path: Path) -> Array:
    """(H, W) greys or (H, W, 3 or 4) colours, red first, of uint8 or uint16."""
    import cv2

    data = _bytes_of(path)
    _check_png(path, data)
    try:
        # OpenCV's own file access knows no letters beyond ASCII on Windows.
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise FormatError(path, f"is damaged ({error.err})") from error
    if picture is None:
        raise FormatError(path, "is damaged")
    return _red_and_blue_swapped(picture)


def write_png(path: Path, picture: Array) -> None:
    """(H, W) greys or (H, W, 3 or 4) colours, red first, of uint8 or uint16."""
    import cv2

    is_picture = picture.ndim in (2, 3) and picture.shape[2:] in ((), (3,), (4,)) and picture.size > 0
    if not is_picture or picture.dtype not in (np.uint8, np.uint16):
        raise FormatError(path, f"cannot hold {_described(picture)}", "give 1, 3 or 4 channels of uint8 or uint16")
    # Flat pictures compress well at once: level 1 takes a third of the time.
    _, data = cv2.imencode(".png", _red_and_blue_swapped(picture), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    _write(path, data.tobytes())


def _red_and_blue_swapped(picture: Array) -> Array:
    import cv2

    if picture.ndim == 2:
        return np.ascontiguousarray(picture)
    swap = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), swap))


def _check_png(path: Path, data: bytes) -> None:
    """Every chunk whole and sound, the last at the file's end: OpenCV shows half a file as half a picture."""
    if data[:8] != _PNG_MAGIC or data[12:16] != b"IHDR" or len(data) < 33:
        raise FormatError(path, "is no PNG file")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    _check_pixels(path, width, height)
    channels = {2: 3, 4: 2, 6: 4}.get(colour, 1)
    if width * height * channels * bits // 8 > _DEFLATE_GROWTH * len(data):
        raise FormatError(path, "claims to hold more than fits into a file of its size")
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at) if at + 12 <= len(data) else (0, b"")
        end = at + 12 + length
        if not kind or end > len(data) or zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise FormatError(path, "is damaged or ends too early")
        at = end
    _check_length(path, len(data), at)


# ---------------------------------------------------------------- EXR


def read_exr(path: Path) -> dict[str, Float32]:
    """(H, W) of every channel, by its name: scanlines of full floats, compressed without loss."""
    import OpenEXR

    data = _bytes_of(path)
    height, width = _check_exr(path, data)
    try:
        channels = OpenEXR.File(io.BytesIO(data), separate_channels=True).channels()
        pixels = {name: np.asarray(channel.pixels) for name, channel in channels.items()}
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise FormatError(path, f"is damaged ({error})") from error
    for name, numbers in pixels.items():
        if numbers.dtype != np.float32 or numbers.shape != (height, width):
            raise FormatError(path, f"holds {_described(numbers)} in '{name}'", "write full floats for every pixel")
    return pixels


def write_exr(path: Path, channels: Mapping[str, npt.ArrayLike]) -> None:
    """Named channels (H, W), such as "R" or "depth.Z", as full floats."""
    import OpenEXR

    pixels = {name: np.asarray(numbers) for name, numbers in channels.items()}
    if len({numbers.shape for numbers in pixels.values()}) != 1:
        raise FormatError(path, "would hold no channels, or ones of several sizes", "give channels of one size")
    for name, numbers in pixels.items():
        if numbers.ndim != 2 or numbers.size == 0 or numbers.dtype.kind not in "fiub":
            raise FormatError(path, f"cannot hold {_described(numbers)} in '{name}'", "a channel is (height, width)")
        if not re.fullmatch(r"[!-~]{1,31}", name):
            raise FormatError(path, f"cannot name a channel '{name}'", "use 1 to 31 letters of ASCII without spaces")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    full = {name: _as_floats(path, numbers) for name, numbers in pixels.items()}
    file = io.BytesIO()
    OpenEXR.File(header, full).write(file)
    _write(path, file.getvalue())


def _check_exr(path: Path, data: bytes) -> tuple[int, int]:
    """Height and width of an EXR file whose header and blocks fill it exactly; no pixel is unpacked."""
    if data[:4] != _EXR_MAGIC:
        raise FormatError(path, "is no EXR file")
    # Beyond the version itself only long names are known here: no tiles, no several parts, nothing deep.
    if data[4:8] not in (b"\x02\x00\x00\x00", b"\x02\x04\x00\x00"):
        raise FormatError(path, "has tiles, several parts or deep pixels", "save it as scanlines in one part")
    attributes, at = _exr_attributes(path, data)
    try:
        left, top, right, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
        is_whole = attributes[b"dataWindow"] == attributes[b"displayWindow"]
        lines = _EXR_LINES_PER_BLOCK.get(attributes[b"compression"][0])
        kinds = _exr_channel_kinds(attributes[b"channels"])
    except (KeyError, IndexError, ValueError, struct.error) as error:
        raise FormatError(path, "has a damaged header") from error
    if not is_whole:
        raise FormatError(path, "covers another area than its frame", "render it without a border")
    if lines is None:
        raise FormatError(path, "is compressed with loss, or in an unusual way", "save it with ZIP")
    if kinds != {_EXR_FULL_FLOATS}:
        raise FormatError(path, "does not hold full floats for every pixel", "save it as Float (Full)")
    width, height = right - left + 1, bottom - top + 1
    _check_pixels(path, width, height)
    blocks = -(-height // lines)
    at += 8 * blocks
    for _ in range(blocks):
        if at + 8 > len(data):
            raise FormatError(path, "ends too early")
        at += 8 + struct.unpack_from("<I", data, at + 4)[0]
    _check_length(path, len(data), at)
    return height, width


def _exr_attributes(path: Path, data: bytes) -> tuple[dict[bytes, bytes], int]:
    """The header's attributes by name, and where it ends."""
    attributes: dict[bytes, bytes] = {}
    at = 8
    while data[at : at + 1] != b"\0":
        header = _EXR_ATTRIBUTE.match(data, at)
        if header is None:
            raise FormatError(path, "has a damaged header")
        at = header.end() + int.from_bytes(header[2], "little")
        attributes[header[1]] = data[header.end() : at]
    return attributes, at + 1


def _exr_channel_kinds(attribute: bytes) -> set[tuple[int, ...]]:
    """Pixel type and sampling in x and y that occur among the channels."""
    kinds = set()
    at = 0
    while attribute[at:] != b"\0":
        channel = _EXR_CHANNEL.match(attribute, at)
        if channel is None:
            raise ValueError("a channel list that does not end")
        kinds.add(tuple(int.from_bytes(number, "little") for number in channel.groups()))
        at = channel.end()
    return kinds


# ---------------------------------------------------------------- matching


def read_matching(path: Path) -> Matches:
    """Of each segment 0..K-1 the labels of its matches there, best first, or [-1]."""
    try:
        found = json.loads(_bytes_of(path))
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"is no JSON file ({error})") from error
    if not isinstance(found, dict) or found.keys() != {str(label) for label in range(len(found))}:
        raise FormatError(path, "does not have the keys 0, 1, 2 and so on without a gap")
    matches = [found[str(label)] for label in range(len(found))]
    _check_matches(path, matches)
    return matches


def write_matching(path: Path, matches: Matches) -> None:
    """Of each segment 0..K-1 the labels of its matches there, best first, or [-1]."""
    _check_matches(path, matches)
    write_text(path, json.dumps({str(label): targets for label, targets in enumerate(matches)}))


def _check_matches(path: Path, matches: list[Any]) -> None:
    for label, targets in enumerate(matches):
        is_list = isinstance(targets, list) and targets and all(type(target) is int for target in targets)
        if not is_list or (targets != [NO_MATCH] and (min(targets) < 0 or len(set(targets)) < len(targets))):
            raise FormatError(path, f"has {targets!r:.60} for segment {label}", "give different labels, or only -1")


# ---------------------------------------------------------------- all formats


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror or error}") from error


def _write(path: Path, data: bytes) -> None:
    with whole_file(path) as beside:
        beside.write_bytes(data)


def _check_pixels(path: Path, width: int, height: int) -> None:
    if width < 1 or height < 1 or width * height > _MOST_PIXELS:
        raise FormatError(path, f"claims to be a picture of {width} x {height} pixels")


def _check_length(path: Path, length: int, expected: int) -> None:
    if length != expected:
        what = "ends too early" if length < expected else "goes on where it should end"
        raise FormatError(path, f"{what} ({length} bytes instead of {expected})")


def _as_floats(path: Path, numbers: Array) -> Float32:
    """Rounded to float32, unless they are whole numbers: ids that are rounded are other ids."""
    floats = np.ascontiguousarray(numbers, dtype=np.float32)
    if numbers.dtype.kind in "iu" and not np.array_equal(floats.astype(np.float64), numbers):
        raise FormatError(path, "cannot hold whole numbers beyond 16777216 exactly", "write an .npy file")
    return floats


def _described(array: Array) -> str:
    return f"{array.dtype} of shape {array.shape}"
