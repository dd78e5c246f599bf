# SPDX-License-Identifier: GPL-3.0-or-later
"""How a character stands, off its bones: names of every convention, shapes without names, any axes, and no arms."""

import numpy as np
import pytest
from rigs import CONVENTIONS, moved, person, random_rotation, scrambled

from animerun_addon.errors import InputError
from animerun_addon.labels.body import FoundBy
from animerun_addon.labels.bone_names import Side
from animerun_addon.labels.bones import Bone
from animerun_addon.labels.facing import facing_by_hand
from animerun_addon.labels.skeleton import Stance, check_bones

ANGLES = {
    0: Stance.DOWN,
    12: Stance.DOWN,
    38: Stance.A_POSE,
    45: Stance.A_POSE,
    70: Stance.BETWEEN,
    92: Stance.T_POSE,
    130: Stance.RAISED,
}


def angles(check):
    return {arm.side: arm.angle_deg for arm in check.arms}


def has_angles(check, left, right=None):
    found = angles(check)
    right = left if right is None else right
    return found.keys() == set(Side) and abs(found[Side.LEFT] - left) < 2 and abs(found[Side.RIGHT] - right) < 2


def is_facing(check, rotation):
    return np.allclose(check.facing.character_from_armature, rotation, atol=0.02)


# Names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", CONVENTIONS)
class TestConvention:
    @pytest.mark.parametrize("angle", ANGLES)
    def test_arms_are_found_and_measured(self, convention, angle):
        check = check_bones(person(convention, angle))
        assert has_angles(check, angle)
        assert check.stance is ANGLES[angle]
        assert check.arms_found_by is FoundBy.NAMES
        assert is_facing(check, np.eye(3))

    @pytest.mark.parametrize("seed", range(3))
    def test_turned_scaled_and_moved_in_the_armature(self, convention, seed):
        rotation = random_rotation(seed)
        check = check_bones(moved(person(convention, 60), rotation, scale=100.0, shift=(3, -50, 7)))
        assert has_angles(check, 60)
        assert is_facing(check, rotation.T)

    def test_joints_are_told_from_fingers_and_twists(self, convention):
        check = check_bones(person(convention, 80, twists=2))
        names = CONVENTIONS[convention]
        assert [arm.bones for arm in check.arms] == [names.left[1:4], names.right[1:4]]
        assert has_angles(check, 80)

    def test_arms_held_differently_are_reported_each(self, convention):
        check = check_bones(person(convention, 20, 95))
        assert check.stance is Stance.UNEVEN
        assert has_angles(check, 20, 95)
        assert "left 20, right 95 degrees" in check.verdict


def test_without_clavicles():
    assert has_angles(check_bones(person("Unreal", 50, clavicles=False)), 50)


def test_an_importers_y_up_is_seen():
    y_up = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # armature_from_character
    check = check_bones(moved(person("Mixamo"), y_up))
    assert np.array_equal(check.facing.character_from_armature, y_up.T)


def test_a_leaning_posture_keeps_the_armatures_axes():
    lean = np.radians(4)
    turn = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    assert np.array_equal(check_bones(moved(person(), turn)).facing.character_from_armature, np.eye(3))


def test_controls_and_doubles_are_not_the_arm():
    bones = person("Rigify, deforming", 70)
    extra = [
        Bone("upper_arm_fk.L", None, (5, 5, 5), (6, 6, 6), deforms=False),
        Bone("MCH-forearm.L", None, (5, 5, 5), (6, 6, 6), deforms=False),
        Bone("hand_ik.L", None, (5, 5, 5), (6, 6, 6), deforms=False),
        Bone("upper_arm_ik_target.L", None, (5, 5, 5), (6, 6, 6), deforms=False),
    ]
    assert has_angles(check_bones(extra + bones), 70)


def test_a_model_of_mmd_with_all_its_helpers():
    """Cancelling and twist bones between the joints, IK bones and doubles beside them."""
    bones = {bone.name: bone for bone in person("MMD", 37)}
    root = Bone("全ての親", None, (0, 0, 0), (0, 0, 0.5))
    out = [
        root,
        Bone("グルーブ", "センター", (0, 0, 0.9), (0, 0, 1.0)),
        Bone("腰", "グルーブ", (0, 0, 0.95), (0, 0, 1.1)),
    ]
    out.append(Bone("下半身", "腰", (0, 0, 1.1), (0, 0, 0.95)))
    parents = {"センター": "全ての親", "上半身": "腰", "左足": "下半身", "右足": "下半身"}
    for side in "左右":
        shoulder, arm, elbow, wrist, ankle = (bones[side + name] for name in ("肩", "腕", "ひじ", "手首", "足首"))
        halfway = {
            name: tuple(np.add(a, b) / 2)
            for name, a, b in (("腕捩", arm.head, elbow.head), ("手捩", elbow.head, wrist.head))
        }
        out.append(Bone(f"{side}肩P", shoulder.parent, shoulder.head, shoulder.tail))
        out.append(Bone(f"{side}肩C", f"{side}肩", arm.head, arm.head))
        out += [
            Bone(f"{side}腕捩", arm.name, halfway["腕捩"], elbow.head),
            Bone(f"{side}腕捩1", arm.name, halfway["腕捩"], elbow.head),
        ]
        out.append(Bone(f"{side}手捩", elbow.name, halfway["手捩"], wrist.head))
        out.append(Bone(f"{side}足ＩＫ", "全ての親", ankle.head, ankle.tail))
        out.append(Bone(f"{side}足D", "下半身", bones[f"{side}足"].head, bones[f"{side}足"].tail))
        parents |= {
            f"{side}肩": f"{side}肩P",
            f"{side}腕": f"{side}肩C",
            f"{side}ひじ": f"{side}腕捩",
            f"{side}手首": f"{side}手捩",
        }
    out += [Bone(bone.name, parents.get(bone.name, bone.parent), bone.head, bone.tail) for bone in bones.values()]
    check = check_bones(out)
    assert [arm.bones for arm in check.arms] == [(f"{side}腕", f"{side}ひじ", f"{side}手首") for side in "左右"]
    assert has_angles(check, 37)
    assert is_facing(check, np.eye(3))


def test_names_swapped_against_the_feet_follow_the_feet():
    mirrored = moved(person(), np.diag([-1.0, 1, 1]))
    check = check_bones(mirrored)
    assert is_facing(check, np.eye(3))
    assert check.facing.found_by is FoundBy.FEET
    assert "feet point backwards" in check.notes[0]
    assert next(arm for arm in check.arms if arm.side is Side.LEFT).bones[0] == "upper_arm.R"


# Shape ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0, 12, 38, 45, 70, 92])
@pytest.mark.parametrize("options", [{}, {"twists": 1}, {"clavicles": False}], ids=str)
def test_arms_are_found_by_shape_where_names_say_nothing(angle, options):
    check = check_bones(scrambled(person("Rigify", angle, **options), seed=angle))
    assert has_angles(check, angle)
    assert check.arms_found_by is FoundBy.SHAPE
    assert check.facing.found_by is FoundBy.FEET
    assert is_facing(check, np.eye(3))


@pytest.mark.parametrize("seed", range(8))
def test_shapes_are_found_in_any_direction(seed):
    rotation = random_rotation(seed)
    check = check_bones(scrambled(moved(person("Rigify", 50), rotation, scale=0.01), seed))
    assert has_angles(check, 50)
    assert is_facing(check, rotation.T)


def test_arms_held_differently_are_found_by_shape():
    assert has_angles(check_bones(scrambled(person("Rigify", 30, 85))), 30, 85)


def test_without_names_and_feet_the_facing_is_said_to_be_unknown():
    bones = [bone for bone in person() if "foot" not in bone.name and "toe" not in bone.name]
    check = check_bones(scrambled(bones))
    assert check.facing.found_by is FoundBy.NOTHING
    assert "set it by hand" in check.notes[0]
    assert has_angles(check, 45)


REMEDY = "CoNR expects about 45: use Make A-pose"


# Words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ({"left_deg": 38}, "A-pose, 38 degrees"),
        ({"left_deg": 92}, "T-pose: arms at 92 degrees, " + REMEDY),
        ({"left_deg": 5}, "Arms hang down: 5 degrees, " + REMEDY),
        ({"left_deg": 150}, "Arms are raised: 150 degrees, " + REMEDY),
        ({"left_deg": 90, "ahead_deg": 85}, "Arms point forwards or backwards: 90 degrees, " + REMEDY),
        ({"left_deg": 70}, "Between A-pose and T-pose: arms at 70 degrees, " + REMEDY),
    ],
)
def test_the_verdict_in_words(options, verdict):
    assert check_bones(person(**options)).verdict == verdict


# By hand -------------------------------------------------------------------------------------------------------------


def test_facing_set_by_hand_is_kept():
    check = check_bones(person(), facing=facing_by_hand(front="Y"))
    assert np.allclose(check.facing.character_from_armature, np.diag([-1, -1, 1]))
    assert check.facing.found_by is FoundBy.HAND
    assert has_angles(check, 45)


@pytest.mark.parametrize("front", ["X", "-X", "Y", "-Y", "Z", "-Z"])
@pytest.mark.parametrize("up", ["X", "-X", "Y", "-Y", "Z", "-Z"])
def test_any_two_axes_make_a_rotation(front, up):
    if front[-1] == up[-1]:
        with pytest.raises(InputError, match="two different axes"):
            facing_by_hand(front, up)
        return
    rotation = facing_by_hand(front, up)
    assert np.isclose(np.linalg.det(rotation), 1)
    assert np.array_equal(facing_by_hand("-Y", "Z"), np.eye(3))


@pytest.mark.parametrize("wrong", [np.diag([1.0, 1, -1]), np.ones((3, 3)), np.eye(4)])
def test_what_is_no_rotation_is_refused(wrong):
    with pytest.raises(InputError, match="facing"):
        check_bones(person(), facing=wrong)


def test_an_unknown_axis_is_named():
    with pytest.raises(InputError, match="'W' is no axis"):
        facing_by_hand("W")


def test_arms_chosen_by_hand_are_measured():
    bones = scrambled(person("Rigify", 33))
    by_shape = check_bones(bones)
    chosen = {arm.side: arm.bones for arm in by_shape.arms}
    check = check_bones(bones, arm_bones=chosen)
    assert check.arms_found_by is FoundBy.HAND
    assert has_angles(check, 33)
    with pytest.raises(InputError, match="no bone 'Nobody'"):
        check_bones(bones, arm_bones={Side.LEFT: ("Nobody",)})


# No arms -------------------------------------------------------------------------------------------------------------


def dog():
    """Names of a dog's bones; front and hind legs of three bones, a level spine."""
    spine = [("hips", None, (0, 0.3, 0.49), (0, 0.12, 0.49)), ("spine", "hips", (0, 0.12, 0.49), (0, -0.08, 0.48))]
    spine += [("chest", "spine", (0, -0.08, 0.48), (0, -0.2, 0.5)), ("neck", "chest", (0, -0.2, 0.52), (0, -0.3, 0.68))]
    bones = [*spine, ("head", "neck", (0, -0.3, 0.68), (0, -0.5, 0.7))]
    for side, x in (("L", 0.08), ("R", -0.08)):
        front = [(x, -0.17, 0.42), (x, -0.135, 0.27), (x, -0.165, 0.085), (x, -0.215, 0.02)]
        hind = [(x, 0.245, 0.44), (x, 0.17, 0.28), (x, 0.29, 0.14), (x, 0.245, 0.022)]
        for knots, names, parent in (
            (front, ("upper_arm", "forearm", "hand"), "chest"),
            (hind, ("thigh", "shin", "foot"), "hips"),
        ):
            for step, name in enumerate(names):
                above = f"{names[step - 1]}.{side}" if step else parent
                bones.append((f"{name}.{side}", above, knots[step], knots[step + 1]))
    return [Bone(*bone) for bone in bones]


@pytest.mark.parametrize("change", [list, scrambled], ids=["named as arms", "nameless"])
def test_front_legs_are_no_arms(change):
    check = check_bones(change(dog()))
    assert check.stance is Stance.NO_ARMS
    assert "four legs" in check.verdict
    assert not check.arms


def test_an_animals_facing_is_found_all_the_same():
    assert is_facing(check_bones(dog()), np.eye(3))


@pytest.mark.parametrize("change", [list, scrambled], ids=["named", "nameless"])
def test_a_person_without_arms(change):
    words = ("shoulder", "arm", "hand", "thumb", "f_index")
    check = check_bones(change([bone for bone in person() if not any(word in bone.name for word in words)]))
    assert check.stance is Stance.NO_ARMS
    assert check.verdict.startswith("No arms found: no bones are named as arms")
    assert "rename" in check.verdict


@pytest.mark.parametrize(
    "bones",
    [
        [],
        [Bone("Bone", None, (0, 0, 0), (0, 0, 1))],
        [Bone("Bone", None, (0, 0, 0), (0, 0, 0))],
        [Bone("Lost", "Nobody", (0, 0, 0), (0, 0, 1))],
        [Bone(f"rope_{n}", f"rope_{n - 1}" if n else None, (0, 0, n), (0, 0, n + 1)) for n in range(20)],
        [Bone(f"upper_arm.{side}", None, (0, 0, 0), (0, 0, 0)) for side in "LR"],
        moved(person(), scale=0.0),
        scrambled(moved(person(), scale=0.0)),
    ],
    ids=["none", "one", "of no length", "parent lost", "rope", "arms of no length", "all in a point", "nameless point"],
)
def test_what_has_no_arms_says_so(bones):
    check = check_bones(bones)
    assert check.stance is Stance.NO_ARMS
    assert check.verdict.startswith("No arms found: ")
    assert np.allclose(check.facing.character_from_armature, np.eye(3))


def test_one_arm_is_measured_and_the_other_missed():
    bones = [bone for bone in person("Unreal", 50) if not bone.name.startswith(("upperarm_r", "lowerarm_r", "hand_r"))]
    check = check_bones(bones)
    assert [arm.side for arm in check.arms] == [Side.LEFT]
    assert abs(check.arms[0].angle_deg - 50) < 2
    assert "Only the left arm was found" in check.notes


def test_bones_of_no_length_between_do_no_harm():
    bones = []
    for bone in person("Unreal", 65):
        if bone.name == "lowerarm_l":
            bones.append(Bone("helper_l", bone.parent, bone.head, bone.head))
            bone = Bone(bone.name, "helper_l", bone.head, bone.tail)
        bones.append(bone)
    assert has_angles(check_bones(bones), 65)
