# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun flow` of a scene: it is rendered once, its flow estimated, and compared with what was exported of it."""

import json

import bpy
import pytest

from animerun_addon import cli
from animerun_addon.dataset.layout import Direction
from animerun_addon.dataset.reader import AnimeRun


@pytest.fixture
def blend(tiny_scene, tmp_path):
    tiny_scene.render.resolution_x, tiny_scene.render.resolution_y = 48, 32
    camera = tiny_scene.camera
    for frame in (1, 3):
        camera.location.x = frame / 20
        camera.keyframe_insert("location", frame=frame)
    path = tmp_path / "sh 010.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


@pytest.fixture
def run(tmp_path, capfd):
    def flow(*words, code=0):
        answered = cli.main([*map(str, words), "--json"])
        answer = json.loads(capfd.readouterr().out.splitlines()[-1])  # Blender chats before it
        assert answered == code, answer
        return answer

    return flow


def flow_words(blend, tmp_path, *more):
    return ["flow", blend, "--model", "classical", "--out", tmp_path / "out", *more]


def test_frames_are_rendered_where_the_reader_finds_them(run, blend, tmp_path):
    answer = run(*flow_words(blend, tmp_path))
    assert (answer["clip"], answer["frames"], answer["estimated"]) == ("sh_010", 3, 2)
    (clip,) = AnimeRun(tmp_path / "out").clips
    assert clip.meta["source"]["file"] == "sh 010.blend"
    for direction in Direction:
        for pair in clip.pairs(direction=direction):
            assert pair.first.image.shape == (32, 48, 3)
            assert pair.flow_px.shape == (32, 48, 2)
            assert pair.occluded.shape == (32, 48)


def test_it_goes_on_where_it_was_and_renders_nothing_twice(run, blend, tmp_path):
    run(*flow_words(blend, tmp_path, "--frames", "1-2"))
    frames = tmp_path / "out" / "train" / "Frame_Anime" / "sh_010" / "original"
    before = (frames / "0001.png").stat().st_mtime_ns
    answer = run(*flow_words(blend, tmp_path))
    assert (answer["estimated"], answer["kept"]) == (1, 1)
    assert (frames / "0001.png").stat().st_mtime_ns == before


def test_a_scene_that_was_changed_since_is_not_mixed(run, blend, tmp_path):
    run(*flow_words(blend, tmp_path, "--frames", "1-2"))
    bpy.context.scene.camera.location.y = 1
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    assert "the scene was changed since" in run(*flow_words(blend, tmp_path), code=2)["error"]
    assert run(*flow_words(blend, tmp_path, "--anew"))["kept"] == 0


def test_the_error_against_the_exported_clip(run, blend, tmp_path):
    run("export", blend, "--out", tmp_path / "dataset", "--clip", "exact", "--labels", "flow,occlusion,valid")
    truth = tmp_path / "dataset" / "train" / "Flow" / "exact"
    answer = run(*flow_words(blend, tmp_path, "--truth", truth))
    for direction in Direction:
        error = answer["epe_px"][direction]
        assert 0 < error["all"] < 5
        assert error["pixels"] > 0


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--scene", "Shot 7"], "no scene 'Shot 7'"), (["--frames", "2"], "there is only frame 2")],
)
def test_mistakes_are_told(run, blend, tmp_path, words, told):
    assert told in run(*flow_words(blend, tmp_path, *words), code=2)["error"]
