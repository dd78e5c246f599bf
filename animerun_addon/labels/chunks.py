# SPDX-License-Identifier: GPL-3.0-or-later
"""Long arrays in pieces that fit the cache, worked on by all cores at once: numpy lets go of Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

CHUNK = 1 << 14
_THREADS = min(8, os.cpu_count() or 1)


def in_chunks(count: int, work: Callable[[slice], None]) -> None:
    """Call `work` for slices that cover range(count); each call writes its own part of its results."""
    pieces = [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    if len(pieces) < 2 or _THREADS == 1:
        for piece in pieces:
            work(piece)
        return
    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(work, pieces):
            pass
