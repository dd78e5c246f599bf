# SPDX-License-Identifier: GPL-3.0-or-later
"""A character's own frame and what its coordinates are encoded with, whichever way it was built and made to rest."""

import bpy
import numpy as np
import people
import pytest
import rest_scenes
import rna_dump
from characters import rigify_human
from mathutils import Matrix
from people import BUILT, HEIGHT_M, corners, of_bones, person
from rest_scenes import blocks, stage, to_bone
from snapshot_scenes import link

from animerun_addon.labels.body import FoundBy
from animerun_addon.labels.skeleton import Stance
from animerun_addon.labels.udp_encoding import Preset
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.rest_pose import REST_ATTRIBUTE
from animerun_addon.scene.snapshot import SnapshotReader
from animerun_addon.scene.udp_character import udp_character
from animerun_addon.udp_choices import EncodingChoice, Rest, RestChoice

UNIFORM, CONR = EncodingChoice(Preset.UNIFORM), EncodingChoice(Preset.CONR)


@pytest.fixture
def scene():
    scene = bpy.context.scene
    scene.frame_set(1)
    return scene


def character(scene, rest=None, encoding=CONR, name="Person"):
    return udp_character(scene, name, rest or RestChoice(), encoding)


def body_of(hero, name="Person body"):
    return hero.by_object[name].astype(np.float64)


def colours_of(hero, name="Person body"):
    return hero.encoding.encode(hero.by_object[name]).astype(np.float64)


# The character's own frame --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("built", BUILT)
def test_coordinates_are_in_the_characters_frame_whichever_way_it_was_built(scene, built):
    rig = person(scene, built=built)
    rig.rotation_euler, rig.location, rig.scale = (0.4, 1.0, 2.0), (3, 2, 1), (0.5, 0.5, 0.5)
    hero = character(scene)
    assert hero.check.facing.found_by is FoundBy.NAMES
    assert hero.check.stance is Stance.A_POSE
    assert body_of(hero) == pytest.approx(corners(), abs=2e-6)
    assert hero.character_from_armature == pytest.approx(BUILT[built].T, abs=1e-6)


BY_HAND = {"facing -Y": ("-Y", "Z"), "facing Y": ("Y", "Z"), "facing X": ("X", "Z"), "Y up, facing Z": ("Z", "Y")}


@pytest.mark.parametrize("built", BUILT)
def test_by_hand_the_same_comes_out_where_no_name_says_which_way_it_faces(scene, built):
    person(scene, built=built, rename=people.without_names)
    front, up = BY_HAND[built]
    hero = character(scene, RestChoice(front=front, up=up))
    assert hero.check.facing.found_by is FoundBy.HAND
    assert body_of(hero) == pytest.approx(corners(), abs=2e-6)
    assert f"front {front}, up {up}" in hero.rest


def test_what_is_set_by_hand_counts_more_than_names(scene):
    person(scene)
    turned = body_of(character(scene, RestChoice(front="X", up="Z")))
    assert turned == pytest.approx(corners() @ BUILT["facing X"], abs=2e-6)


# Encodings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("built", BUILT)
def test_the_uniform_encoding_never_clips_and_fills_its_longest_axis(scene, built):
    rig = person(scene, built=built, arms_deg=80)
    sword = link(scene, "Sword", blocks("Sword", ((1, -2, 0.5), (0.05, 2, 0.05))))
    to_bone(sword, rig, "hand.L")
    hero = character(scene, encoding=UNIFORM)
    points = np.concatenate(list(hero.by_object.values()))
    unclipped = points * np.array(hero.encoding.scale) + hero.encoding.offset
    assert unclipped.min() == pytest.approx(0, abs=1e-6)
    assert unclipped.max() == pytest.approx(1, abs=1e-6)
    assert not hero.encoding.clipped(points).any()
    assert hero.clipped_surface == 0
    assert np.ptp(hero.encoding.scale) == 0


@pytest.mark.parametrize("origin", [(0, 0, 0), (0.7, -0.4, 1.1), (-3, 2, -5)])
@pytest.mark.parametrize("built", BUILT)
def test_conrs_encoding_has_soles_crown_and_hands_where_conr_has_them_wherever_the_origin_is(scene, built, origin):
    person(scene, built=built, origin=origin)
    hero = character(scene)
    colours = colours_of(hero)
    assert hero.body_height_m == pytest.approx(HEIGHT_M, abs=1e-5)
    assert colours[:, 2].min() == pytest.approx(0.03, abs=1e-5)
    assert colours[:, 2].max() == pytest.approx(0.95, abs=1e-5)
    assert colours[of_bones("hand.L"), 0].mean() == pytest.approx(0.85, abs=0.015)
    assert colours[of_bones("hand.R"), 0].mean() == pytest.approx(0.15, abs=0.015)
    assert colours[of_bones("head"), 1].mean() == pytest.approx(0.4, abs=1e-5)
    assert colours[of_bones("foot.L"), 1].min() == pytest.approx(0.4 - 4 * 0.14 / HEIGHT_M, abs=1e-5)
    assert hero.clipped_surface == 0


def test_a_free_encoding_is_taken_as_it_is(scene):
    person(scene)
    hero = character(scene, encoding=EncodingChoice(Preset.FREE, (0.5, -0.25, 0.1), (0.5, 0.25, 0.2)))
    assert hero.encoding.scale == (0.5, -0.25, 0.1)
    assert colours_of(hero) == pytest.approx(np.clip(corners() * (0.5, -0.25, 0.1) + (0.5, 0.25, 0.2), 0, 1), abs=1e-6)


def test_a_hat_on_a_bone_makes_nobody_taller_and_a_given_height_counts_as_given(scene):
    rig = person(scene)
    hat = link(scene, "Hat", blocks("Hat", ((0, 0, 1.9), (0.2, 0.1, 0.2))))
    to_bone(hat, rig, "head")
    hero = character(scene)
    assert "Hat" in hero.by_object
    assert hero.body_height_m == pytest.approx(HEIGHT_M, abs=1e-5)
    given = character(scene, encoding=EncodingChoice(Preset.CONR, body_height_m=2.0))
    assert given.body_height_m == 2.0
    assert colours_of(given)[:, 2].min() == pytest.approx(0.03, abs=1e-5)
    assert colours_of(given)[:, 2].max() == pytest.approx(0.03 + 0.92 * HEIGHT_M / 2, abs=1e-5)


def test_what_is_clipped_is_measured_on_the_surface(scene):
    person(scene)
    # Half of the height lies above what the colours can hold.
    hero = character(scene, encoding=EncodingChoice(Preset.FREE, (0.1, 0.1, 0.1), (0.5, 0.5, 1 - 0.1 * 1.2)))
    points = corners()
    triangles = hero.triangles["Person body"]
    edges = points[triangles[:, 1:]] - points[triangles[:, :1]]
    areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=-1) / 2
    above = (points[triangles][:, :, 2] > 1.2).all(axis=1)
    below = (points[triangles][:, :, 2] < 1.2).all(axis=1)
    assert areas[above].sum() / areas.sum() < hero.clipped_surface < 1 - areas[below].sum() / areas.sum()


@pytest.mark.parametrize("encoding", [UNIFORM, CONR])
@pytest.mark.parametrize("place", [(0, 0, 0), (0.3, 2, 0.5)])
def test_the_two_halves_of_a_mirrored_character_have_mirrored_colours(scene, encoding, place):
    rig = rest_scenes.build(scene)
    modifier = scene.objects["Hero body"].modifiers.new("Subdivision", "SUBSURF")
    modifier.render_levels = 2
    rig.location, rig.rotation_euler = place, (0.1, 0.2, 0.7)
    hero = character(scene, encoding=encoding, name="Hero")
    points, u = body_of(hero, "Hero body"), colours_of(hero, "Hero body")[:, 0]
    other = np.linalg.norm(points[:, None] - points * (-1, 1, 1), axis=2).argmin(axis=1)
    assert len(np.unique(other)) == len(points)
    assert np.ptp(u) > 0.9
    assert u + u[other] == pytest.approx(np.full(len(u), 2 * hero.encoding.offset[0]), abs=1e-5)


@pytest.mark.parametrize("built", BUILT)
def test_where_a_frames_mesh_is_another_one_its_attribute_counts_in_the_characters_frame(scene, built):
    rig = person(scene, built=built)
    scale = link(scene, "Scale", blocks("Scale", ((0, -0.2, 1.2), (0.1, 0.02, 0.1))))
    scale.parent = rig
    repeat = scale.modifiers.new("Array", "ARRAY")
    for frame, count in ((1, 1), (8, 3)):
        repeat.count = count
        repeat.keyframe_insert("count", frame=frame)
    in_armature = np.random.default_rng(1).uniform(-1, 1, (8, 3)).astype(np.float32)
    scale.data.attributes.new(REST_ATTRIBUTE, "FLOAT_VECTOR", "POINT").data.foreach_set("vector", in_armature.ravel())
    stage(scene)
    hero = udp_character(scene, "Person", RestChoice(), CONR, frames=())
    reader, read = SnapshotReader(scene, None, REST_ATTRIBUTE, hero.by_object, hero.triangulated), {}
    with_render_depsgraph(scene, [1, 8], lambda frame, depsgraph: read.update({frame: reader.read(depsgraph)}))
    snapshot, notes = hero.rest_on(read[1])
    assert not notes
    snapshot, notes = hero.rest_on(read[8])
    (note,) = notes
    assert "'Scale' is another mesh at frame 8 (24 vertices) than in the rest pose (8)" in note
    (instance,) = (one for one in snapshot.instances if one.object_name == "Scale")
    wanted = np.tile(in_armature @ BUILT[built], (3, 1))
    assert snapshot.rest_positions[instance.vertices] == pytest.approx(wanted, abs=1e-6)


def test_a_height_in_other_units_than_the_armatures_is_named(scene):
    """As of a character in centimetres whose armature is scaled down to metres."""
    rig = person(scene)
    rig.data.transform(Matrix.Scale(100, 4))
    scene.objects["Person body"].data.transform(Matrix.Scale(100, 4))
    rig.scale = (0.01, 0.01, 0.01)
    measured = character(scene)
    assert measured.body_height_m == pytest.approx(100 * HEIGHT_M, abs=1e-3)
    assert not measured.notes
    given = character(scene, encoding=EncodingChoice(Preset.CONR, body_height_m=1.7))
    (note,) = given.notes
    assert note.startswith("The body is 170 high in its armature's own units")
    assert note.endswith("and not 1.7: give 0 to measure it")
    assert not character(scene, encoding=EncodingChoice(Preset.CONR, body_height_m=165)).notes


# Rest poses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("built", BUILT)
@pytest.mark.parametrize("angle_deg", [45, 20])
def test_made_to_rest_in_a_pose_a_t_poses_hands_are_where_an_a_poses_are(scene, built, angle_deg):
    rig = person(scene, arms_deg=90, built=built)
    rig.pose.bones["upper_arm.L"].rotation_euler = rig.pose.bones["head"].location = (1, 1, 1)
    before = rna_dump.dump()
    assert character(scene).check.stance is Stance.T_POSE
    hero = character(scene, RestChoice(Rest.A_POSE, arms_deg=angle_deg))
    assert not rna_dump.differences(before, rna_dump.dump())
    assert body_of(hero) == pytest.approx(corners(angle_deg), abs=5e-6)
    assert [arm.angle_deg for arm in hero.check.arms] == pytest.approx([angle_deg] * 2, abs=0.01)
    assert f"arms at {angle_deg} degrees" in hero.rest


def test_by_hand_make_a_pose_lowers_the_arms_of_bones_without_names(scene):
    person(scene, arms_deg=90, built="facing X", rename=people.without_names)
    hero = character(scene, RestChoice(Rest.A_POSE, front="X", up="Z"))
    assert body_of(hero) == pytest.approx(corners(45), abs=5e-6)


def test_rigifys_human_is_made_to_rest_in_a_pose():
    rig = rigify_human()
    scene = bpy.context.scene
    standing = character(scene, name=rig.name)
    hero = character(scene, RestChoice(Rest.A_POSE, arms_deg=20), name=rig.name)
    assert [arm.angle_deg for arm in hero.check.arms] == pytest.approx([20, 20], abs=0.1)
    skin = scene.objects["Skin"]
    before, after = (body_of(one, "Skin") for one in (standing, hero))
    for side, sign in (("L", 1), ("R", -1)):
        shoulder, wrist = (np.array(rig.data.bones[f"DEF-{bone}.{side}"].head_local) for bone in ("upper_arm", "hand"))
        # What the hand and its fingers hold alone turns stiffly about the shoulder.
        held = [
            all(_is_of_hand(skin, group, side) for group in vertex.groups if group.weight > 0.01)
            for vertex in skin.data.vertices
        ]
        assert sum(held) > 10
        reach = np.linalg.norm(before[held] - shoulder, axis=1)
        assert np.linalg.norm(after[held] - shoulder, axis=1) == pytest.approx(reach, abs=1e-3)
        ahead = np.arctan2((wrist - shoulder)[1], sign * (wrist - shoulder)[0])
        out = np.array((sign * np.cos(ahead), np.sin(ahead), 0)) * np.sin(np.radians(20))
        lowered = shoulder + np.linalg.norm(wrist - shoulder) * (out - (0, 0, np.cos(np.radians(20))))
        from_wrist = np.linalg.norm(before[held] - wrist, axis=1)
        assert np.linalg.norm(after[held] - lowered, axis=1) == pytest.approx(from_wrist, abs=2e-3)


def _is_of_hand(skin, group, side):
    name = skin.vertex_groups[group.group].name
    return name.endswith(f".{side}") and any(part in name for part in ("hand", "palm", "thumb", "f_"))


def lean(rig):
    """At frame 8 the hips have gone far and turned; frame 1 is the rest position."""
    bone = rig.pose.bones["hips"]
    bone.rotation_mode = "XYZ"
    for frame, place, turn in ((1, (0, 0, 0), 0), (8, (0.7, 0.3, -0.4), 1.1)):
        bone.location, bone.rotation_euler = place, (0, turn, 0)
        bone.keyframe_insert("location", frame=frame)
        bone.keyframe_insert("rotation_euler", frame=frame)


@pytest.mark.parametrize("encoding", [UNIFORM, CONR])
@pytest.mark.parametrize("built", BUILT)
def test_a_rest_frame_whose_hips_went_elsewhere_and_turned_gives_the_same_colours(scene, built, encoding):
    rig = person(scene, built=built)
    lean(rig)
    plain = character(scene, encoding=encoding)
    away = character(scene, RestChoice(Rest.FRAME, frame=8), encoding)
    assert np.abs(body_of(away) - body_of(plain)).max() > 0.3, "it went somewhere"
    assert colours_of(away) == pytest.approx(colours_of(plain), abs=2e-5)
    assert away.check.verdict == plain.check.verdict
    assert away.rest == "the scene at frame 8"


@pytest.mark.parametrize("encoding", [UNIFORM, CONR])
def test_a_rest_action_whose_hips_went_elsewhere_gives_the_same_colours(scene, encoding):
    rig = person(scene)
    lean(rig)
    action = rig.animation_data.action
    action.name = "Pose"
    action.use_fake_user = True
    rig.animation_data_clear()
    rig.pose.bones["upper_arm.R"].rotation_quaternion = (0.5, 0.5, 0.5, 0.5)
    plain = character(scene, encoding=encoding)
    away = character(scene, RestChoice(Rest.ACTION, action="Pose", frame=8), encoding)
    assert np.abs(body_of(away) - body_of(plain)).max() > 0.3
    assert colours_of(away) == pytest.approx(colours_of(plain), abs=2e-5)
    assert away.rest == "action 'Pose' at frame 8"
