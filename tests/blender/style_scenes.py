# SPDX-License-Identifier: GPL-3.0-or-later
"""Small scenes for the steps of the 2D conversion, single steps of it, and what they touch, to be compared."""

from dataclasses import fields, replace

import bpy
import cv2
import numpy as np
from snapshot_scenes import link

from animerun_addon.scene import style
from animerun_addon.scene.frames import render_png, writing_png
from animerun_addon.scene.style.address import channelbags
from animerun_addon.scene.versions import node_tree_of
from animerun_addon.style_settings import StyleSettings

_OF_OBJECTS = ("hide_render", "hide_viewport", "show_instancer_for_render", "show_instancer_for_viewport", "data")


def convert(scene, *steps, **choices):
    """With these steps alone."""
    return style.convert(scene, only(*steps, **choices))


def only(*steps, **choices):
    switches = {field.name: False for field in fields(StyleSettings) if field.type == "bool"}
    return replace(StyleSettings(), **{**switches, "hide_glass": True, **dict.fromkeys(steps, True), **choices})


def told(report, thing):
    """What the report has to say about a data-block, in one text."""
    return " ".join(finding.text for finding in report.left if finding.name == thing.name_full)


def touched(scene):
    """All that the steps change of a file, as plain values."""
    state = {
        "counts": {name: len(getattr(bpy.data, name)) for name in ("objects", "collections", "actions", "cameras")}
    }
    for thing in bpy.data.objects:
        state[thing.name] = [getattr(thing, name) for name in _OF_OBJECTS]
        state[thing.name] += [(one.name, one.show_render, one.show_viewport) for one in thing.modifiers]
        state[thing.name] += list(thing.keys())
    for action in bpy.data.actions:
        state[action] = [curve.mute for bag in channelbags(action) for curve in bag.fcurves]
    for layer in scene.view_layers:
        state[layer.name] = [child.exclude for child in layer.layer_collection.children]
    state["camera"] = [scene.camera, *(marker.camera for marker in scene.timeline_markers)]
    if scene.world is not None and scene.world.node_tree is not None:
        state["world"] = [one.is_muted for one in scene.world.node_tree.links]
    return state


def workbench(scene, tmp_path):
    """The frame as Workbench draws it, flat and without lines, (H, W, 4)."""
    flat = {
        "render.engine": "BLENDER_WORKBENCH",
        "render.use_freestyle": False,
        "render.film_transparent": True,
        "render.filepath": str(tmp_path / "frame.png"),
        "render.image_settings.file_format": "PNG",
        "render.image_settings.color_mode": "RGBA",
        "render.dither_intensity": 0.0,
        "view_settings.view_transform": "Standard",
        "display.render_aa": "OFF",
        "display.shading.light": "FLAT",
        "display.shading.color_type": "MATERIAL",
        "display.shading.show_object_outline": False,
    }
    before = {path: scene.path_resolve(path) for path in flat}
    put(scene, flat)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    put(scene, before)
    image = bpy.data.images.load(flat["render.filepath"])
    pixels = np.array(image.pixels, np.float32).reshape(image.size[1], image.size[0], 4)
    bpy.data.images.remove(image)
    return pixels


def put(scene, values):
    for path, value in values.items():
        holder, _, name = path.rpartition(".")
        setattr(scene.path_resolve(holder), name, value)


def block(scene, name="Block", size=1.0, *materials):
    """A box with the materials."""
    corners = [(x * size, y * size, z * size) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], sides)
    for number, material in enumerate(materials):
        mesh.materials.append(material)
        mesh.polygons[number].material_index = number
    return link(scene, name, mesh)


def material(*shaders, into="Surface", name="Material", **inputs):
    """Of one shader node, or a mix of two, with these values of their inputs."""
    made = bpy.data.materials.new(name)
    tree = node_tree_of(made)
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    nodes = [tree.nodes.new(f"ShaderNode{shader}") for shader in shaders]
    for node in nodes:
        for socket in node.inputs:
            if socket.name in inputs:
                socket.default_value = inputs[socket.name]
    last = nodes[0]
    if len(nodes) == 2:
        last = tree.nodes.new("ShaderNodeMixShader")
        for number, node in enumerate(nodes):
            tree.links.new(node.outputs[0], last.inputs[1 + number])
    tree.links.new(last.outputs[0], output.inputs[into])
    return made


def frame_of(scene, folder):
    """The frame as the scene is set up, (H, W, 4), 0..255."""
    with writing_png(scene):
        render_png(scene, scene.frame_current, folder / "frame.png")
    frame = cv2.imread(str(folder / "frame.png"), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(frame, cv2.COLOR_BGRA2RGBA if frame.shape[2] == 4 else cv2.COLOR_BGR2RGBA)
