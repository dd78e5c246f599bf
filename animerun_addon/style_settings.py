# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user can choose about the 2D style, as plain data. The panel's properties have the same names and defaults."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass, fields, replace
from typing import Any


class Contours(enum.StrEnum):
    """How lines are drawn."""

    FREESTYLE = "FREESTYLE"  # Blender's own strokes, in final renders
    FAST = "FAST"  # from the id image, over the finished frame: pixel-exact with the labels
    OUTLINE = "OUTLINE"  # only the outline of objects that Workbench draws


class ColourSource(enum.StrEnum):
    """Where a material's flat colour comes from."""

    SHADER = "SHADER"  # its nodes: base colour, emission, toon ramps, the average of its texture
    VIEWPORT = "VIEWPORT"  # its viewport colour, as it is


class Particles(enum.StrEnum):
    """What becomes of particle systems that show objects."""

    HIDE = "HIDE"
    INSTANCES = "INSTANCES"  # real objects in their place


class GreasePencil(enum.StrEnum):
    """What becomes of Grease Pencil and Line Art objects."""

    KEEP = "KEEP"
    HIDE = "HIDE"


class Zoom(enum.StrEnum):
    """What becomes of an animated focal length."""

    KEEP = "KEEP"
    DOLLY = "DOLLY"  # a move along the view axis that keeps the subject's size, as in the paper


@dataclass(frozen=True)
class StyleSettings:
    """A switch for every step of the conversion, and their choices."""

    flat_shading: bool = True
    contours: Contours = Contours.FREESTYLE
    line_thickness_px: float = 1.0
    coloured_lines: bool = False  # fast contours: each in a darker shade of what it lies on
    sharp_pixels: bool = True
    no_blur: bool = True
    plain_display: bool = True
    no_postprocessing: bool = True
    flat_colours: bool = True
    colour_source: ColourSource = ColourSource.SHADER
    textures: bool = False
    solid: bool = True
    no_hair: bool = True
    replace_particles: bool = True
    particles: Particles = Particles.INSTANCES
    hide_environment: bool = True
    hide_glass: bool = True  # with the environment: panes, bottles, corneas, all that is nothing but glass
    hidden_names: str = ""  # shiny dots and the like: name patterns of objects or materials, separated by commas
    grease_pencil: GreasePencil = GreasePencil.KEEP
    zoom: Zoom = Zoom.KEEP
    focus_object: str = ""  # whose size a dolly keeps; empty: what the camera tracks
    augment: bool = False
    palette: str = "Pastel"
    seed: int = 0
    keep_light_order: bool = True
    line_art: bool = False

    def __post_init__(self) -> None:
        """Choices may be given by their names."""
        for field in fields(self):
            if isinstance(field.default, enum.Enum):
                object.__setattr__(self, field.name, type(field.default)(getattr(self, field.name)))

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> StyleSettings:
        """Back again; what this version does not know is left out."""
        defaults = cls()
        known = {field.name: type(getattr(defaults, field.name)) for field in fields(cls)}
        return replace(defaults, **{name: known[name](value) for name, value in plain.items() if name in known})
