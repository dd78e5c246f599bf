# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of every button that starts a job: in a window the interface lives on meanwhile, a script waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import bpy

from ..errors import AnimeRunError, Cancelled
from ..pipeline import runner
from ..pipeline.job import Job, explain
from ..progress import JobState, JobStatus


class JobOperator:
    """Mixed into a bpy.types.Operator, which then says which job to make and what to do with its result."""

    report: Callable[..., None]  # the bpy.types.Operator that this is mixed into has it

    # How often a waiting operator looks whether its job has ended.
    LOOK_S: ClassVar[float] = 0.1

    def make_job(self, context: bpy.types.Context) -> Job[Any]:
        """The job; raises AnimeRunError when it cannot be."""
        raise NotImplementedError

    def use_result(self, context: bpy.types.Context, result: Any) -> str:
        """What happens to the result in the window or script that asked for it; returns the line to report."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        """From a script: run to the end, then return."""
        manager = context.window_manager

        def show(status: JobStatus) -> None:
            manager.progress_update(status.progress.fraction)

        manager.progress_begin(0.0, 1.0)
        try:
            result = self.make_job(context).run(show)
        except (AnimeRunError, ReferenceError, Cancelled) as error:
            self.report({"ERROR"}, str(error) if isinstance(error, Cancelled) else explain(error))
            return {"CANCELLED"}
        finally:
            manager.progress_end()
        self.report({"INFO"}, self.use_result(context, result))
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """From a button: start the job and wait for its end without blocking anything."""
        if bpy.app.background:
            return self.execute(context)
        try:
            self._job = self.make_job(context)
            runner.start(self._job)
        except AnimeRunError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        manager = context.window_manager
        self._timer = manager.event_timer_add(self.LOOK_S, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Esc cancels, unless it is meant for the playing animation; everything else stays the user's."""
        if self._job.is_running:
            if event.type == "ESC" and event.value == "PRESS" and not context.screen.is_animation_playing:
                self._job.status.cancel_requested = True
                return {"RUNNING_MODAL"}
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        return self._report_end(context, self._job)

    def _report_end(self, context: bpy.types.Context, job: Job[Any]) -> set[str]:
        if job.status.state is JobState.DONE:
            try:
                note = self.use_result(context, job.result)
            except ReferenceError as error:  # deleted in the moment between the job's end and this one
                self.report({"ERROR"}, explain(error))
                return {"CANCELLED"}
            job.status.note = note
            self.report({"INFO"}, note)
            return {"FINISHED"}
        self.report({"ERROR"} if job.status.state is JobState.FAILED else {"WARNING"}, job.status.note)
        return {"CANCELLED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender drops this operator, with its window or file. The job itself goes on: see runner.py."""
        context.window_manager.event_timer_remove(self._timer)
