# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel remembers of this session's exports: the last of each clip, and how fast they were."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from animerun_addon import export_runs
from animerun_addon.export_estimate import estimate
from animerun_addon.export_options import ExportRequest
from animerun_addon.export_runs import Run, last_run, measured_pace, remember
from animerun_addon.export_settings import ExportSettings
from animerun_addon.progress import JobState, JobStatus

SIZE_PX = (640, 360)


@dataclass
class Job:
    status: JobStatus
    result: dict[str, Any] | None = None


def run(clip="shot", state=JobState.DONE, note="Done", **result):
    request = ExportRequest(ExportSettings(), Path("/data"), "train", clip, "film", "Scene", range(1, 11))
    status = JobStatus("Export sequence", state=state, note=note)
    answer = {"frames": 10, "kept": 0, "seconds": 8.0, **result} if state is JobState.DONE else None
    return Run(request, SIZE_PX, Job(status, answer))


@pytest.fixture(autouse=True)
def no_runs():
    export_runs._last.clear()
    yield
    export_runs._last.clear()


def test_the_last_export_of_each_clip_is_remembered():
    first, other, second = run(), run("other"), run()
    for one in (first, other, second):
        remember(one)
    assert last_run(first.request) is second
    assert last_run(other.request) is other
    assert last_run(run("third").request) is None


def test_headline_says_how_it_went():
    passed = {"passed": True, "failures": []}
    assert run().headline() == "10 frames, not checked"
    assert run(verdict=passed).headline() == "10 frames, check passed"
    assert run(verdict={"passed": False, "failures": ["x"]}).headline() == "10 frames, check failed"
    assert run(state=JobState.FAILED, note="The disk is full").headline() == "The disk is full"


def test_pace_is_that_of_the_newest_whole_export():
    assert measured_pace() is None
    remember(run("a", seconds=8.0))
    remember(run("b", seconds=16.0))
    rough = estimate(ExportSettings(), 10, SIZE_PX).seconds
    assert measured_pace() == pytest.approx(16.0 / rough)
    remember(run("a", seconds=4.0))
    assert measured_pace() == pytest.approx(4.0 / rough)


def test_an_export_that_went_on_or_failed_tells_no_pace():
    remember(run("a", kept=3))
    remember(run("b", state=JobState.FAILED))
    remember(run("c", state=JobState.RUNNING))
    assert measured_pace() is None
    assert last_run(run("c").request).is_running
