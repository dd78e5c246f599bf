# SPDX-License-Identifier: GPL-3.0-or-later
"""The builds of PyTorch that there are, where they come from, and which of them suits this machine.

They are PyTorch's support matrix of releases 2.9 to 2.14 (RELEASE.md in its repository); old indexes stay reachable.
"""

from __future__ import annotations

import enum
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from ..progress import Progress, Steps
from .watched_program import watched_steps

_TORCH_INDEX = "https://download.pytorch.org/whl/"
_GB = 10**9
_PATIENCE_S = 15.0


@dataclass(frozen=True)
class TorchBuild:
    """`index` is None where PyPI's own is the right one. Sizes are of what pip fetches and unpacks, roughly."""

    title: str
    index: str | None
    download_bytes: int
    installed_bytes: int


class Variant(enum.Enum):
    """What torch computes on."""

    CPU = TorchBuild("Processor only", f"{_TORCH_INDEX}cpu", int(0.3 * _GB), int(1.1 * _GB))
    CUDA_12_6 = TorchBuild("NVIDIA, CUDA 12.6 (up to Hopper)", f"{_TORCH_INDEX}cu126", 3 * _GB, 6 * _GB)
    CUDA_12_8 = TorchBuild("NVIDIA, CUDA 12.8 (Turing and later)", f"{_TORCH_INDEX}cu128", 3 * _GB, 7 * _GB)
    CUDA_13_0 = TorchBuild("NVIDIA, CUDA 13.0 (Turing and later)", f"{_TORCH_INDEX}cu130", 2 * _GB, 5 * _GB)
    ROCM = TorchBuild("AMD, ROCm 6.4 (Linux)", f"{_TORCH_INDEX}rocm6.4", 5 * _GB, 17 * _GB)
    MPS = TorchBuild("Apple GPU", None, int(0.2 * _GB), int(0.7 * _GB))


class Detected(NamedTuple):
    """The variant to begin with, and what it was chosen for."""

    variant: Variant
    why: str


def detected_steps() -> Steps[Detected]:
    """Look at the machine's graphics. Whatever goes wrong there means: the processor."""
    if sys.platform == "darwin":
        return Detected(Variant.MPS, "PyTorch for macOS")
    overview = yield from _said_steps("nvidia-smi")
    if overview:
        cards = yield from _said_steps("nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader")
        return for_nvidia(overview, cards)
    if sys.platform == "linux":
        agents = yield from _said_steps("rocminfo")
        if names := amd_cards(agents):
            return Detected(Variant.ROCM, names[0])
    return Detected(Variant.CPU, "no graphics card that PyTorch can use was found")


def for_nvidia(overview: str, cards: str) -> Detected:
    """By what `nvidia-smi` says of the driver, and its list of cards with their compute capabilities."""
    driver = re.search(r"CUDA (?:UMD )?Version:\s*(\d+)\.(\d+)", overview)
    newest = (int(driver[1]), int(driver[2])) if driver else (0, 0)
    found = re.findall(r"^(.+), (\d+)\.(\d+)\s*$", cards, re.MULTILINE)
    if newest < (12, 0):
        said = f"its driver knows CUDA {newest[0]}.{newest[1]}" if driver else "its driver does not answer"
        return Detected(Variant.CPU, f"NVIDIA, but {said}: install a newer driver to use it")
    # The weakest counts: a build leaves the cards out that it was not made for.
    weakest = min(((int(major), int(minor)) for _, major, minor in found), default=(0, 0))
    name = found[0][0].strip() if found else "NVIDIA"
    if weakest < (7, 5):
        return Detected(Variant.CUDA_12_6, name)
    if newest >= (13, 0):
        return Detected(Variant.CUDA_13_0, name)
    return Detected(Variant.CUDA_12_8 if newest >= (12, 8) or weakest >= (10, 0) else Variant.CUDA_12_6, name)


def amd_cards(agents: str) -> list[str]:
    """The names of those that are GPUs, in what `rocminfo` says."""
    found = []
    for agent in re.split(r"^\*+\s*\nAgent \d+", agents, flags=re.MULTILINE)[1:]:
        name = re.search(r"Marketing Name:\s*(\S.*)", agent)
        if re.search(r"Device Type:\s*GPU", agent):
            found.append(name[1].strip() if name else "AMD")
    return found


def _said_steps(program: str, *words: str) -> Steps[str]:
    """What a program prints; nothing where it is missing, fails or hangs."""
    path = shutil.which(program)
    if path is None:
        return ""
    with tempfile.TemporaryDirectory(prefix="animerun_", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log.txt"
        asking = Progress(0, 0, f"Asking {program}")
        try:
            code = yield from watched_steps([path, *words], os.environ, log, lambda: asking, _PATIENCE_S)
        except InputError:  # there, but not for this machine
            return ""
        return log.read_text(encoding="utf-8", errors="replace") if code == 0 else ""
