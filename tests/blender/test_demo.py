# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun demo`: the whole job on a demo scene made small, and what a cancelled one leaves."""

import json
import os

import bpy
import pytest

from animerun_addon.errors import OutputError
from animerun_addon.pipeline import demo
from animerun_addon.pipeline.job import Job

FRAMES = 3


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The real scene, rendered at a tenth of its size and for a few frames."""
    build = demo.build_steps

    def small(seed):
        scene = yield from build(seed)
        scene.render.resolution_percentage = 10
        scene.frame_end = FRAMES
        return scene

    monkeypatch.setattr(demo, "build_steps", small)


def test_demo_makes_scene_frames_and_page(tmp_path):
    seen = []
    page = Job("Demo", demo.demo_steps(tmp_path)).run(lambda status: seen.append(status.progress.fraction))
    assert page == tmp_path / "index.html"
    assert sorted(os.listdir(tmp_path)) == ["demo.blend", "frames", "index.html"]
    names = [f"{frame:04}.png" for frame in range(1, FRAMES + 1)]
    assert sorted(os.listdir(tmp_path / "frames")) == names
    assert all(f"frames/{name}" in page.read_text() for name in names)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_saved_file_opens_with_the_demo_scene_alone(tmp_path):
    Job("Demo", demo.demo_steps(tmp_path)).run()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "demo.blend"))
    assert [scene.name for scene in bpy.data.scenes] == ["AnimeRun demo"]
    assert bpy.context.scene.camera is not None


def test_cancelled_demo_has_no_page_and_no_half_frames(tmp_path):
    (tmp_path / "index.html").write_text("of an earlier run")
    job = Job("Demo", demo.demo_steps(tmp_path))
    while job.status.progress.fraction < 0.5:
        job.step()
    job.cancel()
    assert not (tmp_path / "index.html").exists()
    assert not [name for name in os.listdir(tmp_path / "frames") if name.startswith(".")]


def test_frames_of_an_earlier_run_go(tmp_path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "0002.png").write_text("old")
    (tmp_path / "frames" / "mine.png").write_text("not ours")
    Job("Demo", demo.demo_steps(tmp_path)).run()
    assert (tmp_path / "frames" / "0002.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "frames" / "mine.png").read_text() == "not ours"


def test_unwritable_folder_is_refused_before_the_open_file_is_closed(tmp_path):
    (tmp_path / "file").touch()
    bpy.context.scene.name = "Precious"
    with pytest.raises(OutputError):
        Job("Demo", demo.demo_steps(tmp_path / "file")).run()
    assert bpy.context.scene.name == "Precious"


def test_button_adds_the_scene_beside_the_users_own(addon):
    mine = bpy.context.scene
    assert addon.add_demo_scene(seed=3) == {"FINISHED"}
    assert bpy.context.scene.name == "AnimeRun demo"
    assert mine.name in bpy.data.scenes
    assert not mine.objects


def test_shell_prints_the_page(tmp_path, capfd, monkeypatch):
    from animerun_addon import cli

    assert cli.main(["demo", str(tmp_path), "--json"]) == 0
    # Under pytest Python's stdout is another file than Blender's, whose chatter comes first.
    assert json.loads(capfd.readouterr().out.splitlines()[-1]) == {"page": str(tmp_path / "index.html")}
