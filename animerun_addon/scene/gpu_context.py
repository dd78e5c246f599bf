# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes Blender's gpu module usable, with or without a window, or says why not. What is drawn is id_pass.py's.

Where the machine cannot draw, asking Blender to does not fail: it ends the process. So the machine is looked at first.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections.abc import Iterator

import bpy
import gpu

from ..errors import BlenderError, blenders_words

REMEDY = "install a graphics driver (Debian, Ubuntu: libegl1 and libegl-mesa0), or draw by software (numpy)"


def can_draw() -> bool:
    """Whether the gpu module works now or can be made to: cheap, changes nothing, never ends the process."""
    return _is_ready() or _machine_lacks() is None


def ensure_context() -> None:
    """Make the gpu module usable in this process. In a window, and within a RenderEngine's render(), it already is."""
    if _is_ready():
        return
    lacking = _machine_lacks()
    if lacking is not None:
        raise BlenderError(f"Blender cannot draw on this machine, {lacking}: {REMEDY}")
    try:
        # 5.2 and later have a door for the background. 4.5 and 5.0 open theirs with the first picture they render.
        if bpy.app.version >= (5, 2, 0):
            gpu.init()
        else:
            _render_one_picture()
    except (RuntimeError, SystemError) as error:
        raise BlenderError(
            f"Blender could not start drawing ({blenders_words(RuntimeError(error))}): {REMEDY}"
        ) from error
    if not _is_ready():
        raise BlenderError(f"Blender started no drawing: {REMEDY}")


def needs_vertex_ids() -> bool:
    """Whether shaders had better not read gl_PrimitiveID: on Metal it was not tried."""
    return str(gpu.platform.backend_type_get()) == "METAL"


def _is_ready() -> bool:
    try:
        gpu.platform.backend_type_get()
    except SystemError:
        return False
    return True


@functools.cache
def _machine_lacks() -> str | None:
    """What Blender would die of when asked to draw in the background; None when nothing is known to be missing."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return "there is no libEGL"
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    egl.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    address = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    if not address:
        return "its libEGL cannot work without a display"
    query_devices = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))(
        address
    )
    count = ctypes.c_int(0)
    found = query_devices(0, None, ctypes.byref(count))
    return None if found and count.value else "libEGL finds no device, not even a software one"


def _render_one_picture() -> None:
    """Render 8 x 8 pixels of nothing with Workbench, and take every trace of it away."""
    images_before = set(bpy.data.images)
    scene = bpy.data.scenes.new("animerun gpu")
    camera_data = bpy.data.cameras.new("animerun gpu")
    camera = bpy.data.objects.new("animerun gpu", camera_data)
    try:
        scene.collection.objects.link(camera)
        scene.camera = camera
        scene.render.engine = "BLENDER_WORKBENCH"
        scene.render.resolution_x = scene.render.resolution_y = 8
        scene.render.resolution_percentage = 100
        with _no_handlers(), bpy.context.temp_override(scene=scene):
            bpy.ops.render.render()
    finally:
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(camera_data)
        bpy.data.scenes.remove(scene)
        for image in set(bpy.data.images) - images_before:  # the Render Result
            bpy.data.images.remove(image)


@contextlib.contextmanager
def _no_handlers() -> Iterator[None]:
    """Keep the user's and other add-ons' handlers from seeing a render that is none of theirs."""
    lists = [handlers for handlers in bpy.app.handlers if isinstance(handlers, list)]
    before = [list(handlers) for handlers in lists]
    for handlers in lists:
        handlers.clear()
    try:
        yield
    finally:
        for handlers, kept in zip(lists, before, strict=True):
            handlers[:] = kept
