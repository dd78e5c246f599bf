# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons that export a clip into a data set and open what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..errors import InputError
from ..export_properties import request_of
from ..export_runs import Run, last_run, remember
from ..output import writable_folder
from ..pipeline.child import command_on_open_file_job
from ..pipeline.job import Job
from ..scene.frames import picture_size_px
from ..scene.results import results_folder
from .job_operator import JobOperator


class ANIMERUN_OT_export_sequence(JobOperator, bpy.types.Operator):
    """Write this scene's frames and exact labels into a data set, in a second, invisible Blender. You can go on working. Files that are there already stay, so a cancelled export goes on where it was"""  # noqa: E501

    bl_idname = "animerun.export_sequence"
    bl_label = "Export AnimeRun Sequence"

    anew: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Start Anew",
        description="Delete this clip's files first and make all of them again",
        default=False,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """What the button beside the settings does is another thing."""
        if properties.anew:
            return "Delete the files of this clip, and of no other, and export it from its first frame on"
        return str(cls.__doc__)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a camera, something to write, and settings that make sense."""
        try:
            run = last_run(request_of(context))
        except InputError as error:
            cls.poll_message_set(str(error))
            return False
        if run is not None and run.is_running:
            cls.poll_message_set("This clip is being exported: wait for it, or cancel it in the AnimeRun panel")
            return False
        return True

    def make_job(self, context: bpy.types.Context) -> Job[dict[str, Any]]:
        """Hand a copy of the file to a child Blender."""
        request = request_of(context)
        writable_folder(request.root)
        words = request.words(check=context.scene.animerun.export.checks, anew=self.anew, source=source_on_disk())
        job = command_on_open_file_job("Export sequence", "export", words)
        remember(Run(request, picture_size_px(context.scene.render), job))
        return job

    def use_result(self, _context: bpy.types.Context, result: dict[str, Any]) -> str:
        """Say where the clip is, and whether it passed."""
        verdict = result.get("verdict")
        said = f"Exported {result['frames']} frames as '{result['clip']}' into {result['folder']}"
        if verdict is None:
            return said
        return f"{said}: the check {'passed' if verdict['passed'] else 'failed, see Last Export'}"


class ANIMERUN_OT_open_data_set(bpy.types.Operator):
    """Open the data set's folder"""

    bl_idname = "animerun.open_data_set"
    bl_label = "Open Folder"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Leave it to the system's file browser."""
        folder = results_folder(context, context.scene.animerun.export.root_folder)
        return open_path(self, folder, f"There is no folder '{folder}' yet: export something first")


class ANIMERUN_OT_open_contact_sheet(bpy.types.Operator):
    """Open the picture of the frames in which the check found most to complain about"""

    bl_idname = "animerun.open_contact_sheet"
    bl_label = "Open Contact Sheet"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """After a check in this session that had pairs of frames to show."""
        if _sheet(context) is None:
            cls.poll_message_set(
                "There is no sheet of this clip in this session: export two frames or more with Check Afterwards on"
            )
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Leave it to the system's picture viewer."""
        sheet = Path(_sheet(context) or "")
        return open_path(self, sheet, f"'{sheet}' is not there any more: export and check the clip again")


def source_on_disk() -> Path | None:
    """The file that the exported copy is the same as. Scripts change files without a trace: theirs never is."""
    path = Path(bpy.data.filepath)
    is_saved = path.is_file() and not bpy.data.is_dirty and not bpy.app.background
    return path if is_saved else None


def _sheet(context: bpy.types.Context) -> str | None:
    try:
        run = last_run(request_of(context))
    except InputError:
        return None
    return (run.verdict or {}).get("sheet") if run is not None else None


def open_path(operator: bpy.types.Operator, path: Path, otherwise: str) -> set[str]:
    """Leave a file or folder to the system's own programs; `otherwise` is what to say if it is not there."""
    if not path.exists():
        operator.report({"ERROR"}, otherwise)
        return {"CANCELLED"}
    bpy.ops.wm.path_open(filepath=str(path))
    return {"FINISHED"}
