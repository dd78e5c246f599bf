# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow and occlusion of whole scenes against those who know them too: Cycles, the next picture, rays."""

import bpy
import cv2
import numpy as np
import pytest
import shots
from mathutils.bvhtree import BVHTree

from animerun_addon.labels.motion import landing
from animerun_addon.labels.occlusion import exact_occlusion
from animerun_addon.pipeline.job import Job
from animerun_addon.scene.demo import build_steps
from animerun_addon.scene.frames import render_png, writing_png


@pytest.fixture
def scene():
    return bpy.context.scene


def bent_by_an_armature(scene):
    shots.new_camera(scene)
    grid = shots.new_grid(scene)
    armature = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.data.edit_bones.new("Bone")
    bone.head, bone.tail = (0, 0, -1.5), (0, 0, 1.5)
    bpy.ops.object.mode_set(mode="OBJECT")
    group = grid.vertex_groups.new(name="Bone")
    for vertex in grid.data.vertices:
        group.add([vertex.index], float(np.clip(vertex.co.z / 3 + 0.5, 0, 1)), "REPLACE")
    modifier = grid.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature
    pose = armature.pose.bones["Bone"]
    pose.rotation_mode = "XYZ"
    shots.key(pose, "rotation_euler", (0, 0, 0), (0.05, 0.1, 0.03), (0.1, 0.2, 0.06))


def morphed_by_a_shape_key(scene):
    shots.new_camera(scene)
    grid = shots.new_grid(scene)
    grid.shape_key_add(name="Basis")
    bulge = grid.shape_key_add(name="Bulge")
    for vertex in grid.data.vertices:
        bulge.data[vertex.index].co = vertex.co * 1.3
    shots.key(bulge, "value", 0.0, 0.3, 0.6)


def subdivided_and_spinning(scene):
    shots.new_camera(scene)
    grid = shots.new_grid(scene, cells=3)
    modifier = grid.modifiers.new("Subdivision", "SUBSURF")
    modifier.levels, modifier.render_levels = 0, 2
    shots.key(grid, "rotation_euler", (0, 0, 0), (0.02, 0.1, 0.05), (0.04, 0.2, 0.1))


def instances_of_a_collection(scene):
    shots.new_camera(scene)
    source = bpy.data.collections.new("Source")
    grid = shots.new_grid(scene, cells=3, size=1.2)
    scene.collection.objects.unlink(grid)
    source.objects.link(grid)
    for number, x in enumerate((-1.2, 0.3)):
        empty = bpy.data.objects.new(f"Instance {number}", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", source
        scene.collection.objects.link(empty)
        shots.key(empty, "location", (x, 0, 0), (x + 0.1, 0.05 * number, 0.1), (x + 0.2, 0.1 * number, 0.2))


def moving_camera(scene):
    camera = shots.new_camera(scene)
    shots.new_grid(scene)
    shots.key(camera, "location", (0, -8, 0), (0.1, -7.9, 0.05), (0.2, -7.8, 0.1))


SCENES = [
    bent_by_an_armature,
    morphed_by_a_shape_key,
    subdivided_and_spinning,
    instances_of_a_collection,
    moving_camera,
]


@pytest.mark.parametrize("build", SCENES, ids=lambda build: build.__name__)
def test_flow_agrees_with_cycles_where_cycles_is_right(scene, build, tmp_path):
    build(scene)
    frames = shots.read_frames(scene, [1, 2, 3])
    for other, theirs in zip((3, 1), shots.cycles_vectors(scene, 2, tmp_path), strict=True):
        ours = shots.flow_between(frames, 2, other)
        here = (frames[2].ids >= 0) & ~shots.silhouettes(frames[2].snapshot, frames[2].ids) & ours.valid
        assert here.sum() > 500
        error_px = np.linalg.norm(ours.flow_px[here] - theirs[here], axis=-1)
        assert np.linalg.norm(theirs[here], axis=-1).max() > 0.5, "the scene moves"
        assert np.median(error_px) < 0.02
        assert np.percentile(error_px, 99) < 0.1


def flat_picture(scene, frame, folder):
    """The frame in flat colours, no contours, no smoothing; (H, W, 3) in 0..1."""
    shading = scene.display.shading
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.render_aa = "OFF"
    shading.light, shading.color_type = "FLAT", "MATERIAL"
    shading.show_object_outline = shading.show_shadows = shading.show_cavity = False
    scene.view_settings.view_transform = "Standard"
    scene.render.dither_intensity = 0.0
    path = folder / f"{frame:04}.png"
    with writing_png(scene):
        render_png(scene, frame, path)
    return cv2.imread(str(path)).astype(np.float32) / 255


def warped_back(picture, flow_px):
    """The next picture seen through the flow, (H, W, 3)."""
    height, width = flow_px.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(
        picture, x + flow_px[..., 0], y + flow_px[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def demo_shot():
    scene = Job("Demo scene", build_steps()).run()
    bpy.context.window.scene = scene
    return scene


@pytest.mark.parametrize("frame", [5, 30])
def test_next_frame_warped_back_is_this_frame(frame, tmp_path):
    """Without contours: the hulls' black rims do not move with the surface."""
    scene = demo_shot()
    for thing in scene.objects:
        for modifier in thing.modifiers:
            modifier.show_render = modifier.name != "Outline"
    here, there = flat_picture(scene, frame, tmp_path), flat_picture(scene, frame + 1, tmp_path)
    frames = shots.read_frames(scene, [frame, frame + 1])
    forward = shots.flow_between(frames, frame, frame + 1)
    hidden = hidden_at(frames[frame], frames[frame + 1])
    seen = forward.valid & ~hidden & (frames[frame].ids >= 0)
    assert seen.mean() > 0.3
    error = np.abs(warped_back(there, forward.flow_px) - here)[seen].mean()
    assert error < 0.01
    assert error < 0.1 * np.abs(there - here)[seen].mean(), "without the flow the pictures differ far more"


def hidden_at(here, there):
    return exact_occlusion(here.snapshot, here.surface, there.snapshot, there.surface)


POINTS = 2000


def test_exact_occlusion_agrees_with_rays():
    """Random surface points of the demo scene, cast at from the other frame's camera: what does the ray meet first?"""
    scene = demo_shot()
    scene.render.resolution_percentage = 50
    frames = shots.read_frames(scene, [30, 31])
    here, there = frames[30], frames[31]
    landed = landing(here.snapshot, here.surface, there.snapshot)
    hidden = hidden_at(here, there).reshape(-1)
    width, height = there.snapshot.camera.width_px, there.snapshot.camera.height_px
    inside = (landed.x_px > 0) & (landed.x_px < width) & (landed.y_px > 0) & (landed.y_px < height)
    candidates = np.flatnonzero(landed.valid & inside & (here.ids.reshape(-1) >= 0))
    picked = np.random.default_rng(1).choice(candidates, POINTS, replace=False)
    assert 20 < hidden[picked].sum() < POINTS / 2
    rays = Rays(there.snapshot)
    truth = [rays.hide(landed.x_px[p], landed.y_px[p], landed.depth_m[p]) for p in picked]
    agree = [answer == hidden[p] for answer, p in zip(truth, picked, strict=True) if answer is not None]
    assert len(agree) > 0.9 * POINTS
    assert np.mean(agree) > 0.995


class Rays:
    """Casts from a snapshot's perspective camera at its triangles, one after the other until something is opaque."""

    def __init__(self, snapshot):
        self.snapshot = snapshot
        self.tree = BVHTree.FromPolygons(snapshot.positions.tolist(), snapshot.triangles.tolist())
        self.world_from_clip = np.linalg.inv(snapshot.camera.clip_from_world)
        self.camera_m = np.linalg.inv(snapshot.camera.camera_from_world)[:3, 3]
        self.forward = -snapshot.camera.camera_from_world[2, :3]

    def hide(self, x_px, y_px, depth_m):
        """Whether something drawn lies in front of the point at this depth; None where a cut-out card decides."""
        camera = self.snapshot.camera
        ndc = np.array([2 * x_px / camera.width_px - 1, 1 - 2 * y_px / camera.height_px, 0.5, 1.0])
        through = self.world_from_clip @ ndc
        direction = through[:3] / through[3] - self.camera_m
        direction /= np.linalg.norm(direction)
        start = self.camera_m
        while True:
            place, normal, triangle, _ = self.tree.ray_cast(start, direction)
            if place is None:
                return False
            depth_there_m = (np.array(place) - self.camera_m) @ self.forward
            if depth_there_m > depth_m * (1 - 1e-4):
                return False
            if self.snapshot.cutout_ids is not None and self.snapshot.cutout_ids[triangle] >= 0:
                return None
            if depth_there_m > camera.clip_start_m and self.is_drawn(triangle, np.array(normal) @ direction > 0):
                return True
            start = np.array(place) + direction * 1e-5

    def is_drawn(self, triangle, from_behind):
        return not (from_behind and self.snapshot.culls_back[triangle])
