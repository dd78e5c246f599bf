# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: every way they can end, and what the panel and the shell get to see of them."""

import pytest

from animerun_addon import progress
from animerun_addon.errors import AnimeRunError, Cancelled
from animerun_addon.pipeline.job import Job
from animerun_addon.progress import JobState, JobStatus, Progress, clock


def count_to(total, log=None):
    try:
        for done in range(total):
            yield Progress(done, total, f"unit {done}")
    finally:
        if log is not None:
            log.append("cleaned up")
    return total


def raising(error):
    yield Progress(1, 2)
    raise error


def test_run_returns_what_the_steps_return():
    seen = []
    job = Job("Count", count_to(3))
    assert job.run(lambda status: seen.append(status.progress.fraction)) == 3
    assert job.status.state is JobState.DONE
    assert seen == [0.0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]


def test_run_raises_what_the_steps_raise():
    with pytest.raises(AnimeRunError, match="no camera"):
        Job("Fail", raising(AnimeRunError("no camera"))).run()


def test_step_never_raises():
    job = Job("Fail", raising(ZeroDivisionError("oops")))
    job.step()
    job.step()
    assert job.status.state is JobState.FAILED
    assert "ZeroDivisionError: oops" in job.status.note
    assert "bug of ours" in job.status.note
    job.step()  # nothing more happens
    assert isinstance(job.error, ZeroDivisionError)


def test_users_mistake_is_told_in_its_own_words():
    job = Job("Fail", raising(AnimeRunError("Scene 'A' has no camera")))
    job.step()
    job.step()
    assert job.status.note == "Scene 'A' has no camera"


def test_deleted_data_is_explained():
    job = Job("Fail", raising(ReferenceError("StructRNA of type Scene has been removed")))
    job.step()
    job.step()
    assert "deleted" in job.status.note


def test_cancel_runs_the_clean_up():
    log = []
    job = Job("Count", count_to(3, log))
    job.step()
    job.cancel()
    assert log == ["cleaned up"]
    assert job.status.state is JobState.CANCELLED


def test_cancel_request_is_obeyed_before_the_next_step():
    log = []
    job = Job("Count", count_to(3, log))
    job.step()
    job.status.cancel_requested = True
    job.step()
    assert job.status.state is JobState.CANCELLED
    assert job.status.progress.done == 0
    assert log == ["cleaned up"]


def test_cancel_from_within_a_step_waits_for_its_end():
    def steps():
        job.cancel("from inside")
        yield Progress(1, 3)
        yield Progress(2, 3)

    job = Job("Self", steps())
    job.step()
    assert job.status.state is JobState.RUNNING
    job.step()
    assert job.status.state is JobState.CANCELLED


def test_cancelled_run_raises_cancelled():
    job = Job("Count", count_to(3))

    def watch(status):
        status.cancel_requested = True

    with pytest.raises(Cancelled):
        job.run(watch)


def test_interrupt_while_watching_cleans_up():
    log = []
    job = Job("Count", count_to(3, log))

    def watch(_status):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(watch)
    assert log == ["cleaned up"]
    assert job.status.state is JobState.CANCELLED


def test_error_in_the_clean_up_is_a_failure():
    def steps():
        try:
            yield Progress(0, 1)
        finally:
            raise OSError("disk gone")

    job = Job("Clean", steps())
    job.step()
    job.cancel()
    assert job.status.state is JobState.FAILED
    assert "disk gone" in job.status.note


def test_time_left_is_proportional():
    status = JobStatus("Job", Progress(1, 4), started_s=100.0)
    assert status.seconds_left(now_s=110.0) == pytest.approx(30.0)
    assert status.summary(now_s=110.0) == "25 %, 0:30 left"


def test_nothing_done_promises_no_time():
    assert JobStatus("Job", Progress(0, 4)).seconds_left() is None
    assert JobStatus("Job", Progress(0, 0)).summary() == "0 %"


@pytest.mark.parametrize(("done", "total", "fraction"), [(5, 4, 1.0), (-1, 4, 0.0), (1, 0, 0.0)])
def test_fraction_stays_in_range(done, total, fraction):
    assert Progress(done, total).fraction == fraction


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65, "1:05"), (3605, "1:00:05"), (59.6, "1:00")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_a_new_job_takes_the_place_of_ended_ones(monkeypatch):
    monkeypatch.setattr(progress, "shown", [])
    ended, running, new = JobStatus("a", state=JobState.DONE), JobStatus("b"), JobStatus("c")
    progress.shown.extend([ended, running])
    progress.show(new)
    assert progress.shown == [running, new]
