# SPDX-License-Identifier: GPL-3.0-or-later
"""The "AnimeRun" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import textwrap

import bpy

from .. import progress
from ..progress import JobState, JobStatus
from ..properties import AnimeRunSettings

# Of Blender's default font and panels, at a scale of 1.
CHARACTER_PX, MARGIN_PX, ICON_PX = 6.8, 60, 20
ICONS = {JobState.DONE: "CHECKMARK", JobState.CANCELLED: "CANCEL", JobState.FAILED: "ERROR"}


class SidebarPanel:
    """Where all our panels are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "AnimeRun"


class VIEW3D_PT_animerun(SidebarPanel, bpy.types.Panel):
    """What runs now, and the way in for a newcomer."""

    bl_idname = "VIEW3D_PT_animerun"
    bl_label = "AnimeRun"

    def draw(self, context: bpy.types.Context) -> None:
        """Jobs first, then the quick start."""
        layout = self.layout
        for index, status in enumerate(progress.shown):
            box = layout.box()
            if status.state is JobState.RUNNING:
                _draw_running_job(box, index, status)
            else:
                box.label(text=status.title, icon=ICONS[status.state])
                draw_lines(box, status.note, context)
        layout.operator("animerun.add_demo_scene", icon="OUTLINER_OB_ARMATURE")


class VIEW3D_PT_animerun_frames(SidebarPanel, bpy.types.Panel):
    """Rendering the scene's frames."""

    bl_idname = "VIEW3D_PT_animerun_frames"
    bl_label = "Frames"

    def draw(self, context: bpy.types.Context) -> None:
        """The one button, then its settings."""
        layout = self.layout
        settings = context.scene.animerun
        row = layout.row(align=True)
        row.scale_y = 1.4
        row.operator("animerun.render_frames", icon="RENDER_ANIMATION")
        row.operator("animerun.open_output", text="", icon="FILE_FOLDER")

        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "output_folder")
        draw_range(layout, settings)
        column = layout.column(heading="As Well")
        column.prop(settings, "line_art")
        column.prop(settings, "makes_video")
        column.prop(settings, "variants")


def _draw_running_job(layout: bpy.types.UILayout, index: int, status: JobStatus) -> None:
    """A progress bar with a cancel button, and what is being done."""
    row = layout.row(align=True)
    row.progress(factor=status.progress.fraction, text=f"{status.title}: {status.summary()}")
    if status.cancel_requested:
        row.label(text="", icon="SORTTIME")
    else:
        row.operator("animerun.cancel_job", text="", icon="X").index = index
    layout.label(text=status.progress.message)


def draw_range(layout: bpy.types.UILayout, settings: AnimeRunSettings) -> None:
    """Which frames are rendered or exported: one choice for all sections."""
    layout.prop(settings, "use_scene_range")
    column = layout.column(align=True)
    column.enabled = not settings.use_scene_range
    column.prop(settings, "frame_start")
    column.prop(settings, "frame_end")


def draw_lines(layout: bpy.types.UILayout, text: str, context: bpy.types.Context, icon: str = "NONE") -> None:
    """A text as wide as the sidebar: Blender's labels do not wrap, and an error that is cut off helps nobody."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    ui_scale = context.preferences.system.ui_scale
    margin_px = MARGIN_PX + (ICON_PX if icon != "NONE" else 0)
    characters = int((context.region.width - margin_px * ui_scale) / (CHARACTER_PX * ui_scale))
    for number, line in enumerate(textwrap.wrap(text, max(characters, 16))):
        column.label(text=line, icon=icon if number == 0 else "NONE" if icon == "NONE" else "BLANK1")
