# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line's options for the 2D style, and the settings that they make. Without bpy."""

from __future__ import annotations

import argparse
import enum
from dataclasses import fields
from typing import Any

from .errors import InputError
from .style_settings import StyleSettings

# Settings that are chosen rather than switched, and what they are for; their options are called like them.
_CHOICES = {
    "contours": "how lines are drawn",
    "line_thickness_px": "thickness of lines",
    "colour_source": "where flat colours come from",
    "particles": "what becomes of particles that show objects",
    "hidden_names": "hide objects or materials of these names, * for any letters, separated by commas",
    "grease_pencil": "what becomes of Grease Pencil",
    "zoom": "what becomes of an animated focal length",
    "focus_object": "the object whose size stays when a zoom becomes a dolly",
    "palette": "colours for --augment: a palette's name, or a folder of pictures to take them from",
    "seed": "another number gives other colours",
}
_DEFAULTS = StyleSettings()
SWITCHES = [field.name for field in fields(StyleSettings) if isinstance(getattr(_DEFAULTS, field.name), bool)]


def add_style_options(parser: argparse.ArgumentParser) -> None:
    """An option for each choice, and two that switch steps on and off."""
    group = parser.add_argument_group("2D style")
    for name, summary in _CHOICES.items():
        default = getattr(_DEFAULTS, name)
        kind = type(default)
        words: dict[str, Any] = {"type": kind}
        if isinstance(default, enum.Enum):
            words = {"type": str.upper, "choices": [choice.value for choice in kind]}
        shown = f" (the file's own; else {default})" if default != "" else ""
        option = "--" + name.removesuffix("_px").replace("_", "-")
        group.add_argument(option, dest=name, help=f"{summary}{shown}", **words)
    group.add_argument("--with", dest="switched_on", metavar="STEP", action="append", default=[], help="switch on")
    group.add_argument(
        "--without",
        dest="switched_off",
        metavar="STEP",
        action="append",
        default=[],
        help=f"switch off; steps: {', '.join(SWITCHES)}",
    )


def style_settings(options: argparse.Namespace, base: StyleSettings) -> StyleSettings:
    """What the options say, over what the scene has."""
    chosen = {name: getattr(options, name) for name in _CHOICES if getattr(options, name) is not None}
    for switched, value in ((options.switched_on, True), (options.switched_off, False)):
        for name in (word.replace("-", "_") for word in switched):
            if name not in SWITCHES:
                raise InputError(f"There is no step '{name}': there are {', '.join(SWITCHES)}")
            chosen[name] = value
    return StyleSettings.from_plain({**base.to_plain(), **chosen})
