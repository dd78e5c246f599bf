# SPDX-License-Identifier: GPL-3.0-or-later
"""How well flow carries the next picture of the demo scene back, with contours and without: contours do not move along.

Writes the table into docs/labels.md. What is a test's to judge (no contours: below 0.01) is in tests/blender.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import bpy
from docs_table import DOCS, update_table
from labelled import picture, read_frames, show_flat, show_hulls, warp_errors
from measure import Target, report

from animerun_addon.pipeline.job import Job
from animerun_addon.scene.demo import build_steps
from animerun_addon.terminal import quiet_blender

PAIRS = [(5, 6), (30, 31)]


def main() -> None:
    """Every kind of contours, over the same pairs of frames."""
    figures: dict[str, float] = {}
    cells: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder, quiet_blender(verbose=False):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = Job("Demo scene", build_steps()).run()
        bpy.context.window.scene = scene
        for name, draw in CONTOURS.items():
            show_flat(scene)
            draw(scene)
            warped, unwarped = errors(scene, Path(folder))
            figures |= {f"{name}: warped back": warped, f"{name}: as it is": unwarped}
            cells[name] = {"warped back": f"{warped:.4f}", "as it is": f"{unwarped:.4f}"}
    report("warp", figures, {"no contours: warped back": Target(0.01, "lower")})
    update_table(DOCS / "labels.md", "warp errors", "next frame against this one", cells)


def errors(scene: bpy.types.Scene, folder: Path) -> tuple[float, float]:
    """Means over the pairs. The labels are those of the scene as it is drawn, hulls included."""
    found = []
    for first, second in PAIRS:
        pictures = {frame: picture(scene, frame, folder) for frame in (first, second)}
        found.append(warp_errors(read_frames(scene, pictures), pictures, first, second))
    warped, unwarped = (statistics.mean(values) for values in zip(*found, strict=True))
    return warped, unwarped


def no_contours(scene: bpy.types.Scene) -> None:
    """Surfaces alone."""
    show_hulls(scene, False)


def workbench_outline(scene: bpy.types.Scene) -> None:
    """A line of a pixel around every object, drawn by the engine."""
    show_hulls(scene, False)
    scene.display.shading.show_object_outline = True


def inverted_hulls(scene: bpy.types.Scene) -> None:
    """The demo scene's own: surfaces, so they have labels, but their rims change shape with the view."""
    show_hulls(scene, True)


CONTOURS: dict[str, Callable[[bpy.types.Scene], None]] = {
    "no contours": no_contours,
    "Workbench's object outline": workbench_outline,
    "inverted hulls": inverted_hulls,
}


if __name__ == "__main__":
    main()
