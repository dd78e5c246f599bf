# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a scene's settings decide what the frame shows: not the same for every engine. Measured on 4.5, 5.0, 5.2."""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from .versions import eevee_engine


@dataclass(frozen=True)
class DrawRules:
    """What a frame's engine goes by, so that the labels show what the frame shows."""

    culls_all: bool  # the scene's own back-face culling is on and counts
    culls_by_material: bool
    uses_in_front: bool
    uses_cutouts: bool
    cuts_by_texture_alone: bool = False  # the active texture cuts, whatever the nodes make of its alpha


def draw_rules(scene: bpy.types.Scene, engine: str) -> DrawRules:
    """How `engine` draws the scene. Any other engine than Blender's own gets all that is switched on."""
    shading = scene.display.shading
    if engine == "BLENDER_WORKBENCH":
        # It knows no materials' culling, and of their nodes only the active texture.
        return DrawRules(shading.show_backface_culling, False, True, shading.color_type == "TEXTURE", True)
    if engine == eevee_engine():
        return DrawRules(False, True, False, True)
    if engine == "CYCLES":
        return DrawRules(False, False, False, True)
    return DrawRules(shading.show_backface_culling, True, True, True)
