# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a snapshot is known again at other frames: keys, topologies. And how long reading takes."""

import time

import bpy
import numpy as np
import pytest
from snapshot_scenes import (
    hide_in_collection,
    instance_of,
    link,
    names,
    of,
    points,
    scatter,
    shot,
    shots,
    square,
)

from animerun_addon.scene import meshes
from animerun_addon.scene.demo import build_steps
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.snapshot import SnapshotReader


def test_keys_stay_while_things_come_and_go(tiny_scene):
    collection = hide_in_collection(square(tiny_scene))
    for number, name in enumerate(("C", "A", "B")):
        instance_of(tiny_scene, name, collection).location.x = number
    reader = SnapshotReader(tiny_scene)
    (before,) = shots(tiny_scene, reader=reader)
    bpy.data.objects.remove(bpy.data.objects["A"])
    square(tiny_scene, "AAA")
    (after,) = shots(tiny_scene, reader=reader)

    def places(snapshot):
        return {instance.key: snapshot.positions[instance.vertices].mean(0)[0] for instance in snapshot.instances}

    assert len(places(before)) == len(before.instances) == 4
    common = places(before).keys() & places(after).keys()
    assert len(common) == 3
    assert all(places(before)[key] == places(after)[key] for key in common)
    old = dict(zip(before.object_names, range(9), strict=False))
    assert all(after.object_names.index(name) == number for name, number in old.items())


def test_particles_are_known_by_their_number_and_asked_to_be_baked(tiny_scene):
    emitter = square(tiny_scene, "Emitter")
    emitter.modifiers.new("Particles", "PARTICLE_SYSTEM")
    settings = emitter.particle_systems[0].settings
    settings.count, settings.frame_start, settings.frame_end, settings.lifetime = 4, 1, 4, 3
    settings.render_type, settings.instance_object = "OBJECT", bpy.data.objects["Triangle"]
    first, second, late = shots(tiny_scene, (2, 3, 5))
    born, alive, later = ({one.key for one in snapshot.instances} for snapshot in (first, second, late))
    assert len(born) == len(first.instances)
    assert born < alive
    assert born - later
    assert all("Emitter" in key for key in alive - {"Emitter", "Triangle", "Camera"})
    assert any("of 'Emitter'" in note and "bake them" in note for note in first.notes)


def test_two_thousand_instances_cost_little_more_than_one_mesh(tiny_scene, monkeypatch):
    collection = hide_in_collection(square(tiny_scene))
    for number in range(2000):
        instance_of(tiny_scene, f"I{number}", collection).location.x = number
    read, reads, seconds = meshes.read_mesh, [], []

    def counted(mesh, *rest):
        reads.append(mesh.name)
        return read(mesh, *rest)

    monkeypatch.setattr("animerun_addon.scene.surfaces.read_mesh", counted)
    reader = SnapshotReader(tiny_scene)

    def visit(_, depsgraph):
        start = time.perf_counter()
        assert len(reader.read(depsgraph).instances) == 2001
        seconds.append(time.perf_counter() - start)

    with_render_depsgraph(tiny_scene, (1, 2, 3), visit)
    assert sorted(reads) == ["Square"] * 3 + ["Triangle"] * 3
    print(f"2,000 instances: {min(seconds) * 1e3:.0f} ms")
    assert min(seconds) < 0.4  # 30 ms on a quiet machine


def test_linked_duplicates_are_read_once(tiny_scene, monkeypatch):
    mesh = square(tiny_scene).data
    for number in range(3):
        link(tiny_scene, f"Copy{number}", mesh)
    reads = []
    read = meshes.read_mesh
    monkeypatch.setattr("animerun_addon.scene.surfaces.read_mesh", lambda *given: reads.append(1) or read(*given))
    assert len(shot(tiny_scene).instances) == 5
    assert len(reads) == 2


def test_topology_is_equal_while_a_mesh_bends_and_another_after_subdivision(tiny_scene):
    thing = square(tiny_scene)
    thing.shape_key_add(name="Basis")
    bent = thing.shape_key_add(name="Bent")
    # Over the other diagonal: triangulated anew it could be split otherwise.
    bent.data[0].co.z = bent.data[2].co.z = 3
    for frame, value in ((1, 0), (2, 1)):
        bent.value = value
        bent.keyframe_insert("value", frame=frame)
    subdivision = thing.modifiers.new("Subdivision", "SUBSURF")
    for frame, level in ((1, 0), (2, 0), (3, 1)):
        subdivision.render_levels = level
        subdivision.keyframe_insert("render_levels", frame=frame)
    flat, moved, fine = shots(tiny_scene, (1, 2, 3))
    tokens = [of(snapshot, "Square").topology for snapshot in (flat, moved, fine)]
    assert tokens[0] == tokens[1] != tokens[2]
    assert (flat.triangles == moved.triangles).all()
    assert not np.allclose(points(flat, "Square"), points(moved, "Square"))


def test_velocities_are_world_metres_a_frame(tiny_scene):
    thing = square(tiny_scene)
    thing.scale, thing.location = (2, 1, 1), (9, 9, 9)
    velocity = thing.data.attributes.new("velocity", "FLOAT_VECTOR", "POINT")
    velocity.data.foreach_set("vector", [24, 0, 12] * 4)
    tiny_scene.render.fps = 24
    snapshot = shot(tiny_scene)
    assert snapshot.velocities[of(snapshot, "Square").vertices] == pytest.approx(np.array([(2, 0, 0.5)] * 4))
    assert np.isnan(snapshot.velocities[of(snapshot, "Triangle").vertices]).all()


def test_what_has_no_surface_is_named(tiny_scene):
    bpy.ops.object.volume_add()
    bpy.ops.object.grease_pencil_add(type="STROKE")
    link(tiny_scene, "Hair", bpy.data.hair_curves.new("Hair"))
    square(tiny_scene, "Furry").modifiers.new("Fur", "PARTICLE_SYSTEM")
    bpy.data.objects["Furry"].particle_systems[0].settings.type = "HAIR"
    bpy.data.objects["Furry"].particle_systems[0].settings.render_type = "PATH"
    notes = " ".join(shot(tiny_scene).notes)
    for words in ("'Volume' is a volume", "'Stroke' is a Grease Pencil", "'Hair' is hair", "on 'Furry'"):
        assert words in notes


def test_the_demo_scene_reads_with_keys_that_match():
    scene = None
    steps = build_steps()
    while scene is None:
        try:
            next(steps)
        except StopIteration as end:
            scene = end.value
    reader, seconds, read = SnapshotReader(scene), [], []

    def visit(_, depsgraph):
        start = time.perf_counter()
        read.append(reader.read(depsgraph))
        seconds.append(time.perf_counter() - start)

    with_render_depsgraph(scene, (1, 2), visit)
    first, second = ({instance.key: instance for instance in snapshot.instances} for snapshot in read)
    assert len(first) == len(read[0].instances)
    assert len(second) == len(read[1].instances)
    assert len(first.keys() & second.keys()) > 0.99 * len(first)
    same = [first[key].topology == second[key].topology for key in first.keys() & second.keys()]
    assert np.mean(same) > 0.98
    assert np.isfinite(read[0].positions).all()
    print(f"demo: {len(read[0].triangles)} triangles, {len(first)} instances, {seconds[-1] * 1e3:.0f} ms a frame")


def test_geometry_nodes_instances_stand_at_their_points(tiny_scene):
    scatter(tiny_scene, bpy.data.objects["Triangle"]).location = (0, 0, -8)
    first, second = shots(tiny_scene, (1, 2))
    assert names(first) == ["Scatter"] + ["Triangle"] * 5
    tips = {
        tuple(first.positions[one.vertices][2].round(4)) for one in first.instances if "Triangle" in one.object_name
    }
    assert tips == {(0, 1, -5)} | {(x, y + 1, -13) for x in (-1, 1) for y in (-1, 1)}
    assert [one.key for one in first.instances] == [one.key for one in second.instances]
    assert len({one.key for one in first.instances}) == 6


def test_linked_libraries_are_read_and_kept_apart_by_name(tiny_scene, tmp_path):
    square(tiny_scene)
    path = str(tmp_path / "library.blend")
    bpy.data.libraries.write(path, {bpy.data.objects["Square"]})
    with bpy.data.libraries.load(path, link=True) as (_, into):
        into.objects = ["Square"]
    linked = into.objects[0]
    tiny_scene.collection.objects.link(linked)
    override = linked.override_create()
    override.name = "Overridden"
    tiny_scene.collection.objects.link(override)
    override.location.x = 5
    snapshot = shot(tiny_scene)
    assert names(snapshot) == ["Overridden", "Square", "Square [library.blend]", "Triangle"]
    assert points(snapshot, "Overridden").mean(0) == pytest.approx((5, 0, 0))
    assert points(snapshot, "Square [library.blend]").mean(0) == pytest.approx((0, 0, 0))


def test_equal_counts_do_not_make_topologies_equal(tiny_scene):
    crossed = square(tiny_scene, "Crossed").data
    crossed.clear_geometry()
    crossed.from_pydata([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], [], [(0, 1, 3, 2)])
    square(tiny_scene)
    square(tiny_scene, "Equal").location.x = 3
    snapshot = shot(tiny_scene)
    assert of(snapshot, "Square").topology != of(snapshot, "Crossed").topology
    assert of(snapshot, "Square").topology == of(snapshot, "Equal").topology


def test_a_topology_is_known_for_as_long_as_it_is_seen(tiny_scene):
    tokens = {of(snapshot, "Triangle").topology for snapshot in shots(tiny_scene, [1, 2, 3] * 8)}
    assert len(tokens) == 1


def test_an_emitter_can_be_hidden_behind_its_particles(tiny_scene):
    emitter = square(tiny_scene, "Emitter")
    emitter.modifiers.new("Particles", "PARTICLE_SYSTEM")
    settings = emitter.particle_systems[0].settings
    settings.count, settings.frame_start, settings.frame_end = 4, 1, 1
    settings.render_type, settings.instance_object = "OBJECT", bpy.data.objects["Triangle"]
    emitter.show_instancer_for_render = False
    assert names(shots(tiny_scene, (2,))[0]) == ["Triangle"] * 5
