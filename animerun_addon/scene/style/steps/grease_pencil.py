# SPDX-License-Identifier: GPL-3.0-or-later
"""Grease Pencil and Line Art objects: kept, and told of, or hidden."""

from __future__ import annotations

from ....style_settings import GreasePencil
from ..stage import Stage
from .hiding import hide

_TYPES = {"GREASEPENCIL", "GPENCIL"}  # 4.5 still knows the kind of before 4.3


def grease_pencil(stage: Stage) -> None:
    """Drawings are no surfaces: nothing follows them from frame to frame."""
    for thing in stage.objects:
        if thing.type not in _TYPES:
            continue
        if stage.settings.grease_pencil is GreasePencil.HIDE:
            hide(stage, thing)
        elif not thing.hide_render:
            stage.tell(thing, "a Grease Pencil drawing has no flow: hide drawings, or draw them as meshes")
