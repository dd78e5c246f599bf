# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras that are made for a character show all of it, with the margin asked for, and as little else as can be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animerun_addon.errors import InputError
from animerun_addon.labels.framing import Still, Turning, axes_looking_along, turned_about

UP = np.array([0.0, 0.0, 1.0])
BACK = np.array([0.0, 1.0, 0.0])
SIZE_PX = (512, 512)


def in_picture(view, points, size_px=SIZE_PX, margin=0.0):
    """(N, 2) where points are in the picture, 0..1 each, x to the right and y up; and their depths."""
    camera = np.linalg.inv(view.world_from_camera)
    local = points @ camera[:3, :3].T + camera[:3, 3]
    scale_m = view.scale_m(size_px, margin)
    sides_m = np.array(size_px) / max(size_px) * scale_m
    return local[:, :2] / sides_m + 0.5, -local[:, 2]


def cloud(seed, count=40):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 3)) * random.uniform(0.01, 5, 3) + random.uniform(-20, 20, 3)


@given(st.integers(0, 10_000), st.sampled_from([(512, 512), (640, 360), (128, 512)]), st.floats(0, 0.4))
def test_a_still_camera_shows_all_points_up_to_its_margin(seed, size_px, margin):
    points, axes = cloud(seed), axes_looking_along(BACK, UP)
    framing = Still()
    for picture, some in enumerate(np.array_split(points, 4)):
        framing.add(picture, axes, some)
    views = framing.views()
    assert len({view.world_from_camera.tobytes() for view in views.values()}) == 1
    places, depths = in_picture(views[0], points, size_px, margin)
    assert places.min() > margin - 1e-4
    assert places.max() < 1 - margin + 1e-4
    free = np.minimum(places.min(axis=0), 1 - places.max(axis=0))
    assert free.min() == pytest.approx(margin, abs=1e-4)
    assert depths.min() > views[0].distance_m / 4
    assert depths.max() < views[0].distance_m * 2


@given(st.integers(0, 10_000))
def test_a_turning_camera_shows_all_points_of_each_picture_at_one_size(seed):
    turning, clouds = Turning(), {}
    for picture in range(6):
        walked = np.array([picture * 3.0, -picture, 0.2 * np.sin(picture)])
        clouds[picture] = cloud(seed) + walked
        turning.add(picture, axes_looking_along(turned_about(UP, picture) @ BACK, UP), clouds[picture])
    views = turning.views()
    assert len({view.scale_m(SIZE_PX, 0.05) for view in views.values()}) == 1
    for picture, points in clouds.items():
        places, depths = in_picture(views[picture], points, margin=0.05)
        assert places.min() > 0.05 - 1e-4
        assert places.max() < 0.95 + 1e-4
        assert depths.min() > views[picture].distance_m / 4
        assert depths.max() < views[picture].distance_m * 2


def test_a_turning_camera_goes_along_with_who_walks_but_not_with_who_jumps():
    person = np.array([(x, y, z) for x in (-0.2, 0.2) for y in (-0.1, 0.1) for z in (0.0, 1.7)])
    turning, axes = Turning(), axes_looking_along(BACK, UP)
    for picture, shift in enumerate([(0, 0, 0), (2, 0, 0), (2, 0, 0.5)]):
        turning.add(picture, axes, person + shift)
    middles = [
        in_picture(view, (person + shift).mean(axis=0)[None])[0][0]
        for view, shift in zip(turning.views().values(), [(0, 0, 0), (2, 0, 0), (2, 0, 0.5)], strict=True)
    ]
    assert middles[0] == pytest.approx(middles[1], abs=1e-6)
    assert middles[2][0] == pytest.approx(0.5, abs=1e-6)
    assert middles[2][1] - middles[1][1] == pytest.approx(0.5 / 2.2, abs=1e-6)


def test_turning_to_the_left_of_who_faces_the_camera_shows_the_left_side():
    # Who faces -Y has its left at +X.
    axes = axes_looking_along(BACK, UP) @ turned_about(UP, -np.pi / 2)
    assert axes[2] == pytest.approx([1, 0, 0], abs=1e-12)  # the camera stands at its left
    assert axes[1] == pytest.approx(UP)
    assert np.linalg.det(axes) == pytest.approx(1)


def test_what_is_no_number_is_left_out_and_of_nothing_there_is_no_view():
    framing = Still()
    framing.add(1, axes_looking_along(BACK, UP), np.full((3, 3), np.nan))
    assert framing.views() == {}
    framing.add(2, axes_looking_along(BACK, UP), np.array([(np.nan, 0, 0), (1.0, 2.0, 3.0)]))
    view = framing.views()[2]
    assert in_picture(view, np.array([[1.0, 2.0, 3.0]]))[0] == pytest.approx(np.full((1, 2), 0.5))


def test_no_camera_looks_along_its_own_up():
    with pytest.raises(InputError, match="another direction"):
        axes_looking_along(UP, UP)
