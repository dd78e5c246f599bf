# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line's words for the 2D style become its settings."""

import argparse

import pytest

from animerun_addon.errors import InputError
from animerun_addon.style_options import SWITCHES, add_style_options, style_settings
from animerun_addon.style_settings import Contours, StyleSettings, Zoom

DEFAULTS = StyleSettings()


def settings_of(*words, base=DEFAULTS):
    parser = argparse.ArgumentParser()
    add_style_options(parser)
    return style_settings(parser.parse_args(words), base)


def test_no_words_are_the_defaults():
    assert settings_of() == StyleSettings()


def test_choices_and_switches():
    settings = settings_of(
        "--contours",
        "fast",
        "--line-thickness",
        "3",
        "--seed",
        "7",
        "--with",
        "textures",
        "--without",
        "hide-environment",
    )
    assert settings.contours is Contours.FAST
    assert (settings.line_thickness_px, settings.seed, settings.textures, settings.hide_environment) == (
        3,
        7,
        True,
        False,
    )


def test_words_go_over_what_the_scene_had_before():
    base = StyleSettings(zoom=Zoom.DOLLY, seed=3)
    assert settings_of("--seed", "4", base=base) == StyleSettings(zoom=Zoom.DOLLY, seed=4)


def test_unknown_step_is_named_with_those_there_are():
    with pytest.raises(InputError, match=r"no step 'shiny'.*flat_shading"):
        settings_of("--without", "shiny")


def test_every_step_of_the_settings_can_be_switched():
    for name in SWITCHES:
        assert getattr(settings_of("--without", name), name) is False
        assert getattr(settings_of("--with", name), name) is True


def test_choices_can_be_given_by_their_names():
    assert StyleSettings(contours="FAST").contours is Contours.FAST
    with pytest.raises(ValueError, match="SLOW"):
        StyleSettings(contours="SLOW")


def test_settings_survive_json_and_what_other_versions_wrote():
    settings = StyleSettings(contours=Contours.OUTLINE, line_thickness_px=2.5, hidden_names="Glint*")
    assert StyleSettings.from_plain(settings.to_plain()) == settings
    assert StyleSettings.from_plain({"of_the_future": 1, "seed": 5}) == StyleSettings(seed=5)
