# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun flow`: the optical flow of a folder of frames, or of a scene's rendered frames, estimated by a model.

Only frames of a .blend file need Blender.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dataset.footage import Footage, footage_in
from ..dataset.layout import SPLITS, Clip, Direction, safe_name
from ..dataset.true_flow import true_flow_of
from ..errors import InputError
from ..frame_range import parse_frames
from ..model_bridge.catalog import read_catalog
from ..model_bridge.weights import Cache, user_folder
from ..output import writable_folder
from ..terminal import Terminal
from . import AddCommand
from .blender import start_blender

if TYPE_CHECKING:
    from ..pipeline.model_run import FlowRun, Shot

_BLEND = ".blend"
# How long to wait between two looks at a network that computes elsewhere.
_LOOK_S = 0.02


def add_to(add: AddCommand) -> None:
    """The command and its options."""
    command = add("flow", _flow, "estimate optical flow of frames with a model, and its error where the flow is known")
    command.add_argument(
        "frames_from",
        type=Path,
        metavar="FRAMES_DIR|FILE.blend",
        help="a folder of PNG or JPEG frames, such as a clip's; or a scene, which is rendered as it is set up",
    )
    command.add_argument(
        "--model", required=True, metavar="NAME", help="classical, raft, raft/sintel: `animerun weights list` has all"
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for flow, occlusion, pictures")
    command.add_argument("--frames", metavar="1-48", help="only these frames (default: all, or the scene's range)")
    command.add_argument("--scene", metavar="NAME", help="of a .blend file: the scene (default: the active one)")
    command.add_argument("--iterations", type=int, metavar="N", help="of a recurrent network (default: as published)")
    command.add_argument("--one-way", action="store_true", help="only forward, which leaves occlusion out")
    command.add_argument(
        "--truth",
        type=Path,
        metavar="DIR",
        help="true flow to compare with: a clip of a data set (its Flow folder, say) or .flo files "
        "(default: the clip's own, if the frames are of one)",
    )
    command.add_argument(
        "--python",
        type=Path,
        metavar="PATH",
        help="a Python with PyTorch, or its virtual environment (default: this Python)",
    )
    command.add_argument("--weights", type=Path, metavar="FILE", help="weights that are not in the weights folder")
    command.add_argument("--device", default="auto", metavar="cpu|cuda:0", help="what computes (default: the best)")
    command.add_argument("--anew", action="store_true", help="delete what is there of these frames' flow first")


def _flow(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    frames = None if options.frames is None else parse_frames(options.frames)
    from ..pipeline.flow_models import flow_model_steps
    from ..pipeline.job import Job
    from ..pipeline.model_run import flow_steps

    folder = user_folder()
    choosing = flow_model_steps(
        options.model,
        read_catalog(folder / "models"),
        Cache(folder / "weights"),
        file=options.weights,
        python=options.python,
        iterations=options.iterations,
        device=options.device,
    )
    with Job("Model", choosing).run(terminal.show) as model:
        shot, clip = _shot_and_clip(options, frames)
        steps = flow_steps(shot, clip, model, one_way=options.one_way, anew=options.anew)
        began_s = time.perf_counter()
        made = Job("Flow", steps, pause_s=_LOOK_S).run(terminal.show)
    return _told(made, time.perf_counter() - began_s, as_json=options.json)


def _shot_and_clip(options: argparse.Namespace, frames: Sequence[int] | None) -> tuple[Shot, Clip]:
    if options.frames_from.suffix == _BLEND:
        return _scene_shot(options, frames)
    if options.scene is not None:
        raise InputError("A folder of frames has no scenes: leave --scene out, or name a .blend file")
    from ..pipeline.model_run import flow_clip, shot_of

    footage = footage_in(options.frames_from, frames)
    clip = flow_clip(options.out, *footage.place, list(footage.files))
    _refuse_own_labels(footage, clip)
    return shot_of(footage, options.truth), clip


def _refuse_own_labels(footage: Footage, clip: Clip) -> None:
    """Estimated flow must never stand where the exact one does."""
    if footage.clip is not None and footage.clip.root == clip.root:
        raise InputError(f"'{clip.root}' is the data set of these frames: name another --out, so that its labels stay")


def _scene_shot(options: argparse.Namespace, frames: Sequence[int] | None) -> tuple[Shot, Clip]:
    """Its frames lie where a data set has them, beside the flow."""
    start_blender()
    from ..pipeline.export import source_of
    from ..pipeline.model_run import Shot, flow_clip
    from ..pipeline.render import find_scene, open_blend, render_steps, scene_frames

    open_blend(options.frames_from)
    scene = find_scene(options.scene)
    wanted = scene_frames(scene) if frames is None else list(frames)
    if len(wanted) < 2:
        raise InputError(
            f"Flow leads from one frame to the next, and there is only frame {wanted[0]}: take two or more"
        )
    clip = flow_clip(options.out, SPLITS[0], safe_name(options.frames_from.stem), wanted)
    files = {frame: clip.frame(frame) for frame in wanted}
    source = source_of(options.frames_from)
    truth = None
    if options.truth is not None:
        truth = true_flow_of(options.truth, [path.stem for path in files.values()])
    noted = {"file": source.file, "scene": scene.name, "sha256": source.sha256}
    folder = writable_folder(clip.frame(wanted[0]).parent)
    make = partial(render_steps, scene, folder, digits=clip.digits)
    return Shot(files, noted, truth, make), clip


def _told(made: FlowRun, seconds: float, *, as_json: bool) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    for direction in Direction:
        if direction in made.errors:
            whole = made.error(direction)
            by_frame = {stem: each.plain() for stem, each in made.errors[direction].items()}
            errors[direction] = {**whole.plain(), "frames": by_frame} if as_json else str(whole)
    return {
        "folder": str(made.clip.root / made.clip.split),
        "clip": made.clip.name,
        "frames": len(made.frames),
        "estimated": made.estimated,
        "kept": made.kept,
        "colours": str(made.colours),
        "full_colour_px": made.scale_px,
        **({"epe_px": errors} if errors else {}),
        "seconds": round(seconds, 2),
    }
