# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender would give instance by instance and object by object, asked for once a frame: thousands cost little.

What it means is surfaces.py's.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np

from ..labels.snapshot import Float32


def read_placements(depsgraph: bpy.types.Depsgraph, count: int) -> Float32:
    """(N, 3, 4), world_from_object of each of the depsgraph's `count` rows of instances.

    Only these are worth a turn of their own: Blender makes all instances anew whenever it goes through them.
    """
    # A matrix lies in memory column by column.
    columns = np.empty((count, 4, 4), np.float32)
    depsgraph.object_instances.foreach_get("matrix_world", columns.reshape(-1))
    return columns.transpose(0, 2, 1)[:, :3]


class LayerFlags:
    """What a view layer's collections make of the objects in them. Most layers make nothing of any."""

    def __init__(self, view_layer: bpy.types.ViewLayer) -> None:
        self._view_layer = view_layer
        collections = list(_with_children(view_layer.layer_collection))
        self._has_holdouts = any(collection.holdout for collection in collections)
        self._has_indirect = any(collection.indirect_only for collection in collections)

    def shows(self, thing: bpy.types.Object) -> tuple[bool, bool]:
        """Whether an object counts in the frame at all, and whether as a holdout, which only hides what is behind."""
        holds_out = thing.is_holdout or (self._has_holdouts and thing.holdout_get(view_layer=self._view_layer))
        is_indirect = self._has_indirect and thing.indirect_only_get(view_layer=self._view_layer)
        return thing.visible_camera and (holds_out or not is_indirect), holds_out


def _with_children(collection: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    yield collection
    for child in collection.children:
        yield from _with_children(child)
