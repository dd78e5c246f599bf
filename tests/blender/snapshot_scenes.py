# SPDX-License-Identifier: GPL-3.0-or-later
"""Small things to take snapshots of, and ways to look into a snapshot."""

import bpy
import numpy as np

from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.snapshot import SnapshotReader


def shots(scene, frames=(1,), reader=None):
    reader = reader or SnapshotReader(scene)
    read = []
    with_render_depsgraph(scene, frames, lambda _, depsgraph: read.append(reader.read(depsgraph)))
    return read


def shot(scene):
    return shots(scene)[0]


def link(scene, name, data):
    thing = bpy.data.objects.new(name, data)
    scene.collection.objects.link(thing)
    return thing


def square(scene, name="Square"):
    """A square of 2 x 2 in the plane z = 0 that faces up, with a UV map over all of 0..1."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new(name="UVMap").uv.foreach_set("vector", [0, 0, 1, 0, 1, 1, 0, 1])
    return link(scene, name, mesh)


def hide_in_collection(thing):
    """A collection that is in no scene, with the thing in it alone."""
    collection = bpy.data.collections.new("Hidden")
    collection.objects.link(thing)
    bpy.context.scene.collection.objects.unlink(thing)
    return collection


def instance_of(scene, name, collection):
    empty = link(scene, name, None)
    empty.instance_type, empty.instance_collection = "COLLECTION", collection
    return empty


def scatter(scene, source):
    """Geometry nodes that put an object on every corner of a square and keep the square."""
    thing = square(scene, "Scatter")
    tree = bpy.data.node_groups.new("Scatter", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    entry, leave, join, place, info = (
        tree.nodes.new(kind)
        for kind in (
            "NodeGroupInput",
            "NodeGroupOutput",
            "GeometryNodeJoinGeometry",
            "GeometryNodeInstanceOnPoints",
            "GeometryNodeObjectInfo",
        )
    )
    info.inputs["Object"].default_value = source
    info.inputs["As Instance"].default_value = True
    tree.links.new(entry.outputs[0], place.inputs["Points"])
    tree.links.new(info.outputs["Geometry"], place.inputs["Instance"])
    tree.links.new(entry.outputs[0], join.inputs[0])
    tree.links.new(place.outputs[0], join.inputs[0])
    tree.links.new(join.outputs[0], leave.inputs[0])
    thing.modifiers.new("Scatter", "NODES").node_group = tree
    return thing


def names(snapshot):
    return sorted(instance.object_name for instance in snapshot.instances)


def of(snapshot, name):
    """The only instance of an object."""
    (instance,) = (instance for instance in snapshot.instances if instance.object_name == name)
    return instance


def points(snapshot, name):
    return snapshot.positions[of(snapshot, name).vertices]


def flags(snapshot, name, of_what):
    (value,) = set(getattr(snapshot, of_what)[of(snapshot, name).triangles].tolist())
    return value


def normals(snapshot):
    a, b, c = (snapshot.positions[snapshot.triangles[:, corner]] for corner in range(3))
    return np.cross(b - a, c - a)


def by_hand(thing):
    """(V, 3) of the evaluated mesh, in the viewport, one vertex after the other."""
    evaluated = thing.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    return np.array([evaluated.matrix_world @ vertex.co for vertex in mesh.vertices])


def add_text(scene):
    curve = bpy.data.curves.new("Text", "FONT")
    curve.body = "ab"
    return link(scene, "Thing", curve)


def add_tube(scene):
    curve = bpy.data.curves.new("Tube", "CURVE")
    curve.dimensions, curve.bevel_depth = "3D", 0.1
    spline = curve.splines.new("POLY")
    spline.points.add(2)
    for number, point in enumerate(spline.points):
        point.co = (number, number**2, 0, 1)
    return link(scene, "Thing", curve)


def add_ball(scene):
    ball = bpy.data.metaballs.new("Ball")
    ball.elements.new().radius = 1.5
    ball.render_resolution = ball.resolution
    return link(scene, "Thing", ball)


def add_sphere(scene):
    bpy.ops.surface.primitive_nurbs_surface_sphere_add()
    thing = bpy.context.object
    thing.name = "Thing"
    thing.data.render_resolution_u = thing.data.resolution_u
    return thing


def add_mesh(scene):
    bpy.ops.mesh.primitive_monkey_add()
    bpy.context.object.name = "Thing"
    return bpy.context.object
