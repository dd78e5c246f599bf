# SPDX-License-Identifier: GPL-3.0-or-later
"""SEA-RAFT step by step as it is published: one way at a time, nothing kept, flow and uncertainty upsampled every time.

What networks/searaft.py is held against, in bench/flow.py. The layers and their weights are those of our network; what
is done with them is written anew, but for the lookup, which is RAFT's.
"""

from __future__ import annotations

import torch
from flow_literal import CELL_PX, cell_grid, looked_up, pyramid
from torch import Tensor, nn
from torch.nn import functional

from animerun_addon.model_bridge.networks.searaft import Refinement, ResNet, SeaRaft

HIDDEN = 128
ITERATIONS = 4
REACH = 4


def searaft(network: SeaRaft, first: Tensor, second: Tensor) -> Tensor:
    """Flow (N, 2, H, W) from the first to the second frame, (N, 3, H, W) of 0 to 255."""
    images = [2 * (image / 255) - 1 for image in (first, second)]
    hidden, context = network.init_conv(encoded(network.cnet, torch.cat(images, 1))).split(HIDDEN, 1)
    found = network.flow_head(hidden)
    flow, full_px = found[:, :2], upsampled(network, found[:, :2], found[:, 2:], hidden)[0]
    here, there = (encoded(network.fnet, image) for image in images)
    volumes, cells = pyramid(here, there), cell_grid(here)
    for _ in range(ITERATIONS):
        motion = network.update_block.encoder(flow, looked_up(volumes, cells + flow, REACH))
        for refinement in network.update_block.refine:
            assert isinstance(refinement, Refinement)
            hidden = refined(refinement, torch.cat([hidden, context, motion], 1))
        found = network.flow_head(hidden)
        flow = flow + found[:, :2]
        full_px = upsampled(network, flow, found[:, 2:], hidden)[0]
    return full_px


def encoded(encoder: ResNet, images: Tensor) -> Tensor:
    """Features at an eighth of the size."""
    x = encoder.bn1(encoder.conv1(images)).relu()
    for layer in (encoder.layer1, encoder.layer2, encoder.layer3):
        for block in layer:
            x = residual(block, x)
    return encoder.final_conv(x)


def residual(block: nn.Module, x: Tensor) -> Tensor:
    """Two convolutions with their norms, and the shortcut."""
    y = x
    for number in "12":
        y = block.get_submodule(f"bn{number}")(block.get_submodule(f"conv{number}")(y)).relu()
    shortcut = block.downsample
    return ((shortcut(x) if isinstance(shortcut, nn.Module) else x) + y).relu()


def refined(block: Refinement, known: Tensor) -> Tensor:
    """The next hidden state, layer by layer."""
    mixed = block.norm(block.dwconv(known).permute(0, 2, 3, 1))
    mixed = block.gamma * block.pwconv2(functional.gelu(block.pwconv1(mixed)))
    return block.final(known + mixed.permute(0, 3, 1, 2))


def upsampled(network: SeaRaft, flow: Tensor, uncertainty: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Both at the size of the frames, flow in pixels."""
    batch, _, height, width = flow.shape
    mask = 0.25 * network.upsample_weight(hidden)
    weights = mask.view(batch, 1, 9, CELL_PX, CELL_PX, height, width).softmax(2)
    both = []
    for values in (CELL_PX * flow, uncertainty):
        around = functional.unfold(values, 3, padding=1).view(batch, values.shape[1], 9, 1, 1, height, width)
        cells = (weights * around).sum(2).permute(0, 1, 4, 2, 5, 3)
        both.append(cells.reshape(batch, values.shape[1], CELL_PX * height, CELL_PX * width))
    return both[0], both[1]
