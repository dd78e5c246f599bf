# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a 3D viewport show a scene as its Workbench frames will look. Rendered frames themselves are frames.py's."""

from __future__ import annotations

import bpy

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
    "background_type",
)


def show_as_rendered(window: bpy.types.Window) -> None:
    """Set the window's largest 3D viewport to look through the scene's camera, shaded like its Workbench frames."""
    viewports = [area for area in window.screen.areas if area.type == "VIEW_3D"]
    if not viewports:
        return
    area = max(viewports, key=lambda area: area.width * area.height)
    space = area.spaces.active
    space.shading.type = "SOLID"
    for name in LOOK:
        setattr(space.shading, name, getattr(window.scene.display.shading, name))
    space.region_3d.view_perspective = "CAMERA"
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.view_center_camera()
