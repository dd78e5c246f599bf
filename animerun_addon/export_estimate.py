# SPDX-License-Identifier: GPL-3.0-or-later
"""How large an export becomes and how long it takes, before it is made. The panel asks at every draw."""

from __future__ import annotations

from dataclasses import dataclass

from .export_settings import ExportSettings, Label
from .style_settings import Contours


@dataclass(frozen=True)
class _Cost:
    """Of one label: of a frame, or of one direction of a pair."""

    bytes_a_px: float
    seconds: float  # on two cores, at 1024x436
    files: int = 1


# Arrays are as large as their formats say; for pictures, EXR and matches it is what the demo scene came to.
_OF_A_FLAT_LOOK = _Cost(0.13, 0.35)
_OF_A_SHADED_LOOK = _Cost(1.0, 1.0)  # textures, light and shadow, in whatever engine: this can be far off
_OF_A_FRAME = {
    Label.CONTOUR: _Cost(0.08, 0.05),
    Label.LINE_AREA: _Cost(1, 0.01),
    Label.SEGMENT: _Cost(4, 0.35),
    Label.DEPTH: _Cost(4, 0.01),
    Label.NORMAL: _Cost(12, 0.03),
    Label.IDS: _Cost(8, 0.01, files=2),
    Label.UDP: _Cost(3, 0.1),
    Label.EXR: _Cost(20, 0.6),
}
_OF_A_DIRECTION = {
    Label.FLOW: _Cost(8, 0.05),
    Label.OCCLUSION: _Cost(1, 0.15),
    Label.VALID: _Cost(0.006, 0.01),
    Label.MATCHING: _Cost(0.036, 0.05),
}
REFERENCE_PX = 1024 * 436
_HEADER_BYTES = 128
# Blender's own strokes, for each render that has them. It hardly depends on the size.
_FREESTYLE_S = 5.0
# Evaluating the scene and drawing the ids, once a frame.
_SNAPSHOT_S = 0.2
_CHECK_S_A_DIRECTION = 0.1


@dataclass(frozen=True)
class Estimate:
    """What an export comes to."""

    files: int
    size_bytes: float
    seconds: float


def estimate(
    settings: ExportSettings, frames: int, size_px: tuple[int, int], *, checked: bool = False, pace: float = 1.0
) -> Estimate:
    """`checked`: with the time of the check; `pace`: how many times longer than the rough figures it takes here."""
    width, height = size_px
    directions = 2 * sum(max(frames - stride, 0) for stride in settings.strides)
    parts = [(_OF_A_FRAME[label], frames) for label in settings.labels if label in _OF_A_FRAME]
    parts += [(_OF_A_DIRECTION[label], directions) for label in settings.labels if label in _OF_A_DIRECTION]
    if Label.FRAMES in settings.labels:
        look = _OF_A_SHADED_LOOK if settings.style is None else _OF_A_FLAT_LOOK
        parts.append((look, frames * (1 + settings.augment)))
    files = sum(cost.files * times for cost, times in parts)
    scale = width * height / REFERENCE_PX
    seconds = scale * sum(cost.seconds * times for cost, times in parts)
    seconds += scale * _CHECK_S_A_DIRECTION * directions * checked
    seconds += frames * (_SNAPSHOT_S + _FREESTYLE_S * _renders_with_strokes(settings))
    size_bytes = width * height * sum(cost.bytes_a_px * times for cost, times in parts) + _HEADER_BYTES * files
    return Estimate(files, size_bytes, pace * seconds)


def _renders_with_strokes(settings: ExportSettings) -> int:
    """How often Blender draws its own strokes in each frame."""
    style = settings.style
    if style is None or style.contours is not Contours.FREESTYLE:
        return 0
    looks = 1 + settings.augment if Label.FRAMES in settings.labels else 0
    return looks + (Label.CONTOUR in settings.labels)


def size_text(size_bytes: float) -> str:
    """As file browsers say it: "870 MB", "1.2 GB"."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size_bytes >= 0.9995 * scale:
            number = size_bytes / scale
            return f"{number:.1f} {unit}" if number < 9.95 else f"{number:.0f} {unit}"
    return f"{max(size_bytes / 1e3, 1):.0f} kB"


def time_text(seconds: float) -> str:
    """Roughly: "20 seconds", "3 minutes", "5 hours"."""
    for unit, scale in (("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * scale:
            return f"{seconds / scale:.0f} {unit}s"
    return f"{max(10 * round(seconds / 10), 10)} seconds"
