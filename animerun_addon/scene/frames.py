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


def picture_size_px(render: bpy.types.RenderSettings) -> tuple[int, int]:
    """Width and height of the pictures that are rendered with these settings."""
    percent = render.resolution_percentage
    return render.resolution_x * percent // 100, render.resolution_y * percent // 100


def operators_on(scene: bpy.types.Scene) -> contextlib.AbstractContextManager[object]:
    """Operators work on this scene while the block runs.

    Named by the render operator's own property, an inactive scene would be rendered at the active one's frame. And an
    override that is not needed is not made: up to Python 3.11 Blender looks into it without the interpreter's lock
    when any thread of ours holds that, and dies now and then. Who has threads, makes the scene the window's first.
    """
    if bpy.context.scene == scene:
        return contextlib.nullcontext()
    return bpy.context.temp_override(scene=scene)


@contextlib.contextmanager
def in_window(scene: bpy.types.Scene) -> Iterator[None]:
    """The scene is the window's while the block runs, so that operators work on it without an override."""
    window = bpy.context.window
    before = window.scene
    window.scene = scene
    try:
        yield
    finally:
        window.scene = before


@contextlib.contextmanager
def writing_png(scene: bpy.types.Scene, compression: int | None = None) -> Iterator[None]:
    """8-bit PNG files as output while the block runs; path, format and frame are put back afterwards.

    `compression` 0 is for files that are read again at once: small is what takes time.
    """
    render = scene.render
    image = render.image_settings
    path, extension, frame = render.filepath, render.use_file_extension, scene.frame_current
    with use_still_images(image):
        before = image.file_format, image.color_mode, image.color_depth, image.compression
        image.file_format = "PNG"
        image.color_mode = "RGBA" if render.film_transparent else "RGB"
        image.color_depth = "8"
        if compression is not None:
            image.compression = compression
        render.use_file_extension = False
        try:
            yield
        finally:
            image.file_format, image.color_mode, image.color_depth, image.compression = before
            render.filepath, render.use_file_extension = path, extension
            scene.frame_set(frame)


def render_png(scene: bpy.types.Scene, frame: int, path: Path) -> None:
    """Render one frame into a whole file. To be called within writing_png()."""
    scene.frame_set(frame)
    with whole_file(path) as beside:
        scene.render.filepath = str(beside)
        try:
            with operators_on(scene):
                outcome = bpy.ops.render.render(write_still=True)
        except RuntimeError as error:
            raise BlenderError(f"Blender could not render frame {frame}: {blenders_words(error)}") from error
        if "CANCELLED" in outcome:
            raise Cancelled(f"Rendering was stopped at frame {frame}")
