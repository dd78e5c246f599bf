# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything about one frame as channels of one EXR file, named and signed as compositing programs expect them.

What the channels hold and how programs read them: docs/compositing.md. The file itself is formats.write_exr()'s.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]

# (H, W, 2), u right, v down, from the centres of this frame's pixels; (H, W), where it is known. As read_flo() has it.
KnownFlow = tuple[Float32, Bool]

# Where there is no surface. Infinity would spread through every filter; this is what Cycles writes.
FARTHEST_M = 1e10

# An EXR channel's name has at most 31 letters, of which "matte_" and ".A" are some.
_LONGEST_NAME = 23


def multilayer_channels(
    frame: UInt8,
    forward: KnownFlow | None,
    backward: KnownFlow | None,
    depth_m: Float32 | None = None,
    normals: Float32 | None = None,
    object_ids: Int32 | None = None,
    material_ids: Int32 | None = None,
    characters: Mapping[str, Bool | Iterable[int]] | None = None,
) -> dict[str, Array]:
    """(H, W) of each channel, for write_exr(); ids and mattes stay whole numbers, which it refuses to round.

    `frame` (H, W, 3 or 4), display-referred sRGB, alpha not multiplied in; `forward` leads to the next frame and
    `backward` to the one before, None where there is none; `depth_m` (H, W), inf where there is no surface;
    `normals` (H, W, 3), world; ids (H, W), -1 for none; `characters`: what a character covers, as (H, W) or as the
    object ids that belong to it. Every frame of a clip has the same channels as long as it is given the same things.
    """
    height, width = frame.shape[:2]
    channels = _colour(frame)
    for name, flow in (("forward", forward), ("backward", backward)):
        channels |= _vectors(name, flow, (height, width))
    if depth_m is not None:
        channels["depth.Z"] = np.where(np.isfinite(depth_m), depth_m, np.float32(FARTHEST_M))
    if normals is not None:
        channels |= {f"N.{axis}": normals[..., place] for place, axis in enumerate("XYZ")}
    for name, ids in (("object_id.X", object_ids), ("material_id.X", material_ids)):
        if ids is not None:
            channels[name] = ids
    return channels | _mattes(characters or {}, object_ids)


def matte_channels(characters: Iterable[str]) -> dict[str, str]:
    """The channel of each character's matte, in the order given: names of any script, told apart by numbers."""
    channels: dict[str, str] = {}
    # Some programs tell no capitals from small letters.
    taken: set[str] = set()
    for character in characters:
        plain = _plain(character)
        name, number = plain[:_LONGEST_NAME], 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain[: _LONGEST_NAME - len(f'_{number}')]}_{number}"
        taken.add(name.casefold())
        channels[character] = f"matte_{name}.A"
    return channels


def scene_linear(display: UInt8) -> Float32:
    """8-bit display-referred sRGB made linear, of the same shape: IEC 61966-2-1, of which 255 is 1."""
    return _LINEAR[display]


def _linear_table() -> Float32:
    """(256,)"""
    display = np.arange(256) / 255
    return np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = _linear_table()


def _colour(frame: UInt8) -> dict[str, Array]:
    """Alpha is multiplied in, as EXR files have it."""
    linear = scene_linear(frame[..., :3])
    if frame.shape[2] == 4:
        alpha = frame[..., 3] / np.float32(255)
        linear = linear * alpha[..., None]
    else:
        alpha = np.ones(frame.shape[:2], np.float32)
    return {"R": linear[..., 0], "G": linear[..., 1], "B": linear[..., 2], "A": alpha}


def _vectors(name: str, flow: KnownFlow | None, shape: tuple[int, int]) -> dict[str, Array]:
    """Compositors' images grow upwards, so v does."""
    flow_px, valid = flow or (np.zeros((*shape, 2), np.float32), np.zeros(shape, np.bool_))
    channels: dict[str, Array] = {
        f"{name}.u": np.where(valid, flow_px[..., 0], np.float32(0)),
        # 0 - 0 is 0, and -0 is another number.
        f"{name}.v": np.where(valid, 0 - flow_px[..., 1], np.float32(0)),
    }
    # The mask in the same layer: Blender from 5.2 on reads layers of two channels as garbage.
    return channels | {f"{name}.A": valid}


def _mattes(characters: Mapping[str, Bool | Iterable[int]], object_ids: Int32 | None) -> dict[str, Array]:
    mattes: dict[str, Array] = {}
    for character, channel in matte_channels(characters).items():
        covers = characters[character]
        if isinstance(covers, np.ndarray) and covers.dtype == np.bool_:
            mattes[channel] = covers
        elif object_ids is not None:
            mattes[channel] = np.isin(object_ids, list(covers))
        else:
            raise ValueError(f"the matte of '{character}' is given by object ids, and there are none for the frame")
    return mattes


def _plain(name: str) -> str:
    """Letters, digits and underscores: a dot would begin another layer, and a minus is arithmetic in expressions."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", ascii_only).strip("_") or "character"
