# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun split`: moves whole cuts of a data set to train and test. Needs no Blender."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..dataset.layout import SPLITS
from ..dataset.split import split_steps
from ..errors import InputError
from ..terminal import No, Terminal
from . import AddCommand


def add_to(add: AddCommand) -> None:
    """The command and its options."""
    split = add("split", _split, "move whole cuts of a data set to train and test")
    split.add_argument("root", type=Path, metavar="ROOT", help="the data set: the folder of train and test")
    split.add_argument("--test", type=float, required=True, metavar="0.2", help="share of the frames for testing")
    split.add_argument("--seed", type=int, default=0, help="another number makes another split (default 0)")
    split.add_argument(
        "--film", action="append", default=[], metavar="NAME=test", help="put a film on this side (may be repeated)"
    )
    split.add_argument(
        "--clips-are-cuts", action="store_true", help="clips of one scene are different cuts and may be parted"
    )
    split.add_argument(
        "--dry-run", action="store_true", help="move nothing; exit code 1 if a cut is on both sides as it is now"
    )


def _split(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    from ..pipeline.job import Job

    steps = split_steps(
        options.root,
        options.test,
        options.seed,
        films=dict(_film_and_side(text) for text in options.film),
        clips_are_cuts=options.clips_are_cuts,
        dry_run=options.dry_run,
    )
    report = Job("Split", steps).run(terminal.show)
    result = {
        **{side: f"{report.clips[side]} clips, {report.frames[side]} frames" for side in SPLITS},
        "test_share": round(report.test_share, 4),
        "would_move" if options.dry_run else "moved": list(report.moved),
        "cuts_on_both_sides" if options.dry_run else "cuts_that_were_on_both_sides": list(report.cuts_on_both_sides),
        "folders_moved_for_an_interrupted_split": report.finished_earlier,
    }
    return No(result) if options.dry_run and report.cuts_on_both_sides else result


def _film_and_side(text: str) -> tuple[str, str]:
    film, equals, side = text.rpartition("=")
    if not equals:
        raise InputError(f"'{text}' does not say where a film goes: write NAME=train or NAME=test")
    return film, side
