# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the heroine together in Blender: meshes, modifiers, outline, blink. Shapes and run are made elsewhere."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np

from . import heroine_body, heroine_hair, heroine_head
from .rig import build_armature
from .shapes import Shape
from .skeleton import Skeleton, other_side
from .workshop import Workshop

BLINK = "blink"
OUTLINE_MODIFIER = "Outline"
_OUTLINE_M = 0.0030


def add_outline(thing: Any, material: Any, thickness_m: float) -> None:
    """An inverted hull: a black shell, turned inside out, of which only the far side is drawn."""
    thing.data.materials.append(material)
    hull = thing.modifiers.new(OUTLINE_MODIFIER, "SOLIDIFY")
    hull.thickness = -thickness_m
    hull.offset = -1.0
    hull.use_flip_normals = True
    hull.use_rim = False
    hull.material_offset = len(thing.data.materials)  # beyond the last: Blender clamps it to the outline
    hull.use_quality_normals = True


def _mirror(thing: Any) -> None:
    # The modifier hands the left side's weights to the groups of the right side if there are any.
    for name in [group.name for group in thing.vertex_groups]:
        if other_side(name) not in thing.vertex_groups:
            thing.vertex_groups.new(name=other_side(name))
    mirror = thing.modifiers.new("Mirror", "MIRROR")
    mirror.use_clip = True
    mirror.merge_threshold = 1e-4


def _subdivide(thing: Any) -> None:
    subdivision = thing.modifiers.new("Subdivision", "SUBSURF")
    subdivision.levels = subdivision.render_levels = 1


def follow(thing: Any, armature: Any) -> None:
    """The armature modifier."""
    thing.modifiers.new("Armature", "ARMATURE").object = armature


def build_heroine(
    workshop: Workshop,
    skeleton: Skeleton,
    seed: int,
    materials: Mapping[int, Any],
    outline: Any,
    scene: Any,
    collection: Any,
) -> Generator[str, None, Any]:
    """Yields what comes next after each of her parts; returns the armature object."""
    armature = build_armature(workshop, "Heroine", skeleton, scene, collection)
    yield "body"

    def part(name: str, shape: Shape) -> Any:
        return workshop.skinned_object(f"Heroine {name}", shape, materials, armature, collection)

    thing = part("body", heroine_body.body(skeleton))
    _mirror(thing)
    follow(thing, armature)
    _subdivide(thing)
    add_outline(thing, outline, _OUTLINE_M)
    yield "clothes"
    for name, shape in (
        ("jacket and shoes", heroine_body.jacket_and_shoes(skeleton)),
        ("skirt", heroine_body.skirt(skeleton)),
    ):
        thing = part(name, shape)
        _mirror(thing)
        follow(thing, armature)
        add_outline(thing, outline, _OUTLINE_M)
    yield "scarf"
    for name, shape in (("scarf", heroine_body.scarf(skeleton)), ("head", heroine_head.head())):
        thing = part(name, shape)
        follow(thing, armature)
        add_outline(thing, outline, _OUTLINE_M)
    yield "hair"
    thing = part("hair", heroine_hair.hair(skeleton, seed))
    follow(thing, armature)
    add_outline(thing, outline, _OUTLINE_M)
    yield "face"
    thing = part("face", heroine_head.face_features())
    _add_blink(thing)
    follow(thing, armature)
    return armature


def _add_blink(face: Any) -> None:
    face.shape_key_add(name="Basis", from_mix=False)
    blink = face.shape_key_add(name=BLINK, from_mix=False)
    blink.data.foreach_set("co", heroine_head.face_features(1.0).points.astype(np.float32).ravel())
    blink.value = 0.0  # Blender 5.2 makes new keys fully on
    face.data.shape_keys.name = "AR Heroine face"
