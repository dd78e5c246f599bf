# SPDX-License-Identifier: GPL-3.0-or-later
"""What data-blocks remember of their conversion, as custom properties. Who changes and undoes things: memory.py.

Each data-block carries its own record, so that renames do not matter and copies, undo and files take it along. Library
overrides lose custom properties when their file is opened again: the scenes keep their records for them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import bpy

from .address import Address, address_of

RECORD = "animerun_style"
OF_OVERRIDES = "animerun_style_overrides"

# How values stand in JSON that it has no word for.
_ID, _SET = "data-block", "set"


@dataclass
class Change:
    """One setting: what it was, what it was changed to, and for which scenes (by their tokens).

    Without a path: what is at the address was made for the conversion.
    """

    at: Address
    path: str
    before: Any
    after: Any
    scenes: list[str]
    is_users: bool = False  # changed by the user in between: left alone from then on


@dataclass
class Record:
    """All that is remembered about one data-block, in the order in which it was done."""

    label: str  # by which the scene's index knows it, whatever it is called now
    changes: list[Change] = field(default_factory=list)

    def find(self, at: Address, path: str) -> Change | None:
        """What was done to this setting."""
        return next((change for change in self.changes if change.path == path and change.at == at), None)


# By session_uid: data-blocks, and what is remembered about them.
Owners = dict[int, tuple[bpy.types.ID, Record]]


def new_record() -> Record:
    """Nothing yet."""
    return Record(uuid.uuid4().hex)


def load_all() -> list[tuple[bpy.types.ID, Record]]:
    """Every data-block of this file that remembers anything, with what it remembers."""
    own = [(block, load(block)) for block in all_blocks() if RECORD in block and block.library is None]
    return [*own, *load_overrides().values()]


def load(owner: bpy.types.ID) -> Record:
    """What is remembered about `owner`, which is no library override."""
    return _loaded(owner[RECORD]) if RECORD in owner else new_record()


def save(owner: bpy.types.ID, record: Record) -> None:
    """Remember this about `owner`, which is no library override; an empty record leaves no trace."""
    if record.changes:
        owner[RECORD] = _stored(record)
    elif RECORD in owner:
        del owner[RECORD]


def load_overrides() -> Owners:
    """What is remembered about library overrides."""
    found: Owners = {}
    for scene in filter(_keeps_overrides, bpy.data.scenes):
        for stored in scene[OF_OVERRIDES].to_dict().values():
            owner = stored.get("owner")
            if owner is not None and owner.session_uid not in found:
                found[owner.session_uid] = owner, _loaded(stored["record"])
    return found


def save_overrides(scene: bpy.types.Scene, owners: Owners) -> None:
    """Remember all of this, in `scene` and in every other that keeps such records: any of them may be deleted."""
    kept = [{"owner": owner, "record": _stored(record)} for owner, record in owners.values() if record.changes]
    for one in bpy.data.scenes:
        if kept and (one == scene or _keeps_overrides(one)):
            one[OF_OVERRIDES] = {str(number): stored for number, stored in enumerate(kept)}
        elif _keeps_overrides(one):
            del one[OF_OVERRIDES]


def _keeps_overrides(scene: bpy.types.Scene) -> bool:
    return OF_OVERRIDES in scene and scene.library is None


def plain(value: Any) -> Any:
    """A property's value as numbers, texts, lists, sets and data-blocks: comparable, and nobody else's memory."""
    if value is None or isinstance(value, bool | int | float | str | bpy.types.ID):
        return value
    if isinstance(value, set | frozenset):
        return set(value)
    if isinstance(value, bpy.types.Node):
        return address_of(value)
    return [plain(item) for item in value]


def all_blocks() -> Iterator[bpy.types.ID]:
    """All data-blocks; those that have a node tree inside are followed by it."""
    for prop in bpy.data.bl_rna.properties:
        # 5.2 also has a list of what is in all other lists.
        if prop.type != "COLLECTION" or prop.identifier == "all_ids":
            continue
        for block in getattr(bpy.data, prop.identifier):
            yield block
            tree = embedded_tree(block)
            if tree is not None:
                yield tree


def embedded_tree(block: bpy.types.ID) -> bpy.types.NodeTree | None:
    """The node tree that is part of this data-block."""
    tree = getattr(block, "node_tree", None)
    return tree if tree is not None and tree.is_embedded_data else None


def _stored(record: Record) -> dict[str, Any]:
    """JSON, and beside it the data-blocks that it names: their pointers keep them, whatever they are renamed to."""
    blocks: dict[str, bpy.types.ID] = {}

    def without_blocks(value: Any) -> Any:
        if isinstance(value, bpy.types.ID):
            number = str(len(blocks))
            blocks[number] = value
            return {_ID: number}
        if isinstance(value, set):
            return {_SET: sorted(value)}
        if isinstance(value, list):
            return [without_blocks(item) for item in value]
        return value

    changes = [{name: without_blocks(value) for name, value in vars(change).items()} for change in record.changes]
    return {"json": json.dumps({"label": record.label, "changes": changes}), **blocks}


def _loaded(stored: Any) -> Record:
    def with_blocks(value: Any) -> Any:
        if isinstance(value, dict):
            return stored.get(value[_ID]) if _ID in value else set(value[_SET])
        if isinstance(value, list):
            return [with_blocks(item) for item in value]
        return value

    content = json.loads(stored["json"])
    changes = [Change(**{name: with_blocks(value) for name, value in change.items()}) for change in content["changes"]]
    return Record(content["label"], changes)
