# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes 3D viewports show a scene as its Workbench frames will look, and back. Rendered frames are frames.py's."""

from __future__ import annotations

import bpy

from .style import is_converted
from .viewport_shading import shade, shaded_screens, shown, unshade, viewports

# What scene.display.shading (the render's) and a viewport's own shading have in common and what decides the look.
# Without back-face culling an inverted-hull outline shows as a black shape.
LOOK = (
    "light",
    "color_type",
    "show_backface_culling",
    "show_object_outline",
    "object_outline_color",
    "show_shadows",
    "show_cavity",
    "show_xray",
    "use_dof",
    "single_color",
    "background_type",
)
_STYLE = "style"


def show_as_rendered(window: bpy.types.Window) -> None:
    """Set the window's largest 3D viewport to look through the scene's camera, shaded like its Workbench frames."""
    areas = viewports(window.screen)
    if not areas:
        return
    area = max(areas, key=lambda area: area.width * area.height)
    space = area.spaces.active
    space.shading.type = "SOLID"
    for name in LOOK:
        setattr(space.shading, name, getattr(window.scene.display.shading, name))
    space.region_3d.view_perspective = "CAMERA"
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.view_center_camera()


def preview(window: bpy.types.Window) -> None:
    """Shade all 3D viewports of the window like Workbench frames of its scene, until end_preview()."""
    scene = window.scene
    before = shown(window.screen, _STYLE)
    if before is not None:
        end_preview(before.scene)
    look = {"type": "SOLID", **{name: getattr(scene.display.shading, name) for name in LOOK}}
    if not scene.render.film_transparent:
        look["background_type"] = "WORLD"
    shade(window.screen, _STYLE, scene, look)


def end_preview(scene: bpy.types.Scene | None) -> None:
    """Shade the viewports that preview this scene as before, on every screen; what was changed since then stays."""
    for screen, what in shaded_screens(_STYLE):
        if what.scene in {scene, None}:
            unshade(screen, _STYLE)


def is_previewed(screen: bpy.types.Screen) -> bool:
    """Whether the screen's viewports are shaded by preview()."""
    return shown(screen, _STYLE) is not None


def end_stale_previews() -> None:
    """End the previews of scenes that are not converted: after undo, say."""
    for screen, what in shaded_screens(_STYLE):
        if what.scene is None or not is_converted(what.scene):
            unshade(screen, _STYLE)
