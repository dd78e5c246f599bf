# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of things cost little each, however they are made, and what is animated on one of them counts at once."""

import time

import bpy
import numpy as np
import pytest
from snapshot_scenes import hide_in_collection, instance_of, link, names, of, points, scatter, shots, square

from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.snapshot import SnapshotReader


def seconds_to_read(scene):
    """Of this thread, without Blender's own evaluation; and the last snapshot."""
    reader, seconds, read = SnapshotReader(scene), [], []

    def visit(_, depsgraph):
        start = time.thread_time()
        read[:] = [reader.read(depsgraph)]
        seconds.append(time.thread_time() - start)

    with_render_depsgraph(scene, [1, 2, 3] * 3, visit)
    return min(seconds), read[0]


def copies(scene, count):
    mesh = square(scene).data
    for number in range(count):
        link(scene, "Copy", mesh).location.x = number


def collections(scene, count):
    collection = hide_in_collection(square(scene))
    for number in range(count):
        instance_of(scene, "Instance", collection).location.x = number


def by_nodes(scene, count):
    thing = scatter(scene, square(scene))
    thing.data.clear_geometry()
    thing.data.from_pydata([(number, 0, 0) for number in range(count)], [], [])


def by_particles(scene, count):
    square(scene)
    emitter = square(scene, "Emitter")
    emitter.modifiers.new("Particles", "PARTICLE_SYSTEM")
    settings = emitter.particle_systems[0].settings
    settings.count, settings.frame_start, settings.frame_end, settings.lifetime = count, 1, 1, 99
    settings.render_type, settings.instance_object = "OBJECT", bpy.data.objects["Square"]


@pytest.mark.parametrize("make", [copies, collections, by_nodes, by_particles])
def test_each_of_four_thousand_costs_what_each_of_five_hundred_does(tiny_scene, make):
    per_instance = []
    for count in (500, 4000):
        make(tiny_scene, count)
        seconds, snapshot = seconds_to_read(tiny_scene)
        assert len(snapshot.instances) >= count
        assert len({instance.key for instance in snapshot.instances}) == len(snapshot.instances)
        per_instance.append(seconds / len(snapshot.instances))
    print(f"{make.__name__}: {per_instance[1] * 1e6:.1f} microseconds each")
    # Quadratic would be 8.
    assert per_instance[1] < 2.5 * per_instance[0]


def test_every_one_of_many_stands_at_its_own_place(tiny_scene):
    copies(tiny_scene, 50)
    collections(tiny_scene, 50)
    (snapshot,) = shots(tiny_scene)
    expected = {thing.name: thing.location.x for thing in tiny_scene.objects}
    for instance in snapshot.instances:
        x = snapshot.positions[instance.vertices].mean(axis=0)[0]
        name = instance.key if isinstance(instance.key, str) else instance.key[1]
        assert x == pytest.approx(expected[name], abs=1e-5)


ANIMATED = {
    "hide_render": lambda snapshot: "Second" not in names(snapshot),
    "visible_camera": lambda snapshot: "Second" in names(snapshot),
    "is_holdout": lambda snapshot: snapshot.holds_out[of(snapshot, "Second").first_triangle],
    "show_in_front": lambda snapshot: snapshot.in_front[of(snapshot, "Second").first_triangle],
}


@pytest.mark.parametrize("setting", ANIMATED)
def test_what_is_animated_on_one_of_two_alike_counts_at_each_frame(tiny_scene, setting):
    """Between frames the reader forgets all of this."""
    mesh = square(tiny_scene, "First").data
    second = link(tiny_scene, "Second", mesh)
    for frame, value in ((1, False), (2, True), (3, False)):
        setattr(second, setting, value)
        second.keyframe_insert(setting, frame=frame)
    assert [bool(ANIMATED[setting](snapshot)) for snapshot in shots(tiny_scene, (1, 2, 3))] == [False, True, False]


def test_wire_display_and_a_layers_holdout_that_are_changed_between_two_reads_count(tiny_scene):
    thing = square(tiny_scene)
    collection = bpy.data.collections.new("Matte")
    tiny_scene.collection.children.link(collection)
    link(tiny_scene, "Other", thing.data)
    collection.objects.link(thing)
    tiny_scene.collection.objects.unlink(thing)
    reader = SnapshotReader(tiny_scene)
    layer = tiny_scene.view_layers[0].layer_collection.children["Matte"]
    holdouts = []
    for holdout in (False, True, False):
        layer.holdout = holdout
        (snapshot,) = shots(tiny_scene, reader=reader)
        holdouts.append(snapshot.holds_out[of(snapshot, "Square").first_triangle])
        assert not snapshot.holds_out[of(snapshot, "Other").first_triangle]
    assert holdouts == [False, True, False]
    layer.indirect_only = True
    assert names(shots(tiny_scene, reader=reader)[0]) == ["Other", "Triangle"]
    thing.display_type, layer.indirect_only = "WIRE", False
    assert names(shots(tiny_scene, reader=reader)[0]) == ["Other", "Triangle"]


def test_objects_that_share_a_mesh_keep_materials_of_their_own(tiny_scene):
    meshs, own = bpy.data.materials.new("Mesh's"), bpy.data.materials.new("Own")
    mesh = square(tiny_scene, "Plain").data
    mesh.materials.append(meshs)
    painted = link(tiny_scene, "Painted", mesh)
    painted.material_slots[0].link = "OBJECT"
    painted.material_slots[0].material = own
    link(tiny_scene, "Plain too", mesh)
    (snapshot,) = shots(tiny_scene)
    used = {
        one.object_name: snapshot.material_names[snapshot.material_ids[one.first_triangle]]
        for one in snapshot.instances
        if one.object_name != "Triangle"
    }
    assert used == {"Plain": "Mesh's", "Painted": "Own", "Plain too": "Mesh's"}


# Libraries ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def library(tiny_scene, tmp_path):
    """A file with a collection "Props" of a "Prop" that a "Root" carries, and nothing of it left in this one."""
    props = bpy.data.collections.new("Props")
    root, prop = bpy.data.objects.new("Root", None), square(tiny_scene, "Prop")
    props.objects.link(root)
    props.objects.link(prop)
    prop.parent = root
    path = str(tmp_path / "props.blend")
    bpy.data.libraries.write(path, {props})
    for thing in (root, prop):
        bpy.data.objects.remove(thing)
    bpy.data.collections.remove(props)
    with bpy.data.libraries.load(path, link=True) as (_, into):
        into.collections = ["Props"]
    return into.collections[0]


def test_a_linked_collection_is_read_wherever_it_is_instanced(tiny_scene, library):
    for number, name in enumerate(("Left", "Right")):
        instancer = instance_of(tiny_scene, name, library)
        for frame in (1, 2):
            instancer.location.x = 10 * number + frame
            instancer.keyframe_insert("location", frame=frame)
    first, second = shots(tiny_scene, (1, 2))
    assert names(first) == ["Prop [props.blend]", "Prop [props.blend]", "Triangle"]
    for snapshot in (first, second):
        props = [one for one in snapshot.instances if one.object_name != "Triangle"]
        at = {one.key[1]: snapshot.positions[one.vertices].mean(axis=0)[0] for one in props}
        assert at == pytest.approx({"Left": snapshot.frame, "Right": 10 + snapshot.frame})
    assert {one.key for one in first.instances} == {one.key for one in second.instances}


def test_an_overridden_collection_moves_as_this_file_animates_it(tiny_scene, library):
    overridden = library.override_hierarchy_create(tiny_scene, tiny_scene.view_layers[0])
    root = next(thing for thing in overridden.all_objects if thing.name.startswith("Root"))
    for frame, x in ((1, 0), (2, 3)):
        root.location.x = x
        root.keyframe_insert("location", frame=frame)
    first, second = shots(tiny_scene, (1, 2))
    (name,) = set(names(first)) - {"Triangle"}
    assert name == "Prop"
    assert points(second, name) - points(first, name) == pytest.approx(np.tile((3, 0, 0), (4, 1)))
    assert of(first, name).topology == of(second, name).topology
