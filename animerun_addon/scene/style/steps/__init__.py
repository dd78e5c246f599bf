# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of the conversion, in the order in which they run. Each changes and reports through its Stage only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ....style_settings import StyleSettings
from ..stage import Stage
from . import colours, contours, rendering
from .cut_outs import cut_outs
from .environment import hide_environment
from .grease_pencil import grease_pencil
from .hair import no_hair
from .particles import replace_particles
from .zoom import zoom


@dataclass(frozen=True)
class Step:
    """One part of the recipe; `name` is its switch in StyleSettings."""

    name: str
    label: str
    run: Callable[[Stage], None]

    def is_wanted(self, settings: StyleSettings) -> bool:
        """Whether the user has it switched on."""
        return bool(getattr(settings, self.name))


STEPS: tuple[Step, ...] = (
    Step("no_hair", "Hair and fur", no_hair),
    # Before what may hide emitters.
    Step("replace_particles", "Particles", replace_particles),
    Step("hide_environment", "Light, air and glass", hide_environment),
    Step("grease_pencil", "Grease Pencil", grease_pencil),
    Step("zoom", "Zoom", zoom),
    # After what hides objects: of those nothing needs to be told.
    Step("flat_colours", "Flat colours", colours.flat_colours),
    Step("solid", "Solid materials", colours.solid),
    Step("augment", "Other colours", colours.augment),
    Step("line_art", "Line art", colours.line_art),
    Step("solid", "Cut-outs", cut_outs),
    Step("flat_shading", "Flat shading", rendering.flat_shading),
    Step("contours", "Contours", contours.contours),
    Step("sharp_pixels", "Sharp pixels", rendering.sharp_pixels),
    Step("no_blur", "No blur", rendering.no_blur),
    Step("plain_display", "Colours as they are", rendering.plain_display),
    Step("no_postprocessing", "No post-processing", rendering.no_postprocessing),
)
