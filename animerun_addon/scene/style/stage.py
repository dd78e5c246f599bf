# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of the conversion work with: the scene, what is in it, and the two ways to act: change, or report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import bpy

from ...style_settings import StyleSettings
from ..cutouts import Opacity, read_opacity
from ..versions import node_inputs
from .memory import Memory
from .report import Finding, Report


@dataclass
class Stage:
    """One conversion of one scene."""

    scene: bpy.types.Scene
    settings: StyleSettings
    memory: Memory
    report: Report
    step: str = ""  # the label of the step that runs

    def set(self, root: Any, path: str, value: Any) -> bool:
        """Change a setting, to be undone later; see Memory.set. What cannot be changed is reported."""
        count = self.memory.count
        is_set = self.memory.set(root, path, value)
        if self.memory.count > count:
            self.report.changed[self.step] += self.memory.count - count
        return is_set

    def made(self, what: Any) -> None:
        """A data-block, node, modifier or line set was made for the conversion: it is removed with it."""
        self.memory.made(what)
        self.report.changed[self.step] += 1

    def tell(self, block: bpy.types.ID, text: str) -> None:
        """Something that does not fit 2D and stays."""
        self.report.left[Finding(block.id_type, block.name_full, text)] = None

    @cached_property
    def objects(self) -> tuple[bpy.types.Object, ...]:
        """Everything that can show in the scene's frames: its objects, and those in what they instance."""
        seen: dict[bpy.types.Object, None] = {}
        for thing in self.scene.objects:
            self._add(thing, seen)
        return tuple(seen)

    @cached_property
    def materials(self) -> tuple[bpy.types.Material, ...]:
        """The materials of these objects, those that geometry nodes give them included."""
        found: dict[bpy.types.Material, None] = {}
        for thing in self.objects:
            for slot in thing.material_slots:
                if slot.material is not None:
                    found[slot.material] = None
            for modifier in thing.modifiers:
                if modifier.type == "NODES" and modifier.node_group is not None:
                    found.update(dict.fromkeys(_materials_in(modifier.node_group, set())))
                    found.update(dict.fromkeys(v for v in node_inputs(modifier) if isinstance(v, bpy.types.Material)))
        return tuple(found)

    @cached_property
    def opacities(self) -> dict[bpy.types.Material, Opacity]:
        """What these materials' nodes cut out, each read once a conversion: it takes whole textures."""
        return {material: read_opacity(material) for material in self.materials}

    def _add(self, thing: bpy.types.Object, seen: dict[bpy.types.Object, None]) -> None:
        if thing in seen:
            return
        seen[thing] = None
        for collection in _instanced(thing):
            for other in collection.all_objects:
                self._add(other, seen)
        for system in thing.particle_systems:
            if system.settings.instance_object is not None:
                self._add(system.settings.instance_object, seen)


def _instanced(thing: bpy.types.Object) -> Iterator[bpy.types.Collection]:
    if thing.instance_type == "COLLECTION" and thing.instance_collection is not None:
        yield thing.instance_collection
    for system in thing.particle_systems:
        if system.settings.render_type == "COLLECTION" and system.settings.instance_collection is not None:
            yield system.settings.instance_collection
    for modifier in thing.modifiers:
        if modifier.type == "NODES":
            yield from (value for value in node_inputs(modifier) if isinstance(value, bpy.types.Collection))


def _materials_in(tree: bpy.types.NodeTree, visited: set[bpy.types.NodeTree]) -> Iterator[bpy.types.Material]:
    visited.add(tree)
    for node in tree.nodes:
        group = getattr(node, "node_tree", None)
        if group is not None and group not in visited:
            yield from _materials_in(group, visited)
        for socket in node.inputs:
            value = getattr(socket, "default_value", None)
            if isinstance(value, bpy.types.Material):
                yield value
