# SPDX-License-Identifier: GPL-3.0-or-later
"""Shades the 3D viewports of a screen for a while, several times over if need be, and puts back what was before.

Which shading that is, and when it ends, is decided by who asks for it: viewport.py and udp_preview.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import bpy

# A screen's custom property: who shades its viewports. Undo does not touch screens.
_SHADED = "animerun_shaded"
# What Blender adds to a screen's name for its maximized area.
_MAXIMIZED = "-nonnormal"

_Place = tuple[float, float, float, float]  # left, bottom, right, top; as parts of the screen
_Values = dict[str, Any]  # of a viewport's shading, by property


class Shown(NamedTuple):
    """What a screen's viewports show."""

    scene: bpy.types.Scene | None  # None once it is gone
    what: str  # of that scene; in the words of who shades them


@dataclass
class _View:
    """A viewport as it was. Areas have no names: it is known again by its place."""

    place: _Place
    before: _Values


@dataclass
class _Layer:
    """One shading. A later one lies above: what it puts back is how the ones below made the viewports look."""

    who: str
    what: str
    after: _Values
    views: list[_View]


def shade(
    screen: bpy.types.Screen, who: str, scene: bpy.types.Scene, values: Mapping[str, Any], what: str = ""
) -> None:
    """Shade all 3D viewports like this, above what others make of them, until unshade()."""
    unshade(screen, who)
    home = _screens(screen)[0]
    layers = _load(home)
    after = {name: _plain(value) for name, value in values.items()}
    views = [_View(place, {name: _plain(getattr(one, name)) for name in after}) for place, one in _shadings(home)]
    for _, shading in _shadings(home):
        _set(shading, after)
    _save(home, [*layers, _Layer(who, what, after, views)], {who: scene})


def unshade(screen: bpy.types.Screen, who: str) -> None:
    """Undo that; what the user has changed since then stays."""
    home = _screens(screen)[0]
    layers = _load(home)
    number = next((number for number, layer in enumerate(layers) if layer.who == who), None)
    if number is None:
        return
    ended = layers.pop(number)
    for name in ended.after:
        # What a shading above is to put back must be what this one would have.
        above = next((layer for layer in layers[number:] if name in layer.after), None)
        if above is None:
            for place, shading in _shadings(home):
                now = {name: _plain(getattr(shading, name))}
                if _end_in(now, place, name, ended):
                    _set(shading, now)
        else:
            for view in above.views:
                _end_in(view.before, view.place, name, ended)
    _save(home, layers, {who: None})


def shown(screen: bpy.types.Screen, who: str) -> Shown | None:
    """What the screen shows for this one; None where it shows nothing."""
    home = _screens(screen)[0]
    layer = next((layer for layer in _load(home) if layer.who == who), None)
    return None if layer is None else Shown(home[_SHADED].get(who), layer.what)


def shaded_screens(who: str) -> Iterator[tuple[bpy.types.Screen, Shown]]:
    """All screens of the file that show something for this one."""
    for screen in bpy.data.screens:
        if _SHADED in screen and (what := shown(screen, who)) is not None:
            yield screen, what


def viewports(screen: bpy.types.Screen) -> list[bpy.types.Area]:
    """Its 3D viewports."""
    return [area for area in screen.areas if area.type == "VIEW_3D"]


def _end_in(values: _Values, place: _Place, name: str, ended: _Layer) -> bool:
    """Put back one value of a viewport that is now at `place`, if it is still as the ended shading made it."""
    view = max(ended.views, key=lambda view: _overlap(view.place, place), default=None)
    if view is None or values[name] != ended.after[name]:
        return False
    values[name] = view.before[name]
    return True


def _load(screen: bpy.types.Screen) -> list[_Layer]:
    if _SHADED not in screen:
        return []
    layers = json.loads(screen[_SHADED]["json"])
    return [
        _Layer(
            one["who"],
            one["what"],
            one["after"],
            [_View(tuple(view["place"]), view["before"]) for view in one["views"]],
        )
        for one in layers
    ]


def _save(screen: bpy.types.Screen, layers: list[_Layer], scenes: Mapping[str, bpy.types.Scene | None]) -> None:
    if not layers:
        del screen[_SHADED]
        return
    if _SHADED not in screen:
        screen[_SHADED] = {}
    stored = screen[_SHADED]
    stored["json"] = json.dumps([asdict(layer) for layer in layers])
    for who, scene in scenes.items():
        if scene is not None:
            stored[who] = scene
        elif who in stored:
            del stored[who]


def _screens(screen: bpy.types.Screen) -> list[bpy.types.Screen]:
    """The screen, and the one that a maximized area of it has for itself meanwhile."""
    name = screen.name.removesuffix(_MAXIMIZED)
    every = bpy.data.screens
    return [every.get(name, screen), *([every[name + _MAXIMIZED]] if name + _MAXIMIZED in every else [])]


def _shadings(screen: bpy.types.Screen) -> Iterator[tuple[_Place, bpy.types.View3DShading]]:
    """Of each 3D viewport of the screen, a maximized one included, and where it is."""
    for one in _screens(screen):
        for area in viewports(one):
            yield _place(one, area), area.spaces.active.shading


def _set(shading: bpy.types.View3DShading, values: _Values) -> None:
    for name, value in values.items():
        setattr(shading, name, value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | bool) else [round(part, 6) for part in value]


def _place(screen: bpy.types.Screen, area: bpy.types.Area) -> _Place:
    width = max(one.x + one.width for one in screen.areas)
    height = max(one.y + one.height for one in screen.areas)
    return area.x / width, area.y / height, (area.x + area.width) / width, (area.y + area.height) / height


def _overlap(one: _Place, other: _Place) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
