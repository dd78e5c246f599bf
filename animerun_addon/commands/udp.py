# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun udp`: Ultra-Dense Pose sequences of a scene's characters, or a list of these characters."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dataset.udp import UdpFormat
from ..errors import InputError
from ..frame_range import parse_frames
from ..style_options import add_style_options, style_settings
from ..terminal import Terminal
from ..udp_choices import RestChoice
from ..udp_settings import DEFAULT_MARGIN, Occluders, SheetChoice, UdpSettings, View
from . import AddCommand
from .blender import start_blender
from .udp_words import add_encoding_options, add_rest_options, encoding_from, rest_from

if TYPE_CHECKING:
    import bpy

    from ..pipeline.udp import UdpResult

_DEFAULT = UdpSettings()


def add_to(add: AddCommand) -> None:
    """The command and its options."""
    command = add("udp", _udp, "export Ultra-Dense Pose: pictures of which point of a character each pixel shows")
    command.add_argument("file", type=Path, metavar="FILE", help="the .blend file")
    command.add_argument("--out", type=Path, metavar="DIR", help="each character gets a folder of its name in here")
    command.add_argument("--list", action="store_true", help="only say which characters there are and how they stand")
    command.add_argument("--scene", metavar="NAME", help="the scene's name (default: the active scene)")
    command.add_argument(
        "--character",
        dest="characters",
        action="append",
        default=[],
        metavar="NAME",
        help="an armature with all that it moves; may be given several times (default: all)",
    )
    command.add_argument("--frames", metavar="1-48", help="frames to export (default: the scene's range)")
    command.add_argument("--step", type=int, default=1, metavar="N", help="every Nth of them")
    command.add_argument("--anew", action="store_true", help="delete the characters' sequences first")
    _add_picture_options(command)
    add_rest_options(command)
    add_encoding_options(command)
    command.add_argument("--colour", action="store_true", help="the character's colour frames, cut out, as well")
    command.add_argument(
        "--sheet",
        type=_sheet,
        metavar="VIEWSxPOSES",
        help="a character sheet as well: 4x2 is from 4 sides in 2 poses",
    )
    command.add_argument("--style", action="store_true", help="colours and sheet as flat 2D animation")
    # The file on the disk that FILE is a copy of, for the child Blender of a running one.
    command.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    add_style_options(command)


def _add_picture_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("pictures")
    group.add_argument(
        "--format",
        dest="file_format",
        choices=list(map(str, UdpFormat)),
        default=_DEFAULT.file_format,
        metavar="|".join(UdpFormat),
        help="CoNR's loader reads npz and exr; png is for people and other tools (default npz)",
    )
    group.add_argument(
        "--size", type=_size, metavar="512|640x360", help="in pixels (default 512, through a --camera as its frames)"
    )
    view = group.add_mutually_exclusive_group()
    view.add_argument(
        "--fit", action="store_true", help="a camera of its own from the front, with the character in view (default)"
    )
    view.add_argument(
        "--camera", nargs="?", const="", metavar="NAME", help="this camera of the scene; without a name its active one"
    )
    view.add_argument(
        "--turntable", type=int, metavar="N", help="a camera of its own that goes once round in N pictures"
    )
    group.add_argument(
        "--margin",
        type=float,
        default=DEFAULT_MARGIN,
        metavar="0.05",
        help=f"of a camera of its own: free share on each side of the picture (default {DEFAULT_MARGIN:g})",
    )
    group.add_argument(
        "--occluders",
        choices=list(map(str, Occluders)),
        default=_DEFAULT.occluders,
        metavar="|".join(Occluders),
        help="what may stand before the character: nothing, or the rest of the scene (default alone)",
    )


def settings_from(options: argparse.Namespace) -> UdpSettings:
    """What the options say; the style is the caller's, for what they leave open is the file's."""
    view, camera = View.FIT, ""
    if options.camera is not None:
        view, camera = View.CAMERA, options.camera
    elif options.turntable is not None:
        view = View.TURNTABLE
    return UdpSettings(
        rest=rest_from(options),
        encoding=encoding_from(options),
        file_format=UdpFormat(options.file_format),
        view=view,
        camera=camera,
        turn=_DEFAULT.turn if options.turntable is None else options.turntable,
        margin=options.margin,
        size_px=options.size,
        occluders=Occluders(options.occluders),
        colour=options.colour,
        sheet=options.sheet,
    )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text.strip().lower())
    if match is None:
        raise InputError(f"Cannot read '{text}' as a size: write 512 or 640x360")
    return int(match[1]), int(match[2] or match[1])


def _sheet(text: str) -> SheetChoice:
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text.strip().lower())
    if match is None:
        raise InputError(f"Cannot read '{text}' as a sheet: write 4x2 for 4 views of 2 poses")
    return SheetChoice(int(match[1]), int(match[2] or 1))


# In Blender ----------------------------------------------------------------------------------------------------------


def _udp(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    # What is wrong with the words is said before Blender starts.
    settings = settings_from(options)
    frames = None if options.frames is None else parse_frames(options.frames)
    if options.step < 1:
        raise InputError(f"A step of {options.step} leads nowhere: give 1 or more")
    if options.out is None and not options.list:
        raise InputError("Say where the pictures go with --out DIR, or ask with --list which characters there are")
    start_blender()
    from ..pipeline.render import find_scene, open_blend, scene_frames

    open_blend(options.file)
    scene = find_scene(options.scene)
    if options.list:
        return _listed(scene, settings.rest)
    wanted = (scene_frames(scene) if frames is None else frames)[:: options.step]
    return _exported(scene, wanted, settings, options, terminal)


def _exported(
    scene: bpy.types.Scene,
    frames: Sequence[int],
    settings: UdpSettings,
    options: argparse.Namespace,
    terminal: Terminal,
) -> dict[str, Any]:
    from ..pipeline.export import source_of
    from ..pipeline.job import Job
    from ..pipeline.udp import udp_steps
    from ..scene.characters import find_characters
    from ..scene.style import last_settings
    from ..style_properties import style_settings_of

    if options.style:
        style = style_settings(options, last_settings(scene) or style_settings_of(scene))
        settings = replace(settings, style=style)
    names = list(dict.fromkeys(options.characters)) or sorted(find_characters(scene))
    out = options.out.resolve()
    steps = udp_steps(scene, names, out, frames, settings, source_of(options.source or options.file), anew=options.anew)
    began_s = time.perf_counter()
    made = Job("Export UDP", steps).run(terminal.show)
    return {"folder": str(out), **_told(made), "seconds": round(time.perf_counter() - began_s, 2)}


def _told(made: Sequence[UdpResult]) -> dict[str, Any]:
    """Each kind of thing by the characters' names."""
    return {
        "pictures": sum(one.pictures for one in made),
        "written": sum(one.written for one in made),
        "kept": sum(one.kept for one in made),
        "characters": {one.character: one.verdict for one in made},
        "folders": {one.character: str(one.folder) for one in made},
        "sheets": {one.character: str(one.sheet) for one in made if one.sheet is not None},
        "warnings": {one.character: one.warning for one in made if one.warning is not None},
        "notes": [f"{one.character}: {note}" for one in made for note in one.notes],
    }


def _listed(scene: bpy.types.Scene, rest: RestChoice) -> dict[str, Any]:
    """How each character stands in its armature's rest position."""
    from ..labels.facing import facing_by_hand
    from ..scene.characters import find_characters
    from ..scene.skeletons import check_pose

    by_hand = facing_by_hand(rest.front, rest.up) if rest.front else None
    verdicts: dict[str, str] = {}
    notes: list[str] = []
    for name, character in sorted(find_characters(scene).items()):
        try:
            check = check_pose(character.rig, facing=by_hand)
        except InputError as error:
            verdicts[name] = str(error)
        else:
            verdicts[name] = check.verdict
            notes += [f"{name}: {note}" for note in check.notes]
    return {"scene": scene.name, "characters": verdicts or None, "notes": notes}
