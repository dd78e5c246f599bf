# SPDX-License-Identifier: GPL-3.0-or-later
"""Contour lines lie on the borders of the id image, on the nearer side, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_snapshots import ball, cube, orthographic, perspective, plane, seen, snapshot, turned

from animerun_addon.labels import fields
from animerun_addon.labels.line_art import darkened
from animerun_addon.labels.lines import contour_lines, drawn_over
from animerun_addon.labels.rasterize import rasterize
from animerun_addon.labels.surface import surface_points


def lines_of(scene, thickness_px=1.0):
    return contour_lines(scene, surface_points(scene, rasterize(scene)), thickness_px)


def object_borders(scene):
    """By hand: pixels with a neighbour of another object that is farther away (background: infinitely)."""
    surface = surface_points(scene, rasterize(scene))
    objects, depth = fields.object_ids(scene, surface), fields.depth(surface)
    height, width = objects.shape
    borders = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if 0 <= y + dy < height and 0 <= x + dx < width:
                    other = y + dy, x + dx
                    borders[y, x] |= objects[y, x] != objects[other] and depth[y, x] < depth[other]
    return borders


CAMERAS = {"perspective": perspective(), "orthographic": orthographic()}


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
def test_lines_are_exactly_the_borders_between_objects(camera):
    scene = snapshot(
        1, camera, plane("Wall", 3.0), plane("Card", 1.5, (0.6, 0.3, 1)), plane("Chip", 0.4, (-1, -0.5, 2))
    )
    assert np.array_equal(lines_of(scene), object_borders(scene))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-2, 2)] * 3, st.floats(0.3, 3)), min_size=1, max_size=5))
def test_wherever_cards_stand_lines_are_their_borders(cards):
    # Each at a depth of its own: of two at one depth the rasteriser's order decides who is seen.
    meshes = [plane(f"Card {n}", size, (x, y, z + 0.01 * n)) for n, (x, y, z, size) in enumerate(cards)]
    scene = snapshot(1, perspective(), *meshes)
    assert np.array_equal(lines_of(scene), object_borders(scene))


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
@pytest.mark.parametrize("tilt", [0, 60, 85])
def test_a_flat_mesh_has_no_lines_however_fine_and_tilted(camera, tilt):
    scene = snapshot(1, camera, plane(size=200.0, turn=turned((1, 0, 0), -tilt), cells=64))
    lines = lines_of(scene)
    borders = object_borders(scene)
    assert np.array_equal(lines, borders)


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
def test_a_round_mesh_has_an_outline_and_no_lines_inside(camera):
    scene = snapshot(1, camera, ball(radius=1.5, rings=48))
    assert np.array_equal(lines_of(scene), object_borders(scene))


def test_edges_of_a_cube_are_lines():
    scene = snapshot(1, perspective(), cube(turn=turned((1, 1, 0), 40)))
    triangles = rasterize(scene)
    faces = np.where(triangles >= 0, triangles // 2, -1)
    across = (faces[:, 1:] != faces[:, :-1]) & (faces[:, 1:] >= 0) & (faces[:, :-1] >= 0)
    lines = lines_of(scene)
    assert across.any()
    assert (lines[:, 1:] | lines[:, :-1])[across].all()
    inside = lines & ~object_borders(scene)
    near_an_edge = np.zeros_like(lines)
    near_an_edge[:, 1:] |= across
    near_an_edge[:, :-1] |= across
    down = (faces[1:] != faces[:-1]) & (faces[1:] >= 0) & (faces[:-1] >= 0)
    near_an_edge[1:] |= down
    near_an_edge[:-1] |= down
    assert not (inside & ~near_an_edge).any()


def test_an_object_before_itself_has_a_line_between():
    wall, flap = plane("Folded", 4.0), plane("Folded", 1.0, (0, 0, 1.5))
    vertices = np.concatenate((wall.vertices, flap.vertices))
    triangles = np.concatenate((wall.triangles, flap.triangles + len(wall.vertices)))
    folded = type(wall)("Folded", vertices, triangles)
    scene, apart = snapshot(1, perspective(), folded), snapshot(1, perspective(), wall, flap)
    assert np.array_equal(lines_of(scene), object_borders(apart))


def test_what_is_in_front_has_the_line_though_it_is_farther_away():
    scene = snapshot(1, perspective(), plane("Wall", 3.0, (0, 0, 1)), plane("Eye", 1.0, in_front=True))
    objects = np.where(seen(scene) >= 0, seen(scene) // 2, -1)
    lines = lines_of(scene)
    eye_border = lines & (objects == 1)
    assert eye_border.any()
    inner = np.zeros_like(lines)
    inner[1:-1, 1:-1] = objects[1:-1, 1:-1] == 1
    touches_wall = np.zeros_like(lines)
    for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
        touches_wall |= np.roll(objects, shift, axis) == 0
    assert np.array_equal(eye_border, inner & touches_wall)


@pytest.mark.parametrize("thickness_px", [2, 3, 5.5])
def test_thicker_lines_hold_the_thinner_ones(thickness_px):
    scene = snapshot(1, perspective(), cube(turn=turned((1, 1, 0), 40)))
    thin, thick = lines_of(scene), lines_of(scene, thickness_px)
    assert (thick | ~thin).all()
    assert thick.sum() > thin.sum()


def test_a_straight_line_is_as_thick_as_asked():
    scene = snapshot(1, orthographic(), plane(size=40.0, at=(20, 0, 0)))
    for thickness in (1, 2, 3, 5):
        assert set(lines_of(scene, thickness).sum(axis=1).tolist()) == {thickness}


def test_an_empty_picture_has_no_lines():
    scene = snapshot(1, perspective(eye=(0, 0, -5)), plane(size=1.0))
    assert not lines_of(scene).any()


def test_drawn_lines_change_nothing_else():
    frame = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    lines = np.zeros((6, 5), bool)
    lines[2] = True
    black, coloured = drawn_over(frame, lines), drawn_over(frame, lines, is_coloured=True)
    assert (black[lines] == 0).all()
    assert (coloured[lines] <= frame[lines]).all()
    assert coloured[lines].any()
    for drawn in (black, coloured):
        assert np.array_equal(drawn[~lines], frame[~lines])


def test_lines_over_a_clear_film_are_opaque():
    clear = np.zeros((2, 2, 4), np.uint8)
    lines = np.array([[True, False], [False, False]])
    assert drawn_over(clear, lines)[..., 3].tolist() == [[255, 0], [0, 0]]


def test_line_art_darkens_and_keeps_white():
    greys = np.arange(256, dtype=np.uint8).reshape(16, 16)
    dark = darkened(greys)
    assert dark.ravel()[255] == 255
    assert (dark <= greys).all()
    assert dark.ravel()[128] == round(255 * (128 / 255) ** 5)
