# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes Blender data from plain arrays and can take all of it back. What is made is said elsewhere.

No bpy reference is kept between steps: what was made is remembered by its session number, so that a user who deletes
something meanwhile does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from .shapes import Shape

PREFIX = "AR "


class Workshop:
    """Creates data-blocks, named with the demo's prefix, and removes them all when the work is given up."""

    def __init__(self) -> None:
        self._made: list[tuple[str, int]] = []

    def keep(self, kind: str, block: Any) -> Any:
        """Remember a data-block of `bpy.data.<kind>` as ours."""
        self._made.append((kind, block.session_uid))
        return block

    def new(self, kind: str, name: str, *args: Any) -> Any:
        """`bpy.data.<kind>.new(name, ...)`, remembered."""
        return self.keep(kind, getattr(bpy.data, kind).new(PREFIX + name, *args))

    def discard(self) -> None:
        """Remove everything made so far that still exists."""
        ours: dict[str, set[int]] = {}
        for kind, uid in self._made:
            ours.setdefault(kind, set()).add(uid)
        for scene in [s for s in bpy.data.scenes if s.session_uid in ours.get("scenes", ())]:
            bpy.data.scenes.remove(scene)
        bpy.data.batch_remove(
            [
                block
                for kind, uids in ours.items()
                if kind != "scenes"
                for block in getattr(bpy.data, kind)
                if block.session_uid in uids
            ]
        )
        self._made.clear()

    def collection(self, name: str, parent: Any) -> Any:
        """A collection inside another."""
        made = self.new("collections", name)
        parent.children.link(made)
        return made

    def mesh(self, name: str, part: Shape, materials: Mapping[int, Any], smooth: bool = True) -> Any:
        """A mesh data-block; the shape's slots are keys of `materials`, of which it gets those that it uses."""
        mesh = self.new("meshes", name)
        mesh.vertices.add(len(part.points))
        mesh.loops.add(len(part.corners))
        mesh.polygons.add(len(part.sizes))
        mesh.vertices.foreach_set("co", part.points.astype(np.float32).ravel())
        mesh.loops.foreach_set("vertex_index", part.corners)
        starts = np.concatenate([[0], np.cumsum(part.sizes)[:-1]]).astype(np.int32)
        mesh.polygons.foreach_set("loop_start", starts)
        used, slots = np.unique(part.slots, return_inverse=True)
        for slot in used.tolist():
            mesh.materials.append(materials[slot])
        mesh.polygons.foreach_set("material_index", slots.astype(np.int32).ravel())
        mesh.polygons.foreach_set("use_smooth", np.full(len(part.sizes), smooth))
        if part.uv is not None:
            mesh.uv_layers.new(name="UVMap").uv.foreach_set("vector", part.uv.astype(np.float32).ravel())
        mesh.update(calc_edges=True)
        mesh.validate()
        return mesh

    def object(self, name: str, data: Any, collection: Any, location: Sequence[float] = (0.0, 0.0, 0.0)) -> Any:
        """An object in a collection; without data an empty."""
        made = self.new("objects", name, data)
        made.location = location
        collection.objects.link(made)
        return made

    def skinned_object(
        self, name: str, part: Shape, materials: Mapping[int, Any], armature: Any, collection: Any
    ) -> Any:
        """An object that follows an armature by its shape's weights. The caller adds its modifiers in order."""
        made = self.object(name, self.mesh(name, part, materials), collection)
        made.parent = armature
        for bone, weight in part.weights.items():
            group = made.vertex_groups.new(name=bone)
            for point in np.flatnonzero(weight).tolist():
                group.add((point,), float(weight[point]), "REPLACE")
        return made

    def instance(self, name: str, source: Any, collection: Any, location: Sequence[float]) -> Any:
        """An empty that shows a whole collection."""
        made = self.object(name, None, collection, location)
        made.instance_type = "COLLECTION"
        made.instance_collection = source
        made.empty_display_size = 0.3
        return made
