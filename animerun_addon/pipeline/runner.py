# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps the running jobs in a Blender window, from a timer, so that the interface stays alive.

The timer belongs to the application, not to a window: closing a window ends no job.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .. import progress
from ..errors import AnimeRunError
from ..scene.sidebars import redraw_sidebars
from .job import Job, is_bug

# Of each tick so much goes to jobs; the rest is the interface's.
BUDGET_S = 0.03
TICK_S = 0.01
IDLE_TICK_S = 0.1

_jobs: list[Job[Any]] = []


def start(job: Job[Any]) -> None:
    """Let a job run; the panel shows it from now on."""
    if not job.outlives_file and any(not other.outlives_file for other in _jobs):
        raise AnimeRunError("Another job is working on this file: wait for it, or cancel it in the AnimeRun panel")
    _jobs.append(job)
    progress.show(job.status)
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, persistent=True)


def stop_all() -> None:
    """Cancel every job and take the timer back: the add-on is going."""
    for job in _jobs:
        job.cancel("Cancelled: the add-on was switched off")
    _jobs.clear()
    progress.shown.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    """Give every job its share of time. Returns the seconds until the next call, None to end."""
    for job in _jobs:
        _spend_budget(job, BUDGET_S / len(_jobs))
    _jobs[:] = [job for job in _jobs if job.is_running]
    redraw_sidebars()
    if not _jobs:
        return None
    return IDLE_TICK_S if all(job.pause_s for job in _jobs) else TICK_S


def _spend_budget(job: Job[Any], budget_s: float) -> None:
    end_s = time.perf_counter() + budget_s
    job.step()
    while not job.pause_s and job.is_running and time.perf_counter() < end_s:
        job.step()
    if job.error is not None and is_bug(job.error):
        traceback.print_exception(job.error)


def _end_jobs_on_this_file(reason: str) -> None:
    """Their references are about to die; ending them now runs their clean-up while it still can."""
    for job in _jobs:
        if not job.outlives_file:
            job.cancel(reason)


@persistent  # type: ignore[untyped-decorator]
def _before_load(*_: Any) -> None:
    _end_jobs_on_this_file("Cancelled: another file was loaded")


@persistent  # type: ignore[untyped-decorator]
def _before_undo(*_: Any) -> None:
    _end_jobs_on_this_file("Cancelled: the file was changed by undo or redo")


# What registration.py hands to bpy.app.handlers: the list's name and the function.
HANDLERS: list[tuple[str, Callable[..., None]]] = [
    ("load_pre", _before_load),
    ("undo_pre", _before_undo),
    ("redo_pre", _before_undo),
]
