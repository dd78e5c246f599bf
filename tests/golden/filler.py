# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights for parity checks out of a seed: the numbers that the published networks had when their answers were stored.

Every tensor draws from a generator of its own, so neither the order nor the choice of tensors matters.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]


class Entry(NamedTuple):
    """A tensor of a published state dict. `source`: the name that it draws under; its own unless it is an alias."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    source: str


def read_manifest(path: Path) -> list[Entry]:
    """The tensors of a published network."""
    tensors = json.loads(path.read_text(encoding="utf-8"))["tensors"]
    return [
        Entry(each["name"], tuple(each["shape"]), each["dtype"], each.get("alias_of") or each["name"])
        for each in tensors
    ]


def fill(manifest: Iterable[Entry], seed: int, gain: float) -> dict[str, Values]:
    """A whole state dict: float32, and zeros where integers are held."""
    return {entry.name: values_of(entry, seed, gain) for entry in manifest}


def values_of(entry: Entry, seed: int, gain: float) -> Values:
    """Kernels keep the spread of what goes through them (times the root of `gain`); norms stay near one."""
    if np.dtype(entry.dtype).kind in "iub":
        return np.zeros(entry.shape, dtype=entry.dtype)
    random = np.random.default_rng([seed, zlib.crc32(entry.source.encode())])
    kind = entry.source.rpartition(".")[2]
    if len(entry.shape) > 1 and not kind.startswith("running_"):
        spread = np.sqrt(gain / max(math.prod(entry.shape[1:]), 1))
        return np.asarray(random.normal(0.0, 1.0, entry.shape) * spread, dtype=np.float32)
    if kind.endswith(("running_var", "weight")):
        return random.uniform(0.5, 1.5, entry.shape).astype(np.float32)
    return random.normal(0.0, 0.05 if kind.endswith("bias") else 0.1, entry.shape).astype(np.float32)
