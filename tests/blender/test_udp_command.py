# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun udp` from its words to the files: list, export, keep, begin anew, refuse."""

import json
from pathlib import Path

import bpy
import cv2
import numpy as np
import pytest
import rest_scenes

from animerun_addon import cli
from animerun_addon.dataset.udp import UdpFormat, read_udp

PICTURES = ("0001", "0004", "0008")


@pytest.fixture(scope="module")
def blend(tmp_path_factory):
    """Two characters and a wall before the first one, in a file."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    rest_scenes.build(scene)
    rest_scenes.build(scene, "Ålma").location.x = 4
    rest_scenes.stage(scene)
    wall = bpy.data.objects.new("Wall", rest_scenes.blocks("Wall", ((0.6, -1.5, 0.6), (1.2, 0.1, 1.5))))
    scene.collection.objects.link(wall)
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    path = tmp_path_factory.mktemp("udp") / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


@pytest.fixture
def udp(blend, tmp_path, capfd):
    """Runs the command on that file, into a folder of the test's; what it answers."""

    def run(*words, code=0, out=tmp_path / "udp"):
        where = [] if out is None else ["--out", str(out)]
        assert cli.main(["udp", str(blend), "--json", *where, *map(str, words)]) == code
        return json.loads(capfd.readouterr().out.splitlines()[-1])

    return run


def pictures(folder, suffix=".npz"):
    return [read_udp(path) for path in sorted((folder / "udp").glob(f"*{suffix}"))]


def test_list_says_who_there_is_and_how_they_stand_and_writes_nothing(udp, tmp_path):
    answer = udp("--list", out=None)
    assert answer["characters"] == {"Hero": "A-pose, 60 degrees", "Ålma": "A-pose, 60 degrees"}
    assert list(tmp_path.iterdir()) == []


def test_all_characters_get_a_sequence_each(udp, tmp_path):
    answer = udp("--frames", "1,4,8", "--size", "40x32", "--preset", "uniform")
    assert (answer["pictures"], answer["written"], answer["kept"]) == (6, 6, 0)
    assert answer["characters"].keys() == answer["folders"].keys() == {"Hero", "Ålma"}
    assert answer["warnings"] == {}
    for folder in map(Path, answer["folders"].values()):
        assert folder.parent == tmp_path / "udp"
        assert tuple(path.stem for path in sorted((folder / "udp").iterdir())) == PICTURES
        made = pictures(folder)
        for picture in made:
            assert picture.shape == (32, 40, 4)
            assert 0.05 < picture[..., 3].mean() < 0.9
        assert not np.array_equal(made[0], made[2]), "it moves"


def test_what_is_there_is_kept_and_nothing_is_mixed(udp, tmp_path):
    words = ("--character", "Hero", "--frames", "1-8", "--size", "32")
    udp(*words, "--step", "7")
    missing = tmp_path / "udp" / "Hero" / "udp" / "0008.npz"
    before = missing.read_bytes()
    assert (udp(*words, "--step", "7")["written"], missing.read_bytes()) == (0, before)
    refused = udp(*words, "--step", "7", "--preset", "uniform", code=2)
    assert "--anew" in refused["error"]
    assert missing.read_bytes() == before
    answer = udp(*words, "--step", "7", "--preset", "uniform", "--anew")
    assert (answer["written"], answer["kept"]) == (2, 0)
    assert missing.read_bytes() != before


@pytest.mark.parametrize("file_format", UdpFormat)
def test_every_format_holds_the_same_picture(udp, tmp_path, file_format):
    udp("--character", "Hero", "--frames", "4", "--size", "32", "--out", tmp_path / "npz")
    udp("--character", "Hero", "--frames", "4", "--size", "32", "--format", file_format)
    (exact,) = pictures(tmp_path / "npz" / "Hero")
    (found,) = pictures(tmp_path / "udp" / "Hero", file_format.suffix)
    step = {"png8": 1 / 255, "png16": 1 / 65535}.get(file_format, 0)
    assert np.abs(found - exact).max() <= step / 2 + 1e-7
    assert exact[..., 3].any()


def test_the_scenes_camera_shows_the_scenes_frame_and_the_wall_hides(udp, tmp_path):
    words = ("--character", "Hero", "--frames", "4", "--camera", "--preset", "uniform")
    udp(*words)
    udp(*words, "--occluders", "scene", "--out", tmp_path / "hidden")
    (alone,), (hidden,) = pictures(tmp_path / "udp" / "Hero"), pictures(tmp_path / "hidden" / "Hero")
    assert alone.shape == (36, 64, 4)
    shown = hidden[..., 3] == 1
    assert shown.sum() < alone[..., 3].sum()
    np.testing.assert_allclose(hidden[shown], alone[shown], atol=1e-6)


def test_numbers_of_ones_own_and_a_facing_by_hand(udp, tmp_path):
    words = ("--character", "Hero", "--frames", "4", "--size", "32")
    udp(*words, "--scale", "-0.2,.3,0.4", "--offset", "0.5,0.5,-.1")
    told = json.loads((tmp_path / "udp" / "Hero" / "udp.json").read_text())
    assert told["encoding"] == {"preset": "free", "scale": [-0.2, 0.3, 0.4], "offset": [0.5, 0.5, -0.1]}
    udp(*words, "--front", "Y", "--up", "Z", "--anew", "--preset", "uniform")
    told = json.loads((tmp_path / "udp" / "Hero" / "udp.json").read_text())
    assert "front Y, up Z" in told["rest"]


def test_a_turntable_of_one_frame_goes_once_round(udp, tmp_path):
    answer = udp("--character", "Hero", "--frames", "4", "--turntable", "4", "--size", "32", "--preset", "uniform")
    assert answer["pictures"] == 4
    front, _, back, _ = pictures(tmp_path / "udp" / "Hero")
    # Green goes to the back: the camera sees the lesser half of it first.
    assert front[front[..., 3] == 1][:, 1].mean() < back[back[..., 3] == 1][:, 1].mean()


def test_colour_frames_and_a_sheet_are_made_on_demand(udp, tmp_path):
    words = ("--character", "Hero", "--frames", "1-8", "--step", "7", "--size", "32")
    answer = udp(*words, "--colour", "--sheet", "2x1", "--style", "--contours", "fast")
    folder = Path(answer["folders"]["Hero"])
    assert sorted(path.name for path in (folder / "colour").iterdir()) == ["0001.png", "0008.png"]
    assert sorted(path.name for path in (folder / "sheet").iterdir()) == ["pose_1_view_1.png", "pose_1_view_2.png"]
    assert Path(answer["sheets"]["Hero"]).is_file()
    for number in ("0001", "0008"):
        alpha = cv2.imread(str(folder / "colour" / f"{number}.png"), cv2.IMREAD_UNCHANGED)[..., 3]
        seen = read_udp(folder / "udp" / f"{number}.npz")[..., 3]
        assert ((alpha > 127) == (seen == 1)).mean() > 0.97


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--character", "Nobody"), "'Nobody'"),
        (("--camera", "Nowhere"), "'Nowhere'"),
        (("--scene", "None"), "no scene 'None'"),
        (("--rest-action", "Sleep"), "'Sleep'"),
    ],
)
def test_what_is_not_in_the_file_is_named_with_what_is(udp, words, named):
    answer = udp("--frames", "1", "--size", "32", *words, code=2)
    assert named in answer["error"]
    assert answer["code"] == 2


def test_a_scene_without_characters_is_refused_and_listed_as_empty(tmp_path, capfd):
    path = tmp_path / "empty.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    assert cli.main(["udp", str(path), "--out", str(tmp_path / "udp")]) == 2
    assert "no character" in capfd.readouterr().err
    assert cli.main(["udp", str(path), "--list"]) == 0
    assert "characters: none" in capfd.readouterr().out
