# SPDX-License-Identifier: GPL-3.0-or-later
"""What the 2D conversion must deal with: fog, glass, a lit sign, fur, petals, grass instances, cards, an in-front mark.

Every object here has a fixed name (see SPECIAL_OBJECTS), so that tests and documentation find it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import bpy
import numpy as np

from . import town_shapes
from .look import Colour, Paint, shifted
from .materials import cut_out, fog, image_from_pixels
from .shapes import box, joined
from .town import PAVEMENT_Y, picture_of_leaves
from .workshop import PREFIX, Workshop

FOG, GLASS, SIGN, SHOP_SIGN = "Fog", "Vending machine glass", "Vending machine light", "Shop sign"
FUR_PATCH, PETAL_EMITTER, PETAL, GRASS, MARK, CARD = (
    "Fur grass",
    "Petal emitter",
    "Petal",
    "Grass",
    "Exclamation mark",
    "Bush card",
)
SPECIAL_OBJECTS = tuple(
    PREFIX + name for name in (FOG, GLASS, SIGN, SHOP_SIGN, FUR_PATCH, PETAL_EMITTER, GRASS, MARK, f"{CARD} 1")
)

_MACHINE_AT = (-0.2, PAVEMENT_Y + 1.0, 0.11)
_CARDS_AT = ((-6.2, 4.95), (-3.4, 5.05), (1.4, 5.0), (3.2, 4.95), (6.4, 5.05), (-9.6, 5.0))
_PETALS = 150


def build_effects(
    workshop: Workshop,
    seed: int,
    colours: Mapping[Paint, Colour],
    materials: Mapping[int, Any],
    collection: Any,
    hidden: Any,
) -> Iterator[str]:
    """Yields what comes next after each effect."""
    chance = np.random.default_rng([seed, 4])
    yield "lights and glass"
    _vending_machine(workshop, materials, collection)
    _fog(workshop, collection)
    yield "bushes"
    _bush_cards(workshop, chance, colours, collection)
    yield "grass"
    _instanced_grass(workshop, seed, chance, materials, collection, hidden)
    _fur_grass(workshop, seed, materials, collection)


def _vending_machine(workshop: Workshop, materials: Mapping[int, Any], collection: Any) -> None:
    def place(name: str, *parts: Any) -> Any:
        return workshop.object(
            name, workshop.mesh(name, joined(parts), materials, smooth=False), collection, _MACHINE_AT
        )

    place("Vending machine", town_shapes.vending_machine())
    pane = place(GLASS, box((-0.42, 0.01, 0.76), (0.42, 0.03, 1.78), Paint.GLASS))
    pane.visible_shadow = False
    place(SIGN, box((-0.50, -0.03, 1.92), (0.50, 0.55, 2.16), Paint.SIGN))
    sign = place(SHOP_SIGN, town_shapes.shop_sign())
    sign.location = (-4.0, 4.55, 2.9)  # on a utility pole


def _fog(workshop: Workshop, collection: Any) -> None:
    """Haze at the far end of the street."""
    mesh = workshop.mesh(
        FOG,
        box((-40.0, -3.0, -0.1), (40.0, 7.5, 5.0)),
        {0: fog(workshop, "Fog", (0.86, 0.93, 1.0), 0.02)},
        smooth=False,
    )
    made = workshop.object(FOG, mesh, collection, (-78.0, 0.0, 0.0))
    made.display_type = "WIRE"
    made.visible_shadow = False


def _bush_cards(
    workshop: Workshop, chance: np.random.Generator, colours: Mapping[Paint, Colour], collection: Any
) -> None:
    greens = [
        colours[Paint.LEAVES_DARK],
        colours[Paint.LEAVES],
        shifted(colours[Paint.LEAVES], 0.02, 0.9, 1.12),
        colours[Paint.BLOSSOM],
    ]
    image = image_from_pixels(workshop, "Bush leaves", picture_of_leaves(chance, 128, greens[:3] * 2 + greens))
    material = cut_out(workshop, "Bush card", image, greens[1])
    mesh = workshop.mesh(CARD, town_shapes.leaf_card(), {0: material}, smooth=False)
    for number, (x, y) in enumerate(_CARDS_AT):
        made = workshop.object(f"{CARD} {number + 1}", mesh, collection, (x, y, 0.08))
        size = float(chance.uniform(1.0, 1.35))
        made.scale = (size * 1.2, 1.0, size)
        made.rotation_euler[2] = float(chance.uniform(0.25, 0.5))


def _instanced_grass(
    workshop: Workshop,
    seed: int,
    chance: np.random.Generator,
    materials: Mapping[int, Any],
    collection: Any,
    hidden: Any,
) -> None:
    """Verges whose tufts are scattered by geometry nodes."""
    tuft = workshop.object("Grass tuft", workshop.mesh("Grass tuft", town_shapes.grass_tuft(chance), materials), hidden)
    verges = joined(
        [
            town_shapes.strip((-7.0, 9.0), (-4.6, -1.9), -0.015, Paint.GRASS, pieces=12),
            town_shapes.strip((-30.0, 14.0), (5.3, 6.6), -0.015, Paint.GRASS, pieces=12),
        ]
    )
    field = workshop.object(GRASS, workshop.mesh(GRASS, verges, materials, smooth=False), collection)
    scatter = field.modifiers.new("Scatter grass", "NODES")
    scatter.node_group = _scatter_nodes(workshop, tuft, seed)


def _scatter_nodes(workshop: Workshop, tuft: Any, seed: int) -> Any:
    """Ground in; ground plus randomly turned and sized tufts out."""
    tree = workshop.new("node_groups", "Scatter grass", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")

    def node(kind: str, column: int, row: int = 0) -> Any:
        made = tree.nodes.new(kind)
        made.location = (220 * column, -260 * row)
        return made

    ground, result = node("NodeGroupInput", 0), node("NodeGroupOutput", 5)
    points, what = node("GeometryNodeDistributePointsOnFaces", 1), node("GeometryNodeObjectInfo", 2, 1)
    turn, size = node("FunctionNodeRandomValue", 1, 1), node("FunctionNodeRandomValue", 1, 2)
    instances, both = node("GeometryNodeInstanceOnPoints", 3), node("GeometryNodeJoinGeometry", 4)
    points.inputs["Density"].default_value = 11.0
    points.inputs["Seed"].default_value = seed
    what.inputs["Object"].default_value = tuft
    turn.data_type = "FLOAT_VECTOR"
    turn.inputs["Max"].default_value = (0.25, 0.25, 6.283)
    turn.inputs["Seed"].default_value = seed + 1
    size.data_type = "FLOAT"
    low, high = (socket for socket in size.inputs if socket.type == "VALUE" and socket.name in ("Min", "Max"))
    low.default_value, high.default_value = 0.7, 1.5
    size.inputs["Seed"].default_value = seed + 2
    for start, end in (
        (ground.outputs[0], points.inputs["Mesh"]),
        (points.outputs["Points"], instances.inputs["Points"]),
        (what.outputs["Geometry"], instances.inputs["Instance"]),
        (next(socket for socket in turn.outputs if socket.enabled), instances.inputs["Rotation"]),
        (next(socket for socket in size.outputs if socket.enabled), instances.inputs["Scale"]),
        (ground.outputs[0], both.inputs["Geometry"]),
        (instances.outputs["Instances"], both.inputs["Geometry"]),
        (both.outputs["Geometry"], result.inputs[0]),
    ):
        tree.links.new(start, end)
    return tree


def _fur_grass(workshop: Workshop, seed: int, materials: Mapping[int, Any], collection: Any) -> None:
    """A patch of long grass made of particle hair, as fur is."""
    ground = town_shapes.strip((-1.2, 1.2), (-0.35, 0.35), 0.0, Paint.GRASS, pieces=3)
    patch = workshop.object(
        FUR_PATCH, workshop.mesh(FUR_PATCH, ground, materials, smooth=False), collection, (1.2, -2.4, -0.01)
    )
    system = patch.modifiers.new("Fur", "PARTICLE_SYSTEM").particle_system
    system.seed = seed
    settings = workshop.keep("particles", system.settings)
    settings.name = PREFIX + "Fur grass"
    settings.type = "HAIR"
    settings.count = 260
    settings.hair_length = 0.34
    settings.hair_step = 4
    settings.brownian_factor = 0.04
    settings.normal_factor = 0.02
    settings.root_radius, settings.tip_radius, settings.radius_scale = 1.0, 0.1, 0.012


def add_petals(
    workshop: Workshop, seed: int, materials: Mapping[int, Any], scene: Any, collection: Any, hidden: Any
) -> None:
    """Cherry petals that drift down: an emitter that shows an object for every particle.

    They are baked, so that a frame is the same whichever was shown before. Call it while the scene is still almost
    empty: the bake evaluates everything in it 48 times.
    """
    petal = workshop.object(PETAL, workshop.mesh(PETAL, town_shapes.petal(), materials, smooth=False), hidden)
    sheet = town_shapes.strip((-9.0, 9.0), (-2.5, 5.5), 0.0, Paint.PETAL, pieces=6)
    emitter = workshop.object(
        PETAL_EMITTER, workshop.mesh(PETAL_EMITTER, sheet, materials, smooth=False), collection, (0.0, 0.0, 4.6)
    )
    system = emitter.modifiers.new("Petals", "PARTICLE_SYSTEM").particle_system
    system.seed = seed
    settings = workshop.keep("particles", system.settings)
    settings.name = PREFIX + "Petals"
    settings.count = _PETALS
    settings.frame_start, settings.frame_end, settings.lifetime = -90.0, 48.0, 130.0
    settings.normal_factor = 0.0
    settings.factor_random = 0.45
    settings.object_align_factor = (-0.5, 0.15, -0.4)
    settings.effector_weights.gravity = 0.035
    settings.brownian_factor = 0.25
    settings.use_rotations = True
    settings.rotation_factor_random = 1.0
    settings.phase_factor_random = 2.0
    settings.angular_velocity_mode, settings.angular_velocity_factor = "RAND", 4.0
    settings.use_dynamic_rotation = True
    settings.render_type = "OBJECT"
    settings.instance_object = petal
    settings.particle_size, settings.size_random = 0.042, 0.4
    emitter.show_instancer_for_render = emitter.show_instancer_for_viewport = False
    view_layer = scene.view_layers[0]
    view_layer.update()
    cache = system.point_cache
    cache.frame_start, cache.frame_end = scene.frame_start, scene.frame_end
    with bpy.context.temp_override(
        scene=scene, view_layer=view_layer, active_object=emitter, object=emitter, point_cache=cache
    ):
        bpy.ops.ptcache.bake(bake=True)


def add_mark(workshop: Workshop, materials: Mapping[int, Any], collection: Any, armature: Any) -> Any:
    """A "!" over the heroine's head that shines through everything; the caller lets it pop up."""
    made = workshop.object(
        MARK, workshop.mesh(MARK, town_shapes.exclamation_mark(), materials, smooth=False), collection
    )
    made.show_in_front = True
    made.parent = armature
    made.parent_type = "BONE"
    made.parent_bone = "head"
    return made
