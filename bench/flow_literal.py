# SPDX-License-Identifier: GPL-3.0-or-later
"""RAFT and GMA step by step as they are published: one way at a time, nothing kept, a mask at every iteration.

What networks/raft.py and gma.py are held against, in bench/flow.py and the tests. Layers and weights are those of our
networks; what is done with them is written anew.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

ITERATIONS = 12
LEVELS = 4
CELL_PX = 8


def raft(network: Any, first: Tensor, second: Tensor) -> Tensor:
    """Flow (N, 2, H, W) from the first to the second frame, (N, 3, H, W) of 0 to 255, by Raft, RaftSmall or Gma."""
    images = [2 * (image / 255) - 1 for image in (first, second)]
    here, there = encoded(network.fnet, torch.cat(images)).chunk(2)
    volumes = pyramid(here, there)
    known = encoded(network.cnet, images[0])
    hidden, context = known[:, : network.hidden].tanh(), known[:, network.hidden :].relu()
    weights = attention(network, context) if hasattr(network, "att") else None
    cells = cell_grid(here)
    at = cells.clone()
    for _ in range(ITERATIONS):
        flow = at - cells
        motion = network.update_block.encoder(flow, looked_up(volumes, at, network.radius))
        inputs = [context, motion]
        if weights is not None:
            inputs.append(aggregated(network, weights, motion))
        hidden = updated(network.update_block.gru, hidden, torch.cat(inputs, 1))
        at = at + network.update_block.flow_head(hidden)
        full_px = upsampled(network, at - cells, hidden)
    return full_px


def encoded(encoder: Any, images: Tensor) -> Tensor:
    """Features at an eighth of the size."""
    x = encoder.norm1(encoder.conv1(images)).relu()
    for layer in (encoder.layer1, encoder.layer2, encoder.layer3):
        for block in layer:
            x = residual(block, x)
    return encoder.conv2(x)


def residual(block: Any, x: Tensor) -> Tensor:
    """All convolutions of a block with their norms, and the shortcut."""
    y = x
    for number in "123":
        if hasattr(block, f"conv{number}"):
            y = getattr(block, f"norm{number}")(getattr(block, f"conv{number}")(y)).relu()
    return ((x if block.downsample is None else block.downsample(x)) + y).relu()


def pyramid(here: Tensor, there: Tensor) -> list[Tensor]:
    """Likenesses of all pairs of cells, (N * cells, 1, h, w), and halved again and again."""
    channels, height, width = here.shape[1:]
    volume = here.flatten(2).transpose(1, 2) @ there.flatten(2) / channels**0.5
    volumes = [volume.reshape(-1, 1, height, width)]
    for _ in range(LEVELS - 1):
        volumes.append(functional.avg_pool2d(volumes[-1], 2))
    return volumes


def cell_grid(like: Tensor) -> Tensor:
    """(N, 2, h, w): x and y of every cell."""
    lines, columns = (torch.arange(side, dtype=torch.float32) for side in like.shape[-2:])
    y, x = torch.meshgrid(lines, columns, indexing="ij")
    return torch.stack([x, y]).expand(like.shape[0], -1, -1, -1)


def looked_up(volumes: list[Tensor], at: Tensor, radius: int) -> Tensor:
    """(N, levels * side * side, h, w): sampled point by point, offsets in x slow and in y fast."""
    batch, _, height, width = at.shape
    reach = torch.arange(-radius, radius + 1, dtype=torch.float32)
    offsets = torch.stack(torch.meshgrid(reach, reach, indexing="ij"), -1)
    found = []
    for level, volume in enumerate(volumes):
        centres = at.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2) / 2**level
        last = torch.tensor([volume.shape[-1] - 1, volume.shape[-2] - 1])
        grid = 2 * (centres + offsets) / last - 1
        sampled = functional.grid_sample(volume, grid, align_corners=True)
        found.append(sampled.reshape(batch, height, width, -1))
    return torch.cat(found, -1).permute(0, 3, 1, 2).contiguous()


def attention(network: Any, context: Tensor) -> Tensor:
    """(N, cells, cells), rows sum to 1."""
    queries, keys = network.att.to_qk(context).flatten(2).chunk(2, 1)
    return (queries.shape[1] ** -0.5 * queries.transpose(1, 2) @ keys).softmax(-1)


def aggregated(network: Any, weights: Tensor, motion: Tensor) -> Tensor:
    """Motion plus what cells borrow."""
    aggregator = network.update_block.aggregator
    values = weights @ aggregator.to_v(motion).flatten(2).transpose(1, 2)
    return motion + aggregator.gamma * values.transpose(1, 2).reshape(motion.shape)


def updated(gru: Any, hidden: Tensor, inputs: Tensor) -> Tensor:
    """The next hidden state."""
    for number in ("1", "2") if hasattr(gru, "convz1") else ("",):
        update, reset, candidate = (getattr(gru, f"conv{gate}{number}") for gate in "zrq")
        both = torch.cat([hidden, inputs], 1)
        z, r = update(both).sigmoid(), reset(both).sigmoid()
        hidden = (1 - z) * hidden + z * candidate(torch.cat([r * hidden, inputs], 1)).tanh()
    return hidden


def upsampled(network: Any, flow: Tensor, hidden: Tensor) -> Tensor:
    """Flow in pixels at the size of the frames, by a mask or, in the small network, as it is."""
    batch, _, height, width = flow.shape
    if not hasattr(network.update_block, "mask"):
        size = (CELL_PX * height, CELL_PX * width)
        return CELL_PX * functional.interpolate(flow, size, mode="bilinear", align_corners=True)
    mask = 0.25 * network.update_block.mask(hidden)
    weights = mask.view(batch, 1, 9, CELL_PX, CELL_PX, height, width).softmax(2)
    around = functional.unfold(CELL_PX * flow, 3, padding=1).view(batch, 2, 9, 1, 1, height, width)
    cells = (weights * around).sum(2).permute(0, 1, 4, 2, 5, 3)
    return cells.reshape(batch, 2, CELL_PX * height, CELL_PX * width)
