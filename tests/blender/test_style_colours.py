# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat frames have one colour a material: the shader's, a palette's or white; nothing is see-through."""

import time

import bpy
import cv2
import flat_frames
import numpy as np
import pytest
from demo_shots import built
from labelled import picture, read_frames
from rna_dump import differences, dump
from style_scenes import block, convert, told
from style_scenes import material as of_shader

from animerun_addon.errors import InputError
from animerun_addon.labels.palettes import PALETTES, lab_from_srgb, palette_of, srgb_from_linear
from animerun_addon.scene.style import StyleSettings, is_converted, restore
from animerun_addon.scene.style import convert as convert_all
from animerun_addon.scene.versions import node_tree_of
from animerun_addon.style_settings import ColourSource, Contours

RED, GREEN, GREY = (0.8, 0.1, 0.05), (0.1, 0.6, 0.2), (0.8, 0.8, 0.8)


def painted(name, colour):
    return of_shader("BsdfPrincipled", name=name, **{"Base Color": (*colour, 1)})


def flatten(scene, *steps, **choices):
    return convert(
        scene, "flat_colours", "flat_shading", "plain_display", *steps, **{"contours": Contours.FAST, **choices}
    )


def colour_of(material):
    return tuple(round(part, 4) for part in material.diffuse_color[:3])


def textured(name="Textured", colour=(1.0, 0.5, 0.0)):
    """A material with an image of one colour, sRGB, and a normal map that is the texture which Blender shows."""
    made = painted(name, GREEN)
    tree = made.node_tree
    for image_colour in (colour, (0.5, 0.5, 1.0)):
        texture = tree.nodes.new("ShaderNodeTexImage")
        texture.image = bpy.data.images.new(name, 4, 4)
        texture.image.pixels.foreach_set(np.tile([*image_colour, 1.0], 16).astype(np.float32))
        texture.image.pack()
        tree.nodes.active = texture
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.new(
        next(node for node in tree.nodes if node.type == "TEX_IMAGE").outputs[0], shader.inputs["Base Color"]
    )
    return made


@pytest.fixture
def wall(tiny_scene):
    """A wall before the camera that fills the frame; its material is the test's."""
    made = block(tiny_scene, "Wall")
    made.location.z, made.scale = -10, (20, 20, 1)
    made.data.uv_layers.new()
    return made


# Flat colours ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "colour"), [(ColourSource.SHADER, RED), (ColourSource.VIEWPORT, GREY)])
def test_colours_come_from_the_shader_or_stay_those_of_the_viewport(wall, tiny_scene, source, colour, tmp_path):
    material = painted("Paint", RED)
    wall.data.materials.append(material)
    flatten(tiny_scene, colour_source=source)
    assert np.allclose(material.diffuse_color[:3], colour, atol=1e-4)
    expected = np.rint(255 * srgb_from_linear(colour))[::-1]
    assert np.array_equal(np.rint(255 * picture(tiny_scene, 1, tmp_path)[0, 0]), expected)


def test_what_is_not_understood_keeps_its_viewport_colour_and_is_told(wall, tiny_scene):
    material = painted("Paint", RED)
    tree = material.node_tree
    by_object = tree.nodes.new("ShaderNodeObjectInfo")
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.new(by_object.outputs["Color"], shader.inputs["Base Color"])
    wall.data.materials.append(material)
    assert "Object Info" in told(flatten(tiny_scene), material)
    assert np.allclose(material.diffuse_color[:3], GREY)


def test_nothing_is_told_of_materials_that_are_only_on_hidden_things(wall, tiny_scene):
    material = textured()
    for node in material.node_tree.nodes:
        if node.type == "TEX_IMAGE":
            node.image = None
    wall.data.materials.append(material)
    assert told(flatten(tiny_scene), material)
    wall.hide_render = True
    assert not told(flatten(tiny_scene), material)


def test_an_animated_viewport_colour_stands_still_and_moves_again(wall, tiny_scene):
    material = painted("Paint", RED)
    wall.data.materials.append(material)
    for frame, value in ((1, 0.0), (3, 1.0)):
        material.diffuse_color = (value, value, value, 1)
        material.keyframe_insert("diffuse_color", frame=frame)
    flatten(tiny_scene)
    tiny_scene.frame_set(3)
    assert np.allclose(material.diffuse_color[:3], RED, atol=1e-4)
    restore(tiny_scene)
    tiny_scene.frame_set(3)
    assert tuple(material.diffuse_color) == (1, 1, 1, 1)


def test_a_colour_that_nodes_animate_is_that_of_the_current_frame_and_told(wall, tiny_scene):
    material = painted("Blinking", RED)
    wall.data.materials.append(material)
    colour = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED").inputs["Base Color"]
    for frame, value in ((1, RED), (3, GREEN)):
        colour.default_value = (*value, 1)
        colour.keyframe_insert("default_value", frame=frame)
    tiny_scene.frame_set(3)
    assert "colour of frame 3" in told(flatten(tiny_scene), material)
    assert np.allclose(material.diffuse_color[:3], GREEN, atol=1e-4)


def test_the_background_has_the_worlds_colour(tiny_scene, tmp_path):
    world = tiny_scene.world = bpy.data.worlds.new("Sky")
    node_tree_of(world).nodes["Background"].inputs["Color"].default_value = (*RED, 1)
    before = tuple(world.color)
    flatten(tiny_scene)
    assert np.array_equal(
        np.rint(255 * picture(tiny_scene, 1, tmp_path)[0, 0]), np.rint(255 * srgb_from_linear(RED))[::-1]
    )
    restore(tiny_scene)
    assert tuple(world.color) == before


def test_textures_are_shown_where_they_are_wanted_and_never_a_normal_map(wall, tiny_scene, tmp_path):
    wall.data.materials.append(textured())
    flatten(tiny_scene, textures=True)
    assert np.rint(255 * picture(tiny_scene, 1, tmp_path)[0, 0]).tolist() == [0, 128, 255]
    flatten(tiny_scene)
    assert np.rint(255 * picture(tiny_scene, 1, tmp_path)[0, 0]).tolist() == [0, 128, 255]
    assert tiny_scene.display.shading.color_type == "MATERIAL"


def test_a_picture_that_becomes_one_colour_is_told(wall, tiny_scene):
    material = textured()
    wall.data.materials.append(material)
    assert not told(flatten(tiny_scene), material)
    image = next(node.image for node in material.node_tree.nodes if node.type == "TEX_IMAGE")
    image.pixels.foreach_set(np.tile(np.float32([1, 0, 0, 1, 0, 0, 1, 1]), 8))
    assert "their average" in told(flatten(tiny_scene), material)
    assert not told(flatten(tiny_scene, textures=True), material)


# Solid ----------------------------------------------------------------------------------------------------------------


def test_nothing_is_see_through(wall, tiny_scene, tmp_path):
    material = painted("Glass", RED)
    material.diffuse_color = (*GREEN, 0.2)
    wall.data.materials.append(material)
    wall.color = (*RED, 0.3)
    shading = tiny_scene.display.shading
    shading.show_xray = True
    tiny_scene.render.film_transparent = True
    convert(tiny_scene, "solid", "flat_shading", contours=Contours.FAST)
    assert tuple(round(part, 4) for part in material.diffuse_color) == (*GREEN, 1)
    assert not shading.show_xray
    assert round(wall.color[3], 4) == 0.3  # it does not count
    assert (flat_frames.shown_objects(tiny_scene) != flat_frames.NOTHING).all()
    shading.color_type = "OBJECT"
    convert(tiny_scene, "solid")
    assert wall.color[3] == 1
    assert not shading.show_xray
    restore(tiny_scene)
    assert round(material.diffuse_color[3], 4) == 0.2
    assert round(wall.color[3], 4) == 0.3


# Other colours --------------------------------------------------------------------------------------------------------


@pytest.fixture
def crowd(tiny_scene):
    """Seven materials from dark to light, and the outline of an inverted hull."""
    thing = block(tiny_scene, "Crowd")
    for number in range(7):
        thing.data.materials.append(painted(f"Paint {number}", (0.1 + 0.1 * number,) * 3))
    outline = painted("Outline", (0.005, 0.002, 0.005))
    outline.use_backface_culling = True
    thing.data.materials.append(outline)
    return list(thing.data.materials)


def recoloured(scene, materials, **choices):
    flatten(scene, "augment", **choices)
    return [colour_of(material) for material in materials[:-1]]


def test_materials_get_the_palettes_colours_each_its_own_and_outlines_stay_black(tiny_scene, crowd):
    found = recoloured(tiny_scene, crowd, palette="Seaside", keep_light_order=False)
    assert len(set(found)) == 7
    palette = palette_of("Seaside")
    assert max(np.abs(palette - srgb_from_linear(colour)).max(axis=1).min() for colour in found) < 1e-3
    assert max(crowd[-1].diffuse_color[:3]) < 0.01
    restore(tiny_scene)
    assert all(np.allclose(material.diffuse_color[:3], GREY) for material in crowd)


def test_the_seed_decides_and_what_was_converted_before_does_not(tiny_scene, crowd):
    first = recoloured(tiny_scene, crowd, seed=1)
    second = recoloured(tiny_scene, crowd, seed=2)
    assert first != second
    assert recoloured(tiny_scene, crowd, seed=1) == first
    restore(tiny_scene)
    assert recoloured(tiny_scene, crowd, seed=1) == first


@pytest.mark.parametrize("palette", PALETTES)
def test_light_and_dark_keep_their_order(tiny_scene, crowd, palette):
    lightness = lab_from_srgb(
        srgb_from_linear(recoloured(tiny_scene, crowd, palette=palette, seed=3, keep_light_order=True))
    )[:, 0]
    assert (np.diff(lightness) > -0.01).all()


def test_colours_come_from_a_folder_of_pictures(tiny_scene, crowd, tmp_path):
    stripes = np.zeros((40, 60, 3), np.uint8)
    stripes[:, :30], stripes[:, 30:] = (200, 40, 20), (30, 60, 220)
    cv2.imwrite(str(tmp_path / "frame.png"), stripes)
    found = recoloured(tiny_scene, crowd[:3], palette=str(tmp_path), keep_light_order=False)
    shown = {tuple(np.rint(255 * srgb_from_linear(colour)).astype(int)[::-1].tolist()) for colour in found}
    assert {(200, 40, 20), (30, 60, 220)} & shown


def test_an_unknown_palette_changes_nothing(tiny_scene, crowd):
    before = dump()
    with pytest.raises(InputError, match="no palette or folder 'Mauve'"):
        flatten(tiny_scene, "augment", palette="Mauve")
    assert not is_converted(tiny_scene)
    assert differences(before, dump()) == []


def test_textures_keep_their_colours_and_are_told(wall, tiny_scene, tmp_path):
    material, plain = textured(), painted("Plain", RED)
    wall.data.materials.append(material)
    wall.data.materials.append(plain)
    report = flatten(tiny_scene, "augment", textures=True)
    assert "keeps its colours" in told(report, material)
    assert not told(report, plain)
    assert np.rint(255 * picture(tiny_scene, 1, tmp_path)[0, 0]).tolist() == [0, 128, 255]
    assert not np.allclose(plain.diffuse_color[:3], RED, atol=1e-3)


# Line art -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_world", [True, False])
def test_line_art_is_white_all_over(tiny_scene, has_world, tmp_path):
    if has_world:
        tiny_scene.world = bpy.data.worlds.new("Sky")
    painted_one = block(tiny_scene, "Painted", 0.5, painted("Paint", RED))
    bare = block(tiny_scene, "Bare", 0.5)
    painted_one.location, bare.location = (-2, 0, -5), (2, 0, -5)
    tiny_scene.render.film_transparent = True
    picture(tiny_scene, 1, tmp_path)  # fills in what an output has not been asked for before
    before = dump()
    flatten(tiny_scene, "line_art")
    assert (picture(tiny_scene, 1, tmp_path) == 1).all()
    restore(tiny_scene)
    assert differences(before, dump()) == []


# The demo scene, and many things --------------------------------------------------------------------------------------


def test_each_pixel_of_the_demo_scene_has_the_flat_colour_of_the_material_that_the_labels_say_is_there(tmp_path):
    scene = built()
    convert_all(scene, StyleSettings(contours=Contours.FAST))
    shown = np.rint(255 * picture(scene, 12, tmp_path))[..., ::-1]
    (frame,) = read_frames(scene, [12]).values()
    materials = [bpy.data.materials[name].diffuse_color[:3] for name in frame.snapshot.material_names]
    colours = np.rint(255 * srgb_from_linear([*materials, scene.world.color]))
    seen = np.where(frame.ids >= 0, frame.snapshot.material_ids[frame.ids], len(materials))
    assert len(np.unique(seen)) > 30
    assert (shown != colours[seen]).any(axis=-1).mean() < 1e-4


def test_two_thousand_materials_and_objects_take_no_time(tiny_scene):
    for number in range(2000):
        block(tiny_scene, f"Block {number}", 0.1, painted(f"Paint {number}", (0.5, 0.3, number / 2000)))
    start = time.process_time()
    flatten(tiny_scene, "solid", "augment")
    assert time.process_time() - start < 2
