# SPDX-License-Identifier: GPL-3.0-or-later
"""Models for everybody else: ask for something, wait for it or cancel it. Works in Blender and in plain Python alike.

Who answers is another file's: a process with torch (supervisor.py), or this one (in_process.py). No bpy.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from .in_process import InProcess
from .model_entry import Signature
from .protocol import Answer, Array
from .reply import Reply
from .supervisor import Limits, Supervisor
from .worker_python import WorkerPython

START_WORKER = Path(__file__).with_name("start_worker.py")

# What is to be closed when this program ends, also where its client was forgotten and is no more.
_open: set[InProcess | Supervisor] = set()


@dataclass(frozen=True)
class FlowChoice:
    """A flow network with weights on a device, as worker.py takes them."""

    network: str  # a file of networks/ and a class in it: "gmflow.GmFlow"
    weights: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of the class
    device: str = "auto"
    scale: float = 1.0  # the size at which frames are looked at
    half: bool = False  # half precision, of networks that bear it
    key_prefix: str = ""  # before the names of the tensors that are meant, in a file of a larger network

    def options(self) -> dict[str, Any]:
        """As words of a request."""
        return {
            "network": self.network,
            "weights": str(self.weights),
            "arguments": dict(self.arguments),
            "device": self.device,
            "scale": self.scale,
            "half": self.half,
            "key_prefix": self.key_prefix,
        }


@dataclass(frozen=True)
class ProgramChoice:
    """A program of a user's on a device, as worker.py takes it."""

    file: Path
    signature: Signature
    device: str = "auto"

    def options(self) -> dict[str, Any]:
        """As words of a request."""
        return {"weights": str(self.file), "arguments": self.signature.plain(), "device": self.device}


class ModelClient:
    """Any thread may use it. Nothing is started before the first request; close it, or leave that to the program's end.

    `python` is one that has torch, this one unless told (environment.py installs one). `in_process` does everything in
    a thread of this process: for scripts, not for Blender. `program` is what the process runs, ours unless told.

    `threaded` False does without any thread: then requests proceed while somebody looks at a reply, or calls `look`.
    In Blender 4.5 and 5.0 it has to be so: they die now and then when a thread runs while they evaluate drivers.
    """

    def __init__(
        self,
        python: WorkerPython | Path | str | None = None,
        *,
        in_process: bool = False,
        threaded: bool | None = None,
        program: Path = START_WORKER,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        if threaded is None:
            threaded = sys.version_info >= (3, 12) or "bpy" not in sys.modules
        self._answerer: InProcess | Supervisor
        if in_process:
            from . import worker

            self._answerer = InProcess(worker.tasks(), limits.array_bytes, limits.stop_s)
        else:
            if not isinstance(python, WorkerPython):
                python = WorkerPython(Path(python or sys.executable))
            self._answerer = Supervisor(python, program, limits, threaded=threaded)
        _open.add(self._answerer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def request(
        self, task: str, options: Mapping[str, object] | None = None, arrays: Mapping[str, Array] | None = None
    ) -> Reply:
        """Ask for something without waiting for it. `options` are plain numbers, texts and lists."""
        return self._answerer.ask(task, options or {}, arrays or {})

    def call(
        self,
        task: str,
        options: Mapping[str, object] | None = None,
        arrays: Mapping[str, Array] | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Ask and wait; when the waiting is interrupted (Ctrl C) the request is cancelled."""
        reply = self.request(task, options, arrays)
        try:
            return reply.result(timeout_s)
        finally:
            reply.cancel()

    def load(self, choice: FlowChoice) -> Reply:
        """Have a model in memory before it is needed."""
        return self.request("load", choice.options())

    def flow(
        self,
        choice: FlowChoice,
        first: Array,
        second: Array,
        *,
        both: bool = True,
        iterations: int | None = None,
        warm: bool = False,
    ) -> Reply:
        """The flow between two frames (H, W, 3) of 0..255, uint8 or float32, red first.

        The answer's arrays are `forward` and, if it is asked for, `backward`: float32 (H, W, 2), pixels right and down,
        known everywhere. A sequence asked for pair by pair encodes each frame once; with `warm` the pair before is
        started from, by networks that can.
        """
        options = {**choice.options(), "both": both, "iterations": iterations, "warm": warm}
        return self.request("flow", options, {"first": first, "second": second})

    def run(self, choice: ProgramChoice, given: Mapping[str, Array | float]) -> Reply:
        """A user's program: what its entry in the catalog declares as inputs, by name, frames and flow as in `flow`,
        times as numbers. The answer's arrays are its outputs, by name.
        """
        arrays = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
        times = {name: float(value) for name, value in given.items() if not isinstance(value, np.ndarray)}
        return self.request("run", {**choice.options(), "times": times}, arrays)

    def look(self) -> None:
        """Without threads: see to what has happened since the last look. With threads this does nothing."""
        self._answerer.look(0.0)

    def close(self) -> None:
        """End every request and the process; twice does no harm."""
        _open.discard(self._answerer)
        self._answerer.close()


@atexit.register
def _close_all() -> None:
    for answerer in list(_open):
        answerer.close()


if hasattr(os, "register_at_fork"):
    # A forked child has no part in its parent's processes and files.
    os.register_at_fork(after_in_child=_open.clear)
