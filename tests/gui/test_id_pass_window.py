# SPDX-License-Identifier: GPL-3.0-or-later
"""The id pass in a real Blender's window, where there is a context already and other things are drawn with it."""

from pathlib import Path

import cv2
import numpy as np
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


FLAT_FRAMES = Path(__file__).parents[1] / "blender" / "flat_frames.py"
EMPTY_FILE = "bpy.ops.wm.read_homefile(use_empty=True)"
LIST_WAYS = """
result = [way.__name__ for way in WAYS]
"""
COMPARE_WITH_WORKBENCH = """
scene = build_flat_scene()
{way}(scene)
shown = shown_objects(scene)
differing = [int((labelled_objects(scene, backend) != shown).sum()) for backend in ("gpu", "numpy")]
result = [*differing, len(np.unique(shown)), shown.size]
"""
NUMPY_MAY_DIFFER = 2e-4  # of the pixels
# As F12 does it: in a thread of its own, not the one that draws the window.
RENDER_LABELS = """
bpy.context.preferences.view.render_display_type = "NONE"
scene = build_flat_scene()
scene.render.engine, scene.animerun.id_backend = "ANIMERUN_LABELS", "{backend}"
scene.render.filepath = "{path}"
bpy.ops.render.render("INVOKE_DEFAULT", write_still=True)
"""
SHOW_RENDER_PROPERTIES = """
bpy.context.window.scene.render.engine = "ANIMERUN_LABELS"
with override("PROPERTIES"):
    bpy.context.space_data.context = "RENDER"
    assert bpy.types.RENDER_PT_animerun_labels.poll(bpy.context)
"""


@pytest.fixture(scope="module", params=["opengl", "vulkan"])
def drawing_window(request, real_blender, built_zip):
    """A Blender that draws with one of its two backends; its name in capitals is `drawn_by`."""
    try:
        with BlenderWindow(real_blender, install=built_zip, gpu_backend=request.param, size=(640, 480)) as window:
            window.drawn_by = request.param.upper()
            yield window
    except BlenderDiedError as error:
        if real_blender.tree is not None:  # our own tree brings a driver for both
            raise
        pytest.skip(f"no {request.param} here: {error}")


def test_gpu_in_a_window_sees_what_numpy_sees(drawing_window):
    different, seen, used, drawn_by = drawing_window.run(CARDS + COMPARED)
    assert (different, used, drawn_by) == (0, "gpu", drawing_window.drawn_by)
    assert seen > 6
    assert "Traceback" not in drawing_window.console()


def test_every_pixel_in_a_window_is_as_workbench_shows_it(drawing_window):
    """In one test, for a window that all of them share; what each is stands in test_id_pass_workbench.py."""
    source = FLAT_FRAMES.read_text(encoding="utf-8")
    for way in drawing_window.run(source + LIST_WAYS):
        drawing_window.run(EMPTY_FILE)
        on_gpu, in_numpy, seen, size = drawing_window.run(source + COMPARE_WITH_WORKBENCH.format(way=way))
        assert (way, on_gpu) == (way, 0)
        assert in_numpy <= NUMPY_MAY_DIFFER * size, way
        assert seen >= 9, way
    assert "Traceback" not in drawing_window.console()


@pytest.mark.parametrize(("backend", "drawn_by"), [("GPU", b"gpu"), ("NUMPY", b"numpy")])
def test_f12_draws_labels_by_what_the_scene_says(drawing_window, backend, drawn_by):
    picture = drawing_window.folder / f"{backend}.png"
    drawing_window.run(EMPTY_FILE)
    source = FLAT_FRAMES.read_text(encoding="utf-8")
    drawing_window.run(source + RENDER_LABELS.format(backend=backend, path=picture))
    drawing_window.wait_until("not bpy.app.is_job_running('RENDER')")
    assert b"AnimeRun drawn by\0" + drawn_by in picture.read_bytes()
    assert len(np.unique(cv2.imread(str(picture)).reshape(-1, 3), axis=0)) >= 9
    assert "Traceback" not in drawing_window.console()


def test_the_engines_choice_stands_in_the_render_properties(drawing_window):
    drawing_window.run("bpy.ops.wm.read_homefile()")
    before = drawing_window.pixels()
    drawing_window.run(SHOW_RENDER_PROPERTIES)
    assert not np.array_equal(drawing_window.pixels(), before)
    assert "Traceback" not in drawing_window.console()
