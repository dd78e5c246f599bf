# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes settings of Blender's data so that they can be undone later, and undoes them. What to change: steps/.

A data-block that several scenes share stays changed until the last of them lets go of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import bpy
from bpy_extras import anim_utils

from . import record as records
from .address import Address, address_of, curve_address, forget_marks, owner_of, path_from_owner, remove, resolve
from .record import Change, Record, plain

# A setting: its owner's session_uid, its address as text, its path.
Setting = tuple[int, str, str]
# With the handle of its slot; 0 for a driver.
_Curve = tuple[bpy.types.FCurve, int]


class Memory:
    """Makes changes for one scene, known by its token. To be saved at the end."""

    def __init__(
        self,
        scene: bpy.types.Scene,
        token: str,
        cannot: Callable[[bpy.types.ID, str], None],
        users_own: frozenset[Setting] = frozenset(),
    ) -> None:
        self._scene = scene
        self._token = token
        self._cannot = cannot
        self._users_own = users_own
        self._records: records.Owners = {}
        self._overrides = records.load_overrides()
        self.count = 0  # of settings that were changed
        self._curves: dict[int, dict[str, list[_Curve]]] = {}

    def set(self, root: Any, path: str, value: Any) -> bool:
        """Set `path` of `root` (a data-block, modifier, view layer...) to `value`; False where that cannot be.

        Animation of it is muted. What has the value already and is not animated stays untouched.
        """
        owner = owner_of(root)
        curves = self._curves_of(owner).get(path_from_owner(root, path) or "", [])
        before = plain(root.path_resolve(path))
        refusal = self._refusal(root, path)
        if refusal:
            is_so_anyway = before == plain(value) and all(curve.mute for curve, _ in curves)
            if not is_so_anyway:
                self._cannot(owner, refusal)
            return is_so_anyway
        at = address_of(root)
        known = self._record(owner).find(at, path)
        if known is None and self._is_users(owner, at, path, before):
            return False
        if known is None and before == plain(value) and all(curve.mute for curve, _ in curves):
            return True
        muted = [self._change(curve, curve_address(curve, slot, root, path), "mute", True) for curve, slot in curves]
        return all(muted) and self._change(root, at, path, value)

    def _change(self, root: Any, at: Address, path: str, value: Any) -> bool:
        owner = owner_of(root)
        refusal = self._refusal(root, path)
        if refusal:
            self._cannot(owner, refusal)
            return False
        record = self._record(owner)
        known, before = record.find(at, path), plain(root.path_resolve(path))
        if known is None and self._is_users(owner, at, path, before):
            return False
        if known is None and before == plain(value) and isinstance(root, bpy.types.FCurve):
            return True
        if not self._assign(root, path, value):
            return False
        self.count += 1
        after = plain(root.path_resolve(path))
        if known is None:
            record.changes.append(Change(at, path, before, after, [self._token]))
        else:
            known.after = after
            self._claim(known)
        return True

    def made(self, what: Any) -> None:
        """`what`, a data-block or a part of one (node, modifier, line set), was made for this: it goes with it."""
        record, at = self._record(owner_of(what)), address_of(what)
        known = record.find(at, "")
        if known is None:
            record.changes.append(Change(at, "", None, None, [self._token]))
        else:
            self._claim(known)

    def before(self, root: Any, path: str) -> Any:
        """What a setting is without any conversion, be it another scene's."""
        owner = owner_of(root)
        known = None if owner.library is not None else self._record(owner).find(address_of(root), path)
        return plain(root.path_resolve(path)) if known is None else known.before

    def is_animated(self, root: Any, path: str) -> bool:
        """Whether a curve or a driver moves a setting, or did so before the conversion."""
        return bool(self._curves_of(owner_of(root)).get(path_from_owner(root, path) or ""))

    def save(self) -> dict[str, tuple[str, str]]:
        """Write down everything, so that it can be undone. Returns an index: labels, with ID types and names."""
        for owner, record in self._records.values():
            records.save(owner, record)
            if not record.changes:
                forget_marks(owner)
        records.save_overrides(self._scene, self._overrides)
        every = [*self._records.values(), *self._overrides.values()]
        changed = [(owner, record) for owner, record in every if self._is_mine(record)]
        # What was made for the conversion may go without a word.
        users = [(owner, record) for owner, record in changed if record.find(["self"], "") is None]
        return {record.label: (owner.id_type, owner.name_full) for owner, record in users}

    def _is_users(self, owner: bpy.types.ID, at: Address, path: str, value: Any) -> bool:
        """Whether the user changed the setting in between; then it is to be left alone, and told about when undone."""
        if _setting(owner, at, path) not in self._users_own:
            return False
        self._record(owner).changes.append(Change(at, path, value, value, [self._token], is_users=True))
        return True

    def _claim(self, change: Change) -> None:
        change.scenes = sorted({*change.scenes, self._token})

    def _assign(self, root: Any, path: str, value: Any) -> bool:
        try:
            _assign(root, path, value)
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            self._cannot(owner_of(root), f"Blender does not let '{path}' be changed ({error})")
            return False
        return True

    def _record(self, owner: bpy.types.ID) -> Record:
        uid = owner.session_uid
        if owner.override_library is not None:
            return self._overrides.setdefault(uid, (owner, records.new_record()))[1]
        if uid not in self._records:
            self._records[uid] = owner, records.load(owner)
        return self._records[uid][1]

    def _is_mine(self, record: Record) -> bool:
        return any(self._token in change.scenes for change in record.changes)

    def _refusal(self, root: Any, path: str) -> str | None:
        """Why Blender would lose a change of this setting."""
        owner = owner_of(root)
        if owner.library is not None:
            return f"it is linked from '{owner.library.filepath}': make it local or a library override to convert it"
        if owner.session_uid in self._trees_of_overrides:
            return "it belongs to a library override, which has no nodes of its own: make that local to convert it"
        if owner.override_library is not None and not isinstance(root, bpy.types.FCurve):
            parent, _, name = path.rpartition(".")
            holder = root.path_resolve(parent) if parent else root
            if not holder.is_property_overridable_library(name):
                return f"it is a library override, which has no '{path}' of its own: make it local to convert it"
        return None

    @cached_property
    def _trees_of_overrides(self) -> frozenset[int]:
        trees = [records.embedded_tree(block) for block in records.all_blocks() if block.override_library is not None]
        return frozenset(tree.session_uid for tree in trees if tree is not None)

    def _curves_of(self, owner: bpy.types.ID) -> dict[str, list[_Curve]]:
        """The curves and drivers that move settings of `owner`, by the settings' paths."""
        uid = owner.session_uid
        if uid not in self._curves:
            curves: dict[str, list[_Curve]] = {}
            for curve, slot in _animation(owner):
                curves.setdefault(curve.data_path, []).append((curve, slot))
            self._curves[uid] = curves
        return self._curves[uid]


@dataclass
class Undone:
    """What came of undoing."""

    count: int = 0
    labels: set[str] = field(default_factory=set)  # of the data-blocks that were found
    users_own: set[Setting] = field(default_factory=set)
    kept: list[tuple[bpy.types.ID, str]] = field(default_factory=list)  # what the user changed in between
    gone: list[tuple[bpy.types.ID, str]] = field(default_factory=list)  # parts that no longer exist
    cannot: list[tuple[bpy.types.ID, str]] = field(default_factory=list)


def undo(scene: bpy.types.Scene, token: str, others: Collection[str] = ()) -> Undone:
    """Undo all that was done for the scene of this token and for scenes that are gone; `others` are still there."""
    undone = Undone()
    made: list[bpy.types.ID] = []
    owners = records.load_all()
    for owner, record in owners:
        if any(token in change.scenes for change in record.changes):
            undone.labels.add(record.label)
        made += _undo_record(owner, record, others, undone)
        if owner.override_library is None:
            records.save(owner, record)
        if not record.changes:
            forget_marks(owner)
    records.save_overrides(
        scene, {owner.session_uid: (owner, record) for owner, record in owners if owner.override_library is not None}
    )
    bpy.data.batch_remove(made)
    return undone


def _undo_record(
    owner: bpy.types.ID, record: Record, others: Collection[str], undone: Undone
) -> Iterator[bpy.types.ID]:
    """Undo what none of the other scenes needs; gives the data-block itself if it was made for the conversion."""
    for change in record.changes:
        change.scenes = [one for one in change.scenes if one in others]
    done = [change for change in record.changes if not change.scenes]
    record.changes = [change for change in record.changes if change.scenes]
    for change in reversed(done):
        if change.path:
            _undo_setting(owner, change, undone)
        elif change.at == ["self"]:
            yield owner
        elif not remove(owner, change.at):
            undone.gone.append((owner, f"its {change.at[0]}"))


def _undo_setting(owner: bpy.types.ID, change: Change, undone: Undone) -> None:
    roots = resolve(owner, change.at)
    if not roots:
        undone.gone.append((owner, f"its {change.at[0]} with '{change.path}'"))
    for root in roots:
        try:
            if change.is_users or plain(root.path_resolve(change.path)) != change.after:
                undone.users_own.add(_setting(owner, change.at, change.path))
                undone.kept.append((owner, _spoken(root, change.path)))
                continue
            _assign(root, change.path, change.before)
            undone.count += 1
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            undone.cannot.append((owner, f"'{change.path}' could not be set back ({error})"))


def _setting(owner: bpy.types.ID, at: Address, path: str) -> Setting:
    return owner.session_uid, json.dumps(at, default=lambda block: block.session_uid), path


def _assign(root: Any, path: str, value: Any) -> None:
    if isinstance(value, list) and value[:1] == ["node"]:
        value = next(iter(resolve(owner_of(root), value)), None)
    parent, _, name = path.rpartition(".")
    setattr(root.path_resolve(parent) if parent else root, name, value)


def _spoken(root: Any, path: str) -> str:
    """A setting as Blender's interface calls it."""
    parent, _, name = path.rpartition(".")
    holder = root.path_resolve(parent) if parent else root
    return f"its '{holder.bl_rna.properties[name].name}'"


def _animation(owner: bpy.types.ID) -> Iterator[_Curve]:
    animation = getattr(owner, "animation_data", None)
    if animation is None:
        return
    yield from ((curve, 0) for curve in animation.drivers)
    actions = [(animation.action, animation.action_slot)]
    for track in animation.nla_tracks:
        actions += [(strip.action, strip.action_slot) for strip in _strips(track.strips)]
    for action, slot in actions:
        bag = anim_utils.action_get_channelbag_for_slot(action, slot) if action and slot else None
        yield from ((curve, slot.handle) for curve in bag.fcurves) if bag else ()


def _strips(strips: Any) -> Iterator[bpy.types.NlaStrip]:
    for strip in strips:
        yield strip
        yield from _strips(strip.strips)
