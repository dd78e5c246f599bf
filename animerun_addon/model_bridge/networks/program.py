# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that bring their own network as a TorchScript or torch.export file, with the signature that a user declared.

Ours are files of their own beside this one. What a signature may say is model_entry.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ...errors import InputError, ModelError
from ..model_entry import Channels, Format, Kind, Port, Signature
from .flow import Estimate, FlowNetwork, Options, Stop

Array = npt.NDArray[Any]
Compute = Callable[..., Any]

_WHITE = 255.0


class Program:
    """A file's network behind its declared signature: takes and gives what all of ours do."""

    def __init__(self, path: Path, device: torch.device, signature: Signature) -> None:
        self.inputs, self.outputs = signature.inputs, signature.outputs
        self._path = path
        self._compute = _loaded(path, signature.form, device)

    @torch.inference_mode()
    def __call__(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """From frames (N, 3, H, W) 0..255, red first, flow (N, 2, H, W) in pixels and times to what is declared."""
        try:
            made = self._compute(*(_as_declared(given[port.name], port) for port in self.inputs))
        except (RuntimeError, TypeError, ValueError, AssertionError, torch.jit.Error) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise ModelError(
                f"'{self._path}' refuses what its entry declares ({_last_line(error)}): compare inputs and side_step "
                "with how it was made; a torch.export file takes frames of any size only if its sides are dynamic"
            ) from error
        return {port.name: _as_ours(tensor, port) for port, tensor in zip(self.outputs, self._all(made), strict=True)}

    def _all(self, made: Any) -> list[Tensor]:
        """The outputs in their declared order."""
        if isinstance(made, Mapping) and all(port.name in made for port in self.outputs):
            made = [made[port.name] for port in self.outputs]
        tensors = [made] if isinstance(made, Tensor) else list(made) if isinstance(made, (tuple, list)) else []
        if len(tensors) != len(self.outputs) or not all(isinstance(each, Tensor) for each in tensors):
            raise ModelError(
                f"'{self._path}' gives {_described(made)}, but its entry declares {len(self.outputs)} outputs: "
                "let [[outputs]] name all of them, in order"
            )
        for port, tensor in zip(self.outputs, tensors, strict=True):
            channels = _CHANNELS.get(port.kind)
            if channels is not None and (tensor.ndim != 4 or tensor.shape[1] != channels):
                raise ModelError(
                    f"'{self._path}' gives {_described(tensor)} as '{port.name}', which is no {port.kind} "
                    f"(N, {channels}, height, width): mend the order of [[outputs]]"
                )
        return tensors


_CHANNELS = {Kind.FRAME: 3, Kind.FLOW: 2}


class ProgramModel:
    """A program behind frames of any size."""

    def __init__(self, program: Program, device: torch.device, side_step: int, least_side: int) -> None:
        self._program = program
        self._device = device
        self._side_step = side_step
        self._least_side = least_side

    @classmethod
    def of_file(cls, path: Path, device: torch.device, arguments: Mapping[str, Any]) -> ProgramModel:
        """As worker.py asks for it."""
        signature = Signature.of(arguments)
        return cls(Program(path, device, signature), device, signature.side_step, signature.least_side)

    def run(self, given: Mapping[str, Array | float], stop: Stop) -> dict[str, Array]:
        """From frames (H, W, 3), flow (H, W, 2) and times to arrays of these kinds; maps (H, W, C), or as they are."""
        for port in self._program.inputs:
            _check(given.get(port.name), port)
        height, width = _size_of(given)
        left, right = _padding(width, self._side_step, self._least_side)
        top, bottom = _padding(height, self._side_step, self._least_side)
        padding = (left, right, top, bottom)
        tensors = {name: self._tensor(value, padding) for name, value in given.items()}
        stop()
        made = self._program(tensors)
        stop()
        padded = top + height + bottom, left + width + right
        return {name: _as_array(tensor, padded, (top, left, height, width)) for name, tensor in made.items()}

    def forget(self) -> None:
        """Nothing is kept of frames."""

    def _tensor(self, value: Array | float, padding: tuple[int, int, int, int]) -> Tensor:
        if not isinstance(value, np.ndarray):
            return torch.full((1, 1, 1, 1), float(value), device=self._device)
        planes = torch.from_numpy(np.ascontiguousarray(value)).permute(2, 0, 1)[None]
        return functional.pad(planes.to(self._device, torch.float32), padding, mode="replicate")


class ProgramFlow(FlowNetwork[Tensor]):
    """A program for flow, where our own networks can be: frames are scaled, padded and kept in order by FlowModel."""

    def __init__(self, program: Program, side_step: int, least_side: int) -> None:
        super().__init__()
        self.side_step, self.least_side = side_step, least_side  # type: ignore[misc]  # the class's, of this one file
        self._run = program
        self._gives_both = any(port.name == "backward" for port in program.outputs)

    @classmethod
    def of_file(cls, path: Path, device: torch.device, arguments: Mapping[str, Any]) -> ProgramFlow:
        """As worker.py asks for it."""
        signature = Signature.of(arguments)
        return cls(Program(path, device, signature), signature.side_step, signature.least_side)

    def encode(self, image: Tensor) -> Tensor:
        """Only the program knows how, and that from both frames."""
        return image

    def match(self, first: Tensor, second: Tensor, options: Options) -> tuple[Estimate, Estimate | None]:
        """The program's flow; the way back, if it has no output for it, with the frames swapped."""
        made = self._run({"first": first, "second": second})
        options.stop()
        if not options.both:
            return Estimate(made["forward"]), None
        back = made["backward"] if self._gives_both else self._run({"first": second, "second": first})["forward"]
        return Estimate(made["forward"]), Estimate(back)


def _loaded(path: Path, form: Format, device: torch.device) -> Compute:
    """Loading TorchScript runs nothing of Python's; of torch.export that cannot be said (see docs/models.md)."""
    try:
        if form is Format.TORCHSCRIPT:
            return torch.jit.load(path, map_location=device).eval()  # type: ignore[no-untyped-call]
        exported = torch.export.load(path)
        if device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            exported = move_to_device_pass(exported, device)
        return exported.module()
    except Exception as error:  # torch raises anything for files that are none
        raise InputError(f"'{path}' cannot be loaded as {form} ({_last_line(error)}): make it anew") from error


def _as_declared(tensor: Tensor, port: Port) -> Tensor:
    """In the model's numbers."""
    if port.kind is Kind.FLOW:
        return tensor / port.pixels
    if port.kind is not Kind.FRAME:
        return tensor
    ordered = tensor.flip(1) if port.channels is Channels.BGR else tensor
    return ordered * ((port.white - port.black) / _WHITE) + port.black


def _as_ours(tensor: Tensor, port: Port) -> Tensor:
    """In our numbers; pictures are not cut off at black and white."""
    if port.kind is Kind.FLOW:
        return tensor.float() * port.pixels
    if port.kind is not Kind.FRAME:
        return tensor
    ordered = tensor.flip(1) if port.channels is Channels.BGR else tensor
    return (ordered.float() - port.black) * (_WHITE / (port.white - port.black))


def _check(value: Array | float | None, port: Port) -> None:
    """Whether this is what the port takes; a flow or a frame of a wrong shape would come out as anything."""
    channels = _CHANNELS.get(port.kind)
    if channels is None:
        if value is None or isinstance(value, np.ndarray):
            raise InputError(f"'{port.name}' has to be a number between 0 and 1")
        return
    if not isinstance(value, np.ndarray) or value.ndim != 3 or value.shape[2] != channels or 0 in value.shape:
        shape = value.shape if isinstance(value, np.ndarray) else "nothing" if value is None else "a number"
        raise InputError(f"'{port.name}' has to be a {port.kind} (height, width, {channels}), not {shape}")


def _size_of(given: Mapping[str, Array | float]) -> tuple[int, int]:
    """Height and width, the same of all pictures."""
    sizes = {name: value.shape[:2] for name, value in given.items() if isinstance(value, np.ndarray)}
    height, width = next(iter(sizes.values()))
    for name, size in sizes.items():
        if size != (height, width):
            raise InputError(
                f"'{name}' is {size[1]} x {size[0]}, the rest {width} x {height}: render or scale them alike"
            )
    return height, width


def _padding(side: int, step: int, least: int) -> tuple[int, int]:
    """What is added before and behind."""
    extra = -(-max(side, least) // step) * step - side
    return extra // 2, extra - extra // 2


def _as_array(tensor: Tensor, padded: tuple[int, int], kept: tuple[int, int, int, int]) -> Array:
    """(H, W, C) without the padding; a map of another size whole."""
    if tensor.ndim == 4 and tensor.shape[-2:] == padded:
        top, left, height, width = kept
        tensor = tensor[..., top : top + height, left : left + width]
    array: Array = (tensor[0].permute(1, 2, 0) if tensor.ndim == 4 else tensor).float().cpu().numpy()
    return np.ascontiguousarray(array)


def _described(made: Any) -> str:
    if isinstance(made, Tensor):
        return f"an array {tuple(made.shape)}"
    return f"{len(made)} outputs" if isinstance(made, (tuple, list, Mapping)) else f"a {type(made).__name__}"


def _last_line(error: Exception) -> str:
    """TorchScript's errors begin with the way to where they are."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
