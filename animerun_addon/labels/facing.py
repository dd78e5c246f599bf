# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a character faces: its left, back and up in its armature's space, seen from its body or set by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .body import Body, FoundBy
from .snapshot import Float64
from .vectors import cosine, level, unit


@dataclass(frozen=True)
class Facing:
    """Where a character's left, back and up are in its armature's space."""

    character_from_armature: Float64  # (3, 3), a rotation; its rows are left, back and up
    found_by: FoundBy

    @property
    def left(self) -> Float64:
        """(3,)"""
        return self.character_from_armature[0]

    @property
    def back(self) -> Float64:
        """(3,)"""
        return self.character_from_armature[1]

    @property
    def up(self) -> Float64:
        """(3,)"""
        return self.character_from_armature[2]


_AXES = {"X": 0, "Y": 1, "Z": 2}


def facing_by_hand(front: str = "-Y", up: str = "Z") -> Float64:
    """(3, 3) character_from_armature of a character whose front and up are these axes of its armature: "-Y", "Z"."""
    front_axis, up_axis = _axis(front), _axis(up)
    if abs(front_axis @ up_axis) > 0.5:
        raise InputError(f"a character cannot face along {front} with {up} up: choose two different axes")
    return np.array([np.cross(-front_axis, up_axis), -front_axis, up_axis])


def _axis(name: str) -> Float64:
    letter = name.strip().upper().lstrip("+-")
    if letter not in _AXES:
        raise InputError(f"'{name}' is no axis: use X, Y, Z, -X, -Y or -Z")
    axis = np.zeros(3)
    axis[_AXES[letter]] = -1.0 if name.strip().startswith("-") else 1.0
    return axis


def rotation_by_hand(matrix: Float64) -> Float64:
    """(3, 3) The same, refused if it is no rotation."""
    rotation = np.asarray(matrix, np.float64)
    if rotation.shape != (3, 3) or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4):
        raise InputError("the facing direction has to be a 3 x 3 rotation: use facing_by_hand() to make one")
    if np.linalg.det(rotation) < 0:
        raise InputError("the facing direction mirrors the character: left, back and up have to be right-handed")
    return rotation


# How far from an axis of the armature a direction still counts as along it: people lean a little, and more seem to
# whose up is seen from bent legs or from the head; from left to right hardly any.
_LEANS, _LEANS_WITHOUT_ARMS = float(np.cos(np.radians(6))), float(np.cos(np.radians(25)))
_ALMOST_ACROSS = float(np.sin(np.radians(2)))


def facing_of(body: Body) -> tuple[Facing, list[str]]:
    """From the limbs, with notes; the armature's own axes (facing -Y, Z up) where nothing shows."""
    notes: list[str] = []
    up, left, front = unit(body.up), body.left, body.front
    if not up.any() or np.linalg.norm(level(left, up)) < 1e-3 * np.linalg.norm(left) or not left.any():
        return Facing(np.eye(3), FoundBy.NOTHING), notes
    left = unit(level(left, up))
    seen_from_feet = cosine(np.cross(-front, up), left)  # the left of who faces front
    found_by = FoundBy.NAMES
    if abs(seen_from_feet) > 0.7:
        if not body.sides_known:
            found_by = FoundBy.FEET
        elif seen_from_feet < 0:
            found_by = FoundBy.FEET
            notes.append(
                "The feet point backwards for bones so named: left and right are taken from the feet; "
                "set the facing direction by hand if that is wrong"
            )
        if seen_from_feet < 0:
            left = -left
            body.swap_sides()
    elif not body.sides_known:
        found_by = FoundBy.NOTHING
        # Blender's characters face -Y: their left is +X.
        if left[np.argmax(np.abs(left))] < 0:
            left = -left
            body.swap_sides()
    leans = _LEANS if body.arms and not body.stands_on_four_legs else _LEANS_WITHOUT_ARMS
    return Facing(_squared(left, up, leans), found_by), notes


def _squared(left: Float64, up: Float64, leans: float) -> Float64:
    """(3, 3) The rotation with these rows, along the armature's axes where it is so but for posture."""
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    for axis in axes:
        if axis @ up > leans and abs(axis @ left) < _ALMOST_ACROSS:
            up = axis
    for axis in axes:
        if axis @ left > np.sqrt(1 - _ALMOST_ACROSS**2) and abs(axis @ up) < _ALMOST_ACROSS:
            left = axis
    left = unit(level(left, up))
    return np.array([left, np.cross(up, left), up])
