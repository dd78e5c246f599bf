# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the scene in which a character is filmed: alone or among everything, by its own camera or another one.

The copy shares the user's objects and is gone afterwards; nothing of the user's scene is written to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import bpy
from mathutils import Matrix

from ..errors import InputError
from ..labels.framing import View
from ..udp_settings import DEFAULT_SIZE_PX, Occluders, UdpSettings
from ..udp_settings import View as Choice
from .characters import Character, instancers_of, standing_in_renders
from .engine import SIDE_WORK

# What lights and is no surface comes along.
_LIGHTS = {"LIGHT", "LIGHT_PROBE"}


@contextlib.contextmanager
def stage(
    scene: bpy.types.Scene, character: Character, settings: UdpSettings, alone: bool | None = None
) -> Iterator[bpy.types.Scene]:
    """The copy; its camera is one of its own, to be moved with `look_from()`, or the one that was chosen.

    `alone`: without all else that is a surface; as the settings' occluders say, unless told.
    """
    alone = settings.occluders is Occluders.ALONE if alone is None else alone
    copied = scene.copy()
    made: list[bpy.types.ID] = []
    try:
        copied.name = "AnimeRun UDP"
        _set_up(copied, settings)
        if alone:
            _leave_only(copied, scene, character)
        if settings.has_own_camera or settings.camera:
            # First: each of them still switches cameras at this.
            for marker in copied.timeline_markers:
                marker.camera = None
        if settings.has_own_camera:
            made += _add_camera(copied)
        elif settings.camera:
            copied.camera = named_camera(scene, settings.camera)
        yield copied
    finally:
        bpy.data.scenes.remove(copied)
        # The camera goes with its data.
        bpy.data.batch_remove(made)


def _size_px(settings: UdpSettings) -> tuple[int, int] | None:
    """How large the pictures are; None: as the scene's frames."""
    if settings.size_px is None and settings.view is Choice.CAMERA:
        return None
    return settings.size_px or (DEFAULT_SIZE_PX, DEFAULT_SIZE_PX)


def named_camera(scene: bpy.types.Scene, name: str) -> bpy.types.Object:
    """A camera of the scene."""
    cameras = {thing.name: thing for thing in scene.objects if thing.type == "CAMERA"}
    if name not in cameras:
        known = ", ".join(f"'{other}'" for other in sorted(cameras)) or "none"
        raise InputError(f"Scene '{scene.name}' has no camera '{name}'; there are: {known}")
    return cameras[name]


def look_from(copied: bpy.types.Scene, view: View, margin: float) -> None:
    """Have the stage's own camera show this."""
    camera = copied.camera
    camera.matrix_world = Matrix(view.world_from_camera.tolist())
    camera.data.ortho_scale = view.scale_m((copied.render.resolution_x, copied.render.resolution_y), margin)
    camera.data.clip_start, camera.data.clip_end = view.distance_m / 4, view.distance_m * 2


def _set_up(copied: bpy.types.Scene, settings: UdpSettings) -> None:
    render = copied.render
    for name in SIDE_WORK:
        if name != "use_freestyle":
            setattr(render, name, False)
    render.use_border = False
    render.film_transparent = True
    size = _size_px(settings)
    if size is not None:
        render.resolution_x, render.resolution_y = size
        render.resolution_percentage = 100
        render.pixel_aspect_x = render.pixel_aspect_y = 1


def _leave_only(copied: bpy.types.Scene, scene: bpy.types.Scene, character: Character) -> None:
    """Take everything out of the copy but the character, lights, and cameras."""
    standing = standing_in_renders(scene)
    # An armature that does not stand there moves what does all the same.
    kept = instancers_of(scene, (character.rig, *character.things)) | {
        thing for thing in scene.objects if thing.type in _LIGHTS
    }
    kept = kept & standing | {thing for thing in scene.objects if thing.type == "CAMERA"}
    root = copied.collection
    for child in list(root.children):
        root.children.unlink(child)
    for thing in list(root.objects):
        root.objects.unlink(thing)
    copied.background_set = None
    for thing in sorted(kept, key=lambda thing: thing.name_full):
        root.objects.link(thing)


def _add_camera(copied: bpy.types.Scene) -> list[bpy.types.ID]:
    lens = bpy.data.cameras.new("AnimeRun UDP")
    lens.type, lens.sensor_fit = "ORTHO", "AUTO"
    camera = bpy.data.objects.new("AnimeRun UDP", lens)
    copied.collection.objects.link(camera)
    copied.camera = camera
    return [camera, lens]
