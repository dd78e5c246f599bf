# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects a character is made of: however they hang on its armature, and none that hang on another one."""

import bpy
import numpy as np
import pytest
from characters import CHARACTERS
from snapshot_scenes import instance_of, link, names, shot, square

from animerun_addon.labels import fields
from animerun_addon.labels.surface import surface_points
from animerun_addon.scene.characters import characters
from animerun_addon.scene.id_pass import visible_triangles


@pytest.fixture
def scene():
    return bpy.context.scene


def rig(scene, name="Hero"):
    """An armature of one bone."""
    thing = link(scene, name, bpy.data.armatures.new(name))
    bpy.context.view_layer.objects.active = thing
    bpy.ops.object.mode_set(mode="EDIT")
    thing.data.edit_bones.new("Bone").tail = (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    return thing


def deformed(scene, armature, name="Body"):
    thing = square(scene, name)
    thing.modifiers.new("Armature", "ARMATURE").object = armature
    return thing


def child(scene, parent, name, bone=""):
    thing = square(scene, name)
    thing.parent = parent
    if bone:
        thing.parent_type, thing.parent_bone = "BONE", bone
    return thing


def in_collection(*things):
    """A collection that is in no scene, with these things in it alone."""
    collection = bpy.data.collections.new("Inside")
    for thing in things:
        for before in thing.users_collection:
            before.objects.unlink(thing)
        collection.objects.link(thing)
    return collection


# One character ------------------------------------------------------------------------------------------------------


def test_meshes_that_an_armature_deforms_belong_to_it(scene):
    hero = rig(scene)
    deformed(scene, hero, "Body")
    deformed(scene, hero, "Coat")
    square(scene, "Ground")
    assert characters(scene) == {"Hero": ("Body", "Coat")}


def test_what_is_parented_to_a_bone_or_to_what_is_belongs_to_it(scene):
    hero = rig(scene)
    hand = child(scene, hero, "Hand", bone="Bone")
    sword = child(scene, hand, "Sword")
    grip = link(scene, "Grip", None)
    grip.parent = sword
    child(scene, grip, "Tassel")
    assert characters(scene) == {"Hero": ("Hand", "Sword", "Tassel")}


def test_what_hangs_on_a_deformed_mesh_belongs_to_its_armature(scene):
    body = deformed(scene, rig(scene))
    child(scene, body, "Button")
    coat = square(scene, "Coat")
    coat.modifiers.new("Surface", "SURFACE_DEFORM").target = body
    assert characters(scene) == {"Hero": ("Body", "Button", "Coat")}


def test_text_and_curves_belong_like_meshes_but_lamps_do_not(scene):
    hero = rig(scene)
    for name, data in (
        ("Badge", bpy.data.curves.new("Badge", "FONT")),
        ("Whip", bpy.data.curves.new("Whip", "CURVE")),
        ("Torch", bpy.data.lights.new("Torch", "POINT")),
        ("Eyes", bpy.data.cameras.new("Eyes")),
    ):
        link(scene, name, data).parent = hero
    assert characters(scene) == {"Hero": ("Badge", "Whip")}


def test_an_armature_that_moves_nothing_is_no_character(scene):
    rig(scene)
    square(scene)
    assert characters(scene) == {}


# Several ------------------------------------------------------------------------------------------------------------


def test_each_has_its_own(scene):
    hero, dog = rig(scene, "Hero"), rig(scene, "Dog")
    deformed(scene, dog, "Fur")
    deformed(scene, hero, "Body")
    assert characters(scene) == {"Dog": ("Fur",), "Hero": ("Body",)}


def test_a_mesh_in_two_armatures_belongs_to_the_first_of_its_modifiers(scene):
    hero, dog = rig(scene, "Hero"), rig(scene, "Dog")
    leash = deformed(scene, dog, "Leash")
    leash.modifiers.new("Second", "ARMATURE").object = hero
    leash.parent = hero
    assert characters(scene) == {"Dog": ("Leash",)}


def test_a_modifier_that_is_off_in_renders_says_nothing(scene):
    hero, dog = rig(scene, "Hero"), rig(scene, "Dog")
    leash = deformed(scene, dog, "Leash")
    leash.modifiers[0].show_render = False
    leash.modifiers.new("Second", "ARMATURE").object = hero
    assert characters(scene) == {"Hero": ("Leash",)}


def test_a_rider_is_not_the_horse(scene):
    horse, rider = rig(scene, "Horse"), rig(scene, "Rider")
    rider.parent = horse
    deformed(scene, horse, "Mane")
    deformed(scene, rider, "Coat")
    assert characters(scene) == {"Horse": ("Mane",), "Rider": ("Coat",)}


def test_objects_that_carry_each_other_end_the_search(scene):
    one, other = square(scene, "One"), square(scene, "Other")
    one.parent = other
    other.modifiers.new("Surface", "SURFACE_DEFORM").target = one
    assert characters(scene) == {}
    other.modifiers.new("Armature", "ARMATURE").object = rig(scene)
    assert characters(scene) == {"Hero": ("One", "Other")}


# Instances ----------------------------------------------------------------------------------------------------------


def test_an_armature_in_an_instanced_collection_is_one_character_however_often(scene):
    hero = rig(scene)
    collection = in_collection(hero, deformed(scene, hero), child(scene, hero, "Hat"))
    instance_of(scene, "Left", collection)
    outer = in_collection(instance_of(scene, "Inner", collection))
    instance_of(scene, "Right", outer)
    assert characters(scene) == {"Hero": ("Body", "Hat")}


def test_an_instanced_prop_belongs_to_who_holds_it(scene):
    hero = rig(scene)
    sword = instance_of(scene, "Sword in hand", in_collection(square(scene, "Blade")))
    sword.parent = hero
    assert characters(scene) == {"Hero": ("Blade",)}


def test_what_stands_elsewhere_too_belongs_to_nobody(scene):
    """All copies of an object have one id: a matte of it would hold the copies on the ground as well."""
    hero = rig(scene)
    deformed(scene, hero)
    flowers = in_collection(square(scene, "Flower"))
    instance_of(scene, "In hand", flowers).parent = hero
    instance_of(scene, "On the ground", flowers)
    assert characters(scene) == {"Hero": ("Body",)}


def test_what_the_background_scene_shows_counts(scene):
    other = bpy.data.scenes.new("Background")
    hero = rig(scene)
    for thing in (hero, deformed(scene, hero)):
        scene.collection.objects.unlink(thing)
        other.collection.objects.link(thing)
    assert characters(scene) == {}
    scene.background_set = other
    assert characters(scene) == {"Hero": ("Body",)}


def write_library(path):
    """A file with a collection "Character" that holds an armature "rig" and its mesh."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    armature = rig(scene, "rig")
    things = (armature, deformed(scene, armature))
    collection = in_collection(*things)
    collection.name = "Character"
    bpy.data.libraries.write(str(path), {collection})


def linked(path):
    with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
        wanted.collections = ["Character"]
    return wanted.collections[0]


@pytest.fixture
def two_files(tmp_path):
    """Two linked characters, both armatures of which are called "rig"; the scene with their instances."""
    for name in ("hero", "dog"):
        write_library(tmp_path / f"{name}.blend")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    for name in ("hero", "dog"):
        instance_of(scene, name.title(), linked(tmp_path / f"{name}.blend"))
    scene.camera = link(scene, "Camera", bpy.data.cameras.new("Camera"))
    return scene


def test_linked_armatures_of_one_name_are_called_by_their_instances(two_files):
    found = characters(two_files)
    assert found.keys() == {"Hero", "Dog"}
    (hero,), (dog,) = found["Hero"], found["Dog"]
    assert hero.startswith("Body [")
    assert hero != dog


def test_the_names_are_those_that_snapshots_have(two_files):
    found = characters(two_files)
    assert sorted(sum(found.values(), ())) == names(shot(two_files))


def test_local_armatures_of_one_name_are_told_apart_by_their_files(two_files):
    armature = rig(two_files, "rig")
    deformed(two_files, armature, "Local")
    assert characters(two_files).keys() == {"Hero", "Dog", "rig"}


def test_an_overridden_character_is_a_character(tmp_path):
    write_library(tmp_path / "hero.blend")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    collection = linked(tmp_path / "hero.blend")
    scene.collection.children.link(collection)
    collection.override_hierarchy_create(scene, bpy.context.view_layer, do_fully_editable=True)
    scene.collection.children.unlink(collection)
    scene.camera = link(scene, "Camera", bpy.data.cameras.new("Camera"))
    assert characters(scene) == {"rig": ("Body",)}
    assert names(shot(scene)) == ["Body"]


# Somebody else's ----------------------------------------------------------------------------------------------------


def test_all_that_is_seen_of_a_downloaded_character_is_in_its_matte():
    armature = CHARACTERS["Knight"]()
    scene = bpy.context.scene
    found = characters(scene)
    assert found.keys() == {armature.name}
    scene.camera = link(scene, "Camera", bpy.data.cameras.new("Camera"))
    scene.camera.location, scene.camera.rotation_euler = (0, -6, 1), (np.pi / 2, 0, 0)
    scene.render.resolution_x, scene.render.resolution_y = 80, 60
    snapshot = shot(scene)
    triangles, _ = visible_triangles(snapshot, "numpy")
    ids = fields.object_ids(snapshot, surface_points(snapshot, triangles))
    own = [number for number, name in enumerate(snapshot.object_names) if name in found[armature.name]]
    assert (ids >= 0).sum() > 200
    assert np.isin(ids[ids >= 0], own).all()
