# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session remembers of Ultra-Dense Pose: findings by character, exports by folder and character."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from animerun_addon import udp_memory
from animerun_addon.errors import InputError
from animerun_addon.labels.body import FoundBy
from animerun_addon.labels.facing import Facing, facing_by_hand
from animerun_addon.labels.skeleton import Stance
from animerun_addon.progress import JobState, JobStatus
from animerun_addon.udp_choices import EncodingChoice, Rest, RestChoice
from animerun_addon.udp_memory import (
    Finding,
    UdpRun,
    check_not_running,
    facing_words,
    finding_of,
    last_run,
    remember_finding,
    remember_run,
)
from animerun_addon.udp_options import UdpRequest
from animerun_addon.udp_settings import UdpSettings

HERE, THERE = Path("/here"), Path("/there")
STANDS = RestChoice()


@pytest.fixture(autouse=True)
def nothing_remembered():
    udp_memory._runs.clear()
    udp_memory._findings.clear()


def finding(stance, rest=STANDS):
    return Finding(rest, EncodingChoice(), b"1", "so", stance, "Faces -Y", 1.7, 0.0, ())


def run(*characters, folder=HERE, state=JobState.DONE, result=None):
    request = UdpRequest(UdpSettings(), characters, folder, "Scene", range(1, 3))
    return UdpRun(
        request, SimpleNamespace(status=JobStatus("Export UDP", state=state, note="Cancelled"), result=result)
    )


@pytest.mark.parametrize("stance", Stance)
def test_make_a_pose_is_for_arms_that_are_held_otherwise(stance):
    assert finding(stance).wants_a_pose == (stance not in {Stance.A_POSE, Stance.NO_ARMS})
    assert not finding(stance, RestChoice(Rest.A_POSE)).wants_a_pose


def test_findings_are_told_apart_by_scene_and_character():
    remember_finding(1, "Hero", finding(Stance.T_POSE))
    assert finding_of(1, "Hero").stance is Stance.T_POSE
    assert finding_of(2, "Hero") is None
    assert finding_of(1, "Alma") is None


@pytest.mark.parametrize(
    ("front", "up", "words"),
    [
        ("-Y", "Z", "Faces -Y of its armature, up Z; seen from the feet"),
        ("Z", "Y", "Faces Z of its armature, up Y; seen from the feet"),
    ],
)
def test_facing_in_words(front, up, words):
    check = SimpleNamespace(facing=Facing(facing_by_hand(front, up), FoundBy.FEET))
    assert facing_words(check) == words


def test_a_facing_between_axes_is_about_the_nearest_one():
    angle = np.radians(10)
    turned = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    words = facing_words(SimpleNamespace(facing=Facing(turned, FoundBy.NAMES)))
    assert words.startswith("Faces about -Y of its armature, up Z")


def test_the_last_run_of_any_of_these_characters_in_a_folder():
    first, second = run("Hero", "Alma"), run("Alma")
    remember_run(first)
    remember_run(run("Hero", folder=THERE))
    assert last_run(HERE, ["Hero"]) is first
    remember_run(second)
    assert last_run(HERE, ["Alma", "Hero"]) is second
    assert last_run(THERE, ["Alma"]) is None


def test_one_character_is_exported_into_a_folder_by_one_export_at_a_time():
    remember_run(run("Hero", "Alma", state=JobState.RUNNING))
    with pytest.raises(InputError, match="'Alma' is being exported"):
        check_not_running(run("Alma").request)
    check_not_running(run("Alma", folder=THERE).request)
    check_not_running(run("Bea").request)


def test_a_run_says_how_it_ended():
    assert run("Hero", state=JobState.CANCELLED).headline() == "Cancelled"
    result = {"pictures": 4, "kept": 0, "characters": {"Alma": "", "Hero": ""}}
    assert run("Hero", result=result).headline() == "4 pictures of Alma, Hero"
    assert run("Hero", result={**result, "kept": 3}).headline() == "4 pictures of Alma, Hero, 3 were there already"
