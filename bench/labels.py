# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds a frame of every label, beside Cycles' vector pass and beside a Workbench render of the same frames.

A deforming surface of about 20 k, 200 k and 1 M triangles under a moving, zooming camera at 1024x436, in one process.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from measure import Target, measure_in_turn, report

from animerun_addon.labels import fields
from animerun_addon.labels.motion import flow, landing
from animerun_addon.labels.occlusion import exact_occlusion
from animerun_addon.labels.snapshot import Snapshot
from animerun_addon.labels.surface import Surface, surface_points
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.id_pass import visible_triangles
from animerun_addon.scene.snapshot import SnapshotReader
from animerun_addon.scene.versions import use_still_images
from animerun_addon.terminal import quiet_blender

CELLS_A_SIDE = {"20k": 100, "200k": 316, "1M": 707}
FRAMES = [1, 2, 3, 4]
ROUNDS = 3
WIDTH_PX, HEIGHT_PX = 1024, 436
INSTANCES = 2000


def main() -> None:
    """Every size in turn, then many instances against one mesh."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, quiet_blender(verbose=False):
        for name, cells in CELLS_A_SIDE.items():
            scene = waving_scene(cells)
            figures |= {f"{name}: {key}": value for key, value in stages(scene).items()}
            figures |= {f"{name}: {key}": value for key, value in beside_the_engines(scene, Path(folder)).items()}
        figures |= reading_instances()
    report(
        "labels",
        figures,
        {
            "200k: all labels / Cycles' vector pass": Target(0.5, "lower"),
            "1M: all labels / Cycles' vector pass": Target(0.6, "lower"),
            "2000 instances / one mesh, read": Target(3.0, "lower"),
        },
    )


# The scenes -----------------------------------------------------------------------------------------------------------


def waving_scene(cells: int) -> bpy.types.Scene:
    """A curved sheet that fills the picture and is bent by a shape key; the camera moves and zooms."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = WIDTH_PX, HEIGHT_PX
    sheet = bpy.data.objects.new("Sheet", grid_mesh(cells, 6.0))
    scene.collection.objects.link(sheet)
    sheet.shape_key_add(name="Basis")
    wave = sheet.shape_key_add(name="Wave")
    points = np.empty(len(wave.data) * 3, dtype=np.float32)
    wave.data.foreach_get("co", points)
    points = points.reshape(-1, 3)
    points[:, 1] = 0.3 * np.sin(3.0 * points[:, 0]) * np.cos(4.0 * points[:, 2])
    wave.data.foreach_set("co", points.ravel())
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.rotation_euler = (np.pi / 2, 0.0, 0.0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    for frame in (FRAMES[0], FRAMES[-1]):
        wave.value = frame / 10
        wave.keyframe_insert("value", frame=frame)
        camera.location = (0.05 * frame, -6.0, 0.0)
        camera.keyframe_insert("location", frame=frame)
        camera.data.lens = 48.0 + frame
        camera.data.keyframe_insert("lens", frame=frame)
    return scene


def grid_mesh(cells: int, size_m: float) -> bpy.types.Mesh:
    """A square sheet in the XZ plane of 2 * cells * cells triangles once it is triangulated."""
    line = np.linspace(-size_m / 2, size_m / 2, cells + 1, dtype=np.float32)
    x, z = np.meshgrid(line, line)
    first = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    corners = np.stack([first, first + 1, first + cells + 2, first + cells + 1], axis=-1).astype(np.int32)
    mesh = bpy.data.meshes.new("Sheet")
    mesh.vertices.add(x.size)
    mesh.loops.add(corners.size)
    mesh.polygons.add(len(corners))
    mesh.vertices.foreach_set("co", np.stack([x, np.zeros_like(x), z], axis=-1).ravel())
    mesh.loops.foreach_set("vertex_index", corners.ravel())
    mesh.polygons.foreach_set("loop_start", np.arange(0, corners.size, 4, dtype=np.int32))
    mesh.update(calc_edges=True)
    return mesh


# Ours -----------------------------------------------------------------------------------------------------------------


def read_all(scene: bpy.types.Scene) -> list[Snapshot]:
    """One snapshot a frame."""
    reader = SnapshotReader(scene)
    snapshots: list[Snapshot] = []
    with_render_depsgraph(scene, FRAMES, lambda _frame, depsgraph: snapshots.append(reader.read(depsgraph)))
    return snapshots


def with_rest(snapshot: Snapshot) -> Snapshot:
    """Rest coordinates as issue E will bring them: any array of the right size costs the same."""
    return dataclasses.replace(snapshot, rest_positions=snapshot.positions.astype(np.float32))


def pair_labels(here: Snapshot, surface: Surface, there: Snapshot, there_surface: Surface) -> None:
    """Flow and occlusion one way."""
    landed = landing(here, surface, there)
    flow(here, surface, there, landed)
    exact_occlusion(here, surface, there, there_surface, landed)


def frame_labels(snapshot: Snapshot, surface: Surface) -> None:
    """What needs no other frame."""
    frame_fields(snapshot, surface)
    frame_udp(snapshot, surface)


def frame_fields(snapshot: Snapshot, surface: Surface) -> None:
    """The labels that are looked up rather than computed."""
    fields.depth(surface)
    fields.normals(surface)
    fields.object_ids(snapshot, surface)
    fields.material_ids(snapshot, surface)


def frame_udp(snapshot: Snapshot, surface: Surface) -> None:
    """Any scale and offset cost the same."""
    fields.udp(snapshot, surface, np.full(3, 0.1), np.full(3, 0.5))


def all_labels(scene: bpy.types.Scene) -> None:
    """Every label of every frame, flow and occlusion both ways, from the closed scene on."""
    snapshots = [with_rest(snapshot) for snapshot in read_all(scene)]
    surfaces = [surface_points(snapshot, visible_triangles(snapshot)[0]) for snapshot in snapshots]
    for snapshot, surface in zip(snapshots, surfaces, strict=True):
        frame_labels(snapshot, surface)
    for first in range(len(snapshots) - 1):
        pair_labels(snapshots[first], surfaces[first], snapshots[first + 1], surfaces[first + 1])
        pair_labels(snapshots[first + 1], surfaces[first + 1], snapshots[first], surfaces[first])


def stages(scene: bpy.types.Scene) -> dict[str, float]:
    """Milliseconds a frame of each part by itself."""
    snapshots = [with_rest(snapshot) for snapshot in read_all(scene)]
    ids = [visible_triangles(snapshot)[0] for snapshot in snapshots]
    here, there = snapshots[1], snapshots[2]
    surface, there_surface = surface_points(here, ids[1]), surface_points(there, ids[2])
    landed = landing(here, surface, there)
    parts: dict[str, Callable[[], Any]] = {
        "ids drawn, ms": lambda: visible_triangles(here),
        "surface points, ms": lambda: surface_points(here, ids[1]),
        "flow one way, ms": lambda: flow(here, surface, there),
        "exact occlusion one way, ms": lambda: exact_occlusion(here, surface, there, there_surface, landed),
        "UDP, ms": lambda: frame_udp(here, surface),
        "depth, normals, ids, ms": lambda: frame_fields(here, surface),
    }
    figures = {name: 1000 * median_seconds(run) for name, run in parts.items()}
    figures["evaluation and snapshot, ms"] = 1000 * median_seconds(lambda: read_all(scene)) / len(FRAMES)
    return figures


def median_seconds(run: Callable[[], Any]) -> float:
    """The median of a few runs after one to warm up."""
    run()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


# Theirs ---------------------------------------------------------------------------------------------------------------


def beside_the_engines(scene: bpy.types.Scene, folder: Path) -> dict[str, float]:
    """All our labels, Cycles with its vector pass, and Workbench, in turn."""
    seconds = measure_in_turn(
        {
            "all labels": lambda: all_labels(scene),
            "Cycles' vector pass": lambda: render_vectors(scene, folder),
            "Workbench": lambda: render_flat(scene, folder),
        },
        ROUNDS,
    )
    figures = {f"{name}, ms a frame": 1000 * value / len(FRAMES) for name, value in seconds.items()}
    figures["all labels / Cycles' vector pass"] = seconds["all labels"] / seconds["Cycles' vector pass"]
    figures["all labels / Workbench"] = seconds["all labels"] / seconds["Workbench"]
    return figures


def render_vectors(scene: bpy.types.Scene, folder: Path) -> None:
    """Cycles as label pipelines use it: one sample, a minimal filter, persistent data."""
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.cycles.filter_width = 0.01
    scene.render.use_persistent_data = True
    scene.view_layers[0].use_pass_vector = True
    image = scene.render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "MULTI_LAYER_IMAGE"
    image.file_format = "OPEN_EXR_MULTILAYER"
    image.color_depth = "32"
    image.exr_codec = "NONE"
    render_frames(scene, folder / "vectors")


def render_flat(scene: bpy.types.Scene, folder: Path) -> None:
    """The colour frame alone, without anti-aliasing."""
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.render_aa = "OFF"
    with use_still_images(scene.render.image_settings):
        scene.render.image_settings.file_format = "BMP"
        render_frames(scene, folder / "flat")


def render_frames(scene: bpy.types.Scene, path: Path) -> None:
    """The bench's frames, one by one."""
    scene.render.filepath = str(path)
    for frame in FRAMES:
        scene.frame_set(frame)
        bpy.ops.render.render(write_still=True)


def reading_instances() -> dict[str, float]:
    """Reading 2,000 instances beside one mesh of as many triangles."""
    cells = 8
    one = median_seconds_of_reading(lambda: waving_scene(round((INSTANCES * cells * cells) ** 0.5)))
    many = median_seconds_of_reading(lambda: instanced_scene(cells))
    return {
        "one mesh, read, ms": 1000 * one,
        "2000 instances, read, ms": 1000 * many,
        "2000 instances / one mesh, read": many / one,
    }


def median_seconds_of_reading(build: Callable[[], bpy.types.Scene]) -> float:
    """Snapshots of a scene, a frame."""
    scene = build()
    return median_seconds(lambda: read_all(scene)) / len(FRAMES)


def instanced_scene(cells: int) -> bpy.types.Scene:
    """Objects that share one mesh, all over the picture."""
    scene = waving_scene(1)
    mesh = grid_mesh(cells, 0.1)
    for number in range(INSTANCES):
        thing = bpy.data.objects.new("Tile", mesh)
        thing.location = (number % 50 * 0.12 - 3.0, 0.0, number // 50 * 0.12 - 2.4)
        scene.collection.objects.link(thing)
    return scene


if __name__ == "__main__":
    main()
