# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes 3D viewports show a scene as its Workbench frames will look, and back. Rendered frames are frames.py's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import bpy

from .style import is_converted

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
# A screen's custom property: its previewed scene, and how its viewports were shaded. Undo does not touch screens.
PREVIEW = "animerun_preview"
# What Blender adds to a screen's name for its maximized area.
_MAXIMIZED = "-nonnormal"


class _View(NamedTuple):
    """A viewport as it was. Areas have no names: it is known again by its place."""

    place: tuple[float, float, float, float]  # left, bottom, right, top; as parts of the screen
    before: dict[str, Any]


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


def preview(window: bpy.types.Window) -> None:
    """Shade all 3D viewports of the window like Workbench frames of its scene, until end_preview()."""
    scene, screen = window.scene, _screens(window.screen)[0]
    if PREVIEW in screen:
        end_preview(screen[PREVIEW].get("scene"))
    after = {"type": "SOLID", **{name: _plain(getattr(scene.display.shading, name)) for name in LOOK}}
    if not scene.render.film_transparent:
        after["background_type"] = "WORLD"
    views = []
    for one in _screens(screen):
        for area in _viewports(one):
            shading = area.spaces.active.shading
            views.append(_View(_place(one, area), {name: _plain(getattr(shading, name)) for name in after}))
            _shade(shading, after)
    screen[PREVIEW] = {"json": json.dumps({"after": after, "views": views}), "scene": scene}


def end_preview(scene: bpy.types.Scene | None) -> None:
    """Shade the viewports that preview this scene as before, on every screen; what was changed since then stays."""
    for screen in bpy.data.screens:
        if PREVIEW in screen and screen[PREVIEW].get("scene") in {scene, None}:
            _end_on(screen)


def is_previewed(screen: bpy.types.Screen) -> bool:
    """Whether the screen's viewports are shaded by preview()."""
    return PREVIEW in _screens(screen)[0]


def end_stale_previews() -> None:
    """End the previews of scenes that are not converted: after undo, say."""
    for screen in bpy.data.screens:
        scene = screen[PREVIEW].get("scene") if PREVIEW in screen else None
        if PREVIEW in screen and (scene is None or not is_converted(scene)):
            _end_on(screen)


def _end_on(screen: bpy.types.Screen) -> None:
    stored = json.loads(screen[PREVIEW]["json"])
    views = [_View(*view) for view in stored["views"]]
    del screen[PREVIEW]
    for one in _screens(screen):
        for area in _viewports(one):
            place = _place(one, area)
            view = max(views, key=lambda view: _overlap(view.place, place), default=None)
            if view is not None:
                shading = area.spaces.active.shading
                is_ours = {
                    name: _plain(getattr(shading, name)) == _plain(stored["after"][name]) for name in view.before
                }
                _shade(shading, {name: value for name, value in view.before.items() if is_ours[name]})


def _screens(screen: bpy.types.Screen) -> list[bpy.types.Screen]:
    """The screen, and the one that a maximized area of it has for itself meanwhile."""
    name = screen.name.removesuffix(_MAXIMIZED)
    every = bpy.data.screens
    return [every.get(name, screen), *([every[name + _MAXIMIZED]] if name + _MAXIMIZED in every else [])]


def _viewports(screen: bpy.types.Screen) -> Iterator[bpy.types.Area]:
    return (area for area in screen.areas if area.type == "VIEW_3D")


def _shade(shading: bpy.types.View3DShading, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(shading, name, value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | bool) else [round(part, 6) for part in value]


def _place(screen: bpy.types.Screen, area: bpy.types.Area) -> tuple[float, float, float, float]:
    width = max(one.x + one.width for one in screen.areas)
    height = max(one.y + one.height for one in screen.areas)
    return area.x / width, area.y / height, (area.x + area.width) / width, (area.y + area.height) / height


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
