# SPDX-License-Identifier: GPL-3.0-or-later
"""The optical-flow networks at 1024x436 on a CPU beside their published formulation: time, output and peak memory.

Ours gives both ways of a pair. The baseline runs each way alone, as the published programs do. `bench/flow.py raft gma`
measures only those, `--rounds 1` each only once.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flow_literal
import gmflow_literal
import numpy as np
import pwcnet_literal
import searaft_literal
import torch
from measure import Target, measure_in_turn, peak_gb, report
from torch import Tensor

from animerun_addon.model_bridge.networks.flow import Estimate, FlowModel, FlowNetwork, Options
from animerun_addon.model_bridge.networks.gma import Gma
from animerun_addon.model_bridge.networks.gmflow import GmFlow, GmFlowRefined
from animerun_addon.model_bridge.networks.pwcnet import PwcNet
from animerun_addon.model_bridge.networks.raft import Raft, RaftSmall
from animerun_addon.model_bridge.networks.searaft import SeaRaft, SeaRaftSmall

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
sys.path.append(str(GOLDEN))

from filler import fill, read_manifest  # noqa: E402

SIZE_PX = (1024, 436)
LARGE_PX = (1920, 1080)
MOST_LARGE_GB = 4.0
PARITY = 1e-4
SEQUENCE = 4
PEAK = "--peak"

# The flow (N, 2, H, W) from one frame (N, 3, H, W) to another, without our reuse of anything.
Literal = Callable[[Any, Tensor, Tensor], Tensor]
Estimates = tuple[Estimate, Estimate | None]


@dataclass(frozen=True)
class Subject:
    """A network of ours, the published way of running it, and how much faster ours should be."""

    build: Callable[[], FlowNetwork[Any]]
    literal: Literal
    pair: float
    sequence: float


SUBJECTS = {
    "raft": Subject(Raft, flow_literal.raft, 1.3, 1.5),
    "raft_small": Subject(RaftSmall, flow_literal.raft, 1.15, 1.15),
    "gma": Subject(Gma, flow_literal.raft, 1.3, 1.5),
    "gmflow": Subject(GmFlow, gmflow_literal.gmflow, 1.15, 1.15),
    "gmflow_refine": Subject(GmFlowRefined, gmflow_literal.gmflow, 1.15, 1.15),
    "pwcnet": Subject(PwcNet, pwcnet_literal.pwcnet, 1.15, 1.15),
    "searaft": Subject(SeaRaft, searaft_literal.searaft, 1.15, 1.15),
    "searaft_small": Subject(SeaRaftSmall, searaft_literal.searaft, 1.15, 1.15),
}


def main() -> None:
    """All networks, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NETWORK", help=f"of {', '.join(SUBJECTS)}; all if none is given")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument(PEAK, nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(SUBJECTS):
        parser.error(f"no network {', '.join(sorted(unknown))}")
    if chosen.peak:
        print_peak(*chosen.peak)
        return
    for name in chosen.names or SUBJECTS:
        measure(name, chosen.rounds)


def measure(name: str, rounds: int) -> None:
    """One network's table."""
    subject, frames = SUBJECTS[name], drawn_frames(SIZE_PX, SEQUENCE)
    network = filled(name)
    models = {
        "both ways, s": FlowModel(network),
        "both ways in a sequence, s": FlowModel(network),
        "published, s": FlowModel(Published(network, subject.literal)),
    }
    pair, sequence, published = models
    found = {key: models[key].estimate(frames[0], frames[1], Options()) for key in models}
    turn = itertools.count(1)
    seconds = measure_in_turn(
        {
            pair: lambda: fresh_pair(models[pair], frames),
            sequence: lambda: next_pair(models[sequence], frames, next(turn)),
            published: lambda: fresh_pair(models[published], frames),
        },
        rounds,
        warm_up=0,  # they have just run
    )
    figures = {
        **seconds,
        "published / ours": seconds[published] / seconds[pair],
        "published / ours in a sequence": seconds[published] / seconds[sequence],
        "difference, share of largest flow": difference(found[pair], found[published]),
        "peak, GB": peak_of(name, "ours", SIZE_PX),
        "peak of published, GB": peak_of(name, "published", SIZE_PX),
        "peak at 1920x1080, GB": peak_of(name, "ours", LARGE_PX),
        "of it before the first frame, GB": peak_of(name, "nothing", LARGE_PX),
        "threads": torch.get_num_threads(),
    }
    targets = {
        "published / ours": Target(subject.pair, "higher"),
        "published / ours in a sequence": Target(subject.sequence, "higher"),
        "difference, share of largest flow": Target(PARITY, "lower"),
        "peak at 1920x1080, GB": Target(MOST_LARGE_GB, "lower"),
    }
    report(f"flow_{name}", figures, targets)


def fresh_pair(model: FlowModel[Any], frames: Sequence[Tensor]) -> None:
    """Of frames that have not been seen."""
    model.forget()
    model.estimate(frames[0], frames[1], Options())


def next_pair(model: FlowModel[Any], frames: Sequence[Tensor], number: int) -> None:
    """The first frame is the second of the pair before."""
    model.estimate(frames[number % len(frames)], frames[(number + 1) % len(frames)], Options())


class Published(FlowNetwork[Tensor]):
    """A network run as it is published, behind our adapter: each way alone, and from the frames on."""

    def __init__(self, network: FlowNetwork[Any], literal: Literal) -> None:
        super().__init__()
        self.network, self.literal = network, literal
        for fitting in ("side_step", "least_side", "resize_step"):
            setattr(self, fitting, getattr(network, fitting))

    def encode(self, image: Tensor) -> Tensor:
        """Nothing yet."""
        return image

    def match(self, first: Tensor, second: Tensor, options: Options) -> tuple[Estimate, Estimate | None]:
        """One way, and all of it again for the other."""
        one_way, other_way = (self.literal(self.network, *way) for way in ((first, second), (second, first)))
        return Estimate(one_way), Estimate(other_way)


def filled(name: str) -> FlowNetwork[Any]:
    """A network with the weights of its golden case: their flow keeps within bounds, unlike that of random ones."""
    with np.load(GOLDEN / f"{name}.npz") as case:
        weights = fill(read_manifest(GOLDEN / f"{name}.json"), int(case["seed"]), float(case["gain"]))
    network = SUBJECTS[name].build().eval()
    network.load_state_dict({key: torch.from_numpy(values) for key, values in weights.items()})
    return network


def drawn_frames(size_px: tuple[int, int], count: int) -> list[Tensor]:
    """Frames (1, 3, H, W) of coloured patches that drift by 5 and 3 pixels a frame."""
    width, height = size_px
    patches = np.random.default_rng(0).integers(0, 256, (3, height // 16 + 2, width // 16 + 2))
    picture = patches.repeat(16, 1).repeat(16, 2)
    return [
        torch.from_numpy(np.roll(picture, (3 * number, 5 * number), (1, 2))[None, :, :height, :width].copy()).float()
        for number in range(count)
    ]


def difference(ours: Estimates, published: Estimates) -> float:
    """The largest one, both ways, as a share of the largest flow."""
    shares = []
    for one, other in zip(ours, published, strict=True):
        assert one is not None
        assert other is not None
        shares.append(float((one.flow_px - other.flow_px).abs().max() / other.flow_px.abs().max()))
    return max(shares)


# Peak memory: of a process that does one thing only ------------------------------------------------------------------


def peak_of(name: str, what: str, size_px: tuple[int, int]) -> float:
    """GB that a process held at most."""
    command = [sys.executable, __file__, PEAK, name, what, *map(str, size_px)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def print_peak(name: str, what: str, width: str, height: str) -> None:
    """What such a process does."""
    network, frames = filled(name), drawn_frames((int(width), int(height)), 2)
    if what == "published":
        fresh_pair(FlowModel(Published(network, SUBJECTS[name].literal)), frames)
    elif what == "ours":
        FlowModel(network).estimate(frames[0], frames[1], Options(iterations=2))  # more of them hold no more
    print(peak_gb())


if __name__ == "__main__":
    main()
