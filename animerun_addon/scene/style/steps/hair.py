# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair and fur off. Particles that show objects, on hair or not, are particles.py's."""

from __future__ import annotations

import bpy

from ..stage import Stage
from .hiding import hide


def no_hair(stage: Stage) -> None:
    """Strands of particles and hair curves go; the skin that they grow on stays as it is."""
    for thing in stage.objects:
        if thing.type == "CURVES" and not _becomes_mesh(thing):
            hide(stage, thing)
        for modifier in thing.modifiers:
            if modifier.type == "PARTICLE_SYSTEM" and is_strands(modifier.particle_system.settings):
                switch_off(stage, modifier)


def switch_off(stage: Stage, modifier: bpy.types.Modifier) -> bool:
    """Whether the modifier does nothing any more, in frames and in the viewport."""
    is_off: bool = stage.set(modifier, "show_render", False)
    return is_off and stage.set(modifier, "show_viewport", False)


def is_strands(settings: bpy.types.ParticleSettings) -> bool:
    """Whether these particles are drawn as hair."""
    return settings.type == "HAIR" and settings.render_type == "PATH"


def _becomes_mesh(curves: bpy.types.Object) -> bool:
    """Hair cards and ribbons that nodes make of curves are surfaces like any other."""
    trees = [modifier.node_group for modifier in curves.modifiers if modifier.type == "NODES" and modifier.show_render]
    return any(node.bl_idname == "GeometryNodeCurveToMesh" for tree in trees if tree for node in tree.nodes)
