# SPDX-License-Identifier: GPL-3.0-or-later
"""The heroine's run and leap over the shot's frames, as turns of her bones. Pure numpy; no Blender here.

One cycle is two steps. The phase is 0 when the left foot strikes and 0.5 when the right one does. In the leap the
phase almost stands still between the right foot's push and the left foot's landing, while the body flies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .heroine_bones import LOCK_KNOTS, SCARF_KNOTS, TAIL_KNOTS, chain_names
from .shapes import Floats, smooth_curve, smoothstep
from .skeleton import FORWARD, PoseTrack, Skeleton, rotation
from .sway import Capsule, Chain, let_sway

FRAMES_PER_SECOND = 24.0
CYCLE_FRAMES = 16.0
STRIDE_M = 2.30  # the way that one cycle covers
LEAP_FROM_FRAME, LEAP_FRAMES, LEAP_RISE_M = 25.0, 13.0, 0.40
_FIRST_PHASE = 0.30
_PUSH_PHASE = 1.80  # the right foot's last contact before the leap
_LAND_PHASE = 2.0
_MOST_SKIRT_LIFT_DEG = 66.0
_SIDEWAYS = (1.0, 0.0, 0.0)
_UPWARD = (0.0, 0.0, 1.0)

# Phase of the foot's own step; ankle before the hips, m; ankle above the ground, m; tilt of the sole, toes down, deg.
_FOOT_KEYS = (
    (0.00, 0.30, 0.112, -14.0),
    (0.07, 0.14, 0.087, 0.0),
    (0.16, -0.07, 0.087, 2.0),
    (0.24, -0.25, 0.110, 18.0),
    (0.32, -0.43, 0.190, 48.0),
    (0.41, -0.58, 0.400, 84.0),
    (0.52, -0.46, 0.560, 98.0),
    (0.64, -0.08, 0.500, 70.0),
    (0.76, 0.27, 0.400, 30.0),
    (0.88, 0.42, 0.250, -4.0),
    (0.95, 0.38, 0.155, -16.0),
)


@dataclass(frozen=True)
class Shot:
    """Which frames are made; the phase and the height of the flight at each."""

    first_frame: int
    last_frame: int

    @property
    def frames(self) -> Floats:
        """(F,)."""
        return np.arange(self.first_frame, self.last_frame + 1, dtype=np.float64)

    def phase(self) -> Floats:
        """(F,), in cycles since some left strike before the shot."""
        leap_end = LEAP_FROM_FRAME + LEAP_FRAMES
        in_air = np.clip((self.frames - LEAP_FROM_FRAME) / LEAP_FRAMES, 0.0, 1.0)
        before = _PUSH_PHASE + (np.minimum(self.frames, LEAP_FROM_FRAME) - LEAP_FROM_FRAME) / CYCLE_FRAMES
        after = np.maximum(self.frames - leap_end, 0.0) / CYCLE_FRAMES
        # Slow in the middle, at running speed where feet touch.
        flight = 0.35 * in_air + 0.65 * (4.0 * (in_air - 0.5) ** 3 + 0.5)
        return before + (_LAND_PHASE - _PUSH_PHASE) * flight + after

    def rise(self) -> Floats:
        """How far the leap lifts the body, (F,) metres: a thrown body's parabola."""
        in_air = np.clip((self.frames - LEAP_FROM_FRAME) / LEAP_FRAMES, 0.0, 1.0)
        return np.asarray(4.0 * LEAP_RISE_M * in_air * (1.0 - in_air))

    def aloft(self) -> Floats:
        """0 on the ground, 1 in the leap, smooth: (F,)."""
        middle = LEAP_FROM_FRAME + LEAP_FRAMES / 2
        return 1.0 - smoothstep(0.25, 0.62, np.abs(self.frames - middle) / LEAP_FRAMES)

    def landing(self) -> Floats:
        """How much the knees give after the leap: (F,), 1 at the most."""
        since = (self.frames - LEAP_FROM_FRAME - LEAP_FRAMES) / 2.5
        return np.where(since > 0.0, since * np.exp(1.0 - since), 0.0)

    def travel(self) -> Floats:
        """The way covered since the first frame, (F,) metres."""
        return (self.frames - self.first_frame) * STRIDE_M / CYCLE_FRAMES


def _foot_curve(phase: Floats) -> Floats:
    """Forward, height and tilt (F, 3) of a foot; runs smoothly round the cycle."""
    keys = np.array(_FOOT_KEYS)
    one_cycle = np.array([1.0, 0.0, 0.0, 0.0])
    around = np.concatenate([keys[-3:] - one_cycle, keys, keys[:3] + one_cycle])
    dense = smooth_curve(around, 40 * (len(around) - 1) + 1)
    return np.stack([np.interp(phase % 1.0, dense[:, 0], dense[:, column]) for column in (1, 2, 3)], axis=-1)


def running_pose(skeleton: Skeleton, shot: Shot) -> PoseTrack:
    """Body, arms and legs; what sways is added by `sway_steps`."""
    pose = PoseTrack(skeleton, len(shot.frames))
    turn = 2 * np.pi * shot.phase()
    aloft = shot.aloft()
    _move_trunk(pose, shot, turn, aloft)
    for side, sign in ((".L", 1.0), (".R", -1.0)):
        _move_arm(pose, side, sign, turn, aloft)
        _move_leg(pose, side, shot, aloft)
    return pose


def _move_trunk(pose: PoseTrack, shot: Shot, turn: Floats, aloft: Floats) -> None:
    bob = -0.050 - 0.032 * np.cos(2 * (turn - 2 * np.pi * 0.14)) * (1.0 - aloft)
    bob = bob - 0.045 * shot.landing()
    pose.shifts["hips"] = np.stack([0.012 * np.sin(turn), 0.0 * turn, bob + shot.rise()], axis=-1)
    hips_yaw, chest_yaw = 11.0 * np.cos(turn), -19.0 * np.cos(turn)
    lean = 7.0 + 2.0 * np.cos(2 * turn) - 3.0 * aloft + 6.0 * shot.landing()
    sway = 4.0 * np.cos(turn - 0.9) * (1.0 - 0.6 * aloft)
    pose.turns["hips"] = rotation(_UPWARD, hips_yaw) @ rotation((0.0, 1.0, 0.0), sway) @ rotation(_SIDEWAYS, lean)
    pose.turns["spine"] = rotation(_UPWARD, -0.45 * hips_yaw + 0.3 * chest_yaw) @ rotation(_SIDEWAYS, 0.55 * lean)
    pose.turns["chest"] = (
        rotation(_UPWARD, -0.55 * hips_yaw + 0.7 * chest_yaw)
        @ rotation((0.0, 1.0, 0.0), -1.2 * sway)
        @ rotation(_SIDEWAYS, 0.35 * lean - 9.0 * aloft)
    )
    look_up = -0.9 * lean - 2.5 * np.cos(2 * turn - 0.8)
    pose.turns["neck"] = rotation(_UPWARD, -0.5 * chest_yaw) @ rotation(_SIDEWAYS, 0.55 * look_up)
    pose.turns["head"] = rotation(_UPWARD, -0.5 * chest_yaw) @ rotation(_SIDEWAYS, 1.15 * look_up)


def _move_arm(pose: PoseTrack, side: str, sign: float, turn: Floats, aloft: Floats) -> None:
    skeleton = pose.skeleton
    # The left arm is in front when the right foot strikes, and lags a little behind.
    swing = -sign * np.cos(turn - 0.25)
    pose.turns["shoulder" + side] = rotation(_UPWARD, -sign * 9.0 * swing) @ rotation(
        (0.0, 1.0, 0.0), -sign * 10.0 * aloft
    )
    inward = 29.0 - 52.0 * aloft
    forward_deg = 8.0 + 46.0 * swing * (1.0 - 0.35 * aloft)
    pose.turns["upper_arm" + side] = rotation(_SIDEWAYS, -forward_deg) @ rotation((0.0, 1.0, 0.0), sign * inward)
    along = skeleton.direction("forearm" + side)
    bend = np.cross(along, np.array(FORWARD))
    elbow_deg = (84.0 + 22.0 * swing) * (1.0 - aloft) + (38.0 + 16.0 * swing) * aloft
    pose.turns["forearm" + side] = rotation(along, -sign * 22.0 * (1.0 - aloft)) @ rotation(bend, elbow_deg)
    palm = np.array([-sign * 0.7071, 0.0, -0.7071])
    curl = np.cross(along, palm)
    pose.turns["hand" + side] = rotation(curl, 6.0 - 10.0 * aloft + 6.0 * np.sin(turn))
    grip = 1.0 - 0.85 * aloft
    pose.turns["fingers_01" + side] = rotation(curl, 58.0 * grip)
    pose.turns["fingers_02" + side] = rotation(curl, 72.0 * grip)
    pose.turns["thumb" + side] = rotation(np.cross(skeleton.direction("thumb" + side), palm), 24.0 * grip)


def _move_leg(pose: PoseTrack, side: str, shot: Shot, aloft: Floats) -> None:
    skeleton = pose.skeleton
    phase = shot.phase() + (0.0 if side == ".L" else 0.5)
    forward, height, tilt = _foot_curve(phase).T
    reach = 1.0 + 0.30 * aloft
    rest_ankle = skeleton.tail("shin" + side)
    step_width = 0.62 * rest_ankle[0]  # runners' feet land near the middle line
    target = np.stack(
        [np.full_like(forward, step_width), rest_ankle[1] - forward * reach, height + shot.rise() + 0.08 * aloft],
        axis=-1,
    )
    tilted = rotation(_SIDEWAYS, tilt)
    knees_to = np.broadcast_to((0.10 * np.sign(step_width), -1.0, 0.15), target.shape)
    pose.reach("thigh" + side, "shin" + side, target, knees_to)
    pose.set_pose_rotation("foot" + side, tilted)
    # The toes stay flat on the ground while the heel lifts.
    grounded = (1.0 - smoothstep(0.34, 0.44, phase % 1.0)) * smoothstep(0.16, 0.24, phase % 1.0) * (1.0 - aloft)
    pose.turns["toe" + side] = rotation(_SIDEWAYS, -np.clip(tilt, 0.0, 55.0) * grounded)


# --- what sways -------------------------------------------------------------------------------------------------------


_CAPSULES = (
    Capsule("chest", (0.0, 0.0, 1.00), (0.0, 0.0, 1.20), 0.135),
    Capsule("head", (0.0, 0.01, 1.45), (0.0, 0.01, 1.54), 0.135),
)


def _chains() -> list[Chain]:
    sides = (".L", ".R")
    return [
        *(Chain(chain_names("hair_tail" + side, len(TAIL_KNOTS) - 1), 38.0, 7.0, 0.75) for side in sides),
        *(Chain(chain_names("hair_lock" + side, len(LOCK_KNOTS) - 1), 220.0, 7.0, 0.6) for side in sides),
        Chain(chain_names("scarf", len(SCARF_KNOTS) - 1), 6.0, 6.5, 0.8),
    ]


def lift_skirt(pose: PoseTrack, shot: Shot) -> None:
    """The skirt's panels are carried by the thighs: each rises at once with its leg and falls back late."""
    thigh_deg = {}
    for side in (".L", ".R"):
        along = pose.turn("thigh" + side) @ pose.skeleton.direction("thigh" + side)
        # A panel is shorter than a thigh and hangs from above it: it need not follow all the way up.
        thigh_deg[side] = np.clip(np.degrees(np.arctan2(-along[:, 1], -along[:, 2])), -70.0, _MOST_SKIRT_LIFT_DEG)
    left, right = thigh_deg[".L"], thigh_deg[".R"]
    carried = {
        "skirt_front": np.maximum(np.maximum(left, right), 0.0) * 0.80,
        "skirt_back": np.minimum(np.minimum(left, right), 0.0) * 0.60,
    }
    for side, own in thigh_deg.items():
        carried["skirt_front_side" + side] = np.maximum(own, 0.0) * 0.95
        carried["skirt_side" + side] = 0.38 * own
        carried["skirt_back_side" + side] = np.minimum(own, 0.0) * 0.85
    turn = 2 * np.pi * shot.phase()
    flare_deg = 5.0 + 4.0 * np.sin(2 * turn - 0.6) + 3.0 * shot.aloft()
    for panel, lift_deg in carried.items():
        upper, lower = chain_names(panel, 2)
        outward = pose.skeleton.rest_rotation(upper)[:, 2] * (1.0, 1.0, 0.0)
        flare_axis = np.cross((0.0, 0.0, -1.0), outward)
        late_deg = _falling_late(lift_deg)
        pose.turns[upper] = rotation(_SIDEWAYS, -late_deg) @ rotation(flare_axis, flare_deg)
        droop_deg = 0.22 * np.abs(late_deg) - 0.8 * flare_deg + 5.0 * np.sin(2 * turn - 1.8)
        pose.turns[lower] = rotation(flare_axis, -droop_deg)


def _falling_late(angle: Floats) -> Floats:
    """The angle, sinking towards rest by at most a fifth a frame: (F,)."""
    late = angle.copy()
    for frame in range(1, len(angle)):
        slack = 0.80 * late[frame - 1]
        late[frame] = slack if abs(slack) > abs(angle[frame]) and slack * angle[frame] >= 0.0 else angle[frame]
    return late


def sway_steps(pose: PoseTrack, shot: Shot, world_rotation: Floats) -> Iterator[None]:
    """Let hair and scarf follow the run, chain by chain; `world_rotation` (3, 3) turns the armature into the world."""
    forward = world_rotation @ np.array(FORWARD)
    position = shot.travel()[:, None] * forward

    def breeze(seconds: float) -> Floats:
        gust = 0.9 * np.sin(9.0 * seconds) + 0.5 * np.sin(23.0 * seconds + 1.0)
        return np.asarray(
            -0.5 * forward
            + np.array([0.0, 0.0, 0.55 + 0.7 * gust])
            + 0.5 * np.cos(14.0 * seconds) * np.cross(forward, (0, 0, 1))
        )

    yield from let_sway(pose, position, world_rotation, _chains(), _CAPSULES, breeze, FRAMES_PER_SECOND)
