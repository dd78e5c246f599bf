# SPDX-License-Identifier: GPL-3.0-or-later
"""Rest coordinates: where each point of a character's surface is while it stands in its rest pose.

They are read off the character evaluated in that pose with all that builds it, vertex by vertex of what renders.
How it is made to stand so: rest_copies.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import bpy
import numpy as np

from ..errors import InputError
from ..labels.snapshot import Float32, Float64
from .characters import Character, find_characters
from .engine import with_render_depsgraph
from .meshes import read_mesh
from .rest_animation import is_animated
from .rest_copies import SIMULATED, RestPose, RestScene, rest_scene
from .surfaces import NO_SURFACES
from .topology import TopologyCache

__all__ = ["REST_ATTRIBUTE", "RestCoordinates", "RestPose", "rest_coordinates"]

# A vector on each vertex, in armature space, that counts where the rest pose cannot be matched. For SnapshotReader.
REST_ATTRIBUTE = "AnimeRun rest"
# An armature that is scaled down to this volume has no space to measure in.
_NO_VOLUME = 1e-18


@dataclass(frozen=True)
class RestCoordinates:
    """Of one character, in its armature's own space: X its left, Y its back, Z up, if it was built that way."""

    by_object: Mapping[str, Float32]  # (V, 3) of the evaluated mesh at render levels, by full name
    notes: tuple[str, ...]  # what has none, and why, in the user's words

    @property
    def bounds(self) -> tuple[Float32, Float32]:
        """The lowest and the highest corner (3,) of the box around the whole rest surface."""
        arrays = self.by_object.values()
        return np.min([one.min(axis=0) for one in arrays], axis=0), np.max([one.max(axis=0) for one in arrays], axis=0)


class _Surface(NamedTuple):
    """A mesh as it renders."""

    world: Float64  # (V, 3)
    topology: Hashable


def rest_coordinates(
    scene: bpy.types.Scene, character_name: str, pose: RestPose | None = None, frames: Iterable[float] | None = None
) -> RestCoordinates:
    """The rest coordinates of a character, named as characters.characters() has it.

    At each of `frames` (the current one unless told) it is made sure that what renders is the same mesh: objects that
    are another one there are left out, with a note. Other frames are the caller's to look after.
    """
    pose = pose or RestPose()
    character = _character(scene, character_name)
    if strangers := sorted(pose.turns.keys() - character.rig.pose.bones.keys()):
        raise InputError(f"Character '{character_name}' has no bone '{strangers[0]}' to turn")
    notes = _Notes()
    wanted = [thing for thing in character.things if notes.is_surface(thing)]
    names = {thing.name_full for thing in wanted}
    topologies = TopologyCache()
    with rest_scene(scene, character, pose) as rest:
        at_rest, rig_from_world = _read_rest(rest, pose.frame_in(scene), names, topologies, character_name)
        frames = [scene.frame_current_final] if frames is None else list(frames)
        posed = _read_posed(rest, wanted, frames, names & at_rest.keys(), topologies)
    found: dict[str, Float32] = {}
    for name in sorted(names):
        surface = notes.only_one(name, at_rest.get(name, []))
        if surface is not None and notes.fits(name, surface, posed.get(name, ())):
            found[name] = (surface.world @ rig_from_world[:3, :3].T + rig_from_world[:3, 3]).astype(np.float32)
    if not found:
        reasons = "; ".join(notes.texts) or "it has no faces"
        raise InputError(f"Character '{character_name}' has no surface to give rest coordinates to: {reasons}")
    return RestCoordinates(found, tuple(notes.texts))


def _character(scene: bpy.types.Scene, name: str) -> Character:
    found = find_characters(scene)
    if name in found:
        return found[name]
    if not found:
        raise InputError(f"Scene '{scene.name}' has no character: bind a mesh to an armature, or parent it to one")
    raise InputError(f"Scene '{scene.name}' has no character '{name}'; there are: {', '.join(sorted(found))}")


def _read_rest(
    rest: RestScene, frame: float, names: set[str], topologies: TopologyCache, character_name: str
) -> tuple[dict[str, list[_Surface]], Float64]:
    """All surfaces of the character, by the originals' full names, and (4, 4) armature from world."""
    surfaces: dict[str, list[_Surface]] = {}
    placements: list[Float64] = []

    def visit(_: float, depsgraph: bpy.types.Depsgraph) -> None:
        originals = {copy: original.name_full for copy, original in rest.originals.items()}
        for name, surface in _surfaces(depsgraph, topologies):
            # What stands here as the user's own object is in a collection that the character holds.
            original = originals.get(name, name)
            if original in names:
                surfaces.setdefault(original, []).append(surface)
        placements.append(np.array(rest.rig.evaluated_get(depsgraph).matrix_world, np.float64))

    with_render_depsgraph(rest.scene, [frame], visit)
    (world_from_rig,) = placements
    if abs(np.linalg.det(world_from_rig[:3, :3])) < _NO_VOLUME:
        raise InputError(f"The armature of '{character_name}' is scaled to nothing at frame {frame:g}: scale it up")
    return surfaces, np.linalg.inv(world_from_rig)


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
            placed = np.array(row.matrix_world, np.float64)
            yield thing.name_full, _Surface(mesh.positions @ placed[:3, :3].T + placed[:3, 3], mesh.topology.token)


class _Notes:
    """What has no rest coordinates, and why."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def is_surface(self, thing: bpy.types.Object) -> bool:
        """Whether an object may have a surface that renders."""
        name = thing.name_full
        for modifier in thing.modifiers:
            if modifier.type == "PARTICLE_SYSTEM" and modifier.show_render:
                self._add(f"Particles '{modifier.particle_system.name}' of '{name}' are no surface of the character")
        if thing.type in NO_SURFACES:
            self._add(f"Object '{name}' {NO_SURFACES[thing.type]}, not a surface: no rest coordinates")
        elif thing.type == "META":
            self._add(f"Metaball '{name}' gets a new mesh at every frame: no rest coordinates")
        elif thing.type in {"MESH", "CURVE", "SURFACE", "FONT"}:
            if _is_drawn(thing):
                return True
            self._add(f"Object '{name}' is not rendered: no rest coordinates")
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
        self.texts.append(text)


def _is_drawn(thing: bpy.types.Object) -> bool:
    """Whether an object renders at any frame."""
    if thing.display_type in {"WIRE", "BOUNDS"} or not thing.visible_camera:
        return False
    return not thing.hide_render or is_animated(thing, "hide_render")
