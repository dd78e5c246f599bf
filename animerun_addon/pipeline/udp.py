# SPDX-License-Identifier: GPL-3.0-or-later
"""The job that exports Ultra-Dense Pose sequences of characters, and on demand their colour frames and a sheet.

A picture that is there already is not made again, so an export that was interrupted goes on where it was. What a
picture is made of, in udp_picture.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..dataset import udp_sequence as files
from ..dataset.layout import digits_for, safe_name
from ..dataset.udp import UdpInfo, frames_folder, write_info
from ..errors import InputError
from ..labels.framing import Still, Turning, View, turned_about
from ..labels.snapshot import Float64
from ..output import alone_in, writable_folder
from ..progress import Progress, Steps, as_part
from ..scene.characters import Character, named_character
from ..scene.drivers import threads_are_safe
from ..scene.engine import with_render_depsgraph
from ..scene.frames import check_camera, in_window, picture_size_px
from ..scene.id_pass import Backend, choose_backend, wanted_backend
from ..scene.snapshot import SnapshotReader
from ..scene.udp_character import UP, UdpCharacter, front_axes, udp_character
from ..scene.udp_stage import look_from, stage
from ..style_settings import StyleSettings
from ..udp_settings import Occluders, SheetChoice, UdpSettings
from ..udp_settings import View as Choice
from .export import Source, programs
from .styled import styled
from .tasks import Tasks
from .udp_colour import Subject, colour_steps, sheet_pictures, sheet_settings, sheet_steps
from .udp_picture import Film, Look, Picture, write_picture

# Blender builds the scene anew for each look at it: so many pictures are made in one.
AT_ONCE = 16
_MOST_WAITING_TASKS = 16


@dataclass(frozen=True)
class UdpResult:
    """What was made of one character."""

    character: str
    folder: Path
    pictures: int
    written: int
    kept: int  # pictures that were there already
    verdict: str  # how the character stands in its rest pose
    warning: str | None  # what the encoding clips
    notes: tuple[str, ...]
    sheet: Path | None


def udp_steps(
    scene: bpy.types.Scene,
    names: Sequence[str],
    out: Path,
    frames: Sequence[int],
    settings: UdpSettings,
    source: Source,
    *,
    anew: bool = False,
) -> Steps[list[UdpResult]]:
    """Export a sequence of each character into a folder of its name; what is there is kept unless it is to be `anew`.

    The scene is left as it was.
    """
    if not names:
        raise InputError(f"Scene '{scene.name}' has no character to export: choose at least one")
    if not frames or min(frames) < 0:
        raise InputError("There is nothing to export: choose at least one frame, none below 0")
    if settings.view is Choice.CAMERA and not settings.camera:
        check_camera(scene)
    chosen = [named_character(scene, name) for name in names]
    folders = _folders(names, out)
    results = []
    with styled(scene, settings.style) as style:
        for number, (name, character, folder) in enumerate(zip(names, chosen, folders, strict=True)):
            making = _Making(scene, name, character, folder, sorted(set(frames)), settings, source, style)
            share = 1.0 / len(names)
            with alone_in(writable_folder(out), folder.name):
                title = name if len(names) > 1 else ""
                results.append((yield from as_part(making.steps(anew), number * share, share, title)))
    return results


def pictures_of(frames: Sequence[int], settings: UdpSettings) -> list[Picture]:
    """The pictures of a sequence: one a frame, but of a single frame on a turntable a whole turn."""
    if settings.view is not Choice.TURNTABLE:
        return [Picture(frame, frame) for frame in frames]
    step = 2 * np.pi / settings.turn
    if len(frames) == 1:
        return [Picture(place + 1, frames[0], step * place) for place in range(settings.turn)]
    return [Picture(frame, frame, step * place) for place, frame in enumerate(frames)]


def _folders(names: Sequence[str], out: Path) -> list[Path]:
    """A folder for each character, the same one in every run with these names."""
    folders = [out / safe_name(name) for name in names]
    for name, folder in zip(names, folders, strict=True):
        others = [other for other, its in zip(names, folders, strict=True) if its == folder and other != name]
        if others:
            raise InputError(
                f"Characters '{name}' and '{others[0]}' would go into one folder, '{folder.name}': rename one, or "
                "export them into different folders"
            )
    return folders


class _Making:
    """One character's sequence at work."""

    def __init__(
        self,
        scene: bpy.types.Scene,
        name: str,
        character: Character,
        folder: Path,
        frames: Sequence[int],
        settings: UdpSettings,
        source: Source,
        style: StyleSettings | None,
    ) -> None:
        self._scene, self._name, self._character, self._folder = scene, name, character, folder
        self._frames, self._settings, self._source, self._style = frames, settings, source, style
        self._backend: Backend = choose_backend(wanted_backend(scene))
        self._notes: dict[str, None] = {}

    def steps(self, anew: bool) -> Steps[UdpResult]:
        """Everything of this character."""
        settings = self._settings
        yield Progress(0, 1, "Reading the rest pose")
        hero = udp_character(self._scene, self._name, settings.rest, settings.encoding, frames=())
        self._notes |= dict.fromkeys(hero.notes)
        pictures = pictures_of(self._frames, settings)
        with stage(self._scene, self._character, settings) as copied, in_window(copied):
            views = yield from as_part(self._views(copied, hero, pictures, settings), 0.0, 0.2)
            if anew:
                files.remove(self._folder)
            info = files.begin(self._folder, self._info(copied, hero, pictures))
            wanted = [picture for picture in pictures if picture.number not in info.clipped_by_frame]
            film = Film(copied, hero, views, self._backend, settings.occluders is Occluders.ALONE)
            info = yield from as_part(self._sequence(film, wanted, info), 0.2, 0.3)
            self._notes |= dict.fromkeys(film.notes)
            if settings.colour:
                yield from as_part(self._colour(film, views, pictures, info), 0.5, 0.3)
        sheet = None
        if settings.sheet is not None:
            sheet = yield from as_part(self._sheet(hero, settings.sheet), 0.8, 0.2, "Sheet")
        return UdpResult(
            self._name,
            self._folder,
            len(pictures),
            len(wanted),
            len(pictures) - len(wanted),
            hero.check.verdict,
            info.warning,
            (*hero.check.notes, *self._notes),
            sheet,
        )

    def _views(
        self, copied: bpy.types.Scene, hero: UdpCharacter, pictures: Sequence[Picture], settings: UdpSettings
    ) -> Steps[dict[int, View]]:
        """Of the stage's own camera, by the pictures' numbers; none where the scene's cameras are used."""
        if not settings.has_own_camera:
            return {}
        reader = SnapshotReader(copied, only=hero.by_object.keys())
        framing = Turning() if settings.view is Choice.TURNTABLE else Still()
        front: list[Float64] = []
        frames = sorted({picture.frame for picture in pictures})

        def visit(frame: float, depsgraph: bpy.types.Depsgraph) -> None:
            if not front:
                front.append(front_axes(hero, depsgraph, self._character.rig))
            points = hero.points_of(reader.read(depsgraph))
            for picture in pictures:
                if picture.frame == frame:
                    framing.add(picture.number, front[0] @ turned_about(UP, -picture.turn), points)

        for done in range(0, len(frames), AT_ONCE):
            yield Progress(done, len(frames), f"Finding the view, frame {frames[done]}")
            with_render_depsgraph(copied, frames[done : done + AT_ONCE], visit)
        views = framing.views()
        if not views:
            raise InputError(f"Nothing of character '{self._name}' renders in frames {frames[0]} to {frames[-1]}")
        look_from(copied, next(iter(views.values())), settings.margin)
        # Of a picture that shows nothing, any view will do.
        return dict.fromkeys((picture.number for picture in pictures), next(iter(views.values()))) | views

    def _sequence(self, film: Film, pictures: Sequence[Picture], info: UdpInfo) -> Steps[UdpInfo]:
        """Make the pictures that are not there yet; udp.json knows of those that are whole."""
        writable_folder(frames_folder(self._folder))
        with Tasks(_MOST_WAITING_TASKS, inline=not threads_are_safe()) as tasks:
            for batch in _batches(pictures):
                yield Progress(pictures.index(batch[0]), len(pictures), f"Drawing picture {batch[0].number}")
                for number, share in self._draw(film, batch, info, tasks).items():
                    info = info.with_frame(number, share.result())
                write_info(self._folder, info)
        return info

    def _draw(self, film: Film, batch: Sequence[Picture], info: UdpInfo, tasks: Tasks) -> dict[int, Future[float]]:
        """The shares that are clipped, by the pictures' numbers."""
        made: dict[int, Future[float]] = {}

        def take(picture: Picture, look: Look) -> None:
            path = info.path(self._folder, picture.number)
            made[picture.number] = tasks.add(write_picture, film.character, look, path, info.file_format)

        film.look_at(batch, take)
        return made

    def _colour(self, film: Film, views: Mapping[int, View], pictures: Sequence[Picture], info: UdpInfo) -> Steps[None]:
        """Render the colour frames that are not there yet."""
        folder = writable_folder(files.colour_folder(self._folder))
        paths = {picture: folder / f"{info.stem(picture.number)}.png" for picture in pictures}
        lacking = {picture: path for picture, path in paths.items() if not path.exists()}
        among = film if self._settings.occluders is Occluders.SCENE else None
        yield from colour_steps(Subject(self._scene, self._character, self._settings), views, lacking, among)

    def _sheet(self, hero: UdpCharacter, choice: SheetChoice) -> Steps[Path]:
        """Returns the picture of all of it."""
        settings = sheet_settings(self._settings, choice)
        pictures = sheet_pictures(self._frames, choice)
        with stage(self._scene, self._character, settings, alone=True) as copied, in_window(copied):
            views = yield from as_part(self._views(copied, hero, list(pictures.values()), settings), 0.0, 0.3)
        overview = files.overview_path(self._folder)
        subject = Subject(self._scene, self._character, settings)
        making = sheet_steps(subject, views, pictures, files.sheet_folder(self._folder), overview)
        yield from as_part(making, 0.3, 0.7)
        return overview

    def _info(self, copied: bpy.types.Scene, hero: UdpCharacter, pictures: Sequence[Picture]) -> UdpInfo:
        width_px, height_px = picture_size_px(copied.render)
        return UdpInfo(
            encoding=hero.encoding,
            character=self._name,
            rest=hero.rest,
            file_format=self._settings.file_format,
            width_px=width_px,
            height_px=height_px,
            clipped_by_frame={},
            clipped_surface=hero.clipped_surface,
            versions=programs(),
            digits=digits_for(max(picture.number for picture in pictures)),
            made_from=self._made_from(hero),
        )

    def _made_from(self, hero: UdpCharacter) -> dict[str, Any]:
        """All else that makes a picture what it is; not which pictures there are: more may be added."""
        settings = self._settings
        own: dict[str, Any] = {}
        if settings.has_own_camera:
            own = {"margin": settings.margin, "framed_frames": list(self._frames)}
        if settings.view is Choice.TURNTABLE:
            own["turn"] = settings.turn
        if settings.view is Choice.CAMERA:
            own["camera"] = settings.camera or "the scene's"
        return {
            "file": self._source.file,
            "sha256": self._source.sha256,
            "scene": self._scene.name,
            "view": settings.view.value,
            **own,
            "occluders": settings.occluders.value,
            "backend": self._backend,
            "engine": self._scene.render.engine,
            "body_height_m": hero.body_height_m,
            "style": self._style.to_plain() if self._style else None,
        }


def _batches(pictures: Sequence[Picture]) -> Iterator[list[Picture]]:
    """So many at once as one look at the scene is worth."""
    for start in range(0, len(pictures), AT_ONCE):
        yield list(pictures[start : start + AT_ONCE])
