# SPDX-License-Identifier: GPL-3.0-or-later
"""The box of pixels that a triangle may touch holds all that are drawn of it, and not the whole picture for nothing."""

import numpy as np
import pytest
from raster_scenes import lens_camera, sheet_camera, snapshot_of

from animerun_addon.labels.rasterize import rasterize

WIDTH_PX, HEIGHT_PX, FOCAL_PX, NEAR_M = 64, 48, 40.0, 0.1
WHOLE_PICTURE = [0, WIDTH_PX, 0, HEIGHT_PX]


def camera():
    return lens_camera(WIDTH_PX, HEIGHT_PX, FOCAL_PX, NEAR_M)


def boxes(triangles, seen_by=None):
    """(T, 4): first column, end, first row, end."""
    return snapshot_of(seen_by or camera(), triangles).boxes_px.T


def pixels_of_each(triangles):
    """(T, H, W): what is drawn of each triangle alone."""
    return np.array([rasterize(snapshot_of(camera(), [triangle])) == 0 for triangle in triangles])


def random_triangles(count, seed):
    """Before, behind and across the camera's plane, some with corners within the clip start."""
    rng = np.random.default_rng(seed)
    corners = rng.normal(0, 1, (count, 3, 3)) * rng.choice((0.2, 1, 5), (count, 1, 1))
    corners[..., 2] -= rng.choice((0, 0.1, 1), (count, 1))
    return corners


@pytest.mark.parametrize("seed", range(4))
def test_the_box_holds_every_pixel_that_is_drawn(seed):
    triangles = random_triangles(100, seed)
    drawn = pixels_of_each(triangles)
    assert 20 < drawn.any(axis=(1, 2)).sum() < 100
    for (left, right, top, bottom), pixels in zip(boxes(triangles), drawn, strict=True):
        assert pixels[top:bottom, left:right].sum() == pixels.sum()


def test_what_crosses_the_cameras_plane_has_no_larger_box_than_the_picture_beyond_its_corners():
    """A corner behind the camera could be anywhere: that the box reaches the border from the others is all there is."""
    triangles = random_triangles(300, 9)
    depth = -triangles[..., 2]
    crossing = (depth.min(axis=1) < 0) & (depth.max(axis=1) > NEAR_M)
    assert crossing.sum() > 50
    found = boxes(triangles[crossing])
    area = (found[:, 1] - found[:, 0]) * (found[:, 3] - found[:, 2])
    assert (found >= 0).all()
    assert (found <= [WIDTH_PX, WIDTH_PX, HEIGHT_PX, HEIGHT_PX]).all()
    assert (area < WIDTH_PX * HEIGHT_PX).mean() > 0.5


def test_a_floor_under_the_camera_touches_the_lower_rows_alone():
    """1 m below; its far edge, 5 m away, is seen 40 / 5 = 8 px under the middle."""
    floor = [(-9, -1, -5), (9, -1, -5), (0, -1, 5)]
    assert boxes([floor]).tolist() == [[0, WIDTH_PX, HEIGHT_PX // 2 + 8 - 1, HEIGHT_PX]]


def test_a_wall_beside_the_camera_touches_the_columns_on_its_side_alone():
    wall = [(2, -9, -8), (2, 9, -8), (2, 0, 8)]
    assert boxes([wall]).tolist() == [[WIDTH_PX // 2 + 10 - 1, WIDTH_PX, 0, HEIGHT_PX]]


@pytest.mark.parametrize("depth_m", [0.0, 0.05, -1.0, -50.0])
def test_what_is_wholly_before_clip_start_or_behind_touches_nothing(depth_m):
    left, right, top, bottom = boxes([[(-1, -1, -depth_m), (1, -1, -depth_m), (0, 1, -depth_m)]])[0]
    assert (right - left) * (bottom - top) == 0


def test_right_at_clip_start_a_triangle_is_there():
    card = [(-1, -1, -NEAR_M), (1, -1, -NEAR_M), (0, 1, -NEAR_M)]
    assert boxes([card]).tolist() == [WHOLE_PICTURE]


def test_without_perspective_depth_moves_no_box():
    """An orthographic camera may have its clip start behind it."""
    card = np.array([(10, 10, 0), (20, 10, 0), (10, 30, 0)], float)
    found = [boxes([card + np.array((0, 0, z))], sheet_camera(WIDTH_PX, HEIGHT_PX)).tolist() for z in (-50, 0, 50)]
    assert found == [[[9, 21, HEIGHT_PX - 31, HEIGHT_PX - 9]]] * 3
