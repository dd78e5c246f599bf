# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever estimates flow, behind one face: OpenCV's algorithm in this process, networks in theirs. No bpy, no torch.

Which there are says the catalog; what is done with their flow, model_run.py.
"""

from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..dataset.formats import Float32
from ..dataset.items import UInt8
from ..errors import InputError
from ..model_bridge.catalog import Catalog
from ..model_bridge.choices import flow_choice
from ..model_bridge.classical import classical_flow
from ..model_bridge.client import FlowChoice, ModelClient
from ..model_bridge.existing_python import existing_python_steps
from ..model_bridge.file_checks import fingerprint_steps
from ..model_bridge.model_entry import Classical, Model, Task, Weights
from ..model_bridge.weights import Cache
from ..model_bridge.worker_python import WorkerPython
from ..progress import Progress, Steps

# Flow (H, W, 2) in pixels, there and back; no way back if none was asked for.
BothWays = tuple[Float32, Float32 | None]


class FlowModel(ABC):
    """Estimates flow; to be closed. `described` is what tells its flow from that of others."""

    described: dict[str, Any]

    @abstractmethod
    def steps(self, first: UInt8, second: UInt8, progress: Progress, *, both: bool) -> Steps[BothWays]:
        """The flow between two frames (H, W, 3), red first; tells this progress meanwhile."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


class ClassicalModel(FlowModel):
    """The catalog's algorithm without a network."""

    def __init__(self, model: Model) -> None:
        self.described = {"name": model.name}

    def steps(self, first: UInt8, second: UInt8, progress: Progress, *, both: bool) -> Steps[BothWays]:
        """As FlowModel says; both ways cost the same as one."""
        yield progress
        found = classical_flow(first, second)
        return found.forward.flow_px, found.backward.flow_px if both else None

    def close(self) -> None:
        """It holds nothing."""


class NetworkModel(FlowModel):
    """A network, or a user's program, in a process with torch."""

    def __init__(
        self, described: dict[str, Any], choice: FlowChoice, client: ModelClient, iterations: int | None = None
    ) -> None:
        self.described = {**described, "iterations": iterations}
        self._choice = choice
        self._client = client
        self._iterations = iterations

    def steps(self, first: UInt8, second: UInt8, progress: Progress, *, both: bool) -> Steps[BothWays]:
        """As FlowModel says; closing the steps cancels the request."""
        reply = self._client.flow(self._choice, first, second, both=both, iterations=self._iterations)
        answer = yield from reply.steps(progress)
        return answer.arrays["forward"], answer.arrays["backward"] if both else None

    def close(self) -> None:
        """End the process."""
        self._client.close()


def flow_model_steps(
    name: str,
    catalog: Catalog,
    cache: Cache,
    *,
    file: Path | None = None,
    python: WorkerPython | Path | None = None,
    iterations: int | None = None,
    device: str = "auto",
) -> Steps[FlowModel]:
    """The model of that name, `raft` or `raft/sintel`, with weights of the cache or of a file of the user's.

    `python` is one that has torch, this one unless told; one of the user's, a program or the folder of a virtual
    environment, is asked first whether it does. Nothing is loaded yet.
    """
    model, weights = _named(name, catalog)
    if isinstance(model.runs, Classical):
        if file is not None or iterations is not None:
            raise InputError(f"'{model.name}' has neither weights nor iterations: leave them out, or name a network")
        yield Progress(0, 1, model.title)
        return ClassicalModel(model)
    if iterations is not None and iterations < 1:
        raise InputError(f"{iterations} iterations lead nowhere: give 1 or more")
    assert weights is not None
    path = _weights_file(model, weights, cache, file)
    if isinstance(python, Path):
        python, _ = yield from existing_python_steps(python)
    python = python or this_python()
    fingerprint = yield from fingerprint_steps(path)
    choice = flow_choice(model, weights, path, device)
    described = {"name": model.name, "sha256": fingerprint.sha256, "scale": choice.scale}
    return NetworkModel(described, choice, ModelClient(python), iterations)


def this_python() -> WorkerPython:
    """The Python that runs this, if it has torch."""
    if not sys.executable or importlib.util.find_spec("torch") is None:
        raise InputError(
            "Networks need PyTorch, which this Python does not have: name one that has it (--python PATH), or take the "
            "model 'classical', which needs none"
        )
    return WorkerPython(Path(sys.executable))


def _named(name: str, catalog: Catalog) -> tuple[Model, Weights | None]:
    models = {model.name: model for model in catalog.for_task(Task.FLOW)}
    model_name, slash, weights_name = name.partition("/")
    if model_name not in models:
        problems = f". Not read: {'; '.join(catalog.problems)}" if catalog.problems else ""
        raise InputError(f"There is no flow model '{model_name}': there are {', '.join(sorted(models))}{problems}")
    model = models[model_name]
    if isinstance(model.runs, Classical) and not slash:
        return model, None
    return model, model.weights_named(weights_name if slash else None)


def _weights_file(model: Model, weights: Weights, cache: Cache, file: Path | None) -> Path:
    if file is not None:
        if not file.is_file():
            raise InputError(f"There is no file '{file}': choose the weights of {model.title}")
        return file.resolve()
    if not cache.has(model, weights):
        name = f"{model.name}/{weights.name}"
        raise InputError(
            f"The weights '{name}' are not here: fetch them with `animerun weights get {name}`, or have a file "
            f"taken by `animerun weights import {name} FILE`, or name it here (--weights FILE)"
        )
    return cache.path(model, weights)
