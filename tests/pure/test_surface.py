# SPDX-License-Identifier: GPL-3.0-or-later
"""The surface point behind a pixel is exact, and so is what is read off it: against rays cast in world space."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_snapshots import (
    centres,
    cube,
    hits,
    orthographic,
    perspective,
    plane,
    projected,
    rays,
    seen,
    snapshot,
    turned,
)

from animerun_addon.labels import fields
from animerun_addon.labels.projection import camera_rays, on_image
from animerun_addon.labels.surface import surface_points

TURN = turned((1, 2, 3), 40)
CAMERAS = {
    "perspective": perspective(),
    "shifted, long pixels": perspective(shift_px=(7, -4), aspect=1.5, turn=turned((1, 1, 0), 8)),
    "orthographic": orthographic(shift_px=(3, 2), turn=turned((1, 1, 0), 8)),
}


@pytest.fixture(params=CAMERAS.values(), ids=CAMERAS.keys())
def camera(request):
    return request.param


def points_by_ray(scene, surface):
    near, far = rays(scene.camera, *centres(scene.camera))
    t = hits(scene, near, far).min(axis=1)[surface.pixels, None]
    return near[surface.pixels] + t * (far - near)[surface.pixels]


def test_points_are_where_rays_meet_a_cube(camera):
    scene = snapshot(1, camera, cube(turn=TURN), plane(at=(0, 0, -2)))
    surface = surface_points(scene, seen(scene))
    assert len(surface.pixels) == 64 * 48
    assert np.abs(surface.points_m() - points_by_ray(scene, surface)).max() < 1e-9
    assert surface.barycentrics.min() >= -1e-9
    assert np.abs(surface.barycentrics.sum(axis=0) - 1).max() < 1e-12


def test_depth_is_along_the_view_axis_and_infinite_in_the_background(camera):
    scene = snapshot(1, camera, cube(turn=TURN))
    surface = surface_points(scene, seen(scene))
    depth_m = fields.depth(surface)
    along = -(camera.camera_from_world[2, :3] @ surface.points_m().T + camera.camera_from_world[2, 3])
    assert depth_m.dtype == np.float32
    assert np.abs(depth_m.ravel()[surface.pixels] - along).max() < 1e-6
    assert np.isinf(depth_m.ravel()[surface.background()]).all()
    assert 0 < len(surface.background()) < 64 * 48


def test_normals_point_out_of_a_cube_and_back_faces_keep_theirs():
    scene = snapshot(1, perspective(), cube(turn=TURN))
    surface = surface_points(scene, seen(scene))
    image = fields.normals(surface).reshape(-1, 3)
    points, normals = surface.points_m(), image[surface.pixels].astype(np.float64)
    assert np.abs((points * normals).sum(axis=1) - 1).max() < 1e-5  # a cube of 2 m around the origin: n·p = 1
    assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 1e-6
    assert not image[surface.background()].any()

    from_below = snapshot(1, perspective(eye=(0, 0, -5), turn=turned((1, 0, 0), 180)), plane())
    normals = fields.normals(surface_points(from_below, seen(from_below)))
    assert np.abs(normals - (0, 0, 1)).max() < 1e-6


def test_a_plane_that_passes_under_the_camera_needs_no_clipping():
    camera = perspective(eye=(0, 0, 1), turn=turned((1, 0, 0), 80), start=0.01)  # the ground goes on behind it
    scene = snapshot(1, camera, plane(size=400))
    ids = seen(scene)
    surface = surface_points(scene, ids)
    assert 0 < (ids < 0).sum() < ids.size
    points = surface.points_m()
    assert np.abs(points[:, 2]).max() < 1e-9
    x, y = centres(camera)
    assert np.abs(projected(camera, points) - np.stack((x, y), axis=1)[surface.pixels]).max() < 1e-9


def test_tiny_triangles_far_from_the_origin_are_as_exact():
    at = (3000.0, -2000.0, 500.0)
    scene = snapshot(
        1, perspective(eye=(3000, -2000, 505), focal_px=2000, size=(8, 6)), plane(size=0.02, cells=8, at=at)
    )
    surface = surface_points(scene, seen(scene))
    assert len(surface.triangles) > 20
    assert np.abs(surface.points_m() - points_by_ray(scene, surface)).max() < 1e-9


def test_a_triangle_seen_edge_on_has_a_point_of_its_own_at_each_of_its_pixels():
    # A square seen from its side, in a row of pixel centres: its plane says nothing about what lies beside it.
    scene = snapshot(1, perspective(shift_px=(0, 0.5)), plane(size=3, turn=turned((1, 0, 0), 89.999)))
    ids = np.full((48, 64), -1, dtype=np.int32)
    ids[24, 20:44] = 0
    surface = surface_points(scene, ids)
    points = surface.points_m()
    assert surface.triangles.tolist().count(0) >= 24
    assert np.abs(projected(scene.camera, points)[:, 0] - (np.arange(20, 44) + 0.5)).max() < 2
    assert (np.diff(points[:, 0]) >= 0).all()
    assert np.abs(points).max() < 1.6


def test_a_pixel_centre_just_outside_of_an_edge_on_triangle_gets_a_point_of_that_triangle():
    # A rasteriser that snaps corners may draw the cube's side that is seen edge-on; its plane goes to the horizon.
    scene = snapshot(1, perspective(eye=(1, 0, 5)), cube())
    ids = seen(scene)
    side = np.flatnonzero(np.abs(scene.positions[scene.triangles][:, :, 0] - 1).max(axis=1) < 1e-9)
    ids[24, 32] = side[0]
    surface = surface_points(scene, ids)
    point = surface.points_m()[np.flatnonzero(surface.pixels == 24 * 64 + 32)[0]]
    assert np.isfinite(surface.barycentrics).all()
    assert np.abs(point).max() < 1 + 1e-9


def test_ids_are_the_triangles_objects_and_materials():
    scene = snapshot(1, perspective(), cube(turn=TURN), plane(at=(0, 0, -2), size=4))
    ids = seen(scene)
    surface = surface_points(scene, ids)
    expected = np.where(ids < 0, -1, np.where(ids < 12, 0, 1))
    assert set(np.unique(expected)) == {-1, 0, 1}
    assert np.array_equal(fields.object_ids(scene, surface), expected)
    assert np.array_equal(fields.material_ids(scene, surface), np.where(ids < 0, -1, 0))
    assert fields.object_ids(scene, surface).dtype == np.int32


def test_udp_is_the_rest_coordinate_of_the_point_whatever_the_pose():
    rest = cube().vertices
    posed = cube(turn=TURN, at=(0.3, 0, 0), rest=rest)
    scene = snapshot(1, perspective(), posed, plane(at=(0, 0, -2), size=4))
    ids = seen(scene)
    surface = surface_points(scene, ids)
    image, clipped_share = fields.udp(scene, surface, (0.25, 0.25, 0.125), (0.5, 0.5, 0.5))
    on_cube = (ids >= 0) & (ids < 12)
    at_rest = (surface.points_m() - (0.3, 0, 0)) @ TURN
    expected = np.zeros((64 * 48, 3))
    expected[surface.pixels] = at_rest * (0.25, 0.25, 0.125) + 0.5
    assert image.dtype == np.float32
    assert np.abs(image[on_cube, :3] - expected.reshape(48, 64, 3)[on_cube]).max() < 1e-6
    assert np.array_equal(image[..., 3], on_cube)
    assert not image[~on_cube].any()
    assert clipped_share == 0.0


def test_udp_tells_how_much_was_clipped():
    scene = snapshot(1, perspective(), plane(size=2, rest=plane(size=2).vertices))
    surface = surface_points(scene, seen(scene))
    image, clipped_share = fields.udp(scene, surface, (1.0, 0.25, 1.0), (1.0, 0.5, 0.5))  # x > 0 goes beyond 1
    assert clipped_share == pytest.approx(0.5, abs=0.05)
    assert image.max() == 1.0
    assert fields.udp(scene, surface, (0.5, 0.5, 1.0), (0.5, 0.5, 0.5))[1] == 0.0


def test_udp_of_a_triangle_seen_edge_on_is_that_of_the_points_it_has_and_raises_no_warning():
    square = plane(size=3, turn=turned((1, 0, 0), 89.999))
    scene = snapshot(1, perspective(shift_px=(0, 0.5)), dataclasses.replace(square, rest=square.vertices))
    ids = np.full((48, 64), -1, dtype=np.int32)
    ids[24, 20:44] = 0
    surface = surface_points(scene, ids)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image, clipped_share = fields.udp(scene, surface, (0.25, 0.25, 0.25), (0.5, 0.5, 0.5))
    assert clipped_share == 0.0
    assert np.abs(image[24, 20:44, :3] - (surface.points_m() * 0.25 + 0.5)).max() < 1e-6


def test_an_empty_picture_has_labels_too():
    scene = snapshot(1, perspective(), plane(at=(0, 0, 50)))
    surface = surface_points(scene, np.full((48, 64), -1, dtype=np.int32))
    assert np.isinf(fields.depth(surface)).all()
    assert (fields.object_ids(scene, surface) == -1).all()
    assert not fields.udp(scene, surface, (1, 1, 1), (0, 0, 0))[0].any()


numbers = st.floats(-1, 1)


@given(
    eye=st.tuples(*[st.floats(-100, 100)] * 3),
    axis=st.tuples(numbers, numbers, st.floats(0.1, 1)),
    degrees=st.floats(0, 360),
    focal=st.floats(20, 500),
    shift=st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
    x=st.floats(0, 64),
    y=st.floats(0, 48),
    depth_m=st.floats(0.1, 1000),
    flat=st.booleans(),
)
def test_rays_come_back_to_their_pixels(eye, axis, degrees, focal, shift, x, y, depth_m, flat):
    turn = turned(axis, degrees)
    camera = orthographic(eye, turn, focal / 10, shift) if flat else perspective(eye, turn, focal, shift, aspect=1.25)
    origins, directions = camera_rays(camera, np.array([x]), np.array([y]))
    there = on_image(camera, origins + depth_m * directions)[:, 0]
    assert np.abs(there[:2] / there[2] - (x, y)).max() < 1e-8
    assert there[3] == pytest.approx(depth_m, rel=1e-9)
    near, far = (end[0] for end in rays(camera, np.array([x]), np.array([y])))
    along = (far - near) / np.linalg.norm(far - near)
    assert np.linalg.norm(np.cross(along, directions[0] / np.linalg.norm(directions[0]))) < 1e-6
