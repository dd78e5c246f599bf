# SPDX-License-Identifier: GPL-3.0-or-later
"""From the scene to the id image, each pixel shows the object that Blender's own engines show there."""

from pathlib import Path

import addon_utils
import bpy
import flat_frames
import numpy as np
import pytest
from flat_frames import NOTHING, add, build_flat_scene, labelled_objects, show_flat, shown_objects, surfaces
from labelled import cycles_channels
from mathutils import Matrix, Vector

from animerun_addon.scene.versions import eevee_engine, node_tree_of

ASSETS = Path(__file__).resolve().parents[3] / "shared" / "assets"
# A GPU computes positions in 32 bits before it snaps them, numpy in 64.
NUMPY_MAY_DIFFER = 2e-4
# Cycles shoots its ray up to 0.005 pixels beside the centre.
CYCLES_MAY_DIFFER = 1e-3


def number_of(name):
    return surfaces().index(bpy.data.objects[name])


def assert_labelled(scene, expected, backend):
    assert_alike(labelled_objects(scene, backend), expected, 0 if backend == "gpu" else NUMPY_MAY_DIFFER)


def assert_alike(labelled, expected, share):
    """But for a share of the pixels, which are beside another object."""
    assert labelled.shape == expected.shape
    different = np.argwhere(labelled != expected)
    assert len(different) <= share * expected.size
    for y, x in different:
        assert len(np.unique(expected[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2])) > 1


@pytest.mark.parametrize("backend", ["gpu", "numpy"])
@pytest.mark.parametrize("way", flat_frames.WAYS, ids=lambda way: way.__name__)
def test_every_pixel_is_as_workbench_shows_it(way, backend):
    scene = build_flat_scene()
    way(scene)
    shown = shown_objects(scene)
    assert len(np.unique(shown)) >= 9
    assert_labelled(scene, shown, backend)


def test_back_face_culling_leaves_an_outline_of_an_inverted_hull():
    scene = build_flat_scene()
    flat_frames.culling(scene)
    labelled = labelled_objects(scene, "gpu")
    body, hull = ((labelled == number_of(name)).sum() for name in ("Body", "Hull"))
    assert 50 < hull < body / 2


@pytest.mark.parametrize("backend", ["gpu", "numpy"])
def test_a_holdout_hides_what_is_behind_it_and_has_no_labels_though_workbench_shows_it(backend):
    scene = build_flat_scene()
    shown = shown_objects(scene)
    held_out = [number_of(name) for name in ("Hull", "Shape1")]
    scene.objects["Hull"].is_holdout = True
    scene.objects["Shape1"].is_holdout = True
    assert np.array_equal(shown_objects(scene), shown)
    assert np.isin(shown, held_out).sum() > 1000
    assert_labelled(scene, np.where(np.isin(shown, held_out), NOTHING, shown), backend)


@pytest.mark.parametrize("backend", ["gpu", "numpy"])
@pytest.mark.parametrize(
    ("name", "value"), [("visible_camera", False), ("display_type", "WIRE"), ("display_type", "BOUNDS")]
)
def test_what_is_unseen_or_shown_as_lines_is_not_there_though_workbench_shows_it(name, value, backend):
    scene = build_flat_scene()
    shown = shown_objects(scene)
    setattr(scene.objects["Hull"], name, value)
    assert np.array_equal(shown_objects(scene), shown)
    scene.objects["Hull"].hide_render = True
    without = shown_objects(scene)
    scene.objects["Hull"].hide_render = False
    assert (without != shown).sum() > 1000
    assert_labelled(scene, without, backend)


def held_out(scene):
    scene.objects["Hull"].is_holdout = True


def invisible(scene):
    scene.objects["Hull"].visible_camera = False


@pytest.mark.parametrize(
    "way",
    [
        flat_frames.as_built,
        flat_frames.clipped,
        flat_frames.orthographic_and_shifted,
        flat_frames.fitted_vertically,
        flat_frames.in_front,
        flat_frames.culling,
        flat_frames.mirrored,
        flat_frames.mirrored_all_ways,
        held_out,
        invisible,
    ],
    ids=lambda way: way.__name__,
)
def test_coverage_is_that_of_cycles_at_pixel_centres(way, tmp_path):
    """Cycles honours hold-outs and camera visibility, culls nothing and draws nothing in front."""
    scene = build_flat_scene()
    way(scene)
    shown = objects_in_cycles(scene, tmp_path)
    assert len(np.unique(shown)) >= 9
    assert_alike(labelled_objects(scene, "gpu"), shown, CYCLES_MAY_DIFFER)


@pytest.mark.parametrize("way", [flat_frames.as_built, flat_frames.mirrored], ids=lambda way: way.__name__)
def test_every_pixel_is_as_eevee_shows_it_which_culls_by_material(way):
    scene = build_flat_scene()
    way(scene)
    for thing in surfaces():
        glow_in_own_colour(thing)
    scene.render.engine = eevee_engine()
    scene.eevee.taa_render_samples, scene.render.filter_size = 1, 0
    shown = shown_objects(scene)
    assert {number_of("Body"), number_of("Hull")} <= set(np.unique(shown)), "an outline, and what is in it"
    assert_labelled(scene, shown, "gpu")


def glow_in_own_colour(thing):
    (material,) = thing.data.materials
    material.use_backface_culling = True
    tree = node_tree_of(material)
    tree.nodes.clear()
    glow, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    glow.inputs["Color"].default_value = thing.color
    tree.links.new(glow.outputs[0], output.inputs["Surface"])


def objects_in_cycles(scene, folder):
    """The object that Cycles' index pass has at each pixel, places in surfaces()."""
    for number, thing in enumerate(surfaces(), start=1):
        thing.pass_index = number
    scene.view_layers[0].use_pass_object_index = True
    channels = cycles_channels(scene, scene.frame_current, folder)
    (found,) = (pixels for name, pixels in channels.items() if "Object Index" in name or "IndexOB" in name)
    return np.rint(found).astype(int) - 1


@pytest.mark.parametrize("backend", ["gpu", "numpy"])
@pytest.mark.parametrize("path", sorted(ASSETS.glob("*/*.glb")) or [None], ids=lambda path: path and path.stem)
def test_characters_cover_what_workbench_shows_of_them(path, backend):
    if path is None:
        pytest.skip("no characters here")
    scene = bpy.context.scene
    addon_utils.enable("io_scene_gltf2")
    bpy.ops.import_scene.gltf(filepath=str(path))
    look_at_everything(scene)
    show_flat(scene)
    # A character's materials are its own; none of its objects are instances.
    scene.display.shading.color_type = "OBJECT"
    scene.display.shading.show_backface_culling = True
    scene.frame_set(7)
    shown = shown_objects(scene)
    assert (shown != NOTHING).mean() > 0.04
    assert_labelled(scene, shown, backend)


def look_at_everything(scene):
    """A camera obliquely before all that the file brought."""
    bpy.context.view_layer.update()
    corners = np.array([thing.matrix_world @ Vector(c) for thing in surfaces() for c in thing.bound_box])
    middle, size = Vector((corners.min(axis=0) + corners.max(axis=0)) / 2), float(np.ptp(corners, axis=0).max())
    scene.camera = add(scene, "Eye", bpy.data.cameras.new("Eye"))
    from_there = Vector((0.5, -2, 0.4)).normalized()
    turned = (-from_there).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    scene.camera.matrix_world = Matrix.Translation(middle + 2 * size * from_there) @ turned
    scene.camera.data.clip_start = 0.2 * size
