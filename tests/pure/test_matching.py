# SPDX-License-Identifier: GPL-3.0-or-later
"""Segment matching: cases laid out by hand, a plain loop over pixels, and what must hold for any picture."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animerun_addon.labels.matching import (
    NO_MATCH,
    colours_by_matches,
    match_by_flow,
    match_by_surface,
    surface_numbers,
)

NOTHING = -1


def still(shape, u=0.0, v=0.0):
    return np.full((*shape, 2), (u, v), dtype=np.float32)


def none_hidden(shape):
    return np.zeros(shape, dtype=np.bool_)


def rectangles(shape, *boxes):
    """Label 0, with label 1, 2, ... in boxes (rows, columns)."""
    segments = np.zeros(shape, dtype=np.int32)
    for label, box in enumerate(boxes, start=1):
        segments[box] = label
    return segments


# ---------------------------------------------------------------- by hand


def test_splitting_hiding_and_leaving():
    """Of four boxes on a still ground the first splits, the second is hidden, the third leaves, the fourth is
    half hidden."""
    shape = (20, 40)
    splits, hides, leaves, half = np.s_[2:9, 2:9], np.s_[2:9, 14:20], np.s_[12:18, 33:40], np.s_[12:18, 2:10]
    here = rectangles(shape, splits, hides, leaves, half)
    # There the upper 3 rows of the first box have become 5, the others are 1 still.
    there = rectangles(shape, splits, hides, np.s_[0:0, 0:0], np.s_[12:18, 12:20])
    there[2:5, 2:9] = 5
    flow_px = still(shape)
    flow_px[leaves] = (9.0, 0.0)
    flow_px[half] = (10.0, 0.0)
    occluded = none_hidden(shape)
    occluded[hides] = True
    occluded[12:18, 2:6] = True
    occluded[12:18, 12:20] = True  # the ground that the fourth comes to lie over
    # The first box's inner 5x5 lands on 2 rows of 5 and 3 of 1. The last column that the third box keeps is eroded
    # against nothing (the picture ends there), and all of it lands beyond the border.
    assert match_by_flow(here, flow_px, occluded, there) == [[0], [1, 5], [NO_MATCH], [NO_MATCH], [4]]


def test_border_pixels_do_not_vote():
    """A ring of one pixel lands on a neighbour; only the inner pixels count."""
    here = rectangles((9, 9), np.s_[2:7, 2:7])
    there = rectangles((9, 9), np.s_[3:6, 3:6])
    assert match_by_flow(here, still((9, 9)), none_hidden((9, 9)), there)[1] == [1]


def test_pixels_at_the_pictures_border_vote():
    here = rectangles((4, 8), np.s_[:, 5:])
    occluded = none_hidden((4, 8))
    occluded[:, :7] = True  # all but the last column
    assert match_by_flow(here, still((4, 8)), occluded, here) == [[NO_MATCH], [1]]


@pytest.mark.parametrize("neighbour", [place for place in np.ndindex(3, 3) if place != (1, 1)], ids=str)
def test_pixel_with_any_other_neighbour_does_not_vote(neighbour):
    here = np.zeros((3, 3), dtype=np.int32)
    here[neighbour] = 1
    occluded = ~none_hidden((3, 3))
    occluded[1, 1] = False
    # On the opposite side pixels of segment 0 are left, so that it does not vanish, but they are hidden.
    assert match_by_flow(here, still((3, 3)), occluded, here) == [[NO_MATCH], [NO_MATCH]]


def test_strand_thinner_than_three_pixels_is_matched_by_all_of_it():
    here = rectangles((9, 9), np.s_[1:8, 4:6])
    there = rectangles((9, 9), np.s_[1:8, 5:7])
    assert match_by_flow(here, still((9, 9), u=1.0), none_hidden((9, 9)), there)[1] == [1]
    assert match_by_flow(here, still((9, 9)), none_hidden((9, 9)), there)[1] == [0, 1]


def test_wide_segment_with_only_its_border_in_view_has_no_match():
    here = rectangles((9, 9), np.s_[2:7, 2:7])
    occluded = none_hidden((9, 9))
    occluded[3:6, 3:6] = True
    assert match_by_flow(here, still((9, 9)), occluded, here)[1] == [NO_MATCH]


@pytest.mark.parametrize(("u", "lands_on"), [(-0.51, 2), (-0.5, 3), (0.0, 3), (0.49, 3), (0.5, 4)])
def test_half_a_pixel_goes_right(u, lands_on):
    columns = np.tile(np.arange(7, dtype=np.int32), (7, 1))
    here = (columns == 3).astype(np.int32)
    assert match_by_flow(here, still((7, 7), u=u), none_hidden((7, 7)), columns)[1] == [lands_on]
    assert match_by_flow(here.T, still((7, 7), v=u), none_hidden((7, 7)), columns.T)[1] == [lands_on]


def test_of_equal_shares_the_smaller_label_comes_first():
    there = np.repeat(np.array([[3, 1, 2]], dtype=np.int32), 4, axis=1).repeat(6, axis=0)
    assert match_by_flow(np.zeros((6, 12), np.int32), still((6, 12)), none_hidden((6, 12)), there) == [[1, 2, 3]]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e10])
def test_unknown_flow_votes_for_nothing(number):
    here = np.zeros((5, 5), dtype=np.int32)
    assert match_by_flow(here, still((5, 5), u=number), none_hidden((5, 5)), here) == [[NO_MATCH]]


def test_the_other_frame_may_have_another_size():
    here, there = np.zeros((6, 6), dtype=np.int32), np.tile(np.arange(12, dtype=np.int32) // 9, (4, 1))
    assert match_by_flow(here, still((6, 6), u=4.0), none_hidden((6, 6)), there) == [[0, 1]]


# ---------------------------------------------------------------- for any picture


@st.composite
def frames(draw):
    """Blocky segments of two frames, some flow and some occlusion; few labels make large segments."""
    height, width, block = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 4))
    labels = draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    here, there = (
        np.kron(random.integers(0, labels, (12, 12)), np.ones((block, block), dtype=np.int64))[:height, :width]
        for _ in range(2)
    )
    flow_px = (random.integers(-256, 256, (height, width, 2)) / 64).astype(np.float32)  # with exact halves
    return here, flow_px, random.random((height, width)) < 0.2, there


def matches_by_loops(here, flow_px, occluded, there):
    """The rule in plain words: a segment at a time, a pixel at a time."""
    height, width = here.shape
    votes = [Counter() for _ in range(here.max() + 1)]
    for label, counter in enumerate(votes):
        pixels = [(y, x) for y in range(height) for x in range(width) if here[y, x] == label]
        inner = [(y, x) for y, x in pixels if (here[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] == label).all()]
        for y, x in inner or pixels:
            column, row = (int(np.floor(place + 0.5 + move)) for place, move in zip((x, y), flow_px[y, x], strict=True))
            if not occluded[y, x] and 0 <= row < height and 0 <= column < width:
                counter[int(there[row, column])] += 1
    return [sorted(counter, key=lambda target: (-counter[target], target)) or [NO_MATCH] for counter in votes]


@given(frames())
@settings(deadline=None)
def test_agrees_with_a_loop_over_pixels(pair):
    assert match_by_flow(*pair) == matches_by_loops(*pair)


@given(frames())
@settings(deadline=None)
def test_no_motion_matches_every_segment_with_itself(pair):
    here = np.unique(pair[0], return_inverse=True)[1].reshape(pair[0].shape)
    matches = match_by_flow(here, still(here.shape), none_hidden(here.shape), here)
    assert matches == [[label] for label in range(here.max() + 1)]


@given(frames(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_new_names_there_rename_the_matches(pair, random):
    here, flow_px, occluded, there = pair
    names = random.sample(range(20), 6)
    renamed = match_by_flow(here, flow_px, occluded, np.array(names)[there])
    plain = match_by_flow(*pair)
    assert [set(targets) for targets in renamed] == [
        {names[target] if target != NO_MATCH else NO_MATCH for target in targets} for targets in plain
    ]


# ---------------------------------------------------------------- by surface


def test_regions_of_one_surface_are_matched_the_largest_first():
    surfaces = np.array([[7, 7, 7, 9, 9, NOTHING]])
    there = np.array([[0, 1, 1, 2, 3, 3]])
    surfaces_there = np.array([[7, 7, 7, 8, NOTHING, NOTHING]])
    here = np.array([[0, 0, 0, 1, 1, 2]])
    assert match_by_surface(here, surfaces, there, surfaces_there) == [[1, 0], [NO_MATCH], [3]]
    assert match_by_surface(there, surfaces_there, here, surfaces) == [[0], [0], [NO_MATCH], [2]]


def test_segment_shows_what_most_of_its_pixels_see():
    here, surfaces = np.array([[0, 0, 0, 1, 1]]), np.array([[4, 5, 5, 4, 3]])
    there, surfaces_there = np.array([[0, 1, 2, 2, 2]]), np.array([[3, 4, 5, 5, 5]])
    # The second sees two surfaces equally: the smaller number counts.
    assert match_by_surface(here, surfaces, there, surfaces_there) == [[2], [0]]


def test_labels_that_are_nowhere_match_nothing():
    here, there = np.array([[0, 2]]), np.array([[1, 1]])
    assert match_by_surface(here, here * 0, there, there * 0) == [[1], [NO_MATCH], [1]]


def test_every_pair_of_object_and_material_is_a_surface():
    objects, materials = np.meshgrid(np.arange(-1, 3, dtype=np.int32), np.arange(-1, 4, dtype=np.int32))
    assert len(np.unique(surface_numbers(objects, materials))) == objects.size


@given(frames())
@settings(deadline=None)
def test_segments_that_are_surfaces_match_themselves(pair):
    here = np.unique(pair[0], return_inverse=True)[1].reshape(pair[0].shape)
    there = here[::-1, ::-1]
    assert match_by_surface(here, here + 3, there, there + 3) == [[label] for label in range(here.max() + 1)]


# ---------------------------------------------------------------- colours


def test_segments_take_the_colours_of_their_best_match():
    segments = np.array([[0, 1], [2, 2]])
    colours = np.array([[255, 0, 0], [0, 255, 0]], dtype=np.uint8)
    painted = colours_by_matches([[1, 0], [NO_MATCH], [0]], segments, colours, unmatched=(9, 9, 9))
    assert painted.dtype == np.uint8
    assert painted.tolist() == [[[0, 255, 0], [9, 9, 9]], [[255, 0, 0], [255, 0, 0]]]
    assert not colours_by_matches([[NO_MATCH]], np.zeros((1, 1), np.int32), colours).any()
