# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the scene's camera at the depsgraph's frame: lens, shift, sensor fit and pixel aspect as Blender renders them.

Markers may switch cameras: the original scene names the one of its current frame, so set the frame first.
"""

from __future__ import annotations

import bpy
import numpy as np

from ..errors import InputError
from ..labels.snapshot import Camera, Float64
from .frames import check_camera, picture_size_px


def read_camera(depsgraph: bpy.types.Depsgraph, scene: bpy.types.Scene) -> Camera:
    """The camera that `scene` renders with at the frame that `depsgraph` was evaluated for."""
    check_camera(scene)
    if scene.camera is None:
        raise InputError(
            f"Scene '{scene.name}' has no camera at frame {scene.frame_current}: bind one to a marker before"
        )
    camera = scene.camera.evaluated_get(depsgraph)
    if camera.type != "CAMERA":
        raise InputError(f"'{camera.name}' is not a camera: choose a camera in the properties of scene '{scene.name}'")
    lens = camera.data
    if lens.type not in ("PERSP", "ORTHO"):
        raise InputError(
            f"Camera '{camera.name}' is of type {lens.type.lower()}: only perspective and orthographic ones have labels"
        )
    # Animation of the render settings themselves reaches only the evaluated scene.
    render = depsgraph.scene_eval.render
    width_px, height_px = picture_size_px(render)
    clip_from_camera = camera.calc_matrix_camera(
        depsgraph, x=width_px, y=height_px, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    )
    return Camera(
        name=scene.camera.name_full,
        width_px=width_px,
        height_px=height_px,
        camera_from_world=np.linalg.inv(_without_scale(np.array(camera.matrix_world, np.float64))),
        clip_from_camera=np.array(clip_from_camera, np.float64),
        clip_start_m=lens.clip_start,
        clip_end_m=lens.clip_end,
        is_orthographic=lens.type == "ORTHO",
    )


def _without_scale(world_from_object: Float64) -> Float64:
    """(4, 4), the axes made unit vectors, which is what Blender looks through."""
    world_from_camera = world_from_object.copy()
    world_from_camera[:3, :3] /= np.linalg.norm(world_from_object[:3, :3], axis=0)
    return world_from_camera
