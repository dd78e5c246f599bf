# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Cycles' vector pass is wrong in silence: a plane whose motion is known by arithmetic, ours and Cycles' error.

Writes the table into docs/labels.md, a column for the Blender version that runs it; one for each Python in turn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from docs_table import DOCS, update_table
from labelled import cycles_vectors, flow_between, read_frames

from animerun_addon.labels.snapshot import Float32, Float64
from animerun_addon.terminal import quiet_blender

WIDTH_PX, HEIGHT_PX = 160, 120
DISTANCE_M = 8.0
LENS_MM, SENSOR_MM = 50.0, 36.0
NO_ERROR_PX = 1e-4  # what single precision leaves
FRAME = 2  # the flow from here to the next frame is compared

# (H, W, 2): the pixel centres measured from the middle of the picture.
FROM_MIDDLE: Float64 = np.stack(np.meshgrid(np.arange(WIDTH_PX) + 0.5, np.arange(HEIGHT_PX) + 0.5), axis=-1) - (
    WIDTH_PX / 2,
    HEIGHT_PX / 2,
)


@dataclass(frozen=True)
class Stage:
    """A plane that fills the picture, square to its camera."""

    scene: bpy.types.Scene
    camera: bpy.types.Object
    plane: bpy.types.Object


def main() -> None:
    """Every case: the analytic answer, ours, Cycles'."""
    version = ".".join(map(str, bpy.app.version[:2]))
    cells = {}
    with tempfile.TemporaryDirectory() as folder, quiet_blender(verbose=False):
        for name, build in CASES.items():
            stage = new_stage()
            truth = np.broadcast_to(build(stage), FROM_MIDDLE.shape)
            cells[name] = compared(stage.scene, truth, version, Path(folder))
    for name, row in cells.items():
        print(name, row)
    update_table(DOCS / "labels.md", "engine faults", "forward flow, px", cells)


def compared(scene: bpy.types.Scene, truth: Float64, version: str, folder: Path) -> dict[str, str]:
    """One row of the table."""
    scene.render.engine = "CYCLES"
    ours = flow_between(read_frames(scene, [FRAME, FRAME + 1]), FRAME, FRAME + 1)
    theirs, _ = cycles_vectors(scene, FRAME, folder)
    is_known = bool(ours.valid.all())
    assert is_known or (not ours.valid.any() and ours.notes)
    return {
        "true motion": f"{np.linalg.norm(truth, axis=-1).max():.2f}",
        "ours": error_cell(ours.flow_px, truth) if is_known else "not valid, and named",
        f"Cycles, {version}": error_cell(theirs, truth),
    }


def error_cell(flow_px: Float32, truth: Float64) -> str:
    """Median and largest error."""
    error_px = np.linalg.norm(flow_px - truth, axis=-1)
    if error_px.max() < NO_ERROR_PX:
        return f"< {NO_ERROR_PX:g}"
    return f"{np.median(error_px):.2f} / {error_px.max():.2f}"


# The cases: each animates the stage and returns the motion of what is at FROM_MIDDLE, by the scene's own numbers ------


def animated_lens(stage: Stage) -> Float64:
    """Cycles is right here: what measures both is sound."""
    values = [50.0, 52.0, 55.0]
    key(stage.camera.data, "lens", values)
    return np.asarray(FROM_MIDDLE * (values[2] / values[1] - 1))


def animated_shift(stage: Stage) -> Float64:
    """Blender's shift is a share of the picture's larger side; what is seen goes the other way."""
    x, y = [0.0, 0.04, 0.1], [0.0, 0.01, 0.04]
    key(stage.camera.data, "shift_x", x)
    key(stage.camera.data, "shift_y", y)
    return np.array([-(x[2] - x[1]), y[2] - y[1]], dtype=np.float64) * WIDTH_PX


def orthographic_moving(stage: Stage) -> Float64:
    """What is seen goes the other way, by pixels a metre."""
    scale_m = 3.0
    stage.camera.data.type, stage.camera.data.ortho_scale = "ORTHO", scale_m
    places = [(0.0, -DISTANCE_M, 0.0), (0.02, -DISTANCE_M, 0.01), (0.08, -DISTANCE_M, -0.02)]
    key(stage.camera, "location", places)
    return np.array([-(places[2][0] - places[1][0]), places[2][2] - places[1][2]]) * WIDTH_PX / scale_m


def orthographic_zooming(stage: Stage) -> Float64:
    """All goes away from the middle."""
    stage.camera.data.type = "ORTHO"
    scales_m = [3.0, 2.9, 2.75]
    key(stage.camera.data, "ortho_scale", scales_m)
    return FROM_MIDDLE * (scales_m[1] / scales_m[2] - 1)


def changing_topology(stage: Stage) -> Float64:
    """A shape key pushes the plane aside while an array modifier, out of the picture, adds a copy at every frame."""
    metres = 0.3
    plane = stage.plane
    plane.shape_key_add(name="Basis")
    pushed = plane.shape_key_add(name="Pushed")
    for point in pushed.data:
        point.co.x += metres
    values = [0.0, 0.2, 0.6]
    key(pushed, "value", values)
    copies = plane.modifiers.new("Array", "ARRAY")
    copies.relative_offset_displace = (0, 0, 5)
    key(copies, "count", [1, 2, 3])
    return np.array([metres * (values[2] - values[1]), 0.0]) * LENS_MM / SENSOR_MM * WIDTH_PX / DISTANCE_M


def changing_topology_with_velocities(stage: Stage) -> Float64:
    """The same, and the mesh says by itself how fast its vertices are, as fluid caches do."""
    flow_px = changing_topology(stage)
    velocity = stage.plane.data.attributes.new("velocity", "FLOAT_VECTOR", "POINT")
    for item in velocity.data:
        item.vector = (0.3 * 0.4 * stage.scene.render.fps, 0, 0)
    return flow_px


CASES: dict[str, Callable[[Stage], Float64]] = {
    "animated lens (Cycles is right)": animated_lens,
    "animated lens shift": animated_shift,
    "orthographic camera moving": orthographic_moving,
    "animated orthographic scale": orthographic_zooming,
    "shape key, vertex count changes": changing_topology,
    "the same, with a `velocity` attribute": changing_topology_with_velocities,
}


def new_stage() -> Stage:
    """An empty file with the stage in it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = WIDTH_PX, HEIGHT_PX
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0.0, -DISTANCE_M, 0.0), (np.pi / 2, 0.0, 0.0)
    camera.data.lens, camera.data.sensor_width = LENS_MM, SENSOR_MM
    mesh = bpy.data.meshes.new("Plane")
    mesh.from_pydata([(-9, 0, -9), (9, 0, -9), (9, 0, 9), (-9, 0, 9)], [], [(0, 1, 2, 3)])
    plane = bpy.data.objects.new("Plane", mesh)
    for thing in (camera, plane):
        scene.collection.objects.link(thing)
    scene.camera = camera
    return Stage(scene, camera, plane)


def key(owner: bpy.types.bpy_struct, path: str, values: Sequence[float | tuple[float, ...]]) -> None:
    """Keys at frames 1, 2, 3."""
    for frame, value in enumerate(values, start=1):
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame)


if __name__ == "__main__":
    main()
