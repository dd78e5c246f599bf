# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that Blender itself draws: Freestyle's strokes and Workbench's object outline.

Lines from the id image are put over finished frames when they are rendered, by the pipeline.
"""

from __future__ import annotations

import bpy

from ....style_settings import Contours
from ..stage import Stage

_NAME = "AnimeRun contours"
_LINES = {"silhouette", "border", "crease", "material_boundary"}
_EDGE_TYPES = (*sorted(_LINES), "contour", "external_contour", "ridge_valley", "suggestive_contour", "edge_mark")
_IN_PIXELS = {"render.line_thickness_mode": "ABSOLUTE", "render.line_thickness": 1.0}
# Strokes are meshes that EEVEE draws over the frame: at its usual samples they would cost more than all the rest.
_CHEAP_STROKES = {"eevee.taa_render_samples": 1, "eevee.use_shadows": False, "eevee.use_raytracing": False}
_OF_VIEW_LAYERS = {
    "use_freestyle": True,
    "freestyle_settings.mode": "EDITOR",
    "freestyle_settings.use_culling": True,
    "freestyle_settings.as_render_pass": False,
}
_BLACK = (0.0, 0.0, 0.0)


def contours(stage: Stage) -> None:
    """Set the scene up for the lines that are wanted."""
    wanted = stage.settings.contours
    # Workbench's outline fades to its sides. Line art is black on white, and has Freestyle's silhouettes anyway.
    has_outline = wanted is Contours.OUTLINE or (wanted is Contours.FREESTYLE and not stage.settings.line_art)
    stage.set(stage.scene, "display.shading.show_object_outline", has_outline)
    stage.set(stage.scene, "display.shading.object_outline_color", _BLACK)
    stage.set(stage.scene, "render.use_freestyle", wanted is Contours.FREESTYLE)
    if wanted is Contours.FREESTYLE:
        _set_up_freestyle(stage)


def _set_up_freestyle(stage: Stage) -> None:
    for path, value in (*_IN_PIXELS.items(), *_CHEAP_STROKES.items()):
        stage.set(stage.scene, path, value)
    without_lines = _collection_of_cards(stage)
    for layer in stage.scene.view_layers:
        if layer.use:
            for path, value in _OF_VIEW_LAYERS.items():
                stage.set(layer, path, value)
            for users_own in layer.freestyle_settings.linesets:
                stage.set(users_own, "show_render", False)
            _add_line_set(stage, layer, without_lines)


def _collection_of_cards(stage: Stage) -> bpy.types.Collection | None:
    """Objects that textures cut out: Freestyle sees whole cards, and would draw their rims in the air."""
    cards = [thing for thing in stage.objects if stage.settings.solid and _is_cut_out(stage, thing)]
    if not cards:
        return None
    collection = bpy.data.collections.new(f"{_NAME}: none on these")
    stage.made(collection)
    for thing in cards:
        collection.objects.link(thing)
        stage.tell(thing, "a texture cuts it out: Freestyle knows nothing of that and draws no lines on it")
    return collection


def _is_cut_out(stage: Stage, thing: bpy.types.Object) -> bool:
    materials = [slot.material for slot in thing.material_slots if slot.material is not None]
    return bool(materials) and all(stage.opacities[material].cutout is not None for material in materials)


def _add_line_set(stage: Stage, layer: bpy.types.ViewLayer, without_lines: bpy.types.Collection | None) -> None:
    line_sets = layer.freestyle_settings.linesets
    active = line_sets.active_index
    made = line_sets.new(_NAME)
    line_sets.active_index = active
    for edge_type in _EDGE_TYPES:
        setattr(made, f"select_{edge_type}", edge_type in _LINES)
    made.select_by_collection = without_lines is not None
    made.collection, made.collection_negation = without_lines, "EXCLUSIVE"
    made.linestyle.name = _NAME
    made.linestyle.color = _BLACK
    _set_thickness(made.linestyle, stage.scene, stage.settings.line_thickness_px)
    stage.made(made.linestyle)
    stage.made(made)


def _set_thickness(linestyle: bpy.types.FreestyleLineStyle, scene: bpy.types.Scene, thickness_px: float) -> None:
    """In pixels of the frame as it is rendered: Blender itself scales with the resolution's percentage."""
    driver = linestyle.driver_add("thickness").driver
    variable = driver.variables.new()
    variable.name = "percentage"
    target = variable.targets[0]
    target.id_type, target.id, target.data_path = "SCENE", scene, "render.resolution_percentage"
    driver.expression = f"{thickness_px} * 100 / percentage"
