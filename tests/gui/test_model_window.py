# SPDX-License-Identifier: GPL-3.0-or-later
"""Models beside a real Blender's window: torch in another Python than Blender's, and the interface keeps drawing."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import BlenderWindow
from jobs import PACKAGE

torch = pytest.importorskip("torch", reason="no torch in this Python")

from animerun_addon.model_bridge.networks.raft import Raft  # noqa: E402

# As the interface may at most be held up, beside what it is without a model.
GAP_S = 0.1
START = f"""
import sys
import time
import numpy as np
from {PACKAGE}.model_bridge.client import FlowChoice, ModelClient
names = bpy.app.driver_namespace
"""
# Redraws the viewport as often as it goes, and notes when.
DRAW = """
drawn = names["drawn"] = []
def note():
    drawn.append(time.perf_counter())
def again():
    for area in bpy.context.window_manager.windows[0].screen.areas:
        area.tag_redraw()
    return 0.0
names["handler"] = bpy.types.SpaceView3D.draw_handler_add(note, (), "WINDOW", "POST_PIXEL")
names["again"] = again
bpy.app.timers.register(again)
"""
STOP_DRAWING = """
bpy.app.timers.unregister(names["again"])
bpy.types.SpaceView3D.draw_handler_remove(names["handler"], "WINDOW")
"""
GAP = "result = float(np.diff(names['drawn']).max())"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "raft.pth"
    torch.save(Raft().state_dict(), path)
    return path


@pytest.fixture
def model_window(real_blender, built_zip, weights):
    """A Blender that sees this Python, which has torch."""
    python = Path(sys.executable)
    folders = {weights.parent, Path(sys.prefix), Path(sys.base_prefix)}
    with BlenderWindow(real_blender, install=built_zip, folders=sorted(folders)) as window:
        window.run(START + f"names['client'] = ModelClient({str(python)!r})")
        yield window


def ask(window, weights, size=(436, 1024), iterations=4):
    window.run(
        START
        + f"""
        chance = np.random.default_rng(1)
        frames = chance.integers(0, 256, (2, {size[0]}, {size[1]}, 3), np.uint8)
        choice = FlowChoice("raft.Raft", {str(weights)!r}, device="cpu")
        names["reply"] = names["client"].flow(choice, *frames, iterations={iterations})
        """.replace("\n        ", "\n")
    )


def is_done(window):
    return window.run(START + "result = names['reply'].is_done")


def processes(window):
    found = subprocess.run(["pgrep", "-f", "start_worker.py"], capture_output=True, text=True, check=False)
    return [
        pid for pid in found.stdout.split() if str(window.folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def test_the_interface_keeps_drawing_while_a_model_runs(model_window, weights):
    versions = model_window.run(
        START + "result = names['client'].call('ping', timeout_s=60).values['python'], sys.version.split()[0]"
    )
    assert versions[0] == sys.version.split()[0]
    model_window.run(START + DRAW)
    time.sleep(2.0)
    idle_gap_s = model_window.run(START + GAP)
    model_window.run(START + "names['drawn'].clear()")
    ask(model_window, weights)
    while not is_done(model_window):
        time.sleep(0.2)
    gap_s = model_window.run(START + GAP)
    model_window.run(START + STOP_DRAWING)
    shape, finite, drawn = model_window.run(
        START
        + "flow = names['reply'].result().arrays['backward']\n"
        + "result = flow.shape, bool(np.isfinite(flow).all()), len(names['drawn'])"
    )
    assert (shape, finite) == ([436, 1024, 2], True)
    assert drawn > 20
    print(f"longest gap between two drawings: {gap_s:.3f} s, {idle_gap_s:.3f} s without a model, {drawn} drawings")
    assert gap_s < GAP_S + idle_gap_s
    assert "Traceback" not in model_window.console()


def test_nothing_outlives_blender(model_window, weights):
    ask(model_window, weights, iterations=1000)
    deadline = time.monotonic() + 60
    while not processes(model_window):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    model_window.quit()
    assert processes(model_window) == []
    assert list(model_window.folder.rglob("animerun_models_*")) == []
