# SPDX-License-Identifier: GPL-3.0-or-later
"""Make A-pose: turns about the shoulders that bring arms to an angle, from any pose, along any axes."""

import numpy as np
import pytest
from rigs import CONVENTIONS, moved, person, random_rotation, scrambled

from animerun_addon.errors import InputError
from animerun_addon.labels.a_pose import arm_turns, rotation_between
from animerun_addon.labels.bones import Bone
from animerun_addon.labels.skeleton import check_bones


def turned(bones, angle):
    """The bones with each arm's turned as told."""
    turn_of = {
        name: turn.posed_from_held for turn in arm_turns(bones, check_bones(bones), angle) for name in turn.bones
    }
    out = []
    for bone in bones:
        matrix = turn_of.get(bone.name, np.eye(4))
        head, tail = (tuple((matrix @ [*point, 1])[:3]) for point in (bone.head, bone.tail))
        out.append(Bone(bone.name, bone.parent, head, tail))
    return out


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("held", [0, 5, 45, 92, 140])
def test_arms_come_to_the_angle_from_any(convention, held):
    for angle in (20, 45, 60):
        after = check_bones(turned(person(convention, held, twists=1), angle))
        assert all(abs(arm.angle_deg - angle) < 1e-6 for arm in after.arms)
        assert all(arm.sideways > 0.9 for arm in after.arms)


@pytest.mark.parametrize("seed", range(4))
def test_along_any_axes_and_without_names(seed):
    bones = scrambled(moved(person("Rigify", 90), random_rotation(seed)), seed)
    assert all(abs(arm.angle_deg - 45) < 1e-6 for arm in check_bones(turned(bones, 45)).arms)


def test_arms_that_point_forwards_go_out_to_their_sides():
    after = check_bones(turned(person("VRM", 90, ahead_deg=85), 45))
    assert after.is_a_pose
    assert all(arm.sideways > 0.99 for arm in after.arms)


def test_bends_and_lengths_stay_and_the_rest_does_not_move():
    before = person("Unreal", 90, bend_deg=20)
    after = turned(before, 45)
    for one, other in zip(before, after, strict=True):
        assert np.isclose(*(np.linalg.norm(np.subtract(bone.tail, bone.head)) for bone in (one, other)))
        is_arm = any(word in one.name for word in ("upperarm", "lowerarm", "hand", "thumb", "index"))
        assert np.allclose(one.tail, other.tail) is not is_arm


def test_an_arm_that_stands_right_does_not_turn():
    for turn in arm_turns(person(left_deg=45), check_bones(person(left_deg=45)), 45):
        assert np.allclose(turn.posed_from_held, np.eye(4), atol=1e-9)


def test_doubles_of_the_arms_bones_go_along():
    bones = person("Rigify", 90)
    arm = [bone for bone in bones if bone.name.endswith(".L") and ("arm" in bone.name or "hand" in bone.name)]
    flat = [Bone(f"DEF-{bone.name}", None, bone.head, bone.tail) for bone in arm]
    turns = arm_turns([*bones, *flat], check_bones([*bones, *flat]), 45)
    assert {bone.name for bone in (*arm, *flat)} <= turns[0].bones
    assert not turns[0].bones & turns[1].bones


@pytest.mark.parametrize("angle", [-1, 151, float("nan")])
def test_angles_out_of_range_are_refused(angle):
    with pytest.raises(InputError, match="choose 0"):
        arm_turns(person(), check_bones(person()), angle)


def test_without_arms_there_is_nothing_to_turn():
    bones = [Bone("Bone", None, (0, 0, 0), (0, 0, 1))]
    with pytest.raises(InputError, match="No arms found"):
        arm_turns(bones, check_bones(bones))


def test_the_shortest_rotation_even_to_the_opposite():
    rng = np.random.default_rng(0)
    for _ in range(50):
        start, target, axis = (vector / np.linalg.norm(vector) for vector in rng.normal(size=(3, 3)))
        for end in (target, start, -start):
            rotation = rotation_between(start, end, axis)
            assert np.allclose(rotation @ start, end)
            assert np.isclose(np.linalg.det(rotation), 1)
