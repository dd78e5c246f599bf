# SPDX-License-Identifier: GPL-3.0-or-later
"""The 2D style in the sidebar: the toggle, its settings, and the report of what it did."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from ..scene.style import Finding, is_converted, last_report
from ..style_properties import FROM_PICTURES
from .main import SidebarPanel

ICONS = {
    "OBJECT": "OBJECT_DATA",
    "MATERIAL": "MATERIAL",
    "SCENE": "SCENE_DATA",
    "WORLD": "WORLD",
    "IMAGE": "IMAGE_DATA",
}
# More rows make the panel slow and are not read; the whole report can be copied.
MOST_ROWS = 30


class VIEW3D_PT_animerun_style(SidebarPanel, bpy.types.Panel):
    """The button, and the choices that matter most."""

    bl_idname = "VIEW3D_PT_animerun_style"
    bl_label = "2D Style"

    def draw(self, context: bpy.types.Context) -> None:
        """The toggle shows whether it is on."""
        layout = self.layout
        style = context.scene.animerun.style
        is_on = is_converted(context.scene)
        row = layout.row(align=True)
        row.scale_y = 1.4
        text = "Back to 3D" if is_on else "Convert to 2D"
        row.operator("animerun.toggle_style", text=text, icon="LOOP_BACK" if is_on else "SHADING_SOLID", depress=is_on)
        if is_on:
            row.operator("animerun.update_style", text="", icon="FILE_REFRESH")

        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(style, "contours")
        row = layout.row()
        row.active = style.contours != "OUTLINE"
        row.prop(style, "line_thickness_px")
        if style.contours == "FAST":
            layout.prop(style, "coloured_lines")
        column = layout.column()
        column.active = style.flat_colours
        column.prop(style, "colour_source")
        column.prop(style, "textures")
        layout.prop(style, "line_art")


class _StyleSection(SidebarPanel):
    bl_parent_id = VIEW3D_PT_animerun_style.bl_idname
    bl_options = {"DEFAULT_CLOSED"}


class VIEW3D_PT_animerun_style_colours(_StyleSection, bpy.types.Panel):
    """Other colours."""

    bl_idname = "VIEW3D_PT_animerun_style_colours"
    bl_label = "Other Colours"

    def draw_header(self, context: bpy.types.Context) -> None:
        """Its switch."""
        self.layout.prop(context.scene.animerun.style, "augment", text="")

    def draw(self, context: bpy.types.Context) -> None:
        """Where they come from."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        style = context.scene.animerun.style
        layout.active = style.augment
        layout.prop(style, "palette")
        if style.palette == FROM_PICTURES:
            layout.prop(style, "palette_folder")
        layout.prop(style, "seed")
        layout.prop(style, "keep_light_order")


class VIEW3D_PT_animerun_style_steps(_StyleSection, bpy.types.Panel):
    """Every step by itself."""

    bl_idname = "VIEW3D_PT_animerun_style_steps"
    bl_label = "Steps"

    def draw(self, context: bpy.types.Context) -> None:
        """Switches, and below them what they need to know."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        style = context.scene.animerun.style
        column = layout.column(heading="Picture")
        for name in ("flat_shading", "sharp_pixels", "no_blur", "plain_display", "no_postprocessing"):
            column.prop(style, name)
        column = layout.column(heading="Materials")
        column.prop(style, "flat_colours")
        column.prop(style, "solid")
        column = layout.column(heading="Scene")
        for name in ("no_hair", "replace_particles", "hide_environment"):
            column.prop(style, name)
        row = layout.row()
        row.active = style.replace_particles
        row.prop(style, "particles")
        column = layout.column()
        column.active = style.hide_environment
        column.prop(style, "hide_glass")
        column.prop(style, "hidden_names")
        layout.prop(style, "grease_pencil")
        layout.prop(style, "zoom")
        if style.zoom == "DOLLY":
            layout.prop(style, "focus")


class VIEW3D_PT_animerun_style_report(_StyleSection, bpy.types.Panel):
    """What the conversion did and what it left."""

    bl_idname = "VIEW3D_PT_animerun_style_report"
    bl_label = "Report"
    bl_options = set()

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """While there is something to tell."""
        return is_converted(context.scene)

    def draw(self, context: bpy.types.Context) -> None:
        """Counts, then what to look at; a click selects it."""
        layout = self.layout
        report = last_report(context.scene)
        column = layout.column(align=True)
        column.scale_y = 0.8
        for step, count in report.changed.items():
            row = column.row()
            row.label(text=step)
            row.label(text=f"{count} changed")
        _draw_findings(layout, "Look at these", report.left)
        _draw_findings(layout, "Kept as you changed them", report.kept)
        _draw_findings(layout, "No longer there", report.gone)
        layout.operator("animerun.copy_report", icon="COPYDOWN")


def _draw_findings(layout: bpy.types.UILayout, title: str, findings: Iterable[Finding]) -> None:
    findings = list(findings)
    if not findings:
        return
    layout.label(text=f"{title} ({len(findings)})")
    column = layout.column(align=True)
    for finding in findings[:MOST_ROWS]:
        row = column.row()
        row.alignment = "LEFT"
        text = f"{finding.name}: {finding.text}"
        button = row.operator("animerun.select_finding", text=text, icon=ICONS.get(finding.kind, "DOT"), emboss=False)
        button.kind, button.block_name, button.text = finding
    if len(findings) > MOST_ROWS:
        column.label(text=f"and {len(findings) - MOST_ROWS} more: copy the report to see them")
