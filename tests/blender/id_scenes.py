# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots made by hand for the tests of the id pass: cards before a camera, and triangles at random."""

from dataclasses import replace

import numpy as np

from animerun_addon.labels.snapshot import Camera, Instance, Snapshot


def camera_at_origin(width_px=64, height_px=48, clip=(0.1, 100.0), half_width=1.0, is_orthographic=False):
    """Looks along -z; sees half_width (at depth 1 in perspective) to either side."""
    near, far = clip
    half_height = half_width * height_px / width_px
    if is_orthographic:
        matrix = np.diag([1 / half_width, 1 / half_height, -2 / (far - near), 1.0])
        matrix[2, 3] = -(far + near) / (far - near)
    else:
        matrix = np.diag([1 / half_width, 1 / half_height, -(far + near) / (far - near), 0.0])
        matrix[2, 3], matrix[3, 2] = -2 * far * near / (far - near), -1.0
    return Camera("Camera", width_px, height_px, np.eye(4), matrix, near, far, is_orthographic)


def snapshot_of(positions, triangles, camera=None, **fields):
    """Everything of one object; fields replace the defaults."""
    positions = np.array(positions, np.float64).reshape(-1, 3)
    triangles = np.array(triangles, np.int32).reshape(-1, 3)
    count = len(triangles)
    zeros, off = np.zeros(count, np.int32), np.zeros(count, bool)
    whole = Instance("A", "A", 0, len(positions), 0, count, "t")
    made = Snapshot(
        1.0,
        camera or camera_at_origin(),
        positions,
        triangles,
        zeros,
        zeros,
        zeros,
        off,
        off,
        off,
        (whole,),
        ("A",),
        ("M",),
    )
    return replace(made, **fields)


def card(depth, half_size=10.0, centre=(0.0, 0.0)):
    """A square towards the camera: 4 corners, from the lower left counter-clockwise; its triangles are CARD."""
    x, y = centre
    return [(x + half_size * i, y + half_size * j, -depth) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]


CARD = np.array([(0, 1, 2), (0, 2, 3)])
CARD_UVS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)[CARD]
FROM_BEHIND = CARD[:, ::-1]


def cards(*depths, **fields):
    """One card behind another, triangles 2n and 2n + 1 at the n-th depth."""
    positions = np.concatenate([card(depth) for depth in depths])
    triangles = np.concatenate([CARD + 4 * n for n in range(len(depths))])
    return snapshot_of(positions, triangles, **fields)


def per_card(*values):
    return np.repeat(np.array(values), 2)


def random_scene(rng, count, camera=None):
    """Small triangles at random places before the camera, and some that cross its near plane."""
    depth = rng.uniform(0.05, 40, (count, 1))
    centre = np.hstack([rng.uniform(-1.2, 1.2, (count, 2)) * depth, -depth])
    corners = centre[:, None] + rng.normal(0, 1, (count, 3, 3)) * 0.03 * (1 + depth[:, None])
    return snapshot_of(
        corners.reshape(-1, 3),
        np.arange(3 * count).reshape(-1, 3),
        camera or camera_at_origin(320, 240),
        culls_back=rng.random(count) < 0.3,
        in_front=rng.random(count) < 0.02,
        holds_out=rng.random(count) < 0.1,
    )
