# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a file is the one that the catalog means, and begins and ends as files of its kind do. Nothing is unpacked.

What is in it is read by networks/checkpoint.py.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..progress import Progress, Steps
from .model_entry import DigestKind, Format, Weights

_CHUNK_BYTES = 1 << 20
_ZIP = b"PK\x03\x04"
_OLD_TORCH = b"\x80"  # a pickle, as torch wrote before 1.6
_HEAD_BYTES = 512
_NAMED = 4
# In each kind of archive there is a file whose name ends so.
_WITHIN = {
    Format.TORCH: ("/data.pkl",),
    Format.TORCHSCRIPT: ("/constants.pkl",),
    Format.EXPORT: ("serialized_exported_program.json", "/models/model.json"),
}
_WEIGHTS_SUFFIXES = (".pth", ".pt", ".ckpt", ".tar", ".safetensors", ".pytorch")


@dataclass(frozen=True)
class Fingerprint:
    """What tells a file from others."""

    size: int
    sha256: str
    git_blob: str


def fingerprint_steps(path: Path) -> Steps[Fingerprint]:
    """Read the whole file."""
    try:
        size = path.stat().st_size
        sha256, git_blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                sha256.update(chunk)
                git_blob.update(chunk)
                yield Progress(file.tell(), size, f"Checking {path.name}")
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror or error}): choose another file") from error
    return Fingerprint(size, sha256.hexdigest(), git_blob.hexdigest())


def objection(weights: Weights, path: Path, fingerprint: Fingerprint) -> str | None:
    """Why this cannot be the file that the catalog means; None if it can."""
    if weights.size is not None and fingerprint.size != weights.size:
        return f"it has {fingerprint.size} bytes, not {weights.size}"
    if weights.digest is not None:
        kind, right = weights.digest.kind, weights.digest.value
        found = fingerprint.git_blob if kind is DigestKind.GIT_BLOB else fingerprint.sha256
        if not found.startswith(right):
            return _what_it_is(path) or f"its {kind} is {found[: len(right)]}, not {right}"
        return None
    return _what_it_is(path) or _wrong_format(weights.format, path)


def _what_it_is(path: Path) -> str | None:
    """Of what is no weights whatever the format, and often is taken for some."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).lstrip().lower()
    if not head:
        return "it is empty"
    if head.startswith((b"<!doctype html", b"<html")):
        return "it is a web page"
    if head.startswith(b"version https://git-lfs"):
        return "it is git's note about a large file that is elsewhere"
    return None


def _wrong_format(wanted: Format, path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if wanted is Format.SAFETENSORS:
        return None if head[8:9] == b"{" else "it does not begin as safetensors do"
    if head.startswith(_ZIP):
        return _wrong_archive(wanted, path)
    if wanted is Format.TORCH and head.startswith(_OLD_TORCH):
        return None
    return f"it does not begin as files of {wanted} do"


def _wrong_archive(wanted: Format, path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return "its end is missing, or it is damaged"
    if any(f"/{name}".endswith(_WITHIN[wanted]) for name in names):
        return None
    weights = [name for name in names if name.endswith(_WEIGHTS_SUFFIXES)]
    if weights:
        more = f" and {len(weights) - _NAMED} more" if len(weights) > _NAMED else ""
        return f"it is an archive of {', '.join(weights[:_NAMED])}{more}: unpack it and choose one of them"
    return f"it is an archive, but none of {wanted}"
