# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user can choose about an export, as plain data. The panel's properties have the same names and defaults."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .errors import InputError
from .style_settings import StyleSettings
from .udp_choices import EncodingChoice, RestChoice


class Label(enum.StrEnum):
    """What an export can write."""

    FRAMES = "frames"
    CONTOUR = "contour"
    FLOW = "flow"
    OCCLUSION = "occlusion"
    LINE_AREA = "line-area"
    SEGMENT = "segment"
    MATCHING = "matching"
    VALID = "valid"
    DEPTH = "depth"
    NORMAL = "normal"
    IDS = "ids"
    UDP = "udp"
    EXR = "exr"


class Occlusion(enum.StrEnum):
    """How hidden pixels are found."""

    EXACT = "exact"  # by geometry
    CONSISTENCY = "consistency"  # by the data set's rule on the two flows


class SegmentSource(enum.StrEnum):
    """What colour segments are made from."""

    CONTOUR = "contour"  # the contour image, as in AnimeRun
    FRAME = "frame"  # the colour frame, as in AnimeInterp
    EXACT = "exact"  # the ids: object, material, connected region


class MatchingRule(enum.StrEnum):
    """How segments are matched."""

    FLOW = "flow"  # where their pixels go, as in the paper
    SURFACE = "surface"  # by what they show


# A multi-layer EXR a frame is as large as all else together, and UDP is for who draws characters: only on demand.
DEFAULT_LABELS = frozenset(Label) - {Label.EXR, Label.UDP}


@dataclass(frozen=True)
class ExportSettings:
    """All choices about a clip but where it goes and which frames it has."""

    labels: frozenset[Label] = DEFAULT_LABELS
    strides: tuple[int, ...] = (1,)
    augment: int = 0  # so many more times in other colours
    style: StyleSettings | None = None  # None: the scene as it is set up
    occlusion: Occlusion = Occlusion.EXACT
    segments: SegmentSource = SegmentSource.CONTOUR
    matching: MatchingRule = MatchingRule.FLOW
    remove_holds: bool = False  # frames in which nothing has moved since the one before
    udp_rest: RestChoice = field(default_factory=RestChoice)
    udp_encoding: EncodingChoice = field(default_factory=EncodingChoice)

    def __post_init__(self) -> None:
        """What makes no sense is refused here, for all ways in."""
        if not self.labels:
            raise InputError("Nothing to export: choose at least one label")
        if not self.strides or min(self.strides) < 1 or len(set(self.strides)) < len(self.strides):
            raise InputError(f"Strides {list(self.strides)} cannot be: give different numbers from 1 on")
        if self.augment < 0:
            raise InputError("The number of colour variants cannot be negative")


# What a label is made from; those it needs are in the same export, or in the clip's folders already.
def needs(label: Label, settings: ExportSettings) -> frozenset[Label]:
    """The labels whose files are read to make this one."""
    sources = {
        SegmentSource.CONTOUR: frozenset({Label.FRAMES, Label.CONTOUR}),
        SegmentSource.FRAME: frozenset({Label.FRAMES}),
        SegmentSource.EXACT: frozenset[Label](),
    }
    rules = {
        MatchingRule.FLOW: frozenset({Label.SEGMENT, Label.FLOW, Label.OCCLUSION}),
        MatchingRule.SURFACE: frozenset({Label.SEGMENT, Label.IDS}),
    }
    return {
        Label.LINE_AREA: frozenset({Label.CONTOUR}),
        Label.SEGMENT: sources[settings.segments],
        Label.MATCHING: rules[settings.matching],
        Label.EXR: frozenset({Label.FRAMES, Label.FLOW}),
    }.get(label, frozenset())
