# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair, skirt and scarf: chains of bones that lag behind, fall and flutter. Pure numpy, deterministic; no bpy.

Position-based dynamics with points at the bones' ends, in world space, several substeps a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .shapes import Floats, unit
from .skeleton import PoseTrack, rotation_between

GRAVITY = np.array([0.0, 0.0, -9.8])
SUBSTEPS = 6
WARM_UP_FRAMES = 24


@dataclass(frozen=True)
class Chain:
    """Bones from root to tip. `stiffness` pulls back to the rest shape (1/s^2), `drag` follows the air (1/s)."""

    bones: tuple[str, ...]
    stiffness: float
    drag: float
    gravity: float = 1.0


@dataclass(frozen=True)
class Capsule:
    """What chains may not enter: a round bar between two points that follow a bone."""

    bone: str
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: float


Wind = Callable[[float], Floats]  # seconds -> air velocity in world space, (3,)


def let_sway(
    pose: PoseTrack,
    world_position: Floats,
    world_rotation: Floats,
    chains: Sequence[Chain],
    capsules: Sequence[Capsule],
    wind: Wind,
    frames_per_second: float,
) -> Iterator[None]:
    """Set the turns of the chains' bones, one chain a step.

    `world_position` (F, 3) and `world_rotation` (3, 3) are the armature's.
    """

    def to_world(points: Floats) -> Floats:
        return np.asarray(points @ world_rotation.T + world_position)

    bars = [
        (
            to_world(pose.pose_point(bar.bone, np.array(bar.start))),
            to_world(pose.pose_point(bar.bone, np.array(bar.end))),
            bar.radius,
        )
        for bar in capsules
    ]
    for chain in chains:
        _sway_chain(pose, chain, to_world, world_rotation, bars, wind, 1.0 / frames_per_second)
        yield


def _sway_chain(
    pose: PoseTrack,
    chain: Chain,
    to_world: Callable[[Floats], Floats],
    world_rotation: Floats,
    bars: Sequence[tuple[Floats, Floats, float]],
    wind: Wind,
    frame_s: float,
) -> None:
    skeleton = pose.skeleton
    parent = skeleton.by_name[chain.bones[0]].parent
    if parent is None:
        raise ValueError(f"chain {chain.bones[0]} hangs on nothing")
    joints = [skeleton.head(chain.bones[0]), *(skeleton.tail(bone) for bone in chain.bones)]
    lengths = np.linalg.norm(np.diff(joints, axis=0), axis=1)
    # Where each joint would be if the chain were stiff: (F, J, 3).
    stiff = np.stack([to_world(pose.pose_point(parent, joint)) for joint in joints], axis=1)
    step_s = frame_s / SUBSTEPS
    points = stiff[0].copy()
    velocity = np.zeros_like(points)
    velocity[:] = (stiff[1] - stiff[0])[0] / frame_s
    result = np.empty_like(stiff)
    for frame in range(-WARM_UP_FRAMES, pose.frame_count):
        before = max(frame - 1, 0)
        now = max(frame, 0)
        drift = (stiff[1] - stiff[0])[0] if frame <= 0 else np.zeros(3)
        for sub in range(1, SUBSTEPS + 1):
            share = sub / SUBSTEPS
            # Before the first frame the body glides on in its first pose.
            goal = stiff[before] * (1.0 - share) + stiff[now] * share + drift * min(frame - 1 + share, 0.0)
            air = wind((frame - 1 + share) * frame_s)
            force = chain.stiffness * (goal - points) + chain.drag * (air - velocity) + chain.gravity * GRAVITY
            moved = points + (velocity + force * step_s) * step_s
            moved[0] = goal[0]
            for joint in range(1, len(joints)):
                for start, end, radius in bars:
                    offset = drift * min(frame - 1 + share, 0.0)
                    moved[joint] = _outside(
                        moved[joint],
                        start[before] * (1 - share) + start[now] * share + offset,
                        end[before] * (1 - share) + end[now] * share + offset,
                        radius,
                    )
                moved[joint] = moved[joint - 1] + lengths[joint - 1] * unit(moved[joint] - moved[joint - 1])
            velocity = (moved - points) / step_s
            points = moved
        if frame >= 0:
            result[frame] = points
    above = pose.pose_rotation(parent)
    for number, bone in enumerate(chain.bones):
        wanted = (result[:, number + 1] - result[:, number]) @ world_rotation
        carried = above @ skeleton.direction(bone)
        above = rotation_between(carried, wanted) @ above
        pose.set_pose_rotation(bone, above)


def _outside(point: Floats, start: Floats, end: Floats, radius: float) -> Floats:
    along = end - start
    share = min(max(float((point - start) @ along) / float(along @ along), 0.0), 1.0)
    away = point - (start + share * along)
    distance = float(np.sqrt(away @ away))
    return point if distance >= radius or distance < 1e-9 else point + away * (radius / distance - 1.0)
