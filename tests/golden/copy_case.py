# SPDX-License-Identifier: GPL-3.0-or-later
"""Trims a full golden case into the project's own copy: `python tests/golden/copy_case.py raft case_1`.

Kept are the inputs, what made the weights, the final flow as the original code gave it, and the manifest.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

OWN = Path(__file__).parent
FULL = Path(__file__).parents[3] / "shared" / "golden"
KEPT = ("image1", "image2", "seed", "gain", "iters", "noise", "flow")
LARGEST_BYTES = 400_000


def copy_case(name: str, case: str, kept: tuple[str, ...] = KEPT) -> None:
    """Write NAME.npz and NAME.json beside this file."""
    with np.load(FULL / name / f"{case}.npz") as arrays:
        np.savez_compressed(OWN / f"{name}.npz", **{key: arrays[key] for key in kept})
    size = (OWN / f"{name}.npz").stat().st_size
    if size > LARGEST_BYTES:
        raise SystemExit(f"{name}.npz has {size} bytes: store a smaller case, or every so many pixels of its answer")
    tensors = json.loads((FULL / name / "manifest.json").read_text(encoding="utf-8"))["tensors"]
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in tensors)
    (OWN / f"{name}.json").write_text(f'{{"tensors":[\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    copy_case(sys.argv[1], sys.argv[2])
