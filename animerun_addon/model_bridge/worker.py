# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model process can do. It owns torch, which no other process of ours imports, and only once it is needed.

How requests come and go is service.py's; start_worker.py begins it as a process.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, ModelError
from . import service
from .protocol import Answer, Array
from .service import Call, Tasks

if TYPE_CHECKING:
    import torch

    from .networks.flow import Estimate, FlowModel
    from .networks.program import ProgramModel

# A file of networks/ and a class in it: nothing else can be named.
_NETWORK = re.compile(r"([a-z][a-z_0-9]*)\.([A-Z][A-Za-z_0-9]*)")

# What belongs to a model in memory: where one of these differs another is loaded.
_CHOICES = ("network", "arguments", "device", "scale", "half", "key_prefix")


class Models:
    """The model that was used last, and the frame it saw last: what comes next is often the same, or its neighbour."""

    def __init__(self, make_room: Callable[[], None] = lambda: None) -> None:
        self._make_room = make_room
        self._key = ""
        self._model: FlowModel[Any] | None = None
        self._device: torch.device | None = None
        self._last_frame: tuple[Array, torch.Tensor] | None = None
        self._last_estimates: tuple[Estimate, Estimate | None] | None = None

    def ping(self, _: Call) -> Answer:
        """Who answers; needs no torch."""
        return Answer({"pid": os.getpid(), "python": platform.python_version(), "executable": sys.executable})

    def devices(self, _: Call) -> Answer:
        """What torch can compute on, the best first."""
        torch = _torch()
        found = [
            {"name": f"cuda:{number}", "title": seen.name, "memory_bytes": seen.total_memory}
            for number in range(torch.cuda.device_count())
            for seen in [torch.cuda.get_device_properties(number)]
        ]
        if torch.backends.mps.is_available():
            found.append({"name": "mps", "title": "Apple GPU", "memory_bytes": None})
        found.append({"name": "cpu", "title": f"Processor, {torch.get_num_threads()} threads", "memory_bytes": None})
        return Answer({"torch": str(torch.__version__), "devices": found})

    def load(self, call: Call) -> Answer:
        """Have a model in memory before it is needed. Options: network, arguments, weights, device; see `flow`."""
        self._load(call)
        return Answer({"device": str(self._device)})

    def flow(self, call: Call) -> Answer:
        """The flow from `first` to `second`, frames (H, W, 3) of 0..255, uint8 or float32, red first.

        Options: network ("raft.Raft": file and class), arguments (its own), weights (a file), device ("auto"), scale
        (the size at which it looks, 1), half (precision), key_prefix (of the file's tensors that are meant), both (the
        flow back as well), iterations (as published), warm (start from the pair before, if this one follows it).
        Arrays of the answer: `forward` and, if asked for, `backward`, float32 (H, W, 2).
        """
        first, second = _frame(call, "first"), _frame(call, "second")
        model = self._load(call)
        try:
            forward, backward = self._estimated(model, first, second, call)
        except BaseException:
            self._forget_frames()
            raise
        made = {"forward": forward, "backward": backward}
        arrays = {name: _as_array(each) for name, each in made.items() if each is not None}
        return Answer({"device": str(self._device)}, arrays)

    def release(self) -> None:
        """Let go of all models and frames, on the graphics card as well."""
        self._forget_frames()
        self._key, self._model, self._device = "", None, None
        if "torch" in sys.modules and (torch := _torch()).cuda.is_available():
            torch.cuda.empty_cache()

    def _estimated(
        self, model: FlowModel[Any], first: Array, second: Array, call: Call
    ) -> tuple[Estimate, Estimate | None]:
        from .networks.flow import Options

        # The very tensor of the last call: by it the model knows that it has that frame's features already.
        known = self._last_frame[1] if self._last_frame and np.array_equal(self._last_frame[0], first) else None
        is_warm = known is not None and bool(call.options.get("warm")) and model.network.starts_warm
        before, before_back = self._last_estimates if is_warm and self._last_estimates else (None, None)
        options = Options(
            both=bool(call.options.get("both", True)),
            iterations=call.options.get("iterations"),
            start=None if before is None else before.coarse,
            start_back=None if before_back is None else before_back.coarse,
            stop=call.stop,
        )
        tensors = self._tensor(first) if known is None else known, self._tensor(second)
        with _stopping_between_layers(model, call):
            estimates = model.estimate(*tensors, options)
        self._last_frame, self._last_estimates = (second.copy(), tensors[1]), estimates
        return estimates

    def _forget_frames(self) -> None:
        self._last_frame = self._last_estimates = None
        if self._model is not None:
            self._model.forget()

    def _load(self, call: Call) -> FlowModel[Any]:
        """The model that the options name: the one in memory, or from its files, which may have changed since."""
        weights = _weights_file(call)
        key = _key(weights, call)
        if self._model is None or key != self._key:
            self.release()  # never two at a time
            self._make_room()
            self._device = _device(str(call.options.get("device", "auto")))
            self._model = self._loaded(weights, call)
            self._key = key
        return self._model

    def _loaded(self, weights: Path, call: Call) -> FlowModel[Any]:
        kind = _network_class(str(call.options.get("network")))
        from .networks.checkpoint import fill
        from .networks.flow import FlowModel

        arguments = call.options.get("arguments", {})
        if hasattr(kind, "of_file"):  # the file brings the network
            network = kind.of_file(weights, self._device, arguments)
        else:
            network = kind(**arguments)
            call.stop()
            fill(network, weights, str(call.options.get("key_prefix", "")))
        call.stop()
        scale, half = float(call.options.get("scale", 1.0)), bool(call.options.get("half"))
        return FlowModel(network.to(self._device), scale, half=half)

    def _tensor(self, frame: Array) -> torch.Tensor:
        """A copy, (1, 3, H, W) float32: the frame's file goes when the request ends."""
        torch = _torch()
        planes = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None]
        return planes.to(self._device, torch.float32, copy=True, memory_format=torch.contiguous_format)


class Programs:
    """The program that was used last: a network of a user's, with the signature that its catalog entry declares."""

    def __init__(self, make_room: Callable[[], None] = lambda: None) -> None:
        self._make_room = make_room
        self._key = ""
        self._model: ProgramModel | None = None

    def run(self, call: Call) -> Answer:
        """All outputs that are declared, from all inputs that are. Options: weights (the file), device ("auto"),
        arguments (format, inputs, outputs, side_step, least_side), times (numbers by input).

        Arrays: frames (H, W, 3) of 0..255, uint8 or float32, red first, and float32 flow (H, W, 2) in pixels; so are
        those of the answer, and maps (H, W, C).
        """
        device = self._load(call)
        assert self._model is not None
        times = call.options.get("times", {})
        given: dict[str, Array | float] = {**call.arrays, **{name: float(value) for name, value in times.items()}}
        return Answer({"device": str(device)}, self._model.run(given, call.stop))

    def release(self) -> None:
        """Let go of the program, on the graphics card as well."""
        self._key, self._model = "", None
        if "torch" in sys.modules and (torch := _torch()).cuda.is_available():
            torch.cuda.empty_cache()

    def _load(self, call: Call) -> torch.device:
        weights = _weights_file(call)
        device, key = _device(str(call.options.get("device", "auto"))), _key(weights, call)
        if self._model is None or key != self._key:
            self.release()
            self._make_room()
            from .networks.program import ProgramModel

            self._model = ProgramModel.of_file(weights, device, call.options.get("arguments", {}))
            self._key = key
            call.stop()
        return device


def tasks() -> Tasks:
    """What can be asked for, with a memory of its own."""
    programs = Programs(lambda: models.release())
    models = Models(programs.release)
    by_name = {
        "ping": models.ping,
        "devices": models.devices,
        "load": models.load,
        "flow": models.flow,
        "run": programs.run,
    }

    def release() -> None:
        models.release()
        programs.release()

    return Tasks(by_name, release)


def main(arguments: list[str]) -> None:
    """The whole life of the process."""
    service.main(arguments, tasks())


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ModelError(
            f"PyTorch cannot be imported by '{sys.executable}' ({error}): install it, or choose another Python"
        ) from error
    return torch


def _weights_file(call: Call) -> Path:
    weights = Path(str(call.options.get("weights", "")))
    if not weights.is_file():
        raise InputError(f"There are no weights at '{weights}': download them, or choose the file")
    return weights


def _key(weights: Path, call: Call) -> str:
    """By which a model in memory is known as the one that is asked for; files may have changed since."""
    stat = weights.stat()
    choices = {name: call.options.get(name) for name in _CHOICES}
    return json.dumps([choices, str(weights), stat.st_mtime_ns, stat.st_size], sort_keys=True)


def _device(name: str) -> torch.device:
    torch = _torch()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"There is no device '{name}' ({reason}): choose another, or 'auto'") from error
    return torch.device(name)


def _network_class(name: str) -> type[Any]:
    _torch()
    from .networks.flow import FlowNetwork

    parts = _NETWORK.fullmatch(name)
    if parts is not None and importlib.util.find_spec(f"{__package__}.networks.{parts[1]}") is not None:
        kind = getattr(importlib.import_module(f"{__package__}.networks.{parts[1]}"), parts[2], None)
        if isinstance(kind, type) and issubclass(kind, FlowNetwork):
            return kind
    raise InputError(f"There is no flow network '{name}': name a file of ours and its class, such as gmflow.GmFlow")


def _frame(call: Call, name: str) -> Array:
    frame = call.arrays.get(name)
    if frame is None or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        shape = "nothing" if frame is None else frame.shape
        raise InputError(f"The {name} frame must be (height, width, 3), not {shape}")
    if frame.dtype not in (np.uint8, np.float32):
        raise InputError(f"The {name} frame must be uint8 or float32, 0 to 255, not {frame.dtype}")
    return frame


def _as_array(estimate: Estimate) -> Array:
    return estimate.flow_px[0].permute(1, 2, 0).float().cpu().numpy()


@contextlib.contextmanager
def _stopping_between_layers(model: FlowModel[Any], call: Call) -> Iterator[None]:
    """Networks look at options.stop between iterations; this looks before every layer as well."""
    hooks = [layer.register_forward_pre_hook(lambda *_: call.stop()) for layer in model.network.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
