# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact occlusion of whole scenes against rays; and a fine grid that hides nothing. Characters: test_characters.py."""

import bpy
import labelled
import numpy as np
import pytest
import shots
from rays import agreement

from animerun_addon.labels.occlusion import consistency_occlusion
from animerun_addon.pipeline.job import Job
from animerun_addon.scene.demo import build_steps
from animerun_addon.scene.versions import node_tree_of

POINTS = 2000


def demo_scene():
    """The demo scene at half its size."""
    scene = Job("Demo scene", build_steps()).run()
    bpy.context.window.scene = scene
    scene.render.resolution_percentage = 50
    return scene, [30, 31]


def shapes_that_run_into_each_other():
    """Monkeys that turn within one another and half in the ground, before a moving camera."""
    scene = stage()
    rng = np.random.default_rng(3)
    for number in range(5):
        bpy.ops.mesh.primitive_monkey_add(size=1.6, location=(0.7 * number - 1.4, 0.3 * (number % 2), 0.2))
        turns = rng.uniform(-1, 1, (2, 3))
        shots.key(bpy.context.object, "rotation_euler", *(tuple(turns[0] + step * 0.15 * turns[1]) for step in (0, 1)))
    return scene, [1, 2]


def grass_of_cut_out_cards():
    """Upright cards whose texture leaves blades a few pixels wide, and thinner ones behind."""
    scene = stage()
    scene.render.resolution_x, scene.render.resolution_y = 400, 300
    material = cut_out_blades()
    rng = np.random.default_rng(4)
    for number in range(40):
        card = shots.new_grid(scene, name=f"Grass {number}", cells=1, size=1.0)
        card.data.uv_layers.new().uv.foreach_set("vector", [0, 0, 1, 0, 1, 1, 0, 1])
        card.data.materials.append(material)
        x, y, turn = rng.uniform((-3, -3, -1), (3, 4, 1))
        card.location = (x, y, 0.4)
        shots.key(card, "rotation_euler", (0, 0, turn), (0.05, 0, turn + 0.05))
    return scene, [1, 2]


def cut_out_blades():
    """White, with seven blades that taper upwards in its alpha."""
    image = bpy.data.images.new("Blades", 64, 64, alpha=True)
    height, across = np.mgrid[0:64, 0:64] / 64
    alpha = np.abs((7 * across) % 1 - 0.5) < 0.4 * (1 - height)
    image.pixels.foreach_set(np.dstack([np.ones((64, 64, 3)), alpha]).astype(np.float32).ravel())
    material = bpy.data.materials.new("Blades")
    tree = node_tree_of(material)
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    tree.links.new(texture.outputs["Alpha"], tree.nodes["Principled BSDF"].inputs["Alpha"])
    return material


def orthographic():
    """The monkeys under an orthographic camera that moves and zooms."""
    scene, frames = shapes_that_run_into_each_other()
    scene.camera.data.type = "ORTHO"
    shots.key(scene.camera.data, "ortho_scale", 6.0, 5.8)
    return scene, frames


def a_wood_of_instances():
    """One tree, instanced all over the place, one of them mirrored."""
    scene = stage()
    hidden = bpy.data.collections.new("Tree")
    for add, height in ((bpy.ops.mesh.primitive_ico_sphere_add, 0.9), (bpy.ops.mesh.primitive_cylinder_add, 0.3)):
        add(radius=0.4, location=(0, 0, height))
        part = bpy.context.object
        part.scale.x = 0.4 if height < 0.5 else 1
        scene.collection.objects.unlink(part)
        hidden.objects.link(part)
    for number, (x, y) in enumerate(np.random.default_rng(6).uniform((-3, -2.5), (3, 5), (30, 2))):
        tree = bpy.data.objects.new(f"Tree {number}", None)
        tree.instance_type, tree.instance_collection = "COLLECTION", hidden
        tree.location, tree.scale.x = (x, y, 0), 1 - 2 * (number == 0)
        scene.collection.objects.link(tree)
        shots.key(tree, "rotation_euler", (0, 0, 0), (0.02, 0.03, 0.1))
    return scene, [1, 2]


def stage():
    """A ground, and a camera that looks down on it and moves sideways and forwards."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    camera = shots.new_camera(scene, lens_mm=40)
    camera.rotation_euler.x = 1.25
    scene.render.resolution_x, scene.render.resolution_y = 320, 240
    shots.key(camera, "location", (0, -7, 2.2), (0.3, -6.9, 2.25))
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=9, y_subdivisions=9, size=14)
    return scene


SCENES = [
    demo_scene,
    shapes_that_run_into_each_other,
    grass_of_cut_out_cards,
    orthographic,
    a_wood_of_instances,
]


@pytest.mark.parametrize("build", SCENES, ids=lambda build: build.__name__)
def test_exact_occlusion_agrees_with_rays(build):
    """`pytest -s` shows how many points disagree, and why."""
    scene, (first, second) = build()
    frames = labelled.read_frames(scene, [first, second])
    for here, there in ((first, second), (second, first)):
        result = agreement(frames[here], frames[there], POINTS)
        print(f"\n{build.__name__}, frame {here} at {there}: {result}")
        assert result.points == POINTS
        assert 0.01 < result.hidden_share < 0.5
        assert result.share > 0.995
        assert not result.kinds["not explained"], "see Rays.why_not"


def test_a_fine_grid_that_moves_by_half_a_pixel_hides_nothing_of_itself():
    """Triangles smaller than pixels: comparing their numbers would call most of the grid occluded."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    shots.new_camera(scene)
    scene.render.resolution_x, scene.render.resolution_y = 320, 240
    grid = shots.new_grid(scene, cells=317, size=4.0)
    metres_a_pixel = 8.0 * 36.0 / 50.0 / 320
    shots.key(grid, "location", (0, 0, 0), (metres_a_pixel / 2, 0, 0))
    frames = labelled.read_frames(scene, [1, 2])
    assert len(frames[1].snapshot.triangles) > 200_000
    flows = {(here, there): labelled.flow_between(frames, here, there) for here, there in ((1, 2), (2, 1))}
    for here, there in flows:
        on_grid = frames[here].ids >= 0
        assert on_grid.sum() > 40_000
        assert np.abs(np.abs(flows[here, there].flow_px[on_grid]) - (0.5, 0)).max() < 1e-3
        both = on_grid & (frames[there].ids >= 0)
        assert (frames[1].ids != frames[2].ids)[both].mean() > 0.5
        assert not labelled.hidden_at(frames[here], frames[there])[on_grid].any()
        assert not consistency_occlusion(flows[here, there], flows[there, here])[on_grid].any()
