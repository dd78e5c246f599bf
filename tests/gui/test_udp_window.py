# SPDX-License-Identifier: GPL-3.0-or-later
"""UDP colours in a real Blender window: shown and put back, by the button, by undo and after a file was read again."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from conftest import PICTURES
from harness import BlenderWindow
from test_style_window import DUMP, PACKAGE, press

# A torso with two arms, over one bone and two more.
CHARACTER = """
rig = bpy.data.objects.new("Hero", bpy.data.armatures.new("Hero"))
scene.collection.objects.link(rig)
window.view_layer.objects.active = rig
with override("VIEW_3D"): bpy.ops.object.mode_set(mode="EDIT")
for name, head, tail in (("Spine", (0, 0, 0), (0, 0, 2)), ("Arm.L", (0.4, 0, 1.6), (1.4, 0, 1.0)),
                         ("Arm.R", (-0.4, 0, 1.6), (-1.4, 0, 1.0))):
    bone = rig.data.edit_bones.new(name)
    bone.head, bone.tail = head, tail
    if name != "Spine":
        bone.parent = rig.data.edit_bones["Spine"]
with override("VIEW_3D"): bpy.ops.object.mode_set(mode="OBJECT")
cube = scene.objects["Cube"]
cube.scale = (1, 1, 1)
cube.data.color_attributes.new("Skin", "BYTE_COLOR", "CORNER")
cube.data.color_attributes.active_color_name = "Skin"
cube.parent = rig
with override("VIEW_3D"): bpy.context.space_data.overlay.show_overlays = False
bpy.ops.ed.undo_push(message="character")
"""
START = f"""
import sys
sys.path.insert(0, {{folder!r}})
from rna_dump import differences, dump
from {PACKAGE}.scene import udp_bake, udp_preview
window = bpy.context.window_manager.windows[0]
scene = window.scene
dumps = bpy.app.driver_namespace.setdefault("dumps", {{{{}}}})
def press(name):
    with override("VIEW_3D"): getattr(bpy.ops.animerun, name)("INVOKE_DEFAULT", True)
"""


@pytest.fixture
def run(window: BlenderWindow):
    """Runs code beside a character, with what these tests need at hand."""
    shutil.copy(DUMP, window.folder)
    start = START.format(folder=str(window.folder))

    def execute(code: str):
        result = window.run(start + code)
        window.settle()
        return result

    execute("dumps.clear()")
    execute(CHARACTER)
    return execute


def shading(run) -> list:
    """Of all 3D viewports."""
    return run(
        """
spaces = [area.spaces.active for area in window.screen.areas if area.type == "VIEW_3D"]
result = [[s.type, s.light, s.color_type, s.background_type, list(s.background_color)] for s in
          (one.shading for one in spaces)]
"""
    )


def state(run) -> dict:
    return run(
        """
mesh = scene.objects["Cube"].data
result = {"active": mesh.color_attributes.active_color_name, "baked": list(udp_bake.bake_state(scene, "Hero").baked),
          "is previewed": udp_preview.is_previewed(window.screen), "properties": sorted(mesh.keys())}
"""
    )


def middle(window: BlenderWindow) -> np.ndarray:
    """(N, 3) pixels from the middle of the viewport."""
    pixels = window.area_region("VIEW_3D").crop(window.pixels())
    height, width = pixels.shape[:2]
    return pixels[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3].reshape(-1, 3)


NOT_BAKED = {"active": "Skin", "baked": [], "is previewed": False, "properties": []}


def test_the_button_bakes_and_shows_and_the_same_button_ends_it(window, run):
    looks = shading(run)
    greys = middle(window)
    assert (np.ptp(greys.astype(int), axis=1) < 30).mean() > 0.9, "nothing is coloured yet"
    run("press('preview_udp')")
    assert [one[:4] for one in shading(run)] == [["SOLID", "FLAT", "VERTEX", "VIEWPORT"]] * len(looks)
    now = state(run)
    assert (now["active"], now["baked"], now["is previewed"]) == ("AnimeRun UDP", ["Cube"], True)
    colours = middle(window)
    window.screenshot(PICTURES / "udp_preview.png")
    assert (colours.max(axis=1) == 0).mean() > 0.1, "black, where nothing is"
    assert len(np.unique(colours // 16, axis=0)) > 50, "a colour for each point"
    run("press('preview_udp')")
    assert shading(run) == looks
    now = state(run)
    assert (now["active"], now["baked"], now["properties"]) == ("Skin", ["Cube"], ["animerun_udp"])
    assert (middle(window) == greys).mean() > 0.99
    run("press('unbake_udp')")
    assert state(run) == NOT_BAKED
    assert "Traceback" not in window.printed()


def test_undo_takes_preview_and_bake_back_and_redo_bakes_again(window, run):
    looks = shading(run)
    run("dumps['before'] = dump()")
    run("press('preview_udp')")
    for _ in range(2):
        press(window, "ctrl+z")
        assert state(run) == NOT_BAKED
        assert shading(run) == looks
        assert run("result = differences(dumps['before'], dump())") == []
        press(window, "ctrl+shift+z")
        assert {**state(run), "properties": []} == {**NOT_BAKED, "baked": ["Cube"]}
        assert shading(run) == looks
    assert "Traceback" not in window.printed()


def test_undo_of_a_later_edit_leaves_the_preview_on(window, run):
    run("press('preview_udp')")
    shown = shading(run)
    run("scene.objects['Cube'].location.x = 1\nbpy.ops.ed.undo_push(message='moved')")
    press(window, "ctrl+z")
    assert state(run)["is previewed"]
    assert state(run)["active"] == "AnimeRun UDP"
    assert shading(run) == shown
    run("press('preview_udp')")
    assert state(run)["active"] == "Skin"


def test_a_file_that_was_saved_while_it_was_shown_can_end_it(window, run, tmp_path):
    looks = shading(run)
    run("press('preview_udp')")
    path = str(tmp_path / "shown.blend")
    run(f"bpy.ops.wm.save_as_mainfile(filepath={path!r})\nbpy.ops.wm.read_homefile()")
    run(f"bpy.ops.wm.open_mainfile(filepath={path!r})")
    assert state(run)["is previewed"]
    run("press('preview_udp')")
    assert shading(run) == looks
    assert state(run)["active"] == "Skin"
    run(f"bpy.ops.wm.read_homefile()\nbpy.ops.wm.open_mainfile(filepath={path!r}, load_ui=False)")
    assert not state(run)["is previewed"]
    assert state(run)["active"] == "Skin"
    assert "Traceback" not in window.printed()


def test_an_edited_mesh_is_baked_anew_before_it_is_shown(window, run):
    run("press('bake_udp')")
    run("scene.objects['Cube'].data.vertices[0].co.x -= 0.5")
    assert run("result = list(udp_bake.bake_state(scene, 'Hero').stale)") == ["Cube"]
    run("press('preview_udp')")
    assert run("result = list(udp_bake.bake_state(scene, 'Hero').stale)") == []
