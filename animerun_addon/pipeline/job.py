# SPDX-License-Identifier: GPL-3.0-or-later
"""A job: work in steps that can be watched, cancelled, and never takes Blender down with it.

The work itself is a generator (progress.Steps). A script calls run(), the interface calls step() from a
timer (runner.py). No bpy here.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Generic

from ..errors import AnimeRunError, Cancelled
from ..progress import JobState, JobStatus, Progress, Result, Steps


class Job(Generic[Result]):
    """Work in steps under a title.

    `pause_s` is for work that happens elsewhere and is only watched here: how long to wait between two looks.
    `outlives_file` says that it needs nothing of the open file, so that loading another or undo leaves it alone.
    """

    def __init__(self, title: str, steps: Steps[Result], *, pause_s: float = 0.0, outlives_file: bool = False) -> None:
        self.status = JobStatus(title)
        self.result: Result | None = None
        self.error: Exception | None = None
        self.pause_s = pause_s
        self.outlives_file = outlives_file
        self._steps = steps

    @property
    def is_running(self) -> bool:
        """False once it is done, cancelled or failed."""
        return self.status.state is JobState.RUNNING

    def step(self) -> None:
        """Do one unit. Whatever happens in it ends up in `status`, `result` and `error`, never in the caller's face."""
        if not self.is_running:
            return
        if self.status.cancel_requested:
            self.cancel()
            return
        try:
            self.status.progress = next(self._steps)
        except StopIteration as stop:
            self.result = stop.value
            total = self.status.progress.total
            self.status.progress = Progress(total, total)
            self._end(JobState.DONE, "Done")
        except Cancelled as cancelled:
            self._end(JobState.CANCELLED, str(cancelled) or "Cancelled")
        except Exception as error:  # noqa: BLE001 - the boundary: a job must not take the interface down
            self._fail(error)

    def cancel(self, reason: str = "Cancelled") -> None:
        """Stop between two steps; the work's own clean-up runs."""
        if not self.is_running:
            return
        if (
            inspect.getgeneratorstate(self._steps) == inspect.GEN_RUNNING
        ):  # asked for from within a step, say by a handler: it ends before the next one
            self.status.cancel_requested = True
            return
        try:
            self._steps.close()
        except Exception as error:  # noqa: BLE001 - clean-up is part of the job's own code
            self._fail(error)
        else:
            self._end(JobState.CANCELLED, reason)

    def run(self, watch: Callable[[JobStatus], None] | None = None) -> Result:
        """Drain the work here and now; raise what it raised. `watch` is called after every step."""
        try:
            while self.is_running:
                self.step()
                if watch is not None:
                    watch(self.status)
                if self.pause_s and self.is_running:
                    time.sleep(self.pause_s)
        finally:
            self.cancel()  # only when watch() raised or the user pressed Ctrl C
        if self.error is not None:
            raise self.error
        if self.status.state is JobState.CANCELLED:
            raise Cancelled(self.status.note)
        return self.result  # type: ignore[return-value]  # DONE means that the steps returned it

    def _end(self, state: JobState, note: str) -> None:
        self.status.state = state
        self.status.note = note

    def _fail(self, error: Exception) -> None:
        self.error = error
        self._end(JobState.FAILED, explain(error))


def is_bug(error: Exception) -> bool:
    """Whether the console should get the whole traceback."""
    return not isinstance(error, (AnimeRunError, ReferenceError))


def explain(error: Exception) -> str:
    """One line for the user about anything that a job can raise."""
    if isinstance(error, AnimeRunError):
        return str(error)
    if isinstance(error, ReferenceError):
        return "Something the job worked on was deleted meanwhile: run it again"
    return f"{type(error).__name__}: {error} (a bug of ours: the console has the details)"
