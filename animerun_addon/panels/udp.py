# SPDX-License-Identifier: GPL-3.0-or-later
"""Ultra-Dense Pose in the sidebar: whose, how it rests, what that becomes, baking and exporting it, and how it went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import bpy

from .. import udp_watch
from ..dataset.udp import MOST_CLIPPED, UdpFormat
from ..errors import InputError
from ..labels.udp_encoding import Preset
from ..progress import JobState
from ..scene.frames import picture_size_px
from ..scene.udp_preview import is_previewed
from ..udp_choices import Rest
from ..udp_memory import Finding, UdpRun, finding_of, last_run
from ..udp_options import UdpRequest
from ..udp_properties import UdpProperties, encoding_of, request_of, rest_of
from ..udp_settings import CONR_SIZE_STEP_PX, DEFAULT_SIZE_PX, View
from .main import ICONS, SidebarPanel, draw_lines, draw_range

# More are not read here.
MOST_LINES = 8
_WHAT_IT_IS = (
    "An Ultra-Dense Pose is a picture of which point of a character each pixel shows. A point is named by where it is "
    "while the character stands in its rest pose: so the tip of the nose has the same colour in every frame, wherever "
    "the head is turned. CoNR reads poses from such pictures, to draw the character anew in them"
)


def _split(layout: bpy.types.UILayout) -> None:
    layout.use_property_split = True
    layout.use_property_decorate = False


def _draw_list(layout: bpy.types.UILayout, lines: Iterable[str], context: bpy.types.Context, icon: str) -> None:
    shown = list(lines)
    column = layout.column(align=True)
    for line in shown[:MOST_LINES]:
        draw_lines(column, line, context, icon=icon)
    if len(shown) > MOST_LINES:
        column.label(text=f"and {len(shown) - MOST_LINES} more")


class VIEW3D_PT_animerun_udp(SidebarPanel, bpy.types.Panel):
    """Which character, how it stands, and which colours it gets."""

    bl_idname = "VIEW3D_PT_animerun_udp"
    bl_label = "Ultra-Dense Pose"
    bl_description = _WHAT_IT_IS
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Check first, then what it depends on."""
        layout = self.layout
        panel = context.scene.animerun.udp
        try:
            name = udp_watch.chosen(context.scene)
        except InputError as error:
            name = ""
            _draw_character(layout, panel, "")
            draw_lines(layout, str(error), context, icon="ERROR")
        else:
            _draw_character(layout, panel, name)
        row = layout.row()
        row.scale_y = 1.4
        row.operator("animerun.check_character", icon="ARMATURE_DATA")
        if name:
            _draw_finding(layout, name, context)
        _split(layout)
        _draw_rest(layout, panel)
        _draw_encoding(layout, panel)


def _draw_character(layout: bpy.types.UILayout, panel: UdpProperties, chosen: str) -> None:
    row = layout.row()
    row.use_property_split = False
    row.prop(panel, "character", text="", icon="OUTLINER_OB_ARMATURE", placeholder=chosen)


def _draw_finding(layout: bpy.types.UILayout, name: str, context: bpy.types.Context) -> None:
    """What the last check found; asked again where it is old."""
    scene, panel = context.scene, context.scene.animerun.udp
    finding = finding_of(scene.session_uid, name)
    if finding is None:
        return
    box = layout.box()
    draw_lines(box, finding.verdict, context, icon="CHECKMARK" if finding.is_a_pose else "ERROR")
    if finding.wants_a_pose and panel.rest != Rest.A_POSE.name:
        box.operator("animerun.make_a_pose", icon="POSE_HLT")
    column = box.column(align=True)
    draw_lines(column, finding.facing, context)
    how = "" if finding.encoding.body_height_m else ", with hair"
    draw_lines(column, f"{finding.body_height_m:.2f} m high{how}", context)
    draw_lines(column, *_clipping(finding, context))
    _draw_list(column, finding.notes, context, "INFO")
    if _is_old(finding, name, context):
        draw_lines(box, "Of before the last changes: check again", context, icon="FILE_REFRESH")


def _clipping(finding: Finding, context: bpy.types.Context) -> tuple[str, bpy.types.Context, str]:
    share = f"{finding.clipped_share:.1%}".replace("%", " %")
    if finding.clipped_share <= MOST_CLIPPED:
        return f"{share} of its surface is clipped", context, "NONE"
    remedy = "choose the uniform encoding" if finding.encoding.preset is Preset.CONR else "choose a smaller scale"
    return f"{share} of its surface is clipped, points there look alike: {remedy}", context, "ERROR"


def _is_old(finding: Finding, name: str, context: bpy.types.Context) -> bool:
    panel = context.scene.animerun.udp
    state = udp_watch.state_of(context.scene, name)
    try:
        return not finding.is_for(rest_of(panel), encoding_of(panel)) or (state is not None and state != finding.state)
    except InputError:
        return True


def _draw_rest(layout: bpy.types.UILayout, panel: UdpProperties) -> None:
    column = layout.column()
    column.prop(panel, "rest")
    if panel.rest == Rest.A_POSE.name:
        column.prop(panel, "arms_angle")
    if panel.rest == Rest.ACTION.name:
        column.prop(panel, "rest_action")
    if panel.rest in {Rest.ACTION.name, Rest.FRAME.name}:
        column.prop(panel, "rest_frame")
    column.prop(panel, "sets_facing")
    if panel.sets_facing:
        column.prop(panel, "front")
        column.prop(panel, "up")


def _draw_encoding(layout: bpy.types.UILayout, panel: UdpProperties) -> None:
    column = layout.column()
    column.prop(panel, "preset")
    if panel.preset == Preset.FREE.name:
        column.prop(panel, "scale")
        column.prop(panel, "offset")
    if panel.preset == Preset.CONR.name:
        column.prop(panel, "measures_height")
        if not panel.measures_height:
            column.prop(panel, "body_height")


class _UdpSection(SidebarPanel):
    bl_parent_id = VIEW3D_PT_animerun_udp.bl_idname


class VIEW3D_PT_animerun_udp_bake(_UdpSection, bpy.types.Panel):
    """The colours on the meshes themselves."""

    bl_idname = "VIEW3D_PT_animerun_udp_bake"
    bl_label = "On the Meshes"
    bl_description = (
        "Store the colours on the character's own meshes, to look at them in the viewport, for other renderers and "
        "other programs. Exporting pictures does not need that"
    )

    def draw(self, context: bpy.types.Context) -> None:
        """There, back, and shown; then what is old."""
        layout = self.layout
        row = layout.row(align=True)
        row.operator("animerun.bake_udp", icon="RENDER_STILL")
        row.operator("animerun.unbake_udp", text="", icon="TRASH")
        is_shown = context.window is not None and is_previewed(context.window.screen)
        layout.operator("animerun.preview_udp", icon="HIDE_OFF", depress=is_shown)
        try:
            state = udp_watch.bake_state(context.scene, udp_watch.chosen(context.scene))
        except InputError:  # said above
            return
        if state is None or not state.baked:
            return
        objects = "1 object" if len(state.baked) == 1 else f"{len(state.baked)} objects"
        draw_lines(layout, f"On {objects}", context, icon="CHECKMARK")
        if state.stale:
            draw_lines(layout, "Changed since, bake again:", context, icon="ERROR")
            _draw_list(layout, state.stale, context, "DOT")


class VIEW3D_PT_animerun_udp_export(_UdpSection, bpy.types.Panel):
    """The pictures."""

    bl_idname = "VIEW3D_PT_animerun_udp_export"
    bl_label = "Sequence"

    def draw(self, context: bpy.types.Context) -> None:
        """The button and what will come of it, where it goes, which pictures, and what besides."""
        layout = self.layout
        scene = context.scene
        settings, panel = scene.animerun, scene.animerun.udp
        row = layout.row(align=True)
        row.scale_y = 1.4
        row.operator("animerun.export_udp", icon="EXPORT")
        row.operator("animerun.open_udp_folder", text="", icon="FILE_FOLDER")
        _draw_forecast(layout.column(align=True), context)

        _split(layout)
        layout.prop(panel, "folder")
        layout.prop(panel, "all_characters")
        draw_range(layout, settings)
        layout.prop(panel, "step")
        layout.prop(panel, "file_format")
        _draw_view(layout, panel)
        layout.prop(panel, "occluders")
        _draw_colours(layout, panel)
        layout.operator("animerun.export_udp", text="Start Anew", icon="FILE_REFRESH").anew = True


def _draw_view(layout: bpy.types.UILayout, panel: UdpProperties) -> None:
    layout.prop(panel, "view")
    if panel.view == View.CAMERA.name:
        layout.prop(panel, "camera")
        layout.prop(panel, "uses_scene_size")
    else:
        layout.prop(panel, "margin")
    if panel.view == View.TURNTABLE.name:
        layout.prop(panel, "turn")
    if panel.view != View.CAMERA.name or not panel.uses_scene_size:
        column = layout.column(align=True)
        column.prop(panel, "width")
        column.prop(panel, "height")


def _draw_colours(layout: bpy.types.UILayout, panel: UdpProperties) -> None:
    column = layout.column(heading="As Well")
    column.prop(panel, "colour")
    column.prop(panel, "makes_sheet")
    if panel.makes_sheet:
        column.prop(panel, "sheet_views")
        column.prop(panel, "sheet_poses")
    row = layout.row()
    row.active = panel.colour or panel.makes_sheet
    row.prop(panel, "uses_style")


def _draw_forecast(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What will be written; or why nothing can be. Then what CoNR would not take."""
    try:
        names = udp_watch.to_export(context.scene)
    except InputError:  # said above
        return
    try:
        request = request_of(context, names)
    except InputError as error:
        draw_lines(column, str(error), context, icon="ERROR")
        return
    size_px = request.settings.size_px or picture_size_px(context.scene.render)
    draw_lines(column, _forecast(request, size_px), context)
    if request.settings.file_format in {UdpFormat.PNG16, UdpFormat.PNG8}:
        text = "PNG is for people and other tools: CoNR's loader refuses it, and takes NPZ and EXR"
        draw_lines(column, text, context, icon="INFO")
    if any(side % CONR_SIZE_STEP_PX for side in size_px):
        text = f"For CoNR, both sides have to be multiples of {CONR_SIZE_STEP_PX}, such as {DEFAULT_SIZE_PX}"
        draw_lines(column, text, context, icon="INFO")
    if bpy.data.is_dirty:
        text = "Unsaved changes go into the pictures. Save first if you may want to go on after a cancel"
        draw_lines(column, text, context, icon="INFO")


def _forecast(request: UdpRequest, size_px: tuple[int, int]) -> str:
    """ "Hero: 48 pictures, 512x512", or "2 characters: ..."."""
    settings, frames = request.settings, len(request.frames)
    count = settings.turn if settings.view is View.TURNTABLE and frames == 1 else frames
    whose = request.characters[0] if len(request.characters) == 1 else f"{len(request.characters)} characters"
    each = "" if len(request.characters) == 1 else " each"
    pictures = "1 picture" if count == 1 else f"{count} pictures"
    return f"{whose}: {pictures}{each}, {size_px[0]}x{size_px[1]}"


class VIEW3D_PT_animerun_udp_last(_UdpSection, bpy.types.Panel):
    """How the last export of these characters went."""

    bl_idname = "VIEW3D_PT_animerun_udp_last"
    bl_label = "Last Export"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Once one has ended."""
        run = _last(context)
        return run is not None and not run.is_running

    def draw(self, context: bpy.types.Context) -> None:
        """What was made, how the characters stand, and what is wrong with it."""
        layout = self.layout
        run = _last(context)
        if run is None:
            return
        result = run.job.result or {}
        warnings: Mapping[str, str] = result.get("warnings", {})
        icon = ICONS[JobState.FAILED if warnings else run.job.status.state]
        draw_lines(layout, run.headline(), context, icon=icon)
        _draw_list(layout, _by_name(result.get("characters", {})), context, "OUTLINER_OB_ARMATURE")
        _draw_list(layout, _by_name(warnings), context, "ERROR")
        _draw_list(layout, result.get("notes", []), context, "INFO")
        for name, path in result.get("sheets", {}).items():
            layout.operator("wm.path_open", text=f"Open Sheet of {name}", icon="IMAGE_DATA").filepath = path


def _by_name(texts: Mapping[str, str]) -> list[str]:
    return [f"{name}: {text}" for name, text in texts.items()]


def _last(context: bpy.types.Context) -> UdpRun | None:
    try:
        names = udp_watch.to_export(context.scene)
        return last_run(request_of(context, names).folder, names)
    except InputError:
        return None
