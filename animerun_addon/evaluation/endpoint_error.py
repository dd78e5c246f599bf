# SPDX-License-Identifier: GPL-3.0-or-later
"""How far off optical flow is: the distance from where a pixel goes to where it should (EPE), over many frames.

Which flow is the true one, and from where, is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..labels.snapshot import Bool, Float32


@dataclass(frozen=True)
class Mean:
    """A mean in pixels that more can be added to."""

    sum_px: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, lengths_px: Float32) -> Mean:
        """Of lengths of any shape."""
        return cls(float(lengths_px.sum(dtype=np.float64)), lengths_px.size)

    def __add__(self, other: Mean) -> Mean:
        return Mean(self.sum_px + other.sum_px, self.count + other.count)

    @property
    def px(self) -> float | None:
        """The mean; None of nothing."""
        return self.sum_px / self.count if self.count else None


@dataclass(frozen=True)
class EndpointError:
    """Over all pixels whose true flow is known; where it is known what is hidden, over that and the rest as well."""

    all: Mean = field(default_factory=Mean)
    visible: Mean = field(default_factory=Mean)
    occluded: Mean = field(default_factory=Mean)

    def __add__(self, other: EndpointError) -> EndpointError:
        return EndpointError(self.all + other.all, self.visible + other.visible, self.occluded + other.occluded)

    def __str__(self) -> str:
        parts = [f"{name} {mean.px:.3f}" for name, mean in (("visible", self.visible), ("occluded", self.occluded))
                 if mean.px is not None]  # fmt: skip
        whole = "nothing to compare with" if self.all.px is None else f"{self.all.px:.3f} px"
        return f"{whole} ({', '.join(parts)})" if parts else whole

    def plain(self) -> dict[str, float | int | None]:
        """For JSON."""
        means = {"all": self.all, "visible": self.visible, "occluded": self.occluded}
        return {**{name: mean.px for name, mean in means.items()}, "pixels": self.all.count}


def distance_px(flow_px: Float32, true_px: Float32) -> Float32:
    """(H, W), between flows (H, W, 2)."""
    return np.hypot(flow_px[..., 0] - true_px[..., 0], flow_px[..., 1] - true_px[..., 1])


def endpoint_error(flow_px: Float32, true_px: Float32, known: Bool, occluded: Bool | None = None) -> EndpointError:
    """Of flow (H, W, 2) where the true one is `known` (H, W); `occluded` (H, W) if that is known too."""
    off_px = distance_px(flow_px, true_px)
    if occluded is None:
        return EndpointError(Mean.of(off_px[known]))
    visible, hidden = (Mean.of(off_px[known & where]) for where in (~occluded, occluded))
    return EndpointError(visible + hidden, visible, hidden)
