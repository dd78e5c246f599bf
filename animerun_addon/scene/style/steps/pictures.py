# SPDX-License-Identifier: GPL-3.0-or-later
"""What Workbench shows of a material while it shows textures: a picture of our choice, or none and the flat colour.

It takes the one image texture that is marked, whatever the nodes do with it, laid on by the mesh's active UV map.
"""

from __future__ import annotations

from collections.abc import Mapping

import bpy

from ...versions import node_tree_in_use
from ..stage import Stage

_NODE = "AnimeRun picture"
_PICTURES = {"TEX_IMAGE", "TEX_ENVIRONMENT"}


def can_show(material: bpy.types.Material) -> bool:
    """Whether nodes can be added to the material."""
    return material.library is None and material.override_library is None and node_tree_in_use(material) is not None


def has_pictures(material: bpy.types.Material) -> bool:
    """Whether Workbench finds any picture to show."""
    tree = node_tree_in_use(material)
    return tree is not None and _has_pictures(tree)


def picture_of(material: bpy.types.Material) -> bpy.types.ShaderNodeTexImage | None:
    """The node by which show() shows something else than the material's own."""
    tree = node_tree_in_use(material)
    return tree.nodes.get(_NODE) if tree is not None else None


def show(
    stage: Stage, material: bpy.types.Material, image: bpy.types.Image | None, extension: str, interpolation: str
) -> None:
    """Let Workbench show this image, or without one the material's flat colour. To be called only if can_show()."""
    tree = material.node_tree
    node = picture_of(material)
    if node is None:
        node = tree.nodes.new("ShaderNodeTexImage")
        node.name = node.label = _NODE
    stage.made(node)
    node.image, node.extension, node.interpolation = image, extension, interpolation
    for other in tree.nodes:
        if other != node and other.show_texture:
            stage.set(other, "show_texture", False)
    # A group that is the active node comes before all that is marked.
    if tree.nodes.active is not None and tree.nodes.active.type == "GROUP":
        stage.set(tree, "nodes.active", node)
    node.show_texture = True


def use_uv_maps(stage: Stage, uv_maps: Mapping[bpy.types.Material, str]) -> None:
    """Make the UV maps that lay on the materials' pictures ("": the one for rendering) their meshes' active ones."""
    done: dict[bpy.types.Mesh, str] = {}
    for thing in stage.objects:
        if thing.type != "MESH":
            continue
        layers = thing.data.uv_layers
        for_rendering = next((layer.name for layer in layers if layer.active_render), "")
        materials = [slot.material for slot in thing.material_slots if slot.material in uv_maps]
        names = {uv_maps[material] or for_rendering for material in materials} & set(layers.keys())
        if len({*names, done.get(thing.data, next(iter(names), ""))}) > 1:
            stage.tell(
                thing, "its textures lie on several UV maps, of which flat frames use one: give each its own mesh"
            )
        if names and thing.data not in done:
            done[thing.data] = min(names)
            _use_uv_map(stage, thing.data, layers.find(min(names)))


def _use_uv_map(stage: Stage, mesh: bpy.types.Mesh, number: int) -> None:
    if mesh.uv_layers.active_index == number:
        return
    if mesh.override_library is not None:
        stage.tell(mesh, "it is a library override, whose active UV map flat frames need changed: make it local")
    else:
        stage.set(mesh, "uv_layers.active_index", number)


def _has_pictures(tree: bpy.types.NodeTree) -> bool:
    return any(
        node.type in _PICTURES
        or (node.type == "GROUP" and node.node_tree is not None and _has_pictures(node.node_tree))
        for node in tree.nodes
    )
