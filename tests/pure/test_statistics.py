# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of data sets whose figures are known by hand; what has no labels counts for nothing."""

import csv
import json
import math
import shutil
import tracemalloc
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest
import tiny_dataset
from hypothesis import given
from hypothesis import strategies as st

from animerun_addon import cli
from animerun_addon.dataset.formats import FormatError, write_flo, write_matching, write_npy, write_png
from animerun_addon.dataset.layout import Direction, Kind
from animerun_addon.dataset.plots import Chart, Line, svg_of, ticks
from animerun_addon.dataset.statistics import (
    ALL,
    centroids_of,
    derivative_shares,
    flow_magnitude_shares,
    kl_divergence,
    luminance_shares,
    segment_shifts,
    statistics_steps,
    sum_of_log_differences,
)
from animerun_addon.dataset.statistics_files import table_of, write_statistics
from animerun_addon.errors import InputError

SVG = "{http://www.w3.org/2000/svg}"
# A rectangle of 10 x 8 pixels that goes 3 to the right and 4 down, 5 px a frame, on a picture of 48 x 32.
MOVING = [((220, 60, 40), 5, 5, 10, 8, 3, 4)]
AREA, PIXELS = 80, 48 * 32


def statistics_of(root, **options):
    steps = statistics_steps(root, **options)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def figures_of(root, **options):
    return statistics_of(root, **options).sets[ALL]


@pytest.fixture
def moving(tmp_path):
    return tiny_dataset.write_clip(tmp_path / "set", rectangles=MOVING)


# Table 1


def test_shifts_of_a_moving_rectangle(moving):
    figures = figures_of(moving.root)
    assert (figures.clips, figures.frames, figures.sizes) == (1, 4, ("48x32",))
    assert figures.segments_per_frame == 2
    assert figures.occluded_segments_per_frame == 0
    assert figures.pixel_shift_px == pytest.approx(AREA * 5 / PIXELS)
    assert figures.accumulated_shift_px == pytest.approx(3 * AREA * 5 / PIXELS)
    # The background's centroid gives way: its pixels and the rectangle's have the picture's centre together.
    assert figures.segment_shift_px == pytest.approx((5 + 5 * AREA / (PIXELS - AREA)) / 2)


def test_unknown_flow_counts_for_nothing(moving):
    for frame in (1, 2, 3):
        flow_px = np.full((32, 48, 2), (3, 4), dtype=np.float32)
        known = np.zeros((32, 48), dtype=bool)
        known[:10, : 10 * (frame - 1)] = True
        write_flo(moving.flow(frame, Direction.FORWARD), flow_px, known)
    figures = figures_of(moving.root)
    assert figures.pixel_shift_px == pytest.approx(5)
    # The first pair has no known flow at all.
    assert figures.accumulated_shift_px == pytest.approx(5 + 5)
    assert figures.flow_magnitude.sum() == pytest.approx(1)
    assert figures.flow_magnitude.max() == pytest.approx(1)


def test_a_segment_that_leaves_the_picture_is_occluded(tmp_path):
    tiny_dataset.write_clip(tmp_path, frames=(1, 2, 3), rectangles=[((9, 9, 9), 38, 5, 10, 8, 20, 0)])
    figures = figures_of(tmp_path)
    assert figures.segments_per_frame == pytest.approx((2 + 1 + 1) / 3)
    assert figures.occluded_segments_per_frame == pytest.approx(1 / 2)


def test_a_longer_clip_accumulates_more_and_each_clip_counts_once(tmp_path):
    tiny_dataset.write_clip(tmp_path, "train", "short", frames=(1, 2), rectangles=MOVING)
    tiny_dataset.write_clip(tmp_path, "test", "long", frames=(1, 3, 5, 7), rectangles=MOVING)
    statistics = statistics_of(tmp_path)
    a_pair = AREA * 5 / PIXELS
    assert statistics.sets["train"].accumulated_shift_px == pytest.approx(a_pair)
    assert statistics.sets["test"].accumulated_shift_px == pytest.approx(3 * a_pair)
    assert statistics.sets[ALL].accumulated_shift_px == pytest.approx(2 * a_pair)
    assert statistics.sets[ALL].pixel_shift_px == pytest.approx(a_pair)
    assert list(statistics_of(tmp_path, splits=["test"]).sets) == ["test", ALL]


@pytest.mark.parametrize(
    ("kind", "absent"),
    [
        (Kind.FLOW, {"pixel_shift_px", "accumulated_shift_px", "flow_magnitude"}),
        (Kind.SEGMENT, {"segments_per_frame", "segment_shift_px"}),
        (Kind.MATCHING, {"occluded_segments_per_frame", "segment_shift_px"}),
        (Kind.FRAMES, {"luminance_kl", "derivative_sad"}),
    ],
)
def test_what_has_no_labels_is_absent_and_not_zero(moving, kind, absent):
    reference = moving.root / "elsewhere"
    shutil.copytree(moving.folder(Kind.FRAMES), reference)
    shutil.rmtree(moving.folder(kind))
    figures = figures_of(moving.root, reference=reference)
    fields = set(figures.__dataclass_fields__)
    assert {name for name in fields if getattr(figures, name) is None} == absent
    assert figures.sizes == ("48x32",)


def test_only_labels_is_enough_for_the_table(moving):
    shutil.rmtree(moving.folder(Kind.FLOW))
    (row,) = [line for line in table_of(statistics_of(moving.root)) if "pixel shift (px)" in line]
    assert row.split()[-2:] == ["-", "-"]


def test_centroids_and_shifts_of_best_matches():
    here = centroids_of(np.array([[0, 0, 1], [0, 0, 3]], dtype=np.int32))
    assert here[[0, 1, 3]].tolist() == [[0.5, 0.5], [2, 0], [2, 1]]
    assert np.isnan(here[2]).all()
    there = np.array([[3.5, 4.5], [2, 1.0]])
    assert segment_shifts([[0, 1], [1], [0], [-1]], here, there).tolist() == [5, 1]


def test_matches_of_other_segments_are_refused(moving):
    write_matching(moving.matching(2, Direction.FORWARD), [[0], [7]])
    with pytest.raises(InputError, match="0002 to 0003"):
        figures_of(moving.root)
    write_matching(moving.matching(2, Direction.FORWARD), [[0]])
    with pytest.raises(InputError, match="0002 to 0003"):
        figures_of(moving.root)


@pytest.mark.parametrize("wrong", [-1, 2**31 - 1])
def test_labels_that_are_none_are_refused_before_memory_is_taken(moving, wrong):
    write_npy(moving.segment(2), np.full((32, 48), wrong, dtype=np.int32))
    with pytest.raises(FormatError, match=r"0002\.npy"):
        figures_of(moving.root)


# Figure 4


def test_luminance_is_rec_601():
    colours = np.array([[(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]], dtype=np.uint8)
    assert np.flatnonzero(luminance_shares(colours)).tolist() == [29, 76, 150, 255]
    assert luminance_shares(colours).sum() == 1


def test_derivative_of_one_edge():
    image = np.zeros((540, 960, 3), dtype=np.uint8)
    image[:, 480:] = 200
    shares = derivative_shares(image)
    assert shares[255 + 200] == pytest.approx(1 / 959)
    assert shares[255] == pytest.approx(958 / 959)
    assert derivative_shares(image[:, ::-1])[255 - 200] == pytest.approx(1 / 959)


def test_derivative_is_that_of_the_picture_at_960x540():
    """Twice as large, the same drawing has the same edges."""
    image = np.zeros((540, 960, 3), dtype=np.uint8)
    image[100:300, 200:500] = 90
    assert derivative_shares(image.repeat(2, axis=0).repeat(2, axis=1)).tolist() == derivative_shares(image).tolist()


def test_flow_grows_with_the_picture():
    """(3, 4) px at 48x32 are (60, 67.5) at 960x540."""
    flow_px = np.full((32, 48, 2), (3, 4), dtype=np.float32)
    shares = flow_magnitude_shares(flow_px, np.ones((32, 48), dtype=bool))
    assert np.flatnonzero(shares).tolist() == [math.floor(math.hypot(60, 67.5))]
    too_fast = flow_magnitude_shares(flow_px * 1e6, np.ones((32, 48), dtype=bool))
    assert np.flatnonzero(too_fast).tolist() == [511]


def test_nothing_lies_between_a_film_and_itself(moving):
    figures = figures_of(moving.root, reference=moving.folder(Kind.FRAMES))
    assert figures.luminance_kl == pytest.approx(0, abs=1e-12)
    assert figures.derivative_sad == pytest.approx(0, abs=1e-9)


def test_divergences_by_hand():
    one, other = np.zeros(256), np.zeros(256)
    one[[10, 20]], other[[10, 20]] = (0.5, 0.5), (0.25, 0.75)
    by_hand = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert kl_divergence(one, other) == pytest.approx(by_hand, rel=1e-3)
    assert kl_divergence(one, other) != pytest.approx(kl_divergence(other, one), rel=1e-3)
    one, other = np.array([0.9, 0.1, 0]), np.array([0.9, 0.001, 0.099])
    assert sum_of_log_differences(one, other) == pytest.approx(2 + (6 + math.log10(0.099)))


@given(st.lists(st.integers(0, 50), min_size=2, max_size=20), st.randoms())
def test_divergence_is_never_negative_nor_infinite(counts, shuffler):
    others = counts.copy()
    shuffler.shuffle(others)
    one, other = (np.array(each) / max(sum(each), 1) for each in (counts, others))
    assert -1e-12 <= kl_divergence(one, other) < math.inf


def test_a_reference_may_have_pictures_of_every_sort(moving, tmp_path):
    folder = tmp_path / "reference" / "deeper"
    folder.mkdir(parents=True)
    grey = np.full((30, 40), 100, dtype=np.uint8)
    write_png(folder / "grey.png", grey)
    cv2.imwrite(str(folder.parent / "COLOURS.JPG"), np.stack([grey] * 3, axis=-1))
    (folder / ".half.png").write_bytes(b"half")
    (folder / "notes.txt").write_text("no picture")
    reference = statistics_of(moving.root, reference=tmp_path / "reference").reference
    assert reference.count == 2
    assert reference.luminance[100] == pytest.approx(1)


def test_a_reference_that_cannot_be_read_is_named(moving, tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        statistics_of(moving.root, reference=tmp_path / "nowhere")
    with pytest.raises(InputError, match="no PNG or JPEG"):
        statistics_of(moving.root, reference=moving.folder(Kind.SEGMENT))
    for content in (b"", b"no picture"):
        (tmp_path / "broken").mkdir(exist_ok=True)
        (tmp_path / "broken" / "one.jpg").write_bytes(content)
        with pytest.raises(FormatError, match=r"one\.jpg"):
            statistics_of(moving.root, reference=tmp_path / "broken")


# The work


def test_every_frame_is_a_step(moving):
    told = list(statistics_steps(moving.root, reference=moving.folder(Kind.FRAMES)))
    assert {progress.total for progress in told} == {4 + 4}
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    assert told[-1].done == 8


def test_memory_does_not_grow_with_the_film(tmp_path):
    peaks = []
    for count in (3, 3, 12):  # once to warm up
        root = tmp_path / f"{count}_{len(peaks)}"
        tiny_dataset.write_clip(root, frames=range(1, count + 1), size=(160, 90))
        tracemalloc.start()
        statistics_of(root)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.02 * peaks[1] + 50_000


# Files


def test_the_files_say_what_the_figures_are(moving, tmp_path):
    statistics = statistics_of(moving.root, reference=moving.folder(Kind.FRAMES))
    files = write_statistics(tmp_path / "out", statistics)
    assert {path.name for path in files} == {path.name for path in (tmp_path / "out").iterdir()}
    told = json.loads((tmp_path / "out" / "statistics.json").read_text())
    assert told["sets"]["train"]["pixel_shift_px"] == statistics.sets["train"].pixel_shift_px
    assert sum(told["sets"]["train"]["histograms"]["luminance"]) == pytest.approx(1, abs=1e-4)
    assert {name: len(bins) for name, bins in told["bins"].items()} == {
        name: len(shares) for name, shares in told["sets"][ALL]["histograms"].items()
    }
    rows = list(csv.DictReader((tmp_path / "out" / "statistics.csv").open()))
    assert [row["set"] for row in rows] == ["train", ALL]
    assert float(rows[0]["segments_per_frame"]) == 2
    for name in ("luminance", "derivative", "flow_magnitude"):
        root = ET.parse(tmp_path / "out" / f"{name}.svg").getroot()
        legend = [text.text for text in root.iter(f"{SVG}text")]
        assert "train" in legend
        assert ("reference" in legend) == (name != "flow_magnitude")
        assert ALL not in legend


def test_there_is_no_plot_of_nothing(moving, tmp_path):
    shutil.rmtree(moving.folder(Kind.FLOW))
    names = [path.name for path in write_statistics(tmp_path / "out", statistics_of(moving.root))]
    assert names == ["statistics.json", "statistics.csv", "luminance.svg", "derivative.svg"]


def test_a_curve_is_as_high_as_its_shares():
    chart = Chart("<&> title", "x", "y", np.array([0.0, 1, 2]), [Line("<1>", np.array([0.0, 1.0]))])
    root = ET.fromstring(svg_of(chart))
    (curve,) = root.iter(f"{SVG}path")
    assert curve.get("d") == "M80.0 376.0V376.0H438.0V63.6H796.0"
    assert "<&> title" in [text.text for text in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("are_logarithms", [False, True])
def test_a_chart_of_nothing_but_the_least_is_drawn(are_logarithms):
    lines = [Line("flat", np.full(3, -6.0 if are_logarithms else 0.0))]
    chart = Chart("t", "x", "y", np.arange(4.0), lines, are_logarithms, ends_with_last_used=True)
    assert "nan" not in svg_of(chart)


@given(st.floats(-1e6, 1e6), st.floats(1, 1e6), st.booleans())
def test_ticks_are_few_round_and_within(low, span, whole):
    found = ticks(low, low + span, whole)
    assert len(found) <= 8
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in found)
    assert len(found) >= (1 if whole else 2)
    if whole:
        assert all(tick == int(tick) for tick in found)


def test_at_the_shell(moving, tmp_path, capsys):
    assert cli.main(["stats", str(moving.root)]) == 0
    assert "average pixel shift (px)" in capsys.readouterr().out
    assert (moving.root / "stats" / "statistics.json").is_file()
    assert cli.main(["stats", str(moving.root), "--out", str(tmp_path / "out"), "--split", "train", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["statistics"]["train"]["segments_per_frame"] == 2
    assert cli.main(["stats", str(tmp_path / "typo")]) == 2
    assert not (tmp_path / "typo").exists()
