# SPDX-License-Identifier: GPL-3.0-or-later
"""Hides what is light, air or glass rather than a drawn thing. How it is hidden: hiding.py; materials: shaders.py.

Toon characters are often emission shaded. A light panel is told from them by being of one colour, of a simple shape,
rigid, and no part of a character; and where more than half of a scene is emission shaded, only what is brighter than
white is a panel. What is in doubt stays, and is told of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

import bpy

from ...versions import node_inputs
from ..stage import Stage
from .hiding import hide
from .shaders import Kind, Light, kind_of, light_of, volume_links

_SURFACES = {"MESH", "CURVE", "SURFACE", "META", "FONT"}
_RIGID = {
    "ARRAY", "BEVEL", "COLLISION", "EDGE_SPLIT", "MIRROR", "PARTICLE_SYSTEM", "SOLIDIFY", "SUBSURF", "TRIANGULATE",
    "WEIGHTED_NORMAL",
}  # fmt: skip
_WATER = {"OCEAN", "FLUID"}
_MAKES_VOLUME = {"GeometryNodeVolumeCube", "GeometryNodeMeshToVolume", "GeometryNodePointsToVolume"}
_BOX_FACES, _PANEL_FACES = 24, 500
_FLAT = 0.25  # of its length
_WHITE = 1.0  # emission strength


def hide_environment(stage: Stage) -> None:
    """Volumes, light panels, glass, what the camera does not see, holdouts, and what the user names."""
    unwanted = Unwanted(stage)
    things = {thing: None for thing in stage.objects if unwanted.has(thing)}
    unwanted.tell_doubts()
    done = _hide_instancers(stage, things) | _exclude_linked_collections(stage, things)
    by_nodes = dict(_put_by_nodes(stage))
    for thing in things:
        if thing not in done:
            hide(stage, thing)
        if thing in by_nodes:
            stage.tell(
                thing, f"nodes of '{by_nodes[thing].name_full}' still put it into the frame: switch it off there"
            )
    for link in volume_links(stage.scene.world) if stage.scene.world else ():
        stage.set(link, "is_muted", True)


@dataclass
class Unwanted:
    """Knows what of a scene's objects is no drawn thing."""

    stage: Stage

    def __post_init__(self) -> None:
        self._kinds: dict[bpy.types.Material, Kind] = {}
        self._doubts: dict[bpy.types.Object, str] = {}
        self._patterns = [text.strip().lower() for text in self.stage.settings.hidden_names.split(",") if text.strip()]

    def has(self, thing: bpy.types.Object) -> bool:
        """Whether the object is to be hidden."""
        if self._is_named(thing):
            return True
        if thing.type == "VOLUME":
            return True
        if thing.type not in _SURFACES:
            return False
        rules: tuple[Callable[[bpy.types.Object], bool], ...] = (
            self._is_unseen,
            self._is_air,
            self._is_glass,
            self._is_light_panel,
        )
        return any(rule(thing) for rule in rules)

    def tell_doubts(self) -> None:
        """Report what was kept, and might be meant to be hidden."""
        for thing, text in self._doubts.items():
            if not thing.hide_render:
                self.stage.tell(thing, text)

    def _is_named(self, thing: bpy.types.Object) -> bool:
        materials = [slot.material for slot in thing.material_slots if slot.material is not None]
        return self._matches(thing) or (bool(materials) and all(map(self._matches, materials)))

    def _matches(self, block: bpy.types.ID) -> bool:
        return any(fnmatchcase(block.name.lower(), pattern) for pattern in self._patterns)

    def _is_unseen(self, thing: bpy.types.Object) -> bool:
        """Only there for light and shadow. Workbench would draw it."""
        if thing.is_shadow_catcher or thing.is_holdout or self._kinds_of(thing) == {Kind.HOLDOUT}:
            return True
        if self.stage.memory.is_animated(thing, "visible_camera"):
            text = "whether the camera sees it is animated, which flat frames ignore: animate its render visibility"
            self._doubts[thing] = text
            return False
        return not thing.visible_camera or self._is_unseen_in_layers(thing)

    def _is_unseen_in_layers(self, thing: bpy.types.Object) -> bool:
        layers = self._special_layers
        return bool(layers) and all(
            thing.indirect_only_get(view_layer=layer) or thing.holdout_get(view_layer=layer) for layer in layers
        )

    @cached_property
    def _special_layers(self) -> list[bpy.types.ViewLayer]:
        """All that render, if each of them has collections that are not shown as they are."""
        layers = [layer for layer in self.stage.scene.view_layers if layer.use]
        is_special = [
            any(branch.indirect_only or branch.holdout for branch, _ in _branches(layer.layer_collection))
            for layer in layers
        ]
        return layers if all(is_special) else []

    def _is_air(self, thing: bpy.types.Object) -> bool:
        """Fog, smoke, fire."""
        for modifier in thing.modifiers:
            if modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN":
                return bool(modifier.domain_settings.domain_type == "GAS")
            tree = modifier.node_group if modifier.type == "NODES" else None
            if tree is not None and any(node.bl_idname in _MAKES_VOLUME for node in tree.nodes):
                self._doubts[thing] = "its geometry nodes may make a volume, which is no surface: hide it if so"
        return self._kinds_of(thing) == {Kind.VOLUME}

    def _is_glass(self, thing: bpy.types.Object) -> bool:
        if not self.stage.settings.hide_glass or self._kinds_of(thing) != {Kind.GLASS}:
            return False
        if any(modifier.type in _WATER for modifier in thing.modifiers):
            self._doubts[thing] = "it is of glass, and kept as water: name it to hide it"
            return False
        # A lens before an eye follows one bone; who bends in several is somebody.
        if len(thing.vertex_groups) > 1 and any(modifier.type == "ARMATURE" for modifier in thing.modifiers):
            self._doubts[thing] = "it is of glass, and kept as a character: name it to hide it"
            return False
        return True

    def _is_light_panel(self, thing: bpy.types.Object) -> bool:
        if self._kinds_of(thing) != {Kind.LIGHT} or thing.type != "MESH":
            return False
        lights = [light_of(slot.material) for slot in thing.material_slots]
        is_bright = any(light.strength is None or light.strength > _WHITE for light in lights)
        if _is_of_character(thing):
            return False
        why_kept = self._why_kept(thing, lights, is_bright)
        if why_kept and is_bright:
            self._doubts[thing] = f"it only glows, and is kept because {why_kept}: name it to hide it"
        return not why_kept

    def _why_kept(self, thing: bpy.types.Object, lights: list[Light], is_bright: bool) -> str:
        if any(light.has_picture for light in lights):
            return "it shows a picture"
        if not _is_simple(thing):
            return "it is no simple panel"
        if not is_bright and self._is_painted_with_light:
            return "most of the scene is shaded like that"
        if any(slot.material in self._of_characters for slot in thing.material_slots):
            return "a character has its material"
        return ""

    @cached_property
    def _is_painted_with_light(self) -> bool:
        """Whether emission is how this scene is shaded."""
        kinds = [self._kinds_of(thing) for thing in self.stage.objects if thing.type == "MESH" and thing.material_slots]
        return sum(each == {Kind.LIGHT} for each in kinds) > len(kinds) / 2

    @cached_property
    def _of_characters(self) -> set[bpy.types.Material]:
        things = (thing for thing in self.stage.objects if thing.type == "MESH" and _is_of_character(thing))
        return {slot.material for thing in things for slot in thing.material_slots}

    def _kinds_of(self, thing: bpy.types.Object) -> set[Kind]:
        return {self._kind(slot.material) for slot in thing.material_slots}

    def _kind(self, material: bpy.types.Material | None) -> Kind:
        if material is None:
            return Kind.PAINT
        if material not in self._kinds:
            self._kinds[material] = kind_of(material)
        return self._kinds[material]


def _is_of_character(thing: bpy.types.Object) -> bool:
    """Bent by anything, or carried by a rig."""
    if thing.data.shape_keys is not None or any(modifier.type not in _RIGID for modifier in thing.modifiers):
        return True
    targets = [getattr(constraint, "target", None) for constraint in thing.constraints]
    if any(target is not None and target.type == "ARMATURE" for target in targets):
        return True
    if any(constraint.type == "ARMATURE" for constraint in thing.constraints):
        return True
    above = thing.parent
    while above is not None and above.type != "ARMATURE":
        above = above.parent
    return above is not None


def _is_simple(thing: bpy.types.Object) -> bool:
    """A box or less, or something flat."""
    count = len(thing.data.polygons)
    corners = [[corner[axis] for corner in thing.bound_box] for axis in range(3)]
    sizes = sorted((max(values) - min(values)) * abs(scale) for values, scale in zip(corners, thing.scale, strict=True))
    return count <= _BOX_FACES or (count <= _PANEL_FACES and sizes[0] <= _FLAT * sizes[-1])


# Objects of libraries cannot be changed; what shows them can ----------------------------------------------------------


def _hide_instancers(stage: Stage, things: dict[bpy.types.Object, None]) -> set[bpy.types.Object]:
    """Hide empties that show nothing but unwanted objects; those that nothing else shows are returned."""
    shown: set[bpy.types.Object] = set(stage.scene.objects)
    covered: set[bpy.types.Object] = set()
    for thing in stage.objects:
        if thing.instance_type != "COLLECTION" or thing.instance_collection is None or thing.library is not None:
            continue
        surfaces = {one for one in thing.instance_collection.all_objects if one.type in _SURFACES | {"VOLUME"}}
        if surfaces and surfaces <= things.keys():
            hide(stage, thing)
            covered |= surfaces
        else:
            shown |= surfaces
    return covered - shown


def _exclude_linked_collections(stage: Stage, things: dict[bpy.types.Object, None]) -> set[bpy.types.Object]:
    """Exclude linked collections of nothing but unwanted objects from all view layers; those objects are returned."""
    done: set[bpy.types.Object] = set()
    if all(thing.library is None for thing in things):
        return done
    for layer in stage.scene.view_layers:
        for branch, parent in _branches(layer.layer_collection):
            linked = branch.collection.library is not None and (parent is None or parent.collection.library is None)
            inside = set(branch.collection.all_objects) if linked else set()
            if inside and inside <= things.keys() and stage.set(branch, "exclude", True):
                done |= inside
    return done


def _branches(
    root: bpy.types.LayerCollection, parent: bpy.types.LayerCollection | None = None
) -> Iterator[tuple[bpy.types.LayerCollection, bpy.types.LayerCollection | None]]:
    """Each with the one that it lies in."""
    yield root, parent
    for child in root.children:
        yield from _branches(child, root)


def _put_by_nodes(stage: Stage) -> Iterator[tuple[bpy.types.Object, bpy.types.Object]]:
    """Objects that geometry nodes put into frames whether hidden or not, and who has the nodes."""
    for thing in stage.objects:
        for modifier in thing.modifiers:
            tree = modifier.node_group if modifier.type == "NODES" and modifier.show_render else None
            if tree is None:
                continue
            sockets = (socket for node in tree.nodes for socket in node.inputs if socket.type == "OBJECT")
            values = [*(socket.default_value for socket in sockets), *node_inputs(modifier)]
            yield from ((value, thing) for value in values if isinstance(value, bpy.types.Object))
