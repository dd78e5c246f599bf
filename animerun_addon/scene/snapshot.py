# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads everything that renders as a surface into one Snapshot. What is read when is surfaces.py's and meshes.py's.

Ids and topologies are kept by the reader, so that one reader's snapshots can be compared with each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import bpy
import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..labels.snapshot import NO_SURFACE, Bool, Float32, Float64, Instance, Int32, Snapshot
from .camera import read_camera
from .draw_rules import draw_rules
from .materials import Materials, StableNumbers
from .surfaces import Shape, SurfaceReader
from .topology import TopologyCache


class SnapshotReader:
    """Reads the frames of one scene; `frame_engine` is the engine of its frames, the scene's own unless told.

    `rest_attribute` names the vector on each vertex that holds rest coordinates, on those meshes that have it. `only`
    names the objects that are read, if not all of them are. Meshes that `triangulated_like` knows are split as there,
    else as at the first frame that they are seen in.
    """

    def __init__(
        self,
        scene: bpy.types.Scene,
        frame_engine: str | None = None,
        rest_attribute: str = "",
        only: Collection[str] | None = None,
        triangulated_like: TopologyCache | None = None,
    ) -> None:
        self._scene = scene
        self._only = only
        self._rules = draw_rules(scene, frame_engine or scene.render.engine)
        self._materials = Materials(self._rules)
        self._objects = StableNumbers()
        self._topologies = TopologyCache(triangulated_like)
        self._rest_attribute = rest_attribute

    def read(self, depsgraph: bpy.types.Depsgraph, rest: Mapping[str, npt.ArrayLike] | None = None) -> Snapshot:
        """The scene as evaluated in `depsgraph`, which should be a RENDER one (engine.py).

        `rest` gives objects, by full name, rest coordinates (V, 3) for their vertices after all modifiers.
        """
        self._topologies.next_frame()
        self._materials.next_frame()
        surfaces = SurfaceReader(
            self._rules, self._materials, self._objects, self._topologies, self._rest_attribute, self._only
        )
        placements = surfaces.read(depsgraph)
        scene = depsgraph.scene_eval
        seconds_a_frame = scene.render.fps_base / scene.render.fps
        snapshot = _Arrays(surfaces.shapes, placements, seconds_a_frame, rest or {})
        has_cutouts = bool((snapshot.cutout_ids >= 0).any())
        return Snapshot(
            frame=scene.frame_current_final,
            camera=read_camera(depsgraph, self._scene),
            positions=snapshot.positions,
            triangles=snapshot.triangles,
            instance_ids=snapshot.instance_ids,
            object_ids=snapshot.object_ids,
            material_ids=snapshot.material_ids,
            culls_back=snapshot.culls_back,
            in_front=snapshot.in_front,
            holds_out=snapshot.holds_out,
            instances=tuple(snapshot.instances),
            object_names=self._objects.names,
            material_names=self._materials.names,
            uvs=snapshot.uvs if has_cutouts else None,
            cutout_ids=snapshot.cutout_ids if has_cutouts else None,
            cutouts=self._materials.cutouts,
            rest_positions=snapshot.rest,
            velocities=snapshot.velocities,
            placements=snapshot.placements,
            notes=(*surfaces.notes, *self._materials.notes),
        )


class _Arrays:
    """The arrays of a snapshot, filled shape by shape: all places of a shape stand one after the other."""

    def __init__(
        self, shapes: list[Shape], world_from_object: Float32, seconds_a_frame: float, rest: Mapping[str, npt.ArrayLike]
    ) -> None:
        vertex_count = sum(len(shape.places) * len(shape.mesh.positions) for shape in shapes)
        triangle_count = sum(len(shape.places) * len(shape.mesh.slots) for shape in shapes)
        has_uvs = any(shape.mesh.uvs for shape in shapes)
        has_rest = bool(rest) or any(shape.mesh.rest is not None for shape in shapes)
        has_velocities = any(shape.mesh.velocities is not None for shape in shapes)

        self.positions = np.empty((vertex_count, 3), np.float64)
        self.triangles = np.empty((triangle_count, 3), np.int32)
        self.instance_ids = np.empty(triangle_count, np.int32)
        self.object_ids = np.empty(triangle_count, np.int32)
        self.material_ids = np.full(triangle_count, NO_SURFACE, np.int32)
        self.culls_back = np.empty(triangle_count, np.bool_)
        self.in_front = np.empty(triangle_count, np.bool_)
        self.holds_out = np.empty(triangle_count, np.bool_)
        self.cutout_ids = np.full(triangle_count, -1, np.int32)
        self.uvs = np.zeros((triangle_count, 3, 2), np.float32) if has_uvs else None
        self.velocities = np.full((vertex_count, 3), np.nan, np.float32) if has_velocities else None
        self.rest = np.full((vertex_count, 3), np.nan, np.float32) if has_rest else None
        self.placements = np.empty((sum(len(shape.places) for shape in shapes), 3, 4), np.float64)
        self.instances: list[Instance] = []

        self._vertex = self._triangle = 0
        for shape in shapes:
            self._add(shape, world_from_object[[place.row for place in shape.places]], seconds_a_frame)
        if self.rest is not None:
            self._give_rest(rest, self.rest)

    def _add(self, shape: Shape, placements: Float32, seconds_a_frame: float) -> None:
        mesh, places = shape.mesh, shape.places
        count, vertex_count, triangle_count = len(places), len(mesh.positions), len(mesh.slots)
        vertices = slice(self._vertex, self._vertex + count * vertex_count)
        triangles = slice(self._triangle, self._triangle + count * triangle_count)
        world_from_object = placements.astype(np.float64)
        is_mirrored = np.linalg.det(world_from_object[:, :, :3]) < 0

        _transform(mesh.positions, world_from_object, self.positions[vertices].reshape(count, vertex_count, 3))
        if self.velocities is not None and mesh.velocities is not None:
            world = np.empty((count, vertex_count, 3))
            directions = world_from_object.copy()
            directions[:, :, 3] = 0
            _transform(mesh.velocities * seconds_a_frame, directions, world)
            self.velocities[vertices] = world.reshape(-1, 3)
        if self.rest is not None and mesh.rest is not None:
            self.rest[vertices] = np.tile(mesh.rest, (count, 1))

        first_vertices = self._vertex + vertex_count * np.arange(count, dtype=np.int32)
        wound = self.triangles[triangles].reshape(count, triangle_count, 3)
        np.add(mesh.topology.triangles, first_vertices[:, None, None], out=wound)
        wound[is_mirrored] = wound[is_mirrored][:, :, ::-1]

        first_instance = len(self.instances)
        self.placements[first_instance : first_instance + count] = world_from_object
        for values, of_places in (
            (self.instance_ids, range(first_instance, first_instance + count)),
            (self.object_ids, [place.look.object_id for place in places]),
            (self.in_front, [place.look.in_front for place in places]),
            (self.holds_out, [place.holds_out for place in places]),
        ):
            values[triangles] = np.repeat(np.array(of_places, values.dtype), triangle_count)
        self._add_materials(shape, triangles, is_mirrored)
        self._add_instances(shape, first_vertices)
        self._vertex, self._triangle = vertices.stop, triangles.stop

    def _give_rest(self, rest: Mapping[str, npt.ArrayLike], into: Float32) -> None:
        arrays = {name: np.asarray(values, np.float32) for name, values in rest.items()}
        for instance in self.instances:
            values = arrays.get(instance.object_name)
            if values is None:
                continue
            if values.shape != (instance.vertex_count, 3):
                raise InputError(
                    f"Object '{instance.object_name}' renders with {instance.vertex_count} vertices and was given "
                    f"rest coordinates of shape {values.shape}: make them with the same modifiers, at render levels"
                )
            into[instance.vertices] = values

    def _add_materials(self, shape: Shape, triangles: slice, is_mirrored: Bool) -> None:
        slots, count = shape.slots, len(shape.places)
        # A face that names a slot beyond the last one is drawn with the last one.
        used = np.clip(shape.mesh.slots, 0, len(slots) - 1)
        self.material_ids[triangles] = np.tile(_of_slots([slot.material_id for slot in slots])[used], count)
        self.culls_back[triangles] = np.tile(_of_slots([slot.culls_back for slot in slots])[used], count)
        self.cutout_ids[triangles] = np.tile(_of_slots([slot.cutout_id for slot in slots])[used], count)
        if self.uvs is None or not shape.mesh.uvs:
            return
        uvs = np.zeros((len(used), 3, 2), np.float32)
        for number, slot in enumerate(slots):
            if slot.cutout_id >= 0:
                texture_from_uv = np.array(slot.texture_from_uv, np.float32)
                laid = shape.mesh.uvs[slot.uv_map][used == number]
                uvs[used == number] = laid @ texture_from_uv[:, :2].T + texture_from_uv[:, 2]
        placed = self.uvs[triangles].reshape(count, len(used), 3, 2)
        placed[:] = uvs
        placed[is_mirrored] = placed[is_mirrored][:, :, ::-1]

    def _add_instances(self, shape: Shape, first_vertices: Int32) -> None:
        mesh, count = shape.mesh, len(shape.places)
        triangle_count = len(mesh.slots)
        first_triangles = self._triangle + triangle_count * np.arange(count)
        for place, first_vertex, first_triangle in zip(
            shape.places, first_vertices.tolist(), first_triangles.tolist(), strict=True
        ):
            self.instances.append(
                Instance(
                    place.key,
                    place.look.name,
                    first_vertex,
                    len(mesh.positions),
                    first_triangle,
                    triangle_count,
                    mesh.topology.token,
                    place.look.no_correspondence,
                )
            )


def _of_slots(values: Iterable[int]) -> Int32:
    return np.array(list(values), np.int32)


def _transform(vectors: Float32, matrices: Float64, into: Float64) -> None:
    """(V, 3) through each of (K, 3, 4), into (K, V, 3)."""
    x, y, z = (np.ascontiguousarray(vectors[:, axis], np.float64) for axis in range(3))
    for axis in range(3):
        row = matrices[:, axis, :, None]
        into[:, :, axis] = row[:, 0] * x + row[:, 1] * y + row[:, 2] * z + row[:, 3]
