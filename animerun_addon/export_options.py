# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel asks an export to do: its settings, and the words of the shell command that does it. Without bpy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .export_settings import ExportSettings, Label, MatchingRule, Occlusion, SegmentSource, needs
from .style_settings import StyleSettings
from .udp_choices import EncodingChoice, RestChoice
from .udp_options import encoding_of, encoding_words, rest_of, rest_words


@dataclass(frozen=True)
class ExportRequest:
    """One clip: what it is made of, and where it goes."""

    settings: ExportSettings
    root: Path
    split: str
    clip: str
    film: str
    scene: str
    frames: range

    @property
    def place(self) -> Path:
        """What no two running exports may share."""
        return self.root / self.split / self.clip

    def words(self, *, check: bool, anew: bool, source: Path | None) -> list[str]:
        """The options of `animerun export`; `source` is the file whose contents the clip is made from, if one is."""
        settings = self.settings
        # In one word with their option, names may begin with a dash.
        words = [f"--out={self.root}", "--split", self.split, f"--clip={self.clip}", f"--film={self.film}"]
        words += [f"--scene={self.scene}", "--frames", f"{self.frames[0]}-{self.frames[-1]}"]
        words += ["--step", str(self.frames.step), "--stride", ",".join(map(str, settings.strides))]
        words += ["--labels", ",".join(label for label in Label if label in settings.labels)]
        words += ["--augment", str(settings.augment), "--occlusion", settings.occlusion]
        words += ["--segments", settings.segments, "--matching", settings.matching]
        switches = {
            "--style": settings.style is not None,
            "--remove-holds": settings.remove_holds,
            "--check": check,
            "--anew": anew,
        }
        words += [word for word, is_on in switches.items() if is_on]
        if Label.UDP in settings.labels:
            words += rest_words(settings.udp_rest) + encoding_words(settings.udp_encoding)
        return words if source is None else [*words, "--source", str(source)]


def switch_of(label: Label) -> str:
    """What the panel's switch of a label is called."""
    return "writes_" + label.replace("-", "_")


def settings_of(panel: Any, udp_panel: Any, style: StyleSettings) -> ExportSettings:
    """What the panels' properties say; `style` is used only if they ask for it. Other colours are part of it."""
    return ExportSettings(
        labels=frozenset(label for label in Label if getattr(panel, switch_of(label))),
        strides=parse_strides(panel.strides),
        augment=panel.augment,
        style=style if panel.uses_style or panel.augment else None,
        occlusion=Occlusion[panel.occlusion],
        segments=SegmentSource[panel.segments],
        matching=MatchingRule[panel.matching],
        remove_holds=panel.remove_holds,
        udp_rest=rest_of(udp_panel) if panel.writes_udp else RestChoice(),
        udp_encoding=encoding_of(udp_panel) if panel.writes_udp else EncodingChoice(),
    )


def parse_strides(text: str) -> tuple[int, ...]:
    """From "1, 2, 3"."""
    words = text.replace(",", " ").split()
    if not words or not all(re.fullmatch(r"[1-9][0-9]{0,3}", word) for word in words):
        raise InputError(f"Cannot read '{text.strip()}' as frames apart: write 1, or 1, 2, 3")
    return tuple(sorted(map(int, words)))


def frames_of(first: int, last: int, step: int) -> range:
    """The frames that are asked for."""
    if last < first:
        raise InputError(f"Frames {first} to {last} run backwards: make the last frame the larger one")
    return range(first, last + 1, step)


def frames_asked(scene: Any, step: int) -> range:
    """The frames that the panel's range asks for, every so many of them; a scene's own range has its step besides."""
    settings = scene.animerun
    if settings.use_scene_range:
        return frames_of(scene.frame_start, scene.frame_end, step * scene.frame_step)
    return frames_of(settings.frame_start, settings.frame_end, step)


def relied_on(settings: ExportSettings) -> list[Label]:
    """Labels that others are made from and that are not made themselves: an earlier export must have left them."""
    needed = {source for label in settings.labels for source in needs(label, settings)}
    return [label for label in Label if label in needed - settings.labels]
