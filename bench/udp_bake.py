# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking UDP colours into a skinned character of 100,000 vertices, beside Blender evaluating it for a render."""

from __future__ import annotations

import bpy
import numpy as np
from measure import Target, measure_in_turn, report

from animerun_addon.labels.udp_encoding import Preset
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.udp_bake import bake, bake_state, unbake
from animerun_addon.terminal import quiet_blender
from animerun_addon.udp_choices import EncodingChoice, Rest, RestChoice

ROWS, COLUMNS = 400, 250
BONES = 20
NAME = "Hero"
ROUNDS = 7


def main() -> None:
    """In turn, in one process, and the table."""
    scene = skinned_character()
    choices = RestChoice(), EncodingChoice(Preset.CONR)
    at_a_frame = RestChoice(Rest.FRAME, frame=10), EncodingChoice(Preset.CONR)
    runs = {
        "Blender's evaluation": lambda: evaluate(scene),
        "bake": lambda: bake(scene, NAME, *choices),
        "bake again": lambda: bake(scene, NAME, *choices),
        "bake, at rest at a frame": lambda: bake(scene, NAME, *at_a_frame),
        "look for what is stale": lambda: bake_state(scene, NAME),
        "remove": lambda: unbake(scene, NAME),
    }
    with quiet_blender(verbose=False):
        seconds = measure_in_turn(runs, ROUNDS)
    figures = {f"{name}, s": value for name, value in seconds.items()}
    figures["bake / Blender's evaluation"] = seconds["bake"] / seconds["Blender's evaluation"]
    report("udp_bake", figures, {"bake, s": Target(0.5, "lower")})


def evaluate(scene: bpy.types.Scene) -> None:
    """What any render of the character costs before its first pixel."""
    with_render_depsgraph(scene, [2], lambda *_: None)


def skinned_character() -> bpy.types.Scene:
    """A tube along a chain of bones, each vertex bound to the two nearest of them; it bends over some frames."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    rig = chain_of_bones(scene)
    body = bpy.data.objects.new("Body", tube())
    scene.collection.objects.link(body)
    body.parent = rig
    body.modifiers.new("Armature", "ARMATURE").object = rig
    for number in range(BONES):
        group = body.vertex_groups.new(name=f"Bone {number}")
        for row in range(ROWS):
            weight = 1 - abs(row / ROWS * BONES - 0.5 - number)
            if weight > 0:
                group.add(range(row * COLUMNS, (row + 1) * COLUMNS), weight, "REPLACE")
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    return scene


def chain_of_bones(scene: bpy.types.Scene) -> bpy.types.Object:
    """Upwards from the ground, 1.6 m."""
    rig = bpy.data.objects.new(NAME, bpy.data.armatures.new(NAME))
    scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    above = None
    for number in range(BONES):
        bone = rig.data.edit_bones.new(f"Bone {number}")
        bone.head, bone.tail = (0, 0, 1.6 * number / BONES), (0, 0, 1.6 * (number + 1) / BONES)
        bone.parent, above = above, bone
    bpy.ops.object.mode_set(mode="OBJECT")
    for bone in rig.pose.bones:
        bone.rotation_mode = "XYZ"
        for frame, angle in ((1, 0.0), (20, 0.1)):
            bone.rotation_euler.x = angle
            bone.keyframe_insert("rotation_euler", frame=frame)
    return rig


def tube() -> bpy.types.Mesh:
    """100,000 vertices and about twice as many triangles."""
    height, angle = np.meshgrid(np.linspace(0, 1.6, ROWS), np.linspace(0, 2 * np.pi, COLUMNS, False), indexing="ij")
    points = np.stack((0.2 * np.cos(angle), 0.15 * np.sin(angle), height), axis=-1).reshape(-1, 3)
    row, column = np.mgrid[: ROWS - 1, :COLUMNS]
    first, second = row * COLUMNS + column, row * COLUMNS + (column + 1) % COLUMNS
    faces = np.stack((first, second, second + COLUMNS, first + COLUMNS), axis=-1).reshape(-1, 4)
    mesh = bpy.data.meshes.new("Body")
    mesh.from_pydata(points.tolist(), [], faces.tolist())
    return mesh


if __name__ == "__main__":
    main()
