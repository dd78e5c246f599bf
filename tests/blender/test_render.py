# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering frames: here, through the shell, and in a child Blender; what is left when it goes wrong."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import bpy
import cv2
import numpy as np
import pytest

from animerun_addon.errors import BlenderError, Cancelled, InputError, OutputError
from animerun_addon.pipeline import child
from animerun_addon.pipeline.job import Job
from animerun_addon.pipeline.render import find_scene, open_blend, render_steps

PROJECT = Path(__file__).parents[2]


def animerun(*arguments, **kwargs):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "animerun_addon", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120, **kwargs)


@pytest.fixture
def tiny_file(tiny_scene, tmp_path):
    path = tmp_path / "tiny.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def png_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_frames_are_numbered_and_whole(tiny_scene, tmp_path):
    files = Job("Render", render_steps(tiny_scene, tmp_path)).run()
    assert [file.name for file in files] == ["0001.png", "0002.png", "0003.png"]
    assert sorted(os.listdir(tmp_path)) == [file.name for file in files]
    assert {png_size(file) for file in files} == {(16, 8)}


def test_scene_that_is_not_the_active_one_is_rendered_at_its_own_frames(tiny_scene, tmp_path):
    triangle = tiny_scene.objects["Triangle"]
    for frame, x in ((1, -1.0), (3, 1.0)):
        triangle.location.x = x
        triangle.keyframe_insert("location", frame=frame)
    active = Job("Render", render_steps(tiny_scene, tmp_path / "active")).run()
    bpy.context.window.scene = bpy.data.scenes.new("Other")
    inactive = Job("Render", render_steps(tiny_scene, tmp_path / "inactive")).run()
    pictures = [cv2.imread(str(file)) for file in active]
    assert np.any(pictures[0] != pictures[2])
    for picture, file in zip(pictures, inactive, strict=True):
        np.testing.assert_array_equal(cv2.imread(str(file)), picture)


def test_frame_step_and_choice(tiny_scene, tmp_path):
    tiny_scene.frame_end, tiny_scene.frame_step = 5, 2
    assert [f.stem for f in Job("Render", render_steps(tiny_scene, tmp_path)).run()] == ["0001", "0003", "0005"]
    assert [f.stem for f in Job("Render", render_steps(tiny_scene, tmp_path, [7])).run()] == ["0007"]


def settings(scene):
    image = scene.render.image_settings
    media = getattr(image, "media_type", None)
    return (
        scene.render.filepath,
        scene.render.use_file_extension,
        media,
        image.file_format,
        image.color_mode,
        image.color_depth,
        scene.frame_current,
    )


def test_the_scenes_settings_come_back(tiny_scene, tmp_path):
    image = tiny_scene.render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "VIDEO"
    image.file_format = "FFMPEG"
    tiny_scene.render.filepath = "//mine_"
    tiny_scene.frame_set(2)
    before = settings(tiny_scene)
    Job("Render", render_steps(tiny_scene, tmp_path)).run()
    assert settings(tiny_scene) == before


def test_cancelled_render_leaves_whole_files_and_old_settings(tiny_scene, tmp_path):
    before = settings(tiny_scene)
    job = Job("Render", render_steps(tiny_scene, tmp_path))
    job.step()
    job.step()
    job.cancel()
    assert os.listdir(tmp_path) == ["0001.png"]
    assert settings(tiny_scene) == before


def test_no_camera_is_said_before_the_work(tiny_scene, tmp_path):
    tiny_scene.camera = None
    with pytest.raises(InputError, match="has no camera"):
        Job("Render", render_steps(tiny_scene, tmp_path / "out")).run()
    assert not (tmp_path / "out").exists()


def test_camera_from_a_marker_is_enough(tiny_scene, tmp_path):
    marker = tiny_scene.timeline_markers.new("Cut", frame=1)
    marker.camera, tiny_scene.camera = tiny_scene.camera, None
    assert len(Job("Render", render_steps(tiny_scene, tmp_path)).run()) == 3


def test_folder_that_cannot_be_written(tiny_scene, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another folder"):
        Job("Render", render_steps(tiny_scene, tmp_path / "file")).run()


def test_unknown_scene_names_the_known_ones(tiny_scene):
    with pytest.raises(InputError, match="'Scene'"):
        find_scene("Shot 7")


def test_damaged_blend_file(tmp_path):
    (tmp_path / "a.blend").write_bytes(b"BLENDER, but not really")
    with pytest.raises(InputError, match=r"a\.blend"):
        open_blend(tmp_path / "a.blend")
    with pytest.raises(InputError, match="no file"):
        open_blend(tmp_path / "b.blend")


def test_shell_renders_and_answers_in_json(tiny_file, tmp_path):
    done = animerun("render", tiny_file, "--out", tmp_path / "out", "--frames", "2-3", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"folder": str(tmp_path / "out"), "frames": 2}
    assert sorted(os.listdir(tmp_path / "out")) == ["0002.png", "0003.png"]


@pytest.mark.parametrize("wrong", ["file", "folder", "scene"])
def test_shell_says_users_mistakes_in_one_line(tiny_file, tmp_path, wrong):
    blend, out, scene = tiny_file, tmp_path / "out", "Scene"
    if wrong == "file":
        blend = tmp_path / "missing.blend"
    elif wrong == "folder":
        out = tiny_file
    else:
        scene = "missing"
    done = animerun("render", blend, "--out", out, "--scene", scene, "--json")
    assert done.returncode == 2
    answer = json.loads(done.stdout)
    assert answer["code"] == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("animerun:")]
    assert lines == [f"animerun: {answer['error']}"]
    assert "Traceback" not in done.stderr


def test_child_renders_the_open_file_with_unsaved_changes(tiny_file, tmp_path):
    bpy.context.scene.render.resolution_x = 24
    job = child.command_on_open_file_job("Render", "render", ["--out", str(tmp_path / "out"), "--frames", "1-100"])
    seen = []
    result = job.run(lambda status: seen.append(status.progress.fraction))
    assert result["frames"] == 100
    assert png_size(tmp_path / "out" / "0002.png") == (24, 8)
    assert max(seen[:-1]) > 0.0
    assert bpy.data.filepath == str(tiny_file)


def test_child_says_the_users_mistake(tiny_file, tmp_path):
    job = child.command_on_open_file_job("Render", "render", ["--out", str(tmp_path / "o"), "--scene", "missing"])
    with pytest.raises(BlenderError, match="no scene 'missing'"):
        job.run()


def watched_child(tmp_path, monkeypatch, frames):
    """A running child job, its process, and the folders it may leave behind."""
    monkeypatch.setattr(child.tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    processes = []
    start = subprocess.Popen

    def remember(*arguments, **kwargs):
        processes.append(start(*arguments, **kwargs))
        return processes[-1]

    monkeypatch.setattr(child.subprocess, "Popen", remember)
    job = child.command_on_open_file_job("Render", "render", ["--out", str(tmp_path / "out"), "--frames", frames])
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob("[0-9]*.png")) and job.is_running and time.monotonic() < deadline:
        job.step()
        time.sleep(0.02)
    assert job.is_running, job.status
    return job, processes[0]


def test_cancelled_child_is_gone_and_leaves_whole_files(tiny_file, tmp_path, monkeypatch):
    job, process = watched_child(tmp_path, monkeypatch, "1-5000")
    job.cancel()
    assert process.poll() is not None
    assert not list((tmp_path / "temp").iterdir())
    assert {png_size(file) for file in (tmp_path / "out").glob("[0-9]*.png")} == {(16, 8)}
    if process.returncode == 130:  # it ended by itself and so tidied up
        assert not list((tmp_path / "out").glob(".*"))


def test_killed_child_is_reported_with_its_code(tiny_file, tmp_path, monkeypatch):
    job, process = watched_child(tmp_path, monkeypatch, "1-5000")
    process.kill()
    with pytest.raises(BlenderError, match="ended with code -9"):
        job.run()
    assert not list((tmp_path / "temp").iterdir())


def test_child_ends_when_its_parent_is_gone(tiny_file, tmp_path):
    command = [sys.executable, "-m", "animerun_addon", "render", str(tiny_file), "--out", str(tmp_path / "out")]
    command += ["--frames", "1-5000", "--report-to", str(tmp_path / "report")]
    process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob("[0-9]*.png")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.stdin.close()  # as the system does for a parent that died
    assert process.wait(10) == 130
    last = json.loads((tmp_path / "report").read_text().splitlines()[-1])
    assert last["cancelled"]


def test_operator_renders_into_the_scenes_folder(addon, tiny_file, tmp_path):
    bpy.context.scene.animerun.use_scene_range = False
    bpy.context.scene.animerun.frame_start = 2
    bpy.context.scene.animerun.frame_end = 2
    assert addon.render_frames() == {"FINISHED"}
    assert os.listdir(tmp_path / "animerun" / "frames") == ["0002.png"]


def test_unsaved_file_renders_where_the_preferences_say(addon, tiny_scene, tmp_path):
    bpy.context.preferences.addons["animerun_addon"].preferences.unsaved_folder = str(tmp_path)
    addon.render_frames()
    assert len(os.listdir(tmp_path / "animerun" / "frames")) == 3


def test_greyed_button_says_why(addon):
    assert not addon.render_frames.poll()
    with pytest.raises(RuntimeError, match="has no camera"):
        addon.render_frames()


def test_interrupted_render_is_cancelled(tiny_scene, tmp_path, monkeypatch):
    from animerun_addon.scene import frames

    class Ops:
        class render:  # noqa: N801
            @staticmethod
            def render(**_):
                return {"CANCELLED"}

    monkeypatch.setattr(frames.bpy, "ops", Ops)
    with pytest.raises(Cancelled, match="frame 1"):
        Job("Render", render_steps(tiny_scene, tmp_path)).run()
    assert not os.listdir(tmp_path)
