# SPDX-License-Identifier: GPL-3.0-or-later
"""What this session knows of Ultra-Dense Pose: how characters were found to stand, and how the last exports went.

In memory only. No bpy: scenes are told apart by their numbers in the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .export_runs import Watched
from .labels.facing import Facing
from .labels.skeleton import PoseCheck, Stance
from .labels.snapshot import Float64
from .progress import JobState
from .udp_choices import EncodingChoice, Rest, RestChoice
from .udp_options import UdpRequest

# As axes are called.
_AXES = ("X", "Y", "Z")
# Cosine of the angle within which a direction is called along an axis.
_ALONG = 0.9998


@dataclass(frozen=True)
class Finding:
    """What a check found out about a character."""

    rest: RestChoice  # what it was asked with
    encoding: EncodingChoice
    state: object  # of the character; another one if that was changed since
    verdict: str
    stance: Stance
    facing: str
    body_height_m: float
    clipped_share: float  # of its surface, by the encoding
    notes: tuple[str, ...]

    @property
    def is_a_pose(self) -> bool:
        """Whether it stands as CoNR expects it."""
        return self.stance is Stance.A_POSE

    @property
    def wants_a_pose(self) -> bool:
        """Whether its arms could be turned so that it does."""
        return self.stance not in {Stance.A_POSE, Stance.NO_ARMS} and self.rest.rest is not Rest.A_POSE

    def is_for(self, rest: RestChoice, encoding: EncodingChoice) -> bool:
        """Whether it was found out with these choices."""
        return (self.rest, self.encoding) == (rest, encoding)


def facing_words(check: PoseCheck) -> str:
    """ "Faces -Y of its armature, up Z; seen from the bones' names"."""
    facing: Facing = check.facing
    directions = f"Faces {_axis_words(-facing.back)} of its armature, up {_axis_words(facing.up)}"
    return f"{directions}; seen from {facing.found_by.value}"


def _axis_words(direction: Float64) -> str:
    place = int(abs(direction).argmax())
    name = ("-" if direction[place] < 0 else "") + _AXES[place]
    return name if abs(direction[place]) > _ALONG else f"about {name}"


@dataclass(frozen=True)
class UdpRun:
    """An export that was begun."""

    request: UdpRequest
    job: Watched

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.job.status.state is JobState.RUNNING

    def headline(self) -> str:
        """How it ended, in a line."""
        result = self.job.result
        return self.job.status.note if result is None else told(result)


def told(result: dict[str, Any]) -> str:
    """What `animerun udp` answered, in a line."""
    whose = ", ".join(result["characters"])
    kept = f", {result['kept']} were there already" if result["kept"] else ""
    return f"{result['pictures']} pictures of {whose}{kept}"


# By the numbers of scenes in the session and the characters' names.
_findings: dict[tuple[int, str], Finding] = {}
# The oldest first.
_runs: list[UdpRun] = []


def remember_finding(scene: int, character: str, finding: Finding) -> None:
    """It is the last one of this character now."""
    _findings[scene, character] = finding


def finding_of(scene: int, character: str) -> Finding | None:
    """The last one of this character."""
    return _findings.get((scene, character))


def forget_findings() -> None:
    """Another file is open."""
    _findings.clear()


def remember_run(run: UdpRun) -> None:
    """It is the last one of its characters in its folder now."""
    _runs[:] = [other for other in _runs if other.is_running or not _meet(other.request, run.request)]
    _runs.append(run)


def last_run(folder: Path, characters: Sequence[str]) -> UdpRun | None:
    """The last one of any of these characters in this folder."""
    return next((run for run in reversed(_runs) if _is_of(run, folder, characters)), None)


def check_not_running(request: UdpRequest) -> None:
    """Two exports of one character into one folder would be in each other's way."""
    for run in _runs:
        both = [name for name in request.characters if name in run.request.characters]
        if run.is_running and both and run.request.folder == request.folder:
            raise InputError(f"'{both[0]}' is being exported: wait for it, or cancel it in the AnimeRun panel")


def _meet(one: UdpRequest, other: UdpRequest) -> bool:
    return one.folder == other.folder and not set(one.characters).isdisjoint(other.characters)


def _is_of(run: UdpRun, folder: Path, characters: Sequence[str]) -> bool:
    return run.request.folder == folder and not set(run.request.characters).isdisjoint(characters)
