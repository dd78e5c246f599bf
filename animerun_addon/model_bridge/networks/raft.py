# SPDX-License-Identifier: GPL-3.0-or-later
"""RAFT (Teed and Deng 2020), large and small, under the names of the published files.

What GMA, built on it, does otherwise is gma.py's; parts of several networks have files of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .correlation import Correlation, cell_places
from .encoder import BottleneckBlock, Encoder, ResidualBlock, no_norm
from .flow import Estimate, FlowNetwork, Options, Stop, full_precision
from .update import FlowHead, Gru, MotionEncoder, SeparableGru, SmallGru, SmallMotionEncoder, through
from .upsampling import convex_upsampled
from .warm_start import start_of

CELL_PX = 8
LARGE_WIDTHS = (64, 64, 96, 128)
SMALL_WIDTHS = (32, 32, 64, 96)
# The published files' mask is this much too sharp, which balanced gradients while it was learnt.
_MASK_SCALE = 0.25

# (hidden state, flow, likenesses found with it) -> next hidden state
Iteration = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass
class Seen:
    """A frame by itself. What is known of flow that starts from it is worked out when there is one, and kept."""

    image: Tensor  # (N, 3, H, W), -1 to 1
    features: Tensor  # (N, C, h, w)
    context: Tensor | None = None  # (N, hidden + context, h, w)


class UpdateBlock(nn.Module, ABC):
    """What is done at every iteration."""

    def __init__(self, encoder: nn.Module, gru: Gru, flow_head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.gru, self.flow_head = encoder, gru, flow_head

    def begun(self, context: Tensor) -> Iteration:
        """An iteration for one context (N, C, h, w)."""
        steps = self.gru.steps(context)
        return lambda hidden, flow, likenesses: through(steps, hidden, self.encoder(flow, likenesses))

    @abstractmethod
    def upsampled(self, flow_px: Tensor, hidden: Tensor) -> Tensor:
        """The flow (N, 2, 8 * h, 8 * w) of pixels out of that (N, 2, h, w) of cells, both measured in pixels."""


class RecurrentFlow(FlowNetwork[Seen]):
    """Flow that starts at zero and is looked up, changed, looked up again: all but the networks' own layers."""

    side_step: ClassVar[int] = CELL_PX
    least_side: ClassVar[int] = 8 * CELL_PX  # so that the smallest of four sizes has a cell
    starts_warm: ClassVar[bool] = True
    bears_half: ClassVar[bool] = True
    iterations: ClassVar[int] = 12
    radius: ClassVar[int] = 4
    hidden: ClassVar[int] = 128

    def __init__(self, fnet: nn.Module, cnet: nn.Module, update_block: UpdateBlock) -> None:
        super().__init__()
        self.fnet, self.cnet, self.update_block = fnet, cnet, update_block

    def begun(self, context: Tensor, stop: Stop) -> Iteration:
        """An iteration for one context (N, C, h, w), which may look at `stop` more often than once."""
        return self.update_block.begun(context)

    def encode(self, image: Tensor) -> Seen:
        """The features that frames are compared by."""
        scaled = 2 * (image / 255) - 1
        return Seen(scaled, self.fnet(scaled))

    def match(self, first: Seen, second: Seen, options: Options) -> tuple[Estimate, Estimate | None]:
        """Both ways go side by side, as a batch."""
        ways = [(first, second), (second, first)] if options.both else [(first, second)]
        known = torch.cat([self._context(one, options.stop) for one, _ in ways])
        hidden, context = known[:, : self.hidden].tanh(), known[:, self.hidden :].relu()
        here, there = (torch.cat([way[end].features for way in ways]) for end in (0, 1))
        with full_precision(here):
            correlation = Correlation(here, there, self.radius)
        iteration = self.begun(context, options.stop)
        flow, cells = start_of(here, options), cell_places(here)
        for _ in range(options.iterations or self.iterations):
            options.stop()
            with full_precision(flow):
                likenesses = correlation(cells + flow)
            hidden = iteration(hidden, flow, likenesses)
            flow = flow + self.update_block.flow_head(hidden).float()
        full_px = self.update_block.upsampled(CELL_PX * flow, hidden)
        found = [Estimate(*each) for each in zip(full_px.chunk(len(ways)), flow.chunk(len(ways)), strict=True)]
        return found[0], found[1] if options.both else None

    def _context(self, frame: Seen, stop: Stop) -> Tensor:
        if frame.context is None:
            stop()
            frame.context = self.cnet(frame.image)
        return frame.context


class Raft(RecurrentFlow):
    """The large network."""

    def __init__(self) -> None:
        super().__init__(
            Encoder(ResidualBlock, LARGE_WIDTHS, 256, nn.InstanceNorm2d),
            Encoder(ResidualBlock, LARGE_WIDTHS, 256, nn.BatchNorm2d),
            LargeUpdateBlock(),
        )


class LargeUpdateBlock(UpdateBlock):
    """A hidden state of 128 channels, a gated unit with `inputs`, and weights for the upsampling."""

    def __init__(self, inputs: int = 128 + 128) -> None:
        super().__init__(MotionEncoder(), SeparableGru(128, inputs), FlowHead(128, 256))
        self.mask = nn.Sequential(nn.Conv2d(128, 256, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(256, 9 * 64, 1))

    def upsampled(self, flow_px: Tensor, hidden: Tensor) -> Tensor:
        """By learned weights, which nothing needs before the last iteration."""
        logits = _MASK_SCALE * self.mask(hidden).float()
        with full_precision(flow_px):
            return convex_upsampled(flow_px, logits, CELL_PX)


class RaftSmall(RecurrentFlow):
    """The small network."""

    radius: ClassVar[int] = 3
    hidden: ClassVar[int] = 96

    def __init__(self) -> None:
        super().__init__(
            Encoder(BottleneckBlock, SMALL_WIDTHS, 128, nn.InstanceNorm2d),
            Encoder(BottleneckBlock, SMALL_WIDTHS, 96 + 64, no_norm),
            SmallUpdateBlock(),
        )


class SmallUpdateBlock(UpdateBlock):
    """A hidden state of 96 channels; flow is blown up as it is."""

    def __init__(self) -> None:
        super().__init__(SmallMotionEncoder(), SmallGru(96, 64 + 82), FlowHead(96, 128))

    def upsampled(self, flow_px: Tensor, hidden: Tensor) -> Tensor:
        """So that corners stay on corners, as published."""
        size = [side * CELL_PX for side in hidden.shape[-2:]]
        return functional.interpolate(flow_px, size, mode="bilinear", align_corners=True)
