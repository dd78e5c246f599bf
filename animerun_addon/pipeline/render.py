# SPDX-License-Identifier: GPL-3.0-or-later
"""The job that renders a scene's frames, as they are set up, into numbered PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy

from ..dataset.layout import LEAST_DIGITS
from ..errors import InputError, blenders_words
from ..output import whole_file, writable_folder
from ..progress import Progress, Steps
from ..scene.frames import check_camera, render_png, writing_png
from .child import save_copy
from .contours import FrameFinish


def open_blend(path: Path) -> None:
    """Open a .blend file in this Blender, in the place of what was open."""
    if not path.is_file():
        raise InputError(f"There is no file '{path}'")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path.resolve()), load_ui=False)
    except RuntimeError as error:
        raise InputError(f"'{path}' cannot be opened as a Blender file: {blenders_words(error)}") from error


def find_scene(name: str | None) -> bpy.types.Scene:
    """The scene of that name, or the active one."""
    if name is None:
        return bpy.context.scene
    scene = bpy.data.scenes.get(name)
    if scene is None:
        known = ", ".join(f"'{other.name}'" for other in bpy.data.scenes)
        raise InputError(f"This file has no scene '{name}': it has {known}")
    return scene


def save_blend(path: Path) -> None:
    """Save the open file as a whole new one, its relative paths still right."""
    writable_folder(path.parent)
    with whole_file(path) as beside:
        save_copy(beside.resolve())


def scene_frames(scene: bpy.types.Scene) -> list[int]:
    """The scene's own frame range, its step included."""
    return list(range(scene.frame_start, scene.frame_end + 1, scene.frame_step))


def frame_name(frame: int, digits: int = LEAST_DIGITS) -> str:
    """The file's name of a frame: zero-padded, so that names sort like frames."""
    return f"{frame:0{digits}}.png"


def render_steps(
    scene: bpy.types.Scene, out: Path, frames: Sequence[int] | None = None, digits: int = LEAST_DIGITS
) -> Steps[list[Path]]:
    """Render `frames` (or the scene's own range) into `out`; returns the files."""
    check_camera(scene)
    folder = writable_folder(out)
    wanted = scene_frames(scene) if frames is None else list(frames)
    files: list[Path] = []
    finish = FrameFinish(scene, wanted)
    with writing_png(scene):
        for done, frame in enumerate(wanted):
            yield Progress(done, len(wanted), f"Rendering frame {frame}")
            path = folder / frame_name(frame, digits)
            render_png(scene, frame, path)
            finish.finish(frame, path)
            files.append(path)
    return files
