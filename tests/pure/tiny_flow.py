# SPDX-License-Identifier: GPL-3.0-or-later
"""A flow network of two numbers, and a model process that knows it (run as a file, in place of start_worker.py)."""

import importlib.machinery
import sys
import time
import types
from pathlib import Path

import torch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from animerun_addon.model_bridge import worker
from animerun_addon.model_bridge.networks.flow import Estimate, FlowNetwork

torch.set_num_threads(1)


class Tiny(FlowNetwork):
    """Flow is the difference of the frames' means times `scale`, plus `shift`, at every pixel."""

    starts_warm = True

    def __init__(self, layers=1, seconds=0.0):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(2))
        self.shift = torch.nn.Parameter(torch.zeros(2))
        self.layers = torch.nn.Sequential(*[torch.nn.Identity() for _ in range(layers)])
        self.seconds = seconds
        self.encoded = 0

    def encode(self, image):
        self.encoded += 1
        for layer in self.layers:
            layer(image)
            time.sleep(self.seconds)
        return image

    def match(self, first, second, options):
        def estimate(difference, start):
            flow = self.scale[None] * difference + self.shift
            start = 0.0 if start is None else start
            height, width = first.shape[-2:]
            return Estimate((flow + start)[..., None, None].expand(-1, -1, height, width), flow)

        difference = (second - first).mean(dim=(1, 2, 3))[:, None]
        back = estimate(-difference, options.start_back) if options.both else None
        return estimate(difference, options.start), back


def make_known():
    """Put it where the worker looks for networks."""
    module = types.ModuleType(f"{worker.__package__}.networks.tiny")
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
    module.Tiny = Tiny
    sys.modules[module.__name__] = module


if __name__ == "__main__":
    make_known()
    worker.main(sys.argv[1:])
