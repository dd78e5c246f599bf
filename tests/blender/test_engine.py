# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine lends its depsgraph and leaves the scene as it was; rendered with, it shows the objects."""

import bpy
import numpy as np
import pytest
from snapshot_scenes import link, names, shot, shots, square

from animerun_addon.errors import BlenderError, InputError
from animerun_addon.scene.engine import LabelsEngine, with_render_depsgraph


def test_the_engine_leaves_the_scene_as_it_was(tiny_scene):
    tiny_scene.frame_set(3)
    tiny_scene.render.use_freestyle = True
    frames, modes = [], []

    def visit(frame, depsgraph):
        frames.append((frame, depsgraph.scene_eval.frame_current_final))
        modes.append(depsgraph.mode)

    with_render_depsgraph(tiny_scene, (1, 2.5), visit)
    assert frames == [(1, 1), (2.5, 2.5)]
    assert modes == ["RENDER", "RENDER"]
    assert (tiny_scene.frame_current, tiny_scene.frame_subframe) == (3, 0)
    assert tiny_scene.render.engine == "BLENDER_WORKBENCH"
    assert tiny_scene.render.use_freestyle


def test_the_engine_visits_a_scene_that_is_not_the_active_one(tiny_scene):
    other = bpy.data.scenes.new("Other")
    other.camera = tiny_scene.camera
    square(other, "Elsewhere")
    assert names(shot(other)) == ["Elsewhere"]


def test_what_a_visit_raises_comes_out(tiny_scene):
    def visit(frame, depsgraph):
        raise BlenderError("no")

    with pytest.raises(BlenderError, match="no"):
        with_render_depsgraph(tiny_scene, (1,), visit)
    assert tiny_scene.render.engine == "BLENDER_WORKBENCH"


def test_rendered_with_the_engine_objects_have_colours_of_their_own(tiny_scene, tmp_path):
    square(tiny_scene, "Wall").location.z = -6
    bpy.data.objects["Wall"].scale = (0.5, 9, 1)
    bpy.utils.register_class(LabelsEngine)
    try:
        tiny_scene.render.engine = LabelsEngine.bl_idname
        tiny_scene.render.filepath = str(tmp_path / "ids.png")
        tiny_scene.render.image_settings.color_mode = "RGBA"
        tiny_scene.render.dither_intensity = 0
        bpy.ops.render.render(write_still=True)
    finally:
        bpy.utils.unregister_class(LabelsEngine)
    image = bpy.data.images.load(str(tmp_path / "ids.png"))
    pixels = np.empty(16 * 8 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(8, 16, 4)
    assert len({tuple(pixel) for pixel in pixels[pixels[:, :, 3] > 0].round(3).tolist()}) == 2
    assert pixels[4, 0, 3] == 0
    # The wall stands behind the triangle and over it.
    assert tuple(pixels[7, 8]) != tuple(pixels[3, 8])


def test_a_marker_brings_the_camera_and_its_switch_is_followed(tiny_scene):
    second = link(tiny_scene, "Second", bpy.data.cameras.new("Second"))
    for frame, camera in ((1, tiny_scene.camera), (3, second)):
        tiny_scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    tiny_scene.camera = None
    assert [snapshot.camera.name for snapshot in shots(tiny_scene, (1, 3, 2))] == ["Camera", "Second", "Camera"]


def test_without_a_camera_nothing_starts(tiny_scene):
    tiny_scene.camera = None
    with pytest.raises(InputError, match="has no camera"):
        shot(tiny_scene)


def test_of_several_view_layers_the_first_that_renders_is_read(tiny_scene):
    tiny_scene.view_layers[0].use = False
    for name in ("Second", "Third"):
        tiny_scene.view_layers.new(name)
    layers = []
    with_render_depsgraph(tiny_scene, (1, 2), lambda _, depsgraph: layers.append(depsgraph.view_layer.name))
    assert layers == ["Second", "Second"]
