# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of an export that looks at surfaces: reads frames off the scene and hands their labels to threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from ..dataset.formats import read_flo, read_png, write_exr, write_flo, write_npy, write_png
from ..dataset.layout import Clip, Direction, Kind
from ..dataset.manifest import Records
from ..dataset.multilayer import multilayer_channels
from ..dataset.plan import Pair, Plan
from ..dataset.udp import UdpFormat, write_udp
from ..export_settings import Label, Occlusion
from ..labels import fields
from ..labels.lines import contour_lines
from ..labels.motion import landing
from ..labels.occlusion import consistency_occlusion, exact_occlusion
from ..labels.segments import exact_segments
from ..labels.snapshot import Bool, Camera, Int32, Snapshot
from ..labels.surface import Surface, surface_points
from ..progress import Progress, Steps, as_part
from ..scene.engine import with_render_depsgraph
from ..scene.id_pass import Backend, visible_triangles
from ..scene.rest_pose import REST_ATTRIBUTE
from ..scene.snapshot import SnapshotReader
from ..scene.udp_character import UdpCharacter
from .tasks import Tasks

# Blender builds the scene anew for each look at it: so many frames are read at once, if they fit into this.
_MOST_FRAMES, _BATCH_BYTES = 16, 256 << 20


@dataclass(frozen=True)
class _Look:
    """What is seen at one frame."""

    snapshot: Snapshot
    surface: Surface


class LabelMaker:
    """Makes what a clip's frames are labelled with, except where it is there already."""

    def __init__(
        self,
        plan: Plan,
        backend: Backend,
        thickness_px: float,
        characters: Mapping[str, Sequence[str]],
        heroes: Sequence[UdpCharacter],
        records: Records,
        tasks: Tasks,
    ) -> None:
        self._plan = plan
        self._backend = backend
        self._thickness_px = thickness_px
        self._characters = characters
        self._heroes = heroes
        self._records = records
        self._tasks = tasks
        self._looks: dict[int, Future[_Look]] = {}
        self._pairs = [pair for pair in plan.pairs if self._lacks_pair(pair)]
        self._exrs = {frame for frame in plan.frames if plan.has(Label.EXR) and not plan.exr(frame).exists()}
        wanted = {frame for frame in plan.frames if self._lacks_frame(frame)} | self._exrs
        self.wanted = wanted.union(*({pair.first, pair.second} for pair in self._pairs))

    def steps(self, scene: bpy.types.Scene, after_batch: Callable[[list[int]], Steps[None]]) -> Steps[None]:
        """Look at all frames in turn; `after_batch` is what else is to be done with those that were looked at.

        Frames before the first that is wanted are read as well: ids, and how faces are cut into triangles, depend
        on what came before, and an export that was interrupted has to end as if it had not been.
        """
        reader = SnapshotReader(scene, rest_attribute=REST_ATTRIBUTE if self._heroes else "")
        frames = list(self._plan.frames)
        last = max((frames.index(frame) for frame in self.wanted), default=-1)
        done, size = 0, 1
        while done < len(frames):
            batch = frames[done : done + size]
            yield Progress(done, len(frames), f"Reading frames {batch[0]} to {batch[-1]}")
            bytes_a_frame = self._read(scene, reader, batch) if done <= last else 1
            size = min(_MOST_FRAMES, max(1, _BATCH_BYTES // bytes_a_frame))
            yield from as_part(after_batch(batch), done / len(frames), len(batch) / len(frames))
            done += len(batch)
            self._add_exrs(frames[: done if done == len(frames) else done - 1])

    def _read(self, scene: bpy.types.Scene, reader: SnapshotReader, batch: Sequence[int]) -> int:
        """Have the labels of some frames made; returns how many bytes one takes."""
        largest = 1

        def visit(at: float, depsgraph: bpy.types.Depsgraph) -> None:
            nonlocal largest
            frame, snapshot = int(at), reader.read(depsgraph)
            largest = max(largest, _bytes_of(snapshot))
            self._records.put_names(snapshot.object_names, snapshot.material_names)
            if frame in self.wanted:
                ids, _ = visible_triangles(snapshot, self._backend)
                self._add(frame, snapshot, ids)

        with_render_depsgraph(scene, batch, visit)
        return largest

    def _add(self, frame: int, snapshot: Snapshot, ids: Int32) -> None:
        look = self._looks[frame] = self._tasks.add(_look_at, snapshot, ids)
        if self._lacks_frame(frame):
            self._tasks.make(self._plan.surface_files(frame), [], self._make_frame, frame, look)
        for pair in [pair for pair in self._pairs if pair.second == frame]:
            files = self._plan.motion_files(pair)
            self._tasks.make(files, [], self._make_pair, pair, self._looks[pair.first], look)
        self._pairs = [pair for pair in self._pairs if pair.second != frame]
        self._forget()

    def _add_exrs(self, ready: Sequence[int]) -> None:
        """Those of frames whose pictures and flows are being made, if they are not there."""
        for frame in [frame for frame in ready if frame in self._exrs]:
            clip = self._plan.clip
            sources = [clip.frame(frame), *(clip.flow(frame, direction) for direction in Direction)]
            self._tasks.make([self._plan.exr(frame)], sources, self._make_exr, frame, self._looks[frame])
            self._exrs.remove(frame)
        self._forget()

    def _forget(self) -> None:
        """Let go of frames that nothing more is made from."""
        needed = self._exrs.union(*({pair.first, pair.second} for pair in self._pairs))
        for frame in [frame for frame in self._looks if frame not in needed]:
            del self._looks[frame]

    # What threads do ------------------------------------------------------------------------------------------------

    def _make_frame(self, frame: int, looking: Future[_Look]) -> None:
        look, plan, clip = looking.result(), self._plan, self._plan.clip
        snapshot, surface = look.snapshot, look.surface
        posed, notes = _with_encoded_rest(snapshot, self._heroes)
        makers: dict[Any, Callable[[], Any]] = {
            clip.of_frame(Kind.DEPTH, frame, ".npy"): lambda: fields.depth(surface),
            clip.of_frame(Kind.NORMAL, frame, ".npy"): lambda: fields.normals(surface),
            clip.of_frame(Kind.OBJECT_ID, frame, ".npy"): lambda: fields.object_ids(snapshot, surface),
            clip.of_frame(Kind.MATERIAL_ID, frame, ".npy"): lambda: fields.material_ids(snapshot, surface),
            clip.segment(frame): lambda: exact_segments(snapshot, surface),
        }
        for path in plan.surface_files(frame):
            if path.exists():
                continue
            if path == clip.contour(frame):
                lines = contour_lines(snapshot, surface, self._thickness_px)
                write_png(path, np.where(lines, np.uint8(0), np.uint8(255)))
            elif path == clip.udp(frame):
                write_udp(path, fields.udp(posed, surface, np.ones(3), np.zeros(3))[0], UdpFormat.NPZ)
            else:
                write_npy(path, makers[path]())
        self._records.put_frame(frame, _plain_camera(snapshot.camera), (*snapshot.notes, *notes))

    def _make_pair(self, pair: Pair, first: Future[_Look], second: Future[_Look]) -> None:
        one, other = first.result(), second.result()
        landings = [
            landing(here.snapshot, here.surface, there.snapshot) for here, there in ((one, other), (other, one))
        ]
        flows = [landed.flow for landed in landings]
        settings = self._plan.settings
        for (source, _, direction), here, there, landed, flow, back in zip(
            pair.ways, (one, other), (other, one), landings, flows, flows[::-1], strict=True
        ):
            clip = self._plan.clip
            path = clip.flow(source, direction, pair.stride)
            if self._plan.has(Label.FLOW) and not path.exists():
                write_flo(path, flow.flow_px, flow.valid)
            path = clip.valid(source, direction, pair.stride)
            if self._plan.has(Label.VALID) and not path.exists():
                write_png(path, np.where(flow.valid, np.uint8(255), np.uint8(0)))
            path = clip.unmatched(source, direction, pair.stride)
            if self._plan.has(Label.OCCLUSION) and not path.exists():
                if settings.occlusion is Occlusion.EXACT:
                    occluded = exact_occlusion(here.snapshot, here.surface, there.snapshot, there.surface, landed)
                else:
                    occluded = consistency_occlusion(flow, back)
                write_npy(path, (~occluded).view(np.uint8))
            self._records.put_pair(_key(self._plan.clip, source, direction, pair.stride), flow.notes)

    def _make_exr(self, frame: int, looking: Future[_Look]) -> None:
        look, plan, clip = looking.result(), self._plan, self._plan.clip
        snapshot, surface = look.snapshot, look.surface
        flows: dict[Direction, tuple[Any, Bool] | None] = {}
        place = plan.frames.index(frame)
        for direction, exists in (
            (Direction.FORWARD, place < len(plan.frames) - 1),
            (Direction.BACKWARD, place > 0),
        ):
            flows[direction] = read_flo(clip.flow(frame, direction)) if exists else None
        numbers = {name: number for number, name in enumerate(snapshot.object_names)}
        channels = multilayer_channels(
            read_png(clip.frame(frame)),
            flows[Direction.FORWARD],
            flows[Direction.BACKWARD],
            fields.depth(surface),
            fields.normals(surface),
            fields.object_ids(snapshot, surface),
            fields.material_ids(snapshot, surface),
            {
                name: [numbers[each] for each in objects if each in numbers]
                for name, objects in self._characters.items()
            },
        )
        write_exr(plan.exr(frame), channels)

    def _lacks_frame(self, frame: int) -> bool:
        return not self._records.has_frame(frame) or not all(path.exists() for path in self._plan.surface_files(frame))

    def _lacks_pair(self, pair: Pair) -> bool:
        files = self._plan.motion_files(pair)
        is_known = all(
            self._records.has_pair(_key(self._plan.clip, source, way, pair.stride)) for source, _, way in pair.ways
        )
        return bool(files) and not (is_known and all(path.exists() for path in files))


def _look_at(snapshot: Snapshot, ids: Int32) -> _Look:
    return _Look(snapshot, surface_points(snapshot, ids))


def _with_encoded_rest(snapshot: Snapshot, heroes: Sequence[UdpCharacter]) -> tuple[Snapshot, list[str]]:
    """A frame whose rest coordinates are each character's as it is encoded, and what has none, and why."""
    encoded = np.full((len(snapshot.positions), 3), np.nan, np.float32)
    notes: list[str] = []
    for hero in heroes:
        own, lacking = hero.rest_on(snapshot)
        notes += lacking
        assert own.rest_positions is not None
        has_rest = np.isfinite(own.rest_positions[:, 0])
        encoded[has_rest] = own.rest_positions[has_rest] * hero.encoding.scale + hero.encoding.offset
    return replace(snapshot, rest_positions=encoded), notes


def _key(clip: Clip, source: int, direction: Direction, stride: int) -> str:
    key = f"{direction}/{clip.stem(source)}"
    return key if stride == 1 else f"stride{stride}/{key}"


def _bytes_of(snapshot: Snapshot) -> int:
    return sum(value.nbytes for value in vars(snapshot).values() if isinstance(value, np.ndarray))


def _plain_camera(camera: Camera) -> dict[str, Any]:
    """As camera.json has it: Blender's camera space, OpenGL's clip space, and a pinhole's numbers in pixels."""
    lens = camera.clip_from_camera
    half_width, half_height = camera.width_px / 2, camera.height_px / 2
    fx, fy = lens[0, 0] * half_width, lens[1, 1] * half_height
    if camera.is_orthographic:
        cx, cy = half_width * (1 + lens[0, 3]), half_height * (1 - lens[1, 3])
    else:
        cx, cy = half_width * (1 - lens[0, 2]), half_height * (1 + lens[1, 2])
    return {
        "name": camera.name,
        "width_px": camera.width_px,
        "height_px": camera.height_px,
        "is_orthographic": camera.is_orthographic,
        # Perspective: pixels a unit of x / depth, y / depth. Orthographic: pixels a metre.
        "focal_px": [float(fx), float(fy)],
        "centre_px": [float(cx), float(cy)],
        "camera_from_world": camera.camera_from_world.tolist(),
        "clip_from_camera": lens.tolist(),
        "clip_start_m": camera.clip_start_m,
        "clip_end_m": camera.clip_end_m,
    }
