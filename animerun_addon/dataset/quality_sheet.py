# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet of pairs of frames: a row for each, its frame, its flow, what is hidden, and what does not fit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..labels.visualize import NOTHING_RGB, flow_colours, occlusion_over, sequence_scale
from .formats import write_png
from .quality_pair import PairView, warp_error_map

UInt8 = npt.NDArray[np.uint8]

_CELL_WIDTH_PX = 400
_TITLE_PX = 22
_GAP_PX = 6
_PAPER, _INK, _INK_OF_FAULTS = (250, 250, 250), (20, 20, 20), (190, 0, 0)
# Differences of pictures are small: a fifth of the whole range is as bright as it gets.
_ERROR_GAIN = 5


def write_sheet(path: Path, rows: Iterable[tuple[str, bool, PairView]]) -> bool:
    """Rows of a title, whether it failed, and the pair, whose views have images; whether there was anything to draw."""
    drawn = [_row(*row) for row in rows]
    if drawn:
        width = max(row.shape[1] for row in drawn)
        write_png(path, np.vstack([_padded(row, width) for row in drawn]))
    return bool(drawn)


def _row(title: str, failed: bool, pair: PairView) -> UInt8:
    image, image_there = pair.here.image, pair.there.image
    assert image is not None
    assert image_there is not None
    flow = pair.flow
    scale_px = sequence_scale([(flow.flow_px, flow.valid)])
    cells = [
        (title, image),
        (f"flow, full colour {scale_px:g} px", flow_colours(flow.flow_px, flow.valid, scale_px)),
    ]
    visible = flow.valid
    if pair.visible is not None:
        cells.append(("occluded", occlusion_over(image, ~pair.visible)))
        visible = visible & pair.visible
    errors = warp_error_map(image, image_there, flow.flow_px)
    cells.append((f"difference x {_ERROR_GAIN}, carried back", _error_colours(errors, visible)))
    ink = _INK_OF_FAULTS if failed else _INK
    return np.hstack(
        [_cell(text, picture, ink if number == 0 else _INK) for number, (text, picture) in enumerate(cells)]
    )


def _error_colours(errors: npt.NDArray[np.float32], visible: npt.NDArray[np.bool_]) -> UInt8:
    """White where the pictures are the same, red where they differ, black where nothing can be compared."""
    rest = np.rint(255 * (1 - np.clip(errors * _ERROR_GAIN, 0, 1))).astype(np.uint8)
    picture = np.stack([np.full_like(rest, 255), rest, rest], axis=-1)
    picture[~visible] = NOTHING_RGB
    return picture


def _cell(title: str, picture: UInt8, ink: tuple[int, int, int]) -> UInt8:
    """A picture, made small, under its title."""
    import cv2

    width = _CELL_WIDTH_PX
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    how = cv2.INTER_AREA if picture.shape[1] > width else cv2.INTER_NEAREST
    cell = np.full((_TITLE_PX + height + _GAP_PX, width + _GAP_PX, 3), _PAPER, dtype=np.uint8)
    cell[_TITLE_PX : _TITLE_PX + height, :width] = cv2.resize(picture, (width, height), interpolation=how)
    cv2.putText(cell, _ascii(title), (2, _TITLE_PX - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.42, ink, 1, cv2.LINE_AA)
    return cell


def _padded(row: UInt8, width: int) -> npt.NDArray[Any]:
    sides = ((0, 0), (0, width - row.shape[1]), (0, 0))
    return np.pad(row, sides, constant_values=_PAPER[0])


def _ascii(text: str) -> str:
    """OpenCV's letters are no others."""
    return text.encode("ascii", "replace").decode()
