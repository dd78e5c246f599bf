# SPDX-License-Identifier: GPL-3.0-or-later
"""The quality check's answer in the words of the demo's page: what was looked for, what was found, what is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..dataset.quality import CheckResult, ClipResult, sheet_path
from ..dataset.quality_faults import WARP_LIMIT, limits_for
from .demo_page import Row, Verdict


def verdict_of(check: CheckResult, meta: Mapping[str, Any] | None, page_folder: Path) -> Verdict:
    """What the page tells of the check of its clip; `meta` is the clip's, by which limits are chosen."""
    (clip,) = check.clips
    sheet = None if check.report is None else sheet_path(Path(check.report), clip)
    return Verdict(
        is_good=clip.passed,
        summary=f"Quality check {clip.summary}",
        rows=tuple(_rows(clip, meta)),
        failures=clip.failures,
        notes=tuple(check.all_notes),
        worst_pairs=sheet.relative_to(page_folder).as_posix() if sheet is not None and sheet.exists() else None,
    )


def _rows(clip: ClipResult, meta: Mapping[str, Any] | None) -> Iterator[Row]:
    """Every figure that the clip has and that has a limit; the warp error also where it has none."""
    limits = limits_for(meta)
    # The paper's gate is for frames without contours, which move otherwise than the surfaces.
    told_only = () if WARP_LIMIT in limits else (WARP_LIMIT,)
    for limit in (*limits, *told_only):
        worst = clip.figures.get(f"worst_{limit.figure}")
        if worst is None:
            continue
        is_told_only = limit in told_only
        yield Row(
            what=str(limit.fault),
            mean=_told(limit.figure, clip.figures[limit.figure]),
            worst=_told(limit.figure, worst),
            most="none: these frames have contours" if is_told_only else _told(limit.figure, limit.most),
            is_good=is_told_only or worst <= limit.most,
        )


def _told(figure: str, value: float) -> str:
    """Shares of pixels or segments in percent, the rest as it is."""
    if not figure.endswith("_share"):
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    percent = 100 * value
    return "< 0.001 %" if 0 < percent < 0.001 else f"{round(percent, 3):g} %"
