# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps cards cut out (hair, lashes, leaves), with hard edges: Workbench shows them pictures of one colour with holes.

Which holes a material has: scene/cutouts.py. The labels read the same pictures, so that they agree to the pixel.
"""

from __future__ import annotations

import bpy
import numpy as np
import numpy.typing as npt

from ....labels.palettes import srgb_from_linear
from ....labels.snapshot import Cutout
from ...cutouts import IN_PLACE, LIMIT, Opacity, Placing, read_pixels
from ..stage import Stage
from .colours import seen_materials
from .pictures import can_show, has_pictures, picture_of, show, use_uv_maps

_OF_MATERIALS = {"MATERIAL", "SINGLE", "TEXTURE"}
_MOST_PX = 8192
_OURS = "animerun_cut_out"  # a custom property of the images that are made here
_FILLED = 0.99


def cut_outs(stage: Stage) -> None:
    """After all that gives materials their colours."""
    _tell_problems(stage)
    shading = stage.scene.display.shading
    cut = {material: opacity for material, opacity in stage.opacities.items() if opacity.cutout is not None}
    holes = {material: opacity for material, opacity in cut.items() if can_show(material)}
    is_flat = shading.color_type != "TEXTURE"
    if shading.color_type not in _OF_MATERIALS or (is_flat and not holes):
        for material in cut:
            stage.tell(material, "its texture's holes are filled: flat frames cut out only what is of this file")
        return
    for material in stage.materials:
        if material in holes:
            _cut_out(stage, material, holes[material], keeps_colours=not is_flat)
        elif is_flat and has_pictures(material):
            _hide_pictures(stage, material)
        elif not is_flat:
            _fill(stage, material)
    use_uv_maps(stage, {material: opacity.uv_map or "" for material, opacity in holes.items()})
    if shading.color_type == "SINGLE":
        _tell_bare(stage)
    stage.set(stage.scene, "display.shading.color_type", "TEXTURE")


def _tell_problems(stage: Stage) -> None:
    seen = seen_materials(stage)
    for material, opacity in stage.opacities.items():
        if material not in seen:
            continue
        if opacity.problem:
            stage.tell(material, opacity.problem)
        elif opacity.texture_from_uv != IN_PLACE and opacity.cutout is not None and not _is_tiled(opacity):
            stage.tell(material, "a Mapping node lays on its texture: beyond one tile its holes are elsewhere")


def _hide_pictures(stage: Stage, material: bpy.types.Material) -> None:
    if can_show(material):
        show(stage, material, None, "REPEAT", "Closest")
    else:
        stage.tell(material, "it is linked, and shows its texture, which cut-outs of others need: make it local")


def _tell_bare(stage: Stage) -> None:
    for thing in stage.objects:
        if thing.type == "MESH" and not thing.hide_render and not any(slot.material for slot in thing.material_slots):
            stage.tell(thing, "it is grey in line art beside cut-outs, having no material: give it one")


def _cut_out(stage: Stage, material: bpy.types.Material, opacity: Opacity, keeps_colours: bool) -> None:
    assert opacity.cutout is not None
    there = _placed(opacity.cutout, opacity.texture_from_uv)
    rgba = np.empty((*there.shape, 4), np.float32)
    rgba[..., :3] = srgb_from_linear(material.diffuse_color[:3])
    rgba[..., 3] = there
    picture = picture_of(material)
    if keeps_colours and picture is not None and picture.image is not None:
        _keep_colours(rgba, picture.image)
    image = _image(stage, material, picture, rgba)
    show(stage, material, image, "REPEAT" if opacity.cutout.repeats else "EXTEND", "Closest")


def _fill(stage: Stage, material: bpy.types.Material) -> None:
    """A texture whose alpha its material ignores is shown without: Workbench would cut it out."""
    picture = picture_of(material)
    image = picture.image if picture is not None else None
    if picture is None or image is None or image.channels != 4 or image.alpha_mode == "NONE" or not image.size[0]:
        return
    rgba = read_pixels(image)
    if rgba[..., 3].min() < _FILLED:
        if image.is_float:
            rgba[..., :3] = srgb_from_linear(rgba[..., :3])
        rgba[..., 3] = 1.0
        show(stage, material, _image(stage, material, picture, rgba), picture.extension, picture.interpolation)


def _placed(cutout: Cutout, texture_from_uv: Placing) -> npt.NDArray[np.bool_]:
    """(h, w), where the surface is, row 0 at the top: the texture as a Mapping node lays it into the UV square."""
    there: npt.NDArray[np.bool_] = cutout.alpha >= LIMIT
    if texture_from_uv == IN_PLACE:
        return there
    height, width = there.shape
    matrix = np.array(texture_from_uv)
    # As many as there are texels along either side of the UV square.
    texels = (np.abs(matrix[:, :2]) * [[width], [height]]).max(axis=0)
    columns, rows = np.clip(np.rint(texels), 1, _MOST_PX).astype(int)
    u, v = (np.arange(columns) + 0.5) / columns, 1 - (np.arange(rows)[:, None] + 0.5) / rows
    place_u, place_v = (row[0] * u + row[1] * v + row[2] for row in matrix)
    if cutout.repeats:
        place_u, place_v = place_u % 1.0, place_v % 1.0
    column = np.clip(np.floor(place_u * width).astype(int), 0, width - 1)
    row = np.clip(height - 1 - np.floor(place_v * height).astype(int), 0, height - 1)
    return there[row, column]


def _is_tiled(opacity: Opacity) -> bool:
    """Whether every tile of the UV plane looks the same."""
    factors = np.array(opacity.texture_from_uv)[:, :2]
    assert opacity.cutout is not None
    return opacity.cutout.repeats and bool(np.abs(factors - factors.round()).max() < 1e-5)


def _keep_colours(rgba: npt.NDArray[np.float32], image: bpy.types.Image) -> None:
    if tuple(image.size) == rgba.shape[1::-1] and image.channels >= 3:
        colours = read_pixels(image)[..., :3]
        rgba[..., :3] = srgb_from_linear(colours) if image.is_float else colours


def _image(
    stage: Stage,
    material: bpy.types.Material,
    picture: bpy.types.ShaderNodeTexImage | None,
    rgba: npt.NDArray[np.float32],
) -> bpy.types.Image:
    """8-bit and packed: generated images are lost with the session. What another scene's conversion made is used."""
    height, width = rgba.shape[:2]
    image = picture.image if picture is not None else None
    if image is None or _OURS not in image:
        image = bpy.data.images.new(f"{material.name} cut out", width, height, alpha=True)
        image[_OURS] = True
    stage.made(image)
    if image.size[:] != (width, height):
        image.scale(width, height)
    image.pixels.foreach_set(rgba[::-1].ravel())
    image.update()
    image.pack()
    return image
