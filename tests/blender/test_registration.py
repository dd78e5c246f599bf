# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on tells Blender about, it takes back, however often it is switched on and off."""

import addon_utils
import bpy
import pytest

from animerun_addon import progress, registration
from animerun_addon.pipeline import runner
from animerun_addon.pipeline.job import Job
from animerun_addon.progress import Progress


def classes():
    """Every class that Blender knows, by name."""
    bases = (bpy.types.Operator, bpy.types.Panel, bpy.types.PropertyGroup, bpy.types.AddonPreferences, bpy.types.Menu)
    bases += (bpy.types.RenderEngine,)
    names = set(dir(bpy.types))
    for base in bases:
        names |= {cls.__name__ for cls in all_subclasses(base) if cls.is_registered}
    return names


def all_subclasses(cls):
    for child in cls.__subclasses__():
        yield child
        yield from all_subclasses(child)


def handlers():
    names = [name for name in dir(bpy.app.handlers) if isinstance(getattr(bpy.app.handlers, name), list)]
    return {name: list(getattr(bpy.app.handlers, name)) for name in names}


def keymap_items():
    configs = bpy.context.window_manager.keyconfigs
    return {config.name: sum(len(keymap.keymap_items) for keymap in config.keymaps) for config in configs}


def properties():
    owners = (bpy.types.Scene, bpy.types.Object, bpy.types.Material, bpy.types.WindowManager, bpy.types.Mesh)
    return {owner.__name__: set(owner.bl_rna.properties.keys()) | set(dir(owner)) for owner in owners}


def everything():
    return {
        "classes": classes(),
        "handlers": handlers(),
        "keymaps": keymap_items(),
        "properties": properties(),
        "timer": bpy.app.timers.is_registered(runner._tick),
        "operators": set(dir(bpy.ops.animerun)),
        "commands": len(registration._commands),
    }


def test_nothing_is_left_behind():
    before = everything()
    for _ in range(3):
        registration.register()
        during = everything()
        registration.unregister()
        assert everything() == before
    assert during["classes"] > before["classes"]
    assert during["handlers"] != before["handlers"]
    assert during["operators"] > before["operators"]


def test_every_class_in_the_list_gets_registered():
    registration.register()
    try:
        assert all(cls.is_registered for cls in registration.CLASSES)
    finally:
        registration.unregister()
    assert not any(cls.is_registered for cls in registration.CLASSES)


def test_switching_off_while_a_job_runs_ends_it(addon):
    def endless():
        while True:
            yield Progress(0, 0)

    job = Job("Endless", endless())
    runner.start(job)
    assert bpy.app.timers.is_registered(runner._tick)
    addon_utils.disable("animerun_addon")
    assert not job.is_running
    assert not bpy.app.timers.is_registered(runner._tick)
    assert not progress.shown
    addon_utils.enable("animerun_addon")


def test_blender_enables_it_with_preferences(addon):
    preferences = bpy.context.preferences.addons["animerun_addon"].preferences
    assert preferences.unsaved_folder.endswith("AnimeRun")


def test_settings_are_saved_with_the_file(addon, tmp_path):
    bpy.context.scene.animerun.output_folder = "//shots/"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert bpy.context.scene.animerun.output_folder == "//animerun/"
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert bpy.context.scene.animerun.output_folder == "//shots/"


@pytest.mark.usefixtures("addon")
def test_every_operator_and_setting_is_explained():
    for cls in registration.CLASSES:
        if issubclass(cls, bpy.types.Operator):
            group, name = cls.bl_idname.split(".")
            description = getattr(getattr(bpy.ops, group), name).get_rna_type().description
            assert len(description) > 15, cls
            assert not description.endswith("."), f"{cls}: Blender adds the full stop"
        for prop in cls.bl_rna.properties:
            if prop.identifier in getattr(cls, "__annotations__", {}) and not prop.is_hidden:
                assert prop.description, f"{cls.__name__}.{prop.identifier}"
