# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons that bake a character's UDP colours into its meshes, take them away and show them: quick, so no jobs."""

from __future__ import annotations

from collections.abc import Callable

import bpy
from bpy.app.handlers import persistent

from ..errors import AnimeRunError
from ..scene import udp_preview
from ..scene.udp_bake import BUSY_MODES, Baked, bake, is_up_to_date, unbake
from ..udp_properties import chosen_character, encoding_of, rest_of

# Notes that fit into a line; all of them are in the system console.
_SHOWN_NOTES = 2


class _MeshOperator:
    """Mixed into the operators that write to meshes."""

    report: Callable[..., None]  # the bpy.types.Operator that this is mixed into has it

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In a scene of this file, while no mesh is being edited."""
        reason = _reason_against(context)
        if reason is not None:
            cls.poll_message_set(reason)  # type: ignore[attr-defined]
        return reason is None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Do it, or say why it cannot be."""
        if context.window is not None:
            context.window.cursor_set("WAIT")
        try:
            self.change(context)
        except AnimeRunError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            if context.window is not None:
                context.window.cursor_set("DEFAULT")
        return {"FINISHED"}

    def change(self, context: bpy.types.Context) -> None:
        """What the button is for."""
        raise NotImplementedError

    def bake(self, context: bpy.types.Context, name: str) -> None:
        """With the panel's choices, and say what came of it."""
        panel = context.scene.animerun.udp
        baked = bake(context.scene, name, rest_of(panel), encoding_of(panel))
        for note in baked.notes:
            print(f"AnimeRun: {note}")
        self.report({"WARNING"} if baked.notes else {"INFO"}, summary(name, baked))


class ANIMERUN_OT_bake_udp(_MeshOperator, bpy.types.Operator):
    """Store on the character's own meshes, as the colour attribute 'AnimeRun UDP', which point of the character each of their points is. Other programs can read that. Takes a moment; exporting pictures does not need it"""  # noqa: E501

    bl_idname = "animerun.bake_udp"
    bl_label = "Bake UDP"
    bl_options = {"REGISTER", "UNDO"}

    def change(self, context: bpy.types.Context) -> None:
        """Bake, whether it was baked before or not."""
        self.bake(context, chosen_character(context.scene))


class ANIMERUN_OT_unbake_udp(_MeshOperator, bpy.types.Operator):
    """Remove the colour attribute 'AnimeRun UDP' from the character's meshes, with all that goes with it. Your own colours stay"""  # noqa: E501

    bl_idname = "animerun.unbake_udp"
    bl_label = "Remove UDP Bake"
    bl_options = {"REGISTER", "UNDO"}

    def change(self, context: bpy.types.Context) -> None:
        """Leave nothing of it."""
        name = chosen_character(context.scene)
        count = len(unbake(context.scene, name))
        self.report({"INFO"}, f"Removed the bake of {name} from {count} objects" if count else f"{name} was not baked")


class ANIMERUN_OT_preview_udp(_MeshOperator, bpy.types.Operator):
    """Show the character's UDP colours in this window's 3D viewports: red goes to its left, green to its back, blue up. Bakes them first if need be. Press again to have the viewports as they were"""  # noqa: E501

    bl_idname = "animerun.preview_udp"
    bl_label = "Show UDP Colours"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In a window; and there always, to end it."""
        if context.window is None or bpy.app.background:
            cls.poll_message_set("There is no window to show them in")
            return False
        return udp_preview.is_previewed(context.window.screen) or super().poll(context)

    def change(self, context: bpy.types.Context) -> None:
        """There or back."""
        if udp_preview.is_previewed(context.window.screen):
            udp_preview.end(context.window.screen)
            return
        name, panel = chosen_character(context.scene), context.scene.animerun.udp
        if not is_up_to_date(context.scene, name, rest_of(panel), encoding_of(panel)):
            self.bake(context, name)
        udp_preview.start(context.window, name)


def summary(name: str, baked: Baked) -> str:
    """One line."""
    parts = [f"Baked {name}: {len(baked.objects)} objects, {baked.clipped_share:.1%} of the surface clipped"]
    parts += baked.notes[:_SHOWN_NOTES]
    if len(baked.notes) > _SHOWN_NOTES:
        parts.append(f"{len(baked.notes) - _SHOWN_NOTES} more in the system console")
    return ". ".join(parts)


def _reason_against(context: bpy.types.Context) -> str | None:
    """Why meshes cannot be written to now, as far as that can be seen at a glance."""
    if context.scene.library is not None:
        return f"This scene is linked from '{context.scene.library.filepath}': bake its characters in that file"
    for mode, name in BUSY_MODES.items():
        if context.mode.startswith(mode):
            return f"Leave {name}: only finished meshes can be baked"
    if not any(thing.type == "ARMATURE" for thing in bpy.data.objects):
        return "This file has no armature, and so no character: bind a mesh to one"
    return None


@persistent  # type: ignore[untyped-decorator]  # bpy is untyped
def _settle(*_: object) -> None:
    """Undo takes colours away and brings them back, but leaves viewports alone; files may be read without theirs."""
    udp_preview.settle()


# What registration.py hands to bpy.app.handlers: the list's name and the function.
HANDLERS: list[tuple[str, Callable[..., None]]] = [
    ("undo_post", _settle),
    ("redo_post", _settle),
    ("load_post", _settle),
]
