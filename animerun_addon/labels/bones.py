# SPDX-License-Identifier: GPL-3.0-or-later
"""An armature's bones as plain data, and how they hang together. What they are to a body is skeleton.py's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .snapshot import Float64


@dataclass(frozen=True)
class Bone:
    """A bone in armature space, at rest or posed."""

    name: str
    parent: str | None
    head: tuple[float, float, float]
    tail: tuple[float, float, float]
    deforms: bool = True


class BoneTree:
    """Bones by name, with their children, depths and joints. A parent that is not among them counts as none."""

    def __init__(self, bones: Iterable[Bone]) -> None:
        self.bones = {bone.name: bone for bone in bones}
        self.children: defaultdict[str | None, list[str]] = defaultdict(list)
        for bone in self.bones.values():
            self.children[self.parent(bone.name)].append(bone.name)

    def parent(self, name: str) -> str | None:
        """The bone that it hangs on."""
        parent = self.bones[name].parent
        return parent if parent in self.bones else None

    def head(self, name: str) -> Float64:
        """(3,)"""
        return np.asarray(self.bones[name].head, np.float64)

    def end(self, name: str) -> Float64:
        """(3,) Where the next bone begins, if there is one away from its head, else its tail.

        Importers of joints (glTF, FBX) have to invent tails, so children are believed first.
        """
        head, tail = self.head(name), np.asarray(self.bones[name].tail, np.float64)
        ends = [self.head(child) for child in self.children[name]]
        away = [end for end in ends if np.linalg.norm(end - head) > 0.1 * np.linalg.norm(tail - head) + 1e-9]
        return away[0] if len(away) == 1 else tail

    def ancestors(self, name: str) -> Iterator[str]:
        """From its parent to the root."""
        parent = self.parent(name)
        while parent is not None:
            yield parent
            parent = self.parent(parent)

    def is_below(self, name: str, above: str) -> bool:
        """Whether one bone hangs on another one, through however many others."""
        return above in self.ancestors(name)

    def depth(self, name: str) -> int:
        """How many bones it hangs on."""
        return self._depths[name]

    def downwards(self) -> list[str]:
        """All names, parents before children."""
        return list(self._depths)

    def below(self, tops: Iterable[str]) -> set[str]:
        """These bones and all that hang on them."""
        found: set[str] = set()
        waiting = list(tops)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.children[name]
        return found

    @cached_property
    def _depths(self) -> dict[str, int]:
        depths: dict[str, int] = {}
        level = list(self.children[None])
        for depth in range(len(self.bones)):
            depths |= dict.fromkeys(level, depth)
            level = [child for name in level for child in self.children[name]]
        return depths

    @cached_property
    def extent(self) -> float:
        """The diagonal of the box around all heads."""
        if not self.bones:
            return 0.0
        heads = np.array([bone.head for bone in self.bones.values()], np.float64)
        return float(np.linalg.norm(np.ptp(heads, axis=0)))
