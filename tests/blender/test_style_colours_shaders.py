# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour that a shader stands for, in all the ways in which artists build one."""

import bpy
import numpy as np
import pytest

from animerun_addon.scene.cutouts import NotUnderstood
from animerun_addon.scene.style.steps import shader_colours
from animerun_addon.scene.style.steps.shader_colours import ShaderColours
from animerun_addon.scene.versions import node_tree_of

RED, GREEN, BLUE, GREY = (0.8, 0.1, 0.05), (0.1, 0.6, 0.2), (0.1, 0.2, 0.9), (0.3, 0.3, 0.3)
WHITE, BLACK = (1, 1, 1), (0, 0, 0)


class Tree:
    """A material's or a group's node tree, built from its end."""

    def __init__(self, tree):
        self.tree = tree

    def add(self, kind, inputs=None, **settings):
        """A node; inputs by name or number: a value, or what feeds it."""
        node = self.tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        for name, value in (inputs or {}).items():
            self.feed(socket_of(node, name), value)
        return node

    def feed(self, socket, value):
        if isinstance(value, bpy.types.Node):
            value = value.outputs[0]
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        elif isinstance(value, tuple) and socket.type == "RGBA":
            socket.default_value = (*value, 1)
        else:
            socket.default_value = value

    def rgb(self, colour):
        node = self.add("ShaderNodeRGB")
        node.outputs[0].default_value = (*colour, 1)
        return node

    def ramp(self, factor, *stops, interpolation="CONSTANT"):
        node = self.add("ShaderNodeValToRGB", {0: factor})
        node.color_ramp.interpolation = interpolation
        while len(node.color_ramp.elements) < len(stops):
            node.color_ramp.elements.new(0.5)
        for element, (position, colour) in zip(node.color_ramp.elements, stops, strict=True):
            element.position, element.color = position, (*colour, 1)
        return node

    def light(self, colour=WHITE):
        """Shader to RGB of a diffuse surface."""
        return self.add("ShaderNodeShaderToRGB", {0: self.add("ShaderNodeBsdfDiffuse", {"Color": colour})})


def socket_of(node, name):
    if isinstance(name, int):
        return node.inputs[name]
    return next(socket for socket in node.inputs if socket.name == name and socket.enabled)


def new_material():
    material = bpy.data.materials.new("Material")
    tree = node_tree_of(material)
    tree.nodes.clear()
    return material, Tree(tree)


def surface(build, meshes=()):
    """The colour of a material whose surface is what `build` returns."""
    material, tree = new_material()
    output = tree.add("ShaderNodeOutputMaterial")
    tree.feed(output.inputs["Surface"], build(tree))
    return ShaderColours({material: meshes}).of(material).rgb


def assert_is(found, colour):
    assert np.allclose(found, colour, atol=1e-4), f"{found} is not {colour}"


def principled(tree, **inputs):
    return tree.add("ShaderNodeBsdfPrincipled", {name.replace("_", " "): value for name, value in inputs.items()})


def image_of(pixels, name="Picture", **settings):
    """Rows from the top, RGBA as stored."""
    pixels = np.array(pixels, np.float32)
    image = bpy.data.images.new(name, pixels.shape[1], pixels.shape[0], alpha=True, **settings)
    image.pixels.foreach_set(pixels[::-1].ravel())
    return image


# Shaders --------------------------------------------------------------------------------------------------------------

SURFACES = {
    "principled": (lambda tree: principled(tree, Base_Color=RED), RED),
    "metal": (lambda tree: principled(tree, Base_Color=RED, Metallic=1.0), RED),
    "emission over black": (
        lambda tree: principled(tree, Base_Color=BLACK, Emission_Color=GREEN, Emission_Strength=1.0),
        GREEN,
    ),
    "black that does not glow": (
        lambda tree: principled(tree, Base_Color=BLACK, Emission_Color=GREEN, Emission_Strength=0.0),
        BLACK,
    ),
    "a glow over a colour": (
        lambda tree: principled(tree, Base_Color=RED, Emission_Color=GREEN, Emission_Strength=0.3),
        RED,
    ),
    "emission": (lambda tree: tree.add("ShaderNodeEmission", {"Color": RED, "Strength": 1.0}), RED),
    "bright emission": (lambda tree: tree.add("ShaderNodeEmission", {"Color": RED, "Strength": 20.0}), RED),
    "dim emission": (lambda tree: tree.add("ShaderNodeEmission", {"Color": WHITE, "Strength": 0.25}), (0.25,) * 3),
    "diffuse": (lambda tree: tree.add("ShaderNodeBsdfDiffuse", {"Color": BLUE}), BLUE),
    "toon": (lambda tree: tree.add("ShaderNodeBsdfToon", {"Color": BLUE}), BLUE),
    "glass": (lambda tree: tree.add("ShaderNodeBsdfGlass", {"Color": BLUE}), BLUE),
    "a colour alone": (lambda tree: tree.rgb(GREEN), GREEN),
}


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_has_the_colour_of_its_shader(name):
    build, colour = SURFACES[name]
    assert_is(surface(build), colour)


def mixed(tree, share, first, second):
    return tree.add("ShaderNodeMixShader", {0: share, 1: first, 2: second})


def test_mixed_shaders_weigh_as_much_as_they_are_mixed():
    assert_is(
        surface(
            lambda tree: mixed(
                tree,
                0.25,
                tree.add("ShaderNodeBsdfDiffuse", {"Color": RED}),
                tree.add("ShaderNodeBsdfDiffuse", {"Color": BLUE}),
            )
        ),
        0.75 * np.array(RED) + 0.25 * np.array(BLUE),
    )


@pytest.mark.parametrize("kind", ["ShaderNodeFresnel", "ShaderNodeLayerWeight"])
def test_a_rim_does_not_colour_what_faces_the_camera(kind):
    assert_is(
        surface(
            lambda tree: mixed(tree, tree.add(kind), principled(tree, Base_Color=RED), tree.add("ShaderNodeEmission"))
        ),
        RED,
    )


def test_what_is_seen_through_has_no_say_in_the_colour():
    """However it is mixed, by a picture's alpha or by what nobody understands."""
    assert_is(
        surface(
            lambda tree: mixed(
                tree,
                tree.add("ShaderNodeObjectInfo").outputs["Color"],
                tree.add("ShaderNodeBsdfTransparent"),
                principled(tree, Base_Color=RED),
            )
        ),
        RED,
    )


def test_added_shaders_add_up_and_keep_their_hue():
    half = tuple(0.5 * np.array(RED))

    def build(tree):
        shaders = [tree.add("ShaderNodeEmission", {"Color": colour}) for colour in (half, half)]
        return tree.add("ShaderNodeAddShader", dict(enumerate(shaders)))

    assert_is(surface(build), RED)

    def too_bright(tree):
        shaders = [tree.add("ShaderNodeEmission", {"Color": RED}) for _ in range(2)]
        return tree.add("ShaderNodeAddShader", dict(enumerate(shaders)))

    assert_is(surface(too_bright), np.array(RED) / 0.8)


def test_a_volume_or_nothing_has_no_colour():
    material, tree = new_material()
    output = tree.add("ShaderNodeOutputMaterial")
    assert ShaderColours({}).of(material) is None
    tree.feed(output.inputs["Volume"], tree.add("ShaderNodeVolumePrincipled"))
    assert ShaderColours({}).of(material) is None


# Toon -----------------------------------------------------------------------------------------------------------------

TOON_RAMPS = {
    "two tones": ((0.0, BLUE), (0.3, RED)),
    "mostly in shadow": ((0.0, BLUE), (0.8, RED)),
    "a highlight at the end": ((0.0, BLUE), (0.3, RED), (0.95, WHITE)),
    "one tone": ((0.0, RED), (0.5, RED)),
}


@pytest.mark.parametrize("name", TOON_RAMPS)
def test_a_toon_ramp_has_the_colour_of_its_broadest_lit_tone(name):
    assert_is(surface(lambda tree: tree.ramp(tree.light(), *TOON_RAMPS[name])), RED)


def test_a_soft_toon_ramp_has_the_colour_of_its_lit_end():
    stops = ((0.45, BLUE), (0.5, RED))
    assert_is(surface(lambda tree: tree.ramp(tree.light(), *stops, interpolation="LINEAR")), RED)


def test_a_ramp_from_one_colour_to_another_has_that_of_its_lit_half():
    stops = ((0.0, BLACK), (1.0, WHITE))
    assert_is(surface(lambda tree: tree.ramp(tree.light(), *stops, interpolation="LINEAR")), (0.75,) * 3)


def test_a_ramp_over_a_pattern_has_its_average():
    stops = ((0.0, BLACK), (0.25, WHITE))
    found = surface(lambda tree: tree.ramp(tree.add("ShaderNodeTexNoise"), *stops))
    assert np.allclose(found, 0.75, atol=0.01)


def test_a_ramp_at_a_number_has_the_colour_there():
    assert_is(surface(lambda tree: tree.ramp(0.2, (0.0, BLUE), (0.3, RED))), BLUE)


@pytest.mark.parametrize(("operation", "colour"), [("GREATER_THAN", RED), ("LESS_THAN", BLUE)])
def test_shade_and_light_colours_mixed_by_the_light_give_the_lit_one(operation, colour):
    def build(tree):
        step = tree.add("ShaderNodeMath", {0: tree.light((0.8, 0.8, 0.8)), 1: 0.3}, operation=operation)
        return tree.add("ShaderNodeMix", {"Factor": step, "A": BLUE, "B": RED}, data_type="RGBA")

    assert_is(surface(build), colour)


def test_colours_mixed_by_the_light_itself_are_fully_lit():
    def build(tree):
        return tree.add("ShaderNodeMix", {"Factor": tree.light((0.8, 0.8, 0.8)), "A": BLUE, "B": RED}, data_type="RGBA")

    assert_is(surface(build), RED)


def test_light_by_hand_is_light():
    def build(tree):
        normal = tree.add("ShaderNodeNewGeometry").outputs["Normal"]
        dot = tree.add("ShaderNodeVectorMath", {0: normal}, operation="DOT_PRODUCT").outputs["Value"]
        return tree.ramp(dot, (0.0, BLUE), (0.5, RED))

    assert_is(surface(build), RED)


# Colours --------------------------------------------------------------------------------------------------------------

BLENDS = {
    "MIX": BLUE,
    "MULTIPLY": np.multiply(RED, BLUE),
    "ADD": np.minimum(1, np.add(RED, BLUE)),
    "SCREEN": 1 - (1 - np.array(RED)) * (1 - np.array(BLUE)),
    "DARKEN": np.minimum(RED, BLUE),
    "LIGHTEN": np.maximum(RED, BLUE),
    "DIFFERENCE": np.abs(np.subtract(RED, BLUE)),
}


@pytest.mark.parametrize("blend", BLENDS)
def test_mixed_colours_are_mixed_as_their_node_does(blend):
    def build(tree):
        return tree.add("ShaderNodeMix", {"Factor": 1.0, "A": RED, "B": BLUE}, data_type="RGBA", blend_type=blend)

    assert_is(surface(build), BLENDS[blend])


def test_a_colour_is_adjusted_as_its_nodes_do():
    assert_is(surface(lambda tree: tree.add("ShaderNodeGamma", {"Color": RED, "Gamma": 2.0})), np.array(RED) ** 2)
    assert_is(surface(lambda tree: tree.add("ShaderNodeInvert", {"Color": RED})), 1 - np.array(RED))
    grey = surface(lambda tree: tree.add("ShaderNodeHueSaturation", {"Color": RED, "Saturation": 0.0}))
    assert_is(grey, (0.8,) * 3)
    assert_is(
        surface(lambda tree: tree.add("ShaderNodeBrightContrast", {"Color": RED, 1: 0.1, 2: 0.0})),
        np.array(RED) + 0.1,
    )
    turned = surface(lambda tree: tree.add("ShaderNodeHueSaturation", {"Color": (1, 0, 0), "Hue": 0.5 + 1 / 3}))
    assert_is(turned, (0, 1, 0))


def test_channels_come_apart_and_together():
    def build(tree):
        apart = tree.add("ShaderNodeSeparateColor", {0: RED})
        return tree.add("ShaderNodeCombineColor", {0: apart.outputs[2], 1: apart.outputs[0], 2: 0.5})

    assert_is(surface(build), (RED[2], RED[0], 0.5))


def test_checkers_are_half_of_each():
    found = surface(lambda tree: tree.add("ShaderNodeTexChecker", {"Color1": RED, "Color2": BLUE}))
    assert_is(found, (np.array(RED) + BLUE) / 2)


def painted_mesh(*colours, domain="POINT"):
    mesh = bpy.data.meshes.new("Painted")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    attribute = mesh.color_attributes.new("Paint", "FLOAT_COLOR", domain)
    for element, colour in zip(attribute.data, colours, strict=True):
        element.color = (*colour, 1)
    return mesh


@pytest.mark.parametrize("domain", ["POINT", "CORNER"])
def test_a_colour_attribute_has_its_average(domain):
    meshes = [painted_mesh(RED, RED, BLUE, domain=domain)]
    for kind, name in (("ShaderNodeVertexColor", "layer_name"), ("ShaderNodeAttribute", "attribute_name")):
        found = surface(lambda tree, kind=kind, name=name: tree.add(kind, **{name: "Paint"}), meshes)
        assert_is(found, (2 * np.array(RED) + BLUE) / 3)


# Textures -------------------------------------------------------------------------------------------------------------


def textured(image):
    return lambda tree: principled(tree, Base_Color=tree.add("ShaderNodeTexImage", image=image))


def test_a_texture_has_the_average_of_its_light_not_of_its_stored_numbers():
    image = image_of([[(1, 1, 1, 1), (0, 0, 0, 1)]])
    assert_is(surface(textured(image)), (0.5,) * 3)
    encoded = image_of([[(0.5, 0.5, 0.5, 1)]])
    assert np.allclose(surface(textured(encoded)), 0.2140, atol=2e-3)
    raw = image_of([[(0.5, 0.5, 0.5, 1)]], is_data=True)
    assert np.allclose(surface(textured(raw)), 0.5, atol=2e-3)
    linear = image_of([[(0.5, 0.5, 0.5, 1)]], float_buffer=True)
    assert_is(surface(textured(linear)), (0.5,) * 3)


def test_what_is_see_through_of_a_texture_does_not_count():
    pixels = [[(1, 0, 0, 1), (0, 0, 1, 0.2)]]
    assert_is(surface(textured(image_of(pixels))), (1, 0, 0))
    image = image_of(pixels)
    image.alpha_mode = "NONE"
    assert_is(surface(textured(image)), (0.5, 0, 0.5))


def test_a_large_texture_is_sampled():
    pixels = np.zeros((1500, 1000, 4), np.float32)
    pixels[..., 3] = 1
    pixels[:, :500, 0] = 1
    assert np.allclose(surface(textured(image_of(pixels))), (0.5, 0, 0), atol=0.01)


def test_a_packed_texture_is_read(tmp_path):
    image = image_of([[(1, 1, 0, 1)]])
    image.filepath_raw, image.file_format = str(tmp_path / "a.png"), "PNG"
    image.save()
    loaded = bpy.data.images.load(str(tmp_path / "a.png"))
    loaded.pack()
    (tmp_path / "a.png").unlink()
    assert_is(surface(textured(loaded)), (1, 1, 0))


def test_each_texture_is_read_once(monkeypatch):
    read = []
    plain = shader_colours.read_pixels
    monkeypatch.setattr(shader_colours, "read_pixels", lambda image: read.append(image) or plain(image))
    image = image_of([[(1, 0, 0, 1)]])
    reader = ShaderColours({})
    for _ in range(3):
        material, tree = new_material()
        tree.feed(tree.add("ShaderNodeOutputMaterial").inputs["Surface"], textured(image)(tree))
        reader.of(material)
    assert len(read) == 1


# Groups ---------------------------------------------------------------------------------------------------------------


def new_group(name, inputs, output="NodeSocketShader"):
    """A node group with colour inputs; what it does with them, `build` does."""
    tree = bpy.data.node_groups.new(name, "ShaderNodeTree")
    for socket in inputs:
        tree.interface.new_socket(socket, in_out="INPUT", socket_type="NodeSocketColor")
    tree.interface.new_socket("Shader", in_out="OUTPUT", socket_type=output)
    return tree


def test_groups_are_entered_and_left():
    group = new_group("Paint", ["Paint"])
    inside = Tree(group)
    shader = principled(inside, Base_Color=inside.add("NodeGroupInput").outputs[0])
    inside.feed(inside.add("NodeGroupOutput").inputs[0], shader)
    assert_is(surface(lambda tree: tree.add("ShaderNodeGroup", node_tree=group, inputs={"Paint": GREEN})), GREEN)

    def fed_from_outside(tree):
        return tree.add("ShaderNodeGroup", {"Paint": tree.rgb(BLUE)}, node_tree=group)

    assert_is(surface(fed_from_outside), BLUE)


TOON_GROUPS = {
    "MToon 0": ({"DiffuseColor": RED}, "MainTexture", RED),
    "MToon 1": ({"Lit Color": RED}, "Lit Color Texture Color", RED),
    "MToon, older": ({"Lit Color, Alpha": RED}, None, RED),
    "MMD": (
        {"Diffuse Color": RED, "Ambient Color": GREY},
        "Base Tex",
        np.minimum(1, 0.6 * np.array(RED) + GREY),
    ),
}


@pytest.mark.parametrize("name", TOON_GROUPS)
def test_shaders_of_other_add_ons_are_known_by_their_inputs_whatever_is_inside(name):
    """As files bring them where the add-on is not installed."""
    inputs, texture, colour = TOON_GROUPS[name]
    group = new_group(name, [*inputs, *([texture] if texture else [])])

    def build(tree, picture=None):
        node = tree.add("ShaderNodeGroup", node_tree=group)
        for socket, value in inputs.items():
            tree.feed(node.inputs[socket], value)
        if picture is not None:
            tree.feed(node.inputs[texture], tree.add("ShaderNodeTexImage", image=picture))
        return node

    assert_is(surface(build), colour)
    if texture:
        picture = image_of([[(1, 1, 0, 1)]])
        assert_is(surface(lambda tree: build(tree, picture)), np.array(colour) * (1, 1, 0))


# What is not understood -----------------------------------------------------------------------------------------------

NOT_UNDERSTOOD = {
    "'Random' of the node|pattern": lambda tree: tree.add("ShaderNodeObjectInfo").outputs["Random"],
    "'Color' of the node 'Mine'": lambda tree: tree.add("ShaderNodeObjectInfo", label="Mine").outputs["Color"],
    "a pattern without a colour": lambda tree: tree.add("ShaderNodeTexNoise"),
    "colour attribute 'Paint', which is missing": lambda tree: tree.add("ShaderNodeVertexColor", layer_name="Paint"),
    "a texture without an image": lambda tree: tree.add("ShaderNodeTexImage"),
    "'Gone', which is missing": lambda tree: tree.add("ShaderNodeTexImage", image=missing_image()),
}


def missing_image():
    image = bpy.data.images.new("Gone", 4, 4)
    image.source, image.filepath = "FILE", "//nowhere/gone.png"
    return image


@pytest.mark.parametrize("words", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_said_in_words(words):
    with pytest.raises(NotUnderstood, match=words):
        surface(lambda tree: principled(tree, Base_Color=NOT_UNDERSTOOD[words](tree)))
