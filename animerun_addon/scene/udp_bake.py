# SPDX-License-Identifier: GPL-3.0-or-later
"""Bakes a character's encoded rest coordinates into its own meshes, as colours of their points, and takes them away.

Pictures of the character are not made from these: a mesh's own points know nothing of what modifiers add to them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

import bpy
import numpy as np

from ..errors import InputError
from ..labels.snapshot import Float32
from ..udp_choices import EncodingChoice, RestChoice
from . import udp_attribute
from .characters import Character, find_characters, named_character
from .udp_attribute import BAKE_ATTRIBUTE
from .udp_character import UdpCharacter, udp_character
from .udp_preview import settle

__all__ = ["BAKE_ATTRIBUTE", "BUSY_MODES", "BakeState", "Baked", "bake", "bake_state", "is_up_to_date", "unbake"]

# Two objects may share a mesh whose colours are the same for both, but for rounding.
_SAME = 1e-6
# Modifiers that repeat a mesh elsewhere, with the colours of its points.
_REPEATING = {"ARRAY", "MIRROR"}
# Modes in which the mesh that is baked is not the one that is worked on.
BUSY_MODES = {"EDIT": "Edit Mode", "SCULPT": "Sculpt Mode"}


@dataclass(frozen=True)
class Baked:
    """What came of it."""

    objects: tuple[str, ...]  # full names
    notes: tuple[str, ...]  # what was not baked and why, and what to know of what was
    clipped_share: float  # of the character's surface


@dataclass(frozen=True)
class BakeState:
    """Full names of the objects of a character."""

    baked: tuple[str, ...]
    stale: tuple[str, ...]  # those among them whose colours would be others now


def bake(scene: bpy.types.Scene, name: str, rest: RestChoice, encoding: EncodingChoice) -> Baked:
    """Give each mesh of the character its colours; what cannot have any is left out, with a note."""
    character = named_character(scene, name)
    _refuse_busy(character, "bake")
    udp = udp_character(scene, name, rest, encoding, frames=(), with_cages=True)
    notes = [*udp.notes, *_surfaces_without_points(character, udp)]
    colours = _colours(udp)
    made_from = _made_from(character, rest, encoding)
    others = _Others(scene, character, rest, encoding)
    written: list[bpy.types.Object] = []
    for mesh, things in _by_mesh(character, colours).items():
        why_not = (
            _refusal(mesh)
            or _conflict(mesh, things, colours, others)
            or udp_attribute.write(mesh, colours[things[0].name_full], made_from)
        )
        if why_not:
            notes.append(f"{_spoken(things)} {why_not}: not baked")
        else:
            written += things
    if not written:
        raise InputError(f"Nothing of character '{name}' can be baked: {'; '.join(notes)}")
    notes += _repeated(written)
    return Baked(tuple(sorted(thing.name_full for thing in written)), tuple(notes), udp.clipped_surface)


def unbake(scene: bpy.types.Scene, name: str) -> tuple[str, ...]:
    """Take every trace of baking off the character, its preview too; the full names of the objects that had any."""
    character = named_character(scene, name)
    _refuse_busy(character, "un-bake")
    had = {mesh for mesh in {thing.data for thing in _own_meshes(character)} if udp_attribute.remove(mesh)}
    settle()
    return tuple(sorted(thing.name_full for thing in _own_meshes(character) if thing.data in had))


def bake_state(scene: bpy.types.Scene, name: str) -> BakeState:
    """What of the character is baked, and what of that is stale: its mesh, its colours or the armature was edited."""
    character = named_character(scene, name)
    return _state(character, {"rig": _digest_of_rig(character.rig)})


def is_up_to_date(scene: bpy.types.Scene, name: str, rest: RestChoice, encoding: EncodingChoice) -> bool:
    """Whether all that may hold colours is baked with just these choices, and nothing of it is stale."""
    character = named_character(scene, name)
    state = _state(character, _made_from(character, rest, encoding))
    wanted = {thing.name_full for thing in _own_meshes(character) if thing.data.vertices and not thing.hide_render}
    return bool(state.baked) and wanted <= set(state.baked) and not state.stale


def _state(character: Character, made_from: Mapping[str, str]) -> BakeState:
    baked = [thing for thing in _own_meshes(character) if udp_attribute.is_baked(thing.data)]
    # While a mesh is edited, only Blender knows how.
    stale_of = {
        mesh: not mesh.is_editmode and udp_attribute.is_stale(mesh, made_from) for mesh in {one.data for one in baked}
    }
    return BakeState(
        tuple(sorted(thing.name_full for thing in baked)),
        tuple(sorted(thing.name_full for thing in baked if stale_of[thing.data])),
    )


# What is baked --------------------------------------------------------------------------------------------------------


def _colours(udp: UdpCharacter) -> dict[str, Float32]:
    """(V, 4) of the points of each mesh, by the objects' full names."""
    encoded = {name: udp.encoding.encode(points) for name, points in udp.cages.items()}
    return {name: np.column_stack((rgb, np.ones(len(rgb), np.float32))) for name, rgb in encoded.items()}


def _own_meshes(character: Character) -> list[bpy.types.Object]:
    """The character's objects whose meshes can be written to."""
    return [thing for thing in character.things if thing.type == "MESH" and udp_attribute.is_own(thing.data)]


def _by_mesh(character: Character, colours: Mapping[str, Float32]) -> dict[bpy.types.Mesh, list[bpy.types.Object]]:
    """The objects that have colours, by the mesh that is to hold these."""
    groups: dict[bpy.types.Mesh, list[bpy.types.Object]] = {}
    for thing in sorted(character.things, key=lambda thing: thing.name_full):
        if thing.type == "MESH" and thing.name_full in colours:
            groups.setdefault(thing.data, []).append(thing)
    return groups


def _made_from(character: Character, rest: RestChoice, encoding: EncodingChoice) -> dict[str, str]:
    """What colours depend on besides their mesh."""
    choices = json.dumps([asdict(rest), asdict(encoding)], sort_keys=True)
    return {"choices": choices, "rig": _digest_of_rig(character.rig)}


def _digest_of_rig(rig: bpy.types.Object) -> str:
    """Of the armature's rest position."""
    digest = hashlib.blake2b(digest_size=16)
    for bone in rig.data.bones:
        digest.update(repr((bone.name, bone.parent and bone.parent.name)).encode())
        digest.update(np.array(bone.matrix_local, np.float32).tobytes())
        digest.update(np.float32(bone.length).tobytes())
    return digest.hexdigest()


# What is not ----------------------------------------------------------------------------------------------------------


def _refuse_busy(character: Character, verb: str) -> None:
    for thing in (character.rig, *character.things):
        mode = "EDIT" if getattr(thing.data, "is_editmode", False) else thing.mode
        if mode in BUSY_MODES:
            raise InputError(f"'{thing.name_full}' is in {BUSY_MODES[mode]}: leave that to {verb} the character")


def _refusal(mesh: bpy.types.Mesh) -> str | None:
    """Why a mesh can hold no colours of ours."""
    if mesh.library is not None:
        return f"has a mesh from '{mesh.library.filepath}', which cannot be written to: bake it in that file"
    if mesh.override_library is not None:
        return "has an overridden mesh, where Blender would lose the colours: bake it in its own file"
    return None if len(mesh.vertices) else "has no points of its own, its modifiers make them all"


def _surfaces_without_points(character: Character, udp: UdpCharacter) -> Iterator[str]:
    for thing in character.things:
        if thing.name_full in udp.by_object and thing.name_full not in udp.cages:
            if thing.type == "MESH":
                yield f"Object '{thing.name_full}' stands in an instanced collection: make that real to bake it"
            else:
                kind = thing.bl_rna.properties["type"].enum_items[thing.type].name.lower()
                yield f"Object '{thing.name_full}' is a {kind}, no mesh: convert it to one to bake it"


def _repeated(things: Iterable[bpy.types.Object]) -> Iterator[str]:
    """One note on all whose modifiers repeat the mesh with its colours."""
    found = [thing for thing in things if any(one.type in _REPEATING and one.show_render for one in thing.modifiers)]
    if found:
        yield (
            f"Mirror and Array modifiers repeat {_named(found)} with their colours, which are wrong on the copies. "
            "Exported pictures are right; to have the copies baked, apply these modifiers"
        )


class _Others:
    """The colours that meshes need for the sake of other characters, which are evaluated when it comes to that."""

    def __init__(
        self, scene: bpy.types.Scene, character: Character, rest: RestChoice, encoding: EncodingChoice
    ) -> None:
        self._scene = scene
        self._own = set(character.things)
        self._choices = rest, encoding

    def needing(self, mesh: bpy.types.Mesh, count: int) -> Iterator[tuple[str, Float32]]:
        """Other characters with that mesh, besides `count` objects of this one, and the colours they need."""
        if mesh.users <= count:
            return
        for thing in bpy.data.objects:
            if thing.data == mesh and thing not in self._own:
                for scene in {self._scene: None, **dict.fromkeys(thing.users_scene)}:
                    yield from self._of(thing, scene)

    def _of(self, thing: bpy.types.Object, scene: bpy.types.Scene) -> Iterator[tuple[str, Float32]]:
        for name, other in find_characters(scene).items():
            if thing in other.things:
                # A character without any surface needs no colours.
                with contextlib.suppress(InputError):
                    colours = _colours(udp_character(scene, name, *self._choices, frames=(), with_cages=True))
                    if thing.name_full in colours:
                        yield name, colours[thing.name_full]


def _conflict(
    mesh: bpy.types.Mesh, things: list[bpy.types.Object], colours: Mapping[str, Float32], others: _Others
) -> str | None:
    """Why one mesh cannot hold the colours of all that have it."""
    first = colours[things[0].name_full]
    if not all(np.allclose(colours[thing.name_full], first, rtol=0, atol=_SAME) for thing in things[1:]):
        return f"share mesh '{mesh.name}' and need other colours each: make it single-user"
    for name, needed in others.needing(mesh, len(things)):
        if not np.allclose(needed, first, rtol=0, atol=_SAME):
            return f"shares mesh '{mesh.name}' with character '{name}', which needs other colours: make it single-user"
    return None


def _spoken(things: list[bpy.types.Object]) -> str:
    return f"Object {_named(things)}" if len(things) == 1 else f"Objects {_named(things)}"


def _named(things: list[bpy.types.Object]) -> str:
    return " and ".join(f"'{thing.name_full}'" for thing in things)
