# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine "AnimeRun Labels": lends its RENDER-mode depsgraph to readers of the scene, and shows object ids.

Only a render engine gets render-level modifiers and visibility, and a gpu context in background.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

import bpy
import numpy as np

from ..errors import AnimeRunError, BlenderError, blenders_words
from ..labels.snapshot import NO_SURFACE, Float32
from ..labels.visualize import id_colours
from .frames import check_camera, operators_on
from .gpu_context import can_draw
from .id_pass import Backend, visible_triangles, wanted_backend
from .snapshot import SnapshotReader

Visit = Callable[[float, bpy.types.Depsgraph], None]

# In the metadata of what is rendered with the engine: "gpu" or "numpy".
BACKEND_FIELD = "AnimeRun drawn by"

# Switched off while frames are visited: they would cost time, or put another picture in the render's place.
SIDE_WORK = ("use_compositing", "use_sequencer", "use_freestyle", "use_multiview")


class _Visits:
    """Frames to visit in the next render, and how that ended."""

    def __init__(self, frames: Iterable[float], visit: Visit) -> None:
        self.frames = list(frames)
        self.visit = visit
        self.is_done = False
        self.error: BaseException | None = None

    def run(self, engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph) -> None:
        """To be called within the render."""
        if self.is_done:
            return
        self.is_done = True
        try:
            for frame in self.frames:
                whole = int(np.floor(frame))
                engine.frame_set(whole, frame - whole)
                self.visit(frame, depsgraph)
        except BaseException as error:  # noqa: BLE001 - Blender would print it and go on; it is raised again outside
            self.error = error


_visits: _Visits | None = None


class LabelsEngine(bpy.types.RenderEngine):
    """Shows each object in a colour of its own, as the labels know them. Scripts read the scene through it."""

    bl_idname = "ANIMERUN_LABELS"
    bl_label = "AnimeRun Labels"
    bl_use_preview = False
    # Where the machine cannot draw, Blender would die of it.
    bl_use_gpu_context = can_draw()

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Called by Blender, for F12 and for with_render_depsgraph()."""
        if _visits is not None:
            _visits.run(self, depsgraph)
            return
        try:
            colours, backend = _object_colours(depsgraph)
        except AnimeRunError as error:
            self.report({"ERROR"}, str(error))
            return
        height, width = colours.shape[:2]
        result = self.begin_result(0, 0, width, height)
        # Of a render region Blender wants the region alone.
        left, bottom = _region_corner(depsgraph.scene_eval.render, width, height)
        region = colours[::-1][bottom : bottom + result.resolution_y, left : left + result.resolution_x]
        result.layers[0].passes["Combined"].rect.foreach_set(np.ascontiguousarray(region).ravel())
        self.end_result(result)
        # Only what is told to the whole result is written into files.
        self.get_result().stamp_data_add_field(BACKEND_FIELD, backend)


def with_render_depsgraph(scene: bpy.types.Scene, frames: Iterable[float], visit: Visit) -> None:
    """Call `visit` with each frame and the scene as it renders there; what `visit` raises is raised here.

    The scene's first view layer that renders is the one that is read. Settings and frame are put back.
    """
    # Blender makes the engine's object itself and hands it nothing of ours.
    global _visits
    check_camera(scene)
    layer = visited_layer(scene)
    visits = _Visits(frames, visit)
    with _registered(), _as_it_was(scene):
        scene.render.engine = LabelsEngine.bl_idname
        for name in SIDE_WORK:
            setattr(scene.render, name, False)
        if scene.camera is None and visits.frames:
            # Blender refuses to start before a marker has brought a camera.
            scene.frame_set(int(visits.frames[0]))
        _visits = visits
        try:
            with operators_on(scene):
                bpy.ops.render.render(layer=layer.name)
        except RuntimeError as error:
            raise BlenderError(f"Blender could not evaluate '{scene.name}': {blenders_words(error)}") from error
        finally:
            _visits = None
    if visits.error is not None:
        raise visits.error
    if not visits.is_done:
        raise BlenderError(f"Blender did not render '{scene.name}': end the render that is running and try again")


def visited_layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The view layer that with_render_depsgraph() reads."""
    return next((layer for layer in scene.view_layers if layer.use), scene.view_layers[0])


@contextlib.contextmanager
def _registered() -> Iterator[None]:
    """Scripts may use this without the add-on being switched on."""
    if LabelsEngine.is_registered:
        yield
        return
    bpy.utils.register_class(LabelsEngine)
    try:
        yield
    finally:
        bpy.utils.unregister_class(LabelsEngine)


@contextlib.contextmanager
def _as_it_was(scene: bpy.types.Scene) -> Iterator[None]:
    render = scene.render
    before = {name: getattr(render, name) for name in ("engine", *SIDE_WORK)}
    frame, subframe, camera = scene.frame_current, scene.frame_subframe, scene.camera
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(render, name, value)
        scene.frame_set(frame, subframe=subframe)
        scene.camera = camera


def _region_corner(render: bpy.types.RenderSettings, width_px: int, height_px: int) -> tuple[int, int]:
    """The lower left pixel of what is rendered of a frame, counted from the frame's own."""
    if not render.use_border:
        return 0, 0
    # In 32 bits, as Blender does.
    left, bottom = np.array((render.border_min_x, render.border_min_y), np.float32) * np.array(
        (width_px, height_px), np.float32
    )
    return int(left), int(bottom)


def _object_colours(depsgraph: bpy.types.Depsgraph) -> tuple[Float32, Backend]:
    """(H, W, 4), scene-linear, a colour an object, clear where nothing is; and what found out where they are."""
    scene = depsgraph.scene.original
    snapshot = SnapshotReader(scene).read(depsgraph)
    triangles, backend = visible_triangles(snapshot, wanted_backend(scene))
    seen = triangles != NO_SURFACE
    objects = np.full(triangles.shape, NO_SURFACE, np.int32)
    objects[seen] = snapshot.object_ids[triangles[seen]]
    colours = np.zeros((*triangles.shape, 4), np.float32)
    colours[seen, :3] = (id_colours(objects)[seen][:, :3] / np.float32(255)) ** np.float32(2.2)
    colours[seen, 3] = 1
    return colours, backend
