# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders single frames of a scene into files, as the scene itself is set up, and leaves its settings as they were."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import bpy

from ..errors import BlenderError, Cancelled, InputError, blenders_words
from ..output import whole_file
from .versions import use_still_images


def check_camera(scene: bpy.types.Scene) -> None:
    """Nothing can be rendered without a camera; markers may bring one later in the shot."""
    if scene.camera is None and not any(marker.camera for marker in scene.timeline_markers):
        raise InputError(f"Scene '{scene.name}' has no camera: add one, or choose one in the scene's properties")


@contextlib.contextmanager
def writing_png(scene: bpy.types.Scene) -> Iterator[None]:
    """8-bit PNG files as output while the block runs; path, format and frame are put back afterwards."""
    render = scene.render
    image = render.image_settings
    path, extension, frame = render.filepath, render.use_file_extension, scene.frame_current
    with use_still_images(image):
        before = image.file_format, image.color_mode, image.color_depth
        image.file_format = "PNG"
        image.color_mode = "RGBA" if render.film_transparent else "RGB"
        image.color_depth = "8"
        render.use_file_extension = False
        try:
            yield
        finally:
            image.file_format, image.color_mode, image.color_depth = before
            render.filepath, render.use_file_extension = path, extension
            scene.frame_set(frame)


def render_png(scene: bpy.types.Scene, frame: int, path: Path) -> None:
    """Render one frame into a whole file. To be called within writing_png()."""
    scene.frame_set(frame)
    with whole_file(path) as beside:
        scene.render.filepath = str(beside)
        try:
            # Named by the operator's own property, an inactive scene would be rendered at the active one's frame.
            with bpy.context.temp_override(scene=scene):
                outcome = bpy.ops.render.render(write_still=True)
        except RuntimeError as error:
            raise BlenderError(f"Blender could not render frame {frame}: {blenders_words(error)}") from error
        if "CANCELLED" in outcome:
            raise Cancelled(f"Rendering was stopped at frame {frame}")
