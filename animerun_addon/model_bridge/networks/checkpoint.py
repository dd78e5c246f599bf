# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a file of weights, running nothing that may be in it, and fills a network with it: all of it, or an error.

Where files come from is not known here.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError
from .flow import FlowNetwork

# Where training programs put the weights among other things, and what parallel training puts before each name.
_NESTS = ("state_dict", "model")
_PARALLEL = "module."
# How many tensors an error names.
_NAMED = 3


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of one that torch saved."""
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"'{path}' holds more than weights, or none, and was not opened: take another file") from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"'{path}' cannot be read as weights ({_first_line(error)}): fetch it again") from error
    return _flat(content, path)


def fill(network: nn.Module, path: Path, key_prefix: str = "") -> None:
    """Load a file's weights; an InputError says which do not fit.

    `key_prefix` stands before the names of those that are meant, where the file is of a larger network.
    """
    state, wanted = _for(network, _below(key_prefix, read(path), path)), network.state_dict()
    wrong = [
        _named("missing", [name for name in wanted if name not in state]),
        _named("unexpected", [name for name in state if name not in wanted]),
        _named(
            "of another shape",
            [
                f"{name} {tuple(state[name].shape)} for {tuple(tensor.shape)}"
                for name, tensor in wanted.items()
                if name in state and state[name].shape != tensor.shape
            ],
        ),
    ]
    if any(wrong):
        raise InputError(
            f"'{path}' does not fit {type(network).__name__}: {'; '.join(filter(None, wrong))}. Choose its own weights"
        )
    network.load_state_dict(state)


def _below(key_prefix: str, state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    prefix = key_prefix.removeprefix(_PARALLEL)  # which read() has taken off already
    below = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    if not below:
        raise InputError(f"'{path}' has no tensors whose names begin with '{key_prefix}': mend key_prefix of its entry")
    return below


def _for(network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state under the network's names, also where the file holds a tensor of two names only once."""
    if isinstance(network, FlowNetwork):
        state = network.under_our_names(state)
    first_names: dict[int, str] = {}
    held = network.state_dict(keep_vars=True)
    twins = [(name, first_names.setdefault(id(tensor), name)) for name, tensor in held.items()]
    present = {first: state[name] for name, first in twins if name in state}
    return state | {name: present[first] for name, first in twins if name not in state and first in present}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise InputError(f"'{path}' needs the Python package safetensors: install it, or take a .pth file") from error
    try:
        return _flat(load_file(path), path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"'{path}' cannot be read as weights ({_first_line(error)}): fetch it again") from error


def _flat(content: Any, path: Path) -> dict[str, Tensor]:
    for nest in _NESTS:
        if isinstance(content, Mapping) and isinstance(content.get(nest), Mapping):
            content = content[nest]
    if not isinstance(content, Mapping) or not content or not all(_is_named_tensor(*each) for each in content.items()):
        raise InputError(f"'{path}' holds no named tensors: take a file with the weights of a network")
    parallel = all(name.startswith(_PARALLEL) for name in content)
    return {name.removeprefix(_PARALLEL) if parallel else name: tensor for name, tensor in content.items()}


def _is_named_tensor(name: Any, tensor: Any) -> bool:
    return isinstance(name, str) and isinstance(tensor, Tensor)


def _named(what: str, names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{what}: {', '.join(names[:_NAMED])}{more}" if names else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
