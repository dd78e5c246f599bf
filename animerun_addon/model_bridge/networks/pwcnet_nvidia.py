# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of PWC-Net's tensors in NVIDIA's own file, and what else differs there.

The network itself is pwcnet.py's.
"""

from __future__ import annotations

from torch import Tensor

# What the levels of the pyramid, and the layers of a decoder, are called in the files of the PyTorch version.
NUMBERS = ("One", "Two", "Thr", "Fou", "Fiv", "Six")
DECODED_LEVELS = range(2, 7)

# The last convolution of all, at whose presence the file is known; and one that its network never used.
_KNOWN_BY = "dc_conv7.weight"
_UNUSED = "deconv2."
_FIRST = "moduleExtractor.moduleOne.0.weight"


def is_nvidias(state: dict[str, Tensor]) -> bool:
    """Whether a state dict is NVIDIA's."""
    return _KNOWN_BY in state


def from_nvidia(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under the names here. NVIDIA feeds blue first: the first kernels are turned round instead."""
    names = nvidia_names()
    renamed = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        if not name.startswith(_UNUSED):
            renamed[f"{names.get(layer, layer)}.{kind}"] = tensor
    if _FIRST in renamed:
        renamed[_FIRST] = renamed[_FIRST].flip(1)
    return renamed


def nvidia_names() -> dict[str, str]:
    """From NVIDIA's names of layers to those here."""
    names = {}
    for level, number in enumerate(NUMBERS, start=1):
        parts = ("a", "aa", "b") if level < len(NUMBERS) else ("aa", "a", "b")
        for place, part in enumerate(parts):
            names[f"conv{level}{part}.0"] = f"moduleExtractor.module{number}.{2 * place}"
    for level in DECODED_LEVELS:
        decoder = f"module{NUMBERS[level - 1]}"
        for place, number in enumerate(NUMBERS[:-1]):
            names[f"conv{level}_{place}.0"] = f"{decoder}.module{number}.0"
        names[f"predict_flow{level}"] = f"{decoder}.moduleSix.0"
        if level < DECODED_LEVELS[-1]:  # there these are numbered after the level that they come from
            names[f"deconv{level + 1}"] = f"{decoder}.moduleUpflow"
            names[f"upfeat{level + 1}"] = f"{decoder}.moduleUpfeat"
    for place in range(6):
        names[f"dc_conv{place + 1}.0"] = f"moduleRefiner.moduleMain.{2 * place}"
    names["dc_conv7"] = "moduleRefiner.moduleMain.12"
    return names
