# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of Ultra-Dense Pose in the panel: `scene.animerun.udp`. Names and defaults are udp_settings.py's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import bpy

from .dataset.udp import UdpFormat
from .errors import InputError
from .export_options import frames_asked
from .labels.udp_encoding import Preset
from .scene.characters import Character, find_characters
from .scene.frames import check_camera
from .scene.results import results_folder
from .scene.style import last_settings
from .style_properties import style_settings_of
from .udp_choices import Rest
from .udp_options import UdpRequest, encoding_of, rest_of, settings_of
from .udp_settings import DEFAULT_SIZE_PX, SheetChoice, UdpSettings, View

__all__ = ["UdpProperties", "chosen_character", "encoding_of", "request_of", "rest_of"]

_DEFAULT = UdpSettings()
_SHEET = SheetChoice()
_AXIS_NAMES = ("X", "Y", "Z", "-X", "-Y", "-Z")
_AXES = tuple((name.replace("-", "NEG_"), name, f"The armature's own {name} axis") for name in _AXIS_NAMES)


# Whose ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidates:
    """The characters of a scene, by name, those with most of a surface first, and which object is of which."""

    scene: str
    names: tuple[str, ...]
    name_of: Mapping[str, str]  # by the objects' full names, armatures among them

    def chosen(self, wanted: str, active: str) -> str:
        """The one of that name; of no name that of the active object, else the one with most of a surface."""
        if not self.names:
            raise InputError(f"Scene '{self.scene}' has no character: bind a mesh to an armature, or parent it to one")
        if wanted and wanted not in self.names:
            raise InputError(
                f"Scene '{self.scene}' has no character '{wanted}': choose {' or '.join(sorted(self.names)[:4])}"
            )
        return wanted or self.name_of.get(active, self.names[0])

    def to_export(self, all_of_them: bool, wanted: str, active: str) -> tuple[str, ...]:
        """The chosen one, or all by their names."""
        first = self.chosen("" if all_of_them else wanted, active)
        return tuple(sorted(self.names)) if all_of_them else (first,)


def candidates_of(scene: bpy.types.Scene) -> Candidates:
    """Looks at all objects of the scene: nothing for drawing."""
    found = find_characters(scene)
    size = {name: sum(_vertices(thing) for thing in one.things) for name, one in found.items()}
    name_of = {full_name: name for name, one in found.items() for full_name in _full_names(one)}
    return Candidates(scene.name, tuple(sorted(found, key=lambda name: (-size[name], name))), name_of)


def _full_names(character: Character) -> Iterator[str]:
    yield character.rig.name_full
    yield from (thing.name_full for thing in character.things)


def _vertices(thing: bpy.types.Object) -> int:
    return len(thing.data.vertices) if thing.type == "MESH" and not thing.hide_render else 0


def active_object(scene: bpy.types.Scene) -> str:
    """The full name of what is active and selected while the scene is looked at; "" for nothing."""
    layer = bpy.context.view_layer
    active = None if layer is None or bpy.context.scene != scene else layer.objects.active
    return "" if active is None or not active.select_get(view_layer=layer) else active.name_full


def chosen_character(scene: bpy.types.Scene) -> str:
    """The name of the one that the panel works on."""
    return candidates_of(scene).chosen(scene.animerun.udp.character, active_object(scene))


def _search_character(panel: UdpProperties, _context: bpy.types.Context, _typed: str) -> Iterable[str]:
    """What the field offers when it is clicked."""
    return sorted(find_characters(panel.id_data))


def _is_camera(_panel: UdpProperties, thing: bpy.types.Object) -> bool:
    return bool(thing.type == "CAMERA")


def _is_of_objects(_panel: UdpProperties, action: bpy.types.Action) -> bool:
    """Actions of shape keys, materials and the like pose nobody."""
    return any(slot.target_id_type in {"OBJECT", "UNSPECIFIED"} for slot in action.slots)


class UdpProperties(bpy.types.PropertyGroup):
    """Of which character, how it rests, how that is encoded, and what the next export writes."""

    character: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Character",
        description="Whose pictures are made: an armature with all that it moves. Click to see those of this scene. "
        "Empty: the one that is selected, else the one with the most vertices",
        search=_search_character,
        search_options={"SUGGESTION"},
    )
    all_characters: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="All Characters",
        description="Export a sequence of each character of this scene, each into a folder of its own",
        default=False,
    )
    rest: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Rest Pose",
        description="The pose that names the points of the character: where a point is while the character stands "
        "like this is its colour in every picture. CoNR expects an A-pose, arms about 45 degrees from the body",
        items=(
            (Rest.REST.name, "Armature's", "The rest position of the armature, in which the character was rigged"),
            (
                Rest.A_POSE.name,
                "Made A-pose",
                "The armature's rest position with the arms turned to the angle below, on a copy: your character, its "
                "rest position and its animation stay as they are",
            ),
            (Rest.FRAME.name, "Frame of the Scene", "As the character stands at a frame of this scene"),
            (Rest.ACTION.name, "Action", "As an action or pose asset has the character stand"),
        ),
        default=_DEFAULT.rest.rest.name,
    )
    rest_frame: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="At Frame",
        description="The frame of the scene, or of the action, at which the character stands in its rest pose",
        default=int(_DEFAULT.rest.frame),
        min=-1_048_574,
        max=1_048_574,
    )
    rest_action: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Action",
        description="The action or pose asset in which the character stands in its rest pose",
        type=bpy.types.Action,
        poll=_is_of_objects,
    )
    arms_angle: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Arms",
        description="How far from straight down the arms are held in the A-pose. 90 degrees would be a T-pose",
        default=math.radians(_DEFAULT.rest.arms_deg),
        min=0.0,
        max=math.radians(90),
        subtype="ANGLE",
    )
    sets_facing: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Facing by Hand",
        description="Say yourself which way the character looks, where that is not found out from its bones. In a "
        "picture, red goes to its left, green to its back, blue up",
        default=bool(_DEFAULT.rest.front),
    )
    front: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Front",
        description="The axis of the armature that the character looks along",
        items=_AXES,
        default="NEG_Y",
    )
    up: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Up",
        description="The axis of the armature that goes from the character's feet to its head",
        items=_AXES,
        default="Z",
    )
    preset: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Encoding",
        description="Which colour a point of the character has. A network reads colours of the kind it was trained on",
        items=(
            (
                Preset.CONR.name,
                "CoNR",
                "The scale of CoNR's authors, as far as it can be read off their pictures. It shows front and back "
                "clearly, and clips what stands far out: capes, long hair, wide skirts",
            ),
            (Preset.UNIFORM.name, "Uniform", "The whole character just fits: one scale for all axes, nothing clipped"),
            (Preset.FREE.name, "Free", "Colour = position in metres x scale + offset, with numbers of yours"),
        ),
        default=_DEFAULT.encoding.preset.name,
    )
    scale: bpy.props.FloatVectorProperty(  # type: ignore[valid-type]
        name="Scale",
        description="Colour for each metre to the character's left, to its back, and up. A negative number mirrors",
        default=(0.5, 0.5, 0.5),
        size=3,
        precision=4,
        subtype="XYZ",
    )
    offset: bpy.props.FloatVectorProperty(  # type: ignore[valid-type]
        name="Offset",
        description="The colour of the point where the armature's origin is: red, green and blue from 0 to 1",
        default=(0.5, 0.5, 0.0),
        size=3,
        precision=4,
        subtype="XYZ",
    )
    measures_height: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Measure Height",
        description="Measure how high the body is, which CoNR's scale goes by. Hair that the armature deforms counts: "
        "switch this off for high hair or a tall hat, and give the height from the soles to the crown yourself",
        default=_DEFAULT.encoding.body_height_m == 0,
    )
    body_height: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Body Height",
        description="From the soles to the crown, without hair and hat, in the armature's own units",
        default=1.6,
        min=1e-3,
        soft_max=3.0,
        max=1e6,
        subtype="DISTANCE",
    )
    folder: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Folder",
        description="Each character's sequence goes into a folder of its name in here. // is the folder of the "
        ".blend file",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
        default="//animerun/udp/",
    )
    step: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Frame Step",
        description="Export each, every second or every third frame. Counted in the scene's own frame step when the "
        "range is the scene's",
        default=1,
        min=1,
        soft_max=4,
        max=1000,
    )
    file_format: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Format",
        description="What kind of file each picture is",
        items=(
            (UdpFormat.NPZ.name, "NPZ", "Exact numbers for CoNR and numpy"),
            (UdpFormat.EXR.name, "EXR", "Exact numbers for compositing programs and CoNR"),
            (
                UdpFormat.PNG16.name,
                "PNG, 16 Bits",
                "Rounded to 65536 steps, for other tools. CoNR's own loader refuses it",
            ),
            (
                UdpFormat.PNG8.name,
                "PNG, 8 Bits",
                "Rounded to 256 steps, some 7 mm of a grown-up: to look at. CoNR's own loader refuses it",
            ),
        ),
        default=_DEFAULT.file_format.name,
    )
    view: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="View",
        description="What the character is seen through",
        items=(
            (View.FIT.name, "Fitted", "A camera of its own from the front that has the character in view throughout"),
            (View.CAMERA.name, "Camera", "One of this scene's cameras"),
            (
                View.TURNTABLE.name,
                "Turntable",
                "A camera of its own that goes once round the character while it moves. Of a single frame the pose is "
                "held for a whole turn",
            ),
        ),
        default=_DEFAULT.view.name,
    )
    camera: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Camera",
        description="The camera that the character is seen through. Empty: the scene's own, with its markers",
        type=bpy.types.Object,
        poll=_is_camera,
    )
    turn: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Pictures a Turn",
        description="After how many pictures the camera is round",
        default=_DEFAULT.turn,
        min=1,
        soft_max=360,
        max=100_000,
    )
    margin: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Margin",
        description="How much of the picture stays free on each side",
        default=_DEFAULT.margin,
        min=0.0,
        soft_max=0.25,
        max=0.49,
        subtype="FACTOR",
    )
    uses_scene_size: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Scene's Size",
        description="Make the pictures as large as this scene's frames",
        default=True,
    )
    width: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Width",
        description="Of the pictures. CoNR takes multiples of 128",
        default=DEFAULT_SIZE_PX,
        min=1,
        soft_min=64,
        soft_max=4096,
        max=16384,
        subtype="PIXEL",
    )
    height: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Height",
        description="Of the pictures. CoNR takes multiples of 128",
        default=DEFAULT_SIZE_PX,
        min=1,
        soft_min=64,
        soft_max=4096,
        max=16384,
        subtype="PIXEL",
    )
    occluders: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Hidden By",
        description="What may hide parts of the character",
        items=(
            ("ALONE", "Nothing", "The character alone, as CoNR expects it"),
            ("SCENE", "The Scene", "All else that renders: where it is in front, the picture is empty"),
        ),
        default=_DEFAULT.occluders.name,
    )
    colour: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Colour Frames",
        description="Render the character's colours as well, cut out on a transparent background: what a network in "
        "training should make of each UDP. Takes as long as rendering does",
        default=_DEFAULT.colour,
    )
    makes_sheet: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Character Sheet",
        description="Render the character cut out, from all sides: the drawings in which CoNR looks up what the "
        "character looks like",
        default=_DEFAULT.sheet is not None,
    )
    sheet_views: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Views",
        description="From how many sides the sheet shows the character",
        default=_SHEET.views,
        min=1,
        soft_max=12,
        max=360,
    )
    sheet_poses: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Poses",
        description="In how many poses, from frames far apart",
        default=_SHEET.poses,
        min=1,
        soft_max=12,
        max=1000,
    )
    uses_style: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="2D Style",
        description="Convert a copy to flat 2D animation first, with the settings of the 2D Style panel. Off: colours "
        "as the scene is set up",
        default=_DEFAULT.style is not None,
    )


def request_of(context: bpy.types.Context, characters: tuple[str, ...]) -> UdpRequest:
    """What the panel asks for of these characters; InputError when it makes no sense."""
    scene = context.scene
    panel = scene.animerun.udp
    chosen = settings_of(panel, last_settings(scene) or style_settings_of(scene))
    if chosen.view is View.CAMERA and not chosen.camera:
        check_camera(scene)
    return UdpRequest(
        settings=chosen,
        characters=characters,
        folder=results_folder(context, panel.folder),
        scene=scene.name,
        frames=frames_asked(scene, panel.step),
    )
