# SPDX-License-Identifier: GPL-3.0-or-later
"""The export of the demo scene, everything but Freestyle on, against its parts alone; and memory by number of frames.

The parts: two Workbench renders a frame (colours, contours), labels, segments with their matching, writing. All are
measured in one process and take turns. Peaks are of processes of their own.
"""

from __future__ import annotations

import functools
import json
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from measure import Target, measure_in_turn, report

from animerun_addon.dataset.derived import line_area
from animerun_addon.dataset.formats import read_png, write_flo, write_matching, write_npy, write_png
from animerun_addon.dataset.layout import Clip, Direction, Kind
from animerun_addon.export_settings import ExportSettings
from animerun_addon.labels import fields
from animerun_addon.labels.matching import match_by_flow
from animerun_addon.labels.motion import Flow, landing
from animerun_addon.labels.occlusion import exact_occlusion
from animerun_addon.labels.segments import segments_from_contours
from animerun_addon.labels.snapshot import Bool, Snapshot
from animerun_addon.labels.surface import Surface, surface_points
from animerun_addon.pipeline.export import Source, export_steps
from animerun_addon.pipeline.job import Job
from animerun_addon.scene.demo import build_steps
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.frames import render_png, writing_png
from animerun_addon.scene.id_pass import visible_triangles
from animerun_addon.scene.snapshot import SnapshotReader
from animerun_addon.scene.style import convert
from animerun_addon.style_settings import Contours, StyleSettings
from animerun_addon.terminal import quiet_blender

CHILD = "--child"
# Workbench draws the outlines, so that contours are a render of their own as Freestyle's would be.
STYLE = StyleSettings(contours=Contours.OUTLINE)
SOURCE = Source("demo.blend", "", "demo")
FRAMES = list(range(1, 13))
ROUNDS = 3
# Beyond the most frames that are read at once.
SHORT, LONG = 24, 48


def main() -> None:
    """Memory first: what a process has held counts as held by those that it starts."""
    peaks = memory()
    figures = times() | peaks
    targets = {
        "export / sum of its parts": Target(1.3, "lower"),
        "peak a further frame, MB": Target(2.0, "lower"),
    }
    report("export", figures, targets)


def child(frame_count: int) -> None:
    """One export in a process of its own; the last line of the output is its peak."""
    with tempfile.TemporaryDirectory() as folder, quiet_blender(verbose=False):
        exported(demo_scene(), Path(folder), list(range(1, frame_count + 1)))
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(peak_mb * (1 if platform.system() == "Darwin" else 1024) / 1e6))


def memory() -> dict[str, float]:
    """Peaks of a short and of a long export."""
    peaks = {count: peak_of(count) for count in (SHORT, LONG)}
    figures = {f"peak of {count} frames, MB": peak for count, peak in peaks.items()}
    return {**figures, "peak a further frame, MB": (peaks[LONG] - peaks[SHORT]) / (LONG - SHORT)}


def peak_of(frame_count: int) -> float:
    """Megabytes."""
    command = [sys.executable, __file__, CHILD, str(frame_count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def times() -> dict[str, float]:
    """Seconds a frame of the export, and of each of its parts alone."""
    with tempfile.TemporaryDirectory() as folder, quiet_blender(verbose=False):
        scene = demo_scene()
        convert(scene, STYLE)
        parts = Parts(scene, Path(folder))
        candidates: dict[str, Callable[[], object]] = {
            "two renders": parts.render,
            "labels": parts.label,
            "segments and matching": parts.segment,
            "writing": parts.write,
            "export": functools.partial(exported, scene, Path(folder) / "export", FRAMES),
        }
        seconds = {name: value / len(FRAMES) for name, value in measure_in_turn(candidates, ROUNDS).items()}
    total = sum(value for name, value in seconds.items() if name != "export")
    figures = {f"{name}, s a frame": value for name, value in seconds.items()}
    return {**figures, "sum of the parts, s a frame": total, "export / sum of its parts": seconds["export"] / total}


def demo_scene() -> bpy.types.Scene:
    """In a file of its own."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = Job("Demo scene", build_steps()).run()
    bpy.context.window.scene = scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == (1024, 436)
    return scene


def exported(scene: bpy.types.Scene, root: Path, frames: list[int]) -> None:
    """The whole of it, from nothing."""
    shutil.rmtree(root, ignore_errors=True)
    Job("Export", export_steps(scene, Clip(root, "train", "demo"), frames, ExportSettings(style=STYLE), SOURCE)).run()


@dataclass(frozen=True)
class Way:
    """What leads from one frame to its neighbour."""

    source: int
    target: int
    direction: Direction
    flow: Flow
    occluded: Bool


@dataclass
class Parts:
    """The export's parts, each for all frames, one after the other; what one makes the next ones use."""

    scene: bpy.types.Scene
    folder: Path
    looks: dict[int, tuple[Snapshot, Surface]] = field(default_factory=dict)
    arrays: dict[Path, npt.NDArray[Any]] = field(default_factory=dict)
    ways: list[Way] = field(default_factory=list)
    matches: dict[Path, list[list[int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Where files go."""
        self.clip = Clip(self.folder / "parts", "train", "demo")

    def rendered(self, frame: int, kind: str) -> Path:
        """A picture from Blender."""
        return self.folder / f"{kind}_{frame}.png"

    def render(self) -> None:
        """Both pictures of each frame, with the conversions that the export makes as well."""
        try:
            for kind, style in (("colours", STYLE), ("contours", replace(STYLE, line_art=True))):
                convert(self.scene, style)
                with writing_png(self.scene, compression=0):
                    for frame in FRAMES:
                        render_png(self.scene, frame, self.rendered(frame, kind))
        finally:
            convert(self.scene, STYLE)

    def label(self) -> None:
        """What is read off the surfaces, and what leads from frame to frame."""
        self.looks.clear()
        self.ways.clear()
        reader = SnapshotReader(self.scene)

        def visit(frame: float, depsgraph: bpy.types.Depsgraph) -> None:
            snapshot = reader.read(depsgraph)
            self.looks[int(frame)] = snapshot, surface_points(snapshot, visible_triangles(snapshot)[0])

        with_render_depsgraph(self.scene, FRAMES, visit)
        for frame, (snapshot, surface) in self.looks.items():
            for kind, labels in (
                (Kind.DEPTH, fields.depth(surface)),
                (Kind.NORMAL, fields.normals(surface)),
                (Kind.OBJECT_ID, fields.object_ids(snapshot, surface)),
                (Kind.MATERIAL_ID, fields.material_ids(snapshot, surface)),
            ):
                self.arrays[self.clip.of_frame(kind, frame, ".npy")] = labels
        for source, target, direction in neighbours():
            (here, surface), (there, other_surface) = self.looks[source], self.looks[target]
            landed = landing(here, surface, there)
            occluded = exact_occlusion(here, surface, there, other_surface, landed)
            self.ways.append(Way(source, target, direction, landed.flow, occluded))

    def segment(self) -> None:
        """Line areas, segments, and their matches both ways."""
        for frame in FRAMES:
            contour = read_png(self.rendered(frame, "contours"))[..., :3].min(axis=-1)
            colours = np.ascontiguousarray(read_png(self.rendered(frame, "colours"))[..., :3])
            self.arrays[self.clip.line_area(frame)] = line_area(contour)
            self.arrays[self.clip.segment(frame)] = segments_from_contours(contour, colours)
        for way in self.ways:
            here, there = (self.arrays[self.clip.segment(frame)] for frame in (way.source, way.target))
            path = self.clip.matching(way.source, way.direction)
            self.matches[path] = match_by_flow(here, way.flow.flow_px, way.occluded | ~way.flow.valid, there)

    def write(self) -> None:
        """All files of the clip."""
        clip = self.clip
        for frame in FRAMES:
            write_png(made(clip.frame(frame)), read_png(self.rendered(frame, "colours")))
            write_png(made(clip.contour(frame)), read_png(self.rendered(frame, "contours"))[..., :3].min(axis=-1))
        for path, labels in self.arrays.items():
            write_npy(made(path), labels)
        for way in self.ways:
            write_flo(made(clip.flow(way.source, way.direction)), way.flow.flow_px, way.flow.valid)
            write_png(made(clip.valid(way.source, way.direction)), way.flow.valid.view(np.uint8) * np.uint8(255))
            write_npy(made(clip.unmatched(way.source, way.direction)), (~way.occluded).view(np.uint8))
        for path, matches in self.matches.items():
            write_matching(made(path), matches)


def neighbours() -> Iterator[tuple[int, int, Direction]]:
    """All neighbouring frames, both ways."""
    for first, second in pairwise(FRAMES):
        yield first, second, Direction.FORWARD
        yield second, first, Direction.BACKWARD


def made(path: Path) -> Path:
    """The same, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


if __name__ == "__main__":
    child(int(sys.argv[2])) if CHILD in sys.argv else main()
