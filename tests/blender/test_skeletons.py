# SPDX-License-Identifier: GPL-3.0-or-later
"""The A-pose check on real armatures, and Make A-pose on copies of them, which leaves the originals untouched."""

from itertools import pairwise

import addon_utils
import bpy
import numpy as np
import pytest
from characters import ASSETS, import_armature
from mathutils import Euler, Matrix

from animerun_addon.errors import InputError
from animerun_addon.labels.facing import facing_by_hand
from animerun_addon.labels.skeleton import Stance
from animerun_addon.scene.demo import heroine_bones
from animerun_addon.scene.demo.dog import dog_skeleton
from animerun_addon.scene.demo.rig import build_armature
from animerun_addon.scene.demo.workshop import Workshop
from animerun_addon.scene.skeletons import a_pose_rotations, check_pose, pose_copy, read_bones


def demo(skeleton):
    scene = bpy.context.scene
    return build_armature(Workshop(), "Demo", skeleton, scene, scene.collection)


def metarig(generate=False):
    handlers = list(bpy.app.handlers.load_post)
    if addon_utils.enable("rigify", default_set=True) is None:
        pytest.skip("this Blender has no Rigify")
    bpy.ops.object.armature_human_metarig_add()
    if generate:
        bpy.ops.pose.rigify_generate()
    addon_utils.disable("rigify", default_set=True)
    bpy.app.handlers.load_post[:] = handlers
    return bpy.context.object


def asset(name):
    if not (ASSETS / name).exists():
        pytest.skip(f"no {ASSETS / name}")
    return import_armature(ASSETS / name)


# How each stands at rest, worked out apart from the code from where its shoulder and wrist are.
RIGS = {
    "heroine": (lambda: demo(heroine_bones.heroine_skeleton()), Stance.A_POSE, 45),
    "metarig": (metarig, Stance.A_POSE, 59),
    "CesiumMan": (lambda: asset("cesium_man/CesiumMan.glb"), Stance.A_POSE, 61),
    "Knight": (lambda: asset("kaykit_adventurers/Knight.glb"), Stance.T_POSE, 90),
    "Pete": (lambda: asset("kaykit_pete/KayKit_AnimatedCharacter_v1.2.glb"), Stance.A_POSE, 28),
}


@pytest.fixture(params=RIGS)
def rig(request):
    make, stance, angle = RIGS[request.param]
    return make(), stance, angle


def copy_of(armature):
    copy = armature.copy()
    copy.data = armature.data.copy()
    bpy.context.scene.collection.objects.link(copy)
    return copy


def evaluated(thing):
    bpy.context.view_layer.update()
    return thing.evaluated_get(bpy.context.evaluated_depsgraph_get())


def state(armature):
    """All that posing could change."""
    return (
        read_bones(armature),
        [[list(row) for row in bone.matrix_basis] for bone in armature.pose.bones],
        [len(bone.constraints) for bone in armature.pose.bones],
        armature.data.pose_position,
        None if armature.animation_data is None else armature.animation_data.action,
    )


def test_real_armatures_are_measured(rig):
    armature, stance, angle = rig
    check = check_pose(armature)
    assert check.stance is stance
    assert len(check.arms) == 2
    assert all(abs(arm.angle_deg - angle) < 2 for arm in check.arms)
    assert np.allclose(check.facing.character_from_armature, np.eye(3))


@pytest.mark.parametrize("angle", [20, 45, 80])
def test_make_a_pose_on_a_copy_gives_the_angle_and_leaves_the_original(rig, angle):
    armature = rig[0]
    before = state(armature)
    copy = copy_of(armature)
    pose_copy(copy, a_pose_rotations(armature, angle))
    after = check_pose(evaluated(copy), posed=True)
    assert all(abs(arm.angle_deg - angle) < 0.1 for arm in after.arms)
    assert state(armature) == before
    # The copy's rest pose is the original's, too: only its pose differs.
    assert read_bones(copy) == read_bones(armature)


def test_a_generated_rigs_deforming_arms_turn_as_one():
    armature = metarig(generate=True)
    before = state(armature)
    copy = copy_of(armature)
    pose_copy(copy, a_pose_rotations(armature, 30))
    after = evaluated(copy)
    assert all(abs(arm.angle_deg - 30) < 0.1 for arm in check_pose(after, posed=True).arms)
    for bone in (bone for bone in armature.data.bones if bone.use_deform):
        side = ".L" if bone.head_local.x > 0 else ".R"
        upper = armature.data.bones[f"DEF-upper_arm{side}"]
        turn = after.pose.bones[upper.name].matrix @ upper.matrix_local.inverted()
        is_arm = abs(bone.head_local.x) > 0.19
        expected = turn @ bone.matrix_local if is_arm else bone.matrix_local
        assert np.allclose(after.pose.bones[bone.name].matrix, expected, atol=1e-4), bone.name
    assert state(armature) == before


def test_the_rest_pose_is_measured_whatever_the_pose_and_the_place(rig):
    armature, stance, _ = rig
    before = check_pose(armature)
    armature.matrix_world = Matrix.LocRotScale((3, 1, 2), Euler((0.5, 1.0, 2.0)), (2, 3, 0.5))
    for bone in armature.pose.bones:
        bone.matrix_basis = Euler((0.3, 0.2, 0.1)).to_matrix().to_4x4()
    bpy.context.view_layer.update()
    after = check_pose(armature)
    assert (after.stance, after.verdict) == (stance, before.verdict)


def test_a_pose_of_the_users_is_measured_and_turned_on_from_there():
    armature = demo(heroine_bones.heroine_skeleton())
    own = copy_of(armature)
    pose_copy(own, a_pose_rotations(armature, 90))
    own.pose.bones["head"].rotation_mode = "XYZ"
    own.pose.bones["head"].rotation_euler.x = 0.4
    posed = evaluated(own)
    assert check_pose(posed, posed=True).stance is Stance.T_POSE
    head = posed.pose.bones["head"].matrix.copy()
    copy = copy_of(own)
    pose_copy(copy, a_pose_rotations(posed, 45, posed=True))
    after = evaluated(copy)
    assert all(abs(arm.angle_deg - 45) < 0.1 for arm in check_pose(after, posed=True).arms)
    assert np.allclose(after.pose.bones["head"].matrix, head, atol=1e-5)


def test_bones_that_inherit_no_rotation_go_along():
    armature = demo(heroine_bones.heroine_skeleton())
    for name in ("forearm.L", "hand.R"):
        armature.data.bones[name].use_inherit_rotation = False
    armature.data.bones["hand.L"].inherit_scale = "NONE"
    copy = copy_of(armature)
    pose_copy(copy, a_pose_rotations(armature, 80))
    after = evaluated(copy)
    assert all(abs(arm.angle_deg - 80) < 0.1 for arm in check_pose(after, posed=True).arms)
    for side in "LR":
        chain = [after.pose.bones[f"{name}.{side}"] for name in ("upper_arm", "forearm", "hand")]
        for upper, lower in pairwise(chain):
            assert (upper.tail - lower.head).length < 1e-4


def test_constraints_and_animation_of_the_copy_do_not_interfere():
    armature = demo(heroine_bones.heroine_skeleton())
    goal = bpy.data.objects.new("Goal", None)
    bpy.context.scene.collection.objects.link(goal)
    goal.location = (0, -3, 3)
    armature.pose.bones["forearm.L"].constraints.new("IK").target = goal
    armature.pose.bones["upper_arm.R"].keyframe_insert("rotation_quaternion", frame=1)
    armature.data.pose_position = "REST"
    before = state(armature)
    copy = copy_of(armature)
    pose_copy(copy, a_pose_rotations(armature, 70))
    assert all(abs(arm.angle_deg - 70) < 0.1 for arm in check_pose(evaluated(copy), posed=True).arms)
    assert state(armature) == before


def linked_heroine(folder):
    """The demo heroine's armature, linked from another file into an empty one."""
    path = folder / "hero.blend"
    hero = demo(heroine_bones.heroine_skeleton())
    name = hero.name
    bpy.data.libraries.write(str(path), {hero})
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(path), link=True) as (_, to):
        to.objects = [name]
    linked = bpy.data.objects[name]
    bpy.context.scene.collection.objects.link(linked)
    return linked


def test_a_linked_armature_is_measured_and_its_copy_posed(tmp_path):
    linked = linked_heroine(tmp_path)
    assert check_pose(linked).is_a_pose
    basis = a_pose_rotations(linked, 70)
    with pytest.raises(InputError, match="library"):
        pose_copy(linked, basis)
    copy = copy_of(linked)
    pose_copy(copy, basis)
    assert all(abs(arm.angle_deg - 70) < 0.1 for arm in check_pose(evaluated(copy), posed=True).arms)
    assert linked.library is not None
    assert check_pose(linked).is_a_pose


def test_an_overridden_armature_is_measured_and_its_copy_posed(tmp_path):
    own = linked_heroine(tmp_path).override_hierarchy_create(bpy.context.scene, bpy.context.view_layer)
    before = state(own)
    basis = a_pose_rotations(own, 70)
    with pytest.raises(InputError, match="library"):
        pose_copy(own, basis)
    new = bpy.data.objects.new("Copy", own.data.copy())
    bpy.context.scene.collection.objects.link(new)
    pose_copy(new, basis)
    assert all(abs(arm.angle_deg - 70) < 0.1 for arm in check_pose(evaluated(new), posed=True).arms)
    assert check_pose(own).is_a_pose
    assert state(own) == before


def test_a_copy_that_shares_its_armature_is_refused():
    armature = demo(heroine_bones.heroine_skeleton())
    copy = armature.copy()
    with pytest.raises(InputError, match="other users"):
        pose_copy(copy, a_pose_rotations(armature))


def test_the_dog_has_no_arms():
    check = check_pose(demo(dog_skeleton()))
    assert check.stance is Stance.NO_ARMS
    assert "four legs" in check.verdict
    with pytest.raises(InputError, match="No arms found"):
        a_pose_rotations(demo(dog_skeleton()))


def test_facing_by_hand_is_kept():
    check = check_pose(demo(heroine_bones.heroine_skeleton()), facing=facing_by_hand("Y", "Z"))
    assert np.allclose(check.facing.left, (-1, 0, 0))


def test_what_is_no_armature_and_one_without_bones_are_named():
    with pytest.raises(InputError, match="'Thing' is no armature"):
        check_pose(bpy.data.objects.new("Thing", None))
    with pytest.raises(InputError, match="'Bare' has no bones"):
        check_pose(bpy.data.objects.new("Bare", bpy.data.armatures.new("Bare")))
