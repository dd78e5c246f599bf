# SPDX-License-Identifier: GPL-3.0-or-later
"""Trapped-ball segments are the published ones to the pixel, and exact segments are what a flood over the ids finds."""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_snapshots import cube, orthographic, perspective, plane, snapshot, turned

from animerun_addon.labels import fields, segments
from animerun_addon.labels.rasterize import rasterize
from animerun_addon.labels.surface import surface_points

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import segments_literal as literal

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "sgm"
GOLDEN_FRAMES = {
    "flat rule, first frame": (0, 1, segments.FLAT_RULE),
    "flat rule, last frame": (0, 3, segments.FLAT_RULE),
    "painted rule, first frame": (1, 1, segments.PAINTED_RULE),
    "painted rule, last frame": (1, 3, segments.PAINTED_RULE),
}
golden_frames = pytest.mark.parametrize("golden", GOLDEN_FRAMES.values(), ids=GOLDEN_FRAMES)


def published(golden):
    """The stored results of the published program for a frame, and the rule it was run with."""
    case, frame, rule = golden
    path = GOLDEN / f"case_{case}.npz"
    if not path.exists():
        pytest.skip(f"no {path}")
    with np.load(path) as stored:
        names = ("img", "contour", "binary", "fill_counts", "fillmap_raw", "fillmap_merged", "fillmap_thinned")
        return rule, {name: stored[f"{name}{frame}"] for name in (*names, "labelmap")}


def rgb(bgr):
    return np.ascontiguousarray(bgr[..., ::-1])


def numbers_of(rule):
    return rule.diameter_px, rule.sigma_colour, rule.sigma_space_px, rule.low, rule.high


def is_same_partition(one, other):
    pairs = np.unique(np.stack((one.ravel(), other.ravel())), axis=1)
    return len(np.unique(one)) == len(np.unique(other)) == pairs.shape[1]


def assert_whole(labels):
    """0..K-1 without gaps, by ascending size."""
    sizes = np.bincount(labels.ravel())
    assert labels.dtype == np.int32
    assert sizes.min() > 0
    assert (np.diff(sizes) >= 0).all()


@golden_frames
def test_every_step_gives_what_the_published_program_gave(golden):
    rule, stored = published(golden)
    frame = rgb(stored["img"])
    assert np.array_equal(segments.contours_of(frame, rule), stored["contour"])
    regions, counts = segments.filled(stored["binary"] > 0)
    assert counts == stored["fill_counts"].tolist()
    assert np.array_equal(regions, stored["fillmap_raw"])
    assert np.array_equal(segments.merged(regions, frame), stored["fillmap_merged"])
    assert np.array_equal(segments.thinned(stored["fillmap_merged"].astype(np.int32)), stored["fillmap_thinned"])


@golden_frames
def test_segments_are_the_published_ones(golden):
    rule, stored = published(golden)
    frame = rgb(stored["img"])
    of_frame = segments.segments_from_frame(frame, rule)
    of_contours = segments.segments_from_contours(stored["contour"], frame)
    assert is_same_partition(of_frame, stored["labelmap"])
    assert np.array_equal(of_frame, of_contours)
    assert_whole(of_frame)


@golden_frames
def test_the_literal_transcription_gives_the_published_segments(golden):
    rule, stored = published(golden)
    assert is_same_partition(literal.segment_frame(stored["img"], *numbers_of(rule)), stored["labelmap"])


drawings = st.builds(
    literal.random_drawing,
    seed=st.integers(0, 1 << 32),
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    shapes=st.integers(0, 30),
    largest_px=st.integers(2, 40),
)


@settings(max_examples=60, deadline=None)
@given(drawings)
def test_whatever_is_drawn_a_frame_has_the_segments_of_the_literal_transcription(drawing):
    cel, _ = drawing
    labels = segments.segments_from_frame(rgb(cel))
    assert np.array_equal(labels, literal.segment_frame(cel, *numbers_of(segments.FLAT_RULE)))
    assert_whole(labels)


@settings(max_examples=60, deadline=None)
@given(drawings)
def test_whatever_is_drawn_line_art_has_the_segments_of_the_literal_transcription(drawing):
    cel, lines = drawing
    labels = segments.segments_from_contours(lines, rgb(cel))
    assert np.array_equal(labels, literal.segment_contours(lines, cel))
    assert_whole(labels)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 50), st.integers(1, 50), st.floats(0.001, 0.2), st.booleans())
def test_balls_that_get_in_each_others_way_fill_in_the_published_order(seed, height, width, density, is_noise):
    random = np.random.default_rng(seed)
    free = random.random((height, width)) >= density
    if not is_noise:
        free = ~cv2.dilate((~free).view(np.uint8), literal.ball(1)).view(bool)
    regions, counts = segments.filled(free)
    stages = literal.ball_and_flood_fills(free.view(np.uint8) * 255)
    assert counts == [len(stage) for stage in stages]
    assert np.array_equal(regions, literal.fill_map(free.shape, stages))


def test_a_stage_ends_after_a_thousand_balls():
    free = np.ones((129, 161), dtype=bool)
    free[::4] = free[:, ::4] = False
    regions, counts = segments.filled(free)
    stages = literal.ball_and_flood_fills(free.view(np.uint8) * 255)
    assert counts == [0, 0, 1000, 32 * 40 - 1000 + 1000 * 4]  # the corners that a ball leaves
    assert np.array_equal(regions, literal.fill_map(free.shape, stages))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.floats(0.3, 0.99), st.integers(1, 30), st.integers(1, 30))
def test_lines_of_any_shape_go_to_the_regions_of_the_literal_transcription(seed, lines, height, width):
    random = np.random.default_rng(seed)
    regions = random.integers(1, 9, (height, width), dtype=np.int32)
    regions[random.random((height, width)) < lines] = 0
    assert np.array_equal(segments.thinned(regions), literal.thin(regions.copy()))


def test_segments_grow_a_hundred_pixels_into_a_line_and_no_further():
    regions = np.zeros((5, 320), dtype=np.int32)
    regions[:, 110] = 1
    result = segments.thinned(regions)
    assert np.array_equal(np.flatnonzero(result[2]), np.arange(10, 211))
    assert np.array_equal(result, literal.thin(regions.copy()))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 60), st.integers(1, 9))
def test_regions_of_any_shape_merge_as_in_the_literal_transcription(seed, parts, scale):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, parts + 1, (12, 14), dtype=np.int32)
    regions = np.kron(coarse, np.ones((scale, scale), dtype=np.int32))
    picture = random.integers(0, random.integers(2, 256), (*regions.shape, 3), dtype=np.uint8)
    assert np.array_equal(segments.merged(regions, rgb(picture)), literal.merge(regions, picture))


@pytest.mark.parametrize(
    ("neighbours", "area", "contact", "joins"),
    [
        (1, 299, 1, True),
        (1, 300, 2, False),
        (1, 300, 3, True),
        (1, 499, 3, True),
        (1, 500, 3, False),
        (2, 49, 1, True),
        (2, 50, 1, False),
        (2, 50, 2, True),
        (2, 149, 2, True),
        (2, 150, 2, False),
        (2, 150, 8, False),
        (2, 150, 9, True),
        (2, 249, 9, True),
        (2, 250, 9, False),
        (0, 4, 0, None),
        (0, 5, 0, False),
    ],
)
def test_a_region_joins_by_its_size_its_neighbours_and_how_far_it_touches_them(neighbours, area, contact, joins):
    regions = np.zeros((60, 30), dtype=np.int32)
    rows, columns = np.divmod(np.arange(area), 10)
    regions[rows, 10 + columns] = 3
    regions[:, :9] = regions[:contact, 9] = 1
    regions[:, 21:] = regions[: max(neighbours - 1, 0), 20] = 2
    picture = np.full((60, 30, 3), 90, dtype=np.uint8)
    result = segments.merged(regions, picture)
    assert result[0, 10] == (0 if joins is None else 1 if joins else 3)
    assert np.array_equal(result, literal.merge(regions, picture))


@pytest.mark.parametrize("speck", [(1, 15), (18, 15)], ids=["above", "below"])
def test_the_outline_that_is_counted_is_the_first_one_found(speck):
    # Unlike both neighbours and too large for the other rules: its outline alone decides.
    regions = np.ones((20, 30), dtype=np.int32)
    regions[:, 15:] = 2
    regions[5:13, 11:19] = regions[speck] = 3
    picture = np.full((20, 30, 3), 90, dtype=np.uint8)
    picture[regions == 3] = np.arange(65, dtype=np.uint8)[:, None] * 3
    result = segments.merged(regions, picture)
    assert np.array_equal(result, literal.merge(regions, picture))
    assert (result.max() == 2) == (speck[0] == 18)


def test_a_flat_frame_is_one_segment():
    assert not segments.segments_from_frame(np.full((9, 16, 3), 200, dtype=np.uint8)).any()


def test_a_frame_that_is_all_line_is_one_segment():
    assert not segments.segments_from_contours(np.zeros((9, 16), np.uint8), np.zeros((9, 16, 3), np.uint8)).any()


def test_an_alpha_channel_makes_no_difference():
    cel, lines = literal.random_drawing(5, 60, 70, 12, 25)
    frame = rgb(cel)
    with_alpha = np.dstack((frame, np.arange(60 * 70, dtype=np.uint8).reshape(60, 70)))
    assert np.array_equal(segments.segments_from_frame(with_alpha), segments.segments_from_frame(frame))
    assert np.array_equal(
        segments.segments_from_contours(lines, with_alpha), segments.segments_from_contours(lines, frame)
    )


# Exact segments -------------------------------------------------------------------------------------------------------


def flooded(keys):
    """4-connected regions of equal keys (H, W, ...), pixel by pixel."""
    height, width = keys.shape[:2]
    labels = np.full((height, width), -1)
    for start in np.ndindex(height, width):
        edge = [start] if labels[start] < 0 else []
        number = labels.max() + 1
        while edge:
            y, x = edge.pop()
            if 0 <= y < height and 0 <= x < width and labels[y, x] < 0 and (keys[y, x] == keys[start]).all():
                labels[y, x] = number
                edge += [(y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)]
    return labels


def exact(scene):
    surface = surface_points(scene, rasterize(scene))
    ids = np.dstack((fields.object_ids(scene, surface), fields.material_ids(scene, surface)))
    return segments.exact_segments(scene, surface), ids


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-2, 2)] * 3, st.floats(0.3, 3)), max_size=6), st.integers(0, 1 << 32))
def test_exact_segments_are_connected_pixels_of_one_object_and_one_material(cards, seed):
    meshes = [plane(f"Card {n}", size, (x, y, z), cells=4) for n, (x, y, z, size) in enumerate(cards)]
    scene = snapshot(1, perspective(), *meshes, cube(size=0.5, turn=turned((1, 1, 0), 30)))
    materials = np.random.default_rng(seed).integers(-1, 3, len(scene.triangles), dtype=np.int32)
    scene = replace(scene, material_ids=materials, material_names=("Skin", "Hair", "Cloth"))
    labels, ids = exact(scene)
    assert is_same_partition(labels, flooded(ids))
    assert_whole(labels)


def test_a_bar_before_a_wall_parts_it_in_two():
    wall, bar = plane("Wall", 100.0), plane("Bar", 2.0, (0, 0, 1)).moved(turn=np.diag((0.2, 10.0, 1.0)))
    labels, ids = exact(snapshot(1, orthographic(), wall, bar))
    assert labels.max() + 1 == 3
    assert len(np.unique(labels[ids[..., 0] == 0])) == 2


def test_background_is_made_of_segments_as_well():
    labels, ids = exact(snapshot(1, orthographic(), plane("Bar", 2.0).moved(turn=np.diag((0.2, 10.0, 1.0)))))
    assert len(np.unique(labels[ids[..., 0] == -1])) == 2
    assert labels.max() + 1 == 3
