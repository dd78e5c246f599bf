# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing so that nothing half-made ever stands under a final name. No bpy."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
