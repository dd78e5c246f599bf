# SPDX-License-Identifier: GPL-3.0-or-later
"""Armatures and animation curves in Blender, from the pure descriptions in skeleton.py. No poses are invented here."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..keys import Curves, add_curves
from .shapes import Floats
from .skeleton import PoseTrack, Skeleton
from .workshop import Workshop


def build_armature(workshop: Workshop, name: str, skeleton: Skeleton, scene: Any, collection: Any) -> Any:
    """An armature object with the skeleton's bones, at the origin of the world."""
    armature = workshop.object(name, workshop.new("armatures", name), collection)
    armature.data.display_type = "STICK"
    armature.show_in_front = True
    view_layer = scene.view_layers[0]
    view_layer.objects.active = armature
    view_layer.update()
    # Bones are only made in edit mode. The override keeps it away from the user's window, scene and selection.
    with bpy.context.temp_override(
        scene=scene, view_layer=view_layer, active_object=armature, object=armature, selected_objects=[armature]
    ):
        bpy.ops.object.mode_set(mode="EDIT")
        try:
            for bone in skeleton.bones:
                made = armature.data.edit_bones.new(bone.name)
                made.head, made.tail = bone.head, bone.tail
                made.align_roll(bone.facing)
                if bone.parent is not None:
                    made.parent = armature.data.edit_bones[bone.parent]
        finally:
            bpy.ops.object.mode_set(mode="OBJECT")
    return armature


def animate(workshop: Workshop, owner: Any, name: str, curves: Curves, interpolation: str = "BEZIER") -> None:
    """Give a data-block (object, camera, shape keys) an action with these curves."""
    add_curves(workshop.new("actions", name), owner, curves, interpolation)


def pose_curves(pose: PoseTrack, first_frame: int) -> dict[tuple[str, int], tuple[Floats, Floats]]:
    """One key a frame for every bone that moves."""
    frames = np.arange(first_frame, first_frame + pose.frame_count, dtype=np.float64)
    curves = {}
    for bone in pose.turns:
        for index, values in enumerate(pose.basis_quaternions(bone).T):
            curves[f'pose.bones["{bone}"].rotation_quaternion', index] = (frames, values)
    for bone in pose.shifts:
        for index, values in enumerate(pose.basis_locations(bone).T):
            curves[f'pose.bones["{bone}"].location', index] = (frames, values)
    return curves
