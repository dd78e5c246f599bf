# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished frames as arrays and as videos. How they are rendered, in render.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np
import numpy.typing as npt

from ..errors import BlenderError, OutputError, blenders_words
from ..output import whole_file, writable_folder
from ..scene.versions import use_video

UInt8 = npt.NDArray[np.uint8]


def read_frame(path: Path) -> UInt8:
    """(H, W) greys or (H, W, 3 or 4) colours, red first."""
    import cv2

    # OpenCV's own file access knows no letters beyond ASCII on Windows.
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise OutputError(f"'{path}' cannot be read again as a picture: is the disk full?")
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return np.asarray(picture)


def write_frame(path: Path, picture: UInt8) -> None:
    """A PNG file, whole or not at all, of what read_frame() returns."""
    import cv2

    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    # Flat pictures compress well at once: level 1 takes a third of the time.
    _, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    with whole_file(path) as beside:
        data.tofile(beside)


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
