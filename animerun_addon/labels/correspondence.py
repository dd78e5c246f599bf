# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the vertices of one snapshot are in another one's picture, and which cannot be followed there, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .projection import on_image
from .snapshot import Bool, Float64, Instance, Snapshot


@dataclass(frozen=True)
class Correspondence:
    """The I instances of a snapshot in another one's picture."""

    followed: Bool  # (I,)
    shifts: npt.NDArray[np.intp]  # (I,), where followed: the snapshot's vertex n is vertex n + shift of ...
    image_vertices: Float64  # (4, >= V of the other), as Snapshot.image_vertices; NaN where the place is not known
    lost: Mapping[int, str]  # place in snapshot.instances: why its vertices are not matched one by one


def correspondence(snapshot: Snapshot, other: Snapshot) -> Correspondence:
    """Follow each instance by its key; where vertices cannot be matched, by its velocities if it has any."""
    count = len(snapshot.instances)
    followed, shifts = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.intp)
    at_other = {instance.key: instance for instance in other.instances}
    lost: dict[int, str] = {}
    for place, instance in enumerate(snapshot.instances):
        partner = at_other.get(instance.key)
        reason = _why_lost(instance, partner, other.frame)
        if reason is not None:
            lost[place] = reason
        elif partner is not None:
            followed[place], shifts[place] = True, partner.first_vertex - instance.first_vertex
    image_vertices = other.image_vertices
    if snapshot.velocities is not None and lost:
        image_vertices = _with_velocities(snapshot, other, lost, followed, shifts)
    return Correspondence(followed, shifts, image_vertices, lost)


def reasons_by_object(snapshot: Snapshot, lost: Mapping[int, str], places: Iterable[int]) -> dict[str, str]:
    """Object names and why they are lost, of the instances at `places`."""
    reasons: dict[str, str] = {}
    for place in places:
        if place in lost:
            reasons.setdefault(snapshot.instances[place].object_name, lost[place])
    return reasons


def _why_lost(instance: Instance, partner: Instance | None, frame: float) -> str | None:
    if instance.no_correspondence is not None:
        return instance.no_correspondence
    if partner is None:
        return f"it is not there at frame {frame:g}"
    if partner.no_correspondence is not None:
        return partner.no_correspondence
    if partner.topology != instance.topology or partner.vertex_count != instance.vertex_count:
        return f"its topology differs at frame {frame:g}"
    return None


def _with_velocities(
    snapshot: Snapshot, other: Snapshot, lost: Mapping[int, str], followed: Bool, shifts: npt.NDArray[np.intp]
) -> Float64:
    """The other's vertices in its picture, and after them those of lost instances that have velocities."""
    assert snapshot.velocities is not None
    place_there = {instance.key: place for place, instance in enumerate(other.instances)}
    pieces = [other.image_vertices]
    end = len(other.positions)
    for place in lost:
        rows = snapshot.instances[place].vertices
        velocities = snapshot.velocities[rows].astype(np.float64)
        if np.isfinite(velocities).any():
            moved = snapshot.positions[rows] + velocities * (other.frame - snapshot.frame)
            moved = _carried_along(moved, snapshot, place, other, place_there.get(snapshot.instances[place].key))
            pieces.append(on_image(other.camera, moved))
            followed[place], shifts[place] = True, end - rows.start
            end += len(moved)
    return np.concatenate(pieces, axis=1)


def _carried_along(
    points: Float64, snapshot: Snapshot, place: int, other: Snapshot, place_there: int | None
) -> Float64:
    """Points (N, 3) of an instance that moves as a whole too, as far as it is known how it stands at both frames."""
    if snapshot.placements is None or other.placements is None or place_there is None:
        return points
    here, there = snapshot.placements[place], other.placements[place_there]
    if np.array_equal(here, there) or np.linalg.det(here[:, :3]) == 0:
        return points
    local = np.linalg.solve(here[:, :3], (points - here[:, 3]).T)
    return (there[:, :3] @ local).T + there[:, 3]
