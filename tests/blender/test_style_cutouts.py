# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards that their texture cuts out stay cut out in flat frames, at 0.5, as the labels have them, and come back."""

import bpy
import flat_frames
import numpy as np
import pytest
from flat_frames import NOTHING, labelled_objects, shown_objects, surfaces
from labelled import picture
from rna_dump import differences, dump
from style_scenes import convert, told

from animerun_addon.scene.style import restore
from animerun_addon.scene.versions import eevee_engine, node_tree_of
from animerun_addon.style_settings import ColourSource, Contours

LOOKS = {"materials", "meshes", "images", "node_groups"}
RNG = np.random.default_rng(11)
ALPHA = RNG.random((12, 10)).astype(np.float32)  # few of it are 0 or 1: Workbench's own limit is another
RED = (0.8, 0.1, 0.05)


def holes(alpha=ALPHA, colour=(1, 1, 1), extension="REPEAT"):
    """A material that is cut out by the alpha of an image of this colour, rows from the top."""
    material = bpy.data.materials.new("Leaves")
    tree = node_tree_of(material)
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image, texture.extension = image_of(alpha, colour), extension
    shader = tree.nodes["Principled BSDF"]
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    tree.links.new(texture.outputs["Alpha"], shader.inputs["Alpha"])
    return material


def image_of(alpha, colour=(1, 1, 1)):
    image = bpy.data.images.new("Leaves", *alpha.shape[::-1], alpha=True)
    rgba = np.dstack([np.broadcast_to(np.float32(colour), (*alpha.shape, 3)), alpha])
    image.pixels.foreach_set(rgba[::-1].ravel().astype(np.float32))
    image.pack()
    return image


def texture_of(material):
    return material.node_tree.nodes["Image Texture"]


def new_card(scene, material, name="Card", uv_maps=("UVMap",), tiles=1.0):
    """A square of 2 x 2 before the camera; its first UV map lays `tiles` textures on it."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-1, -1, -3), (1, -1, -3), (1, 1, -3), (-1, 1, -3)], [], [(0, 1, 2, 3)])
    corners = np.float32([(0, 0), (1, 0), (1, 1), (0, 1)])
    for number, uv_map in enumerate(uv_maps):
        laid = tiles * corners if number == 0 else np.float32([(0.1, 0.2)] * 4)
        mesh.uv_layers.new(name=uv_map).uv.foreach_set("vector", laid.ravel())
    mesh.materials.append(material)
    return flat_frames.add(scene, name, mesh)


@pytest.fixture
def flat_scene(tiny_scene):
    """Nothing but a camera that sees 2 x 2, 120 pixels wide."""
    bpy.data.meshes.remove(bpy.data.meshes["Triangle"])
    tiny_scene.camera.data.type, tiny_scene.camera.data.ortho_scale = "ORTHO", 2
    flat_frames.show_flat(tiny_scene)
    tiny_scene.render.resolution_x = tiny_scene.render.resolution_y = 120
    return tiny_scene


def there_of(alpha, size=120):
    """Where a square of this texture is, as pictured from straight ahead."""
    at = (np.arange(size) + 0.5) / size
    rows, columns = ((at * count).astype(int) for count in alpha.shape)
    return alpha[np.ix_(rows, columns)] >= 0.5


def flatten(scene, *steps, **choices):
    """In viewport colours, unless told otherwise, without lines."""
    choices = {"colour_source": ColourSource.VIEWPORT, "contours": Contours.FAST, **choices}
    return convert(scene, "flat_colours", "solid", *steps, **choices)


# Frames and labels ----------------------------------------------------------------------------------------------------


def test_a_card_is_there_where_its_alpha_is_half_or_more_in_one_colour(flat_scene, tmp_path):
    material = holes()
    new_card(flat_scene, material)
    material.diffuse_color = (*RED, 0.4)
    flatten(flat_scene)
    assert np.array_equal(shown_objects(flat_scene) != NOTHING, there_of(ALPHA))
    colours = picture(flat_scene, 1, tmp_path)[there_of(ALPHA)]
    assert len(np.unique(colours, axis=0)) == 1


def of_its_own(material, tree, texture):
    pass


def not_repeated(material, tree, texture):
    texture.extension = "EXTEND"


def by_a_threshold(material, tree, texture):
    limit = tree.nodes.new("ShaderNodeMath")
    limit.operation, limit.inputs[1].default_value = "GREATER_THAN", 0.2
    tree.links.new(texture.outputs["Alpha"], limit.inputs[0])
    tree.links.new(limit.outputs[0], tree.nodes["Principled BSDF"].inputs["Alpha"])


def on_another_uv_map(material, tree, texture):
    named = tree.nodes.new("ShaderNodeUVMap")
    named.uv_map = "Second"
    tree.links.new(named.outputs[0], texture.inputs["Vector"])


def laid_twice(material, tree, texture, turn=0.0):
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value, mapping.inputs["Location"].default_value = (2, 1, 1), (0.3, 0.25, 0)
    mapping.inputs["Rotation"].default_value.z = turn
    tree.links.new(mapping.outputs[0], texture.inputs["Vector"])


WAYS = (of_its_own, not_repeated, by_a_threshold, on_another_uv_map, laid_twice)


@pytest.mark.parametrize("backend", ["gpu", "numpy"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_labels_are_there_where_the_flat_frame_is(way, backend):
    """Obliquely seen cards among other things, some of them textured without holes."""
    scene = flat_frames.build_flat_scene()
    for name in ("Card0", "Card1"):
        material = holes()
        scene.objects[name].data.materials[0] = material
        scene.objects[name].data.uv_layers.new(name="Second")
        scene.objects[name].data.uv_layers["Second"].uv.foreach_set("vector", np.float32([0, 0, 2, 0, 2, 2, 0, 2]))
        way(material, material.node_tree, texture_of(material))
    picture_node = node_tree_of(scene.objects["Shape0"].data.materials[0]).nodes.new("ShaderNodeTexImage")
    picture_node.image = image_of(ALPHA)
    flat_frames.show_flat(scene)
    whole = shown_objects(scene)
    flatten(scene)
    shown = shown_objects(scene)
    cards = [surfaces().index(scene.objects[name]) for name in ("Card0", "Card1")]
    assert 0.1 < np.isin(shown, cards).sum() / np.isin(whole, cards).sum() < 0.95
    labelled = labelled_objects(scene, backend)
    assert (labelled != shown).sum() <= (0 if backend == "gpu" else 2e-4 * shown.size)


@pytest.mark.parametrize("turn", [0.0, np.pi / 2])
def test_a_texture_that_a_mapping_lays_on_is_cut_out_as_its_nodes_have_it(flat_scene, turn):
    material = holes()
    new_card(flat_scene, material)
    laid_twice(material, material.node_tree, texture_of(material), turn)
    flatten(flat_scene)
    flat = shown_objects(flat_scene) != NOTHING
    height, width = ALPHA.shape
    at = (np.arange(120) + 0.5) / 120
    across, up = np.meshgrid(2 * at, 1 - at)
    if turn:
        across, up = -up, across
    columns = (((across + 0.3) % 1) * width).astype(int)
    rows = height - 1 - (((up + 0.25) % 1) * height).astype(int)
    assert np.array_equal(flat, ALPHA[rows, columns] >= 0.5)


@pytest.mark.parametrize(("extension", "beyond"), [("REPEAT", "wrap"), ("EXTEND", "edge")])
def test_beyond_its_texture_a_card_goes_on_as_the_texture_does(flat_scene, extension, beyond):
    new_card(flat_scene, holes(extension=extension), tiles=2.0)
    flatten(flat_scene)
    height, width = ALPHA.shape
    assert np.array_equal(
        shown_objects(flat_scene) != NOTHING, there_of(np.pad(ALPHA, ((height, 0), (0, width)), mode=beyond))
    )


@pytest.mark.parametrize("second_is_active", [False, True])
def test_the_uv_map_for_rendering_lays_the_holes_on(flat_scene, second_is_active):
    card = new_card(flat_scene, holes(), uv_maps=("For rendering", "Other"))
    card.data.uv_layers.active_index = int(second_is_active)
    flatten(flat_scene)
    assert np.array_equal(shown_objects(flat_scene) != NOTHING, there_of(ALPHA))
    restore(flat_scene)
    assert card.data.uv_layers.active_index == int(second_is_active)


def test_a_mesh_whose_cards_need_two_uv_maps_is_told(flat_scene):
    first, second = holes(), holes()
    on_another_uv_map(second, second.node_tree, texture_of(second))
    card = new_card(flat_scene, first, uv_maps=("For rendering", "Second"))
    card.data.materials.append(second)
    assert "several UV maps" in told(flatten(flat_scene), card)


def test_without_cut_outs_textures_stay_out_of_it(flat_scene):
    plain = holes(np.ones((4, 4), np.float32))
    new_card(flat_scene, plain)
    flatten(flat_scene)
    assert flat_scene.display.shading.color_type == "MATERIAL"
    assert "AnimeRun picture" not in plain.node_tree.nodes


def test_holes_that_are_not_understood_are_filled_and_told(flat_scene):
    material = holes()
    noise = material.node_tree.nodes.new("ShaderNodeTexNoise")
    material.node_tree.links.new(noise.outputs[0], material.node_tree.nodes["Principled BSDF"].inputs["Alpha"])
    new_card(flat_scene, material)
    assert "Noise" in told(flatten(flat_scene), material)
    assert (shown_objects(flat_scene) != NOTHING).all()


def test_linked_materials_keep_their_holes_filled_and_are_told(flat_scene, tmp_path):
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {holes()})
    bpy.data.materials.remove(bpy.data.materials["Leaves"])
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.materials = ["Leaves"]
    (linked,) = wanted.materials
    new_card(flat_scene, linked)
    assert "filled" in told(flatten(flat_scene), linked)
    assert flat_scene.display.shading.color_type == "MATERIAL"
    new_card(flat_scene, holes(), "Another").location.z = -1
    assert "shows its texture" in told(flatten(flat_scene), linked)


# Colours --------------------------------------------------------------------------------------------------------------


def colours_at(scene, where, folder):
    """8-bit sRGB of these pixels, each once, blue first as OpenCV has it."""
    return np.rint(255 * np.unique(picture(scene, 1, folder)[where], axis=0)).astype(int).tolist()


def test_its_colour_is_the_average_of_what_is_left_of_its_texture(flat_scene, tmp_path):
    material = holes(colour=(1, 0.5, 0))
    new_card(flat_scene, material)
    flatten(flat_scene, colour_source=ColourSource.SHADER)
    assert colours_at(flat_scene, there_of(ALPHA), tmp_path) == [[0, 128, 255]]


def test_with_textures_its_own_colours_stay_and_its_holes_have_hard_edges(flat_scene, tmp_path):
    material = holes(colour=(1, 0.5, 0))
    pixels = np.array(texture_of(material).image.pixels, np.float32).reshape(*ALPHA.shape, 4)[::-1]
    pixels[:, :5, :3] = (0, 0, 1)
    texture_of(material).image.pixels.foreach_set(pixels[::-1].ravel())
    new_card(flat_scene, material)
    flatten(flat_scene, textures=True)
    assert np.array_equal(shown_objects(flat_scene) != NOTHING, there_of(ALPHA))
    assert colours_at(flat_scene, there_of(ALPHA), tmp_path) == [[0, 128, 255], [255, 0, 0]]


def test_with_textures_alpha_that_a_material_ignores_cuts_nothing_out(flat_scene, tmp_path):
    material = holes(np.zeros((4, 4), np.float32), colour=(1, 0.5, 0))
    shader = material.node_tree.nodes["Principled BSDF"]
    material.node_tree.links.remove(shader.inputs["Alpha"].links[0])
    new_card(flat_scene, material)
    flatten(flat_scene, textures=True)
    assert (shown_objects(flat_scene) != NOTHING).all()
    assert colours_at(flat_scene, np.ones((120, 120), bool), tmp_path) == [[0, 128, 255]]


def test_another_palette_recolours_cards_as_well(flat_scene, tmp_path):
    new_card(flat_scene, holes())
    seen = []
    for seed in (1, 2):
        flatten(flat_scene, "augment", palette="Candy", seed=seed)
        seen.append(colours_at(flat_scene, there_of(ALPHA), tmp_path))
    assert len(seen[0]) == len(seen[1]) == 1
    assert seen[0] != seen[1]
    assert len([image for image in bpy.data.images if "cut out" in image.name]) == 1


def test_line_art_has_white_cards_with_their_holes_and_tells_of_what_has_no_material(flat_scene, tmp_path):
    new_card(flat_scene, holes())
    bare = flat_frames.add(flat_scene, "Bare", bpy.data.meshes.new("Bare"))
    report = flatten(flat_scene, "line_art")
    assert "no material" in told(report, bare)
    flat_scene.world.color = (0, 0, 0)
    shown = picture(flat_scene, 1, tmp_path).mean(axis=-1) > 0.5
    assert np.array_equal(shown, there_of(ALPHA))


# And back -------------------------------------------------------------------------------------------------------------


def looks():
    """All that makes up the looks of things in this file."""
    return {name: values for name, values in dump().items() if name.partition("/")[0] in LOOKS}


def in_a_group(material):
    """The texture in a group that is the active node: what Blender shows before all others."""
    group = bpy.data.node_groups.new("Leaves", "ShaderNodeTree")
    group.nodes.new("ShaderNodeTexImage").image = image_of(1 - ALPHA)
    node = material.node_tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    material.node_tree.nodes.active = node


def marked(material):
    """Another texture is the one that Blender shows, though a node of another kind is active."""
    other = material.node_tree.nodes.new("ShaderNodeTexImage")
    other.image = image_of(1 - ALPHA)
    material.node_tree.nodes.active = other
    material.node_tree.nodes.active = material.node_tree.nodes["Principled BSDF"]


@pytest.mark.parametrize("choose", [lambda material: None, in_a_group, marked], ids=["unmarked", "group", "marked"])
def test_whatever_texture_was_shown_before_holes_are_right_and_all_is_as_it_was_afterwards(flat_scene, choose):
    material = holes()
    choose(material)
    new_card(flat_scene, material, uv_maps=("For rendering", "Other")).data.uv_layers.active_index = 1
    before = looks()
    active = material.node_tree.nodes.active.name
    flatten(flat_scene)
    assert np.array_equal(shown_objects(flat_scene) != NOTHING, there_of(ALPHA))
    assert np.array_equal(labelled_objects(flat_scene, "numpy") != NOTHING, there_of(ALPHA))
    restore(flat_scene)
    assert differences(before, looks()) == []
    assert material.node_tree.nodes.active.name == active


def test_a_saved_file_keeps_its_holes_and_its_way_back(flat_scene, tmp_path):
    material = holes()
    marked(material)
    new_card(flat_scene, material)
    before = looks()
    flatten(flat_scene)
    path = str(tmp_path / "flat.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    scene = bpy.context.scene
    assert np.array_equal(shown_objects(scene) != NOTHING, there_of(ALPHA))
    restore(scene)
    # Blender counts the users of a material's own tree once a session.
    assert [line for line in differences(before, looks()) if "node_tree/users" not in line] == []


@pytest.mark.parametrize("engine", ["CYCLES", eevee_engine()])
def test_a_restored_card_renders_as_before(flat_scene, engine, tmp_path):
    material = holes(colour=(0.2, 0.7, 0.1))
    in_a_group(material)
    new_card(flat_scene, material)
    light = flat_frames.add(flat_scene, "Sun", bpy.data.lights.new("Sun", "SUN"))
    light.data.energy = 3
    flat_scene.render.engine = engine
    flat_scene.cycles.samples, flat_scene.cycles.use_denoising, flat_scene.eevee.taa_render_samples = 4, False, 4
    before = picture(flat_scene, 1, tmp_path)
    assert before.max() > 0.2
    flatten(flat_scene, "flat_shading")
    assert not np.array_equal(picture(flat_scene, 1, tmp_path), before)
    restore(flat_scene)
    assert np.abs(picture(flat_scene, 1, tmp_path) - before).max() < 0.01


def test_two_scenes_that_share_a_card_cut_it_out_until_both_let_go(flat_scene):
    material = holes()
    card = new_card(flat_scene, material)
    before = looks()
    other = bpy.data.scenes.new("Other")
    other.collection.objects.link(card)
    flatten(flat_scene)
    flatten(other)
    restore(other)
    assert np.array_equal(shown_objects(flat_scene) != NOTHING, there_of(ALPHA))
    restore(flat_scene)
    assert differences(before, looks()) == []
