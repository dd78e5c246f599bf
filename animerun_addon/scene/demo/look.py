# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's paints and their colours, chosen by seed. How a paint becomes a material stands in materials.py."""

from __future__ import annotations

import colorsys
import enum

import numpy as np

Colour = tuple[float, float, float]  # sRGB as displayed, 0..1


class Paint(enum.IntEnum):
    """Every surface of the demo has one; the numbers are the shapes' slots."""

    SKIN = enum.auto()
    BLUSH = enum.auto()
    MOUTH = enum.auto()
    TONGUE = enum.auto()
    EYE_WHITE = enum.auto()
    IRIS = enum.auto()
    IRIS_DARK = enum.auto()
    IRIS_LIGHT = enum.auto()
    PUPIL = enum.auto()
    HIGHLIGHT = enum.auto()
    LASH = enum.auto()
    HAIR = enum.auto()
    HAIR_LIGHT = enum.auto()
    HAIR_DARK = enum.auto()
    RIBBON = enum.auto()
    JACKET = enum.auto()
    TRIM = enum.auto()
    SKIRT = enum.auto()
    SKIRT_STRIPE = enum.auto()
    SHORTS = enum.auto()
    SOCK = enum.auto()
    SHOE = enum.auto()
    SOLE = enum.auto()
    SCARF = enum.auto()
    SCARF_STRIPE = enum.auto()
    COAT = enum.auto()
    CREAM = enum.auto()
    NOSE = enum.auto()
    COLLAR = enum.auto()
    ASPHALT = enum.auto()
    ROAD_LINE = enum.auto()
    PAVEMENT = enum.auto()
    KERB = enum.auto()
    GRASS = enum.auto()
    GRASS_BLADE = enum.auto()
    WALL_1 = enum.auto()
    WALL_2 = enum.auto()
    WALL_3 = enum.auto()
    WALL_4 = enum.auto()
    ROOF_1 = enum.auto()
    ROOF_2 = enum.auto()
    ROOF_3 = enum.auto()
    FRAME = enum.auto()
    WINDOW = enum.auto()
    DOOR = enum.auto()
    CURTAIN = enum.auto()
    FENCE = enum.auto()
    METAL = enum.auto()
    CONCRETE = enum.auto()
    MACHINE = enum.auto()
    TRUNK = enum.auto()
    LEAVES = enum.auto()
    LEAVES_DARK = enum.auto()
    BLOSSOM = enum.auto()
    BLOSSOM_DARK = enum.auto()
    PETAL = enum.auto()
    HILL_NEAR = enum.auto()
    HILL_FAR = enum.auto()
    CLOUD = enum.auto()
    CLOUD_SHADE = enum.auto()
    MARK = enum.auto()
    SIGN = enum.auto()
    LAMP = enum.auto()
    GLASS = enum.auto()


SKY: Colour = (0.40, 0.72, 0.95)
SKY_HORIZON: Colour = (0.78, 0.92, 0.98)

_FIXED: dict[Paint, str] = {
    Paint.MOUTH: "9c2f3a",
    Paint.TONGUE: "e8838a",
    Paint.EYE_WHITE: "fdfbfa",
    Paint.PUPIL: "1d1626",
    Paint.HIGHLIGHT: "ffffff",
    Paint.LASH: "2b1d26",
    Paint.SOLE: "f6f2ea",
    Paint.CREAM: "fbf0dc",
    Paint.NOSE: "2c2428",
    Paint.ASPHALT: "8a8f9c",
    Paint.ROAD_LINE: "f4f1e6",
    Paint.PAVEMENT: "cfc6bb",
    Paint.KERB: "e4ddd2",
    Paint.GRASS: "86c06a",
    Paint.GRASS_BLADE: "6fb35a",
    Paint.FRAME: "fbf7ef",
    Paint.WINDOW: "7fb4d6",
    Paint.CURTAIN: "f3ead9",
    Paint.METAL: "5d6678",
    Paint.CONCRETE: "b3b1ad",
    Paint.TRUNK: "7d5a48",
    Paint.LEAVES: "6fb563",
    Paint.LEAVES_DARK: "4e9659",
    Paint.HILL_NEAR: "7fbf86",
    Paint.HILL_FAR: "93c6c4",
    Paint.CLOUD: "ffffff",
    Paint.CLOUD_SHADE: "d9e9f6",
    Paint.MARK: "ffcf3a",
    Paint.LAMP: "fff0c2",
    Paint.GLASS: "cfeaf2",
    Paint.FENCE: "f7f3ea",
}

# One set of clothes and colours a seed, worn by turns; every row goes together by eye.
_OUTFITS: tuple[dict[Paint, str], ...] = (
    {
        Paint.SKIN: "ffdfc8",
        Paint.HAIR: "f2a65a",
        Paint.IRIS: "2f9e8f",
        Paint.JACKET: "fbe9b7",
        Paint.TRIM: "f3b63f",
        Paint.SKIRT: "31477e",
        Paint.SKIRT_STRIPE: "f6f2ea",
        Paint.SOCK: "34304a",
        Paint.SHOE: "d9483b",
        Paint.SCARF: "d8433f",
        Paint.SCARF_STRIPE: "f8e7c9",
        Paint.RIBBON: "d8433f",
    },
    {
        Paint.SKIN: "ffe3d3",
        Paint.HAIR: "6d7fd1",
        Paint.IRIS: "c2527f",
        Paint.JACKET: "f4f0f4",
        Paint.TRIM: "7a6bb5",
        Paint.SKIRT: "7a3f63",
        Paint.SKIRT_STRIPE: "f2c9d5",
        Paint.SOCK: "f7f2f0",
        Paint.SHOE: "46508f",
        Paint.SCARF: "f2b13c",
        Paint.SCARF_STRIPE: "fff3d6",
        Paint.RIBBON: "f2b13c",
    },
    {
        Paint.SKIN: "f0c39d",
        Paint.HAIR: "52352f",
        Paint.IRIS: "b86a2b",
        Paint.JACKET: "7cc4b4",
        Paint.TRIM: "fdf3dc",
        Paint.SKIRT: "b7402f",
        Paint.SKIRT_STRIPE: "fbe3b0",
        Paint.SOCK: "2f2a33",
        Paint.SHOE: "f0efe9",
        Paint.SCARF: "f7e3a1",
        Paint.SCARF_STRIPE: "d66a4b",
        Paint.RIBBON: "f0efe9",
    },
    {
        Paint.SKIN: "ffe0d2",
        Paint.HAIR: "f29bb2",
        Paint.IRIS: "6a63c9",
        Paint.JACKET: "4b5a86",
        Paint.TRIM: "e9edf7",
        Paint.SKIRT: "efe8dd",
        Paint.SKIRT_STRIPE: "4b5a86",
        Paint.SOCK: "4b4560",
        Paint.SHOE: "2e9c95",
        Paint.SCARF: "3aa8a0",
        Paint.SCARF_STRIPE: "e6f6f0",
        Paint.RIBBON: "3aa8a0",
    },
)
_COATS = ("e0914a", "4a4550", "d9b07a", "c26a3d")
_WALLS = ("fdeeda", "f7d9c4", "d8e6ea", "f4e3a8", "e9cfd6", "cfe0c8", "efe9e4")
_ROOFS = ("c8604d", "4f6d8f", "7a6a86", "5c8f86", "a8523f")


def _rgb(code: str) -> Colour:
    return int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255


def shifted(colour: Colour, hue: float = 0.0, saturation: float = 1.0, value: float = 1.0) -> Colour:
    """The colour with its hue turned (1 is the whole circle) and saturation and value multiplied."""
    h, s, v = colorsys.rgb_to_hsv(*colour)
    return colorsys.hsv_to_rgb((h + hue) % 1.0, min(s * saturation, 1.0), min(v * value, 1.0))


def shade_of(colour: Colour) -> Colour:
    """The colour in shadow, as a background painter would mix it: darker, richer, towards violet."""
    red, green, blue = shifted(colour, saturation=1.12, value=0.86)
    violet = (0.46, 0.40, 0.70)
    return tuple(0.82 * own + 0.18 * tint for own, tint in zip((red, green, blue), violet, strict=True))  # type: ignore[return-value]


def skin_shade_of(colour: Colour) -> Colour:
    """Skin in shadow: rosy, not grey."""
    return shifted(colour, hue=-0.025, saturation=1.45, value=0.90)


def paint_colours(seed: int) -> dict[Paint, Colour]:
    """Every paint's colour in light; the same seed gives the same colours."""
    chance = np.random.default_rng([seed, 1])
    outfit = seed % len(_OUTFITS)
    colours = {paint: _rgb(code) for paint, code in {**_FIXED, **_OUTFITS[outfit]}.items()}
    # Beyond the first round the outfits come back in other hues.
    hue = 0.0 if seed < len(_OUTFITS) else float(chance.uniform(-0.5, 0.5))
    for paint in _OUTFITS[outfit]:
        if paint != Paint.SKIN:
            colours[paint] = shifted(colours[paint], hue)
    skin, hair, iris = colours[Paint.SKIN], colours[Paint.HAIR], colours[Paint.IRIS]
    colours[Paint.BLUSH] = shifted(skin, -0.02, 1.55, 0.985)
    colours[Paint.HAIR_LIGHT] = shifted(hair, 0.01, 0.72, 1.14)
    colours[Paint.HAIR_DARK] = shifted(hair, -0.015, 1.12, 0.84)
    colours[Paint.IRIS_DARK] = shifted(iris, 0.02, 1.1, 0.52)
    colours[Paint.IRIS_LIGHT] = shifted(iris, -0.03, 0.62, 1.45)
    colours[Paint.SHORTS] = shifted(colours[Paint.SKIRT], 0.0, 1.05, 0.62)
    colours[Paint.COAT] = _rgb(_COATS[(seed + int(chance.integers(2))) % len(_COATS)]) if seed else _rgb(_COATS[0])
    colours[Paint.COLLAR] = shifted(colours[Paint.SCARF], 0.45)
    walls = chance.permutation(len(_WALLS))
    for number, paint in enumerate((Paint.WALL_1, Paint.WALL_2, Paint.WALL_3, Paint.WALL_4)):
        colours[paint] = _rgb(_WALLS[walls[number]])
    roofs = chance.permutation(len(_ROOFS))
    for number, paint in enumerate((Paint.ROOF_1, Paint.ROOF_2, Paint.ROOF_3)):
        colours[paint] = _rgb(_ROOFS[roofs[number]])
    colours[Paint.DOOR] = shifted(_rgb("b5694a"), float(chance.uniform(-0.06, 0.5)), 0.9)
    colours[Paint.MACHINE] = shifted(_rgb("e5534b"), float(chance.choice([0.0, 0.55, 0.4])))
    blossom = shifted(_rgb("f7bfd0"), float(chance.uniform(-0.03, 0.02)))
    colours[Paint.BLOSSOM] = blossom
    colours[Paint.BLOSSOM_DARK] = shifted(blossom, -0.01, 1.35, 0.93)
    colours[Paint.PETAL] = shifted(blossom, 0.0, 0.75, 1.03)
    colours[Paint.SIGN] = shifted(_rgb("f79a45"), float(chance.choice([0.0, 0.42, 0.85])), 0.95)
    return colours
