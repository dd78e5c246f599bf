# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of tens of thousands of files: its size and its end, in short steps, so that Blender's window is drawn.

What the folder is for is its owner's.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ..progress import Progress, Steps
from .scratch import delete
from .watched_program import CREATION_FLAGS

# How long a step takes.
_SLICE_S = 0.02
# What is added to the name of a folder that is being deleted.
_GONE = ".gone_"


def delete_steps(folder: Path) -> Steps[None]:
    """As far as possible: what is left goes the next time."""
    is_over = _slices()
    for place, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(place, name)
            with contextlib.suppress(OSError):
                if name in folders and not path.is_symlink():
                    path.rmdir()
                else:
                    path.unlink()
            if is_over():
                yield Progress(0, 0, "Deleting")
    delete(folder)


def delete_elsewhere(folder: Path, program: Path) -> None:
    """Where nobody may wait: it is gone from its place at once, and a process of this Python deletes it."""
    gone = folder.with_name(f"{folder.name}{_GONE}{time.time_ns()}")
    try:
        folder.rename(gone)
        subprocess.Popen(
            [str(program), "-c", "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)", str(gone)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=CREATION_FLAGS,
        )
    except OSError:
        delete(folder)


def leftovers_steps(folder: Path) -> Steps[None]:
    """Delete a folder, and what processes that did so have left."""
    for each in (folder, *folder.parent.glob(f"{folder.name}{_GONE}*")):
        yield from delete_steps(each)


def size_steps(folder: Path) -> Steps[int]:
    """Of all files in it, in bytes."""
    total, is_over = 0, _slices()
    for place, _, files in os.walk(folder):
        total += sum(Path(place, name).lstat().st_size for name in files)
        if is_over():
            yield Progress(0, 0, "Looking at its size")
    return total


def _slices() -> Callable[[], bool]:
    """Says every now and then that Blender's window should be drawn again."""
    end_s = time.monotonic() + _SLICE_S

    def is_over() -> bool:
        nonlocal end_s
        if time.monotonic() < end_s:
            return False
        end_s = time.monotonic() + _SLICE_S
        return True

    return is_over
