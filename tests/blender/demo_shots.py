# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds demo scenes for the tests and reads their evaluated geometry."""

import numpy as np

from animerun_addon.scene import demo


def built(seed=0):
    steps = demo.build_steps(seed)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def evaluated_points(scene, thing):
    """World space, (N, 3)."""
    evaluated = thing.evaluated_get(scene.view_layers[0].depsgraph)
    mesh = evaluated.data
    points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    world = np.array(evaluated.matrix_world)
    return points.reshape(-1, 3).astype(np.float64) @ world[:3, :3].T + world[:3, 3]
