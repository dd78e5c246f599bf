# SPDX-License-Identifier: GPL-3.0-or-later
"""The exports of this session: how the last one of each clip went, for the panel. In memory only. No bpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .export_estimate import estimate
from .export_options import ExportRequest
from .progress import JobState, JobStatus


class Watched(Protocol):
    """A job, as far as it can be looked at."""

    @property
    def status(self) -> JobStatus:
        """Where it stands."""

    @property
    def result(self) -> dict[str, Any] | None:
        """What `animerun export` answered, once it is done."""


@dataclass(frozen=True)
class Run:
    """An export that was begun."""

    request: ExportRequest
    size_px: tuple[int, int]
    job: Watched

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.job.status.state is JobState.RUNNING

    @property
    def verdict(self) -> dict[str, Any] | None:
        """What the check said; None where there was none."""
        return (self.job.result or {}).get("verdict")

    def headline(self) -> str:
        """How it ended, in a line."""
        result = self.job.result
        if result is None:
            return self.job.status.note
        if self.verdict is None:
            return f"{result['frames']} frames, not checked"
        return f"{result['frames']} frames, check {'passed' if self.verdict['passed'] else 'failed'}"

    def pace(self) -> float | None:
        """How many times the rough figures it took; None unless all of the clip was made in this run."""
        result = self.job.result
        if result is None or result["kept"]:
            return None
        seconds: float = result["seconds"]
        return seconds / estimate(self.request.settings, result["frames"], self.size_px).seconds


# By the clips' places.
_last: dict[Path, Run] = {}


def remember(run: Run) -> None:
    """It is the last one of its clip now."""
    _last.pop(run.request.place, None)
    _last[run.request.place] = run


def last_run(request: ExportRequest) -> Run | None:
    """The last one of this clip."""
    return _last.get(request.place)


def measured_pace() -> float | None:
    """How many times the rough figures the newest whole export took; None before there was one."""
    return next((pace for run in reversed(_last.values()) if (pace := run.pace()) is not None), None)
