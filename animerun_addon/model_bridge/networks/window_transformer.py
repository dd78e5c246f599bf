# SPDX-License-Identifier: GPL-3.0-or-later
"""GMFlow's transformer: two frames listen to themselves and to each other, in windows, with bounded memory.

What is made of the cells afterwards is gmflow.py's.
"""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor, nn

from .attention import attended
from .flow import Stop

CHANNELS = 128
BLOCKS = 6


class AttentionLayer(nn.Module):
    """What cells hear from others, perhaps thought over, added to what they are."""

    def __init__(self, *, thinks: bool) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.merge = (nn.Linear(CHANNELS, CHANNELS, bias=False) for _ in "qkvm")
        self.norm1 = nn.LayerNorm(CHANNELS)
        self.mlp = None
        if thinks:
            inner = nn.Linear(2 * CHANNELS, 8 * CHANNELS, bias=False)
            self.mlp = nn.Sequential(inner, nn.GELU(), nn.Linear(8 * CHANNELS, CHANNELS, bias=False))
            self.norm2 = nn.LayerNorm(CHANNELS)

    def forward(self, source: Tensor, target: Tensor, stop: Stop) -> Tensor:
        """The source (N, L, 128) after it has heard the target (N, M, 128)."""
        heard = attended(self.q_proj(source), self.k_proj(target), self.v_proj(target), stop)
        message = self.norm1(self.merge(heard))
        if self.mlp is not None:
            message = self.norm2(self.mlp(torch.cat((source, message), dim=-1)))
        return source + message


class TransformerBlock(nn.Module):
    """Cells hear those of their own frame, then those of the other frame as they were before."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = AttentionLayer(thinks=False)
        self.cross_attn_ffn = AttentionLayer(thinks=True)

    def forward(self, cells: Tensor, stop: Stop) -> Tensor:
        """(2N, L, 128): those of first frames, then those of second ones."""
        return self.cross_attn_ffn(self.self_attn(cells, cells, stop), swapped(cells), stop)


class Transformer(nn.Module):
    """Blocks that work within windows; in every second block these lie half a window further."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerBlock() for _ in range(BLOCKS))

    def forward(self, cells: Tensor, windows: int, stop: Stop) -> Tensor:
        """Cells (2N, h, w, 128) of first, then of second frames; h and w are multiples of `windows`."""
        for number, block in enumerate(self.layers):
            cells = self.passed(block, cells, windows, number % 2 == 1, stop)
        return cells

    def passed(self, block: nn.Module, cells: Tensor, windows: int, shifted: bool, stop: Stop) -> Tensor:
        """Through all of a block, but only a row of windows at a time: so it takes little memory."""
        heard = torch.empty_like(cells)
        rows, columns = (window_runs(side, windows, shifted=shifted) for side in cells.shape[1:3])
        for (top, height, tall), (left, width, wide) in product(rows, columns):
            for start in range(top, top + tall * height, height):
                part = slice(None), slice(start, start + height), slice(left, left + wide * width)
                row = torch.unflatten(cells[part], 2, (wide, width)).transpose(1, 2)  # (2N, wide, height, width, 128)
                result = block(row.reshape(-1, height * width, CHANNELS), stop).view(row.shape)
                heard[part] = result.transpose(1, 2).flatten(2, 3)
        return heard


def window_runs(side: int, windows: int, *, shifted: bool) -> list[tuple[int, int, int]]:
    """Start, length and number of windows of one size, along a side.

    For the shift the published code rolls the map by half a window. Opposite edges share windows then, and 100 is taken
    off the likeness of their cells: the softmax leaves nothing of it, short of likenesses that differ by 80 and more.
    It is the same to cut these windows in two, and costs half as much at two windows in a row.
    """
    length = side // windows
    half = length // 2
    if not shifted or half == 0:
        return [(0, length, windows)]
    return [(0, half, 1), (half, length, windows - 1), (side - length + half, length - half, 1)]


def with_places(maps: Tensor, windows: int) -> Tensor:
    """Cells of maps plus the sines that tell each of them its place in its window."""
    height, width = (side // windows for side in maps.shape[-2:])
    y, x = (place_waves(side, maps) for side in (height, width))
    window = torch.cat((y[:, None].expand(-1, width, -1), x.expand(height, -1, -1)), dim=-1)
    return maps.permute(0, 2, 3, 1) + window.repeat(windows, windows, 1)


def place_waves(side: int, like: Tensor) -> Tensor:
    """(side, 64): sines and cosines in turn, of ever longer waves."""
    half = CHANNELS // 2
    turns = torch.arange(1, side + 1, device=like.device, dtype=like.dtype) / (side + 1e-6) * (2 * math.pi)
    number = torch.arange(half, device=like.device)
    angle = turns[:, None] / 10000 ** (2 * (number // 2) / half)
    return torch.where(number % 2 == 0, angle.sin(), angle.cos())


def swapped(pair: Tensor) -> Tensor:
    """The second half of a batch before the first."""
    first, second = pair.chunk(2)
    return torch.cat((second, first))
