# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo scene: a girl runs and leaps down a street, a dog crosses in front of her. Same seed, same scene.

Importing this package needs no bpy; its pure rooms (shapes, weights, skeleton, sway, run) serve tests without Blender.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...progress import Steps

if TYPE_CHECKING:
    import bpy


def build_steps(seed: int = 0) -> Steps[bpy.types.Scene]:
    """Make a new scene "AnimeRun demo" with everything in it; yields after every piece, returns the scene.

    The user's scenes and data stay as they are. Closed early or failing, it removes what it has made.
    """
    from . import director

    return (yield from director.build_steps(seed))
