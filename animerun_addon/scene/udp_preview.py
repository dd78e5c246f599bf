# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a character's baked UDP colours in a window's 3D viewports, and puts these and the meshes back.

Screens say who is shown, meshes what else was active: whatever undo, files and edits make of one, settle() does to the
other. Baking is udp_bake.py's.
"""

from __future__ import annotations

import bpy
from bpy.types import Mesh

from ..errors import InputError
from . import udp_attribute
from .characters import find_characters, named_character
from .viewport_shading import Shown, shade, shaded_screens, shown, unshade

_UDP = "udp"
# Colours as they are, on what is black in UDP pictures, too.
_LOOK = {
    "type": "SOLID",
    "light": "FLAT",
    "color_type": "VERTEX",
    "show_backface_culling": False,
    "show_object_outline": False,
    "show_shadows": False,
    "show_cavity": False,
    "show_xray": False,
    "use_dof": False,
    "background_type": "VIEWPORT",
    "background_color": (0.0, 0.0, 0.0),
}


def start(window: bpy.types.Window, name: str) -> None:
    """Show the colours of a baked character of the window's scene in all its 3D viewports, instead of another's."""
    scene = window.scene
    named_character(scene, name)
    meshes = _meshes(Shown(scene, name))
    if not meshes:
        raise InputError(f"Character '{name}' is not baked: bake its UDP colours first")
    for mesh in meshes:
        udp_attribute.show(mesh)
    shade(window.screen, _UDP, scene, _LOOK, name)
    settle()


def end(screen: bpy.types.Screen) -> None:
    """Show the screen's viewports as before; what was changed in them since then stays."""
    unshade(screen, _UDP)
    settle()


def is_previewed(screen: bpy.types.Screen) -> bool:
    """Whether the screen shows the colours of a character."""
    return shown(screen, _UDP) is not None


def settle() -> None:
    """End what is half gone: screens whose character shows no colours any more, and colours that no screen shows."""
    seen: set[Mesh] = set()
    for screen, what in list(shaded_screens(_UDP)):
        meshes = {mesh for mesh in _meshes(what) if udp_attribute.is_shown(mesh)}
        if not meshes:
            unshade(screen, _UDP)
        seen |= meshes
    for mesh in bpy.data.meshes:
        if udp_attribute.is_shown(mesh) and mesh not in seen:
            udp_attribute.hide(mesh)


def _meshes(what: Shown) -> set[Mesh]:
    """The baked meshes of a character, if there still is one of that name."""
    character = find_characters(what.scene).get(what.what) if what.scene is not None else None
    things = character.things if character is not None else ()
    return {
        thing.data
        for thing in things
        if thing.type == "MESH" and udp_attribute.is_own(thing.data) and udp_attribute.is_baked(thing.data)
    }
