# SPDX-License-Identifier: GPL-3.0-or-later
"""Optical flow is exact for every camera and motion, against formulas on paper; and what is unknown is said."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from tiny_snapshots import (
    Mesh,
    centres,
    cube,
    orthographic,
    perspective,
    plane,
    projected,
    seen,
    snapshot,
    turned,
)

from animerun_addon.labels.correspondence import correspondence
from animerun_addon.labels.motion import flow
from animerun_addon.labels.rasterize import rasterize
from animerun_addon.labels.surface import surface_points

# The issue asks for 1e-3 px. float32 holds a flow of some pixels to 1e-6.
EXACT_PX = 1e-5
TILT = turned((1, 0.3, 0), 25)


def flow_between(here, there):
    return flow(here, surface_points(here, seen(here)), there)


def from_centre(camera):
    """(H, W, 2): how far pixel centres are from the picture's centre."""
    x, y = centres(camera)
    offset = np.stack((x - camera.width_px / 2, y - camera.height_px / 2), axis=-1)
    return offset.reshape(camera.height_px, camera.width_px, 2)


def worst(result, expected_px):
    assert result.valid.all()
    return np.abs(result.flow_px - expected_px).max()


def test_flow_to_itself_is_zero():
    scene = snapshot(1, perspective(turn=TILT), cube(turn=TILT), plane(at=(0, 0, -3)))
    result = flow_between(scene, scene)
    assert result.flow_px.dtype == np.float32
    assert worst(result, 0.0) < 1e-9
    assert result.notes == ()


def test_a_camera_that_moves_sideways_shifts_a_plane_against_it():
    here, there = (snapshot(frame, perspective(eye=(x, y, 5)), plane()) for frame, x, y in ((1, 0, 0), (2, 0.5, 0.25)))
    assert worst(flow_between(here, there), (-0.5 * 60 / 5, 0.25 * 60 / 5)) < EXACT_PX


def test_a_zooming_camera_gives_radial_flow():
    here, there = (snapshot(frame, perspective(focal_px=focal), plane()) for frame, focal in ((1, 60), (2, 75)))
    assert worst(flow_between(here, there), from_centre(here.camera) * (75 / 60 - 1)) < EXACT_PX


def test_a_camera_that_comes_nearer_gives_radial_flow():
    here, there = (snapshot(frame, perspective(eye=(0, 0, z)), plane()) for frame, z in ((1, 5), (2, 4)))
    assert worst(flow_between(here, there), from_centre(here.camera) * (5 / 4 - 1)) < EXACT_PX


def test_a_shifting_lens_moves_everything_alike():
    here = snapshot(1, perspective(), plane())
    there = snapshot(2, perspective(shift_px=(3.5, -2.25)), plane())
    # A lens shifted right shows the world moved left: the third column meets a z that is negative.
    assert worst(flow_between(here, there), (-3.5, -2.25)) < EXACT_PX


def test_a_turning_and_moving_camera_follows_the_points_of_a_plane():
    here = snapshot(1, perspective(turn=TILT), plane(cells=3))
    there = snapshot(2, perspective(eye=(1, 0.5, 4), turn=turned((0.2, 1, 0.5), 12), focal_px=50), plane(cells=3))
    expected = through_plane(here.camera, there.camera)
    assert worst(flow_between(here, there), expected) < EXACT_PX


def test_pixels_that_are_not_square_have_flow_in_their_own_units():
    here, there = (snapshot(n, perspective(eye=(n, n, 5), aspect=1.6), plane()) for n in (0, 1))
    assert worst(flow_between(here, there), (-12, 12 / 1.6)) < EXACT_PX


def test_an_orthographic_camera_whose_scale_changes_gives_radial_flow():
    here, there = (snapshot(frame, orthographic(px_per_m=scale), plane()) for frame, scale in ((1, 10), (2, 13)))
    assert worst(flow_between(here, there), from_centre(here.camera) * 0.3) < EXACT_PX


def test_an_orthographic_camera_that_shifts_and_moves():
    here = snapshot(1, orthographic(), plane())
    there = snapshot(2, orthographic(eye=(0.5, 0, 9), shift_px=(0, 4)), plane())
    assert worst(flow_between(here, there), (-5, -4)) < EXACT_PX


def test_every_point_of_a_turning_cube_is_followed():
    camera, moving_camera = perspective(), perspective(eye=(0.3, 0, 5.5), focal_px=65)
    turn = turned((1, 2, 3), 20)
    here = snapshot(1, camera, cube(turn=turned((1, 1, 0), 50)))
    there = snapshot(2, moving_camera, cube(turn=turn @ turned((1, 1, 0), 50), at=(0.2, 0, 0.1)))
    surface = surface_points(here, seen(here))
    result = flow(here, surface, there)
    x, y = centres(camera)
    expected = projected(moving_camera, surface.points_m() @ turn.T + (0.2, 0, 0.1))
    expected -= np.stack((x, y), axis=-1)[surface.pixels]
    assert np.abs(result.flow_px.reshape(-1, 2)[surface.pixels] - expected).max() < EXACT_PX
    assert len(np.unique(surface.triangles)) >= 5  # three faces


def test_a_plane_that_crosses_the_near_plane_is_followed_up_to_the_camera():
    turn = turned((1, 0, 0), 80)
    here, there = (snapshot(n, perspective(eye=(0, 4 * n, 1), turn=turn), plane(size=400)) for n in (0, 1))
    result = flow_between(here, there)
    ground = seen(here) >= 0
    # What the camera moves past lies behind it afterwards: no place in that picture.
    expected = through_plane(here.camera, there.camera)
    ahead = through_plane(here.camera, there.camera, depth_only=True) > 0
    assert 0 < (ground & ~ahead).sum() < ground.sum()
    assert np.array_equal(result.valid & ground, ahead & ground)
    error = np.abs(result.flow_px - expected)[ground & ahead]
    assert (error / np.maximum(1, np.abs(expected[ground & ahead]))).max() < 1e-6


@pytest.mark.parametrize("roll", [0, 37])
@pytest.mark.parametrize("step_m", [0.1, 0.5])
def test_two_triangles_that_fill_a_large_picture_are_as_exact(roll, step_m):
    # Far from where a triangle's numbers were found: a ground up to the horizon, seen by a rolled camera.
    turn = turned((1, 0, 0), 80) @ turned((0, 0, 1), roll)
    here, there = (
        snapshot(n, perspective((0, step_m * n, 1), turn, 1000.0, size=(1024, 436)), plane(size=400)) for n in (0, 1)
    )
    ids = rasterize(here)
    result = flow(here, surface_points(here, ids), there)
    ground = (ids >= 0) & result.valid
    assert ground.mean() > 0.3
    error = np.abs(result.flow_px - through_plane(here.camera, there.camera))[ground]
    assert error.max() < 10 * EXACT_PX  # flows of some 150 px, which float32 holds to 1e-5


def through_plane(camera, other, depth_only=False):
    """The flow of the plane z = 0, by its homography: image <- (x, y, 1) on the plane."""
    maps = []
    for which in (camera, other):
        to_image = np.array(
            [[which.width_px / 2, 0, which.width_px / 2], [0, -which.height_px / 2, which.height_px / 2], [0, 0, 1]]
        )
        maps.append(to_image @ which.clip_from_world[np.ix_([0, 1, 3], [0, 1, 3])])
    x, y = centres(camera)
    on_plane = np.linalg.solve(maps[0], np.stack((x, y, np.ones_like(x))))
    there = maps[1] @ (on_plane / on_plane[2])
    if depth_only:
        return there[2].reshape(camera.height_px, camera.width_px)
    landed = (there[:2] / there[2]).T - np.stack((x, y), axis=-1)
    return landed.reshape(camera.height_px, camera.width_px, 2)


def test_what_is_behind_the_other_camera_has_no_flow():
    here = snapshot(1, perspective(), plane())
    there = snapshot(2, perspective(eye=(0, 0, -5)), plane())
    assert not flow_between(here, there).valid.any()
    assert not flow_between(here, there).flow_px.any()


def test_background_moves_as_infinitely_far_points_do():
    turn = turned((0.3, 1, 0.2), 7)
    here = snapshot(1, perspective(focal_px=60), plane(size=1))
    there = snapshot(2, perspective(eye=(3, 2, 5), turn=turn, focal_px=70, shift_px=(2, 1)), plane(size=1))
    result = flow_between(here, there)
    background = seen(here) < 0
    # K' R K^-1, the camera's own axes x right, y down, z ahead.
    flip = np.diag([1, -1, -1])
    intrinsics = [
        np.array([[focal, 0, 32 - sx], [0, focal, 24 + sy], [0, 0, 1]]) for focal, sx, sy in ((60, 0, 0), (70, 2, 1))
    ]
    x, y = centres(here.camera)
    there_h = intrinsics[1] @ (flip @ turn.T @ flip) @ np.linalg.inv(intrinsics[0]) @ np.stack((x, y, np.ones_like(x)))
    expected = ((there_h[:2] / there_h[2]).T - np.stack((x, y), axis=-1)).reshape(48, 64, 2)
    assert background.sum() > 1000
    assert result.valid[background].all()
    assert np.abs(result.flow_px - expected)[background].max() < EXACT_PX


def test_background_stands_still_while_a_camera_only_moves():
    here, there = (snapshot(n, perspective(eye=(n, n, 5 + n)), plane(size=1)) for n in (0, 1))
    background = seen(here) < 0
    result = flow_between(here, there)
    assert result.valid[background].all()
    assert np.abs(result.flow_px[background]).max() < 1e-9


@pytest.mark.parametrize("other", [orthographic(eye=(1, 0, 5)), orthographic(px_per_m=11), perspective(focal_px=10)])
def test_orthographic_background_is_unknown_once_the_camera_moves(other):
    here = snapshot(1, orthographic(), plane(size=1))
    background = seen(here) < 0
    still = flow_between(here, snapshot(2, orthographic(end=500), plane(size=1, at=(0.5, 0, 0))))
    assert still.valid.all()
    assert not still.flow_px[background].any()
    moved = flow_between(here, snapshot(2, other, plane(size=1)))
    assert not moved.valid[background].any()
    assert moved.valid[~background].all()


def test_there_is_no_flow_across_a_cut():
    here, there = snapshot(1, perspective(), plane()), snapshot(2, perspective(name="Close-up"), plane())
    result = flow_between(here, there)
    assert not result.valid.any()
    assert not result.flow_px.any()
    assert len(result.notes) == 1
    assert "Close-up" in result.notes[0]


def test_flow_reaches_any_frame_and_comes_back():
    def scene(frame):
        camera = perspective(eye=(frame / 10, 0, 5), turn=turned((0, 1, 0), frame))
        return snapshot(frame, camera, cube(turn=turned((1, 2, 3), 4 * frame)), plane(at=(0, 0, -2)))

    here, there = scene(1), scene(6)
    surface = surface_points(here, seen(here))
    forward = flow(here, surface, there)
    # The same triangles, seen at frame 6 from where they landed: going back must end at the pixel centres.
    landed = forward.flow_px.astype(np.float64).reshape(-1, 2) + np.stack(centres(here.camera), axis=-1)
    corners = there.positions[there.triangles[surface.triangles]][surface.places]
    points = (surface.barycentrics.T[:, :, None] * corners).sum(axis=1)
    assert np.abs(projected(there.camera, points) - landed).max() < EXACT_PX
    own = here.positions[here.triangles[surface.triangles]][surface.places]
    back = projected(here.camera, (surface.barycentrics.T[:, :, None] * own).sum(axis=1))
    assert np.abs(back - np.stack(centres(here.camera), axis=-1)).max() < 1e-9


def test_pixels_of_the_other_picture_count_where_sizes_differ():
    here = snapshot(1, perspective(), plane())
    there = snapshot(2, perspective(size=(128, 96), focal_px=120), plane())
    x, y = centres(here.camera)
    assert worst(flow_between(here, there), np.stack((x, y), axis=-1).reshape(48, 64, 2)) < EXACT_PX


NOT_FOLLOWED = {
    "gone": ([], "not there at frame 7"),
    "another topology": ([cube(topology="other")], "topology differs at frame 7"),
    "no correspondence": ([cube(no_correspondence="bake its particle cache")], "bake its particle cache"),
}


@pytest.mark.parametrize(("cubes", "reason"), NOT_FOLLOWED.values(), ids=NOT_FOLLOWED.keys())
def test_what_cannot_be_followed_is_invalid_and_named(cubes, reason):
    ground = plane(at=(0, 0, -2), turn=TILT)
    here = snapshot(1, perspective(), cube(), ground)
    there = snapshot(7, perspective(), *cubes, ground)
    result = flow_between(here, there)
    on_cube = (seen(here) >= 0) & (seen(here) < 12)
    assert np.array_equal(result.valid, ~on_cube)
    assert not result.flow_px[on_cube].any()
    assert len(result.notes) == 1
    assert result.notes[0].startswith("Cube: ")
    assert reason in result.notes[0]


def test_what_is_not_seen_is_not_complained_about():
    hidden = cube(name="Behind", at=(0, 0, -10))
    here, there = snapshot(1, perspective(), plane(), hidden), snapshot(2, perspective(), plane())
    assert flow_between(here, there).notes == ()
    assert correspondence(here, there).lost == {1: "it is not there at frame 2"}


def test_velocities_are_used_where_vertices_do_not_match_and_it_is_said():
    splash = plane(name="Splash", size=2, velocity=(0.5, 0, 0), no_correspondence="its topology changes")
    here, there = snapshot(1, perspective(), splash), snapshot(3, perspective(), plane(name="Splash", topology="new"))
    result = flow_between(here, there)
    on_splash = seen(here) >= 0
    assert result.valid[on_splash].all()
    assert np.abs(result.flow_px[on_splash] - (2 * 0.5 * 60 / 5, 0)).max() < EXACT_PX
    assert result.notes == ("Splash: flow from its velocities, its topology changes",)


def test_velocities_do_not_replace_vertices_that_match():
    here = snapshot(1, perspective(), plane(velocity=(9, 9, 9)))
    assert worst(flow_between(here, snapshot(2, perspective(), plane(at=(0.5, 0, 0)))), (6, 0)) < EXACT_PX


def test_instances_are_matched_by_key_and_not_by_order():
    parts = [plane(name=str(number), at=(number, 0, 0)) for number in range(5)]
    moved = [parts[number].moved((0, 0, number)) for number in (3, 4, 0, 2)]
    here, there = snapshot(1, perspective(), *parts), snapshot(2, perspective(), *moved)
    found = correspondence(here, there)
    assert found.followed.tolist() == [True, False, True, True, True]
    for number in (0, 2, 3, 4):
        rows = np.arange(4) + here.instances[number].first_vertex + found.shifts[number]
        assert np.array_equal(there.positions[rows], parts[number].moved((0, 0, number)).vertices)
    assert set(found.lost) == {1}


def test_the_arrays_given_are_left_alone():
    here = snapshot(1, perspective(), Mesh("Splash", plane().vertices, plane().triangles, velocity=(1, 0, 0)))
    positions = here.positions.copy()
    flow_between(here, replace(here, frame=2.0, instances=()))
    assert np.array_equal(here.positions, positions)


def test_three_thousand_instances_are_matched_quickly():
    parts = [plane(name=str(number), at=(number, 0, 0)) for number in range(3000)]
    here, there = snapshot(1, perspective(), *parts), snapshot(2, perspective(), *reversed(parts))
    start = time.perf_counter()
    found = correspondence(here, there)
    assert time.perf_counter() - start < 0.2  # 0.01 on a free core
    assert found.followed.all()
    rows = 4 * np.arange(3000)[:, None] + np.arange(4) + found.shifts[:, None]
    assert np.array_equal(there.positions[rows.ravel()], here.positions)
