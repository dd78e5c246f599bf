# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing so that nothing half-made ever stands under a final name. No bpy."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError


def writable_folder(path: Path) -> Path:
    """Make the folder if need be and prove that files can be written there, before hours of work are spent."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OutputError(f"Cannot write into '{path}': {error.strerror or error}; choose another folder") from error
    return path.resolve()


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to beside `path`, of the same kind; it takes the final name only when the block succeeds."""
    beside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield beside
        beside.replace(path)
    except OSError as error:
        raise OutputError(f"Cannot write '{path}': {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def alone_in(folder: Path, name: str) -> Iterator[None]:
    """Only one process at a time is in here; one that was killed is out. The other gets an error, not a wait."""
    path = folder / f".{name}.lock"
    try:
        file = _locked(path)
    except OSError as error:
        raise OutputError(f"Cannot write into '{folder}': {error.strerror or error}; choose another folder") from error
    if file is None:
        raise OutputError(f"Another process is writing '{name}' in '{folder}': wait for it, or cancel it")
    with file:
        try:
            yield
        finally:
            if os.name != "nt":  # where an open file cannot be deleted, it stays
                path.unlink(missing_ok=True)


def _locked(path: Path) -> BinaryIO | None:
    """The file, locked until it is closed; None while another process has it."""
    while True:
        with contextlib.ExitStack() as unless_locked:
            file = unless_locked.enter_context(path.open("wb"))
            if not _lock(file.fileno()):
                return None
            # Who had it may have deleted it since it was opened: that lock would keep nobody out.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    unless_locked.pop_all()
                    return file


def _lock(number: int) -> bool:
    """Lock an open file until it is closed, unless another process has."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # as Unix and as Windows say it
        return False
    return True
