# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets a bundled Linux library live in one process with Blender's own build of the same library.

Blender's program brings libOpenEXRCore into the global symbol scope. The OpenEXR wheel exports the same C names, from
another release; ELF binds its calls to Blender's, and reading a file crashes Blender 4.5 and 5.0. Windows and macOS
bind names per library. The remedy is what the linker's -Bsymbolic does: one entry that says "own symbols first".
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import struct
import zipfile
from pathlib import Path

from package_wheels import PackageError, parse_wheel_name, wheel_damage

# Distributions whose exported names Blender has as well.
CLASHING = ("openexr",)

# The wheel format's build tag and field: a changed wheel must not pass for the original.
BUILD_TAG = "1animerun"

_DT_NULL = 0
_DT_SYMBOLIC = 16
_PT_DYNAMIC = 2
_ELF64_LITTLE = b"\x7fELF\x02\x01"


def carry_wheel(wheel: Path, folder: Path) -> Path:
    """Put a wheel into a folder, made self-contained first where it would clash with Blender; returns the new file."""
    name = parse_wheel_name(wheel.name)
    if name is None:
        raise PackageError(f"'{wheel}' is no wheel: delete it")
    is_linux = any("linux" in tag for tag in name.platforms)
    if not is_linux or name.distribution not in CLASHING:
        target = folder / wheel.name
        target.write_bytes(wheel.read_bytes())
        return target
    distribution, version, *rest = wheel.name.split("-")
    target = folder / "-".join((distribution, version, BUILD_TAG, *rest[-3:]))
    _write_isolated(wheel, target)
    if (problem := wheel_damage(target)) is not None:
        raise PackageError(f"'{target.name}' was not rewritten correctly ({problem}): please report this")
    return target


def _write_isolated(wheel: Path, target: Path) -> None:
    hashes: dict[str, tuple[str, int]] = {}
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for info in source.infolist():
            data = source.read(info)
            if info.filename.endswith(".dist-info/RECORD"):  # the last file of a wheel, as its format wants
                data = _updated_record(data, hashes)
            elif info.filename.endswith(".dist-info/WHEEL"):
                data = data.rstrip() + f"\nBuild: {BUILD_TAG}\n".encode("ascii")
            elif data.startswith(b"\x7fELF"):
                data = prefer_own_symbols(data)
            hashes[info.filename] = (_record_hash(data), len(data))
            out.writestr(info, data, zipfile.ZIP_DEFLATED)


def _record_hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")


def _updated_record(record: bytes, hashes: dict[str, tuple[str, int]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name, *stated in csv.reader(record.decode("utf-8").splitlines()):
        writer.writerow((name, *hashes[name]) if name in hashes and any(stated) else (name, *stated))
    return text.getvalue().encode("utf-8")


def prefer_own_symbols(library: bytes) -> bytes:
    """A shared library (ELF, 64 bits, little endian) with DT_SYMBOLIC set in the spare end of its dynamic section."""
    if not library.startswith(_ELF64_LITTLE):
        raise PackageError("a wheel holds a library for another kind of machine: check the pins and platforms")
    program_headers = struct.unpack_from("<Q", library, 0x20)[0]
    size, count = struct.unpack_from("<HH", library, 0x36)
    for index in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", library, program_headers + index * size)
        if kind == _PT_DYNAMIC:
            return _with_symbolic_entry(library, offset, length)
    raise PackageError("a wheel holds a library without a dynamic section: check the pins")


def _with_symbolic_entry(library: bytes, offset: int, length: int) -> bytes:
    tags = [struct.unpack_from("<q", library, place)[0] for place in range(offset, offset + length, 16)]
    if _DT_SYMBOLIC in tags:
        return library
    end = tags.index(_DT_NULL)
    if end + 1 >= len(tags):  # the list must still close with a null entry
        raise PackageError("a wheel's library has no room for another dynamic entry: choose another version")
    changed = bytearray(library)
    struct.pack_into("<qQ", changed, offset + 16 * end, _DT_SYMBOLIC, 0)
    return bytes(changed)
