# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces whose mesh is another one at every frame: followed by their velocities as Cycles does it, or not at all."""

import bpy
import numpy as np
import pytest
import shots
from labelled import cycles_vectors, flow_between, read_frames
from snapshot_scenes import add_ball


@pytest.fixture
def scene():
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 25, 1.25
    shots.new_camera(scene)
    return scene


def splash(scene):
    """A grid of ever finer mesh whose vertices say that they move, in their object's own space."""
    thing = shots.new_grid(scene, "Splash", cells=4)
    thing.scale = (1.5, 1, 1)
    tree = bpy.data.node_groups.new("Splash", "GeometryNodeTree")
    for in_out in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=in_out, socket_type="NodeSocketGeometry")
    kinds = ("NodeGroupInput", "GeometryNodeSubdivideMesh", "GeometryNodeStoreNamedAttribute", "NodeGroupOutput")
    entry, finer, store, leave = (tree.nodes.new(kind) for kind in kinds)
    store.data_type, store.domain = "FLOAT_VECTOR", "POINT"
    store.inputs["Name"].default_value = "velocity"
    store.inputs["Value"].default_value = (0.5, 0.2, 1.0)
    for output, into in ((entry, finer), (finer, store), (store, leave)):
        tree.links.new(output.outputs[0], into.inputs[0])
    shots.key(finer.inputs["Level"], "default_value", 0, 1, 2)
    thing.modifiers.new("Splash", "NODES").node_group = tree
    return thing


def assert_flow_is_cycles(scene, tmp_path):
    frames = read_frames(scene, [1, 2, 3])
    for other, theirs in zip((3, 1), cycles_vectors(scene, 2, tmp_path), strict=True):
        ours = flow_between(frames, 2, other)
        seen = frames[2].ids >= 0
        assert ours.valid[seen].all()
        assert any("flow from its velocities" in note for note in ours.notes)
        assert np.median(np.linalg.norm(theirs[seen], axis=-1)) > 0.5
        assert np.abs(ours.flow_px[seen] - theirs[seen]).max() < 1e-3


def test_velocities_are_metres_a_second_as_for_cycles(scene, tmp_path):
    splash(scene)
    assert_flow_is_cycles(scene, tmp_path)


def test_a_thing_that_moves_as_a_whole_carries_its_velocities_along(scene, tmp_path):
    thing = splash(scene)
    shots.key(thing, "location", (0, 0, 0), (0.1, 0, 0), (0.3, 0, 0.1))
    shots.key(thing, "rotation_euler", (0, 0, 0), (0, 0.1, 0), (0, 0.3, 0))
    assert_flow_is_cycles(scene, tmp_path)


@pytest.mark.parametrize(("unit", "factor"), [("SECOND", 1), ("FRAME", 20)])
def test_velocities_of_an_alembic_file_are_followed(scene, unit, factor, tmp_path):
    """Blender itself turns the file's unit into seconds: there is one unit for us."""
    path = str(tmp_path / "splash.abc")
    thing = splash(scene)
    scene.frame_end = 3
    bpy.ops.wm.alembic_export(filepath=path, start=1, end=3)
    bpy.data.objects.remove(thing)
    bpy.ops.wm.alembic_import(filepath=path, always_add_cache_reader=True, set_frame_range=False)
    cache = bpy.data.objects["Splash"].modifiers[0].cache_file
    cache.velocity_unit = unit
    bpy.data.objects["Splash"].modifiers[0].velocity_scale = 1 / factor
    assert_flow_is_cycles(scene, tmp_path)


def cut_by_a_boolean(scene):
    thing = shots.new_grid(scene, "Thing")
    bpy.ops.mesh.primitive_cube_add(size=1)
    cutter = bpy.context.object
    cutter.hide_render = True
    shots.key(cutter, "location", (-1.3, 0, 0), (0, 0, 0), (0.4, 0, 0.3))
    bpy.context.view_layer.objects.active = thing
    modifier = thing.modifiers.new("Solid", "SOLIDIFY")
    modifier.thickness = 0.2
    modifier = thing.modifiers.new("Cut", "BOOLEAN")
    modifier.object = cutter


def remeshed(scene):
    bpy.ops.mesh.primitive_monkey_add()
    thing = bpy.context.object
    thing.name = "Thing"
    modifier = thing.modifiers.new("Remesh", "REMESH")
    modifier.mode = "VOXEL"
    shots.key(modifier, "voxel_size", 0.2, 0.15, 0.1)


def subdivided_ever_finer(scene):
    modifier = shots.new_grid(scene, "Thing").modifiers.new("Subdivision", "SUBSURF")
    shots.key(modifier, "render_levels", 0, 1, 2)


def dripping(scene):
    thing = add_ball(scene)
    shots.key(thing, "scale", (1, 1, 1), (1.1, 1, 1), (1.2, 1, 1))


@pytest.mark.parametrize("build", [cut_by_a_boolean, remeshed, subdivided_ever_finer, dripping])
def test_without_velocities_every_pixel_is_invalid_and_the_thing_is_named(scene, build):
    build(scene)
    frames = read_frames(scene, [1, 2])
    seen = frames[1].ids >= 0
    assert seen.sum() > 500
    flow = flow_between(frames, 1, 2)
    assert not flow.valid[seen].any()
    assert not flow.flow_px[seen].any()
    assert flow.valid[~seen].all()
    (note,) = flow.notes
    assert "Thing" in note
    assert "no flow" in note


def test_newborn_particles_are_invalid_and_the_others_are_not(scene):
    emitter = shots.new_grid(scene, "Emitter")
    emitter.rotation_euler = (0.3, 0.0, 0.0)
    emitter.show_instancer_for_render = False
    bpy.ops.mesh.primitive_cube_add(size=0.5, location=(0, 90, 0))
    emitter.modifiers.new("Particles", "PARTICLE_SYSTEM")
    settings = emitter.particle_systems[0].settings
    settings.count, settings.frame_start, settings.frame_end = 12, 1, 5
    settings.render_type, settings.instance_object = "OBJECT", bpy.data.objects["Cube"]
    settings.particle_size = 1
    scene.frame_set(1)
    frames = read_frames(scene, [1, 2, 3])
    assert len(frames[3].snapshot.instances) > len(frames[2].snapshot.instances) > 1
    backward = flow_between(frames, 3, 2)
    known = {instance.key for instance in frames[2].snapshot.instances}
    ids, snapshot = frames[3].ids, frames[3].snapshot
    is_old = np.array([instance.key in known for instance in snapshot.instances])[snapshot.instance_ids[ids[ids >= 0]]]
    assert 0 < is_old.sum() < len(is_old)
    assert (backward.valid[ids >= 0] == is_old).all()
    assert any("Cube: no flow, it is not there at frame 2" in note for note in backward.notes)
