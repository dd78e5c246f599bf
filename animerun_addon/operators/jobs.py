# SPDX-License-Identifier: GPL-3.0-or-later
"""The button that cancels a running job."""

from __future__ import annotations

import bpy

from .. import progress
from ..progress import JobState


class ANIMERUN_OT_cancel_job(bpy.types.Operator):
    """Stop this job. Whole files that it has written stay"""

    bl_idname = "animerun.cancel_job"
    bl_label = "Cancel Job"
    bl_options = {"INTERNAL"}

    index: bpy.props.IntProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while something runs."""
        if any(status.state is JobState.RUNNING for status in progress.shown):
            return True
        cls.poll_message_set("No job is running")
        return False

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Ask; the job ends before its next step."""
        if not 0 <= self.index < len(progress.shown):
            self.report({"ERROR"}, "That job has ended already")
            return {"CANCELLED"}
        progress.shown[self.index].cancel_requested = True
        return {"FINISHED"}
