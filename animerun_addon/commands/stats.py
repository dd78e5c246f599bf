# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun stats`: what a data set is like, as a table, JSON, CSV and plots. Needs no Blender."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..dataset.layout import SPLITS
from ..dataset.statistics import clip_statistics_steps, clips_of
from ..dataset.statistics_files import table_of, values_of, write_statistics
from ..output import writable_folder
from ..terminal import Terminal
from . import AddCommand


def add_to(add: AddCommand) -> None:
    """The command and its options."""
    stats = add("stats", _stats, "tell what a data set is like: segments, motion, luminance")
    stats.add_argument("root", type=Path, metavar="ROOT", help="the data set: the folder of train and test")
    stats.add_argument(
        "--split", choices=SPLITS, action="append", help="only this split (default: those that are there)"
    )
    stats.add_argument(
        "--reference", type=Path, metavar="DIR", help="PNG and JPEG pictures to compare with, folders within included"
    )
    stats.add_argument("--out", type=Path, metavar="DIR", help="folder for JSON, CSV and plots (default: ROOT/stats)")


def _stats(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    from ..pipeline.job import Job

    clips = clips_of(options.root, options.split)
    folder = writable_folder(options.out or options.root / "stats")
    statistics = Job("Statistics", clip_statistics_steps(clips, options.reference)).run(terminal.show)
    files = write_statistics(folder, statistics)
    figures: Any = table_of(statistics)
    if options.json:
        figures = {name: values_of(each) for name, each in statistics.sets.items()}
    return {"statistics": figures, "folder": str(folder), "files": [path.name for path in files]}
