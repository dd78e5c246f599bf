# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's Ultra-Dense Pose: a sequence of the heroine with her colour frames and a character sheet, as pictures."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..dataset.formats import write_png
from ..dataset.udp_sequence import UdpSequence, colour_folder
from ..frame_range import spread
from ..labels.visualize import udp_colours
from ..output import writable_folder
from ..progress import Steps
from ..style_settings import Contours, StyleSettings
from ..udp_settings import SheetChoice, UdpSettings, View
from .demo_page import Picture, Poses
from .export import Source
from .render import scene_frames
from .udp import udp_steps

CHARACTER = "AR Heroine"
PICTURES = "pictures"
# So many pictures stand beside each other on the page.
SHOWN = 8
SETTINGS = UdpSettings(
    view=View.TURNTABLE,
    turn=SHOWN,
    size_px=(384, 384),
    colour=True,
    sheet=SheetChoice(views=4),
    style=StyleSettings(contours=Contours.OUTLINE),
)


def poses_steps(scene: bpy.types.Scene, source: Source, folder: Path, page_folder: Path) -> Steps[Poses]:
    """Export the sequence into `folder`, and what it shows as pictures; files are relative to the page."""
    frames = spread(scene_frames(scene), SHOWN)
    (made,) = yield from udp_steps(scene, [CHARACTER], folder, frames, SETTINGS, source, anew=True)
    sequence = UdpSequence(made.folder)
    info = sequence.info
    pictures = writable_folder(folder / PICTURES)
    # What an earlier run drew, maybe of other frames, goes.
    for path in pictures.glob("[0-9]*.png"):
        path.unlink()
    colours, poses = [], []
    for frame, udp in zip(info.frames, sequence, strict=True):
        path = pictures / f"{info.stem(frame)}.png"
        write_png(path, udp_colours(udp))
        poses.append(_told(path, page_folder, f"Frame {frame}", f"The Ultra-Dense Pose of frame {frame}"))
        colour = colour_folder(made.folder) / f"{info.stem(frame)}.png"
        colours.append(_told(colour, page_folder, f"Frame {frame}", f"The heroine in frame {frame}"))
    assert made.sheet is not None
    sheet = _told(made.sheet, page_folder, "Character sheet", "The heroine from four sides, cut out")
    summary = f"{made.verdict}. {info.warning}" if info.warning else made.verdict
    return Poses(tuple(colours), tuple(poses), sheet, summary, f"{made.folder.relative_to(page_folder).as_posix()}/")


def _told(path: Path, page_folder: Path, title: str, alt: str) -> Picture:
    return Picture(path.relative_to(page_folder).as_posix(), title, "", alt)
