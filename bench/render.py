# SPDX-License-Identifier: GPL-3.0-or-later
"""The render job (whole files only, cancel between frames) beside Blender's own animation render of the same frames."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bpy
from measure import Target, measure_in_turn, report

from animerun_addon.pipeline.job import Job
from animerun_addon.pipeline.render import render_steps
from animerun_addon.scene.demo import build_steps
from animerun_addon.terminal import quiet_blender

FRAMES = range(1, 9)
ROUNDS = 5


def main() -> None:
    """The demo scene's first frames, each way in turn."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = Job("Demo scene", build_steps()).run()
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.frame_start, scene.frame_end = FRAMES[0], FRAMES[-1]
    with tempfile.TemporaryDirectory() as folder, quiet_blender(verbose=False):
        seconds = measure_in_turn(
            {
                "Blender's own": lambda: render_with_blender(scene, Path(folder) / "blender"),
                "ours": lambda: Job("Render", render_steps(scene, Path(folder) / "ours")).run(),
            },
            ROUNDS,
        )
    figures = {f"{name}, s a frame": value / len(FRAMES) for name, value in seconds.items()}
    figures["ours / Blender's own"] = seconds["ours"] / seconds["Blender's own"]
    report("render", figures, {"ours / Blender's own": Target(1.1, "lower")})


def render_with_blender(scene: bpy.types.Scene, folder: Path) -> None:
    """`Render Animation`, to the same kind of file."""
    scene.render.filepath = f"{folder}/"
    scene.render.image_settings.color_mode = "RGB"
    bpy.ops.render.render(animation=True, scene=scene.name)


if __name__ == "__main__":
    main()
