# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel asks about Ultra-Dense Pose: its settings, and the words of the shell command. Without bpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .dataset.udp import UdpFormat
from .labels.udp_encoding import Preset, Triple
from .style_settings import StyleSettings
from .udp_choices import EncodingChoice, Rest, RestChoice
from .udp_settings import Occluders, SheetChoice, UdpSettings, View


@dataclass(frozen=True)
class UdpRequest:
    """Sequences of some characters: what they are made of, and where they go."""

    settings: UdpSettings
    characters: tuple[str, ...]
    folder: Path
    scene: str
    frames: range

    @property
    def place(self) -> Path:
        """What no two running exports may share."""
        return self.folder

    def words(self, *, anew: bool, source: Path | None) -> list[str]:
        """The options of `animerun udp`; `source` is the file whose contents these are, if one is."""
        # In one word with their option, names may begin with a dash.
        words = [f"--character={name}" for name in self.characters]
        words += [f"--out={self.folder}", f"--scene={self.scene}"]
        words += ["--frames", f"{self.frames[0]}-{self.frames[-1]}", "--step", str(self.frames.step)]
        words += settings_words(self.settings)
        words += ["--anew"] if anew else []
        return words if source is None else [*words, "--source", str(source)]


def settings_words(settings: UdpSettings) -> list[str]:
    """The options that make these settings, but for what the style does: a file has that for itself."""
    words = ["--format", settings.file_format, "--occluders", settings.occluders]
    words += _view_words(settings) + rest_words(settings.rest) + encoding_words(settings.encoding)
    if settings.size_px is not None:
        words += ["--size", f"{settings.size_px[0]}x{settings.size_px[1]}"]
    if settings.colour:
        words.append("--colour")
    if settings.sheet is not None:
        words += ["--sheet", f"{settings.sheet.views}x{settings.sheet.poses}"]
    if settings.style is not None:
        words.append("--style")
    return words


def _view_words(settings: UdpSettings) -> list[str]:
    match settings.view:
        case View.CAMERA:
            # The name may begin with a dash; without one it is the scene's own camera.
            return [f"--camera={settings.camera}"] if settings.camera else ["--camera"]
        case View.TURNTABLE:
            return ["--turntable", str(settings.turn), "--margin", repr(settings.margin)]
    return ["--fit", "--margin", repr(settings.margin)]


def rest_words(rest: RestChoice) -> list[str]:
    """How the character rests."""
    words = {
        Rest.REST: [],
        Rest.A_POSE: ["--a-pose", repr(rest.arms_deg)],
        Rest.FRAME: ["--rest-frame", repr(rest.frame)],
        Rest.ACTION: [f"--rest-action={rest.action}", "--rest-frame", repr(rest.frame)],
    }[rest.rest]
    return [*words, f"--front={rest.front}", f"--up={rest.up}"] if rest.front else words


def encoding_words(encoding: EncodingChoice) -> list[str]:
    """What coordinates become."""
    if encoding.scale is not None and encoding.offset is not None:
        return [f"--scale={_triple_text(encoding.scale)}", f"--offset={_triple_text(encoding.offset)}"]
    height = ["--body-height", repr(encoding.body_height_m)] if encoding.body_height_m else []
    return ["--preset", encoding.preset, *height]


def _triple_text(numbers: Sequence[float]) -> str:
    return ",".join(map(repr, numbers))


# What the panel says -------------------------------------------------------------------------------------------------


def settings_of(panel: Any, style: StyleSettings) -> UdpSettings:
    """What the panel's properties say; `style` is used only if they ask for it."""
    view = View[panel.view]
    as_the_scene = view is View.CAMERA and panel.uses_scene_size
    shows_colours = panel.colour or panel.makes_sheet
    return UdpSettings(
        rest=rest_of(panel),
        encoding=encoding_of(panel),
        file_format=UdpFormat[panel.file_format],
        view=view,
        camera=panel.camera.name if view is View.CAMERA and panel.camera is not None else "",
        turn=panel.turn if view is View.TURNTABLE else UdpSettings.turn,
        margin=UdpSettings.margin if view is View.CAMERA else neat(panel.margin),
        size_px=None if as_the_scene else (panel.width, panel.height),
        occluders=Occluders[panel.occluders],
        colour=panel.colour,
        sheet=SheetChoice(panel.sheet_views, panel.sheet_poses) if panel.makes_sheet else None,
        style=style if panel.uses_style and shows_colours else None,
    )


def rest_of(panel: Any) -> RestChoice:
    """How the character stands while its rest coordinates are read."""
    rest = Rest[panel.rest]
    by_hand = panel.sets_facing
    return RestChoice(
        rest=rest,
        frame=float(panel.rest_frame) if rest in {Rest.FRAME, Rest.ACTION} else RestChoice.frame,
        action=panel.rest_action.name if rest is Rest.ACTION and panel.rest_action is not None else "",
        arms_deg=neat(np.degrees(panel.arms_angle), digits=3) if rest is Rest.A_POSE else RestChoice.arms_deg,
        front=axis_of(panel.front) if by_hand else "",
        up=axis_of(panel.up) if by_hand else "",
    )


def encoding_of(panel: Any) -> EncodingChoice:
    """Which numbers rest coordinates become."""
    preset = Preset[panel.preset]
    if preset is Preset.FREE:
        return EncodingChoice(preset, _triple(panel.scale), _triple(panel.offset))
    is_measured = preset is not Preset.CONR or panel.measures_height
    return EncodingChoice(preset, body_height_m=0.0 if is_measured else neat(panel.body_height))


def axis_of(choice: str) -> str:
    """ "-Y" of "NEG_Y", as identifiers of choices have no sign."""
    return choice.replace("NEG_", "-")


def neat(number: float, digits: int | None = None) -> float:
    """0.05 of 0.05000000074505806: Blender keeps single floats, and people see and type their shortest decimals."""
    shortest = float(str(np.float32(number)))
    return shortest if digits is None else round(shortest, digits)


def _triple(numbers: Sequence[float]) -> Triple:
    x, y, z = map(neat, numbers)
    return x, y, z
