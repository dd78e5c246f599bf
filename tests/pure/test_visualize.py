# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels as pictures: what a person must be able to read off them, and that no input breaks them."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from animerun_addon.errors import InputError
from animerun_addon.labels import visualize as vis

NEUTRAL = [vis.UNKNOWN_FLOW_GREY] * 3
NOTHING = list(vis.NOTHING_RGB)


def flow_row(vectors):
    flow = np.array([vectors], np.float32)
    return flow, np.ones(flow.shape[:2], np.bool_)


def colours_of(vectors, scale_px=1.0):
    return vis.flow_colours(*flow_row(vectors), scale_px)[0].astype(int)


def circle(count, length=1.0):
    angle = np.arange(count) * (2 * np.pi / count)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1) * (length * (1 - 1e-6))


def hue_degrees(rgb):
    red, green, blue = np.asarray(rgb, float).T
    return np.degrees(np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue))


# Flow


def test_wheel_has_the_published_colours():
    # Printed by flow_vis 0.1, the usual Python port of Middlebury's colorcode.cpp: right, left, down, up, down-right.
    # One level of difference is float32 against float64 before the cut to whole numbers.
    seen = colours_of([(1, 0), (-1, 0), (0, 1), (0, -1), (0.3, 0.4), (1.5, 0)])
    published = [(255, 0, 0), (0, 209, 255), (255, 229, 0), (88, 0, 255), (255, 195, 127), (191, 0, 0)]
    assert np.abs(seen - published).max() <= 1


def test_opposite_directions_have_hues_far_apart():
    hues = hue_degrees(colours_of(circle(360)))
    apart = np.abs((hues - np.roll(hues, 180) + 180) % 360 - 180)
    assert apart.min() > 110


def test_colours_go_around_the_circle_without_a_jump_and_never_twice():
    colours = colours_of(circle(720))
    assert np.abs(colours - np.roll(colours, 1, axis=0)).max() <= 8
    turned = (np.roll(hue_degrees(colours), -1) - hue_degrees(colours) + 180) % 360 - 180
    assert turned.min() >= 0
    assert turned.sum() == pytest.approx(360)


def test_a_pan_to_the_right_does_not_flicker():
    colours = colours_of([(1, 1e-6), (1, 0.0), (1, -0.0), (1, -1e-6)])
    assert np.ptp(colours, axis=0).max() <= 1


def test_stillness_is_white_and_colour_grows_until_the_scale():
    colours = colours_of([(length, 0) for length in (0, 0.25, 0.5, 0.75, 1)])
    assert colours[:, 0].tolist() == [255] * 5
    assert colours[:, 1].tolist() == [255, 191, 127, 63, 0]


def test_scale_is_the_length_of_full_colour():
    assert (colours_of([(3, 4)], 5.0) == colours_of([(0.6, 0.8)])).all()
    assert not (colours_of([(3, 4)], 5.0) == colours_of([(3, 4)], 10.0)).all()


def test_beyond_the_scale_is_darker_and_stays_so():
    within, beyond, far_beyond = colours_of([(0, 1), (0, 1.01), (0, 1e30)])
    assert np.abs(beyond - within * 0.75).max() <= 1
    assert (beyond == far_beyond).all()


def test_unknown_flow_is_a_grey_that_no_motion_has():
    flow, valid = flow_row([(1, 0), (np.nan, 0), (0, np.inf), (1e10, 1e10)])
    valid[0, 3] = False
    picture = vis.flow_colours(flow, valid, 1.0)[0].tolist()
    assert picture[0] != NEUTRAL
    assert picture[1:] == [NEUTRAL] * 3
    lengths = np.concatenate([circle(360, length) for length in np.linspace(0, 2, 60)])
    assert (np.abs(colours_of(lengths) - NEUTRAL).max(axis=1) > 60).all()


def test_input_is_left_alone():
    flow, valid = flow_row([(np.nan, 1), (2, 3)])
    before = flow.copy()
    vis.flow_colours(flow, valid, 1.0)
    frame = np.full((1, 2, 3), 200, np.uint8)
    vis.occlusion_over(frame, valid)
    np.testing.assert_array_equal(flow, before)
    assert (frame == 200).all()


@pytest.mark.parametrize("scale_px", [0.0, -1.0, np.nan, np.inf, 1e-60])
def test_refuses_a_scale_that_is_none(scale_px):
    with pytest.raises(InputError, match="scale"):
        vis.flow_colours(*flow_row([(0, 0)]), scale_px)
    with pytest.raises(InputError, match="scale"):
        vis.flow_legend(128, scale_px)


# The scale of a sequence


def moving(length, shape=(40, 50)):
    flow = np.zeros((*shape, 2), np.float32)
    flow[..., 0] = length
    return flow, np.ones(shape, np.bool_)


@pytest.mark.parametrize(
    ("length", "scale_px"), [(0.02, 0.02), (0.1, 0.1), (0.11, 0.2), (3, 5), (5, 5), (5.1, 10), (70, 100), (1e9, 5e5)]
)
def test_scale_is_the_next_readable_number(length, scale_px):
    assert vis.sequence_scale([moving(length)]) == scale_px


def test_scale_counts_both_directions_of_motion():
    flow, valid = moving(3)
    flow[..., 1] = -4
    assert vis.sequence_scale([(flow, valid)]) == 5


def test_scale_is_robust_to_outliers():
    flow, valid = moving(3)
    flow[0, 0] = 4000
    flow[0, 1:3] = np.inf, np.nan
    valid[0, 5] = False
    flow[0, 5] = 1e10
    assert vis.sequence_scale([(flow, valid)]) == 5
    flow[1:4] = 400  # much more than a hundredth is no outlier
    assert vis.sequence_scale([(flow, valid)]) == 1000


def test_a_small_character_before_a_still_background_sets_the_scale():
    flow, valid = moving(0, (200, 300))
    flow[50:60, 50:60] = 3, 0
    assert vis.sequence_scale([(flow, valid)]) == 5


def test_one_wild_pixel_in_a_still_shot_does_not_set_the_scale():
    flow, valid = moving(0, (200, 300))
    flow[7, 7] = 4000
    assert vis.sequence_scale([(flow, valid)]) < 0.1
    assert vis.sequence_scale((flow[row : row + 10], valid[row : row + 10]) for row in range(0, 200, 10)) < 0.1


def test_scale_is_never_zero():
    nothing = np.zeros((0, 0, 2), np.float32), np.zeros((0, 0), np.bool_)
    flow, valid = moving(100)
    for flows in ([], [nothing], [moving(0)], [(flow, ~valid)], [(flow * np.nan, valid)]):
        assert 0 < vis.sequence_scale(flows) <= 1


def test_unknown_frames_do_not_change_the_scale():
    flow, valid = moving(100)
    for unknown in ((flow, ~valid), (np.full_like(flow, np.inf), valid)):
        assert vis.sequence_scale([moving(3), unknown]) == vis.sequence_scale([moving(3)])


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_scale_is_the_same_however_the_frames_are_cut(seed, rows):
    random = np.random.default_rng(seed)
    flow = (random.standard_normal((30, 40, 2)) * 10 ** random.uniform(-2, 3)).astype(np.float32)
    valid = random.random((30, 40)) < 0.8
    pieces = ((flow[row : row + rows], valid[row : row + rows]) for row in range(0, 30, rows))
    scale_px = vis.sequence_scale([(flow, valid)])
    assert vis.sequence_scale(pieces) == scale_px
    # The lengths on both sides of the 99th percentile: the scale covers the one and maybe not yet the other.
    length = np.linalg.norm(flow[valid], axis=-1)
    below, above = (np.percentile(length, 99, method=side) for side in ("lower", "higher"))
    assert below * 0.98 <= scale_px <= max(above * 2.6, 0.02)


# The legend


@pytest.mark.parametrize("size_px", [80, 161, 400])
def test_legend_is_the_wheel_on_white(size_px):
    legend = vis.flow_legend(size_px, 20.0)
    assert legend.shape == (size_px, size_px, 3)
    coloured = (legend != 255).any(axis=-1) & (legend != 0).any(axis=-1)
    rows, columns = np.nonzero(coloured)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)
    assert np.ptp(rows) > 0.75 * size_px
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    middle_row, middle_column = (top + bottom) // 2, (left + right) // 2
    rim = legend[[middle_row, middle_row, bottom, top], [right, left, middle_column, middle_column]].astype(int)
    assert np.abs(rim - colours_of([(1, 0), (-1, 0), (0, 1), (0, -1)])).max() <= 20
    assert (legend[middle_row, middle_column] > 240).all()
    assert coloured.sum() / (np.ptp(rows) + 1) ** 2 == pytest.approx(np.pi / 4, rel=0.02)
    assert (legend[[0, -1]] == 255).all()
    assert (legend[:, [0, -1]] == 255).all()


def test_legend_writes_its_scale():
    def ink(size_px, scale_px):
        return (vis.flow_legend(size_px, scale_px) == 0).all(axis=-1)

    # Read by eye from the picture: "20 px", five letters of 5 x 7 with a gap of 1.
    expected = [
        ".###...###....................",
        "#...#.#...#...................",
        "....#.#..##.......####..#...#.",
        "..##..#.#.#.......#...#..#.#..",
        ".#....##..#.......#...#...#...",
        "#.....#...#.......####...#.#..",
        "#####..###........#.....#...#.",
    ]
    expected = np.array([list(row) for row in expected]) == "#"
    np.testing.assert_array_equal(ink(80, 20.0)[-8:-1, -31:-1], expected)
    assert not ink(80, 20.0)[:-8].any()
    assert (vis.flow_legend(80, 20.0)[-9] == 255).all()
    np.testing.assert_array_equal(ink(160, 20.0)[-16:-2:2, -62:-2:2], expected)
    pictures = [ink(100, scale_px).tobytes() for scale_px in (0.01, 0.1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1e6, 1e-6)]
    assert len(set(pictures)) == len(pictures)


def test_legend_too_small_for_its_number_says_what_it_needs():
    with pytest.raises(InputError, match="at least 32 px"):
        vis.flow_legend(31, 20.0)
    assert vis.flow_legend(32, 20.0).shape == (32, 32, 3)


# Ids


def test_ids_are_pairwise_distinct_and_not_like_nothing():
    colours = vis.id_colours(np.arange(-1, 201, dtype=np.int32)[None])[0].astype(int)
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    assert apart[~np.eye(len(colours), dtype=np.bool_)].min() >= 15
    assert colours[0].tolist() == NOTHING
    assert np.linalg.norm(colours[1:] - NOTHING, axis=-1).min() > 90
    assert len(np.unique(vis.id_colours(np.arange(4096, dtype=np.int32)[None])[0], axis=0)) == 4096


def test_neighbouring_ids_differ_clearly():
    colours = vis.id_colours(np.arange(512, dtype=np.int32)[None])[0].astype(int)
    for step in range(1, 9):
        assert np.linalg.norm(colours[step:] - colours[:-step], axis=-1).min() >= 55


def test_an_id_keeps_its_colour_whatever_else_is_seen():
    few = vis.id_colours(np.array([[7, -1], [3, 7]], np.int32))
    many = vis.id_colours(np.arange(3000, dtype=np.int32)[None])[0]
    np.testing.assert_array_equal(few, [[many[7], NOTHING], [many[3], many[7]]])


# Depth


def test_near_is_bright_far_is_dark_and_nothing_is_black():
    depth = np.array([[0.5, 1, 2, 4, 8, 100, np.inf, np.nan, -1, 0]], np.float32)
    greys = vis.depth_greys(depth, 1, 8)
    assert (greys == greys[..., :1]).all()
    row = greys[0, :, 0].tolist()
    assert row[:2] == [255, 255]
    assert row[1] > row[2] > row[3] > row[4] == row[5] > 30
    assert row[6:] == [0] * 4
    # Even in inverse depth: 1 / 2 lies 3/7 of the way from 1 / 8 to 1.
    assert (row[2] - row[4]) / (row[1] - row[4]) == pytest.approx(3 / 7, abs=0.01)


def test_depth_range_holds_the_surface_without_its_outliers():
    depth = np.linspace(2, 10, 10_000).reshape(100, 100)
    depth[0, :5] = 1e-4, 1e6, np.inf, np.nan, -3
    near, far = vis.depth_range([depth[:40], depth[40:]])
    assert (near, far) == vis.depth_range([depth])
    assert near == pytest.approx(2.08, rel=0.05)
    assert far == pytest.approx(9.92, rel=0.05)
    assert near < 2.08
    assert far > 9.92


def test_depth_range_of_a_wall_or_of_nothing_can_be_drawn():
    for depths in ([], [np.full((2, 3), np.inf)], [np.full((2, 3), 5.0, np.float32)], [np.array([[1e-300, 1e300]])]):
        near, far = vis.depth_range(depths)
        assert 0 < near < far
        vis.depth_greys(np.ones((2, 2)), near, far)


@pytest.mark.parametrize("ends_m", [(0, 1), (2, 2), (3, 2), (np.nan, 1), (1, np.nan), (-1, 1)])
def test_refuses_a_depth_range_that_is_none(ends_m):
    with pytest.raises(InputError, match="near"):
        vis.depth_greys(np.ones((1, 1)), *ends_m)


# UDP and normals


def test_udp_shows_its_raw_numbers():
    udp = np.array([[[0, 0.5, 1, 1], [0.2, 0.4, 0.6, 1], [0, 0, 0, 0], [np.nan, 0, 0, 1], [2, -1, 0, 1]]], np.float32)
    picture = vis.udp_colours(udp)[0].tolist()
    assert picture == [[0, 128, 255], [51, 102, 153], NOTHING, NOTHING, [255, 0, 0]]


def test_normals_are_shifted_into_colours():
    normals = np.array([[[1, 0, 0], [0, -1, 0], [0, 0, 1], [0, 0, 0], [0, np.nan, 1]]], np.float32)
    picture = vis.normal_colours(normals)[0].tolist()
    assert picture == [[255, 128, 128], [128, 0, 128], [128, 128, 255], NOTHING, NOTHING]


# Occlusion


def test_every_occluded_pixel_is_redder_than_any_other_can_be():
    every = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), axis=-1).reshape(1, -1, 3).astype(np.uint8)
    yes, no = (vis.occlusion_over(every, np.full(every.shape[:2], mark)) for mark in (True, False))
    assert yes[..., 0].min() > no[..., 0].max()
    assert (yes[..., 0] - yes[..., 1:].max(axis=-1).astype(int)).min() > 20


def test_the_picture_stays_legible_under_the_marks():
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=-1)
    plain = vis.occlusion_over(grey, np.zeros((1, 256), np.bool_))[0, :, 0].astype(int)
    assert (np.diff(plain) >= 0).all()
    assert np.ptp(plain) > 140
    tinted = vis.occlusion_over(grey, np.ones((1, 256), np.bool_))[0].astype(int)
    assert (np.diff(tinted, axis=0) >= 0).all()
    assert np.ptp(tinted, axis=0).min() > 90


def test_marks_stay_in_their_pixels():
    occluded = np.array([[True, False], [False, False]])
    frame = np.array([[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [100, 110, 120]]], np.uint8)
    picture = vis.occlusion_over(frame, occluded)
    assert picture[0, 0].tolist() == [157, 20, 24]
    np.testing.assert_array_equal(picture[~occluded], (frame[~occluded] * 0.59).astype(np.uint8))


# Any input

SHAPES = st.tuples(st.integers(0, 3), st.integers(0, 3))
FLOATS = st.sampled_from([np.float32, np.float64])


@given(st.data(), SHAPES, FLOATS)
@settings(max_examples=150, deadline=None)
def test_anything_gives_a_picture_and_no_warning(data, shape, dtype):
    def numbers(*more):
        return data.draw(hnp.arrays(dtype, (*shape, *more)))

    mask = data.draw(hnp.arrays(np.bool_, shape))
    flow, depth = numbers(2), numbers()
    ids = data.draw(hnp.arrays(np.int32, shape))
    frame = data.draw(hnp.arrays(np.uint8, (*shape, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scale_px = vis.sequence_scale([(flow, mask)])
        pictures = [
            vis.flow_colours(flow, mask, scale_px),
            vis.flow_colours(flow, mask, data.draw(st.floats(1e-30, 1e30))),
            vis.udp_colours(numbers(4)),
            vis.normal_colours(numbers(3)),
            vis.id_colours(ids),
            vis.depth_greys(depth, *vis.depth_range([depth])),
            vis.depth_greys(depth, 1e-100, np.inf),
            vis.depth_greys(depth, 1.0, 1e300),
            vis.occlusion_over(frame, mask),
        ]
    assert 0.01 <= scale_px <= 1e6
    for picture in pictures:
        assert picture.dtype == np.uint8
        assert picture.shape == (*shape, 3)
