# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed add-on in a real Blender window: its panel, its buttons, and jobs that survive what users do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from conftest import PICTURES
from harness import BlenderWindow
from jobs import PACKAGE, child_processes, status, wait_for

# A job that counts for as long as the test needs, behind a button like the add-on's own.
COUNTING_BUTTON = f"""
import bpy
from {PACKAGE}.operators.job_operator import JobOperator
from {PACKAGE}.pipeline.job import Job
from {PACKAGE}.progress import Progress

class TEST_OT_count(JobOperator, bpy.types.Operator):
    bl_idname = "test.count"
    bl_label = "Count"
    total: bpy.props.IntProperty(default=1000000)
    fail_at: bpy.props.IntProperty(default=-1)
    scene_name: bpy.props.StringProperty()

    def make_job(self, context):
        scene = bpy.data.scenes.get(self.scene_name)
        total, fail_at = self.total, self.fail_at
        def steps():
            import time
            try:
                for done in range(total):
                    if done == fail_at:
                        raise ValueError("wanted by the test")
                    if scene is not None:
                        scene.frame_current = done % 100
                    time.sleep(0.001)
                    yield Progress(done, total, f"Counting {{done}}")
            finally:
                global is_cleaned
                is_cleaned = True
        return Job("Count", steps())

    def use_result(self, context, result):
        return "Counted"

is_cleaned = False

def register():
    global is_cleaned
    is_cleaned = False
    bpy.utils.register_class(TEST_OT_count)
"""


@pytest.fixture
def counting(window: BlenderWindow):
    """Starts the counting job from a button in the 3D viewport; takes the button's properties."""
    (window.folder / "counting_button.py").write_text(COUNTING_BUTTON)
    window.run(f"import sys; sys.path.insert(0, {str(window.folder)!r}); import counting_button as b; b.register()")

    def start(properties: str = "") -> None:
        window.run(f"with override('VIEW_3D'): bpy.ops.test.count('INVOKE_DEFAULT', {properties})")
        wait_for(window, lambda: status(window)[3] > 5)

    yield start
    if window.alive:
        window.run(f"from {PACKAGE}.pipeline import runner\nrunner.stop_all()")
        window.run("bpy.utils.unregister_class(bpy.types.TEST_OT_count)")


def is_cleaned_up(window: BlenderWindow) -> bool:
    return window.run("import counting_button as b; result = b.is_cleaned")


def assert_calm(window: BlenderWindow) -> None:
    """Blender answers, and nothing was thrown."""
    assert window.run("result = 6 * 7") == 42
    assert "Traceback" not in window.printed()


def test_it_runs_from_the_installed_zip(window):
    place = window.run(f"import sys; result = sys.modules['{PACKAGE}'].__file__")
    assert place.startswith(str(window.resources))
    assert window.run("result = bpy.context.preferences.addons.keys()").count(PACKAGE) == 1


def test_bundled_wheels_are_there_or_can_be_done_without(window):
    """OpenCV comes in one wheel for every Python; OpenEXR has one for each, and none is promised for 3.14."""
    assert window.run("import cv2; result = cv2.__version__").startswith("5.")


def test_panel_shows_the_buttons(window):
    sidebar = window.open_sidebar("AnimeRun")
    picture = window.screenshot(PICTURES / "panel.png")
    assert picture.stat().st_size > 20_000
    assert sidebar.width > 100
    # Text and buttons are drawn there: more than the background's few shades.
    assert len(set(map(tuple, sidebar.crop(window.pixels()).reshape(-1, 3).tolist()))) > 30
    assert_calm(window)


def test_button_adds_the_demo_scene_and_undo_takes_it_back(window):
    sidebar = window.open_sidebar("AnimeRun")
    before = window.run("result = [len(bpy.data.objects), len(bpy.data.meshes)]")
    window.click(sidebar.left + sidebar.width // 2 - 10, sidebar.top + 47)
    window.wait_until("bpy.context.window_manager.windows[0].scene.name == 'AnimeRun demo'", 90)
    window.screenshot(PICTURES / "demo_scene.png")
    assert black_share(window) < 0.02, "the outline hulls show from behind"
    assert window.run("result = len(bpy.data.objects)") > before[0] + 20
    window.key("ctrl+z")
    wait_for(window, lambda: window.run("result = [len(bpy.data.objects), len(bpy.data.meshes)]") == before)
    assert_calm(window)


def black_share(window: BlenderWindow) -> float:
    """How much of the viewport is as good as black."""
    viewport = window.area_region("VIEW_3D").crop(window.pixels())
    return float((viewport.max(axis=2) < 12).mean())


def test_running_job_is_shown_and_the_interface_lives(window, counting):
    window.open_sidebar("AnimeRun")
    counting()
    window.screenshot(PICTURES / "job.png")
    start_s = time.monotonic()
    for _ in range(20):
        window.run("result = 1")
    assert (time.monotonic() - start_s) / 20 < 0.2
    assert status(window)[1] == "RUNNING"


def test_escape_cancels(window, counting):
    counting()
    window.move(400, 400)
    window.key("Escape")
    wait_for(window, lambda: status(window)[1] == "CANCELLED")
    assert is_cleaned_up(window)
    assert_calm(window)


def test_cancel_button_cancels(window, counting):
    counting()
    window.run("bpy.ops.animerun.cancel_job(index=0)")
    wait_for(window, lambda: status(window)[1] == "CANCELLED")
    assert is_cleaned_up(window)


def test_exception_ends_the_job_with_a_message(window, counting):
    window.open_sidebar("AnimeRun")
    window.run("with override('VIEW_3D'): bpy.ops.test.count('INVOKE_DEFAULT', fail_at=20)")
    wait_for(window, lambda: status(window)[1] == "FAILED")
    assert "wanted by the test" in status(window)[2]
    assert "ValueError: wanted by the test" in window.console()
    assert window.run("result = 6 * 7") == 42
    window.screenshot(PICTURES / "failed_job.png")


def test_finished_job_can_be_started_again(window, counting):
    for _ in range(2):
        window.run("with override('VIEW_3D'): bpy.ops.test.count('INVOKE_DEFAULT', total=10)")
        wait_for(window, lambda: status(window)[1:3] == ["DONE", "Counted"])


def test_loading_a_file_ends_the_job(window, counting):
    counting()
    window.run("bpy.ops.wm.read_homefile()")
    assert status(window)[1] == "CANCELLED"
    assert is_cleaned_up(window)
    window.settle()
    assert window.run("result = 6 * 7") == 42


def test_undo_ends_the_job(window, counting):
    window.run("with override('VIEW_3D'): bpy.ops.mesh.primitive_cube_add('INVOKE_DEFAULT')")
    window.run("bpy.ops.ed.undo_push(message='test')")
    counting("scene_name='Scene'")
    window.move(400, 400)
    window.key("ctrl+z")
    wait_for(window, lambda: status(window)[1] == "CANCELLED")
    assert is_cleaned_up(window)
    assert window.run("result = 6 * 7") == 42


def test_deleting_the_scene_ends_the_job(window, counting):
    window.run("bpy.data.scenes.new('Doomed')")
    counting("scene_name='Doomed'")
    window.run("bpy.data.scenes.remove(bpy.data.scenes['Doomed'])")
    wait_for(window, lambda: status(window)[1] == "FAILED")
    assert "deleted" in status(window)[2]
    assert window.run("result = 6 * 7") == 42


def test_closing_the_window_that_started_it_leaves_the_job_running(window, counting):
    window.run("bpy.ops.wm.window_new()")
    window.settle()
    window.run(
        """
        second = bpy.context.window_manager.windows[-1]
        area = next(area for area in second.screen.areas if area.type != 'EMPTY')
        with bpy.context.temp_override(window=second, area=area, region=area.regions[-1]):
            bpy.ops.test.count('INVOKE_DEFAULT')
        """
    )
    wait_for(window, lambda: status(window)[3] > 5)
    window.run(
        """
        second = bpy.context.window_manager.windows[-1]
        with bpy.context.temp_override(window=second):
            bpy.ops.wm.window_close()
        """
    )
    window.settle()
    assert window.run("result = len(bpy.context.window_manager.windows)") == 1
    before = status(window)
    assert before[1] == "RUNNING"
    wait_for(window, lambda: status(window)[3] > before[3])
    window.run("bpy.ops.animerun.cancel_job(index=0)")
    wait_for(window, lambda: status(window)[1] == "CANCELLED")
    assert_calm(window)


def save_shot(window: BlenderWindow, folder: Path, frames: int) -> None:
    """The default scene as a small shot with a file of its own."""
    window.run(
        f"""
        scene = bpy.context.scene
        scene.render.engine = 'BLENDER_WORKBENCH'
        scene.render.resolution_x, scene.render.resolution_y = 64, 32
        scene.frame_end = {frames}
        bpy.ops.wm.save_as_mainfile(filepath={str(folder / "shot.blend")!r})
        """
    )


def test_frames_are_rendered_by_a_second_blender(window, tmp_path):
    save_shot(window, tmp_path, 5)
    window.open_sidebar("AnimeRun")
    window.run("with override('VIEW_3D'): bpy.ops.animerun.render_frames('INVOKE_DEFAULT')")
    assert status(window)[1] == "RUNNING"
    wait_for(window, lambda: status(window)[1] != "RUNNING", 60)
    assert status(window)[1:3] == ["DONE", f"Rendered 5 frames into {tmp_path / 'animerun' / 'frames'}"]
    assert len(list((tmp_path / "animerun" / "frames").glob("*.png"))) == 5
    assert not child_processes(window)
    assert_calm(window)


def wait_for_first_frame(window: BlenderWindow, folder: Path) -> None:
    wait_for(window, lambda: list((folder / "animerun" / "frames").glob("[0-9]*.png")), 60)


def test_cancelled_render_leaves_no_second_blender(window, tmp_path):
    save_shot(window, tmp_path, 5000)
    window.open_sidebar("AnimeRun")
    window.run("with override('VIEW_3D'): bpy.ops.animerun.render_frames('INVOKE_DEFAULT')")
    wait_for_first_frame(window, tmp_path)
    window.screenshot(PICTURES / "rendering.png")
    assert child_processes(window)
    window.move(400, 400)
    window.key("Escape")
    wait_for(window, lambda: status(window)[1] == "CANCELLED")
    wait_for(window, lambda: not child_processes(window))
    assert_calm(window)


def test_quitting_blender_ends_the_second_one(window, tmp_path):
    save_shot(window, tmp_path, 5000)
    window.run("with override('VIEW_3D'): bpy.ops.animerun.render_frames('INVOKE_DEFAULT')")
    wait_for_first_frame(window, tmp_path)
    window.quit()
    deadline = time.monotonic() + 15
    while child_processes(window) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not child_processes(window)


def test_no_camera_is_told_on_the_greyed_button(window):
    window.run("bpy.data.objects.remove(bpy.data.objects['Camera'])")
    message = window.run(
        """
        try:
            bpy.ops.animerun.render_frames()
        except RuntimeError as error:
            result = str(error)
        """
    )
    assert "has no camera" in message


def test_switching_off_and_on_leaves_blender_well(window):
    for _ in range(3):
        window.run(f"import addon_utils\naddon_utils.disable('{PACKAGE}')\naddon_utils.enable('{PACKAGE}')")
    window.open_sidebar("AnimeRun")
    assert_calm(window)


def test_command_line_of_blender_itself(window, real_blender, tmp_path):
    """`blender --command animerun version`, with the installed add-on."""
    import json
    import subprocess

    done = subprocess.run(
        window._command("--command", "animerun", "version", "--json"),
        env=window._environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert answers[0]["blender"].startswith("5.")
    wrong = subprocess.run(
        window._command("--command", "animerun", "fly"),
        env=window._environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert wrong.returncode == 2
    assert "fly" in wrong.stderr
