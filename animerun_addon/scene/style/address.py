# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of Blender's structs inside their data-block that outlive renames, reordering, saving and undo.

An address is a list: what kind of thing, and what tells it from others of its kind. What is done there, in memory.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

# A custom property of view layers and nodes, which have no lasting identity of their own.
MARK = "animerun_mark"

Address = list[Any]

# In the address of a driver: it moves a setting of the data-block that it lies in.
_ITS_OWN = "its own"


def owner_of(root: Any) -> bpy.types.ID:
    """The data-block that remembers what is changed about `root`."""
    return root.id_data


def address_of(root: Any) -> Address:
    """Where `root` is within owner_of(root)."""
    owner = owner_of(root)
    if isinstance(root, bpy.types.ID):
        return ["self"]
    if isinstance(root, bpy.types.Modifier):
        return ["modifier", root.persistent_uid]
    if isinstance(root, bpy.types.ViewLayer):
        return ["view layer", _mark(root, owner.view_layers)]
    if isinstance(root, bpy.types.Node):
        return ["node", _mark(root, owner.nodes)]
    if isinstance(root, bpy.types.NodeLink):
        return ["link", _mark(root.to_node, owner.nodes), root.to_socket.identifier]
    if isinstance(root, bpy.types.TimelineMarker):
        return ["marker", root.frame, root.name]
    if isinstance(root, bpy.types.LayerCollection):
        layer = next(layer for layer in owner.view_layers if root in set(_branches(layer.layer_collection)))
        return ["layer collection", _mark(layer, owner.view_layers), root.collection]
    if isinstance(root, bpy.types.FreestyleLineSet):
        layer = next(layer for layer in owner.view_layers if root in list(layer.freestyle_settings.linesets))
        return ["line set", _mark(layer, owner.view_layers), root.linestyle, root.name]
    raise TypeError(f"nothing is known that outlives a rename of {root!r}")


def curve_address(curve: bpy.types.FCurve, slot: int, root: Any, path: str) -> Address:
    """Where the curve is that moves `path` of `root`, in the slot of this handle (0: a driver).

    Blender changes the curve's own path when `root` is renamed.
    """
    at = ["curve", slot, curve.data_path, curve.array_index]
    holder = owner_of(root)
    if holder == curve.id_data:
        return [*at, _ITS_OWN, address_of(root), path]
    # Nothing outside of a data-block can point at the node tree inside.
    return [*at, *([] if holder.is_embedded_data else [holder, address_of(root), path])]


def resolve(owner: bpy.types.ID, address: Address) -> list[Any]:
    """What is at `address`: nothing if it no longer exists, more than one if the user copied it in place."""
    match address:
        case ["self"]:
            return [owner]
        case ["modifier", uid]:
            return [one for one in owner.modifiers if one.persistent_uid == uid]
        case ["view layer", mark]:
            return _marked(owner.view_layers, mark)
        case ["node", mark]:
            return _marked(owner.nodes, mark)
        case ["link", mark, identifier]:
            sockets = (one for node in _marked(owner.nodes, mark) for one in node.inputs)
            return [link for one in sockets if one.identifier == identifier for link in one.links]
        case ["marker", frame, name]:
            alike = [one for one in owner.timeline_markers if one.name == name or one.frame == frame]
            return [one for one in alike if one.name == name and one.frame == frame] or alike[:1]
        case ["layer collection", mark, collection]:
            layers = _marked(owner.view_layers, mark)
            branches = (one for layer in layers for one in _branches(layer.layer_collection))
            return [one for one in branches if one.collection == collection]
        case ["line set", mark, linestyle, name]:
            layers = _marked(owner.view_layers, mark)
            return [one for layer in layers for one in _line_set_of(layer, linestyle, name)]
        case ["curve", slot, data_path, index, *moved]:
            now = (_path_now(owner, *moved) if moved else None) or data_path
            found = [curves.find(now, index=index) for curves in _curves(owner, slot)]
            return [curve for curve in found if curve is not None]
    raise ValueError(f"unknown address {address!r}")


def remove(owner: bpy.types.ID, address: Address) -> bool:
    """Take what is at `address` (parts, not the data-block itself) out of its data-block; False if it is gone."""
    parts = resolve(owner, address)
    for part in parts:
        match address[0]:
            case "modifier":
                owner.modifiers.remove(part)
            case "node":
                owner.nodes.remove(part)
            case "line set":
                _remove_line_set(owner, part)
            case _:
                raise ValueError(f"nothing that can be removed is at {address!r}")
    return bool(parts)


def forget_marks(owner: bpy.types.ID) -> None:
    """Take the marks off the parts of `owner`, once nothing is remembered about it."""
    for one in (*getattr(owner, "view_layers", ()), *getattr(owner, "nodes", ())):
        if MARK in one:
            del one[MARK]


def path_from_owner(root: Any, path: str) -> str | None:
    """`path` of `root` as animation curves spell it; None where nothing can be animated."""
    if isinstance(root, bpy.types.ID):
        return path
    try:
        return f"{root.path_from_id()}.{path}"
    except ValueError:
        return None


def channelbags(owner: bpy.types.ID) -> Iterator[bpy.types.ActionChannelbag]:
    """All groups of curves of an action, one for each slot; none of anything else."""
    for layer in getattr(owner, "layers", ()) if isinstance(owner, bpy.types.Action) else ():
        for strip in layer.strips:
            yield from strip.channelbags


def _curves(owner: bpy.types.ID, slot: int) -> Iterator[Any]:
    if isinstance(owner, bpy.types.Action):
        yield from (bag.fcurves for bag in channelbags(owner) if bag.slot_handle == slot)
    elif owner.animation_data:
        yield owner.animation_data.drivers


def _path_now(owner: bpy.types.ID, holder: bpy.types.ID | str | None, address: Address, path: str) -> str | None:
    """How curves of `owner` spell the setting now; None if what had it is gone."""
    if holder == _ITS_OWN:
        holder = owner
    roots = resolve(holder, address) if isinstance(holder, bpy.types.ID) else []
    return path_from_owner(roots[0], path) if roots else None


def _branches(root: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    yield root
    for child in root.children:
        yield from _branches(child)


def _line_set_of(
    layer: bpy.types.ViewLayer, linestyle: bpy.types.FreestyleLineStyle | None, name: str
) -> list[bpy.types.FreestyleLineSet]:
    """Line sets can share a style, and can be renamed."""
    alike = [one for one in layer.freestyle_settings.linesets if one.linestyle == linestyle]
    return [one for one in alike if one.name == name] or alike[:1]


def _remove_line_set(scene: bpy.types.Scene, part: bpy.types.FreestyleLineSet) -> None:
    every = (layer.freestyle_settings.linesets for layer in scene.view_layers)
    line_sets = next(one for one in every if part in list(one))
    # Blender would make the first one active.
    active = line_sets.active_index - (list(line_sets).index(part) < line_sets.active_index)
    line_sets.remove(part)
    line_sets.active_index = max(min(active, len(line_sets) - 1), 0)


def _mark(one: Any, siblings: Any) -> int:
    # A copy of a marked one has its mark as well: the first keeps it.
    if MARK not in one or next(other for other in siblings if other.get(MARK) == one[MARK]) != one:
        one[MARK] = 1 + max((other.get(MARK, 0) for other in siblings), default=0)
    return int(one[MARK])


def _marked(siblings: Any, mark: int) -> list[Any]:
    return [one for one in siblings if one.get(MARK) == mark]
