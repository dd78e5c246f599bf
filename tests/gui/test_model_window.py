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

# As the interface may at most be held up, beside what it is without a model. Drawing itself is not counted: by software
# it takes half a second, of cores that the model has too.
GAP_S = 0.1
START = f"""
import sys
import time
import numpy as np
from {PACKAGE}.model_bridge.client import FlowChoice, ModelClient
names = bpy.app.driver_namespace
"""
# Notes when the interface has time for something, and when the viewport is drawn.
WATCH = """
names["free"], names["drawn"] = [], []
def draw():
    names["drawn"].append(time.perf_counter())
def tick():
    names["free"].append(time.perf_counter())
    return 0.01
names["handler"] = bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", "POST_PIXEL")
names["tick"] = tick
bpy.app.timers.register(tick)
"""
REDRAW = """
for area in bpy.context.window_manager.windows[0].screen.areas:
    area.tag_redraw()
"""
STOP_WATCHING = """
bpy.app.timers.unregister(names["tick"])
bpy.types.SpaceView3D.draw_handler_remove(names["handler"], "WINDOW")
"""
GAP = "result = float(np.diff(names['free']).max())"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "raft.pth"
    torch.save(Raft().state_dict(), path)
    return path


@pytest.fixture
def model_window(real_blender, built_zip, weights):
    """A Blender that sees this Python, which has torch."""
    if Path(sys.base_prefix) == Path("/usr"):
        pytest.skip("this Python is the system's own: Blender's system, which has another /usr, cannot borrow it")
    python = Path(sys.executable)
    folders = {weights.parent, Path(sys.prefix), Path(sys.base_prefix)}
    with BlenderWindow(real_blender, install=built_zip, folders=sorted(folders)) as window:
        window.run(START + f"names['client'] = ModelClient({str(python)!r})")
        yield window


def ask(window, weights, size=(436, 1024), iterations=12):
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
    model_window.run(START + WATCH)
    time.sleep(2.0)
    idle_gap_s = model_window.run(START + GAP)
    model_window.run(START + "names['free'].clear()")
    ask(model_window, weights)
    time.sleep(2.0)
    gap_s = model_window.run(START + GAP)
    assert not is_done(model_window)
    model_window.run(START + "names['drawn'].clear()" + REDRAW)
    while not is_done(model_window):
        time.sleep(0.2)
    model_window.run(START + STOP_WATCHING)
    shape, finite, drawn = model_window.run(
        START
        + "flow = names['reply'].result().arrays['backward']\n"
        + "result = flow.shape, bool(np.isfinite(flow).all()), len(names['drawn'])"
    )
    assert (shape, finite) == ([436, 1024, 2], True)
    assert drawn
    print(f"the interface was held up for {gap_s:.3f} s at most, {idle_gap_s:.3f} s without a model")
    assert gap_s < GAP_S + max(idle_gap_s, GAP_S)
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
