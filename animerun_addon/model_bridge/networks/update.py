# SPDX-License-Identifier: GPL-3.0-or-later
"""What the RAFT family does at every iteration: the motion encoder, the gated units and the heads that read them.

Which network has which of them is its own file's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

Padding = tuple[int, int]


class MotionEncoder(nn.Module):
    """Likenesses and the flow that they were looked up with into 128 channels of motion."""

    def __init__(self, likenesses: int = 4 * 81) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(likenesses, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 128, 7, padding=3)
        self.convf2 = nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(256, 126, 3, padding=1)

    def forward(self, flow: Tensor, likenesses: Tensor) -> Tensor:
        """(N, 128, h, w); the last two channels are the flow (N, 2, h, w) itself, in cells."""
        seen = self.convc2(self.convc1(likenesses).relu_()).relu_()
        moved = self.convf2(self.convf1(flow).relu_()).relu_()
        return torch.cat([self.conv(torch.cat([seen, moved], 1)).relu_(), flow], 1)


class SmallMotionEncoder(nn.Module):
    """The small network's: 82 channels."""

    def __init__(self, likenesses: int = 4 * 49) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(likenesses, 96, 1)
        self.convf1 = nn.Conv2d(2, 64, 7, padding=3)
        self.convf2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv = nn.Conv2d(128, 80, 3, padding=1)

    def forward(self, flow: Tensor, likenesses: Tensor) -> Tensor:
        """(N, 82, h, w); the last two channels are the flow (N, 2, h, w) itself, in cells."""
        seen = self.convc1(likenesses).relu_()
        moved = self.convf2(self.convf1(flow).relu_()).relu_()
        return torch.cat([self.conv(torch.cat([seen, moved], 1)).relu_(), flow], 1)


class FlowHead(nn.Module):
    """How the flow should change, in cells."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(hidden, inner, 3, padding=1)
        self.conv2 = nn.Conv2d(inner, 2, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, 2, h, w) of the hidden state (N, hidden, h, w)."""
        return self.conv2(self.conv1(hidden).relu_())


@dataclass(frozen=True)
class GatedStep:
    """A convolutional gated unit whose inputs are the hidden state, a context that stays, and what changes.

    The context's share of every convolution is computed once a pair instead of once an iteration.
    """

    gates_kernel: Tensor  # of both gates: (2 * hidden, hidden + changing, kh, kw)
    candidate_kernel: Tensor
    gates_base: Tensor  # the context's share and the bias: (N, 2 * hidden, h, w)
    candidate_base: Tensor
    padding: Padding

    def __call__(self, hidden: Tensor, changing: Tensor) -> Tensor:
        """The next hidden state (N, hidden, h, w)."""
        gates = functional.conv2d(torch.cat([hidden, changing], 1), self.gates_kernel, padding=self.padding)
        update, reset = gates.add_(self.gates_base).sigmoid_().chunk(2, 1)
        inputs = torch.cat([reset * hidden, changing], 1)
        candidate = functional.conv2d(inputs, self.candidate_kernel, padding=self.padding)
        return torch.lerp(hidden, candidate.add_(self.candidate_base).tanh_(), update)


def gated_step(update: nn.Conv2d, reset: nn.Conv2d, candidate: nn.Conv2d, context: Tensor) -> GatedStep:
    """Of the published unit's three convolutions, for one context (N, C, h, w)."""
    hidden, known = update.out_channels, context.shape[1]
    assert update.bias is not None
    assert reset.bias is not None
    padding = update.kernel_size[0] // 2, update.kernel_size[1] // 2

    def cut(kernel: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        changing = torch.cat([kernel[:, :hidden], kernel[:, hidden + known :]], 1)
        return changing, functional.conv2d(context, kernel[:, hidden : hidden + known], bias, padding=padding)

    gates_kernel, gates_base = cut(torch.cat([update.weight, reset.weight]), torch.cat([update.bias, reset.bias]))
    candidate_kernel, candidate_base = cut(candidate.weight, candidate.bias)
    return GatedStep(gates_kernel, candidate_kernel, gates_base, candidate_base, padding)


def through(steps: Sequence[GatedStep], hidden: Tensor, changing: Tensor) -> Tensor:
    """The hidden state after all steps of one iteration."""
    for step in steps:
        hidden = step(hidden, changing)
    return hidden


class Gru(nn.Module, ABC):
    """The convolutions of a gated unit."""

    @abstractmethod
    def steps(self, context: Tensor) -> list[GatedStep]:
        """What to do at every iteration with one context (N, C, h, w)."""


class SeparableGru(Gru):
    """Along the rows first, then along the columns."""

    def __init__(self, hidden: int, inputs: int) -> None:
        super().__init__()
        self.convz1, self.convr1, self.convq1 = _gates(hidden, inputs, (1, 5))
        self.convz2, self.convr2, self.convq2 = _gates(hidden, inputs, (5, 1))

    def steps(self, context: Tensor) -> list[GatedStep]:
        """Two, one for each direction."""
        return [
            gated_step(self.convz1, self.convr1, self.convq1, context),
            gated_step(self.convz2, self.convr2, self.convq2, context),
        ]


class SmallGru(Gru):
    """All around in one step."""

    def __init__(self, hidden: int, inputs: int) -> None:
        super().__init__()
        self.convz, self.convr, self.convq = _gates(hidden, inputs, (3, 3))

    def steps(self, context: Tensor) -> list[GatedStep]:
        """One."""
        return [gated_step(self.convz, self.convr, self.convq, context)]


def _gates(hidden: int, inputs: int, kernel: tuple[int, int]) -> Iterator[nn.Conv2d]:
    padding = kernel[0] // 2, kernel[1] // 2
    return (nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding) for _ in range(3))
