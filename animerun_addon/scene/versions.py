# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between Blender versions, in this one place, each with the version that it serves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from operator import setitem
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


def node_tree_in_use(block: Any) -> Any:
    """The node tree that makes the look of a material or world; None where the look is not made of nodes."""
    # 4.5: a switch. 5.0 and later: always on, and the switch is deprecated.
    if bpy.app.version < (5, 0, 0) and not block.use_nodes:
        return None
    return block.node_tree


def node_inputs(modifier: bpy.types.NodesModifier) -> list[Any]:
    """What is plugged into a geometry nodes modifier from outside: numbers, names, data-blocks."""
    # Before 5.2: custom properties.
    if bpy.app.version < (5, 2, 0):
        return list(modifier.values())
    inputs = modifier.properties.inputs
    names = set(inputs.bl_rna.properties.keys()) - {"rna_type", "name"}
    return [getattr(getattr(inputs, name), "value", None) for name in names]


def node_input_slots(modifier: bpy.types.NodesModifier) -> list[tuple[Any, Callable[[Any], None]]]:
    """The same, each with what puts another value in its place."""
    # Before 5.2: custom properties.
    if bpy.app.version < (5, 2, 0):
        return [(value, partial(setitem, modifier, name)) for name, value in modifier.items()]
    inputs = modifier.properties.inputs
    sockets = [getattr(inputs, name) for name in set(inputs.bl_rna.properties.keys()) - {"rna_type", "name"}]
    return [(socket.value, partial(setattr, socket, "value")) for socket in sockets if hasattr(socket, "value")]


def use_video(render: bpy.types.RenderSettings) -> None:
    """H.264 in an MP4 file, near-lossless, as output."""
    if bpy.app.version >= (5, 0, 0):  # which hide video formats behind the media type
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.image_settings.color_mode = "RGB"
    render.ffmpeg.format = "MPEG4"
    render.ffmpeg.codec = "H264"
    render.ffmpeg.constant_rate_factor = "PERC_LOSSLESS"
    render.ffmpeg.ffmpeg_preset = "GOOD"
    render.ffmpeg.audio_codec = "NONE"
