# SPDX-License-Identifier: GPL-3.0-or-later
"""What running work says about itself. Jobs write it, panels and command lines show it.

It lives in memory only: progress kept in scene properties would be saved into the file.
"""

from __future__ import annotations

import contextlib
import enum
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeVar

Result = TypeVar("Result")

# In how many steps the progress of a work with parts is told.
_FINE = 1000


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units are finished; `message` says what comes next."""

    done: int
    total: int
    message: str = ""

    @property
    def fraction(self) -> float:
        """Between 0 and 1; work without a known total counts as not begun."""
        if self.total <= 0:
            return 0.0
        return min(max(self.done / self.total, 0.0), 1.0)


# A job's work: yields Progress after every unit, returns what it made.
Steps = Generator[Progress, None, Result]


def as_part(steps: Steps[Result], start: float, share: float, title: str = "") -> Steps[Result]:
    """The same steps, told as the stretch of a longer work that begins at `start` and takes `share` of it, 0..1."""
    with contextlib.closing(steps):  # who cancels the whole cancels its parts
        while True:
            try:
                progress = next(steps)
            except StopIteration as stop:
                return stop.value
            message = f"{title}: {progress.message}" if title else progress.message
            yield Progress(round(_FINE * (start + share * progress.fraction)), _FINE, message)


class JobState(enum.Enum):
    """Where a job stands; all but RUNNING are final."""

    RUNNING = enum.auto()
    DONE = enum.auto()
    CANCELLED = enum.auto()
    FAILED = enum.auto()


@dataclass
class JobStatus:
    """One job as people see it. Only the job itself writes here, except for `cancel_requested`."""

    title: str
    progress: Progress = Progress(0, 0)
    state: JobState = JobState.RUNNING
    note: str = ""  # how it ended, or why
    cancel_requested: bool = False
    started_s: float = field(default_factory=time.monotonic)

    def seconds_left(self, now_s: float | None = None) -> float | None:
        """The time left if the rest goes as fast as what is done; None while nothing is done."""
        fraction = self.progress.fraction
        if fraction == 0.0:
            return None
        elapsed_s = (time.monotonic() if now_s is None else now_s) - self.started_s
        return elapsed_s * (1.0 - fraction) / fraction

    def summary(self, now_s: float | None = None) -> str:
        """One short line: "25 %, 0:36 left"."""
        percent = f"{self.progress.fraction:.0%}".replace("%", " %")
        left_s = self.seconds_left(now_s)
        return percent if left_s is None else f"{percent}, {clock(left_s)} left"


def clock(seconds: float) -> str:
    """Minutes and seconds as 1:05, from an hour on 1:00:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# What the panel shows: the jobs that run, in the order of their start, and the last that ended.
shown: list[JobStatus] = []


def show(status: JobStatus) -> None:
    """Put a new job on the panel, in the place of those that have ended."""
    shown[:] = [other for other in shown if other.state is JobState.RUNNING]
    shown.append(status)
