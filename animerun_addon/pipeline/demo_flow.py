# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's comparison: flow that was estimated from a few frames beside their exact flow, with its error. No bpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..dataset.formats import Float32
from ..dataset.items import Pair, UInt8
from ..dataset.reader import ClipReader
from ..evaluation.endpoint_error import EndpointError, distance_px, endpoint_error
from ..frame_range import spread
from ..labels.visualize import flow_colours
from ..model_bridge.classical import classical_flow
from ..progress import Progress, Steps
from .demo_page import Comparison, Gallery, Picture
from .demo_pictures import PagePictures, flow_file

# So many of the frames that are shown with their labels.
COMPARED = 3


def comparison_steps(clip: ClipReader, gallery: Gallery, folder: Path, page_folder: Path) -> Steps[Comparison]:
    """Compare some of the gallery's frames, in its scale; pictures go into `folder`, where the gallery's are."""
    pictures = PagePictures(folder, page_folder)
    shown = {sheet.frame for sheet in gallery.sheets}
    pairs = spread([pair for pair in clip.pairs() if pair.first.name in shown], COMPARED)
    figures: list[Picture] = []
    whole = EndpointError()
    for done, pair in enumerate(pairs):
        yield Progress(done, len(pairs), f"Estimating the flow of frame {pair.first.name}")
        flow_px = classical_flow(pair.first.image, pair.second.image).forward.flow_px
        error = endpoint_error(flow_px, pair.flow_px, pair.valid, pair.occluded)
        figures += _row(pair, flow_px, error, pictures, gallery.scale_px)
        whole += error
    return Comparison(tuple(figures), _summary(whole, gallery.scale_px))


def _row(pair: Pair, flow_px: Float32, error: EndpointError, pictures: PagePictures, scale_px: float) -> list[Picture]:
    name = pair.first.name
    to = f"to the next frame, {pair.second.name}"
    estimated = pictures.save(
        f"{name}_flow_classical.png", flow_colours(flow_px, np.isfinite(flow_px).all(axis=2), scale_px)
    )
    off = pictures.save(f"{name}_flow_error.png", _greys(pair, flow_px, scale_px))
    return [
        Picture(pictures.place(flow_file(pair)), f"Exact, frame {name}", to, f"The exact flow of frame {name}"),
        Picture(estimated, "Classical", to, f"The flow of frame {name} as classical optical flow estimates it"),
        Picture(off, "Error", f"{error} on average", f"How far the estimated flow of frame {name} is off"),
    ]


def _greys(pair: Pair, flow_px: Float32, scale_px: float) -> UInt8:
    """(H, W), white where the estimated flow is off by the scale or more; black where nobody knows."""
    off = np.minimum(distance_px(flow_px, pair.flow_px) / scale_px, 1.0)
    return np.where(pair.valid, np.rint(255 * off), 0).astype(np.uint8)


def _summary(whole: EndpointError, scale_px: float) -> str:
    return (
        "Classical optical flow (OpenCV's DIS, both ways, no network) sees the colour frames alone. It is off by "
        f"{whole} on average over these frames. Colours are those of the wheel above; in the error white is "
        f"{scale_px:g} px and more. Command: animerun flow."
    )
