# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras and triangles for the rasteriser's tests, small enough to work out their pictures by hand."""

import numpy as np

from animerun_addon.labels.snapshot import NO_SURFACE, Camera, Cutout, Snapshot

WHITE = Cutout(np.ones((1, 1), np.float32), repeats=True)


def sheet_camera(width, height):
    """Orthographic, world x and y in pixels from the lower left corner, seen from z = 0 to z = -100."""
    clip = np.array([[2 / width, 0, 0, -1], [0, 2 / height, 0, -1], [0, 0, -2 / 100, -1], [0, 0, 0, 1.0]])
    return Camera("sheet", width, height, np.eye(4), clip, 0.0, 100.0, is_orthographic=True)


def lens_camera(width, height, focal_px, near=0.1, far=100.0, shift_px=(0.0, 0.0)):
    """At the origin looking along -z. A point at (x, y, -d) is focal_px * x / d right of the middle of the image."""
    clip = np.zeros((4, 4))
    clip[0, :3] = 2 * focal_px / width, 0, 2 * shift_px[0] / width
    clip[1, :3] = 0, 2 * focal_px / height, 2 * shift_px[1] / height
    clip[2, 2:] = -(far + near) / (far - near), -2 * far * near / (far - near)
    clip[3, 2] = -1
    return Camera("lens", width, height, np.eye(4), clip, near, far, is_orthographic=False)


def snapshot_of(camera, positions, triangles=None, **given):
    positions = np.asarray(positions, np.float64).reshape(-1, 3)
    if triangles is None:
        triangles = np.arange(len(positions)).reshape(-1, 3)
    triangles = np.asarray(triangles, np.int32).reshape(-1, 3)
    count = len(triangles)
    zeros = np.zeros(count, np.int32)
    for flag in ("culls_back", "in_front", "holds_out"):
        given[flag] = np.broadcast_to(np.asarray(given.get(flag, False)), count).copy()
    return Snapshot(
        frame=1.0, camera=camera, positions=positions, triangles=triangles, instance_ids=zeros, object_ids=zeros,
        material_ids=zeros, instances=(), object_names=(), material_names=(), **given,
    )  # fmt: skip


def on_sheet(camera, *image_triangles):
    """World corners on a sheet_camera's sheet of triangles (x, y down) or (x, y down, depth) in image pixels."""
    corners = [(*corner, 10)[:3] for triangle in image_triangles for corner in triangle]
    return [(x, camera.height_px - y, -depth) for x, y, depth in corners]


def picture(text):
    return np.array([[NO_SURFACE if c == "." else int(c) for c in row] for row in text.split()])
