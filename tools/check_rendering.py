# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders one 8x8 Workbench frame and checks its pixels: does headless Blender work on this machine?"""

import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np


def main() -> int:
    """Render white and look for white."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x = scene.render.resolution_y = 8
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.world = bpy.data.worlds.new("World")
    scene.world.color = (1.0, 1.0, 1.0)
    scene.display.shading.background_type = "WORLD"
    scene.view_settings.view_transform = "Standard"
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder) / "frame.png")
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        pixels = np.empty(8 * 8 * 4, dtype=np.float32)
        image.pixels.foreach_get(pixels)
    if pixels.min() < 0.9:
        print("Blender rendered a white background as", pixels.min(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
