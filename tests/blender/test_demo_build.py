# SPDX-License-Identifier: GPL-3.0-or-later
"""Building the demo scene: the same from the same seed, all or nothing, and everything else left alone."""

import hashlib

import bpy
import numpy as np
import pytest
from demo_shots import built, evaluated_points

from animerun_addon.progress import Progress
from animerun_addon.scene import demo
from animerun_addon.scene.demo import stage, sway


def reset():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def all_data():
    """Names of everything in the file, by kind."""
    return {
        name: sorted(block.name for block in getattr(bpy.data, name))
        for name, prop in bpy.data.bl_rna.properties.items()
        if prop.type == "COLLECTION"
    }


def fingerprint(scene):
    """A hash of geometry at some frames, weights, colours and animation."""
    digest = hashlib.sha256()
    for frame in (1, 17, 33):
        scene.frame_set(frame)
        for thing in sorted(scene.objects, key=lambda each: each.name):
            digest.update(thing.name.encode())
            digest.update(np.array(thing.matrix_world, dtype=np.float32).tobytes())
            if thing.type == "MESH":
                digest.update(evaluated_points(scene, thing).astype(np.float32).tobytes())
    for thing in sorted(scene.objects, key=lambda each: each.name):
        for vertex in thing.data.vertices if thing.vertex_groups else ():
            digest.update(repr([(group.group, group.weight) for group in vertex.groups]).encode())
    for material in sorted(bpy.data.materials, key=lambda each: each.name):
        digest.update(repr((material.name, tuple(material.diffuse_color))).encode())
    for action in sorted(bpy.data.actions, key=lambda each: each.name):
        for curve in action.layers[0].strips[0].channelbags[0].fcurves:
            keys = [(key.co[0], key.co[1]) for key in curve.keyframe_points]
            digest.update(repr((curve.data_path, curve.array_index, keys)).encode())
    return digest.hexdigest()


def test_same_seed_gives_the_same_scene_and_another_seed_another():
    prints = []
    for seed in (7, 7, 8):
        reset()
        prints.append(fingerprint(built(seed)))
    assert prints[0] == prints[1]
    assert prints[0] != prints[2]


def test_steps_report_rising_progress():
    reset()
    progress = list(demo.build_steps(0))
    assert all(isinstance(step, Progress) for step in progress)
    done = [step.done for step in progress]
    assert done == sorted(set(done))
    assert progress[-1].done <= progress[-1].total
    assert all(step.message for step in progress)


def test_closing_early_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr(sway, "WARM_UP_FRAMES", 0)  # the slowest piece of arithmetic; it makes no data
    monkeypatch.setattr(sway, "SUBSTEPS", 1)
    reset()
    before = all_data()
    count = len(list(demo.build_steps(0)))
    reset()
    for made in range(1, count + 1):
        steps = demo.build_steps(0)
        for _ in range(made):
            next(steps)
        assert all_data() != before
        steps.close()
        assert all_data() == before, f"closed after step {made}"


def test_failure_on_the_way_leaves_nothing_behind(monkeypatch):
    reset()
    before = all_data()
    monkeypatch.setattr(stage, "add_light", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        built()
    assert all_data() == before


def test_scene_deleted_meanwhile_ends_in_an_error_and_nothing_left():
    reset()
    before = all_data()
    steps = demo.build_steps(0)
    for _ in range(6):
        next(steps)
    bpy.data.scenes.remove(bpy.data.scenes["AnimeRun demo"])
    with pytest.raises(ReferenceError):
        list(steps)
    assert all_data() == before


def test_users_scene_stays_as_it_is():
    reset()
    mesh = bpy.data.meshes.new("AR Dog body")  # the same name as ours
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    mine = bpy.data.objects.new("AR Heroine", mesh)
    scene = bpy.context.scene
    scene.collection.objects.link(mine)
    bpy.context.view_layer.objects.active = mine
    mine.select_set(True)
    scene.frame_set(12)
    bpy.ops.object.mode_set(mode="EDIT")

    def state():
        view_layer = scene.view_layers[0]
        return (
            [thing.name for thing in scene.objects], view_layer.objects.active.name, mine.select_get(), mine.mode,
            scene.frame_current, scene.render.engine, bpy.context.scene.name, len(scene.collection.children),
            tuple(mine.matrix_world[0]), len(mine.data.vertices),
        )  # fmt: skip

    before = state()
    made = built()
    assert state() == before
    assert mine.name not in made.objects
    assert not set(made.objects) & set(scene.objects)


def test_second_demo_scene_gets_a_name_of_its_own():
    reset()
    first, second = built(1), built(1)
    assert first.name == "AnimeRun demo"
    assert second.name == "AnimeRun demo.001"
    assert not set(first.objects) & set(second.objects)


def test_saved_file_is_small(tmp_path):
    reset()
    built()
    path = tmp_path / "demo.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True)
    assert path.stat().st_size < 6_000_000
    reset()
    bpy.ops.wm.open_mainfile(filepath=str(path))
    scene = bpy.data.scenes["AnimeRun demo"]
    assert "AR Heroine" in scene.objects
    bpy.ops.wm.read_factory_settings(use_empty=True)


def test_workbench_frame_shows_sky_skin_and_no_black_slab(tmp_path):
    reset()
    scene = built()
    bpy.context.window.scene = scene
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_percentage = 50
    scene.display.render_aa = "OFF"
    scene.frame_set(20)
    scene.render.filepath = str(tmp_path / "frame.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels[:]).reshape(-1, 4)[:, :3]
    skin = np.array([255, 223, 200]) / 255
    assert (np.abs(pixels - skin).max(axis=1) < 0.02).mean() > 0.001
    assert (pixels.max(axis=1) < 0.15).mean() < 0.06
    assert len(np.unique((pixels * 255).astype(int), axis=0)) > 30
