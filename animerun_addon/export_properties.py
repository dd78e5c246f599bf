# SPDX-License-Identifier: GPL-3.0-or-later
"""The export's settings in the panel: `scene.animerun.export`. Names and defaults are export_settings.py's."""

from __future__ import annotations

from pathlib import Path

import bpy

from .dataset.layout import SPLITS, checked_name, safe_name
from .export_options import ExportRequest, frames_asked, settings_of
from .export_settings import DEFAULT_LABELS, ExportSettings, Label
from .scene.frames import check_camera
from .scene.results import results_folder
from .scene.style import last_settings
from .style_properties import style_settings_of

_DEFAULT = ExportSettings()
_SPLIT_TOOLTIPS = {
    "train": "A clip that networks learn from",
    "test": "A clip that networks are judged by. Keep all clips of one cut on one side",
}
# Annotations are evaluated where a comprehension finds no name of this module.
_SPLIT_ITEMS = tuple((split.upper(), split.title(), _SPLIT_TOOLTIPS[split]) for split in SPLITS)


def _switch(label: Label, name: str, tooltip: str) -> object:
    return bpy.props.BoolProperty(name=name, description=tooltip, default=label in DEFAULT_LABELS)


class ExportProperties(bpy.types.PropertyGroup):
    """What the next export of the scene writes, and where."""

    root_folder: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Folder",
        description="The data set's folder: clips of many files and scenes go into one. // is the folder of the "
        ".blend file",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
        default="//animerun/dataset/",
    )
    clip_name: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Clip",
        description="What the clip's folders are called. Empty: after the file, and the scene if there are several",
    )
    film: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Film",
        description="What the shot is part of. When a data set is split into train and test, a film's cuts stay "
        "whole. Empty: the file's name",
    )
    split: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Split",
        description="Which half of the data set the clip is in",
        items=_SPLIT_ITEMS,
        default=SPLITS[0].upper(),
    )
    step: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Frame Step",
        description="Export each, every second or every third frame, as drawn animation moves on ones, twos or "
        "threes. Optical flow leads from each exported frame to the next one. Counted in the scene's own frame step "
        "when the range is the scene's",
        default=1,
        min=1,
        soft_max=4,
        max=1000,
    )
    remove_holds: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Leave Out Holds",
        description="Leave out frames in which nothing has moved since the one before. Looks at the whole shot "
        "first, which takes a moment",
        default=_DEFAULT.remove_holds,
    )
    strides: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Frames Apart",
        description="How far apart the two frames of a pair are, with commas between: 1 is each frame and the next, "
        '"1, 2" adds each frame and the one after the next. Each number takes as much space for flow, occlusion and '
        "matching again",
        default=", ".join(map(str, _DEFAULT.strides)),
    )
    uses_style: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="2D Style",
        description="Convert a copy to flat 2D animation first, with the settings of the 2D Style panel. Off: the "
        "scene as it is set up. Freestyle contours take seconds for each frame, fast ones do not",
        default=_DEFAULT.style is not None,
    )
    augment: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Colour Variants",
        description="Write the colour frames so many times more in other colours, in 2D style. Labels are the same "
        "for all of them. Each variant is rendered once more",
        default=_DEFAULT.augment,
        min=0,
        soft_max=10,
        max=1000,
    )
    occlusion: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Occlusion",
        description="How it is found out which pixels are hidden in the other frame",
        items=(
            ("EXACT", "Exact", "By the scene's geometry: what really lies before what"),
            ("CONSISTENCY", "As in AnimeRun", "By comparing the flow there with the flow back, as the authors did"),
        ),
        default=_DEFAULT.occlusion.name,
    )
    segments: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Segments",
        description="What is cut into colour segments, the areas that a painter fills in one go",
        items=(
            ("CONTOUR", "Line Art", "Areas between drawn lines, as in AnimeRun. A third of a second for each frame"),
            ("FRAME", "Colour Frame", "Areas of one colour, as in AnimeInterp. A third of a second for each frame"),
            ("EXACT", "Surfaces", "Each connected area of one object and one material. Costs next to nothing"),
        ),
        default=_DEFAULT.segments.name,
    )
    matching: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Matching",
        description="How segments of one frame are found in the other",
        items=(
            ("FLOW", "By Motion", "Where most of their pixels go, as in AnimeRun"),
            ("SURFACE", "By Surface", "The segments that show the same object and material"),
        ),
        default=_DEFAULT.matching.name,
    )
    checks: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Check Afterwards",
        description="Test whether the labels fit the pictures and each other, and make a contact sheet of the worst "
        "frames. Takes about a fifth longer",
        default=True,
    )
    writes_frames: _switch(  # type: ignore[valid-type]
        Label.FRAMES, "Colour Frames", "The rendered pictures, as PNG files: the most of the time"
    )
    writes_contour: _switch(  # type: ignore[valid-type]
        Label.CONTOUR,
        "Line Art",
        "Grey contours on white. With Freestyle contours the scene is rendered once more for them",
    )
    writes_flow: _switch(  # type: ignore[valid-type]
        Label.FLOW,
        "Optical Flow",
        "Where every pixel goes, to the next frame and back. 7 MB for each frame of 1024x436",
    )
    writes_occlusion: _switch(  # type: ignore[valid-type]
        Label.OCCLUSION, "Occlusion", "Which pixels are hidden in the other frame. 1 MB for each frame of 1024x436"
    )
    writes_line_area: _switch(  # type: ignore[valid-type]
        Label.LINE_AREA, "Line Areas", "Which pixels are within 10 px of a line. Half a MB for each frame"
    )
    writes_segment: _switch(  # type: ignore[valid-type]
        Label.SEGMENT, "Segments", "The colour segment that each pixel belongs to. 2 MB for each frame"
    )
    writes_matching: _switch(  # type: ignore[valid-type]
        Label.MATCHING, "Segment Matching", "Which segments of the other frame show the same, both ways. Small files"
    )
    writes_valid: _switch(  # type: ignore[valid-type]
        Label.VALID,
        "Known Flow",
        "Which pixels' flow is known: everywhere but where a mesh is another one. Small files",
    )
    writes_depth: _switch(  # type: ignore[valid-type]
        Label.DEPTH, "Depth", "The distance along the view in metres, without anti-aliasing. 2 MB for each frame"
    )
    writes_normal: _switch(  # type: ignore[valid-type]
        Label.NORMAL, "Normals", "Which way surfaces face, in world space. 5 MB for each frame"
    )
    writes_ids: _switch(  # type: ignore[valid-type]
        Label.IDS, "Ids", "The object and the material that each pixel shows. 4 MB for each frame"
    )
    writes_udp: _switch(  # type: ignore[valid-type]
        Label.UDP,
        "Ultra-Dense Pose",
        "Which point of a character each pixel shows, as its place in the rest pose. Rest pose and encoding are those "
        "of the Ultra-Dense Pose panel. About 1 MB for each frame",
    )
    writes_exr: _switch(  # type: ignore[valid-type]
        Label.EXR,
        "EXR for Compositing",
        "One file for each frame with colours, motion vectors, depth, normals, ids and a matte for each character, "
        "as compositing programs read them. About 9 MB and half a second for each frame of 1024x436",
    )


def request_of(context: bpy.types.Context) -> ExportRequest:
    """What the panel asks for; InputError when it makes no sense, or the scene has no camera."""
    scene = context.scene
    check_camera(scene)
    settings = scene.animerun
    panel = settings.export
    return ExportRequest(
        settings=settings_of(panel, settings.udp, last_settings(scene) or style_settings_of(scene)),
        root=results_folder(context, panel.root_folder),
        split=panel.split.lower(),
        clip=checked_name(panel.clip_name or default_clip(scene), "clip"),
        film=panel.film or default_film(scene),
        scene=scene.name,
        frames=frames_asked(scene, panel.step),
    )


def default_clip(scene: bpy.types.Scene) -> str:
    """The file's name, of several scenes the scene's too; a file has none before it is saved."""
    file = Path(bpy.data.filepath).stem
    words = [file, scene.name] if len(bpy.data.scenes) > 1 or not file else [file]
    return safe_name("_".join(filter(None, words)))


def default_film(scene: bpy.types.Scene) -> str:
    """The file's name, or the scene's before it is saved."""
    return Path(bpy.data.filepath).stem or scene.name
