# SPDX-License-Identifier: GPL-3.0-or-later
"""How alike each cell of one frame is to the cells around a place in another: the lookup of the RAFT family.

What the features are and what is made of their likeness is the networks' own.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

# Levels of the pyramid whose likenesses all fit into this together are computed at once, the others where they are
# asked for: memory grows with the frame, not with its square.
MOST_BYTES = 1 << 28
# Windows whose features are gathered together, where that is the way.
_WINDOWS_AT_ONCE = 256


def cell_places(like: Tensor) -> Tensor:
    """(2, h, w): x and y of every cell of a map (..., h, w)."""
    height, width = like.shape[-2:]
    axes = [torch.arange(side, dtype=torch.float32, device=like.device) for side in (width, height)]
    return torch.stack(torch.meshgrid(*axes, indexing="xy"))


class Correlation:
    """Of each cell of the first frame with the second frame as it is and halved, `levels` sizes in all.

    Halving the features gives the same as halving the likenesses (both are linear) for a fraction of the work.
    """

    def __init__(
        self, first: Tensor, second: Tensor, radius: int = 4, levels: int = 4, most_bytes: int = MOST_BYTES
    ) -> None:
        """Of features (N, C, h, w); float32 whatever the rest runs in."""
        self._size = first.shape[0], *first.shape[-2:]
        self._side = 2 * radius + 1
        cells = (first.float() / first.shape[1] ** 0.5).permute(0, 2, 3, 1).flatten(1, 2).contiguous()
        maps = [second.float()]
        for _ in range(levels - 1):
            maps.append(functional.avg_pool2d(maps[-1], 2))
        self._levels: list[_Level] = []
        for level in reversed(maps):  # small ones are as much used as large ones and take less
            met = level.shape[-2:].numel()
            needed = cells.shape[:2].numel() * met * cells.element_size()
            is_stored = needed <= most_bytes or met <= (self._side + 1) ** 2  # the latter: a window is no less work
            most_bytes -= needed * is_stored
            self._levels.insert(0, (_Stored if is_stored else _OnDemand)(cells, level, radius))

    def __call__(self, places: Tensor) -> Tensor:
        """Likenesses (N, levels * side * side, h, w) around places (N, 2, h, w), x and y in cells; 0 beyond the frame.

        A window's columns come one after the other, each from its top down: the published order. Channels are last in
        memory.
        """
        rows = places.float().permute(0, 2, 3, 1).reshape(-1, 2)
        found = rows.new_empty(len(rows), len(self._levels), self._side, self._side)
        for number, level in enumerate(self._levels):
            level.look_up(rows / 2**number, found[:, number])
        batch, height, width = self._size
        return found.view(batch, height, width, -1).permute(0, 3, 1, 2)


class _Level(ABC):
    """One size of the second frame. Its cells are numbered down the columns, as the published order wants them."""

    def __init__(self, base: Tensor, size: torch.Size, radius: int) -> None:
        """`base` (rows, 1): the number of the first cell that a row may meet."""
        self._base = base
        self._height, self._width = size
        self._radius = radius
        self._steps = torch.arange(2 * radius + 2, device=base.device)
        self._beyond = len(self._steps)  # from here on a window sees nothing of the frame
        limits = torch.tensor([[self._width], [self._height]], dtype=torch.float32, device=base.device)
        self._least, self._most = torch.full_like(limits, -self._beyond), limits + self._beyond

    def look_up(self, places: Tensor, out: Tensor) -> None:
        """Write the (rows, side, side) likenesses around places (rows, 2) in cells of this level.

        All points of a window lie alike between cells: whole cells are fetched once, and blended across and down.
        """
        low = places.T.floor()
        across, down = (places.T - low)[:, :, None, None]
        first = low.clamp(self._least, self._most).long() - self._radius
        columns, lines = first[:, :, None] + self._steps
        column_starts = self._base + columns.clamp(0, self._width - 1) * self._height
        starts = column_starts + lines[:, :1].clamp(-self._beyond, self._height)
        seen = ((columns >= 0) & (columns < self._width))[:, :, None] & ((lines >= 0) & (lines < self._height))[:, None]
        cells = self._runs(starts).masked_fill_(~seen, 0)
        blended = torch.lerp(cells[:, :-1], cells[:, 1:], across)
        torch.lerp(blended[:, :, :-1], blended[:, :, 1:], down, out=out)

    @abstractmethod
    def _runs(self, starts: Tensor) -> Tensor:
        """(rows, columns, lines): the cells from each start on. Those beyond their column's ends are not looked at."""


class _Stored(_Level):
    """All likenesses in one run of memory, so that a column's part of a window is one copy."""

    def __init__(self, cells: Tensor, level: Tensor, radius: int) -> None:
        batch, count, _ = cells.shape
        met = level.shape[-2:].numel()
        super().__init__(torch.arange(batch * count, device=cells.device)[:, None] * met, level.shape[-2:], radius)
        # A run may begin before the first cell and end after the last.
        memory = cells.new_empty(batch * count * met + 2 * self._beyond)
        memory[: self._beyond] = memory[-self._beyond :] = 0
        volume = memory[self._beyond : -self._beyond].view(batch, count, met)
        torch.bmm(cells, level.transpose(2, 3).flatten(2), out=volume)
        length = len(self._steps)
        self._all_runs = memory.as_strided((len(memory) - length + 1, length), (1, 1))

    def _runs(self, starts: Tensor) -> Tensor:
        return self._all_runs.index_select(0, (starts + self._beyond).flatten()).view(*starts.shape, -1)


class _OnDemand(_Level):
    """Likenesses computed where they are asked for, again at every lookup."""

    def __init__(self, cells: Tensor, level: Tensor, radius: int) -> None:
        batch, count, channels = cells.shape
        met = level.shape[-2:].numel()
        base = torch.arange(batch, device=cells.device).repeat_interleave(count)[:, None] * met
        super().__init__(base, level.shape[-2:], radius)
        self._cells = cells.view(-1, channels)
        self._met = level.permute(0, 3, 2, 1).reshape(-1, channels)

    def _runs(self, starts: Tensor) -> Tensor:
        numbers = (starts[:, :, None] + self._steps).clamp(0, len(self._met) - 1).flatten(1)
        products = _sampled_products if self._cells.is_cpu else _gathered_products
        return products(self._cells, self._met, numbers).view(*starts.shape, -1)


def _sampled_products(cells: Tensor, others: Tensor, numbers: Tensor) -> Tensor:
    """(rows, picks): each of the cells (rows, C) times those of the others that its row of numbers (rows, picks) names.

    A sparse product gathers nothing: on a CPU six times as fast as the other way.
    """
    rows, picks = numbers.shape
    ends = torch.arange(0, rows * picks + 1, picks, device=cells.device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        wanted = torch.sparse_csr_tensor(
            ends, numbers.flatten(), cells.new_zeros(rows * picks), (rows, len(others)), check_invariants=False
        )
        torch.sparse.sampled_addmm(wanted, cells, others.T, beta=0.0, out=wanted)
        return wanted.values().view(rows, picks)


def _gathered_products(cells: Tensor, others: Tensor, numbers: Tensor) -> Tensor:
    """The same in dense steps, for devices that have no such product."""
    found = cells.new_empty(numbers.shape)
    for start in range(0, len(cells), _WINDOWS_AT_ONCE):
        part = slice(start, start + _WINDOWS_AT_ONCE)
        met = others[numbers[part]]  # (windows, picks, C)
        torch.bmm(met, cells[part, :, None], out=found[part, :, None])
    return found
