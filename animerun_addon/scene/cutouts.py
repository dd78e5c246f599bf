# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the textures whose alpha cuts shapes out of a surface: hair cards, lashes, leaves.

A material's opacity is worked out as its nodes do, a whole texture at a time: thresholds, factors, groups and all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..labels.snapshot import Cutout, Float32

# Where labels/ decides that a surface is there.
LIMIT = 0.5

# Measured: from here on Workbench draws a texture as if it were opaque.
WORKBENCH_LIMIT = 0.1

# (2, 3), where on the texture a UV coordinate lies.
Placing = tuple[tuple[float, float, float], tuple[float, float, float]]
IN_PLACE: Placing = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))

# A number for the whole surface, or one for each pixel of the texture.
Value = Any

OPERATIONS: dict[str, Callable[[Value, Value, Value], Value]] = {
    "ADD": lambda a, b, _: a + b,
    "SUBTRACT": lambda a, b, _: a - b,
    "MULTIPLY": lambda a, b, _: a * b,
    "MULTIPLY_ADD": lambda a, b, c: a * b + c,
    "GREATER_THAN": lambda a, b, _: np.where(a > b, 1.0, 0.0),
    "LESS_THAN": lambda a, b, _: np.where(a < b, 1.0, 0.0),
    "MINIMUM": lambda a, b, _: np.minimum(a, b),
    "MAXIMUM": lambda a, b, _: np.maximum(a, b),
    "ROUND": lambda a, _, __: np.floor(a + 0.5),
    "CEIL": lambda a, _, __: np.ceil(a),
    "FLOOR": lambda a, _, __: np.floor(a),
    "POWER": lambda a, b, _: np.maximum(a, 0.0) ** b,
}


@dataclass(frozen=True)
class Opacity:
    """What a material hides of what is behind it."""

    cutout: Cutout | None = None
    # That lays the cut-out on the surface; "" is the map that the mesh renders with, None the one it is edited with.
    uv_map: str | None = ""
    texture_from_uv: Placing = IN_PLACE
    culls_back: bool = False  # see-through from behind, the way that contours are made for Cycles
    problem: str = ""  # what the labels do not show of it, in the user's words


class NotUnderstood(Exception):  # noqa: N818 - it is no error: it is told of, and the material stays as it is
    """With what is not understood, in the user's words."""


def read_opacity(material: bpy.types.Material) -> Opacity:
    """The opacity of everything with this material."""
    tree = material.node_tree
    output = tree.get_output_node("ALL") if tree is not None else None
    if output is None:
        return Opacity()
    nodes = _Nodes()
    try:
        front = nodes.opacity(output.inputs["Surface"], ())
        nodes.backfacing = 1.0
        back = nodes.opacity(output.inputs["Surface"], ())
    except NotUnderstood as reason:
        return Opacity(problem=f"gets its alpha from {reason}: labelled as if it were opaque")
    if np.max(front) < LIMIT:
        return Opacity(problem="is see-through from the front: labelled as if it were opaque")
    culls_back = bool(np.max(back) < LIMIT)
    if np.min(front) >= LIMIT:
        return Opacity(culls_back=culls_back)
    texture = nodes.texture
    problem = (
        "is cut out by a film: every frame gets the holes of one"
        if texture.image.source in {"SEQUENCE", "MOVIE"}
        else ""
    )
    cutout = Cutout(front.astype(np.float32), texture.extension == "REPEAT")
    return Opacity(cutout, nodes.uv_map, nodes.texture_from_uv, culls_back, problem)


def read_texture_alone(material: bpy.types.Material) -> Opacity:
    """The opacity as Workbench has it with texture colours: of the active texture, laid on by the active map."""
    texture = _active_texture(material.node_tree)
    if texture is None or texture.image is None or 0 in texture.image.size[:]:
        return Opacity()
    alpha = np.where(_read_alpha(texture.image.original) > WORKBENCH_LIMIT, np.float32(1), np.float32(0))
    if np.min(alpha) >= LIMIT:
        return Opacity()
    return Opacity(Cutout(alpha, texture.extension == "REPEAT"), uv_map=None)


def _active_texture(tree: bpy.types.NodeTree | None) -> Any:
    """The image texture that Blender shows of a material: one that is marked, in groups too, else the first."""
    textures = list(_image_textures(tree))
    return next((texture for texture in textures if texture.show_texture), textures[0] if textures else None)


def _image_textures(tree: bpy.types.NodeTree | None) -> Iterator[Any]:
    nodes = tree.nodes if tree is not None else ()
    yield from (node for node in nodes if node.type == "TEX_IMAGE")
    for group in (node for node in nodes if node.type == "GROUP"):
        yield from _image_textures(group.node_tree)


class _Nodes:
    """Goes upstream. `groups` are the group nodes that a socket lies within, the innermost last."""

    def __init__(self) -> None:
        self.backfacing = 0.0
        self.texture: Any = None
        self.uv_map = ""
        self.texture_from_uv = IN_PLACE

    def opacity(self, shader: Any, groups: tuple[Any, ...]) -> Value:
        """Of the shader that feeds a socket."""
        source, groups = source_of(shader, groups)
        if source is None:
            return 1.0
        node = source.node
        if node.type == "BSDF_TRANSPARENT":
            return 0.0
        if node.type == "BSDF_PRINCIPLED":
            return self.value(node.inputs["Alpha"], groups)
        if node.type == "MIX_SHADER":
            first, second = (self.opacity(node.inputs[place], groups) for place in (1, 2))
            if np.ndim(first) == np.ndim(second) == 0 and first == second:
                return first
            factor = np.clip(self.value(node.inputs[0], groups), 0.0, 1.0)
            return first * (1.0 - factor) + second * factor
        return 1.0

    def value(self, number: Any, groups: tuple[Any, ...]) -> Value:
        """What feeds a socket that takes a number."""
        source, groups = source_of(number, groups)
        if source is None or not source.is_output:
            # Unplugged, here or outside the group.
            return float((source or number).default_value)
        node = source.node
        if node.type == "TEX_IMAGE":
            return self._texture(node, groups, _read_alpha if source.name == "Alpha" else _read_grey)
        if node.type == "VALUE":
            return float(source.default_value)
        if node.type == "LIGHT_PATH":
            return 1.0 if source.name == "Is Camera Ray" else 0.0
        if node.type == "NEW_GEOMETRY" and source.name == "Backfacing":
            return self.backfacing
        if node.type == "MATH" and node.operation in OPERATIONS:
            result = OPERATIONS[node.operation](*(self.value(socket, groups) for socket in node.inputs))
            return np.clip(result, 0.0, 1.0) if node.use_clamp else result
        if node.type == "CLAMP" and node.clamp_type == "MINMAX":
            return np.clip(*(self.value(socket, groups) for socket in node.inputs))
        raise NotUnderstood(f"'{source.name}' of the node '{node.label or node.name}'")

    def _texture(self, texture: Any, groups: tuple[Any, ...], read: Callable[[bpy.types.Image], Value]) -> Value:
        if self.texture is not None and self.texture != texture:
            raise NotUnderstood("two textures")
        if texture.image is None or 0 in texture.image.size[:]:
            raise NotUnderstood(f"'{texture.label or texture.name}', whose image is missing")
        self.texture = texture
        self.uv_map, self.texture_from_uv = placing_of(texture.inputs["Vector"], groups)
        return read(texture.image.original)


def source_of(
    socket: Any, groups: tuple[Any, ...], is_whole: Callable[[Any], bool] = lambda _: False
) -> tuple[Any, tuple[Any, ...]]:
    """The output that feeds an input, through reroutes, into groups and out of them, with the groups that it lies in.

    None where nothing does; an input, where that is a group's and nothing is plugged into it. Groups for which
    `is_whole` holds are nodes like any other.
    """
    while socket.is_linked:
        output = socket.links[0].from_socket
        node = output.node
        if node.type == "REROUTE":
            socket = node.inputs[0]
        elif node.type == "GROUP" and node.node_tree is not None and not is_whole(node):
            inside = next((inner for inner in node.node_tree.nodes if inner.type == "GROUP_OUTPUT"), None)
            if inside is None:
                return None, groups
            socket, groups = _named(inside.inputs, output), (*groups, node)
        elif node.type == "GROUP_INPUT" and groups:
            socket, groups = _named(groups[-1].inputs, output), groups[:-1]
            if not socket.is_linked:
                return (None if socket.type == "SHADER" else socket), groups
        else:
            return output, groups
    return None, groups


def _named(sockets: Any, like: Any) -> Any:
    return next(socket for socket in sockets if socket.identifier == like.identifier)


def placing_of(vector: Any, groups: tuple[Any, ...]) -> tuple[str, Placing]:
    """The name of the UV map that feeds a texture, "" for the mesh's own, and where it lays the texture."""
    source, inner = source_of(vector, groups)
    if source is None or not source.is_output:
        return "", IN_PLACE
    node = source.node
    if node.type == "UVMAP":
        return str(node.uv_map), IN_PLACE
    if node.type == "TEX_COORD" and source.name == "UV":
        return "", IN_PLACE
    if node.type == "MAPPING" and node.vector_type == "POINT" and not any(one.is_linked for one in node.inputs[1:]):
        location, rotation, scale = (node.inputs[name].default_value for name in ("Location", "Rotation", "Scale"))
        name, before = placing_of(node.inputs["Vector"], inner)
        if before == IN_PLACE and rotation.x == rotation.y == 0:
            cos, sin = math.cos(rotation.z), math.sin(rotation.z)
            return name, (
                (cos * scale.x, -sin * scale.y, location.x),
                (sin * scale.x, cos * scale.y, location.y),
            )
    raise NotUnderstood(f"a texture laid on by '{node.label or node.name}'")


def _read_alpha(image: bpy.types.Image) -> Value:
    """(h, w), row 0 is the top; 1 for images without alpha."""
    if image.channels != 4 or image.alpha_mode == "NONE":
        return 1.0
    return read_pixels(image)[..., 3]


def _read_grey(image: bpy.types.Image) -> Value:
    """(h, w), row 0 is the top: the number that a shader makes of the image's colour."""
    colours = read_pixels(image)[..., :3]
    if image.colorspace_settings.name == "sRGB" and not image.is_float:
        colours = np.where(colours > 0.04045, ((colours + 0.055) / 1.055) ** 2.4, colours / 12.92)
    return colours.mean(axis=-1) if colours.shape[-1] < 3 else colours @ np.array([0.2126, 0.7152, 0.0722])


def read_pixels(image: bpy.types.Image) -> Float32:
    """(h, w, channels), row 0 is the top."""
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    return np.ascontiguousarray(pixels.reshape(height, width, image.channels)[::-1])
