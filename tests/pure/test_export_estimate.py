# SPDX-License-Identifier: GPL-3.0-or-later
"""The forecast of an export: its files are counted, its size follows from the formats, its time from the last run."""

from dataclasses import replace
from pathlib import Path

import pytest

from animerun_addon.dataset.layout import Clip
from animerun_addon.dataset.plan import Plan, lines_for
from animerun_addon.export_estimate import REFERENCE_PX, estimate, size_text, time_text
from animerun_addon.export_settings import DEFAULT_LABELS, ExportSettings, Label
from animerun_addon.style_settings import StyleSettings

SIZE_PX = (1024, 436)
ALL = frozenset(Label)
FAST = StyleSettings(contours="FAST")


@pytest.mark.parametrize(
    ("settings", "frames"),
    [
        (ExportSettings(), 48),
        (ExportSettings(labels=ALL, strides=(1, 2, 3), augment=2), 10),
        (ExportSettings(labels=ALL, strides=(1, 5)), 3),
        (ExportSettings(labels=frozenset({Label.FLOW})), 1),
        *((ExportSettings(labels=frozenset({label})), 4) for label in sorted(ALL)),
    ],
)
def test_as_many_files_as_the_export_plans(settings, frames):
    plan = Plan(Clip(Path("/nowhere"), "train", "clip"), tuple(range(frames)), settings, lines_for(settings))
    assert estimate(settings, frames, SIZE_PX).files == len(list(plan.files))


def test_arrays_are_as_large_as_their_formats():
    def bytes_of(*labels, strides=(1,)):
        return estimate(ExportSettings(frozenset(labels), strides), 3, SIZE_PX).size_bytes

    assert bytes_of(Label.FLOW) == pytest.approx(2 * 2 * 8 * REFERENCE_PX, rel=0.001)
    assert bytes_of(Label.FLOW, strides=(1, 2)) == pytest.approx((2 + 1) * 2 * 8 * REFERENCE_PX, rel=0.001)
    assert bytes_of(Label.OCCLUSION) == pytest.approx(2 * 2 * REFERENCE_PX, rel=0.001)
    assert bytes_of(Label.NORMAL) == pytest.approx(3 * 12 * REFERENCE_PX, rel=0.001)
    assert bytes_of(Label.IDS, Label.DEPTH, Label.SEGMENT) == pytest.approx(3 * 16 * REFERENCE_PX, rel=0.001)


def test_size_is_that_of_a_measured_export():
    """The demo scene's frames 1 to 6 in flat colours with fast contours, all default labels: 88 files, 118.62 MB."""
    forecast = estimate(ExportSettings(style=FAST), 6, SIZE_PX)
    assert forecast.files == 88
    assert forecast.size_bytes == pytest.approx(118.62e6, rel=0.05)


def test_size_and_time_grow_with_what_is_asked_for():
    flat = ExportSettings(style=FAST)
    small = estimate(flat, 10, SIZE_PX)
    for settings, frames, size_px in (
        (flat, 11, SIZE_PX),
        (flat, 10, (1920, 1080)),
        (replace(flat, strides=(1, 2)), 10, SIZE_PX),
        (replace(flat, labels=ALL), 10, SIZE_PX),
        (replace(flat, augment=1), 10, SIZE_PX),
    ):
        larger = estimate(settings, frames, size_px)
        assert larger.size_bytes > small.size_bytes
        assert larger.seconds > small.seconds


def test_blenders_own_strokes_take_long():
    fast = ExportSettings(style=FAST)
    strokes = replace(fast, style=StyleSettings(contours="FREESTYLE"))
    assert estimate(strokes, 10, SIZE_PX).seconds > estimate(fast, 10, SIZE_PX).seconds + 50


def test_check_and_pace_count():
    plain = estimate(ExportSettings(), 10, SIZE_PX)
    assert estimate(ExportSettings(), 10, SIZE_PX, checked=True).seconds > plain.seconds
    assert estimate(ExportSettings(), 10, SIZE_PX, pace=3.0).seconds == pytest.approx(3 * plain.seconds)


def test_a_pair_needs_two_frames():
    assert estimate(ExportSettings(labels=frozenset({Label.FLOW})), 1, SIZE_PX).files == 0
    assert DEFAULT_LABELS < ALL


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "1 kB"),
        (4_300, "4 kB"),
        (999_900, "1.0 MB"),
        (7.14e6, "7.1 MB"),
        (870e6, "870 MB"),
        (1.24e9, "1.2 GB"),
        (9.96e9, "10 GB"),
        (3e12, "3.0 TB"),
    ],
)
def test_sizes_read_like_a_file_browsers(size_bytes, text):
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "10 seconds"),
        (44, "40 seconds"),
        (89, "90 seconds"),
        (91, "2 minutes"),
        (3000, "50 minutes"),
        (9000, "2 hours"),
    ],
)
def test_times_are_as_rough_as_they_are(seconds, text):
    assert time_text(seconds) == text
