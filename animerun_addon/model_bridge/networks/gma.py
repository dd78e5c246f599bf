# SPDX-License-Identifier: GPL-3.0-or-later
"""GMA (Jiang et al. 2021) under the names of the published files: RAFT whose cells borrow motion from cells like them.

What it has in common with RAFT is raft.py's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .attention import attended
from .encoder import Encoder, ResidualBlock
from .flow import Stop, never
from .raft import LARGE_WIDTHS, Iteration, LargeUpdateBlock, RecurrentFlow
from .update import through

_CHANNELS = 128
# Cells along a side for which the files hold position embeddings, which these weights leave alone.
_EMBEDDED = 160
# The weights of every cell for every other are kept if they fit into this, else worked out at every iteration.
MOST_BYTES = 1 << 30

# Of the values (N, cells, C) of all cells, the mean (N, cells, C) that each one borrows.
Borrowing = Callable[[Tensor], Tensor]


class Gma(RecurrentFlow):
    """The network."""

    update_block: GmaUpdateBlock

    def __init__(self) -> None:
        super().__init__(
            Encoder(ResidualBlock, LARGE_WIDTHS, 256, nn.InstanceNorm2d),
            Encoder(ResidualBlock, LARGE_WIDTHS, 256, nn.BatchNorm2d),
            GmaUpdateBlock(),
        )
        self.att = Attention()

    def begun(self, context: Tensor, stop: Stop) -> Iteration:
        """Who is like whom is known before the first iteration."""
        return self.update_block.borrowing(context, self.att(context, stop))


class Attention(nn.Module):
    """Which cells of a frame look alike: one head, by content alone."""

    def __init__(self) -> None:
        super().__init__()
        self.to_qk = nn.Conv2d(_CHANNELS, 2 * _CHANNELS, 1, bias=False)
        self.pos_emb = _PositionEmbeddings()

    def forward(self, context: Tensor, stop: Stop = never) -> Borrowing:
        """Of a context (N, 128, h, w), cells in rows."""
        queries, keys = _cells(self.to_qk(context)).chunk(2, dim=-1)
        if keys.shape[0] * keys.shape[1] ** 2 * keys.element_size() > MOST_BYTES:
            return lambda values: attended(queries, keys, values, stop)
        weights = [(query * _CHANNELS**-0.5 @ key.T).softmax(-1) for query, key in zip(queries, keys, strict=True)]
        return lambda values: torch.stack([each @ value for each, value in zip(weights, values, strict=True)])


class _PositionEmbeddings(nn.Module):
    """Room for what the published files hold and do not use."""

    def __init__(self) -> None:
        super().__init__()
        self.rel_height = nn.Embedding(2 * _EMBEDDED - 1, _CHANNELS)
        self.rel_width = nn.Embedding(2 * _EMBEDDED - 1, _CHANNELS)
        self.register_buffer("rel_ind", torch.zeros(_EMBEDDED, _EMBEDDED, dtype=torch.int64))


class Aggregator(nn.Module):
    """Adds to each cell's motion what it borrows."""

    def __init__(self) -> None:
        super().__init__()
        self.to_v = nn.Conv2d(_CHANNELS, _CHANNELS, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, motion: Tensor, borrowed: Borrowing) -> Tensor:
        """(N, 128, h, w) as it came in."""
        values = borrowed(_cells(self.to_v(motion)))
        return torch.addcmul(motion, self.gamma, values.mT.reshape_as(motion))


class GmaUpdateBlock(LargeUpdateBlock):
    """RAFT's, with borrowed motion beside the own one."""

    def __init__(self) -> None:
        super().__init__(inputs=3 * _CHANNELS)
        self.aggregator = Aggregator()

    def borrowing(self, context: Tensor, borrowed: Borrowing) -> Iteration:
        """An iteration for one context."""
        steps = self.gru.steps(context)

        def iteration(hidden: Tensor, flow: Tensor, likenesses: Tensor) -> Tensor:
            motion = self.encoder(flow, likenesses)
            return through(steps, hidden, torch.cat([motion, self.aggregator(motion, borrowed)], 1))

        return iteration


def _cells(maps: Tensor) -> Tensor:
    """(N, cells, C) of (N, C, h, w)."""
    return maps.flatten(2).mT
