# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the textures whose alpha cuts shapes out of a surface: hair cards, lashes, leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..labels.snapshot import Cutout, Float32

# Where labels/ decides that a surface is there.
LIMIT = 0.5


@dataclass(frozen=True)
class CutoutTexture:
    """A cut-out and the UV map that lays it on the surface."""

    cutout: Cutout
    uv_map: str  # "" for the mesh's own choice


def find_cutout(material: bpy.types.Material) -> CutoutTexture | None:
    """The texture that cuts holes into everything with this (original) material, if one does."""
    if material.node_tree is None:
        return None
    for node in material.node_tree.nodes:
        for socket, is_opacity in _alpha_sockets(node):
            source = _source(socket)
            if source is None or source.node.type != "TEX_IMAGE" or source.name != "Alpha":
                continue
            alpha = _read_alpha(source.node.image)
            uv_map = _uv_map(source.node)
            if alpha is None or uv_map is None:
                continue
            alpha = alpha if is_opacity else 1 - alpha
            if alpha.min() < LIMIT:
                return CutoutTexture(Cutout(alpha, source.node.extension == "REPEAT"), uv_map)
    return None


def _alpha_sockets(node: bpy.types.Node) -> list[tuple[Any, bool]]:
    """The inputs of a node that make its surface vanish, each with whether 1 is opaque."""
    if node.type == "MIX_SHADER":
        factor, first, second = node.inputs[0], _source(node.inputs[1]), _source(node.inputs[2])
        if first is not None and first.node.type == "BSDF_TRANSPARENT":
            return [(factor, True)]
        if second is not None and second.node.type == "BSDF_TRANSPARENT":
            return [(factor, False)]
        return []
    # Principled, and the groups that toon shaders come in.
    return [(socket, True) for socket in node.inputs if socket.name == "Alpha"]


def _source(socket: Any) -> Any:
    """The output that feeds an input, reroutes passed through; None without one."""
    while socket.is_linked:
        socket = socket.links[0].from_socket
        if socket.node.type != "REROUTE":
            return socket
        socket = socket.node.inputs[0]
    return None


def _uv_map(texture: bpy.types.Node) -> str | None:
    """The name of the UV map that a texture uses, "" for the mesh's own; None where it is laid on otherwise."""
    source = _source(texture.inputs["Vector"])
    if source is None:
        return ""
    if source.node.type == "UVMAP":
        return source.node.uv_map
    return "" if source.node.type == "TEX_COORD" and source.name == "UV" else None


def _read_alpha(image: bpy.types.Image | None) -> Float32 | None:
    """(h, w), row 0 is the top; None for images without alpha."""
    if image is None or image.channels != 4 or image.alpha_mode == "NONE":
        return None
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return np.ascontiguousarray(pixels.reshape(height, width, 4)[::-1, :, 3])
