# SPDX-License-Identifier: GPL-3.0-or-later
"""How a mesh's vertices are joined into triangles: triangulated once, then known again by its contents."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass

import bpy
import numpy as np

from ..labels.snapshot import Int32

# Frames that a topology is remembered without being seen: fluids bring a new one each frame.
REMEMBERED_READS = 8


@dataclass
class Topology:
    """The triangles of a mesh, T of them."""

    token: Hashable
    triangles: Int32  # (T, 3), vertices of the mesh
    corners: Int32  # (T, 3), face corners of the mesh, which is where UV maps live
    polygons: Int32  # (T,), faces of the mesh, which is where material slots live
    last_read: int


def same_vertices(one: Hashable, other: Hashable) -> bool:
    """Whether tokens, of two caches perhaps, are of meshes whose faces join the same vertices, however split."""
    return isinstance(one, tuple) and isinstance(other, tuple) and bool(one[0] == other[0])


class TopologyCache:
    """Gives equal topologies the same triangles and the same token, at every frame and for every object.

    Triangulating again would not do: how a bent quad is split depends on where its vertices are.
    """

    def __init__(self, like: TopologyCache | None = None) -> None:
        """`like`: what that one knows is known here, too, and never forgotten."""
        self._kept = dict(like._known) if like is not None else {}
        self._known: dict[bytes, Topology] = {}
        self._reads = 0
        self._made = 0

    def next_frame(self) -> None:
        """Forget what has not been seen for a while."""
        self._reads += 1
        oldest = self._reads - REMEMBERED_READS
        self._known = {digest: known for digest, known in self._known.items() if known.last_read >= oldest}

    def read(self, mesh: bpy.types.Mesh) -> Topology:
        """The topology of an evaluated mesh that has faces."""
        # Triangles a face stand for the face's size, and Blender has them ready, unlike the faces' offsets.
        polygons = np.empty(len(mesh.loop_triangle_polygons), np.int32)
        mesh.loop_triangle_polygons.foreach_get("value", polygons)
        corner_vertices = np.empty(len(mesh.loops), np.int32)
        mesh.attributes[".corner_vert"].data.foreach_get("value", corner_vertices)

        digest = hashlib.blake2b(len(mesh.vertices).to_bytes(8, "little"), digest_size=16)
        digest.update(corner_vertices.data)
        digest.update(polygons.data)
        known = self._kept.get(digest.digest()) or self._known.get(digest.digest())
        if known is None:
            known = self._known[digest.digest()] = self._triangulate(mesh, corner_vertices, polygons, digest.digest())
        known.last_read = self._reads
        return known

    def _triangulate(self, mesh: bpy.types.Mesh, corner_vertices: Int32, polygons: Int32, digest: bytes) -> Topology:
        mesh.calc_loop_triangles()
        corners = np.empty(len(polygons) * 3, np.int32)
        mesh.loop_triangles.foreach_get("loops", corners)
        corners = corners.reshape(-1, 3)
        # A topology that was forgotten and comes again may be split otherwise: then it is another one.
        self._made += 1
        return Topology((digest, self._made), corner_vertices[corners], corners, polygons, self._reads)
