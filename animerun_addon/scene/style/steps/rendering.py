# SPDX-License-Identifier: GPL-3.0-or-later
"""How the scene is rendered: flat shading, hard pixels, no blur, colours as they are, nothing put over the frame.

Lines are contours.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from ..stage import Stage

# In this order, and undone in the other: a look belongs to its view transform and goes when that is changed.
_FLAT = {
    "render.engine": "BLENDER_WORKBENCH",
    "display.shading.type": "SOLID",
    "display.shading.light": "FLAT",
    "display.shading.show_shadows": False,
    "display.shading.show_cavity": False,
    "display.shading.show_xray": False,
    "display.shading.use_dof": False,
}
# Workbench has a switch. Others blur by their filter, EEVEE's Freestyle strokes over a Workbench frame among them.
_SHARP = {"display.render_aa": "OFF", "render.filter_size": 0.0}
_PLAIN = {
    "view_settings.look": "None",
    "view_settings.view_transform": "Standard",
    "view_settings.exposure": 0.0,
    "view_settings.gamma": 1.0,
    "view_settings.use_curve_mapping": False,
    "view_settings.use_white_balance": False,
    "render.dither_intensity": 0.0,
}
_AS_RENDERED = {"render.use_compositing": False, "render.use_sequencer": False, "render.use_stamp": False}
_NARROWEST_CYCLES_FILTER_PX = 0.01


def flat_shading(stage: Stage) -> None:
    """Workbench with flat light. Colours are other steps' choice."""
    _set_all(stage, _FLAT)
    culls = _needs_culling(stage)
    stage.set(stage.scene, "display.shading.show_backface_culling", culls)
    if culls:
        for thing in _turned_away(stage):
            stage.tell(thing, "it turns its back to the camera, and backs are not drawn where outlines are hulls")


def sharp_pixels(stage: Stage) -> None:
    """No anti-aliasing, or as little as the engine allows."""
    _set_all(stage, _SHARP)
    if stage.scene.render.engine == "CYCLES":
        stage.set(stage.scene, "cycles.filter_width", _NARROWEST_CYCLES_FILTER_PX)


def no_blur(stage: Stage) -> None:
    """Depth of field of every camera, and motion blur."""
    stage.set(stage.scene, "render.use_motion_blur", False)
    for camera in _cameras(stage):
        stage.set(camera, "dof.use_dof", False)


def plain_display(stage: Stage) -> None:
    """What a material's colour is, the file has."""
    _set_all(stage, _PLAIN)


def no_postprocessing(stage: Stage) -> None:
    """No compositor, no sequencer, no text burnt into the picture."""
    _set_all(stage, _AS_RENDERED)


def _set_all(stage: Stage, values: Mapping[str, Any]) -> None:
    for path, value in values.items():
        stage.set(stage.scene, path, value)


def _cameras(stage: Stage) -> dict[bpy.types.Camera, None]:
    things = [*stage.objects, stage.scene.camera, *(marker.camera for marker in stage.scene.timeline_markers)]
    return {thing.data: None for thing in things if thing is not None and thing.type == "CAMERA"}


def _needs_culling(stage: Stage) -> bool:
    """Whether anything relies on its back not being seen. Workbench knows one switch, for all."""
    is_culled = (material.use_backface_culling or stage.opacities[material].culls_back for material in stage.materials)
    return any(is_culled) or any(
        modifier.type == "SOLIDIFY" and modifier.use_flip_normals and modifier.show_render
        for thing in stage.objects
        for modifier in thing.modifiers
    )


def _turned_away(stage: Stage) -> Iterator[bpy.types.Object]:
    """Cards, planes and the like that show the camera the side that is not drawn, at the current frame."""
    camera = stage.scene.camera
    if camera is None:
        return
    areas: dict[bpy.types.Mesh, tuple[Vector, float]] = {}
    for thing in stage.scene.objects:
        if thing.type != "MESH" or not _is_shown(thing) or _culls(thing) or _is_thickened(thing):
            continue
        if thing.data not in areas:
            areas[thing.data] = _facing_area(thing.data)
        facing, area = areas[thing.data]
        # A closed surface's areas add up to nothing.
        if facing.length > area / 2 and facing.dot(_towards(camera, thing)) < 0:
            yield thing


def _is_shown(thing: bpy.types.Object) -> bool:
    return not thing.hide_render and (thing.show_instancer_for_render or not thing.is_instancer)


def _culls(thing: bpy.types.Object) -> bool:
    materials = [slot.material for slot in thing.material_slots if slot.material is not None]
    return bool(materials) and all(material.use_backface_culling for material in materials)


def _is_thickened(thing: bpy.types.Object) -> bool:
    return any(
        modifier.type == "SOLIDIFY" and not modifier.use_flip_normals and modifier.show_render
        for modifier in thing.modifiers
    )


def _facing_area(mesh: bpy.types.Mesh) -> tuple[Vector, float]:
    """The sum of all faces' normals, each as long as the face is large, and the sum of their areas."""
    normals = np.empty(3 * len(mesh.polygons), np.float32)
    areas = np.empty(len(mesh.polygons), np.float32)
    mesh.polygons.foreach_get("normal", normals)
    mesh.polygons.foreach_get("area", areas)
    return Vector(areas @ normals.reshape(-1, 3)), float(areas.sum())


def _towards(camera: bpy.types.Object, thing: bpy.types.Object) -> Vector:
    """The direction to the camera, in the object's own space."""
    object_from_world = thing.matrix_world.inverted_safe()
    if camera.type == "CAMERA" and camera.data.type == "ORTHO":
        return object_from_world.to_3x3() @ camera.matrix_world.to_3x3().col[2]
    middle = sum((Vector(corner) for corner in thing.bound_box), Vector()) / len(thing.bound_box)
    return object_from_world @ camera.matrix_world.translation - middle
