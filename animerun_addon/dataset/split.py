# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clips are for training and which for testing: whole cuts, by a seed, moved within the data set.

Nothing is read but meta.json and nothing is copied. A split that was killed goes on when it is run again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, OutputError
from ..output import write_text
from ..progress import Progress, Steps
from .layout import SPLITS, Clip, Kind
from .manifest import read_meta

TRAIN, TEST = SPLITS
JOURNAL = "split_unfinished.json"

_FORMAT = 1
_STRIDE = re.compile(r"_stride\d+$")
# What tells the parts of a shot apart where nothing but the name is known: one number or letter at its end.
_PART = re.compile(r"([_.-]?\d+|[_.-][A-Za-z])$")
_BETWEEN_WORDS = re.compile(r"[_.-]")


@dataclass(frozen=True, order=True)
class Cut:
    """What never stands on both sides: all that was made from one scene of one file, or whose names say so."""

    film: str
    file: str
    scene: str
    clip: str = ""

    def __str__(self) -> str:
        """As people are told."""
        return self.clip or ", ".join(part for part in (self.film, self.file, self.scene) if part) or "(numbers only)"


@dataclass(frozen=True)
class Placed:
    """A clip, the side where it is now, and what decides where it goes."""

    name: str
    side: str
    cut: Cut
    frames: int


@dataclass(frozen=True)
class Move:
    """One clip's folder of one kind that changes sides."""

    kind: str
    name: str
    source: str
    target: str


@dataclass(frozen=True)
class SplitReport:
    """How a data set is split now, or would be: clips and frames of each side, and what was done for it."""

    clips: Mapping[str, int]
    frames: Mapping[str, int]
    moved: Sequence[str]
    # Frames of these were for training and for testing before.
    cuts_on_both_sides: Sequence[str]
    # Folders that an interrupted split had left to move.
    finished_earlier: int

    @property
    def test_share(self) -> float:
        """Which part of the frames is for testing."""
        return self.frames[TEST] / max(sum(self.frames.values()), 1)


# The rule -------------------------------------------------------------------------------------------------------------


def cuts_for_test(frames: Mapping[Cut, int], share: float, seed: int, films: Mapping[str, str]) -> frozenset[Cut]:
    """Which cuts are for testing.

    Those of a film in `films` go where that says. The others are ranked by a hash of the seed and the cut, and one
    after the other is taken if that brings the share of test frames nearer to `share`. Unless `share` is 0 or 1, no
    side that could have the smallest free cut is left empty.
    """
    wanted = share * sum(frames.values())
    for_test = {cut for cut in frames if films.get(cut.film) == TEST}
    free = sorted((cut for cut in frames if cut.film not in films), key=lambda cut: _rank(cut, seed))
    taken = sum(frames[cut] for cut in for_test)
    for cut in free:
        if abs(taken + frames[cut] - wanted) < abs(taken - wanted):
            for_test.add(cut)
            taken += frames[cut]
    if free and 0 < share < 1 and len(frames) > 1:
        smallest = min(free, key=lambda cut: frames[cut])
        if not for_test:
            for_test.add(smallest)
        elif len(for_test) == len(frames):
            for_test.remove(smallest)
    return frozenset(for_test)


def _rank(cut: Cut, seed: int) -> tuple[str, Cut]:
    key = json.dumps([seed, cut.film, cut.file, cut.scene, cut.clip])
    return hashlib.sha256(key.encode()).hexdigest(), cut


def cuts_on_both_sides(clips: Iterable[Placed]) -> list[Cut]:
    """Those of which one side shows what the other is to be tested with."""
    sides: dict[Cut, set[str]] = defaultdict(set)
    for clip in clips:
        sides[clip.cut].add(clip.side)
    return sorted(cut for cut, found in sides.items() if len(found) > 1)


def cut_of(clip: Clip, clips_are_cuts: bool = False) -> Cut:
    """By meta.json, and without one by the name: walk_1 and walk_2 are of one cut, and both of the film `walk`.

    With `clips_are_cuts` every clip is a cut of its own.
    """
    meta = read_meta(clip)
    if meta is None:
        stem = _PART.sub("", clip.name)
        cut = Cut(_BETWEEN_WORDS.split(stem)[0], "", stem)
    else:
        source = meta.get("source")
        source = source if isinstance(source, dict) else {}
        cut = Cut(*(str(part or "") for part in (meta.get("film"), source.get("file"), source.get("scene"))))
    return Cut(cut.film, cut.file, cut.scene, clip.name) if clips_are_cuts else cut


# What is there --------------------------------------------------------------------------------------------------------


def placed_clips(root: Path, clips_are_cuts: bool = False) -> list[Placed]:
    """All clips of a data set, by name. One that stands on both sides is refused: which is right, nobody knows."""
    sides = {side: _clip_names(root / side) for side in SPLITS}
    if not any(sides.values()):
        raise InputError(f"There are no clips in '{root}': choose the folder that holds '{TRAIN}' and '{TEST}'")
    for name in sorted(set.union(*sides.values())):
        found = [side for side in SPLITS if list(_folders(root / side, name))]
        if len(found) > 1:
            raise InputError(
                f"Clip '{name}' is in '{TRAIN}' and in '{TEST}' of '{root}': rename or delete one, in all folders"
            )
    return [
        Placed(name, side, cut_of(Clip(root, side, name), clips_are_cuts), _frame_count(root / side, name))
        for name, side in sorted((name, side) for side in SPLITS for name in sides[side])
    ]


def _clip_names(side: Path) -> set[str]:
    kinds = (kind for kind in _subfolders(side) if _STRIDE.sub("", kind.name) in list(Kind))
    return {folder.name for kind in kinds for folder in _subfolders(kind)}


def _folders(side: Path, name: str) -> Iterator[Path]:
    """All that a clip has on a side, in folders of kinds that nobody here knows too."""
    return (kind / name for kind in _subfolders(side) if (kind / name).is_dir())


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _frame_count(side: Path, name: str) -> int:
    """As many as there are files in the fullest folder: it has frames or what belongs to each."""
    kinds = (side / kind / name for kind in Kind if kind is not Kind.META)
    files = (names for kind in kinds for _, _, names in os.walk(kind))
    return max((sum(not name.startswith(".") for name in names) for names in files), default=0)


# Moving ---------------------------------------------------------------------------------------------------------------


def split_steps(
    root: Path,
    share: float,
    seed: int = 0,
    *,
    films: Mapping[str, str] | None = None,
    clips_are_cuts: bool = False,
    dry_run: bool = False,
) -> Steps[SplitReport]:
    """Move whole cuts between train and test until `share` of the frames, or nearly, are for testing.

    `films` puts films on a side, {"demo": "test"}. A split that was interrupted is finished first.
    """
    if not 0 <= share <= 1:
        raise InputError(f"{share:g} cannot be the share of test frames: choose one from 0 to 1, such as 0.2")
    journal = root / JOURNAL
    finished = 0
    if journal.exists():
        if dry_run:
            raise InputError(
                f"'{journal}' is left of a split that was interrupted: split without a dry run to finish it"
            )
        finished = yield from _moved(root, _read_journal(journal), journal)
    clips = placed_clips(root, clips_are_cuts)
    for_test = _checked_plan(clips, share, seed, films or {})
    going = [clip for clip in clips if clip.side != _side_of(clip, for_test)]
    if going and not dry_run:
        moves = [
            Move(folder.parent.name, clip.name, clip.side, _side_of(clip, for_test))
            for clip in going
            for folder in _folders(root / clip.side, clip.name)
        ]
        _write_journal(journal, moves)
        yield from _moved(root, moves, journal)
    return SplitReport(
        clips={side: sum(_side_of(clip, for_test) == side for clip in clips) for side in SPLITS},
        frames={side: sum(clip.frames for clip in clips if _side_of(clip, for_test) == side) for side in SPLITS},
        moved=[f"{clip.name}: {clip.side} to {_side_of(clip, for_test)}" for clip in going],
        cuts_on_both_sides=[str(cut) for cut in cuts_on_both_sides(clips)],
        finished_earlier=finished,
    )


def _side_of(clip: Placed, for_test: frozenset[Cut]) -> str:
    return TEST if clip.cut in for_test else TRAIN


def _checked_plan(clips: Sequence[Placed], share: float, seed: int, films: Mapping[str, str]) -> frozenset[Cut]:
    frames: dict[Cut, int] = defaultdict(int)
    for clip in clips:
        frames[clip.cut] += clip.frames
    known = {cut.film for cut in frames}
    for film, side in films.items():
        if side not in SPLITS:
            raise InputError(f"Film '{film}' cannot go to '{side}': choose {TRAIN} or {TEST}")
        if film not in known:
            raise InputError(f"There is no film '{film}': the films are {', '.join(sorted(known))}")
    if len(frames) == 1 and not films and 0 < share < 1:
        raise InputError(
            f"All clips are of one cut ({next(iter(frames))}), which stays together: add clips of others, "
            "or, if they are different cuts, say that clips are cuts"
        )
    return cuts_for_test(frames, share, seed, films)


def _moved(root: Path, moves: Sequence[Move], journal: Path) -> Steps[int]:
    """All that is not moved yet; then the journal goes."""
    count = 0
    for done, move in enumerate(moves):
        yield Progress(done, len(moves), f"{move.name}, {move.kind}")
        count += _move(root, move)
    try:
        for kind in {root / move.source / move.kind for move in moves}:
            if kind.is_dir() and not any(kind.iterdir()):
                kind.rmdir()
        journal.unlink()
    except OSError as error:
        raise _cannot("tidy up", root, error) from error
    return count


def _move(root: Path, move: Move) -> bool:
    """Whether it was still to be moved. What is gone from both sides was deleted by somebody meanwhile."""
    source, target = (root / side / move.kind / move.name for side in (move.source, move.target))
    if not os.path.lexists(source):
        return False
    if os.path.lexists(target):
        raise OutputError(f"'{source}' and '{target}' are both there: rename or delete one of them and split again")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
    except OSError as error:
        raise _cannot("move", source, error) from error
    return True


def _cannot(what: str, path: Path, error: OSError) -> OutputError:
    return OutputError(f"Cannot {what} '{path}': {error.strerror or error}; free it and split again, nothing is lost")


def _write_journal(journal: Path, moves: Sequence[Move]) -> None:
    rows = [[move.kind, move.name, move.source, move.target] for move in moves]
    write_text(journal, json.dumps({"format": _FORMAT, "moves": rows}, indent=1))


def _read_journal(journal: Path) -> list[Move]:
    """What it says leads nowhere but from one side's folders to the other's."""
    try:
        found = json.loads(journal.read_text(encoding="utf-8"))
        moves = [Move(*row) for row in found["moves"]]
        if found["format"] != _FORMAT or not all(_is_sound(move) for move in moves):
            raise ValueError("no journal of this version")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{journal}' is damaged ({error}): put the clips where they belong and delete it") from error
    return moves


def _is_sound(move: Move) -> bool:
    names = (move.kind, move.name)
    are_names = all(isinstance(name, str) and name == Path(name).name and name not in ("", "..") for name in names)
    return are_names and sorted((move.source, move.target)) == sorted(SPLITS)
