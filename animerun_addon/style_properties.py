# SPDX-License-Identifier: GPL-3.0-or-later
"""The 2D style's settings in the panel: `scene.animerun.style`. Names and defaults are style_settings.py's."""

from __future__ import annotations

from dataclasses import fields

import bpy

from .labels.palettes import PALETTES
from .style_settings import StyleSettings

_DEFAULT = StyleSettings()
FROM_PICTURES = "FROM_PICTURES"


def _switch(name: str, label: str, tooltip: str) -> object:
    return bpy.props.BoolProperty(name=label, description=tooltip, default=getattr(_DEFAULT, name))


class StyleProperties(bpy.types.PropertyGroup):
    """What the next conversion of the scene does."""

    flat_shading: _switch(  # type: ignore[valid-type]
        "flat_shading",
        "Flat Shading",
        "Render with Workbench, in flat colours without light or shadow. "
        "Inverted-hull outlines stay outlines: back faces are left out where such an outline needs it",
    )
    contours: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Contours",
        description="How the lines are drawn",
        items=(
            (
                "FREESTYLE",
                "Freestyle",
                "Blender's own strokes, in final renders. Ten seconds a frame for 200,000 triangles",
            ),
            (
                "FAST",
                "Fast",
                "On the borders of the labels, to the pixel, drawn over finished frames. Milliseconds",
            ),
            ("OUTLINE", "Outline", "Only around each object, a pixel wide, in the viewport and in frames"),
        ),
        default=_DEFAULT.contours.value,
    )
    line_thickness_px: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Thickness",
        description="Thickness of the lines in pixels. Fast contours take the nearest whole number",
        default=_DEFAULT.line_thickness_px,
        min=0.5,
        soft_max=10.0,
        max=100.0,
        step=10,
        precision=1,
        subtype="PIXEL",
    )
    coloured_lines: _switch(  # type: ignore[valid-type]
        "coloured_lines", "Coloured", "Fast contours: a darker shade of what each line lies on, instead of black"
    )
    sharp_pixels: _switch(  # type: ignore[valid-type]
        "sharp_pixels",
        "No Anti-aliasing",
        "Every pixel has the colour of exactly one surface, as the labels have one surface for every pixel",
    )
    no_blur: _switch(  # type: ignore[valid-type]
        "no_blur", "No Blur", "Switch depth of field and motion blur off"
    )
    plain_display: _switch(  # type: ignore[valid-type]
        "plain_display",
        "Plain Colours",
        "Standard view transform, no look, no exposure and no dithering: colours come out as they were chosen",
    )
    no_postprocessing: _switch(  # type: ignore[valid-type]
        "no_postprocessing", "No Post-processing", "Skip the compositor and the video sequencer"
    )
    flat_colours: _switch(  # type: ignore[valid-type]
        "flat_colours", "Flat Colours", "Give every material one flat colour, and make objects show it"
    )
    colour_source: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Colours",
        description="Where the flat colours come from",
        items=(
            ("SHADER", "Shader", "From the material's nodes: base colour, emission, toon ramp, average of its texture"),
            ("VIEWPORT", "Viewport", "The material's viewport colour as it is"),
        ),
        default=_DEFAULT.colour_source.value,
    )
    textures: _switch(  # type: ignore[valid-type]
        "textures", "Textures", "Show image textures instead of a flat colour where a material has one"
    )
    solid: _switch(  # type: ignore[valid-type]
        "solid",
        "Solid Materials",
        "Nothing is see-through. Cut-out textures (hair, lashes) stay cut out, with a hard edge",
    )
    no_hair: _switch(  # type: ignore[valid-type]
        "no_hair", "No Hair Strands", "Hide particle hair, fur and hair curves. Hair that is modelled stays"
    )
    replace_particles: _switch(  # type: ignore[valid-type]
        "replace_particles", "No Particles", "Hide particle systems, or put real objects in their place"
    )
    particles: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Particles",
        description="What becomes of particles that show objects",
        items=(
            (
                "INSTANCES",
                "Real Objects",
                "An object for each particle, with keyframes. Goes through all frames once",
            ),
            ("HIDE", "Hide", "Switch these particle systems off"),
        ),
        default=_DEFAULT.particles.value,
    )
    hide_environment: _switch(  # type: ignore[valid-type]
        "hide_environment",
        "Hide Effects",
        "Hide what flat animation has no place for: fog and smoke, light panels and light helpers",
    )
    hide_glass: _switch(  # type: ignore[valid-type]
        "hide_glass", "Hide Glass", "Hide panes of glass as well. Without this they turn into solid slabs"
    )
    hidden_names: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Hide Names",
        description="Hide objects or materials of these names, too, with commas between. * is any letters: Glint*",
        default=_DEFAULT.hidden_names,
    )
    grease_pencil: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Grease Pencil",
        description="What becomes of Grease Pencil and Line Art objects",
        items=(
            ("KEEP", "Keep", "They are drawn, and have no optical flow"),
            ("HIDE", "Hide", "They are hidden"),
        ),
        default=_DEFAULT.grease_pencil.value,
    )
    zoom: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Zoom",
        description="What becomes of an animated focal length",
        items=(
            ("KEEP", "Keep", "The camera zooms. The optical flow is exact all the same"),
            ("DOLLY", "Dolly", "A second camera moves along the view axis instead, and keeps the subject's size"),
        ),
        default=_DEFAULT.zoom.value,
    )
    focus: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Subject",
        description="The object whose size stays when a zoom becomes a dolly. Empty: what the camera tracks",
        type=bpy.types.Object,
    )
    augment: _switch(  # type: ignore[valid-type]
        "augment", "Other Colours", "Give the materials colours from a palette"
    )
    palette: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Palette",
        description="Where the other colours come from",
        items=(
            *((name, name, "A palette of the add-on's own") for name in PALETTES),
            (FROM_PICTURES, "From Pictures", "The most common colours of a folder of pictures of yours"),
        ),
        default=_DEFAULT.palette,
    )
    palette_folder: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Pictures",
        description="A folder of pictures to take colours from",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    seed: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Seed", description="Another number gives other colours", default=_DEFAULT.seed, min=0
    )
    keep_light_order: _switch(  # type: ignore[valid-type]
        "keep_light_order", "Keep Light and Dark", "Light materials stay lighter than dark ones"
    )
    line_art: _switch(  # type: ignore[valid-type]
        "line_art", "Line Art", "Every material white: contours only, on white, dark and firm in rendered frames"
    )


def style_settings_of(scene: bpy.types.Scene) -> StyleSettings:
    """What the panel says, as plain data."""
    group = scene.animerun.style
    plain = {field.name: getattr(group, field.name) for field in fields(StyleSettings) if hasattr(group, field.name)}
    plain["focus_object"] = group.focus.name if group.focus is not None else ""
    if group.palette == FROM_PICTURES:
        plain["palette"] = bpy.path.abspath(group.palette_folder)
    return StyleSettings.from_plain(plain)
