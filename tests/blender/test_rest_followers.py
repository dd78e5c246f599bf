# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows a character by other means than bones: cages, lattices, cloth, soft bodies, caches; and what is no mesh.

The rest pose is what they were built as; frames show them as Blender evaluates them there.
"""

import struct

import bpy
import numpy as np
import pytest
import rest_scenes
from rest_scenes import FRAMES, blocks, build, carried, stage, to_bone
from snapshot_scenes import add_ball, link

from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.rest_pose import rest_coordinates
from animerun_addon.scene.snapshot import SnapshotReader

# Around the torso, and finer than a block: what bends it can be told.
COAT = ((0.0, 0.05, 0.8), (0.32, 0.22, 0.4))


@pytest.fixture
def scene():
    return bpy.context.scene


def grid_box(name, cells=6):
    """A box of many faces around the torso, (V, 3) in armature space as its mesh has it."""
    line = np.linspace(-1, 1, cells + 1)
    points, faces = [], []
    for axis in range(3):
        for side in (-1, 1):
            first = len(points)
            for u in line:
                for v in line:
                    point = np.empty(3)
                    point[axis], point[axis - 2], point[axis - 1] = side, u, v
                    points.append(point * COAT[1] + COAT[0])
            row = cells + 1
            for i in range(cells):
                for j in range(cells):
                    at = first + i * row + j
                    faces.append((at, at + 1, at + row + 1, at + row))
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([point.tolist() for point in points], [], faces)
    return mesh


def coordinates(mesh):
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3).astype(np.float64)


def in_rest_position(rig, do):
    """What binds does so while the armature stands in its rest position."""
    rig.data.pose_position = "REST"
    bpy.context.view_layer.update()
    do()
    rig.data.pose_position = "POSE"
    bpy.context.view_layer.update()


def frames_of(scene, rest, frames=FRAMES):
    reader, read = SnapshotReader(scene), []
    with_render_depsgraph(scene, frames, lambda _, depsgraph: read.append(reader.read(depsgraph, rest.by_object)))
    return read


def vertices_in(snapshot, name):
    (instance,) = (one for one in snapshot.instances if one.object_name == name)
    return snapshot.positions[instance.vertices], snapshot.rest_positions[instance.vertices]


def assert_rests_as_built_and_moves(scene, name, notes=0, frames=FRAMES):
    """Its rest coordinates are its mesh's own; it does move; returns (V, 3) in the world at each frame."""
    stage(scene)
    rest = rest_coordinates(scene, "Hero")
    built = coordinates(scene.objects[name].data)
    assert rest.by_object[name] == pytest.approx(built, abs=2e-5)
    assert len(rest.notes) == notes, rest.notes
    seen = [vertices_in(snapshot, name) for snapshot in frames_of(scene, rest, frames)]
    for world, at_rest in seen:
        assert at_rest == pytest.approx(built, abs=2e-5)
        assert np.isfinite(world).all()
    assert np.abs(seen[0][0] - seen[-1][0]).max() > 0.1, "it does move"
    return [world for world, _ in seen]


def with_coat(scene):
    rig = build(scene)
    coat = link(scene, "Coat", grid_box("Coat"))
    coat.parent = rig
    return rig, coat


def as_active(thing):
    return bpy.context.temp_override(object=thing, active_object=thing, selected_objects=[thing])


# Other deformers ------------------------------------------------------------------------------------------------------


def test_what_is_surface_deformed_rests_where_it_was_bound(scene):
    rig, coat = with_coat(scene)
    body = scene.objects["Hero body"]
    modifier = coat.modifiers.new("Follow", "SURFACE_DEFORM")
    modifier.target = body

    def bind():
        with as_active(coat):
            bpy.ops.object.surfacedeform_bind(modifier="Follow")

    in_rest_position(rig, bind)
    assert modifier.is_bound
    coat.parent = None  # it follows by its modifier alone
    places = assert_rests_as_built_and_moves(scene, "Coat")
    scene.frame_set(FRAMES[-1])
    # The torso is stiff: all of the coat that it carries goes as its bone does.
    followed = carried(rig, coordinates(coat.data))
    assert np.median(np.linalg.norm(places[-1] - followed, axis=1)) < 0.02


def test_what_a_cage_deforms_rests_where_it_was_bound(scene):
    rig, coat = with_coat(scene)
    cage = link(scene, "Cage", blocks("Cage", (COAT[0], tuple(1.3 * np.array(COAT[1])))))
    cage.display_type, cage.hide_render = "WIRE", True
    cage.parent = rig
    cage.vertex_groups.new(name="Spine").add(range(8), 1, "REPLACE")
    cage.modifiers.new("Armature", "ARMATURE").object = rig
    modifier = coat.modifiers.new("Caged", "MESH_DEFORM")
    modifier.object, modifier.precision = cage, 3

    def bind():
        with as_active(coat):
            bpy.ops.object.meshdeform_bind(modifier="Caged")

    in_rest_position(rig, bind)
    assert modifier.is_bound
    coat.parent = None
    places = assert_rests_as_built_and_moves(scene, "Coat", notes=1)  # the cage itself is not rendered
    scene.frame_set(FRAMES[-1])
    assert places[-1] == pytest.approx(carried(rig, coordinates(coat.data)), abs=0.02)


def test_what_a_lattice_of_the_armature_deforms_rests_where_it_was_built(scene):
    rig, coat = with_coat(scene)
    lattice = link(scene, "Lattice", bpy.data.lattices.new("Lattice"))
    lattice.location, lattice.scale = COAT[0], 3 * np.array(COAT[1])
    for axis in "uvw":
        setattr(lattice.data, f"interpolation_type_{axis}", "KEY_LINEAR")
    lattice.parent = rig
    lattice.vertex_groups.new(name="Spine").add(range(8), 1, "REPLACE")
    lattice.modifiers.new("Armature", "ARMATURE").object = rig
    coat.parent = None
    coat.modifiers.new("Lattice", "LATTICE").object = lattice
    places = assert_rests_as_built_and_moves(scene, "Coat")
    for frame, place in zip(FRAMES, places, strict=True):
        scene.frame_set(frame)
        assert place == pytest.approx(carried(rig, coordinates(coat.data)), abs=1e-4)


def test_a_lattice_of_another_shape_shows_in_the_rest_pose_and_its_keyed_shapes_do_not(scene):
    rig, coat = with_coat(scene)
    lattice = link(scene, "Lattice", bpy.data.lattices.new("Lattice"))
    lattice.location, lattice.scale = COAT[0], 3 * np.array(COAT[1])
    lattice.parent = rig
    coat.modifiers.new("Lattice", "LATTICE").object = lattice
    lattice.shape_key_add(name="Basis")
    for name in ("Fat", "Breath"):
        shape = lattice.shape_key_add(name=name, from_mix=False)
        for point in shape.data:
            point.co.z += 0.2
    keys = lattice.data.shape_keys.key_blocks
    keys["Fat"].value = 1.0
    for frame, value in ((FRAMES[0], 0.0), (FRAMES[-1], 1.0)):
        keys["Breath"].value = value
        keys["Breath"].keyframe_insert("value", frame=frame)
    stage(scene)
    rest = rest_coordinates(scene, "Hero").by_object["Coat"]
    raised = 0.2 * 3 * COAT[1][2]
    assert rest == pytest.approx(coordinates(coat.data) + np.array((0, 0, raised)), abs=1e-4)


# Simulations and caches -----------------------------------------------------------------------------------------------


def hang(scene, kind):
    """A coat of cloth or jelly that is pinned nowhere: it falls."""
    _, coat = with_coat(scene)
    modifier = coat.modifiers.new("Simulated", kind)
    cache = modifier.point_cache
    cache.frame_start, cache.frame_end = FRAMES[0], FRAMES[-1]
    if kind == "SOFT_BODY":
        modifier.settings.use_goal = False
    scene.frame_start, scene.frame_end = FRAMES[0], FRAMES[-1]
    return coat, modifier


def bake(coat, modifier):
    with bpy.context.temp_override(object=coat, active_object=coat, point_cache=modifier.point_cache):
        bpy.ops.ptcache.bake(bake=True)
    assert modifier.point_cache.is_baked


@pytest.mark.parametrize("kind", ["CLOTH", "SOFT_BODY"])
def test_baked_simulations_are_followed_as_they_were_baked_in_whatever_order(scene, kind):
    coat, modifier = hang(scene, kind)
    bake(coat, modifier)
    by_hand = {}
    for frame in FRAMES:
        scene.frame_set(frame)
        evaluated = coat.evaluated_get(bpy.context.evaluated_depsgraph_get())
        placed = np.array(evaluated.matrix_world)
        by_hand[frame] = coordinates(evaluated.data) @ placed[:3, :3].T + placed[:3, 3]
    backwards = FRAMES[::-1]
    for frame, place in zip(backwards, assert_rests_as_built_and_moves(scene, "Coat", 0, backwards), strict=True):
        assert place == pytest.approx(by_hand[frame], abs=1e-5)
    assert modifier.point_cache.is_baked


@pytest.mark.parametrize(("kind", "called"), [("CLOTH", "Cloth"), ("SOFT_BODY", "Soft body")])
def test_a_simulation_that_is_not_baked_is_named_with_its_remedy(scene, kind, called):
    coat, modifier = hang(scene, kind)
    stage(scene)
    rest = rest_coordinates(scene, "Hero")
    assert rest.by_object["Coat"] == pytest.approx(coordinates(coat.data), abs=1e-5)
    assert rest.notes == (f"{called} 'Simulated' of 'Coat' is not baked: bake it, or frames may not fit together",)
    modifier.show_render = False
    assert not rest_coordinates(scene, "Hero").notes


def write_pc2(path, frames):
    with path.open("wb") as file:
        file.write(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, len(frames[0]), 1.0, 1.0, len(frames)))
        file.write(np.array(frames, "<f4").tobytes())


def write_mdd(path, frames):
    with path.open("wb") as file:
        file.write(struct.pack(">ii", len(frames), len(frames[0])))
        file.write(np.arange(len(frames), dtype=">f4").tobytes())
        file.write(np.array(frames, ">f4").tobytes())


@pytest.mark.parametrize(("suffix", "write"), [("PC2", write_pc2), ("MDD", write_mdd)])
def test_a_mesh_cache_is_followed_and_rests_as_its_mesh(scene, tmp_path, suffix, write):
    _, coat = with_coat(scene)
    built = coordinates(coat.data)
    played = [built + np.array((0.1, 0.02, 0)) * number for number in range(FRAMES[-1] + 1)]
    path = tmp_path / f"coat.{suffix.lower()}"
    write(path, played)
    modifier = coat.modifiers.new("Played", "MESH_CACHE")
    modifier.cache_format, modifier.filepath = suffix, str(path)
    modifier.frame_start = 0
    places = assert_rests_as_built_and_moves(scene, "Coat")
    steps = [np.mean(place - built, axis=0)[0] for place in places]
    assert np.diff(steps) == pytest.approx(0.1 * np.diff(FRAMES), abs=1e-4)


def test_an_alembic_cache_is_followed_and_rests_as_its_mesh(scene, tmp_path):
    rig, coat = with_coat(scene)
    if not bpy.app.build_options.alembic:
        pytest.skip("this Blender has no Alembic")
    coat.vertex_groups.new(name="Spine").add(range(len(coat.data.vertices)), 1, "REPLACE")
    coat.modifiers.new("Armature", "ARMATURE").object = rig
    scene.frame_start, scene.frame_end = FRAMES[0], FRAMES[-1]
    bpy.context.view_layer.objects.active = coat
    for thing in scene.objects:
        thing.select_set(thing is coat)
    path = str(tmp_path / "coat.abc")
    bpy.ops.wm.alembic_export(filepath=path, start=FRAMES[0], end=FRAMES[-1], selected=True)
    before = set(bpy.data.objects)
    bpy.ops.wm.alembic_import(filepath=path)
    (played,) = (thing for thing in bpy.data.objects if thing not in before and thing.type == "MESH")
    assert [modifier.type for modifier in played.modifiers] == ["MESH_SEQUENCE_CACHE"]
    bpy.data.objects.remove(coat)
    played.name = "Played"
    played.parent = rig
    stage(scene)
    rest = rest_coordinates(scene, "Hero")
    # What it is parented by moves the imported object: its mesh is what rests.
    built = coordinates(played.data)
    rig_from_mesh = np.array(rig.matrix_world.inverted() @ played.matrix_world)
    assert rest.by_object["Played"] == pytest.approx(built @ rig_from_mesh[:3, :3].T + rig_from_mesh[:3, 3], abs=1e-5)
    seen = [vertices_in(snapshot, "Played") for snapshot in frames_of(scene, rest)]
    assert np.abs(seen[0][0] - seen[-1][0]).max() > 0.1
    assert all((at_rest == rest.by_object["Played"]).all() for _, at_rest in seen)


# What is no mesh ------------------------------------------------------------------------------------------------------


def test_hair_of_either_kind_and_metaballs_are_named_and_the_rest_stays(scene):
    rig = build(scene)
    hair = link(scene, "Strands", bpy.data.hair_curves.new("Strands"))
    hair.data.add_curves([3, 3])
    hair.parent = rig
    body = scene.objects["Hero body"]
    body.modifiers.new("Fur", "PARTICLE_SYSTEM")
    body.particle_systems[0].settings.type = "HAIR"
    body.particle_systems[0].settings.count = 5
    ball = add_ball(scene)
    ball.name = "Blob"
    ball.parent = rig
    stage(scene)
    rest = rest_coordinates(scene, "Hero")
    assert set(rest.by_object) == {"Hero body", "Hero hat", "Hero feather"}
    told = " ".join(rest.notes)
    for words in (
        "'Strands' is hair, not a surface",
        "'Fur' of 'Hero body' are no surface",
        "Metaball 'Blob' gets a new",
    ):
        assert words in told
    assert len(rest.notes) == 3


def test_many_hidden_things_are_named_in_one_note(scene):
    """As the rigid bodies of MMD's models."""
    rig = build(scene)
    for number in range(40):
        thing = link(scene, f"Rigid {number:02}", blocks("Rigid", rest_scenes.FEATHER))
        thing.parent, thing.hide_render = rig, True
    stage(scene)
    (note,) = rest_coordinates(scene, "Hero").notes
    assert note == ("40 objects are not rendered, such as 'Rigid 00', 'Rigid 01', 'Rigid 02': no rest coordinates")


def test_text_and_curves_with_a_surface_have_rest_coordinates(scene):
    rig = build(scene)
    curve = bpy.data.curves.new("Badge", "FONT")
    curve.body, curve.extrude, curve.size = "ab", 0.05, 0.3
    badge = link(scene, "Badge", curve)
    badge.location = (0.0, -0.3, 1.0)
    to_bone(badge, rig, "Spine")
    stage(scene)
    rest = rest_coordinates(scene, "Hero")
    assert not rest.notes
    for frame, snapshot in zip(FRAMES, frames_of(scene, rest), strict=True):
        scene.frame_set(frame)
        world, at_rest = vertices_in(snapshot, "Badge")
        assert len(world) > 20
        assert world == pytest.approx(carried(rig, at_rest.astype(np.float64)), abs=1e-4)


def test_a_collection_instanced_from_a_bone_rests_and_follows(scene):
    rig = build(scene)
    held = bpy.data.collections.new("Held")
    held.objects.link(bpy.data.objects.new("Blade", blocks("Blade", rest_scenes.FEATHER)))
    empty = link(scene, "Grip", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", held
    to_bone(empty, rig, "Spine")
    stage(scene)
    rest = rest_coordinates(scene, "Hero")
    assert rest.by_object["Blade"] == pytest.approx(coordinates(bpy.data.meshes["Blade"]), abs=1e-5)
    for frame, snapshot in zip(FRAMES, frames_of(scene, rest), strict=True):
        scene.frame_set(frame)
        world, at_rest = vertices_in(snapshot, "Blade")
        assert world == pytest.approx(carried(rig, at_rest.astype(np.float64)), abs=1e-4)
