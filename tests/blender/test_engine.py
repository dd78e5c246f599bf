# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine lends its depsgraph and leaves the scene as it was; rendered with, it shows the objects."""

import bpy
import cv2
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


@pytest.mark.parametrize(("choice", "backend"), [("AUTO", b"gpu"), ("GPU", b"gpu"), ("NUMPY", b"numpy")])
def test_the_scene_says_what_draws_and_its_files_say_what_drew(addon, tiny_scene, tmp_path, choice, backend):
    tiny_scene.render.engine = LabelsEngine.bl_idname
    tiny_scene.animerun.id_backend = choice
    tiny_scene.render.filepath = str(tmp_path / "ids.png")
    bpy.ops.render.render(write_still=True)
    assert b"AnimeRun drawn by\0" + backend in (tmp_path / "ids.png").read_bytes()


@pytest.mark.parametrize("crops", [False, True])
def test_a_render_region_is_that_part_of_the_frame(addon, tiny_scene, tmp_path, crops):
    def rendered(name):
        render.filepath = str(tmp_path / name)
        bpy.ops.render.render(write_still=True)
        return cv2.imread(render.filepath, cv2.IMREAD_UNCHANGED)

    render = tiny_scene.render
    render.engine, render.image_settings.color_mode, render.dither_intensity = LabelsEngine.bl_idname, "RGBA", 0
    render.resolution_x, render.resolution_y = 61, 37
    whole = rendered("whole.png")
    render.use_border, render.use_crop_to_border = True, crops
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.2, 0.63, 0.31, 0.9
    part = rendered("part.png")
    rows, columns = slice(37 - int(0.9 * 37), 37 - int(0.31 * 37)), slice(int(0.2 * 61), int(0.63 * 61))
    if not crops:
        part, around = part[rows, columns], part.copy()
        around[rows, columns] = 0
        assert not around.any()
    assert whole[rows, columns].any()
    assert np.array_equal(part, whole[rows, columns])


def test_gpu_without_a_gpu_is_an_error_and_automatic_is_not(addon, tiny_scene, monkeypatch):
    monkeypatch.setattr("animerun_addon.scene.gpu_context._is_ready", lambda: False)
    monkeypatch.setattr("animerun_addon.scene.gpu_context._machine_lacks", lambda: "there is no libEGL")
    tiny_scene.render.engine = LabelsEngine.bl_idname
    bpy.ops.render.render()
    tiny_scene.animerun.id_backend = "GPU"
    with pytest.raises(RuntimeError, match=r"there is no libEGL: install .* or draw by software"):
        bpy.ops.render.render()


def test_the_choice_is_in_the_render_properties_of_this_engine_alone(addon, tiny_scene):
    panel = bpy.types.RENDER_PT_animerun_labels
    assert not panel.poll(bpy.context)
    tiny_scene.render.engine = LabelsEngine.bl_idname
    assert panel.poll(bpy.context)


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
