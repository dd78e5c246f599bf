# SPDX-License-Identifier: GPL-3.0-or-later
"""Rest coordinates travel with a snapshot, as an attribute or as arrays; the UDP of a pixel is that of its point."""

import bpy
import numpy as np
import pytest
import shots
from labelled import look_at
from snapshot_scenes import hide_in_collection, instance_of, link, of, square
from snapshot_scenes import shots as snapshots

from animerun_addon.errors import InputError
from animerun_addon.labels import fields
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.snapshot import SnapshotReader

CELLS, SIZE = 12, 3.0


def remember_rest(thing):
    """Each vertex of the mesh as it is now, in an attribute."""
    mesh = thing.data
    positions = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", positions)
    mesh.attributes.new("rest", "FLOAT_VECTOR", "POINT").data.foreach_set("vector", positions)


def half_raised(scene):
    """A grid before the camera whose upper half turns about a bone; the bone's matrix as well."""
    shots.new_camera(scene)
    grid = shots.new_grid(scene, cells=CELLS, size=SIZE)
    remember_rest(grid)
    rig = link(scene, "Rig", bpy.data.armatures.new("Rig"))
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bone = rig.data.edit_bones.new("Bone")
    bone.head, bone.tail = (0, 0, 0), (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    group = grid.vertex_groups.new(name="Bone")
    group.add([vertex.index for vertex in grid.data.vertices if vertex.co.z > 0.01], 1, "REPLACE")
    grid.modifiers.new("Armature", "ARMATURE").object = rig
    pose = rig.pose.bones["Bone"]
    pose.rotation_mode = "XYZ"
    pose.rotation_euler = (0.4, 0.1, 0.3)
    bpy.context.view_layer.update()
    return grid, np.array(pose.matrix @ pose.bone.matrix_local.inverted())


def smooth(thing):
    modifier = thing.modifiers.new("Subdivision", "SUBSURF")
    modifier.subdivision_type, modifier.render_levels = "SIMPLE", 2


def divide(thing):
    tree = bpy.data.node_groups.new("Divide", "GeometryNodeTree")
    for in_out in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=in_out, socket_type="NodeSocketGeometry")
    kinds = ("NodeGroupInput", "GeometryNodeSubdivideMesh", "NodeGroupOutput")
    entry, finer, leave = (tree.nodes.new(kind) for kind in kinds)
    tree.links.new(entry.outputs[0], finer.inputs[0])
    tree.links.new(finer.outputs[0], leave.inputs[0])
    thing.modifiers.new("Divide", "NODES").node_group = tree


@pytest.mark.parametrize("finer", [smooth, divide])
def test_the_udp_of_a_bent_and_divided_mesh_is_the_rest_coordinate_of_each_pixels_point(finer):
    scene = bpy.context.scene
    grid, bent_from_rest = half_raised(scene)
    finer(grid)
    (snapshot,) = snapshots(scene, reader=SnapshotReader(scene, rest_attribute="rest"))
    frame = look_at(snapshot)
    scale, offset = np.full(3, 1 / 4), np.full(3, 0.5)
    udp, clipped = fields.udp(snapshot, frame.surface, scale, offset)
    seen = frame.ids >= 0
    assert clipped == 0
    assert (udp[..., 3] == seen).all()
    rest = ((udp[..., :3] - offset) / scale)[seen]

    # Which half of the grid a pixel shows, its own rest coordinate says; the row of cells between them is stretched.
    corners = snapshot.positions[snapshot.triangles[frame.surface.triangles[frame.surface.places]]]
    points = np.einsum("kn,nkc->nc", frame.surface.barycentrics, corners)
    upper, lower = rest[:, 2] > SIZE / CELLS, rest[:, 2] < 0
    assert min(upper.sum(), lower.sum()) > 1000
    bent = rest[upper] @ bent_from_rest[:3, :3].T + bent_from_rest[:3, 3]
    assert np.abs(bent - rest[upper]).max() > 0.5
    assert bent == pytest.approx(points[upper], abs=1e-5)
    assert rest[lower] == pytest.approx(points[lower], abs=1e-5)


def read_with(scene, rest):
    reader, read = SnapshotReader(scene), []
    with_render_depsgraph(scene, [1], lambda _, depsgraph: read.append(reader.read(depsgraph, rest)))
    return read[0]


def test_arrays_go_to_every_instance_of_their_object_and_to_nothing_else(tiny_scene):
    collection = hide_in_collection(square(tiny_scene))
    for name in ("One", "Two"):
        instance_of(tiny_scene, name, collection)
    rest = np.arange(12, dtype=np.float32).reshape(4, 3)
    snapshot = read_with(tiny_scene, {"Square": rest, "Nobody": rest})
    squares = [one for one in snapshot.instances if one.object_name == "Square"]
    assert len(squares) == 2
    for one in squares:
        assert (snapshot.rest_positions[one.vertices] == rest).all()
    assert np.isnan(snapshot.rest_positions[of(snapshot, "Triangle").vertices]).all()


def test_arrays_of_another_length_are_refused_with_both_counts(tiny_scene):
    modifier = square(tiny_scene).modifiers.new("Mirror", "MIRROR")
    modifier.use_mirror_merge = False
    with pytest.raises(InputError, match=r"'Square' renders with 8 vertices.*\(4, 3\)"):
        read_with(tiny_scene, {"Square": np.zeros((4, 3))})


def test_an_attribute_that_is_no_vector_on_vertices_and_scenes_without_any_have_no_rest(tiny_scene):
    square(tiny_scene).data.attributes.new("rest", "FLOAT", "POINT")
    (snapshot,) = snapshots(tiny_scene, reader=SnapshotReader(tiny_scene, rest_attribute="rest"))
    assert snapshot.rest_positions is None
