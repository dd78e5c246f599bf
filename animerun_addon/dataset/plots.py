# SPDX-License-Identifier: GPL-3.0-or-later
"""Histograms as SVG pictures that a browser opens: axes, ticks, a legend. Text only; no plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

_WIDTH, _HEIGHT = 820, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 24, 48, 64
_MOST_TICKS = 8
_FONT = "font-family='system-ui, sans-serif'"
# Colours that are told apart by colour-blind people too (after Okabe and Ito), and dashes for print without colours.
_STROKES = (("#0072b2", ""), ("#d55e00", "7 3"), ("#000000", "2 2"), ("#009e73", "10 3 2 3"), ("#cc79a7", "4 4"))


@dataclass(frozen=True)
class Line:
    """One histogram of a chart: its name in the legend, and its bins' heights."""

    name: str
    heights: Float64


@dataclass(frozen=True)
class Chart:
    """Histograms over the same bins, which end at `edges`, one more than there are bins; as logarithms, or as they are.

    With `ends_with_last_used` the bins at the upper end are left out that are at their lowest in all lines.
    """

    title: str
    x_label: str
    y_label: str
    edges: Float64
    lines: Sequence[Line]
    heights_are_logarithms: bool = False
    ends_with_last_used: bool = False


def ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """At most eight round numbers from `low` to `high`, evenly apart; whole ones need a span of 1 or more."""
    span = high - low
    exponent = math.floor(math.log10(span / _MOST_TICKS))
    steps = [factor * 10.0**power for power in (exponent, exponent + 1) for factor in (1, 2, 5)]
    step = next(step for step in steps if span / step < _MOST_TICKS and (step >= 1 or not whole))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def svg_of(chart: Chart) -> str:
    """The chart as a whole SVG file."""
    heights = np.stack([line.heights for line in chart.lines])
    used = np.flatnonzero((heights > heights.min()).any(axis=0))
    count = int(used[-1]) + 1 if chart.ends_with_last_used and len(used) else heights.shape[1]
    bottom, top = _range(heights, chart.heights_are_logarithms)
    area = _Area(chart.edges[0], chart.edges[count], bottom, top)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}' width='{_WIDTH}' "
        f"height='{_HEIGHT}' role='img' {_FONT} font-size='13'>",
        f"<title>{escape(chart.title)}</title>",
        f"<rect width='{_WIDTH}' height='{_HEIGHT}' fill='white'/>",
        _text(_LEFT, 26, chart.title, "start", "font-size='16' font-weight='600'"),
        *_axes(chart, area),
        *(_curve(line, chart, area, number, count) for number, line in enumerate(chart.lines)),
        *_legend(chart.lines),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _range(heights: Float64, are_logarithms: bool) -> tuple[float, float]:
    if are_logarithms:
        bottom = math.floor(heights.min())
        return bottom, max(math.ceil(heights.max()), bottom + 1)
    return 0.0, 1.05 * float(heights.max()) or 1.0


@dataclass(frozen=True)
class _Area:
    """What numbers the drawing's edges stand for."""

    left: float
    right: float
    bottom: float
    top: float

    def x(self, number: float) -> float:
        return _LEFT + (number - self.left) / (self.right - self.left) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, number: float) -> float:
        share = (number - self.bottom) / (self.top - self.bottom)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _axes(chart: Chart, area: _Area) -> list[str]:
    parts = []
    below, above = _HEIGHT - _BOTTOM, _TOP
    for number in ticks(area.left, area.right, whole=True):
        x = area.x(number)
        parts += [_rule(x, below, x, above, "#e4e4e4"), _text(x, below + 18, f"{number:g}", "middle")]
    for number in ticks(area.bottom, area.top, whole=chart.heights_are_logarithms):
        y = area.y(number)
        label = f"1e{number:g}" if chart.heights_are_logarithms else f"{number:g}"
        parts += [_rule(_LEFT, y, _WIDTH - _RIGHT, y, "#e4e4e4"), _text(_LEFT - 8, y + 4, label, "end")]
    middle_x, middle_y = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    return [
        *parts,
        _rule(_LEFT, below, _WIDTH - _RIGHT, below, "#404040"),
        _rule(_LEFT, below, _LEFT, above, "#404040"),
        _text(middle_x, _HEIGHT - 18, chart.x_label, "middle"),
        _text(22, middle_y, chart.y_label, "middle", f"transform='rotate(-90 22 {middle_y:g})'"),
    ]


def _curve(line: Line, chart: Chart, area: _Area, number: int, count: int) -> str:
    """A staircase, every bin as wide as it is."""
    heights = [f"{area.y(height):.1f}" for height in line.heights[:count]]
    start, *ends = [f"{area.x(edge):.1f}" for edge in chart.edges[: count + 1]]
    steps = (f"V{height}H{end}" for height, end in zip(heights, ends, strict=True))
    path = f"M{start} {heights[0]}" + "".join(steps)
    return f"<path d='{path}' fill='none' {_stroke(number)}><title>{escape(line.name)}</title></path>"


def _legend(lines: Sequence[Line]) -> list[str]:
    parts = []
    longest = max(len(line.name) for line in lines)
    left = _WIDTH - _RIGHT - 44 - 8 * longest
    for number, line in enumerate(lines):
        y = _TOP + 14 + 20 * number
        parts += [
            f"<line x1='{left}' y1='{y}' x2='{left + 30}' y2='{y}' {_stroke(number)}/>",
            _text(left + 38, y + 4, line.name, "start"),
        ]
    return parts


def _stroke(number: int) -> str:
    colour, dashes = _STROKES[number % len(_STROKES)]
    return f"stroke='{colour}' stroke-width='1.6'" + (f" stroke-dasharray='{dashes}'" if dashes else "")


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}'/>"


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='#202020' {more}>{escape(text)}</text>"
