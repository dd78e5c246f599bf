# SPDX-License-Identifier: GPL-3.0-or-later
"""Long runs, only in `make test-all`: kills at random moments, many seeds, hundreds of switch-ons."""

import random
import subprocess
import sys
import time
from pathlib import Path

import bpy
import cv2
import numpy as np
import pytest

from animerun_addon import registration
from animerun_addon.pipeline.job import Job
from animerun_addon.scene.demo import build_steps
from animerun_addon.scene.frames import render_png, writing_png

pytestmark = pytest.mark.torture
PROJECT = Path(__file__).parents[2]


def test_renders_killed_at_random_moments_leave_only_whole_frames(tiny_scene, tmp_path):
    tiny_scene.render.resolution_x, tiny_scene.render.resolution_y = 640, 320
    blend, out = tmp_path / "shot.blend", tmp_path / "out"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    command = [sys.executable, "-m", "animerun_addon", "render", str(blend), "--out", str(out), "--frames", "1-5000"]
    chance = random.Random(1)
    for _ in range(20):
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.8, 3.0))
        assert process.poll() is None
        process.kill()
        process.wait()
        assert all(cv2.imread(str(path)) is not None for path in out.glob("[0-9]*.png"))
    frames = sorted(out.glob("[0-9]*.png"))
    assert frames
    assert {cv2.imread(str(path)).shape for path in frames} == {(320, 640, 3)}
    # What a kill left of an unfinished frame goes when that frame is rendered again.
    last = max((int(path.name.split(".")[1]) for path in out.glob(".*")), default=1)
    subprocess.run([*command[:-1], f"1-{last}"], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("seed", range(1, 13))
def test_every_seed_makes_a_picture_with_everything_in_it(seed, tmp_path):
    scene = Job("Demo scene", build_steps(seed)).run()
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_percentage = 25
    pictures = []
    with writing_png(scene):
        for frame in (1, 24, 48):
            render_png(scene, frame, tmp_path / "frame.png")
            pictures.append(cv2.imread(str(tmp_path / "frame.png")).astype(np.float32))
    for picture in pictures:
        assert picture.std() > 30, "a picture has contrast"
    assert np.abs(pictures[0] - pictures[2]).mean() > 10, "the shot moves"


def test_hundreds_of_switch_ons():
    count = len(bpy.types.Operator.__subclasses__())
    for _ in range(300):
        registration.register()
        registration.unregister()
    assert len(bpy.types.Operator.__subclasses__()) == count
