# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene whose flat Workbench frame tells which object is at every pixel, and what the labels say is there.

Goes to a real Blender as text, too, so it imports nothing but what comes with Blender and the add-on.
"""

import importlib
import sys
import tempfile
from pathlib import Path

import bmesh
import bpy
import numpy as np
from mathutils import Euler, Matrix

NOTHING = -1
LEVELS = 5  # of a channel: their colours are told apart after any rounding
WIDTH_PX, HEIGHT_PX = 240, 135
SQUARE = [(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]


def addon(module):
    """A module of the add-on, under whatever name that is installed."""
    package = next((name for name in sys.modules if name.endswith(".animerun_addon")), "animerun_addon")
    return importlib.import_module(f"{package}.{module}")


# The scene ------------------------------------------------------------------------------------------------------------


def build_flat_scene():
    """One of everything that decides who is seen: a colour an object, Workbench shows nothing but these colours."""
    scene = bpy.context.scene
    add_floor(scene)
    add_outlined_monkey(scene)
    add_instances(scene)
    add_cards(scene)
    rng = np.random.default_rng(5)
    for number in range(5):
        shape = add(scene, f"Shape{number}", bmesh_mesh("Shape", add_shape, number % 3))
        shape.location, shape.rotation_euler = rng.uniform((-3, -1, -0.7), (3, 4, 2)), rng.uniform(-3, 3, 3)
    scene.objects["Shape3"].scale.x = -1
    scene.objects["Shape4"].modifiers.new("Bevel", "BEVEL").width = 0.1
    text = add(scene, "Text", bpy.data.curves.new("Text", "FONT"))
    text.data.body, text.data.extrude = "ab", 0.1
    text.location, text.rotation_euler = (-2.6, -1.6, 1.0), (1.4, 0.1, 0.2)
    scene.camera = add(scene, "Camera", bpy.data.cameras.new("Camera"))
    scene.camera.matrix_world = Matrix.Translation((0.3, -9, 1.8)) @ Euler((1.38, 0.1, 0.05)).to_matrix().to_4x4()
    # Nearer, and Workbench's own depth errs by 0.1 mm 8 m away: it shows where surfaces pass through each other.
    scene.camera.data.lens, scene.camera.data.clip_start = 34, 1
    show_flat(scene)
    return scene


def add(scene, name, data):
    made = bpy.data.objects.new(name, data)
    scene.collection.objects.link(made)
    return made


def bmesh_mesh(name, fill, *what):
    mesh, shape = bpy.data.meshes.new(name), bmesh.new()
    fill(shape, *what)
    shape.to_mesh(mesh)
    shape.free()
    return mesh


def add_shape(shape, kind):
    if kind == 0:
        bmesh.ops.create_monkey(shape)
    elif kind == 1:
        bmesh.ops.create_icosphere(shape, subdivisions=3, radius=1.1)
    else:
        bmesh.ops.create_cone(shape, cap_ends=False, segments=12, radius1=1.2, radius2=0.6, depth=2)


def add_floor(scene):
    """From behind the camera to far before it."""
    mesh = bpy.data.meshes.new("Floor")
    mesh.from_pydata([(-20, -15, -0.9), (22, -16, -1.1), (18, 60, -1.0), (-20, 50, -1.2)], [], [(0, 1, 2, 3)])
    add(scene, "Floor", mesh)


def add_outlined_monkey(scene):
    """Smoother in the render than in the viewport, in an inverted hull: a larger self, turned inside out."""
    body = add(scene, "Body", bmesh_mesh("Body", add_shape, 0))
    body.location, body.rotation_euler = (0.2, -2.5, 0.6), (0.1, 0.2, 0.4)
    hull = add(scene, "Hull", body.data.copy())
    hull.matrix_world = body.matrix_world = Matrix.LocRotScale(body.location, body.rotation_euler, (0.9, 0.9, 0.9))
    for thing in (body, hull):
        smooth = thing.modifiers.new("Smooth", "SUBSURF")
        smooth.levels, smooth.render_levels = 0, 2
    hull.modifiers.new("Grow", "DISPLACE").strength = -0.06  # against the turned normals
    hull.data.flip_normals()
    shell = add(scene, "Shell", bmesh_mesh("Shell", add_shape, 1))
    shell.location, shell.scale = (2.6, -1.5, 0.3), (0.5, 0.5, 0.7)
    outline = shell.modifiers.new("Outline", "SOLIDIFY")
    outline.thickness, outline.offset, outline.use_flip_normals, outline.use_rim = 0.1, 1, True, False


def add_instances(scene):
    """A collection at two places, one of them mirrored, and a child on every corner of its parent."""
    hidden = bpy.data.collections.new("Tree")
    for name, kind, height in (("Crown", 1, 1.6), ("Stem", 2, 0)):
        part = bpy.data.objects.new(name, bmesh_mesh(name, add_shape, kind))
        part.location.z, part.scale = height, (0.5, 0.4, 0.7)
        hidden.objects.link(part)
    for number, x in enumerate((-3.4, 3.2)):
        tree = add(scene, f"Tree{number}", None)
        tree.instance_type, tree.instance_collection = "COLLECTION", hidden
        tree.location, tree.scale.x = (x, 1.0, 0), 1 - 2 * number
    corners = bpy.data.meshes.new("Corners")
    corners.from_pydata(SQUARE, [], [(0, 1, 2, 3)])
    parent = add(scene, "Corners", corners)
    parent.instance_type, parent.show_instancer_for_render = "VERTS", False
    parent.location, parent.rotation_euler = (-1.0, -3.4, 1.2), (1.2, 0.3, 0)
    child = add(scene, "Bead", bmesh_mesh("Bead", add_shape, 1))
    child.parent, child.scale = parent, (0.16, 0.16, 0.3)


def add_cards(scene):
    """Textures of alpha 0 and 1, not interpolated."""
    rng = np.random.default_rng(8)
    for number, (x, extension) in enumerate(((-1.1, "REPEAT"), (1.3, "EXTEND"))):
        mesh = bpy.data.meshes.new("Card")
        mesh.from_pydata(SQUARE, [], [(0, 1, 2, 3)])
        uvs = 1.5 * np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) - 0.3
        mesh.uv_layers.new().data.foreach_set("uv", uvs.ravel().astype(np.float32))
        mesh.materials.append(cut_out_material((rng.random((12, 12)) > 0.4).astype(np.float32), extension))
        card = add(scene, f"Card{number}", mesh)
        card.location, card.rotation_euler, card.scale = (x, -4.2, 1.7 - number), (1.2, 0.2, 0.3), (0.5, 0.6, 1)


def cut_out_material(alpha, extension):
    image = bpy.data.images.new("Card", *alpha.shape[::-1], alpha=True)
    image.pixels.foreach_set(np.dstack([np.ones((*alpha.shape, 3), np.float32), alpha])[::-1].ravel())
    material = bpy.data.materials.new("Card")
    tree = addon("scene.versions").node_tree_of(material)
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image, texture.interpolation, texture.extension = image, "Closest", extension
    tree.links.new(texture.outputs["Alpha"], tree.nodes["Principled BSDF"].inputs["Alpha"])
    tree.nodes.active = texture
    return material


def show_flat(scene):
    """Workbench frames of pure colours; objects get theirs."""
    render, shading = scene.render, scene.display.shading
    render.engine = "BLENDER_WORKBENCH"
    render.resolution_x, render.resolution_y = WIDTH_PX, HEIGHT_PX
    render.film_transparent, render.dither_intensity = True, 0
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGBA"
    scene.view_settings.view_transform = "Standard"
    scene.display.render_aa = "OFF"
    shading.light, shading.color_type = "FLAT", "MATERIAL"  # an instance's object colour would be its instancer's
    shading.show_object_outline = shading.show_shadows = shading.show_cavity = False
    for number, thing in enumerate(surfaces()):
        materials = thing.data.materials
        if not materials:
            materials.append(bpy.data.materials.new(thing.name))
        materials[0].diffuse_color = thing.color = (*colour(number), 1)


def surfaces():
    """All objects that may be seen, in an order of their own."""
    return sorted((o for o in bpy.data.objects if o.type in {"MESH", "FONT"}), key=lambda thing: thing.name)


def encoded_colour(number):
    """A colour of its own as the picture shows it, (3,); never black."""
    return np.array([(number + 1) // LEVELS**place % LEVELS for place in range(3)]) / (LEVELS - 1)


def colour(number):
    """The same, scene-linear."""
    encoded = encoded_colour(number)
    return tuple(np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4))


# Who is seen ----------------------------------------------------------------------------------------------------------


def shown_objects(scene):
    """The object that Workbench shows at each pixel, places in surfaces(), int (H, W)."""
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder) / "frame.png")
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
        image.pixels.foreach_get(pixels)
        pixels = pixels.reshape(image.size[1], image.size[0], 4)[::-1]
        bpy.data.images.remove(image)
    digits = np.rint(pixels[..., :3] * (LEVELS - 1)).astype(int)
    return np.where(pixels[..., 3] > 0.5, digits @ LEVELS ** np.arange(3) - 1, NOTHING)


def labelled_objects(scene, backend):
    """The object that the labels say is there, likewise; from the closed scene to the id image."""
    reader = addon("scene.snapshot").SnapshotReader(scene)
    snapshots = []
    addon("scene.engine").with_render_depsgraph(
        scene, [scene.frame_current], lambda _, depsgraph: snapshots.append(reader.read(depsgraph))
    )
    (snapshot,) = snapshots
    ids, used = addon("scene.id_pass").visible_triangles(snapshot, backend)
    assert used == backend
    places = {thing.name: place for place, thing in enumerate(surfaces())}
    place_of_object = np.array([places[name] for name in snapshot.object_names])
    return np.where(ids >= 0, place_of_object[snapshot.object_ids[ids]], NOTHING)


# What can be otherwise ------------------------------------------------------------------------------------------------


def as_built(scene):
    pass


def orthographic(scene):
    scene.camera.data.type, scene.camera.data.ortho_scale = "ORTHO", 7.3


def shifted(scene):
    scene.camera.data.shift_x, scene.camera.data.shift_y = 0.13, -0.21


def orthographic_and_shifted(scene):
    orthographic(scene)
    shifted(scene)


def fitted_horizontally(scene):
    fit(scene, "HORIZONTAL", 101, 190)


def fitted_vertically(scene):
    fit(scene, "VERTICAL", 190, 101)


def fitted_automatically_upright(scene):
    fit(scene, "AUTO", 101, 190)


def fit(scene, sensor_fit, width_px, height_px):
    data = scene.camera.data
    data.sensor_fit, data.sensor_width, data.sensor_height, data.lens = sensor_fit, 31.0, 17.0, 22.0
    scene.render.resolution_x, scene.render.resolution_y = width_px, height_px


def with_wide_pixels(scene):
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = 1.7, 1.0


def with_tall_pixels(scene):
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = 1.0, 1.3


def at_a_percentage(scene):
    scene.render.resolution_percentage = 77


def with_a_scaled_camera(scene):
    scene.camera.scale = (2, 3, 0.5)


def culling(scene):
    scene.display.shading.show_backface_culling = True


def in_front(scene):
    for name in ("Shape1", "Shape4", "Crown", "Hull"):
        bpy.data.objects[name].show_in_front = True


def culling_and_in_front(scene):
    culling(scene)
    in_front(scene)


def clipped(scene):
    scene.camera.data.clip_start, scene.camera.data.clip_end = 4.3, 8.1


def orthographic_and_clipped(scene):
    orthographic(scene)
    clipped(scene)


def cut_out(scene):
    """Textures as colours, their alpha on both sides of Workbench's limit; what has none shows its material's."""
    rng = np.random.default_rng(9)
    scene.display.shading.color_type = "TEXTURE"
    for card in (scene.objects["Card0"], scene.objects["Card1"]):
        texture = card.data.materials[0].node_tree.nodes.active
        pixels = np.array(texture.image.pixels, np.float32).reshape(-1, 4)
        pixels[:, :3] = np.rint(255 * encoded_colour(surfaces().index(card))) / 255
        pixels[:, 3] = rng.choice(np.array([0, 0.08, 0.13, 0.4, 1], np.float32), len(pixels))
        texture.image.pixels.foreach_set(pixels.ravel())


def all_at_once(scene):
    culling_and_in_front(scene)
    cut_out(scene)
    shifted(scene)


def mirrored(scene):
    scene.camera.scale.x = -1


def mirrored_upside_down(scene):
    scene.camera.scale.y = -1


def mirrored_front_to_back(scene):
    turn_around(scene)
    scene.camera.scale.z = -1


def mirrored_all_ways(scene):
    turn_around(scene)
    scene.camera.scale = (-1, -1, -1)


def turn_around(scene):
    """Mirrored front to back, it looks the other way."""
    eye = scene.camera
    eye.rotation_euler = (eye.rotation_euler.to_matrix() @ Matrix.Rotation(np.pi, 3, "Y")).to_euler()


def mirrored_and_culling(scene):
    mirrored(scene)
    culling(scene)


def mirrored_all_at_once(scene):
    mirrored(scene)
    all_at_once(scene)


def mirrored_orthographic_and_culling(scene):
    mirrored(scene)
    orthographic_and_shifted(scene)
    culling(scene)


WAYS = (
    as_built, orthographic, shifted, orthographic_and_shifted, fitted_horizontally, fitted_vertically,
    fitted_automatically_upright, with_wide_pixels, with_tall_pixels, at_a_percentage, with_a_scaled_camera, culling,
    in_front, culling_and_in_front, clipped, orthographic_and_clipped, cut_out, all_at_once, mirrored,
    mirrored_upside_down, mirrored_front_to_back, mirrored_all_ways, mirrored_and_culling, mirrored_all_at_once,
    mirrored_orthographic_and_culling,
)  # fmt: skip
