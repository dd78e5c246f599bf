# SPDX-License-Identifier: GPL-3.0-or-later
"""The dog: bones, shape and gallop. Faces -Y, stands on z = 0, about 0.9 m to the tips of its ears. Pure numpy."""

from __future__ import annotations

import numpy as np

from .look import Paint
from .shapes import Floats, Shape, ball, face_centres, joined, limb, limb_rings, mirrored, painted, tube
from .skeleton import Bone, PoseTrack, Skeleton, rotation, with_mirrored
from .weights import rigid, skinned

CYCLE_FRAMES = 9.0
STRIDE_M = 1.90
_UP = (0.0, 0.0, 1.0)
_SIDEWAYS = (1.0, 0.0, 0.0)
_TRUNK = ("hips", "spine", "chest", "neck")
_FRONT = ((0.078, -0.170, 0.420), (0.082, -0.135, 0.270), (0.082, -0.165, 0.085), (0.082, -0.215, 0.020))
_HIND = ((0.082, 0.245, 0.440), (0.090, 0.170, 0.280), (0.088, 0.290, 0.140), (0.088, 0.245, 0.022))
_TAIL = ((0.0, 0.300, 0.545), (0.0, 0.375, 0.640), (0.0, 0.345, 0.750), (0.0, 0.250, 0.755))


def dog_skeleton() -> Skeleton:
    """A trunk of four, a head with ears, a tail, four legs of three bones."""
    trunk = [
        Bone("hips", (0.0, 0.300, 0.490), (0.0, 0.120, 0.490), facing=_UP),
        Bone("spine", (0.0, 0.120, 0.490), (0.0, -0.080, 0.480), "hips", _UP),
        Bone("chest", (0.0, -0.080, 0.480), (0.0, -0.215, 0.510), "spine", _UP),
        Bone("neck", (0.0, -0.215, 0.520), (0.0, -0.315, 0.680), "chest"),
        Bone("head", (0.0, -0.315, 0.680), (0.0, -0.500, 0.710), "neck", _UP),
        *(
            Bone(
                f"tail_{number:02}",
                _TAIL[number - 1],
                _TAIL[number],
                "hips" if number == 1 else f"tail_{number - 1:02}",
                (0.0, 1.0, 0.2),
            )
            for number in (1, 2, 3)
        ),
    ]
    legs = [
        Bone(f"{name}.L", knots[number], knots[number + 1], parent)
        for knots, names, root in (
            (_FRONT, ("upper_leg_front", "lower_leg_front", "paw_front"), "chest"),
            (_HIND, ("thigh", "shin", "foot"), "hips"),
        )
        for number, (name, parent) in enumerate(zip(names, (root, f"{names[0]}.L", f"{names[1]}.L"), strict=True))
    ]
    ear = Bone("ear.L", (0.055, -0.360, 0.790), (0.080, -0.350, 0.890), "head")
    return Skeleton([*trunk, *with_mirrored([*legs, ear])])


def _trunk(skeleton: Skeleton) -> Shape:
    segments = skeleton.segments()
    body = limb(
        [
            (0, 0.345, 0.47),
            (0, 0.26, 0.475),
            (0, 0.10, 0.480),
            (0, -0.08, 0.465),
            (0, -0.20, 0.480),
            (0, -0.275, 0.500),
        ],
        [(0.060, 0.070), (0.098, 0.115), (0.092, 0.105), (0.112, 0.135), (0.106, 0.125), (0.060, 0.080)],
        rings=12,
        count=14,
        up_hint=_UP,
        slots=Paint.COAT,
    )
    neck = limb(
        [(0, -0.150, 0.500), (0, -0.230, 0.570), (0, -0.305, 0.665), (0, -0.340, 0.720)],
        [0.098, 0.096, 0.084, 0.075],
        rings=7,
        count=14,
        slots=Paint.COAT,
    )
    parts = []
    for part in (body, neck):
        centre = face_centres(part)
        chest_front = (centre[:, 1] < -0.22) & (centre[:, 2] < 0.62 + 0.9 * (-0.24 - centre[:, 1]))
        pale = (centre[:, 2] < 0.405) | (chest_front & (np.abs(centre[:, 0]) < 0.075))
        parts.append(
            skinned(painted(part, pale, Paint.CREAM), segments, (*_TRUNK, "head") if part is neck else _TRUNK, 4.0)
        )
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    ring = np.stack([0.099 * np.cos(angle), -0.248 + 0.082 * np.sin(angle), 0.598 + 0.060 * np.sin(angle)], axis=-1)
    around = np.concatenate([ring, ring[:1]])
    collar = tube(limb_rings(around, [0.016] * 17, (0.0, -0.55, 0.83), 6), Paint.COLLAR, caps=(False, False))
    tag = ball((0.0, -0.345, 0.535), (0.018, 0.008, 0.022), rings=4, count=8, slot=Paint.MARK)
    return joined([*parts, rigid(collar, "neck"), rigid(tag, "neck")])


def _head() -> Shape:
    skull = ball((0.0, -0.375, 0.725), (0.112, 0.112, 0.100), rings=11, count=20, slot=Paint.COAT)
    centre = face_centres(skull)
    cheeks = (centre[:, 2] < 0.715) & (centre[:, 1] < -0.34)
    spot = np.hypot(np.abs(centre[:, 0]) - 0.040, centre[:, 2] - 0.783) < 0.016
    skull = painted(skull, cheeks | (spot & (centre[:, 1] < -0.40)), Paint.CREAM)
    muzzle = limb(
        [(0, -0.400, 0.690), (0, -0.480, 0.694), (0, -0.548, 0.692)],
        [(0.074, 0.058), (0.056, 0.048), (0.040, 0.036)],
        rings=6,
        count=12,
        up_hint=_UP,
        slots=Paint.CREAM,
    )
    nose = ball((0.0, -0.560, 0.712), (0.021, 0.015, 0.015), rings=4, count=8, slot=Paint.NOSE)
    tongue = ball((0.0, -0.535, 0.655), (0.022, 0.030, 0.009), rings=4, count=8, slot=Paint.TONGUE)
    eye = ball((0.050, -0.474, 0.744), (0.014, 0.010, 0.018), rings=5, count=8, slot=Paint.NOSE)
    shine = ball((0.053, -0.483, 0.750), (0.0045, 0.003, 0.005), rings=3, count=6, slot=Paint.HIGHLIGHT)
    middle = rigid(joined([skull, muzzle, nose, tongue, eye, shine, mirrored(eye), mirrored(shine)]), "head")
    ear = limb(
        [(0.052, -0.362, 0.780), (0.068, -0.356, 0.835), (0.082, -0.350, 0.900)],
        [(0.046, 0.024), (0.036, 0.018), (0.004, 0.004)],
        rings=5,
        count=8,
        slots=Paint.COAT,
    )
    inner = limb(
        [(0.056, -0.381, 0.795), (0.069, -0.370, 0.835), (0.080, -0.356, 0.878)],
        [(0.026, 0.008), (0.021, 0.006), (0.003, 0.003)],
        rings=4,
        count=6,
        slots=Paint.CREAM,
    )
    left_ear = joined([rigid(ear, "ear.L"), rigid(inner, "ear.L")])
    return joined([middle, left_ear, mirrored(left_ear)])


def _leg(
    skeleton: Skeleton,
    knots: tuple[tuple[float, float, float], ...],
    radii: list[float],
    bones: tuple[str, ...],
    trunk: str,
) -> Shape:
    joints = np.array(knots)
    path = np.stack([joints[0] + (-0.012, 0.0, 0.050), *joints[:3], (joints[2] + joints[3]) / 2])
    part = limb(path, radii, rings=11, count=9, slots=Paint.COAT)
    part = painted(part, face_centres(part)[:, 2] < 0.155, Paint.CREAM)
    paw = ball(joints[3] + (0.0, 0.004, 0.014), (0.038, 0.052, 0.034), rings=5, count=10, slot=Paint.CREAM)
    segments = skeleton.segments()
    return joined([skinned(part, segments, (trunk, *bones), 5.0), rigid(paw, bones[-1])])


def dog(skeleton: Skeleton) -> Shape:
    """The whole animal as one skinned shape."""
    front = _leg(
        skeleton,
        _FRONT,
        [0.050, 0.062, 0.046, 0.031, 0.030],
        ("upper_leg_front.L", "lower_leg_front.L", "paw_front.L"),
        "chest",
    )
    hind = _leg(skeleton, _HIND, [0.070, 0.088, 0.062, 0.034, 0.030], ("thigh.L", "shin.L", "foot.L"), "hips")
    tail = limb(
        [(0.0, 0.285, 0.520), *_TAIL[1:], (0.0, 0.225, 0.690)],
        [0.036, 0.058, 0.068, 0.056, 0.016],
        rings=12,
        count=10,
        up_hint=(1.0, 0.0, 0.0),
        slots=Paint.COAT,
    )
    tail = painted(tail, face_centres(tail)[:, 1] < 0.275, Paint.CREAM)
    tail = skinned(tail, skeleton.segments(), ("hips", "tail_01", "tail_02", "tail_03"), 4.0)
    left = joined([front, hind])
    return joined([_trunk(skeleton), _head(), tail, left, mirrored(left)])


def gallop(skeleton: Skeleton, frames: Floats, start_phase: float) -> PoseTrack:
    """The bounding gait over frames (F,): hind legs push, the back stretches, front legs land."""
    pose = PoseTrack(skeleton, len(frames))
    turn = 2 * np.pi * (frames / CYCLE_FRAMES + start_phase)
    gather = np.cos(turn)  # 1: curled up, legs together below; -1: stretched out
    for name, bend in (("spine", 15.0), ("chest", 9.0)):
        pose.turns[name] = rotation(_SIDEWAYS, bend * gather)
    pose.turns["hips"] = rotation(_SIDEWAYS, -13.0 * gather + 5.0 * np.sin(turn))
    pose.turns["neck"] = rotation(_SIDEWAYS, -6.0 * gather + 14.0)
    pose.turns["head"] = rotation(_SIDEWAYS, -6.0 * gather - 12.0)
    for number in (1, 2, 3):
        pose.turns[f"tail_{number:02}"] = rotation(_SIDEWAYS, 9.0 * np.sin(turn - 0.7 * number))
    for side, lag in ((".L", 0.0), (".R", 0.45)):
        pose.turns["ear" + side] = rotation(_SIDEWAYS, -16.0 - 14.0 * np.sin(turn - 0.8))
        front, hind = np.cos(turn - lag), np.cos(turn - lag + 0.35)
        folding_front = np.maximum(np.sin(turn - lag - 0.3), 0.0)
        folding_hind = np.maximum(-np.sin(turn - lag + 0.1), 0.0)
        pose.turns["upper_leg_front" + side] = rotation(_SIDEWAYS, -12.0 + 46.0 * front)
        pose.turns["lower_leg_front" + side] = rotation(_SIDEWAYS, 12.0 - 30.0 * front * 0.3 + 62.0 * folding_front)
        pose.turns["paw_front" + side] = rotation(_SIDEWAYS, 40.0 * folding_front)
        pose.turns["thigh" + side] = rotation(_SIDEWAYS, 6.0 - 46.0 * hind)
        pose.turns["shin" + side] = rotation(_SIDEWAYS, 8.0 + 40.0 * folding_hind)
        pose.turns["foot" + side] = rotation(_SIDEWAYS, -14.0 + 30.0 * folding_hind)
    _stand_on_ground(pose, turn)
    return pose


def _stand_on_ground(pose: PoseTrack, turn: Floats) -> None:
    """Shift the trunk so that the lowest paw touches the ground, and add the two short flights of a cycle."""
    skeleton = pose.skeleton
    soles = [
        pose.pose_point(paw + side, skeleton.tail(paw + side))[:, 2] - 0.028
        for paw in ("paw_front", "foot")
        for side in (".L", ".R")
    ]
    flight = 0.07 * np.maximum(-np.cos(turn), 0.0) + 0.03 * np.maximum(np.cos(turn), 0.0)
    shift = np.zeros((pose.frame_count, 3))
    shift[:, 2] = flight - np.min(soles, axis=0) + 0.006
    pose.shifts["hips"] = shift
