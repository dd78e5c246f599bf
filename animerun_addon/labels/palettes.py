# SPDX-License-Identifier: GPL-3.0-or-later
"""Palettes for recoloured variants of a shot: our own, those of a folder of pictures, and who gets which colour.

Colours here are sRGB as displayed, 0..1, unless they say hex or Lab. What materials are, scene/ knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import InputError

Float64 = npt.NDArray[np.float64]

# Hex sRGB.
PALETTES: dict[str, tuple[str, ...]] = {
    "Pastel": ("f7c8d0", "fbe3c1", "fdf6c9", "d3ecc9", "c4e8e4", "c9d9f4", "d9ccee", "f2d1e8", "8a7f9e", "5f6f8a"),
    "Summer day": (
        *("2b4c7e", "4f9bd9", "a8dcf0", "fff7df", "ffd35c", "f2924b", "e0504f", "7dbb5e", "3c7d54", "f4c9a8"),
        *("b98a63", "5a4638"),
    ),
    "Dusk": ("1c1b33", "3a2c5a", "6b3f7c", "a94f82", "e0687a", "f79a76", "fdcf8f", "fbeccb", "4a6a9c", "8fa7c9"),
    "Neon city": (
        *("0d0b1e", "241a4d", "4b2bb0", "8f3bff", "ff3fb4", "ff7a59", "ffe14a", "35f0c4", "1fb6ff", "e8f3ff"),
        *("5c6280", "30364f"),
    ),
    "Autumn": ("3b2a24", "6e3b2a", "a3512f", "d47a36", "eab04f", "f3dc9b", "8c8a4a", "55683f", "8d4a5a", "e9d8c4"),
    "Forest": ("15261f", "26483a", "3f7350", "74a765", "b5cf85", "ecebc2", "8b6b4a", "54402f", "c97b4f", "7fb5b0"),
    "Seaside": ("0f3b57", "1f6f8b", "4fb3bf", "a6e3dc", "f4f1e4", "f2d3a2", "e8a26b", "d9605a", "7a8fa6", "38495c"),
    "Ink and paper": ("16161a", "3c3c44", "6d6d76", "a3a29f", "d3d0c7", "f5f1e6", "8f2d2a", "c9584a"),
    "Old film": ("2e2620", "5b4636", "8a6b4c", "b8976a", "dcc497", "f2e6c6", "5f7263", "93a58b", "7b4a45", "4b5668"),
    "Candy": (
        *("5b2a6e", "a33ea1", "f05fa8", "ff9fc0", "ffd7dd", "fff3c9", "ffcf56", "7fe0b8", "4fb7e8", "6a6fe0"),
        *("ff7d6b", "3a2f5c", "c8f08f", "b8d8ff"),
    ),
}

_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".tga"}
_MOST_PICTURES = 200
_SAMPLES_A_SIDE = 96
_COLOURS_OF_PICTURES = 14

# Shades of a palette's colours, in the order in which they are taken: lightness added, share of the chroma kept.
_SHADES = ((-14.0, 1.0), (12.0, 0.9), (-28.0, 0.95), (22.0, 0.75), (-40.0, 0.9), (32.0, 0.6), (-7.0, 0.5), (6.0, 1.25))
_DARKEST, _LIGHTEST = 10.0, 97.0
_TELLABLE = 7.0  # the distance in Lab at which neighbours are still told apart


def palette_of(name: str) -> Float64:
    """(N, 3): the palette of this name, or the most common colours of this folder of pictures."""
    ours = {known.casefold(): colours for known, colours in PALETTES.items()}
    colours = ours.get(name.strip().casefold())
    if colours is not None:
        return np.array([list(bytes.fromhex(colour)) for colour in colours]) / 255
    folder = Path(name).expanduser()
    if not name.strip() or not folder.is_dir():
        raise InputError(f"There is no palette or folder '{name}': palettes are {', '.join(PALETTES)}")
    return colours_of_pictures(folder)


def colours_of_pictures(folder: Path, count: int = _COLOURS_OF_PICTURES) -> Float64:
    """(N, 3), N <= count: representative colours of all pictures of a folder, the most common first.

    What cannot be read is passed over.
    """
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            "Colours of pictures need OpenCV: install opencv-python-headless, or name a palette"
        ) from error
    pictures = list(_pictures(folder))
    if not pictures:
        raise InputError(f"No picture in '{folder}' can be read: choose a folder with PNG or JPEG files")
    points = lab_from_srgb(np.concatenate(pictures)).astype(np.float32)
    distinct = len(np.unique(np.round(points), axis=0))
    cv2.setRNGSeed(1)
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 0.2)
    _, labels, centres = cv2.kmeans(points, min(count, distinct), None, until, 3, cv2.KMEANS_PP_CENTERS)
    common = np.argsort(-np.bincount(labels.ravel(), minlength=len(centres)), kind="stable")
    return srgb_from_lab(centres[common].astype(np.float64))


def _pictures(folder: Path) -> Iterator[Float64]:
    """Points of each readable picture, (n, 3), at most as many pictures as make a difference."""
    import cv2

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES and path.is_file())
    step = max(1, -(-len(paths) // _MOST_PICTURES))
    for path in paths[::step]:
        stored = np.frombuffer(path.read_bytes(), np.uint8)  # imread knows no Unicode paths on Windows
        picture = cv2.imdecode(stored, cv2.IMREAD_COLOR) if len(stored) else None
        if picture is not None:
            rows, columns = (
                np.linspace(0, size - 1, min(size, _SAMPLES_A_SIDE)).astype(int) for size in picture.shape[:2]
            )
            yield picture[np.ix_(rows, columns)].reshape(-1, 3)[:, ::-1] / 255


def assigned(
    colours: Mapping[str, npt.ArrayLike], palette: Float64, seed: int, keep_light_order: bool
) -> dict[str, tuple[float, float, float]]:
    """A colour of the palette for each name; the same for the same names, colours and seed, wherever it runs.

    Different names get different colours, shades of the palette's where it has too few. Where light and dark are kept,
    what was lighter becomes lighter; shades then take part, so that another seed gives other colours.
    """
    names = sorted(colours)
    chance = np.random.Generator(np.random.PCG64(seed))
    shuffled = palette[np.argsort(chance.random(len(palette)), kind="stable")]
    wanted = min(2 * len(names), 3 * len(palette)) if keep_light_order else 0
    choices = _with_shades(lab_from_srgb(shuffled), max(len(names), wanted))
    if keep_light_order:
        lightness = lab_from_srgb(np.array([colours[name] for name in names], np.float64).reshape(-1, 3))[:, 0]
        names = [names[place] for place in np.argsort(lightness.round(3), kind="stable")]
        drawn = np.argsort(chance.random(len(choices)), kind="stable")[: len(names)]
        chosen = choices[drawn]
        chosen = chosen[np.argsort(chosen[:, 0], kind="stable")]
    else:
        chosen = choices[: len(names)]
    return {
        name: (red, green, blue) for name, (red, green, blue) in zip(names, srgb_from_lab(chosen).tolist(), strict=True)
    }


def _with_shades(palette: Float64, count: int) -> Float64:
    """Lab (count, 3): the palette, then shades of its colours that are told apart, and then what there is."""
    chosen = [palette[0]]
    alike: list[Float64] = []
    for colour in (*palette[1:], *_shades(palette)):
        is_new = np.linalg.norm(np.array(chosen) - colour, axis=1).min() >= _TELLABLE
        (chosen if is_new else alike).append(colour)
    everything = np.array([*chosen, *alike])
    return everything[np.arange(count) % len(everything)]


def _shades(palette: Float64) -> Iterator[Float64]:
    for lighter, chroma in _SHADES:
        for colour in palette:
            shade = np.array([np.clip(colour[0] + lighter, _DARKEST, _LIGHTEST), *(chroma * colour[1:])])
            yield lab_from_srgb(srgb_from_lab(shade))  # what a screen can show of it


# Colour spaces --------------------------------------------------------------------------------------------------------

_XYZ_FROM_RGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _XYZ_FROM_RGB.sum(axis=1)
_KNEE = 6 / 29


def linear_from_srgb(colours: npt.ArrayLike) -> Float64:
    """(..., 3), scene-linear."""
    values = np.asarray(colours, np.float64)
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0.04045) + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(colours: npt.ArrayLike) -> Float64:
    """(..., 3), clipped to what can be shown."""
    values = np.clip(np.asarray(colours, np.float64), 0.0, 1.0)
    return np.where(values <= 0.0031308, 12.92 * values, 1.055 * np.maximum(values, 0.0031308) ** (1 / 2.4) - 0.055)


def lab_from_srgb(colours: npt.ArrayLike) -> Float64:
    """(..., 3), L from 0 to 100."""
    ratios = linear_from_srgb(colours) @ _XYZ_FROM_RGB.T / _WHITE
    x, y, z = np.moveaxis(np.where(ratios > _KNEE**3, np.cbrt(ratios), ratios / (3 * _KNEE**2) + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def srgb_from_lab(colours: npt.ArrayLike) -> Float64:
    """(..., 3), clipped to what can be shown."""
    lightness, a, b = np.moveaxis(np.asarray(colours, np.float64), -1, 0)
    y = (lightness + 16) / 116
    roots = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    ratios = np.where(roots > _KNEE, roots**3, 3 * _KNEE**2 * (roots - 4 / 29))
    return srgb_from_linear(ratios * _WHITE @ np.linalg.inv(_XYZ_FROM_RGB).T)
