# SPDX-License-Identifier: GPL-3.0-or-later
"""GMFlow step by step as it is published: one way at a time, windows rolled and masked, every likeness held at once.

What networks/gmflow.py is held against, in bench/flow.py and the tests. The layers and their weights are those of our
networks; what is done with them is written anew.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from animerun_addon.model_bridge.networks.gmflow import GmFlow

# Added to the likeness of cells that share a window only since the map was rolled.
STRANGERS = -100.0
OUTSIDE = -1e9
# Coarse first; None is everywhere.
SPLITS = (2, 8)
MATCH_RADII = (None, 4)
PROPAGATION_RADII = (None, 1)


def gmflow(network: GmFlow, first: Tensor, second: Tensor) -> Tensor:
    """Flow (N, 2, H, W) from the first to the second frame, (N, 3, H, W) of 0 to 255."""
    maps = encoded(network, torch.cat([normalised(first), normalised(second)]))
    flow = None
    for here_there, split, match_radius, propagation_radius in zip(
        maps, SPLITS, MATCH_RADII, PROPAGATION_RADII, strict=False
    ):
        here, there = here_there.chunk(2)
        if flow is not None:
            flow = 2 * functional.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
            there = sampled(there, grid(there) + flow.permute(0, 2, 3, 1))
        here, there = (each + place_code(each, split) for each in (here, there))
        here, there = transformed(network, here, there, split)
        residual = matched(here, there) if match_radius is None else matched_near(here, there, match_radius)
        flow = residual if flow is None else flow + residual
        flow = propagated(network, here, flow, propagation_radius)
    assert flow is not None
    return upsampled(network, here, flow)


def normalised(image: Tensor) -> Tensor:
    """By the mean and spread of ImageNet's colours."""
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (image / 255 - mean.view(3, 1, 1)) / spread.view(3, 1, 1)


def encoded(network: GmFlow, images: Tensor) -> list[Tensor]:
    """Maps of both images, coarse first."""
    backbone = network.backbone
    x = functional.instance_norm(backbone.conv1(images)).relu()
    for layer in (backbone.layer1, backbone.layer2, backbone.layer3):
        for block in layer:
            x = residual_block(block, x)
    x = backbone.conv2(x)
    if backbone.trident_conv is None:
        return [x]
    return [functional.conv2d(x, backbone.trident_conv.weight, stride=stride, padding=1) for stride in (2, 1)]


def residual_block(block: Any, x: Tensor) -> Tensor:
    """Two convolutions and the shortcut."""
    y = functional.instance_norm(block.conv1(x)).relu()
    y = functional.instance_norm(block.conv2(y)).relu()
    return ((x if block.downsample is None else functional.instance_norm(block.downsample(x))) + y).relu()


def place_code(maps: Tensor, split: int) -> Tensor:
    """(1, C, h, w): sines of each cell's place in its window, channel by channel."""
    _, channels, height, width = maps.shape
    tall, wide = height // split, width // split
    code = torch.zeros(1, channels, tall, wide)
    for half, (side, axis) in enumerate(((tall, 0), (wide, 1))):
        place = (torch.arange(side) + 1) / (side + 1e-6) * 2 * math.pi
        for number in range(channels // 2):
            angle = place / 10000 ** (2 * (number // 2) / (channels // 2))
            wave = angle.sin() if number % 2 == 0 else angle.cos()
            code[0, half * channels // 2 + number] = wave[:, None] if axis == 0 else wave[None]
    return code.repeat(1, 1, split, split)


def transformed(network: GmFlow, here: Tensor, there: Tensor, split: int) -> tuple[Tensor, Tensor]:
    """Both images' cells after the six blocks."""
    height, width = here.shape[-2:]
    source = torch.cat([here, there]).flatten(2).transpose(1, 2)
    target = torch.cat([there, here]).flatten(2).transpose(1, 2)
    for number, block in enumerate(network.transformer.layers):
        shift = (height // split // 2, width // split // 2) if number % 2 else (0, 0)
        windows = (height, width, split, shift)
        source = attention_layer(
            block.cross_attn_ffn, attention_layer(block.self_attn, source, source, windows), target, windows
        )
        target = torch.cat(source.chunk(2)[::-1])
    one, other = source.transpose(1, 2).reshape(-1, *here.shape[1:]).chunk(2)
    return one, other


def attention_layer(
    layer: Any, source: Tensor, target: Tensor, windows: tuple[int, int, int, tuple[int, int]]
) -> Tensor:
    """Cells (N, h * w, C) plus their message."""
    heard = windowed_attention(layer.q_proj(source), layer.k_proj(target), layer.v_proj(target), *windows)
    message = layer.norm1(layer.merge(heard))
    if layer.mlp is not None:
        message = layer.norm2(layer.mlp(torch.cat([source, message], -1)))
    return source + message


def windowed_attention(
    queries: Tensor, keys: Tensor, values: Tensor, height: int, width: int, split: int, shift: tuple[int, int]
) -> Tensor:
    """All of (N, h * w, C); the map is rolled, cut into windows, and put together again."""
    count, _, channels = queries.shape
    tall, wide = height // split, width // split

    def cut(cells: Tensor) -> Tensor:
        rolled = cells.view(-1, height, width, cells.shape[-1]).roll((-shift[0], -shift[1]), (1, 2))
        parts = rolled.view(-1, split, tall, split, wide, cells.shape[-1]).transpose(2, 3)
        return parts.reshape(-1, tall * wide, cells.shape[-1])

    scores = cut(queries) @ cut(keys).transpose(1, 2) / channels**0.5
    if any(shift):
        regions = cut(rolled_regions(height, width, tall, wide, shift).view(1, -1, 1)).squeeze(-1)
        strangers = regions[:, :, None] != regions[:, None]
        scores = scores + (STRANGERS * strangers).repeat(count, 1, 1)
    found = (scores.softmax(-1) @ cut(values)).view(count, split, split, tall, wide, channels).transpose(2, 3)
    return found.reshape(count, height, width, channels).roll(shift, (1, 2)).view(count, -1, channels)


def rolled_regions(height: int, width: int, tall: int, wide: int, shift: tuple[int, int]) -> Tensor:
    """(h, w): where each cell of the map before it is rolled will belong, numbered by bands of rows and columns."""
    rows, columns = (
        (place >= side - size).int() + (place >= side - half).int()
        for place, side, size, half in (
            (torch.arange(height), height, tall, shift[0]),
            (torch.arange(width), width, wide, shift[1]),
        )
    )
    return (3 * rows[:, None] + columns).float().roll(shift, (0, 1))


def grid(maps: Tensor) -> Tensor:
    """(1, h, w, 2): x and y of every cell."""
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float32) for side in maps.shape[-2:]), indexing="ij")
    return torch.stack([x, y], -1)[None]


def sampled(maps: Tensor, at: Tensor) -> Tensor:
    """Maps at places (N, a, b, 2), zero outside."""
    last = torch.tensor([maps.shape[-1] - 1, maps.shape[-2] - 1])
    return functional.grid_sample(maps, 2 * at / last - 1, align_corners=True)


def matched(here: Tensor, there: Tensor) -> Tensor:
    """Flow (N, 2, h, w) to the mean place of what is alike, among all cells."""
    count, channels, height, width = here.shape
    likeness = here.flatten(2).transpose(1, 2) @ there.flatten(2) / channels**0.5
    places = grid(here).view(1, -1, 2).expand(count, -1, -1)
    flow = likeness.softmax(-1) @ places - places
    return flow.transpose(1, 2).reshape(count, 2, height, width)


def matched_near(here: Tensor, there: Tensor, radius: int) -> Tensor:
    """The same among the cells around, sampled point by point."""
    count, channels, height, width = here.shape
    reach = torch.arange(-radius, radius + 1, dtype=torch.float32)
    offsets = torch.stack(torch.meshgrid(reach, reach, indexing="xy"), -1).view(1, 1, -1, 2)
    own = grid(here).view(1, -1, 1, 2)
    places = (own + offsets).expand(count, -1, -1, -1)
    features = sampled(there, places)  # (N, C, h * w, points)
    likeness = (here.flatten(2)[..., None] * features).sum(1) / channels**0.5
    inside = ((places >= 0) & (places < torch.tensor([width, height]))).all(-1)
    weights = likeness.masked_fill(~inside, OUTSIDE).softmax(-1)
    flow = (weights[..., None] * places).sum(2) - own[:, :, 0]
    return flow.transpose(1, 2).reshape(count, 2, height, width)


def propagated(network: GmFlow, here: Tensor, flow: Tensor, radius: int | None) -> Tensor:
    """Flow as that of cells which look alike."""
    attention = network.feature_flow_attn
    count, channels = here.shape[:2]
    cells = here.flatten(2).transpose(1, 2)
    queries = attention.q_proj(cells)
    if radius is None:
        weights = (queries @ attention.k_proj(queries).transpose(1, 2) / channels**0.5).softmax(-1)
        return (weights @ flow.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(flow.shape)
    keys = attention.k_proj(cells).transpose(1, 2).reshape(here.shape)
    side = 2 * radius + 1
    keys = functional.unfold(keys, side, padding=radius).view(count, channels, side * side, -1)
    values = functional.unfold(flow, side, padding=radius).view(count, 2, side * side, -1)
    weights = ((queries.transpose(1, 2)[:, :, None] * keys).sum(1) / channels**0.5).softmax(1)
    return (weights[:, None] * values).sum(2).view(flow.shape)


def upsampled(network: GmFlow, here: Tensor, flow: Tensor) -> Tensor:
    """Flow in pixels at the size of the frames."""
    count, _, height, width = flow.shape
    factor = network.factor
    logits = network.upsampler(torch.cat([flow, here], 1))
    weights = logits.view(count, 1, 9, factor, factor, height, width).softmax(2)
    around = functional.unfold(factor * flow, 3, padding=1).view(count, 2, 9, 1, 1, height, width)
    cells = (weights * around).sum(2).permute(0, 1, 4, 2, 5, 3)
    return cells.reshape(count, 2, factor * height, factor * width)
