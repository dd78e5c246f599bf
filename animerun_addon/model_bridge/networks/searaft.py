# SPDX-License-Identifier: GPL-3.0-or-later
"""SEA-RAFT (Wang, Lipson and Deng 2024), medium and small, under the names of the published files.

What it has in common with RAFT (lookup, motion encoder, upsampling) has files of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .correlation import Correlation, cell_places
from .encoder import normed
from .flow import Estimate, FlowNetwork, Options, full_precision
from .update import MotionEncoder
from .upsampling import convex_upsampled

CELL_PX = 8
HIDDEN = 128
ENCODER_CHANNELS = (64, 64, 128, 256)  # at a half of the frame's size, then after each layer
FEATURES = 256
# Flow, and four numbers about its uncertainty, which nothing here asks for.
HEAD_CHANNELS = 6
REFINEMENTS = 2
# The published files' mask is this much too sharp.
_MASK_SCALE = 0.25


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, batch norms throughout."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.bn3 = nn.BatchNorm2d(outputs)
            # Files hold this norm under both names.
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), self.bn3)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = normed(self.conv1, self.bn1, x).relu_()
        y = normed(self.conv2, self.bn2, y).relu_()
        if self.downsample is not None:
            convolution = self.downsample[0]
            assert isinstance(convolution, nn.Conv2d)
            x = normed(convolution, self.bn3, x)
        return y.add_(x).relu_()


class ResNet(nn.Module):
    """Pictures of -1 to 1 into features at an eighth of their size."""

    def __init__(self, inputs: int, blocks: tuple[int, int, int]) -> None:
        """`blocks`: how many, in each of the three layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, ENCODER_CHANNELS[0], 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(ENCODER_CHANNELS[0])
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                ResidualBlock(before, after, stride), *(ResidualBlock(after, after, 1) for _ in range(count - 1))
            )
            for (before, after), stride, count in zip(pairwise(ENCODER_CHANNELS), (1, 2, 2), blocks, strict=True)
        )
        self.final_conv = nn.Conv2d(ENCODER_CHANNELS[-1], FEATURES, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, 256, H / 8, W / 8)."""
        x = picture.contiguous(memory_format=torch.channels_last)  # faster on CPUs
        x = normed(self.conv1, self.bn1, x).relu_()
        return self.final_conv(self.layer3(self.layer2(self.layer1(x))))


class Refinement(nn.Module):
    """The next hidden state: a ConvNeXt block over all that is known."""

    def __init__(self) -> None:
        super().__init__()
        known, inner = 3 * HIDDEN, 4 * HIDDEN
        self.dwconv = nn.Conv2d(known, known, 7, padding=3, groups=known)
        self.norm = nn.LayerNorm(known, eps=1e-6)
        self.pwconv1, self.pwconv2 = nn.Linear(known, inner), nn.Linear(inner, known)
        self.gamma = nn.Parameter(torch.ones(known))
        self.final = nn.Conv2d(known, HIDDEN, 1)

    def forward(self, hidden: Tensor, context: Tensor, motion: Tensor) -> Tensor:
        """(N, 128, h, w), of three of that shape.

        Between `pwconv2` and `final` everything is linear: made one, they take a third of the products.
        """
        known = torch.cat((hidden, context, motion), dim=1)
        mixed = functional.gelu(self.pwconv1(self.norm(self.dwconv(known).permute(0, 2, 3, 1))))
        final = self.final.weight.flatten(1) * self.gamma
        added = functional.linear(mixed, final @ self.pwconv2.weight, final @ self.pwconv2.bias)
        return self.final(known).add_(added.permute(0, 3, 1, 2))


class UpdateBlock(nn.Module):
    """What is done at every iteration."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MotionEncoder()
        self.refine = nn.ModuleList(Refinement() for _ in range(REFINEMENTS))

    def forward(self, hidden: Tensor, context: Tensor, flow: Tensor, likenesses: Tensor) -> Tensor:
        """The next hidden state."""
        motion = self.encoder(flow, likenesses)
        for refinement in self.refine:
            hidden = refinement(hidden, context, motion)
        return hidden


@dataclass(frozen=True)
class Seen:
    """A frame by itself. What else is known hangs on the other frame as well."""

    image: Tensor  # (N, 3, H, W), -1 to 1
    features: Tensor  # (N, 256, h, w)


class SeaRaft(FlowNetwork[Seen]):
    """The medium network; with 12 iterations it is the large one."""

    side_step: ClassVar[int] = CELL_PX
    least_side: ClassVar[int] = 8 * CELL_PX  # so that the smallest of four sizes has a cell
    bears_half: ClassVar[bool] = True
    iterations: ClassVar[int] = 4
    blocks: ClassVar[tuple[int, int, int]] = (3, 4, 6)

    def __init__(self) -> None:
        super().__init__()
        self.cnet, self.fnet = ResNet(2 * 3, self.blocks), ResNet(3, self.blocks)
        self.init_conv = nn.Conv2d(FEATURES, 2 * HIDDEN, 3, padding=1)
        self.upsample_weight = nn.Sequential(
            nn.Conv2d(HIDDEN, 2 * HIDDEN, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(2 * HIDDEN, 9 * CELL_PX**2, 1)
        )
        self.flow_head = nn.Sequential(
            nn.Conv2d(HIDDEN, 2 * HIDDEN, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * HIDDEN, HEAD_CHANNELS, 3, padding=1),
        )
        self.update_block = UpdateBlock()

    def encode(self, image: Tensor) -> Seen:
        """The features that frames are compared by."""
        scaled = 2 * (image / 255) - 1
        return Seen(scaled, self.fnet(scaled))

    def match(self, first: Seen, second: Seen, options: Options) -> tuple[Estimate, Estimate | None]:
        """Starts from a guess of what both frames look like together, and refines it; both ways as a batch."""
        ways = [(first, second), (second, first)] if options.both else [(first, second)]
        hidden, context = torch.cat([self._context(*way, options) for way in ways]).chunk(2, dim=1)
        here, there = (torch.cat([way[end].features for way in ways]) for end in (0, 1))
        with full_precision(here):
            correlation, cells = Correlation(here, there), cell_places(here)
        flow = self._flow_change(hidden)
        for _ in range(self.iterations if options.iterations is None else options.iterations):
            options.stop()
            with full_precision(flow):
                likenesses = correlation(cells + flow)
            hidden = self.update_block(hidden, context, flow, likenesses)
            flow = flow + self._flow_change(hidden)
        options.stop()
        logits = _MASK_SCALE * self.upsample_weight(hidden).float()
        with full_precision(flow):
            found = [Estimate(each) for each in convex_upsampled(CELL_PX * flow, logits, CELL_PX).chunk(len(ways))]
        return found[0], found[1] if options.both else None

    def _context(self, first: Seen, second: Seen, options: Options) -> Tensor:
        """(N, 256, h, w): the hidden state to begin with, and what stays. One way after the other takes less memory."""
        options.stop()
        return self.init_conv(self.cnet(torch.cat((first.image, second.image), dim=1)))

    def _flow_change(self, hidden: Tensor) -> Tensor:
        """(N, 2, h, w) in cells."""
        return self.flow_head(hidden)[:, :2].float()


class SeaRaftSmall(SeaRaft):
    """The small network."""

    blocks: ClassVar[tuple[int, int, int]] = (2, 2, 2)
