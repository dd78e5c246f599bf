# SPDX-License-Identifier: GPL-3.0-or-later
"""Houses, trees, poles, fences, clouds and hills as pure shapes at the origin. Where they stand is town.py's."""

from __future__ import annotations

import numpy as np

from .look import Paint
from .shapes import (
    Floats,
    Shape,
    ball,
    box,
    face_centres,
    joined,
    limb,
    limb_rings,
    moved,
    painted,
    prism,
    shape,
    sheet,
    smooth_curve,
    superellipse,
    tube,
)


def _window(x: float, z: float, width: float, height: float, front: float) -> list[Shape]:
    """A framed window with curtains, in a wall that looks to -Y at y = front."""
    half, sill = width / 2, 0.06
    return [
        box((x - half - sill, front - 0.05, z - sill), (x + half + sill, front, z + height + sill), Paint.FRAME),
        box((x - half, front - 0.07, z), (x + half, front - 0.04, z + height), Paint.WINDOW),
        box((x - half, front - 0.08, z + 0.05), (x - half * 0.55, front - 0.05, z + height), Paint.CURTAIN),
        box((x - 0.02, front - 0.09, z), (x + 0.02, front - 0.05, z + height), Paint.FRAME),
        box((x - half - 0.12, front - 0.16, z - 0.14), (x + half + 0.12, front, z - sill), Paint.FRAME),
    ]


def _side_windows(half: float, depth: float, storeys: int) -> list[Shape]:
    """A window a storey in either gable wall, and a small one under the ridge."""
    parts = []
    for outer, inner in ((-half - 0.06, -half), (half, half + 0.06)):
        for level in range(storeys):
            low = 1.45 + 2.7 * level
            parts.append(box((outer, depth * 0.42, low - 0.08), (inner, depth * 0.66, low + 1.18), Paint.FRAME))
            sign = np.sign(outer + inner) * 0.03
            pane = ((outer + sign, depth * 0.45, low), (inner + sign, depth * 0.63, low + 1.10))
            parts.append(box(*pane, Paint.WINDOW))
        attic = 0.55 + 2.7 * storeys
        parts.append(box((outer, depth * 0.44, attic), (inner, depth * 0.56, attic + 0.5), Paint.FRAME))
    return parts


def house(width: float, depth: float, storeys: int, wall: Paint, roof: Paint, chance: np.random.Generator) -> Shape:
    """A house with a gable roof, its front at y = 0 looking to -Y."""
    storey, half = 2.7, width / 2
    top = 0.3 + storey * storeys
    rise = depth * float(chance.uniform(0.30, 0.42))
    parts = [
        box((-half - 0.06, -0.06, 0.0), (half + 0.06, depth + 0.06, 0.35), Paint.CONCRETE),
        box((-half, 0.0, 0.3), (half, depth, top), wall),
    ]
    gable = [(0.0, top), (depth, top), (depth / 2, top + rise)]
    parts += [
        shape([(x, y, z) for x in (-half, half) for y, z in gable], [(0, 2, 1), (3, 4, 5)], wall),
    ]
    over, thick = 0.55, 0.20
    slope = rise / (depth / 2)
    for side in (0, 1):
        eave, ridge = (-over, depth / 2) if side == 0 else (depth + over, depth / 2)
        low = top - over * slope
        profile = [(eave, low), (ridge, top + rise), (ridge, top + rise + thick), (eave, low + thick)]
        points = [(x, y, z) for x in (-half - 0.45, half + 0.45) for y, z in profile]
        faces = [(0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
        slab = shape(points, faces if side == 0 else [face[::-1] for face in faces], roof)
        parts.append(slab)
    parts.append(box((-half + 0.3, -0.9, 0.0), (half * 0.1, -0.06, 0.18), Paint.CONCRETE))
    door_x = -half * 0.45
    parts += [
        box((door_x - 0.6, -0.06, 0.3), (door_x + 0.6, 0.0, 2.55), Paint.FRAME),
        box((door_x - 0.48, -0.10, 0.3), (door_x + 0.48, -0.04, 2.40), Paint.DOOR),
        box((door_x + 0.32, -0.14, 1.25), (door_x + 0.38, -0.08, 1.45), Paint.METAL),
        box((door_x - 0.85, -0.75, 2.62), (door_x + 0.85, 0.0, 2.74), roof),
    ]
    parts += _side_windows(half, depth, storeys)
    parts += _window(half * 0.42, 1.15, 1.7, 1.25, 0.0)
    for level in range(1, storeys):
        for x in (-half * 0.5, half * 0.45):
            parts += _window(x, 0.3 + storey * level + 0.85, 1.4, 1.2, 0.0)
    if storeys > 1 and chance.random() < 0.6:
        parts += _balcony(half * 0.45, 0.3 + storey, 2.4)
    if chance.random() < 0.6:
        x = float(chance.uniform(-0.5, 0.5)) * half
        parts.append(box((x - 0.3, depth * 0.55, top), (x + 0.3, depth * 0.55 + 0.6, top + rise + 0.7), Paint.CONCRETE))
    return joined(parts)


def _balcony(x: float, z: float, width: float) -> list[Shape]:
    bars = np.linspace(x - width / 2, x + width / 2, 11)
    return [
        box((x - width / 2 - 0.1, -0.95, z - 0.1), (x + width / 2 + 0.1, 0.0, z + 0.05), Paint.FRAME),
        box((x - width / 2 - 0.05, -0.92, z + 0.88), (x + width / 2 + 0.05, -0.84, z + 0.95), Paint.FRAME),
        *(box((bar - 0.02, -0.90, z), (bar + 0.02, -0.86, z + 0.9), Paint.FRAME) for bar in bars.tolist()),
    ]


def tree(blossom: bool, chance: np.random.Generator) -> Shape:
    """A cherry tree in bloom or a green one, about 4.5 m high."""
    light, dark = (Paint.BLOSSOM, Paint.BLOSSOM_DARK) if blossom else (Paint.LEAVES, Paint.LEAVES_DARK)
    lean = chance.uniform(-0.25, 0.25, 2)
    trunk = limb(
        [(0, 0, -0.1), (lean[0] * 0.2, lean[1] * 0.2, 0.9), (lean[0], lean[1], 2.2), (lean[0] * 0.8, lean[1], 3.2)],
        [0.24, 0.15, 0.11, 0.06],
        rings=8,
        count=8,
        slots=Paint.TRUNK,
    )
    parts = [trunk]
    for side in (-1.0, 1.0):
        tip = (lean[0] + side * 0.95, lean[1] + side * 0.25, 2.95)
        parts.append(
            limb(
                [(lean[0] * 0.7, lean[1] * 0.7, 1.6), (lean[0] + side * 0.5, lean[1], 2.25), tip],
                [0.08, 0.06, 0.03],
                rings=5,
                count=6,
                slots=Paint.TRUNK,
            )
        )
    for number in range(9):
        angle = 2.4 * number + float(chance.uniform(-0.3, 0.3))
        reach = 1.15 * np.sqrt((number + 0.3) / 9.0)
        size = float(chance.uniform(0.62, 0.88)) * (1.12 - 0.25 * reach)
        middle = np.array(
            [
                lean[0] + reach * np.cos(angle),
                lean[1] + reach * np.sin(angle),
                3.25 + 0.65 * (1.0 - reach) + chance.uniform(-0.2, 0.35),
            ]
        )
        parts.append(_clump(middle, size, light, dark, chance))
    return joined(parts)


def _clump(middle: Floats, size: float, light: Paint, dark: Paint, chance: np.random.Generator) -> Shape:
    """A lumpy ball of leaves, darker below."""
    part = ball((0.0, 0.0, 0.0), 1.0, rings=7, count=12, slot=light)
    lumps = 1.0 + 0.16 * np.sin(5.0 * part.points[:, 0] + chance.uniform(0, 6)) * np.sin(
        5.0 * part.points[:, 1] + chance.uniform(0, 6)
    )
    part = moved(part, middle, (size * lumps)[:, None] * np.array([1.0, 1.0, 0.82]))
    return painted(part, face_centres(part)[:, 2] < middle[2] - 0.22 * size, dark)


def fence(length: float) -> Shape:
    """White garden pickets along X."""
    parts = [box((0.0, 0.02, z), (length, 0.06, z + 0.09), Paint.FENCE) for z in (0.28, 0.72)]
    for x in np.arange(0.06, length, 0.22).tolist():
        outline = [(x, 0.06), (x + 0.12, 0.06), (x + 0.12, 0.98), (x + 0.06, 1.06), (x, 0.98)]
        parts.append(prism(outline, -0.02, 0.02, Paint.FENCE))
    return joined(parts)


def utility_pole() -> Shape:
    """A concrete pole with cross-arms and a transformer, as they stand in every anime street."""
    parts = [limb([(0, 0, 0), (0, 0, 4), (0, 0, 8.2)], [0.16, 0.13, 0.10], rings=4, count=10, slots=Paint.CONCRETE)]
    parts += [box((-0.05, -0.9, z), (0.05, 0.9, z + 0.1), Paint.METAL) for z in (7.2, 7.8)]
    parts += [
        ball((0.0, y, 7.98), (0.05, 0.05, 0.09), rings=4, count=6, slot=Paint.FRAME) for y in (-0.8, -0.3, 0.3, 0.8)
    ]
    parts.append(
        limb(
            [(0.0, -0.38, 5.9), (0.0, -0.38, 6.7)], [0.22, 0.22], rings=3, count=12, slots=Paint.METAL, bulge=(0.1, 0.1)
        )
    )
    return joined(parts)


def wires(spans: list[tuple[float, float]], sag: float) -> Shape:
    """Wires between poles: for each (x from, x to) four lines that hang through."""
    parts = []
    for start, end in spans:
        t = np.linspace(0.0, 1.0, 11)
        for y in (-0.8, -0.3, 0.3, 0.8):
            path = np.stack(
                [start + (end - start) * t, np.full(11, y), 8.05 - 4 * sag * t * (1 - t) * (1.0 + 0.2 * y)], axis=-1
            )
            parts.append(tube(limb_rings(path, np.full(11, 0.016), (0.0, 0.0, 1.0), 4), Paint.METAL))
    return joined(parts)


def lamp_post() -> Shape:
    """A street lamp whose arm reaches over the road."""
    mast = limb(
        [(0, 0, 0), (0, 0, 2.2), (0, 0, 4.0), (0, -0.35, 4.55), (0, -0.9, 4.65)],
        [0.075, 0.055, 0.05, 0.045, 0.04],
        rings=14,
        count=8,
        up_hint=(1.0, 0.0, 0.0),
        slots=Paint.METAL,
    )
    foot = box((-0.13, -0.13, 0.0), (0.13, 0.13, 0.25), Paint.METAL)
    hood = box((-0.14, -1.25, 4.60), (0.14, -0.75, 4.72), Paint.METAL)
    light = box((-0.10, -1.20, 4.56), (0.10, -0.80, 4.60), Paint.LAMP)
    return joined([mast, foot, hood, light])


def vending_machine() -> Shape:
    """The cabinet and its bottles; the pane and the lit panel are objects of their own."""
    parts = [
        box((-0.55, 0.0, 0.0), (0.55, 0.75, 0.12), Paint.METAL),
        box((-0.55, 0.0, 0.12), (-0.42, 0.75, 1.9), Paint.MACHINE),
        box((0.42, 0.0, 0.12), (0.55, 0.75, 1.9), Paint.MACHINE),
        box((-0.42, 0.30, 0.12), (0.42, 0.75, 1.9), Paint.MACHINE),
        box((-0.42, 0.0, 1.78), (0.42, 0.30, 1.9), Paint.MACHINE),
        box((-0.42, 0.0, 0.12), (0.42, 0.30, 0.75), Paint.MACHINE),
        box((-0.30, -0.02, 0.22), (0.30, 0.02, 0.42), Paint.PUPIL),
    ]
    drinks = (Paint.SCARF, Paint.IRIS, Paint.TRIM, Paint.CLOUD, Paint.LEAVES)
    for row, z in enumerate((0.80, 1.12, 1.44)):
        parts.append(box((-0.42, 0.05, z - 0.03), (0.42, 0.30, z), Paint.FRAME))
        for column in range(5):
            x = -0.32 + 0.16 * column
            colour = drinks[(column + 2 * row) % len(drinks)]
            parts.append(
                limb(
                    [(x, 0.16, z), (x, 0.16, z + 0.19)], [0.05, 0.045], rings=2, count=8, slots=colour, bulge=(0.0, 0.3)
                )
            )
    return joined(parts)


def post_box() -> Shape:
    """A round letter box."""
    body = limb(
        [(0, 0, 0.1), (0, 0, 0.7), (0, 0, 1.25)],
        [0.21, 0.20, 0.21],
        rings=5,
        count=14,
        slots=Paint.MACHINE,
        bulge=(0.0, 0.45),
    )
    return joined(
        [
            body,
            box((-0.13, -0.225, 1.02), (0.13, -0.17, 1.07), Paint.PUPIL),
            box((-0.24, -0.24, 0.0), (0.24, 0.24, 0.12), Paint.CONCRETE),
        ]
    )


def cloud(width: float, chance: np.random.Generator) -> Shape:
    """A flat cumulus in the XZ plane looking to -Y: discs on a base line, shade below and behind."""
    parts = []
    for number, x in enumerate(np.linspace(-0.42, 0.42, 7)):
        radius = width * (0.12 + 0.10 * np.cos(2.2 * x) ** 2) * float(chance.uniform(0.8, 1.2))
        centre = np.array(
            [x * width, 0.0, radius * 0.72 + width * 0.09 * float(chance.uniform(0, 1)) * (1 - 2 * abs(x))]
        )
        for slot, drop, depth in ((Paint.CLOUD_SHADE, 0.0, 0.02), (Paint.CLOUD, 0.14, 0.0)):
            outline = superellipse(22) * radius * (1.0 - 0.10 * (slot is Paint.CLOUD)) + (
                centre[0] - 0.05 * radius * (slot is Paint.CLOUD),
                centre[2] + drop * radius,
            )
            outline[:, 1] = np.maximum(outline[:, 1], 0.02 * width * (slot is Paint.CLOUD))
            flat = np.insert(outline, 1, (depth + 0.001 * number) * width, axis=1)
            parts.append(shape(flat, [tuple(range(22))], slot))
    return joined(parts)


def hill(width: float, height: float, paint: Paint, chance: np.random.Generator) -> Shape:
    """A wooded ridge, seen from far away: a curved sheet that looks to -Y."""
    x = np.linspace(-1.0, 1.0, 41)
    bumps = sum(
        float(chance.uniform(0.3, 1.0)) / k * np.sin(k * 2.6 * x + float(chance.uniform(0, 6))) for k in (1, 2, 4, 7)
    )
    crest = np.maximum(height * (1.0 - x**2) * (0.8 + 0.22 * bumps), 0.02 * height)
    rows = np.stack(
        [
            np.stack([x * width / 2, 0.04 * width * x**2 + depth, crest * share], axis=-1)
            for share, depth in ((0.0, -0.02 * width), (0.7, 0.0), (1.0, 0.03 * width))
        ]
    )
    return sheet(rows, paint)


def strip(x: tuple[float, float], y: tuple[float, float], z: float, slot: Paint, pieces: int = 1) -> Shape:
    """A flat rectangle that looks up, cut into pieces along X."""
    across = np.linspace(*x, pieces + 1)
    grid = np.stack([np.stack([across, np.full(pieces + 1, row), np.full(pieces + 1, z)], axis=-1) for row in y])
    return sheet(grid, slot)


def grass_tuft(chance: np.random.Generator) -> Shape:
    """Five bent blades, about 0.2 m high, two-sided."""
    parts = []
    for number in range(5):
        angle = 2 * np.pi * number / 5 + float(chance.uniform(-0.4, 0.4))
        out = np.array([np.cos(angle), np.sin(angle), 0.0])
        height = float(chance.uniform(0.12, 0.22))
        knots = [
            0.015 * out,
            0.03 * out + (0, 0, 0.5 * height),
            (0.05 + 0.05 * float(chance.random())) * out + (0, 0, height),
        ]
        path = smooth_curve(np.array(knots), 4)
        parts.append(
            tube(
                limb_rings(path, np.stack([[0.010, 0.009, 0.006, 0.001], [0.003] * 4], -1), out, 4),
                Paint.GRASS_BLADE,
                caps=(False, False),
            )
        )
    return joined(parts)


def petal() -> Shape:
    """One cherry petal, two-sided."""
    outline = np.array(
        [
            (0.0, -1.0),
            (0.55, -0.3),
            (0.62, 0.45),
            (0.22, 0.95),
            (0.0, 0.78),
            (-0.22, 0.95),
            (-0.62, 0.45),
            (-0.55, -0.3),
        ]
    )
    return prism(outline, -0.03, 0.03, Paint.PETAL)


def shop_sign() -> Shape:
    """A lit board with a star and two bars on either side, hung from its middle; nothing on it but light."""
    angle = np.pi / 2 + np.arange(10) * np.pi / 5
    reach = np.where(np.arange(10) % 2 == 0, 0.30, 0.125)
    star = np.stack([reach * np.cos(angle), reach * np.sin(angle) + 0.24], axis=-1)
    parts = [box((-0.45, -0.09, -0.7), (0.45, 0.09, 0.7), Paint.SIGN)]
    for low, high in ((-0.11, -0.09), (0.09, 0.11)):
        parts.append(prism(star, low, high, Paint.LAMP))
        parts += [box((-0.28, low, z), (0.28, high, z + 0.10), Paint.LAMP) for z in (-0.28, -0.48)]
    return joined(parts)


def exclamation_mark() -> Shape:
    """A "!" that floats above a head, 0.3 m high, in the XZ plane."""
    stroke = [(-0.035, 0.10), (0.035, 0.10), (0.062, 0.34), (0.0, 0.36), (-0.062, 0.34)]
    dot = superellipse(12) * 0.040 + (0.0, 0.035)
    return joined([prism(stroke, -0.02, 0.02, Paint.MARK), prism(dot, -0.02, 0.02, Paint.MARK)])


def leaf_card() -> Shape:
    """A square card, 1 m wide, standing on the ground and looking to -Y; its image cuts it out."""
    card = shape([(-0.5, 0.0, 0.0), (0.5, 0.0, 0.0), (0.5, 0.0, 1.0), (-0.5, 0.0, 1.0)], [(0, 1, 2, 3)])
    return Shape(
        card.points, card.corners, card.sizes, card.slots, uv=np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    )
