# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds a frame of every label, beside Cycles' vector pass and beside a Workbench render of the same frames.

A deforming surface of about 20 k, 200 k and 1 M triangles under a moving, zooming camera at 1024x436, in one process.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from labelled import use_cycles
from measure import Target, measure_in_turn, report

from animerun_addon.labels import fields
from animerun_addon.labels.motion import flow, landing
from animerun_addon.labels.occlusion import consistency_occlusion, exact_occlusion
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
            "one of 4000 instances / one of 500, read": Target(2.0, "lower"),
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
    """Rest coordinates: any array of the right size costs the same."""
    return dataclasses.replace(snapshot, rest_positions=snapshot.positions.astype(np.float32))


class Laps:
    """Seconds by what they went into."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._last = time.perf_counter()

    def end(self, part: str) -> None:
        """All since the last end went into this."""
        now = time.perf_counter()
        self.seconds[part] += now - self._last
        self._last = now


def all_labels(scene: bpy.types.Scene) -> Laps:
    """Every label of every frame, flow and occlusion both ways, from the closed scene on.

    The last frame's next one is the first, so that each frame has its two flows as in a long sequence.
    """
    laps = Laps()
    snapshots = [with_rest(snapshot) for snapshot in read_all(scene)]
    laps.end("evaluation and snapshot")
    surfaces: list[Surface] = []
    for snapshot in snapshots:
        ids, _ = visible_triangles(snapshot)
        laps.end("ids drawn")
        surfaces.append(surface_points(snapshot, ids))
        laps.end("surface points")
        frame_fields(snapshot, surfaces[-1])
        laps.end("depth, normals, ids")
        # Any scale and offset cost the same.
        fields.udp(snapshot, surfaces[-1], np.full(3, 0.1), np.full(3, 0.5))
        laps.end("UDP")
    for first, second in with_next(range(len(snapshots))):
        for one, other in ((first, second), (second, first)):
            here, surface, there, there_surface = snapshots[one], surfaces[one], snapshots[other], surfaces[other]
            landed = landing(here, surface, there)
            flow(here, surface, there, landed)
            laps.end("flow, both ways")
            exact_occlusion(here, surface, there, there_surface, landed)
            laps.end("exact occlusion, both ways")
    return laps


def frame_fields(snapshot: Snapshot, surface: Surface) -> None:
    """The labels that are looked up rather than computed."""
    fields.depth(surface)
    fields.normals(surface)
    fields.object_ids(snapshot, surface)
    fields.material_ids(snapshot, surface)


def with_next(frames: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Each with the one after it, the last with the first."""
    numbers = list(frames)
    return zip(numbers, numbers[1:] + numbers[:1], strict=True)


def stages(scene: bpy.types.Scene) -> dict[str, float]:
    """Milliseconds a frame of each part, and its share of all labels; and what the data set's own rule would add."""
    all_labels(scene)
    runs = [all_labels(scene).seconds for _ in range(ROUNDS)]
    parts = {part: 1000 * statistics.median(run[part] for run in runs) / len(FRAMES) for part in runs[0]}
    figures: dict[str, float] = {}
    for part, milliseconds in parts.items():
        figures[f"{part}, ms a frame"] = milliseconds
        figures[f"{part}, % of all labels"] = 100 * milliseconds / sum(parts.values())
    figures["consistency occlusion, both ways, ms a frame"] = 1000 * consistency_seconds(scene)
    return figures


def consistency_seconds(scene: bpy.types.Scene) -> float:
    """The occlusion by the data set's rule, both ways, from flows that are there."""
    here, there = read_all(scene)[:2]
    surface, there_surface = (surface_points(each, visible_triangles(each)[0]) for each in (here, there))
    forward, backward = flow(here, surface, there), flow(there, there_surface, here)
    return 2 * median_seconds(lambda: consistency_occlusion(forward, backward))


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
    use_cycles(scene)
    scene.render.use_persistent_data = True
    scene.render.image_settings.exr_codec = "NONE"
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
    """Reading 2,000 instances beside one mesh of as many triangles, and whether each more costs the same."""
    cells = 8
    one = median_seconds_of_reading(waving_scene(round((INSTANCES * cells * cells) ** 0.5)))
    objects = median_seconds_of_reading(instanced_scene(cells, INSTANCES))
    scattered = median_seconds_of_reading(scattered_scene(cells, INSTANCES))
    few = median_seconds_of_reading(instanced_scene(cells, 500)) / 500
    many = median_seconds_of_reading(instanced_scene(cells, 4000)) / 4000
    return {
        "one mesh, read, ms": 1000 * one,
        "2000 instances, read, ms": 1000 * objects,
        "2000 instances / one mesh, read": objects / one,
        "2000 by geometry nodes / one mesh, read": scattered / one,
        "one of 4000 instances / one of 500, read": many / few,
    }


def median_seconds_of_reading(scene: bpy.types.Scene) -> float:
    """A snapshot of a frame that Blender has evaluated; evaluating costs Blender far more, and any render as much."""
    reader = SnapshotReader(scene)
    times = []

    def visit(_frame: float, depsgraph: bpy.types.Depsgraph) -> None:
        start = time.perf_counter()
        reader.read(depsgraph)
        times.append(time.perf_counter() - start)

    with_render_depsgraph(scene, FRAMES * 4, visit)
    return statistics.median(times)


def instanced_scene(cells: int, count: int) -> bpy.types.Scene:
    """Objects that share one mesh, all over the picture."""
    scene = waving_scene(1)
    mesh = grid_mesh(cells, 0.1)
    for place in tile_places(count):
        thing = bpy.data.objects.new("Tile", mesh)
        thing.location = place
        scene.collection.objects.link(thing)
    return scene


def scattered_scene(cells: int, count: int) -> bpy.types.Scene:
    """The same, made by geometry nodes."""
    scene = waving_scene(1)
    tile = bpy.data.objects.new("Tile", grid_mesh(cells, 0.1))
    mesh = bpy.data.meshes.new("Places")
    mesh.from_pydata(tile_places(count), [], [])
    scatter = bpy.data.objects.new("Scatter", mesh)
    scene.collection.objects.link(tile)
    scene.collection.objects.link(scatter)
    tree = bpy.data.node_groups.new("Scatter", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    points, result, place, source = (
        tree.nodes.new(kind)
        for kind in (
            "NodeGroupInput",
            "NodeGroupOutput",
            "GeometryNodeInstanceOnPoints",
            "GeometryNodeObjectInfo",
        )
    )
    source.inputs["Object"].default_value = tile
    source.inputs["As Instance"].default_value = True
    tree.links.new(points.outputs[0], place.inputs["Points"])
    tree.links.new(source.outputs["Geometry"], place.inputs["Instance"])
    tree.links.new(place.outputs[0], result.inputs[0])
    scatter.modifiers.new("Scatter", "NODES").node_group = tree
    return scene


def tile_places(count: int) -> list[tuple[float, float, float]]:
    """Rows of fifty."""
    return [(number % 50 * 0.12 - 3.0, 0.0, number // 50 * 0.12 - 2.4) for number in range(count)]


if __name__ == "__main__":
    main()
