# SPDX-License-Identifier: GPL-3.0-or-later
"""Goes through a depsgraph: what is a surface, whether it is drawn, who it is, and what else there is to be told of."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

import bpy

from .draw_rules import DrawRules
from .materials import Materials, Slot, StableNumbers
from .meshes import MeshArrays, read_mesh
from .topology import TopologyCache

# Curves, text, surfaces and metaballs are drawn by MESH rows of their own.
NO_SURFACES = {
    "GREASEPENCIL": "is a Grease Pencil drawing",
    "GPENCIL": "is a Grease Pencil drawing",
    "VOLUME": "is a volume",
    "POINTCLOUD": "is a point cloud",
    "CURVES": "is hair",
}


class Look(NamedTuple):
    """What an object's own settings make of it."""

    name: str
    object_id: int
    is_drawn: bool
    in_front: bool
    holds_out: bool
    no_correspondence: str | None


class Standing(NamedTuple):
    """What is decided by the thing that stands in the view layer: the instancer, or the object itself."""

    name: str
    is_seen: bool
    holds_out: bool


class Place(NamedTuple):
    """One instance of a shape."""

    key: Hashable
    look: Look
    matrix: tuple[float, ...]  # 12 numbers, the first three rows of world_from_object
    holds_out: bool


@dataclass
class Shape:
    """A mesh in its materials, and everywhere it stands."""

    mesh: MeshArrays
    slots: tuple[Slot, ...]
    places: list[Place] = field(default_factory=list)


class SurfaceReader:
    """Reads one frame."""

    def __init__(
        self, rules: DrawRules, materials: Materials, objects: StableNumbers, topologies: TopologyCache
    ) -> None:
        self._rules = rules
        self._materials = materials
        self._objects = objects
        self._topologies = topologies
        self._notes: dict[str, None] = {}
        # By pointer, good for this frame only.
        self._looks: dict[int, Look] = {}
        self._standings: dict[int, Standing] = {}
        self._shape_of: dict[Hashable, Shape | None] = {}
        self._shapes: dict[Hashable, Shape] = {}
        self._meshes: dict[Hashable, MeshArrays] = {}

    @property
    def shapes(self) -> list[Shape]:
        """All that is drawn."""
        return list(self._shapes.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What is there and has no labels, each thing once."""
        return tuple(self._notes)

    def read(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Go through all of the depsgraph's instances."""
        view_layer = depsgraph.view_layer_eval
        # The row and what it gives are Blender's to reuse at the next turn: nothing of them is kept.
        for row in depsgraph.object_instances:
            drawn, is_instance = row.object, row.is_instance
            if not is_instance:
                self._note_what_else(drawn)
            if drawn.type != "MESH" or not row.show_self:
                continue
            original = drawn.original.as_pointer()
            look = self._looks.get(original) or self._read_look(drawn, original)
            stands = row.parent if is_instance else drawn
            standing = self._standings.get(stands.as_pointer()) or self._read_standing(stands, view_layer)
            if not standing.is_seen:
                self._note(f"Object '{look.name}' is invisible to the camera: no labels")
            elif look.is_drawn:
                self._place(row, drawn, (drawn.data.as_pointer(), original), look, standing)

    def _place(
        self,
        row: bpy.types.DepsgraphObjectInstance,
        drawn: bpy.types.Object,
        who: tuple[int, int],
        look: Look,
        standing: Standing,
    ) -> None:
        """Add a row to the shape of its mesh and object `who`, unless that has no faces."""
        if who not in self._shape_of:
            self._shape_of[who] = self._read_shape(drawn, drawn.data)
        shape = self._shape_of[who]
        if shape is None:
            return
        key: Hashable = look.name
        if row.is_instance:
            particles = row.particle_system
            key = (look.name, standing.name, particles.name if particles else "", row.persistent_id[:])
        matrix = row.matrix_world
        holds_out = look.holds_out or standing.holds_out
        shape.places.append(Place(key, look, (*matrix[0], *matrix[1], *matrix[2]), holds_out))

    def _read_look(self, drawn: bpy.types.Object, pointer: int) -> Look:
        name = drawn.original.name_full
        is_solid = drawn.display_type not in {"WIRE", "BOUNDS"}
        if not is_solid:
            self._note(f"Object '{name}' is displayed as {drawn.display_type.lower()}: no labels")
        elif not drawn.visible_camera:
            self._note(f"Object '{name}' is invisible to the camera: no labels")
        is_metaball = drawn.original.type == "META"
        look = self._looks[pointer] = Look(
            name=name,
            object_id=self._objects.of(name),
            is_drawn=is_solid and drawn.visible_camera,
            in_front=self._rules.uses_in_front and drawn.show_in_front,
            holds_out=drawn.is_holdout,
            no_correspondence=f"Metaball '{name}' gets a new mesh at every frame" if is_metaball else None,
        )
        return look

    def _read_standing(self, stands: bpy.types.Object, view_layer: bpy.types.ViewLayer) -> Standing:
        holds_out = stands.holdout_get(view_layer=view_layer)
        is_seen = stands.visible_camera and (holds_out or not stands.indirect_only_get(view_layer=view_layer))
        standing = Standing(stands.original.name_full, is_seen, holds_out)
        self._standings[stands.as_pointer()] = standing
        return standing

    def _read_shape(self, drawn: bpy.types.Object, mesh: bpy.types.Mesh) -> Shape | None:
        if not mesh.polygons:
            return None
        # Slots can be the object's own: a shape is a mesh with those.
        slots = self._materials.slots(drawn, mesh)
        what = (mesh.as_pointer(), slots)
        if what not in self._shapes:
            uv_maps = frozenset(slot.uv_map for slot in slots if slot.cutout_id >= 0)
            self._shapes[what] = Shape(self._mesh(mesh, uv_maps), slots)
        return self._shapes[what]

    def _mesh(self, mesh: bpy.types.Mesh, uv_maps: frozenset[str]) -> MeshArrays:
        what = (mesh.as_pointer(), uv_maps)
        if what not in self._meshes:
            self._meshes[what] = read_mesh(mesh, self._topologies, uv_maps)
        return self._meshes[what]

    def _note(self, text: str) -> None:
        self._notes[text] = None

    def _note_what_else(self, drawn: bpy.types.Object) -> None:
        if drawn.type in NO_SURFACES:
            self._note(f"Object '{drawn.name}' {NO_SURFACES[drawn.type]}, not a surface: no labels")
        for system in drawn.particle_systems:
            self._note_particles(drawn.name, system)

    def _note_particles(self, name: str, system: bpy.types.ParticleSystem) -> None:
        settings = system.settings
        if settings.type == "HAIR":
            if settings.render_type == "PATH":
                self._note(f"Particle hair '{system.name}' on '{name}' is not a surface: no labels")
        elif settings.render_type in {"HALO", "LINE", "PATH"}:
            self._note(f"Particles '{system.name}' of '{name}' are not surfaces: no labels")
        elif settings.render_type in {"OBJECT", "COLLECTION"} and not system.point_cache.is_baked:
            self._note(
                f"Particles '{system.name}' of '{name}' are not baked: bake them, or frames may not fit together"
            )
