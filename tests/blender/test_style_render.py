# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering in 2D style: fast contours on the labels' borders, line art, variants, videos, and the shell's commands."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import bpy
import cv2
import numpy as np
import pytest
from labelled import read_frames

from animerun_addon.dataset.formats import write_png
from animerun_addon.errors import InputError
from animerun_addon.labels.lines import contour_lines
from animerun_addon.pipeline.frame_files import read_frame, write_scene_video
from animerun_addon.pipeline.job import Job
from animerun_addon.pipeline.render import render_steps
from animerun_addon.pipeline.variants import variant_steps, variants_of
from animerun_addon.scene.style import convert, is_converted, restore
from animerun_addon.style_settings import Contours, StyleSettings

PROJECT = Path(__file__).parents[2]
FAST = StyleSettings(contours=Contours.FAST, line_thickness_px=1.0)
WIDTH_PX, HEIGHT_PX = 96, 64


@pytest.fixture
def scene():
    """Three frames of a cube that moves before a wall, with a colour each."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = WIDTH_PX, HEIGHT_PX
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.engine, scene.cycles.samples = "CYCLES", 1  # EEVEE takes a minute to start without a GPU
    for name, colour, size, y in (("Wall", (0.8, 0.3, 0.1, 1), 9, 2), ("Cube", (0.1, 0.4, 0.8, 1), 1, 0)):
        bpy.ops.mesh.primitive_cube_add(size=size, location=(0, y + size / 2, 0), rotation=(0.3, 0.2, 0.6))
        thing = bpy.context.object
        thing.name = name
        material = bpy.data.materials.new(name)
        material.diffuse_color = colour
        thing.data.materials.append(material)
    for frame in (1, 3):
        thing.location.x = frame / 5
        thing.keyframe_insert("location", frame=frame)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0, -5, 0), (np.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return scene


def settings_with(**choices):
    return replace(FAST, colour_source="VIEWPORT", **choices)


def rendered(scene, folder, frames=(2,)):
    return [read_frame(file) for file in Job("Render", render_steps(scene, folder, frames)).run()]


def test_fast_contours_are_black_exactly_where_the_labels_break_off(scene, tmp_path):
    convert(scene, settings_with())
    picture = rendered(scene, tmp_path)[0]
    frame = read_frames(scene, [2])[2]
    lines = contour_lines(frame.snapshot, frame.surface)
    black = (picture == 0).all(axis=-1)
    assert lines.any()
    assert np.array_equal(black, lines)


def test_between_the_lines_there_is_one_colour_a_material(scene, tmp_path):
    convert(scene, settings_with())
    picture = rendered(scene, tmp_path)[0]
    colours = np.unique(picture.reshape(-1, 3), axis=0)
    assert len(colours) <= 4  # black lines, wall, cube, background


@pytest.mark.parametrize("contours", [Contours.FAST, Contours.FREESTYLE])
def test_line_art_is_black_on_white(scene, tmp_path, contours):
    convert(scene, replace(settings_with(line_art=True), contours=contours))
    picture = rendered(scene, tmp_path)[0]
    assert picture.ndim == 2
    assert set(np.unique(picture)) == {0, 255}


def test_variants_stand_beside_each_other_and_the_scene_comes_back(scene, tmp_path):
    engine = scene.render.engine
    variants = variants_of(settings_with(), augmented=2, line_art=True)
    files = Job("Render", variant_steps(scene, tmp_path, variants, [1, 2])).run()
    assert sorted(os.listdir(tmp_path)) == ["color_1", "color_2", "line_art", "original"]
    assert {folder: [file.name for file in found] for folder, found in files.items()} == {
        folder: ["0001.png", "0002.png"] for folder in ("original", "color_1", "color_2", "line_art")
    }
    original, first, second = (read_frame(tmp_path / name / "0001.png") for name in ("original", "color_1", "color_2"))
    assert np.array_equal((original == 0).all(axis=-1), (first == 0).all(axis=-1))
    assert (original != first).any()
    assert (first != second).any()
    assert not is_converted(scene)
    assert scene.render.engine == engine


def test_variants_of_a_converted_scene_leave_it_as_it_was_converted(scene, tmp_path):
    convert(scene, settings_with())
    variants = variants_of(settings_with(), augmented=1, line_art=False)
    Job("Render", variant_steps(scene, tmp_path, variants, [1])).run()
    assert is_converted(scene)
    assert tuple(bpy.data.materials["Cube"].diffuse_color) == pytest.approx((0.1, 0.4, 0.8, 1))


def test_the_same_seed_gives_the_same_frames(scene, tmp_path):
    variants = variants_of(settings_with(seed=7), augmented=1, line_art=False)
    for name in ("one", "two"):
        Job("Render", variant_steps(scene, tmp_path / name, variants, [1])).run()
    one, two = (read_frame(tmp_path / name / "color_1" / "0001.png") for name in ("one", "two"))
    assert np.array_equal(one, two)


def test_fast_contours_refuse_a_render_region(scene, tmp_path):
    scene.render.use_border = True
    convert(scene, settings_with())
    with pytest.raises(InputError, match="render region"):
        rendered(scene, tmp_path)


def test_restored_scene_renders_without_lines(scene, tmp_path):
    before = rendered(scene, tmp_path / "before")[0]
    convert(scene, settings_with())
    restore(scene)
    assert np.array_equal(rendered(scene, tmp_path / "after")[0], before)


def test_pictures_survive_letters_beyond_ascii(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    path = tmp_path / "夕焼け.png"
    write_png(path, picture)
    assert np.array_equal(read_frame(path), picture)


def test_video_shows_the_frames(scene, tmp_path):
    convert(scene, settings_with())
    files = Job("Render", render_steps(scene, tmp_path)).run()
    scenes = list(bpy.data.scenes)
    write_scene_video(tmp_path / "shot.mp4", files, scene)
    assert list(bpy.data.scenes) == scenes
    video = cv2.VideoCapture(str(tmp_path / "shot.mp4"))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(scene.render.fps)
    for file in files:
        has_frame, picture = video.read()
        assert has_frame
        assert np.abs(picture[..., ::-1].astype(int) - read_frame(file)).mean() < 10
    assert not video.read()[0]


def animerun(*arguments):
    command = [sys.executable, "-m", "animerun_addon", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)


def test_style_command_converts_a_file_and_back(scene, tmp_path):
    plain, styled, back = (tmp_path / name for name in ("plain.blend", "styled.blend", "back.blend"))
    engine = scene.render.engine
    bpy.ops.wm.save_as_mainfile(filepath=str(plain))
    done = animerun("style", plain, "--out", styled, "--contours", "outline", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["changed"]["Flat shading"] > 0
    bpy.ops.wm.open_mainfile(filepath=str(styled))
    assert bpy.context.scene.render.engine == "BLENDER_WORKBENCH"
    done = animerun("style", styled, "--restore", "--out", back)
    assert done.returncode == 0, done.stderr
    bpy.ops.wm.open_mainfile(filepath=str(back))
    assert bpy.context.scene.render.engine == engine
    assert not is_converted(bpy.context.scene)


def test_render_command_makes_variants_line_art_and_a_video(scene, tmp_path):
    plain, out = tmp_path / "plain.blend", tmp_path / "out"
    bpy.ops.wm.save_as_mainfile(filepath=str(plain))
    words = ["--style", "--contours", "fast", "--line-art", "--augment", "1", "--seed", "7", "--frames", "1-2"]
    done = animerun("render", plain, "--out", out, *words, "--video", out / "shot.mp4", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 6
    assert sorted(os.listdir(out)) == ["color_1", "line_art", "original", "shot.mp4"]


def test_wrong_step_is_one_line_and_a_users_mistake(scene, tmp_path):
    plain = tmp_path / "plain.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(plain))
    done = animerun("style", plain, "--out", tmp_path / "x.blend", "--without", "magic")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "magic" in done.stderr
    assert not (tmp_path / "x.blend").exists()
