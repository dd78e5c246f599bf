# SPDX-License-Identifier: GPL-3.0-or-later
"""What small animated scenes are made of. Their labels, and what these are held against: bench/labelled.py."""

import bpy
import numpy as np

WIDTH_PX, HEIGHT_PX = 160, 120


def new_camera(scene, location=(0.0, -8.0, 0.0), lens_mm=50.0):
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = location
    camera.rotation_euler = (np.pi / 2, 0.0, 0.0)
    camera.data.lens = lens_mm
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = WIDTH_PX, HEIGHT_PX
    return camera


def new_grid(scene, name="Grid", cells=12, size=3.0):
    """A square in the XZ plane that faces the camera."""
    line = np.linspace(-size / 2, size / 2, cells + 1)
    points = [(x, 0.0, z) for z in line for x in line]
    row = cells + 1
    faces = [
        (i * row + j, i * row + j + 1, (i + 1) * row + j + 1, (i + 1) * row + j)
        for i in range(cells)
        for j in range(cells)
    ]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points, [], faces)
    thing = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(thing)
    return thing


def key(owner, path, *values):
    """Linear keys at frames 1, 2, 3 ...; linear, because engines look between the frames as well."""
    for frame, value in enumerate(values, start=1):
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame)
