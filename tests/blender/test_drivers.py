# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads keep out while Blender may run drivers that only Python understands."""

import sys
from types import SimpleNamespace

import bpy
import pytest

from animerun_addon.scene import drivers
from animerun_addon.scene.drivers import threads_are_safe
from animerun_addon.scene.versions import node_tree_of


@pytest.fixture(autouse=True)
def python_3_11(monkeypatch):
    """Whatever Python this is: newer ones have no such drivers to fear."""
    monkeypatch.setattr(drivers, "sys", SimpleNamespace(version_info=(3, 11, 9)))


def drive(owner, path, expression, index=-1, uses_self=False):
    """Give a property a scripted driver."""
    driver = owner.driver_add(path, index).driver
    driver.type = "SCRIPTED"
    driver.use_self = uses_self
    driver.expression = expression
    return driver


def new_object():
    thing = bpy.data.objects.new("Thing", bpy.data.meshes.new("Thing"))
    bpy.context.scene.collection.objects.link(thing)
    return thing


def shape_keys():
    thing = new_object()
    thing.shape_key_add(name="Basis")
    thing.shape_key_add(name="Smile")
    return thing.data.shape_keys


PLACES = {
    "object": lambda: (new_object(), "location", 0),
    "scene": lambda: (bpy.context.scene, '["grow"]', -1),
    "mesh": lambda: (new_object().data, '["grow"]', -1),
    "material": lambda: (bpy.data.materials.new("Paint"), "diffuse_color", 1),
    "nodes of a material": lambda: (
        node_tree_of(bpy.data.materials.new("Paint")),
        'nodes["Principled BSDF"].inputs["Roughness"].default_value',
        -1,
    ),
    "node group": lambda: (bpy.data.node_groups.new("Group", "ShaderNodeTree"), '["grow"]', -1),
    "shape key": lambda: (shape_keys(), 'key_blocks["Smile"].value', -1),
    "armature": lambda: (bpy.data.armatures.new("Rig"), '["grow"]', -1),
}


def drive_there(place, expression, **options):
    owner, path, index = PLACES[place]()
    if path == '["grow"]':
        owner["grow"] = 1.0
    return drive(owner, path, expression, index, **options)


def test_without_drivers_threads_are_safe():
    new_object()
    assert threads_are_safe()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("expression", ["2 * 3", "frame / 24", "sin(frame) if frame > 3 else pi"])
def test_what_blender_computes_itself_is_safe(place, expression):
    drive_there(place, expression)
    assert threads_are_safe()


@pytest.mark.parametrize("kind", ["AVERAGE", "SUM", "MIN", "MAX"])
def test_drivers_that_are_no_scripts_are_safe(kind):
    drive_there("object", "own_function(frame)").type = kind
    assert threads_are_safe()


@pytest.mark.parametrize("place", PLACES)
def test_a_function_of_somebodys_own_is_not_safe(place):
    drive_there(place, "own_function(frame)")
    assert not threads_are_safe()


@pytest.mark.parametrize("place", ["object", "nodes of a material", "shape key"])
def test_an_expression_that_looks_at_its_owner_is_not_safe(place):
    drive_there(place, "self.as_pointer() % 7", uses_self=True)
    assert not threads_are_safe()


@pytest.mark.parametrize("expression", ["[1, 2][int(frame) % 2]", "noise.random()", "frame.real"])
def test_what_only_python_understands_is_not_safe(expression):
    drive_there("object", expression)
    assert not threads_are_safe()


def test_one_such_driver_among_many_is_found():
    for _ in range(20):
        drive_there("object", "frame / 24")
    assert threads_are_safe()
    drive_there("shape key", "own_function(frame)")
    assert not threads_are_safe()


def test_a_driver_that_is_taken_away_is_none():
    owner, path, index = PLACES["object"]()
    drive(owner, path, "own_function(frame)", index)
    assert not threads_are_safe()
    owner.driver_remove(path, index)
    assert threads_are_safe()


def test_drivers_of_linked_data_count(tmp_path):
    drive_there("object", "own_function(frame)")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert threads_are_safe()
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, there):
        there.objects = ["Thing"]
    assert not threads_are_safe()


@pytest.mark.parametrize("version", [(3, 12, 0), (3, 13, 1), (4, 0, 0)])
def test_from_python_3_12_on_threads_are_safe_whatever_is_driven(version, monkeypatch):
    monkeypatch.setattr(drivers, "sys", SimpleNamespace(version_info=version))
    drive_there("object", "own_function(frame)")
    assert threads_are_safe()


def test_it_asks_about_the_python_that_runs(monkeypatch):
    monkeypatch.setattr(drivers, "sys", sys)
    drive_there("object", "own_function(frame)")
    assert threads_are_safe() == (sys.version_info >= (3, 12))
