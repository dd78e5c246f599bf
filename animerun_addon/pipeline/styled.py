# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene in the style that is asked for while something is made of it, and as it was afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import bpy

from ..scene.style import convert, last_settings
from ..style_settings import StyleSettings
from .variants import as_it_was


@contextlib.contextmanager
def styled(scene: bpy.types.Scene, style: StyleSettings | None) -> Iterator[StyleSettings | None]:
    """The style that it has: this one, else its own if it is converted already, else none.

    Without line art, which has folders of its own.
    """
    style = style or last_settings(scene)
    if style is None:
        yield None
        return
    style = replace(style, line_art=False)
    with as_it_was(scene):
        convert(scene, style)
        yield style
