# SPDX-License-Identifier: GPL-3.0-or-later
"""Particle systems that show anything but strands: off, or real objects in their place.

How they are read: particle_tracks.py. A particle's object shares the data of what the particle shows. What has
modifiers is put into a collection instead, once, and empties show that: modifiers are evaluated once for all.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np
from mathutils import Matrix

from ....errors import InputError
from ....style_settings import Particles
from ...engine import visited_layer
from ...keys import add_curves, follow, placing
from ..record import RECORD
from ..stage import Stage
from .environment import Unwanted
from .hair import is_strands, switch_off
from .particle_tracks import MOST_OBJECTS, Floats, Key, System, Track, read_tracks

_SHOWS_OBJECTS = {"OBJECT", "COLLECTION"}
_HAVE_SURFACES = {"MESH", "CURVE", "SURFACE", "FONT"}
_COPIED = ("color", "display_type", "is_holdout", "is_shadow_catcher", "pass_index", "show_in_front", "visible_camera")


def replace_particles(stage: Stage) -> None:
    """Switch all particle systems off that are no hair; first put objects in their place, if that is wanted."""
    systems = list(_systems(stage))
    tracks, stays = _read(stage, [system for system in systems if _is_to_be_replaced(stage, system)])
    for system in systems:
        if system.key in stays:
            _tell(stage, system, f"stay particles: {stays[system.key]}")
        elif switch_off(stage, system.modifier):
            _place(stage, system, tracks.get(system.key, []))


def _read(stage: Stage, systems: list[System]) -> tuple[dict[Key, list[Track]], dict[Key, str]]:
    """The tracks of systems, and why those have to stay whose tracks cannot be known."""
    read = visited_layer(stage.scene)
    elsewhere = _only_elsewhere(stage.scene, read) if systems else set()
    stays = {one.key: f"view layer '{read.name}' is without them" for one in systems if one.emitter in elsewhere}
    systems = [one for one in systems if one.key not in stays]
    try:
        found = read_tracks(stage.scene, stage.memory, systems) if systems else {}
    except InputError as error:
        return {}, stays | {one.key: str(error) for one in systems}
    too_many = f"they are more than {MOST_OBJECTS:,}; lower their number, or let particles be hidden"
    stays |= {key: too_many for key, tracks in found.items() if tracks is None}
    for one in systems:
        if one.key not in stays and not one.is_settled:
            first = one.particles.point_cache.frame_start
            _tell(stage, one, f"are not baked: replaced as they play from frame {first}; bake them to be sure")
    return {key: tracks for key, tracks in found.items() if tracks is not None}, stays


def _only_elsewhere(scene: bpy.types.Scene, read: bpy.types.ViewLayer) -> set[bpy.types.Object]:
    """The objects that render in other view layers than the one that is read."""
    layers = [layer for layer in scene.view_layers if layer.use]
    if len(layers) < 2:
        return set()
    for layer in layers:
        layer.update()  # or it does not yet know what was excluded from it
    return {thing for layer in layers for thing in layer.objects} - set(read.objects)


def _tell(stage: Stage, system: System, text: str) -> None:
    stage.tell(system.emitter, f"particles '{system.particles.name}' {text}")


def _systems(stage: Stage) -> Iterator[System]:
    """All that show in the frames or would without another scene's conversion."""
    for thing in stage.objects:
        for modifier in thing.modifiers:
            if modifier.type != "PARTICLE_SYSTEM" or is_strands(modifier.particle_system.settings):
                continue
            is_shown = stage.memory.before(modifier, "show_render") or stage.memory.is_animated(modifier, "show_render")
            if is_shown and modifier.particle_system.settings.render_type != "NONE":
                yield System(thing, modifier)


def _is_to_be_replaced(stage: Stage, system: System) -> bool:
    """Tells why not, where that is a loss."""
    shows_objects = system.settings.render_type in _SHOWS_OBJECTS
    # What is of a library cannot be switched off, of which is told then.
    if stage.settings.particles is Particles.HIDE or not shows_objects or system.emitter.library is not None:
        return False
    if system.emitter not in set(stage.scene.objects):
        _tell(stage, system, "are hidden: their emitter is itself an instance")
        return False
    if any(source.type == "META" for source in system.sources):
        _tell(stage, system, "of metaballs are hidden: these melt together and have no places of their own")
    return True


def _place(stage: Stage, system: System, tracks: list[Track]) -> None:
    """Make objects that move as the particles do."""
    shown = _shown(stage, tracks)
    tracks = [track for track in tracks if track.source in shown]
    if not tracks:
        return
    name = f"{system.emitter.name} {system.particles.name}"
    collection, action = bpy.data.collections.new(name), bpy.data.actions.new(name)
    stage.made(collection)
    stage.made(action)
    stage.scene.collection.children.link(collection)
    stand_ins = {one: _stand_in(stage, one) for one in dict.fromkeys(t.source for t in tracks if t.has_modifiers)}
    for track in tracks:
        stand_in = stand_ins.get(track.source)
        made = _sibling(track.source) if stand_in is None else _empty(stand_in)
        stage.made(made)
        collection.objects.link(made)
        _move(stage, made, track, track.world_from_object if stand_in is None else track.world_from_source, action)
    if any(track.is_sheared for track in tracks):
        _tell(stage, system, "are sheared, which objects cannot be: apply the scale of what they show")


def _shown(stage: Stage, tracks: list[Track]) -> set[bpy.types.Object]:
    """Those of the tracks' sources that are to be seen in 2D."""
    unwanted = Unwanted(stage)
    return {
        source
        for source in {track.source for track in tracks}
        if source.type in _HAVE_SURFACES and not (stage.settings.hide_environment and unwanted.has(source))
    }


def _sibling(source: bpy.types.Object) -> bpy.types.Object:
    """One more with the same data."""
    made = bpy.data.objects.new(source.name, source.data)
    for name in _COPIED:
        setattr(made, name, getattr(source, name))
    for slot, like in zip(made.material_slots, source.material_slots, strict=True):
        if like.link == "OBJECT":
            slot.link, slot.material = "OBJECT", like.material
    return made


def _empty(collection: bpy.types.Collection) -> bpy.types.Object:
    made = bpy.data.objects.new(collection.name, None)
    made.instance_type, made.instance_collection = "COLLECTION", collection
    return made


def _stand_in(stage: Stage, source: bpy.types.Object) -> bpy.types.Collection:
    """A collection, in no scene, with a copy of the source that is not hidden."""
    collection, copy = bpy.data.collections.new(source.name), source.copy()
    if RECORD in copy:
        del copy[RECORD]
    copy.hide_render = copy.hide_viewport = False
    stage.made(collection)
    stage.made(copy)
    collection.objects.link(copy)
    return collection


def _move(stage: Stage, thing: bpy.types.Object, track: Track, matrices: Floats, action: bpy.types.Action) -> None:
    """Let the object be at `matrices` (K, 4, 4) at the track's frames, and be seen at no others."""
    thing.rotation_mode = "QUATERNION"
    curves = follow(thing, np.array(track.frames), placing(map(Matrix, matrices)))
    frames = np.arange(stage.scene.frame_start, stage.scene.frame_end + 1)
    if len(track.frames) < len(frames):
        is_away = ~np.isin(frames, track.frames)
        curves |= {(path, 0): (frames, is_away) for path in ("hide_render", "hide_viewport")}
    add_curves(action, thing, curves)
