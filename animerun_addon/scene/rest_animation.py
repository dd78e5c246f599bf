# SPDX-License-Identifier: GPL-3.0-or-later
"""What actions, strips and drivers move, and what that is while nothing moves it.

Written to is only what is handed over: copies, which rest_copies.py makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from ..errors import InputError

# Of a bone.
AT_REST: dict[str, Any] = {
    "location": (0, 0, 0),
    "rotation_quaternion": (1, 0, 0, 0),
    "rotation_euler": (0, 0, 0),
    "rotation_axis_angle": (0, 0, 1, 0),
    "scale": (1, 1, 1),
}


def play(rig: bpy.types.Object, name: str) -> None:
    """Have a copied armature play this action and nothing else."""
    action = bpy.data.actions.get(name)
    if action is None:
        raise InputError(f"There is no action '{name}' in this file; there are: {', '.join(bpy.data.actions.keys())}")
    animation = rig.animation_data or rig.animation_data_create()
    while animation.nla_tracks:
        animation.nla_tracks.remove(animation.nla_tracks[0])
    animation.action = action
    slots = list(animation.action_suitable_slots)
    moved = {curve.data_path for bag in bags(action) for curve in bag.fcurves}
    posing = [path for path in moved if path.startswith("pose.bones")]
    if not slots or not posing:
        raise InputError(f"Action '{name}' moves no bones: choose one that poses the character")
    if all(_resolved(rig, path) is None for path in posing):
        raise InputError(f"Action '{name}' moves none of the character's bones: choose one made for its armature")
    animation.action_slot = slots[0]


def remove_bone_drivers(rig: bpy.types.Object) -> None:
    """Of their places; drivers of their properties stay."""
    for curve in list(rig.animation_data.drivers) if rig.animation_data else ():
        if curve.data_path.startswith("pose.bones") and curve.data_path.rpartition(".")[2] in AT_REST:
            rig.animation_data.drivers.remove(curve)


def is_animated(thing: bpy.types.Object, path: str) -> bool:
    """Whether keys or a driver move a setting."""
    animation = thing.animation_data
    if animation is None:
        return False
    is_keyed = any(path in paths(holder.action) for holder in with_actions(animation))
    return is_keyed or animation.drivers.find(path) is not None


def with_actions(animation: bpy.types.AnimData) -> list[Any]:
    """The animation itself and its strips, as far as they have an action."""
    holders = [animation, *(strip for track in animation.nla_tracks for strip in _strips(track.strips))]
    return [holder for holder in holders if holder.action is not None]


def _strips(strips: Any) -> Iterator[Any]:
    """All strips, those within meta strips too."""
    for strip in strips:
        yield strip
        yield from _strips(strip.strips)


def bags(action: bpy.types.Action) -> Iterator[Any]:
    """All curves of an action, slot by slot."""
    for layer in action.layers:
        for strip in layer.strips:
            yield from strip.channelbags


def paths(action: bpy.types.Action) -> set[str]:
    """What an action moves."""
    return {curve.data_path for bag in bags(action) for curve in bag.fcurves}


def set_to_rest(owner: Any, path: str) -> None:
    """The setting's own default; a shape that is not mixed in; the rig's first shape. Bones are seen to elsewhere."""
    if path.endswith('"]'):
        holder_path, _, name = path.removesuffix('"]').rpartition('["')
        holder = owner if not holder_path else _resolved(owner, holder_path)
        if holder is not None and isinstance(holder.get(name), int | float):
            holder[name] = holder.id_properties_ui(name).as_dict().get("default", holder[name])
    elif path == "eval_time":
        owner.eval_time = owner.reference_key.frame
    elif path.startswith("key_blocks") and path.endswith(".value"):
        key = _resolved(owner, path.removesuffix(".value"))
        if key is not None:
            key.value = min(max(key.slider_min, 0.0), key.slider_max)


def _resolved(owner: Any, path: str) -> Any:
    """None where an animation names what is no longer there."""
    try:
        return owner.path_resolve(path)
    except ValueError:
        return None
