# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun demo`: the whole job on a demo scene made small, and what a cancelled one leaves."""

import json
import os
from itertools import pairwise
from pathlib import Path

import bpy
import pytest

from animerun_addon import cli
from animerun_addon.dataset.layout import Direction
from animerun_addon.dataset.quality import CheckResult, ClipResult, Fault, Finding
from animerun_addon.dataset.reader import AnimeRun
from animerun_addon.dataset.udp_sequence import UdpSequence
from animerun_addon.errors import OutputError
from animerun_addon.pipeline import demo
from animerun_addon.pipeline.job import Job

FRAMES = 3
# Of earlier runs, maybe of another seed; and what others keep in the same folders.
EARLIER = (
    "dataset/train/Frame_Anime/demo/original/0099.png",
    "labels/0099_segments.png",
    "udp/pictures/0099.png",
    "index.html",
)
OF_OTHERS = ("dataset/train/Frame_Anime/mine/original/0001.png", "labels/mine.png", "mine.txt")

build_whole = demo.build_steps


def small_build(seed):
    """The real scene, at a tenth of its size and for a few frames."""
    scene = yield from build_whole(seed)
    scene.render.resolution_percentage = 10
    scene.frame_end = FRAMES
    return scene


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(demo, "build_steps", small_build)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What a demo in a folder that was used before returned, and how far it said it was."""
    folder = tmp_path_factory.mktemp("demo")
    for name in (*EARLIER, *OF_OTHERS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("earlier")
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "build_steps", small_build)
        job = Job("Demo", demo.demo_steps(folder))
        return job.run(lambda status: seen.append(status.progress.fraction)), seen


@pytest.fixture
def folder(made):
    return made[0].page.parent


@pytest.fixture
def clip(folder):
    (clip,) = [clip for clip in AnimeRun(folder / "dataset").clips if clip.name == "demo"]
    return clip


def test_demo_makes_scene_data_set_labels_and_page(folder):
    assert {"dataset", "demo.blend", "index.html", "labels", "udp"} == set(os.listdir(folder)) - {"mine.txt"}


def test_page_shows_the_heroines_poses_and_her_sheet(made, folder):
    text = made[0].page.read_text(encoding="utf-8")
    sequence = UdpSequence(folder / "udp" / "AR_Heroine")
    assert len(sequence) == FRAMES
    assert all((picture[..., 3] == 1).any() for picture in sequence)
    for frame in sequence.info.frames:
        assert f"udp/pictures/{frame:04}.png" in text
        assert f"udp/AR_Heroine/colour/{frame:04}.png" in text
    assert "udp/AR_Heroine/sheet.png" in text
    assert len(os.listdir(folder / "udp" / "AR_Heroine" / "sheet")) == 4


def test_page_shows_every_frame_every_label_and_the_verdict(made, folder, clip):
    text = (folder / "index.html").read_text(encoding="utf-8")
    frames = [clip.frame(place).path for place in range(clip.frame_count)]
    assert len(frames) == FRAMES
    labels = [folder / "labels" / name for name in os.listdir(folder / "labels") if name != "mine.png"]
    assert len(labels) == 10  # of the frame in the middle, two of its estimated flow, and the wheel
    for path in (*frames, *labels):
        assert path.relative_to(folder).as_posix() in text
    assert made[0].check.clips[0].summary in text


def test_progress_only_grows(made):
    steps = [later - earlier for earlier, later in pairwise(made[1])]
    assert min(steps) >= -0.002  # parts of parts are told in whole thousandths
    assert max(steps) < 0.25
    assert made[1][-1] == 1.0


def test_data_set_has_what_the_page_is_made_from(clip):
    for direction in Direction:
        for pair in clip.pairs(direction=direction):
            assert pair.valid.mean() > 0.9
            assert 0 < pair.occluded.mean() < 0.5
            assert len(pair.matches) == pair.first.segments.max() + 1
            assert pair.first.contour.min() == 0
            assert pair.first.object_ids.max() > 0


def test_what_an_earlier_run_left_goes_and_what_others_keep_stays(folder):
    for name in EARLIER[:3]:
        assert not (folder / name).exists()
    for name in OF_OTHERS:
        assert (folder / name).read_text() == "earlier"


def test_saved_file_opens_with_the_demo_scene_alone(folder):
    bpy.ops.wm.open_mainfile(filepath=str(folder / "demo.blend"))
    assert [scene.name for scene in bpy.data.scenes] == ["AnimeRun demo"]
    assert bpy.context.scene.camera is not None


def test_cancelled_demo_has_no_page_and_no_half_files(tmp_path):
    (tmp_path / "index.html").write_text("of an earlier run")
    job = Job("Demo", demo.demo_steps(tmp_path))
    while job.status.progress.fraction < demo.BUILD_SHARE + demo.EXPORT_SHARE / 2:
        job.step()
    job.cancel()
    assert not (tmp_path / "index.html").exists()
    files = [path for path in (tmp_path / "dataset").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if path.name.startswith(".")]


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


@pytest.mark.parametrize("findings", [(), (Finding(Fault.MISSING, "Flow"),)])
def test_shell_prints_the_page_and_the_verdict(tmp_path, capfd, monkeypatch, findings):
    result = ClipResult("demo", "train", findings, {"frames": 3, "pairs": 4}, ())

    def steps(out: Path, seed: int):
        yield from ()
        return demo.Demo(out / f"page-{seed}.html", CheckResult((result,)))

    monkeypatch.setattr(demo, "demo_steps", steps)
    assert cli.main(["demo", str(tmp_path), "--seed", "7", "--json"]) == (1 if findings else 0)
    # Under pytest Python's stdout is another file than Blender's, whose chatter comes first.
    printed = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert printed["page"] == str(tmp_path / "page-7.html")
    assert printed["verdict"] == result.summary
    assert len(printed["failures"]) == len(findings)
