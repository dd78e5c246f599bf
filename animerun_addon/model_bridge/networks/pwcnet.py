# SPDX-License-Identifier: GPL-3.0-or-later
"""PWC-Net (Sun et al. 2018) under the tensor names of the PyTorch version that AnimeRun trained: flow from coarse to
fine, each level matching features that the flow so far has warped.

Local matching lives in local_correlation.py; stretching frames to multiples of 64 is flow.py's.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .flow import Estimate, FlowNetwork, Options, Stop
from .local_correlation import local_correlation
from .pwcnet_nvidia import DECODED_LEVELS, NUMBERS, from_nvidia, is_nvidias

# Maps (N, C, h, w) of the levels 2 to 6, at 1/4 to 1/64.
Pyramid = tuple[Tensor, ...]

PYRAMID_CHANNELS = (16, 32, 64, 96, 128, 196)  # levels 1 to 6
DENSE_CHANNELS = (128, 128, 96, 64, 32)
CONTEXT_CHANNELS = (128, 128, 128, 96, 64, 32, 2)
CONTEXT_DILATIONS = (1, 2, 4, 8, 16, 1, 1)
RADIUS = 4
VOLUME_CHANNELS = (2 * RADIUS + 1) ** 2
# Flow is predicted in units of as many pixels.
UNIT_PX = 20.0
# Warped features count where at least this much of them comes from inside.
LEAST_INSIDE = 0.999


def _convolution(channels_in: int, channels: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 3, stride, dilation, dilation)


def _leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu_(x, 0.1)


class Extractor(nn.Module):
    """A frame's pyramid: three convolutions a level."""

    def __init__(self) -> None:
        super().__init__()
        for number, (channels_in, channels) in zip(NUMBERS, pairwise((3, *PYRAMID_CHANNELS)), strict=True):
            layers: list[nn.Module] = [_convolution(channels_in, channels, stride=2), nn.LeakyReLU(0.1, inplace=True)]
            for _ in range(2):
                layers += [_convolution(channels, channels), nn.LeakyReLU(0.1, inplace=True)]
            self.add_module(f"module{number}", nn.Sequential(*layers))

    def forward(self, image: Tensor) -> Pyramid:
        """Of (N, 3, H, W) in 0..1."""
        maps = []
        for level in self.children():
            image = level(image)
            maps.append(image)
        return tuple(maps[1:])


class Decoder(nn.Module):
    """One level: matches, and predicts flow from everything known so far."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.cells_per_unit = UNIT_PX / 2**level
        known = VOLUME_CHANNELS
        if level < len(PYRAMID_CHANNELS):
            known += PYRAMID_CHANNELS[level - 1] + 4
            self.moduleUpflow = nn.ConvTranspose2d(2, 2, 4, 2, 1)
            self.moduleUpfeat = nn.ConvTranspose2d(_known_in_the_end(level + 1), 2, 4, 2, 1)
        for number, channels in zip(NUMBERS, (*DENSE_CHANNELS, 2), strict=True):
            self.add_module(f"module{number}", nn.Sequential(_convolution(known, channels)))
            known += channels

    def forward(
        self, first: Tensor, second: Tensor, coarser: tuple[Tensor, Tensor] | None, stop: Stop
    ) -> tuple[Tensor, Tensor]:
        """The level's flow (N, 2, h, w) and what it was predicted from (N, C, h, w), given both of the coarser one."""
        if coarser is None:
            known = _leaky(local_correlation(first, second, RADIUS))
        else:
            flow, features = self.moduleUpflow(coarser[0]), self.moduleUpfeat(coarser[1])
            second = _warped(second, flow * self.cells_per_unit)
            known = torch.cat((_leaky(local_correlation(first, second, RADIUS)), first, flow, features), dim=1)
        for number in NUMBERS[:-1]:
            stop()
            known = torch.cat((_leaky(self.get_submodule(f"module{number}")(known)), known), dim=1)
        stop()
        return self.get_submodule("moduleSix")(known), known


def _known_in_the_end(level: int) -> int:
    """Channels of what a level predicts its flow from."""
    above = PYRAMID_CHANNELS[level - 1] + 4 if level < len(PYRAMID_CHANNELS) else 0
    return VOLUME_CHANNELS + above + sum(DENSE_CHANNELS)


class Refiner(nn.Module):
    """What the finest flow lacks, seen in a wide surrounding."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = pairwise((_known_in_the_end(2), *CONTEXT_CHANNELS))
        for (channels_in, channels), dilation in zip(widths, CONTEXT_DILATIONS, strict=True):
            layers += [_convolution(channels_in, channels, dilation=dilation), nn.LeakyReLU(0.1, inplace=True)]
        self.moduleMain = nn.Sequential(*layers[:-1])

    def forward(self, known: Tensor, stop: Stop) -> Tensor:
        """(N, 2, h, w) of level 2's dense features."""
        for layer in self.moduleMain:
            stop()
            known = layer(known)
        return known


class PwcNet(FlowNetwork[Pyramid]):
    """The network; its flow comes at a quarter of the frames' size."""

    least_side = 64
    resize_step = 64

    def __init__(self) -> None:
        super().__init__()
        self.moduleExtractor = Extractor()
        for level in DECODED_LEVELS:
            self.add_module(f"module{NUMBERS[level - 1]}", Decoder(level))
        self.moduleRefiner = Refiner()

    @staticmethod
    def under_our_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """NVIDIA's own file has other names."""
        return from_nvidia(state) if is_nvidias(state) else state

    def encode(self, image: Tensor) -> Pyramid:
        """The feature pyramid."""
        return self.moduleExtractor((image / 255.0).contiguous(memory_format=torch.channels_last))

    def match(self, first: Pyramid, second: Pyramid, options: Options) -> tuple[Estimate, Estimate | None]:
        """Coarse to fine. There is nothing to iterate and nothing to start from."""
        forward = self._one_way(first, second, options.stop)
        return forward, self._one_way(second, first, options.stop) if options.both else None

    def _one_way(self, first: Pyramid, second: Pyramid, stop: Stop) -> Estimate:
        found: tuple[Tensor, Tensor] | None = None
        for number, one, other in zip(reversed(NUMBERS), reversed(first), reversed(second), strict=False):
            found = self.get_submodule(f"module{number}")(one, other, found, stop)
        assert found is not None
        flow, known = found
        return Estimate(UNIT_PX * (flow + self.moduleRefiner(known, stop)))


def _warped(picture: Tensor, flow_cells: Tensor) -> Tensor:
    """(N, C, h, w) fetched from where the flow (N, 2, h, w) leads, as the weights have learnt to see it: what is not
    wholly inside is zero, and the picture is stretched by a cell about its middle (corners are taken for cells' centres
    on the way in, for cells' corners on the way out). Both sides are two cells at least.
    """
    height, width = picture.shape[-2:]
    x, y = (torch.linspace(-1.0, 1.0, side, device=picture.device, dtype=flow_cells.dtype) for side in (width, height))
    u, v = flow_cells.unbind(1)
    places = torch.stack((x + u * (2.0 / (width - 1)), y[:, None] + v * (2.0 / (height - 1))), dim=-1)
    ones = picture.new_ones(len(picture), 1, height, width)
    inside = functional.grid_sample(ones, places, align_corners=False)
    return functional.grid_sample(picture, places, align_corners=False) * (inside > LEAST_INSIDE)
