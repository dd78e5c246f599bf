# SPDX-License-Identifier: GPL-3.0-or-later
"""What the render properties show while the scene's engine is "AnimeRun Labels"."""

from __future__ import annotations

import bpy

from ..scene.engine import LabelsEngine


class RENDER_PT_animerun_labels(bpy.types.Panel):
    """The engine's one choice."""

    bl_idname = "RENDER_PT_animerun_labels"
    bl_label = "Labels"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    COMPAT_ENGINES = {LabelsEngine.bl_idname}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only with this engine."""
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context: bpy.types.Context) -> None:
        """A choice and what it means."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(context.scene.animerun, "id_backend")
