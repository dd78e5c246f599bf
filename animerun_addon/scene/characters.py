# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects make up each character: an armature and all that it moves, under the names that snapshots have.

What these cover in a frame is seen from the object ids (labels/fields.py).
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import bpy

from ..errors import InputError
from .engine import visited_layer

# The modifiers that carry an object along with another one, and where that is named.
_CARRIERS = {"ARMATURE": "object", "LATTICE": "object", "MESH_DEFORM": "object", "SURFACE_DEFORM": "target"}
# What never has a surface.
_BARE = {"ARMATURE", "CAMERA", "EMPTY", "LATTICE", "LIGHT", "LIGHT_PROBE", "SPEAKER"}

# What instances the collections that an object is in; None: the object stands in the scene itself.
Instancers = dict[bpy.types.Object, list[bpy.types.Object | None]]


def characters(scene: bpy.types.Scene) -> dict[str, tuple[str, ...]]:
    """The full names of the objects that belong to each armature, by the armature's name; those with none are left out.

    An object belongs to the armature that deforms it, the first one if there are several, else to the one that it is
    parented to, through however many other objects, else to the one that what instances it belongs to.

    Instances of one collection are copies of the same objects, and so of one character.
    """
    return {
        name: tuple(sorted(thing.name_full for thing in one.things if thing.type not in _BARE))
        for name, one in find_characters(scene).items()
    }


class Character(NamedTuple):
    """An armature and all that belongs to it; some of these things may have no surface."""

    rig: bpy.types.Object
    things: tuple[bpy.types.Object, ...]


def find_characters(scene: bpy.types.Scene) -> dict[str, Character]:
    """The same characters, by the same names, as objects."""
    instancers = _with_instancers(scene)
    rigs = _Rigs(instancers)
    members: defaultdict[bpy.types.Object, list[bpy.types.Object]] = defaultdict(list)
    for thing in instancers:
        rig = rigs.of(thing)
        if rig is not None and thing is not rig:
            members[rig].append(thing)
    found = [
        Character(rig, tuple(things))
        for rig, things in members.items()
        if any(thing.type not in _BARE for thing in things)
    ]
    called = Counter(one.rig.name for one in found)
    return {one.rig.name if called[one.rig.name] == 1 else _name_apart(one.rig, instancers): one for one in found}


def named_character(scene: bpy.types.Scene, name: str) -> Character:
    """One of them."""
    found = find_characters(scene)
    if name in found:
        return found[name]
    if not found:
        raise InputError(f"Scene '{scene.name}' has no character: bind a mesh to an armature, or parent it to one")
    raise InputError(f"Scene '{scene.name}' has no character '{name}'; there are: {', '.join(sorted(found))}")


def instancers_of(scene: bpy.types.Scene, things: Iterable[bpy.types.Object]) -> set[bpy.types.Object]:
    """What has to stand in a scene for these things to be shown: themselves, or what instances their collections."""
    instancers = _with_instancers(scene)
    shown: set[bpy.types.Object] = set()
    waiting = list(things)
    while waiting:
        thing = waiting.pop()
        for instancer in instancers.get(thing, [None]):
            if instancer is None:
                shown.add(thing)
            elif instancer not in shown:
                waiting.append(instancer)
    return shown


def standing_in_renders(scene: bpy.types.Scene) -> set[bpy.types.Object]:
    """What stands in collections that render; each object may be hidden by a switch of its own."""
    found: set[bpy.types.Object] = set()
    for shown in _with_backgrounds(scene):
        waiting = [visited_layer(shown).layer_collection]
        while waiting:
            held = waiting.pop()
            if not held.exclude and not held.collection.hide_render:
                found.update(held.collection.objects)
                waiting.extend(held.children)
    return found


def shown_in_renders(scene: bpy.types.Scene) -> set[bpy.types.Object]:
    """That, and what stands in collections that it instances."""
    instancers = _with_instancers(scene)
    found = standing_in_renders(scene)
    waiting = set(instancers) - found
    while more := {thing for thing in waiting if not found.isdisjoint(instancers[thing])}:
        found |= more
        waiting -= more
    return found


class _Rigs:
    """Finds the armature that an object belongs to."""

    def __init__(self, instancers: Instancers) -> None:
        self._instancers = instancers
        self._found: dict[bpy.types.Object, bpy.types.Object | None] = {}

    def of(self, thing: bpy.types.Object | None) -> bpy.types.Object | None:
        """None where there is none. An armature belongs to itself, whatever it is parented to."""
        if thing is None or thing.type == "ARMATURE":
            return thing
        if thing not in self._found:
            # Who carries whom may go in a circle.
            self._found[thing] = None
            self._found[thing] = self._search(thing)
        return self._found[thing]

    def _search(self, thing: bpy.types.Object) -> bpy.types.Object | None:
        carried = next(filter(None, map(self.of, _carriers(thing))), None)
        if carried is not None:
            return carried
        # What stands elsewhere too is nobody's: all its copies have one id.
        holders = {self.of(instancer) for instancer in self._instancers.get(thing, ())}
        return holders.pop() if len(holders) == 1 else None


def _carriers(thing: bpy.types.Object) -> Iterator[bpy.types.Object | None]:
    for modifier in thing.modifiers:
        if modifier.type in _CARRIERS and modifier.show_render:
            yield getattr(modifier, _CARRIERS[modifier.type])
    yield thing.parent


def _with_instancers(scene: bpy.types.Scene) -> Instancers:
    """Every object that the scene shows, or shows instances of."""
    instancers: Instancers = {}
    shown: deque[tuple[bpy.types.Object, bpy.types.Object | None]] = deque()
    for background in _with_backgrounds(scene):
        shown.extend((thing, None) for thing in background.objects)
    while shown:
        thing, instancer = shown.popleft()
        if thing not in instancers and thing.instance_type == "COLLECTION" and thing.instance_collection is not None:
            shown.extend((inner, thing) for inner in thing.instance_collection.all_objects)
        instancers.setdefault(thing, []).append(instancer)
    return instancers


def _with_backgrounds(scene: bpy.types.Scene) -> Iterator[bpy.types.Scene]:
    shown: bpy.types.Scene | None = scene
    while shown is not None:
        yield shown
        shown = shown.background_set


def _name_apart(rig: bpy.types.Object, instancers: Instancers) -> str:
    """Of an armature whose name another one has, too: what instances it, else its own with its file's."""
    instancer = instancers.get(rig, [None])[0]
    return rig.name_full if instancer is None else instancer.name_full
