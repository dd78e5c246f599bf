# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera, light, world and render settings of the demo shot. No geometry here."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..versions import eevee_engine, node_tree_of
from .look import SKY, SKY_HORIZON
from .materials import linear
from .rig import animate
from .workshop import Workshop

FIRST_FRAME, LAST_FRAME = 1, 48
WIDTH_PX, HEIGHT_PX = 1024, 436
CAMERA, TARGET = "Camera", "Camera target"
_LINE_COLOUR = (0.10, 0.06, 0.09)

# Frame, camera x, y, z, focal length in mm.
_CAMERA_KEYS = (
    (1, 1.75, -3.70, 0.62, 38.0),
    (16, 3.05, -3.95, 0.55, 42.0),
    (32, 4.55, -4.35, 0.60, 34.0),
    (48, 5.45, -4.90, 0.80, 42.0),
)
# Frame, what the camera looks at: ahead of the heroine in x, and height.
_TARGET_KEYS = (
    (1, 0.28, 0.98),
    (16, 0.30, 0.95),
    (26, 0.32, 0.95),
    (32, 0.34, 1.18),
    (40, 0.32, 1.02),
    (48, 0.25, 1.02),
)


def add_camera(workshop: Workshop, scene: Any, collection: Any, heroine_x: Any) -> Any:
    """A camera on a dolly that follows a target and zooms; `heroine_x` (F,) is where she is at every frame."""
    target = workshop.object(TARGET, None, collection)
    target.empty_display_size = 0.2
    data = workshop.new("cameras", CAMERA)
    camera = workshop.object(CAMERA, data, collection)
    data.sensor_width, data.clip_end = 36.0, 600.0
    data.dof.use_dof = True
    data.dof.focus_object = target
    data.dof.aperture_fstop = 1.4
    track = camera.constraints.new("TRACK_TO")
    track.target, track.track_axis, track.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"

    frames, *ways, lens = np.array(_CAMERA_KEYS, dtype=np.float64).T
    animate(workshop, camera, "Camera dolly", {("location", axis): (frames, way) for axis, way in enumerate(ways)})
    animate(workshop, data, "Camera zoom", {("lens", 0): (frames, lens)})
    target_frames, ahead, height = np.array(_TARGET_KEYS, dtype=np.float64).T
    along = np.asarray(heroine_x)[target_frames.astype(int) - FIRST_FRAME] + ahead
    animate(
        workshop,
        target,
        "Camera target",
        {("location", 0): (target_frames, along), ("location", 2): (target_frames, height)},
    )
    scene.camera = camera
    return camera


def add_light(workshop: Workshop, scene: Any, collection: Any) -> None:
    """A sun from the camera's side, and a sky that lights less than it shows."""
    sun = workshop.new("lights", "Sun", "SUN")
    sun.energy, sun.angle = 3.2, np.radians(1.0)
    sun.color = (1.0, 0.97, 0.92)
    sun.shadow_maximum_resolution = 0.02  # metres: as sharp as the toon ramps need, at half the time
    lamp = workshop.object("Sun", sun, collection, (4.0, -5.0, 8.0))
    lamp.rotation_euler = (np.radians(46.0), np.radians(12.0), np.radians(28.0))

    world = workshop.new("worlds", "Sky")
    world.color = linear(SKY)[:3]  # what Workbench shows
    tree = node_tree_of(world)
    nodes, links = tree.nodes, tree.links
    nodes.clear()
    direction, height = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeSeparateXYZ")
    ramp, seen = nodes.new("ShaderNodeValToRGB"), nodes.new("ShaderNodeBackground")
    lighting, ray, mix = (
        nodes.new("ShaderNodeBackground"),
        nodes.new("ShaderNodeLightPath"),
        nodes.new("ShaderNodeMixShader"),
    )
    output = nodes.new("ShaderNodeOutputWorld")
    low, high = ramp.color_ramp.elements
    low.position, low.color = 0.0, linear(SKY_HORIZON)
    high.position, high.color = 0.45, linear(SKY)
    lighting.inputs["Color"].default_value = (0.25, 0.27, 0.32, 1.0)
    links.new(direction.outputs["Generated"], height.inputs[0])
    links.new(height.outputs["Z"], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], seen.inputs["Color"])
    links.new(ray.outputs["Is Camera Ray"], mix.inputs[0])
    links.new(lighting.outputs["Background"], mix.inputs[1])
    links.new(seen.outputs["Background"], mix.inputs[2])
    links.new(mix.outputs["Shader"], output.inputs["Surface"])
    scene.world = world


def set_up_rendering(scene: Any) -> None:
    """EEVEE as light as it still looks well, and Workbench ready for a quick flat frame."""
    render = scene.render
    render.engine = eevee_engine()
    render.resolution_x, render.resolution_y, render.resolution_percentage = WIDTH_PX, HEIGHT_PX, 100
    render.fps = 24
    scene.frame_start, scene.frame_end = FIRST_FRAME, LAST_FRAME
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    eevee = scene.eevee
    eevee.taa_render_samples, eevee.taa_samples = 6, 4
    eevee.use_raytracing = False
    eevee.use_shadows = True
    eevee.shadow_ray_count, eevee.shadow_step_count, eevee.shadow_pool_size = 1, 1, "64"
    eevee.volumetric_tile_size, eevee.volumetric_samples = "16", 8
    eevee.volumetric_start, eevee.volumetric_end = 0.5, 150.0
    shading = scene.display.shading
    scene.display.render_aa = "8"
    shading.light, shading.color_type = "FLAT", "TEXTURE"  # as materials, but cards are cut out
    shading.show_backface_culling = True  # or inverted hulls are black shapes
    shading.show_object_outline = True
    shading.object_outline_color = _LINE_COLOUR
    shading.background_type = "WORLD"
