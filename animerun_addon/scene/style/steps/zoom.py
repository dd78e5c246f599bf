# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces an animated focal length by a move along the view axis that keeps the subject's size.

At the subject's depth the picture stays the same to the last bit of it; before and behind, perspective differs: that is
what a dolly is. The user's camera is left as it is: the scene looks through another one meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix

from ....style_settings import Zoom
from ...engine import with_render_depsgraph
from ...keys import Numbers, add_curves, follow, placing
from ..record import RECORD
from ..stage import Stage

Floats = npt.NDArray[np.float64]

_ZOOMS = ("lens", "sensor_width", "sensor_height")
_KEPT = ("shift_x", "shift_y")
_TRACKS = {"TRACK_TO", "DAMPED_TRACK", "LOCKED_TRACK"}
_NEAREST = 0.01  # of the way to the subject, where the clip range has to begin before


@dataclass(frozen=True)
class _Focus:
    """Whose size is kept: a thing or a bone of it, or what is as far away as the lens is focused on."""

    thing: bpy.types.Object | None = None
    bone: str = ""

    def depth_m(self, camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> float:
        """Along the evaluated camera's axis; not a number where the thing is not evaluated at all."""
        if self.thing is None:
            return camera.data.dof.focus_distance
        thing = self.thing.evaluated_get(depsgraph)
        if not thing.is_evaluated:
            return float("nan")
        bone = thing.pose.bones.get(self.bone) if thing.pose is not None else None
        point = thing.matrix_world @ bone.head if bone is not None else thing.matrix_world.translation
        return -(camera.matrix_world.normalized().inverted() @ point).z


@dataclass
class _Shot:
    """A camera that zooms, and what it does at every frame."""

    camera: bpy.types.Object
    focus: _Focus
    matrices: list[Matrix] = field(default_factory=list)
    depths_m: list[float] = field(default_factory=list)
    lenses: list[tuple[float, float, float]] = field(default_factory=list)  # focal length, sensor's width and height
    clips_m: list[tuple[float, float]] = field(default_factory=list)
    kept: list[tuple[float, ...]] = field(default_factory=list)

    def read(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Of one frame more."""
        camera = self.camera.evaluated_get(depsgraph)
        data = camera.data
        self.matrices.append(camera.matrix_world.normalized())
        self.depths_m.append(self.focus.depth_m(camera, depsgraph))
        self.lenses.append((data.lens, data.sensor_width, data.sensor_height))
        self.clips_m.append((data.clip_start, data.clip_end))
        self.kept.append(tuple(getattr(data, name) for name in _KEPT))

    @property
    def magnification(self) -> Floats:
        """(F,), of the lens alone."""
        lens, width, height = np.array(self.lenses).T
        return lens / (height if self.camera.data.sensor_fit == "VERTICAL" else width)


def zoom(stage: Stage) -> None:
    """Give the scene a dolly for every camera of it that zooms."""
    if stage.settings.zoom is Zoom.KEEP:
        return
    shots = [shot for camera in _cameras(stage.scene) if (shot := _zooming(stage, camera)) is not None]
    frames = range(stage.scene.frame_start, stage.scene.frame_end + 1)

    def visit(_: float, depsgraph: bpy.types.Depsgraph) -> None:
        for shot in shots:
            shot.read(depsgraph)

    if shots:
        with_render_depsgraph(stage.scene, frames, visit)
    for shot in shots:
        if np.ptp(shot.magnification) == 0:
            continue
        wrong = np.flatnonzero(~(np.array(shot.depths_m) > 0))
        if wrong.size:
            frame = frames[wrong[0]]
            _tell(stage, shot.camera, f"what it looks at is behind it or not in the scene at frame {frame}")
        else:
            _look_through(stage, shot.camera, _dolly(stage, shot, np.array(frames)))


def _cameras(scene: bpy.types.Scene) -> dict[bpy.types.Object, None]:
    cameras = [scene.camera, *(marker.camera for marker in scene.timeline_markers)]
    return {camera: None for camera in cameras if camera is not None and camera.type == "CAMERA"}


def _zooming(stage: Stage, camera: bpy.types.Object) -> _Shot | None:
    """A shot that can be taken from a dolly; tells why not."""
    data = camera.data
    if data.type != "PERSP":
        if any(stage.memory.is_animated(data, path) for path in (*_ZOOMS, "ortho_scale")):
            _tell(stage, camera, "without perspective no move changes the size of anything")
        return None
    if not any(stage.memory.is_animated(data, path) for path in _ZOOMS):
        return None
    focus = _focus(stage, camera)
    if focus is None:
        _tell(stage, camera, "nothing says whose size to keep: choose a focus object")
        return None
    return _Shot(camera, focus)


def _tell(stage: Stage, camera: bpy.types.Object, why: str) -> None:
    stage.tell(camera, f"its zoom stays a zoom, whose flow is exact: {why}")


def _focus(stage: Stage, camera: bpy.types.Object) -> _Focus | None:
    name, dof = stage.settings.focus_object, camera.data.dof
    if name:
        chosen = stage.scene.objects.get(name)
        if chosen is not None:
            return _Focus(chosen)
        stage.tell(stage.scene, f"there is no object '{name}' to keep the size of: choose another")
    for constraint in camera.constraints:
        if constraint.type in _TRACKS and constraint.target is not None and not constraint.mute:
            return _Focus(constraint.target, constraint.subtarget)
    if dof.focus_object is not None:
        return _Focus(dof.focus_object, dof.focus_subtarget)
    # Without depth of field nobody has cared what the lens is focused on.
    return _Focus() if stage.memory.before(camera.data, "dof.use_dof") else None


def _dolly(stage: Stage, shot: _Shot, frames: Numbers) -> bpy.types.Object:
    """A camera without zoom that shows the subject's plane as the shot's camera does."""
    name = f"{shot.camera.name} dolly"
    data, action = shot.camera.data.copy(), bpy.data.actions.new(name)
    data.name = name
    data.animation_data_clear()
    if RECORD in data:
        del data[RECORD]
    data.lens, data.sensor_width, data.sensor_height = shot.lenses[0]
    camera = bpy.data.objects.new(name, data)
    camera.rotation_mode = "QUATERNION"
    for made in (data, action, camera):
        stage.made(made)
    stage.scene.collection.objects.link(camera)

    depth_m = np.array(shot.depths_m)
    new_depth_m = depth_m * shot.magnification[0] / shot.magnification
    back_m = new_depth_m - depth_m
    places = [matrix @ Matrix.Translation((0.0, 0.0, back)) for matrix, back in zip(shot.matrices, back_m, strict=True)]
    start_m, end_m = np.array(shot.clips_m).T
    lens = {
        # What lay before the old camera's near plane stays cut away.
        "clip_start": np.maximum(start_m + back_m, np.minimum(start_m, _NEAREST * new_depth_m)),
        "clip_end": np.maximum(end_m + back_m, 2 * new_depth_m),
        **dict(zip(_KEPT, np.array(shot.kept).T, strict=True)),
    }
    add_curves(action, camera, follow(camera, frames, placing(places)))
    add_curves(action, data, follow(data, frames, lens))
    return camera


def _look_through(stage: Stage, camera: bpy.types.Object, dolly: bpy.types.Object) -> None:
    # Where markers switch cameras they alone decide, and Blender has the scene follow them.
    switches = [marker for marker in stage.scene.timeline_markers if marker.camera is not None]
    for holder in switches or [stage.scene]:
        if holder.camera == camera:
            stage.set(holder, "camera", dolly)
    if camera.children:
        stage.tell(camera, "what is parented to it does not follow its dolly")
