# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut-outs in the numpy rasteriser: which texel decides, and where a card is there."""

import numpy as np
from raster_scenes import WHITE, lens_camera, picture, sheet_camera, snapshot_of

from animerun_addon.labels.rasterize import rasterize
from animerun_addon.labels.snapshot import Cutout

QUAD = [(0, 1, 2), (0, 2, 3)]
QUAD_UVS = np.array([[(0, 0), (1, 0), (1, 1)], [(0, 0), (1, 1), (0, 1)]], np.float32)


def quad_with(cutout, uvs=QUAD_UVS, **given):
    """Fills a sheet of 4 x 4 pixels, uv from its lower left to its upper right corner."""
    camera = sheet_camera(4, 4)
    corners = [(0, 0, -9), (4, 0, -9), (4, 4, -9), (0, 4, -9)]
    cards = {"uvs": np.asarray(uvs, np.float32), "cutout_ids": np.zeros(2, np.int32), "cutouts": (cutout,)}
    return rasterize(snapshot_of(camera, corners, QUAD, **cards, **given)) >= 0


def test_a_cutout_is_drawn_from_alpha_half_on_with_its_first_row_at_the_top():
    alpha = np.array([[0.5, 0.49], [0, 1]], np.float32)
    assert np.array_equal(quad_with(Cutout(alpha, repeats=False)), picture("11.. 11.. ..11 ..11") >= 0)


def test_a_cutout_flush_on_a_solid_surface_is_seen_whichever_comes_first():
    camera = sheet_camera(4, 4)
    corners = [(0, 0, -9), (4, 0, -9), (4, 4, -9), (0, 4, -9)]
    decal = Cutout(np.array([[1, 0], [0, 0]], np.float32), repeats=False)
    for decal_rows in (slice(0, 2), slice(2, 4)):
        cutout_ids = np.full(4, -1, np.int32)
        cutout_ids[decal_rows] = 0
        both = {"uvs": np.tile(QUAD_UVS, (2, 1, 1)), "cutout_ids": cutout_ids, "cutouts": (decal,)}
        ids = rasterize(snapshot_of(camera, corners, QUAD * 2, **both))
        assert np.array_equal(cutout_ids[ids] == 0, picture("11.. 11.. .... ....") >= 0)


def test_beyond_its_border_a_cutout_repeats_or_goes_on():
    alpha = np.array([[1, 0], [0, 0]], np.float32)  # there in the upper left quarter
    wide = QUAD_UVS * 2 - np.float32(1)  # the image is the upper right quarter of the sheet
    assert np.array_equal(quad_with(Cutout(alpha, repeats=True), wide), picture("1.1. .... 1.1. ....") >= 0)
    assert np.array_equal(quad_with(Cutout(alpha, repeats=False), wide), picture("111. .... .... ....") >= 0)


def test_a_cutout_follows_perspective_through_the_near_plane():
    camera = lens_camera(64, 64, focal_px=32, near=0.5)
    alpha = (np.indices((8, 8)).sum(axis=0) % 2).astype(np.float32)
    alpha[0] = 0
    # A floor 1 m below, uv in metres: x, and away from the camera.
    corners = [(-30, -1, 10), (30, -1, 10), (30, -1, -30), (-30, -1, -30)]
    uvs = np.array([(x, -z) for x, _, z in corners], np.float32)[QUAD]
    ids = rasterize(
        snapshot_of(camera, corners, QUAD, uvs=uvs, cutout_ids=np.zeros(2, np.int32), cutouts=(Cutout(alpha, True),))
    )
    x, y = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)
    depth = 32 / np.where(y > 32, y - 32, np.nan)
    on_floor = (depth > 0.5) & (depth < 30) & (np.abs((x - 32) / 32 * depth) < 30)
    u, v = np.where(on_floor, (x - 32) / 32 * depth, 0) * 8, np.where(on_floor, depth, 0) * 8
    expected = on_floor & (alpha[7 - np.floor(v).astype(int) % 8, np.floor(u).astype(int) % 8] >= 0.5)
    off_texel_edges = (np.abs(u - np.round(u)) > 1e-9) & (np.abs(v - np.round(v)) > 1e-9)
    assert off_texel_edges[32:].mean() > 0.9
    assert 0.1 < expected.mean() < 0.4
    assert np.array_equal((ids >= 0)[off_texel_edges], expected[off_texel_edges])


def test_uvs_that_are_no_numbers_raise_no_warning():
    for broken in (np.nan, np.inf):
        with np.errstate(invalid="raise"):
            assert quad_with(WHITE, np.full_like(QUAD_UVS, broken)).all()


def test_through_a_hole_the_triangles_behind_are_seen_and_a_holdout_card_holds_out_only_where_it_is():
    alpha = np.array([[1, 0]], np.float32)
    camera = sheet_camera(4, 4)
    corners = [(0, 0, -9), (4, 0, -9), (4, 4, -9), (0, 4, -9), (0, 0, -50), (8, 0, -50), (0, 8, -50)]
    cards = {
        "uvs": np.concatenate([QUAD_UVS, np.full((1, 3, 2), np.nan, np.float32)]),
        "cutout_ids": np.array([1, 1, -1], np.int32),
        "cutouts": (WHITE, Cutout(alpha, repeats=False)),
    }
    ids = rasterize(snapshot_of(camera, corners, [*QUAD, (4, 5, 6)], **cards))
    assert np.array_equal(ids == 2, picture("..11 ..11 ..11 ..11") >= 0)
    held_out = rasterize(snapshot_of(camera, corners, [*QUAD, (4, 5, 6)], holds_out=[True, True, False], **cards))
    assert np.array_equal(held_out, picture("..22 ..22 ..22 ..22"))
