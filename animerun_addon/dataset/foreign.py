# SPDX-License-Identifier: GPL-3.0-or-later
"""Other data sets of optical flow, read as if they were this one's clips: MPI-Sintel, FlyingThings3D, Creative Flow+.

In all of them a file belongs to the frame whose number it bears, and flow starts at that frame, whichever way it leads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from ..errors import InputError
from .clips import ClipSet, FrameClip
from .formats import Bool, Float32, FormatError, read_flo, read_pfm_flow
from .items import Frame, Pair, Source, read_greys
from .layout import Direction
from .listing import files_in, folders_in

_NUMBER = re.compile(r"[0-9]{1,9}")
# Creative Flow+ packs its occlusion as video, so white is not quite white; this is where its own tools draw the line.
_CREATIVE_FLOW_WHITE = 200
_INTO = {Direction.FORWARD: "into_future", Direction.BACKWARD: "into_past"}


@dataclass(frozen=True)
class Labels:
    """The folders of what leads from frames in one direction, and how their files are read."""

    flow: Path
    flow_suffix: str
    read_flow: Callable[[Path], tuple[Float32, Bool]]
    occlusions: Path | None = None
    read_occluded: Callable[[Path], Bool] | None = None


class ForeignClip(FrameClip):
    """A scene of another data set; there are labels only from a frame to its neighbours."""

    strides = (1,)

    def __init__(self, name: str, pictures: Mapping[str, Path], labels: Mapping[Direction, Labels]) -> None:
        """`pictures`: the folder of every look."""
        self.name = name
        self._pictures = dict(pictures)
        self._labels = dict(labels)
        self._listings: dict[Path, dict[int, Path]] = {}

    @property
    def looks(self) -> tuple[str, ...]:
        """In which colours its frames are to be had."""
        return tuple(self._pictures)

    @property
    def frame_count(self) -> int:
        """How many frames it has."""
        return len(self._numbers)

    @cached_property
    def _numbers(self) -> tuple[int, ...]:
        return tuple(self._listed(self._pictures[self.looks[0]], ".png"))

    def _frame(self, place: int, look: str | None) -> Frame:
        chosen = look or self.looks[0]
        if chosen not in self._pictures:
            raise InputError(f"Clip '{self.name}' has no look '{chosen}': there are {', '.join(self.looks)}")
        path = self._listed(self._pictures[chosen], ".png").get(self._numbers[place])
        if path is None:
            raise InputError(
                f"Clip '{self.name}' has no frame {self._numbers[place]} in '{self._pictures[chosen]}': copy it anew"
            )
        return Frame(name=path.stem, path=path)

    def _between(self, source: int, target: int, first: Frame, second: Frame) -> Pair:
        direction = Direction.FORWARD if source < target else Direction.BACKWARD
        start, end = self._numbers[source], self._numbers[target]
        # Where a frame is missing, the flow of the one before it leads to what is not there.
        labels = self._labels.get(direction) if abs(start - end) == 1 else None
        return Pair(
            clip=self.name,
            first=first,
            second=second,
            stride=abs(target - source),
            direction=direction,
            flow_file=None if labels is None else self._flow(labels, start),
            occluded_file=None if labels is None else self._occluded(labels, start),
        )

    def _flow(self, labels: Labels, number: int) -> Source[tuple[Float32, Bool]] | None:
        path = self._listed(labels.flow, labels.flow_suffix).get(number)
        return None if path is None else Source(path, labels.read_flow)

    def _occluded(self, labels: Labels, number: int) -> Source[Bool] | None:
        if labels.occlusions is None or labels.read_occluded is None:
            return None
        path = self._listed(labels.occlusions, ".png").get(number)
        return None if path is None else Source(path, labels.read_occluded)

    def _listed(self, folder: Path, suffix: str) -> dict[int, Path]:
        """A folder's files by number; listed once."""
        if folder not in self._listings:
            self._listings[folder] = _by_number(files_in(folder, suffix).values())
        return self._listings[folder]


class Sintel(ClipSet[ForeignClip]):
    """MPI-Sintel: <split>/clean|final|albedo/<scene>/frame_0001.png, flow, occlusions and invalid beside them.

    `test` has no flow. What `invalid` marks is not valid; occluded pixels are valid.
    """

    def __init__(self, root: Path | str, split: str = "training") -> None:
        folder = _split_folder(Path(root), split, ("training", "test"), "MPI-Sintel")
        passes = [name for name in ("clean", "final", "albedo") if (folder / name).is_dir()]
        scenes = _looks_by_scene({name: folder / name for name in passes})
        super().__init__(
            ForeignClip(scene, pictures, _sintel_labels(folder, scene)) for scene, pictures in scenes.items()
        )
        _check_clips(self.clips, folder, "clean or final")


class FlyingThings3D(ClipSet[ForeignClip]):
    """FlyingThings3D: frames_cleanpass|frames_finalpass/<TRAIN|TEST>/<A|B|C>/<scene>/<left|right>/0006.png, with flow.

    Scenes are called A/0000 and so on. It has no occlusion.
    """

    def __init__(self, root: Path | str, split: str = "TRAIN", camera: str = "left") -> None:
        frames = {name: Path(root) / name for name in ("frames_cleanpass", "frames_finalpass")}
        there = {name: folder for name, folder in frames.items() if folder.is_dir()}
        if not there:
            raise InputError(f"There is no FlyingThings3D in '{root}': choose the folder that holds frames_cleanpass")
        folder = _split_folder(next(iter(there.values())), split, ("TRAIN", "TEST"), "FlyingThings3D")
        parts = _looks_by_scene({name: folder / split for name, folder in there.items()})
        scenes = {
            f"{part}/{scene}": {name: folder / camera for name, folder in pictures.items()}
            for part, looks in parts.items()
            for scene, pictures in _looks_by_scene(looks).items()
        }
        flow = Path(root) / "optical_flow" / split
        super().__init__(
            ForeignClip(scene, pictures, _flying_things_labels(flow / scene, camera))
            for scene, pictures in scenes.items()
        )
        _check_clips(self.clips, folder, f"{camera} of the scenes")


class CreativeFlow(ClipSet[ForeignClip]):
    """Creative Flow+, unpacked: <split>/<scene>[/cam0]/renders/composite/<style>/frame000001.png, and metadata.

    Looks are the styles. Flow back of the last frame is not part of that data set.
    """

    def __init__(self, root: Path | str, split: str = "train") -> None:
        folder = _split_folder(Path(root), split, ("train", "test"), "Creative Flow+")
        takes = {
            take: _folders_with_pictures(folder / take / "renders" / "composite")
            for scene in folders_in(folder)
            for take in (scene, *(f"{scene}/{camera}" for camera in folders_in(folder / scene)))
        }
        super().__init__(
            ForeignClip(take, pictures, _creative_flow_labels(folder / take / "metadata"))
            for take, pictures in takes.items()
            if pictures
        )
        _check_clips(self.clips, folder, "renders/composite of the scenes")


def _sintel_labels(folder: Path, scene: str) -> dict[Direction, Labels]:
    read_flow = partial(_read_sintel_flow, folder / "invalid" / scene)
    occlusions = folder / "occlusions" / scene
    return {Direction.FORWARD: Labels(folder / "flow" / scene, ".flo", read_flow, occlusions, _read_white)}


def _flying_things_labels(scene: Path, camera: str) -> dict[Direction, Labels]:
    return {direction: Labels(scene / into / camera, ".pfm", read_pfm_flow) for direction, into in _INTO.items()}


def _creative_flow_labels(metadata: Path) -> dict[Direction, Labels]:
    return {
        Direction.FORWARD: Labels(metadata / "flow", ".flo", read_flo, metadata / "occlusions", _read_nearly_white),
        Direction.BACKWARD: Labels(metadata / "backflow", ".flo", read_flo),
    }


def _read_sintel_flow(invalid: Path, path: Path) -> tuple[Float32, Bool]:
    flow_px, valid = read_flo(path)
    mask = invalid / f"{path.stem}.png"
    if mask.is_file():
        is_invalid = _read_white(mask)
        if is_invalid.shape != valid.shape:
            raise FormatError(mask, f"has another size than '{path}'")
        valid &= ~is_invalid
        flow_px[~valid] = 0.0
    return flow_px, valid


def _read_white(path: Path) -> Bool:
    return read_greys(path) > 127


def _read_nearly_white(path: Path) -> Bool:
    return read_greys(path) > _CREATIVE_FLOW_WHITE


def _by_number(paths: Iterable[Path]) -> dict[int, Path]:
    """By the number in their names; what has none is left out."""
    matches = ((_NUMBER.search(path.stem), path) for path in paths)
    return dict(sorted((int(match[0]), path) for match, path in matches if match))


def _looks_by_scene(looks: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """Of each folder that is in any look's folder, where it is in those that have it; sorted."""
    scenes = sorted({scene for folder in looks.values() for scene in folders_in(folder)})
    return {
        scene: {look: folder / scene for look, folder in looks.items() if (folder / scene).is_dir()} for scene in scenes
    }


def _folders_with_pictures(folder: Path) -> dict[str, Path]:
    return {name: folder / name for name in folders_in(folder) if files_in(folder / name, ".png")}


def _split_folder(root: Path, split: str, known: tuple[str, ...], what: str) -> Path:
    there = [name for name in known if (root / name).is_dir()]
    if not there:
        raise InputError(f"There is no {what} in '{root}': choose the folder that holds {' and '.join(known)}")
    if split not in there:
        raise InputError(f"There is no split '{split}' in '{root}': there is {' and '.join(there)}")
    return root / split


def _check_clips(clips: tuple[ForeignClip, ...], folder: Path, where: str) -> None:
    if not any(clip.frame_count for clip in clips):
        raise InputError(f"There are no frames in '{folder}': unpack the data set so that {where} holds PNG files")
