# SPDX-License-Identifier: GPL-3.0-or-later
"""The 2D style in a real Blender window: undo carries a conversion to and fro, viewports preview it and come back."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import PICTURES
from harness import BlenderWindow

PACKAGE = "bl_ext.user_default.animerun_addon"
DUMP = Path(__file__).parents[1] / "blender" / "rna_dump.py"
START = f"""
import sys
sys.path.insert(0, {{folder!r}})
from rna_dump import differences, dump
from {PACKAGE}.scene import style, viewport
window = bpy.context.window_manager.windows[0]
scene = window.scene
dumps = bpy.app.driver_namespace.setdefault("dumps", {{{{}}}})
"""


@pytest.fixture
def run(window: BlenderWindow):
    """Runs code with what these tests need at hand."""
    shutil.copy(DUMP, window.folder)
    start = START.format(folder=str(window.folder))

    def execute(code: str):
        result = window.run(start + code)
        window.settle()
        return result

    execute("dumps.clear()")
    return execute


def press(window: BlenderWindow, key: str) -> None:
    """With the mouse over the 3D viewport."""
    window.move(*window.area_region("VIEW_3D").center)
    window.key(key)
    window.settle()


def keep(run, name: str) -> None:
    run(f"dumps[{name!r}] = dump()")


def changed_since(run, name: str) -> list[str]:
    return run(f"result = differences(dumps[{name!r}], dump())")


def shading(run) -> list:
    """Of all 3D viewports."""
    return run(
        """
spaces = [area.spaces.active for area in window.screen.areas if area.type == "VIEW_3D"]
result = [[one.shading.type, one.shading.light, one.shading.show_object_outline] for one in spaces]
"""
    )


def plain_colours(window: BlenderWindow) -> int:
    """How many colours cover a good part of the viewport's middle."""
    pixels = window.area_region("VIEW_3D").crop(window.pixels())
    height, width = pixels.shape[:2]
    middle = pixels[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3].reshape(-1, 3)
    return int((np.unique(middle, axis=0, return_counts=True)[1] > 1000).sum())


def test_undo_and_redo_carry_a_conversion_to_and_fro(window, run):
    run(
        """
scene.camera.data.dof.use_dof = True
scene.objects["Cube"].keyframe_insert("hide_render")
with override("VIEW_3D"): bpy.ops.object.particle_system_add()
scene.objects["Cube"].particle_systems[0].settings.type = "HAIR"
bpy.ops.ed.undo_push(message="before")
"""
    )
    keep(run, "before")
    run("style.convert(scene)\nbpy.ops.ed.undo_push(message='convert')")
    keep(run, "converted")
    assert len(changed_since(run, "before")) > 10
    for _ in range(2):
        press(window, "ctrl+z")
        assert changed_since(run, "before") == []
        assert not run("result = style.is_converted(scene)")
        press(window, "ctrl+shift+z")
        assert changed_since(run, "converted") == []
        assert run("result = style.is_converted(scene)")
    run("style.restore(scene)")
    assert changed_since(run, "before") == []
    assert "Traceback" not in window.printed()


def test_preview_shows_flat_colours_and_ends_as_it_began(window, run):
    run("with override('VIEW_3D'): bpy.context.space_data.overlay.show_overlays = False")
    before = shading(run)
    assert plain_colours(window) > 2
    run("style.convert(scene)\nviewport.preview(window)")
    assert plain_colours(window) == 2
    assert [one[:2] for one in shading(run)] == [["SOLID", "FLAT"]] * len(before)
    window.screenshot(PICTURES / "style_preview.png")
    assert run("result = viewport.is_previewed(window.screen)")
    run("style.restore(scene)\nviewport.end_preview(scene)")
    assert shading(run) == before
    assert not run("result = viewport.is_previewed(window.screen)")


def test_preview_outlives_a_file(window, run, tmp_path):
    run("with override('VIEW_3D'): bpy.context.space_data.shading.type = 'WIREFRAME'")
    before = shading(run)
    run("style.convert(scene)\nviewport.preview(window)")
    path = str(tmp_path / "previewed.blend")
    run(f"bpy.ops.wm.save_as_mainfile(filepath={path!r})\nbpy.ops.wm.read_homefile()")
    run(f"bpy.ops.wm.open_mainfile(filepath={path!r})")
    assert shading(run)[0][:2] == ["SOLID", "FLAT"]
    run("style.restore(scene)\nviewport.end_preview(scene)")
    assert shading(run) == before


def test_viewports_that_were_split_and_joined_get_back_what_was_in_their_place(window, run):
    run("with override('VIEW_3D'): bpy.ops.screen.area_split(direction='VERTICAL', factor=0.3)")
    run(
        """
areas = sorted((area for area in window.screen.areas if area.type == "VIEW_3D"), key=lambda area: area.x)
areas[0].spaces.active.shading.type, areas[1].spaces.active.shading.type = "WIREFRAME", "MATERIAL"
viewport.preview(window)
"""
    )
    assert [one[0] for one in shading(run)] == ["SOLID", "SOLID"]
    run(
        """
left, right = sorted((area for area in window.screen.areas if area.type == "VIEW_3D"), key=lambda area: area.x)
with bpy.context.temp_override(window=window, screen=window.screen):
    bpy.ops.screen.area_join(source_xy=(right.x + 50, right.y + 50), target_xy=(left.x + 50, left.y + 50))
"""
    )
    assert len(shading(run)) == 1
    run("viewport.end_preview(scene)")
    assert shading(run)[0][0] == "MATERIAL"


def test_what_the_user_changed_in_a_previewed_viewport_stays(window, run):
    run("viewport.preview(window)")
    run("[setattr(a.spaces.active.shading, 'light', 'MATCAP') for a in window.screen.areas if a.type == 'VIEW_3D']")
    run("viewport.end_preview(scene)")
    assert shading(run)[0][1] == "MATCAP"


def test_undo_of_the_conversion_leaves_a_stale_preview_that_can_be_ended(window, run):
    before = shading(run)
    run("bpy.ops.ed.undo_push(message='before')")
    run("style.convert(scene)\nviewport.preview(window)\nbpy.ops.ed.undo_push(message='convert')")
    run("viewport.end_stale_previews()")
    assert run("result = viewport.is_previewed(window.screen)")
    press(window, "ctrl+z")
    run("viewport.end_stale_previews()")
    assert shading(run) == before


def test_a_preview_that_began_maximized_ends_when_that_is_over(window, run):
    before = shading(run)
    run("style.convert(scene)")
    run("with override('VIEW_3D'): bpy.ops.screen.screen_full_area()")
    run("viewport.preview(window)")
    assert [one[:2] for one in shading(run)] == [["SOLID", "FLAT"]]
    assert run("result = viewport.is_previewed(window.screen)")
    run("with override('VIEW_3D'): bpy.ops.screen.screen_full_area()")
    assert run("result = viewport.is_previewed(window.screen)")
    run("viewport.end_preview(scene)")
    assert shading(run) == before


def test_a_maximized_viewport_gets_its_shading_back(window, run):
    before = shading(run)
    run("style.convert(scene)\nviewport.preview(window)")
    run("with override('VIEW_3D'): bpy.ops.screen.screen_full_area()")
    assert len(run("result = [area.type for area in window.screen.areas]")) < 4
    run("viewport.end_preview(scene)")
    assert shading(run) == before
