# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a clip consists of, and what is refused because a label it is made from is lacking."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny_dataset
from hypothesis import given
from hypothesis import strategies as st

from animerun_addon.dataset.layout import Clip, Direction
from animerun_addon.dataset.plan import Pair, Plan, lines_for, with_what_frames_need
from animerun_addon.errors import InputError
from animerun_addon.export_settings import DEFAULT_LABELS, ExportSettings, Label, MatchingRule, SegmentSource
from animerun_addon.style_settings import StyleSettings

CLIP = Clip(Path("root"), "train", "shot")
FAST, DRAWN = StyleSettings(contours="FAST"), StyleSettings(contours="OUTLINE")


def plan(*labels, frames=(1, 2, 3), clip=CLIP, **settings):
    """A plan of these labels, of all if none is named."""
    chosen = ExportSettings(labels=frozenset(labels) or frozenset(Label), **settings)
    return Plan(clip, tuple(frames), chosen, lines_for(chosen))


def where(planned):
    """The files below train/, without the clip's name."""
    return [path.relative_to("root/train").as_posix().replace("/shot/", "/") for path in planned.files]


@pytest.mark.parametrize(
    ("label", "files"),
    [
        (Label.FRAMES, ["Frame_Anime/original/0001.png", "Frame_Anime/original/0002.png"]),
        (Label.CONTOUR, ["contour/0001.png", "contour/0002.png"]),
        (Label.FLOW, ["Flow/forward/0001.flo", "Flow/backward/0002.flo"]),
        (Label.OCCLUSION, ["UnmatchedForward/0001.npy", "UnmatchedBackward/0002.npy"]),
        (Label.LINE_AREA, ["LineArea/0001.npy", "LineArea/0002.npy"]),
        (Label.SEGMENT, ["Segment/0001.npy", "Segment/0002.npy"]),
        (Label.MATCHING, ["SegMatching/forward/0001.json", "SegMatching/backward/0002.json"]),
        (Label.VALID, ["Valid/forward/0001.png", "Valid/backward/0002.png"]),
        (Label.DEPTH, ["Depth/0001.npy", "Depth/0002.npy"]),
        (Label.NORMAL, ["Normal/0001.npy", "Normal/0002.npy"]),
        (Label.IDS, ["ObjectId/0001.npy", "MaterialId/0001.npy", "ObjectId/0002.npy", "MaterialId/0002.npy"]),
        (Label.UDP, ["UDP/0001.npz", "UDP/0002.npz"]),
        (Label.EXR, ["EXR/0001.exr", "EXR/0002.exr"]),
    ],
)
def test_each_label_has_its_files(label, files):
    assert where(plan(label, frames=(1, 2))) == files


def test_every_label_is_known():
    assert all(list(plan(label).files) for label in Label)


def test_strides_count_the_clips_frames_whatever_their_numbers():
    on_twos = plan(Label.FLOW, frames=(1, 3, 5), strides=(2,))
    assert list(on_twos.pairs) == [Pair(1, 5, 2)]
    assert where(on_twos) == ["Flow_stride2/forward/0001.flo", "Flow_stride2/backward/0005.flo"]


def test_pairs_come_as_their_second_frame_becomes_known():
    assert list(plan(strides=(1, 2)).pairs) == [Pair(1, 2, 1), Pair(2, 3, 1), Pair(1, 3, 2)]


def test_a_stride_longer_than_the_clip_has_no_pairs():
    assert not list(plan(Label.FLOW, Label.OCCLUSION, frames=(1, 2), strides=(2, 9)).files)


def test_other_looks_are_colour_frames_only():
    more = set(where(plan(augment=2, style=FAST))) - set(where(plan(style=FAST)))
    assert more == {f"Frame_Anime/color_{look}/000{frame}.png" for look in (1, 2) for frame in (1, 2, 3)}


def test_long_frame_numbers_lengthen_all_stems():
    long = plan(Label.DEPTH, frames=(9, 10_000), clip=replace(CLIP, digits=5))
    assert where(long) == ["Depth/00009.npy", "Depth/10000.npy"]


@pytest.mark.parametrize("source", SegmentSource)
def test_segments_are_made_once_whatever_they_are_made_from(source):
    planned = plan(segments=source)
    by_surface = CLIP.segment(1) in planned.surface_files(1)
    assert by_surface == (source is SegmentSource.EXACT)
    assert by_surface != (CLIP.segment(1) in planned.derived_files(1))


# Lines ----------------------------------------------------------------------------------------------------------------


def test_contours_are_the_labels_unless_the_style_has_blender_draw_them():
    for style in (None, FAST):
        planned = plan(style=style)
        assert not planned.contour_files()
        assert CLIP.contour(1) in planned.surface_files(1)
    drawn = plan(style=DRAWN)
    assert drawn.contour_files() == [CLIP.contour(frame) for frame in (1, 2, 3)]
    assert CLIP.contour(1) not in drawn.surface_files(1)


def test_frames_with_fast_lines_bring_their_contours_along():
    frames = ExportSettings(labels=frozenset({Label.FRAMES}), style=FAST)
    assert with_what_frames_need(frames).labels == {Label.FRAMES, Label.CONTOUR}


@pytest.mark.parametrize(
    "settings",
    [
        ExportSettings(labels=frozenset({Label.FRAMES})),
        ExportSettings(labels=frozenset({Label.FRAMES}), style=DRAWN),
        ExportSettings(labels=frozenset({Label.DEPTH}), style=FAST),
        ExportSettings(style=FAST),
    ],
)
def test_nothing_else_is_added(settings):
    assert with_what_frames_need(settings) == settings


# What is made from what -----------------------------------------------------------------------------------------------


def test_all_labels_together_need_nothing_more():
    for segments in SegmentSource:
        for matching in MatchingRule:
            plan(segments=segments, matching=matching).check_sources(may_be_there=False)


@pytest.mark.parametrize(
    ("label", "settings", "said"),
    [
        (Label.LINE_AREA, {}, "'line-area' is made from contour: choose it as well"),
        (Label.SEGMENT, {}, "'segment' is made from contour, frames: choose them as well"),
        (Label.SEGMENT, {"segments": SegmentSource.FRAME}, "'segment' is made from frames: choose it as well"),
        (Label.MATCHING, {}, "'matching' is made from flow, occlusion, segment: choose them as well"),
        (
            Label.MATCHING,
            {"matching": MatchingRule.SURFACE},
            "'matching' is made from ids, segment: choose them as well",
        ),
        (Label.EXR, {}, "'exr' is made from flow, frames: choose them as well"),
    ],
)
def test_what_a_label_is_made_from_is_named(label, settings, said):
    with pytest.raises(InputError) as refused:
        plan(label, **settings).check_sources(may_be_there=False)
    assert str(refused.value) == said


def test_exact_segments_need_nothing():
    plan(Label.SEGMENT, segments=SegmentSource.EXACT).check_sources(may_be_there=False)


def test_exr_files_need_the_flow_to_the_next_frame():
    with pytest.raises(InputError, match="choose stride 1"):
        plan(strides=(2,)).check_sources(may_be_there=False)


def test_sources_may_be_there_already(tmp_path):
    clip = tiny_dataset.write_clip(tmp_path, frames=(1, 2, 3), strides=(1, 2))
    matching = plan(Label.MATCHING, clip=clip, strides=(1, 2))
    matching.check_sources(may_be_there=True)
    with pytest.raises(InputError):
        matching.check_sources(may_be_there=False)
    clip.unmatched(1, Direction.FORWARD, 2).unlink()
    with pytest.raises(InputError, match="'matching' is made from occlusion: choose it"):
        matching.check_sources(may_be_there=True)


def test_colour_variants_are_no_source(tmp_path):
    clip = tiny_dataset.write_clip(tmp_path, frames=(1, 2, 3))
    plan(Label.SEGMENT, clip=clip, augment=2).check_sources(may_be_there=True)


# Any plan -------------------------------------------------------------------------------------------------------------


@st.composite
def plans(draw):
    frames = draw(st.sets(st.integers(0, 30_000), min_size=1, max_size=8))
    return plan(
        *draw(st.sets(st.sampled_from(Label), min_size=1)),
        frames=sorted(frames),
        clip=replace(CLIP, digits=5),
        strides=tuple(sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=4)))),
        augment=draw(st.integers(0, 2)),
        style=draw(st.sampled_from([None, FAST, DRAWN])),
        segments=draw(st.sampled_from(SegmentSource)),
        matching=draw(st.sampled_from(MatchingRule)),
    )


@given(plans())
def test_no_file_is_made_twice_and_all_lie_in_the_clips_folders(planned):
    files = list(planned.files)
    assert len(set(files)) == len(files)
    assert {path.parent for path in files} == planned.folders()
    for path in files:
        assert path.relative_to("root/train").parts[1] == "shot"
        assert int(path.stem) in planned.frames


@given(plans())
def test_pairs_are_those_of_each_second_frame(planned):
    pairs = list(planned.pairs)
    assert pairs == [pair for frame in planned.frames for pair in planned.pairs_to(frame)]
    expected = {
        (first, second, place_there - place)
        for place, first in enumerate(planned.frames)
        for place_there, second in enumerate(planned.frames)
        if place_there - place in planned.settings.strides
    }
    assert len(pairs) == len(expected)
    assert {(pair.first, pair.second, pair.stride) for pair in pairs} == expected
    assert all(pair.first < pair.second for pair in pairs)


@given(plans())
def test_a_longer_clip_keeps_all_files_of_the_shorter(planned):
    longer = replace(planned, frames=(*planned.frames, planned.frames[-1] + 1))
    assert set(planned.files) <= set(longer.files)


def test_the_defaults_are_everything_but_exr_and_udp():
    others = {f"EXR/000{frame}.exr" for frame in (1, 2, 3)} | {f"UDP/000{frame}.npz" for frame in (1, 2, 3)}
    assert set(where(plan())) - set(where(plan(*DEFAULT_LABELS))) == others
