# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that are unusual or not right: each gives right pictures, or says in one sentence what to do about it."""

import bpy
import numpy as np
import people
import pytest
import rest_scenes
from landmark_rays import at_rest
from people import person
from rest_scenes import build, stage, to_bone
from snapshot_scenes import instance_of, link, square
from test_udp_landmarks import assert_landmarks_stay

from animerun_addon.dataset.udp_sequence import UdpSequence
from animerun_addon.errors import InputError
from animerun_addon.labels.skeleton import Stance
from animerun_addon.pipeline.export import Source
from animerun_addon.pipeline.job import Job
from animerun_addon.pipeline.udp import udp_steps
from animerun_addon.scene.udp_character import udp_character
from animerun_addon.udp_choices import EncodingChoice, Rest, RestChoice
from animerun_addon.udp_settings import UdpSettings, View

SOURCE = Source("", "", "")


@pytest.fixture
def scene():
    return bpy.context.scene


def hero_of(scene, name="Person", rest=None):
    return udp_character(scene, name, rest or RestChoice(), EncodingChoice())


def export(scene, out, name="Person", **settings):
    """{number: (H, W, 4)} of a small export."""
    chosen = UdpSettings(**{"size_px": (64, 64), **settings})
    (result,) = Job("UDP", udp_steps(scene, [name], out, [1], chosen, SOURCE)).run()
    sequence = UdpSequence(result.folder)
    return dict(zip(sequence.info.frames, sequence, strict=True)), result


def refused(scene, out, words, name="Person", rest=None, **settings):
    """Refused in one sentence, and nothing is left behind."""
    with pytest.raises(InputError, match=words) as told:
        export(scene, out, name, rest=rest or RestChoice(), **settings)
    said = str(told.value)
    assert "\n" not in said
    assert not list(out.rglob("*.npz")) + list(out.rglob("udp.json"))
    return said


# No such character ----------------------------------------------------------------------------------------------------


def test_no_armature_and_a_name_that_does_not_exist(scene, tmp_path):
    square(scene)
    refused(scene, tmp_path, "has no character: bind a mesh to an armature")
    person(scene)
    refused(scene, tmp_path, "no character 'Villain'; there are: Person", name="Villain")


def test_an_armature_without_arms_has_pictures_but_no_a_pose(scene, tmp_path):
    rig = rest_scenes.build_rig(scene, "Snake")
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name in ("Arm.L", "Arm.R"):
        rig.data.edit_bones.remove(rig.data.edit_bones[name])
    bpy.ops.object.mode_set(mode="OBJECT")
    body = link(scene, "Snake body", rest_scenes.blocks("Snake body", rest_scenes.HAT))
    to_bone(body, rig, "Spine")
    stage(scene)
    hero = hero_of(scene, "Snake")
    assert hero.check.stance is Stance.NO_ARMS
    pictures, result = export(scene, tmp_path, "Snake")
    assert (pictures[1][..., 3] == 1).sum() > 500
    assert result.verdict.startswith("No arms found")
    refused(scene, tmp_path / "other", "No arms found.*choose another rest pose", "Snake", RestChoice(Rest.A_POSE))


@pytest.mark.parametrize("kind", ["nothing", "points", "edges"])
def test_meshes_without_faces_are_named_and_the_others_have_pictures(scene, tmp_path, kind):
    rig = person(scene)
    stage(scene)
    mesh = bpy.data.meshes.new("Bare")
    mesh.from_pydata([(0, 0, 1), (0, 0, 2)] if kind != "nothing" else [], [(0, 1)] if kind == "edges" else [], [])
    bare = link(scene, "Bare", mesh)
    bare.modifiers.new("Armature", "ARMATURE").object = rig
    _, result = export(scene, tmp_path)
    assert "Object 'Bare' has no faces: no rest coordinates" in result.notes
    bpy.data.objects.remove(scene.objects["Person body"])
    refused(
        scene, tmp_path / "other", "'Person' has no surface to give rest coordinates to: Object 'Bare' has no faces"
    )


# Who is who -----------------------------------------------------------------------------------------------------------


def test_two_characters_that_share_meshes_each_have_their_own_pictures(scene):
    first, second = build(scene), build(scene, "Friend")
    for part in ("body", "hat"):
        scene.objects[f"Friend {part}"].data = scene.objects[f"Hero {part}"].data
    second.location.x = 3
    second.pose.bones["Spine"].rotation_euler = (0, 0, 1)
    stage(scene)
    scene.camera.location = (1.5, -12, 1)
    scene.render.resolution_percentage = 200
    rests = {}
    for rig in (first, second):
        rests |= {name: one for name, one in at_rest(scene, rig).items() if name.startswith(rig.name)}
    pictures = [assert_landmarks_stay(scene, rig.name, rest=rests) for rig in (first, second)]
    assert [set(one.by_object) & {"Hero hat", "Friend hat"} for one in pictures] == [{"Hero hat"}, {"Friend hat"}]


# Hidden ---------------------------------------------------------------------------------------------------------------


def into_collection(scene, *things):
    collection = bpy.data.collections.new("Wardrobe")
    scene.collection.children.link(collection)
    for thing in things:
        scene.collection.objects.unlink(thing)
        collection.objects.link(thing)
    return collection


def hide_in_renders(scene, collection):
    collection.hide_render = True


def exclude(scene, collection):
    bpy.context.view_layer.layer_collection.children[collection.name].exclude = True


def hide_a_parent(scene, collection):
    outer = bpy.data.collections.new("Outer")
    scene.collection.children.unlink(collection)
    scene.collection.children.link(outer)
    outer.children.link(collection)
    outer.hide_render = True


@pytest.mark.parametrize("hide", [hide_in_renders, exclude, hide_a_parent])
def test_what_is_in_a_hidden_collection_is_not_of_the_character(scene, tmp_path, hide):
    rig = person(scene)
    stage(scene)
    plain, _ = export(scene, tmp_path)
    gown = link(scene, "Gown", rest_scenes.blocks("Gown", ((0, 0, 2), (3, 3, 3))))
    gown.parent = rig
    hide(scene, into_collection(scene, gown))
    hidden, result = export(scene, tmp_path / "hidden")
    assert "Object 'Gown' is not rendered: no rest coordinates" in result.notes
    assert (hidden[1] == plain[1]).all()


@pytest.mark.parametrize("hide", [hide_in_renders, exclude])
def test_an_armature_in_a_hidden_collection_moves_what_is_seen(scene, tmp_path, hide):
    rig = person(scene)
    rig.pose.bones["upper_arm.L"].rotation_quaternion = (0.8, 0.6, 0, 0)
    stage(scene)
    plain, _ = export(scene, tmp_path)
    hide(scene, into_collection(scene, rig))
    hidden, _ = export(scene, tmp_path / "hidden")
    assert (hidden[1] == plain[1]).all()


def test_a_character_that_is_hidden_altogether_is_refused(scene, tmp_path):
    rig = person(scene)
    stage(scene)
    body = scene.objects["Person body"]
    body.hide_render = True
    said = refused(scene, tmp_path, "'Person' has no surface.*'Person body' is not rendered")
    body.hide_render = False
    into_collection(scene, rig, body).hide_render = True
    assert refused(scene, tmp_path, "is not rendered") == said


def test_what_is_hidden_in_the_viewport_alone_is_seen(scene, tmp_path):
    person(scene)
    stage(scene)
    plain, _ = export(scene, tmp_path)
    body = scene.objects["Person body"]
    body.hide_viewport = True
    hidden, _ = export(scene, tmp_path / "one")
    assert (hidden[1] == plain[1]).all()
    body.hide_viewport = False
    body.hide_set(True)
    hidden, _ = export(scene, tmp_path / "other")
    assert (hidden[1] == plain[1]).all()


def test_a_hidden_collection_that_is_instanced_is_seen(scene, tmp_path):
    rig = person(scene)
    stage(scene)
    plain, _ = export(scene, tmp_path)
    collection = into_collection(scene, rig, scene.objects["Person body"])
    exclude(scene, collection)
    instance_of(scene, "Instance", collection)
    instanced, _ = export(scene, tmp_path / "instanced")
    assert (instanced[1] == plain[1]).all()
    other = instance_of(scene, "Hidden instance", collection)
    other.location.x = 0.5
    hide_in_renders(scene, into_collection(scene, other))
    once, _ = export(scene, tmp_path / "once")
    assert (once[1] == plain[1]).all()


# Where the camera is --------------------------------------------------------------------------------------------------


def test_a_camera_inside_the_mesh_sees_its_inside(scene, tmp_path):
    person(scene)
    stage(scene)
    scene.render.engine = "CYCLES"
    scene.camera.location = (0, 0, 1.3)
    scene.camera.data.clip_start = 0.01
    assert_landmarks_stay(scene, "Person", frames=(1, 2), spread=0.04, moving=False)
    pictures, _ = export(scene, tmp_path, view=View.CAMERA)
    assert (pictures[1][..., 3] == 1).all(), "its inside is all around"


def test_a_camera_that_looks_elsewhere_sees_nothing(scene, tmp_path):
    person(scene)
    stage(scene)
    scene.camera.rotation_euler.z = np.pi
    pictures, _ = export(scene, tmp_path, view=View.CAMERA)
    assert not pictures[1].any()


# Poses and places that are none ---------------------------------------------------------------------------------------


def test_actions_that_pose_nothing_are_refused(scene, tmp_path):
    rig = person(scene)
    stage(scene)
    for number, path in enumerate(("location", 'pose.bones["Tentacle"].location')):
        action = bpy.data.actions.new(f"Action {number}")
        rig.animation_data_create().action = action
        rig.keyframe_insert("location", frame=1)
        for bag in (bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags):
            for curve in bag.fcurves:
                curve.data_path = path
        action.use_fake_user = True
        rig.animation_data_clear()
    rest = {name: RestChoice(Rest.ACTION, action=name) for name in ("Action 0", "Action 1", "Jump")}
    refused(scene, tmp_path, "'Action 0' moves no bones: choose one that poses", rest=rest["Action 0"])
    refused(scene, tmp_path, "'Action 1' moves none of the character's bones: choose", rest=rest["Action 1"])
    refused(scene, tmp_path, "no action 'Jump' in this file; there are: Action 0, Action 1", rest=rest["Jump"])


@pytest.mark.parametrize("scale", [(0, 0, 0), (1, 0, 1)])
def test_an_armature_that_is_scaled_to_nothing_is_refused(scene, tmp_path, scale):
    person(scene).scale = scale
    stage(scene)
    refused(scene, tmp_path, "'Person' is scaled to nothing at frame 1: scale it up")


def test_a_character_that_grows_out_of_nothing_rests_where_it_is_grown(scene, tmp_path):
    rig = person(scene)
    stage(scene)
    for frame, scale in ((1, 0.0), (5, 1.0)):
        rig.scale = (scale,) * 3
        rig.keyframe_insert("scale", frame=frame)
    refused(scene, tmp_path, "scaled to nothing at frame 1")
    grown = hero_of(scene, rest=RestChoice(Rest.FRAME, frame=5))
    assert grown.by_object["Person body"] == pytest.approx(people.corners(), abs=1e-5)
