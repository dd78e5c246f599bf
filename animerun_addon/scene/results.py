# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results go that the open file's scenes ask for."""

from __future__ import annotations

from pathlib import Path

import bpy


def results_folder(context: bpy.types.Context, wanted: str) -> Path:
    """A folder as a scene names it: `//` needs a saved file, and without one the preferences say where."""
    if wanted.startswith("//") and not bpy.data.filepath:
        unsaved = context.preferences.addons.get(__package__.rpartition(".")[0])
        base = unsaved.preferences.unsaved_folder if unsaved else str(Path.home() / "AnimeRun")
        return Path(bpy.path.abspath(base)) / wanted.removeprefix("//")
    return Path(bpy.path.abspath(wanted))
