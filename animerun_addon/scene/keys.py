# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes animation curves into actions, many keys at once. What moves how is said elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix

Numbers = npt.NDArray[Any]
Curves = Mapping[tuple[str, int], tuple[Numbers, Numbers]]  # (data path, index) -> frames (K,), values (K,)


def add_curves(action: bpy.types.Action, owner: bpy.types.ID, curves: Curves, interpolation: str = "LINEAR") -> None:
    """Give a data-block (object, camera, shape keys) these curves, in a slot of its own in the action."""
    if not curves:
        return
    slot = action.slots.new(id_type=owner.id_type, name=owner.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    bag = strip.channelbag(slot, ensure=True)
    kind = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items[interpolation].value
    for (path, index), (frames, values) in curves.items():
        curve = bag.fcurves.new(path, index=index)
        curve.keyframe_points.add(len(frames))
        curve.keyframe_points.foreach_set("co", np.stack([frames, values], axis=-1).astype(np.float32).ravel())
        curve.keyframe_points.foreach_set("interpolation", np.full(len(frames), kind, dtype=np.int32))
        curve.update()
    animation = owner.animation_data_create()
    animation.action = action
    animation.action_slot = slot


def follow(owner: bpy.types.ID, frames: Numbers, tracks: Mapping[str, Numbers]) -> dict[tuple[str, int], Any]:
    """Give settings their first values; returned are the curves of what changes, for add_curves().

    `frames` (K,); `tracks`: the settings' values by path, (K,) or (K, N).
    """
    curves: dict[tuple[str, int], Any] = {}
    for path, values in tracks.items():
        setattr(owner, path, values[0].tolist())
        columns = values.reshape(len(frames), -1)
        moving = np.flatnonzero(np.ptp(columns, axis=0) > 0)
        curves |= {(path, index): (frames, columns[:, index]) for index in moving.tolist()}
    return curves


def placing(matrices: Iterable[Matrix]) -> dict[str, Numbers]:
    """The tracks of an object without parent that is to be at these places; its rotation mode has to be QUATERNION."""
    parts = [matrix.decompose() for matrix in matrices]
    location, rotation, scale = (np.array([tuple(part[place]) for part in parts]) for place in range(3))
    # A quaternion and its negative turn alike; the way from one to the other, between frames, does not.
    flips = np.sum(rotation[1:] * rotation[:-1], axis=1) < 0
    rotation[1:] *= np.cumprod(np.where(flips, -1.0, 1.0))[:, None]
    return {"location": location, "rotation_quaternion": rotation, "scale": scale}
