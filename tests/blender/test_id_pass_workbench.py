# SPDX-License-Identifier: GPL-3.0-or-later
"""The id pass sees what Workbench shows of a scene, pixel by pixel."""

from dataclasses import replace

import bmesh
import bpy
import numpy as np
import pytest
from id_scenes import CARD_UVS, snapshot_of
from mathutils import Euler, Matrix

from animerun_addon.labels.snapshot import NO_SURFACE, Camera, Cutout
from animerun_addon.scene.id_pass import draw_ids
from animerun_addon.scene.versions import node_tree_of

# Every channel is 0 or 1: whatever colour management does, these stay apart.
COLOURS = [(r, g, b) for r in (0, 1) for g in (0, 1) for b in (0, 1)][1:]


@pytest.fixture
def flat_scene():
    """Shapes whose faces have seven plain colours at random; Workbench shows nothing but these colours."""
    scene = bpy.context.scene
    materials = [bpy.data.materials.new(f"M{n}") for n in range(len(COLOURS))]
    for material, colour in zip(materials, COLOURS, strict=True):
        material.diffuse_color = (*colour, 1)
    rng = np.random.default_rng(5)
    for n in range(6):
        add_shape(scene, f"Shape{n}", materials, rng, n)
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.camera.matrix_world = Matrix.Translation((0.3, -7, 1.5)) @ Euler((1.35, 0.1, 0.05)).to_matrix().to_4x4()
    as_flat_frame(scene)
    return scene


def add_shape(scene, name, materials, rng, kind):
    shape = bmesh.new()
    if kind % 3 == 0:
        bmesh.ops.create_monkey(shape)
    elif kind % 3 == 1:
        bmesh.ops.create_icosphere(shape, subdivisions=3, radius=1.1)
    else:
        bmesh.ops.create_cone(shape, cap_ends=False, segments=12, radius1=1.2, radius2=0.6, depth=2)
    for face in shape.faces:
        face.material_index = int(rng.integers(len(materials)))
    bmesh.ops.triangulate(shape, faces=shape.faces[:])
    mesh = bpy.data.meshes.new(name)
    shape.to_mesh(mesh)
    shape.free()
    for material in materials:
        mesh.materials.append(material)
    made = bpy.data.objects.new(name, mesh)
    made.location = rng.uniform((-2.5, -2, -1), (2.5, 4, 2))
    made.rotation_euler = rng.uniform(-3, 3, 3)
    scene.collection.objects.link(made)
    return made


def add_mesh(scene, name, positions, faces, material):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([tuple(p) for p in positions], [], [tuple(f) for f in faces])
    mesh.materials.append(material)
    made = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(made)
    return made


def as_flat_frame(scene):
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x, scene.render.resolution_y = 233, 131
    scene.render.film_transparent = True
    scene.render.dither_intensity = 0
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.view_settings.view_transform = "Standard"
    scene.display.render_aa = "OFF"
    shading = scene.display.shading
    shading.light, shading.color_type = "FLAT", "MATERIAL"
    shading.show_object_outline = shading.show_shadows = shading.show_cavity = False


def workbench_materials(scene, path):
    """Which material Workbench shows at each pixel, int (H, W), NO_SURFACE where it shows none."""
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width_px, height_px = image.size
    pixels = np.empty(width_px * height_px * 4, np.float32)
    image.pixels.foreach_get(pixels)
    r, g, b, a = (pixels.reshape(height_px, width_px, 4)[::-1] > 0.5).astype(int).transpose(2, 0, 1)
    bpy.data.images.remove(image)
    return np.where(a, 4 * r + 2 * g + b - 1, NO_SURFACE)


def read_simply(scene):
    """A snapshot of plain meshes: enough for these tests, and no code of the program's own reader."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    positions, triangles, materials, in_front = [], [], [], []
    first = 0
    for thing in (o.evaluated_get(depsgraph) for o in scene.objects if o.type == "MESH"):
        mesh = thing.data
        mesh.calc_loop_triangles()
        local = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", local)
        world = np.array(thing.matrix_world, np.float64)
        positions.append(local.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3])
        corners = np.empty(len(mesh.loop_triangles) * 3, np.int32)
        mesh.loop_triangles.foreach_get("vertices", corners)
        is_mirrored = np.linalg.det(world[:3, :3]) < 0
        triangles.append(corners.reshape(-1, 3)[:, :: -1 if is_mirrored else 1] + first)
        first += len(mesh.vertices)
        slots = np.empty(len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("material_index", slots)
        numbers = [bpy.data.materials.find(m.name) for m in mesh.materials]
        materials.append(np.array(numbers)[slots])
        in_front.append(np.full(len(slots), thing.show_in_front))
    ids = np.concatenate(materials).astype(np.int32)
    culls = np.full(len(ids), scene.display.shading.show_backface_culling)
    return snapshot_of(
        np.concatenate(positions),
        np.concatenate(triangles),
        read_camera_simply(scene, depsgraph),
        material_ids=ids,
        culls_back=culls,
        in_front=np.concatenate(in_front),
        **{name: np.zeros(len(ids), kind) for name, kind in (("instance_ids", np.int32), ("object_ids", np.int32))},
        holds_out=np.zeros(len(ids), bool),
    )


def read_camera_simply(scene, depsgraph):
    render, eye = scene.render, scene.camera.evaluated_get(depsgraph)
    width_px, height_px = (
        int(size * render.resolution_percentage / 100) for size in (render.resolution_x, render.resolution_y)
    )
    projection = eye.calc_matrix_camera(
        depsgraph, x=width_px, y=height_px, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    )
    return Camera(
        eye.name,
        width_px,
        height_px,
        np.array(eye.matrix_world.normalized().inverted()),
        np.array(projection),
        eye.data.clip_start,
        eye.data.clip_end,
        eye.data.type == "ORTHO",
    )


def assert_same_as_workbench(scene, path):
    snapshot = read_simply(scene)
    ids = draw_ids(snapshot)
    seen = np.where(ids >= 0, snapshot.material_ids[ids], NO_SURFACE)
    shown = workbench_materials(scene, path)
    assert shown.shape == seen.shape
    assert len(np.unique(shown)) > 5
    different = int((seen != shown).sum())
    assert different == 0, f"{different} of {seen.size} pixels differ"
    return ids


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


def in_scaled_parent(scene):
    """The camera's own scale is no part of what it sees."""
    scene.camera.scale = (2, 3, 0.5)


def culling(scene):
    scene.display.shading.show_backface_culling = True


def in_front(scene):
    for name in ("Shape1", "Shape4", "Shape5"):
        scene.objects[name].show_in_front = True


def culling_and_in_front(scene):
    culling(scene)
    in_front(scene)


def mirrored_objects(scene):
    """They are turned inside out, and drawn the other way round again."""
    culling(scene)
    for name in ("Shape0", "Shape2", "Shape4"):
        scene.objects[name].scale.x = -1


def crossing_the_near_plane(scene):
    # Not nearer than this: at 0.01 Workbench's own depth cannot tell surfaces 0.1 mm apart any more, 5 m away.
    scene.camera.data.clip_start = 0.1
    material = bpy.data.materials["M3"]
    floor = [(-80, -60, -0.9), (90, -60, -1.1), (70, 400, -1.0), (-80, 300, -1.2)]
    add_mesh(scene, "Floor", floor, [(0, 1, 2), (0, 2, 3)], material)
    through = [(-0.8, -9, 1.2), (0.9, -6.9, 1.9), (-0.2, -5, 0.9)]
    add_mesh(scene, "Through", through, [(0, 1, 2)], bpy.data.materials["M5"])


def clipped(scene):
    scene.camera.data.clip_start, scene.camera.data.clip_end = 6.2, 9.4


@pytest.mark.parametrize(
    "how",
    [
        lambda scene: None,
        orthographic,
        shifted,
        orthographic_and_shifted,
        fitted_horizontally,
        fitted_vertically,
        fitted_automatically_upright,
        with_wide_pixels,
        with_tall_pixels,
        at_a_percentage,
        in_scaled_parent,
        culling,
        in_front,
        culling_and_in_front,
        mirrored_objects,
        crossing_the_near_plane,
        clipped,
    ],
    ids=lambda how: how.__name__.replace("<lambda>", "perspective"),
)
def test_every_pixel_is_as_workbench_shows_it(flat_scene, tmp_path, how):
    how(flat_scene)
    bpy.context.view_layer.update()
    assert_same_as_workbench(flat_scene, tmp_path / "frame.png")


def textured_material(alpha):
    image = bpy.data.images.new("Card", *alpha.shape[::-1], alpha=True)
    texels = np.ones((*alpha.shape, 4), np.float32)
    texels[..., 3] = alpha
    image.pixels.foreach_set(texels[::-1].ravel())
    material = bpy.data.materials.new("Z")  # the last by name: the numbers of the others stay
    tree = node_tree_of(material)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image, node.interpolation = image, "Closest"
    tree.nodes.active = node
    return material


def test_cut_out_card_is_as_workbench_textures_show_it(flat_scene, tmp_path):
    """Workbench leaves out alpha < 0.1, not 0.5 (4.5 to 5.2); textures of 0 and 1, not interpolated, look alike."""
    rng = np.random.default_rng(8)
    alpha = (rng.random((16, 16)) > 0.4).astype(np.float32)
    material = textured_material(alpha)
    corners = [(-1.5, -4, 0), (1.8, -5, 0.2), (1.2, -3.5, 2.6), (-1.4, -4.6, 2.2)]
    whole = add_mesh(flat_scene, "Card", corners, [(0, 1, 2), (0, 2, 3)], material)
    uvs = 1.5 * CARD_UVS - 0.3
    whole.data.uv_layers.new().data.foreach_set("uv", uvs.ravel().astype(np.float32))
    flat_scene.display.shading.color_type = "TEXTURE"
    bpy.context.view_layer.update()

    snapshot = read_simply(flat_scene)
    is_card = snapshot.material_ids == bpy.data.materials.find(material.name)
    assert is_card.sum() == 2
    all_uvs = np.zeros((len(is_card), 3, 2), np.float32)
    all_uvs[is_card] = uvs
    cut = replace(snapshot, uvs=all_uvs, cutout_ids=is_card.astype(np.int32) - 1, cutouts=(Cutout(alpha, True),))
    ids = draw_ids(cut)
    seen = (ids >= 0) & is_card[ids]
    shown = workbench_materials(flat_scene, tmp_path / "frame.png")
    expected = np.where(ids >= 0, cut.material_ids[ids], NO_SURFACE)
    expected[seen] = len(COLOURS) - 1  # white
    assert 1000 < seen.sum() < is_card[draw_ids(snapshot)].sum() - 1000
    assert (shown != expected).sum() == 0
