# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons of the 2D style: there, back, up to date, and to what the report names."""

from __future__ import annotations

from collections.abc import Callable

import bpy
from bpy.app.handlers import persistent

from ..errors import AnimeRunError
from ..scene.style import Report, convert, is_converted, last_report, restore
from ..scene.viewport import end_preview, end_stale_previews, preview
from ..style_properties import style_settings_of


def _is_own(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    library = context.scene.library
    if library is not None:
        cls.poll_message_set(f"This scene is linked from '{library.filepath}': convert it in its own file")
    return library is None


class _ConvertOperator:
    """Mixed into the operators that convert."""

    report: Callable[..., None]  # the bpy.types.Operator that this is mixed into has it

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Any scene of this file."""
        return _is_own(cls, context)

    def convert(self, context: bpy.types.Context) -> set[str]:
        """Convert, and say what came of it."""
        if context.window is not None:
            context.window.cursor_set("WAIT")
        try:
            report = convert(context.scene, style_settings_of(context.scene))
        except AnimeRunError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            if context.window is not None:
                context.window.cursor_set("DEFAULT")
        if context.window is not None and not bpy.app.background:
            preview(context.window)
        self.report({"INFO"}, summary(report))
        return {"FINISHED"}


class ANIMERUN_OT_toggle_style(_ConvertOperator, bpy.types.Operator):
    """Turn this scene into flat 2D animation, or back into what it was, and show it in this window's viewports. Every change is remembered in the file and can be undone later, after saving too"""  # noqa: E501

    bl_idname = "animerun.toggle_style"
    bl_label = "2D Style"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """There or back."""
        if not is_converted(context.scene):
            return self.convert(context)
        end_preview(context.scene)
        report = restore(context.scene)
        self.report({"WARNING"} if report.left else {"INFO"}, summary(report))
        return {"FINISHED"}


class ANIMERUN_OT_update_style(_ConvertOperator, bpy.types.Operator):
    """Convert what was added since, and use changed settings. What you changed by hand in between stays as it is"""

    bl_idname = "animerun.update_style"
    bl_label = "Update"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only what was converted can be brought up to date."""
        if not _is_own(cls, context):
            return False
        if not is_converted(context.scene):
            cls.poll_message_set("This scene is not converted yet: switch the 2D style on")
        return is_converted(context.scene)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Convert again."""
        return self.convert(context)


class ANIMERUN_OT_select_finding(bpy.types.Operator):
    """Select this object, or the objects that use this material"""

    bl_idname = "animerun.select_finding"
    bl_label = "Select"
    bl_options = {"INTERNAL", "UNDO"}

    kind: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    block_name: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    text: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """The whole sentence: the panel may cut it off."""
        return f"{properties.block_name}: {properties.text}. Click to select"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Select what the view layer shows of it."""
        found = [thing for thing in context.view_layer.objects if self._is_meant(thing) and thing.visible_get()]
        if not found:
            self.report({"WARNING"}, f"Nothing in this view layer that could be selected shows '{self.block_name}'")
            return {"CANCELLED"}
        for thing in context.view_layer.objects:
            thing.select_set(False)
        for thing in found:
            thing.select_set(True)
        context.view_layer.objects.active = found[0]
        return {"FINISHED"}

    def _is_meant(self, thing: bpy.types.Object) -> bool:
        if self.kind == "OBJECT":
            return self.block_name in {thing.name, thing.name_full}
        if self.kind == "MATERIAL":
            return any(slot.material and slot.material.name_full == self.block_name for slot in thing.material_slots)
        return thing.data is not None and thing.data.id_type == self.kind and thing.data.name_full == self.block_name


class ANIMERUN_OT_copy_report(bpy.types.Operator):
    """Copy the whole report to the clipboard, to paste it into a text or a message"""

    bl_idname = "animerun.copy_report"
    bl_label = "Copy Report"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """One line a finding."""
        report = last_report(context.scene)
        lines = [summary(report), *map(str, (*report.left, *report.kept, *report.gone))]
        context.window_manager.clipboard = "\n".join(lines)
        self.report({"INFO"}, f"Copied {len(lines)} lines")
        return {"FINISHED"}


@persistent  # type: ignore[untyped-decorator]  # bpy is untyped
def _after_undo(*_: object) -> None:
    """Undo takes a conversion back, but leaves viewports alone."""
    end_stale_previews()


# What registration.py hands to bpy.app.handlers: the list's name and the function.
HANDLERS: list[tuple[str, Callable[..., None]]] = [("undo_post", _after_undo), ("redo_post", _after_undo)]


def summary(report: Report) -> str:
    """One line."""
    parts = [f"{sum(report.changed.values())} settings changed"]
    for findings, words in (
        (report.left, "to look at"),
        (report.kept, "kept as you changed them"),
        (report.gone, "gone"),
    ):
        if findings:
            parts.append(f"{len(findings)} {words}")
    return ", ".join(parts)
