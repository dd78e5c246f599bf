# SPDX-License-Identifier: GPL-3.0-or-later
"""The 2D style's panel in a real Blender window: its button goes there and back, and so does undo."""

from __future__ import annotations

import time

import pytest
from conftest import PICTURES
from harness import BlenderWindow

PACKAGE = "bl_ext.user_default.animerun_addon"

SCENE = """
import bpy
scene = bpy.context.scene
for name, place, colour in (("Red", -2, (0.8, 0.1, 0.1, 0.4)), ("Blue", 2, (0.1, 0.2, 0.8, 1.0))):
    bpy.ops.mesh.primitive_monkey_add(location=(place, 0, 0))
    thing = bpy.context.object
    thing.name = name
    material = bpy.data.materials.new(name)
    material.diffuse_color = colour
    thing.data.materials.append(material)
stroke = bpy.data.objects.new("Fur", bpy.data.hair_curves.new("Fur"))
scene.collection.objects.link(stroke)
bpy.ops.ed.undo_push(message="scene")
"""

# What decides how the scene looks.
STATE = f"""
from {PACKAGE}.scene.style import is_converted
scene = bpy.context.scene
result = [is_converted(scene), scene.render.engine, scene.display.render_aa,
          list(bpy.data.materials["Red"].diffuse_color), scene.display.shading.light]
"""


# How the viewport is lit.
LIGHT = """
screen = bpy.context.window_manager.windows[0].screen
result = next(area for area in screen.areas if area.type == "VIEW_3D").spaces.active.shading.light
"""


@pytest.fixture
def styled_window(window: BlenderWindow) -> BlenderWindow:
    window.run(SCENE)
    window.open_sidebar("AnimeRun")
    return window


def state(window: BlenderWindow) -> list:
    return window.run(STATE)


def wait_for(window: BlenderWindow, is_converted: bool) -> None:
    deadline = time.monotonic() + 30
    while state(window)[0] is not is_converted:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def click_toggle(window: BlenderWindow) -> None:
    sidebar = window.area_region("VIEW_3D", "UI")
    window.click(sidebar.left + sidebar.width // 2 - 20, sidebar.top + 115)


def test_button_converts_and_brings_back(styled_window):
    before = state(styled_window)
    click_toggle(styled_window)
    wait_for(styled_window, True)
    styled_window.settle()
    styled_window.screenshot(PICTURES / "style_panel.png")
    assert styled_window.run(LIGHT) == "FLAT"
    assert state(styled_window) != before
    click_toggle(styled_window)
    wait_for(styled_window, False)
    assert state(styled_window) == before
    assert styled_window.run(LIGHT) == "STUDIO"
    assert "Traceback" not in styled_window.printed()


def test_undo_and_redo(styled_window):
    before = state(styled_window)
    click_toggle(styled_window)
    wait_for(styled_window, True)
    converted = state(styled_window)
    styled_window.move(400, 400)
    styled_window.key("ctrl+z")
    wait_for(styled_window, False)
    assert state(styled_window) == before
    assert styled_window.run(LIGHT) == "STUDIO"
    styled_window.key("ctrl+shift+z")
    wait_for(styled_window, True)
    assert state(styled_window) == converted
    click_toggle(styled_window)
    wait_for(styled_window, False)
    assert state(styled_window) == before
    assert "Traceback" not in styled_window.printed()


def test_demo_scene_is_flat_in_the_viewport(styled_window):
    styled_window.run("with override('VIEW_3D'): bpy.ops.animerun.add_demo_scene('EXEC_DEFAULT')", timeout=120)
    styled_window.run("with override('VIEW_3D'): bpy.ops.animerun.toggle_style('EXEC_DEFAULT')", timeout=120)
    wait_for(styled_window, True)
    styled_window.move(400, 690)  # off the button: its tooltip would cover the panel
    styled_window.settle()
    time.sleep(1)
    picture = styled_window.screenshot(PICTURES / "style_demo.png")
    assert picture.stat().st_size > 50_000
    viewport = styled_window.area_region("VIEW_3D").crop(styled_window.pixels())
    assert (viewport.max(axis=2) < 12).mean() < 0.02, "outline hulls show from behind"
    assert "Traceback" not in styled_window.printed()
