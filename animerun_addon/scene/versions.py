# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between Blender versions, in this one place, each with the version that it serves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import bpy


def eevee_engine() -> str:
    """EEVEE's engine identifier."""
    # 4.5: BLENDER_EEVEE_NEXT, because the old EEVEE's name was still reserved. 5.0 and later: BLENDER_EEVEE.
    return "BLENDER_EEVEE_NEXT" if bpy.app.version < (5, 0, 0) else "BLENDER_EEVEE"


@contextlib.contextmanager
def use_still_images(settings: bpy.types.ImageFormatSettings) -> Iterator[None]:
    """Let still image formats be chosen while the block runs: 5.0 and later hide them behind the media type."""
    if bpy.app.version < (5, 0, 0):
        yield
        return
    media_type, file_format = settings.media_type, settings.file_format
    settings.media_type = "IMAGE"
    try:
        yield
    finally:
        settings.media_type = media_type
        settings.file_format = file_format


def node_tree_of(block: Any) -> Any:
    """The node tree of a material or world, switched on."""
    # 4.5: off in what Python makes. 5.0 and later: always on, and the switch is deprecated.
    if bpy.app.version < (5, 0, 0):
        block.use_nodes = True
    return block.node_tree
