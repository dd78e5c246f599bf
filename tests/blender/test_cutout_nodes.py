# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between a texture's alpha and the shader is worked out as the nodes do, or the material is named."""

import bpy
import cv2
import numpy as np
import pytest
from labelled import cycles_channels, read_frames
from snapshot_scenes import flags, of, shot, shots, square

from animerun_addon.scene.frames import render_png, writing_png
from animerun_addon.scene.snapshot import SnapshotReader
from animerun_addon.scene.versions import node_tree_of

ALPHA = np.array([[0.1, 0.3], [0.7, 0.9]])


@pytest.fixture
def painted(tiny_scene):
    """A square with a material of one texture, whose alpha nothing uses yet: scene, tree, texture, shader."""
    material = bpy.data.materials.new("Card")
    tree = node_tree_of(material)
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image(ALPHA)
    square(tiny_scene, "Card").data.materials.append(material)
    tiny_scene.render.engine = "CYCLES"
    return tiny_scene, tree, texture, next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")


def image(alpha):
    """Rows from the bottom."""
    made = bpy.data.images.new("Image", *alpha.shape[::-1], alpha=True)
    made.pixels.foreach_set(np.repeat(alpha.astype(np.float32).ravel(), 4))
    return made


def chain(tree, first, *steps):
    """Math nodes one after the other, each (operation, inputs), None where the one before goes in; the last output."""
    output = first
    for operation, *inputs in steps:
        node = tree.nodes.new("ShaderNodeMath")
        node.operation = operation
        for socket, value in zip(node.inputs, inputs, strict=False):
            if value is None:
                tree.links.new(output, socket)
            else:
                socket.default_value = value
        output = node.outputs[0]
    return output


def cut_at(scene):
    """The opacity of the card, rows from the bottom."""
    snapshot = shot(scene)
    if snapshot.cutout_ids is None:
        return None
    return snapshot.cutouts[flags(snapshot, "Card", "cutout_ids")].alpha[::-1]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("GREATER_THAN", None, 0.2)], ALPHA > 0.2),
        # The glTF importer's alpha clip.
        ([("LESS_THAN", None, 0.8), ("SUBTRACT", 1, None)], ALPHA >= 0.8),
        ([("MULTIPLY", None, 0.6)], ALPHA * 0.6),
        ([("MULTIPLY_ADD", None, 2, -0.5)], ALPHA * 2 - 0.5),
        ([("ROUND", None)], ALPHA > 0.5),
        ([("MINIMUM", None, 0.75), ("POWER", None, 2)], np.minimum(ALPHA, 0.75) ** 2),
    ],
)
def test_math_between_alpha_and_shader_counts(painted, steps, expected):
    scene, tree, texture, shader = painted
    tree.links.new(chain(tree, texture.outputs["Alpha"], *steps), shader.inputs["Alpha"])
    assert cut_at(scene) == pytest.approx(expected.astype(float), abs=0.005)
    assert not shot(scene).notes


def group_of(tree, build, inputs, output):
    """A node group of one output, built by a function of its tree, its input node and its output node."""
    inside = bpy.data.node_groups.new("Toon", "ShaderNodeTree")
    for name in inputs:
        inside.interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketFloat")
    inside.interface.new_socket("Result", in_out="OUTPUT", socket_type=output)
    build(inside, inside.nodes.new("NodeGroupInput"), inside.nodes.new("NodeGroupOutput"))
    group = tree.nodes.new("ShaderNodeGroup")
    group.node_tree = inside
    return group


def toon_shader(inside, entry, leave):
    """Paint over nothing, where the alpha is beyond the cutoff; the way of MToon and of many game shaders."""
    paint, nothing, mix = (
        inside.nodes.new(f"ShaderNode{kind}") for kind in ("Emission", "BsdfTransparent", "MixShader")
    )
    clip = inside.nodes.new("ShaderNodeMath")
    clip.operation = "GREATER_THAN"
    inside.links.new(entry.outputs["Texture alpha"], clip.inputs[0])
    inside.links.new(entry.outputs["Cutoff"], clip.inputs[1])
    for output, socket in ((clip, 0), (nothing, 1), (paint, 2)):
        inside.links.new(output.outputs[0], mix.inputs[socket])
    inside.links.new(mix.outputs[0], leave.inputs[0])


def test_the_inside_of_a_toon_shaders_group_counts(painted):
    scene, tree, texture, _ = painted
    group = group_of(tree, toon_shader, ("Texture alpha", "Cutoff"), "NodeSocketShader")
    group.inputs["Cutoff"].default_value = 0.8
    tree.links.new(texture.outputs["Alpha"], group.inputs["Texture alpha"])
    tree.links.new(group.outputs[0], tree.get_output_node("ALL").inputs["Surface"])
    assert (cut_at(scene) == (ALPHA > 0.8)).all()


def test_an_alpha_clip_group_before_the_shader_counts(painted):
    scene, tree, texture, shader = painted

    def clip(inside, entry, leave):
        output = chain(inside, entry.outputs["Alpha"], ("GREATER_THAN", None, 0.2))
        inside.links.new(output, leave.inputs[0])

    group = group_of(tree, clip, ("Alpha",), "NodeSocketFloat")
    tree.links.new(texture.outputs["Alpha"], group.inputs[0])
    tree.links.new(group.outputs[0], shader.inputs["Alpha"])
    assert (cut_at(scene) == (ALPHA > 0.2)).all()


def mixed(tree, factor, first, second):
    mix = tree.nodes.new("ShaderNodeMixShader")
    if factor is not None:
        tree.links.new(factor, mix.inputs[0])
    for shader, socket in ((first, 1), (second, 2)):
        tree.links.new(shader.outputs[0], mix.inputs[socket])
    return mix


def test_transparency_mixed_in_either_way_and_again_for_shadows(painted):
    scene, tree, texture, shader = painted
    nothing = tree.nodes.new("ShaderNodeBsdfTransparent")
    rays = tree.nodes.new("ShaderNodeLightPath")
    mix = mixed(tree, texture.outputs["Alpha"], shader, nothing)
    again = mixed(tree, rays.outputs["Is Shadow Ray"], mix, nothing)
    tree.links.new(again.outputs[0], tree.get_output_node("ALL").inputs["Surface"])
    assert cut_at(scene) == pytest.approx(1 - ALPHA, abs=0.005)


def test_a_mask_in_a_textures_colours_cuts_by_its_linear_grey(painted):
    scene, tree, texture, shader = painted
    pixels = np.repeat([0.5, 1.0, 0.0, 0.75], 4).astype(np.float32)
    texture.image.pixels.foreach_set(pixels)
    tree.links.new(texture.outputs["Color"], shader.inputs["Alpha"])
    assert cut_at(scene) == pytest.approx(np.array([[0.214, 1.0], [0.0, 0.522]]), abs=0.01)
    texture.image.colorspace_settings.name = "Non-Color"
    texture.image.pixels.foreach_set(pixels)
    assert cut_at(scene) == pytest.approx(np.array([[0.5, 1.0], [0.0, 0.75]]), abs=0.01)


def test_a_mapping_moves_turns_and_scales_the_texture(painted):
    scene, tree, texture, shader = painted
    tree.links.new(texture.outputs["Alpha"], shader.inputs["Alpha"])
    mapping, coordinates = tree.nodes.new("ShaderNodeMapping"), tree.nodes.new("ShaderNodeTexCoord")
    mapping.inputs["Location"].default_value = (0.5, 0.25, 0)
    mapping.inputs["Rotation"].default_value = (0, 0, np.pi / 2)
    mapping.inputs["Scale"].default_value = (2, 3, 1)
    tree.links.new(coordinates.outputs["UV"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs[0], texture.inputs["Vector"])
    snapshot = shot(scene)
    rows = of(snapshot, "Card").triangles
    # The square's map is its x and y, from -1..1 to 0..1; a quarter turn sends (x, y) to (-y, x).
    u, v = np.moveaxis(snapshot.positions[snapshot.triangles[rows]][..., :2] / 2 + 0.5, -1, 0)
    assert snapshot.uvs[rows] == pytest.approx(np.stack([0.5 - 3 * v, 0.25 + 2 * u], axis=-1), abs=1e-5)


@pytest.mark.parametrize("engine", ["CYCLES", "ANIMERUN_LABELS"])
def test_a_back_that_nodes_make_see_through_is_culled(painted, engine):
    scene, tree, _, shader = painted
    geometry = tree.nodes.new("ShaderNodeNewGeometry")
    nothing = tree.nodes.new("ShaderNodeBsdfTransparent")
    mix = mixed(tree, geometry.outputs["Backfacing"], shader, nothing)
    tree.links.new(mix.outputs[0], tree.get_output_node("ALL").inputs["Surface"])
    (snapshot,) = shots(scene, reader=SnapshotReader(scene, engine))
    assert flags(snapshot, "Card", "culls_back")
    assert not flags(snapshot, "Triangle", "culls_back")
    assert not snapshot.notes


def noise(tree, _, shader):
    node = tree.nodes.new("ShaderNodeTexNoise")
    tree.links.new(node.outputs[0], shader.inputs["Alpha"])


def two_textures(tree, texture, shader):
    other = tree.nodes.new("ShaderNodeTexImage")
    other.image = texture.image
    node = tree.nodes.new("ShaderNodeMath")
    tree.links.new(texture.outputs["Alpha"], node.inputs[0])
    tree.links.new(other.outputs["Alpha"], node.inputs[1])
    tree.links.new(node.outputs[0], shader.inputs["Alpha"])


def projected(tree, texture, shader):
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(coordinates.outputs["Window"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Alpha"], shader.inputs["Alpha"])


def no_image(tree, texture, shader):
    texture.image = None
    tree.links.new(texture.outputs["Alpha"], shader.inputs["Alpha"])


def see_through(_tree, _texture, shader):
    shader.inputs["Alpha"].default_value = 0.1


@pytest.mark.parametrize("build", [noise, two_textures, projected, no_image, see_through])
def test_what_is_not_understood_is_named(painted, build):
    scene, tree, texture, shader = painted
    build(tree, texture, shader)
    assert cut_at(scene) is None
    (note,) = shot(scene).notes
    assert note.startswith("Material 'Card' ")
    assert note.endswith("labelled as if it were opaque")


def test_culling_and_thresholds_can_be_animated(painted):
    scene, tree, texture, shader = painted
    material = bpy.data.materials["Card"]
    output = chain(tree, texture.outputs["Alpha"], ("GREATER_THAN", None, 0.2))
    tree.links.new(output, shader.inputs["Alpha"])
    threshold = output.node.inputs[1]
    for frame, value in ((1, 0.2), (2, 0.2), (3, 0.8)):
        threshold.default_value = value
        threshold.keyframe_insert("default_value", frame=frame)
        material.use_backface_culling = frame == 3
        material.keyframe_insert("use_backface_culling", frame=frame)
    read = shots(scene, (1, 2, 3), SnapshotReader(scene, "ANIMERUN_LABELS"))
    numbers = [flags(snapshot, "Card", "cutout_ids") for snapshot in read]
    assert numbers[0] == numbers[1] != numbers[2]
    assert [int(snapshot.cutouts[n].alpha.sum()) for snapshot, n in zip(read, numbers, strict=True)] == [3, 3, 1]
    assert [flags(snapshot, "Card", "culls_back") for snapshot in read] == [False, False, True]


def gltf_clip(tree, texture, shader):
    steps = ("LESS_THAN", None, 0.8), ("SUBTRACT", 1, None)
    tree.links.new(chain(tree, texture.outputs["Alpha"], *steps), shader.inputs["Alpha"])


def toon_group(tree, texture, _):
    group = group_of(tree, toon_shader, ("Texture alpha", "Cutoff"), "NodeSocketShader")
    group.inputs["Cutoff"].default_value = 0.2
    tree.links.new(texture.outputs["Alpha"], group.inputs["Texture alpha"])
    tree.links.new(group.outputs[0], tree.get_output_node("ALL").inputs["Surface"])


def turned(tree, texture, shader):
    gltf_clip(tree, texture, shader)
    mapping, coordinates = tree.nodes.new("ShaderNodeMapping"), tree.nodes.new("ShaderNodeTexCoord")
    mapping.inputs["Location"].default_value = (0.3, 0.1, 0)
    mapping.inputs["Rotation"].default_value = (0, 0, 0.4)
    mapping.inputs["Scale"].default_value = (2, 3, 1)
    tree.links.new(coordinates.outputs["UV"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs[0], texture.inputs["Vector"])


def see_through_back(tree, _, shader):
    geometry, nothing = tree.nodes.new("ShaderNodeNewGeometry"), tree.nodes.new("ShaderNodeBsdfTransparent")
    mix = mixed(tree, geometry.outputs["Backfacing"], shader, nothing)
    tree.links.new(mix.outputs[0], tree.get_output_node("ALL").inputs["Surface"])


@pytest.mark.parametrize("build", [gltf_clip, toon_group, turned, see_through_back])
def test_holes_are_where_cycles_renders_them(painted, build, tmp_path):
    scene, tree, texture, shader = painted
    texture.interpolation = "Closest"
    build(tree, texture, shader)
    bpy.data.objects.remove(bpy.data.objects["Triangle"])
    card = bpy.data.objects["Card"]
    card.location, card.scale = (0, 0, -5), (1.5, 1.5, 1.5)
    card.rotation_euler.y = np.pi - 0.3 if build is see_through_back else 0.3
    scene.render.resolution_x, scene.render.resolution_y = 96, 48
    scene.render.film_transparent = True
    (frame,) = read_frames(scene, [1], "numpy").values()
    channels = cycles_channels(scene, 1, tmp_path)
    (alpha,) = (pixels for name, pixels in channels.items() if name.endswith("Combined.A"))
    assert ((frame.ids >= 0) != (alpha > 0.5)).mean() < 0.005
    card.data.materials.clear()
    (whole,) = read_frames(scene, [1], "numpy").values()
    assert (whole.ids >= 0).sum() - (frame.ids >= 0).sum() > 200


def test_workbench_cuts_by_the_active_textures_own_alpha_whatever_nodes_do(painted, tmp_path):
    scene, tree, texture, shader = painted
    texture.image = image(np.array([[0.02, 0.08, 0.15, 0.4, 0.6]]))
    texture.interpolation = "Closest"
    tree.links.new(chain(tree, texture.outputs["Alpha"], ("GREATER_THAN", None, 0.5)), shader.inputs["Alpha"])
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.color_type, scene.display.render_aa = "TEXTURE", "OFF"
    scene.render.film_transparent = True
    scene.render.resolution_x, scene.render.resolution_y = 96, 48
    bpy.data.objects.remove(bpy.data.objects["Triangle"])
    card = bpy.data.objects["Card"]
    card.location.z = -5
    # Not the map that is marked for rendering, which would show one pixel of the texture all over.
    card.data.uv_layers.new(name="Other").active_render = True
    card.data.uv_layers["Other"].uv.foreach_set("vector", [0.1] * 8)
    card.data.uv_layers.active_index = 0
    assert cut_at(scene).tolist() == [[0, 0, 1, 1, 1]]
    (frame,) = read_frames(scene, [1], "numpy").values()
    scene.render.image_settings.color_mode = "RGBA"
    with writing_png(scene):
        render_png(scene, 1, tmp_path / "frame.png")
    alpha = cv2.imread(str(tmp_path / "frame.png"), cv2.IMREAD_UNCHANGED)[..., 3]
    assert ((frame.ids >= 0) == (alpha > 0)).all()
    tree.links.clear()
    assert cut_at(scene).tolist() == [[0, 0, 1, 1, 1]]
