# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness itself, in a Blender without the add-on: it reports, it sees, and it leaves nothing running."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from debian_tree import namespaces_allowed
from harness import BlenderDiedError, BlenderTimeoutError, BlenderWindow, DrivenError
from real_blender import RealBlender

HERE = Path(__file__).resolve().parent

RED_PANEL = """
class HARNESS_PT_proof(bpy.types.Panel):
    bl_label = "Harness proof"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Proof"

    def draw(self, context):
        column = self.layout.column()
        column.alert = True
        column.scale_y = 4
        column.operator("mesh.primitive_monkey_add")

bpy.utils.register_class(HARNESS_PT_proof)
"""

# What the kill-9 test runs as a process of its own.
HOLDER = f"""
import sys
sys.path[:0] = [{str(HERE)!r}, {str(HERE.parents[1] / "tools")!r}]
import real_blender
from harness import BlenderWindow
with BlenderWindow(real_blender.find()) as window:
    print(window.folder, flush=True)
    window.run("import time; time.sleep(600)", timeout=600)  # too busy to notice by itself that its harness is gone
"""


def processes_of(folder: str) -> list[str]:
    """Command lines of the living processes that were started for this harness folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if folder.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has just ended, or belongs to somebody else
            continue
    return found


def ended(folder: str) -> bool:
    deadline = time.monotonic() + 20
    while processes_of(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_reports_the_versions_it_was_found_with(bare_window: BlenderWindow, real_blender: RealBlender) -> None:
    versions = bare_window.run("import sys; result = [bpy.app.version_string, sys.version.split()[0]]")
    assert versions == [real_blender.version, real_blender.python]


def test_has_a_window_of_the_size_asked_for(bare_window: BlenderWindow) -> None:
    assert bare_window.run("w = bpy.context.window; result = [bpy.app.background, w.width, w.height]") == [
        False,
        *bare_window.size,
    ]


def test_exceptions_come_back_with_blenders_traceback(bare_window: BlenderWindow) -> None:
    with pytest.raises(DrivenError, match=r"(?s)Traceback.*line 2.*KeyError.*no such object"):
        bare_window.run("scene = bpy.context.scene\nscene.objects['no such object']")
    assert bare_window.run("result = 1 + 1") == 2


def test_a_result_that_is_no_json_is_an_error(bare_window: BlenderWindow) -> None:
    with pytest.raises(DrivenError, match="not JSON serializable"):
        bare_window.run("result = bpy.context.scene")


def test_large_code_and_results_pass(bare_window: BlenderWindow) -> None:
    assert bare_window.run(f"text = {'x' * 3_000_000!r}\nresult = text + 'y'") == "x" * 3_000_000 + "y"


def test_the_late_answer_to_a_request_given_up_is_dropped(bare_window: BlenderWindow) -> None:
    with pytest.raises(BlenderTimeoutError, match="no answer within"):
        bare_window.run("import time; time.sleep(1); result = 'late'", timeout=0.2)
    assert bare_window.run("result = 'next'") == "next"


def test_waits_until_something_is_true(bare_window: BlenderWindow) -> None:
    bare_window.run("bpy.app.timers.register(lambda: bpy.ops.object.delete() and None, first_interval=0.3)")
    bare_window.wait_until("'Cube' not in bpy.data.objects", timeout=10)
    with pytest.raises(BlenderTimeoutError, match=r"not true within 0\.2 s: 1 > 2"):
        bare_window.wait_until("1 > 2", timeout=0.2)


def test_the_console_holds_what_blender_prints(bare_window: BlenderWindow) -> None:
    bare_window.run("import sys; print('said on stdout'); print('said on stderr', file=sys.stderr)")
    assert "said on stdout" in bare_window.console()
    assert "said on stderr" in bare_window.console()
    bare_window.reset()
    assert "said" not in bare_window.printed()
    assert "said" in bare_window.console()


def test_a_plain_start_prints_no_traceback(bare_window: BlenderWindow) -> None:
    assert "Traceback" not in bare_window.console()


def test_screenshot_shows_blender(bare_window: BlenderWindow, tmp_path: Path) -> None:
    picture = cv2.imread(str(bare_window.screenshot(tmp_path / "window.png")))
    assert picture is not None
    assert picture.shape == (bare_window.size[1], bare_window.size[0], 3)
    view = bare_window.area_region("VIEW_3D").crop(picture)
    assert 30 < picture.mean() < 150
    assert len(np.unique(view.reshape(-1, 3), axis=0)) > 50


def test_picture_colours_are_in_order(bare_window: BlenderWindow) -> None:
    bare_window.run(
        """
        for area in bpy.context.screen.areas:
            if area.type == "VIEW_3D":
                shading = area.spaces.active.shading
                shading.background_type, shading.background_color = "VIEWPORT", (1, 0.2, 0)
                area.spaces.active.overlay.show_overlays = False
        """
    )
    red, green, blue = np.median(bare_window.area_region("VIEW_3D").crop(bare_window.pixels()), axis=(0, 1))
    assert red > 200 > green > blue


def test_sidebar_opens_at_a_category_and_its_button_can_be_clicked(bare_window: BlenderWindow) -> None:
    bare_window.run(RED_PANEL)
    sidebar = bare_window.open_sidebar("Proof")
    pixels = sidebar.crop(bare_window.pixels()).astype(int)
    alert = (pixels[..., 0] - pixels[..., 1] > 60) & (pixels[..., 0] - pixels[..., 2] > 60)
    rows, columns = np.nonzero(alert)
    assert len(rows) > 1000, "the panel's red button is not on the picture"
    bare_window.click(sidebar.left + int(np.median(columns)), sidebar.top + int(np.median(rows)))
    bare_window.wait_until("'Suzanne' in bpy.data.objects", timeout=10)


def test_keys_reach_the_area_under_the_mouse(bare_window: BlenderWindow) -> None:
    shown = "next(a for a in bpy.context.screen.areas if a.type == 'VIEW_3D').spaces.active.show_region_ui"
    before = bare_window.run(f"result = {shown}")
    bare_window.move(*bare_window.area_region("VIEW_3D").center)
    bare_window.key("n")
    bare_window.wait_until(f"{shown} != {before}", timeout=10)


def test_sees_the_folders_it_was_given(bare_window: BlenderWindow, tmp_path: Path) -> None:
    bare_window.run(f"bpy.ops.wm.save_as_mainfile(filepath={str(tmp_path / 'saved.blend')!r})")
    assert (tmp_path / "saved.blend").stat().st_size > 10_000


def test_a_crash_is_reported_and_restart_keeps_the_configuration(bare_window: BlenderWindow) -> None:
    bare_window.run("bpy.context.preferences.view.show_statusbar_memory = True; bpy.ops.wm.save_userpref()")
    bare_window.run("print('last words')")
    with pytest.raises(BlenderDiedError, match=r"(?s)killed by SIGSEGV.*last words"):
        bare_window.run("import os; os.kill(os.getpid(), 11)")
    with pytest.raises(BlenderDiedError, match="killed by SIGSEGV"):
        bare_window.run("result = 1")
    bare_window.restart()
    assert bare_window.run("result = bpy.context.preferences.view.show_statusbar_memory") is True


def test_an_unexpected_exit_is_reported(bare_window: BlenderWindow) -> None:
    with pytest.raises(BlenderDiedError, match="exit code 7"):
        bare_window.run("import os; os._exit(7)")


def test_nothing_is_left_after_the_end(real_blender: RealBlender) -> None:
    with BlenderWindow(real_blender, size=(640, 480)) as window:
        assert len(processes_of(str(window.folder))) >= 2
        if namespaces_allowed():  # otherwise what detaches itself from Blender is out of reach
            window.run("import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)")
    assert ended(str(window.folder))
    assert not window.folder.exists()


def test_nothing_is_left_after_the_test_process_is_killed(real_blender: RealBlender) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    folder = holder.stdout.readline().strip()
    assert folder
    time.sleep(0.5)
    assert any("Xvfb" in command for command in processes_of(folder))
    assert any("blender" in command for command in processes_of(folder))
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert ended(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("backend", ["opengl", "vulkan"])
def test_the_gpu_backend_can_be_chosen(real_blender: RealBlender, backend: Literal["opengl", "vulkan"]) -> None:
    try:
        with BlenderWindow(real_blender, gpu_backend=backend, size=(640, 480)) as window:
            assert window.run("import gpu; result = gpu.platform.backend_type_get()") == backend.upper()
            assert window.pixels().std() > 10
    except BlenderDiedError as error:
        if real_blender.tree is not None:  # our own tree brings a driver for both
            raise
        pytest.skip(f"no {backend} here: {error}")
