# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished frames as arrays and as videos. How they are rendered, in render.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np
import numpy.typing as npt

from ..dataset.formats import read_png
from ..errors import BlenderError, InputError, OutputError, blenders_words
from ..output import whole_file, writable_folder
from ..scene.versions import use_video

UInt8 = npt.NDArray[np.uint8]


def read_frame(path: Path) -> UInt8:
    """(H, W) greys or (H, W, 3 or 4) colours, red first."""
    try:
        return read_png(path)
    except InputError as error:
        raise OutputError(f"'{path}' cannot be read again as a picture: is the disk full?") from error


def write_scene_video(path: Path, frames: Sequence[Path], scene: bpy.types.Scene) -> None:
    """Frames of `scene` as an H.264 video that every player knows, at its speed and in their own colours."""
    height, width = read_frame(frames[0]).shape[:2]
    video = bpy.data.scenes.new("AnimeRun Video")
    try:
        render = video.render
        # H.264 stores colours for 2x2 pixels: an odd row or column goes.
        render.resolution_x, render.resolution_y = width - width % 2, height - height % 2
        render.resolution_percentage = 100
        render.fps, render.fps_base = scene.render.fps, scene.render.fps_base
        render.use_file_extension = False
        video.view_settings.view_transform = "Standard"
        video.frame_start, video.frame_end = 1, len(frames)
        strips = video.sequence_editor_create().strips
        strip = strips.new_image("Frames", str(frames[0].resolve()), channel=1, frame_start=1, fit_method="ORIGINAL")
        for frame in frames[1:]:
            strip.elements.append(frame.name)
        use_video(render)
        writable_folder(path.parent)
        with whole_file(path) as beside, bpy.context.temp_override(scene=video):
            render.filepath = str(beside.resolve())
            bpy.ops.render.render(animation=True)
    except RuntimeError as error:
        raise BlenderError(f"Blender could not encode '{path}': {blenders_words(error)}") from error
    finally:
        bpy.data.scenes.remove(video)
