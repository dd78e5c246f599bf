# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention of any number of cells to any number of others, in bounded memory, that can be stopped.

What is attended to, and why, is the networks' own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .flow import Stop

# Between two looks at whether to stop; in front of all cells of a 1080p frame this takes about half a second.
QUERIES_AT_ONCE = 4096


def attended(queries: Tensor, keys: Tensor, values: Tensor, stop: Stop) -> Tensor:
    """For each of the queries (N, L, C) the mean (N, L, D) of values (N, M, D) weighed by how well keys (N, M, C) fit.

    D is at most C: torch holds few weights at a time only if they are equal and there is a dimension of heads.
    """
    size = values.shape[-1]
    keys, values = keys[:, None], functional.pad(values, (0, keys.shape[-1] - size))[:, None]
    parts = []
    for some in torch.split(queries[:, None], QUERIES_AT_ONCE, dim=2):
        stop()
        parts.append(functional.scaled_dot_product_attention(some, keys, values)[:, 0, :, :size])
    return torch.cat(parts, dim=1)
