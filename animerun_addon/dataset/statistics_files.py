# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics for people and for programs: a table, JSON, CSV and plots. Nothing is computed here."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..output import writable_folder, write_text
from .plots import Chart, Line, svg_of
from .statistics import (
    ALL,
    DERIVATIVE_BINS,
    FLOW_BINS_PX,
    LUMINANCE_BINS,
    Figures,
    Pictures,
    Statistics,
    log_shares,
)

Shares = npt.NDArray[np.float64] | None

# What a program calls it, and what people do.
_ROWS = {
    "clips": "clips",
    "frames": "frames",
    "resolution": "resolution",
    "segments_per_frame": "segments a frame",
    "occluded_segments_per_frame": "occluded segments a frame",
    "pixel_shift_px": "average pixel shift (px)",
    "segment_shift_px": "average segment shift (px)",
    "accumulated_shift_px": "accumulated pixel shift a sequence (px)",
    "luminance_kl": "luminance: KL divergence to the reference (nats)",
    "derivative_sad": "derivative: SAD to the reference",
}
_ABSENT = "-"


def values_of(figures: Figures) -> dict[str, Any]:
    """The numbers of a set by their names, None where there are no labels; histograms left out."""
    values = {name: getattr(figures, name) for name in _ROWS if name != "resolution"}
    return {name: values.get(name) if name != "resolution" else list(figures.sizes) for name in _ROWS}


def table_of(statistics: Statistics) -> list[str]:
    """Lines of a table, a column for each set; rows that no set has a number for are there too, as "-"."""
    columns = [[name, *map(_cell, values_of(figures).values())] for name, figures in statistics.sets.items()]
    titles = ["", *_ROWS.values()]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(
            [
                title.ljust(max(map(len, titles))),
                *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)),
            ]
        )
        for title, *cells in zip(titles, *columns, strict=True)
    ]


def _cell(value: Any) -> str:
    if value is None or value == []:
        return _ABSENT
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def write_statistics(folder: Path, statistics: Statistics) -> list[Path]:
    """statistics.json, statistics.csv and an SVG for each kind of histogram; returns their paths."""
    folder = writable_folder(folder)
    texts = {
        "statistics.json": json.dumps(as_json(statistics), indent=1),
        "statistics.csv": _as_csv(statistics),
        **{f"{name}.svg": svg_of(chart) for name, chart in _charts(statistics) if chart.lines},
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def as_json(statistics: Statistics) -> dict[str, Any]:
    """Everything, histograms and their bins included."""
    sets = {}
    for name, figures in statistics.sets.items():
        histograms = {**_histograms(figures.pictures), "flow_magnitude_px": _plain(figures.flow_magnitude)}
        sets[name] = {**values_of(figures), "histograms": histograms}
    reference = statistics.reference
    return {
        "sets": sets,
        "reference": reference and {"pictures": reference.count, "histograms": _histograms(reference)},
        "bins": {
            "luminance": LUMINANCE_BINS.tolist(),
            "derivative": DERIVATIVE_BINS.tolist(),
            "flow_magnitude_px": FLOW_BINS_PX.tolist(),
        },
    }


def _histograms(pictures: Pictures) -> dict[str, list[float] | None]:
    return {"luminance": _plain(pictures.luminance), "derivative": _plain(pictures.derivative)}


def _plain(shares: Shares) -> list[float] | None:
    return None if shares is None else [float(f"{share:.6g}") for share in shares]


def _as_csv(statistics: Statistics) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", *_ROWS])
    for name, figures in statistics.sets.items():
        values = values_of(figures).values()
        writer.writerow([name, *(" ".join(value) if isinstance(value, list) else value for value in values)])
    return text.getvalue()


def _charts(statistics: Statistics) -> Iterator[tuple[str, Chart]]:
    lines = _Lines(statistics)
    yield (
        "luminance",
        Chart(
            "Luminance",
            "luma (Rec. 601)",
            "share of pixels",
            _edges(LUMINANCE_BINS - 0.5),
            lines.of_pictures(lambda p: p.luminance),
        ),
    )
    yield (
        "derivative",
        Chart(
            "Horizontal derivative of luminance at 960x540",
            "step of luma to the right neighbour",
            "share of pixels, logarithmic",
            _edges(DERIVATIVE_BINS - 0.5),
            lines.of_pictures(lambda p: None if p.derivative is None else log_shares(p.derivative)),
            heights_are_logarithms=True,
        ),
    )
    yield (
        "flow_magnitude",
        Chart(
            "Flow magnitude at 960x540",
            f"pixels a frame ({FLOW_BINS_PX[-1]} and more in one bin)",
            "share of known pixels, logarithmic",
            _edges(FLOW_BINS_PX),
            lines.of_sets(lambda f: None if f.flow_magnitude is None else log_shares(f.flow_magnitude)),
            heights_are_logarithms=True,
            ends_with_last_used=True,
        ),
    )


def _edges(starts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Of bins that are all one wide."""
    return np.append(starts, starts[-1] + 1).astype(np.float64)


class _Lines:
    """The sets that have something to draw; all of them together only where there are several."""

    def __init__(self, statistics: Statistics) -> None:
        several = len(statistics.sets) > 2
        self._sets = {name: figures for name, figures in statistics.sets.items() if several or name != ALL}
        self._reference = statistics.reference

    def of_sets(self, shares_of: Callable[[Figures], Shares]) -> list[Line]:
        shares = {name: shares_of(figures) for name, figures in self._sets.items()}
        return [Line(name, each) for name, each in shares.items() if each is not None]

    def of_pictures(self, shares_of: Callable[[Pictures], Shares]) -> list[Line]:
        lines = self.of_sets(lambda figures: shares_of(figures.pictures))
        shares = None if self._reference is None else shares_of(self._reference)
        return lines if shares is None else [*lines, Line("reference", shares)]
