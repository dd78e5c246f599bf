# SPDX-License-Identifier: GPL-3.0-or-later
"""Ultra-Dense Pose's buttons: whose they work on, what they refuse, find out, remember and export."""

import json
from dataclasses import fields

import bpy
import numpy as np
import pytest
import rest_scenes

from animerun_addon import udp_memory, udp_watch
from animerun_addon.dataset.udp import UdpFormat
from animerun_addon.labels.udp_encoding import Preset
from animerun_addon.operators import udp as operators
from animerun_addon.progress import JobState
from animerun_addon.udp_choices import EncodingChoice, Rest, RestChoice
from animerun_addon.udp_memory import finding_of, last_run
from animerun_addon.udp_properties import candidates_of, chosen_character, encoding_of, request_of, rest_of
from animerun_addon.udp_settings import Occluders, UdpSettings, View

pytestmark = pytest.mark.usefixtures("addon")


@pytest.fixture
def scene(addon, tmp_path):
    """A character of blocks that waves its arms over eight frames, its pictures small and in a folder of the test's."""
    scene = bpy.context.scene
    rest_scenes.build(scene)
    rest_scenes.stage(scene)
    panel = scene.animerun.udp
    panel.folder = str(tmp_path / "udp")
    panel.width = panel.height = 48
    udp_memory._runs.clear()
    return scene


def has_t_pose(rig):
    """Arms straight out at rest."""
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for side in "LR":
        arm = rig.data.edit_bones[f"Arm.{side}"]
        arm.tail.z = arm.head.z
    bpy.ops.object.mode_set(mode="OBJECT")


def refused(operator="export_udp"):
    """Why the button is grey."""
    with pytest.raises(RuntimeError, match="poll") as failure:
        getattr(bpy.ops.animerun, operator)()
    return str(failure.value)


def found(scene, name="Hero"):
    return finding_of(scene.session_uid, name)


# Settings -------------------------------------------------------------------------------------------------------------


def test_the_panel_begins_with_the_defaults():
    scene = bpy.context.scene
    assert rest_of(scene.animerun.udp) == RestChoice()
    assert encoding_of(scene.animerun.udp) == EncodingChoice()
    assert request_of(bpy.context, ("A",)).settings == UdpSettings(size_px=(512, 512))


def test_every_choice_is_in_the_panel_and_every_property_has_a_tooltip():
    shown = bpy.context.scene.animerun.udp.bl_rna.properties
    for name, choices in (("rest", Rest), ("preset", Preset), ("view", View), ("occluders", Occluders)):
        assert [item.identifier for item in shown[name].enum_items if item.description] == [
            one.name for one in choices
        ] or {item.identifier for item in shown[name].enum_items} == {one.name for one in choices}
    assert {item.identifier for item in shown["file_format"].enum_items} == {one.name for one in UdpFormat}
    own = [one for one in shown if one.identifier not in {"rna_type", "name"}]
    assert len(own) > len(fields(UdpSettings))
    for one in own:
        assert len(one.description) > 20, one.identifier


def test_settings_are_saved_with_the_file(scene, tmp_path):
    panel = scene.animerun.udp
    panel.rest, panel.rest_frame, panel.preset, panel.view = "FRAME", 4, "UNIFORM", "TURNTABLE"
    panel.sets_facing, panel.front, panel.file_format, panel.makes_sheet = True, "X", "EXR", True
    path = str(tmp_path / "kept.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    before = request_of(bpy.context, ("Hero",))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert request_of(bpy.context, ("Hero",)) == before
    assert before.settings.rest == RestChoice(Rest.FRAME, 4.0, front="X", up="Z")


def test_frames_are_the_scenes_or_the_panels_own(scene):
    scene.frame_start, scene.frame_end, scene.frame_step = 2, 20, 3
    scene.animerun.udp.step = 2
    assert list(request_of(bpy.context, ("Hero",)).frames) == [2, 8, 14, 20]
    scene.animerun.use_scene_range, scene.animerun.frame_start, scene.animerun.frame_end = False, 5, 9
    assert list(request_of(bpy.context, ("Hero",)).frames) == [5, 7, 9]


# Whose ----------------------------------------------------------------------------------------------------------------


def test_an_empty_field_is_the_selected_objects_character_or_that_with_most_of_a_surface(scene):
    other = rest_scenes.build(scene, "Other")
    mesh = bpy.data.meshes.new("Crowd")
    mesh.from_pydata([(0, 0, 0)] * 999, [], [])
    crowd = bpy.data.objects.new("Crowd", mesh)
    scene.collection.objects.link(crowd)
    crowd.parent = other
    bpy.context.view_layer.objects.active = None
    assert chosen_character(scene) == "Other"
    for thing, name in (("Hero feather", "Hero"), ("Hero", "Hero"), ("Camera", "Other"), ("Other hat", "Other")):
        bpy.context.view_layer.objects.active = scene.objects[thing]
        scene.objects[thing].select_set(True)
        assert chosen_character(scene) == name, thing
        scene.objects[thing].select_set(False)
        assert chosen_character(scene) == "Other", "active alone is what was selected once"
    scene.animerun.udp.character = "Hero"
    assert chosen_character(scene) == "Hero"


def test_a_character_that_is_gone_is_named_with_those_there_are(scene):
    scene.animerun.udp.character = "Gone"
    for operator in ("check_character", "make_a_pose", "export_udp"):
        assert "no character 'Gone': choose Hero" in refused(operator)


def test_a_scene_without_characters_is_told_on_every_greyed_button(addon):
    for operator in ("check_character", "make_a_pose", "export_udp"):
        assert "bind a mesh to an armature" in refused(operator)


def test_all_characters_are_exported_in_the_order_of_their_names(scene):
    rest_scenes.build(scene, "Alma")
    scene.animerun.udp.all_characters, scene.animerun.udp.character = True, "Gone"
    assert udp_watch.to_export(scene) == ("Alma", "Hero")
    assert candidates_of(scene).name_of["Alma hat"] == "Alma"


# Check ----------------------------------------------------------------------------------------------------------------


def test_check_remembers_what_it_found(scene):
    assert bpy.ops.animerun.check_character() == {"FINISHED"}
    finding = found(scene)
    assert finding.verdict == "A-pose, 60 degrees"
    assert finding.is_a_pose
    assert not finding.wants_a_pose
    assert finding.facing.startswith("Faces -Y of its armature, up Z; seen from ")
    # The torso and the arms; the hat on its bone is none of the body.
    assert finding.body_height_m == pytest.approx(1.2, abs=1e-4)
    assert 0 < finding.clipped_share < 1
    assert finding.is_for(RestChoice(), EncodingChoice())
    assert finding.state == udp_watch.state_of(scene, "Hero")


def test_a_finding_is_told_to_be_old_after_changes(scene):
    bpy.ops.animerun.check_character()
    state = found(scene).state
    scene.objects["Hero"].pose.bones["Arm.L"].rotation_euler.x += 1
    scene.objects["Hero"].location.x += 1
    assert udp_watch.state_of(scene, "Hero") == state, "posing and moving change nothing at rest"
    scene.objects["Hero body"].data.vertices[0].co.z -= 0.1
    assert udp_watch.state_of(scene, "Hero") != state
    scene.animerun.udp.preset = "UNIFORM"
    panel = scene.animerun.udp
    assert not found(scene).is_for(rest_of(panel), encoding_of(panel))


def test_make_a_pose_is_a_choice_that_leaves_the_armature_alone(scene):
    rig = scene.objects["Hero"]
    has_t_pose(rig)
    bpy.ops.animerun.check_character()
    assert found(scene).wants_a_pose
    assert found(scene).verdict.startswith("T-pose: arms at 90 degrees")
    heads = [tuple(bone.tail_local) for bone in rig.data.bones]
    assert bpy.ops.animerun.make_a_pose() == {"FINISHED"}
    assert scene.animerun.udp.rest == "A_POSE"
    assert found(scene).verdict == "A-pose, 45 degrees"
    assert not found(scene).wants_a_pose
    assert [tuple(bone.tail_local) for bone in rig.data.bones] == heads


def test_make_a_pose_that_cannot_be_made_is_not_chosen(scene):
    rig = scene.objects["Hero"]
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for side in "LR":
        rig.data.edit_bones.remove(rig.data.edit_bones[f"Arm.{side}"])
    bpy.ops.object.mode_set(mode="OBJECT")
    with pytest.raises(RuntimeError, match="arms"):
        bpy.ops.animerun.make_a_pose()
    assert scene.animerun.udp.rest == "REST"


def test_another_file_has_findings_of_its_own(scene, tmp_path):
    bpy.ops.animerun.check_character()
    number = scene.session_uid
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "kept.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "kept.blend"))
    assert finding_of(number, "Hero") is None
    assert finding_of(bpy.context.scene.session_uid, "Hero") is None


# Export ---------------------------------------------------------------------------------------------------------------


def test_nonsense_is_told_on_the_greyed_button(scene):
    panel = scene.animerun.udp
    assert bpy.ops.animerun.export_udp.poll()
    panel.rest = "ACTION"
    assert "Name the action" in refused()
    panel.rest = "REST"
    panel.sets_facing, panel.front, panel.up = True, "Z", "NEG_Z"
    assert "two different axes" in refused()
    assert "two different axes" in refused("check_character")
    panel.sets_facing, panel.view, scene.camera = False, "CAMERA", None
    assert "has no camera" in refused()
    panel.view = "FIT"
    scene.animerun.use_scene_range, scene.animerun.frame_start, scene.animerun.frame_end = False, 9, 3
    assert "run backwards" in refused()
    scene.animerun.use_scene_range = True
    assert bpy.ops.animerun.export_udp.poll()


def test_a_folder_that_cannot_be_written_is_said_before_the_work(scene, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    scene.animerun.udp.folder = str(tmp_path / "file" / "udp")
    monkeypatch.setattr(operators, "command_on_open_file_job", lambda *_: pytest.fail("a job was made"))
    with pytest.raises(RuntimeError, match="choose another folder"):
        bpy.ops.animerun.export_udp()


def test_open_says_what_is_not_there(scene):
    with pytest.raises(RuntimeError, match="export something first"):
        bpy.ops.animerun.open_udp_folder()


def test_export_of_the_open_file_with_unsaved_changes(scene, tmp_path):
    """The whole way: a second Blender, the pictures, what is kept, and the answer in this session's memory."""
    scene.name = "-Never saved"
    panel = scene.animerun.udp
    panel.preset, panel.step, panel.margin = "UNIFORM", 3, 0.1
    scene.animerun.udp.character = "Hero"
    assert bpy.ops.animerun.export_udp() == {"FINISHED"}
    run = last_run(tmp_path / "udp", ["Hero"])
    assert run.job.status.state is JobState.DONE
    result = run.job.result
    assert (result["pictures"], result["written"], result["kept"]) == (3, 3, 0)
    assert result["characters"] == {"Hero": "A-pose, 60 degrees"}
    assert run.headline() == "3 pictures of Hero"
    folder = tmp_path / "udp" / "Hero"
    assert sorted(path.name for path in (folder / "udp").iterdir()) == ["0001.npz", "0004.npz", "0007.npz"]
    assert json.loads((folder / "udp.json").read_text())["encoding"]["preset"] == "uniform"
    with np.load(folder / "udp" / "0004.npz") as file:
        picture = file["i"]
    assert (picture.shape, picture.dtype) == ((48, 48, 4), np.float32)
    seen = picture[..., 3] == 1
    assert 0.1 < seen.mean() < 0.9
    free = round(48 * 0.1) - 1
    assert not seen[:free].any(), "the margin stays free"
    assert not seen[:, -free:].any()

    panel.preset = "CONR"
    with pytest.raises(RuntimeError, match="start anew"):
        bpy.ops.animerun.export_udp()
    assert last_run(tmp_path / "udp", ["Hero"]).job.status.state is JobState.FAILED
    assert bpy.ops.animerun.export_udp(anew=True) == {"FINISHED"}
    assert last_run(tmp_path / "udp", ["Hero"]).job.result["warnings"].keys() == {"Hero"}


def test_settings_of_the_panel_reach_the_second_blender(scene, tmp_path):
    rest_scenes.build(scene, "Alma").location.x = 4
    panel = scene.animerun.udp
    panel.all_characters, panel.rest, panel.arms_angle = True, "A_POSE", np.radians(30)
    panel.view, panel.turn, panel.file_format = "TURNTABLE", 3, "PNG16"
    panel.width = 64
    scene.animerun.use_scene_range, scene.animerun.frame_start, scene.animerun.frame_end = False, 4, 4
    assert bpy.ops.animerun.export_udp() == {"FINISHED"}
    for name in ("Alma", "Hero"):
        told = json.loads((tmp_path / "udp" / name / "udp.json").read_text())
        assert (told["character"], told["size"], told["file_format"]) == (name, [64, 48], "png16")
        assert told["frames"] == [1, 2, 3], "a single frame is held for a whole turn"
        assert "30 degrees" in told["rest"]
