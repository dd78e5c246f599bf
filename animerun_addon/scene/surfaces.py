# SPDX-License-Identifier: GPL-3.0-or-later
"""Goes through a depsgraph: what is a surface, whether it is drawn, who it is, and what else there is to be told of."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

import bpy

from ..labels.snapshot import Float32
from .draw_rules import DrawRules
from .instances import LayerFlags, read_placements
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
    in_front: bool
    holds_out: bool
    no_correspondence: str | None


class Standing(NamedTuple):
    """What is decided by the thing that stands in the view layer: the instancer, or the object itself."""

    name: str
    is_seen: bool
    holds_out: bool
    has_particles: bool


class Place(NamedTuple):
    """One instance of a shape."""

    key: Hashable
    look: Look
    row: int  # of the depsgraph's instances
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
        self,
        rules: DrawRules,
        materials: Materials,
        objects: StableNumbers,
        topologies: TopologyCache,
        rest_attribute: str,
        only: Collection[str] | None = None,
    ) -> None:
        self._rules = rules
        self._materials = materials
        self._objects = objects
        self._topologies = topologies
        self._rest_attribute = rest_attribute
        self._only = only
        self._notes: dict[str, None] = {}
        # By evaluated ID, good for this frame only.
        self._sources: dict[tuple[bpy.types.ID, bpy.types.ID], tuple[Look, Shape | None]] = {}
        self._standings: dict[bpy.types.ID, Standing] = {}
        self._shapes: dict[Hashable, Shape] = {}
        self._meshes: dict[Hashable, MeshArrays] = {}

    @property
    def shapes(self) -> list[Shape]:
        """All that is drawn."""
        return [shape for shape in self._shapes.values() if shape.places]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is there and has no labels, each thing once."""
        return tuple(self._notes)

    def read(self, depsgraph: bpy.types.Depsgraph) -> Float32:
        """Go through all of the depsgraph's instances; (N, 3, 4) world_from_object of all, which places point into."""
        layer = LayerFlags(depsgraph.view_layer_eval)
        count = 0
        # A row and what it gives are Blender's to reuse at the next turn: nothing of them is kept.
        for number, row in enumerate(depsgraph.object_instances):
            if row.is_instance:
                self._read_instance(row, number, layer)
            else:
                self._read_object(row, number, layer)
            count = number + 1
        return read_placements(depsgraph, count)

    def _read_object(self, row: bpy.types.DepsgraphObjectInstance, number: int, layer: LayerFlags) -> None:
        thing = row.object
        self._note_what_else(thing)
        if not row.show_self or thing.type != "MESH":
            return
        look, shape = self._read_source(thing)
        if shape is not None:
            is_seen, holds_out = layer.shows(thing)
            self._place(shape, Place(look.name, look, number, holds_out), is_seen)

    def _read_instance(self, row: bpy.types.DepsgraphObjectInstance, number: int, layer: LayerFlags) -> None:
        drawn = row.object
        data = drawn.data
        if data is None or not row.show_self:
            return
        # The object that is drawn is one that Blender fills anew for each row; its data are the source's.
        who = (row.instance_object, data)
        source = self._sources.get(who)
        if source is None:
            self._note_what_else(drawn)
            source = self._sources[who] = self._read_source(drawn)
        look, shape = source
        if shape is None:
            return
        stands = row.parent
        standing = self._standings.get(stands)
        if standing is None:
            standing = self._standings[stands] = Standing(
                stands.name_full, *layer.shows(stands), bool(stands.particle_systems)
            )
        particles = row.particle_system if standing.has_particles else None
        key = (look.name, standing.name, particles.name if particles else "", row.persistent_id[:])
        self._place(shape, Place(key, look, number, look.holds_out or standing.holds_out), standing.is_seen)

    def _place(self, shape: Shape, place: Place, is_seen: bool) -> None:
        if self._only is not None and place.look.name not in self._only:
            return
        if is_seen:
            shape.places.append(place)
        else:
            self._note(f"Object '{place.look.name}' is invisible to the camera: no labels")

    def _read_source(self, drawn: bpy.types.Object) -> tuple[Look, Shape | None]:
        """How an object is drawn, and its shape, None when it is not."""
        name = drawn.name_full
        is_metaball = drawn.original.type == "META"
        look = Look(
            name,
            self._objects.of(name),
            self._rules.uses_in_front and drawn.show_in_front,
            drawn.is_holdout,
            f"Metaball '{name}' gets a new mesh at every frame" if is_metaball else None,
        )
        if drawn.type != "MESH":
            return look, None
        if drawn.display_type in {"WIRE", "BOUNDS"}:
            self._note(f"Object '{name}' is displayed as {drawn.display_type.lower()}: no labels")
            return look, None
        if not drawn.visible_camera:
            self._note(f"Object '{name}' is invisible to the camera: no labels")
            return look, None
        return look, self._read_shape(drawn, drawn.data)

    def _read_shape(self, drawn: bpy.types.Object, mesh: bpy.types.Mesh) -> Shape | None:
        """A mesh in its own materials; an object whose slots hold materials of their own makes another shape of it."""
        what: Hashable = mesh
        if self._materials.has_own(drawn):
            what = (mesh, self._materials.slots(drawn, mesh))
        shape = self._shapes.get(what)
        if shape is None and mesh.polygons:
            slots = self._materials.slots(drawn, mesh)
            uv_maps = frozenset(slot.uv_map for slot in slots if slot.cutout_id >= 0)
            shape = self._shapes[what] = Shape(self._mesh(mesh, uv_maps), slots)
        return shape

    def _mesh(self, mesh: bpy.types.Mesh, uv_maps: frozenset[str | None]) -> MeshArrays:
        what = (mesh, uv_maps)
        if what not in self._meshes:
            self._meshes[what] = read_mesh(mesh, self._topologies, uv_maps, self._rest_attribute)
        return self._meshes[what]

    def _note(self, text: str) -> None:
        self._notes[text] = None

    def _note_what_else(self, drawn: bpy.types.Object) -> None:
        if drawn.type in NO_SURFACES:
            self._note(f"Object '{drawn.name}' {NO_SURFACES[drawn.type]}, not a surface: no labels")
        if drawn.particle_systems:
            for modifier in drawn.modifiers:
                if modifier.type == "PARTICLE_SYSTEM" and modifier.show_render:
                    self._note_particles(drawn.name, modifier.particle_system)

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
