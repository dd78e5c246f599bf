# SPDX-License-Identifier: GPL-3.0-or-later
"""A few words about single vectors (3,) of float64 that numpy lacks."""

from __future__ import annotations

import numpy as np

from .snapshot import Float64


def cosine(one: Float64, other: Float64) -> float:
    """Between two vectors (3,); 0 where one has no length."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths > 1e-20 else 0.0


def unit(vector: Float64) -> Float64:
    """The vector (3,) at length 1; zeros if it has none."""
    length = np.linalg.norm(vector)
    return np.asarray(vector / length) if length > 1e-12 else np.zeros(3)


def level(vector: Float64, up: Float64) -> Float64:
    """The part of it that is square to `up`."""
    return vector - (vector @ up) * up
