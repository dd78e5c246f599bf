# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws with Blender's gpu module which triangle of a snapshot is seen at each pixel centre, as in the flat frame.

The same by arithmetic alone is labels/rasterize.py's; visible_triangles() chooses between the two.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

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
from ..labels.clipping import clip_positions
from ..labels.rasterize import rasterize
from ..labels.snapshot import NO_SURFACE, Cutout, Float32, Float64, Int32, Snapshot
from .gpu_context import REMEDY, can_draw, ensure_context, needs_vertex_ids

Backend = Literal["gpu", "numpy"]
Wanted = Literal["auto", "gpu", "numpy"]
Rows = npt.NDArray[np.intp]

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
    if not len(snapshot.triangles):
        return np.full((camera.height_px, camera.width_px), NO_SURFACE, np.int32)
    ensure_context()
    order, groups = _grouped(snapshot)
    with _target(camera.width_px, camera.height_px) as framebuffer:
        drawing = _Drawing(snapshot, order)
        for in_front in (False, True):
            framebuffer.clear(depth=0.0)
            for group in groups:
                if group.in_front == in_front:
                    drawing.draw(group)
        numbers = _read(framebuffer, camera.width_px, camera.height_px)
    return _rows_of(numbers, order, snapshot)


@dataclass(frozen=True)
class _Group:
    """Triangles that are drawn in one call: places first..last of the drawing order."""

    first: int
    last: int
    in_front: bool
    culls_back: bool
    cutout: Cutout | None


def _grouped(snapshot: Snapshot) -> tuple[Rows | None, list[_Group]]:
    """The order in which the triangles are drawn, (T,) rows, None for their own; and its groups, in-front ones last."""
    kinds = len(snapshot.cutouts) + 1
    cutouts = np.full(len(snapshot.triangles), -1, np.int32) if snapshot.cutout_ids is None else snapshot.cutout_ids
    keys = (2 * snapshot.in_front + snapshot.culls_back.astype(np.int32)) * kinds + cutouts + 1
    order = None
    if np.any(keys[1:] < keys[:-1]):
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(keys)) + 1, [len(keys)]])
    groups = []
    for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        flags, cutout_and_1 = divmod(int(keys[first]), kinds)
        cutout = snapshot.cutouts[cutout_and_1 - 1] if cutout_and_1 else None
        groups.append(_Group(first, last, bool(flags & 2), bool(flags & 1), cutout))
    return order, groups


def _drawn_corners(snapshot: Snapshot) -> tuple[Float32, Int32]:
    """Clip coordinates (V, 4), computed in float64, and triangles (T, 3); nothing is drawn where a corner is broken."""
    clip = clip_positions(snapshot.camera.clip_from_world, snapshot.positions)
    if snapshot.camera.is_orthographic:
        clip[2] = _spread_depth(clip[2])
    with np.errstate(over="ignore"):
        corners = np.ascontiguousarray(clip.T, np.float32)
    is_broken = ~np.isfinite(corners).all(axis=1)
    if not is_broken.any():
        return corners, snapshot.triangles
    corners[is_broken] = OUT_OF_VIEW
    broken_corner = np.flatnonzero(is_broken)[0]
    has_broken = is_broken[snapshot.triangles].any(axis=1)
    return corners, np.where(has_broken[:, None], np.int32(broken_corner), snapshot.triangles)


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
    """The vertices and the two programs that draw groups of triangles; holds GPU memory while it lives."""

    def __init__(self, snapshot: Snapshot, order: Rows | None) -> None:
        self._snapshot = snapshot
        self._order = order
        self._clip, self._triangles = _drawn_corners(snapshot)
        self._vertices = _vertex_buffer(self._clip)
        self._shared = _shared_program()
        self._corners = _corner_program()

    def draw(self, group: _Group) -> None:
        """Draw into the bound framebuffer; numbers are places in the drawing order, counted from 1."""
        gpu.state.face_culling_set("BACK" if group.culls_back else "NONE")
        places = slice(group.first, group.last)
        rows = places if self._order is None else self._order[places]
        if group.cutout is None and not needs_vertex_ids():
            self._draw_shared(group, rows)
        else:
            self._draw_corners(group, rows)

    def _draw_shared(self, group: _Group, rows: Rows | slice) -> None:
        """Triangles that share vertices: the least memory."""
        indices = GPUIndexBuf(type="TRIS", seq=np.ascontiguousarray(self._triangles[rows], np.int32))
        self._bind(self._shared)
        self._shared.uniform_int("first", group.first)
        GPUBatch(type="TRIS", buf=self._vertices, elem=indices).draw(self._shared)

    def _draw_corners(self, group: _Group, rows: Rows | slice) -> None:
        """Triangles with corners of their own, which carry texture coordinates and the triangle's number."""
        corners = self._clip[self._triangles[rows]].reshape(-1, 4)
        uvs = np.zeros((len(corners), 2), np.float32)
        if group.cutout is not None and self._snapshot.uvs is not None:
            uvs = self._snapshot.uvs[rows].reshape(-1, 2)
        numbers = np.repeat(np.arange(group.first + 1, group.last + 1, dtype=np.uint32), 3)
        alpha = _alpha_texture(group.cutout)
        self._bind(self._corners)
        self._corners.uniform_sampler("alpha", alpha)
        self._corners.uniform_bool("repeats", [group.cutout is not None and group.cutout.repeats])
        GPUBatch(type="TRIS", buf=_vertex_buffer(corners, uvs, numbers)).draw(self._corners)

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


def _read(framebuffer: GPUFrameBuffer, width_px: int, height_px: int) -> npt.NDArray[np.uint32]:
    """The numbers that were drawn, (H, W), row 0 is the top."""
    # One-dimensional: 4.5 and 5.0 report wrong strides for buffers of more dimensions.
    buffer = Buffer("UINT", width_px * height_px)
    framebuffer.read_color(0, 0, width_px, height_px, 1, 0, "UINT", data=buffer)
    return np.asarray(buffer).view(np.uint32).reshape(height_px, width_px)[::-1]


def _rows_of(numbers: npt.NDArray[np.uint32], order: Rows | None, snapshot: Snapshot) -> Int32:
    """From numbers in the drawing order to rows of `triangles`; what holds out is no surface."""
    if order is None and not snapshot.holds_out.any():
        return numbers.astype(np.int32) - 1
    rows = np.arange(len(snapshot.triangles), dtype=np.int32) if order is None else order.astype(np.int32)
    rows[snapshot.holds_out[rows]] = NO_SURFACE
    return np.concatenate([np.array([NO_SURFACE], np.int32), rows])[numbers]
