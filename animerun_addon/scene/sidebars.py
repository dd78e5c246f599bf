# SPDX-License-Identifier: GPL-3.0-or-later
"""Has sidebars drawn again when what they show has changed in memory, of which Blender knows nothing."""

from __future__ import annotations

import bpy


def redraw_sidebars() -> None:
    """Those of all 3D viewports, in all windows."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
