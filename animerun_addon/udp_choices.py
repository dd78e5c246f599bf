# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user can choose about rest coordinates and their colours, wherever Ultra-Dense Pose is made."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from .errors import InputError
from .frame_range import LAST_FRAME
from .labels.facing import facing_by_hand
from .labels.skeleton import A_POSE_DEG
from .labels.udp_encoding import Preset, Triple


class Rest(enum.StrEnum):
    """The pose in which each point of the surface gets its coordinate."""

    REST = "rest"  # the armature's rest position
    A_POSE = "a-pose"  # the same, but for the arms
    FRAME = "frame"  # as at a frame of the scene
    ACTION = "action"  # as in an action


@dataclass(frozen=True)
class RestChoice:
    """How the character stands while its rest coordinates are read, and which way it faces."""

    rest: Rest = Rest.REST
    frame: float = 1.0  # of the scene or the action
    action: str = ""
    arms_deg: float = A_POSE_DEG  # of Make A-pose: from straight down, 90 is a T-pose
    # Axes of the armature that the character's front and its head point along; "" is found out from the bones.
    front: str = ""
    up: str = ""

    def __post_init__(self) -> None:
        """What makes no sense is refused here, for all ways in."""
        if self.rest is Rest.ACTION and not self.action:
            raise InputError("Name the action in which the character stands in its rest pose")
        if not abs(self.frame) <= LAST_FRAME:
            raise InputError(f"Blender has no frame {self.frame:g}: give one from {-LAST_FRAME} to {LAST_FRAME}")
        if not 0 <= self.arms_deg <= 90:
            raise InputError(f"Arms at {self.arms_deg:g} degrees make no A-pose: give 0 (down) to 90 (a T-pose)")
        if bool(self.front) != bool(self.up):
            raise InputError("Set both by hand, where the character's front is and where its head, or neither")
        if self.front:
            facing_by_hand(self.front, self.up)


@dataclass(frozen=True)
class EncodingChoice:
    """Which numbers rest coordinates become."""

    preset: Preset = Preset.CONR
    scale: Triple | None = None  # of Preset.FREE
    offset: Triple | None = None
    body_height_m: float = 0.0  # of Preset.CONR; 0 is measured

    def __post_init__(self) -> None:
        """What makes no sense is refused here, for all ways in."""
        if self.preset is Preset.FREE and (self.scale is None or self.offset is None):
            raise InputError("A free encoding needs its scale and its offset: give both, or choose a preset")
        if self.preset is not Preset.FREE and (self.scale or self.offset):
            raise InputError(f"The preset {self.preset} has a scale and an offset of its own: choose free to give them")
        if not (math.isfinite(self.body_height_m) and self.body_height_m >= 0):
            raise InputError(f"A body cannot be {self.body_height_m:g} m high: give more than 0, or 0 to measure it")
