# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on a scene that everybody has: build the demo scene, export it as a data set, check it, make a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ..dataset.layout import SPLITS, Clip
from ..dataset.quality import CheckResult, check_steps
from ..dataset.reader import ClipReader
from ..export_settings import ExportSettings, Label
from ..output import whole_file, writable_folder, write_text
from ..progress import Steps, as_part
from ..scene.demo import build_steps
from ..style_settings import Contours, StyleSettings
from .demo_flow import comparison_steps
from .demo_page import page_html
from .demo_pictures import gallery_steps
from .demo_udp import poses_steps
from .demo_verdict import verdict_of
from .export import export_steps, source_of
from .render import scene_frames

PAGE = "index.html"
DATASET = "dataset"
LABELS = "labels"
UDP = "udp"
BLEND = "demo.blend"
CLIP = "demo"

# AnimeRun's own folders, where its flow is known, and ids, against which the check holds the flow.
EXPORTED = ExportSettings(
    labels=frozenset(Label) - {Label.DEPTH, Label.NORMAL, Label.UDP, Label.EXR},
    style=StyleSettings(contours=Contours.FAST),
)

# Of the whole time, for one progress bar over all parts.
BUILD_SHARE, EXPORT_SHARE, CHECK_SHARE, POSES_SHARE, GALLERY_SHARE = 0.05, 0.62, 0.15, 0.1, 0.05


@dataclass(frozen=True)
class Demo:
    """The page, and what the quality check says about what it shows."""

    page: Path
    check: CheckResult


def demo_steps(out: Path, seed: int = 0) -> Steps[Demo]:
    """Fill `out` with demo.blend, dataset/, udp/, pictures of their labels and of estimated flow and, last, index.html.

    The file that is open in this Blender is closed. A page from an earlier run goes first: where a page stands,
    everything stands.
    """
    folder = writable_folder(out)
    page = folder / PAGE
    page.unlink(missing_ok=True)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)

    start = 0.0
    scene = yield from as_part(build_steps(seed), start, BUILD_SHARE)
    _save_alone(scene, folder / BLEND)
    start += BUILD_SHARE

    clip = Clip(folder / DATASET, SPLITS[0], CLIP)
    source = source_of(folder / BLEND)
    exporting = export_steps(scene, clip, scene_frames(scene), EXPORTED, source, anew=True)
    yield from as_part(exporting, start, EXPORT_SHARE)
    start += EXPORT_SHARE

    check = yield from as_part(check_steps(clip.root, [clip.split], [clip.name]), start, CHECK_SHARE, "Check")
    start += CHECK_SHARE

    posing = poses_steps(scene, source, folder / UDP, folder)
    poses = yield from as_part(posing, start, POSES_SHARE, "Ultra-Dense Pose")
    start += POSES_SHARE

    reader = ClipReader(clip.root, clip.split, clip.name)
    gallery = yield from as_part(gallery_steps(reader, folder / LABELS, folder), start, GALLERY_SHARE)
    start += GALLERY_SHARE

    comparing = comparison_steps(reader, gallery, folder / LABELS, folder)
    comparison = yield from as_part(comparing, start, 1.0 - start)
    verdict = verdict_of(check, reader.meta, folder)
    write_text(page, page_html(gallery, verdict, poses, comparison, scene.render.fps, BLEND, f"{DATASET}/"))
    return Demo(page, check)


def _save_alone(scene: bpy.types.Scene, path: Path) -> None:
    """Save the file with this scene as its only one."""
    bpy.context.window.scene = scene
    for other in [other for other in bpy.data.scenes if other != scene]:
        bpy.data.scenes.remove(other)
    with whole_file(path) as beside:
        bpy.ops.wm.save_as_mainfile(filepath=str(beside), copy=True, compress=True)
