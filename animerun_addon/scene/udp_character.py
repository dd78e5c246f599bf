# SPDX-License-Identifier: GPL-3.0-or-later
"""A character as Ultra-Dense Pose sees it: its rest coordinates in its own frame, and what they are encoded with.

Rest coordinates in the armature's space are rest_pose.py's; pictures of them are made elsewhere.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import bpy
import numpy as np

from ..labels.body import Body
from ..labels.facing import facing_by_hand
from ..labels.framing import axes_looking_along
from ..labels.projection import transformed
from ..labels.skeleton import PoseCheck, check_bones
from ..labels.snapshot import Float32, Float64, Int32, Snapshot
from ..labels.udp_encoding import Preset, UdpEncoding
from ..labels.vectors import level, unit
from ..udp_choices import EncodingChoice, Rest, RestChoice
from .characters import Character, named_character
from .rest_pose import REST_ATTRIBUTE, RestCoordinates, RestPose, rest_coordinates
from .skeletons import a_pose_rotations
from .topology import TopologyCache, same_vertices

UP, BACK = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
# This much of a direction shows nothing.
_HARDLY = 0.1
_DEFORMERS = {"ARMATURE", "LATTICE", "MESH_DEFORM", "SURFACE_DEFORM"}


@dataclass(frozen=True)
class UdpCharacter:
    """Coordinates are in the character's own frame: X its left, Y its back, Z up, metres."""

    name: str
    by_object: Mapping[str, Float32]  # (V, 3) rest coordinates of the evaluated meshes, by full name
    triangles: Mapping[str, Int32]  # (T, 3) of the same meshes
    topologies: Mapping[str, Hashable]  # of the same meshes
    triangulated: TopologyCache  # so are they
    check: PoseCheck  # of the pose that it rests in
    encoding: UdpEncoding
    body_height_m: float
    rest: str  # which pose that is, in words
    notes: tuple[str, ...]
    cages: Mapping[str, Float32] = field(default_factory=dict)  # (V, 3) of the meshes themselves, if asked for

    @property
    def character_from_armature(self) -> Float64:
        """(3, 3), as the character faces."""
        return self.check.facing.character_from_armature

    @cached_property
    def clipped_surface(self) -> float:
        """The share of the rest surface that the encoding cannot hold."""
        starts = np.cumsum([0, *(len(points) for points in self.by_object.values())])
        joined = [self.triangles[name] + start for name, start in zip(self.by_object, starts[:-1], strict=True)]
        points = np.concatenate(list(self.by_object.values()))
        return self.encoding.clipped_share(points, np.concatenate(joined))

    def rest_on(self, snapshot: Snapshot) -> tuple[Snapshot, tuple[str, ...]]:
        """A frame with this character's rest coordinates and nobody else's, and what has none, and why.

        The snapshot may have rest coordinates of the attribute REST_ATTRIBUTE: they count where the mesh is another.
        """
        own = np.full((len(snapshot.positions), 3), np.nan, np.float32)
        notes: dict[str, None] = {}
        for instance in snapshot.instances:
            name, rows = instance.object_name, instance.vertices
            if name not in self.by_object:
                continue
            if same_vertices(instance.topology, self.topologies[name]):
                own[rows] = self.by_object[name]
                continue
            notes[
                f"Object '{name}' is another mesh at frame {snapshot.frame:g} ({instance.vertex_count} vertices) than "
                f"in the rest pose ({len(self.by_object[name])}): its attribute '{REST_ATTRIBUTE}' counts, "
                "if it has one"
            ] = None
            if snapshot.rest_positions is not None:
                own[rows] = snapshot.rest_positions[rows] @ self.character_from_armature.T
        return replace(snapshot, rest_positions=own), tuple(notes)

    def points_of(self, snapshot: Snapshot) -> Float64:
        """(N, 3) where its vertices are in the world at a frame."""
        rows = [one.vertices for one in snapshot.instances if one.object_name in self.by_object]
        return np.concatenate([snapshot.positions[each] for each in rows]) if rows else np.empty((0, 3))


def front_axes(hero: UdpCharacter, depsgraph: bpy.types.Depsgraph, rig: bpy.types.Object) -> Float64:
    """(3, 3) axes of an upright camera that looks the character in the face, as its armature stands at that frame."""
    # Within a collection that is instanced the armature stands where its instance does.
    rows = (row.matrix_world.copy() for row in depsgraph.object_instances if row.object.original == rig)
    world_from_rig = next(rows, None) or rig.evaluated_get(depsgraph).matrix_world
    back = level(unit(np.array(world_from_rig.to_3x3(), np.float64) @ hero.character_from_armature[1]), UP)
    # Of one that lies on the ground, from the side that a new scene shows.
    return axes_looking_along(back if np.linalg.norm(back) > _HARDLY else BACK, UP)


def udp_character(
    scene: bpy.types.Scene,
    name: str,
    choice: RestChoice,
    encoding: EncodingChoice,
    frames: Iterable[float] | None = None,
    with_cages: bool = False,
) -> UdpCharacter:
    """The character of that name; at `frames`, the current one unless told, its meshes are compared right now."""
    character = named_character(scene, name)
    by_hand = facing_by_hand(choice.front, choice.up) if choice.front else None
    pose = rest_pose(character.rig, choice, by_hand)
    rest = rest_coordinates(scene, name, pose, frames, with_cages)
    check = check_bones(rest.bones, by_hand)
    turned, cages = (
        {thing: _turned(points, check.facing.character_from_armature) for thing, points in one.items()}
        for one in (rest.by_object, rest.cages)
    )
    body = _body_box(character, turned)
    measured_m = float(body[1, 2] - body[0, 2])
    height_m = encoding.body_height_m or measured_m
    return UdpCharacter(
        name,
        turned,
        rest.triangles,
        rest.topologies,
        rest.triangulated,
        check,
        _encoding(encoding, turned, body, height_m, _middle(rest, check, body)),
        height_m,
        _in_words(choice),
        (*rest.notes, *_height_notes(height_m, measured_m)),
        cages,
    )


def _height_notes(height_m: float, measured_m: float) -> Iterator[str]:
    """A height in metres, of a character that was built in centimetres and scaled down."""
    if not measured_m / 2 <= height_m <= measured_m * 2:
        yield (
            f"The body is {measured_m:.3g} high in its armature's own units, whatever scale the armature has, and not "
            f"{height_m:.3g}: give 0 to measure it"
        )


def _turned(points: Float32, rotation: Float64) -> Float32:
    """(N, 3) through a (3, 3)."""
    matrix = np.column_stack((rotation, np.zeros(3)))
    return transformed(matrix, points.astype(np.float64)).T.astype(np.float32, order="C")


def rest_pose(rig: bpy.types.Object, choice: RestChoice, facing: Float64 | None = None) -> RestPose:
    """How the armature is to stand; `facing` (3, 3) is character_from_armature where that is set by hand."""
    match choice.rest:
        case Rest.REST:
            return RestPose()
        case Rest.FRAME:
            return RestPose(frame=choice.frame)
        case Rest.ACTION:
            return RestPose(action=choice.action, frame=choice.frame)
    turns = a_pose_rotations(rig, choice.arms_deg, facing=facing)
    return RestPose(turns={bone: tuple(matrix.to_quaternion()) for bone, matrix in turns.items()})


def _in_words(choice: RestChoice) -> str:
    words = {
        Rest.REST: "the armature's rest position",
        Rest.A_POSE: f"the armature's rest position with its arms at {choice.arms_deg:g} degrees",
        Rest.FRAME: f"the scene at frame {choice.frame:g}",
        Rest.ACTION: f"action '{choice.action}' at frame {choice.frame:g}",
    }[choice.rest]
    return f"{words}; front {choice.front}, up {choice.up}" if choice.front else words


def _body_box(character: Character, rest: Mapping[str, Float32]) -> Float64:
    """(2, 3) The box around what the armature deforms, hats and swords on bones left out; around all if that is none.

    Hair that is deformed belongs to it: nothing tells it from a head.
    """
    skinned = {
        thing.name_full
        for thing in character.things
        if any(modifier.type in _DEFORMERS for modifier in thing.modifiers) or thing.parent_type == "ARMATURE"
    }
    names = [name for name in rest if name in skinned] or list(rest)
    return _box(rest[name] for name in names)


def _box(arrays: Iterable[Float32]) -> Float64:
    """(2, 3) The lowest and the highest corner of the box around points (V, 3)."""
    boxes = np.array([(points.min(axis=0), points.max(axis=0)) for points in arrays], np.float64)
    return np.array([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)])


def _middle(rest: RestCoordinates, check: PoseCheck, body: Float64) -> tuple[float, float]:
    """X and Y of the body's axis: between shoulders and hips, or in the middle of its box without such joints."""
    limbs = Body(rest.bones, None)
    pairs = [pair for pair in (limbs.arms, limbs.legs) if len(pair) == 2]
    if not pairs:
        return float(body[:, 0].mean()), float(body[:, 1].mean())
    joints = [limb.start for pair in pairs for limb in pair.values()]
    x, y, _ = check.facing.character_from_armature @ np.mean(joints, axis=0)
    return float(x), float(y)


def _encoding(
    choice: EncodingChoice,
    rest: Mapping[str, Float32],
    body: Float64,
    height_m: float,
    middle_m: tuple[float, float],
) -> UdpEncoding:
    if choice.scale is not None and choice.offset is not None:
        return UdpEncoding(choice.scale, choice.offset)
    if choice.preset is Preset.UNIFORM:
        return UdpEncoding.uniform(_box(rest.values()))
    return UdpEncoding.conr(height_m, float(body[0, 2]), middle_m)
