# SPDX-License-Identifier: GPL-3.0-or-later
"""What all optical-flow networks have in common, and the one place where frames are made to fit them.

What a network computes is its own file's; where weights come from is weights.py's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import InputError

Features = TypeVar("Features")

# Called between layers and iterations; raises what ends the work.
Stop = Callable[[], None]


def never() -> None:
    """Of work that nobody stops."""


@dataclass(frozen=True)
class Estimate:
    """Flow from one frame to another, pixels, u right and v down; unlike in files, known everywhere."""

    flow_px: Tensor  # (N, 2, H, W) float32; out of a network perhaps coarser, but in pixels of the frames it got
    coarse: Tensor | None = None  # what the next pair of a sequence may start from, if the network can


@dataclass(frozen=True)
class Options:
    """How to go about one pair."""

    both: bool = True  # the flow back as well
    iterations: int | None = None  # None: as published
    start: Tensor | None = None  # the coarse flow of the pair before, of networks that can start warm
    stop: Stop = never
    start_back: Tensor | None = None  # of the pair before as well: its coarse flow back


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """Within it nothing on that tensor's device is cut to half precision, whatever is asked for around it."""
    return _precision(like.device.type, half=False)


def _precision(device: str, *, half: bool) -> AbstractContextManager[object]:
    if torch.amp.is_autocast_available(device):
        return torch.autocast(device, enabled=half)
    if half:
        raise InputError(f"There is no half precision on '{device}': turn it off, or choose another device")
    return nullcontext()


class FlowNetwork(nn.Module, ABC, Generic[Features]):
    """Frames come as float32 (N, 3, H, W) in 0..255, red first, with sides that fit."""

    side_step: ClassVar[int] = 8  # both sides are multiples of this
    least_side: ClassVar[int] = 64  # and no smaller
    resize_step: ClassVar[int] = 1  # frames are stretched to multiples of this, after padding
    starts_warm: ClassVar[bool] = False
    bears_half: ClassVar[bool] = False  # its layers may run in half precision, what needs more takes it

    @staticmethod
    def under_our_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights out of a file that perhaps has other names for them."""
        return state

    @abstractmethod
    def encode(self, image: Tensor) -> Features:
        """What can be known of a frame without the other one: done once a frame of a sequence."""

    @abstractmethod
    def match(self, first: Features, second: Features, options: Options) -> tuple[Estimate, Estimate | None]:
        """The flow from the first to the second frame, and back if that is asked for."""


class FlowModel(Generic[Features]):
    """A network behind frames of any size: scales, pads and stretches them, keeps what it encoded of the last one, and
    undoes on the flow what was done to the frames.
    """

    def __init__(self, network: FlowNetwork[Features], scale: float = 1.0, *, half: bool = False) -> None:
        """`scale`: the size at which frames are looked at; at 0.5 it takes a quarter of the time and the memory.

        `half`: in half precision, as the RAFT family was evaluated on GPUs; flow then differs by hundredths of itself.
        """
        if half and not network.bears_half:
            raise InputError(f"{type(network).__name__} needs full precision: turn half precision off")
        self.network = network.eval()
        self._scale = scale
        self._half = half
        self._last: tuple[Tensor, Features] | None = None

    @torch.inference_mode()
    def estimate(self, first: Tensor, second: Tensor, options: Options) -> tuple[Estimate, Estimate | None]:
        """Of frames (N, 3, H, W) in 0..255. The second frame's features wait for being the next pair's first."""
        height, width = first.shape[-2:]
        if first.shape != second.shape:
            raise InputError(
                f"The frames differ in size, {_size(first)} and {_size(second)}: render or scale them alike"
            )
        with _precision(first.device.type, half=self._half):
            features = self._encoded(first, options.stop), self._encoded(second, options.stop)
            self._last = second, features[1]
            forward, backward = self.network.match(*features, options)
        cut = [
            None if each is None else Estimate(self._restored(each.flow_px, height, width), each.coarse)
            for each in (forward, backward)
        ]
        assert cut[0] is not None
        return cut[0], cut[1]

    def forget(self) -> None:
        """Let the last frame's features go."""
        self._last = None

    def _encoded(self, image: Tensor, stop: Stop) -> Features:
        stop()
        if self._last is not None and self._last[0] is image:
            return self._last[1]
        image = _resized(image, self._scaled(*image.shape[-2:]))
        left, right, top, bottom = self._padding(*image.shape[-2:])
        padded = functional.pad(image, (left, right, top, bottom), mode="replicate")
        return self.network.encode(_resized(padded, self._stretched(*padded.shape[-2:])))

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        return max(int(height * self._scale), 1), max(int(width * self._scale), 1)

    def _padding(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Left, right, top, bottom: half on each side, as the published Sintel evaluation does it."""
        step, least = self.network.side_step, self.network.least_side
        extra_x, extra_y = (max(least, -(-side // step) * step) - side for side in (width, height))
        return extra_x // 2, extra_x - extra_x // 2, extra_y // 2, extra_y - extra_y // 2

    def _stretched(self, height: int, width: int) -> tuple[int, int]:
        """The size at which the network sees padded frames."""
        step = self.network.resize_step
        return -(-height // step) * step, -(-width // step) * step

    def _restored(self, flow_px: Tensor, height: int, width: int) -> Tensor:
        """A network's flow at the size of the frames, and in their pixels."""
        size = height, width
        scaled_size = self._scaled(height, width)
        left, right, top, bottom = self._padding(*scaled_size)
        padded_size = top + scaled_size[0] + bottom, left + scaled_size[1] + right
        seen_size = self._stretched(*padded_size)
        cut = _resized(flow_px, padded_size)[..., top : padded_size[0] - bottom, left : padded_size[1] - right]
        restored = _resized(cut, size)
        if size == scaled_size and padded_size == seen_size:
            return restored
        y_scale, x_scale = (
            padded / seen * given / scaled
            for padded, seen, given, scaled in zip(padded_size, seen_size, size, scaled_size, strict=True)
        )
        return restored * restored.new_tensor((x_scale, y_scale))[:, None, None]


def _resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Stretched bilinearly, as all the published networks do it: pixels are areas, nothing is averaged."""
    if picture.shape[-2:] == size:
        return picture
    return functional.interpolate(picture, size, mode="bilinear", align_corners=False)


def _size(picture: Tensor) -> str:
    return f"{picture.shape[-1]} x {picture.shape[-2]}"
