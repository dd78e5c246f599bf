# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo's page tells of a quality check: the same figures and the same answer."""

import shutil
from pathlib import Path

import pytest
from tiny_dataset import write_clip

from animerun_addon.dataset.layout import Direction
from animerun_addon.dataset.quality import CheckResult, ClipResult, check_steps
from animerun_addon.dataset.quality_faults import WARP_LIMIT
from animerun_addon.dataset.reader import AnimeRun
from animerun_addon.pipeline.demo_verdict import verdict_of
from animerun_addon.pipeline.job import Job


@pytest.fixture
def checked(tmp_path):
    """Checks the tiny data set, after something was done to it."""

    def check(damage=lambda paths: None, **changes):
        paths = write_clip(tmp_path / "dataset", **changes)
        damage(paths)
        result = Job("Check", check_steps(tmp_path / "dataset")).run()
        return result, verdict_of(result, AnimeRun(tmp_path / "dataset").clips[0].meta, tmp_path)

    return check


def test_a_sound_clip_is_good_and_its_worst_pairs_can_be_looked_at(checked, tmp_path):
    result, verdict = checked()
    assert result.passed
    assert verdict.is_good
    assert verdict.failures == ()
    assert all(row.is_good for row in verdict.rows)
    assert result.clips[0].summary in verdict.summary
    assert (tmp_path / verdict.worst_pairs).is_file()


def test_the_paper_s_gate_is_told_but_not_held_against_frames_with_contours(checked):
    for have_lines in (True, False):
        _, verdict = checked(frames_have_lines=have_lines)
        (row,) = [row for row in verdict.rows if row.what == WARP_LIMIT.fault]
        assert ("none" in row.most) is have_lines


@pytest.mark.parametrize(
    ("figure", "value", "told"),
    [
        ("outside_share", 0.0, "0 %"),
        ("outside_share", 0.005, "0.5 %"),
        ("outside_share", 0.0123456, "1.235 %"),
        ("outside_share", 1e-7, "< 0.001 %"),
        ("warp_error", 0.01234, "0.0123"),
        ("following_ratio", 170681.6, "170682"),
    ],
)
def test_shares_are_told_in_percent_and_no_figure_as_a_power_of_ten(figure, value, told):
    clip = ClipResult("demo", "train", (), {figure: value, f"worst_{figure}": 0.004}, ())
    rows = verdict_of(CheckResult((clip,)), {"frames_have_lines": False}, Path()).rows
    assert [row.mean for row in rows] == [told]


def test_a_damaged_clip_is_not_good_and_the_figure_is_marked(checked):
    def swap(paths):
        here, there = paths.flow(2, Direction.FORWARD), paths.flow(2, Direction.BACKWARD)
        shutil.copy(there, here)

    result, verdict = checked(swap)
    assert not result.passed
    assert not verdict.is_good
    assert verdict.failures == result.clips[0].failures
    assert any(not row.is_good for row in verdict.rows)
