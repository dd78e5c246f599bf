# SPDX-License-Identifier: GPL-3.0-or-later
"""From cells to pixels by learned weights: the convex upsampling of the RAFT family.

Where the weights come from is the networks' own.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

_NEIGHBOURS = 9


def convex_upsampled(values: Tensor, logits: Tensor, factor: int = 8) -> Tensor:
    """(N, C, factor * h, factor * w): each pixel a mean of the 3 x 3 cells around its own, weighed by its own logits.

    Of values (N, C, h, w) and logits (N, 9 * factor * factor, h, w): for each neighbour in rows, one number for each
    pixel of the cell in rows. Neighbours beyond the map are 0 but keep their weight, as published.
    """
    batch, channels, height, width = values.shape
    weights = logits.float().permute(0, 2, 3, 1).reshape(-1, _NEIGHBOURS, factor * factor).softmax(1)
    around = functional.unfold(values.float(), 3, padding=1).view(batch, channels, _NEIGHBOURS, -1)
    pixels = around.permute(0, 3, 1, 2).reshape(-1, channels, _NEIGHBOURS) @ weights
    pixels = pixels.view(batch, height, width, channels, factor, factor).permute(0, 3, 1, 4, 2, 5)
    return pixels.reshape(batch, channels, factor * height, factor * width)
