# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests in Blender's Python module: an empty file before each, and the add-on where it is asked for."""

import os
import sys
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy", reason="no bpy in this Python")

import addon_utils  # noqa: E402 - importable once bpy is

# What the proofs share with the benches (bench/labelled.py) and with the pure tests (official_loader.py).
sys.path[:0] = [str(Path(__file__).parents[2] / "bench"), str(Path(__file__).parents[1] / "pure")]


@pytest.fixture(autouse=True)
def empty_file():
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture
def addon():
    """The add-on, switched on as a user does it, and off again."""
    assert addon_utils.enable("animerun_addon", default_set=True) is not None
    yield bpy.ops.animerun
    addon_utils.disable("animerun_addon", default_set=True)


@pytest.fixture
def tiny_scene():
    """A triangle before a camera, 16 x 8 pixels, three frames: a render takes milliseconds."""
    scene = bpy.context.scene
    mesh = bpy.data.meshes.new("Triangle")
    mesh.from_pydata([(-1, -1, -5), (1, -1, -5), (0, 1, -5)], [], [(0, 1, 2)])
    scene.collection.objects.link(bpy.data.objects.new("Triangle", mesh))
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x, scene.render.resolution_y = 16, 8
    scene.frame_end = 3
    return scene


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A .blend file to link a character from."""
    from random_scenes import write_library

    path = tmp_path_factory.mktemp("library") / "character.blend"
    write_library(path)
    return path


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Leave without Blender's own exit: after thousands of files and renders in one process it now and then hangs.

    Seen on bpy 4.5 alone, after the last test and the report; what it waits for is not known.
    """
    if "bpy" in sys.modules and hasattr(config, "animerun_exit_code"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.animerun_exit_code)


def pytest_sessionfinish(session, exitstatus):
    """Remember what the process has to return."""
    session.config.animerun_exit_code = int(exitstatus)
