# SPDX-License-Identifier: GPL-3.0-or-later
"""The button that adds the demo scene to the open file."""

from __future__ import annotations

import bpy

from ..pipeline.job import Job
from ..scene.demo import build_steps
from ..scene.viewport import show_as_rendered
from .job_operator import JobOperator


class ANIMERUN_OT_add_demo_scene(JobOperator, bpy.types.Operator):
    """Add a scene with an animated character, a dog, a town and all that the 2D conversion has to deal with. Your own scenes are not touched. Takes a few seconds"""  # noqa: E501

    bl_idname = "animerun.add_demo_scene"
    bl_label = "Add Demo Scene"
    bl_options = {"REGISTER", "UNDO"}

    seed: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Seed",
        description="Another number makes another town and another heroine",
        default=0,
        min=0,
    )

    def make_job(self, _context: bpy.types.Context) -> Job[bpy.types.Scene]:
        """Build it in steps."""
        return Job("Add demo scene", build_steps(self.seed))

    def use_result(self, context: bpy.types.Context, scene: bpy.types.Scene) -> str:
        """Show it in the window that asked."""
        if context.window is not None:
            context.window.scene = scene
            show_as_rendered(context.window)
        return f"Added the scene '{scene.name}'"
