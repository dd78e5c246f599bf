# SPDX-License-Identifier: GPL-3.0-or-later
"""The job that exports a scene as one clip of a data set in the AnimeRun layout.

Blender renders and evaluates on the main thread; labels, segments and files are made by threads meanwhile. Every file
is made from the scene and from whole files alone, and one that is there is not made again: so an export that was
interrupted, however that happened, goes on where it was.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..dataset.derived import make_line_area, make_matching, make_segments
from ..dataset.formats import read_png, write_png
from ..dataset.layout import Clip, Kind, digits_for
from ..dataset.manifest import Records, begin, check_only_in, put_characters, remove
from ..dataset.plan import Pair, Plan, lines_for, with_what_frames_need
from ..dataset.udp import clipping_warning
from ..errors import InputError, OutputError
from ..export_settings import ExportSettings, Label, MatchingRule, SegmentSource
from ..labels.line_art import darkened
from ..labels.lines import drawn_over
from ..output import alone_in, writable_folder
from ..progress import Progress, Steps, as_part
from ..scene.characters import characters
from ..scene.drivers import threads_are_safe
from ..scene.frames import check_camera, in_window, picture_size_px, render_png, writing_png
from ..scene.holds import kept_frames_steps
from ..scene.id_pass import Backend, choose_backend, wanted_backend
from ..scene.style import convert
from ..scene.udp_character import UdpCharacter, udp_character
from ..style_settings import StyleSettings
from ..version import VERSION
from .export_labels import LabelMaker
from .frame_files import read_frame
from .styled import styled
from .tasks import Tasks
from .variants import Variant, variants_of

# Of the whole time, told as progress.
_HOLDS_SHARE = 0.05
_MOST_WAITING_TASKS = 32


@dataclass(frozen=True)
class Source:
    """What a clip is exported from: the file as it lies on the disk, whatever copy of it is open."""

    file: str
    sha256: str
    film: str  # clips of one film are told apart by their scenes when the data set is split


@dataclass(frozen=True)
class ExportResult:
    """What an export has made."""

    clip: Clip
    frames: tuple[int, ...]
    written: int
    kept: int  # files that were there already
    notes: tuple[str, ...]  # what has no labels or no correspondence


def source_of(path: Path, film: str = "") -> Source:
    """The source that a .blend file is."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror or error}") from error
    return Source(path.name, digest.hexdigest(), film or path.stem)


def export_steps(
    scene: bpy.types.Scene,
    clip: Clip,
    frames: Sequence[int],
    settings: ExportSettings,
    source: Source,
    *,
    anew: bool = False,
) -> Steps[ExportResult]:
    """Export frames of a scene as a clip; what the clip has already is kept unless it is to be made `anew`.

    The scene is left as it was.
    """
    check_camera(scene)
    if not frames or min(frames) < 0:
        raise InputError("There is nothing to export: choose at least one frame, none below 0")
    if scene.render.use_border:
        raise InputError("Labels are of the whole picture: switch the render region off")
    writable_folder(clip.root)
    check_only_in(clip)
    with (
        in_window(scene),
        styled(scene, settings.style) as style,
        alone_in(clip.root, f"{clip.split}_{clip.name}"),
    ):
        settings = replace(settings, style=style)
        start = 0.0
        if settings.remove_holds:
            start = _HOLDS_SHARE
            frames = yield from as_part(kept_frames_steps(scene, frames), 0.0, start, "Held frames")
        clip = replace(clip, digits=digits_for(max(frames)))
        plan = Plan(clip, tuple(frames), with_what_frames_need(settings), lines_for(settings))
        plan.check_sources(may_be_there=not anew)
        if anew:
            remove(clip)
        return (yield from as_part(_Making(scene, plan, source).steps(), start, 1.0 - start))


class _Making:
    """One export at work."""

    def __init__(self, scene: bpy.types.Scene, plan: Plan, source: Source) -> None:
        self._scene = scene
        self._clip = plan.clip
        self._style = plan.settings.style
        self._backend: Backend = choose_backend(wanted_backend(scene))
        now = begin(plan.clip, _description(scene, plan, source, self._backend))
        self._plan = replace(
            plan,
            settings=replace(
                plan.settings,
                labels=frozenset(map(Label, now["labels"])),
                strides=tuple(now["strides"]),
                augment=len(now["looks"]) - 1,
            ),
        )
        self._records = Records(plan.clip)
        self._rendered = plan.clip.meta.parent / "rendering"
        self._derived_up_to = -1
        self._notes: list[str] = []  # of the characters

    def steps(self) -> Steps[ExportResult]:
        """Everything, in the order in which one thing needs the other."""
        plan = self._plan
        planned = list(plan.files)
        lacking = sum(not path.exists() for path in planned)
        for folder in sorted(plan.folders()):
            writable_folder(folder)
        shutil.rmtree(self._rendered, ignore_errors=True)
        writable_folder(self._rendered)
        try:
            with Tasks(_MOST_WAITING_TASKS, inline=not threads_are_safe()) as tasks:
                yield from self._work(tasks)
        finally:
            shutil.rmtree(self._rendered, ignore_errors=True)
        absent = next((path for path in planned if not path.exists()), None)
        if absent is not None:
            raise OutputError(f"'{absent}' was removed while the clip was being exported: run it again")
        notes = dict.fromkeys([*self._notes, *self._records.finish()])
        return ExportResult(plan.clip, plan.frames, lacking, len(planned) - lacking, tuple(notes))

    def _work(self, tasks: Tasks) -> Steps[None]:
        plan = self._plan
        thickness_px = self._style.line_thickness_px if self._style else 1.0
        found = characters(self._scene)
        heroes = self._heroes(found) if plan.has(Label.UDP) else []
        labels = LabelMaker(plan, self._backend, thickness_px, found, heroes, self._records, tasks)
        contours = [frame for frame in plan.frames if not self._clip.contour(frame).exists()]
        if not plan.contour_files():
            contours = []

        def frames_and_derived(batch: list[int]) -> Steps[None]:
            if plan.has(Label.FRAMES):
                yield from self._render(tasks, batch, plan.looks[0])
            if not contours:
                self._derive(tasks, batch[-1])

        stages = [labels.steps(self._scene, frames_and_derived)]
        if contours:
            stages.append(self._render_contours(tasks, contours))
        augmented = variants_of(self._style or StyleSettings(), plan.settings.augment, line_art=False)
        stages += [self._render_look(tasks, variant) for variant in augmented[1:]]
        stages.append(_drained(tasks))
        for number, stage in enumerate(stages):
            yield from as_part(stage, number / len(stages), 1.0 / len(stages))

    def _heroes(self, names: Iterable[str]) -> list[UdpCharacter]:
        """The characters that have a surface, noted down with what their UDP means."""
        settings = self._plan.settings
        heroes = []
        for name in names:
            try:
                hero = udp_character(self._scene, name, settings.udp_rest, settings.udp_encoding, frames=())
            except InputError as error:
                self._notes.append(f"No UDP: {error}")
                continue
            heroes.append(hero)
            self._notes += hero.notes
            warning = clipping_warning([(hero.clipped_surface, f"the surface of '{name}'")])
            self._notes += [warning] if warning else []
        put_characters(self._clip, {hero.name: _plain_character(hero) for hero in heroes})
        return heroes

    def _render(self, tasks: Tasks, frames: Sequence[int], look: str) -> Steps[None]:
        """Colour frames that are not there yet."""
        clip = self._clip
        wanted = [frame for frame in frames if not clip.frame(frame, look).exists()]
        draws_lines = self._style is not None and self._plan.lines_from_labels
        with writing_png(self._scene, compression=0):
            for done, frame in enumerate(wanted):
                yield Progress(done, len(wanted), f"Rendering frame {frame}, {look}")
                rendered = self._rendered / f"{look}_{frame}.png"
                render_png(self._scene, frame, rendered)
                lines = clip.contour(frame) if draws_lines else None
                path = clip.frame(frame, look)
                tasks.make([path], [lines] if lines else [], self._finish_frame, rendered, path, lines)

    def _render_look(self, tasks: Tasks, variant: Variant) -> Steps[None]:
        """The same frames in other colours."""
        if all(path.exists() for path in self._plan.colour_files(variant.folder)):
            return
        convert(self._scene, replace(variant.settings, line_art=False))
        yield from self._render(tasks, self._plan.frames, variant.folder)

    def _render_contours(self, tasks: Tasks, frames: Sequence[int]) -> Steps[None]:
        """Line art that Blender draws, and what is made from it."""
        assert self._style is not None
        convert(self._scene, replace(self._style, line_art=True))
        with writing_png(self._scene, compression=0):
            for done, frame in enumerate(frames):
                yield Progress(done, len(frames), f"Rendering contours of frame {frame}")
                rendered = self._rendered / f"contour_{frame}.png"
                render_png(self._scene, frame, rendered)
                path = self._clip.contour(frame)
                tasks.make([path], [], _finish_contour, rendered, path)
                self._derive(tasks, frame)
        self._derive(tasks, self._plan.frames[-1])

    def _finish_frame(self, rendered: Path, path: Path, lines: Path | None) -> None:
        picture = read_frame(rendered)
        if lines is not None and self._style is not None:
            picture = drawn_over(picture, read_png(lines) == 0, self._style.coloured_lines)
        write_png(path, picture)
        rendered.unlink()

    def _derive(self, tasks: Tasks, last_frame: int) -> None:
        """Have everything made that is made from the files of frames up to this one."""
        plan, clip = self._plan, self._clip
        by_contour = plan.settings.segments is SegmentSource.CONTOUR
        for frame in self._underived_up_to(last_frame):
            pictures = [clip.frame(frame), clip.contour(frame)]
            lacking = [path for path in plan.derived_files(frame) if not path.exists()]
            if clip.line_area(frame) in lacking:
                tasks.make([clip.line_area(frame)], pictures, make_line_area, clip, frame)
            if clip.segment(frame) in lacking:
                tasks.make([clip.segment(frame)], pictures, make_segments, clip, frame, by_contour)
            for pair in [pair for pair in self._plan.pairs_to(frame) if plan.matching_files(pair)]:
                self._match(tasks, pair)

    def _match(self, tasks: Tasks, pair: Pair) -> None:
        plan, clip = self._plan, self._clip
        by_flow = plan.settings.matching is MatchingRule.FLOW
        for source, target, direction in pair.ways:
            path = clip.matching(source, direction, pair.stride)
            if path.exists():
                continue
            sources = [clip.segment(source), clip.segment(target)]
            if by_flow:
                sources += [clip.flow(source, direction, pair.stride), clip.unmatched(source, direction, pair.stride)]
            else:
                sources += [clip.of_frame(Kind.OBJECT_ID, frame, ".npy") for frame in (source, target)]
            tasks.make([path], sources, make_matching, clip, source, target, pair.stride, by_flow)

    def _underived_up_to(self, last_frame: int) -> Iterator[int]:
        """The plan's frames up to this one, each only once."""
        for frame in self._plan.frames:
            if self._derived_up_to < frame <= last_frame:
                self._derived_up_to = frame
                yield frame


def _finish_contour(rendered: Path, path: Path) -> None:
    write_png(path, darkened(read_frame(rendered)[..., :3].min(axis=-1)))
    rendered.unlink()


def _drained(tasks: Tasks) -> Steps[None]:
    """Wait for the rest."""
    total = left = tasks.check()
    while left:
        yield Progress(total - left, total, "Finishing files")
        left = tasks.wait_for_one()


def _description(scene: bpy.types.Scene, plan: Plan, source: Source, backend: Backend) -> dict[str, Any]:
    """What meta.json says: all that makes this clip what it is, and nothing about when and where."""
    settings, render = plan.settings, scene.render
    width_px, height_px = picture_size_px(render)
    return {
        "clip": plan.clip.name,
        "film": source.film,
        "source": {"file": source.file, "scene": scene.name, "sha256": source.sha256},
        "frames": list(plan.frames),
        "digits": plan.clip.digits,
        "strides": list(settings.strides),
        "labels": [label.value for label in Label if label in settings.labels],
        "looks": list(plan.looks),
        "width_px": width_px,
        "height_px": height_px,
        "fps": render.fps / render.fps_base,
        "engine": render.engine,
        "backend": backend,
        "style": settings.style.to_plain() if settings.style else None,
        "frames_have_lines": True if settings.style else _have_lines(scene),
        "contour": "labels" if plan.lines_from_labels else "rendered",
        "occlusion": settings.occlusion.value,
        "segments": settings.segments.value,
        "matching": settings.matching.value,
        "holds_removed": settings.remove_holds,
        "versions": programs(),
    }


def _plain_character(hero: UdpCharacter) -> dict[str, Any]:
    """As Meta's udp.json has it: whose pixels are whose, the object ids say."""
    encoding = hero.encoding
    return {
        "objects": sorted(hero.by_object),
        "rest": hero.rest,
        "encoding": {"preset": encoding.preset, "scale": list(encoding.scale), "offset": list(encoding.offset)},
        "clipped_surface": hero.clipped_surface,
    }


def programs() -> dict[str, str]:
    """The versions of the programs that make labels."""
    import cv2

    return {
        "animerun": VERSION,
        "blender": bpy.app.version_string,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }


def _have_lines(scene: bpy.types.Scene) -> bool | None:
    """Whether lines are drawn into the frames; None with engines that light them: more than lines changes there."""
    is_workbench = scene.render.engine == "BLENDER_WORKBENCH"
    if scene.render.use_freestyle or (is_workbench and scene.display.shading.show_object_outline):
        return True
    return False if is_workbench else None
