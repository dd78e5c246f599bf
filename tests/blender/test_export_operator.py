# SPDX-License-Identifier: GPL-3.0-or-later
"""The export's buttons: what they refuse, what they hand to the second Blender, and what they leave behind."""

import json
import os
from dataclasses import fields
from pathlib import Path

import bpy
import pytest

from animerun_addon import export_runs
from animerun_addon.export_estimate import estimate
from animerun_addon.export_options import switch_of
from animerun_addon.export_properties import default_clip, request_of
from animerun_addon.export_runs import last_run
from animerun_addon.export_settings import ExportSettings, Label
from animerun_addon.operators import export
from animerun_addon.progress import JobState

pytestmark = pytest.mark.usefixtures("addon")


@pytest.fixture
def scene(addon, tiny_scene, tmp_path):
    """The tiny scene, with something that moves, its data set in a folder of the test's."""
    triangle = tiny_scene.objects["Triangle"]
    for frame, x in ((1, 0.0), (3, 0.5)):
        triangle.location.x = x
        triangle.keyframe_insert("location", frame=frame)
    tiny_scene.render.resolution_x, tiny_scene.render.resolution_y = 96, 64
    tiny_scene.animerun.export.root_folder = str(tmp_path / "data")
    export_runs._last.clear()
    return tiny_scene


def refused():
    """Why the button is grey."""
    with pytest.raises(RuntimeError, match="poll") as failure:
        bpy.ops.animerun.export_sequence()
    return str(failure.value)


def test_the_panel_begins_with_the_defaults(scene):
    assert request_of(bpy.context).settings == ExportSettings()


def test_every_setting_is_in_the_panel_with_a_tooltip(scene):
    shown = scene.animerun.export.bl_rna.properties
    # Those of Ultra-Dense Pose are in its own panel.
    names = {field.name for field in fields(ExportSettings)} - {"labels", "style", "udp_rest", "udp_encoding"}
    for name in names | {switch_of(label) for label in Label} | {"uses_style"}:
        assert len(shown[name].description) > 20, name


def test_no_camera_no_labels_and_nonsense_are_told_on_the_greyed_button(scene):
    panel = scene.animerun.export
    assert bpy.ops.animerun.export_sequence.poll()
    camera, scene.camera = scene.camera, None
    assert "has no camera" in refused()
    scene.camera = camera
    panel.strides = "few"
    assert "write 1, or 1, 2, 3" in refused()
    panel.strides = "1"
    panel.clip_name = "../up"
    assert "cannot be the name of a clip" in refused()
    panel.clip_name = ""
    scene.animerun.use_scene_range, scene.animerun.frame_start, scene.animerun.frame_end = False, 9, 3
    assert "run backwards" in refused()
    scene.animerun.use_scene_range = True
    for label in Label:
        setattr(panel, switch_of(label), False)
    assert "choose at least one label" in refused()
    panel.writes_flow = True
    assert bpy.ops.animerun.export_sequence.poll()


def test_frames_are_the_scenes_or_the_panels_own(scene):
    scene.frame_start, scene.frame_end, scene.frame_step = 2, 20, 3
    assert list(request_of(bpy.context).frames) == [2, 5, 8, 11, 14, 17, 20]
    scene.animerun.export.step = 2
    assert list(request_of(bpy.context).frames) == [2, 8, 14, 20]
    scene.animerun.use_scene_range, scene.animerun.frame_start, scene.animerun.frame_end = False, 5, 9
    assert list(request_of(bpy.context).frames) == [5, 7, 9]


def test_clips_and_films_are_named_after_file_and_scene(scene, tmp_path):
    scene.name = "Café"
    assert default_clip(scene) == "Caf"
    assert request_of(bpy.context).film == "Café"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a shot.blend"))
    scene = bpy.context.scene
    assert default_clip(scene) == "a_shot"
    assert request_of(bpy.context).film == "a shot"
    bpy.data.scenes.new("Other")
    assert default_clip(scene) == "a_shot_Caf"
    scene.animerun.export.clip_name, scene.animerun.export.film = "sc_010", "Pilot"
    assert (request_of(bpy.context).clip, request_of(bpy.context).film) == ("sc_010", "Pilot")


def test_settings_are_saved_with_the_file(scene, tmp_path):
    panel = scene.animerun.export
    panel.split, panel.strides, panel.writes_depth, panel.matching = "TEST", "1, 3", False, "SURFACE"
    path = str(tmp_path / "kept.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    before = request_of(bpy.context)
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert request_of(bpy.context) == before
    assert (before.split, before.settings.strides) == ("test", (1, 3))


def test_a_folder_that_cannot_be_written_is_said_before_the_work(scene, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    scene.animerun.export.root_folder = str(tmp_path / "file" / "data")
    monkeypatch.setattr(export, "command_on_open_file_job", lambda *_: pytest.fail("a job was made"))
    with pytest.raises(RuntimeError, match="choose another folder"):
        bpy.ops.animerun.export_sequence()


def test_an_unsaved_file_exports_into_the_preferences_folder(scene, tmp_path):
    preferences = bpy.context.preferences.addons["animerun_addon"].preferences
    preferences.unsaved_folder = str(tmp_path / "unsaved")
    scene.animerun.export.root_folder = "//animerun/dataset/"
    assert request_of(bpy.context).root == tmp_path / "unsaved" / "animerun" / "dataset"


def test_open_says_what_is_not_there(scene):
    with pytest.raises(RuntimeError, match="export something first"):
        bpy.ops.animerun.open_data_set()
    with pytest.raises(RuntimeError, match="no sheet of this clip in this session"):
        bpy.ops.animerun.open_contact_sheet()


def test_export_of_the_open_file_with_unsaved_changes(scene, tmp_path):
    """The whole way: a second Blender, all labels, the check, and the verdict in this session's memory."""
    scene.name = "Never saved"
    scene.animerun.style.contours, scene.animerun.export.uses_style = "FAST", True
    assert bpy.ops.animerun.export_sequence() == {"FINISHED"}
    run = last_run(request_of(bpy.context))
    assert run.job.status.state is JobState.DONE
    assert run.job.result["frames"] == 3
    assert run.job.result["kept"] == 0
    assert run.pace() > 0
    assert run.verdict["passed"], run.verdict["failures"]
    assert Path(run.verdict["sheet"]).is_file()
    assert run.headline() == "3 frames, check passed"
    clip = tmp_path / "data" / "train"
    assert sorted(os.listdir(clip / "Flow" / "Never_saved" / "forward")) == ["0001.flo", "0002.flo"]
    files = [path for path in clip.rglob("*.*") if path.is_file() and path.parent.parent.name != "Meta"]
    forecast = estimate(run.request.settings, 3, run.size_px)
    assert forecast.files == len(files) == run.job.result["written"]
    assert forecast.size_bytes == pytest.approx(sum(path.stat().st_size for path in files), rel=0.3)
    assert json.loads((clip / "Meta" / "Never_saved" / "meta.json").read_text())["film"] == "Never saved"


def test_export_again_keeps_or_makes_anew(scene, tmp_path):
    path = tmp_path / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    panel = bpy.context.scene.animerun.export
    panel.checks, panel.writes_frames, panel.segments = False, False, "EXACT"
    flow = tmp_path / "data" / "train" / "Flow" / "shot" / "forward" / "0001.flo"
    assert bpy.ops.animerun.export_sequence() == {"FINISHED"}
    first = flow.stat().st_mtime_ns
    bpy.data.objects["Triangle"].scale.x = 2.0
    with pytest.raises(RuntimeError, match="the scene was changed since"):
        bpy.ops.animerun.export_sequence()
    assert last_run(request_of(bpy.context)).job.status.state is JobState.FAILED
    assert bpy.ops.animerun.export_sequence(anew=True) == {"FINISHED"}
    assert flow.stat().st_mtime_ns > first
    assert last_run(request_of(bpy.context)).headline() == "3 frames, not checked"


def test_style_settings_of_the_panel_reach_the_second_blender(scene, tmp_path):
    scene.animerun.style.contours, scene.animerun.style.seed = "FAST", 7
    panel = scene.animerun.export
    panel.uses_style, panel.augment, panel.checks, panel.clip_name, panel.split = True, 1, False, "styled", "TEST"
    assert bpy.ops.animerun.export_sequence() == {"FINISHED"}
    test = tmp_path / "data" / "test"
    meta = json.loads((test / "Meta" / "styled" / "meta.json").read_text())
    assert (meta["style"]["contours"], meta["style"]["seed"]) == ("FAST", 7)
    assert sorted(os.listdir(test / "Frame_Anime" / "styled")) == ["color_1", "original"]
    assert not scene.animerun.style.augment
