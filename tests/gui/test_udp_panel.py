# SPDX-License-Identifier: GPL-3.0-or-later
"""Ultra-Dense Pose's panel in a real Blender window: check, export, cancel, what it tells and what it refuses."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from conftest import PICTURES
from harness import BlenderWindow
from jobs import PACKAGE, child_processes, status, wait_for

# Tall enough for the whole section.
WINDOW_PX = (1280, 1500)
# Below the sidebar's top: the tab's first header, and the section's once all others but the first are closed.
FIRST_HEADER_Y, UDP_HEADER_Y = 16, 165
# Of the buttons, below the section's header while nothing is found out yet, and from the sidebar's right end.
CHECK_Y, EXPORT_Y, BUTTON_FROM_RIGHT = 61, 230, 130
# Below a verdict of three lines.
MAKE_A_POSE_Y = 152
# The cancel cross while one job is shown; its box moves all that is below.
CANCEL_Y, CANCEL_FROM_RIGHT = 50, 43

# A body with two arms that hang by `drop` for each metre to the side; it bends.
SHOT = """
scene = bpy.context.scene
rig = bpy.data.objects.new("Hero", bpy.data.armatures.new("Hero"))
scene.collection.objects.link(rig)
bpy.context.view_layer.objects.active = rig
with override("VIEW_3D"):
    bpy.ops.object.mode_set(mode="EDIT")
    spine = rig.data.edit_bones.new("Spine")
    spine.head, spine.tail = (0, 0, 0.2), (0, 0, 1.4)
    for side, sign in (("L", 1), ("R", -1)):
        arm = rig.data.edit_bones.new("Arm." + side)
        arm.head, arm.tail, arm.parent = (sign * 0.4, 0, 1), (sign * 1.4, 0, 1 - {drop}), spine
    bpy.ops.object.mode_set(mode="OBJECT")
for frame, angle in ((1, 0), (5, 0.5)):
    bone = rig.pose.bones["Spine"]
    bone.rotation_mode = "XYZ"
    bone.rotation_euler.x = angle
    bone.keyframe_insert("rotation_euler", frame=frame)
cube = scene.objects["Cube"]
cube.vertex_groups.new(name="Spine").add(list(range(8)), 1, "REPLACE")
cube.modifiers.new("Armature", "ARMATURE").object = rig
scene.frame_end = {frames}
panel = scene.animerun.udp
panel.width = panel.height = 128
panel.view, panel.uses_scene_size = "CAMERA", False
bpy.ops.wm.save_as_mainfile(filepath={path!r})
"""
DEMO = """
bpy.ops.animerun.add_demo_scene()
bpy.ops.wm.save_as_mainfile(filepath={path!r})
"""


def save_shot(window: BlenderWindow, folder: Path, frames: int = 4, drop: float = 1.0) -> None:
    """A hero in a file of its own, with the section open and all others but the first closed."""
    window.run(SHOT.format(frames=frames, drop=drop, path=str(folder / "shot.blend")))
    open_section(window)


def open_section(window: BlenderWindow) -> None:
    forget_jobs(window)
    sidebar = window.open_sidebar("AnimeRun")
    header = sidebar.left + sidebar.width - 200
    window.move(header, sidebar.top + FIRST_HEADER_Y)
    window.display.xdotool("keydown", "ctrl")
    try:
        window.click(header, sidebar.top + FIRST_HEADER_Y)
    finally:
        window.display.xdotool("keyup", "ctrl")
    come_to_rest(window)
    window.click(header, sidebar.top + UDP_HEADER_Y)
    come_to_rest(window)


def come_to_rest(window: BlenderWindow) -> None:
    """Panels slide to their new places."""
    window.pixels()
    time.sleep(0.5)
    window.pixels()


def forget_jobs(window: BlenderWindow) -> None:
    """Boxes of jobs that have ended would move all that is below."""
    window.run(f"from {PACKAGE} import progress\nprogress.shown.clear()")


def press(window: BlenderWindow, below_header: int) -> None:
    forget_jobs(window)
    come_to_rest(window)
    sidebar = window.area_region("VIEW_3D", "UI")
    window.click(sidebar.left + sidebar.width - BUTTON_FROM_RIGHT, sidebar.top + UDP_HEADER_Y + below_header)


def finding(window: BlenderWindow, name: str = "Hero") -> dict[str, Any] | None:
    """What the panel knows of a character."""
    return window.run(
        f"""
        from {PACKAGE} import udp_memory
        found = udp_memory.finding_of(bpy.context.scene.session_uid, {name!r})
        if found is not None:
            result = {{"verdict": found.verdict, "facing": found.facing, "clipped": found.clipped_share}}
        """
    )


def last_run(window: BlenderWindow, folder: Path) -> dict[str, Any] | None:
    """How the hero's last export went."""
    return window.run(
        f"""
        from pathlib import Path
        from {PACKAGE} import udp_memory
        run = udp_memory.last_run(Path({str(folder)!r}), ["Hero"])
        if run is not None:
            result = {{"headline": run.headline(), **(run.job.result or {{}})}}
        """
    )


def refusal(window: BlenderWindow, operator: str) -> str:
    """Why the button is grey; nothing when it is not."""
    return window.run(
        f"""
        result = ""
        with override("VIEW_3D"):
            if not bpy.ops.animerun.{operator}.poll():
                try:
                    bpy.ops.animerun.{operator}()
                except RuntimeError as error:
                    result = str(error)
        """
    )


def test_check_says_how_the_demos_heroine_stands(window, tmp_path):
    window.run(DEMO.format(path=str(tmp_path / "shot.blend")))
    open_section(window)
    assert finding(window, "AR Heroine") is None
    before = window.pixels()
    press(window, CHECK_Y)
    found = wait_for(window, lambda: finding(window, "AR Heroine"))
    assert found["verdict"].startswith("A-pose, ")
    assert found["facing"].startswith("Faces -Y of its armature, up Z")
    assert 0 <= found["clipped"] < 0.01
    window.move(400, 400)
    come_to_rest(window)
    window.screenshot(PICTURES / "udp_panel.png")
    sidebar = window.area_region("VIEW_3D", "UI")
    assert not np.array_equal(sidebar.crop(before), sidebar.crop(window.pixels()))
    assert "Traceback" not in window.printed()


def test_button_exports_and_the_answer_is_shown(window, tmp_path):
    save_shot(window, tmp_path)
    press(window, EXPORT_Y)
    assert status(window)[:2] == ["Export UDP", "RUNNING"]
    wait_for(window, lambda: status(window)[1] != "RUNNING")
    assert status(window)[1] == "DONE", status(window)
    folder = tmp_path / "animerun" / "udp"
    run = last_run(window, folder)
    assert (run["pictures"], run["written"], run["kept"]) == (4, 4, 0)
    assert run["characters"]["Hero"].startswith("A-pose, ")
    assert run["headline"] == "4 pictures of Hero"
    pictures = sorted((folder / "Hero" / "udp").iterdir())
    assert [path.name for path in pictures] == ["0001.npz", "0002.npz", "0003.npz", "0004.npz"]
    assert json.loads((folder / "Hero" / "udp.json").read_text())["size"] == [128, 128]
    come_to_rest(window)
    window.move(400, 400)
    window.screenshot(PICTURES / "udp_exported.png")

    press(window, EXPORT_Y)
    wait_for(window, lambda: status(window)[1] == "DONE")
    run = last_run(window, folder)
    assert (run["written"], run["kept"]) == (0, 4), "the same file's second export makes nothing anew"
    assert not child_processes(window)
    assert "Traceback" not in window.printed()


def test_cross_cancels_and_whole_pictures_stay(window, tmp_path):
    save_shot(window, tmp_path, 5000)
    press(window, EXPORT_Y)
    folder = tmp_path / "animerun" / "udp"
    wait_for(window, lambda: list((folder / "Hero" / "udp").glob("[0-9]*.npz")))
    assert child_processes(window)
    assert "is being exported" in refusal(window, "export_udp")
    window.move(400, 400)
    window.screenshot(PICTURES / "udp_exporting.png")
    sidebar = window.area_region("VIEW_3D", "UI")
    window.click(sidebar.left + sidebar.width - CANCEL_FROM_RIGHT, sidebar.top + CANCEL_Y)
    wait_for(window, lambda: status(window)[1] == "CANCELLED")
    wait_for(window, lambda: not child_processes(window))
    for path in (folder / "Hero" / "udp").iterdir():
        with np.load(path) as file:
            assert file["i"].shape == (128, 128, 4), path.name
    assert last_run(window, folder)["headline"] == "Cancelled"
    assert not refusal(window, "export_udp")
    assert "Traceback" not in window.printed()


def test_make_a_pose_is_offered_for_a_t_pose(window, tmp_path):
    save_shot(window, tmp_path, drop=0.0)
    press(window, CHECK_Y)
    found = wait_for(window, lambda: finding(window))
    assert found["verdict"].startswith("T-pose: arms at 90 degrees"), found
    window.move(400, 400)
    come_to_rest(window)
    window.screenshot(PICTURES / "udp_t_pose.png")
    press(window, MAKE_A_POSE_Y)
    wait_for(window, lambda: window.run("result = bpy.context.scene.animerun.udp.rest") == "A_POSE", timeout=20)
    assert finding(window)["verdict"] == "A-pose, 45 degrees"
    assert "Traceback" not in window.printed()


def test_edits_make_findings_and_bakes_old_once_the_scene_is_calm(window, tmp_path):
    save_shot(window, tmp_path)
    window.run("with override('VIEW_3D'):\n    bpy.ops.animerun.check_character()\n    bpy.ops.animerun.bake_udp()")
    remembered = f"""
    from {PACKAGE} import udp_watch, udp_memory
    scene = bpy.context.scene
    state = udp_watch.bake_state(scene, "Hero")
    found = udp_memory.finding_of(scene.session_uid, "Hero")
    if state is not None:
        result = [len(state.baked) > 0, list(state.stale), udp_watch.state_of(scene, "Hero") == found.state]
    """
    wait_for(window, lambda: window.run(remembered) == [True, [], True])
    edited = window.run(
        """
        scene = bpy.context.scene
        thing = next(one for one in scene.objects if one.type == "MESH" and "AnimeRun UDP" in one.data.attributes)
        thing.data.vertices[0].co.x += 0.01
        thing.data.update()
        result = thing.name_full
        """
    )
    wait_for(window, lambda: (window.run(remembered) or [0, 0, 0])[1:] == [[edited], False])
    come_to_rest(window)
    window.screenshot(PICTURES / "udp_stale.png")
    assert "Traceback" not in window.printed()


def test_a_scene_without_characters_says_what_to_do(window):
    open_section(window)
    for operator in ("check_character", "make_a_pose", "export_udp"):
        assert "bind a mesh to an armature" in refusal(window, operator)
    come_to_rest(window)
    window.screenshot(PICTURES / "udp_no_character.png")
    assert "Traceback" not in window.printed()
