# SPDX-License-Identifier: GPL-3.0-or-later
"""A character's objects once more, in a scene of their own, standing as asked and gone afterwards.

Only copies are changed, so linked and overridden characters will do as well. What is read of them: rest_pose.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import bpy
from mathutils import Quaternion

from ..errors import InputError
from .characters import Character
from .rest_animation import AT_REST, bags, paths, play, remove_bone_drivers, set_to_rest, with_actions
from .versions import node_input_slots

# What is simulated or played back over the shape that the construction has; none of these makes vertices.
PLAYED = {"CLOTH", "COLLISION", "MESH_CACHE", "MESH_SEQUENCE_CACHE", "PARTICLE_SYSTEM", "SOFT_BODY", "WAVE"}
# What remembers frames as they are evaluated, and would notice.
SIMULATED = {"CLOTH", "DYNAMIC_PAINT", "FLUID", "PARTICLE_SYSTEM", "SOFT_BODY"}
# What moves vertices and neither makes nor removes any: each may stay on a cage.
MOVERS = {
    "ARMATURE", "CAST", "CORRECTIVE_SMOOTH", "CURVE", "DISPLACE", "HOOK", "LAPLACIANDEFORM", "LAPLACIANSMOOTH",
    "LATTICE", "MESH_DEFORM", "SHRINKWRAP", "SIMPLE_DEFORM", "SMOOTH", "SURFACE_DEFORM", "VERTEX_WEIGHT_EDIT",
    "VERTEX_WEIGHT_MIX", "VERTEX_WEIGHT_PROXIMITY", "WARP",
}  # fmt: skip
_VISIBILITY = ("hide_render", "hide_viewport")

Slots = Iterator[tuple[bpy.types.Object, Callable[[bpy.types.Object], None]]]  # an object, and what puts another there


@dataclass(frozen=True)
class RestPose:
    """How a character stands where its rest coordinates are read; the armature's rest position, unless told.

    Either `action` at `frame`, or the scene's own `frame`, or the rest position but for some `turns`: rotations
    (w, x, y, z) of bones, by name, in the bones' own axes, as a pose bone has them.
    """

    action: str = ""
    frame: float | None = None
    turns: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What contradicts itself is refused."""
        if self.action and self.frame is None:
            raise InputError(f"Rest pose: say at which frame of action '{self.action}' the character stands in it")
        if self.turns and self.frame is not None:
            raise InputError("Rest pose: turn bones of the rest position, or name a frame, not both")

    @property
    def is_own_frame(self) -> bool:
        """Whether the character stands as it does at a frame of its scene."""
        return self.frame is not None and not self.action

    def frame_in(self, scene: bpy.types.Scene) -> float:
        """Where all is read that moves by itself."""
        return scene.frame_start if self.frame is None else self.frame


@dataclass(frozen=True)
class RestScene:
    """Where the copies stand."""

    scene: bpy.types.Scene
    room: bpy.types.Collection  # within it
    rig: bpy.types.Object
    originals: dict[str, bpy.types.Object]  # by the full name of the copy
    # The same of further copies that have the vertices of their meshes and no others: nothing makes or removes any.
    cages: dict[str, bpy.types.Object]


@contextlib.contextmanager
def rest_scene(
    scene: bpy.types.Scene, character: Character, pose: RestPose, with_cages: bool = False
) -> Iterator[RestScene]:
    """The character's copies while the block runs. Nothing else of the file is written to."""
    made: list[bpy.types.ID] = []
    own = bpy.data.scenes.new("AnimeRun rest pose")
    try:
        _set_up(own, scene, pose.frame_in(scene), made)
        copies = _Copies(pose, made)
        copies.make(_moving(character))
        room = bpy.data.collections.new(own.name)
        made.append(room)
        # Evaluated for the viewport, what moves would write its new place into the user's own data. So it never is.
        room.hide_viewport = True
        own.collection.children.link(room)
        for one in copies.things.values():
            room.objects.link(one)
        originals = {one.name_full: original for original, one in copies.things.items()}
        rig = copies.things[character.rig]
        if pose.action:
            play(rig, pose.action)
        cages: dict[str, bpy.types.Object] = {}
        for original, one in copies.things.items() if with_cages else ():
            if original.type == "MESH":
                cage = _cage(one, made)
                cages[cage.name_full] = original
                room.objects.link(cage)
        yield RestScene(own, room, rig, originals, cages)
    finally:
        bpy.data.scenes.remove(own)
        bpy.data.batch_remove(made)


def _set_up(own: bpy.types.Scene, scene: bpy.types.Scene, frame: float, made: list[bpy.types.ID]) -> None:
    """Whatever counts for the evaluation as in the user's scene; a camera, because Blender asks for one."""
    for name in ("use_simplify", "simplify_subdivision_render", "fps", "fps_base"):
        setattr(own.render, name, getattr(scene.render, name))
    own.frame_start, own.frame_end = scene.frame_start, scene.frame_end
    # Set before anything is in the scene: nothing is evaluated at another frame.
    own.frame_set(int(frame // 1), subframe=frame % 1)
    own.render.resolution_x = own.render.resolution_y = 16
    lens = bpy.data.cameras.new("AnimeRun rest pose")
    made.append(lens)
    own.camera = bpy.data.objects.new("AnimeRun rest pose", lens)
    made.append(own.camera)
    own.collection.objects.link(own.camera)


def _cage(one: bpy.types.Object, made: list[bpy.types.ID]) -> bpy.types.Object:
    """A copy of a mesh's copy, whose deformers still find all as it renders."""
    cage = one.copy()
    made.append(cage)
    cage.instance_type = "NONE"
    for modifier in [modifier for modifier in cage.modifiers if modifier.type not in MOVERS]:
        cage.modifiers.remove(modifier)
    return cage


# Who has to be copied -------------------------------------------------------------------------------------------------


def _moving(character: Character) -> list[bpy.types.Object]:
    """The armature, every armature that its things need, and all that they need which is moved by one of these."""
    needs: dict[bpy.types.Object, set[bpy.types.Object]] = {}
    waiting = [character.rig, *character.things]
    while waiting:
        thing = waiting.pop()
        if thing not in needs:
            needs[thing] = {needed for needed, _ in _slots(thing)} | _driving(thing) | ({thing.parent} - {None})
            needs[thing].discard(thing)
            waiting.extend(needs[thing])
    moving = {thing for thing in needs if thing.type == "ARMATURE"}
    while more := {thing for thing in needs if thing not in moving and needs[thing] & moving}:
        moving |= more
    return [thing for thing in needs if thing in moving]


def _driving(thing: bpy.types.Object) -> set[bpy.types.Object]:
    """What drivers of an object or its shapes look at."""
    owners = (thing, getattr(thing.data, "shape_keys", None))
    targets = (
        target.id
        for owner in owners
        if owner is not None and owner.animation_data is not None
        for curve in owner.animation_data.drivers
        for variable in curve.driver.variables
        for target in variable.targets
    )
    return {target for target in targets if isinstance(target, bpy.types.Object)}


def _slots(thing: bpy.types.Object) -> Slots:
    """Where modifiers and constraints name another object."""
    constraints = [*thing.constraints]
    if thing.pose is not None:
        constraints += [constraint for bone in thing.pose.bones for constraint in bone.constraints]
    targets = [target for one in constraints if one.type == "ARMATURE" for target in one.targets]
    for owner in (*thing.modifiers, *constraints, *targets):
        for name in _pointers(owner.bl_rna):
            if (value := getattr(owner, name)) is not None:
                yield value, partial(setattr, owner, name)
    for modifier in thing.modifiers:
        if modifier.type == "NODES":
            for value, put in node_input_slots(modifier):
                if isinstance(value, bpy.types.Object):
                    yield value, put


@cache
def _pointers(kind: bpy.types.Struct) -> tuple[str, ...]:
    """The settings of a kind of modifier or constraint that name an object."""
    return tuple(
        prop.identifier
        for prop in kind.properties
        if prop.type == "POINTER" and prop.fixed_type.identifier == "Object" and not prop.is_readonly
    )


# The copies -----------------------------------------------------------------------------------------------------------


class _Copies:
    """Makes them; `made` is told of each block before anything can go wrong with it."""

    def __init__(self, pose: RestPose, made: list[bpy.types.ID]) -> None:
        self._pose = pose
        self._made = made
        self.things: dict[bpy.types.Object, bpy.types.Object] = {}
        self._of: dict[bpy.types.ID, bpy.types.ID] = {}  # objects, and data-blocks that drivers may name
        self._actions: dict[bpy.types.Action, bpy.types.Action] = {}

    def make(self, originals: list[bpy.types.Object]) -> None:
        for original in originals:
            self.things[original] = self._of[original] = self._copy(original)
            self._copy_data(original)
        for original, one in self.things.items():
            if original.parent in self.things:
                one.parent = self.things[original.parent]
                # Blender forgets it with a new parent.
                one.matrix_parent_inverse = original.matrix_parent_inverse
            self._relink(original, one)
            for modifier in [modifier for modifier in one.modifiers if modifier.type in PLAYED]:
                one.modifiers.remove(modifier)
            self._still(one)
            for name in _VISIBILITY:
                setattr(one, name, False)
        for one in self._of.values():
            self._relink_drivers(one)
        for original, one in self.things.items():
            if original.type == "ARMATURE":
                self._pose_armature(one)

    def _copy(self, block: Any) -> Any:
        copied = block.copy()
        self._made.append(copied)
        return copied

    def _copy_data(self, original: bpy.types.Object) -> None:
        """An armature's, for its rest position, and data with shape keys that move."""
        one, data = self.things[original], original.data
        keys = getattr(data, "shape_keys", None)
        if original.type != "ARMATURE" and (keys is None or keys.animation_data is None):
            return
        one.data = self._copy(data)
        self._of[data] = one.data
        if keys is not None:
            self._of[keys] = one.data.shape_keys
            self._still(one.data.shape_keys)

    def _relink(self, original: bpy.types.Object, one: bpy.types.Object) -> None:
        for value, put in list(_slots(one)):
            if value in self.things:
                put(self.things[value])
        for modifier, source in zip(one.modifiers, original.modifiers, strict=True):
            # Blender takes a hook with a new object to start where that is now.
            if modifier.type == "HOOK":
                modifier.subtarget = source.subtarget
                modifier.center, modifier.matrix_inverse = source.center, source.matrix_inverse

    def _relink_drivers(self, one: Any) -> None:
        for curve in one.animation_data.drivers if one.animation_data else ():
            for variable in curve.driver.variables:
                for target in variable.targets:
                    if target.id in self._of:
                        target.id = self._of[target.id]

    # What moves

    def _is_pose(self, path: str) -> bool:
        """Whether what an animation moves belongs to the pose, or to whether something is seen."""
        if path in _VISIBILITY:
            return True
        return not self._pose.is_own_frame and path.startswith(("pose.bones", "key_blocks", "eval_time", '["'))

    def _still(self, owner: Any) -> None:
        """Take the pose out of the animation of a copied object or its shape keys, and set what it moved to rest."""
        animation = owner.animation_data
        if animation is None:
            return
        animation.use_tweak_mode = False
        taken: dict[str, None] = {}
        for holder in with_actions(animation):
            taken |= dict.fromkeys(filter(self._is_pose, paths(holder.action)))
            self._without_pose(holder)
        for curve in list(animation.drivers):
            if curve.data_path in _VISIBILITY:
                animation.drivers.remove(curve)
        for path in taken:
            set_to_rest(owner, path)

    def _without_pose(self, holder: Any) -> None:
        """Give an animation, or a strip, its action without the pose's curves."""
        action, slot = holder.action, holder.action_slot
        if not any(map(self._is_pose, paths(action))):
            return
        if action not in self._actions:
            copied = self._actions[action] = self._copy(action)
            for bag in bags(copied):
                for curve in [curve for curve in bag.fcurves if self._is_pose(curve.data_path)]:
                    bag.fcurves.remove(curve)
        holder.action = self._actions[action]
        if slot is not None:
            holder.action_slot = next(one for one in holder.action.slots if one.identifier == slot.identifier)

    def _pose_armature(self, one: bpy.types.Object) -> None:
        pose = self._pose
        one.data.pose_position = "POSE" if pose.turns or pose.frame is not None else "REST"
        if pose.is_own_frame:
            return
        for bone in one.pose.bones:
            for name, value in AT_REST.items():
                setattr(bone, name, value)
            if pose.turns:
                for constraint in list(bone.constraints):
                    bone.constraints.remove(constraint)
        if pose.turns or not pose.action:
            remove_bone_drivers(one)
        for name in pose.turns.keys() & one.pose.bones.keys():
            bone = one.pose.bones[name]
            bone.rotation_mode = "QUATERNION"
            bone.rotation_quaternion = Quaternion(pose.turns[name])
