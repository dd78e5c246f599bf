# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons that render frames and open what was rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..errors import InputError
from ..output import writable_folder
from ..pipeline.child import command_on_open_file_job
from ..pipeline.job import Job
from ..scene.frames import check_camera
from ..scene.results import results_folder
from .job_operator import JobOperator


def output_folder(context: bpy.types.Context) -> Path:
    """Where the scene's results go."""
    return results_folder(context, context.scene.animerun.output_folder)


class ANIMERUN_OT_render_frames(JobOperator, bpy.types.Operator):
    """Render this scene's frames as PNG files in a second, invisible Blender. You can go on working; changes made meanwhile are not in the pictures"""  # noqa: E501

    bl_idname = "animerun.render_frames"
    bl_label = "Render Frames"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """A camera is all it needs."""
        try:
            check_camera(context.scene)
        except InputError as error:
            cls.poll_message_set(str(error))
            return False
        return True

    def make_job(self, context: bpy.types.Context) -> Job[dict[str, Any]]:
        """Hand a copy of the file to a child Blender."""
        settings = context.scene.animerun
        folder = writable_folder(output_folder(context) / "frames")
        options = ["--out", str(folder), "--scene", context.scene.name]
        if not settings.use_scene_range:
            options += ["--frames", f"{settings.frame_start}-{settings.frame_end}"]
        if settings.line_art:
            options.append("--line-art")
        if settings.variants:
            options += ["--augment", str(settings.variants)]
        if settings.makes_video:
            options += ["--video", str(folder.with_suffix(".mp4"))]
        return command_on_open_file_job("Render frames", "render", options)

    def use_result(self, _context: bpy.types.Context, result: dict[str, Any]) -> str:
        """Say where the frames are."""
        return f"Rendered {result['frames']} frames into {result['folder']}"


class ANIMERUN_OT_open_output(bpy.types.Operator):
    """Open the folder with this scene's results"""

    bl_idname = "animerun.open_output"
    bl_label = "Open Folder"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Leave it to the system's file browser."""
        folder = output_folder(context)
        if not folder.is_dir():
            self.report({"ERROR"}, f"There is no folder '{folder}' yet: render something first")
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=str(folder))
        return {"FINISHED"}
