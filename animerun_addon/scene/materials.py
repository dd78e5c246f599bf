# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object's material slots mean for the labels: ids that stay, back-face culling, cut-outs."""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from ..labels.snapshot import NO_SURFACE, Cutout
from .cutouts import find_cutout
from .draw_rules import DrawRules


class StableNumbers:
    """Numbers names in the order in which they are first seen, and keeps the numbers."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, name: str) -> int:
        """The same number for the same name."""
        return self._numbers.setdefault(name, len(self._numbers))

    @property
    def names(self) -> tuple[str, ...]:
        """By number."""
        return tuple(self._numbers)


@dataclass(frozen=True)
class Slot:
    """One material slot of an object."""

    material_id: int
    culls_back: bool
    cutout_id: int  # -1 for none
    uv_map: str  # of the cut-out


class Materials:
    """Reads slots; images are read once in its life."""

    def __init__(self, rules: DrawRules) -> None:
        self._rules = rules
        self._slots: dict[str, Slot] = {}
        self._ids = StableNumbers()
        self._cutouts: list[Cutout] = []

    @property
    def names(self) -> tuple[str, ...]:
        """By material id."""
        return self._ids.names

    @property
    def cutouts(self) -> tuple[Cutout, ...]:
        """By cut-out id."""
        return tuple(self._cutouts)

    def slots(self, instance: bpy.types.Object, mesh: bpy.types.Mesh) -> tuple[Slot, ...]:
        """The slots of an evaluated object that draws `mesh`, at least one."""
        of_object = instance.material_slots
        of_mesh = mesh.materials
        materials = []
        for index in range(max(len(of_object), len(of_mesh), 1)):
            # Geometry nodes add materials that the object itself has no slots for.
            if index < len(of_object) and (of_object[index].link == "OBJECT" or index >= len(of_mesh)):
                materials.append(of_object[index].material)
            else:
                materials.append(of_mesh[index] if index < len(of_mesh) else None)
        return tuple(map(self._slot, materials))

    def _slot(self, material: bpy.types.Material | None) -> Slot:
        if material is None:
            return Slot(NO_SURFACE, self._rules.culls_all, -1, "")
        name = material.name_full
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = self._read_slot(material)
        return slot

    def _read_slot(self, material: bpy.types.Material) -> Slot:
        culls = self._rules.culls_all or (self._rules.culls_by_material and material.use_backface_culling)
        cutout_id, uv_map = -1, ""
        texture = find_cutout(material.original) if self._rules.uses_cutouts else None
        if texture is not None:
            cutout_id, uv_map = len(self._cutouts), texture.uv_map
            self._cutouts.append(texture.cutout)
        return Slot(self._ids.of(material.name_full), culls, cutout_id, uv_map)
