# SPDX-License-Identifier: GPL-3.0-or-later
"""The data set panel in a real Blender window: what it forecasts, its button, the verdict, cancel and what is grey."""

from __future__ import annotations

import json
import time
from pathlib import Path

from conftest import PICTURES
from harness import BlenderWindow
from jobs import PACKAGE, child_processes, status, wait_for

# Tall enough for the whole tab.
WINDOW_PX = (1280, 1500)
# Of the button, below the sidebar's top and from its right end; of the cancel cross while one job is shown.
BUTTON_Y, BUTTON_FROM_RIGHT = 608, 130
CANCEL_Y, CANCEL_FROM_RIGHT = 50, 43

SHOT = """
scene = bpy.context.scene
scene.render.engine = 'BLENDER_WORKBENCH'
scene.render.resolution_x, scene.render.resolution_y = 96, 64
scene.frame_end = {frames}
cube = scene.objects["Cube"]
for frame, x in ((1, 0.0), (5, 1.0)):
    cube.location.x = x
    cube.keyframe_insert("location", frame=frame)
bpy.ops.wm.save_as_mainfile(filepath={path!r})
"""


def save_shot(window: BlenderWindow, folder: Path, frames: int) -> None:
    """The default scene with a moving cube, in a file of its own, with the sidebar open."""
    window.run(SHOT.format(frames=frames, path=str(folder / "shot.blend")))
    window.open_sidebar("AnimeRun")


def click(window: BlenderWindow, below_top: int, from_right: int) -> None:
    sidebar = window.area_region("VIEW_3D", "UI")
    window.click(sidebar.left + sidebar.width - from_right, sidebar.top + below_top)


def last_run(window: BlenderWindow) -> dict:
    """What the panel knows of this clip's last export."""
    return window.run(
        f"""
        from {PACKAGE} import export_runs, export_properties
        with override("VIEW_3D"):
            run = export_runs.last_run(export_properties.request_of(bpy.context))
        result = None if run is None else {{"headline": run.headline(), **(run.job.result or {{}})}}
        """
    )


def export_and_wait(window: BlenderWindow) -> dict:
    """Press the button, with whatever is shown above it now, and wait for the end."""
    click_export(window)
    assert status(window)[:2] == ["Export sequence", "RUNNING"]
    wait_for(window, lambda: status(window)[1] != "RUNNING")
    assert status(window)[1] == "DONE", status(window)
    return last_run(window)


def click_export(window: BlenderWindow) -> None:
    """With no job shown above: boxes of earlier ones would move the button. Panels slide to their new places."""
    window.run(f"from {PACKAGE} import progress\nprogress.shown.clear()")
    window.pixels()
    time.sleep(0.5)
    click(window, BUTTON_Y, BUTTON_FROM_RIGHT)


def test_panel_tells_what_will_be_written(window, tmp_path):
    save_shot(window, tmp_path, 5)
    window.move(400, 400)
    window.screenshot(PICTURES / "export_panel.png")
    assert last_run(window) is None
    assert "Traceback" not in window.printed()


def test_button_exports_and_the_verdict_is_shown(window, tmp_path):
    save_shot(window, tmp_path, 5)
    run = export_and_wait(window)
    clip = tmp_path / "animerun" / "dataset" / "train"
    assert run["folder"] == str(clip)
    assert (run["clip"], run["frames"], run["kept"]) == ("shot", 5, 0)
    assert run["headline"] == f"5 frames, check {'passed' if run['verdict']['passed'] else 'failed'}"
    assert len(list((clip / "Flow" / "shot" / "forward").glob("*.flo"))) == 4
    meta = json.loads((clip / "Meta" / "shot" / "meta.json").read_text())
    assert meta["source"]["file"] == "shot.blend"
    window.move(400, 400)
    window.screenshot(PICTURES / "export_verdict.png")

    written = run["written"]
    run = export_and_wait(window)
    assert (run["written"], run["kept"]) == (0, written), "the same file's second export makes nothing anew"
    assert not child_processes(window)
    assert "Traceback" not in window.printed()


def test_cross_cancels_and_whole_files_stay(window, tmp_path):
    save_shot(window, tmp_path, 5000)
    click_export(window)
    clip = tmp_path / "animerun" / "dataset" / "train"
    wait_for(window, lambda: list((clip / "Flow" / "shot" / "forward").glob("[0-9]*.flo")))
    assert child_processes(window)
    window.move(400, 400)
    window.screenshot(PICTURES / "exporting.png")
    click(window, CANCEL_Y, CANCEL_FROM_RIGHT)
    wait_for(window, lambda: status(window)[1] == "CANCELLED")
    wait_for(window, lambda: not child_processes(window))
    sizes = {path.stat().st_size for path in (clip / "Flow" / "shot").rglob("*.flo")}
    assert sizes == {12 + 8 * 96 * 64}
    assert last_run(window)["headline"] == "Cancelled"
    assert window.run("result = bpy.ops.animerun.export_sequence.poll()")
    assert "Traceback" not in window.printed()


def test_running_export_greys_the_button(window, tmp_path):
    save_shot(window, tmp_path, 5000)
    click_export(window)
    assert "is being exported" in refusal(window)
    window.move(400, 400)
    window.key("Escape")
    wait_for(window, lambda: status(window)[1] == "CANCELLED")
    assert not refusal(window)


def test_no_camera_is_told_on_the_panel_and_the_greyed_button(window, tmp_path):
    save_shot(window, tmp_path, 5)
    window.run("bpy.data.objects.remove(bpy.data.objects['Camera'])")
    assert "has no camera" in refusal(window)
    window.move(400, 400)
    window.screenshot(PICTURES / "export_no_camera.png")
    click_export(window)
    assert status(window)[0] == ""


def refusal(window: BlenderWindow) -> str:
    """Why the button is grey; nothing when it is not."""
    return window.run(
        """
        result = ""
        with override("VIEW_3D"):
            if not bpy.ops.animerun.export_sequence.poll():
                try:
                    bpy.ops.animerun.export_sequence()
                except RuntimeError as error:
                    result = str(error)
        """
    )
