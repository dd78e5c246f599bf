# SPDX-License-Identifier: GPL-3.0-or-later
"""The id pass shows what a snapshot made by hand must show. Whole scenes: test_id_pass_workbench.py."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from id_scenes import CARD, CARD_UVS, FROM_BEHIND, camera_at_origin, card, cards, per_card, random_scene, snapshot_of

from animerun_addon.labels.rasterize import rasterize
from animerun_addon.labels.snapshot import NO_SURFACE, Cutout
from animerun_addon.scene.id_pass import draw_ids


class TestMadeByHand:
    def test_nothing_is_no_surface_everywhere(self):
        ids = draw_ids(snapshot_of([], []))
        assert ids.shape == (48, 64)
        assert ids.dtype == np.int32
        assert (ids == NO_SURFACE).all()

    def test_row_0_is_the_top(self):
        ids = draw_ids(snapshot_of(card(5, half_size=1, centre=(-2, 1.5)), CARD))
        rows, columns = np.nonzero(ids >= 0)
        assert (rows.max() < 24, columns.max() < 32) == (True, True)
        assert ids.dtype == np.int32

    def test_pixel_is_seen_where_its_centre_is(self):
        """Edges at 0.4 and 0.6 of a pixel, to either side of its centre."""
        camera = camera_at_origin(10, 10, half_width=5.0, is_orthographic=True)
        for edge, columns in ((2.4, 5 + 2), (2.6, 5 + 3)):
            positions = [(-9, -9, -1), (edge, -9, -1), (edge, 9, -1), (-9, 9, -1)]
            assert (draw_ids(snapshot_of(positions, CARD, camera)) >= 0).sum(axis=1).tolist() == [columns] * 10

    @pytest.mark.parametrize("is_orthographic", [False, True])
    def test_nearest_wins(self, is_orthographic):
        camera = camera_at_origin(is_orthographic=is_orthographic)
        ids = draw_ids(cards(7, 3, 5, camera=camera))
        assert set(np.unique(ids)) == {2, 3}

    @pytest.mark.parametrize("is_orthographic", [False, True])
    def test_a_millimetre_at_40_metres(self, is_orthographic):
        camera = camera_at_origin(640, 480, (0.1, 1e5), is_orthographic=is_orthographic)
        for first, second, nearer in ((40.0, 40.001, {0, 1}), (40.001, 40.0, {2, 3})):
            planes = [*card(first, 100), *card(second, 100)]
            ids = draw_ids(snapshot_of(planes, [*CARD, *(CARD + 4)], camera))
            assert set(np.unique(ids)) == nearer

    @pytest.mark.parametrize("is_orthographic", [False, True])
    def test_clip_range(self, is_orthographic):
        camera = camera_at_origin(clip=(2.0, 10.0), is_orthographic=is_orthographic)
        assert (draw_ids(cards(1.99, 10.01, camera=camera)) == NO_SURFACE).all()
        assert set(np.unique(draw_ids(cards(1.99, 9.99, camera=camera)))) == {2, 3}
        assert set(np.unique(draw_ids(cards(2.01, 10.01, camera=camera)))) == {0, 1}

    def test_floor_that_goes_on_behind_the_camera(self):
        """Below the horizon there is floor down to the lowest row, above none; it ends at its own edge."""
        floor = [(-1e3, -1, 50), (1e3, -1, 50), (1e3, -1, -90), (-1e3, -1, -90)]
        ids = draw_ids(snapshot_of(floor, CARD, camera_at_origin(64, 48, half_width=1.0)))
        slopes_down = (np.arange(48) + 0.5 - 24) / 32
        assert np.array_equal((ids >= 0).all(axis=1), slopes_down > 1 / 90)
        assert np.array_equal((ids >= 0).any(axis=1), slopes_down > 1 / 90)

    def test_back_faces_are_seen_unless_culled(self):
        one = snapshot_of(card(5), FROM_BEHIND)
        assert (draw_ids(one) >= 0).all()
        assert (draw_ids(replace(one, culls_back=np.ones(2, bool))) == NO_SURFACE).all()
        front = snapshot_of(card(5), CARD, culls_back=np.ones(2, bool))
        assert (draw_ids(front) >= 0).all()

    def test_culled_and_two_sided_triangles_in_one_picture(self):
        """An inverted hull: its near side, seen from behind, gives way to the two-sided card inside it."""
        positions = [*card(3), *card(5), *card(7)]
        triangles = [*FROM_BEHIND, *(FROM_BEHIND + 4), *(CARD + 8)]
        ids = draw_ids(snapshot_of(positions, triangles, culls_back=per_card(True, False, True)))
        assert set(np.unique(ids)) == {2, 3}

    def test_in_front_is_over_all_that_is_nearer(self):
        ids = draw_ids(cards(2, 9, 7, 4, in_front=per_card(False, True, True, False)))
        assert set(np.unique(ids)) == {4, 5}

    def test_holdout_hides_and_is_not_seen(self):
        positions = [*card(5), *card(3, half_size=1), *card(2, half_size=0.2)]
        held = snapshot_of(positions, [*CARD, *(CARD + 4), *(CARD + 8)], holds_out=per_card(False, True, False))
        without = draw_ids(replace(held, holds_out=np.zeros(6, bool)))
        ids = draw_ids(held)
        assert set(np.unique(without)) == {0, 1, 2, 3, 4, 5}
        assert np.array_equal(ids, np.where((without == 2) | (without == 3), NO_SURFACE, without))

    @pytest.mark.parametrize("broken", [np.nan, np.inf, 1e300])
    def test_triangle_with_a_broken_corner_is_not_there(self, broken):
        two = cards(3, 5)
        two.positions[2, 0] = broken
        assert set(np.unique(draw_ids(two))) == {2, 3}

    def test_flags_that_differ_by_triangle_need_no_order(self):
        """Seen is a row of `triangles`, whatever order they are drawn in."""
        rng = np.random.default_rng(6)
        tiles = np.concatenate([card(5, 0.4, (x, y)) for y in range(-3, 4) for x in range(-4, 5)])
        triangles = np.concatenate([CARD + 4 * n for n in range(63)])
        plain = draw_ids(snapshot_of(tiles, triangles))
        flags = {name: rng.random(126) < 0.5 for name in ("culls_back", "in_front", "holds_out")}
        ids = draw_ids(snapshot_of(tiles, triangles, **flags))
        assert len(np.unique(plain)) == 127
        assert np.array_equal(ids, np.where(flags["holds_out"][plain], NO_SURFACE, plain))


def test_of_what_is_equally_near_both_backends_see_the_same():
    """Copies of one net that lie in one place, solid and cut out, culled and in front, in any order."""
    rng = np.random.default_rng(6)
    net = [corner for x in range(-4, 5) for corner in card(5, half_size=0.6, centre=(x, 0.3 * x))]
    triangles = np.tile(np.concatenate([CARD + 4 * n for n in range(9)]), (40, 1))
    count = len(triangles)
    alike = snapshot_of(
        net,
        rng.permutation(triangles),
        culls_back=rng.random(count) < 0.5,
        in_front=rng.random(count) < 0.03,
        uvs=rng.random((count, 3, 2)).astype(np.float32),
        cutout_ids=rng.integers(-1, 2, count).astype(np.int32),
        cutouts=(Cutout(np.eye(4, dtype=np.float32), True), Cutout(1 - np.eye(4, dtype=np.float32), False)),
    )
    ids = draw_ids(alike)
    assert len(np.unique(ids)) > 30
    assert np.array_equal(ids, rasterize(alike))


class TestCutouts:
    """A card of 8 x 8 texels before another card."""

    ALPHA = np.random.default_rng(1).random((8, 8)).astype(np.float32)

    def shown(self, uvs=CARD_UVS, repeats=True, half_size=2.5, depth=3.0, alpha=ALPHA):
        """Where the cut-out card (triangles 0 and 1) is seen, at 8 x 8 pixels that it fills exactly."""
        camera = camera_at_origin(8, 8, half_width=half_size, is_orthographic=True)
        two = snapshot_of([*card(depth, half_size), *card(9)], [*CARD, *(CARD + 4)], camera)
        ids = draw_ids(
            replace(
                two,
                uvs=np.concatenate([uvs, np.zeros_like(CARD_UVS)]).astype(np.float32),
                cutout_ids=np.array([0, 0, -1, -1], np.int32),
                cutouts=(Cutout(alpha, repeats),),
            )
        )
        assert (ids >= 0).all()
        return ids < 2

    def test_a_texel_is_there_from_half_alpha_on(self):
        assert np.array_equal(self.shown(), self.ALPHA >= 0.5)

    def test_exactly_half_is_there(self):
        assert self.shown(alpha=np.full((8, 8), 0.5, np.float32)).all()

    def test_texture_repeats(self):
        shown = self.shown(uvs=CARD_UVS + np.array([2.25, -3.5], np.float32))
        assert np.array_equal(shown, np.roll(self.ALPHA >= 0.5, (-4, -2), axis=(0, 1)))

    def test_texture_goes_on_with_its_border(self):
        shown = self.shown(uvs=CARD_UVS + np.array([0.25, -0.5], np.float32), repeats=False)
        rows = np.clip(np.arange(8) + 4, 0, 7)
        columns = np.clip(np.arange(8) + 2, 0, 7)
        assert np.array_equal(shown, (self.ALPHA >= 0.5)[np.ix_(rows, columns)])

    def test_uvs_are_perspective_correct(self):
        """A wall that recedes from depth 2 to 10: the row of texels at a pixel follows from its ray."""
        width = 200
        camera = camera_at_origin(width, 20, half_width=1.0)
        wall = [(-1, -9, -2), (7, -9, -10), (7, 9, -10), (-1, 9, -2)]
        alpha = np.tile(np.array([1, 0], np.float32), (1, 8))
        ids = draw_ids(
            snapshot_of(
                wall, CARD, camera, uvs=CARD_UVS, cutout_ids=np.zeros(2, np.int32), cutouts=(Cutout(alpha, True),)
            )
        )
        slope = (np.arange(width) + 0.5 - width / 2) / (width / 2)
        t = (2 * slope + 1) / (8 * (1 - slope))  # where x / depth = (-1 + 8 t) / (2 + 8 t) is the slope
        expected = (t >= 0) & (t <= 1) & (np.floor(t * 16) % 2 == 0)
        assert 40 < expected.sum() < 100
        assert np.array_equal(ids >= 0, np.broadcast_to(expected, ids.shape))

    def test_cut_out_culled_in_front_and_others_in_one_picture(self):
        """Every group draws with its own numbers: each card is seen through what is missing of those before it."""
        count = 6
        positions = np.concatenate([card(2 + n, half_size=0.1 * (2 + n) * (n + 1)) for n in range(count)])
        shuffled = np.random.default_rng(2).permutation(np.concatenate([CARD + 4 * n for n in range(count)]))
        cutout_ids = np.where(shuffled[:, 0] // 4 % 2 == 0, 0, -1).astype(np.int32)
        solid = np.ones((1, 1), np.float32)
        plain = draw_ids(snapshot_of(positions, shuffled))
        grouped = snapshot_of(
            positions,
            shuffled,
            culls_back=shuffled[:, 0] // 4 % 3 == 0,
            cutout_ids=cutout_ids,
            cutouts=(Cutout(solid, True),),
            uvs=np.zeros((2 * count, 3, 2), np.float32),
        )
        assert len(np.unique(plain)) == 2 * count + 1
        assert np.array_equal(draw_ids(grouped), plain)


def test_numbers_on_vertices_draw_the_same_as_primitive_numbers(monkeypatch):
    """What Metal would use, tried here."""
    snapshot = random_scene(np.random.default_rng(3), 3000)
    plain = draw_ids(snapshot)
    monkeypatch.setattr("animerun_addon.scene.id_pass.needs_vertex_ids", lambda: True)
    assert np.array_equal(draw_ids(snapshot), plain)


def test_pictures_do_not_depend_on_what_was_drawn_before():
    """Programs and buffers of one picture are freed, and the next one's may lie where they were."""
    rng = np.random.default_rng(4)
    alpha = np.ones((1, 1), np.float32)
    plain = random_scene(rng, 800)
    cut = replace(
        plain,
        uvs=np.zeros((800, 3, 2), np.float32),
        cutout_ids=np.where(plain.positions[::3, 0] < 0, 0, -1).astype(np.int32),
        cutouts=(Cutout(alpha, True),),
    )
    wholly_cut = replace(cut, cutout_ids=np.zeros(800, np.int32))
    expected = draw_ids(plain)
    for n in range(60):
        assert np.array_equal(draw_ids((plain, cut, wholly_cut)[n * n % 3 if n % 5 else 2]), expected), n


def test_memory_of_pictures_is_given_back():
    def used_mb():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    large = snapshot_of(card(5), CARD, camera_at_origin(2048, 1024))
    draw_ids(large)
    before = used_mb()
    for _ in range(20):
        draw_ids(large)
    assert used_mb() - before < 160  # 20 pictures and their depths are 320 MB
