# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's comparison of estimated and exact flow, on a data set that is known by heart."""

import re

import numpy as np
import pytest
from tiny_dataset import write_clip

from animerun_addon.dataset.formats import read_png
from animerun_addon.dataset.reader import AnimeRun
from animerun_addon.labels.visualize import flow_colours
from animerun_addon.model_bridge.classical import classical_flow
from animerun_addon.pipeline.demo_flow import COMPARED, comparison_steps
from animerun_addon.pipeline.demo_pictures import gallery_steps
from animerun_addon.pipeline.job import Job


def compared(tmp_path, **changes):
    write_clip(tmp_path / "dataset", size=(96, 64), **changes)
    clip = AnimeRun(tmp_path / "dataset").clips[0]
    gallery = Job("Pictures", gallery_steps(clip, tmp_path / "labels", tmp_path)).run()
    return clip, gallery, Job("Flow", comparison_steps(clip, gallery, tmp_path / "labels", tmp_path)).run()


@pytest.fixture
def made(tmp_path):
    return compared(tmp_path)


def test_each_frame_has_exact_flow_classical_flow_and_the_error(made, tmp_path):
    clip, gallery, comparison = made
    assert len(comparison.pictures) == 3 * len(gallery.sheets) == 6
    for place, row in ((1, comparison.pictures[:3]), (2, comparison.pictures[3:])):
        pair = clip.pair(place)
        found = classical_flow(pair.first.image, pair.second.image).forward.flow_px
        exact, classical, error = (read_png(tmp_path / picture.file) for picture in row)
        assert np.array_equal(exact, flow_colours(pair.flow_px, pair.valid, gallery.scale_px))
        assert np.array_equal(classical, flow_colours(found, pair.valid, gallery.scale_px))
        off_px = np.linalg.norm(found - pair.flow_px, axis=2)
        assert error.shape == (64, 96)
        assert np.abs(error / 255 * gallery.scale_px - np.minimum(off_px, gallery.scale_px)).max() < 0.02
        assert row[2].text.startswith(f"{off_px.mean():.3f} px (visible ")


def test_the_summary_has_the_mean_of_all(made):
    _, _, comparison = made
    of_rows = [float(re.match(r"[\d.]+", picture.text)[0]) for picture in comparison.pictures[2::3]]
    (whole,) = re.findall(r"off by ([\d.]+) px", comparison.summary)
    assert float(whole) == pytest.approx(np.mean(of_rows), abs=1e-3)


def test_of_many_frames_few_are_compared(tmp_path):
    _, _, comparison = compared(tmp_path, frames=range(1, 10))
    assert len(comparison.pictures) == 3 * COMPARED


def test_one_frame_has_nothing_to_compare(tmp_path):
    assert compared(tmp_path, frames=(7,))[2].pictures == ()
