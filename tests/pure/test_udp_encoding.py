# SPDX-License-Identifier: GPL-3.0-or-later
"""The UDP encoding: both presets' numbers, round trips, what is clipped, and that the pictures keep to it."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_snapshots import ball, cube, perspective, plane, seen, snapshot, turned

from animerun_addon.errors import InputError
from animerun_addon.labels import fields
from animerun_addon.labels.surface import surface_points
from animerun_addon.labels.udp_encoding import ROUNDING, Preset, UdpEncoding

METRES = st.floats(-50, 50, width=32)
BOXES = arrays.arrays(np.float64, (2, 3), elements=METRES).map(lambda corners: np.sort(corners, axis=0))
UNIT = UdpEncoding((1, 1, 1), (0, 0, 0))


def has_extent(box):
    return (box[1] - box[0]).max() > 1e-3


# ---------------------------------------------------------------- CoNR's preset


@pytest.mark.parametrize(
    ("place", "rest", "expected"),
    [
        ("left hand", (0.376344, 0, 0.6), (0.85, 0.4, 0.582)),
        ("right hand", (-0.376344, 0, 0.6), (0.15, 0.4, 0.582)),
        ("soles", (0, 0, 0), (0.5, 0.4, 0.03)),
        ("crown", (0, 0, 1), (0.5, 0.4, 0.95)),
        ("toes", (0.05, -0.0925, 0), (0.5465, 0.03, 0.03)),
        ("back hair", (0, 0.0675, 0.9), (0.5, 0.67, 0.858)),
    ],
)
@pytest.mark.parametrize("height_m", [1.0, 1.62, 0.0162, 20.0])
def test_the_conr_preset_puts_the_body_where_the_authors_picture_has_it(place, rest, expected, height_m):
    colour = UdpEncoding.conr(height_m).encode(np.array(rest) * height_m)
    assert colour == pytest.approx(expected, abs=1e-5), place


def test_the_conr_preset_starts_at_the_soles_wherever_they_are():
    on_origin = UdpEncoding.conr(1.5)
    elsewhere = UdpEncoding.conr(1.5, sole_m=0.7, middle_m=(0.2, -0.1))
    points = np.random.default_rng(0).uniform(-0.2, 1, (20, 3))
    assert np.allclose(elsewhere.encode(points + np.array((0.2, -0.1, 0.7))), on_origin.encode(points), atol=1e-6)
    assert on_origin.preset is elsewhere.preset is Preset.CONR


@pytest.mark.parametrize("height_m", [0.0, -1.0, np.nan, np.inf])
def test_a_body_without_height_is_refused(height_m):
    with pytest.raises(InputError, match="soles to crown"):
        UdpEncoding.conr(height_m)


# ---------------------------------------------------------------- the uniform preset


@given(BOXES)
def test_the_uniform_preset_clips_nothing_and_uses_the_longest_axis_whole(box):
    assume(has_extent(box))
    encoding = UdpEncoding.uniform(box)
    corners = np.array(np.meshgrid(*box.T)).reshape(3, -1).T
    assert not encoding.clipped(corners).any()
    assert encoding.clipped_share(corners) == 0.0
    assert len(set(encoding.scale)) == 1
    low, high = encoding.encode(box)
    assert low + high == pytest.approx([1, 1, 1], abs=1e-5)
    assert (high - low).max() == pytest.approx(1, abs=1e-5)
    assert encoding.preset is Preset.UNIFORM


def test_a_mirrored_character_has_mirrored_colours():
    rest = np.random.default_rng(1).uniform((0, -0.2, 0), (0.7, 0.3, 1.7), (100, 3))
    mirrored = rest * (-1, 1, 1)
    for encoding in (UdpEncoding.uniform([mirrored.min(axis=0), rest.max(axis=0)]), UdpEncoding.conr(1.7)):
        both = encoding.encode(rest).astype(np.float64) + encoding.encode(mirrored)
        inside = ~encoding.clipped(rest)
        assert np.abs(both[inside, 0] - 2 * encoding.offset[0]).max() < 1e-6


@pytest.mark.parametrize("bounds", [np.zeros((2, 3)), np.ones((2, 3))])
def test_a_character_without_extent_is_refused(bounds):
    with pytest.raises(InputError, match="no extent"):
        UdpEncoding.uniform(bounds)


@pytest.mark.parametrize(
    "bounds", [[(1, 0, 0), (0, 1, 1)], [(0, 0, 0), (1, np.nan, 1)], [(0, 0, 0), (1, np.inf, 1)], np.zeros((3, 3))]
)
def test_bounds_that_are_none_are_refused(bounds):
    with pytest.raises(InputError, match="lowest and its highest"):
        UdpEncoding.uniform(bounds)


def test_a_flat_character_is_centred_on_the_axis_it_has_no_extent_on():
    assert UdpEncoding.uniform([(0, 3, 0), (2, 3, 1)]).encode((2, 3, 1)).tolist() == [1.0, 0.5, 0.75]


# ---------------------------------------------------------------- any encoding


def scales():
    size = st.floats(0.01, 100)
    return st.tuples(*[st.one_of(size, size.map(lambda number: -number))] * 3)


@given(scales(), st.tuples(*[METRES] * 3), arrays.arrays(np.float32, (5, 3), elements=st.floats(0, 1, width=32)))
def test_colours_come_back_from_rest_coordinates(scale, offset, colours):
    encoding = UdpEncoding(scale, offset)
    assert np.abs(encoding.encode(encoding.decode(colours)) - colours).max() < 1e-6


@given(BOXES, st.data())
def test_rest_coordinates_come_back_from_colours(box, data):
    assume(has_extent(box))
    shares = data.draw(arrays.arrays(np.float64, (4, 3), elements=st.floats(0, 1)))
    rest = box[0] + shares * (box[1] - box[0])
    encoding = UdpEncoding.uniform(box)
    assert np.abs(encoding.decode(encoding.encode(rest)) - rest).max() * encoding.scale[0] < 1e-6


def test_what_is_beyond_comes_back_on_the_side_that_clipped_it():
    encoding = UdpEncoding((0.5, -1, 1), (0.5, 0.5, 0))
    assert encoding.decode(encoding.encode((7, 9, 0.25))).tolist() == [1.0, 0.5, 0.25]


def test_the_background_has_no_rest_coordinates():
    rest = UNIT.decode([[[0.5, 0.25, 1, 1], [0, 0, 0, 0]]])
    assert rest[0, 0].tolist() == [0.5, 0.25, 1]
    assert np.isnan(rest[0, 1]).all()
    assert np.isnan(UNIT.encode([np.nan, 0, 0])[0])


def test_arrays_of_any_shape_keep_it():
    for shape in ((), (0,), (2,), (2, 3, 4)):
        assert UNIT.encode(np.zeros((*shape, 3))).shape == UNIT.decode(np.zeros((*shape, 3))).shape == (*shape, 3)
    assert UNIT.encode(np.zeros(3)).dtype == np.float32
    assert UNIT.decode(np.zeros(3)).dtype == np.float64


@pytest.mark.parametrize("scale", [(1, 1, 0), (1, 1), (1, 1, 1, 1), 1, (1, np.nan, 1), (1, 1, np.inf), "abc", None])
def test_a_scale_that_cannot_be_undone_is_refused(scale):
    with pytest.raises(InputError, match="UDP scale"):
        UdpEncoding(scale, (0, 0, 0))


def test_an_offset_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="UDP offset"):
        UdpEncoding((1, 1, 1), (0, np.nan, 0))


def test_arrays_without_three_axes_are_refused():
    with pytest.raises(InputError, match="X, Y and Z"):
        UNIT.encode(np.zeros((3, 2)))
    with pytest.raises(InputError, match="channels"):
        UNIT.decode(np.zeros((3, 2)))


def test_equal_numbers_make_equal_encodings():
    assert UdpEncoding(np.ones(3), [0, 0, 0], "free") == UNIT
    assert hash(UdpEncoding((1, 1, 1), (0, 0, 0))) == hash(UNIT)


# ---------------------------------------------------------------- the clipped share


def test_the_clipped_share_of_vertices_leaves_out_what_has_no_rest_coordinate():
    rest = np.array([(0.5, 0.5, 0.5), (1.5, 0, 0), (0, 0, -1), (1, 1, 1), (np.nan, 0, 0)])
    assert UNIT.clipped(rest).tolist() == [False, True, True, False, False]
    assert UNIT.clipped_share(rest) == 0.5
    assert UNIT.clipped_share(rest[4:]) == 0.0


def test_rounding_is_no_clipping():
    assert not UNIT.clipped([(1 + ROUNDING / 2, -ROUNDING / 2, 0)]).any()


def square(side, at=(0, 0, 0)):
    mesh = plane(size=side, at=np.asarray(at) + np.array((side / 2, side / 2, 0)))
    return mesh.vertices, mesh.triangles


@pytest.mark.parametrize(
    ("side", "at", "expected"),
    [
        (1, (0, 0, 0.5), 0.0),
        (2, (0, 0, 0.5), 0.75),
        (2, (-0.5, -0.5, 0.5), 0.75),
        (1, (0.25, 0, 0), 0.25),
        (1, (0.5, 0.5, 0), 0.75),
        (1, (0, 0, 1.1), 1.0),
        (1, (3, 0, 0), 1.0),
    ],
)
def test_the_clipped_share_of_a_square_is_what_sticks_out_of_the_unit_cube(side, at, expected):
    assert UNIT.clipped_share(*square(side, at)) == pytest.approx(expected, abs=1e-4)


def test_a_large_triangle_may_pass_through_the_cube_without_a_corner_in_it():
    rest, triangles = np.array([(-9, -9, 0.5), (10, -9, 0.5), (0.5, 10, 0.5)], dtype=float), np.array([(0, 1, 2)])
    assert UNIT.clipped_share(rest) == 1.0
    assert UNIT.clipped_share(rest, triangles) == pytest.approx(1 - 1 / 180.5, abs=1e-6)


def test_the_clipped_share_of_a_ball_is_that_of_its_cap():
    mesh = ball(radius=0.5, at=(0.5, 0.5, 0.75), rings=64)  # the cap above z = 1 is a quarter of the diameter high
    assert UNIT.clipped_share(mesh.vertices, mesh.triangles) == pytest.approx(0.25, abs=1e-3)


@given(st.integers(0, 2**32 - 1), scales(), st.tuples(*[st.floats(-1, 1)] * 3))
def test_the_clipped_share_of_area_agrees_with_points_strewn_over_it(seed, scale, offset):
    corners = np.random.default_rng(seed).uniform(-2, 3, (4, 3, 3))
    triangles = np.arange(12).reshape(4, 3)
    encoding = UdpEncoding(scale, offset)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    steps = (np.arange(40) + 0.5) / 40
    u, v = (grid.ravel() for grid in np.meshgrid(steps, steps))
    # The half of the square beyond the triangle is turned back into it.
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    along, across = (corners[:, place] - corners[:, 0] for place in (1, 2))
    points = corners[:, :1] + u[:, None] * along[:, None] + v[:, None] * across[:, None]
    expected = (encoding.clipped(points).mean(axis=1) * areas).sum() / areas.sum()
    share = encoding.clipped_share(corners.reshape(12, 3), triangles)
    assert 0 <= share <= 1
    assert share == pytest.approx(expected, abs=0.08)


def test_triangles_without_rest_coordinates_or_extent_do_not_count():
    rest, triangles = square(2)
    with_none = np.concatenate((rest, [(np.nan, 0, 0)]))
    more = np.concatenate((triangles, [(0, 1, 4), (0, 0, 0)]))
    assert UNIT.clipped_share(with_none, more) == pytest.approx(0.75, abs=1e-4)
    assert UNIT.clipped_share(with_none, np.array([(0, 1, 4)])) == 0.0


def test_a_mirrored_axis_clips_the_same():
    rest, triangles = square(1, (0.25, 0, 0.5))
    mirrored = UdpEncoding((-1, 1, 1), (1, 0, 0))
    assert mirrored.clipped_share(rest, triangles) == pytest.approx(0.25, abs=1e-4)


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("preset", ["uniform", "conr"])
def test_a_picture_decodes_to_the_rest_coordinates_of_its_points(preset):
    rest = cube(size=1.0, at=(0, 0, 0.5)).vertices
    turn = turned((1, 2, 3), 40)
    scene = snapshot(1, perspective(), cube(size=1.0, at=(0, 0, 0.5), rest=rest).moved((0.1, 0, 0), turn))
    surface = surface_points(scene, seen(scene))
    conr, uniform = UdpEncoding.conr(1.6), UdpEncoding.uniform([rest.min(axis=0), rest.max(axis=0)])
    encoding = conr if preset == "conr" else uniform
    picture, clipped = fields.udp(scene, surface, encoding.scale, encoding.offset)
    expected = (surface.points_m() - (0.1, 0, 0)) @ turn
    at = picture.reshape(-1, 4)[surface.pixels]
    beyond = encoding.clipped(expected)
    assert clipped == pytest.approx(beyond.mean(), abs=1e-3)
    assert np.abs(at[:, :3] - encoding.encode(expected)).max() < 1e-5
    assert np.abs(encoding.decode(at)[~beyond] - expected[~beyond]).max() < 1e-4
    assert (beyond.any()) == (preset == "conr")
    assert np.isnan(encoding.decode(picture)).any(axis=-1).sum() == 64 * 48 - len(surface.pixels)
