# SPDX-License-Identifier: GPL-3.0-or-later
"""Grey line art from a picture of contours on white. The lines themselves come from lines.py or from Blender."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# The paper's gamma. It makes lines darker: values are raised to its reciprocal.
GAMMA = 0.2


def darkened(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Greys (H, W): what is not white goes towards black, so that soft strokes become firm."""
    curve = np.round(255 * (np.arange(256) / 255) ** (1 / GAMMA)).astype(np.uint8)
    return curve[grey]
