# SPDX-License-Identifier: GPL-3.0-or-later
"""The 2D conversion: to and fro for a scene of 2,000 objects, and what Freestyle's lines add to a demo frame."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import bpy
from labelled import read_frames
from measure import Target, measure_in_turn, report

from animerun_addon.labels.lines import contour_lines
from animerun_addon.pipeline.contours import AHEAD, FrameFinish
from animerun_addon.pipeline.job import Job
from animerun_addon.scene.demo import build_steps
from animerun_addon.scene.frames import render_png, writing_png
from animerun_addon.scene.style import StyleSettings, convert, restore
from animerun_addon.style_settings import Contours
from animerun_addon.terminal import quiet_blender

OBJECTS = 2000
DEMO_FRAME = 12
ROUNDS = 3


def main() -> None:
    """Both, and the table."""
    figures = {**crowd_figures(), **demo_figures()}
    report(
        "style",
        figures,
        {
            f"convert {OBJECTS} objects, s": Target(2.0, "lower"),
            f"restore {OBJECTS} objects, s": Target(2.0, "lower"),
            "flat frame with Freestyle, s": Target(1.5, "lower"),
            # Of the flat frame's time, or 30 ms where that is more.
            "fast contours from labels / allowed": Target(1.0, "lower"),
            "fast contours from the scene / allowed": Target(1.0, "lower"),
        },
    )


def crowd_figures() -> dict[str, float]:
    """Seconds there and back, the median of some rounds."""
    scene = crowd()
    seconds = measure_in_turn({"convert": lambda: convert(scene), "restore": lambda: restore(scene)}, ROUNDS)
    return {f"{name} {OBJECTS} objects, s": value for name, value in seconds.items()}


def crowd() -> bpy.types.Scene:
    """Objects with materials and modifiers; every tenth has a driver, every fifth would be hidden."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    paints = [material(f"Paint {number}", "ShaderNodeBsdfPrincipled") for number in range(400)]
    glows = [material(f"Glow {number}", "ShaderNodeEmission") for number in range(100)]
    for number in range(OBJECTS):
        mesh = bpy.data.meshes.new(f"Mesh {number}")
        mesh.from_pydata([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], [], [(0, 1, 2, 3)])
        thing = bpy.data.objects.new(f"Object {number}", mesh)
        scene.collection.objects.link(thing)
        mesh.materials.append(glows[number % 100] if number % 5 == 0 else paints[number % 400])
        thing.modifiers.new("Bevel", "BEVEL")
        if number % 10 == 0:
            thing.driver_add("hide_render").driver.expression = "0"
    bpy.context.view_layer.update()
    return scene


def material(name: str, shader: str) -> bpy.types.Material:
    """One shader into the surface."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    nodes = made.node_tree.nodes
    made.node_tree.links.new(nodes.new(shader).outputs[0], nodes["Material Output"].inputs["Surface"])
    return made


def demo_figures() -> dict[str, float]:
    """One demo frame without lines and with Freestyle's."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = Job("Demo scene", build_steps()).run()
    with tempfile.TemporaryDirectory() as folder, quiet_blender(verbose=False):
        seconds = {}
        for name, contours in (("flat frame", Contours.FAST), ("flat frame with Freestyle", Contours.FREESTYLE)):
            convert(scene, StyleSettings(contours=contours))
            seconds[f"{name}, s"] = seconds_a_frame(scene, Path(folder) / "frame.png")
            if contours is Contours.FAST:
                seconds["fast contours from labels, s"] = seconds_of_lines(scene)
                seconds["fast contours from the scene, s"] = seconds_of_fast_contours(scene, Path(folder) / "frame.png")
    allowed = max(0.2 * seconds["flat frame, s"], 0.03)
    shares = {
        "Freestyle / flat frame": seconds["flat frame with Freestyle, s"] / seconds["flat frame, s"],
        "fast contours from labels / allowed": seconds["fast contours from labels, s"] / allowed,
        "fast contours from the scene / allowed": seconds["fast contours from the scene, s"] / allowed,
    }
    return {**seconds, **shares}


def seconds_of_fast_contours(scene: bpy.types.Scene, path: Path) -> float:
    """Seconds a frame of drawing lines into finished frames: from the scene to the rewritten file."""
    frames = range(DEMO_FRAME, DEMO_FRAME + AHEAD)
    finish = FrameFinish(scene, frames)
    start_s = time.perf_counter()
    for frame in frames:
        finish.finish(frame, path)
    return (time.perf_counter() - start_s) / len(frames)


def seconds_of_lines(scene: bpy.types.Scene) -> float:
    """The median of making a frame's lines where its labels are there already."""
    frame = read_frames(scene, [DEMO_FRAME])[DEMO_FRAME]
    seconds = []
    for _ in range(2 * ROUNDS + 1):
        start_s = time.perf_counter()
        contour_lines(frame.snapshot, frame.surface)
        seconds.append(time.perf_counter() - start_s)
    return statistics.median(seconds[1:])


def seconds_a_frame(scene: bpy.types.Scene, path: Path) -> float:
    """The median of some frames in turn; the first one compiles shaders and does not count."""
    seconds = []
    with writing_png(scene):
        for frame in range(DEMO_FRAME - ROUNDS, DEMO_FRAME + 1):
            start_s = time.perf_counter()
            render_png(scene, frame, path)
            seconds.append(time.perf_counter() - start_s)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
