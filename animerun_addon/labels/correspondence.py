# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the vertices of one snapshot are at another frame, and which cannot be followed there, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .snapshot import Bool, Float64, Instance, Snapshot


@dataclass(frozen=True)
class Correspondence:
    """The vertices of a snapshot at another frame."""

    positions: Float64  # (V, 3), world; the snapshot's own where not known
    known: Bool  # (V,)
    lost: Mapping[int, str]  # place in snapshot.instances: why its vertices are not matched one by one


def positions_at(snapshot: Snapshot, other: Snapshot) -> Correspondence:
    """Follow each instance by its key; where vertices cannot be matched, by its velocities if it has any."""
    positions = np.array(snapshot.positions, dtype=np.float64)
    known = np.zeros(len(positions), dtype=np.bool_)
    at_other = {instance.key: instance for instance in other.instances}
    lost: dict[int, str] = {}
    matched: list[tuple[Instance, Instance]] = []
    for place, instance in enumerate(snapshot.instances):
        partner = at_other.get(instance.key)
        reason = _why_lost(instance, partner, other.frame)
        if reason is None and partner is not None:
            matched.append((instance, partner))
        elif reason is not None:
            lost[place] = reason
    for here, there in _runs(matched):
        positions[here] = other.positions[there]
        known[here] = True
    if snapshot.velocities is not None:
        _follow_velocities(snapshot, other.frame, lost, positions, known)
    return Correspondence(positions, known, lost)


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


def _runs(matched: list[tuple[Instance, Instance]]) -> Iterator[tuple[slice, slice]]:
    """Slices of both snapshots' vertices, as long as their instances stand in the same order."""
    if not matched:
        return
    rows = np.array([(here.first_vertex, there.first_vertex, here.vertex_count) for here, there in matched])
    first, first_there, count = rows.T
    breaks = (first[1:] != (first + count)[:-1]) | (first_there[1:] != (first_there + count)[:-1])
    starts = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    lengths = np.add.reduceat(count, starts)
    for here, there, length in zip(first[starts], first_there[starts], lengths, strict=True):
        yield slice(here, here + length), slice(there, there + length)


def _follow_velocities(
    snapshot: Snapshot, frame: float, lost: Mapping[int, str], positions: Float64, known: Bool
) -> None:
    assert snapshot.velocities is not None
    for place in lost:
        rows = snapshot.instances[place].vertices
        velocities = snapshot.velocities[rows].astype(np.float64)
        has_velocity = np.isfinite(velocities).all(axis=1)
        moved = positions[rows] + velocities * (frame - snapshot.frame)
        positions[rows] = np.where(has_velocity[:, None], moved, positions[rows])
        known[rows] = has_velocity
