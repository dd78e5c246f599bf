# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a clip's files lie, and which names may become folders."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animerun_addon.dataset.layout import Clip, Direction, Kind, checked_name, digits_for, safe_name
from animerun_addon.errors import InputError

FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD
CLIP = Clip(Path("root"), "train", "shot")


def where(path):
    return path.relative_to("root/train").as_posix()


def test_folders_are_the_data_sets_own():
    assert where(CLIP.frame(7)) == "Frame_Anime/shot/original/0007.png"
    assert where(CLIP.contour(7)) == "contour/shot/0007.png"
    assert where(CLIP.flow(7, FORWARD)) == "Flow/shot/forward/0007.flo"
    assert where(CLIP.flow(8, BACKWARD)) == "Flow/shot/backward/0008.flo"
    assert where(CLIP.unmatched(7, FORWARD)) == "UnmatchedForward/shot/0007.npy"
    assert where(CLIP.unmatched(8, BACKWARD)) == "UnmatchedBackward/shot/0008.npy"
    assert where(CLIP.line_area(7)) == "LineArea/shot/0007.npy"
    assert where(CLIP.segment(7)) == "Segment/shot/0007.npy"
    assert where(CLIP.matching(7, FORWARD)) == "SegMatching/shot/forward/0007.json"


def test_what_tells_of_a_clip_lies_together():
    assert {where(path) for path in (CLIP.meta, CLIP.camera, CLIP.notes)} == {
        "Meta/shot/meta.json",
        "Meta/shot/camera.json",
        "Meta/shot/notes.json",
    }


def test_other_looks_lie_beside_the_original():
    assert where(CLIP.frame(7, "color_2")) == "Frame_Anime/shot/color_2/0007.png"


def test_longer_strides_have_folders_of_their_own():
    assert where(CLIP.flow(7, FORWARD, 2)) == "Flow_stride2/shot/forward/0007.flo"
    assert where(CLIP.valid(7, BACKWARD, 3)) == "Valid_stride3/shot/backward/0007.png"
    assert where(CLIP.unmatched(7, FORWARD, 12)) == "UnmatchedForward_stride12/shot/0007.npy"
    assert where(CLIP.matching(7, BACKWARD, 2)) == "SegMatching_stride2/shot/backward/0007.json"


@given(st.lists(st.integers(0, 10**7), min_size=2, unique=True))
def test_stems_sort_as_frames_do(frames):
    clip = Clip(Path("root"), "train", "shot", digits_for(max(frames)))
    stems = [clip.stem(frame) for frame in frames]
    assert [int(stem) for stem in sorted(stems)] == sorted(frames)
    assert len({len(stem) for stem in stems}) == 1


@pytest.mark.parametrize(("last", "digits"), [(0, 4), (9999, 4), (10_000, 5), (1_048_574, 7)])
def test_stems_have_four_digits_or_as_many_as_the_last_frame(last, digits):
    assert digits_for(last) == digits


@pytest.mark.parametrize("name", ["shot", "a", "A-1", "sc_010.final", "_x", "9", "a..b", "x" * 100])
def test_plain_names_are_taken_as_they_are(name):
    assert checked_name(name, "clip") == name
    assert where(Clip(Path("root"), "train", name).meta) == f"Meta/{name}/meta.json"


NOT_NAMES = [
    "", ".", "..", ".hidden", "../x", "a/b", "a\\b", "/etc", "C:x", "-x", "a b", " a", "a\n", "a\0", "カット", "é", "~",
    "*", "x" * 101,
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_NAMES)
def test_names_that_lead_elsewhere_or_cannot_be_folders_are_refused(name):
    with pytest.raises(InputError, match="cannot be the name of a clip: use letters, digits"):
        checked_name(name, "clip")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("shot", "shot"),
        ("My shot (final)", "My_shot_final"),
        ("../../etc/passwd", "etc_passwd"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("scene.010", "scene_010"),
        ("カット12", "12"),
        ("カット", "clip"),
        ("", "clip"),
        ("..", "clip"),
    ],
)
def test_the_nearest_name_is_found(text, name):
    assert safe_name(text) == name


@given(st.text() | st.from_regex(r"[\w./\\-]{0,120}"))
def test_the_nearest_name_is_one_that_a_clip_may_have(text):
    name = safe_name(text)
    assert checked_name(name, "clip") == name
    assert safe_name(name) == name


def test_no_two_kinds_share_a_folder():
    folders = {CLIP.folder(kind, stride) for kind in Kind for stride in (1, 2, 3)}
    assert len(folders) == 3 * len(Kind)
