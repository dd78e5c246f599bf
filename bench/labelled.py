# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames with their labels, and what they are held against: flat pictures warped back, Cycles' vector pass.

The benches and tests/blender share this. Figures, tables and targets are measure.py's and docs_table.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import bpy
import cv2
import numpy as np
import OpenEXR

from animerun_addon.labels import fields
from animerun_addon.labels.motion import Flow, flow
from animerun_addon.labels.occlusion import exact_occlusion
from animerun_addon.labels.snapshot import Bool, Float32, Int32, Snapshot
from animerun_addon.labels.surface import Surface, surface_points
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.frames import render_png, writing_png
from animerun_addon.scene.id_pass import Wanted, visible_triangles
from animerun_addon.scene.snapshot import SnapshotReader


@dataclass(frozen=True)
class Frame:
    """One frame as the labels see it."""

    snapshot: Snapshot
    ids: Int32
    surface: Surface


Frames = Mapping[float, Frame]


def read_frames(scene: bpy.types.Scene, frames: Iterable[float], backend: Wanted = "auto") -> dict[float, Frame]:
    """Snapshots and visible triangles of some frames, by frame number."""
    reader = SnapshotReader(scene)
    snapshots: dict[float, Snapshot] = {}
    with_render_depsgraph(scene, frames, lambda frame, depsgraph: snapshots.update({frame: reader.read(depsgraph)}))
    return {frame: look_at(shot, backend) for frame, shot in snapshots.items()}


def look_at(snapshot: Snapshot, backend: Wanted = "auto") -> Frame:
    """What the snapshot's camera sees."""
    ids, _ = visible_triangles(snapshot, backend)
    return Frame(snapshot, ids, surface_points(snapshot, ids))


def flow_between(frames: Frames, first: float, second: float) -> Flow:
    """The flow from one frame to another."""
    return flow(frames[first].snapshot, frames[first].surface, frames[second].snapshot)


def hidden_at(here: Frame, there: Frame) -> Bool:
    """(H, W), exactly occluded."""
    return exact_occlusion(here.snapshot, here.surface, there.snapshot, there.surface)


# Flat pictures --------------------------------------------------------------------------------------------------------


def show_flat(scene: bpy.types.Scene, colours: str = "MATERIAL") -> None:
    """Workbench in flat colours (`colours`: Workbench's color_type), no contours, no smoothing."""
    shading = scene.display.shading
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.render_aa = "OFF"
    shading.light, shading.color_type = "FLAT", colours
    shading.show_object_outline = shading.show_shadows = shading.show_cavity = False
    scene.view_settings.view_transform = "Standard"
    scene.render.dither_intensity = 0.0


def show_hulls(scene: bpy.types.Scene, is_shown: bool) -> None:
    """Whether the demo scene renders its contours, which are inverted hulls."""
    for thing in scene.objects:
        for modifier in thing.modifiers:
            if modifier.name == "Outline":
                modifier.show_render = is_shown


def picture(scene: bpy.types.Scene, frame: int, folder: Path) -> Float32:
    """The frame as the scene renders it, (H, W, 3) in 0..1."""
    path = folder / f"{frame:04}.png"
    with writing_png(scene):
        render_png(scene, frame, path)
    return np.asarray(cv2.imread(str(path)), dtype=np.float32) / 255


def warped_back(there: Float32, flow_px: Float32) -> Float32:
    """The other picture seen through the flow, (H, W, 3)."""
    height, width = flow_px.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    places = x + flow_px[..., 0], y + flow_px[..., 1]
    return np.asarray(cv2.remap(there, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def warp_errors(frames: Frames, pictures: Mapping[int, Float32], first: int, second: int) -> tuple[float, float]:
    """Mean absolute differences of the pictures over surfaces that are not hidden: warped back, and as they are."""
    forward = flow_between(frames, first, second)
    seen = forward.valid & ~hidden_at(frames[first], frames[second]) & (frames[first].ids >= 0)
    here, there = pictures[first], pictures[second]
    warped = np.abs(warped_back(there, forward.flow_px) - here)[seen].mean()
    return float(warped), float(np.abs(there - here)[seen].mean())


# Cycles ---------------------------------------------------------------------------------------------------------------


def use_cycles(scene: bpy.types.Scene) -> None:
    """Cycles with its vector pass as label pipelines use it: one sample at the pixel centre, 32 bits."""
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


def cycles_vectors(scene: bpy.types.Scene, frame: int, folder: Path) -> tuple[Float32, Float32]:
    """Cycles' own motion to the next and to the previous frame, float32 (H, W, 2) each, image axes, pixels."""
    channels = cycles_channels(scene, frame, folder)
    found = {name.rpartition(".")[2]: pixels for name, pixels in channels.items() if ".Vector." in f".{name}"}
    previous = np.stack([found["X"], -found["Y"]], axis=-1)
    following = np.stack([-found["Z"], found["W"]], axis=-1)
    return following, previous


def cycles_channels(scene: bpy.types.Scene, frame: int, folder: Path) -> dict[str, Float32]:
    """Every channel (H, W) of a frame from Cycles, by its name in the file: layer, pass and channel."""
    use_cycles(scene)
    scene.frame_set(frame)
    path = folder / f"passes_{frame}.exr"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    channels = {}
    for part in OpenEXR.File(str(path), separate_channels=True).parts:
        channels.update({name: channel.pixels for name, channel in part.channels.items()})
    return channels


def silhouettes(frame: Frame, reach_px: int = 2) -> Bool:
    """(H, W), true near pixels where the object changes or the depth of its surface jumps."""
    ids, depth = frame.ids, fields.depth(frame.surface)
    objects = np.where(ids >= 0, frame.snapshot.object_ids[np.maximum(ids, 0)], -1)
    edge = np.zeros(ids.shape, dtype=np.uint8)
    for axis in (0, 1):
        later, earlier = _neighbours(ids.ndim, axis)
        jumps = np.minimum(depth[later], depth[earlier]) * (1 + _DEPTH_JUMP) < np.maximum(depth[later], depth[earlier])
        changes = jumps | (objects[later] != objects[earlier])
        edge[later] |= changes
        edge[earlier] |= changes
    size = 2 * reach_px - 1
    return np.asarray(cv2.dilate(edge, np.ones((size, size), np.uint8))).astype(np.bool_)


# From one pixel to the next, as a share of the depth: a surface this steep is as good as seen edge-on.
_DEPTH_JUMP = 0.03


def _neighbours(dimensions: int, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    later, earlier = [slice(None)] * dimensions, [slice(None)] * dimensions
    later[axis], earlier[axis] = slice(1, None), slice(None, -1)
    return tuple(later), tuple(earlier)
