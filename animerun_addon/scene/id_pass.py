# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws with Blender's gpu module which triangle of a snapshot is seen at each pixel centre, as in the flat frame.

The same by arithmetic alone is labels/rasterize.py's; visible_triangles() chooses between the two.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import bpy
import gpu
import numpy as np
import numpy.typing as npt
from gpu.types import (
    Buffer,
    GPUBatch,
    GPUFrameBuffer,
    GPUIndexBuf,
    GPUShader,
    GPUShaderCreateInfo,
    GPUStageInterfaceInfo,
    GPUTexture,
    GPUVertBuf,
    GPUVertFormat,
)

from ..errors import BlenderError
from ..labels.chunks import in_chunks
from ..labels.clipping import clip_positions, rows_to_draw
from ..labels.rasterize import draw_order, drawn_rows, rasterize
from ..labels.snapshot import NO_SURFACE, Cutout, Float32, Float64, Int32, Snapshot
from .gpu_context import REMEDY, can_draw, ensure_context, needs_vertex_ids

Backend = Literal["gpu", "numpy"]
Wanted = Literal["auto", "gpu", "numpy"]
Rows = npt.NDArray[np.intp]

BACKENDS: dict[str, Wanted] = {"AUTO": "auto", "GPU": "gpu", "NUMPY": "numpy"}  # by the setting's identifiers
OUT_OF_VIEW = (0.0, 0.0, 0.0, -1.0)  # clip coordinates behind every camera

# The triangles' numbers count from 1; 0 is where nothing was drawn.
# Depth is reversed (near 1, far 0), where 32-bit floats are densest far away: 1 mm at 40 m stays apart.
DEPTH = """
    gl_FragDepth = is_orthographic ? 1.0 - gl_FragCoord.z : clip_start * gl_FragCoord.w;
"""
SHARED_VERTEX = "void main() { gl_Position = clip; }"
SHARED_FRAGMENT = "void main() {" + DEPTH + "    seen = uint(first) + uint(gl_PrimitiveID) + 1u; }"
CORNER_VERTEX = "void main() { gl_Position = clip; corner_uv = uv; corner_number = number; }"
CORNER_FRAGMENT = (
    """
void main() {
    ivec2 size = textureSize(alpha, 0);
    vec2 place = repeats ? fract(corner_uv) : corner_uv;
    ivec2 texel = clamp(ivec2(floor(place * vec2(size))), ivec2(0, 0), size - ivec2(1, 1));
    if (texelFetch(alpha, texel, 0).r < 0.5) {
        discard;
    }
"""
    + DEPTH
    + "    seen = corner_number; }"
)


def wanted_backend(scene: bpy.types.Scene) -> Wanted:
    """What the scene's settings ask for; "auto" where the add-on is switched off and there are none."""
    settings = getattr(scene, "animerun", None)
    return BACKENDS[settings.id_backend] if settings is not None else "auto"


def choose_backend(wanted: Wanted) -> Backend:
    """What will draw: the one that is asked for, or with "auto" the GPU wherever it can be used."""
    if wanted != "auto":
        return wanted
    return "gpu" if can_draw() else "numpy"


def visible_triangles(snapshot: Snapshot, backend: Wanted = "auto") -> tuple[Int32, Backend]:
    """The triangle seen at each pixel centre, int32 (H, W), NO_SURFACE where there is none; and what found it out."""
    chosen = choose_backend(backend)
    if chosen == "gpu":
        return draw_ids(snapshot), chosen
    return rasterize(snapshot), chosen


def draw_ids(snapshot: Snapshot) -> Int32:
    """The row of `triangles` that is seen at each pixel centre: int32 (H, W), NO_SURFACE where there is none."""
    camera = snapshot.camera
    clip = clip_positions(camera.clip_from_world, snapshot.positions)
    order = rows_to_draw(clip, snapshot.triangles, camera.width_px, camera.height_px)
    if not len(order):
        return np.full((camera.height_px, camera.width_px), NO_SURFACE, np.int32)
    ensure_context()
    order, keys = draw_order(snapshot, order)
    groups = _groups(keys, snapshot)
    with _target(camera.width_px, camera.height_px) as framebuffer:
        drawing = _Drawing(snapshot, clip, order)
        for in_front in (False, True):
            framebuffer.clear(depth=0.0)
            for group in groups:
                if group.in_front == in_front:
                    drawing.draw(group)
        numbers = _read(framebuffer, camera.width_px, camera.height_px)
    return drawn_rows(numbers, order, snapshot)


@dataclass(frozen=True)
class _Group:
    """Triangles that are drawn in one call: places first..last of the drawing order."""

    first: int
    last: int
    in_front: bool
    culls_back: bool
    cutout: Cutout | None


def _groups(keys: Int32, snapshot: Snapshot) -> list[_Group]:
    """Runs of equal keys, as draw_order() makes them."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(keys)) + 1, [len(keys)]])
    groups = []
    for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        kind, culls_back = divmod(int(keys[first]), 2)
        in_front, cutout_and_1 = divmod(kind, len(snapshot.cutouts) + 1)
        cutout = snapshot.cutouts[cutout_and_1 - 1] if cutout_and_1 else None
        groups.append(_Group(first, last, bool(in_front), bool(culls_back), cutout))
    return groups


def _drawn_corners(snapshot: Snapshot, clip: Float64, rows: Rows) -> tuple[Float32, Int32]:
    """Clip positions (4, V) as the GPU takes them, (V, 4), and rows of `triangles`, (N, 3): of broken ones, nothing."""
    corners, triangles = np.empty(clip.shape[::-1], np.float32), snapshot.triangles[rows]
    is_broken = np.empty(len(corners), np.bool_)
    depth = _spread_depth(clip[2]) if snapshot.camera.is_orthographic else clip[2]

    def work(part: slice) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            for axis, values in enumerate((clip[0], clip[1], depth, clip[3])):
                corners[part, axis] = values[part]
            # What is no number makes the sum none; of infinities, too.
            is_broken[part] = not np.isfinite(corners[part].sum(dtype=np.float64))
            if is_broken[part].any():
                is_broken[part] = ~np.isfinite(corners[part]).all(axis=1)

    in_chunks(len(corners), work)
    if is_broken.any():
        corners[is_broken] = OUT_OF_VIEW
        triangles[is_broken[triangles].any(axis=1)] = np.flatnonzero(is_broken)[0]
    return corners, triangles


def _spread_depth(depth: Float64) -> Float64:
    """Spread the part of an orthographic clip range (w = 1) that holds the scene over all of it, (V,)."""
    near = max(-1.0, float(np.fmin.reduce(depth, initial=1.0)))
    far = min(1.0, float(np.fmax.reduce(depth, initial=-1.0)))
    return 2 * (depth - near) / (far - near) - 1 if far > near else depth


@contextlib.contextmanager
def _target(width_px: int, height_px: int) -> Iterator[GPUFrameBuffer]:
    """An integer image and a depth buffer to draw into, bound and cleared; the drawing state is put back afterwards."""
    try:
        colour = GPUTexture((width_px, height_px), format="R32UI")
        depth = GPUTexture((width_px, height_px), format="DEPTH_COMPONENT32F")
        framebuffer = GPUFrameBuffer(depth_slot=depth, color_slots=(colour,))
    except (RuntimeError, ValueError) as error:
        raise BlenderError(
            f"The GPU has no room to draw {width_px} x {height_px} pixels ({error}): {REMEDY}"
        ) from error
    state = gpu.state
    before = state.depth_test_get(), state.depth_mask_get(), state.blend_get()
    with framebuffer.bind():
        try:
            colour.clear(format="UINT", value=(0,))
            state.depth_test_set("GREATER_EQUAL")
            state.depth_mask_set(True)
            state.blend_set("NONE")
            state.color_mask_set(True, True, True, True)
            state.front_facing_set(False)
            yield framebuffer
        finally:
            state.depth_test_set(before[0])
            state.depth_mask_set(before[1])
            state.blend_set(before[2])
            state.face_culling_set("NONE")
            # Measured on 4.5, 5.0 and 5.2: where a program is freed while bound, the next one may lie at its address
            # and is then taken for bound already: the old one goes on drawing.
            gpu.shader.unbind()


class _Drawing:
    """The vertices and the two programs that draw groups of triangles, made when needed; holds GPU memory meanwhile."""

    def __init__(self, snapshot: Snapshot, clip: Float64, order: Rows) -> None:
        self._snapshot = snapshot
        self._order = order
        self._clip, self._triangles = _drawn_corners(snapshot, clip, order)

    def draw(self, group: _Group) -> None:
        """Draw into the bound framebuffer; numbers are places in the drawing order, counted from 1."""
        hidden_side = "FRONT" if self._snapshot.camera.is_mirrored else "BACK"
        gpu.state.face_culling_set(hidden_side if group.culls_back else "NONE")
        if group.cutout is None and not needs_vertex_ids():
            self._draw_shared(group)
        else:
            self._draw_corners(group)

    def _draw_shared(self, group: _Group) -> None:
        """Triangles that share vertices: the least memory."""
        indices = GPUIndexBuf(type="TRIS", seq=self._triangles[group.first : group.last])
        self._bind(self._shared)
        self._shared.uniform_int("first", group.first)
        GPUBatch(type="TRIS", buf=self._vertices, elem=indices).draw(self._shared)

    def _draw_corners(self, group: _Group) -> None:
        """Triangles with corners of their own, which carry texture coordinates and the triangle's number."""
        places = slice(group.first, group.last)
        corners = self._clip[self._triangles[places]].reshape(-1, 4)
        uvs = np.zeros((len(corners), 2), np.float32)
        if group.cutout is not None and self._snapshot.uvs is not None:
            uvs = self._snapshot.uvs[self._order[places]].reshape(-1, 2)
        numbers = np.repeat(np.arange(group.first + 1, group.last + 1, dtype=np.uint32), 3)
        alpha = _alpha_texture(group.cutout)
        self._bind(self._corners)
        self._corners.uniform_sampler("alpha", alpha)
        self._corners.uniform_bool("repeats", [group.cutout is not None and group.cutout.repeats])
        GPUBatch(type="TRIS", buf=_vertex_buffer(corners, uvs, numbers)).draw(self._corners)

    @functools.cached_property
    def _vertices(self) -> GPUVertBuf:
        return _vertex_buffer(self._clip)

    @functools.cached_property
    def _shared(self) -> GPUShader:
        return _shared_program()

    @functools.cached_property
    def _corners(self) -> GPUShader:
        return _corner_program()

    def _bind(self, program: GPUShader) -> None:
        """Uniforms go to the program that is bound: an unbound one would leave them to another, without an error."""
        program.bind()
        program.uniform_float("clip_start", self._snapshot.camera.clip_start_m)
        program.uniform_bool("is_orthographic", [self._snapshot.camera.is_orthographic])


def _shared_program() -> GPUShader:
    info = _program_info()
    info.push_constant("INT", "first")
    info.vertex_source(SHARED_VERTEX)
    info.fragment_source(SHARED_FRAGMENT)
    return gpu.shader.create_from_info(info)


def _corner_program() -> GPUShader:
    to_fragment = GPUStageInterfaceInfo("animerun_corner")
    to_fragment.smooth("VEC2", "corner_uv")
    to_fragment.flat("UINT", "corner_number")
    info = _program_info()
    info.push_constant("BOOL", "repeats")
    info.sampler(0, "FLOAT_2D", "alpha")
    info.vertex_in(1, "VEC2", "uv")
    info.vertex_in(2, "UINT", "number")
    info.vertex_out(to_fragment)
    info.vertex_source(CORNER_VERTEX)
    info.fragment_source(CORNER_FRAGMENT)
    return gpu.shader.create_from_info(info)


def _program_info() -> GPUShaderCreateInfo:
    """What both programs have in common."""
    info = GPUShaderCreateInfo()
    info.push_constant("FLOAT", "clip_start")
    info.push_constant("BOOL", "is_orthographic")
    info.vertex_in(0, "VEC4", "clip")
    info.fragment_out(0, "UINT", "seen")
    info.depth_write("ANY")
    return info


def _vertex_buffer(
    clip: Float32, uvs: Float32 | None = None, numbers: npt.NDArray[np.uint32] | None = None
) -> GPUVertBuf:
    """On the GPU: clip (V, 4) and, where corners are drawn, uvs (V, 2) and numbers (V,)."""
    form = GPUVertFormat()
    form.attr_add(id="clip", comp_type="F32", len=4, fetch_mode="FLOAT")
    if uvs is not None:
        form.attr_add(id="uv", comp_type="F32", len=2, fetch_mode="FLOAT")
        form.attr_add(id="number", comp_type="U32", len=1, fetch_mode="INT")
    vertices = GPUVertBuf(form, len(clip))
    vertices.attr_fill("clip", clip)
    if uvs is not None:
        vertices.attr_fill("uv", np.ascontiguousarray(uvs, np.float32))
        vertices.attr_fill("number", numbers)
    return vertices


def _alpha_texture(cutout: Cutout | None) -> GPUTexture:
    """The cut-out's alpha on the GPU, its lowest row first as v counts; opaque without one."""
    alpha = np.ones((1, 1), np.float32) if cutout is None else np.ascontiguousarray(cutout.alpha[::-1], np.float32)
    height_px, width_px = alpha.shape
    texels = Buffer("FLOAT", alpha.size, alpha.reshape(-1))
    return GPUTexture((width_px, height_px), format="R32F", data=texels)


def _read(framebuffer: GPUFrameBuffer, width_px: int, height_px: int) -> Int32:
    """The numbers that were drawn, (H, W), row 0 is the top."""
    # One-dimensional: 4.5 and 5.0 report wrong strides for buffers of more dimensions.
    buffer = Buffer("UINT", width_px * height_px)
    framebuffer.read_color(0, 0, width_px, height_px, 1, 0, "UINT", data=buffer)
    return np.asarray(buffer).view(np.int32).reshape(height_px, width_px)[::-1]
