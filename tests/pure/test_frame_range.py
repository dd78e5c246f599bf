# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame ranges: what people write, and what they mistype."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animerun_addon.errors import InputError
from animerun_addon.frame_range import LAST_FRAME, parse_frames


@pytest.mark.parametrize(
    ("text", "frames"),
    [("7", [7]), ("1-4", [1, 2, 3, 4]), ("3,1-2,2", [1, 2, 3]), (" 5 - 6 ", [5, 6]), ("0", [0])],
)
def test_reads(text, frames):
    assert parse_frames(text) == frames


@pytest.mark.parametrize("text", ["", "a", "1-", "-3", "1--2", "5-1", "1,,2", "1.5", f"1-{LAST_FRAME + 1}"])
def test_refuses(text):
    with pytest.raises(InputError):
        parse_frames(text)


@given(st.sets(st.integers(0, 2000), min_size=1))
def test_single_frames_round_trip(frames):
    assert parse_frames(",".join(map(str, frames))) == sorted(frames)


@given(st.text(alphabet="0123456789-, x", max_size=12))
def test_never_anything_but_frames_or_an_input_error(text):
    try:
        frames = parse_frames(text)
    except InputError:
        return
    assert frames == sorted(set(frames))
