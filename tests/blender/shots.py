# SPDX-License-Identifier: GPL-3.0-or-later
"""Small animated scenes whose motion is known to other engines too, and the labels of their frames."""

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import OpenEXR

from animerun_addon.labels.motion import flow
from animerun_addon.labels.snapshot import Snapshot
from animerun_addon.labels.surface import Surface, surface_points
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.id_pass import visible_triangles
from animerun_addon.scene.snapshot import SnapshotReader

WIDTH_PX, HEIGHT_PX = 160, 120


@dataclass(frozen=True)
class Frame:
    """One frame as the labels see it."""

    snapshot: Snapshot
    ids: np.ndarray
    surface: Surface


def read_frames(scene, frames, backend="auto"):
    """Snapshots and visible triangles of some frames, by frame number."""
    reader = SnapshotReader(scene)
    snapshots = {}
    with_render_depsgraph(scene, frames, lambda frame, depsgraph: snapshots.update({frame: reader.read(depsgraph)}))
    return {frame: look_at(shot, backend) for frame, shot in snapshots.items()}


def look_at(snapshot, backend="auto"):
    ids, _ = visible_triangles(snapshot, backend)
    return Frame(snapshot, ids, surface_points(snapshot, ids))


def flow_between(frames, first, second):
    return flow(frames[first].snapshot, frames[first].surface, frames[second].snapshot)


def new_camera(scene, location=(0.0, -8.0, 0.0), lens_mm=50.0):
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = location
    camera.rotation_euler = (np.pi / 2, 0.0, 0.0)
    camera.data.lens = lens_mm
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = WIDTH_PX, HEIGHT_PX
    return camera


def new_grid(scene, name="Grid", cells=12, size=3.0):
    """A square in the XZ plane that faces the camera."""
    line = np.linspace(-size / 2, size / 2, cells + 1)
    points = [(x, 0.0, z) for z in line for x in line]
    row = cells + 1
    faces = [
        (i * row + j, i * row + j + 1, (i + 1) * row + j + 1, (i + 1) * row + j)
        for i in range(cells)
        for j in range(cells)
    ]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points, [], faces)
    thing = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(thing)
    return thing


def key(owner, path, *values):
    """Linear keys at frames 1, 2, 3 ...; linear, because engines look between the frames as well."""
    for frame, value in enumerate(values, start=1):
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame)


def silhouettes(snapshot, ids, reach_px=2):
    """True near pixels where the object changes or the depth of its surface may jump."""
    objects = np.where(ids >= 0, snapshot.object_ids[np.maximum(ids, 0)], -1)
    edge = np.zeros(ids.shape, dtype=bool)
    edge[:, 1:] |= objects[:, 1:] != objects[:, :-1]
    edge[1:] |= objects[1:] != objects[:-1]
    near = edge.copy()
    for dy in range(-reach_px, reach_px + 1):
        for dx in range(-reach_px, reach_px + 1):
            near |= np.roll(edge, (dy, dx), (0, 1))
    return near


def cycles_vectors(scene, frame, folder: Path):
    """Cycles' own motion to the next and to the previous frame, float32 (H, W, 2) each, image axes, pixels."""
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.cycles.pixel_filter_type = "BOX"
    scene.cycles.filter_width = 0.01
    scene.render.use_motion_blur = False
    scene.view_layers[0].use_pass_vector = True
    image = scene.render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "MULTI_LAYER_IMAGE"
    image.file_format = "OPEN_EXR_MULTILAYER"
    image.color_depth = "32"
    scene.frame_set(frame)
    path = folder / f"vectors_{frame}.exr"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    channels = {}
    for part in OpenEXR.File(str(path), separate_channels=True).parts:
        channels.update({name: channel.pixels for name, channel in part.channels.items()})
    found = {name.rpartition(".")[2]: pixels for name, pixels in channels.items() if ".Vector." in f".{name}"}
    previous = np.stack([found["X"], -found["Y"]], axis=-1)
    following = np.stack([-found["Z"], found["W"]], axis=-1)
    return following, previous
