# SPDX-License-Identifier: GPL-3.0-or-later
"""What all benches lean on: fair turns, honest verdicts, and the JSON that others read."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import measure


def test_candidates_take_turns_and_the_warm_up_does_not_count():
    order = []
    times = measure.measure_in_turn(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3, warm_up=1
    )
    assert order == ["a", "b"] * 4
    assert set(times) == {"a", "b"}


def test_median_shrugs_off_one_slow_round(monkeypatch):
    ticks = iter([0, 1, 0, 2, 0, 100])  # start and end of three rounds
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(ticks))
    assert measure.measure_in_turn({"a": lambda: None}, rounds=3, warm_up=0) == {"a": 2}


@pytest.mark.parametrize(
    ("better", "figure", "met"),
    [("lower", 0.9, True), ("lower", 1.1, False), ("higher", 1.1, True), ("higher", 0.9, False)],
)
def test_targets(better, figure, met):
    assert measure.Target(1.0, better).is_met(figure) is met


def test_report_writes_what_was_met_and_what_was_missed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure, "OUT", tmp_path / "bench")
    measure.report("speed", {"ratio": 1.3, "s": 2.0}, {"ratio": measure.Target(1.1, "lower")})
    content = json.loads((tmp_path / "bench" / "speed.json").read_text())
    assert content["figures"] == {"ratio": 1.3, "s": 2.0}
    assert content["targets"] == {"ratio": {"limit": 1.1, "better": "lower"}}
    assert content["met"] == {"ratio": False}
    assert content["machine"]["cores"]
    assert "MISSED" in capsys.readouterr().out
