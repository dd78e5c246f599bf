# SPDX-License-Identifier: GPL-3.0-or-later
"""The one hand-written list of everything that Blender is told about. It is undone in reverse."""

from __future__ import annotations

from typing import Any

import bpy

from . import cli, udp_watch
from .export_properties import ExportProperties
from .operators import demo, export, jobs, render, style, udp, udp_bake
from .panels import export as export_panels
from .panels import labels_engine
from .panels import main as panels
from .panels import style as style_panels
from .panels import udp as udp_panels
from .pipeline import runner
from .preferences import AnimeRunPreferences
from .properties import AnimeRunSettings
from .scene.engine import LabelsEngine
from .style_properties import StyleProperties
from .udp_properties import UdpProperties

CLASSES = [
    StyleProperties,
    ExportProperties,
    UdpProperties,
    AnimeRunSettings,
    AnimeRunPreferences,
    jobs.ANIMERUN_OT_cancel_job,
    demo.ANIMERUN_OT_add_demo_scene,
    render.ANIMERUN_OT_render_frames,
    render.ANIMERUN_OT_open_output,
    export.ANIMERUN_OT_export_sequence,
    export.ANIMERUN_OT_open_data_set,
    export.ANIMERUN_OT_open_contact_sheet,
    style.ANIMERUN_OT_toggle_style,
    style.ANIMERUN_OT_update_style,
    style.ANIMERUN_OT_select_finding,
    style.ANIMERUN_OT_copy_report,
    udp.ANIMERUN_OT_check_character,
    udp.ANIMERUN_OT_make_a_pose,
    udp.ANIMERUN_OT_export_udp,
    udp.ANIMERUN_OT_open_udp_folder,
    udp_bake.ANIMERUN_OT_bake_udp,
    udp_bake.ANIMERUN_OT_unbake_udp,
    udp_bake.ANIMERUN_OT_preview_udp,
    panels.VIEW3D_PT_animerun,
    style_panels.VIEW3D_PT_animerun_style,
    style_panels.VIEW3D_PT_animerun_style_colours,
    style_panels.VIEW3D_PT_animerun_style_steps,
    style_panels.VIEW3D_PT_animerun_style_report,
    panels.VIEW3D_PT_animerun_frames,
    export_panels.VIEW3D_PT_animerun_export,
    export_panels.VIEW3D_PT_animerun_export_verdict,
    export_panels.VIEW3D_PT_animerun_export_labels,
    export_panels.VIEW3D_PT_animerun_export_settings,
    udp_panels.VIEW3D_PT_animerun_udp,
    udp_panels.VIEW3D_PT_animerun_udp_export,
    udp_panels.VIEW3D_PT_animerun_udp_last,
    udp_panels.VIEW3D_PT_animerun_udp_bake,
    LabelsEngine,
    labels_engine.RENDER_PT_animerun_labels,
]

HANDLERS = [*runner.HANDLERS, *style.HANDLERS, *udp_bake.HANDLERS, *udp_watch.HANDLERS]

_commands: list[Any] = []


def register() -> None:
    """Everything, in the order in which one thing needs another."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.animerun = bpy.props.PointerProperty(type=AnimeRunSettings)
    for name, function in HANDLERS:
        getattr(bpy.app.handlers, name).append(function)
    _commands.append(bpy.utils.register_cli_command("animerun", cli.main))


def unregister() -> None:
    """The same, backwards."""
    runner.stop_all()
    udp_watch.stop()
    bpy.utils.unregister_cli_command(_commands.pop())
    for name, function in reversed(HANDLERS):
        getattr(bpy.app.handlers, name).remove(function)
    del bpy.types.Scene.animerun
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
