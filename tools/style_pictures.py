# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders docs/images/style.png: a frame of the demo scene as it comes, in 2D style, as line art, in other colours."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import numpy.typing as npt

from animerun_addon.dataset.formats import write_png
from animerun_addon.pipeline.frame_files import read_frame
from animerun_addon.pipeline.job import Job
from animerun_addon.pipeline.render import render_steps
from animerun_addon.pipeline.variants import variant_steps, variants_of
from animerun_addon.scene.demo import build_steps
from animerun_addon.style_settings import Contours, StyleSettings

FRAME = 12
COLUMNS = 2
GAP_PX = 8
PALETTES = ("Summer day", "Dusk", "Candy")
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "style.png"


def main() -> None:
    """As it comes: with EEVEE, which takes a minute for the first frame without a GPU."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = Job("Demo", build_steps(0)).run()
    style = StyleSettings(contours=Contours.FAST)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = Job("Render", render_steps(scene, folder / "before", [FRAME])).run()
        made = Job("Render", variant_steps(scene, folder, variants_of(style, 0, line_art=True), [FRAME])).run()
        files += [made["original"][0], made["line_art"][0]]
        for palette in PALETTES:
            variants = variants_of(replace(style, palette=palette), 1, line_art=False)
            made = Job("Render", variant_steps(scene, folder / palette, variants, [FRAME])).run()
            files += made["color_1"]
        write_png(PICTURE, sheet([colours(read_frame(file)) for file in files]))


def colours(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Greys as colours."""
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture[..., :3]


def sheet(pictures: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Pictures of one size in rows, white between them."""
    height, width = (size + GAP_PX for size in pictures[0].shape[:2])
    rows = -(-len(pictures) // COLUMNS)
    whole = np.full((rows * height - GAP_PX, COLUMNS * width - GAP_PX, 3), 255, dtype=np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // COLUMNS * height, number % COLUMNS * width
        whole[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return whole


if __name__ == "__main__":
    main()
