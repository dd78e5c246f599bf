# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Blender may run Python of its own while it renders: drivers whose expressions only Python understands."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import bpy


def threads_are_safe() -> bool:
    """Whether threads of ours may run while Blender renders or changes frames.

    Up to Python 3.11 Blender (4.5, 5.0) takes a lock that any thread holds for its own, and runs such a driver without
    it: it dies now and then.
    """
    return sys.version_info >= (3, 12) or not any(_needs_python(driver.driver) for driver in _drivers())


def _needs_python(driver: bpy.types.Driver) -> bool:
    return driver.type == "SCRIPTED" and not driver.is_simple_expression


def _drivers() -> Iterator[bpy.types.FCurve]:
    """All drivers of the file, on linked data too."""
    for name, blocks in _collections():
        if name != "all_ids":  # 5.2 lists everything again
            for block in blocks:
                for owner in (block, getattr(block, "node_tree", None)):
                    animation = getattr(owner, "animation_data", None)
                    if animation is not None:
                        yield from animation.drivers


def _collections() -> Iterator[tuple[str, bpy.types.bpy_prop_collection]]:
    for name in dir(bpy.data):
        blocks = getattr(bpy.data, name)
        if isinstance(blocks, bpy.types.bpy_prop_collection):
            yield name, blocks
