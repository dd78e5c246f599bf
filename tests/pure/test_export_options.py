# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel says becomes words, and the shell reads the same export out of them."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from animerun_addon.cli import build_parser
from animerun_addon.commands.udp_words import encoding_from, rest_from
from animerun_addon.errors import InputError
from animerun_addon.export_options import (
    ExportRequest,
    frames_of,
    parse_strides,
    relied_on,
    settings_of,
    switch_of,
)
from animerun_addon.export_settings import (
    DEFAULT_LABELS,
    ExportSettings,
    Label,
    MatchingRule,
    Occlusion,
    SegmentSource,
)
from animerun_addon.frame_range import parse_frames
from animerun_addon.labels.udp_encoding import Preset
from animerun_addon.style_settings import StyleSettings
from animerun_addon.udp_choices import Rest


def panel(**changes):
    """The panel's properties as they begin."""
    values = {switch_of(label): label in DEFAULT_LABELS for label in Label}
    values |= {"strides": "1", "augment": 0, "uses_style": False, "remove_holds": False}
    values |= {"occlusion": "EXACT", "segments": "CONTOUR", "matching": "FLOW"}
    return SimpleNamespace(**{**values, **changes})


# What the other panel says of the rest pose and the encoding.
UDP = SimpleNamespace(rest="A_POSE", arms_angle=0.75, sets_facing=False, preset="UNIFORM", measures_height=True)


def request(settings, frames=range(1, 49), **changes):
    values = {"root": Path("/data set"), "split": "train", "clip": "shot", "film": "film", "scene": "Scene"}
    return ExportRequest(settings=settings, frames=frames, **{**values, **changes})


def read_back(words, style=None):
    """The export that the shell makes of words."""
    options = build_parser().parse_args(["export", "open_file.blend", *words])
    kept = {field.name for field in fields(ExportSettings)} - {"style", "strides", "udp_rest", "udp_encoding"}
    settings = {name: getattr(options, name) for name in kept}
    settings |= {"strides": options.stride, "style": style if options.style else None}
    settings |= {"udp_rest": rest_from(options), "udp_encoding": encoding_from(options)}
    return options, ExportSettings(**settings)


def test_an_untouched_panel_is_the_defaults():
    assert settings_of(panel(), UDP, StyleSettings()) == ExportSettings()


EVERYTHING = panel(
    writes_exr=True,
    writes_udp=True,
    writes_line_area=False,
    strides="1, 2 4",
    augment=3,
    uses_style=True,
    remove_holds=True,
    occlusion="CONSISTENCY",
    segments="EXACT",
    matching="SURFACE",
)


@pytest.mark.parametrize("values", [panel(), EVERYTHING, panel(segments="FRAME", writes_frames=False)])
def test_the_shell_reads_what_the_panel_says(values):
    style = StyleSettings(seed=4)
    settings = settings_of(values, UDP, style)
    words = request(settings, range(3, 20, 2), film="-a film").words(check=True, anew=True, source=Path("/a b.blend"))
    options, found = read_back(words, style)
    assert found == settings
    assert parse_frames(options.frames)[:: options.step] == list(range(3, 20, 2))
    assert (options.out, options.split, options.clip) == (Path("/data set"), "train", "shot")
    assert (options.film, options.scene, options.source) == ("-a film", "Scene", Path("/a b.blend"))
    assert options.check
    assert options.anew


def test_what_is_not_asked_for_is_not_said():
    words = request(ExportSettings()).words(check=False, anew=False, source=None)
    options, _ = read_back(words)
    assert (options.check, options.anew, options.source, options.style) == (False, False, None, False)


def test_choices_of_the_panel_are_those_of_the_settings():
    settings = settings_of(EVERYTHING, UDP, StyleSettings())
    assert settings.occlusion is Occlusion.CONSISTENCY
    assert settings.segments is SegmentSource.EXACT
    assert settings.matching is MatchingRule.SURFACE
    assert settings.strides == (1, 2, 4)
    assert settings.labels == frozenset(Label) - {Label.LINE_AREA}
    assert settings.udp_rest.rest is Rest.A_POSE
    assert settings.udp_encoding.preset is Preset.UNIFORM


def test_other_colours_are_part_of_the_style():
    assert settings_of(panel(augment=1), UDP, StyleSettings()).style == StyleSettings()


@pytest.mark.parametrize("text", ["", "one", "0", "1;2", "1,-2", "1.5", "99999"])
def test_strides_that_cannot_be_read_are_named(text):
    with pytest.raises(InputError, match="write 1, or 1, 2, 3"):
        parse_strides(text)


def test_the_same_stride_twice_is_refused():
    with pytest.raises(InputError, match="different numbers"):
        settings_of(panel(strides="2, 2"), UDP, StyleSettings())


def test_no_label_is_refused():
    nothing = panel(**{switch_of(label): False for label in Label})
    with pytest.raises(InputError, match="choose at least one label"):
        settings_of(nothing, UDP, StyleSettings())


def test_frames_that_run_backwards_are_refused():
    with pytest.raises(InputError, match="run backwards"):
        frames_of(5, 4, 1)
    assert list(frames_of(5, 5, 2)) == [5]


def test_labels_that_an_earlier_export_must_have_left_are_named():
    assert relied_on(ExportSettings()) == []
    assert relied_on(ExportSettings(labels=frozenset({Label.MATCHING}))) == [Label.FLOW, Label.OCCLUSION, Label.SEGMENT]
    by_surface = ExportSettings(labels=frozenset({Label.MATCHING, Label.SEGMENT}), matching=MatchingRule.SURFACE)
    assert relied_on(by_surface) == [Label.FRAMES, Label.CONTOUR, Label.IDS]


def test_a_clips_place_tells_exports_apart():
    one = request(ExportSettings())
    assert one.place == request(ExportSettings(augment=2)).place
    assert one.place != request(ExportSettings(), split="test").place
