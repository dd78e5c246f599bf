# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes docs/images/udp.png from what `make demo` left: the heroine's colour frames, their poses, and her sheet."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from animerun_addon.dataset.formats import read_png, write_png
from animerun_addon.dataset.udp_sequence import UdpSequence, colour_folder, overview_path
from animerun_addon.labels.visualize import udp_colours

WIDTH_PX = 1400
GROUND = (0x3A, 0x3F, 0x4B)
ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "udp.png"

UInt8 = npt.NDArray[np.uint8]


def main(folder: Path) -> None:
    """`folder` is that of the sequence."""
    sequence = UdpSequence(folder)
    stems = [sequence.info.stem(frame) for frame in sequence.info.frames]
    colours = [on_ground(read_png(colour_folder(folder) / f"{stem}.png")) for stem in stems]
    poses = [udp_colours(udp) for udp in sequence]
    rows = [np.concatenate(colours, axis=1), np.concatenate(poses, axis=1), on_ground(read_png(overview_path(folder)))]
    write_png(PICTURE, np.concatenate([scaled(row) for row in rows]))


def on_ground(picture: UInt8) -> UInt8:
    """A cut-out (H, W, 4) on plain grey, (H, W, 3)."""
    alpha = picture[..., 3:] / np.float32(255)
    return np.rint(picture[..., :3] * alpha + np.array(GROUND, np.float32) * (1 - alpha)).astype(np.uint8)


def scaled(row: UInt8) -> UInt8:
    """As wide as all others."""
    height = round(row.shape[0] * WIDTH_PX / row.shape[1])
    return np.asarray(cv2.resize(row, (WIDTH_PX, height), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "out" / "demo" / "udp" / "AR_Heroine")
