# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes Blender ready for a command, wherever that runs. Imports bpy only then."""

from __future__ import annotations

import importlib.util
import sys

from ..errors import BlenderError

_ADDON = __package__.rpartition(".")[0]


def start_blender() -> None:
    """Make bpy ready for a command, the add-on's properties included."""
    if importlib.util.find_spec("bpy") is None:
        raise BlenderError(
            "This command needs Blender: run `blender --command animerun ...`, "
            "or install the bpy module into this Python"
        )
    import bpy  # noqa: F401 - makes Blender's own modules, addon_utils among them, importable

    # isort: split
    import addon_utils

    # Inside `blender --command` it is on already. In bpy as a module Blender's own switch registers it, and
    # makes its preferences.
    is_on = getattr(sys.modules[_ADDON], "__addon_enabled__", False)
    if not is_on and addon_utils.enable(_ADDON, default_set=True) is None:
        raise BlenderError("Blender refused to enable the add-on: see the lines above")
