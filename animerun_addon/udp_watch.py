# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel asks about a scene's characters: answered from memory while it draws, found out from a timer.

A change in the scene makes answers old. Old ones that are asked for are found out again once nothing has changed for
a moment, and the sidebars drawn anew. In background mode there is no timer and nothing is drawn: all is found out
when it is asked for.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from .errors import InputError
from .scene.characters import named_character
from .scene.sidebars import redraw_sidebars
from .scene.udp_bake import BakeState
from .scene.udp_bake import bake_state as look_at_bake
from .udp_memory import forget_findings
from .udp_properties import Candidates, active_object, candidates_of

# Nobody looks at the panel while they drag a vertex.
CALM_S = 0.3
# An answer of no is made sure of, even while the panel draws, for at most this share of the time.
_SHARE_FOR_SURE = 0.05
# What may change who the characters are, how they stand, or their colours.
_KINDS = ("OBJECT", "COLLECTION", "SCENE", "ARMATURE", "MESH", "KEY")


@dataclass
class _Answer:
    value: Any = None
    is_current: bool = False
    is_wanted: bool = False
    enough_until_s: float = 0.0


@dataclass(frozen=True)
class _Question:
    """About a character, or all of a scene."""

    look: Callable[[bpy.types.Scene, str], Any]
    scene: int
    character: str = ""


_answers: dict[_Question, _Answer] = {}
_calm_at_s = 0.0


def candidates(scene: bpy.types.Scene) -> Candidates:
    """The characters of a scene."""
    found: Candidates = _ask(_Question(_candidates, scene.session_uid), scene, at_once=True)
    return found


def chosen(scene: bpy.types.Scene) -> str:
    """The character that the panel works on; InputError if there is none."""
    return _of_candidates(scene, lambda found: found.chosen(scene.animerun.udp.character, active_object(scene)))


def to_export(scene: bpy.types.Scene) -> tuple[str, ...]:
    """The characters that the panel exports; InputError if there is none."""
    panel = scene.animerun.udp
    return _of_candidates(
        scene, lambda found: found.to_export(panel.all_characters, panel.character, active_object(scene))
    )


def bake_state(scene: bpy.types.Scene, character: str) -> BakeState | None:
    """Which of its meshes have baked colours, and which old ones; None before that is known."""
    state: BakeState | None = _ask(_Question(_bake_state, scene.session_uid, character), scene)
    return state


def state_of(scene: bpy.types.Scene, character: str) -> Hashable | None:
    """Another one whenever the character's bones or meshes are others; None before that is known."""
    state: Hashable | None = _ask(_Question(_state, scene.session_uid, character), scene)
    return state


def look_at_state(scene: bpy.types.Scene, character: str) -> Hashable | None:
    """The same, found out now."""
    return _find_out(_Question(_state, scene.session_uid, character), scene)


def forget(*_: Any) -> None:
    """All answers are old."""
    for answer in _answers.values():
        answer.is_current = False


# What is found out ----------------------------------------------------------------------------------------------------


def _candidates(scene: bpy.types.Scene, _character: str) -> Candidates:
    return candidates_of(scene)


def _bake_state(scene: bpy.types.Scene, character: str) -> BakeState | None:
    try:
        return look_at_bake(scene, character)
    except InputError:  # it is gone
        return None


def _state(scene: bpy.types.Scene, character: str) -> Hashable | None:
    try:
        found = named_character(scene, character)
    except InputError:
        return None
    digest = hashlib.blake2b(digest_size=16)
    bones = found.rig.data.bones
    for name in ("head_local", "tail_local"):
        points = np.empty(len(bones) * 3, np.float32)
        bones.foreach_get(name, points)
        digest.update(points.tobytes())
    digest.update(repr([bone.name for bone in bones]).encode())
    for thing in sorted(found.things, key=lambda thing: thing.name_full):
        digest.update(repr((thing.name_full, [modifier.type for modifier in thing.modifiers])).encode())
        if thing.type == "MESH":
            points = np.empty(len(thing.data.vertices) * 3, np.float32)
            thing.data.vertices.foreach_get("co", points)
            digest.update(points.tobytes())
    return digest.digest()


# How it is answered ---------------------------------------------------------------------------------------------------


def _of_candidates(scene: bpy.types.Scene, choose: Callable[[Candidates], Any]) -> Any:
    try:
        return choose(candidates(scene))
    except InputError:
        # A script may have made a character just now.
        question = _Question(_candidates, scene.session_uid)
        answer = _answers[question]
        if answer.is_current or time.monotonic() < answer.enough_until_s:
            raise
        return choose(_find_out(question, scene))


def _ask(question: _Question, scene: bpy.types.Scene, at_once: bool = False) -> Any:
    """The answer from memory; `at_once`: even if there is none yet."""
    answer = _answers.setdefault(question, _Answer())
    if not answer.is_current:
        if bpy.app.background or (at_once and answer.value is None):
            return _find_out(question, scene)
        answer.is_wanted = True
        if not bpy.app.timers.is_registered(_look_again):
            bpy.app.timers.register(_look_again, first_interval=max(_calm_at_s - time.monotonic(), 0.01))
    return answer.value


def _find_out(question: _Question, scene: bpy.types.Scene) -> Any:
    began_s = time.monotonic()
    value = question.look(scene, question.character)
    now_s = time.monotonic()
    enough_until_s = now_s + (now_s - began_s) / _SHARE_FOR_SURE
    _answers[question] = _Answer(value, is_current=not bpy.app.background, enough_until_s=enough_until_s)
    return value


def _look_again() -> float | None:
    """Find out what is asked for, once the scene is calm. Returns the seconds until the next look, None to end."""
    left_s = _calm_at_s - time.monotonic()
    if left_s > 0:
        return left_s
    scenes = {scene.session_uid: scene for scene in bpy.data.scenes}
    for question in [question for question, answer in _answers.items() if answer.is_wanted]:
        if question.scene in scenes:
            _find_out(question, scenes[question.scene])
        else:
            del _answers[question]
    redraw_sidebars()
    return None


@persistent  # type: ignore[untyped-decorator]  # bpy is untyped
def _after_change(_scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None) -> None:
    global _calm_at_s
    if _answers and (depsgraph is None or any(map(depsgraph.id_type_updated, _KINDS))):
        _calm_at_s = time.monotonic() + CALM_S
        forget()


@persistent  # type: ignore[untyped-decorator]
def _after_undo(*_: Any) -> None:
    forget()


@persistent  # type: ignore[untyped-decorator]
def _after_load(*_: Any) -> None:
    _answers.clear()
    forget_findings()


# What registration.py hands to bpy.app.handlers: the list's name and the function.
HANDLERS: list[tuple[str, Callable[..., None]]] = [
    ("depsgraph_update_post", _after_change),
    ("undo_post", _after_undo),
    ("redo_post", _after_undo),
    ("load_post", _after_load),
]


def stop() -> None:
    """Take the timer back and forget everything: the add-on is going."""
    _answers.clear()
    forget_findings()
    if bpy.app.timers.is_registered(_look_again):
        bpy.app.timers.unregister(_look_again)
