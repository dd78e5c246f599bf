# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders one shot several times over: as 2D animation, in other colours, as line art. The scene stays as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bpy

from ..progress import Steps, as_part
from ..scene.style import convert, last_settings, restore
from ..style_settings import StyleSettings
from .render import render_steps


@dataclass(frozen=True)
class Variant:
    """One look of a shot, and the folder of its frames, within the shot's."""

    folder: str
    settings: StyleSettings


def variants_of(settings: StyleSettings, augmented: int, line_art: bool) -> list[Variant]:
    """The look itself, so many in other colours, and line art; beside each other as in the AnimeRun data set."""
    looks = [Variant("original", settings)]
    for number in range(augmented):
        colours = replace(settings, augment=True, seed=settings.seed + number)
        looks.append(Variant(f"color_{number + 1}", colours))
    if line_art:
        looks.append(Variant("line_art", replace(settings, line_art=True)))
    # A look alone needs no folder of its own.
    return looks if len(looks) > 1 else [Variant("", settings)]


def variant_steps(
    scene: bpy.types.Scene, out: Path, variants: Sequence[Variant], frames: Sequence[int] | None = None
) -> Steps[dict[str, list[Path]]]:
    """Render each variant into its folder of `out`; returns the files by folders."""
    files: dict[str, list[Path]] = {}
    with as_it_was(scene):
        for number, variant in enumerate(variants):
            convert(scene, variant.settings)
            steps = render_steps(scene, out / variant.folder, frames)
            share = 1.0 / len(variants)
            files[variant.folder] = yield from as_part(steps, number * share, share, variant.folder)
    return files


@contextlib.contextmanager
def as_it_was(scene: bpy.types.Scene) -> Iterator[None]:
    """Whatever the scene is converted to while the block runs, it has its own style again afterwards."""
    before = last_settings(scene)
    try:
        yield
    finally:
        if before is None:
            restore(scene)
        else:
            convert(scene, before)
