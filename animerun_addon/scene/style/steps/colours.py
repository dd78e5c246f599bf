# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives every material its flat colour: its own, one out of a palette, or white for line art; and makes it solid.

What colour a shader stands for: shader_colours.py. How Workbench is made to show pictures: pictures.py.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from ....labels.palettes import assigned, lab_from_srgb, linear_from_srgb, palette_of, srgb_from_linear
from ....style_settings import ColourSource
from ...cutouts import NotUnderstood, placing_of
from ..stage import Stage
from .pictures import can_show, has_pictures, picture_of, show, use_uv_maps
from .shader_colours import FlatColour, ShaderColours

_OUTLINE_LIGHTNESS = 25.0  # what is darker, and culled, is the line of an inverted hull
_WHITE = (1.0, 1.0, 1.0)


def flat_colours(stage: Stage) -> None:
    """Materials show one colour each, or their texture where that is wanted."""
    if stage.settings.colour_source is ColourSource.SHADER or stage.settings.textures:
        _read_shaders(stage)
    shown = "TEXTURE" if stage.settings.textures else "MATERIAL"
    stage.set(stage.scene, "display.shading.color_type", shown)


def solid(stage: Stage) -> None:
    """Nothing is see-through."""
    for material in stage.materials:
        _paint(stage, material, material.diffuse_color[:3], alpha=1.0)
    stage.set(stage.scene, "display.shading.show_xray", False)
    if stage.scene.display.shading.color_type == "OBJECT":
        for thing in stage.objects:
            stage.set(thing, "color", (*thing.color[:3], 1.0))


def augment(stage: Stage) -> None:
    """Colours out of a palette; outlines stay black, and what shows a texture keeps that."""
    palette = palette_of(stage.settings.palette)
    outlines = _outlines(stage)
    painted = {
        material.name_full: material
        for material in stage.materials
        if material not in outlines and _can_be_recoloured(stage, material)
    }
    before = {name: srgb_from_linear(material.diffuse_color[:3]) for name, material in painted.items()}
    given = assigned(before, palette, stage.settings.seed, stage.settings.keep_light_order)
    for name, colour in given.items():
        _paint(stage, painted[name], linear_from_srgb(colour))


def line_art(stage: Stage) -> None:
    """White things before white."""
    for material in stage.materials:
        _paint(stage, material, _WHITE)
    # Not each material's colour, but one for all: what has no material has to be white as well.
    stage.set(stage.scene, "display.shading.single_color", _WHITE)
    stage.set(stage.scene, "display.shading.color_type", "SINGLE")
    stage.set(stage.scene, "render.film_transparent", False)
    if stage.scene.world is None:
        world = bpy.data.worlds.new("Paper")
        stage.made(world)
        stage.set(stage.scene, "world", world)
    stage.set(stage.scene.world, "color", _WHITE)


def seen_materials(stage: Stage) -> set[bpy.types.Material]:
    """Those that are not only on what is hidden: nothing needs to be told of these."""
    shown = {slot.material for thing in stage.objects if not thing.hide_render for slot in thing.material_slots}
    hidden = {slot.material for thing in stage.objects if thing.hide_render for slot in thing.material_slots}
    return set(stage.materials) - (hidden - shown)


# Out of shaders -------------------------------------------------------------------------------------------------------


def _read_shaders(stage: Stage) -> None:
    reader = ShaderColours(_meshes_of(stage))
    seen = seen_materials(stage)
    uv_maps: dict[bpy.types.Material, str] = {}
    for material in stage.materials:
        try:
            flat = reader.of(material)
        except NotUnderstood as reason:
            flat = None
            if material in seen:
                stage.tell(material, f"its colour comes from {reason}: it keeps its viewport colour")
        if flat is not None and stage.settings.colour_source is ColourSource.SHADER:
            _paint(stage, material, flat.rgb)
            if material in seen and not stage.settings.line_art:
                _tell_losses(stage, material, flat)
        if stage.settings.textures and can_show(material):
            _show_texture(stage, material, flat, uv_maps)
    use_uv_maps(stage, uv_maps)
    _paint_world(stage, reader)


def _tell_losses(stage: Stage, material: bpy.types.Material, flat: FlatColour) -> None:
    if flat.is_colourful and not stage.settings.textures:
        stage.tell(material, "its texture's many colours become one, their average: switch textures on to see them")
    animation = material.node_tree.animation_data
    if animation is not None and (animation.action is not None or animation.drivers):
        stage.tell(material, f"its nodes are animated: it keeps the colour of frame {stage.scene.frame_current}")


def _show_texture(
    stage: Stage, material: bpy.types.Material, flat: FlatColour | None, uv_maps: dict[bpy.types.Material, str]
) -> None:
    """The first texture that makes the colour, rather than a normal map; none, if none does."""
    if flat is None or not flat.textures:
        if has_pictures(material):
            show(stage, material, None, "REPEAT", "Closest")
        return
    node, groups = flat.textures[0]
    show(stage, material, node.image, node.extension, node.interpolation)
    try:
        uv_maps[material] = placing_of(node.inputs["Vector"], groups)[0]
    except NotUnderstood as reason:
        stage.tell(material, f"flat frames lay its texture on by the UV map alone, without {reason}")


def _paint_world(stage: Stage, reader: ShaderColours) -> None:
    """The background, which Workbench knows as one colour."""
    world = stage.scene.world
    if world is None or stage.settings.colour_source is not ColourSource.SHADER:
        return
    try:
        flat = reader.of(world)
    except NotUnderstood as reason:
        stage.tell(world, f"the background comes from {reason}: it keeps its viewport colour")
        return
    if flat is not None:
        stage.set(world, "color", tuple(flat.rgb))


def _meshes_of(stage: Stage) -> dict[bpy.types.Material, list[bpy.types.Mesh]]:
    meshes: dict[bpy.types.Material, dict[bpy.types.Mesh, None]] = {}
    for thing in stage.objects:
        if thing.type == "MESH":
            for slot in thing.material_slots:
                meshes.setdefault(slot.material, {})[thing.data] = None
    return {material: list(worn) for material, worn in meshes.items()}


# Paint ----------------------------------------------------------------------------------------------------------------


def _paint(stage: Stage, material: bpy.types.Material, rgb: Iterable[float], alpha: float | None = None) -> None:
    opacity = material.diffuse_color[3] if alpha is None else alpha
    stage.set(material, "diffuse_color", (*map(float, rgb), opacity))


def _can_be_recoloured(stage: Stage, material: bpy.types.Material) -> bool:
    if material.library is not None:
        return False
    picture = picture_of(material)
    shows_picture = has_pictures(material) and (picture is None or picture.image is not None)
    if stage.scene.display.shading.color_type == "TEXTURE" and shows_picture:
        stage.tell(material, "it shows its texture, which keeps its colours: switch textures off to recolour it")
        return False
    return True


def _outlines(stage: Stage) -> set[bpy.types.Material]:
    """What is nearly black and seen from one side only: the lines that inverted hulls make."""
    shells = {
        slot.material
        for thing in stage.objects
        for modifier in thing.modifiers
        if modifier.type == "SOLIDIFY" and modifier.use_flip_normals and modifier.material_offset
        for slot in list(thing.material_slots)[min(modifier.material_offset, len(thing.material_slots) - 1) :]
    }
    one_sided = (
        material
        for material in stage.materials
        if material.use_backface_culling or stage.opacities[material].culls_back or material in shells
    )
    return {
        material
        for material in one_sided
        if lab_from_srgb(srgb_from_linear(material.diffuse_color[:3]))[0] < _OUTLINE_LIGHTNESS
    }
