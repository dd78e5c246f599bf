# SPDX-License-Identifier: GPL-3.0-or-later
"""A landmark never changes: in UDP pictures of every frame each pixel has the encoded rest coordinate of its point.

What its point is, and where that rests, is asked of rays and of Blender's viewport (landmark_rays.py).
"""

import bpy
import numpy as np
import people
import pytest
from characters import CHARACTERS, on_stage
from demo_shots import built
from labelled import show_hulls
from landmark_rays import Rays, as_it_stands, at_rest, show_as_rendered
from rest_scenes import FRAMES, build, mirrored, placed, placed_unevenly, stage, to_bone
from snapshot_scenes import link

from animerun_addon.labels import fields
from animerun_addon.labels.surface import surface_points
from animerun_addon.labels.udp_encoding import Preset
from animerun_addon.scene.characters import named_character
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.id_pass import visible_triangles
from animerun_addon.scene.rest_pose import REST_ATTRIBUTE
from animerun_addon.scene.snapshot import SnapshotReader
from animerun_addon.scene.udp_bake import BAKE_ATTRIBUTE, bake
from animerun_addon.scene.udp_character import udp_character
from animerun_addon.scene.udp_stage import stage as udp_stage
from animerun_addon.udp_choices import EncodingChoice, Rest, RestChoice
from animerun_addon.udp_settings import UdpSettings, View

UNIFORM = EncodingChoice(Preset.UNIFORM)
REST = RestChoice()
SAMPLES = 250


@pytest.fixture
def scene():
    return bpy.context.scene


def pictures_of(scene, hero, frames):
    """{frame: (H, W, 4)}, in the order given."""
    found = {}
    settings = UdpSettings(view=View.CAMERA)
    with udp_stage(scene, named_character(scene, hero.name), settings) as copied:
        reader = SnapshotReader(copied, None, REST_ATTRIBUTE, hero.by_object.keys(), hero.triangulated)

        def visit(frame, depsgraph):
            snapshot, notes = hero.rest_on(reader.read(depsgraph))
            assert not notes, notes
            surface = surface_points(snapshot, visible_triangles(snapshot)[0])
            found[frame], _ = fields.udp(snapshot, surface, hero.encoding.scale, hero.encoding.offset)

        with_render_depsgraph(copied, frames, visit)
    return found


def assert_landmarks_stay(
    scene, name, frames=FRAMES, rest=None, least=400, spread=0.5, moving=True, choice=REST, encoding=UNIFORM
):
    """Every sampled pixel of every frame; returns the character."""
    show_as_rendered()
    scene.frame_set(frames[0])
    hero = udp_character(scene, name, choice, encoding, frames=())
    rig = named_character(scene, name).rig
    rest = rest or at_rest(scene, rig)
    random = np.random.default_rng(1)
    seen = []
    for frame, picture in pictures_of(scene, hero, frames).items():
        scene.frame_set(frame)
        rays = Rays(scene, rest, hero.triangles)
        pixels = np.argwhere(picture[..., 3] == 1)
        assert len(pixels) > least
        picked = pixels[random.choice(len(pixels), min(SAMPLES, len(pixels)), replace=False)]
        points = [rays.rest_behind(*pixel) for pixel in picked]
        clear = [place for place, point in enumerate(points) if point is not None]
        assert len(clear) > 0.8 * len(picked), "most pixels are no edges"
        truth = np.array([points[place] for place in clear]) @ hero.character_from_armature.T
        encoded = hero.encoding.encode(truth)
        given = picture[tuple(picked[clear].T)][:, :3]
        assert np.abs(given - encoded).max() < 1e-4
        assert np.ptp(given, axis=0).max() > spread, "a good part of it is seen"
        seen.append((rays.points, given))
    if moving:
        assert np.abs(seen[0][0] - seen[-1][0]).max() > 0.02 * np.ptp(seen[0][0], axis=0).max()
    return hero


# What a character is built with ---------------------------------------------------------------------------------------


def smooth(body, rig):
    body.modifiers.new("Subdivision", "SUBSURF").render_levels = 2


def smooth_before_the_armature(body, rig):
    smooth(body, rig)
    body.modifiers.move(len(body.modifiers) - 1, 1)


def thicken(body, rig):
    modifier = body.modifiers.new("Solidify", "SOLIDIFY")
    modifier.thickness, modifier.offset = 0.05, 1


def talk(body, rig):
    """A shape with keys, one that a bone drives, one that is how the character is built."""
    body.shape_key_add(name="Basis")
    for name in ("Keyed", "Driven"):
        shape = body.shape_key_add(name=name, from_mix=False)
        for number, point in enumerate(shape.points):
            point.co.y -= 0.1 + 0.02 * number
    keys = body.data.shape_keys.key_blocks
    for frame, value in ((FRAMES[0], 0), (FRAMES[-1], 1)):
        keys["Keyed"].value = value
        keys["Keyed"].keyframe_insert("value", frame=frame)
    driver = keys["Driven"].driver_add("value").driver
    driver.type = "SUM"
    variable = driver.variables.new()
    variable.type = "TRANSFORMS"
    target = variable.targets[0]
    target.id, target.bone_target, target.transform_type = rig, "Arm.L", "ROT_Z"
    target.transform_space = "LOCAL_SPACE"


def fold(body, rig):
    """A flag of one quad that is folded over its diagonal in the last frame: there Blender would split it otherwise."""
    mesh = bpy.data.meshes.new("Hero flag")
    mesh.from_pydata([(x - 0.5, -0.4, z + 0.3) for x, z in ((0, 0), (1, 0), (1, 1), (0, 1))], [], [(0, 1, 2, 3)])
    flag = link(bpy.context.scene, "Hero flag", mesh)
    to_bone(flag, rig, "Spine")
    flag.shape_key_add(name="Basis")
    folded = flag.shape_key_add(name="Folded", from_mix=False)
    folded.data[1].co = (-0.2, -0.45, 1.0)
    for frame, value in ((FRAMES[0], 0), (FRAMES[-1], 1)):
        folded.value = value
        folded.keyframe_insert("value", frame=frame)


def nothing_more(body, rig):
    pass


@pytest.mark.parametrize("change", [nothing_more, smooth, smooth_before_the_armature, thicken, talk, fold])
def test_a_landmark_never_changes_whatever_builds_and_bends_the_body(scene, change):
    rig = build(scene)
    change(scene.objects["Hero body"], rig)
    stage(scene)
    hero = assert_landmarks_stay(scene, "Hero")
    assert set(hero.by_object) - {"Hero flag"} == {"Hero body", "Hero hat", "Hero feather"}


def test_folded_quads_are_split_alike_whichever_frames_are_made_first(scene):
    rig = build(scene)
    fold(scene.objects["Hero body"], rig)
    stage(scene)
    hero = udp_character(scene, "Hero", RestChoice(), UNIFORM)
    every = pictures_of(scene, hero, FRAMES)
    scene.frame_set(FRAMES[-1])
    again = udp_character(scene, "Hero", RestChoice(), UNIFORM)
    for frame in FRAMES:
        assert (pictures_of(scene, again, [frame])[frame] == every[frame]).all()


def test_baked_saved_and_loaded_again_the_character_has_the_same_pictures(scene, tmp_path):
    rig = build(scene)
    smooth(scene.objects["Hero body"], rig)
    fold(scene.objects["Hero body"], rig)
    stage(scene)
    before = pictures_of(scene, udp_character(scene, "Hero", REST, UNIFORM), FRAMES)
    bake(scene, "Hero", REST, UNIFORM)
    path = str(tmp_path / "baked.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    scene = bpy.context.scene
    assert BAKE_ATTRIBUTE in scene.objects["Hero body"].data.attributes
    after = pictures_of(scene, udp_character(scene, "Hero", REST, UNIFORM), FRAMES)
    for frame in FRAMES:
        assert (after[frame] == before[frame]).all()


# Where it stands ------------------------------------------------------------------------------------------------------


def far_away_and_tiny(rig):
    rig.location, rig.scale = (0, -8.5, 1), (0.05, 0.05, 0.05)


def travelling(rig):
    for frame, x in ((1, -1), (8, 1)):
        rig.location.x = x
        rig.scale = (1 + 0.1 * x, 1, 1 - 0.2 * x)
        rig.keyframe_insert("location", frame=frame)
        rig.keyframe_insert("scale", frame=frame)


@pytest.mark.parametrize("place", [placed, placed_unevenly, mirrored, far_away_and_tiny, travelling])
def test_moving_and_scaling_the_whole_character_changes_no_landmark(scene, place):
    rig = build(scene)
    smooth(scene.objects["Hero body"], rig)
    stage(scene)
    before = udp_character(scene, "Hero", RestChoice(), UNIFORM)
    place(rig)
    after = assert_landmarks_stay(scene, "Hero")
    assert after.encoding.scale == pytest.approx(before.encoding.scale, rel=1e-5)
    for name, points in before.by_object.items():
        assert after.by_object[name] == pytest.approx(points, abs=1e-5)


@pytest.mark.parametrize("built_so", people.BUILT)
def test_whichever_way_a_person_was_built(scene, built_so):
    rig = people.person(scene, built=built_so, origin=(0.2, 0.1, 0.9))
    for bone, angle in (("upper_arm.L", 0.8), ("spine", 0.4), ("thigh.R", -0.6)):
        pose = rig.pose.bones[bone]
        pose.rotation_mode = "XYZ"
        for frame, share in ((FRAMES[0], 0.1), (FRAMES[-1], 1)):
            pose.rotation_euler = np.full(3, share * angle)
            pose.keyframe_insert("rotation_euler", frame=frame)
    turn = np.eye(4)
    turn[:3, :3] = people.BUILT[built_so].T
    rig.matrix_world = turn.tolist()
    stage(scene)
    scene.camera.location.yz = -4, 0
    hero = assert_landmarks_stay(scene, "Person")
    assert hero.by_object["Person body"] == pytest.approx(people.corners(origin=(0.2, 0.1, 0.9)), abs=1e-5)


def parallel(scene):
    scene.camera.data.type, scene.camera.data.ortho_scale = "ORTHO", 4


def shifted(scene):
    scene.camera.data.lens, scene.camera.data.shift_x, scene.camera.data.shift_y = 60, 0.1, -0.05


def through_tall_pixels(scene):
    scene.render.pixel_aspect_y, scene.camera.rotation_euler.y = 1.5, 0.3


def inside_a_region(scene):
    scene.render.use_border, scene.render.border_max_x = True, 0.4


@pytest.mark.parametrize("look", [parallel, shifted, through_tall_pixels, inside_a_region])
def test_whichever_way_a_camera_looks(scene, look):
    rig = build(scene)
    smooth(scene.objects["Hero body"], rig)
    stage(scene)
    look(scene)
    assert_landmarks_stay(scene, "Hero")


# Whose file it is -----------------------------------------------------------------------------------------------------


@pytest.fixture
def linked(tmp_path, scene):
    """A linked collection with the character, and where each vertex of it rests in its own file."""
    rig = build(scene)
    smooth(scene.objects["Hero body"], rig)
    talk(scene.objects["Hero body"], rig)
    collection = bpy.data.collections.new("Heroes")
    for thing in [rig, *rig.children_recursive]:
        scene.collection.objects.unlink(thing)
        collection.objects.link(thing)
    scene.collection.children.link(collection)
    show_as_rendered()
    path = str(tmp_path / "hero.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    rest = at_rest(scene, rig)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, library):
        library.collections = ["Heroes"]
    return library.collections[0], rest


def test_a_linked_character_keeps_its_landmarks(linked):
    scene = bpy.context.scene
    collection, rest = linked
    scene.collection.children.link(collection)
    stage(scene)
    assert_landmarks_stay(scene, "Hero", rest={f"{name} [hero.blend]": found for name, found in rest.items()})


def test_an_instance_of_a_linked_character_keeps_them(linked):
    scene = bpy.context.scene
    collection, rest = linked
    empty = link(scene, "Empty", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", collection
    empty.location, empty.scale = (0.5, 0.5, 0), (0.9, 0.9, 1.1)
    stage(scene)
    assert_landmarks_stay(scene, "Hero", rest={f"{name} [hero.blend]": found for name, found in rest.items()})


def test_an_overridden_character_keeps_them(linked):
    scene = bpy.context.scene
    collection, rest = linked
    scene.collection.children.link(collection)
    collection.override_hierarchy_create(scene, bpy.context.view_layer)
    scene.collection.children.unlink(next(one for one in scene.collection.children if one.library))
    rig = next(thing for thing in scene.objects if thing.override_library and thing.type == "ARMATURE")
    placed_unevenly(rig)
    stage(scene)
    assert_landmarks_stay(scene, rig.name, rest=rest)


# Whole characters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHARACTERS)
def test_other_makers_characters_keep_their_landmarks(name):
    rig = CHARACTERS[name]()
    scene = on_stage(rig)
    assert_landmarks_stay(scene, rig.name, frames=(2, 9, 18))


@pytest.mark.parametrize("name", ["AR Heroine", "AR Dog"])
def test_the_demos_characters_keep_their_landmarks(name):
    scene = built()
    bpy.context.window.scene = scene
    show_hulls(scene, is_shown=False)
    scene.render.engine = "CYCLES"
    assert_landmarks_stay(scene, name, frames=(10, 40, 80))
    scene.frame_set(30)
    stands = as_it_stands(scene, named_character(scene, name).rig)
    at_frame = RestChoice(Rest.FRAME, frame=30)
    assert_landmarks_stay(scene, name, frames=(10, 80), rest=stands, choice=at_frame, encoding=EncodingChoice())
