# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own compositor opens the multi-layer file: a socket for each layer, and the numbers that were written."""

import bpy
import numpy as np
import pytest

from animerun_addon.dataset.formats import read_exr, write_exr
from animerun_addon.dataset.multilayer import FARTHEST_M, multilayer_channels

HEIGHT, WIDTH = 6, 10
RANDOM = np.random.default_rng(0)
CHANNELS = multilayer_channels(
    RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8),
    (RANDOM.normal(size=(HEIGHT, WIDTH, 2)).astype(np.float32), RANDOM.random((HEIGHT, WIDTH)) < 0.7),
    None,
    depth_m=np.where(RANDOM.random((HEIGHT, WIDTH)) < 0.5, np.float32(7), np.float32(np.inf)),
    normals=RANDOM.normal(size=(HEIGHT, WIDTH, 3)).astype(np.float32),
    object_ids=RANDOM.integers(-1, 3, (HEIGHT, WIDTH)).astype(np.int32),
    material_ids=RANDOM.integers(-1, 3, (HEIGHT, WIDTH)).astype(np.int32),
    characters={"Hero": [1], "初音ミク": [2]},
)


@pytest.fixture
def opened(tmp_path):
    """The file as an image of Blender's."""
    write_exr(tmp_path / "0001.exr", CHANNELS)
    return bpy.data.images.load(str(tmp_path / "0001.exr"))


def image_node(image):
    tree = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
    node = tree.nodes.new("CompositorNodeImage")
    node.image = image
    return tree, node


def test_every_layer_has_a_socket_of_its_kind(opened):
    _, node = image_node(opened)
    kinds = {socket.name: socket.type for socket in node.outputs if socket.enabled and socket.name != "Alpha"}
    assert opened.type == "MULTILAYER"
    assert kinds == {
        "Combined": "RGBA",
        "N": "VECTOR",
        "forward": "VECTOR",
        "backward": "VECTOR",
        **dict.fromkeys(("depth", "object_id", "material_id"), "VALUE"),
        **dict.fromkeys(("matte_Hero", "matte_character"), "VALUE"),
    }


def composited(image, layer, tmp_path):
    """A layer of the image, through a compositor and into a file."""
    scene = bpy.context.scene
    tree, node = image_node(image)
    if bpy.app.version < (5, 0, 0):
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        node = tree.nodes.new("CompositorNodeImage")
        node.image = image
        result = tree.nodes.new("CompositorNodeComposite").inputs["Image"]
    else:
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        result = tree.nodes.new("NodeGroupOutput").inputs["Image"]
    tree.links.new(node.outputs[layer], result)
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    render = scene.render
    render.engine = "BLENDER_WORKBENCH"
    render.resolution_x, render.resolution_y = WIDTH, HEIGHT
    render.image_settings.file_format = "OPEN_EXR"
    render.image_settings.color_mode = "RGB"
    render.image_settings.color_depth = "32"
    render.image_settings.exr_codec = "ZIP"
    render.filepath = str(tmp_path / "composited.exr")
    bpy.ops.render.render(write_still=True)
    return read_exr(tmp_path / "composited.exr")


@pytest.mark.parametrize(
    ("layer", "channels"),
    [
        ("Combined", "RGB"),
        ("forward", ("forward.u", "forward.v", "forward.A")),
        ("N", ("N.X", "N.Y", "N.Z")),
        ("depth", ("depth.Z",)),
        ("object_id", ("object_id.X",)),
        ("matte_Hero", ("matte_Hero.A",)),
    ],
)
def test_its_numbers_are_those_that_were_written(opened, layer, channels, tmp_path):
    read = composited(opened, layer, tmp_path)
    for name, channel in zip("RGB", channels, strict=False):
        assert np.array_equal(read[name], CHANNELS[channel].astype(np.float32)), channel


def test_the_farthest_is_what_cycles_writes_where_nothing_is(tmp_path):
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.view_layers[0].use_pass_z = True
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    settings = scene.render.image_settings
    if bpy.app.version >= (5, 0, 0):
        settings.media_type = "MULTI_LAYER_IMAGE"
        settings.use_exr_interleave = True
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    settings.exr_codec = "ZIP"
    scene.render.filepath = str(tmp_path / "cycles.exr")
    bpy.ops.render.render(write_still=True)
    read = read_exr(tmp_path / "cycles.exr")
    (depth,) = (numbers for name, numbers in read.items() if name.endswith("Depth.Z"))
    assert (depth == np.float32(FARTHEST_M)).all()
