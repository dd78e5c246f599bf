# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the demo scene step by step, or nothing at all. What each piece is stands in its own room."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import bpy
import numpy as np

from ...progress import Progress, Steps
from . import dog, effects, heroine, heroine_bones, run, stage, town
from .look import paint_colours
from .materials import outline, paint_materials
from .rig import animate, build_armature, pose_curves
from .shapes import Floats
from .skeleton import rotation
from .workshop import Workshop

SCENE_NAME = "AnimeRun demo"
_TOTAL_STEPS = 30  # a few more than there are, so that the last one is not yet the end
_FACING_DEG = 90.0  # both face -Y in their own space and run along +X
_DOG_OUTLINE_M = 0.004
# Where the dog is at frame 1: behind her and nearer to the camera. It is faster, so it passes in front of her.
_DOG_START_XY = (-5.2, -0.95)
_BLINKS_AT = (12, 41)
_MARK_POPS_AT, _MARK_GOES_AT = 14, 30


def build_steps(seed: int = 0) -> Steps[Any]:
    """See the package's `build_steps`."""
    workshop = Workshop()
    done = 0
    try:
        steps = _Shot(workshop, seed).steps()
        while True:
            try:
                message = next(steps)
            except StopIteration as end:
                return end.value
            done += 1
            yield Progress(min(done, _TOTAL_STEPS - 1), _TOTAL_STEPS, f"Building the demo: {message}")
    except BaseException:
        # Cancelled (GeneratorExit) or failed: either way nothing may be left behind.
        workshop.discard()
        raise


class _Shot:
    """The order of the work, and what later steps need from earlier ones."""

    def __init__(self, workshop: Workshop, seed: int) -> None:
        self.workshop = workshop
        self.seed = seed

    def steps(self) -> Generator[str, None, Any]:
        """Yields what comes next, returns the scene."""
        workshop, seed = self.workshop, self.seed
        scene = workshop.keep("scenes", bpy.data.scenes.new(SCENE_NAME))
        stage.set_up_rendering(scene)
        characters, background, props, sources = (
            workshop.collection(name, scene.collection)
            for name in ("Characters", "Background", "Effects", "Instance sources")
        )
        town.remove_from_view(scene, sources)
        colours = paint_colours(seed)
        yield "materials"
        materials = paint_materials(workshop, colours)
        line = outline(workshop, "Outline")
        yield "petals"
        effects.add_petals(workshop, seed, materials, scene, props, sources)
        yield "heroine"
        skeleton = heroine_bones.heroine_skeleton()
        armature = yield from heroine.build_heroine(workshop, skeleton, seed, materials, line, scene, characters)
        yield from self._heroine_runs(skeleton, armature)
        mark = effects.add_mark(workshop, materials, props, armature)
        self._mark_pops(mark)
        yield "dog"
        yield from self._dog_gallops(materials, line, scene, characters)
        yield from town.build_town(workshop, seed, materials, background, sources)
        yield from effects.build_effects(workshop, seed, colours, materials, props, sources)
        yield "camera and light"
        stage.add_camera(workshop, scene, props, _heroine_x())
        stage.add_light(workshop, scene, props)
        scene.frame_set(stage.FIRST_FRAME)
        return scene

    def _heroine_runs(self, skeleton: Any, armature: Any) -> Iterator[str]:
        shot = run.Shot(stage.FIRST_FRAME, stage.LAST_FRAME)
        pose = run.running_pose(skeleton, shot)
        run.lift_skirt(pose, shot)
        yield "hair in the wind"
        for _ in run.sway_steps(pose, shot, rotation((0.0, 0.0, 1.0), _FACING_DEG)):
            yield "hair in the wind"
        self._move(armature, pose, "Heroine run", _heroine_x()[:, None] * np.array([1.0, 0.0]))
        face = next(child for child in armature.children if child.data.shape_keys is not None)
        frames = np.array([frame + shift for frame in _BLINKS_AT for shift in (-2, 0, 1, 3)], dtype=np.float64)
        values = np.tile([0.0, 1.0, 1.0, 0.0], len(_BLINKS_AT))
        animate(
            self.workshop,
            face.data.shape_keys,
            "Heroine blink",
            {(f'key_blocks["{heroine.BLINK}"].value', 0): (frames, values)},
        )
        yield "mark"

    def _move(self, armature: Any, pose: Any, name: str, ground_xy: Floats) -> None:
        """Key the bones, and the armature's way over the ground (F, 2)."""
        frames = np.arange(stage.FIRST_FRAME, stage.LAST_FRAME + 1, dtype=np.float64)
        curves = pose_curves(pose, stage.FIRST_FRAME)
        for axis in (0, 1):
            curves["location", axis] = (frames, ground_xy[:, axis])
        for bone in armature.pose.bones:
            bone.rotation_mode = "QUATERNION"
        armature.rotation_euler = (0.0, 0.0, np.radians(_FACING_DEG))
        animate(self.workshop, armature, name, curves, "LINEAR")

    def _mark_pops(self, mark: Any) -> None:
        mark.location = (0.10, 0.10, 0.06)
        mark.rotation_euler = (np.radians(-90.0), 0.0, np.radians(-20.0))
        frames = np.array(
            [1, _MARK_POPS_AT - 1, _MARK_POPS_AT + 2, _MARK_POPS_AT + 4, _MARK_GOES_AT, _MARK_GOES_AT + 2],
            dtype=np.float64,
        )
        size = np.array([0.0, 0.0, 1.05, 0.8, 0.8, 0.0])
        animate(self.workshop, mark, "Mark pops", {("scale", axis): (frames, size) for axis in range(3)})

    def _dog_gallops(self, materials: Any, line: Any, scene: Any, collection: Any) -> Iterator[str]:
        skeleton = dog.dog_skeleton()
        armature = build_armature(self.workshop, "Dog", skeleton, scene, collection)
        yield "dog"
        body = self.workshop.skinned_object("Dog body", dog.dog(skeleton), materials, armature, collection)
        heroine.follow(body, armature)
        heroine.add_outline(body, line, _DOG_OUTLINE_M)
        frames = np.arange(stage.LAST_FRAME - stage.FIRST_FRAME + 1, dtype=np.float64)
        pose = dog.gallop(skeleton, frames, 0.25 + 0.1 * (self.seed % 7))
        way = frames[:, None] * np.array([dog.STRIDE_M / dog.CYCLE_FRAMES, 0.0])
        self._move(armature, pose, "Dog gallop", np.array(_DOG_START_XY) + way)
        yield "town"


def _heroine_x() -> Floats:
    """Where she is at each frame: the middle of her way is the middle of the world."""
    travel = run.Shot(stage.FIRST_FRAME, stage.LAST_FRAME).travel()
    return np.asarray(travel - travel[-1] / 2)
