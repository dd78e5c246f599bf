# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on a scene that everybody has: build the demo scene, render its frames, make a page of them."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..output import whole_file, writable_folder, write_text
from ..progress import Steps, as_part
from ..scene.demo import build_steps
from ..style_settings import Contours, StyleSettings
from .demo_page import page_html
from .render import frame_name, scene_frames
from .variants import Variant, variant_steps

PAGE = "index.html"
FRAMES = "frames"
BLEND = "demo.blend"


# Of the whole time, for one progress bar over both parts.
BUILD_SHARE = 0.1


def demo_steps(out: Path, seed: int = 0) -> Steps[Path]:
    """Fill `out` with demo.blend, frames/ and, last, index.html, whose path is returned.

    The file that is open in this Blender is closed. A page from an earlier run goes first: where a page stands,
    everything stands.
    """
    folder = writable_folder(out)
    page = folder / PAGE
    page.unlink(missing_ok=True)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)

    scene = yield from as_part(build_steps(seed), 0.0, BUILD_SHARE)
    _save_alone(scene, folder / BLEND)
    files = yield from as_part(_render_anew(scene, folder / FRAMES), BUILD_SHARE, 1.0 - BUILD_SHARE)

    write_text(page, page_html([file.relative_to(folder).as_posix() for file in files], scene.render.fps, BLEND))
    return page


def _save_alone(scene: bpy.types.Scene, path: Path) -> None:
    """Save the file with this scene as its only one."""
    bpy.context.window.scene = scene
    for other in [other for other in bpy.data.scenes if other != scene]:
        bpy.data.scenes.remove(other)
    with whole_file(path) as beside:
        bpy.ops.wm.save_as_mainfile(filepath=str(beside), copy=True, compress=True)


def _render_anew(scene: bpy.types.Scene, folder: Path) -> Steps[list[Path]]:
    """Render as flat 2D animation, with lines on the labels' borders.

    Frames of an earlier run, maybe of another seed, must not stand among the new ones.
    """
    for frame in scene_frames(scene):
        (folder / frame_name(frame)).unlink(missing_ok=True)
    look = Variant("", StyleSettings(contours=Contours.FAST))
    files = yield from variant_steps(scene, folder, [look])
    return files[look.folder]
