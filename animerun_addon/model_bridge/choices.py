# SPDX-License-Identifier: GPL-3.0-or-later
"""From an entry of the catalog and its file to what the model client takes.

Where the file is, weights.py says; what the client does with it is client.py's.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from .client import FlowChoice, ProgramChoice
from .model_entry import Model, Network, Program, Signature, Task, Weights


def flow_choice(model: Model, weights: Weights, file: Path, device: str = "auto") -> FlowChoice:
    """For `client.flow`: a network of ours, or a user's program for flow."""
    if model.task is not Task.FLOW:
        raise InputError(f"'{model.name}' is for {model.task}, not for flow: choose another model")
    if isinstance(model.runs, Network):
        name, arguments = model.runs.name, model.runs.arguments
    else:
        name, arguments = "program.ProgramFlow", _signature(model, weights).plain()
    return FlowChoice(name, file, arguments, device, weights.scale, key_prefix=weights.key_prefix)


def program_choice(model: Model, weights: Weights, file: Path, device: str = "auto") -> ProgramChoice:
    """For `client.run`: a user's program."""
    return ProgramChoice(file, _signature(model, weights), device)


def _signature(model: Model, weights: Weights) -> Signature:
    if not isinstance(model.runs, Program):
        raise InputError(f"'{model.name}' brings no network of its own: choose another model")
    return Signature(weights.format, model.inputs, model.outputs, model.runs.side_step, model.runs.least_side)
