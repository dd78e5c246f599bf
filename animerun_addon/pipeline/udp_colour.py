# SPDX-License-Identifier: GPL-3.0-or-later
"""A character's colour frames on transparent ground, and its character sheet: what networks draw it after.

They are rendered by Blender as the scene is set up; which camera looks where is told by whoever asks for them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bpy
import numpy as np

from ..dataset.formats import write_png
from ..frame_range import spread
from ..labels.framing import View
from ..labels.snapshot import Bool
from ..output import writable_folder
from ..progress import Progress, Steps
from ..scene.characters import Character
from ..scene.frames import in_window, render_png, writing_png
from ..scene.udp_stage import look_from, stage
from ..udp_settings import DEFAULT_SIZE_PX, SheetChoice, UdpSettings
from ..udp_settings import View as Choice
from .contours import AHEAD, FrameFinish
from .frame_files import UInt8, read_frame
from .udp_picture import Film, Look, Picture, hidden_by_others

# An overview is no wider than this.
_OVERVIEW_PX = 4096


@dataclass(frozen=True)
class Subject:
    """Who is drawn, in which scene."""

    scene: bpy.types.Scene
    character: Character
    settings: UdpSettings


def colour_steps(
    subject: Subject,
    views: Mapping[int, View],
    files: Mapping[Picture, Path],
    among: Film | None = None,
) -> Steps[None]:
    """Render the character alone into each picture's file, transparent where `among` others it would be hidden.

    `views`: of the stage's own camera, by the pictures' numbers, if it has one.
    """
    settings, pictures = subject.settings, list(files)
    with stage(subject.scene, subject.character, settings, alone=True) as copied:
        finish = FrameFinish(copied, [picture.frame for picture in pictures])
        for start in range(0, len(pictures), AHEAD):
            batch = pictures[start : start + AHEAD]
            hidden = _hidden(among, batch)
            with in_window(copied), writing_png(copied, compression=0):
                for done, picture in enumerate(batch, start=start):
                    yield Progress(done, len(pictures), f"Rendering colour picture {picture.number}")
                    if views:
                        look_from(copied, views[picture.number], settings.margin)
                    if settings.view is Choice.TURNTABLE:
                        # Lines of several frames are made in one look: through one camera.
                        finish = FrameFinish(copied, [picture.frame])
                    _render(copied, picture, files[picture], finish, hidden.get(picture.number))


def sheet_pictures(frames: Sequence[int], choice: SheetChoice) -> dict[str, Picture]:
    """By the names of their files: poses evenly from the frames, each from its front and on round its left."""
    step = 2 * np.pi / choice.views
    names = [(pose, view) for pose in range(choice.poses) for view in range(choice.views)]
    poses = spread(frames, choice.poses)
    digits = len(str(max(choice.poses, choice.views)))
    return {
        f"pose_{pose + 1:0{digits}}_view_{view + 1:0{digits}}.png": Picture(number, poses[pose], step * view)
        for number, (pose, view) in enumerate(names, start=1)
        if pose < len(poses)
    }


def sheet_settings(settings: UdpSettings, choice: SheetChoice) -> UdpSettings:
    """What a sheet is seen through: a square turntable, as large as the sequence's pictures."""
    side_px = max(settings.size_px or (DEFAULT_SIZE_PX, DEFAULT_SIZE_PX))
    return replace(settings, view=Choice.TURNTABLE, turn=choice.views, size_px=(side_px, side_px))


def sheet_steps(
    subject: Subject, views: Mapping[int, View], pictures: Mapping[str, Picture], folder: Path, overview: Path
) -> Steps[None]:
    """Render a sheet in the place of an earlier one, and all of it as one picture."""
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    writable_folder(beside)
    try:
        files = {picture: beside / name for name, picture in pictures.items()}
        yield from colour_steps(subject, views, files)
        write_png(overview, _overview([read_frame(path) for path in files.values()], subject.settings.turn))
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _hidden(among: Film | None, pictures: Sequence[Picture]) -> dict[int, Bool]:
    """(H, W) where others are seen, by the pictures' numbers."""
    found: dict[int, Bool] = {}
    if among is None:
        return found

    def take(picture: Picture, look: Look) -> None:
        found[picture.number] = hidden_by_others(among.character, look)

    with in_window(among.scene):
        among.look_at(pictures, take)
    return found


def _render(copied: bpy.types.Scene, picture: Picture, path: Path, finish: FrameFinish, hidden: Bool | None) -> None:
    rendered = path.with_name(f".{path.stem}.rendered{path.suffix}")
    try:
        render_png(copied, picture.frame, rendered)
        finish.finish(picture.frame, rendered)
        pixels = read_frame(rendered).copy()
    finally:
        rendered.unlink(missing_ok=True)
    gone = pixels[..., 3] == 0
    pixels[gone if hidden is None else gone | hidden] = 0
    write_png(path, pixels)


def _overview(pictures: Sequence[UInt8], columns: int) -> UInt8:
    """Pictures (H, W, 4) in rows of so many."""
    side_px = min(pictures[0].shape[0], _OVERVIEW_PX // columns)
    small = [_shrunk(picture, side_px) for picture in pictures]
    rows = [np.concatenate(small[start : start + columns], axis=1) for start in range(0, len(small), columns)]
    return np.concatenate(rows)


def _shrunk(picture: UInt8, side_px: int) -> UInt8:
    """(side, side, 4); transparent pixels give nothing of their black to the others."""
    if len(picture) == side_px:
        return picture
    import cv2

    solid = picture.astype(np.float32)
    solid[..., :3] *= solid[..., 3:] / 255
    solid = cv2.resize(solid, (side_px, side_px), interpolation=cv2.INTER_AREA).astype(np.float32)
    solid[..., :3] *= 255 / np.maximum(solid[..., 3:], 1)
    return np.clip(np.rint(solid), 0, 255).astype(np.uint8)
