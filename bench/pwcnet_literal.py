# SPDX-License-Identifier: GPL-3.0-or-later
"""PWC-Net step by step as it is published: one way at a time, channels first in memory, 81 shifts for a volume.

What networks/pwcnet.py is held against, in bench/flow.py. The layers and their weights are those of our network; what
is done with them is written anew.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from animerun_addon.model_bridge.networks.pwcnet import PwcNet

LEVELS = ("Two", "Thr", "Fou", "Fiv", "Six")
DENSE = ("One", "Two", "Thr", "Fou", "Fiv")
CELLS_PER_UNIT = {"Two": 5.0, "Thr": 2.5, "Fou": 1.25, "Fiv": 0.625}
REACH = 4


def pwcnet(network: PwcNet, first: Tensor, second: Tensor) -> Tensor:
    """Flow (N, 2, H / 4, W / 4) from the first to the second frame, (N, 3, H, W) of 0 to 255."""
    here, there = (features(network.moduleExtractor, image / 255) for image in (first, second))
    flow = known = None
    for level, one, other in reversed(list(zip(LEVELS, here, there, strict=True))):
        decoder = network.get_submodule(f"module{level}")
        if flow is None:
            known = functional.leaky_relu(volume(one, other), 0.1)
        else:
            flow, more = decoder.get_submodule("moduleUpflow")(flow), decoder.get_submodule("moduleUpfeat")(known)
            matched = volume(one, warped(other, flow * CELLS_PER_UNIT[level]))
            known = torch.cat([functional.leaky_relu(matched, 0.1), one, flow, more], 1)
        for number in DENSE:
            known = torch.cat([functional.leaky_relu(decoder.get_submodule(f"module{number}")(known), 0.1), known], 1)
        flow = decoder.get_submodule("moduleSix")(known)
    return 20.0 * (flow + network.moduleRefiner.moduleMain(known))


def features(extractor: nn.Module, image: Tensor) -> list[Tensor]:
    """Maps of the levels 2 to 6."""
    maps = []
    for level in extractor.children():
        image = level(image)
        maps.append(image)
    return maps[1:]


def volume(first: Tensor, second: Tensor) -> Tensor:
    """(N, 81, h, w), a shift at a time."""
    height, width = first.shape[-2:]
    wide = functional.pad(second, [REACH] * 4)
    shifts = product(range(2 * REACH + 1), repeat=2)
    return torch.stack([(first * wide[:, :, y : y + height, x : x + width]).mean(1) for y, x in shifts], 1)


def warped(picture: Tensor, flow: Tensor) -> Tensor:
    """Fetched from where the flow leads, together with a channel of ones that says how much of it is inside."""
    height, width = picture.shape[-2:]
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    scale = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    places = torch.stack([x, y], -1) + flow.permute(0, 2, 3, 1) / scale
    with_ones = torch.cat([picture, torch.ones_like(picture[:, :1])], 1)
    fetched = functional.grid_sample(with_ones, places, align_corners=False)
    return fetched[:, :-1] * (fetched[:, -1:] > 0.999).float()
