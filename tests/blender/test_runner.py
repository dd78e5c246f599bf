# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs on Blender's timer, ticked by hand here since the module runs no event loop: what ends them, what does not."""

import bpy
import pytest

from animerun_addon import progress
from animerun_addon.errors import AnimeRunError
from animerun_addon.pipeline import runner
from animerun_addon.pipeline.job import Job
from animerun_addon.progress import JobState, Progress

pytestmark = pytest.mark.usefixtures("addon")


def count_to(total, log=None):
    try:
        for done in range(total):
            yield Progress(done, total)
    finally:
        if log is not None:
            log.append("cleaned up")


def endless(log=None):
    try:
        while True:
            yield Progress(0, 0)
    finally:
        if log is not None:
            log.append("cleaned up")


def tick_until_idle():
    for _ in range(1000):
        if runner._tick() is None:
            return
    raise AssertionError("the runner never became idle")


def test_job_runs_to_its_end_and_is_shown():
    job = Job("Count", count_to(100))
    runner.start(job)
    assert progress.shown == [job.status]
    tick_until_idle()
    assert job.status.state is JobState.DONE
    assert progress.shown == [job.status]  # the panel still says how it went


def test_tick_leaves_time_to_the_interface():
    job = Job("Endless", endless())
    runner.start(job)
    assert runner._tick() is not None
    assert job.is_running


def test_failing_job_leaves_the_runner_alive(capsys):
    def failing():
        yield Progress(0, 1)
        raise ValueError("broken")

    bad = Job("Bad", failing())
    runner.start(bad)
    tick_until_idle()
    assert bad.status.state is JobState.FAILED
    assert "ValueError: broken" in capsys.readouterr().err
    good = Job("Good", count_to(3))
    runner.start(good)
    tick_until_idle()
    assert good.status.state is JobState.DONE


def test_second_job_on_the_file_is_refused():
    runner.start(Job("One", endless()))
    with pytest.raises(AnimeRunError, match="Another job"):
        runner.start(Job("Two", endless()))


def test_jobs_elsewhere_run_side_by_side():
    here, there = Job("Here", count_to(3)), Job("There", count_to(3), outlives_file=True)
    runner.start(here)
    runner.start(there)
    tick_until_idle()
    assert here.status.state is there.status.state is JobState.DONE


def test_loading_a_file_ends_only_jobs_on_the_old_one():
    log = []
    here, there = Job("Here", endless(log)), Job("There", endless(), outlives_file=True)
    runner.start(here)
    runner.start(there)
    runner._tick()
    bpy.ops.wm.read_homefile(use_empty=True)
    assert here.status.state is JobState.CANCELLED
    assert "loaded" in here.status.note
    assert log == ["cleaned up"]
    assert there.is_running


def test_undo_ends_jobs_on_the_file():
    log = []
    job = Job("Here", endless(log))
    runner.start(job)
    runner._tick()
    bpy.ops.ed.undo_push(message="one")
    bpy.ops.ed.undo_push(message="two")
    bpy.ops.ed.undo()
    assert job.status.state is JobState.CANCELLED
    assert "undo" in job.status.note
    assert log == ["cleaned up"]


def test_deleting_the_scene_is_survived():
    scene = bpy.data.scenes.new("Doomed")

    def on_scene():
        while True:
            scene.frame_set(1)
            yield Progress(0, 1)

    job = Job("Scene", on_scene())
    runner.start(job)
    job.step()
    bpy.data.scenes.remove(scene)
    tick_until_idle()
    assert job.status.state is JobState.FAILED
    assert "deleted" in job.status.note


def test_cancel_button_ends_the_job(addon):
    job = Job("Endless", endless())
    runner.start(job)
    addon.cancel_job(index=0)
    tick_until_idle()
    assert job.status.state is JobState.CANCELLED
    assert not addon.cancel_job.poll()


def test_cancel_button_of_a_job_that_is_gone(addon):
    runner.start(Job("Endless", endless()))
    with pytest.raises(RuntimeError, match="ended already"):
        addon.cancel_job(index=7)
