# SPDX-License-Identifier: GPL-3.0-or-later
"""GMFlow (Xu et al. 2022): flow by matching every cell with all others, at one scale or refined at a second one.

The transformer is window_transformer.py; what all flow networks share is flow.py's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import attended
from .correlation import cell_places
from .encoder import normed
from .flow import Estimate, FlowNetwork, Options, Stop
from .local_correlation import local_correlation
from .upsampling import convex_upsampled
from .window_transformer import CHANNELS, Transformer, with_places

# Features of a frame (N, 128, h, w), coarse first. "Cells" are the same with channels last: (N, h, w, 128).
Maps = tuple[Tensor, ...]

COARSE_WINDOWS = 2  # in a row and in a column
FINE_WINDOWS = 8
MATCH_RADIUS = 4
PROPAGATION_RADIUS = 1
COLOUR_MEAN = (0.485, 0.456, 0.406)
COLOUR_SPREAD = (0.229, 0.224, 0.225)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm = nn.InstanceNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h / stride, w / stride)."""
        y = normed(self.conv1, self.norm, x).relu_()
        y = normed(self.conv2, self.norm, y).relu_()
        if self.downsample is not None:
            (convolution,) = self.downsample
            assert isinstance(convolution, nn.Conv2d)
            x = normed(convolution, self.norm, x)
        return y.add_(x).relu_()


class Backbone(nn.Module):
    """A frame's maps: at 1/8, or at 1/8 and 1/4."""

    def __init__(self, scales: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.norm1 = nn.InstanceNorm2d(64)
        strides = (1, 2, 2 if scales == 1 else 1)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(ResidualBlock(inputs, outputs, stride), ResidualBlock(outputs, outputs, 1))
            for (inputs, outputs), stride in zip(pairwise((64, 64, 96, CHANNELS)), strides, strict=True)
        )
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.trident_conv = nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1, bias=False) if scales == 2 else None

    def forward(self, image: Tensor) -> Maps:
        """Of a normalised image (N, 3, H, W)."""
        x = normed(self.conv1, self.norm1, image.contiguous(memory_format=torch.channels_last)).relu_()
        x = self.conv2(self.layer3(self.layer2(self.layer1(x))))
        if self.trident_conv is None:
            return (x,)
        return tuple(functional.conv2d(x, self.trident_conv.weight, stride=stride, padding=1) for stride in (2, 1))


class FlowPropagation(nn.Module):
    """A cell's flow out of that of cells like it."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(CHANNELS, CHANNELS)
        self.k_proj = nn.Linear(CHANNELS, CHANNELS)

    def from_everywhere(self, cells: Tensor, flow: Tensor, stop: Stop) -> Tensor:
        """Flow (N, 2, h, w). The keys come from the queries, not from the cells: the weights were trained like this."""
        queries = self.q_proj(cells.flatten(1, 2))
        return as_map(attended(queries, self.k_proj(queries), as_values(flow), stop), flow)

    def from_around(self, cells: Tensor, flow: Tensor) -> Tensor:
        """Flow (N, 2, h, w). Here keys come from the cells. Places beyond the map are zero and take part."""
        queries, keys = (as_maps(project(cells)) for project in (self.q_proj, self.k_proj))
        weights = likeness_around(queries, keys, PROPAGATION_RADIUS).softmax(1)
        around = functional.unfold(flow, 2 * PROPAGATION_RADIUS + 1, padding=PROPAGATION_RADIUS)
        return (weights[:, None] * around.view(*flow.shape[:2], *weights.shape[1:])).sum(2)


class Found(NamedTuple):
    """What the coarse scale tells of one direction."""

    cells: Tensor  # (N, h, w, 128) of its first frame
    flow: Tensor  # (N, 2, h, w) in cells


class GmFlow(FlowNetwork[Maps]):
    """One scale, at 1/8."""

    side_step = 8 * COARSE_WINDOWS
    least_side = side_step
    scales: ClassVar[int] = 1
    factor: ClassVar[int] = 8  # pixels a cell of the last scale

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone(self.scales)
        self.transformer = Transformer()
        self.feature_flow_attn = FlowPropagation()
        self.upsampler = nn.Sequential(
            nn.Conv2d(2 + CHANNELS, 256, 3, 1, 1), nn.ReLU(inplace=True), nn.Conv2d(256, 9 * self.factor**2, 1)
        )

    def encode(self, image: Tensor) -> Maps:
        """The frame's maps."""
        mean, spread = (image.new_tensor(colour)[:, None, None] for colour in (COLOUR_MEAN, COLOUR_SPREAD))
        return self.backbone((image / 255 - mean) / spread)

    def match(self, first: Maps, second: Maps, options: Options) -> tuple[Estimate, Estimate | None]:
        """There is nothing to iterate and nothing to start from."""
        found = [Estimate(self._upsampled(*each)) for each in self._coarse(first[0], second[0], options)]
        return found[0], found[1] if options.both else None

    def _coarse(self, first: Tensor, second: Tensor, options: Options) -> list[Found]:
        """One entry a direction. The transformer looks both ways anyway."""
        pair = with_places(torch.cat((first, second)), COARSE_WINDOWS)
        here, there = self.transformer(pair, COARSE_WINDOWS, options.stop).chunk(2)
        ways = ((here, there), (there, here)) if options.both else ((here, there),)
        return [self._matched(*way, options.stop) for way in ways]

    def _matched(self, cells: Tensor, others: Tensor, stop: Stop) -> Found:
        own = cell_places(as_maps(cells)).expand(len(cells), -1, -1, -1)
        where = attended(cells.flatten(1, 2), others.flatten(1, 2), as_values(own), stop)
        return Found(cells, self.feature_flow_attn.from_everywhere(cells, as_map(where, own) - own, stop))

    def _upsampled(self, cells: Tensor, flow: Tensor) -> Tensor:
        """Flow (N, 2, H, W) in pixels."""
        logits = self.upsampler(torch.cat((flow, as_maps(cells)), dim=1))
        return convex_upsampled(self.factor * flow, logits, self.factor)


class GmFlowRefined(GmFlow):
    """Two scales: what is found at 1/8 is refined at 1/4."""

    side_step = 4 * FINE_WINDOWS
    least_side = side_step
    scales = 2
    factor = 4

    def match(self, first: Maps, second: Maps, options: Options) -> tuple[Estimate, Estimate | None]:
        """The coarse scale serves both directions; at the fine one, each sees the other frame warped its own way."""
        ways = ((first[1], second[1]), (second[1], first[1]))
        coarse = self._coarse(first[0], second[0], options)
        found = [
            Estimate(self._refined(*way, each.flow, options.stop)) for way, each in zip(ways, coarse, strict=False)
        ]
        return found[0], found[1] if options.both else None

    def _refined(self, first: Tensor, second: Tensor, coarse_flow: Tensor, stop: Stop) -> Tensor:
        flow = 2 * functional.interpolate(coarse_flow, scale_factor=2, mode="bilinear", align_corners=True)
        pair = with_places(torch.cat((first, warped(second, flow))), FINE_WINDOWS)
        cells, others = self.transformer(pair, FINE_WINDOWS, stop).chunk(2)
        flow = flow + matched_around(as_maps(cells), as_maps(others))
        return self._upsampled(cells, self.feature_flow_attn.from_around(cells, flow))


def likeness_around(maps: Tensor, others: Tensor, radius: int) -> Tensor:
    """(N, (2 radius + 1)^2, h, w): products with the places around, scaled as in attention, 0 beyond the map."""
    return local_correlation(maps, others, radius) * CHANNELS**0.5


def matched_around(maps: Tensor, others: Tensor) -> Tensor:
    """Mean offset (N, 2, h, w) in cells to the places that fit, none of them beyond the map."""
    reach = torch.arange(-MATCH_RADIUS, MATCH_RADIUS + 1, device=maps.device, dtype=maps.dtype)
    offsets = torch.stack(torch.meshgrid(reach, reach, indexing="xy")).flatten(1)  # (2, 81), x runs faster
    map_size = maps.shape[-2:]
    inside = functional.unfold(maps.new_ones(1, 1, *map_size), len(reach), padding=MATCH_RADIUS) > 0
    likeness = likeness_around(maps, others, MATCH_RADIUS)
    weights = likeness.masked_fill_(~inside.view(1, -1, *map_size), -torch.inf).softmax(1)
    return torch.einsum("dk,nkhw->ndhw", offsets, weights)


def warped(maps: Tensor, flow: Tensor) -> Tensor:
    """Maps (N, C, h, w) fetched from where the flow (N, 2, h, w) leads, zero beyond them."""
    last = flow.new_tensor((maps.shape[-1] - 1, maps.shape[-2] - 1))
    places = as_cells(cell_places(flow) + flow)
    return functional.grid_sample(maps, 2 * places / last - 1, align_corners=True)


def as_cells(maps: Tensor) -> Tensor:
    """(N, C, h, w) to (N, h, w, C)."""
    return maps.permute(0, 2, 3, 1)


def as_maps(cells: Tensor) -> Tensor:
    """(N, h, w, C) to (N, C, h, w)."""
    return cells.permute(0, 3, 1, 2)


def as_values(maps: Tensor) -> Tensor:
    """(N, C, h, w) to (N, h * w, C)."""
    return maps.flatten(2).transpose(1, 2)


def as_map(values: Tensor, like: Tensor) -> Tensor:
    """(N, h * w, C) to (N, C, h, w), h and w as `like` has them."""
    return values.transpose(1, 2).reshape(len(values), -1, *like.shape[-2:])
