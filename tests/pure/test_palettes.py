# SPDX-License-Identifier: GPL-3.0-or-later
"""Palettes and who gets which of their colours."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from animerun_addon.errors import InputError
from animerun_addon.labels.palettes import (
    PALETTES,
    assigned,
    colours_of_pictures,
    lab_from_srgb,
    linear_from_srgb,
    palette_of,
    srgb_from_lab,
    srgb_from_linear,
)

RNG = np.random.default_rng(3)
MATERIALS = {f"Material {number}": RNG.random(3) for number in range(24)}
FEW = dict(list(MATERIALS.items())[:8])


def lightness(colour):
    return lab_from_srgb(colour)[..., 0]


def nearest_distance(colours):
    lab = lab_from_srgb(np.array(list(colours)))
    distances = np.linalg.norm(lab[:, None] - lab, axis=-1)
    return distances[~np.eye(len(lab), dtype=bool)].min()


def write_picture(path, *colours):
    """Equal bands of these colours, sRGB 0..255."""
    bands = np.repeat(np.array(colours, np.uint8)[None, :, ::-1], 20, axis=1)
    cv2.imwrite(str(path), np.repeat(bands, 40, axis=0))


# Our own --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PALETTES)
def test_each_palette_has_8_to_16_colours_that_are_told_apart_from_dark_to_light(name):
    colours = palette_of(name)
    assert 8 <= len(colours) <= 16
    assert nearest_distance(colours) > 5
    assert np.ptp(lightness(colours)) > 40


def test_palettes_are_found_whatever_their_case():
    assert np.array_equal(palette_of("neon CITY"), palette_of("Neon city"))
    assert np.allclose(palette_of("Pastel")[0], np.array([0xF7, 0xC8, 0xD0]) / 255)


@pytest.mark.parametrize("name", ["", "Nothing like it", "/no/such/folder"])
def test_an_unknown_palette_is_told_with_those_that_there_are(name):
    with pytest.raises(InputError, match="Pastel, Summer day"):
        palette_of(name)


# Of pictures ----------------------------------------------------------------------------------------------------------


def test_pictures_give_their_colours_the_most_common_first(tmp_path):
    red, green, blue = (200, 30, 40), (20, 160, 60), (30, 60, 220)
    write_picture(tmp_path / "a.png", blue, blue, red)
    write_picture(tmp_path / "b.png", blue, green, red)
    found = palette_of(str(tmp_path))
    assert np.abs(255 * found - [blue, red, green]).max() < 1


def test_pictures_of_many_colours_give_no_more_than_asked_for(tmp_path):
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    found = colours_of_pictures(tmp_path, 6)
    assert found.shape == (6, 3)
    assert nearest_distance(found) > 20
    assert np.array_equal(found, colours_of_pictures(tmp_path, 6))


def test_what_is_no_picture_is_passed_over(tmp_path):
    write_picture(tmp_path / "good.png", (200, 30, 40))
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("colours")
    assert np.abs(255 * colours_of_pictures(tmp_path) - [(200, 30, 40)]).max() < 1


def test_a_folder_without_a_readable_picture_is_told(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="can be read: choose a folder"):
        palette_of(str(tmp_path))


# Who gets which -------------------------------------------------------------------------------------------------------


def test_few_materials_get_colours_of_the_palette_itself_each_its_own():
    palette = palette_of("Candy")
    given = assigned(FEW, palette, seed=4, keep_light_order=False)
    assert set(given) == set(FEW)
    assert all(np.abs(palette - colour).max(axis=1).min() < 1e-6 for colour in given.values())
    assert len(set(given.values())) == len(FEW)


@pytest.mark.parametrize("keep_light_order", [False, True])
@pytest.mark.parametrize("name", PALETTES)
def test_more_materials_than_colours_get_shades_that_are_told_apart(name, keep_light_order):
    given = assigned(MATERIALS, palette_of(name), seed=4, keep_light_order=keep_light_order)
    assert nearest_distance(given.values()) > 4


def test_any_number_of_materials_gets_colours():
    many = {str(number): (0.5, 0.5, 0.5) for number in range(500)}
    assert len(assigned(many, palette_of("Ink and paper"), 0, True)) == 500
    assert assigned({}, palette_of("Dusk"), 0, True) == {}


@pytest.mark.parametrize("keep_light_order", [False, True])
def test_another_seed_gives_other_colours(keep_light_order):
    first, second = (assigned(FEW, palette_of("Dusk"), seed, keep_light_order) for seed in (0, 1))
    assert sum(first[name] != second[name] for name in FEW) > len(FEW) / 2


def test_what_was_lighter_becomes_lighter_where_that_is_kept():
    by_lightness = sorted(MATERIALS, key=lambda name: lightness(MATERIALS[name]))
    for seed in range(5):
        kept, mixed = (assigned(MATERIALS, palette_of("Forest"), seed, keep) for keep in (True, False))
        assert (np.diff([lightness(kept[name]) for name in by_lightness]) >= -1e-6).all()
        assert not (np.diff([lightness(mixed[name]) for name in by_lightness]) >= 0).all()


def test_the_order_in_which_materials_come_does_not_matter():
    backwards = dict(reversed(MATERIALS.items()))
    for keep in (True, False):
        assert assigned(MATERIALS, palette_of("Dusk"), 7, keep) == assigned(backwards, palette_of("Dusk"), 7, keep)


def test_a_seed_means_the_same_colours_in_every_process_and_version():
    """Written down once, from Python 3.11 and numpy 1.26."""
    program = (
        "from animerun_addon.labels.palettes import assigned, palette_of\n"
        "names = {name: (0.1 * number,) * 3 for number, name in enumerate('abcd')}\n"
        "given = assigned(names, palette_of('Dusk'), 7, False)\n"
        "print(*(''.join(f'{round(255 * part):02x}' for part in given[name]) for name in names))"
    )
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": hash_seed},
            check=True,
        )
        assert done.stdout.split() == GIVEN_BY_SEED_7


GIVEN_BY_SEED_7 = ["fdcf8f", "a94f82", "e0687a", "8fa7c9"]


# Colour spaces --------------------------------------------------------------------------------------------------------


def test_lab_is_that_of_opencv():
    colours = RNG.random((50, 3)).astype(np.float32)
    theirs = cv2.cvtColor(colours[None], cv2.COLOR_RGB2Lab)[0]
    assert np.abs(lab_from_srgb(colours) - theirs).max() < 0.5  # theirs comes in steps


def test_colours_come_back_from_other_spaces():
    colours = RNG.random((50, 3))
    assert np.abs(srgb_from_lab(lab_from_srgb(colours)) - colours).max() < 1e-9
    assert np.abs(srgb_from_linear(linear_from_srgb(colours)) - colours).max() < 1e-9
