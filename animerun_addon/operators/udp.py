# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons of Ultra-Dense Pose that check a character, have it stand in A-pose, export it and open what came of it.

Those that bake are in udp_bake.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import bpy

from .. import udp_watch
from ..errors import AnimeRunError, InputError
from ..output import writable_folder
from ..pipeline.child import command_on_open_file_job
from ..pipeline.job import Job
from ..scene.results import results_folder
from ..scene.udp_character import udp_character
from ..udp_choices import Rest
from ..udp_memory import Finding, UdpRun, check_not_running, facing_words, remember_finding, remember_run, told
from ..udp_properties import chosen_character, encoding_of, request_of, rest_of
from .export import open_path, source_on_disk
from .job_operator import JobOperator


class _CheckOperator:
    """Mixed into the operators that look at the chosen character."""

    report: Callable[..., None]  # the bpy.types.Operator that this is mixed into has it

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a character, and choices that make sense."""
        try:
            udp_watch.chosen(context.scene)
            rest_of(context.scene.animerun.udp)
            encoding_of(context.scene.animerun.udp)
        except InputError as error:
            cls.poll_message_set(str(error))  # type: ignore[attr-defined]
            return False
        return True

    def check(self, context: bpy.types.Context) -> set[str]:
        """Look at the character, remember what was found, and say it."""
        try:
            with _waiting(context):
                name, finding = check_character(context.scene)
        except AnimeRunError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"} if finding.is_a_pose else {"WARNING"}, f"{name}: {finding.verdict}")
        return {"FINISHED"}


class ANIMERUN_OT_check_character(_CheckOperator, bpy.types.Operator):
    """Find out how the character stands in its rest pose, which way it faces, how tall it is, and how much of it the colours cannot hold. CoNR expects an A-pose. Changes nothing; takes a moment"""  # noqa: E501

    bl_idname = "animerun.check_character"
    bl_label = "Check Character"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Check with the panel's choices."""
        return self.check(context)


class ANIMERUN_OT_make_a_pose(_CheckOperator, bpy.types.Operator):
    """Have the rest coordinates read while the arms are held in A-pose, and check again. That pose is made on a copy: your character, its rest position, its pose and its animation stay as they are"""  # noqa: E501

    bl_idname = "animerun.make_a_pose"
    bl_label = "Make A-pose"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In a scene of this file, with a character."""
        library = context.scene.library
        if library is not None:
            cls.poll_message_set(f"This scene is linked from '{library.filepath}': choose the rest pose in that file")
            return False
        try:
            udp_watch.chosen(context.scene)
        except InputError as error:
            cls.poll_message_set(str(error))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Choose it, unless it cannot be made."""
        panel = context.scene.animerun.udp
        before = panel.rest
        panel.rest = Rest.A_POSE.name
        answer = self.check(context)
        if answer == {"CANCELLED"}:
            panel.rest = before
        return answer


class ANIMERUN_OT_export_udp(JobOperator, bpy.types.Operator):
    """Write a picture for each frame that says of every pixel which point of the character it shows, in a second, invisible Blender. You can go on working. Pictures that are there already stay, so a cancelled export goes on where it was"""  # noqa: E501

    bl_idname = "animerun.export_udp"
    bl_label = "Export UDP Sequence"

    anew: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Start Anew",
        description="Delete these characters' sequences first and make all of them again",
        default=False,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """What the button that starts anew does is another thing."""
        if properties.anew:
            return "Delete the sequences of these characters, and of no others, and export them from the first frame on"
        return str(cls.__doc__)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a character, a camera where one is needed, and settings that make sense."""
        try:
            check_not_running(request_of(context, udp_watch.to_export(context.scene)))
        except InputError as error:
            cls.poll_message_set(str(error))
            return False
        return True

    def make_job(self, context: bpy.types.Context) -> Job[dict[str, Any]]:
        """Hand a copy of the file to a child Blender."""
        request = request_of(context, udp_watch.to_export(context.scene))
        check_not_running(request)
        writable_folder(request.folder)
        words = request.words(anew=self.anew, source=source_on_disk())
        job = command_on_open_file_job("Export UDP", "udp", words)
        remember_run(UdpRun(request, job))
        return job

    def use_result(self, _context: bpy.types.Context, result: dict[str, Any]) -> str:
        """Say where the pictures are, and what clips."""
        warnings = result["warnings"]
        return f"Exported {told(result)} into {result['folder']}" + (": see the warnings" if warnings else "")


class ANIMERUN_OT_open_udp_folder(bpy.types.Operator):
    """Open the folder with the characters' sequences"""

    bl_idname = "animerun.open_udp_folder"
    bl_label = "Open Folder"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Leave it to the system's file browser."""
        folder = results_folder(context, context.scene.animerun.udp.folder)
        return open_path(self, folder, f"There is no folder '{folder}' yet: export something first")


def check_character(scene: bpy.types.Scene) -> tuple[str, Finding]:
    """The chosen character and what was found out about it, with the panel's choices; the panel remembers it."""
    name, panel = chosen_character(scene), scene.animerun.udp
    rest, encoding = rest_of(panel), encoding_of(panel)
    udp = udp_character(scene, name, rest, encoding, frames=())
    finding = Finding(
        rest=rest,
        encoding=encoding,
        state=udp_watch.look_at_state(scene, name),
        verdict=udp.check.verdict,
        stance=udp.check.stance,
        facing=facing_words(udp.check),
        body_height_m=udp.body_height_m,
        clipped_share=udp.clipped_surface,
        notes=(*udp.check.notes, *udp.notes),
    )
    remember_finding(scene.session_uid, name, finding)
    return name, finding


@contextlib.contextmanager
def _waiting(context: bpy.types.Context) -> Iterator[None]:
    """The mouse says that it takes a moment."""
    if context.window is None:
        yield
        return
    context.window.cursor_set("WAIT")
    try:
        yield
    finally:
        context.window.cursor_set("DEFAULT")
