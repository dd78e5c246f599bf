# SPDX-License-Identifier: GPL-3.0-or-later
"""The one colour that a material's shader stands for: lit, seen from the front, textures averaged.

What is put into a material is colours.py's; what kind of surface its shader makes, shaders.py's.
"""

from __future__ import annotations

import colorsys
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import bpy
import numpy as np
import numpy.typing as npt

from ....labels.palettes import linear_from_srgb
from ...cutouts import OPERATIONS, NotUnderstood, read_pixels, source_of
from ...versions import node_tree_in_use
from .shaders import output_of

Colour = npt.NDArray[np.float64]  # (3,), scene-linear
Groups = tuple[Any, ...]  # the group nodes that a socket lies in, the innermost last

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_BLACK, _WHITE = np.zeros(3), np.ones(3)
_DARK = 0.005  # a base colour below this leaves the colour to emission
_COLOURFUL = 0.15
_MOST_SAMPLES = 1 << 18  # of an image
_CLEAR = {"BSDF_TRANSPARENT", "HOLDOUT"}
# They vary over the surface in ways that have no average but their own middle.
_VARIED = {
    *("TEX_NOISE", "TEX_VORONOI", "TEX_WAVE", "TEX_MAGIC", "TEX_GRADIENT", "TEX_WHITE_NOISE", "TEX_GABOR"),
    *("TEX_COORD", "UVMAP", "MAPPING", "NEW_GEOMETRY", "PARTICLE_INFO", "HAIR_INFO", "CAMERA", "TANGENT", "SEPXYZ"),
}
_FACING = {"FRESNEL", "LAYER_WEIGHT"}  # 0 where a surface faces the camera
# Toon shaders of other add-ons, known by the inputs of their node groups: a colour, and a texture that tints it.
_TOON_GROUPS = (("DiffuseColor", "MainTexture"), ("Lit Color", "Lit Color Texture Color"), ("Lit Color, Alpha", ""))
_MMD_DIFFUSE, _MMD_AMBIENT, _MMD_TEXTURE, _MMD_TEXTURE_SHARE = (
    "Diffuse Color",
    "Ambient Color",
    "Base Tex",
    "Base Tex Fac",
)
_MMD_LIGHT = 0.6  # of its one lamp


class Nature(enum.IntEnum):
    """What is known about a value."""

    FIXED = 0
    LIGHT = 1  # it follows the light; the value is that of full light
    VARIED = 2  # it takes all values over the surface; the value is a middle one


class Seen(NamedTuple):
    """A colour, or a number as a grey, somewhere in a node tree."""

    rgb: Colour
    nature: Nature = Nature.FIXED

    @property
    def number(self) -> float:
        """As a socket takes it that wants a number."""
        return float(self.rgb @ _LUMINANCE)


class Surface(NamedTuple):
    """What a shader shows, and how much it hides of what is behind it."""

    rgb: Colour
    cover: float = 1.0
    nature: Nature = Nature.FIXED


class FlatColour(NamedTuple):
    """What a whole material is painted with."""

    rgb: Colour
    textures: tuple[tuple[bpy.types.ShaderNodeTexImage, Groups], ...]  # the image textures in it, first found first
    is_colourful: bool  # what these show is far from being one colour


class _Average(NamedTuple):
    """Of an image's opaque pixels."""

    rgb: Colour
    alpha: float  # of all pixels
    spread: float  # standard deviation of the colour


class ShaderColours:
    """Reads materials; `meshes_of` gives the meshes that wear a material, for its colour attributes."""

    def __init__(self, meshes_of: Mapping[bpy.types.Material, Iterable[bpy.types.Mesh]]) -> None:
        self._meshes_of = meshes_of
        self._images: dict[bpy.types.Image, _Average] = {}

    def of(self, block: bpy.types.Material | bpy.types.World) -> FlatColour | None:
        """The colour of a material's surface or of a world; None where no nodes make one. Raises NotUnderstood."""
        output = _output(block)
        if output is None or not output.inputs["Surface"].is_linked:
            return None
        walk = _Walk(self._image, self._meshes_of.get(block, ()))
        surface = walk.surface(output.inputs["Surface"], ())
        if surface.nature is Nature.VARIED:
            raise NotUnderstood("a pattern without a colour of its own")
        return FlatColour(_shown(surface.rgb), tuple(walk.textures), walk.spread > _COLOURFUL)

    def _image(self, image: bpy.types.Image | None) -> _Average:
        if image is None or not image.size[0]:
            raise NotUnderstood(
                f"the image '{image.name}', which is missing" if image else "a texture without an image"
            )
        if image not in self._images:
            self._images[image] = _average(image)
        return self._images[image]


class _Walk:
    """Goes upstream through one material's nodes."""

    def __init__(self, image: Callable[[bpy.types.Image | None], _Average], meshes: Iterable[bpy.types.Mesh]) -> None:
        self._image = image
        self._meshes = meshes
        self.textures: list[tuple[Any, Groups]] = []
        self.spread = 0.0  # of the most colourful of them

    # Shaders

    def surface(self, socket: Any, groups: Groups) -> Surface:
        """The shader that feeds a socket; a colour that does shines by itself."""
        source, groups = source_of(socket, groups, _is_toon)
        if source is None:
            return Surface(_BLACK, cover=0.0)
        node = source.node
        if node.type == "MIX_SHADER":
            return self._mixed(node, groups)
        if node.type == "ADD_SHADER":
            first, second = (self.surface(one, groups) for one in node.inputs)
            visible = [one.rgb for one in (first, second) if one.cover]
            return Surface(sum(visible, _BLACK), max(first.cover, second.cover), max(first.nature, second.nature))
        if source.type != "SHADER" or node.type == "GROUP":
            return Surface(*_with_cover(self._read(source, groups)))
        if node.type == "EMISSION" or node.type == "BACKGROUND":
            return Surface(*_with_cover(self._light(node.inputs["Color"], node.inputs["Strength"], groups)))
        seen = self._principled(node, groups) if node.type == "BSDF_PRINCIPLED" else self._of_bsdf(node, groups)
        return Surface(seen.rgb, 0.0 if node.type in _CLEAR else 1.0, seen.nature)

    def _mixed(self, node: Any, groups: Groups) -> Surface:
        first, second = (self.surface(node.inputs[place], groups) for place in (1, 2))
        if not first.cover or not second.cover:  # see-through in places, be they known or not
            return first if first.cover else second
        share = np.clip(self.value(node.inputs[0], groups).number, 0.0, 1.0)
        rgb = first.rgb * (1 - share) + second.rgb * share
        return Surface(rgb, 1.0, min(first.nature, second.nature))

    def _light(self, colour: Any, strength: Any, groups: Groups) -> Seen:
        seen = self.value(colour, groups)
        return Seen(seen.rgb * np.clip(self.value(strength, groups).number, 0.0, 1.0), seen.nature)

    def _principled(self, node: Any, groups: Groups) -> Seen:
        base = self.value(node.inputs["Base Color"], groups)
        if base.rgb.max() < _DARK and self.value(node.inputs["Emission Strength"], groups).number > 0:
            return self._light(node.inputs["Emission Color"], node.inputs["Emission Strength"], groups)
        return base

    def _of_bsdf(self, node: Any, groups: Groups) -> Seen:
        colours = [node.inputs[name] for name in ("Base Color", "Color") if name in node.inputs]
        if not colours:
            raise _unknown(node, node.outputs[0])
        return self.value(colours[0], groups)

    # Colours and numbers

    def value(self, socket: Any, groups: Groups) -> Seen:
        """What feeds a socket that takes a colour or a number."""
        source, inner = source_of(socket, groups, _is_toon)
        if source is None or not source.is_output:
            return Seen(_as_rgb((source or socket).default_value))
        return self._read(source, inner)

    def _read(self, source: Any, groups: Groups) -> Seen:
        node = source.node
        if node.type == "GROUP":
            return self._toon(node, groups)
        if node.type in _FACING:
            return Seen(_BLACK)
        if node.type in {"NEW_GEOMETRY", "LIGHT_PATH"} and source.name in {"Backfacing", "Is Camera Ray"}:
            return Seen(_as_rgb(float(source.name == "Is Camera Ray")))
        if node.type == "LIGHT_PATH":
            return Seen(_BLACK)
        if node.type in _VARIED:
            return Seen(_WHITE / 2, Nature.VARIED)
        read = _READERS.get(node.type)
        if read is None:
            raise _unknown(node, source)
        return read(self, node, source, groups)

    def _toon(self, node: Any, groups: Groups) -> Seen:
        if _MMD_DIFFUSE in node.inputs:
            diffuse, ambient = (self.value(node.inputs[name], groups).rgb for name in (_MMD_DIFFUSE, _MMD_AMBIENT))
            colour, texture = np.clip(ambient + _MMD_LIGHT * diffuse, 0.0, 1.0), _MMD_TEXTURE
        else:
            names = next(names for names in _TOON_GROUPS if names[0] in node.inputs)
            colour, texture = self.value(node.inputs[names[0]], groups).rgb, names[1]
        if texture in node.inputs and node.inputs[texture].is_linked:
            share = (
                self.value(node.inputs[_MMD_TEXTURE_SHARE], groups).number if _MMD_TEXTURE_SHARE in node.inputs else 1
            )
            colour = colour * (1 - share + share * self.value(node.inputs[texture], groups).rgb)
        return Seen(colour)

    def picture(self, node: Any, source: Any, groups: Groups) -> Seen:
        """The average of an image."""
        average = self._image(node.image)
        if source.name == "Alpha":
            return Seen(_as_rgb(average.alpha))
        if node.type == "TEX_IMAGE":
            self.textures.append((node, groups))
            self.spread = max(self.spread, average.spread)
        return Seen(average.rgb)

    def attribute(self, node: Any, source: Any, _groups: Groups) -> Seen:
        """The average of a colour attribute."""
        name = node.layer_name if node.type == "VERTEX_COLOR" else node.attribute_name
        if node.type == "ATTRIBUTE" and node.attribute_type != "GEOMETRY":
            raise NotUnderstood(f"the attribute '{name}', which differs from object to object")
        averages = [average for mesh in self._meshes if (average := _average_attribute(mesh, name)) is not None]
        if not averages:
            raise NotUnderstood(f"the colour attribute '{name}', which is missing")
        mean = np.mean(averages, axis=0)
        return Seen(_as_rgb(mean[3]) if source.name == "Alpha" else mean[:3])

    def lit(self, node: Any, _source: Any, groups: Groups) -> Seen:
        """Shader to RGB."""
        return Seen(self.surface(node.inputs[0], groups).rgb, Nature.LIGHT)

    def ramp(self, node: Any, _source: Any, groups: Groups) -> Seen:
        """A ramp's colour at a number; of a toon ramp its lit tone; over a pattern its average."""
        factor = self.value(node.inputs[0], groups)
        if factor.nature is Nature.FIXED:
            return Seen(np.array(node.color_ramp.evaluate(factor.number)[:3]))
        tones = np.array([node.color_ramp.evaluate(place)[:3] for place in np.linspace(0, 1, 257)])
        return Seen(_lit_tone(tones) if factor.nature is Nature.LIGHT else tones.mean(axis=0))

    def mix(self, node: Any, _source: Any, groups: Groups) -> Seen:
        """Mix, of colours or of numbers."""
        sockets = [socket for socket in node.inputs if socket.enabled]
        factor, first, second = (self.value(socket, groups) for socket in sockets[:3])
        share = min(max(factor.number, 0.0), 1.0)
        if factor.nature is Nature.LIGHT:  # all or nothing, as toon shaders have it
            share = float(share >= 0.5)
        is_colour = node.type == "MIX_RGB" or node.data_type == "RGBA"
        blend = _BLENDS.get(node.blend_type if is_colour else "MIX")
        if blend is None:
            raise _unknown(node, _source)
        rgb = first.rgb * (1 - share) + blend(first.rgb, second.rgb) * share
        return Seen(rgb, min(first.nature, second.nature))

    def math(self, node: Any, source: Any, groups: Groups) -> Seen:
        """Math, and the dot product that toon shaders make light of."""
        if node.type == "VECT_MATH":
            if node.operation == "DOT_PRODUCT":
                return Seen(_WHITE, Nature.LIGHT)
            operation = _BLENDS.get(node.operation) if node.operation in {"MULTIPLY", "ADD"} else None
            if operation is None:
                raise _unknown(node, source)
            one, other = (self.value(socket, groups) for socket in node.inputs[:2])
            return Seen(operation(one.rgb, other.rgb), max(one.nature, other.nature))
        values = [self.value(socket, groups) for socket in node.inputs]
        nature = max(value.nature for socket, value in zip(node.inputs, values, strict=True) if socket.enabled)
        if node.operation not in OPERATIONS:
            if nature is Nature.VARIED:
                return Seen(_WHITE / 2, nature)
            raise _unknown(node, source)
        result = float(OPERATIONS[node.operation](*(value.number for value in values)))
        return Seen(_as_rgb(min(max(result, 0.0), 1.0) if node.use_clamp else result), nature)

    def turned(self, node: Any, _source: Any, groups: Groups) -> Seen:
        """Adjustments of one colour: their first colour socket is the colour."""
        seen = self.value(next(socket for socket in node.inputs if socket.type == "RGBA"), groups)
        numbers = {socket.name: self.value(socket, groups).number for socket in node.inputs if socket.type == "VALUE"}
        return Seen(_ADJUSTMENTS[node.type](seen.rgb, numbers), seen.nature)

    def parts(self, node: Any, source: Any, groups: Groups) -> Seen:
        """One channel of a colour."""
        seen = self.value(node.inputs[0], groups)
        channels = _to_mode(node.mode, seen.rgb)
        return Seen(_as_rgb(channels[list(node.outputs).index(source)]), seen.nature)

    def whole(self, node: Any, _source: Any, groups: Groups) -> Seen:
        """A colour of three channels."""
        channels = [self.value(socket, groups) for socket in node.inputs]
        rgb = _from_mode(node.mode, [channel.number for channel in channels])
        return Seen(rgb, max(channel.nature for channel in channels))

    def first_input(self, node: Any, _source: Any, groups: Groups) -> Seen:
        """What passes through: a clamp, a grey, the tint of ambient occlusion."""
        seen = self.value(node.inputs[0], groups)
        return Seen(_as_rgb(seen.number), seen.nature) if node.type == "RGBTOBW" else seen

    def map_range(self, node: Any, source: Any, groups: Groups) -> Seen:
        """A number on another scale."""
        if node.data_type != "FLOAT" or node.interpolation_type != "LINEAR":
            raise _unknown(node, source)
        value, *limits = (self.value(socket, groups) for socket in node.inputs[:5])
        low, high, to_low, to_high = (limit.number for limit in limits)
        share = (value.number - low) / (high - low) if high != low else 0.0
        share = min(max(share, 0.0), 1.0) if node.clamp else share
        return Seen(_as_rgb(to_low + share * (to_high - to_low)), value.nature)

    def two_colours(self, node: Any, source: Any, groups: Groups) -> Seen:
        """Checkers and bricks: half of each."""
        if source.type != "RGBA":
            return Seen(_WHITE / 2, Nature.VARIED)
        one, other = (self.value(node.inputs[name], groups).rgb for name in ("Color1", "Color2"))
        return Seen((one + other) / 2)


_READERS: dict[str, Callable[[_Walk, Any, Any, Groups], Seen]] = {
    **dict.fromkeys(("RGB", "VALUE"), lambda _walk, _node, source, _groups: Seen(_as_rgb(source.default_value))),
    **dict.fromkeys(("TEX_IMAGE", "TEX_ENVIRONMENT"), _Walk.picture),
    **dict.fromkeys(("VERTEX_COLOR", "ATTRIBUTE"), _Walk.attribute),
    **dict.fromkeys(("MIX", "MIX_RGB"), _Walk.mix),
    **dict.fromkeys(("MATH", "VECT_MATH"), _Walk.math),
    **dict.fromkeys(("GAMMA", "HUE_SAT", "BRIGHTCONTRAST", "INVERT"), _Walk.turned),
    **dict.fromkeys(("SEPARATE_COLOR",), _Walk.parts),
    **dict.fromkeys(("COMBINE_COLOR",), _Walk.whole),
    **dict.fromkeys(("CLAMP", "RGBTOBW", "AMBIENT_OCCLUSION"), _Walk.first_input),
    **dict.fromkeys(("TEX_CHECKER", "TEX_BRICK"), _Walk.two_colours),
    "SHADERTORGB": _Walk.lit,
    "VALTORGB": _Walk.ramp,
    "MAP_RANGE": _Walk.map_range,
}

_BLENDS: dict[str, Callable[[Colour, Colour], Colour]] = {
    "MIX": lambda _, b: b,
    "MULTIPLY": np.multiply,
    "ADD": np.add,
    "SUBTRACT": np.subtract,
    "DIFFERENCE": lambda a, b: np.maximum(a - b, b - a),
    "DARKEN": np.minimum,
    "LIGHTEN": np.maximum,
    "SCREEN": lambda a, b: a + b - a * b,
    "OVERLAY": lambda a, b: np.where(a < 0.5, 2 * a * b, 1 - 2 * (1 - a) * (1 - b)),
    "SOFT_LIGHT": lambda a, b: (1 - a) * a * b + a * (a + b - a * b),
    "LINEAR_LIGHT": lambda a, b: a + 2 * (b - 0.5),
    "DIVIDE": lambda a, b: np.where(b > 0, a / np.maximum(b, 1e-6), a),
    "COLOR": lambda a, b: np.array(colorsys.hsv_to_rgb(*colorsys.rgb_to_hsv(*b)[:2], colorsys.rgb_to_hsv(*a)[2])),
}


def _hue_sat(rgb: Colour, numbers: Mapping[str, float]) -> Colour:
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    turned = (
        (hue + numbers["Hue"] + 0.5) % 1.0,
        min(saturation * numbers["Saturation"], 1.0),
        value * numbers["Value"],
    )
    share = numbers["Factor"] if "Factor" in numbers else numbers["Fac"]
    return rgb * (1 - share) + np.maximum(colorsys.hsv_to_rgb(*turned), 0.0) * share


def _bright_contrast(rgb: Colour, numbers: Mapping[str, float]) -> Colour:
    contrast = numbers["Contrast"]
    bright = numbers["Brightness"] if "Brightness" in numbers else numbers["Bright"]
    return np.maximum((1 + contrast) * rgb + bright - contrast / 2, 0.0)


def _invert(rgb: Colour, numbers: Mapping[str, float]) -> Colour:
    share = numbers["Factor"] if "Factor" in numbers else numbers["Fac"]
    return rgb * (1 - share) + (1 - rgb) * share


_ADJUSTMENTS: dict[str, Callable[[Colour, Mapping[str, float]], Colour]] = {
    "GAMMA": lambda rgb, numbers: np.maximum(rgb, 0.0) ** numbers["Gamma"],
    "HUE_SAT": _hue_sat,
    "BRIGHTCONTRAST": _bright_contrast,
    "INVERT": _invert,
}


def _output(block: bpy.types.Material | bpy.types.World) -> Any:
    if isinstance(block, bpy.types.Material):
        return output_of(block)
    tree = node_tree_in_use(block)
    outputs = [node for node in tree.nodes if node.type == "OUTPUT_WORLD"] if tree else []
    return next((node for node in outputs if node.is_active_output), None)


def _is_toon(node: Any) -> bool:
    is_mmd = _MMD_DIFFUSE in node.inputs and _MMD_AMBIENT in node.inputs
    return is_mmd or any(name in node.inputs for name, _ in _TOON_GROUPS)


def _with_cover(seen: Seen) -> tuple[Colour, float, Nature]:
    return seen.rgb, 1.0, seen.nature


def _unknown(node: Any, output: Any) -> NotUnderstood:
    return NotUnderstood(f"'{output.name}' of the node '{node.label or node.name}'")


def _as_rgb(value: Any) -> Colour:
    """Of a socket's value: a number, a vector or a colour."""
    return np.full(3, float(value)) if isinstance(value, int | float) else np.array(value[:3], np.float64)


def _shown(rgb: Colour) -> Colour:
    """What is brighter than white keeps its hue."""
    rgb = np.maximum(rgb, 0.0)
    return rgb / max(1.0, rgb.max())


def _to_mode(mode: str, rgb: Colour) -> tuple[float, float, float]:
    if mode == "HSV":
        return colorsys.rgb_to_hsv(*rgb)
    if mode == "HSL":
        hue, lightness, saturation = colorsys.rgb_to_hls(*rgb)
        return hue, saturation, lightness
    return float(rgb[0]), float(rgb[1]), float(rgb[2])


def _from_mode(mode: str, channels: list[float]) -> Colour:
    first, second, third = channels
    if mode == "HSV":
        return np.array(colorsys.hsv_to_rgb(first, second, third))
    return np.array(colorsys.hls_to_rgb(first, third, second)) if mode == "HSL" else np.array(channels)


def _lit_tone(tones: Colour) -> Colour:
    """Of a ramp's tones (n, 3) from dark to lit: the broadest even one, the first left out, which is in shadow.

    Broadest, because the last is often a mere highlight. A ramp without even tones gives the middle of its lit half.
    """
    changes = np.flatnonzero((np.abs(np.diff(tones, axis=0)) > 1e-4).any(axis=1)) + 1
    bands = [band for band in np.split(tones, changes) if len(band) > 1]
    if len(changes) and bands and np.array_equal(bands[0][0], tones[0]):
        bands = bands[1:]
    if not bands:
        return tones[len(tones) // 2 :].mean(axis=0) if len(changes) else tones[0]
    return max(reversed(bands), key=len)[0]


def _average(image: bpy.types.Image) -> _Average:
    pixels = read_pixels(image)
    step = int(np.ceil(np.sqrt(pixels.shape[0] * pixels.shape[1] / _MOST_SAMPLES)))
    samples = pixels[::step, ::step].reshape(-1, pixels.shape[-1]).astype(np.float64)
    has_alpha = samples.shape[1] == 4 and image.alpha_mode != "NONE"
    alpha = samples[:, 3] if has_alpha else np.ones(len(samples))
    opaque = alpha >= 0.5
    colours = samples[opaque if opaque.any() else slice(None), :3]
    if colours.shape[1] < 3:
        colours = np.repeat(colours[:, :1], 3, axis=1)
    is_encoded = not image.is_float and not image.colorspace_settings.is_data
    if is_encoded:
        colours = linear_from_srgb(colours)
    return _Average(colours.mean(axis=0), float(alpha.mean()), float(colours.std(axis=0).max()))


def _average_attribute(mesh: bpy.types.Mesh, name: str) -> Colour | None:
    """(4,), scene-linear; None where the mesh has no such colours."""
    attribute = mesh.color_attributes.get(name) if name else mesh.color_attributes.active_color
    if attribute is None or not len(attribute.data):
        return None
    colours = np.empty(4 * len(attribute.data), np.float32)
    attribute.data.foreach_get("color", colours)
    return colours.reshape(-1, 4).mean(axis=0, dtype=np.float64)
