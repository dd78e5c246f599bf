# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes single objects out of the frames and the viewport. Which ones, other steps say."""

from __future__ import annotations

import bpy

from ..stage import Stage

# Their simulations need to know where these objects are.
_PHYSICS = {"COLLISION", "FLUID", "DYNAMIC_PAINT"}
_MAKES_INSTANCES = {"VERTS", "FACES"}


def hide(stage: Stage, thing: bpy.types.Object) -> None:
    """Hide the object itself; what it emits, and what stands on its corners or faces, goes on showing."""
    if _shows_others(thing):
        stage.set(thing, "show_instancer_for_render", False)
        stage.set(thing, "show_instancer_for_viewport", False)
        return
    is_hidden = stage.set(thing, "hide_render", True)
    # Disabled in the viewport as well, it would be lost to the physics of others.
    if is_hidden and thing.library is None and not _moves_others(thing):
        stage.set(thing, "hide_viewport", True)


def _shows_others(thing: bpy.types.Object) -> bool:
    emits = any(
        modifier.type == "PARTICLE_SYSTEM"
        and modifier.show_render
        and modifier.particle_system.settings.render_type != "NONE"
        for modifier in thing.modifiers
    )
    return emits or (thing.instance_type in _MAKES_INSTANCES and bool(thing.children))


def _moves_others(thing: bpy.types.Object) -> bool:
    has_field = thing.field is not None and thing.field.type != "NONE"
    return has_field or thing.rigid_body is not None or any(modifier.type in _PHYSICS for modifier in thing.modifiers)
