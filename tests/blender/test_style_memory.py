# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of a conversion outlives files, other scenes, failures and libraries, and says what it could not do."""

import json
import subprocess
import sys
from pathlib import Path

import bpy
import pytest
from random_scenes import (
    FEATURES,
    build,
    emitter,
    environment,
    freestyle,
    linked_character,
    overridden_character,
)
from rna_dump import differences, dump
from style_scenes import block, material, told

from animerun_addon.scene import style
from animerun_addon.scene.style import address, memory
from animerun_addon.scene.style.address import channelbags
from animerun_addon.scene.style.steps import STEPS

RESTORE_ELSEWHERE = """
import json, sys
sys.path[:0] = {path!r}
import bpy
from animerun_addon.scene import style
from rna_dump import dump
bpy.ops.wm.open_mainfile(filepath={file!r})
if {restores}:
    style.restore(bpy.context.scene)
bpy.context.view_layer.update()
open({out!r}, "w").write(json.dumps(dump()))
"""


def in_a_new_process(file, out, restores):
    """The dump of a file that another Blender opened, and restored if wanted."""
    here = Path(__file__).parent
    code = RESTORE_ELSEWHERE.format(
        path=[str(here), str(here.parents[1])], file=str(file), out=str(out), restores=restores
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return json.loads(out.read_text())


def test_saved_and_restored_in_another_process_everything_is_as_before(library, tmp_path):
    scene = build([one for one in FEATURES if one is not linked_character], library)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "before.blend"))
    style.convert(scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "converted.blend"))
    before = in_a_new_process(tmp_path / "before.blend", tmp_path / "before.json", restores=False)
    after = in_a_new_process(tmp_path / "converted.blend", tmp_path / "after.json", restores=True)
    assert len(before) > 50
    assert differences(before, after) == []


def test_converted_twice_and_restored_once_everything_is_as_before(library):
    scene = build(FEATURES, library)
    before = dump()
    style.convert(scene)
    style.convert(scene)
    style.restore(scene)
    assert differences(before, dump()) == []
    assert not style.is_converted(scene)


def test_converting_again_brings_in_what_is_new(library):
    scene = build([], library)
    style.convert(scene)
    late = block(scene, "Late fog", 1.0, material("VolumePrincipled", into="Volume"))
    assert not late.hide_render
    style.convert(scene)
    assert late.hide_render
    style.restore(scene)
    assert not late.hide_render


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_step_that_fails_leaves_everything_as_it_was(library, monkeypatch, number):
    scene = build([environment, emitter, freestyle, overridden_character], library)
    before = dump()

    def fail(stage):
        STEPS[number].run(stage)
        raise ZeroDivisionError("wanted by the test")

    steps = [*STEPS[:number], type(STEPS[0])("flat_shading", "Broken", fail), *STEPS[number + 1 :]]
    monkeypatch.setattr(style, "STEPS", tuple(steps))
    with pytest.raises(ZeroDivisionError):
        style.convert(scene)
    assert differences(before, dump()) == []


def two_scenes():
    """That share an object and its material."""
    first = bpy.context.scene
    second = bpy.data.scenes.new("Second")
    fog = block(first, "Fog", 1.0, material("VolumePrincipled", into="Volume"))
    second.collection.objects.link(fog)
    second.view_layers[0].update()
    return first, second, fog


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_scenes_that_share_the_last_one_restores_what_they_share(order):
    first, second, fog = two_scenes()
    before = dump()
    style.convert(first)
    style.convert(second)
    one, other = (first, second)[order[0]], (first, second)[order[1]]
    style.restore(one)
    assert fog.hide_render
    assert style.is_converted(other)
    assert one.render.engine != "BLENDER_WORKBENCH"
    assert other.render.engine == "BLENDER_WORKBENCH"
    style.restore(other)
    assert differences(before, dump()) == []


def test_a_deleted_scene_lets_go_of_what_it_shared():
    first, second, fog = two_scenes()
    style.convert(first)
    style.convert(second)
    bpy.data.scenes.remove(first)
    style.restore(second)
    assert not fog.hide_render


def test_a_copy_of_a_converted_scene_is_restored_with_it():
    scene = bpy.context.scene
    before = scene.render.engine
    style.convert(scene)
    copy = scene.copy()
    style.restore(scene)
    assert copy.render.engine == scene.render.engine == before
    assert not style.is_converted(copy)


def test_overrides_are_remembered_by_every_scene_that_converted_them(library, tmp_path):
    scene = build([overridden_character], library)
    other = bpy.data.scenes.new("Other")
    other.collection.children.link(next(one for one in bpy.data.collections if one.override_library is not None))
    hero = next(one for one in other.objects if one.name.startswith("Hero lamp"))
    name = hero.name
    style.convert(scene)
    style.convert(other)
    assert hero.hide_render
    bpy.data.scenes.remove(scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "overrides.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "overrides.blend"))
    hero = next(one for one in bpy.data.objects if one.name == name and one.library is None)
    assert hero.hide_render, "the override itself was not saved"
    style.restore(bpy.data.scenes["Other"])
    assert not hero.hide_render


def test_what_is_linked_is_told_with_its_reason(library):
    scene = build([], library)
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.objects = ["Hero", "Hero lamp"]
    for thing in wanted.objects:
        scene.collection.objects.link(thing)
    linked = dump()
    report = style.convert(scene)
    assert "linked from" in told(report, bpy.data.objects["Hero lamp", str(library)])
    assert "make it local" in told(report, bpy.data.objects["Hero lamp", str(library)])
    assert not bpy.data.objects["Hero lamp", str(library)].hide_render
    assert differences(linked["objects/Hero [character.blend]"], dump()["objects/Hero [character.blend]"]) == []


def test_a_linked_collection_of_nothing_but_unwanted_things_is_excluded(tmp_path):
    scene = bpy.context.scene
    air = bpy.data.collections.new("Air")
    scene.collection.children.link(air)
    fog = block(scene, "Fog", 1.0, material("VolumePrincipled", into="Volume"))
    scene.collection.objects.unlink(fog)
    air.objects.link(fog)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "air.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    with bpy.data.libraries.load(str(tmp_path / "air.blend"), link=True) as (_, wanted):
        wanted.collections = ["Air"]
    scene.collection.children.link(wanted.collections[0])
    branch = scene.view_layers[0].layer_collection.children[0]
    style.convert(scene)
    assert branch.exclude
    style.restore(scene)
    assert not branch.exclude


def test_node_trees_of_overridden_materials_are_told_and_left_alone(library):
    scene = bpy.context.scene
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.materials = ["Hero skin"]
    node = wanted.materials[0].override_create().node_tree.nodes[0]
    refused = []
    made = memory.Memory(scene, "token", lambda one, why: refused.append(why))
    assert not made.set(node, "mute", True)
    assert not node.mute
    assert "override" in refused[0]


def test_what_the_user_changed_stays_and_is_told():
    scene = bpy.context.scene
    fog = block(scene, "Fog", 1.0, material("VolumePrincipled", into="Volume"))
    style.convert(scene)
    fog.hide_render = False
    report = style.convert(scene)
    assert not fog.hide_render
    assert [one.name for one in report.kept] == ["Fog"]
    report = style.restore(scene)
    assert not fog.hide_render
    assert not fog.hide_viewport
    assert [one.name for one in report.kept] == ["Fog"]


def test_a_curve_that_the_user_switched_on_again_stays_on():
    scene = bpy.context.scene
    fog = block(scene, "Fog", 1.0, material("VolumePrincipled", into="Volume"))
    fog.keyframe_insert("hide_render")
    curve = next(channelbags(fog.animation_data.action)).fcurves[0]
    style.convert(scene)
    assert curve.mute
    curve.mute = False
    for way in (style.convert, style.restore):
        report = way(scene)
        assert not curve.mute
        assert [one.kind for one in report.kept] == ["ACTION"]


def test_what_was_deleted_is_told():
    scene = bpy.context.scene
    block(scene, "Fog", 1.0, material("VolumePrincipled", into="Volume"))
    style.convert(scene)
    bpy.data.objects.remove(bpy.data.objects["Fog"])
    assert "Fog" in [one.name for one in style.restore(scene).gone]


def test_the_report_counts_only_what_was_changed():
    scene = bpy.context.scene
    first = style.convert(scene).changed["No post-processing"]
    style.restore(scene)
    scene.render.use_compositing = scene.render.use_sequencer = scene.render.use_stamp = False
    assert first == 2
    assert style.convert(scene).changed["No post-processing"] == 0


def test_a_modifiers_driver_is_found_again_after_a_rename():
    scene = bpy.context.scene
    thing = block(scene, "Body")
    modifier = thing.modifiers.new("Old name", "BEVEL")
    curve = modifier.driver_add("show_render")
    made = memory.Memory(scene, "token", lambda one, why: None)
    assert made.set(modifier, "show_render", False)
    made.save()
    modifier.name = "New name"
    assert curve.mute
    memory.undo(scene, "token")
    assert not thing.animation_data.drivers[0].mute
    assert modifier.show_render


def driven(setting, path):
    return setting.driver_add(path)


def keyed(setting, path):
    setting.keyframe_insert(path)
    return next(channelbags(setting.id_data.animation_data.action)).fcurves[0]


@pytest.mark.parametrize("animate", [driven, keyed])
def test_animated_nodes_of_materials_survive_a_file(animate, tmp_path):
    material("ValToRGB", name="Ramp", into="Surface").use_fake_user = True
    node = bpy.data.materials["Ramp"].node_tree.nodes["Color Ramp"]
    curve = animate(node.inputs[0], "default_value")
    made = memory.Memory(bpy.context.scene, "token", lambda one, why: None)
    assert made.set(node, "inputs[0].default_value", 0.25)
    assert curve.mute
    made.save()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "nodes.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "nodes.blend"))
    undone = memory.undo(bpy.context.scene, "token")
    assert [undone.count, undone.gone] == [2, []]
    node = bpy.data.materials["Ramp"].node_tree.nodes["Color Ramp"]
    assert node.inputs[0].default_value == 0.5
    assert not node.keys()


def test_looking_leaves_no_marks():
    node = material("Emission", name="Looked at").node_tree.nodes[0]
    made = memory.Memory(bpy.context.scene, "token", lambda one, why: None)
    assert made.before(node, "mute") is False
    assert made.set(node, "mute", False)
    made.save()
    assert not node.keys()


def test_copied_view_layers_are_restored_with_their_originals():
    scene = bpy.context.scene
    style.convert(scene)
    with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
        bpy.ops.scene.view_layer_add(type="COPY")
    style.restore(scene)
    for layer in scene.view_layers:
        assert not [one for one in layer.freestyle_settings.linesets if one.name.startswith("AnimeRun")]
        assert address.MARK not in layer


def test_a_linked_scene_is_refused(tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "scene.blend"), link=True) as (_, wanted):
        wanted.scenes = ["Scene"]
    with pytest.raises(style.InputError, match="in its own file"):
        style.convert(wanted.scenes[0])
