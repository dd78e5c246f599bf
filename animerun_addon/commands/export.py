# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun export`: a scene's frames with all their labels, as one clip of a data set."""

from __future__ import annotations

import argparse
import enum
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..dataset.layout import SPLITS, Clip, checked_name
from ..errors import InputError
from ..export_options import parse_strides
from ..export_settings import DEFAULT_LABELS, ExportSettings, Label, MatchingRule, Occlusion, SegmentSource
from ..frame_range import parse_frames
from ..style_options import add_style_options, style_settings
from ..terminal import No, Terminal
from . import AddCommand
from .blender import start_blender
from .udp_words import add_encoding_options, add_rest_options, encoding_from, rest_from


def add_to(add: AddCommand) -> None:
    """The command and its options."""
    command = add("export", _export, "export a scene's frames with all their labels as one clip of a data set")
    command.add_argument("file", type=Path, metavar="FILE", help="the .blend file")
    command.add_argument("--out", type=Path, required=True, metavar="ROOT", help="the data set's folder")
    command.add_argument("--scene", metavar="NAME", help="the scene's name (default: the active scene)")
    command.add_argument(
        "--clip", metavar="NAME", help="the clip's name (default: the file's, and of several scenes the scene's)"
    )
    command.add_argument("--split", choices=SPLITS, default=SPLITS[0], help="where the clip goes (default train)")
    command.add_argument("--film", metavar="NAME", help="the film that the clip is of (default: the file's name)")
    command.add_argument("--frames", metavar="1-48", help="frames to export (default: the scene's range)")
    command.add_argument("--step", type=int, default=1, metavar="N", help="every Nth of them: 2 for animation on twos")
    command.add_argument("--remove-holds", action="store_true", help="leave out frames in which nothing has moved")
    command.add_argument(
        "--stride",
        type=parse_strides,
        default=(1,),
        metavar="1,2,3",
        help="flows and matches to so many frames of the clip further (default 1)",
    )
    command.add_argument(
        "--labels",
        type=_labels,
        default=DEFAULT_LABELS,
        metavar="A,B",
        help=f"what to write: {', '.join(Label)} (default: all but exr and udp)",
    )
    command.add_argument("--exr", action="store_true", help="a multi-layer EXR a frame as well, for compositors")
    command.add_argument(
        "--augment", type=int, default=0, metavar="N", help="colour frames N more times in other colours"
    )
    command.add_argument("--style", action="store_true", help="as flat 2D animation; the file itself stays as it is")
    _add_choice(command, "--occlusion", Occlusion, "how hidden pixels are found")
    _add_choice(command, "--segments", SegmentSource, "what segments are made from")
    _add_choice(command, "--matching", MatchingRule, "how segments are matched")
    command.add_argument(
        "--anew", action="store_true", help="delete the clip's files first, whatever they were made with"
    )
    command.add_argument(
        "--check", action="store_true", help="check the clip when it is whole; exit code 1 if it fails"
    )
    # The file on the disk that FILE is a copy of, for the child Blender of a running one.
    command.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    add_rest_options(command)
    add_encoding_options(command)
    add_style_options(command)


def _export(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    # What is wrong with the words is said before Blender starts.
    settings = ExportSettings(
        labels=options.labels | ({Label.EXR} if options.exr else frozenset()),
        strides=options.stride,
        augment=options.augment,
        occlusion=options.occlusion,
        segments=options.segments,
        matching=options.matching,
        remove_holds=options.remove_holds,
        udp_rest=rest_from(options),
        udp_encoding=encoding_from(options),
    )
    frames = None if options.frames is None else parse_frames(options.frames)
    name = None if options.clip is None else checked_name(options.clip, "clip")
    if options.step < 1:
        raise InputError(f"A step of {options.step} leads nowhere: give 1 or more")
    start_blender()
    from ..export_properties import default_clip
    from ..pipeline.export import export_steps, source_of
    from ..pipeline.job import Job
    from ..pipeline.render import find_scene, open_blend, scene_frames
    from ..scene.style import last_settings
    from ..style_properties import style_settings_of

    open_blend(options.file)
    scene = find_scene(options.scene)
    if options.style or options.augment:
        style = style_settings(options, last_settings(scene) or style_settings_of(scene))
        settings = replace(settings, style=style)
    clip = Clip(options.out.resolve(), options.split, name or default_clip(scene))
    wanted = (scene_frames(scene) if frames is None else frames)[:: options.step]
    source = source_of(options.source or options.file, options.film or "")
    steps = export_steps(scene, clip, wanted, settings, source, anew=options.anew)
    began_s = time.perf_counter()
    made = Job(f"Export {clip.name}", steps).run(terminal.show)
    result = {
        "folder": str(clip.root / clip.split),
        "clip": clip.name,
        "frames": len(made.frames),
        "written": made.written,
        "kept": made.kept,
        "notes": list(made.notes),
        "seconds": round(time.perf_counter() - began_s, 2),
    }
    return _checked(clip, result, terminal) if options.check else result


def _checked(clip: Clip, result: dict[str, Any], terminal: Terminal) -> dict[str, Any]:
    from ..dataset.quality import check_steps, sheet_path
    from ..pipeline.job import Job

    check = Job("Check", check_steps(clip.root, [clip.split], [clip.name])).run(terminal.show)
    sheet = sheet_path(Path(check.report), check.clips[0]) if check.report else None
    has_sheet = sheet is not None and sheet.exists()
    verdict = {**check.clips[0].to_plain(), "sheet": str(sheet) if has_sheet else None}
    return {**result, "verdict": verdict} if check.passed else No({**result, "verdict": verdict})


def _add_choice(command: argparse.ArgumentParser, option: str, choices: type[enum.StrEnum], summary: str) -> None:
    values = list(choices)
    command.add_argument(
        option,
        type=choices,
        choices=values,
        default=values[0],
        metavar="|".join(values),
        help=f"{summary} (default {values[0]})",
    )


def _labels(text: str) -> frozenset[Label]:
    known = list(Label)
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise InputError(f"There is no label '{word}': there are {', '.join(known)}")
    return frozenset(map(Label, words))
