# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model process and its client say to each other, as bytes: framed JSON, and arrays as files beside it.

Nothing of Python's own (pickles, exceptions) travels: the two may be of different versions. No bpy, no torch.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, OutputError

# Both sides come from one folder; they differ when the add-on is updated while its model process runs.
VERSION = 1
MAGIC = b"ARMB"
_HEAD = struct.Struct("<4sHI")  # magic, version, bytes of JSON that follow
MOST_BYTES = 1 << 20  # of one message: what is larger is an array, or a mistake

Array = NDArray[Any]
_KINDS_OF_NUMBERS = "biuf"


class ProtocolError(Exception):
    """The other side said something that is not in the protocol: it is not to be trusted any further."""


@dataclass(frozen=True)
class ArrayFile:
    """An array as raw bytes in C order, in the folder of its request."""

    dtype: str
    shape: list[int]
    file: str


@dataclass(frozen=True)
class Request:
    """Client to worker: do this."""

    id: int
    task: str
    options: dict[str, Any]
    arrays: dict[str, Any]  # name to ArrayFile, as JSON has it


@dataclass(frozen=True)
class Cancel:
    """Client to worker: the answer to this one is not wanted any more."""

    id: int


@dataclass(frozen=True)
class End:
    """Client to worker: leave, whatever you are doing. The client tidies up."""


@dataclass(frozen=True)
class Hello:
    """Worker to client, before all else."""

    pid: int
    python: str


@dataclass(frozen=True)
class Alive:
    """Worker to client, now and then."""


@dataclass(frozen=True)
class Result:
    """Worker to client: done."""

    id: int
    values: dict[str, Any]
    arrays: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Worker to client: not done. `error` is a class of errors.py by name, `details` a traceback for the console."""

    id: int
    error: str
    message: str
    details: str = ""


@dataclass(frozen=True)
class Leaving:
    """Worker to client, after a long idle time: what was sent and not answered has not been begun."""


Message = Request | Cancel | End | Hello | Alive | Result | Failure | Leaving
_BY_NAME: dict[str, type[Message]] = {
    each.__name__.lower(): each for each in (Request, Cancel, End, Hello, Alive, Result, Failure, Leaving)
}
_TYPES = {"int": int, "str": str, "dict[str, Any]": dict, "list[int]": list}


@dataclass(frozen=True)
class Answer:
    """What a task returns: plain JSON values, and arrays."""

    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


def to_bytes(message: Message) -> bytes:
    """One frame. What JSON cannot say, or what is too long, is an InputError."""
    try:
        body = json.dumps({"kind": type(message).__name__.lower(), **vars(message)}).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"A model's options and values must be plain numbers, texts and lists: {error}") from error
    if len(body) > MOST_BYTES:
        raise InputError(f"A model's options or values are too long ({len(body)} bytes): give them as arrays")
    return _HEAD.pack(MAGIC, VERSION, len(body)) + body


def take_message(heard: bytearray) -> Message | None:
    """The first message of what was heard, which is taken from it; None while it is not whole."""
    if len(heard) < _HEAD.size:
        return None
    magic, version, count = _HEAD.unpack_from(heard)
    if magic != MAGIC:
        raise ProtocolError("something else writes into its pipe")
    if version != VERSION:
        raise ProtocolError(f"it speaks version {version} and not {VERSION}: the add-on was updated, restart Blender")
    if count > MOST_BYTES:
        raise ProtocolError(f"a message of {count} bytes is too long")
    end = _HEAD.size + count
    if len(heard) < end:
        return None
    body = bytes(heard[_HEAD.size : end])
    del heard[:end]
    return _from_json(body)


def _from_json(body: bytes) -> Message:
    try:
        words = json.loads(body)
        return _built(_BY_NAME[words.pop("kind")], words)
    except ProtocolError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"a message makes no sense: {body[:80]!r}") from error


def _built(kind: type[Any], words: dict[str, Any]) -> Any:
    """A message or ArrayFile whose fields all have the types they are declared with."""
    if not isinstance(words, dict):
        raise ProtocolError(f"{kind.__name__} is no set of named values: {words!r}")
    try:
        made = kind(**words)
    except TypeError as error:
        raise ProtocolError(f"{kind.__name__} has other fields than {sorted(words)}") from error
    for each in dataclasses.fields(kind):
        value = getattr(made, each.name)
        if type(value) is not _TYPES[str(each.type)]:
            raise ProtocolError(f"{kind.__name__}.{each.name} cannot be {value!r}")
    return made


def check_array(name: str, array: Array, most_bytes: int) -> None:
    """Whether it can travel; looks at its size before anything is copied."""
    if array.dtype.kind not in _KINDS_OF_NUMBERS:
        raise InputError(f"Array '{name}' has {array.dtype} in it: a model takes numbers only")
    if array.nbytes > most_bytes:
        raise InputError(
            f"Array '{name}' is too large ({array.nbytes / 2**20:.0f} MiB, at most {most_bytes / 2**20:.0f}): "
            "give smaller or fewer frames at a time"
        )


def store_arrays(arrays: Mapping[str, Array], folder: Path, prefix: str) -> dict[str, Any]:
    """Write arrays into files of the folder; returns what a message says of them."""
    return {
        name: dataclasses.asdict(_stored(array, folder, f"{prefix}{number}"))
        for number, (name, array) in enumerate(arrays.items())
    }


def _stored(array: Array, folder: Path, file: str) -> ArrayFile:
    # Written and not mapped: on a full disk writing fails with an error, a mapping with a dead process.
    try:
        if array.nbytes > shutil.disk_usage(folder).free:
            raise OSError(f"it has less than {array.nbytes / 2**20:.0f} MiB left")
        whole = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        with (folder / file).open("wb") as stream:
            stream.write(whole.reshape(-1).view(np.uint8).data)
    except OSError as error:
        raise OutputError(
            f"Cannot write '{folder / file}': {error.strerror or error}; free some space, or set TMPDIR"
        ) from error
    return ArrayFile(whole.dtype.str, list(array.shape), file)


def map_arrays(descriptions: Mapping[str, Any], folder: Path) -> dict[str, Array]:
    """The arrays of a message, mapped: only what is looked at is read. Writing to one changes no file."""
    return {name: _mapped(_built(ArrayFile, words), folder) for name, words in descriptions.items()}


def read_arrays(descriptions: Mapping[str, Any], folder: Path, most_bytes: int) -> dict[str, Array]:
    """The arrays of a message, in memory of their own: their files may go (on Windows mapped ones may not)."""
    arrays = map_arrays(descriptions, folder)
    for name, array in arrays.items():
        check_array(name, array, most_bytes)
    return {name: np.array(array) for name, array in arrays.items()}


def _mapped(description: ArrayFile, folder: Path) -> Array:
    """Checked before it is mapped: reading behind the end of a mapped file ends the process."""
    try:
        dtype = np.dtype(description.dtype)
    except (TypeError, ValueError, SyntaxError) as error:
        raise ProtocolError(f"an array cannot have {description.dtype!r} in it") from error
    shape = description.shape
    if dtype.kind not in _KINDS_OF_NUMBERS or not all(type(side) is int and side >= 0 for side in shape):
        raise ProtocolError(f"there is no array of {description}")
    if description.file != Path(description.file).name or description.file in ("", ".", ".."):
        raise ProtocolError(f"an array's file {description.file!r} is not in its folder")
    path, expected = folder / description.file, math.prod(shape) * dtype.itemsize
    try:
        if path.is_symlink() or path.stat().st_size != expected:
            raise ProtocolError(f"an array's file has not the {expected} bytes of {description}")
        if expected == 0:  # nothing to map
            return np.empty(shape, dtype)
        return np.asarray(np.memmap(path, dtype, "c")).reshape(shape)
    except (OSError, ValueError) as error:
        raise ProtocolError(f"an array's file cannot be read: {error}") from error
