# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame ranges as people write them: "12", "1-48", "1-48,60,70-80". No bpy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from .errors import InputError

Item = TypeVar("Item")

# Blender's own limit of a scene's end frame.
LAST_FRAME = 1_048_574


def parse_frames(text: str) -> list[int]:
    """All frames named, ascending, each once."""
    frames: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if match is None:
            raise InputError(f"Cannot read '{part.strip()}' as frames: write 12, 1-48 or 1-48,60,70-80")
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first or last > LAST_FRAME:
            raise InputError(f"Frames {first}-{last} run backwards or past {LAST_FRAME}: write the first frame first")
        frames.update(range(first, last + 1))
    return sorted(frames)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of the items, evenly spread, the first and, of two or more, the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(index * (len(items) - 1) / max(count - 1, 1))] for index in range(count)]
