# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a data set is what it claims to be: files, sizes, labels, matching, and the paper's warp test; a verdict.

A folder gets the report: check.json, and of every clip a contact sheet with its worst pairs. No bpy.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import InputError, OutputError
from ..output import writable_folder, write_text
from ..progress import Steps, as_part
from .layout import SPLITS, Clip
from .quality_clip import Checked, clip_steps, view_of
from .quality_faults import CheckResult, ClipResult, Fault, Finding
from .quality_sheet import write_sheet
from .reader import AnimeRun, ClipReader

__all__ = ["CheckResult", "ClipResult", "Fault", "Finding", "check_steps", "sheet_path"]

# In the data set's own folder, beside the splits.
REPORT_FOLDER = "check"
REPORT_FILE = "check.json"


def check_steps(
    root: Path | str,
    splits: Collection[str] | None = None,
    clips: Collection[str] | None = None,
    report: Path | None = None,
) -> Steps[CheckResult]:
    """Check a data set: all of it, or some splits, or the clips of some names.

    The report goes into the folder `report`, else into `check` in the data set. If nothing can be written there, the
    verdict comes without it, and with a note. A `report` that cannot be written is an OutputError, before all work.
    """
    root = Path(root)
    chosen = _chosen(root, splits, clips)
    folder, notes = _report_folder(root, report)
    found = []
    with ThreadPoolExecutor(2) as threads:
        for number, (split, reader) in enumerate(chosen):
            title = f"{split}/{reader.name}"
            clip = Clip(root, split, reader.name)
            steps = clip_steps(reader, clip, threads)
            checked = yield from as_part(steps, number / len(chosen), 1 / len(chosen), title)
            found.append(checked.result)
            if folder is not None:
                _write_sheet(folder, reader, checked)
    result = CheckResult(tuple(found), None if folder is None else str(folder), tuple(notes))
    if folder is not None:
        write_text(folder / REPORT_FILE, json.dumps(result.to_plain(), indent=1))
    return result


def sheet_path(folder: Path, clip: ClipResult) -> Path:
    """Where a report has the contact sheet of a clip, if it has one."""
    return folder / f"{clip.split}_{clip.name}.png"


def _chosen(
    root: Path, splits: Collection[str] | None, clips: Collection[str] | None
) -> Sequence[tuple[str, ClipReader]]:
    """Splits and clips that are to be checked."""
    there = [split for split in SPLITS if (root / split).is_dir()]
    # Without any split the reader says what is amiss.
    readers = [(split, clip) for split in splits or there or SPLITS[:1] for clip in AnimeRun(root, split).clips]
    if clips is None:
        return readers
    unknown = sorted(set(clips) - {reader.name for _, reader in readers})
    if unknown:
        names = ", ".join(sorted({reader.name for _, reader in readers}))
        raise InputError(f"There is no clip '{unknown[0]}' in '{root}': choose from {names}")
    return [(split, reader) for split, reader in readers if reader.name in clips]


def _report_folder(root: Path, report: Path | None) -> tuple[Path | None, list[str]]:
    if report is not None:
        return writable_folder(report), []
    try:
        return writable_folder(root / REPORT_FOLDER), []
    except OutputError as error:
        return None, [f"No report is kept: {error}"]


def _write_sheet(folder: Path, reader: ClipReader, checked: Checked) -> None:
    """The clip's worst pairs, or nothing of a clip that has no pairs with pictures."""
    views = ((badness, view_of(reader, badness)) for badness in checked.worst)
    rows = [
        (f"{view[0]}, warp error {badness.warp_error:.4f}", badness.faults > 0, view[1])
        for badness, view in views
        if view is not None
    ]
    path = sheet_path(folder, checked.result)
    if not write_sheet(path, rows):
        path.unlink(missing_ok=True)
