# SPDX-License-Identifier: GPL-3.0-or-later
"""The id pass in a real Blender's window, where there is a context already and other things are drawn with it."""

import pytest
from harness import BlenderDiedError, BlenderWindow

CARDS = """
import importlib, sys
import numpy as np
package = next(name for name in sys.modules if name.endswith(".animerun_addon"))
id_pass = importlib.import_module(package + ".scene.id_pass")
snapshots = importlib.import_module(package + ".labels.snapshot")

def cards(count=8, width_px=160, height_px=90):
    matrix = np.diag([1.0, width_px / height_px, -1.002, 0.0])
    matrix[2, 3], matrix[3, 2] = -0.2002, -1.0
    camera = snapshots.Camera("Camera", width_px, height_px, np.eye(4), matrix, 0.1, 100.0, False)
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    depths = np.arange(count) + 2.0
    positions = np.concatenate([np.c_[square * 0.1 * d * (d - 1), np.full(4, -d)] for d in depths])
    triangles = np.concatenate([np.array([(0, 1, 2), (0, 2, 3)]) + 4 * n for n in range(count)]).astype(np.int32)
    rows = np.arange(2 * count)
    zeros = np.zeros(2 * count, np.int32)
    whole = snapshots.Instance("A", "A", 0, len(positions), 0, len(rows), "t")
    alpha = (np.indices((8, 8)).sum(axis=0) % 2).astype(np.float32)
    uvs = np.tile(np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)[triangles[:2]], (count, 1, 1))
    return snapshots.Snapshot(
        1.0, camera, positions, triangles, zeros, zeros, zeros, rows % 3 == 0, rows // 2 == 5, rows // 2 == 3,
        (whole,), ("A",), ("M",), uvs=uvs, cutout_ids=np.where(rows // 2 == 2, 0, -1).astype(np.int32),
        cutouts=(snapshots.Cutout(alpha, True),),
    )
"""

COMPARED = """
import gpu
snapshot = cards()
expected, _ = id_pass.visible_triangles(snapshot, "numpy")
different = 0
for _ in range(20):
    ids, used = id_pass.visible_triangles(snapshot)
    different += int((ids != expected).sum())
result = different, len(np.unique(expected)), used, gpu.platform.backend_type_get()
"""


@pytest.mark.parametrize("backend", ["opengl", "vulkan"])
def test_gpu_in_a_window_sees_what_numpy_sees(real_blender, built_zip, backend):
    try:
        with BlenderWindow(real_blender, install=built_zip, gpu_backend=backend, size=(640, 480)) as window:
            different, seen, used, drawn_by = window.run(CARDS + COMPARED)
            assert "Traceback" not in window.console()
    except BlenderDiedError as error:
        if real_blender.tree is not None:  # our own tree brings a driver for both
            raise
        pytest.skip(f"no {backend} here: {error}")
    assert (different, used, drawn_by) == (0, "gpu", backend.upper())
    assert seen > 6
