# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn into finished frames of a 2D-styled scene: fast contours, and the darker lines of line art."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy

from ..dataset.formats import write_png
from ..errors import InputError
from ..labels.line_art import darkened
from ..labels.lines import contour_lines, drawn_over
from ..labels.snapshot import Bool
from ..labels.surface import surface_points
from ..scene.engine import with_render_depsgraph
from ..scene.id_pass import visible_triangles, wanted_backend
from ..scene.snapshot import SnapshotReader
from ..scene.style import last_settings
from ..style_settings import Contours, StyleSettings
from .frame_files import read_frame

# So many frames' lines are made at once: Blender builds the scene anew for each look at it.
AHEAD = 16


class FrameFinish:
    """Finishes frames of one scene, as it was converted; those of one that was not are left as they rendered."""

    def __init__(self, scene: bpy.types.Scene, frames: Sequence[int]) -> None:
        self._scene = scene
        self._frames = list(frames)
        self._settings = last_settings(scene) or StyleSettings(contours=Contours.OUTLINE)
        self._draws_lines = self._settings.contours is Contours.FAST
        if self._draws_lines and scene.render.use_border:
            raise InputError("Fast contours need the whole picture: switch the render region off")
        self._reader = SnapshotReader(scene)
        self._lines: dict[int, Bool] = {}

    def finish(self, frame: int, path: Path) -> None:
        """Draw into the file of a rendered frame what belongs there."""
        if not (self._draws_lines or self._settings.line_art):
            return
        picture = read_frame(path)
        if self._draws_lines:
            picture = drawn_over(picture, self.lines(frame), self._settings.coloured_lines)
        if self._settings.line_art:
            picture = darkened(picture[..., :3].min(axis=-1))
        write_png(path, picture)

    def lines(self, frame: int) -> Bool:
        """(H, W): the pixels of the frame's fast contours."""
        if frame not in self._lines:
            place = self._frames.index(frame)
            self._look_at(self._frames[place : place + AHEAD])
        return self._lines[frame]

    def _look_at(self, frames: Sequence[int]) -> None:
        self._lines.clear()

        def visit(frame: float, depsgraph: bpy.types.Depsgraph) -> None:
            snapshot = self._reader.read(depsgraph)
            surface = surface_points(snapshot, visible_triangles(snapshot, wanted_backend(self._scene))[0])
            self._lines[int(frame)] = contour_lines(snapshot, surface, self._settings.line_thickness_px)

        with_render_depsgraph(self._scene, frames, visit)
