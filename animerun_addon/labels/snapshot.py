# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene at one frame as arrays: what scene/ reads out of Blender and all labels are computed from."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .projection import boxes_on_image, on_image

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]

NO_SURFACE = -1


@dataclass(frozen=True)
class Camera:
    """A camera at one frame, for an image of width_px x height_px.

    Camera space is Blender's: x right, y up, looking along -z. Clip space is OpenGL's, w > 0 before a perspective
    camera.
    """

    name: str  # another name at the next frame is a cut
    width_px: int
    height_px: int
    camera_from_world: Float64  # (4, 4), the object's scale taken out but for its sign
    clip_from_camera: Float64  # (4, 4), lens, shift, pixel aspect and sensor fit in it
    clip_start_m: float
    clip_end_m: float
    is_orthographic: bool

    @property
    def clip_from_world(self) -> Float64:
        """(4, 4)"""
        return self.clip_from_camera @ self.camera_from_world

    @property
    def is_mirrored(self) -> bool:
        """Whether it shows a mirror image, as a camera object of negative scale does: fronts then wind clockwise."""
        return bool(np.linalg.det(self.camera_from_world[:3, :3]) < 0)


class Instance(NamedTuple):
    """One drawn surface: who it is, and where its part of the snapshot's arrays lies."""

    # The same at every frame for the same thing: the object, what instanced it, and its persistent ids.
    key: Hashable
    object_name: str
    first_vertex: int
    vertex_count: int
    first_triangle: int
    triangle_count: int
    # Equal at two frames exactly when vertex n and triangle n are the same points of the surface at both.
    topology: Hashable
    # None: follow the vertices. A reason, in the user's words, when this surface cannot be followed to other frames.
    no_correspondence: str | None = None

    @property
    def vertices(self) -> slice:
        """Its rows of `positions`."""
        return slice(self.first_vertex, self.first_vertex + self.vertex_count)

    @property
    def triangles(self) -> slice:
        """Its rows of `triangles`."""
        return slice(self.first_triangle, self.first_triangle + self.triangle_count)


@dataclass(frozen=True)
class Cutout:
    """A texture whose alpha decides at 0.5 whether a triangle is there."""

    alpha: Float32  # (h, w), row 0 is the TOP
    repeats: bool  # beyond 0..1 the image repeats; else its border pixel goes on


@dataclass(frozen=True)
class Snapshot:
    """Everything that renders as a surface, V vertices and T triangles of all instances one after the other.

    Windings are counter-clockwise seen from the front, mirrored instances included.
    """

    frame: float
    camera: Camera
    positions: Float64  # (V, 3), world
    triangles: Int32  # (T, 3), rows of positions
    instance_ids: Int32  # (T,), places in `instances`
    object_ids: Int32  # (T,), the same number for the same object at every frame of one reader
    material_ids: Int32  # (T,), likewise; NO_SURFACE where there is no material
    culls_back: Bool  # (T,), not drawn when seen from behind
    in_front: Bool  # (T,), drawn over everything that is not
    holds_out: Bool  # (T,), hides what is behind it and has no labels itself
    instances: tuple[Instance, ...]
    object_names: tuple[str, ...]  # by object id
    material_names: tuple[str, ...]  # by material id
    uvs: Float32 | None = None  # (T, 3, 2), v up; only where cutouts need them
    cutout_ids: Int32 | None = None  # (T,), places in `cutouts`, -1 for none
    cutouts: tuple[Cutout, ...] = ()
    rest_positions: Float32 | None = None  # (V, 3), the characters' rest coordinates; NaN where there are none
    velocities: Float32 | None = None  # (V, 3), world metres a frame, NaN where the mesh carries none
    placements: Float64 | None = None  # (K, 3, 4), world_from_object of the K instances; velocities need them
    notes: tuple[str, ...] = field(default=())  # what is in the scene and has no labels, in the user's words

    @cached_property
    def image_vertices(self) -> Float64:
        """(4, V): x·w, y·w, w in pixels in the camera's picture, and the depth in metres along its view axis."""
        return on_image(self.camera, self.positions)

    @cached_property
    def boxes_px(self) -> Int32:
        """(4, T): first column, end, first row, end of the pixels that each triangle may touch in the picture."""
        return boxes_on_image(self.camera, self.image_vertices, self.triangles)
