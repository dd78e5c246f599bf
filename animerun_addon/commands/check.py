# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun check`: whether a data set is right. Exit code 1 when it is not."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..terminal import No, Terminal
from . import AddCommand


def add_to(add: AddCommand) -> None:
    """The command and its options."""
    check = add("check", _check, "check a data set: files, labels against each other, and frames carried by the flow")
    check.add_argument("root", type=Path, metavar="ROOT", help="the folder that holds train and test")
    check.add_argument("--split", action="append", metavar="NAME", help="only this split; may be given again")
    check.add_argument("--clip", action="append", metavar="NAME", help="only this clip; may be given again")
    check.add_argument("--report", type=Path, metavar="DIR", help="folder for the report (default: ROOT/check)")


def _check(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    from ..dataset.quality import check_steps
    from ..pipeline.job import Job

    steps = check_steps(options.root, options.split, options.clip, options.report)
    result = Job("Check", steps).run(terminal.show)
    summary: dict[str, Any] = {
        "passed": result.passed,
        "clips": {f"{clip.split}/{clip.name}": clip.summary for clip in result.clips},
        "failures": list(result.failures),
        "notes": list(result.all_notes),
        "report": result.report,
    }
    return summary if result.passed else No(summary)
