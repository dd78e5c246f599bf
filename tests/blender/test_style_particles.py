# SPDX-License-Identifier: GPL-3.0-or-later
"""Particle systems become real objects that move alike, or go; the frame stays the same, and everything comes back."""

import time

import bpy
import numpy as np
import pytest
from mathutils import Matrix, Quaternion
from snapshot_scenes import hide_in_collection, instance_of, link, shots, square
from style_scenes import block, convert, material, told, touched, workbench

from animerun_addon.scene.keys import placing
from animerun_addon.scene.style import restore
from animerun_addon.scene.style.steps import particle_tracks
from animerun_addon.style_settings import Particles

FRAMES = range(1, 13)


@pytest.fixture
def shower(tiny_scene):
    """A sheet before the camera that drops a petal now and then; each lives for a while."""
    tiny_scene.render.resolution_x, tiny_scene.render.resolution_y = 160, 120
    tiny_scene.frame_end = FRAMES[-1]
    bpy.data.objects.remove(bpy.data.objects["Triangle"])
    emitter = square(tiny_scene, "Sheet")
    emitter.location = (0, 0, -8)
    emitter.show_instancer_for_render = False
    petal = square(tiny_scene, "Petal")
    petal.rotation_euler, petal.scale, petal.location = (0.5, 0.2, 0.1), (1.0, 0.6, 1.0), (50, 0, 0)
    petal.data.materials.append(material("BsdfDiffuse"))
    petal.data.materials[0].diffuse_color = (1, 0.2, 0.1, 1)
    petal.hide_render = True
    add_system(emitter, "Petals", "OBJECT").instance_object = petal
    return tiny_scene


def add_system(emitter, name, render_type):
    settings = emitter.modifiers.new(name, "PARTICLE_SYSTEM").particle_system.settings
    settings.count, settings.frame_start, settings.frame_end, settings.lifetime = 12, -3, 9, 6
    settings.render_type, settings.particle_size, settings.size_random = render_type, 0.3, 0.5
    settings.brownian_factor, settings.normal_factor = 3.0, 1.5
    settings.use_rotations, settings.rotation_factor_random = True, 1.0
    settings.angular_velocity_mode, settings.angular_velocity_factor = "RAND", 8.0
    settings.use_dynamic_rotation = True
    return settings


def bake(scene):
    for thing in scene.objects:
        for system in thing.particle_systems:
            cache = system.point_cache
            cache.frame_start, cache.frame_end = FRAMES[0], FRAMES[-1]
            with bpy.context.temp_override(scene=scene, object=thing, active_object=thing, point_cache=cache):
                bpy.ops.ptcache.bake(bake=True)
    scene.frame_set(1)


def pictures(scene, tmp_path, frames=(1, 5, 6, 12)):
    found = []
    for frame in frames:
        scene.frame_set(frame)
        found.append(workbench(scene, tmp_path))
    scene.frame_set(1)
    return found


def replace(scene, **choices):
    return convert(scene, "replace_particles", **choices)


def are_alike(before, after):
    """Keys are 32-bit numbers: an edge may pass on the other side of a pixel's centre."""
    assert all(one[..., 3].any() for one in before)
    differing_px = [int((one != other).any(-1).sum()) for one, other in zip(before, after, strict=True)]
    print("pixels that differ:", differing_px)
    return max(differing_px) <= 2


def systems_that_show(scene):
    return [
        (thing.name, modifier.name)
        for thing in scene.objects
        for modifier in thing.modifiers
        if modifier.type == "PARTICLE_SYSTEM" and (modifier.show_render or modifier.show_viewport)
    ]


def test_objects_in_the_particles_places_give_the_same_frames(shower, tmp_path):
    bake(shower)
    before, state = pictures(shower, tmp_path), touched(shower)
    report = replace(shower)
    assert not report.left
    assert not systems_that_show(shower)
    assert are_alike(before, pictures(shower, tmp_path))
    restore(shower)
    assert touched(shower) == state
    assert are_alike(before, pictures(shower, tmp_path))


def test_they_share_the_mesh_and_are_known_at_every_frame(shower):
    bake(shower)
    particles = shots(shower, FRAMES)
    replace(shower)
    objects = shots(shower, FRAMES)
    petals = [thing for thing in shower.objects if thing.name.startswith("Petal.")]
    assert len({instance.key for snapshot in particles for instance in snapshot.instances}) == len(petals)
    assert {thing.data for thing in petals} == {bpy.data.objects["Petal"].data}
    for particle, real in zip(particles, objects, strict=True):
        assert not real.notes
        assert all(isinstance(instance.key, str) for instance in real.instances)
        assert sorted_corners(real) == pytest.approx(sorted_corners(particle), abs=2e-5)
    counts = {len(snapshot.instances) for snapshot in objects}
    assert max(counts) > min(counts)


def sorted_corners(snapshot):
    return np.array(sorted(snapshot.positions.round(3).tolist()))


def test_the_viewport_agrees_with_the_frame_about_who_is_there(shower):
    bake(shower)
    replace(shower)
    for frame in (1, 6):
        shower.frame_set(frame)
        petals = [thing for thing in shower.objects if thing.name.startswith("Petal.")]
        assert {thing.hide_render for thing in petals} == {True, False}
        assert all(thing.hide_render == thing.hide_viewport for thing in petals)


@pytest.fixture
def moving_array(shower):
    """The petal with a modifier; both move."""
    petal = bpy.data.objects["Petal"]
    array = petal.modifiers.new("Array", "ARRAY")
    array.count = 2
    for frame, turn, offset in ((1, 0.0, 0.5), (12, 2.0, 2.0)):
        petal.rotation_euler.z, array.relative_offset_displace[0] = turn, offset
        petal.keyframe_insert("rotation_euler", frame=frame)
        array.keyframe_insert("relative_offset_displace", frame=frame)
    return petal


def test_what_has_modifiers_is_shown_by_empties(shower, moving_array, tmp_path):
    petal = moving_array
    petal.hide_render = False  # it is beside the picture
    bake(shower)
    before, state = pictures(shower, tmp_path), touched(shower)
    replace(shower)
    assert {thing.type for thing in shower.objects if thing.name.startswith("Petal.")} == {"EMPTY"}
    assert sum(thing.data == petal.data for thing in bpy.data.objects) == 2
    assert are_alike(before, pictures(shower, tmp_path))
    restore(shower)
    assert touched(shower) == state


def test_modifiers_that_blender_leaves_out_stay_out(shower, moving_array, tmp_path):
    assert moving_array.hide_render
    bake(shower)
    before = pictures(shower, tmp_path)
    replace(shower)
    assert {thing.type for thing in shower.objects if thing.name.startswith("Petal.")} == {"MESH"}
    assert are_alike(before, pictures(shower, tmp_path))


@pytest.mark.parametrize("as_a_whole", [True, False])
def test_collections_are_shown_object_by_object(shower, tmp_path, as_a_whole):
    collection = bpy.data.collections.new("Flowers")
    nested = bpy.data.collections.new("Nested")
    collection.children.link(nested)
    for number, into in enumerate((collection, collection, nested)):
        flower = bpy.data.objects.new(f"Flower {number}", bpy.data.objects["Petal"].data)
        flower.location.x = number
        into.objects.link(flower)
    settings = shower.objects["Sheet"].particle_systems[0].settings
    settings.render_type, settings.instance_collection = "COLLECTION", collection
    settings.use_whole_collection = as_a_whole
    bake(shower)
    before = pictures(shower, tmp_path)
    replace(shower)
    assert {thing.name.split(".")[0] for thing in shower.objects} >= {f"Flower {number}" for number in range(3)}
    assert are_alike(before, pictures(shower, tmp_path))


def test_objects_on_hair_stand_still_without_keys(shower, tmp_path):
    settings = shower.objects["Sheet"].particle_systems[0].settings
    settings.type, settings.hair_length = "HAIR", 1.0
    settings.render_type, settings.particle_size = "OBJECT", 0.2
    before = pictures(shower, tmp_path)
    replace(shower)
    petals = [thing for thing in shower.objects if thing.name.startswith("Petal.")]
    assert len(petals) == settings.count
    assert all(thing.animation_data is None for thing in petals)
    assert are_alike(before, pictures(shower, tmp_path))


def test_the_emitters_own_surface_shows_as_before(shower, tmp_path):
    sheet = shower.objects["Sheet"]
    sheet.show_instancer_for_render = True
    bake(shower)
    before = pictures(shower, tmp_path)
    replace(shower)
    assert sheet.show_instancer_for_render
    assert are_alike(before, pictures(shower, tmp_path))


def test_hidden_particles_leave_nothing(shower):
    add_system(shower.objects["Sheet"], "Sparks", "HALO")
    state = touched(shower)
    replace(shower, particles=Particles.HIDE)
    assert not systems_that_show(shower)
    assert not shots(shower)[0].instances
    assert not shots(shower)[0].notes
    restore(shower)
    assert touched(shower) == state


def test_particles_without_a_surface_go_whatever_is_chosen(shower):
    for render_type in ("HALO", "LINE", "PATH"):
        add_system(block(shower, render_type), render_type, render_type)
    add_system(block(shower, "Unseen"), "Unseen", "NONE")
    count = len(shower.objects)
    shower.objects["Sheet"].modifiers.clear()
    replace(shower)
    assert systems_that_show(shower) == [("Unseen", "Unseen")]
    assert len(shower.objects) == count


def test_too_many_stay_particles_and_are_told(shower, monkeypatch):
    monkeypatch.setattr(particle_tracks, "MOST_OBJECTS", 5)
    bake(shower)
    state = touched(shower)
    assert "lower their number" in told(replace(shower), shower.objects["Sheet"])
    assert systems_that_show(shower) == [("Sheet", "Petals")]
    restore(shower)
    assert touched(shower) == state


def test_unbaked_ones_are_played_from_their_start_and_told(shower, tmp_path):
    shower.objects["Sheet"].particle_systems[0].settings.frame_start = 1  # a bake goes another way to those before
    report = replace(shower)
    unbaked = pictures(shower, tmp_path)
    assert "bake them" in told(report, shower.objects["Sheet"])
    restore(shower)
    bake(shower)
    assert not replace(shower).left
    assert are_alike(unbaked, pictures(shower, tmp_path))


def test_glass_particles_go_and_others_in_their_collection_stay(shower):
    collection = bpy.data.collections.new("Mixed")
    for name, shader in (("Drop", "BsdfGlass"), ("Leaf", "BsdfDiffuse")):
        thing = block(shower, name, 1, material(shader))
        collection.objects.link(thing)
        shower.collection.objects.unlink(thing)
    settings = shower.objects["Sheet"].particle_systems[0].settings
    settings.render_type, settings.instance_collection = "COLLECTION", collection
    bake(shower)
    convert(shower, "replace_particles", "hide_environment")
    names = {thing.name.split(".")[0] for thing in shower.objects}
    assert "Leaf" in names
    assert "Drop" not in names


def test_emitters_that_are_instances_lose_their_particles_and_are_told(shower):
    sheet = shower.objects["Sheet"]
    instance_of(shower, "Instance", hide_in_collection(sheet))
    assert "itself an instance" in told(replace(shower), sheet)
    assert not sheet.modifiers[0].show_render


def test_metaballs_are_told(shower):
    ball = link(shower, "Ball", bpy.data.metaballs.new("Ball"))
    ball.data.elements.new()
    shower.objects["Sheet"].particle_systems[0].settings.instance_object = ball
    bake(shower)
    assert "metaballs are hidden" in told(replace(shower), shower.objects["Sheet"])


def test_a_scene_without_a_camera_keeps_its_particles_and_is_told(shower):
    shower.camera = None
    assert "has no camera" in told(replace(shower), shower.objects["Sheet"])
    assert systems_that_show(shower) == [("Sheet", "Petals")]


def test_what_only_another_view_layer_shows_stays_and_is_told(shower):
    sheet = shower.objects["Sheet"]
    shower.collection.children.link(hide_in_collection(sheet))
    shower.view_layers.new("Effects")
    shower.view_layers[0].layer_collection.children[0].exclude = True
    assert "view layer 'ViewLayer' is without them" in told(replace(shower), sheet)
    assert systems_that_show(shower) == [("Sheet", "Petals")]
    shower.view_layers["Effects"].use = False
    assert "stay particles" not in told(replace(shower), sheet)
    assert not systems_that_show(shower)


def test_two_scenes_that_share_an_emitter_each_get_their_objects(shower):
    bake(shower)
    sheet = shower.objects["Sheet"]
    other = bpy.data.scenes.new("Other")
    other.frame_end = shower.frame_end
    other.camera = shower.camera
    for thing in (sheet, shower.camera, bpy.data.objects["Petal"]):
        other.collection.objects.link(thing)
    state = touched(shower)
    replace(shower)
    replace(other)
    petals = [{thing.name for thing in scene.objects if thing.name.startswith("Petal.")} for scene in (shower, other)]
    assert len(petals[0]) == len(petals[1]) > 5
    assert not petals[0] & petals[1]
    restore(shower)
    assert not systems_that_show(shower)
    assert {thing.name for thing in other.objects if thing.name.startswith("Petal.")} == petals[1]
    restore(other)
    assert touched(shower) == state


def test_converting_again_replaces_anew(shower):
    bake(shower)
    state = touched(shower)
    replace(shower)
    count = len(bpy.data.objects)
    shower.objects["Sheet"].location.x += 0.3
    replace(shower)
    assert len(bpy.data.objects) == count
    shower.objects["Sheet"].location.x -= 0.3
    restore(shower)
    assert touched(shower) == state


def test_two_thousand_particles_cost_seconds_not_minutes(shower):
    settings = shower.objects["Sheet"].particle_systems[0].settings
    settings.count = 2000
    bake(shower)
    start = time.process_time()
    replace(shower)
    seconds = time.process_time() - start
    print(f"2,000 particles, {len(FRAMES)} frames: {seconds:.2f} s")
    assert len(shower.objects) > 2000
    assert seconds < 8  # 2 s on a quiet machine


def test_between_frames_things_turn_the_short_way():
    turns = [Matrix.Rotation(np.radians(angle), 4, (0.3, 0.5, 0.8)) for angle in range(0, 1080, 50)]
    rotation = placing(turns)["rotation_quaternion"]
    assert (np.sum(rotation[1:] * rotation[:-1], axis=1) > 0.8).all()
    for values, turn in zip(rotation, turns, strict=True):
        assert np.array(Quaternion(values).to_matrix()) == pytest.approx(np.array(turn.to_3x3()), abs=1e-5)
