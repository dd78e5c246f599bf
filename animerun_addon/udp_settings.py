# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user can choose about Ultra-Dense Pose, as plain data. The panel's properties have the same defaults."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .dataset.udp import UdpFormat
from .errors import InputError
from .style_settings import StyleSettings
from .udp_choices import EncodingChoice, RestChoice

# What CoNR's networks take: both sides are multiples of this.
CONR_SIZE_STEP_PX = 128
DEFAULT_SIZE_PX = 512
DEFAULT_MARGIN = 0.05


class View(enum.StrEnum):
    """What a sequence is seen through."""

    FIT = "fit"  # a camera of its own from the front, that has the character in view over all frames
    CAMERA = "camera"  # one of the scene's
    TURNTABLE = "turntable"  # a camera of its own that goes round


class Occluders(enum.StrEnum):
    """What may stand before the character."""

    ALONE = "alone"  # nothing
    SCENE = "scene"  # everything else that renders


@dataclass(frozen=True)
class SheetChoice:
    """A character sheet: the character cut out, in some poses from all sides."""

    views: int = 4
    poses: int = 1

    def __post_init__(self) -> None:
        """What makes no sense is refused here, for all ways in."""
        if not (1 <= self.views <= 360 and 1 <= self.poses <= 1000):
            raise InputError(f"A sheet of {self.views} views of {self.poses} poses cannot be: give 1 or more of each")


@dataclass(frozen=True)
class UdpSettings:
    """All choices about UDP sequences but whose they are, of which frames, and where they go."""

    rest: RestChoice = field(default_factory=RestChoice)
    encoding: EncodingChoice = field(default_factory=EncodingChoice)
    file_format: UdpFormat = UdpFormat.NPZ
    view: View = View.FIT
    camera: str = ""  # of View.CAMERA; "" is the scene's own
    turn: int = 48  # of View.TURNTABLE: pictures until the camera is round
    margin: float = DEFAULT_MARGIN  # of a camera of its own: this much of the picture stays free on each side
    size_px: tuple[int, int] | None = None  # None: as the scene's frames through its cameras, else 512 x 512
    occluders: Occluders = Occluders.ALONE
    colour: bool = False  # the character's colour frames as well
    sheet: SheetChoice | None = None
    style: StyleSettings | None = None  # of colour frames and sheet; None: the scene as it is set up

    def __post_init__(self) -> None:
        """What makes no sense is refused here, for all ways in."""
        if self.turn < 1:
            raise InputError(f"A turntable cannot go round in {self.turn} pictures: give 1 or more")
        if not 0 <= self.margin < 0.5:
            raise InputError(f"A margin of {self.margin:g} leaves no room: give a share of the picture below 0.5")
        if self.size_px is not None and not all(1 <= side <= 16384 for side in self.size_px):
            raise InputError(f"Pictures cannot be {self.size_px[0]} x {self.size_px[1]}: give 1 to 16384 pixels")

    @property
    def has_own_camera(self) -> bool:
        """Whether the sequence is seen through a camera that is made for it."""
        return self.view is not View.CAMERA
