# SPDX-License-Identifier: GPL-3.0-or-later
"""Small scenes to export, the command that exports them, and what lies in the folder afterwards."""

import contextlib
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import shots
from labelled import show_flat

from animerun_addon import cli

PROJECT = Path(__file__).parents[2]
# Of the clips that these tests export.
SPLIT, CLIP = "train", "shot"


# The command ----------------------------------------------------------------------------------------------------------


def export_words(blend, root, frames, *more, clip=CLIP):
    """The command line of an export."""
    words = ["export", blend, "--out", root, "--clip", clip, "--split", SPLIT, "--frames", frames, *more, "--json"]
    return [str(word) for word in words]


def export(blend, root, frames, *more, clip=CLIP):
    """The command in this process; what is open is gone afterwards."""
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        code = cli.main(export_words(blend, root, frames, *more, clip=clip))
    return SimpleNamespace(code=code, result=json.loads(out.getvalue().splitlines()[-1]), said=said.getvalue())


def exported(blend, root, frames, *more, clip=CLIP):
    """The result of an export that has to go well."""
    done = export(blend, root, frames, *more, clip=clip)
    assert done.code == 0, done.said
    return done.result


def start_export(blend, root, frames, *more, **options):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "animerun_addon", *export_words(blend, root, frames, *more)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=PROJECT, **pipes, **options)


# What it left ---------------------------------------------------------------------------------------------------------


def tree(root):
    """The hash of every file, hidden ones too, by its path in the data set."""
    files = sorted(path for path in Path(root).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def stamps(root):
    """When every file and folder was changed last."""
    return {path: path.stat().st_mtime_ns for path in Path(root).rglob("*")}


def folder(root, kind, *inner):
    """A folder of the exported clip."""
    return Path(root) / SPLIT / kind / CLIP / Path(*inner)


def names(root, kind, *inner):
    """What lies in it, in order."""
    return sorted(path.name for path in folder(root, kind, *inner).iterdir())


def meta(root, name="meta"):
    """A file that tells of the clip."""
    return json.loads((folder(root, "Meta") / f"{name}.json").read_text())


# Scenes ---------------------------------------------------------------------------------------------------------------


def saved(scene, path):
    """The open file as one on disk."""
    bpy.context.window.scene = scene
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def passing_scene(width_px=96, height_px=64, frame_count=6):
    """A card passes before a wall, another gets a finer mesh frame by frame, a third comes late; the camera pans."""
    scene = bpy.context.scene
    camera = shots.new_camera(scene)
    scene.render.resolution_x, scene.render.resolution_y = width_px, height_px
    show_flat(scene)
    steps = range(frame_count)
    shots.key(camera, "location", *((0.04 * step, -8.0, 0.0) for step in steps))
    wall = card(scene, "Wall", 5.0, (0.9, 0.8, 0.6), (0, 1, 0))
    wall.scale.x = 2.0
    passer = card(scene, "Passer", 1.5, (0.1, 0.2, 0.8))
    shots.key(passer, "location", *((-1.5 + 0.25 * step, 0, 0.3) for step in steps))
    finer = card(scene, "Finer", 1.0, (0.8, 0.1, 0.1), (1.8, 0, -0.6)).modifiers.new("Subdivision", "SUBSURF")
    finer.subdivision_type = "SIMPLE"
    shots.key(finer, "render_levels", *(step % 3 for step in steps))
    late = card(scene, "Latecomer", 0.9, (0.1, 0.6, 0.2), (-2.0, 0.2, -1.0))
    shots.key(late, "hide_render", *(step < frame_count // 2 for step in steps))
    scene.frame_end = frame_count
    return scene


def card(scene, name, size, colour, location=(0.0, 0.0, 0.0)):
    """A square of one colour that faces the camera."""
    thing = shots.new_grid(scene, name, cells=2, size=size)
    thing.location = location
    paint(thing, colour)
    return thing


def paint(thing, colour):
    """One flat material."""
    material = bpy.data.materials.new(thing.name)
    material.diffuse_color = (*colour, 1.0)
    thing.data.materials.clear()
    thing.data.materials.append(material)


def far_from(mask, reach_px):
    """(H, W): pixels farther than this from all that are set; the slow way."""
    y, x = np.indices(mask.shape)
    set_y, set_x = np.nonzero(mask)
    if not len(set_y):
        return np.ones(mask.shape, dtype=bool)
    apart = (y[..., None] - set_y) ** 2 + (x[..., None] - set_x) ** 2
    return apart.min(axis=-1) > reach_px**2
