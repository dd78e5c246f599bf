# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own settings, the same in every file."""

from __future__ import annotations

from pathlib import Path

import bpy


class AnimeRunPreferences(bpy.types.AddonPreferences):
    """Shown in Blender's preferences, under the add-on."""

    bl_idname = __package__

    unsaved_folder: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Results of Unsaved Files",
        description="Where results go while the file has no folder of its own",
        subtype="DIR_PATH",
        default=str(Path.home() / "AnimeRun"),
    )

    def draw(self, _context: bpy.types.Context) -> None:
        """One field a line."""
        self.layout.prop(self, "unsaved_folder")
