# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an evaluated mesh into arrays in its object's own space, the fast way. Where it stands is snapshot.py's."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..labels.snapshot import Float32, Int32
from .topology import Topology, TopologyCache


@dataclass(frozen=True)
class MeshArrays:
    """A mesh of V vertices and T triangles."""

    positions: Float32  # (V, 3)
    topology: Topology
    slots: Int32  # (T,), material slots
    uvs: dict[str | None, Float32]  # (T, 3, 2) of each UV map that was asked for
    velocities: Float32 | None  # (V, 3), metres a second: what Alembic and fluids write and Cycles reads
    rest: Float32 | None  # (V, 3), the attribute that was asked for as rest coordinates


def read_mesh(
    mesh: bpy.types.Mesh, topologies: TopologyCache, uv_maps: frozenset[str | None], rest_attribute: str = ""
) -> MeshArrays:
    """The arrays of an evaluated mesh that has faces; `uv_maps`: names, "" the one to render, None to edit with."""
    topology = topologies.read(mesh)
    return MeshArrays(
        positions=read_positions(mesh),
        topology=topology,
        slots=_read_slots(mesh)[topology.polygons],
        uvs={name: _read_uvs(mesh, name, topology.corners) for name in uv_maps},
        velocities=_read_points(mesh, "velocity"),
        rest=_read_points(mesh, rest_attribute) if rest_attribute else None,
    )


def read_positions(mesh: bpy.types.Mesh) -> Float32:
    """(V, 3)"""
    positions = mesh.attributes.get("position")  # a mesh without vertices lacks it
    return np.zeros((0, 3), np.float32) if positions is None else _read_vectors(positions, 3)


def _read_vectors(attribute: bpy.types.Attribute, size: int) -> Float32:
    """(N, size)"""
    vectors = np.empty(len(attribute.data) * size, np.float32)
    attribute.data.foreach_get("vector", vectors)
    return vectors.reshape(-1, size)


def _read_slots(mesh: bpy.types.Mesh) -> Int32:
    """(faces,)"""
    slots = np.zeros(len(mesh.polygons), np.int32)
    attribute = mesh.attributes.get("material_index")
    if attribute is not None and attribute.data_type == "INT" and attribute.domain == "FACE":
        attribute.data.foreach_get("value", slots)
    return slots


def _read_uvs(mesh: bpy.types.Mesh, name: str | None, corners: Int32) -> Float32:
    """(T, 3, 2), zeros where the mesh lacks the map, as Blender has it."""
    if name is None:
        name = mesh.uv_layers.active.name if mesh.uv_layers.active else ""
    elif not name:
        name = next((layer.name for layer in mesh.uv_layers if layer.active_render), "")
    if name not in mesh.uv_layers:
        return np.zeros((*corners.shape, 2), np.float32)
    return _read_vectors(mesh.attributes[name], 2)[corners]


def _read_points(mesh: bpy.types.Mesh, name: str) -> Float32 | None:
    """(V, 3), None where the mesh has no such vector for each vertex."""
    attribute = mesh.attributes.get(name)
    if attribute is None or attribute.data_type != "FLOAT_VECTOR" or attribute.domain != "POINT":
        return None
    return _read_vectors(attribute, 3)
