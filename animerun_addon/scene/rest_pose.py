# SPDX-License-Identifier: GPL-3.0-or-later
"""Rest coordinates: where each point of a character's surface is while it stands in its rest pose.

They are read off the character evaluated in that pose with all that builds it, vertex by vertex of what renders.
How it is made to stand so: rest_copies.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import bpy
import numpy as np

from ..errors import InputError
from ..labels.bones import Bone
from ..labels.projection import transformed
from ..labels.snapshot import Float32, Float64, Int32
from .characters import named_character, shown_in_renders
from .engine import with_render_depsgraph
from .meshes import read_mesh, read_positions
from .rest_animation import is_animated
from .rest_copies import SIMULATED, RestPose, RestScene, rest_scene
from .skeletons import read_bones
from .surfaces import NO_SURFACES
from .topology import TopologyCache

__all__ = ["REST_ATTRIBUTE", "RestCoordinates", "RestPose", "rest_coordinates"]

# A vector on each vertex, in armature space, that counts where the rest pose cannot be matched. For SnapshotReader.
REST_ATTRIBUTE = "AnimeRun rest"
# What Blender computes from the frames before, by what its interface calls it.
_SIMULATIONS = {"CLOTH": "Cloth", "SOFT_BODY": "Soft body"}
# So many objects that are not rendered have a note each.
_NAMED_HIDDEN = 3
# An armature that is scaled down to this volume has no space to measure in.
_NO_VOLUME = 1e-18


@dataclass(frozen=True)
class RestCoordinates:
    """Of one character, in its armature's own space: X its left, Y its back, Z up, if it was built that way."""

    by_object: Mapping[str, Float32]  # (V, 3) of the evaluated mesh at render levels, by full name
    triangles: Mapping[str, Int32]  # (T, 3) of the same meshes, rows of the vertices
    topologies: Mapping[str, Hashable]  # of the same meshes, for topology.same_vertices()
    triangulated: TopologyCache  # for SnapshotReader: how quads are split must not depend on the frame
    bones: tuple[Bone, ...]  # of the armature, as it stands in this pose
    notes: tuple[str, ...]  # what has none, and why, in the user's words
    cages: Mapping[str, Float32] = field(default_factory=dict)  # (V, 3) of the meshes themselves, if asked for

    @property
    def bounds(self) -> tuple[Float32, Float32]:
        """The lowest and the highest corner (3,) of the box around the whole rest surface."""
        arrays = self.by_object.values()
        return np.min([one.min(axis=0) for one in arrays], axis=0), np.max([one.max(axis=0) for one in arrays], axis=0)


class _Surface(NamedTuple):
    """A mesh as it renders."""

    world: Float64  # (V, 3)
    triangles: Int32  # (T, 3)
    topology: Hashable


def rest_coordinates(
    scene: bpy.types.Scene,
    character_name: str,
    pose: RestPose | None = None,
    frames: Iterable[float] | None = None,
    with_cages: bool = False,
) -> RestCoordinates:
    """The rest coordinates of a character, named as characters.characters() has it.

    At each of `frames` (the current one unless told) it is made sure that what renders is the same mesh: objects that
    are another one there are left out, with a note. Other frames are the caller's to look after, by the topologies.
    Cages are read with the modifiers that only move vertices, and without those that make or remove any.
    """
    pose = pose or RestPose()
    character = named_character(scene, character_name)
    if strangers := sorted(pose.turns.keys() - character.rig.pose.bones.keys()):
        raise InputError(f"Character '{character_name}' has no bone '{strangers[0]}' to turn")
    notes = _Notes()
    shown = shown_in_renders(scene)
    wanted = [thing for thing in character.things if notes.is_surface(thing, thing in shown)]
    names = {thing.name_full for thing in wanted}
    topologies = TopologyCache()
    with rest_scene(scene, character, pose, with_cages) as rest:
        at_rest, cages, rig_from_world, bones = _read_rest(
            rest, pose.frame_in(scene), names, topologies, character_name
        )
        frames = [scene.frame_current_final] if frames is None else list(frames)
        posed = _read_posed(rest, wanted, frames, names & at_rest.keys(), topologies) if frames else {}
    found: dict[str, Float32] = {}
    triangles: dict[str, Int32] = {}
    tokens: dict[str, Hashable] = {}
    for name in sorted(names):
        surface = notes.only_one(name, at_rest.get(name, []))
        if surface is not None and notes.fits(name, surface, posed.get(name, ())):
            found[name] = _moved(surface.world, rig_from_world).astype(np.float32)
            triangles[name], tokens[name] = surface.triangles, surface.topology
    if not found:
        reasons = "; ".join(notes.texts) or "it has no faces"
        raise InputError(f"Character '{character_name}' has no surface to give rest coordinates to: {reasons}")
    in_rig = {name: _moved(cages[name], rig_from_world).astype(np.float32) for name in found if name in cages}
    return RestCoordinates(found, triangles, tokens, topologies, tuple(bones), tuple(notes.texts), in_rig)


def _read_rest(
    rest: RestScene, frame: float, names: set[str], topologies: TopologyCache, character_name: str
) -> tuple[dict[str, list[_Surface]], dict[str, Float64], Float64, list[Bone]]:
    """All surfaces and cages of the character, by the originals' full names, (4, 4) armature from world, the bones.

    Cages are (V, 3) in the world.
    """
    surfaces: dict[str, list[_Surface]] = {}
    cages: dict[str, Float64] = {}
    placements: list[tuple[Float64, list[Bone]]] = []

    def visit(_: float, depsgraph: bpy.types.Depsgraph) -> None:
        originals = {copy: original.name_full for copy, original in rest.originals.items()}
        for name, surface in _surfaces(depsgraph, topologies):
            # What stands here as the user's own object is in a collection that the character holds.
            original = originals.get(name, name)
            if original in names:
                surfaces.setdefault(original, []).append(surface)
        cages.update(_cages(depsgraph, rest))
        rig = rest.rig.evaluated_get(depsgraph)
        placements.append((np.array(rig.matrix_world, np.float64), read_bones(rig, posed=True)))

    with_render_depsgraph(rest.scene, [frame], visit)
    ((world_from_rig, bones),) = placements
    if abs(np.linalg.det(world_from_rig[:3, :3])) < _NO_VOLUME:
        raise InputError(f"The armature of '{character_name}' is scaled to nothing at frame {frame:g}: scale it up")
    return surfaces, cages, np.linalg.inv(world_from_rig), bones


def _read_posed(
    rest: RestScene,
    things: Iterable[bpy.types.Object],
    frames: Iterable[float],
    names: set[str],
    topologies: TopologyCache,
) -> dict[str, list[tuple[float, _Surface]]]:
    """The user's own objects as they render at these frames, in the rest pose's scene instead of the copies."""
    for copied in list(rest.room.objects):
        rest.room.objects.unlink(copied)
    for thing in things:
        is_simulated = any(modifier.type in SIMULATED for modifier in thing.modifiers)
        # Blender evaluates what may come into view, even in a room that cannot be seen into.
        if not is_simulated and not is_animated(thing, "hide_viewport"):
            rest.room.objects.link(thing)
    posed: dict[str, list[tuple[float, _Surface]]] = {}

    def visit(frame: float, depsgraph: bpy.types.Depsgraph) -> None:
        for name, surface in _surfaces(depsgraph, topologies):
            if name in names:
                posed.setdefault(name, []).append((frame, surface))

    with_render_depsgraph(rest.scene, frames, visit)
    return posed


def _surfaces(depsgraph: bpy.types.Depsgraph, topologies: TopologyCache) -> Iterator[tuple[str, _Surface]]:
    """Each mesh with faces that stands in the scene, by its full name."""
    for row in depsgraph.object_instances:
        thing = row.object
        if thing.type == "MESH" and row.show_self and thing.data is not None and thing.data.polygons:
            mesh = read_mesh(thing.data, topologies, frozenset())
            world = _moved(mesh.positions, np.array(row.matrix_world, np.float64))
            yield thing.name_full, _Surface(world, mesh.topology.triangles, mesh.topology.token)


def _cages(depsgraph: bpy.types.Depsgraph, rest: RestScene) -> Iterator[tuple[str, Float64]]:
    """Where the vertices of the meshes themselves are in the world, by the originals' full names."""
    for name, original in rest.cages.items():
        cage = rest.room.objects[name].evaluated_get(depsgraph)
        yield original.name_full, _moved(read_positions(cage.data), np.array(cage.matrix_world, np.float64))


def _moved(points: Float32 | Float64, matrix: Float64) -> Float64:
    """(N, 3) through a (4, 4)."""
    return np.ascontiguousarray(transformed(matrix[:3], points.astype(np.float64)).T)


class _Notes:
    """What has no rest coordinates, and why."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._hidden: list[str] = []

    @property
    def texts(self) -> list[str]:
        """One note each, but of many hidden objects: rigs bring along widgets and rigid bodies by the hundred."""
        if len(self._hidden) <= _NAMED_HIDDEN:
            return [*self._texts, *(f"Object '{name}' is not rendered: no rest coordinates" for name in self._hidden)]
        named = ", ".join(f"'{name}'" for name in self._hidden[:_NAMED_HIDDEN])
        return [*self._texts, f"{len(self._hidden)} objects are not rendered, such as {named}: no rest coordinates"]

    def is_surface(self, thing: bpy.types.Object, is_shown: bool) -> bool:
        """Whether an object may have a surface that renders; `is_shown`: a collection of it does."""
        name = thing.name_full
        for modifier in thing.modifiers:
            if modifier.type == "PARTICLE_SYSTEM" and modifier.show_render:
                self._add(f"Particles '{modifier.particle_system.name}' of '{name}' are no surface of the character")
            # A hidden one may carry what is seen.
            if modifier.type in _SIMULATIONS and modifier.show_render and not modifier.point_cache.is_baked:
                self._add(
                    f"{_SIMULATIONS[modifier.type]} '{modifier.name}' of '{name}' is not baked: bake it, or frames may "
                    "not fit together"
                )
        if thing.type in NO_SURFACES:
            self._add(f"Object '{name}' {NO_SURFACES[thing.type]}, not a surface: no rest coordinates")
        elif thing.type == "META":
            self._add(f"Metaball '{name}' gets a new mesh at every frame: no rest coordinates")
        elif thing.type in {"MESH", "CURVE", "SURFACE", "FONT"}:
            if is_shown and _is_drawn(thing):
                return True
            self._hidden.append(name)
        return False

    def only_one(self, name: str, surfaces: list[_Surface]) -> _Surface | None:
        """The object's surface."""
        if len(surfaces) == 1:
            return surfaces[0]
        many = f"is {len(surfaces)} instances: realize them" if surfaces else "has no faces"
        self._add(f"Object '{name}' {many}: no rest coordinates")
        return None

    def fits(self, name: str, rest: _Surface, posed: Iterable[tuple[float, _Surface]]) -> bool:
        """Whether vertices of the rest pose are those of the frames."""
        for frame, surface in posed:
            if surface.topology != rest.topology:
                self._add(
                    f"Object '{name}' is another mesh at frame {frame:g} ({len(surface.world)} vertices) than in the "
                    f"rest pose ({len(rest.world)}): its attribute '{REST_ATTRIBUTE}' counts, if it has one"
                )
                return False
        return True

    def _add(self, text: str) -> None:
        self._texts.append(text)


def _is_drawn(thing: bpy.types.Object) -> bool:
    """Whether an object renders at any frame."""
    if thing.display_type in {"WIRE", "BOUNDS"} or not thing.visible_camera:
        return False
    return not thing.hide_render or is_animated(thing, "hide_render")
