# SPDX-License-Identifier: GPL-3.0-or-later
"""Trapped-ball segments against the literal transcription: times at 960x540, and the partitions of rendered frames.

Rendered are the demo scene and, where they are at hand, characters of other makers; compared at half their size, since
the transcription takes seconds a frame.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import bpy
import cv2
import numpy as np
import segments_literal as literal
from labelled import read_frames
from mathutils import Vector
from measure import Target, measure_in_turn, report

from animerun_addon.labels.segments import (
    FLAT_RULE,
    UInt8,
    contours_of,
    exact_segments,
    segments_from_contours,
    segments_from_frame,
)
from animerun_addon.pipeline.job import Job
from animerun_addon.scene.demo import build_steps
from animerun_addon.terminal import quiet_blender

ASSETS = Path(__file__).parents[2] / "shared" / "assets"
DEMO_FRAMES = "1-30"
CHARACTER_FRAMES = "2,8"
# From the line art as well, of every so many frames.
LINE_ART_EVERY = 3
# About 250 segments.
SHAPES, LARGEST_PX = 125, 60


def main() -> None:
    """Times first, then the frames."""
    figures = times()
    same, compared = same_partitions()
    figures |= {"exact segments of the demo scene, s": exact_time()}
    figures |= {"frames compared": compared, "frames with the same partition": same}
    targets = {
        "from contours: literal / ours": Target(20.0, "higher"),
        "from a frame: literal / ours": Target(20.0, "higher"),
        "from a frame, s": Target(0.6, "lower"),
        "frames with the same partition": Target(compared, "higher"),
        "frames compared": Target(30, "higher"),
    }
    report("segments", figures, targets)


def times() -> dict[str, float]:
    """A drawing at the published size. What finds contours is OpenCV in both, so ours finds the transcription's."""
    cel, _ = literal.random_drawing(1, 540, 960, SHAPES, LARGEST_PX)
    frame = np.ascontiguousarray(cel[..., ::-1])
    contours = contours_of(frame, FLAT_RULE)
    seconds = measure_in_turn(
        {
            "contours, s": lambda: contours_of(frame, FLAT_RULE),
            "from contours, s": lambda: segments_from_contours(contours, frame),
            "from a frame, s": lambda: segments_from_frame(frame),
            "from contours, literal, s": lambda: literal.segment_contours(contours, cel),
        },
        rounds=3,
    )
    from_contours = seconds["from contours, literal, s"]
    return {
        "segments": float(segments_from_frame(frame).max() + 1),
        **seconds,
        "from contours: literal / ours": from_contours / seconds["from contours, s"],
        "from a frame: literal / ours": (from_contours + seconds["contours, s"]) / seconds["from a frame, s"],
    }


def exact_time() -> float:
    """Exact segments of a demo frame of which the surface is there already."""
    frame = read_frames(demo_scene(), [12])[12]
    run = {"exact": lambda: exact_segments(frame.snapshot, frame.surface)}
    return measure_in_turn(run, rounds=5)["exact"]


def same_partitions() -> tuple[int, int]:
    """How many rendered frames have the transcription's very labels, and of how many."""
    verdicts: list[bool] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (frames, scene) in enumerate(scenes()):
            verdicts += compared(rendered(frames, Path(folder) / str(number), scene))
    return sum(verdicts), len(verdicts)


def compared(files: list[Path]) -> Iterator[bool]:
    """Of each frame, and of every third one's line art."""
    for number, path in enumerate(files):
        cel = half_size(path, cv2.IMREAD_COLOR)
        frame = np.ascontiguousarray(cel[..., ::-1])
        yield np.array_equal(segments_from_frame(frame), literal.segment_frame(cel, *astuple(FLAT_RULE)))
        if number % LINE_ART_EVERY == 0:
            lines = half_size(path.parents[1] / "line_art" / path.name, cv2.IMREAD_GRAYSCALE)
            yield np.array_equal(segments_from_contours(lines, frame), literal.segment_contours(lines, cel))


def half_size(path: Path, kind: int) -> UInt8:
    """(H, W, 3) BGR or (H, W)."""
    picture = np.asarray(cv2.imread(str(path), kind), dtype=np.uint8)
    return np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def scenes() -> Iterator[tuple[str, bpy.types.Scene]]:
    """Frames to render, and their scene, which is the open file's."""
    yield DEMO_FRAMES, demo_scene()
    for path in sorted(ASSETS.glob("*/*.glb")):
        yield CHARACTER_FRAMES, character_scene(path)


def demo_scene() -> bpy.types.Scene:
    """In a file of its own."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with quiet_blender(verbose=False):
        scene = Job("Demo scene", build_steps()).run()
    bpy.context.window.scene = scene
    return scene


def character_scene(path: Path) -> bpy.types.Scene:
    """A character that fills the frame."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with quiet_blender(verbose=False):
        bpy.ops.import_scene.gltf(filepath=str(path))
    scene = bpy.context.scene
    meshes = [thing for thing in scene.objects if thing.type == "MESH"]
    bpy.context.view_layer.update()
    corners = np.array([thing.matrix_world @ Vector(corner) for thing in meshes for corner in thing.bound_box])
    low, high = corners.min(axis=0), corners.max(axis=0)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    aim = Vector((0.5, -1.0, 0.3)).normalized()
    camera.location = Vector((low + high) / 2) + aim * float(high.max() - low.min()) * 1.5
    camera.rotation_euler = aim.to_track_quat("Z", "Y").to_euler()
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = 1024, 436
    return scene


def rendered(frames: str, folder: Path, scene: bpy.types.Scene) -> list[Path]:
    """Flat frames of the open file, in a Blender of its own, in OUT/original; line art beside, in OUT/line_art."""
    folder.mkdir()
    blend = folder / "scene.blend"
    with quiet_blender(verbose=False):
        bpy.ops.wm.save_as_mainfile(filepath=str(blend), copy=True)
    command = [sys.executable, "-m", "animerun_addon", "render", str(blend), "--scene", scene.name, "--frames", frames]
    command += ["--style", "--contours", "fast", "--line-art", "--out", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return sorted((folder / "original").glob("*.png"))


if __name__ == "__main__":
    main()
