# SPDX-License-Identifier: GPL-3.0-or-later
"""How well each cell of a map fits the cells near the same place of another: PWC-Net's cost volume, by matrix products.

All pairs of cells, at whatever distance, are correlation.py's.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

# Cells of a tile are multiplied with all the cells around it at once: three times the products that are needed, but in
# one go. Larger tiles waste more, smaller ones read more.
_TILE = 8


def local_correlation(first: Tensor, second: Tensor, radius: int) -> Tensor:
    """(N, (2 radius + 1)^2, h, w), channels last in memory: mean over channels of first(y, x) * second(y + dy, x + dx).

    Maps are (N, C, h, w), zero outside; dx runs faster than dy.
    """
    batch, channels, height, width = first.shape
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    side, window = 2 * radius + 1, _TILE + 2 * radius
    below, beside = rows * _TILE - height, columns * _TILE - width
    first = functional.pad(first / channels, (0, beside, 0, below))
    second = functional.pad(second, (radius, radius + beside, radius, radius + below))
    volume = first.new_empty(batch, rows * _TILE, columns * _TILE, side * side)
    for top in range(0, rows * _TILE, _TILE):
        tiles = first[:, :, top : top + _TILE].unfold(3, _TILE, _TILE)  # (N, C, tile, columns, tile)
        windows = second[:, :, top : top + window].unfold(3, window, _TILE)  # (N, C, window, columns, window)
        products = tiles.permute(0, 3, 2, 4, 1).reshape(batch * columns, _TILE**2, channels) @ windows.permute(
            0, 3, 1, 2, 4
        ).reshape(batch * columns, channels, window**2)
        # Of the whole window each cell of the tile wants what lies around itself.
        own_row, own_column = _TILE * window**2 + window, window**2 + 1
        near = products.as_strided(
            (batch, columns, _TILE, _TILE, side, side),
            (columns * (_TILE * window) ** 2, (_TILE * window) ** 2, own_row, own_column, window, 1),
        )
        strip = volume[:, top : top + _TILE].view(batch, _TILE, columns, _TILE, side, side)
        strip.copy_(near.transpose(1, 2))
    return volume[:, :height, :width].permute(0, 3, 1, 2)
