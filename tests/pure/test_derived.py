# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels made from a clip's other files: where "line" ends, what is kept, and what a match may rely on."""

import numpy as np
import pytest
import tiny_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from animerun_addon.dataset.derived import line_area, make_line_area, make_matching, make_segments
from animerun_addon.dataset.formats import (
    read_flo,
    read_matching,
    read_npy,
    read_png,
    write_flo,
    write_npy,
    write_png,
)
from animerun_addon.dataset.layout import Clip, Direction, Kind

FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD
WHITE, BLACK = np.uint8(255), np.uint8(0)


def dotted(height, width, *dots):
    """White, with black pixels at (row, column)."""
    contour = np.full((height, width), WHITE)
    for dot in dots:
        contour[dot] = BLACK
    return contour


# Line areas -----------------------------------------------------------------------------------------------------------


def test_line_ends_at_ten_pixels_exactly():
    area = line_area(dotted(41, 41, (20, 20)))
    assert area.dtype == np.uint8
    assert area[20, 10:31].tolist() == [0] * 21
    assert area[20, [9, 31]].tolist() == [1, 1]
    # 6 and 8 pixels are 10 apart, 7 and 8 are more, 7 and 7 less.
    assert area[[26, 28, 12, 14], [28, 26, 14, 12]].tolist() == [0, 0, 0, 0]
    assert area[[27, 28, 13], [28, 27, 12]].tolist() == [1, 1, 1]
    assert area[27, 27] == 0


def test_without_any_line_all_is_flat():
    assert (line_area(dotted(9, 30)) == 1).all()


def test_where_all_is_line_nothing_is_flat():
    assert (line_area(np.zeros((9, 30), dtype=np.uint8)) == 0).all()


def test_faint_traces_beside_a_line_are_none():
    assert (line_area(np.full((5, 5), np.uint8(221))) == 1).all()
    assert (line_area(np.full((5, 5), np.uint8(220))) == 0).all()


@settings(max_examples=30)
@given(arrays(np.uint8, (20, 27), elements=st.sampled_from([0] + [255] * 60)))
def test_areas_are_those_of_measured_distances(contour):
    y, x = np.indices(contour.shape)
    line_y, line_x = np.nonzero(contour == 0)
    squared = (y[..., None] - line_y) ** 2 + (x[..., None] - line_x) ** 2
    beyond = squared.min(axis=-1, initial=10**6) > 100
    assert np.array_equal(line_area(contour), beyond)


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def clip(tmp_path):
    return tiny_dataset.write_clip(tmp_path, strides=(1, 2))


def made(path, work, *args):
    """What is made where the file was taken away."""
    before = path.read_bytes()
    path.unlink()
    work(*args)
    return before, path.read_bytes()


def test_line_areas_come_from_contours(clip):
    before, after = made(clip.line_area(2), make_line_area, clip, 2)
    assert after == before


@pytest.mark.parametrize("by_contour", [True, False])
def test_segments_come_from_pictures(clip, by_contour):
    made(clip.segment(2), make_segments, clip, 2, by_contour)
    segments = read_npy(clip.segment(2))
    assert segments.dtype == np.int32
    assert segments.shape == (tiny_dataset.HEIGHT_PX, tiny_dataset.WIDTH_PX)
    assert np.array_equal(np.unique(segments), np.arange(segments.max() + 1))
    assert segments.max() >= 1


def test_segments_by_the_frame_need_no_contour(clip):
    clip.contour(2).unlink()
    made(clip.segment(2), make_segments, clip, 2, False)


def test_a_frames_alpha_does_not_matter(clip):
    _, opaque = made(clip.segment(1), make_segments, clip, 1, False)
    picture = read_png(clip.frame(1))
    alpha = np.arange(picture.shape[0] * picture.shape[1]).reshape(picture.shape[:2]).astype(np.uint8)
    write_png(clip.frame(1), np.dstack([picture, alpha]))
    assert made(clip.segment(1), make_segments, clip, 1, False)[1] == opaque


@pytest.mark.parametrize(("source", "target", "stride"), [(1, 2, 1), (2, 1, 1), (2, 4, 2), (4, 2, 2)])
def test_matches_come_from_flow_both_ways(clip, source, target, stride):
    direction = FORWARD if source < target else BACKWARD
    path = clip.matching(source, direction, stride)
    before, after = made(path, make_matching, clip, source, target, stride, True)
    assert after == before


def test_what_is_there_is_not_touched(clip):
    paths = [clip.line_area(1), clip.segment(1), clip.matching(1, FORWARD), clip.matching(2, BACKWARD)]
    for path in paths:
        path.write_bytes(b"kept")
    make_line_area(clip, 1)
    make_segments(clip, 1, True)
    make_segments(clip, 1, False)
    for by_flow in (True, False):
        make_matching(clip, 1, 2, 1, by_flow)
        make_matching(clip, 2, 1, 1, by_flow)
    assert [path.read_bytes() for path in paths] == [b"kept"] * 4


# Matches --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def halves(tmp_path):
    """Two frames of the same two segments, left and right, that stand still; only the pair 1 to 2 is known."""
    clip = Clip(tmp_path, "train", "halves")
    segments = np.repeat(np.int32([[0] * 8 + [1] * 8]), 8, axis=0)
    paths = [clip.segment(1), clip.segment(2), clip.flow(1, FORWARD), clip.unmatched(1, FORWARD)]
    paths += [clip.of_frame(kind, frame, ".npy") for kind in (Kind.OBJECT_ID, Kind.MATERIAL_ID) for frame in (1, 2)]
    for path in [*paths, clip.matching(1, FORWARD)]:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_npy(clip.segment(1), segments)
    write_npy(clip.segment(2), segments)
    write_flo(clip.flow(1, FORWARD), np.zeros((8, 16, 2)))
    write_npy(clip.unmatched(1, FORWARD), np.ones((8, 16), dtype=np.uint8))
    return clip


def matches(clip, by_flow):
    make_matching(clip, 1, 2, 1, by_flow)
    return read_matching(clip.matching(1, FORWARD))


def test_what_stands_still_matches_itself(halves):
    assert matches(halves, by_flow=True) == [[0], [1]]


def test_unknown_flow_votes_for_nothing_though_its_place_is_visible(halves):
    flow_px, valid = read_flo(halves.flow(1, FORWARD))
    valid[:, :8] = False
    write_flo(halves.flow(1, FORWARD), flow_px, valid)
    assert matches(halves, by_flow=True) == [[-1], [1]]


def test_what_is_hidden_there_votes_for_nothing(halves):
    seen = np.ones((8, 16), dtype=np.uint8)
    seen[:, 8:] = 0
    write_npy(halves.unmatched(1, FORWARD), seen)
    assert matches(halves, by_flow=True) == [[0], [-1]]


def test_by_ids_the_same_object_and_material_match_wherever_they_are(halves):
    left = read_npy(halves.segment(1)) == 0
    for frame, is_a in ((1, left), (2, ~left)):
        write_npy(halves.of_frame(Kind.OBJECT_ID, frame, ".npy"), np.where(is_a, 3, -1).astype(np.int32))
        write_npy(halves.of_frame(Kind.MATERIAL_ID, frame, ".npy"), np.where(is_a, 0, -1).astype(np.int32))
    halves.flow(1, FORWARD).unlink()
    assert matches(halves, by_flow=False) == [[1], [0]]


def test_by_ids_another_material_is_another_surface(halves):
    left = read_npy(halves.segment(1)) == 0
    for frame, material in ((1, 0), (2, 1)):
        write_npy(halves.of_frame(Kind.OBJECT_ID, frame, ".npy"), np.where(left, 3, 4).astype(np.int32))
        write_npy(halves.of_frame(Kind.MATERIAL_ID, frame, ".npy"), np.where(left, material, 5).astype(np.int32))
    assert matches(halves, by_flow=False) == [[-1], [1]]
