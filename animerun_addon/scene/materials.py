# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object's material slots mean for the labels: ids that stay, back-face culling, cut-outs."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..labels.snapshot import NO_SURFACE, Cutout
from .cutouts import IN_PLACE, Opacity, Placing, read_opacity, read_texture_alone
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
    uv_map: str | None  # of the cut-out
    texture_from_uv: Placing


class Materials:
    """Reads slots, each material once a frame: culling can be animated. Images: once, or with animated nodes."""

    def __init__(self, rules: DrawRules) -> None:
        self._rules = rules
        self._slots: dict[str, Slot] = {}
        self._ids = StableNumbers()
        self._cutouts: list[Cutout] = []
        self._opacities: dict[str, tuple[Opacity, int]] = {}

    def next_frame(self) -> None:
        """Look at materials anew."""
        self._slots.clear()

    @property
    def names(self) -> tuple[str, ...]:
        """By material id."""
        return self._ids.names

    @property
    def notes(self) -> tuple[str, ...]:
        """What this frame's materials do that the labels do not show."""
        problems = {name: self._opacities[name][0].problem for name in self._slots if name in self._opacities}
        return tuple(f"Material '{name}' {problem}" for name, problem in problems.items() if problem)

    @property
    def cutouts(self) -> tuple[Cutout, ...]:
        """By cut-out id."""
        return tuple(self._cutouts)

    @staticmethod
    def has_own(instance: bpy.types.Object) -> bool:
        """Whether any slot of an evaluated object holds a material that is not its mesh's."""
        slots = instance.material_slots
        return bool(slots) and any(slot.link == "OBJECT" for slot in slots)

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
            return Slot(NO_SURFACE, self._rules.culls_all, -1, "", IN_PLACE)
        name = material.name_full
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = self._read_slot(material)
        return slot

    def _read_slot(self, material: bpy.types.Material) -> Slot:
        culls = self._rules.culls_all or (self._rules.culls_by_material and material.use_backface_culling)
        opacity, cutout_id = self._opacity(material) if self._rules.uses_cutouts else (Opacity(), -1)
        return Slot(
            self._ids.of(material.name_full),
            culls or opacity.culls_back,
            cutout_id,
            opacity.uv_map,
            opacity.texture_from_uv,
        )

    def _opacity(self, material: bpy.types.Material) -> tuple[Opacity, int]:
        """A material's opacity and the number of its cut-out."""
        name, tree = material.name_full, material.node_tree
        is_animated = tree is not None and tree.animation_data is not None
        before = self._opacities.get(name)
        if before is not None and not is_animated:
            return before
        read = read_texture_alone if self._rules.cuts_by_texture_alone else read_opacity
        opacity = read(material if is_animated else material.original)
        if opacity.cutout is None:
            number = -1
        elif before is not None and _are_equal(opacity.cutout, before[0].cutout):
            number = before[1]
        else:
            number = len(self._cutouts)
            self._cutouts.append(opacity.cutout)
        self._opacities[name] = (opacity, number)
        return opacity, number


def _are_equal(one: Cutout, other: Cutout | None) -> bool:
    return other is not None and one.repeats == other.repeats and np.array_equal(one.alpha, other.alpha)
