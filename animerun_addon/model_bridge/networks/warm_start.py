# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a pair of a sequence begins: the coarse flow of the pair before, carried on by itself.

Whether that helps is the caller's to judge: motion has to go on as it was.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import InputError
from .correlation import cell_places
from .flow import Options

# Cells around the one it landed in that a piece of flow is offered to; who gets no offer looks everywhere.
_OFFERED = 2
# Distances looked at together then.
_AT_ONCE = 1 << 22


def start_of(like: Tensor, options: Options) -> Tensor:
    """The flow (ways * N, 2, h, w) in cells that a pair with features (ways * N, C, h, w) begins with."""
    ways = [(options.start, 1.0), (options.start_back, -1.0)][: 2 if options.both else 1]
    count, _, height, width = like.shape
    shape = (count // len(ways), 2, height, width)
    parts = [_carried(start, sign, shape, like.device) for start, sign in ways]
    return torch.cat(parts).contiguous(memory_format=torch.channels_last)


def _carried(start: Tensor | None, sign: float, shape: tuple[int, ...], device: torch.device) -> Tensor:
    if start is None:
        return torch.zeros(shape, device=device)
    if start.shape != shape:
        raise InputError(
            f"The flow to start from has shape {tuple(start.shape)} where {shape} is needed: "
            "begin anew where the size of the frames changes"
        )
    return torch.stack([carried_on(each, sign) for each in start.to(device)])


def carried_on(flow: Tensor, sign: float = 1.0) -> Tensor:
    """Flow (2, h, w) where what it belongs to has gone by now: each cell takes the flow that landed nearest to it.

    `sign` is -1 for flow back in time, against which things have moved on. What left the frame is forgotten, as is all
    if nothing stayed.
    """
    height, width = flow.shape[-2:]
    landed = (cell_places(flow) + sign * flow).flatten(1).T  # (cells, 2), x and y
    limits = landed.new_tensor([width, height])
    stays = ((landed > 0) & (landed < limits)).all(1)
    if not stays.any():
        return torch.zeros_like(flow)
    landed, pieces = landed[stays], flow.flatten(1)[:, stays]
    return pieces[:, _nearest(landed, width, height)].view_as(flow)


def _nearest(landed: Tensor, width: int, height: int) -> Tensor:
    """For each cell of a map, in rows, the number of the nearest of the points (n, 2)."""
    best, nearest = _offers(landed, width, height)
    # Nothing nearer than this can be missing among the offers.
    open_cells = (best > (_OFFERED + 0.5) ** 2).nonzero()[:, 0]
    places = torch.stack([open_cells % width, open_cells // width], 1).to(landed.dtype)
    at_once = max(1, _AT_ONCE // len(landed))
    for start in range(0, len(places), at_once):
        part = slice(start, start + at_once)
        distances = (places[part, None] - landed).square_().sum(-1)
        nearest[open_cells[part]] = distances.argmin(1)
    return nearest


def _offers(landed: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """The least squared distance and whose it is, of the points that come near each cell; infinite where none does."""
    reach = torch.arange(-_OFFERED, _OFFERED + 1, device=landed.device)
    offsets = torch.cartesian_prod(reach, reach)
    cells = landed.round().long()[:, None] + offsets  # (n, offers, 2)
    distances = (cells - landed[:, None]).square().sum(-1)
    inside = ((cells >= 0) & (cells < cells.new_tensor([width, height]))).all(-1)
    numbers = (cells[..., 1] * width + cells[..., 0])[inside]
    distances = distances[inside]
    who = torch.arange(len(landed), device=landed.device)[:, None].expand_as(inside)[inside]
    best = distances.new_full((width * height,), torch.inf).scatter_reduce_(0, numbers, distances, "amin")
    nearest = torch.zeros_like(best, dtype=torch.long)
    wins = distances == best[numbers]
    nearest[numbers[wins]] = who[wins]
    return best, nearest
