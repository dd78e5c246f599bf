# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden cases of the networks: the project's own copies, and the full ones where they are at hand. No tests."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

OWN = Path(__file__).parents[1] / "golden"
FULL = Path(__file__).parents[3] / "shared" / "golden"
sys.path.append(str(OWN))

from filler import fill, read_manifest  # noqa: E402

# Of the largest value, as the golden data's own description asks for.
PARITY = 1e-4


@dataclass(frozen=True)
class Case:
    """What an original network got and answered, and in full cases what led there."""

    arrays: dict[str, np.ndarray]
    manifest: Path

    def __getitem__(self, key):
        return self.arrays[key]

    def weights(self, prefix=""):
        """The state dict, as torch tensors."""
        filled = fill(read_manifest(self.manifest), int(self["seed"]), float(self["gain"]))
        return {prefix + name: torch.from_numpy(values) for name, values in filled.items()}

    def frames(self):
        """Both images, (1, 3, H, W) float32, 0 to 255."""
        return [torch.from_numpy(self[key]).permute(2, 0, 1)[None].float() for key in ("image1", "image2")]


def own_case(name):
    """The case that the project keeps."""
    with np.load(OWN / f"{name}.npz") as arrays:
        return Case(dict(arrays), OWN / f"{name}.json")


def full_cases(name):
    """All cases with their intermediates, as parameters of a test; one that is skipped where they are not at hand."""
    paths = sorted((FULL / name).glob("case_*.npz"))
    if not paths:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"the full golden cases of {name} are not at hand"))]
    return [pytest.param(path, id=path.stem) for path in paths]


def read_full(path):
    """One of the full cases."""
    with np.load(path) as arrays:
        return Case(dict(arrays), path.parent / "manifest.json")


def error_share(ours, stored):
    """Largest difference, as a share of the largest stored value. `ours` is a tensor or an array of the same shape."""
    ours = np.asarray(ours)
    assert ours.shape == stored.shape
    assert np.isfinite(ours).all()
    return float(np.abs(ours - stored).max() / np.abs(stored).max())
