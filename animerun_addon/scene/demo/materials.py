# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender materials for the demo's paints: toon ramps, Principled, emission, glass, fog, cut-outs, the outline.

Every material's viewport colour is the colour that its shader shows in light, so that Workbench draws the same picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..versions import node_tree_of
from .look import Colour, Paint, shade_of, skin_shade_of
from .workshop import Workshop

# Above this share of direct light a toon surface counts as lit.
_LIT_FROM = 0.30
_PRINCIPLED = {Paint.WINDOW: (0.15, 0.0), Paint.METAL: (0.45, 0.6), Paint.ASPHALT: (0.9, 0.0)}  # roughness, metallic
_EMISSIVE = {Paint.SIGN: 1.0, Paint.LAMP: 1.0}
_UNSHADED = (Paint.EYE_WHITE, Paint.HIGHLIGHT, Paint.LASH, Paint.PUPIL, Paint.CLOUD, Paint.CLOUD_SHADE, Paint.HILL_FAR)


def linear(colour: Colour) -> tuple[float, float, float, float]:
    """Scene-linear RGBA of a displayed sRGB colour."""
    value = np.asarray(colour)
    made = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return float(made[0]), float(made[1]), float(made[2]), 1.0


def paint_materials(workshop: Workshop, colours: Mapping[Paint, Colour]) -> dict[int, Any]:
    """A material for every paint."""
    return {int(paint): _paint(workshop, paint, colour) for paint, colour in colours.items()}


def _paint(workshop: Workshop, paint: Paint, colour: Colour) -> Any:
    name = paint.name.replace("_", " ").capitalize()
    if paint is Paint.GLASS:
        return glass(workshop, name, colour)
    if paint in _EMISSIVE:
        return emission(workshop, name, colour, _EMISSIVE[paint])
    if paint in _PRINCIPLED:
        roughness, metallic = _PRINCIPLED[paint]
        return principled(workshop, name, colour, roughness, metallic)
    if paint in _UNSHADED:
        return toon(workshop, name, colour, colour)
    if paint in (Paint.SKIN, Paint.BLUSH):
        return toon(workshop, name, colour, skin_shade_of(colour))
    return toon(workshop, name, colour, shade_of(colour))


def _empty_material(workshop: Workshop, name: str, colour: Colour, alpha: float = 1.0) -> tuple[Any, Any, Any]:
    """A material with nothing but an output node; also its node tree and that node."""
    material = workshop.new("materials", name)
    tree = node_tree_of(material)
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    output.location = (600, 0)
    material.diffuse_color = (*linear(colour)[:3], alpha)
    material.roughness = 0.9
    return material, tree, output


def toon(workshop: Workshop, name: str, lit: Colour, shaded: Colour) -> Any:
    """Two flat tones: light falls on a diffuse surface, a hard ramp decides."""
    material, tree, output = _empty_material(workshop, name, lit)
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    diffuse.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    to_rgb = tree.nodes.new("ShaderNodeShaderToRGB")
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    for column, node in enumerate((diffuse, to_rgb, ramp)):
        node.location = (-300 + 280 * column, 0)
    ramp.color_ramp.interpolation = "CONSTANT"
    first, second = ramp.color_ramp.elements
    first.position, first.color = 0.0, linear(shaded)
    second.position, second.color = _LIT_FROM, linear(lit)
    tree.links.new(diffuse.outputs["BSDF"], to_rgb.inputs["Shader"])
    tree.links.new(to_rgb.outputs["Color"], ramp.inputs["Fac"])
    tree.links.new(ramp.outputs["Color"], output.inputs["Surface"])
    return material


def principled(workshop: Workshop, name: str, colour: Colour, roughness: float, metallic: float) -> Any:
    """An ordinary physical surface, as models from elsewhere bring it."""
    material, tree, output = _empty_material(workshop, name, colour)
    node = tree.nodes.new("ShaderNodeBsdfPrincipled")
    node.inputs["Base Color"].default_value = linear(colour)
    node.inputs["Roughness"].default_value = roughness
    node.inputs["Metallic"].default_value = metallic
    tree.links.new(node.outputs["BSDF"], output.inputs["Surface"])
    material.roughness, material.metallic = roughness, metallic
    return material


def emission(workshop: Workshop, name: str, colour: Colour, strength: float) -> Any:
    """Light only: signs and lamps."""
    material, tree, output = _empty_material(workshop, name, colour)
    node = tree.nodes.new("ShaderNodeEmission")
    node.inputs["Color"].default_value = linear(colour)
    node.inputs["Strength"].default_value = strength
    tree.links.new(node.outputs["Emission"], output.inputs["Surface"])
    return material


def glass(workshop: Workshop, name: str, colour: Colour) -> Any:
    """A pane: mostly transparent, a little glossy, tinted."""
    material, tree, output = _empty_material(workshop, name, colour, alpha=0.35)
    clear = tree.nodes.new("ShaderNodeBsdfTransparent")
    clear.inputs["Color"].default_value = linear(colour)
    shine = tree.nodes.new("ShaderNodeBsdfGlass")
    shine.inputs["Roughness"].default_value = 0.05
    mix = tree.nodes.new("ShaderNodeMixShader")
    mix.inputs[0].default_value = 0.3
    tree.links.new(clear.outputs["BSDF"], mix.inputs[1])
    tree.links.new(shine.outputs["BSDF"], mix.inputs[2])
    tree.links.new(mix.outputs["Shader"], output.inputs["Surface"])
    material.surface_render_method = "BLENDED"
    return material


def fog(workshop: Workshop, name: str, colour: Colour, density: float) -> Any:
    """A volume only: nothing is connected to the surface."""
    material, tree, output = _empty_material(workshop, name, colour, alpha=0.0)  # Workbench knows no volumes
    node = tree.nodes.new("ShaderNodeVolumePrincipled")
    node.inputs["Color"].default_value = linear(colour)
    node.inputs["Density"].default_value = density
    tree.links.new(node.outputs["Volume"], output.inputs["Volume"])
    return material


def cut_out(workshop: Workshop, name: str, image: Any, colour: Colour) -> Any:
    """A card whose image's alpha cuts it out."""
    material, tree, output = _empty_material(workshop, name, colour)
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    texture.interpolation = "Closest"
    clear = tree.nodes.new("ShaderNodeBsdfTransparent")
    mix = tree.nodes.new("ShaderNodeMixShader")
    tree.links.new(texture.outputs["Alpha"], mix.inputs[0])
    tree.links.new(clear.outputs["BSDF"], mix.inputs[1])
    tree.links.new(texture.outputs["Color"], mix.inputs[2])
    tree.links.new(mix.outputs["Shader"], output.inputs["Surface"])
    tree.nodes.active = texture
    material.surface_render_method = "DITHERED"
    return material


def outline(workshop: Workshop, name: str) -> Any:
    """The black of inverted hulls: seen from behind only, and casting no shadow."""
    material, tree, output = _empty_material(workshop, name, (0.10, 0.06, 0.09))
    node = tree.nodes.new("ShaderNodeBsdfDiffuse")
    node.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    tree.links.new(node.outputs["BSDF"], output.inputs["Surface"])
    material.use_backface_culling = True
    material.use_backface_culling_shadow = True
    return material


def image_from_pixels(workshop: Workshop, name: str, rgba: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """An image packed into the file; `rgba` is (H, W, 4), row 0 at the top, displayed sRGB."""
    height, width = rgba.shape[:2]
    image = workshop.new("images", name, width, height)
    image.pixels.foreach_set(rgba[::-1].astype(np.float32).ravel())
    image.update()
    image.pack()
    return image
