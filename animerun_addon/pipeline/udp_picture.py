# SPDX-License-Identifier: GPL-3.0-or-later
"""One Ultra-Dense Pose picture: what is seen of a character at a frame, and its rest coordinates there as colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bpy
import numpy as np

from ..dataset.udp import UdpFormat, write_udp
from ..labels import fields
from ..labels.framing import View
from ..labels.snapshot import NO_SURFACE, Bool, Int32, Snapshot
from ..labels.surface import surface_points
from ..scene.engine import with_render_depsgraph
from ..scene.id_pass import Backend, visible_triangles
from ..scene.rest_pose import REST_ATTRIBUTE
from ..scene.snapshot import SnapshotReader
from ..scene.udp_character import UdpCharacter


@dataclass(frozen=True)
class Picture:
    """One picture of a sequence."""

    number: int  # what its file is called
    frame: int  # of the scene
    turn: float = 0.0  # of the stage's own camera about the character, to its left, radians


@dataclass(frozen=True)
class Look:
    """What is seen; the snapshot has the character's rest coordinates."""

    snapshot: Snapshot
    triangles: Int32  # (H, W)


class Film:
    """A character on its stage, looked at through the stage's camera."""

    def __init__(
        self,
        scene: bpy.types.Scene,
        character: UdpCharacter,
        views: Mapping[int, View],
        backend: Backend,
        alone: bool,
    ) -> None:
        """`views`: by the pictures' numbers; empty: as the scene's own camera. `alone`: nothing else is seen."""
        self.scene, self.character = scene, character
        self._views, self._backend = views, backend
        only = character.by_object.keys() if alone else None
        self._reader = SnapshotReader(
            scene, rest_attribute=REST_ATTRIBUTE, only=only, triangulated_like=character.triangulated
        )
        self.notes: dict[str, None] = {}  # what has no rest coordinates, and why

    def look_at(self, pictures: Sequence[Picture], take: Callable[[Picture, Look], None]) -> None:
        """Call `take` with each picture and what is seen there; Blender evaluates each frame once."""

        def visit(frame: float, depsgraph: bpy.types.Depsgraph) -> None:
            snapshot, notes = self.character.rest_on(self._reader.read(depsgraph))
            self.notes |= dict.fromkeys(notes)
            for picture in pictures:
                if picture.frame == frame:
                    take(picture, self._seen(snapshot, picture))

        with_render_depsgraph(self.scene, sorted({picture.frame for picture in pictures}), visit)

    def _seen(self, snapshot: Snapshot, picture: Picture) -> Look:
        if self._views:
            camera_from_world = np.linalg.inv(self._views[picture.number].world_from_camera)
            snapshot = replace(snapshot, camera=replace(snapshot.camera, camera_from_world=camera_from_world))
        triangles, _ = visible_triangles(snapshot, self._backend)
        return Look(snapshot, triangles)


def write_picture(character: UdpCharacter, look: Look, path: Path, file_format: UdpFormat) -> float:
    """Write a picture's file; returns the share of what it shows of the character that had to be clipped."""
    surface = surface_points(look.snapshot, look.triangles)
    udp, clipped_share = fields.udp(look.snapshot, surface, character.encoding.scale, character.encoding.offset)
    write_udp(path, udp, file_format)
    return clipped_share


def hidden_by_others(character: UdpCharacter, look: Look) -> Bool:
    """(H, W), where something else is seen."""
    seen = look.triangles != NO_SURFACE
    names = look.snapshot.object_names
    is_own = np.array([name in character.by_object for name in names] or [False])
    hidden = np.zeros(look.triangles.shape, np.bool_)
    hidden[seen] = ~is_own[look.snapshot.object_ids[look.triangles[seen]]]
    return hidden
