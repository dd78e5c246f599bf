# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a clip, in words and with its limits, and the verdict about it. Nothing is measured here."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

# Frames or pairs that a sentence names one by one.
_NAMED = 4


class Fault(enum.StrEnum):
    """The kinds of what is wrong, in the words of the report."""

    UNFINISHED = "the export has not been finished"
    MISSING = "files are missing"
    UNEXPECTED = "files that belong to no frame"
    UNREADABLE = "cannot be read"
    SIZE = "has another size"
    LABEL_GAP = "segment labels have gaps"
    MATCHING_KEYS = "matching does not have a key for every segment"
    MATCHING_TARGETS = "matching names segments that the other frame does not have"
    MATCHING_FLOW = "matching is not what the flow says"
    VALID_MASK = "the Valid mask is not where the flow is known"
    UNKNOWN_VISIBLE = "unknown flow is called visible"
    WARP = "the other frame, carried back by the flow, is another picture"
    FOLLOWING = "frames fit no better with the flow than without it or with it turned round"
    SHIFTED = "frames fit better when the whole flow is shifted"
    OUTSIDE = "visible pixels land outside the picture"
    OTHER_OBJECT = "visible pixels of an object land on another object"
    OBJECT_ON_BACKGROUND = "visible pixels of an object land on the background"
    BACKGROUND_ON_OBJECT = "visible background lands on an object"
    OTHER_MATERIAL = "visible pixels land on another material of their object"
    INCONSISTENT = "visible pixels whose way back leads elsewhere"
    NEEDLESSLY_OCCLUDED = "pixels are called occluded though the flows and ids agree"
    OFF_RULE = "occlusion is not what the data set's rule makes of the flows"


@dataclass(frozen=True)
class Limit:
    """A figure of a pair, what it is a fault to be above, and what fault that is.

    What exact labels have of some figures stands beside edges, which are the larger share of a picture the smaller it
    is. So such a limit is `times` the figure `of` the pair's pictures, if that is more than `most`.
    """

    figure: str
    most: float
    fault: Fault
    times: float = 0.0
    of: str = ""

    def most_for(self, figures: Mapping[str, float]) -> float:
        """What is allowed of a pair with such figures."""
        return max(self.most, self.times * figures.get(self.of, 0.0))


def _at_edges(figure: str, fault: Fault) -> Limit:
    return Limit(figure, 0.005, fault, 0.05, "edge_share")


# docs/check.md says what exact labels have of them.
LIMITS = (
    Limit("unknown_visible_share", 0.0, Fault.UNKNOWN_VISIBLE),
    Limit("invalid_mask_share", 0.0, Fault.VALID_MASK),
    Limit("following_ratio", 0.75, Fault.FOLLOWING),
    Limit("shift_ratio", 1.2, Fault.SHIFTED),
    Limit("outside_share", 0.001, Fault.OUTSIDE),
    _at_edges("other_object_share", Fault.OTHER_OBJECT),
    _at_edges("object_on_background_share", Fault.OBJECT_ON_BACKGROUND),
    _at_edges("background_on_object_share", Fault.BACKGROUND_ON_OBJECT),
    _at_edges("other_material_share", Fault.OTHER_MATERIAL),
    _at_edges("inconsistent_share", Fault.INCONSISTENT),
    _at_edges("needlessly_occluded_share", Fault.NEEDLESSLY_OCCLUDED),
)
# The paper's, for frames without contours: these do not move with the surfaces.
WARP_LIMIT = Limit("warp_error", 0.01, Fault.WARP, 0.9, "one_pixel_error")
# Only where the clip's meta.json says that its occlusion, or its matching, was made by the rule.
RULE_LIMIT = Limit("off_rule_share", 0.001, Fault.OFF_RULE)
REMATCHED_LIMIT = Limit("rematched_share", 0.0, Fault.MATCHING_FLOW)


def limits_for(meta: Mapping[str, Any] | None) -> tuple[Limit, ...]:
    """Those that hold for a clip, by what its meta.json says about it."""
    says = meta or {}
    chosen = [*LIMITS]
    if says.get("frames_have_lines") is False:
        chosen.append(WARP_LIMIT)
    if says.get("occlusion") == "consistency":
        chosen.append(RULE_LIMIT)
    if says.get("matching") == "flow":
        chosen.append(REMATCHED_LIMIT)
    return tuple(chosen)


@dataclass(frozen=True)
class Finding:
    """One fault in one place. `figure` is how bad it is, `most` what would be allowed, where there are such numbers."""

    fault: Fault
    where: str  # "forward/0001", "stride2/backward/0005", "Segment/0003.npy"
    detail: str = ""
    figure: float | None = None
    most: float | None = None

    @property
    def excess(self) -> float:
        """The figure in shares of what is allowed; 0 where that says nothing."""
        return self.figure / self.most if self.figure and self.most else 0.0

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kind": self.fault.name.lower(),
            "where": self.where,
            "detail": self.detail,
            "figure": self.figure,
            "limit": self.most,
        }


@dataclass(frozen=True)
class ClipResult:
    """The verdict about one clip."""

    name: str
    split: str
    findings: tuple[Finding, ...]
    figures: Mapping[str, float]  # means over all pairs, and the `worst_` of them
    notes: tuple[str, ...]  # what is worth knowing and no fault

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def failures(self) -> tuple[str, ...]:
        """A sentence for each kind of fault, with its worst place and how many more there are."""
        by_fault = sorted(self.findings, key=lambda finding: list(Fault).index(finding.fault))
        return tuple(_sentence(fault, list(group)) for fault, group in groupby(by_fault, lambda found: found.fault))

    @property
    def summary(self) -> str:
        """The verdict in a line: "passed, 4 frames, 6 pairs, warp error 0.0055 (worst 0.0061)"."""
        counts = [f"{self.figures.get(name, 0):.0f} {name}" for name in ("frames", "pairs")]
        if "warp_error" in self.figures:
            counts.append(f"warp error {self.figures['warp_error']:.4f} (worst {self.figures['worst_warp_error']:.4f})")
        return ", ".join(["passed" if self.passed else "FAILED", *counts])

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "split": self.split,
            "passed": self.passed,
            "failures": list(self.failures),
            "figures": dict(self.figures),
            "notes": list(self.notes),
            "findings": [finding.to_plain() for finding in self.findings],
        }


@dataclass(frozen=True)
class CheckResult:
    """The verdict about a data set."""

    clips: tuple[ClipResult, ...]
    report: str | None = None  # the folder of check.json and the contact sheets
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with any clip."""
        return all(clip.passed for clip in self.clips)

    @property
    def failures(self) -> Iterator[str]:
        """What is wrong, clip by clip."""
        for clip in self.clips:
            for failure in clip.failures:
                yield f"{clip.split}/{clip.name}: {failure}"

    @property
    def all_notes(self) -> Iterator[str]:
        """What is worth knowing and no fault."""
        yield from self.notes
        for clip in self.clips:
            for note in clip.notes:
                yield f"{clip.split}/{clip.name}: {note}"

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"passed": self.passed, "notes": list(self.notes), "clips": [clip.to_plain() for clip in self.clips]}


def _sentence(fault: Fault, findings: list[Finding]) -> str:
    """ "Segment/0003.npy and 2 more: segment labels have gaps (no 4)"."""
    worst_first = sorted(findings, key=lambda finding: -(finding.figure or 0.0))
    worst = worst_first[0]
    if worst.figure is None:
        places = ", ".join(finding.where for finding in worst_first[:_NAMED])
        more = len(findings) - _NAMED
    else:
        places, more = worst.where, len(findings) - 1
    counted = f" and {more} more" if more > 0 else ""
    numbers = "" if worst.figure is None else f"{worst.figure:.4f}, limit {worst.most:.4g}"
    detail = "; ".join(text for text in (numbers, worst.detail) if text)
    return f"{places}{counted}: {fault}" + (f" ({detail})" if detail else "")
