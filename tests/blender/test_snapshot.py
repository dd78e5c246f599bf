# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot holds everything that renders as a surface, once, at its place, drawn as the frame draws it."""

import bpy
import numpy as np
import pytest
from snapshot_scenes import (
    add_ball,
    add_mesh,
    add_sphere,
    add_text,
    add_tube,
    by_hand,
    flags,
    hide_in_collection,
    instance_of,
    link,
    names,
    normals,
    of,
    points,
    shot,
    shots,
    square,
)

from animerun_addon.labels.snapshot import NO_SURFACE
from animerun_addon.scene.snapshot import SnapshotReader
from animerun_addon.scene.versions import eevee_engine, node_tree_of


@pytest.mark.parametrize("add", [add_mesh, add_text, add_tube, add_ball, add_sphere])
def test_each_kind_of_surface_is_read_once_at_its_place(tiny_scene, add):
    thing = add(tiny_scene)
    thing.location, thing.rotation_euler, thing.scale = (1, 2, -7), (0.4, 0.5, 0.6), (1, 2, 0.5)
    snapshot = shot(tiny_scene)
    assert names(snapshot) == ["Thing", "Triangle"]
    assert points(snapshot, "Thing") == pytest.approx(by_hand(thing), abs=1e-5)
    assert snapshot.positions.dtype == np.float64
    assert (of(snapshot, "Thing").no_correspondence is not None) == (thing.type == "META")


def test_arrays_and_instances_fit_together(tiny_scene):
    add_mesh(tiny_scene)
    square(tiny_scene)
    snapshot = shot(tiny_scene)
    for number, instance in enumerate(snapshot.instances):
        assert set(snapshot.instance_ids[instance.triangles]) == {number}
        used = snapshot.triangles[instance.triangles]
        assert used.min() >= instance.vertices.start
        assert used.max() < instance.vertices.stop
        object_id = snapshot.object_ids[instance.first_triangle]
        assert snapshot.object_names[object_id] == instance.object_name
    assert sum(instance.triangle_count for instance in snapshot.instances) == len(snapshot.triangles)
    assert sum(instance.vertex_count for instance in snapshot.instances) == len(snapshot.positions)


def test_render_levels_of_modifiers_are_used(tiny_scene):
    subdivision = square(tiny_scene).modifiers.new("Subdivision", "SUBSURF")
    subdivision.levels, subdivision.render_levels = 0, 2
    assert of(shot(tiny_scene), "Square").triangle_count == 2 * 16


def test_what_is_not_rendered_is_not_read(tiny_scene):
    square(tiny_scene, "Hidden").hide_render = True
    excluded = bpy.data.collections.new("Excluded")
    tiny_scene.collection.children.link(excluded)
    excluded.objects.link(bpy.data.objects.new("InExcluded", square(tiny_scene, "Viewport").data))
    tiny_scene.view_layers[0].layer_collection.children["Excluded"].exclude = True
    bpy.data.objects["Viewport"].hide_viewport = True
    square(tiny_scene, "NoCamera").visible_camera = False
    square(tiny_scene, "Wire").display_type = "WIRE"
    square(tiny_scene, "Bounds").display_type = "BOUNDS"
    snapshot = shot(tiny_scene)
    assert names(snapshot) == ["Triangle", "Viewport"]
    assert [note.split("'")[1] for note in snapshot.notes] == ["NoCamera", "Wire", "Bounds"]


def test_an_instancer_hides_itself_and_holds_out_and_blinds_its_instances(tiny_scene):
    collection = hide_in_collection(square(tiny_scene))
    instancer = instance_of(tiny_scene, "Instancer", collection)
    instancer.is_holdout = True
    assert flags(shot(tiny_scene), "Square", "holds_out")
    instancer.is_holdout, instancer.visible_camera = False, False
    assert names(shot(tiny_scene)) == ["Triangle"]
    instancer.visible_camera, instancer.hide_render = True, True
    assert names(shot(tiny_scene)) == ["Triangle"]

    parent = square(tiny_scene, "Faces")
    parent.instance_type, parent.show_instancer_for_render = "FACES", False
    link(tiny_scene, "Child", bpy.data.objects["Triangle"].data).parent = parent
    assert names(shot(tiny_scene)) == ["Child", "Triangle"]


def test_holdouts_by_object_and_by_collection(tiny_scene):
    square(tiny_scene, "Own").is_holdout = True
    collection = bpy.data.collections.new("Holdout")
    tiny_scene.collection.children.link(collection)
    collection.objects.link(bpy.data.objects.new("Whole", bpy.data.objects["Triangle"].data))
    tiny_scene.view_layers[0].layer_collection.children["Holdout"].holdout = True
    snapshot = shot(tiny_scene)
    assert flags(snapshot, "Own", "holds_out")
    assert flags(snapshot, "Whole", "holds_out")
    assert not flags(snapshot, "Triangle", "holds_out")


@pytest.mark.parametrize(
    ("engine", "shading", "material", "culls"),
    [
        ("BLENDER_WORKBENCH", True, False, True),
        ("BLENDER_WORKBENCH", False, True, False),
        (eevee_engine(), True, False, False),
        (eevee_engine(), False, True, True),
        ("CYCLES", True, True, False),
        ("ANIMERUN_LABELS", False, True, True),
        ("ANIMERUN_LABELS", False, False, False),
    ],
)
def test_back_faces_are_culled_where_the_frames_engine_does(tiny_scene, engine, shading, material, culls):
    tiny_scene.display.shading.show_backface_culling = shading
    paint = bpy.data.materials.new("Paint")
    paint.use_backface_culling = material
    bpy.data.objects["Triangle"].data.materials.append(paint)
    (snapshot,) = shots(tiny_scene, reader=SnapshotReader(tiny_scene, engine))
    assert flags(snapshot, "Triangle", "culls_back") == culls


@pytest.mark.parametrize(("engine", "counts"), [("BLENDER_WORKBENCH", True), ("CYCLES", False)])
def test_in_front_counts_where_the_frames_engine_draws_it(tiny_scene, engine, counts):
    square(tiny_scene).show_in_front = True
    (snapshot,) = shots(tiny_scene, reader=SnapshotReader(tiny_scene, engine))
    assert flags(snapshot, "Square", "in_front") == counts
    assert not flags(snapshot, "Triangle", "in_front")


def test_mirrored_things_keep_their_front(tiny_scene):
    square(tiny_scene).scale = (-1, 1, 1)
    add_mesh(tiny_scene)
    instance_of(tiny_scene, "Mirror", hide_in_collection(bpy.data.objects["Thing"])).scale = (2, 2, -2)
    plain = link(tiny_scene, "Plain", bpy.data.objects["Thing"].data)
    snapshot = shot(tiny_scene)
    facing = normals(snapshot)
    assert (facing[of(snapshot, "Square").triangles] == pytest.approx(np.array([(0, 0, 4)] * 2))) is True
    expected = facing[of(snapshot, plain.name).triangles] * (4, 4, -4)
    assert facing[of(snapshot, "Thing").triangles] == pytest.approx(expected, abs=1e-5)


def test_materials_go_by_slot_and_link(tiny_scene):
    red, blue = bpy.data.materials.new("Red"), bpy.data.materials.new("Blue")
    thing = square(tiny_scene)
    thing.data.clear_geometry()
    thing.data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)], [], [(0, 1, 2), (1, 3, 2)])
    thing.data.materials.append(red)
    thing.data.materials.append(red)
    thing.data.polygons.foreach_set("material_index", [0, 1])
    thing.material_slots[1].link = "OBJECT"
    thing.material_slots[1].material = blue
    first, second = shots(tiny_scene, (1, 2))
    ids = first.material_ids[of(first, "Square").triangles]
    assert [first.material_names[number] for number in ids] == ["Red", "Blue"]
    assert flags(first, "Triangle", "material_ids") == NO_SURFACE
    assert (second.material_ids == first.material_ids).all()


def cut(material, alpha, uv_map=None, extension="REPEAT"):
    """Let an image with this alpha (rows from the BOTTOM) cut the material."""
    tree = node_tree_of(material)
    image = bpy.data.images.new("Card", *alpha.shape[::-1], alpha=True)
    image.pixels.foreach_set(np.repeat(alpha.astype(np.float32).ravel(), 4))
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image, texture.extension = image, extension
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.new(texture.outputs["Alpha"], shader.inputs["Alpha"])
    if uv_map:
        uvs = tree.nodes.new("ShaderNodeUVMap")
        uvs.uv_map = uv_map
        tree.links.new(uvs.outputs[0], texture.inputs["Vector"])


ALPHA = np.array([[1, 1, 0], [0, 1, 1]])


def card(scene, **settings):
    material = bpy.data.materials.new("Card")
    node_tree_of(material)
    cut(material, settings.pop("alpha", ALPHA), **settings)
    thing = square(scene, "Card")
    thing.data.materials.append(material)
    scene.display.shading.color_type = "TEXTURE"
    return thing


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_a_cutout_has_its_alpha_top_down_and_its_uvs(tiny_scene, is_mirrored):
    thing = card(tiny_scene)
    thing.scale.x = -1 if is_mirrored else 1
    snapshot = shot(tiny_scene)
    assert snapshot.cutouts[flags(snapshot, "Card", "cutout_ids")].alpha.tolist() == ALPHA[::-1].tolist()
    assert snapshot.cutouts[0].alpha.dtype == np.float32
    assert snapshot.cutouts[0].repeats
    assert flags(snapshot, "Triangle", "cutout_ids") == -1
    # The square's map is its x and y, from -1..1 to 0..1.
    rows = of(snapshot, "Card").triangles
    local = snapshot.positions[snapshot.triangles[rows]][:, :, :2] / (thing.scale.x, 1)
    assert snapshot.uvs[rows] == pytest.approx(local / 2 + 0.5)


def test_a_cutout_uses_the_map_that_its_texture_names(tiny_scene):
    tiny_scene.render.engine = "CYCLES"
    thing = card(tiny_scene, uv_map="Other", extension="EXTEND")
    thing.data.uv_layers.new(name="Other").uv.foreach_set("vector", [0.25] * 8)
    snapshot = shot(tiny_scene)
    assert (snapshot.uvs[of(snapshot, "Card").triangles] == 0.25).all()
    assert not snapshot.cutouts[0].repeats


def test_images_without_holes_and_workbench_without_textures_cut_nothing(tiny_scene):
    card(tiny_scene, alpha=np.ones((2, 2)))
    assert shot(tiny_scene).uvs is None
    bpy.data.objects.remove(bpy.data.objects["Card"])
    card(tiny_scene)
    tiny_scene.display.shading.color_type = "OBJECT"
    assert shot(tiny_scene).cutout_ids is None
    tiny_scene.render.engine = "CYCLES"
    assert shot(tiny_scene).cutout_ids is not None
