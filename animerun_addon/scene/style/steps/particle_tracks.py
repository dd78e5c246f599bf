# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the objects that particles show are at every frame of a scene. What becomes of them: particles.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix

from ...engine import with_render_depsgraph
from ..memory import Memory

MOST_OBJECTS = 5_000  # of one system: more make Blender slow

Key = tuple[int, str]  # the emitter's session_uid, the system's name
Floats = npt.NDArray[np.float64]

_SHEAR = 1e-3  # cosine of the angle between axes


class System(NamedTuple):
    """A particle system and what it is on."""

    emitter: bpy.types.Object
    modifier: bpy.types.ParticleSystemModifier

    @property
    def particles(self) -> bpy.types.ParticleSystem:
        """Itself."""
        return self.modifier.particle_system

    @property
    def settings(self) -> bpy.types.ParticleSettings:
        """Its settings, which others may share."""
        return self.particles.settings

    @property
    def key(self) -> Key:
        """What tells it from all others."""
        return self.emitter.session_uid, self.particles.name

    @property
    def sources(self) -> list[bpy.types.Object]:
        """The objects that it shows."""
        if self.settings.render_type == "COLLECTION" and self.settings.instance_collection is not None:
            return list(self.settings.instance_collection.all_objects)
        return [self.settings.instance_object] if self.settings.instance_object is not None else []

    @property
    def is_settled(self) -> bool:
        """Whether it shows the same whatever was shown before."""
        return self.settings.type == "HAIR" or self.particles.point_cache.is_baked


@dataclass
class Track:
    """Where one particle shows one object, for the frames in which it does."""

    source: bpy.types.Object
    has_modifiers: bool  # that make another shape of the source's data
    frames: list[int] = field(default_factory=list)
    matrices: list[Matrix] = field(default_factory=list)
    source_matrices: list[Matrix] = field(default_factory=list)  # only of sources with modifiers

    @cached_property
    def world_from_object(self) -> Floats:
        """(K, 4, 4), for something with the source's data."""
        return np.array(self.matrices, np.float64)

    @property
    def world_from_source(self) -> Floats:
        """(K, 4, 4), for something that carries the source itself, wherever that is."""
        return self.world_from_object @ np.linalg.pinv(np.array(self.source_matrices, np.float64))

    @property
    def is_sheared(self) -> bool:
        """Whether no location, rotation and scale make the same of it."""
        axes = self.world_from_object[:, :3, :3]
        axes = axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-12)
        cosines = np.swapaxes(axes, 1, 2) @ axes - np.eye(3) * (np.linalg.norm(axes, axis=1)[:, None, :] > 0)
        return bool(np.abs(cosines).max() > _SHEAR)


def read_tracks(scene: bpy.types.Scene, memory: Memory, systems: list[System]) -> dict[Key, list[Track] | None]:
    """The tracks of all particles of these systems in the scene's frames; None for a system with too many."""
    tracks: dict[Key, dict[tuple[int, ...], Track] | None] = {system.key: {} for system in systems}
    # An unbaked simulation is only right when it is played from its start.
    starts = [system.particles.point_cache.frame_start for system in systems if not system.is_settled]
    frames = range(min([scene.frame_start, *starts]), scene.frame_end + 1)

    def visit(frame: float, depsgraph: bpy.types.Depsgraph) -> None:
        if frame >= scene.frame_start:
            _read(depsgraph, int(frame), tracks)

    with _as_before(memory, systems):
        with_render_depsgraph(scene, frames, visit)
    return {key: None if found is None else list(found.values()) for key, found in tracks.items()}


def _read(depsgraph: bpy.types.Depsgraph, frame: int, tracks: dict[Key, dict[tuple[int, ...], Track] | None]) -> None:
    # A row and what it gives are Blender's to reuse at the next turn: nothing of them is kept.
    for row in depsgraph.object_instances:
        if not row.is_instance or row.particle_system is None or not row.show_self:
            continue
        key = (row.parent.original.session_uid, row.particle_system.name)
        found = tracks.get(key)
        if found is None:
            continue
        source = row.instance_object
        who = (*row.persistent_id, source.original.session_uid)
        track = found.get(who)
        if track is None:
            if len(found) == MOST_OBJECTS:
                tracks[key] = None
                continue
            track = found[who] = Track(source.original, _has_modifiers(source))
        track.frames.append(frame)
        track.matrices.append(row.matrix_world.copy())
        if track.has_modifiers:
            track.source_matrices.append(source.matrix_world.copy())


def _has_modifiers(evaluated: bpy.types.Object) -> bool:
    # Blender leaves out the modifiers of what is itself hidden in the frame.
    as_it_is = evaluated.type == "MESH" and evaluated.data.original == evaluated.original.data
    return bool(evaluated.modifiers) and not as_it_is


@contextlib.contextmanager
def _as_before(memory: Memory, systems: Iterable[System]) -> Iterator[None]:
    """Show, while frames are read, what other scenes' conversions have hidden."""
    paths = [
        (root, path)
        for system in systems
        for root, path in ((system.modifier, "show_render"), (system.emitter, "hide_render"))
    ]
    now = [(root, path, getattr(root, path)) for root, path in paths]
    changed = [(root, path, value) for root, path, value in now if value != memory.before(root, path)]
    for root, path, _ in changed:
        setattr(root, path, memory.before(root, path))
    try:
        yield
    finally:
        for root, path, value in changed:
            setattr(root, path, value)
