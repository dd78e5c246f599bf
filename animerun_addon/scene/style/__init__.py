# SPDX-License-Identifier: GPL-3.0-or-later
"""The reversible 2D conversion of a scene: convert(), restore(), and what a converted scene knows about itself."""

from __future__ import annotations

import functools
import json
import uuid
from typing import Any, NamedTuple

import bpy

from ...errors import InputError
from ...style_settings import StyleSettings
from .memory import Memory, Undone, undo
from .report import Finding, Report
from .stage import Stage
from .steps import STEPS

__all__ = ["Finding", "Report", "StyleSettings", "convert", "is_converted", "last_report", "last_settings", "restore"]

# The scene's custom property with the index of its conversion.
INDEX = "animerun_style_index"


class _Index(NamedTuple):
    token: str  # marks this scene's changes among those of others
    settings: dict[str, Any]
    report: dict[str, Any]
    blocks: dict[str, tuple[str, str]]  # labels of changed data-blocks: ID type, name when converted


def convert(scene: bpy.types.Scene, settings: StyleSettings | None = None) -> Report:
    """Turn the scene into flat animation; a converted one is brought up to date with what is new in it.

    Everything that is changed is remembered in the file, for restore(). A conversion that fails changes nothing.
    """
    if scene.library is not None:
        raise InputError(f"Scene '{scene.name}' is linked from '{scene.library.filepath}': convert it in its own file")
    settings = settings or StyleSettings()
    index = _index(scene)
    report = Report()
    before = _undo(scene, index, report) if index else Undone()
    token = index.token if index else uuid.uuid4().hex

    def cannot(block: bpy.types.ID, why: str) -> None:
        report.left[Finding(block.id_type, block.name_full, why)] = None

    for layer in scene.view_layers:
        if layer.layer_collection is None:  # 5.2, of a scene that was never shown
            layer.update()
    memory = Memory(scene, token, cannot, frozenset(before.users_own))
    stage = Stage(scene, settings, memory, report)
    try:
        for step in STEPS:
            if step.is_wanted(settings):
                stage.step = step.label
                step.run(stage)
    except BaseException:
        memory.save()
        undo(scene, token, _other_tokens(token))
        raise
    blocks = memory.save()
    scene[INDEX] = json.dumps(_Index(token, settings.to_plain(), report.to_plain(), blocks)._asdict())
    return report


def restore(scene: bpy.types.Scene) -> Report:
    """Undo the scene's conversion; what the user changed in between stays, and is reported.

    Copies that were made of the scene while it was converted are restored with it.
    """
    index = _index(scene)
    report = Report()
    if index is None:
        return report
    undone = _undo(scene, index, report)
    report.changed["Restored"] = undone.count
    return report


def is_converted(scene: bpy.types.Scene) -> bool:
    """Whether the scene is flat animation now."""
    return INDEX in scene


def last_report(scene: bpy.types.Scene) -> Report:
    """What the scene's conversion did."""
    index = _index(scene)
    return Report.from_plain(index.report) if index else Report()


def last_settings(scene: bpy.types.Scene) -> StyleSettings | None:
    """What the scene was converted with; None while it is not."""
    index = _index(scene)
    return StyleSettings.from_plain(index.settings) if index else None


def _index(scene: bpy.types.Scene) -> _Index | None:
    return _parsed(scene[INDEX]) if INDEX in scene and scene.library is None else None


@functools.lru_cache(8)
def _parsed(index: str) -> _Index:
    """Kept: the panel asks at every redraw."""
    return _Index(**json.loads(index))


def _other_tokens(token: str) -> set[str]:
    """The tokens of all other conversions that this file's scenes have."""
    indices = [_index(scene) for scene in bpy.data.scenes]
    return {index.token for index in indices if index is not None} - {token}


def _undo(scene: bpy.types.Scene, index: _Index, report: Report) -> Undone:
    undone = undo(scene, index.token, _other_tokens(index.token))
    for other in bpy.data.scenes:
        mine = _index(other)
        if mine is not None and mine.token == index.token:
            del other[INDEX]
    for findings, pairs in ((report.kept, undone.kept), (report.gone, undone.gone), (report.left, undone.cannot)):
        findings.update({Finding(block.id_type, block.name_full, text): None for block, text in pairs})
    for label, (kind, name) in index.blocks.items():
        if label not in undone.labels:
            report.gone[Finding(kind, name, "all that was converted of it")] = None
    return undone
