# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of any data set as a torch data set: (image1, image2, flow, valid), as RAFT's training code takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from ...dataset.items import Pair
from ...errors import InputError
from .augmentation import Augmentation, Sample

# What moves further is left out, as in the official training code: in data sets it is a mistake or a mark.
_LARGEST_FLOW_PX = 1000

Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class FlowDataset(Dataset[Tensors]):
    """Pairs that have flow, each `repeats` times.

    Items are float32 tensors: two images (3, H, W) of 0 to 255, flow (2, H, W) in pixels to the right and down, valid
    (H, W) of 0 and 1. What happens to an item depends on seed, epoch and index alone, not on the worker that makes it:
    workers differ, and a run can be repeated. Without an augmentation frames come whole, in whatever size they have.
    """

    def __init__(
        self, pairs: Sequence[Pair], augmentation: Augmentation | None = None, seed: int = 0, repeats: int = 1
    ) -> None:
        if repeats < 1 or seed < 0:
            raise InputError(f"Cannot repeat {repeats} times with seed {seed}: choose 1 or more, and 0 or more")
        self._pairs = pairs
        self._places = [place for place, pair in enumerate(pairs) if pair.has_flow]
        if not self._places:
            raise InputError(f"None of {len(pairs)} pairs has flow: choose another split, stride or direction")
        self._augmentation = augmentation
        self._seed = seed
        self._repeats = repeats
        # In memory that workers share: those that live on from epoch to epoch see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """Call it before each epoch, or every epoch is like the first."""
        if epoch < 0:
            raise InputError(f"There is no epoch {epoch}: count from 0")
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self._places) * self._repeats

    def __getitem__(self, index: int) -> Tensors:
        place = range(len(self))[index]
        sample = _sample(self._pairs[self._places[place % len(self._places)]])
        if self._augmentation is not None:
            rng = np.random.default_rng([self._seed, int(self._epoch), place])
            sample = self._augmentation(sample, rng)
        return _tensors(sample)


def _sample(pair: Pair) -> Sample:
    image1, image2, flow_px, valid = pair.first.image, pair.second.image, pair.flow_px, pair.valid
    if not image1.shape[:2] == image2.shape[:2] == flow_px.shape[:2]:
        raise InputError(f"The frames and the flow of the pair '{pair.name}' differ in size: make or copy them anew")
    return Sample(image1.astype(np.float32), image2.astype(np.float32), flow_px, valid)


def _tensors(sample: Sample) -> Tensors:
    is_known = sample.valid & (np.abs(sample.flow_px) < _LARGEST_FLOW_PX).all(axis=-1)
    flow_px = np.where(is_known[..., None], sample.flow_px, np.float32(0))
    image1, image2, flow = (
        torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
        for array in (sample.image1, sample.image2, flow_px)
    )
    return image1, image2, flow, torch.from_numpy(is_known.astype(np.float32))
