# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the frames of a scene that are worth keeping: films animated on twos show each picture twice.

A frame is held when nothing that renders has moved, appeared, vanished or changed its material since the last frame
that was kept. Colours and light alone do not count: they leave every correspondence as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import bpy
import numpy as np
import numpy.typing as npt

from ..labels.snapshot import Camera, Float64, Snapshot
from ..progress import Progress, Steps
from .engine import with_render_depsgraph
from .snapshot import SnapshotReader
from .surfaces import NO_SURFACES

# Starting Blender's render costs as much as many frames of a small scene.
_FRAMES_AT_ONCE = 16

# Blender works in float32. On held frames nothing differs at all with armatures, constraints, drivers, shape keys,
# nodes, metaballs and flat curves. Where it blends two equal samples, or integrates what lies still, the
# largest differences that were measured are, as parts of the object's size: 1e-7 (baked particles, Alembic between two
# samples), 3e-7 (a character's pose cross-faded with itself in the NLA). The limit is 2e-6, 0.002 px of an object that
# fills 1024 px; and what the object's distance from the world's origin is rounded by, which is seen where it is far.
_EPSILON = float(np.finfo(np.float32).eps)
_OF_SIZE = 16 * _EPSILON
_OF_DISTANCE = 2 * _EPSILON

_EXACT = ("triangles", "object_ids", "material_ids", "culls_back", "in_front", "holds_out", "cutout_ids", "uvs")


class _Sight(NamedTuple):
    """All that a frame shows."""

    snapshot: Snapshot
    others: list[tuple[str, npt.NDArray[Any]]]  # what has no labels, but is seen: its name, and its numbers


def kept_frames_steps(scene: bpy.types.Scene, frames: Iterable[int]) -> Steps[list[int]]:
    """Those of the frames that show something else than the last kept one before them; the first is always kept.

    However small a motion is, it counts; only what float32 rounds away does not. Slow ones add up: what a frame is
    compared with is the last kept frame, not its neighbour. Two frames at most are in memory at a time.
    """
    wanted = list(frames)
    reader = SnapshotReader(scene)
    kept: list[int] = []
    last: _Sight | None = None

    def visit(frame: float, depsgraph: bpy.types.Depsgraph) -> None:
        nonlocal last
        sight = _Sight(reader.read(depsgraph), list(_without_labels(depsgraph)))
        if last is None or not _is_held(last, sight):
            kept.append(int(frame))
            last = sight

    for start in range(0, len(wanted), _FRAMES_AT_ONCE):
        batch = wanted[start : start + _FRAMES_AT_ONCE]
        yield Progress(start, len(wanted), f"Frames {batch[0]} to {batch[-1]}")
        with_render_depsgraph(scene, batch, visit)
    return kept


def _is_held(before: _Sight, now: _Sight) -> bool:
    one, other = before.snapshot, now.snapshot
    return (
        _is_same_camera(one.camera, other.camera)
        and one.instances == other.instances
        and all(_are_equal(getattr(one, name), getattr(other, name)) for name in _EXACT)
        and _stand_still(one, other)
        and len(before.others) == len(now.others)
        and all(map(_is_same_other, before.others, now.others))
    )


def _is_same_camera(one: Camera, other: Camera) -> bool:
    settings = ("name", "width_px", "height_px", "is_orthographic", "clip_start_m", "clip_end_m")
    if any(getattr(one, name) != getattr(other, name) for name in settings):
        return False
    placed, placed_then = (np.linalg.inv(camera.camera_from_world) for camera in (one, other))
    # Apart from each other: where the camera is, is no measure for its turns.
    turned, moved_m = (np.abs(placed - placed_then)[:3, columns] for columns in (slice(3), 3))
    zoomed = np.abs(one.clip_from_camera - other.clip_from_camera)
    return bool(
        turned.max() <= _OF_SIZE
        and moved_m.max() <= _OF_DISTANCE * np.abs(placed[:3, 3]).max()
        and (zoomed <= _OF_SIZE * np.maximum(1.0, np.abs(one.clip_from_camera))).all()
    )


def _are_equal(one: npt.NDArray[Any] | None, other: npt.NDArray[Any] | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)


def _stand_still(one: Snapshot, other: Snapshot) -> bool:
    """Whether no vertex has moved, of the same instances."""
    if np.array_equal(one.positions, other.positions):
        return True
    first_vertices = [instance.first_vertex for instance in one.instances]
    counts = [instance.vertex_count for instance in one.instances]
    corners = one.positions[first_vertices]

    def largest(vectors: Float64) -> Float64:
        """(instances,) of (V, 3)"""
        return np.maximum.reduceat(np.abs(vectors).max(axis=1), first_vertices)

    size_m = largest(one.positions - np.repeat(corners, counts, axis=0))
    noise_m = _OF_SIZE * size_m + _OF_DISTANCE * largest(one.positions)
    return bool((largest(one.positions - other.positions) <= noise_m).all())


def _is_same_other(one: tuple[str, npt.NDArray[Any]], other: tuple[str, npt.NDArray[Any]]) -> bool:
    return one[0] == other[0] and np.array_equal(one[1], other[1])


def _without_labels(depsgraph: bpy.types.Depsgraph) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Where hair, drawings, point clouds and volumes are: none has labels, but a frame in which they move is new."""
    for row in depsgraph.object_instances:
        thing = row.object
        if row.show_self and thing.type in NO_SURFACES:
            yield thing.name_full, np.array(row.matrix_world, np.float64)
            yield from ((thing.name_full, numbers) for numbers in _numbers_of(thing.data))


def _numbers_of(data: Any) -> Iterator[npt.NDArray[Any]]:
    """What changes in an object's data when its picture does."""
    if isinstance(data, bpy.types.Volume):
        yield np.array([data.grids.frame])
    elif isinstance(data, bpy.types.Curves | bpy.types.PointCloud):
        yield _points(data.attributes)
    elif hasattr(data, "layers"):
        for layer in data.layers:
            drawn = layer.current_frame() if not layer.hide else None
            if drawn is not None and drawn.drawing is not None:
                yield _points(drawn.drawing.attributes)


def _points(attributes: Any) -> npt.NDArray[np.float32]:
    """(N * 3,); where there are no points there is no attribute."""
    position = attributes.get("position")
    numbers = np.empty(0 if position is None else 3 * len(position.data), np.float32)
    if position is not None:
        position.data.foreach_get("vector", numbers)
    return numbers
