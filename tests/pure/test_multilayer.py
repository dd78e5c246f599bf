# SPDX-License-Identifier: GPL-3.0-or-later
"""The compositor's EXR file: what stands in which channel, with which sign, under names that every program takes."""

import re

import numpy as np
import OpenEXR
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animerun_addon.dataset.formats import FormatError, read_exr, write_exr
from animerun_addon.dataset.multilayer import FARTHEST_M, matte_channels, multilayer_channels, scene_linear

HEIGHT, WIDTH = 4, 6
GREY = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)


def flow_of(u, v, valid=True):
    flow_px = np.empty((HEIGHT, WIDTH, 2), np.float32)
    flow_px[:] = u, v
    return flow_px, np.full((HEIGHT, WIDTH), valid)


def everything():
    random = np.random.default_rng(0)
    depth_m = random.random((HEIGHT, WIDTH), np.float32) + 1
    depth_m[0] = np.inf
    object_ids = random.integers(-1, 5, (HEIGHT, WIDTH)).astype(np.int32)
    return {
        "frame": random.integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8),
        "forward": flow_of(1.5, 2.0),
        "backward": flow_of(-1.0, 0.25),
        "depth_m": depth_m,
        "normals": random.random((HEIGHT, WIDTH, 3), np.float32),
        "object_ids": object_ids,
        "material_ids": random.integers(-1, 3, (HEIGHT, WIDTH)).astype(np.int32),
        "characters": {"Hero": (1, 3), "Dog": object_ids == 2},
    }


# Colour -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("display", "linear"),
    # IEC 61966-2-1; 188 is where light is half as bright.
    [(0, 0.0), (1, 0.000303527), (10, 0.003035270), (11, 0.003346536), (128, 0.2158605), (188, 0.5028865), (255, 1.0)],
)
def test_the_srgb_curve_is_undone(display, linear):
    assert scene_linear(np.array([display], np.uint8))[0] == pytest.approx(linear, rel=1e-5)


def test_a_picture_without_alpha_is_opaque():
    channels = multilayer_channels(GREY, None, None)
    assert (channels["A"] == 1).all()
    assert channels["G"] == pytest.approx(0.2158605)


def test_alpha_is_multiplied_into_the_linear_colour():
    frame = np.dstack([GREY, np.full((HEIGHT, WIDTH), 51, np.uint8)])
    channels = multilayer_channels(frame, None, None)
    assert channels["A"] == pytest.approx(0.2)
    assert channels["R"] == pytest.approx(0.2 * 0.2158605)


def test_the_first_channel_is_red():
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[..., 0] = 255
    channels = multilayer_channels(frame, None, None)
    assert [channels[name].max() for name in "RGB"] == [1, 0, 0]


# Motion -------------------------------------------------------------------------------------------------------------


def test_what_falls_in_the_picture_falls_in_the_compositor():
    """3 px down a picture whose rows are counted from the top is -3 where they are counted from the bottom."""
    channels = multilayer_channels(GREY, flow_of(2.0, 3.0), flow_of(-2.0, -3.0))
    assert (channels["forward.u"] == 2).all()
    assert (channels["forward.v"] == -3).all()
    assert (channels["backward.u"] == -2).all()
    assert (channels["backward.v"] == 3).all()


def test_unknown_motion_is_zero_and_masked():
    flow_px, valid = flow_of(1e10, np.nan)
    valid[:2] = False
    flow_px[2:] = 1.0
    channels = multilayer_channels(GREY, (flow_px, valid), None)
    assert channels["forward.A"].tolist() == valid.tolist()
    for name in ("forward.u", "forward.v"):
        assert (channels[name][:2] == 0).all()
        assert (channels[name][2:] != 0).all()


def test_standing_still_is_no_negative_zero():
    assert not np.signbit(multilayer_channels(GREY, flow_of(0, 0), None)["forward.v"]).any()


def test_the_first_frame_has_the_channels_of_all_others():
    whole = everything()
    first = whole | {"backward": None}
    assert multilayer_channels(**first).keys() == multilayer_channels(**whole).keys()
    channels = multilayer_channels(**first)
    assert not any(channels[name].any() for name in ("backward.u", "backward.v", "backward.A"))


# Geometry, ids, mattes -----------------------------------------------------------------------------------------------


def test_nothing_in_the_file_is_infinite_or_no_number():
    for numbers in multilayer_channels(**everything()).values():
        assert np.isfinite(numbers).all()


def test_depth_is_metres_and_far_away_where_there_is_nothing():
    whole = everything()
    z = multilayer_channels(**whole)["depth.Z"]
    assert (z[0] == np.float32(FARTHEST_M)).all()
    assert (z[1:] == whole["depth_m"][1:]).all()


def test_mattes_by_ids_and_by_picture():
    whole = everything()
    channels = multilayer_channels(**whole)
    ids = whole["object_ids"]
    assert channels["matte_Hero.A"].tolist() == ((ids == 1) | (ids == 3)).tolist()
    assert channels["matte_Dog.A"].tolist() == (ids == 2).tolist()


def test_a_character_that_is_not_seen_has_an_empty_matte():
    whole = everything() | {"characters": {"Hero": ()}}
    assert not multilayer_channels(**whole)["matte_Hero.A"].any()


def test_what_is_not_given_has_no_channels():
    names = set(multilayer_channels(GREY, None, None))
    vectors = {f"{way}{end}" for way in ("forward", "backward") for end in (".u", ".v", ".A")}
    assert names == {*"RGBA", *vectors}


def test_mattes_by_ids_need_ids():
    with pytest.raises(ValueError, match="'Hero'"):
        multilayer_channels(GREY, None, None, characters={"Hero": [1]})


# Names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("character", "channel"),
    [
        ("Hero", "matte_Hero.A"),
        ("Hero rig.001", "matte_Hero_rig_001.A"),
        ("a-b", "matte_a_b.A"),
        ("Chloé", "matte_Chloe.A"),
        ("初音ミク", "matte_character.A"),
        ("1st", "matte_1st.A"),
        ("", "matte_character.A"),
        ("x" * 60, f"matte_{'x' * 23}.A"),
    ],
)
def test_a_matte_has_a_name_that_every_program_takes(character, channel):
    assert matte_channels([character]) == {character: channel}


def test_characters_of_one_plain_name_are_told_apart_in_their_order():
    characters = ["初音ミク", "鏡音リン", "Hero.1", "hero 1", "x" * 40, "x" * 41]
    assert list(matte_channels(characters).values()) == [
        "matte_character.A",
        "matte_character_2.A",
        "matte_Hero_1.A",
        "matte_hero_1_2.A",
        f"matte_{'x' * 23}.A",
        f"matte_{'x' * 21}_2.A",
    ]


@given(st.lists(st.text(max_size=40), unique=True, max_size=30))
def test_any_names_make_different_safe_channels(characters):
    channels = matte_channels(characters)
    assert list(channels) == characters
    assert len({channel.casefold() for channel in channels.values()}) == len(characters)
    for channel in channels.values():
        assert re.fullmatch(r"matte_[A-Za-z0-9_]{1,23}\.A", channel)


def test_a_number_that_is_a_name_already_is_passed_over():
    assert len(set(matte_channels(["a", "a_2", "a!", "a?"]).values())) == 4


# The file -----------------------------------------------------------------------------------------------------------


def test_every_channel_comes_back_from_the_file(tmp_path):
    whole = everything() | {"characters": {"初音 ミク.001": (1,), "Hero": (2,)}}
    channels = multilayer_channels(**whole)
    write_exr(tmp_path / "0001.exr", channels)
    read = read_exr(tmp_path / "0001.exr")
    assert read.keys() == channels.keys()
    for name, numbers in channels.items():
        assert np.array_equal(read[name], numbers.astype(np.float32)), name


def test_open_exr_reads_full_floats_under_these_names(tmp_path):
    channels = multilayer_channels(**everything())
    write_exr(tmp_path / "0001.exr", channels)
    found = OpenEXR.File(str(tmp_path / "0001.exr"), separate_channels=True).channels()
    assert found.keys() == channels.keys()
    assert {channel.pixels.dtype for channel in found.values()} == {np.dtype(np.float32)}


def test_ids_that_a_float_would_round_are_refused(tmp_path):
    whole = everything()
    whole["object_ids"][0, 0] = (1 << 24) + 1
    with pytest.raises(FormatError, match="16777216"):
        write_exr(tmp_path / "0001.exr", multilayer_channels(**whole))
