# SPDX-License-Identifier: GPL-3.0-or-later
"""The numpy rasteriser: pictures worked out by hand, analytic planes, and rays shot through every pixel."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from raster_scenes import WHITE, lens_camera, on_sheet, picture, sheet_camera, snapshot_of

from animerun_addon.labels import rasterize as rasterize_module
from animerun_addon.labels.clipping import clip_positions, pieces_in_view, rows_to_draw
from animerun_addon.labels.rasterize import rasterize
from animerun_addon.labels.snapshot import NO_SURFACE, Cutout

# ---------------------------------------------------------------- which pixels


def test_a_pixel_on_a_shared_diagonal_belongs_to_the_triangle_it_is_a_left_edge_of():
    camera = sheet_camera(5, 5)
    halves = on_sheet(camera, [(0, 0), (4, 0), (0, 4)], [(4, 0), (4, 4), (0, 4)])
    assert np.array_equal(rasterize(snapshot_of(camera, halves)), picture("0001. 0011. 0111. 1111. ....."))


def test_a_square_between_pixel_centres_owns_those_on_its_lower_and_left_edge():
    # As GPUs have it: Mesa's llvmpipe under Blender's gpu module draws exactly this.
    camera = sheet_camera(4, 4)
    corners = on_sheet(camera, [(0.5, 0.5), (2.5, 0.5), (2.5, 2.5), (0.5, 2.5)])
    ids = rasterize(snapshot_of(camera, corners, [(0, 1, 2), (0, 2, 3)]))
    assert np.array_equal(ids >= 0, picture(".... 11.. 11.. ....") >= 0)


def test_the_image_is_empty_without_triangles_and_ids_are_int32_rows_from_the_top():
    empty = rasterize(snapshot_of(sheet_camera(7, 3), []))
    assert empty.shape == (3, 7)
    assert empty.dtype == np.int32
    assert (empty == NO_SURFACE).all()
    camera = sheet_camera(3, 2)
    ids = rasterize(snapshot_of(camera, [(0, 1, -1), (3, 1, -1), (0, 3, -1)]))
    assert np.array_equal(ids, picture("00. ..."))


def jittered_grid(columns, rows, cell_px, jitter, flips):
    """A net of (rows * columns * 2) triangles, its inner corners moved by jitter, its quads' diagonals by `flips`."""
    x, y = np.meshgrid(np.arange(columns + 1.0), np.arange(rows + 1.0))
    corners = np.stack([x, y], axis=-1)
    corners[1:-1, 1:-1] += jitter
    place = np.arange(corners[..., 0].size).reshape(rows + 1, columns + 1)
    a, b, c, d = place[:-1, :-1], place[:-1, 1:], place[1:, 1:], place[1:, :-1]
    one, other = np.stack([a, b, c, a, c, d], axis=-1), np.stack([a, b, d, b, c, d], axis=-1)
    return corners.reshape(-1, 2) * cell_px, np.where(flips[..., None], one, other).reshape(-1, 3)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    cell_px=st.floats(0.3, 9),
    grid=st.sampled_from([2, 4, 256, 1e9]),
    origin=st.sampled_from([0, 0.5, -3.25]),
)
def test_every_pixel_of_a_random_net_is_covered_by_exactly_one_triangle(seed, cell_px, grid, origin):
    random = np.random.default_rng(seed)
    corners, triangles = jittered_grid(
        9, 7, max(cell_px, 8 / grid), random.uniform(-0.24, 0.24, (6, 8, 2)), random.random((7, 9)) < 0.5
    )
    # Coarse grids put many corners and edges exactly on pixel centres.
    corners = np.round((corners + origin) * grid) / grid
    (ax, ay), (bx, by), (cx, cy) = np.moveaxis(np.round(corners[triangles] * 256), 0, -1)
    assume(((bx - ax) * (cy - ay) >= (cx - ax) * (by - ay)).all())  # rounding has folded none over
    camera = sheet_camera(20, 16)
    positions = np.column_stack([corners[:, 0], camera.height_px - corners[:, 1], np.full(len(corners), -10.0)])
    ids = rasterize(snapshot_of(camera, positions, triangles))
    # All are equally near, and of such the last stays: were a pixel covered twice, another would stay now.
    backwards = rasterize(snapshot_of(camera, positions, triangles[::-1]))
    assert np.array_equal(ids, np.where(backwards < 0, NO_SURFACE, len(triangles) - 1 - backwards))
    x, y = np.meshgrid(np.arange(20) + 0.5, np.arange(16) + 0.5)
    end_x, end_y = corners.max(axis=0)
    inside = (x > origin + 0.01) & (x < end_x - 0.01) & (y > origin + 0.01) & (y < end_y - 0.01)
    assert (ids[inside] >= 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_net_of_triangles_through_the_camera_has_no_holes(seed):
    random = np.random.default_rng(seed)
    corners, triangles = jittered_grid(
        12, 12, 1.0, random.uniform(-0.24, 0.24, (11, 11, 2)), random.random((12, 12)) < 0.5
    )
    camera = lens_camera(64, 48, focal_px=30, far=4.0)
    floor = np.column_stack([corners[:, 0] - 6, np.full(len(corners), -0.05), corners[:, 1] - 6])
    whole = [(-6, -0.05, -6), (6, -0.05, -6), (6, -0.05, 6), (-6, -0.05, 6)]
    covered = rasterize(snapshot_of(camera, whole, [(0, 1, 2), (0, 2, 3)])) >= 0
    assert 0.3 < covered.mean() < 0.7
    assert np.array_equal(rasterize(snapshot_of(camera, floor, triangles)) >= 0, covered)


def test_corners_far_outside_leave_an_edge_where_it_is():
    camera = sheet_camera(40, 30)
    # y = 3 + 0.6 x down, from a billion pixels left to a billion right.
    ends = [(-1e9, 3 - 0.6e9), (1e9, 3 + 0.6e9), (-1e9, 1e9)]
    x, y = np.meshgrid(np.arange(40) + 0.5, np.arange(30) + 0.5)
    beyond_px = y - (3 + 0.6 * x)
    sure = np.abs(beyond_px) > 1 / 64
    ids = rasterize(snapshot_of(camera, on_sheet(camera, ends)))
    assert np.array_equal((ids >= 0)[sure], (beyond_px > 0)[sure])


def test_degenerate_and_broken_triangles_are_never_drawn_and_raise_no_warning():
    camera = lens_camera(32, 32, focal_px=20)
    nowhere = [
        [(0, 0, -5)] * 3,
        [(-1, -1, -5), (0, 0, -5), (1, 1, -5)],
        [(0, 0, 0), (0, 0, 0), (0, 0, 0)],
        [(np.nan, 0, -5), (1, 0, -5), (0, 1, -5)],
        [(np.inf, 0, -5), (1, -1, -5), (0, 1, -5)],
        [(1e300, 0, -5), (1e300, 1, -5), (-1e300, 1e300, -5)],
    ]
    with np.errstate(divide="raise", invalid="raise"):
        ids = rasterize(snapshot_of(camera, nowhere[:6]))
        rasterize(snapshot_of(camera, nowhere))
    assert (ids == NO_SURFACE).all()


def edge_on(count, random):
    """Triangles in planes through the eye, 20 to 30 m away: lines in the image, slivers once they are snapped."""
    ends = random.uniform((-9, -9, -30), (9, 9, -20), (count, 2, 3))
    third = ends[:, 0] * random.uniform(0.3, 0.7, (count, 1)) + ends[:, 1] * random.uniform(0.3, 0.4, (count, 1))
    return np.stack([ends[:, 0], ends[:, 1], third], axis=1)


def test_a_triangle_seen_edge_on_is_not_drawn():
    camera = lens_camera(64, 64, focal_px=64)
    assert (rasterize(snapshot_of(camera, edge_on(2000, np.random.default_rng(1)))) == NO_SURFACE).all()


def test_a_sliver_does_not_show_through_a_wall_where_snapping_widens_it():
    random = np.random.default_rng(2)
    camera = lens_camera(64, 64, focal_px=64)
    slivers = edge_on(2000, random) + random.normal(size=(2000, 3, 3)) * 1e-6
    assert (rasterize(snapshot_of(camera, slivers)) >= 0).any()
    wall = [[(-99, -99, -10), (99, -99, -10), (0, 199, -10)]]
    assert (rasterize(snapshot_of(camera, np.concatenate([slivers, wall]))) == 2000).all()


# ---------------------------------------------------------------- which triangle


def overlapping(camera, *depths):
    """Triangles that cover the whole sheet, at these depths."""
    width, height = camera.width_px, camera.height_px
    return on_sheet(camera, *([(0, 0, d), (0, 2 * height, d), (2 * width, 0, d)] for d in depths))


SHEET = sheet_camera(4, 3)


def seen(*depths, **given):
    """The one triangle seen of some that cover everything."""
    ids = np.unique(rasterize(snapshot_of(SHEET, overlapping(SHEET, *depths), **given)))
    assert len(ids) == 1
    return ids[0]


def test_the_nearest_is_seen_and_of_equally_near_ones_the_last():
    assert seen(30, 10, 20) == 1
    assert seen(10, 10, 20) == 1
    assert seen(10, 20, 10) == 2


def test_in_front_is_drawn_over_all_others_and_depth_tested_among_itself():
    assert seen(10, 90, 80, in_front=[False, True, True]) == 2
    assert seen(90, 10, in_front=[True, False]) == 0


def test_a_holdout_hides_what_is_behind_it_and_nothing_before_it():
    assert seen(20, 10, holds_out=[False, True]) == NO_SURFACE
    assert seen(10, 20, holds_out=[False, True]) == 0
    assert seen(90, 10, holds_out=[False, True], in_front=[True, False]) == 0


def test_culling_leaves_out_what_turns_its_clockwise_side_to_the_camera():
    front, back = [(0, 0, -5), (1, 0, -5), (0, 1, -5)], [(0, 0, -4), (0, 1, -4), (1, 0, -4)]
    camera = lens_camera(16, 16, focal_px=40)
    assert set(np.unique(rasterize(snapshot_of(camera, [front, back])))) == {NO_SURFACE, 1}
    culled = rasterize(snapshot_of(camera, [front, back], culls_back=True))
    assert set(np.unique(culled)) == {NO_SURFACE, 0}

    from_behind = np.diag([-1.0, 1, -1, 1])
    from_behind[2, 3] = -9  # stands at z = -9 and looks along +z
    ids = rasterize(snapshot_of(replace(camera, camera_from_world=from_behind), [front, back], culls_back=True))
    assert set(np.unique(ids)) == {NO_SURFACE, 1}


@pytest.mark.parametrize(("distance", "gap"), [(40, 1e-9), (90, 1e-8), (0.2, 1e-11)])
def test_depths_are_told_apart_far_away(distance, gap):
    camera = lens_camera(40, 30, focal_px=20)
    corners = np.array([(-9, -9, -1), (9, -9, -1), (0, 30, -1)]) * distance * 0.99
    tilt = np.array([[1, 0, 0], [0, 1, 0], [0.2, 0.1, 1]])
    near, far = corners @ tilt.T, corners @ tilt.T - [0, 0, gap]
    assert set(np.unique(rasterize(snapshot_of(camera, [near, far])))) <= {NO_SURFACE, 0}
    assert set(np.unique(rasterize(snapshot_of(camera, [far, near])))) <= {NO_SURFACE, 1}


def test_a_decal_hides_the_fine_floor_that_it_lies_on():
    random = np.random.default_rng(4)
    flips = random.random((60, 60)) < 0.5
    corners, triangles = jittered_grid(60, 60, 1.0, random.uniform(-0.24, 0.24, (59, 59, 2)), flips)
    camera = lens_camera(64, 48, focal_px=50)
    floor = np.column_stack([corners[:, 0] - 30, np.full(len(corners), -1.0), -corners[:, 1]])
    decal = [(-900, -1 + 1e-7, 1), (900, -1 + 1e-7, 1), (0, -1 + 1e-7, -900)]
    ids = rasterize(snapshot_of(camera, [*decal, *floor], [(0, 1, 2), *(triangles + 3)]))
    assert set(np.unique(ids)) == {NO_SURFACE, 0}


def test_planes_that_pass_through_each_other_part_at_their_line():
    camera = sheet_camera(20, 10)
    level = [(0, 0, 30), (0, 20, 30), (40, 0, 30)]
    rising = [(0, 0, 23.1), (0, 20, 23.1), (40, 0, 63.1)]  # as deep as the other at x = 6.9
    ids = rasterize(snapshot_of(camera, on_sheet(camera, level, rising)))
    assert np.array_equal(ids, np.tile(np.where(np.arange(20) + 0.5 < 6.9, 1, 0), (10, 1)))


# ---------------------------------------------------------------- planes of the camera


def test_a_floor_is_seen_from_the_near_to_the_far_plane():
    camera = lens_camera(60, 80, focal_px=40, near=1.3, far=21.0, shift_px=(0, -12.2))
    endless = np.array([(-1e4, -1, -1e4), (1e4, -1, -1e4), (1e4, -1, 1e4), (-1e4, -1, 1e4)])
    ids = rasterize(snapshot_of(camera, endless, [(0, 2, 1), (0, 3, 2)], culls_back=True))
    # A row looks down by its distance from the horizon / focal, and meets the floor 1 m below at this depth.
    horizon = 40 - 12.2
    depth = 40 / (np.arange(80) + 0.5 - horizon)
    expected = (depth > 1.3) & (depth < 21.0)
    assert 0 < expected.sum() < 80
    assert np.array_equal(ids >= 0, np.tile(expected[:, None], (1, 60)))
    from_below = rasterize(snapshot_of(camera, endless, [(0, 1, 2), (0, 2, 3)], culls_back=True))
    assert (from_below == NO_SURFACE).all()


def test_two_triangles_at_a_cut_edge_get_the_very_same_point():
    random = np.random.default_rng(6)
    camera = lens_camera(64, 48, focal_px=40, near=1.0)
    inside = random.uniform((-3, -3, -9), (3, 3, -2), (200, 3))
    behind = random.uniform((-3, -3, 0), (3, 3, 5), (200, 3, 3))
    pairs = (np.arange(200)[:, None, None] * 4 + [[0, 1, 2], [1, 0, 3]]).reshape(-1, 3).astype(np.int32)
    positions = np.concatenate([inside[:, None], behind], axis=1).reshape(-1, 3)
    pieces = pieces_in_view(clip_positions(camera.clip_from_world, positions), pairs, 64, 48)
    assert np.array_equal(pieces.triangle_ids, np.arange(400))
    points = np.stack([pieces.x_px, pieces.y_px, pieces.nearness])[:, pieces.corners]
    for first, second in points.reshape(3, 3, 200, 2).transpose(2, 3, 1, 0):
        # The corner inside, the cut of the edge that both have, and one cut each.
        assert len(np.unique([*first, *second], axis=0)) == 4


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [0.05, 0.4, 6.0])
def test_rows_to_draw_are_all_that_is_seen(seed, size):
    random = np.random.default_rng(seed)
    camera = lens_camera(64, 48, focal_px=40, near=1.0, far=12.0)
    corners = random.uniform((-9, -9, -14), (9, 9, 3), (4000, 1, 3)) + random.normal(0, size, (4000, 3, 3))
    whole = snapshot_of(camera, corners)
    rows = rows_to_draw(clip_positions(camera.clip_from_world, whole.positions), whole.triangles, 64, 48)
    assert len(rows) < 3900
    assert np.isin(np.unique(rasterize(whole)), [NO_SURFACE, *rows]).all()


def test_a_triangle_is_left_out_unless_it_may_cover_a_pixel_centre():
    camera = sheet_camera(8, 8)

    def is_drawn(*corners):
        made = snapshot_of(camera, on_sheet(camera, corners))
        return len(rows_to_draw(clip_positions(camera.clip_from_world, made.positions), made.triangles, 8, 8)) == 1

    assert is_drawn((3, 3), (5, 3), (3, 5))
    assert not is_drawn((3.6, 1), (4.4, 4), (3.6, 7)), "between two columns of centres"
    assert not is_drawn((1, 3.6), (4, 4.4), (7, 3.6)), "between two rows"
    assert is_drawn((3.6, 1), (4.45, 4), (3.6, 7)), "as near to a centre as a GPU's grid is wide"
    assert not is_drawn((-9, 1), (-2, 4), (-5, 7)), "left of the image"
    assert is_drawn((-9, 1), (0.6, 4), (-5, 7))
    assert not is_drawn((1, 1, -1), (4, 4, -2), (1, 7, -1)), "behind the camera"
    assert not is_drawn((1, 1, 101), (4, 4, 102), (1, 7, 101)), "beyond the clip range"
    assert is_drawn((1, 1, -1), (4, 4, 102), (1, 7, -1)), "right through it"


def test_what_is_behind_the_camera_before_the_near_or_beyond_the_far_plane_is_not_seen():
    camera = lens_camera(16, 12, focal_px=10, near=1.0, far=10.0)
    for z, is_seen in [(5, False), (-0.9, False), (-1.1, True), (-9.9, True), (-10.1, False)]:
        ids = rasterize(snapshot_of(camera, [(-99, -99, z), (99, -99, z), (0, 99, z)]))
        assert (ids[6, 8] == 0) == is_seen, z


def test_an_orthographic_camera_clips_at_its_planes_even_behind_itself():
    camera = sheet_camera(4, 3)
    clip_from_camera = camera.clip_from_camera.copy()
    clip_from_camera[2] = 0, 0, -2 / 60, 0  # from z = 30, behind it, to z = -30
    behind = replace(camera, clip_from_camera=clip_from_camera, clip_start_m=-30.0, clip_end_m=30.0)
    corners = np.array(overlapping(camera, -20, 10, 40)).reshape(3, 3, 3)
    assert (rasterize(snapshot_of(behind, corners)) == 0).all()
    assert (rasterize(snapshot_of(camera, corners)) == 1).all()
    assert (rasterize(snapshot_of(behind, corners[[2]])) == NO_SURFACE).all()


# ---------------------------------------------------------------- against rays


def nearest_by_rays(camera, focal_px, corners, offset_px, culls_back):
    """The triangle that a ray through each pixel centre plus an offset meets first, by plane and three edge planes."""
    x, y = np.meshgrid(np.arange(camera.width_px) + 0.5, np.arange(camera.height_px) + 0.5)
    ahead = np.stack([(x + offset_px[0] - camera.width_px / 2), -(y + offset_px[1] - camera.height_px / 2)], axis=-1)
    rays = np.concatenate([ahead / focal_px, -np.ones((*x.shape, 1))], axis=-1)  # depth 1
    ids, nearest = np.full(x.shape, NO_SURFACE), np.full(x.shape, camera.clip_end_m)
    for number, (a, b, c) in enumerate(corners):
        normal = np.cross(b - a, c - a)
        towards = rays @ normal
        depth = (a @ normal) / towards
        points = rays * depth[..., None]
        inside = [np.cross(e - s, points - s) @ normal > 0 for s, e in ((a, b), (b, c), (c, a))]
        hit = inside[0] & inside[1] & inside[2] & (depth > camera.clip_start_m) & (depth < nearest)
        hit &= (towards < 0) | ~culls_back[number]
        ids[hit], nearest[hit] = number, depth[hit]
    return ids


@pytest.mark.parametrize("seed", range(12))
def test_random_triangles_through_each_other_and_the_camera_are_seen_as_by_rays(seed):
    random = np.random.default_rng(seed)
    camera, focal_px = lens_camera(56, 40, focal_px=35, near=0.4, far=14.0), 35
    middles = random.uniform((-6, -4, -16), (6, 4, 3), (40, 1, 3))
    corners = middles + random.normal(size=(40, 3, 3)) * random.choice([0.5, 1, 8], (40, 1, 1), p=[0.5, 0.4, 0.1])
    culls_back = random.random(40) < 0.5
    ids = rasterize(snapshot_of(camera, corners, culls_back=culls_back))
    step = 1 / 128
    around = [
        nearest_by_rays(camera, focal_px, corners, (dx, dy), culls_back)
        for dx in (-step, 0, step)
        for dy in (-step, 0, step)
    ]
    off_edges = np.all([other == around[0] for other in around], axis=0)
    assert off_edges.mean() > 0.97, "all edges"
    assert len(np.unique(ids)) > 5, "dull scene"
    assert np.array_equal(ids[off_edges], around[4][off_edges])


# ---------------------------------------------------------------- resources


def test_the_picture_does_not_depend_on_how_the_work_is_divided(monkeypatch):
    random = np.random.default_rng(5)
    camera = lens_camera(40, 30, focal_px=25, near=0.4)
    corners = random.uniform((-5, -4, -12), (5, 4, 1), (60, 1, 3)) + random.normal(size=(60, 3, 3))
    alpha = (random.random((3, 5)) < 0.5).astype(np.float32)
    scene = snapshot_of(
        camera,
        corners,
        uvs=random.random((60, 3, 2)).astype(np.float32),
        cutout_ids=random.integers(-1, 2, 60).astype(np.int32),
        cutouts=(WHITE, Cutout(alpha, repeats=True)),
    )
    at_once = rasterize(scene)
    monkeypatch.setattr(rasterize_module, "CHUNK", 7)
    assert np.array_equal(rasterize(scene), at_once)
    assert len(np.unique(at_once)) > 20


def test_many_huge_triangles_take_little_memory():
    camera = sheet_camera(400, 250)
    corners = overlapping(camera, *np.linspace(90, 10, 150))
    tracemalloc.start()
    try:
        ids = rasterize(snapshot_of(camera, corners))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (ids == 149).all()
    assert peak < 40e6  # a number for each of their pixels alone: 120 MB
