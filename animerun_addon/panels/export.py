# SPDX-License-Identifier: GPL-3.0-or-later
"""Exporting into a data set: the button, what it will write, its settings, and how the last export went."""

from __future__ import annotations

import bpy

from ..errors import InputError
from ..export_estimate import estimate, size_text, time_text
from ..export_options import relied_on, switch_of
from ..export_properties import default_clip, default_film, request_of
from ..export_runs import Run, last_run, measured_pace
from ..export_settings import Label
from ..progress import JobState
from ..scene.frames import picture_size_px
from .main import ICONS, SidebarPanel, draw_lines, draw_range

# More notes are not read here; all of them are in the clip's notes.json.
MOST_NOTES = 8
_OF_PICTURES = (Label.FRAMES, Label.CONTOUR)
_OF_ANIMERUN = (Label.FLOW, Label.OCCLUSION, Label.LINE_AREA, Label.SEGMENT, Label.MATCHING)
_FURTHER = (Label.VALID, Label.DEPTH, Label.NORMAL, Label.IDS, Label.UDP, Label.EXR)


def _last(context: bpy.types.Context) -> Run | None:
    try:
        return last_run(request_of(context))
    except InputError:
        return None


class VIEW3D_PT_animerun_export(SidebarPanel, bpy.types.Panel):
    """The button, what will come of it, and where it goes."""

    bl_idname = "VIEW3D_PT_animerun_export"
    bl_label = "Data Set"

    def draw(self, context: bpy.types.Context) -> None:
        """What must be right before a long export is begun stands here; all else is folded."""
        layout = self.layout
        scene = context.scene
        settings = scene.animerun
        row = layout.row(align=True)
        row.scale_y = 1.4
        row.operator("animerun.export_sequence", icon="EXPORT")
        row.operator("animerun.open_data_set", text="", icon="FILE_FOLDER")
        _draw_forecast(layout.column(align=True), context)

        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings.export, "root_folder")
        layout.prop(settings.export, "clip_name", placeholder=default_clip(scene))
        layout.prop(settings.export, "split")
        draw_range(layout, settings)
        layout.prop(settings.export, "step")
        layout.prop(settings.export, "uses_style")
        layout.prop(settings.export, "checks")


def _draw_forecast(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What will be written, for which frames, how large and roughly how long; or why nothing can be."""
    try:
        request = request_of(context)
    except InputError as error:
        draw_lines(column, str(error), context, icon="ERROR")
        return
    settings, frames = request.settings, request.frames
    size_px = picture_size_px(context.scene.render)
    pace = measured_pace()
    checked = context.scene.animerun.export.checks
    comes_to = estimate(settings, len(frames), size_px, checked=checked, pace=pace or 1.0)
    holds = "at most " if settings.remove_holds else ""
    which = f"{holds}{len(frames)} frames, {frames[0]} to {frames[-1]}" if len(frames) > 1 else f"frame {frames[0]}"
    draw_lines(column, f"{which[0].upper()}{which[1:]}, {size_px[0]}x{size_px[1]}", context)
    draw_lines(column, f"{comes_to.files} files, about {size_text(comes_to.size_bytes)}", context)
    time = time_text(comes_to.seconds)
    draw_lines(column, f"About {time} (measured)" if pace else f"Very roughly {time}", context)
    needed = relied_on(settings)
    if needed:
        draw_lines(column, f"Taken from this clip's folders: {', '.join(needed)}", context, icon="INFO")
    if max(settings.strides) >= len(frames):
        draw_lines(column, "Too few frames for pairs so far apart", context, icon="INFO")
    if bpy.data.is_dirty:
        text = "Unsaved changes go into the clip. Save first if you may want to go on after a cancel"
        draw_lines(column, text, context, icon="INFO")


class _ExportSection(SidebarPanel):
    bl_parent_id = VIEW3D_PT_animerun_export.bl_idname
    bl_options = {"DEFAULT_CLOSED"}


class VIEW3D_PT_animerun_export_verdict(_ExportSection, bpy.types.Panel):
    """How the last export of this clip went."""

    bl_idname = "VIEW3D_PT_animerun_export_verdict"
    bl_label = "Last Export"
    bl_options = set()

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Once one has ended."""
        run = _last(context)
        return run is not None and not run.is_running

    def draw(self, context: bpy.types.Context) -> None:
        """The verdict with its reasons, then what has no correspondence."""
        layout = self.layout
        run = _last(context)
        if run is None:
            return
        verdict = run.verdict
        is_bad = verdict is not None and not verdict["passed"]
        icon = ICONS[JobState.FAILED if is_bad else run.job.status.state]
        draw_lines(layout, run.headline(), context, icon=icon)
        if verdict is not None:
            _draw_list(layout, "Failures", verdict["failures"], context)
            layout.operator("animerun.open_contact_sheet", icon="IMAGE_DATA")
        _draw_list(layout, "Without labels or correspondence", (run.job.result or {}).get("notes", []), context)


def _draw_list(layout: bpy.types.UILayout, title: str, lines: list[str], context: bpy.types.Context) -> None:
    if not lines:
        return
    column = layout.column(align=True)
    column.label(text=f"{title} ({len(lines)})")
    for line in lines[:MOST_NOTES]:
        draw_lines(column, line, context, icon="DOT")
    if len(lines) > MOST_NOTES:
        column.label(text=f"and {len(lines) - MOST_NOTES} more")


class VIEW3D_PT_animerun_export_labels(_ExportSection, bpy.types.Panel):
    """Which files are written."""

    bl_idname = "VIEW3D_PT_animerun_export_labels"
    bl_label = "What Is Written"

    def draw(self, context: bpy.types.Context) -> None:
        """Switches, by what reads them."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        for heading, labels in (("Pictures", _OF_PICTURES), ("AnimeRun", _OF_ANIMERUN), ("Further", _FURTHER)):
            column = layout.column(heading=heading)
            for label in labels:
                column.prop(context.scene.animerun.export, switch_of(label))


class VIEW3D_PT_animerun_export_settings(_ExportSection, bpy.types.Panel):
    """How labels are made."""

    bl_idname = "VIEW3D_PT_animerun_export_settings"
    bl_label = "Settings"

    def draw(self, context: bpy.types.Context) -> None:
        """Choices, then the way to begin from the start."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        scene = context.scene
        layout.prop(scene.animerun.export, "film", placeholder=default_film(scene))
        for name in ("strides", "remove_holds", "augment", "occlusion", "segments", "matching"):
            layout.prop(scene.animerun.export, name)
        layout.operator("animerun.export_sequence", text="Start Anew", icon="FILE_REFRESH").anew = True
