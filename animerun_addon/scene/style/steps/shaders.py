# SPDX-License-Identifier: GPL-3.0-or-later
"""What a material's shader makes of a surface: paint, glass, light, a hole, or nothing but a volume.

Which colour it has, and which textures cut it out, is read elsewhere.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, NamedTuple

import bpy

from ...versions import node_tree_in_use

_SEE_THROUGH = {"BSDF_GLASS", "BSDF_REFRACTION", "BSDF_TRANSPARENT"}
_SHINE = {"BSDF_GLOSSY", "BSDF_ANISOTROPIC"}
_ONE_COLOUR = {"RGB", "BLACKBODY", "WAVELENGTH"}
_MIXES = {"MIX_SHADER", "ADD_SHADER"}

Groups = tuple[Any, ...]  # the group nodes that a node lies in, the innermost last


class Kind(enum.Enum):
    """What a surface is."""

    PAINT = enum.auto()  # anything that is to be seen, and whatever is not understood
    GLASS = enum.auto()
    LIGHT = enum.auto()  # emission and nothing else
    HOLDOUT = enum.auto()
    VOLUME = enum.auto()  # no surface at all


class Light(NamedTuple):
    """What a surface of Kind.LIGHT emits."""

    strength: float | None  # None where nodes decide
    has_picture: bool  # its colour is not one colour


def kind_of(material: bpy.types.Material | None) -> Kind:
    """The kind of everything with this material."""
    output = output_of(material)
    if output is None:
        return Kind.PAINT
    nodes = list(_closures(output.inputs["Surface"], ()))
    if not nodes:
        return Kind.VOLUME if any(_live_links(output.inputs["Volume"])) else Kind.PAINT
    types = {node.type for node in nodes}
    if types == {"EMISSION"}:
        return Kind.LIGHT
    if types == {"HOLDOUT"}:
        return Kind.HOLDOUT
    is_clear = [_is_clear(node) for node in nodes]
    if any(is_clear) and all(clear or node.type in _SHINE for clear, node in zip(is_clear, nodes, strict=True)):
        return Kind.GLASS
    return Kind.PAINT


def light_of(material: bpy.types.Material) -> Light:
    """What a material of Kind.LIGHT emits."""
    nodes = list(_closures(output_of(material).inputs["Surface"], ()))
    strengths = [node.inputs["Strength"] for node in nodes]
    is_known = not any(strength.is_linked for strength in strengths)
    return Light(
        max(strength.default_value for strength in strengths) if is_known else None,
        any(_has_picture(node.inputs["Color"]) for node in nodes),
    )


def volume_links(world: bpy.types.World) -> list[bpy.types.NodeLink]:
    """What fills a world with a volume."""
    tree = node_tree_in_use(world)
    outputs = [node for node in tree.nodes if node.type == "OUTPUT_WORLD"] if tree else []
    return [link for output in outputs for link in output.inputs["Volume"].links]


def output_of(material: bpy.types.Material | None) -> Any:
    """The node that is what renders of a material; None without nodes."""
    tree = node_tree_in_use(material) if material is not None else None
    if tree is None:
        return None
    return next((node for node in map(tree.get_output_node, ("ALL", "EEVEE", "CYCLES")) if node is not None), None)


def _closures(socket: Any, groups: Groups) -> Iterator[Any]:
    """The nodes whose shaders are mixed into what reaches a socket. A colour that is plugged in is a node as well."""
    for link in _live_links(socket):
        node, output = link.from_node, link.from_socket
        if node.type == "REROUTE":
            yield from _closures(node.inputs[0], groups)
        elif node.type in _MIXES:
            for mixed in node.inputs:
                if mixed.type == "SHADER":
                    yield from _closures(mixed, groups)
        elif node.type == "GROUP" and node.node_tree is not None:
            for inner in node.node_tree.nodes:
                if inner.type == "GROUP_OUTPUT" and inner.is_active_output:
                    yield from _closures(_same(inner.inputs, output), (*groups, node))
        elif node.type == "GROUP_INPUT" and groups:
            yield from _closures(_same(groups[-1].inputs, output), groups[:-1])
        else:
            yield node


def _live_links(socket: Any) -> Iterator[Any]:
    return (link for link in socket.links if not link.is_muted)


def _same(sockets: Any, like: Any) -> Any:
    return next(socket for socket in sockets if socket.identifier == like.identifier)


def _is_clear(node: Any) -> bool:
    if node.type != "BSDF_PRINCIPLED":
        return node.type in _SEE_THROUGH
    transmission, alpha = node.inputs["Transmission Weight"], node.inputs["Alpha"]
    return (not transmission.is_linked and transmission.default_value >= 0.5) or (
        not alpha.is_linked and alpha.default_value < 0.1  # more is a ghost, who is to be seen
    )


def _has_picture(colour: Any) -> bool:
    return any(link.from_node.type not in _ONE_COLOUR for link in _live_links(colour))
