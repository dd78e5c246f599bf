# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets up the street: what stands where. The shapes come from town_shapes.py, effects and lights from their own rooms.

The heroine runs along +X on y = 0. The road lies between the near verge (y < -1.7) and the far pavement (y > 3).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from . import town_shapes as shapes_of
from .look import Paint
from .shapes import Shape, box, joined, moved
from .workshop import Workshop

PAVEMENT_Y, FENCE_Y, HOUSE_Y = 3.1, 5.4, 8.6
_STREET_X = (-95.0, 45.0)
# Where houses stand along the street, and with how many storeys; empty lots open the view to hills and sky.
_HOUSES = ((-61.0, 2), (-51.0, 1), (-41.5, 2), (-32.0, 1), (-21.5, 2), (-3.2, 1), (15.0, 2), (24.5, 1))
_POLES = (-37.0, -26.0, -15.0, -4.0, 7.0, 18.0)
_LAMPS = (-20.5, -9.5, 1.5, 12.5)
_FENCE_LENGTH = 2.6
_TREES_X = (-34.0, -28.5, -22.4, -17.0, -11.6, -6.3, -1.2, 4.2, 9.5, 15.0)
_TREES_Y = 6.0
_GREEN_TREES = 3  # of them; the others are cherries in bloom


def build_town(
    workshop: Workshop, seed: int, materials: Mapping[int, Any], collection: Any, hidden: Any
) -> Iterator[str]:
    """Yields what comes next after each piece. `hidden` holds the collections that are only shown as instances."""
    chance = np.random.default_rng([seed, 3])

    def place(name: str, part: Shape, location: tuple[float, float, float], smooth: bool = False) -> Any:
        return workshop.object(name, workshop.mesh(name, part, materials, smooth), collection, location)

    yield "ground"
    _lay_ground(place)
    yield "houses"
    walls = (Paint.WALL_1, Paint.WALL_2, Paint.WALL_3, Paint.WALL_4)
    roofs = (Paint.ROOF_1, Paint.ROOF_2, Paint.ROOF_3)
    for number, (x, storeys) in enumerate(_HOUSES):
        width, depth = float(chance.uniform(6.4, 7.6)), float(chance.uniform(5.6, 6.6))
        part = shapes_of.house(width, depth, storeys, walls[number % 4], roofs[int(chance.integers(3))], chance)
        place(f"House {number + 1}", part, (x, HOUSE_Y + float(chance.uniform(0.0, 0.8)), 0.0))
    yield "trees"
    yield from _plant_trees(workshop, chance, materials, collection, hidden)
    _line_street(workshop, materials, collection, place)
    yield "sky"
    _hang_sky(place, chance)


def _lay_ground(place: Callable[..., Any]) -> None:
    place("Meadow", shapes_of.strip((-160.0, 120.0), (-60.0, 190.0), -0.03, Paint.GRASS), (0.0, 0.0, 0.0))
    place("Road", shapes_of.strip(_STREET_X, (-1.7, PAVEMENT_Y), 0.0, Paint.ASPHALT), (0.0, 0.0, 0.0))
    place("Pavement", shapes_of.strip(_STREET_X, (PAVEMENT_Y + 0.16, 5.2), 0.11, Paint.PAVEMENT), (0.0, 0.0, 0.0))
    place(
        "Kerb far",
        box((_STREET_X[0], PAVEMENT_Y, -0.02), (_STREET_X[1], PAVEMENT_Y + 0.18, 0.13), Paint.KERB),
        (0.0, 0.0, 0.0),
    )
    place("Kerb near", box((_STREET_X[0], -1.88, -0.02), (_STREET_X[1], -1.70, 0.11), Paint.KERB), (0.0, 0.0, 0.0))
    dashes = [
        shapes_of.strip((x, x + 2.0), (1.62, 1.76), 0.006, Paint.ROAD_LINE)
        for x in np.arange(-60.0, 30.0, 4.0).tolist()
    ]
    edge = shapes_of.strip(_STREET_X, (-1.45, -1.33), 0.006, Paint.ROAD_LINE)
    place("Road lines", joined([*dashes, edge]), (0.0, 0.0, 0.0))


def _plant_trees(
    workshop: Workshop, chance: np.random.Generator, materials: Mapping[int, Any], collection: Any, hidden: Any
) -> Iterator[str]:
    kinds = {}
    for blossom, name in ((True, "Cherry tree"), (False, "Green tree")):
        source = workshop.collection(name, hidden)
        workshop.object(name, workshop.mesh(name, shapes_of.tree(blossom, chance), materials), source)
        kinds[blossom] = source
        yield "trees"
    green = chance.choice(len(_TREES_X), _GREEN_TREES, replace=False).tolist()
    for number, x in enumerate(_TREES_X):
        at = (x + float(chance.uniform(-0.6, 0.6)), _TREES_Y + float(chance.uniform(-0.15, 0.15)), 0.0)
        made = workshop.instance(f"Tree {number + 1}", kinds[number not in green], collection, at)
        size = float(chance.uniform(0.85, 1.15))
        made.scale = (size, size, size * float(chance.uniform(0.95, 1.1)))
        made.rotation_euler[2] = float(chance.uniform(0.0, 2 * np.pi))
    yield "street"


def _line_street(workshop: Workshop, materials: Mapping[int, Any], collection: Any, place: Callable[..., Any]) -> None:
    """Fences, poles, lamps: many objects that share their meshes."""
    for name, part, xs, y in (
        ("Fence", shapes_of.fence(_FENCE_LENGTH), np.arange(-33.0, 20.0, _FENCE_LENGTH).tolist(), FENCE_Y),
        ("Utility pole", shapes_of.utility_pole(), _POLES, 5.0),
        ("Street lamp", shapes_of.lamp_post(), _LAMPS, PAVEMENT_Y + 0.55),
    ):
        mesh = workshop.mesh(name, part, materials, smooth=False)
        for number, x in enumerate(xs):
            workshop.object(f"{name} {number + 1}", mesh, collection, (x, y, 0.0))
    spans = list(itertools.pairwise(_POLES))
    wires = place("Wires", shapes_of.wires(spans, 0.55), (0.0, 5.0, 0.0))
    wires.visible_shadow = False  # on walls it looks like scratches
    place("Letter box", shapes_of.post_box(), (-2.6, PAVEMENT_Y + 0.7, 0.1), smooth=True)


def _hang_sky(place: Callable[..., Any], chance: np.random.Generator) -> None:
    """Hills and flat clouds, turned towards the camera's side of the street."""
    towards_camera = np.radians(38.0)
    for number, (x, y, width, height, paint) in enumerate(
        (
            (-135.0, 100.0, 190.0, 34.0, Paint.HILL_FAR),
            (-40.0, 150.0, 230.0, 26.0, Paint.HILL_FAR),
            (-118.0, 62.0, 110.0, 15.0, Paint.HILL_NEAR),
            (-70.0, 96.0, 120.0, 11.0, Paint.HILL_NEAR),
        )
    ):
        made = place(f"Hill {number + 1}", shapes_of.hill(width, height, paint, chance), (x, y, -0.5), smooth=True)
        made.rotation_euler[2] = towards_camera
    for number, (x, y, z, width) in enumerate(
        (
            (-170.0, 90.0, 44.0, 62.0),
            (-138.0, 150.0, 62.0, 80.0),
            (-90.0, 185.0, 40.0, 70.0),
            (-52.0, 200.0, 72.0, 90.0),
            (-5.0, 205.0, 48.0, 66.0),
            (-185.0, 40.0, 30.0, 46.0),
            (-112.0, 170.0, 30.0, 60.0),
            (-28.0, 205.0, 30.0, 48.0),
        )
    ):
        part = shapes_of.cloud(width, chance)
        made = place(f"Cloud {number + 1}", moved(part, scale=(1.0, 1.0, 0.9)), (x, y, z))
        made.rotation_euler[2] = float(np.arctan2(-x, y)) * 0.85
        made.visible_shadow = False


def remove_from_view(scene: Any, collection: Any) -> None:
    """Exclude a collection of instance sources from the scene's view layers."""
    for view_layer in scene.view_layers:
        view_layer.update()  # a new scene has no layer collections before
        view_layer.layer_collection.children[collection.name].exclude = True


def picture_of_leaves(
    chance: np.random.Generator, size: int, colours: list[tuple[float, float, float]]
) -> np.ndarray[Any, Any]:
    """A bush as a cut-out, (size, size, 4): overlapping pointed leaves on a transparent ground, row 0 at the top."""
    rows, columns = np.mgrid[0:size, 0:size] / size
    picture = np.zeros((size, size, 4))
    picture[..., :3] = colours[0]
    for number in range(130):
        angle = float(chance.uniform(0.0, np.pi))
        reach = float(np.sqrt(chance.random()))
        x0, y0 = (
            0.5 + 0.40 * reach * np.cos(angle),
            0.93 - 0.72 * reach * np.sin(angle) * float(chance.uniform(0.5, 1.0)),
        )
        tilt = float(chance.normal(angle, 0.5))
        along = (columns - x0) * np.cos(tilt) - (rows - y0) * np.sin(tilt)
        across = (columns - x0) * np.sin(tilt) + (rows - y0) * np.cos(tilt)
        length = float(chance.uniform(0.05, 0.085))
        inside = np.abs(across) < 0.38 * length * np.maximum(1.0 - (along / length) ** 2, 0.0)
        picture[inside, :3] = colours[number % len(colours)]
        picture[inside, 3] = 1.0
    return picture
