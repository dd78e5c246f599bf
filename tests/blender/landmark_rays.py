# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a pixel's surface point is on the character at rest, asked of rays and of the rest mesh in Blender's viewport.

Nothing here leans on the add-on: meshes are evaluated by the viewport, the rest pose is the armature's own switch, and
rays hit the posed triangles. How faces are split into triangles is the caller's to say.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils.bvhtree import BVHTree

# Where the coordinates this far beside a pixel's centre do not lie evenly about its own, an edge is too near to tell.
BESIDE_PX, EVENLY = 0.02, 2e-5
GRAZING, TOUCHING = 0.02, 1e-5


def show_as_rendered():
    """The viewport evaluates what renders do."""
    for thing in bpy.data.objects:
        for modifier in thing.modifiers if not thing.library else ():
            modifier.show_viewport = modifier.show_render
            if modifier.type == "SUBSURF":
                modifier.levels = modifier.render_levels


def evaluated_meshes(scene):
    """{full name: (V, 3) in the world} of all that stands in the viewport, once."""
    scene.view_layers[0].update()
    found = {}
    for row in bpy.context.evaluated_depsgraph_get().object_instances:
        mesh = row.object.data
        if row.object.type != "MESH" or not row.show_self or not mesh.polygons:
            continue
        points = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", points)
        world = np.array(row.matrix_world, np.float64)
        found[row.object.name_full] = points.reshape(-1, 3).astype(np.float64) @ world[:3, :3].T + world[:3, 3]
    return found


def at_rest(scene, rig):
    """{full name: (V, 3) in the armature's space} with the armature in its rest position, moving shapes off."""
    data = rig.data
    before = data.pose_position
    muted = [key for keys in bpy.data.shape_keys if not keys.library for key in _moving(keys) if not key.mute]
    for key in muted:
        key.mute = True
    data.pose_position = "REST"
    try:
        return as_it_stands(scene, rig)
    finally:
        data.pose_position = before
        for key in muted:
            key.mute = False
        bpy.context.view_layer.update()


def as_it_stands(scene, rig):
    """The same of the pose that it is in."""
    found = evaluated_meshes(scene)
    rig_from_world = np.linalg.inv(np.array(placement(rig), np.float64))
    return {name: points @ rig_from_world[:3, :3].T + rig_from_world[:3, 3] for name, points in found.items()}


def _moving(keys):
    """The shapes that keys or drivers move."""
    animation = keys.animation_data
    curves = [*animation.drivers] if animation else []
    if animation and animation.action:
        curves += [
            curve
            for layer in animation.action.layers
            for strip in layer.strips
            for bag in strip.channelbags
            for curve in bag.fcurves
        ]
    paths = {curve.data_path for curve in curves}
    return [key for key in keys.key_blocks if f'key_blocks["{key.name}"].value' in paths]


def placement(rig):
    """Where the armature stands, in an instanced collection too."""
    rows = (
        row.matrix_world.copy()
        for row in bpy.context.evaluated_depsgraph_get().object_instances
        if row.object.original == rig
    )
    return next(rows, None) or rig.matrix_world


class Rays:
    """Through pixel centres of the scene's camera, at a frame, onto the character's posed triangles."""

    def __init__(self, scene, rest, triangles_of):
        """`rest`: {name: (V, 3)}, `triangles_of`: {name: (T, 3)}."""
        posed = evaluated_meshes(scene)
        points, triangles, coordinates, start = [], [], [], 0
        for name, split in triangles_of.items():
            built, world = rest[name], posed[name]
            assert len(world) == len(built), name
            points.append(world)
            coordinates.append(built)
            triangles.append(split + start)
            start += len(world)
        self.points, self.rest = np.concatenate(points), np.concatenate(coordinates)
        self.triangles = np.concatenate(triangles)
        self.tree = BVHTree.FromPolygons(self.points.tolist(), self.triangles.tolist())
        depsgraph = bpy.context.evaluated_depsgraph_get()
        render, camera = scene.render, scene.camera.evaluated_get(depsgraph)
        self.width, self.height = (
            side * render.resolution_percentage // 100 for side in (render.resolution_x, render.resolution_y)
        )
        clip_from_camera = camera.calc_matrix_camera(
            depsgraph,
            x=self.width,
            y=self.height,
            scale_x=render.pixel_aspect_x,
            scale_y=render.pixel_aspect_y,
        )
        self.world_from_clip = np.array(camera.matrix_world, np.float64) @ np.linalg.inv(np.array(clip_from_camera))

    def rest_behind(self, row, column):
        """(3,) in armature space, None where rays beside it see something else or the surface is seen edge-on."""
        centre = self._at(column + 0.5, row + 0.5)
        if centre is None:
            return None
        for dx, dy in ((BESIDE_PX, 0), (0, BESIDE_PX)):
            one, other = (self._at(column + 0.5 + way * dx, row + 0.5 + way * dy) for way in (1, -1))
            if one is None or other is None or np.abs((one + other) / 2 - centre).max() > EVENLY * np.ptp(self.rest):
                return None
        return centre

    def _at(self, x_px, y_px):
        x, y = 2 * x_px / self.width - 1, 1 - 2 * y_px / self.height
        near, far = (self.world_from_clip @ (x, y, depth, 1.0) for depth in (-1.0, 1.0))
        start = near[:3] / near[3]
        direction = far[:3] / far[3] - start
        direction /= np.linalg.norm(direction)
        hit, _, triangle, distance = self.tree.ray_cast(start, direction)
        if triangle is None:
            return None
        found = self._on(triangle, start, direction)
        if found is None:
            return None
        # Parts that touch or cut each other there are drawn as the depths round.
        for _, _, other, _ in self.tree.find_nearest_range(hit, TOUCHING * distance):
            its = self._on(other, start, direction)
            if its is None or np.abs(its - found).max() > EVENLY * np.ptp(self.rest):
                return None
        return found

    def _on(self, triangle, start, direction):
        """(3,) at rest where a ray goes through a triangle's plane; None if it is seen edge-on."""
        corners = self.triangles[triangle]
        a, b, c = self.points[corners]
        normal = np.cross(b - a, c - a)
        if abs(normal @ direction) <= GRAZING * np.linalg.norm(normal):
            return None
        # start + t direction = a + u (b - a) + v (c - a)
        _, u, v = np.linalg.solve(np.column_stack([-direction, b - a, c - a]), start - a)
        return np.array((1 - u - v, u, v)) @ self.rest[corners]
