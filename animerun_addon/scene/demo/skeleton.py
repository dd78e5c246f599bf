# SPDX-License-Identifier: GPL-3.0-or-later
"""Bones as numbers: rest frames, forward and inverse kinematics over many frames at once. Pure numpy.

A *turn* is a rotation in the armature's axes, on top of what the parent does; so poses are written without
thinking of bone rolls. Arrays over frames have the frame first: (F, 3, 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .shapes import Floats, unit

FORWARD = (0.0, -1.0, 0.0)


@dataclass(frozen=True)
class Bone:
    """Head and tail in armature space, metres; `facing` is where the bone's own Z axis looks."""

    name: str
    head: tuple[float, float, float]
    tail: tuple[float, float, float]
    parent: str | None = None
    facing: tuple[float, float, float] = FORWARD


def other_side(name: str) -> str:
    """The name of the bone on the other side; bones in the middle are their own counterpart."""
    return name[:-2] + {".L": ".R", ".R": ".L"}.get(name[-2:], name[-2:])


def mirrored_bone(bone: Bone) -> Bone:
    """The bone reflected in x = 0."""
    flip = (-1.0, 1.0, 1.0)
    head, tail, facing = ((vector[0] * flip[0], vector[1], vector[2]) for vector in (bone.head, bone.tail, bone.facing))
    return Bone(other_side(bone.name), head, tail, bone.parent and other_side(bone.parent), facing)


def with_mirrored(bones: Sequence[Bone]) -> list[Bone]:
    """The bones and, after them, the right-hand copies of those on the left."""
    return [*bones, *(mirrored_bone(bone) for bone in bones if bone.name.endswith(".L"))]


class Skeleton:
    """Bones in an order in which parents come before their children."""

    def __init__(self, bones: Sequence[Bone]) -> None:
        self.bones = list(bones)
        self.by_name = {bone.name: bone for bone in bones}

    def head(self, name: str) -> Floats:
        """Armature space, (3,)."""
        return np.array(self.by_name[name].head)

    def tail(self, name: str) -> Floats:
        """Armature space, (3,)."""
        return np.array(self.by_name[name].tail)

    def direction(self, name: str) -> Floats:
        """From head to tail, length one."""
        return unit(self.tail(name) - self.head(name))

    def segments(self) -> dict[str, tuple[Floats, Floats]]:
        """Heads and tails, for the weights."""
        return {bone.name: (np.array(bone.head), np.array(bone.tail)) for bone in self.bones}

    def rest_rotation(self, name: str) -> Floats:
        """armature_from_bone, (3, 3): Y along the bone, Z towards its facing, as Blender's align_roll does."""
        along = self.direction(name)
        sideways = unit(np.cross(along, np.array(self.by_name[name].facing)))
        return np.stack([sideways, along, np.cross(sideways, along)], axis=-1)


class PoseTrack:
    """A skeleton's turns over F frames. What is not set stays at rest."""

    def __init__(self, skeleton: Skeleton, frame_count: int) -> None:
        self.skeleton = skeleton
        self.frame_count = frame_count
        self.turns: dict[str, Floats] = {}
        self.shifts: dict[str, Floats] = {}  # of bones without a parent only; armature space, (F, 3)

    def turn(self, name: str) -> Floats:
        """(F, 3, 3)."""
        return self.turns.get(name, np.broadcast_to(np.eye(3), (self.frame_count, 3, 3)))

    def pose_rotation(self, name: str) -> Floats:
        """Rest to pose in armature space, all parents included: (F, 3, 3)."""
        parent = self.skeleton.by_name[name].parent
        return self.turn(name) if parent is None else self.pose_rotation(parent) @ self.turn(name)

    def pose_point(self, name: str, rest_point: Floats) -> Floats:
        """Where a rest point (3,) that is fixed to the bone goes: armature space, (F, 3)."""
        bone = self.skeleton.by_name[name]
        head = np.array(bone.head)
        if bone.parent is None:
            moved_head = head + self.shifts.get(name, np.zeros((self.frame_count, 3)))
        else:
            moved_head = self.pose_point(bone.parent, head)
        return moved_head + self.pose_rotation(name) @ (rest_point - head)

    def set_pose_rotation(self, name: str, pose_rotation: Floats) -> None:
        """Choose the turn so that the bone ends up with this rest-to-pose rotation (F, 3, 3)."""
        parent = self.skeleton.by_name[name].parent
        above = np.eye(3) if parent is None else self.pose_rotation(parent)
        self.turns[name] = np.swapaxes(np.broadcast_to(above, pose_rotation.shape), -1, -2) @ pose_rotation

    def reach(self, upper: str, lower: str, target: Floats, bend_towards: Floats) -> None:
        """Two-bone inverse kinematics: the lower bone's tail goes to `target`, the joint to `bend_towards`; (F, 3).

        A target out of reach is approached as far as an almost straight limb allows.
        """
        skeleton = self.skeleton
        first = float(np.linalg.norm(skeleton.tail(upper) - skeleton.head(upper)))
        second = float(np.linalg.norm(skeleton.tail(lower) - skeleton.head(lower)))
        root = self.pose_point(skeleton.by_name[upper].parent or upper, skeleton.head(upper))
        line = target - root
        distance = np.clip(np.linalg.norm(line, axis=-1), abs(first - second) + 1e-3, (first + second) * 0.998)
        towards = unit(line)
        sideways = unit(bend_towards - (bend_towards * towards).sum(-1, keepdims=True) * towards)
        share = (first**2 + distance**2 - second**2) / (2 * first * distance)
        joint = root + first * (share[:, None] * towards + np.sqrt(1 - share**2)[:, None] * sideways)
        end = root + distance[:, None] * towards
        for name, start, stop in ((upper, root, joint), (lower, joint, end)):
            self.set_pose_rotation(name, _aim(skeleton.direction(name), stop - start, sideways))

    def basis_quaternions(self, name: str) -> Floats:
        """Blender's `rotation_quaternion` (F, 4), w first, without jumps of sign."""
        rest = self.skeleton.rest_rotation(name)
        quaternions = quaternions_of(rest.T @ self.turn(name) @ rest)
        for frame in range(1, len(quaternions)):
            if quaternions[frame] @ quaternions[frame - 1] < 0.0:
                quaternions[frame] *= -1.0
        return quaternions

    def basis_locations(self, name: str) -> Floats:
        """Blender's `location` (F, 3) of a shifted bone."""
        return self.shifts[name] @ self.skeleton.rest_rotation(name)


def _aim(rest_direction: Floats, direction: Floats, pole: Floats) -> Floats:
    """Rotations (F, 3, 3) from a rest direction (3,) to `direction` (F, 3), with what was forward towards `pole`."""

    def frame(along: Floats, front: Floats) -> Floats:
        along = unit(along)
        side = unit(np.cross(along, front))
        return np.stack([side, along, np.cross(side, along)], axis=-1)

    at_rest = frame(rest_direction, np.array(FORWARD))
    return frame(direction, pole) @ at_rest.T


def rotation(axis: ArrayLike, degrees: ArrayLike) -> Floats:
    """Rotations (F, 3, 3), or (3, 3) for one angle, about an axis (3,) by angles (F,)."""
    x, y, z = unit(axis)
    angle = np.radians(np.asarray(degrees, dtype=np.float64))[..., None, None]
    cross = np.array([(0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)


def rotation_between(start: Floats, end: Floats) -> Floats:
    """The shortest rotations (F, 3, 3) from `start` (F, 3) or (3,) to `end` (F, 3)."""
    start, end = np.broadcast_arrays(unit(start), unit(end))
    axis = np.cross(start, end)
    cosine = (start * end).sum(-1)[..., None, None]
    zero = np.zeros(axis.shape[:-1])
    cross = np.stack(
        [
            np.stack([zero, -axis[..., 2], axis[..., 1]], -1),
            np.stack([axis[..., 2], zero, -axis[..., 0]], -1),
            np.stack([-axis[..., 1], axis[..., 0], zero], -1),
        ],
        axis=-2,
    )
    return np.eye(3) + cross + cross @ cross / np.maximum(1.0 + cosine, 1e-9)


def quaternions_of(rotations: Floats) -> Floats:
    """Unit quaternions (F, 4), w first, of rotations (F, 3, 3)."""
    r = rotations
    squares = np.stack(
        [
            1 + r[:, 0, 0] + r[:, 1, 1] + r[:, 2, 2],
            1 + r[:, 0, 0] - r[:, 1, 1] - r[:, 2, 2],
            1 - r[:, 0, 0] + r[:, 1, 1] - r[:, 2, 2],
            1 - r[:, 0, 0] - r[:, 1, 1] + r[:, 2, 2],
        ],
        axis=-1,
    )
    xy, xz, yz = r[:, 0, 1] + r[:, 1, 0], r[:, 0, 2] + r[:, 2, 0], r[:, 1, 2] + r[:, 2, 1]
    wx, wy, wz = r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]
    candidates = np.stack(
        [
            np.stack([squares[:, 0], wx, wy, wz], -1),
            np.stack([wx, squares[:, 1], xy, xz], -1),
            np.stack([wy, xy, squares[:, 2], yz], -1),
            np.stack([wz, xz, yz, squares[:, 3]], -1),
        ],
        axis=1,
    )
    best = candidates[np.arange(len(r)), squares.argmax(axis=1)]
    return np.asarray(best / np.linalg.norm(best, axis=-1, keepdims=True))
