# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps tables of measured figures in docs/: between two marker comments, a column added or replaced at each run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"

Cells = dict[str, dict[str, str]]  # by row, then by column


def update_table(document: Path, name: str, corner: str, new: Mapping[str, Mapping[str, str]]) -> None:
    """Put cells (row, column) into the table `name` of a document; its other columns stay, rows are those of `new`."""
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    before, rest = document.read_text(encoding="utf-8").split(begin)
    table, after = rest.split(end)
    old = parsed(table)
    cells = {row: {**old.get(row, {}), **columns} for row, columns in new.items()}
    document.write_text(before + begin + drawn(corner, cells) + end + after, encoding="utf-8")


def parsed(table: str) -> Cells:
    """The cells of a Markdown table, by row and column; none of an empty one."""
    lines = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table.splitlines() if line.strip()]
    if not lines:
        return {}
    columns = lines[0][1:]
    return {row: dict(zip(columns, values, strict=True)) for row, *values in lines[2:]}


def drawn(corner: str, cells: Cells) -> str:
    """A Markdown table; columns in the order of their names as they are met, missing cells empty."""
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    lines = [[corner, *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *(values.get(column, "") for column in columns)] for row, values in cells.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
