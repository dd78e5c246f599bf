# SPDX-License-Identifier: GPL-3.0-or-later
"""What an Ultra-Dense Pose picture costs beyond Blender's own evaluation of the frame: 512 x 512, 50 k triangles.

A person of six limbs waves its arms; all parts are measured in turn, frame by frame, in one process.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import bpy
import numpy as np
from measure import Target, report

from animerun_addon.dataset.udp import UdpFormat, write_udp
from animerun_addon.labels import fields
from animerun_addon.labels.surface import surface_points
from animerun_addon.scene.characters import named_character
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.id_pass import choose_backend, visible_triangles
from animerun_addon.scene.rest_pose import REST_ATTRIBUTE
from animerun_addon.scene.snapshot import SnapshotReader
from animerun_addon.scene.udp_character import udp_character
from animerun_addon.scene.udp_stage import stage
from animerun_addon.terminal import quiet_blender
from animerun_addon.udp_choices import EncodingChoice, RestChoice
from animerun_addon.udp_settings import UdpSettings, View

FRAMES = range(1, 25)
WARM_UP = 4
SIDE_PX = 512
# Rings and segments of a limb: 6 limbs of 2 * rings * segments triangles.
RINGS, SEGMENTS = 64, 65
# From, to and half width, in armature space; X is the character's left.
LIMBS = {
    "spine": ((0, 0, 0.85), (0, 0, 1.45), 0.17),
    "head": ((0, 0, 1.45), (0, 0, 1.75), 0.11),
    "upper_arm.L": ((0.2, 0, 1.4), (0.65, 0, 0.95), 0.05),
    "upper_arm.R": ((-0.2, 0, 1.4), (-0.65, 0, 0.95), 0.05),
    "thigh.L": ((0.1, 0, 0.85), (0.12, 0, 0.02), 0.08),
    "thigh.R": ((-0.1, 0, 0.85), (-0.12, 0, 0.02), 0.08),
}


def main() -> None:
    """Every part of a picture, and reading the rest pose, which is done once a sequence."""
    with quiet_blender(verbose=False):
        scene = person()
        parts, rest_s, triangles = measured(scene)
    names = ("reading", "id pass", "surface points", "UDP")
    picture_s = statistics.median(map(sum, zip(*(parts[name] for name in names), strict=True)))
    figures = {f"{name}, ms": 1000 * statistics.median(times) for name, times in parts.items()}
    figures |= {
        "a picture beyond the evaluation, ms": 1000 * picture_s,
        "the same / Blender's evaluation": picture_s / statistics.median(parts["Blender's evaluation"]),
        "rest pose, once a sequence, ms": 1000 * rest_s,
        "triangles": float(triangles),
        "drawn on the GPU": float(choose_backend("auto") == "gpu"),
    }
    report("udp", figures, {"a picture beyond the evaluation, ms": Target(60, "lower")})


def measured(scene: bpy.types.Scene) -> tuple[dict[str, list[float]], float, int]:
    """Seconds of each part, frame by frame; seconds of reading the rest pose; the character's triangles."""
    start = time.perf_counter()
    hero = udp_character(scene, "Person", RestChoice(), EncodingChoice(), frames=())
    rest_s = time.perf_counter() - start
    settings = UdpSettings(view=View.CAMERA, size_px=(SIDE_PX, SIDE_PX))
    backend = choose_backend("auto")
    parts: defaultdict[str, list[float]] = defaultdict(list)
    with stage(scene, named_character(scene, "Person"), settings) as copied, tempfile.TemporaryDirectory() as folder:
        reader = SnapshotReader(copied, None, REST_ATTRIBUTE, hero.by_object.keys(), hero.triangulated)
        last = time.perf_counter()

        def end(part: str, frame: float) -> None:
            nonlocal last
            now = time.perf_counter()
            if frame >= FRAMES[WARM_UP]:
                parts[part].append(now - last)
            last = now

        def visit(frame: float, depsgraph: bpy.types.Depsgraph) -> None:
            end("Blender's evaluation", frame)
            snapshot, _ = hero.rest_on(reader.read(depsgraph))
            end("reading", frame)
            ids, _ = visible_triangles(snapshot, backend)
            end("id pass", frame)
            surface = surface_points(snapshot, ids)
            end("surface points", frame)
            picture, _ = fields.udp(snapshot, surface, hero.encoding.scale, hero.encoding.offset)
            end("UDP", frame)
            for file_format in (UdpFormat.NPZ, UdpFormat.EXR):
                write_udp(Path(folder) / f"{int(frame):04}.{file_format}", picture, file_format)
                end(f"writing .{file_format}", frame)

        with_render_depsgraph(copied, FRAMES, visit)
    return dict(parts), rest_s, sum(map(len, hero.triangles.values()))


def person() -> bpy.types.Scene:
    """The character and a camera that has all of it in its picture."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    rig = skeleton(scene)
    body = bpy.data.objects.new("Body", body_mesh())
    scene.collection.objects.link(body)
    a_limb = len(body.data.vertices) // len(LIMBS)
    for place, bone in enumerate(LIMBS):
        body.vertex_groups.new(name=bone).add(range(place * a_limb, (place + 1) * a_limb), 1.0, "REPLACE")
    body.modifiers.new("Armature", "ARMATURE").object = rig
    body.parent = rig
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0.0, -3.0, 0.9), (np.pi / 2, 0.0, 0.0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return scene


def skeleton(scene: bpy.types.Scene) -> bpy.types.Object:
    """An armature that waves both arms."""
    rig = bpy.data.objects.new("Person", bpy.data.armatures.new("Person"))
    scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, (head, tail, _) in LIMBS.items():
        bone = rig.data.edit_bones.new(name)
        bone.head, bone.tail = head, tail
        bone.parent = None if name == "spine" else rig.data.edit_bones["spine"]
    bpy.ops.object.mode_set(mode="OBJECT")
    for name in ("upper_arm.L", "upper_arm.R", "head"):
        bone = rig.pose.bones[name]
        bone.rotation_mode = "XYZ"
        for frame in (FRAMES[0], FRAMES[-1]):
            bone.rotation_euler = (0.0, 0.02 * frame, 0.03 * frame)
            bone.keyframe_insert("rotation_euler", frame=frame)
    return rig


def body_mesh() -> bpy.types.Mesh:
    """An ellipsoid around each limb, open at its ends."""
    along = np.linspace(-0.98, 0.98, RINGS + 1)
    turn = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    rings, spokes = np.meshgrid(along, turn, indexing="ij")
    width = np.sqrt(1 - rings**2)
    unit = np.stack([width * np.cos(spokes), width * np.sin(spokes), rings], axis=-1).reshape(-1, 3)
    ring, spoke = np.divmod(np.arange(RINGS * SEGMENTS), SEGMENTS)
    following = (spoke + 1) % SEGMENTS
    faces = np.stack([ring * SEGMENTS + spoke, ring * SEGMENTS + following], axis=-1)
    faces = np.concatenate([faces, faces[:, ::-1] + SEGMENTS], axis=-1)
    points, corners = [], []
    for place, (head, tail, half) in enumerate(LIMBS.values()):
        axis = (np.array(tail) - head) / 2
        side = np.cross(axis, (0.0, 1.0, 0.0))
        side *= half / np.linalg.norm(side)
        points.append((np.array(head) + tail) / 2 + unit @ np.array([side, (0.0, half, 0.0), axis]))
        corners.append(faces + place * len(unit))
    mesh = bpy.data.meshes.new("Body")
    mesh.from_pydata(np.concatenate(points).tolist(), [], np.concatenate(corners).tolist())
    return mesh


if __name__ == "__main__":
    main()
