# SPDX-License-Identifier: GPL-3.0-or-later
"""Long arrays in pieces that fit the cache, worked on by all cores at once: numpy lets go of Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

# Smaller pieces spend their time on handing the lock over, larger ones on memory.
CHUNK = 1 << 16
_THREADS = min(8, os.cpu_count() or 1)


def in_chunks(count: int, work: Callable[[slice], None], chunk: int = CHUNK) -> None:
    """Call `work` for slices that cover range(count); each call writes its own part of its results."""
    pieces = iter([slice(start, min(start + chunk, count)) for start in range(0, count, chunk)])

    def work_on() -> None:
        for piece in pieces:
            work(piece)

    helpers = [_threads().submit(work_on) for _ in range(_THREADS - 1)] if count > chunk else []
    work_on()
    # What has not begun by now has nothing left to do: no call waits for a thread that waits for another call.
    for helper in helpers:
        if not helper.cancel():
            helper.result()


def in_rows(shape: tuple[int, ...], work: Callable[[slice], None]) -> None:
    """Call `work` for slices of the rows of a picture (H, W), as in_chunks does."""
    in_chunks(shape[0], work, max(1, CHUNK // shape[1]))


@cache
def _threads() -> ThreadPoolExecutor:
    """Kept from call to call: starting threads takes as long as a label of a small picture."""
    return ThreadPoolExecutor(_THREADS)
