# SPDX-License-Identifier: GPL-3.0-or-later
"""Where orthographic cameras have to stand, and how much they have to see, so that all of something is in the picture.

Without perspective a character that runs up to the camera stays as large as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .snapshot import Float32, Float64
from .vectors import level, unit

# A point has no extent, and yet a camera needs some room.
_LEAST_EXTENT_M = 1e-3


@dataclass(frozen=True)
class View:
    """An orthographic camera, and what it is to show."""

    world_from_camera: Float64  # (4, 4); the camera looks along its -z
    width_m: float
    height_m: float
    distance_m: float  # to the middle of what it is to show; all of that lies between a quarter and twice as far

    def scale_m(self, size_px: tuple[int, int], margin: float) -> float:
        """How many metres the picture's longer side shows, so that this much of each side stays free."""
        longer = max(size_px)
        return max(self.width_m * longer / size_px[0], self.height_m * longer / size_px[1]) / (1 - 2 * margin)


def axes_looking_along(direction: Float64, up: Float64) -> Float64:
    """(3, 3), a camera's right, up and back as rows, while it looks along `direction` (3,) with its head to `up`."""
    back = -unit(direction)
    head = level(unit(up), back)
    if not back.any() or np.linalg.norm(head) < 1e-6:
        raise InputError("A camera cannot look along the axis that its head points to: choose another direction")
    head = unit(head)
    return np.array([np.cross(head, back), head, back])


def turned_about(axis: Float64, angle: float) -> Float64:
    """(3, 3), the rotation by so many radians about a unit axis (3,)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


class Still:
    """Learns of points picture by picture, then says how a camera that stands still can see all of them."""

    def __init__(self) -> None:
        self._axes: dict[int, Float64] = {}
        self._low, self._high = np.full(3, np.inf), np.full(3, -np.inf)

    def add(self, picture: int, axes: Float64, points: Float64 | Float32) -> None:
        """World points (N, 3) of one picture; `axes` (3, 3), as axes_looking_along() makes them, are always the same.

        What is no number is left out.
        """
        points = points[np.isfinite(points).all(axis=1)]
        if len(points):
            self._axes[picture] = axes
            self._low, self._high = _widened(self._low, self._high, points @ axes.T)

    def views(self) -> dict[int, View]:
        """By picture, of those that had any points: all points, and as little else as can be."""
        if not self._axes:
            return {}
        middle = (self._low + self._high) / 2
        return {picture: _view(axes, middle @ axes, self._high - self._low) for picture, axes in self._axes.items()}


class Turning:
    """Learns of points picture by picture, then says how a camera that goes along with them and round sees them."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[Float64, Float64]] = {}  # axes, and the points' middle on the ground
        self._low, self._high = np.full(3, np.inf), np.full(3, -np.inf)

    def add(self, picture: int, axes: Float64, points: Float64 | Float32) -> None:
        """World points (N, 3) of one picture; `axes` (3, 3) stand upright. What is no number is left out."""
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return
        # Where most of it is, not the middle of its box: that a waving arm would shake.
        middle = np.array([*points[:, :2].mean(axis=0), 0.0])
        self._places[picture] = axes, middle
        self._low, self._high = _widened(self._low, self._high, (points - middle) @ axes.T)

    def views(self) -> dict[int, View]:
        """By picture, of those that had any points; all show as much, at the same height."""
        sides = np.maximum(np.abs(self._low), np.abs(self._high)) * 2
        reach_m = np.array([sides[0], self._high[1] - self._low[1], sides[2]])
        height_m = (self._low[1] + self._high[1]) / 2
        return {
            picture: _view(axes, middle + axes[1] * height_m, reach_m)
            for picture, (axes, middle) in self._places.items()
        }


def _widened(low: Float64, high: Float64, points: Float64 | Float32) -> tuple[Float64, Float64]:
    """A box (3,), (3,) that holds points (N, 3) as well."""
    return np.minimum(low, points.min(axis=0)), np.maximum(high, points.max(axis=0))


def _view(axes: Float64, middle: Float64, reach_m: Float64) -> View:
    """`reach_m` (3,): how long, along the axes, the box around the middle is that has to be seen."""
    distance_m = max(float(np.linalg.norm(reach_m)), _LEAST_EXTENT_M)
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = axes.T
    world_from_camera[:3, 3] = middle + axes[2] * distance_m
    width_m, height_m = (max(float(side), _LEAST_EXTENT_M) for side in reach_m[:2])
    # As Blender keeps it.
    return View(world_from_camera.astype(np.float32).astype(np.float64), width_m, height_m, distance_m)
