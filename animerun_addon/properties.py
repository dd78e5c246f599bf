# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's settings, in one group: `scene.animerun`. The user's own are in preferences.py."""

from __future__ import annotations

import bpy

from .export_properties import ExportProperties
from .style_properties import StyleProperties
from .udp_properties import UdpProperties


class AnimeRunSettings(bpy.types.PropertyGroup):
    """Saved with the file, one for each scene."""

    style: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="2D Style", description="What the conversion to flat 2D animation does", type=StyleProperties
    )
    export: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Export", description="What goes into a data set, and where", type=ExportProperties
    )
    udp: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Ultra-Dense Pose",
        description="Which point of a character each pixel shows: of which character, how, and where to",
        type=UdpProperties,
    )
    output_folder: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Output",
        description="Where this scene's results go. // is the folder of the .blend file",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
        default="//animerun/",
    )
    use_scene_range: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Scene Range",
        description="Take the first and last frame from the scene",
        default=True,
    )
    frame_start: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="First",
        description="First frame",
        default=1,
        min=0,
        max=1_048_574,
    )
    frame_end: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Last",
        description="Last frame",
        default=48,
        min=0,
        max=1_048_574,
    )
    line_art: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Line Art",
        description="Render the frames once more as grey contours on white, in 2D style",
        default=False,
    )
    variants: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Colour Variants",
        description="Render the frames so many times more in other colours, in 2D style. Each takes as long again",
        default=0,
        min=0,
        soft_max=10,
        max=1000,
    )
    makes_video: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Video",
        description="Make an H.264 video of the frames as well",
        default=False,
    )
    id_backend: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Drawn By",
        description="What finds out which surface is seen at each pixel, which all labels are made from",
        items=(
            ("AUTO", "Automatic", "The graphics card where Blender can use one, otherwise software"),
            ("GPU", "GPU", "The graphics card: fastest with many triangles. Without one, rendering ends with an error"),
            (
                "NUMPY",
                "Software (numpy)",
                "The processor alone: slower, the same on every machine. "
                "On edges, about one pixel in ten thousand is another one than with the graphics card",
            ),
        ),
        default="AUTO",
    )
