# SPDX-License-Identifier: GPL-3.0-or-later
"""A person of bones, 1.7 m tall, that faces -Y, with arms at any angle, named after each convention."""

import random
from dataclasses import dataclass

import numpy as np

from animerun_addon.labels.bones import Bone

# The same order throughout: where a convention lacks a part there is None.
MIDDLE = ("hips", "spine", "chest", "neck", "head")
SIDED = ("clavicle", "upper", "fore", "hand", "thumb", "finger", "thigh", "shin", "foot", "toe")


@dataclass(frozen=True)
class Convention:
    """Names of the middle bones, and of the sided ones as `left` and `right` say it."""

    middle: tuple
    left: tuple
    right: tuple


def convention(middle, middle_pattern, words, pattern, left, right):
    """Names from words: `*` in a pattern is the word, `~` the side; the word `-` is a bone that there is not."""
    sided = [
        tuple(None if word == "-" else pattern.replace("*", word).replace("~", side) for word in words.split())
        for side in (left, right)
    ]
    return Convention(tuple(middle_pattern.replace("*", word) for word in middle.split()), *sided)


RIGIFY_MIDDLE = "spine spine.001 spine.002 spine.004 spine.006"
RIGIFY = "shoulder upper_arm forearm hand thumb.01 f_index.01 thigh shin foot toe"
MIXAMO_MIDDLE = "Hips Spine Spine1 Neck Head"
MIXAMO = "Shoulder Arm ForeArm Hand HandThumb1 HandIndex1 UpLeg Leg Foot ToeBase"
VROID = "Shoulder UpperArm LowerArm Hand Thumb1 Index1 UpperLeg LowerLeg Foot ToeBase"
VRM = "Shoulder UpperArm LowerArm Hand ThumbMetacarpal IndexProximal UpperLeg LowerLeg Foot Toes"
MMD_MIDDLE = "センター 上半身 上半身2 首 頭"
MMD = "肩 腕 ひじ 手首 親指０ 人指１ 足 ひざ 足首 つま先"
MMD_ENGLISH = "shoulder arm elbow wrist thumb0 fore1 leg knee ankle toe"
UNREAL = "clavicle_~ upperarm_~ lowerarm_~ hand_~ thumb_01_~ index_01_~ thigh_~ calf_~ foot_~ ball_~"
BIPED = "Clavicle UpperArm Forearm Hand Finger0 Finger1 Thigh Calf Foot Toe0"
SMPL = "collar shoulder elbow wrist thumb1 index1 hip knee ankle foot"
DAZ = "Collar ShldrBend ForearmBend Hand Thumb1 Index1 ThighBend Shin Foot Toe"
JOINTS = (
    "Skeleton_clavicle_joint_~ arm_joint_~__1_ Skeleton_arm_joint_~__2_ arm_joint_~__3_ - - "
    "leg_joint_~_1 leg_joint_~_2 leg_joint_~_3 leg_joint_~_5"
)
PLAIN = "clavicle arm forearm hand thumb finger thigh calf foot toe"
PLAIN_MIDDLE = "hips spine chest neck head"
CONVENTIONS = {
    "Rigify": convention(RIGIFY_MIDDLE, "*", RIGIFY, "*.~", "L", "R"),
    "Rigify, deforming": convention(RIGIFY_MIDDLE, "DEF-*", RIGIFY, "DEF-*.~", "L", "R"),
    "Mixamo": convention(MIXAMO_MIDDLE, "mixamorig:*", MIXAMO, "mixamorig:~*", "Left", "Right"),
    "Mixamo through glTF": convention(MIXAMO_MIDDLE, "mixamorig7*", MIXAMO, "mixamorig7~*", "Left", "Right"),
    "VRoid": convention("Hips Spine Chest Neck Head", "J_Bip_C_*", VROID, "J_Bip_~_*", "L", "R"),
    "VRM": convention(PLAIN_MIDDLE, "*", VRM, "~*", "left", "right"),
    "MMD": convention(MMD_MIDDLE, "*", MMD, "~*", "左", "右"),
    "MMD, as mmd_tools has it": convention(MMD_MIDDLE, "*", MMD, "*.~", "L", "R"),
    "MMD in English": convention("center upper_body upper_body2 neck head", "*", MMD_ENGLISH, "*_~", "L", "R"),
    "Unreal": convention("pelvis spine_01 spine_02 neck_01 head", "*", UNREAL, "*", "l", "r"),
    "Biped": convention("Pelvis Spine Spine1 Neck Head", "Bip001 *", BIPED, "Bip001 ~ *", "L", "R"),
    "SMPL": convention("pelvis spine1 spine3 neck head", "*", SMPL, "~_*", "left", "right"),
    "Daz": convention("hip abdomenLower chestUpper neckLower head", "*", DAZ, "~*", "l", "r"),
    "joints of a glTF": convention("1 2 3 4 5", "torso_joint_*", JOINTS, "*", "L", "R"),
    "written together": convention(PLAIN_MIDDLE, "*", PLAIN, "~*", "left", "right"),
    "after a name of its own": convention(PLAIN_MIDDLE, "Gilgamesh_*", PLAIN, "Gilgamesh_*_~", "l", "r"),
}


def person(convention="Rigify", left_deg=45.0, right_deg=None, ahead_deg=0.0, bend_deg=0.0, twists=0, clavicles=True):
    """Its bones. Arms at these angles to straight down; `ahead_deg` turns them forwards, elbows bend forwards."""
    names = CONVENTIONS[convention]
    bones = []
    spine = [(0, 0, 0.95), (0, 0.01, 1.10), (0, 0.02, 1.25), (0, 0.01, 1.45), (0, 0, 1.55), (0, 0, 1.75)]
    for step, name in enumerate(names.middle):
        parent = names.middle[step - 1] if step else None
        bones.append(Bone(name, parent, spine[step], spine[step + 1]))
    for own, sign, angle in (
        (names.left, 1, left_deg),
        (names.right, -1, left_deg if right_deg is None else right_deg),
    ):
        bones += _side(
            dict(zip(SIDED, own, strict=True)), names.middle, sign, angle, ahead_deg, bend_deg, twists, clavicles
        )
    return bones


def _side(own, middle, sign, angle_deg, ahead_deg, bend_deg, twists, clavicles):
    angle, ahead, bend = np.radians([angle_deg, ahead_deg, bend_deg])
    out = np.array([sign * np.cos(ahead), -np.sin(ahead), 0])
    along = np.sin(angle) * out - np.cos(angle) * np.array([0, 0, 1])
    front = np.array([0, -1, 0])
    shoulder = np.array([sign * 0.17, 0.02, 1.40])
    elbow = shoulder + 0.28 * along
    wrist = elbow + 0.25 * (np.cos(bend) * along + np.sin(bend) * front)
    hip, knee, ankle, ball = (
        np.array([sign * 0.09, *rest]) for rest in ((0.01, 0.93), (-0.01, 0.5), (0.02, 0.09), (-0.1, 0.02))
    )
    knuckles = wrist + 0.09 * along
    chain = []
    parent = middle[2]
    if clavicles:
        chain.append((own["clavicle"], parent, np.array([sign * 0.03, 0.02, 1.41]), shoulder))
        parent = own["clavicle"]
    chain.append((own["upper"], parent, shoulder, elbow))
    parent = own["upper"]
    for number in range(1, twists + 1):
        name, place = f"{own['upper']}_twist_{number}", shoulder + number / (twists + 1) * (elbow - shoulder)
        chain.append((name, parent, place, place + 0.03 * along))
        parent = name
    chain += [
        (own["fore"], parent, elbow, wrist),
        (own["hand"], own["fore"], wrist, knuckles),
        (own["thumb"], own["hand"], wrist + 0.04 * along + 0.02 * front, wrist + 0.08 * along + 0.06 * front),
        (own["finger"], own["hand"], knuckles, knuckles + 0.08 * along),
        (own["thigh"], middle[0], hip, knee),
        (own["shin"], own["thigh"], knee, ankle),
        (own["foot"], own["shin"], ankle, ball),
        (own["toe"], own["foot"], ball, ball + 0.07 * front),
    ]  # fmt: skip
    return [Bone(name, parent, tuple(head), tuple(tail)) for name, parent, head, tail in chain if name is not None]


def moved(bones, rotation=None, scale=1.0, shift=(0, 0, 0)):
    """The bones elsewhere in the armature's space."""
    turn = np.eye(3) if rotation is None else rotation
    place = lambda point: tuple(scale * (turn @ np.asarray(point)) + shift)  # noqa: E731
    return [Bone(bone.name, bone.parent, place(bone.head), place(bone.tail), bone.deforms) for bone in bones]


def scrambled(bones, seed=0):
    """The same bones in another order, under names that say nothing."""
    names = {bone.name: f"b{number:02}" for number, bone in enumerate(bones)}
    out = [Bone(names[b.name], names.get(b.parent), b.head, b.tail, b.deforms) for b in bones]
    random.Random(seed).shuffle(out)
    return out


def random_rotation(seed):
    """(3, 3)"""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)
