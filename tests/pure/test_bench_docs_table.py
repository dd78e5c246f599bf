# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables in docs/ that benches write: one run replaces its own columns and nothing else."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

from docs_table import update_table

AROUND = "Before.\n<!-- begin faults -->\n{}<!-- end faults -->\nAfter.\n"


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(AROUND.format(""), encoding="utf-8")
    return path


def test_each_run_adds_its_column(page):
    update_table(page, "faults", "px", {"shift": {"ours": "0", "4.5": "9"}, "lens": {"ours": "0", "4.5": "0"}})
    update_table(page, "faults", "px", {"shift": {"ours": "1", "5.2": "6"}, "lens": {"ours": "1", "5.2": "0"}})
    assert page.read_text(encoding="utf-8") == AROUND.format(
        "| px | ours | 4.5 | 5.2 |\n| --- | --- | --- | --- |\n| shift | 1 | 9 | 6 |\n| lens | 1 | 0 | 0 |\n"
    )


def test_rows_of_earlier_versions_of_a_bench_go(page):
    update_table(page, "faults", "px", {"old": {"4.5": "9"}})
    update_table(page, "faults", "px", {"new": {"5.2": "1"}})
    table = page.read_text(encoding="utf-8")
    assert "old" not in table
    assert "| px | 5.2 |" in table


def test_the_same_run_twice_changes_nothing(page):
    rows = {"shift": {"ours": "< 0.0001", "4.5": ""}}
    update_table(page, "faults", "px", rows)
    once = page.read_text(encoding="utf-8")
    update_table(page, "faults", "px", rows)
    assert page.read_text(encoding="utf-8") == once
