# SPDX-License-Identifier: GPL-3.0-or-later
"""Peak memory of all labels of a deforming, instanced scene of a million triangles under a moving camera.

In a process of its own, because a peak is a process's whole life; what Blender holds before our code starts is told.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import bpy
import numpy as np
from measure import Target, peak_gb, report

from animerun_addon.labels import fields
from animerun_addon.labels.motion import flow, landing
from animerun_addon.labels.occlusion import consistency_occlusion, exact_occlusion
from animerun_addon.labels.snapshot import Snapshot
from animerun_addon.labels.surface import Surface, surface_points
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.id_pass import visible_triangles
from animerun_addon.scene.snapshot import SnapshotReader
from animerun_addon.terminal import quiet_blender

CHILD = "--child"
WIDTH_PX, HEIGHT_PX = 1024, 436
FRAMES = [1, 2, 3, 4]
DEFORMING, DEFORMING_CELLS = 5, 224  # meshes of their own: 0.5 M triangles
INSTANCES, INSTANCED_CELLS = 100, 50  # of one deforming mesh: 0.5 M triangles


def main() -> None:
    """Run the child and report what it says."""
    done = subprocess.run([sys.executable, __file__, CHILD], check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    report("memory", figures, {"peak, GB": Target(3.0, "lower")})


def child() -> None:
    """All labels of all frames; the last line of the output is the figures."""
    with quiet_blender(verbose=False):
        scene = million_triangles()
        for frame in FRAMES[:2]:
            scene.frame_set(frame)
        before_gb = peak_gb()
        triangles = all_labels(scene)
        peak = peak_gb()
    figures = {
        "triangles": triangles,
        "peak before our code, GB": before_gb,
        "peak, GB": peak,
        "share before our code": before_gb / peak,
    }
    print(json.dumps(figures))


def all_labels(scene: bpy.types.Scene) -> int:
    """Every label of every frame with its neighbours', frame by frame; only two frames are held. Triangles a frame."""
    reader = SnapshotReader(scene)
    last: tuple[Snapshot, Surface] | None = None

    def visit(_frame: float, depsgraph: bpy.types.Depsgraph) -> None:
        nonlocal last
        snapshot = with_rest(reader.read(depsgraph))
        surface = surface_points(snapshot, visible_triangles(snapshot)[0])
        frame_labels(snapshot, surface)
        if last is not None:
            pair_labels(*last, snapshot, surface)
        last = snapshot, surface

    with_render_depsgraph(scene, FRAMES, visit)
    assert last is not None
    return len(last[0].triangles)


def with_rest(snapshot: Snapshot) -> Snapshot:
    """Rest coordinates for every vertex: as large as real ones."""
    return dataclasses.replace(snapshot, rest_positions=snapshot.positions.astype(np.float32))


def frame_labels(snapshot: Snapshot, surface: Surface) -> None:
    """What needs no other frame."""
    fields.depth(surface)
    fields.normals(surface)
    fields.object_ids(snapshot, surface)
    fields.material_ids(snapshot, surface)
    fields.udp(snapshot, surface, np.full(3, 0.1), np.full(3, 0.5))


def pair_labels(here: Snapshot, surface: Surface, there: Snapshot, there_surface: Surface) -> None:
    """Flow and both kinds of occlusion, both ways."""
    there_and_back = []
    for one, its_surface, other, other_surface in (
        (here, surface, there, there_surface),
        (there, there_surface, here, surface),
    ):
        landed = landing(one, its_surface, other)
        there_and_back.append(flow(one, its_surface, other, landed))
        exact_occlusion(one, its_surface, other, other_surface, landed)
    forward, backward = there_and_back
    consistency_occlusion(forward, backward)
    consistency_occlusion(backward, forward)


# The scene ------------------------------------------------------------------------------------------------------------


def million_triangles() -> bpy.types.Scene:
    """Waving sheets behind one another, and a hundred instances of a smaller one in front of them."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = WIDTH_PX, HEIGHT_PX
    for number in range(DEFORMING):
        sheet = waving_sheet(f"Sheet {number}", DEFORMING_CELLS, 3.0)
        sheet.location = (1.5 * number - 3.0, 0.3 * number, 0)
        scene.collection.objects.link(sheet)
    hidden = bpy.data.collections.new("Leaf")
    hidden.objects.link(waving_sheet("Leaf", INSTANCED_CELLS, 0.3))
    for number in range(INSTANCES):
        leaf = bpy.data.objects.new(f"Leaf {number}", None)
        leaf.instance_type, leaf.instance_collection = "COLLECTION", hidden
        leaf.location = (0.35 * (number % 20) - 3.3, -0.5, 0.5 * (number // 20) - 1.0)
        scene.collection.objects.link(leaf)
        move(leaf, "rotation_euler", (0, 0, 0), (0.1, 0.2, 0.3))
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.rotation_euler = (np.pi / 2, 0.0, 0.0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    move(camera, "location", (0, -7, 0), (0.2, -6.8, 0.1))
    return scene


def waving_sheet(name: str, cells: int, size_m: float) -> bpy.types.Object:
    """A sheet of 2 * cells * cells triangles that a shape key bends."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=cells, y_subdivisions=cells, size=size_m, rotation=(np.pi / 2, 0, 0))
    sheet = bpy.context.object
    bpy.context.scene.collection.objects.unlink(sheet)
    sheet.name = name
    sheet.shape_key_add(name="Basis")
    wave = sheet.shape_key_add(name="Wave")
    points = np.empty(len(wave.data) * 3, dtype=np.float32)
    wave.data.foreach_get("co", points)
    points = points.reshape(-1, 3)
    points[:, 2] += 0.1 * size_m * np.sin(9 / size_m * points[:, 0]) * np.cos(12 / size_m * points[:, 1])
    wave.data.foreach_set("co", points.ravel())
    move(wave, "value", 0.1, 0.6)
    return sheet


def move(
    owner: bpy.types.bpy_struct, path: str, first: float | tuple[float, ...], last: float | tuple[float, ...]
) -> None:
    """Keys at the first and the last frame."""
    for frame, value in ((FRAMES[0], first), (FRAMES[-1], last)):
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame)


if __name__ == "__main__":
    child() if CHILD in sys.argv else main()
