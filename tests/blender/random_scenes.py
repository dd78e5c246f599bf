# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes with a bit of everything that a 2D conversion can touch, built from features, and a user's edits to them."""

import bpy
from snapshot_scenes import link, square
from style_scenes import block, material

from animerun_addon.scene.versions import eevee_engine, node_tree_of

LIBRARY_COLLECTION = "Character"


def build(features, library):
    """A new file's scene with these features; `library` is a file by write_library()."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.frame_end = 32, 16, 4
    scene.render.engine = eevee_engine()
    body = block(scene, "Body", 1.0, material("BsdfPrincipled", name="Skin"), material("BsdfPrincipled", name="Cloth"))
    body.modifiers.new("Bevel", "BEVEL")
    body["user's own"] = 7
    camera = bpy.data.cameras.new("Camera")
    camera.dof.use_dof = True
    scene.camera = link(scene, "Camera", camera)
    scene.camera.location = 0, 0, 12
    for feature in features:
        feature(scene, library)
    # What is animated has its value of this frame, as in any file that somebody worked in.
    scene.frame_set(1)
    return scene


def write_library(path):
    """A file with a character to link: a mesh with fur, a lamp helper and glass, in a collection."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    collection = bpy.data.collections.new(LIBRARY_COLLECTION)
    scene.collection.children.link(collection)
    hero = block(scene, "Hero", 1.0, material("BsdfPrincipled", name="Hero skin"))
    hero.modifiers.new("Fur", "PARTICLE_SYSTEM").particle_system.settings.type = "HAIR"
    pane = block(scene, "Hero glass", 1.0, material("BsdfGlass", name="Hero pane"))
    panel = block(scene, "Hero lamp", 1.0, material("Emission", name="Hero light"))
    for thing in (hero, pane, panel):
        scene.collection.objects.unlink(thing)
        collection.objects.link(thing)
    bpy.ops.wm.save_as_mainfile(filepath=str(path))


# Features


def environment(scene, library):
    block(scene, "Fog", 3.0, material("VolumePrincipled", into="Volume", name="Fog"))
    block(scene, "Lamp panel", 0.5, material("Emission", name="Glow"))
    block(scene, "Pane", 0.5, material("BsdfGlass", name="Glass"))
    scene.world = bpy.data.worlds.new("World")
    tree = node_tree_of(scene.world)
    tree.links.new(tree.nodes.new("ShaderNodeVolumePrincipled").outputs[0], tree.nodes["World Output"].inputs["Volume"])


def inverted_hull(scene, library):
    hull = scene.objects["Body"].modifiers.new("Outline", "SOLIDIFY")
    hull.use_flip_normals = True
    black = material("Emission", name="Black")
    black.use_backface_culling = True
    scene.objects["Body"].data.materials.append(black)
    square(scene, "Card").data.materials.append(bpy.data.materials["Skin"])


def hair(scene, library):
    system = scene.objects["Body"].modifiers.new("Hair", "PARTICLE_SYSTEM").particle_system
    system.settings.type = "HAIR"
    system.settings.count = 5


def emitter(scene, library):
    ground = block(scene, "Emitter", 0.5)
    system = ground.modifiers.new("Petals", "PARTICLE_SYSTEM").particle_system
    system.settings.count, system.settings.frame_end = 4, 1
    system.settings.render_type = "OBJECT"
    system.settings.instance_object = block(scene, "Petal", 0.1, bpy.data.materials["Cloth"])


def animated_settings(scene, library):
    for thing, path in (
        (scene.objects["Body"], "hide_render"),
        (scene.camera.data, "dof.use_dof"),
        (scene, "render.dither_intensity"),
    ):
        thing.keyframe_insert(path, frame=1)
        thing.keyframe_insert(path, frame=3)
    skin = bpy.data.materials["Skin"]
    skin.keyframe_insert("diffuse_color", frame=1)
    node_tree_of(skin).nodes[1].inputs[0].keyframe_insert("default_value", frame=1)
    scene.camera.data.lens = 35
    scene.camera.data.keyframe_insert("lens", frame=1)
    scene.camera.data.lens = 70
    scene.camera.data.keyframe_insert("lens", frame=4)


def drivers(scene, library):
    hair(scene, library)
    for thing, path in (
        (scene.objects["Body"], 'modifiers["Hair"].show_render'),
        (scene.camera.data, "dof.use_dof"),
        (scene, "view_settings.exposure"),
        (bpy.data.materials["Cloth"], "diffuse_color"),
        (scene, 'view_layers["ViewLayer"].use_freestyle'),
    ):
        made = thing.driver_add(path)
        for curve in made if isinstance(made, list) else [made]:
            curve.driver.expression = "frame > 2"


def nla(scene, library):
    thing = block(scene, "In NLA", 0.3, material("Emission", name="NLA glow"))
    thing.keyframe_insert("hide_render", frame=1)
    action, slot = thing.animation_data.action, thing.animation_data.action_slot
    thing.animation_data.action = None
    strip = thing.animation_data.nla_tracks.new().strips.new("Strip", 1, action)
    strip.action_slot = slot


def shared_action(scene, library):
    first, second = block(scene, "First", 0.3, material("Emission", name="Shared glow")), block(scene, "Second", 0.3)
    first.keyframe_insert("hide_render", frame=1)
    second.animation_data_create().action = first.animation_data.action
    second.animation_data.action_slot = first.animation_data.action_slot


def view_layers(scene, library):
    second = scene.view_layers.new("Second")
    scene.view_layers.new("Unused").use = False
    collection = bpy.data.collections.new("Glows")
    scene.collection.children.link(collection)
    for number in range(2):
        thing = block(scene, f"In collection {number}", 0.2, material("Emission", name="Collected glow"))
        scene.collection.objects.unlink(thing)
        collection.objects.link(thing)
    bpy.context.view_layer.update()
    second.update()
    scene.objects["In collection 0"].hide_set(True, view_layer=second)
    second.layer_collection.children["Glows"].holdout = True


def freestyle(scene, library):
    line_sets = scene.view_layers[0].freestyle_settings.linesets
    mine = [line_sets.new(name) for name in ("Mine", "Also mine")]
    mine[1].linestyle = mine[0].linestyle
    mine[1].show_render = False
    scene.render.use_freestyle = True
    scene.render.line_thickness_mode = "RELATIVE"
    line_sets.active_index = 1


def postprocessing(scene, library):
    scene.render.use_compositing = scene.render.use_sequencer = scene.render.use_stamp = True
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Punchy"
    scene.view_settings.exposure = 1.5
    scene.display.shading.show_cavity = True


def markers(scene, library):
    other = link(scene, "Camera 2", bpy.data.cameras.new("Camera 2"))
    for number, camera in enumerate((scene.camera, other)):
        scene.timeline_markers.new(f"Cut {number}", frame=1 + 2 * number).camera = camera


def second_scene(scene, library):
    other = bpy.data.scenes.new("Other")
    link(other, "Sharer", scene.objects["Body"].data)
    other.collection.objects.link(scene.objects["Body"])


def linked_character(scene, library):
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.collections = [LIBRARY_COLLECTION]
    scene.collection.children.link(wanted.collections[0])


def overridden_character(scene, library):
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.collections = [LIBRARY_COLLECTION]
    wanted.collections[0].override_hierarchy_create(scene, scene.view_layers[0], do_fully_editable=True)


FEATURES = (
    environment, inverted_hull, hair, emitter, animated_settings, drivers, nla, shared_action, view_layers, freestyle,
    postprocessing, markers, second_scene, linked_character, overridden_character,
)  # fmt: skip


# What a user does in between, with nothing that the conversion sets


def rename_everything(scene):
    for blocks in (bpy.data.objects, bpy.data.materials, bpy.data.cameras, bpy.data.collections, bpy.data.actions):
        for one in [
            one for one in blocks if one.library is None and one.override_library is None and not _is_made(one)
        ]:
            one.name = f"Renamed {one.name}"
    for layer in scene.view_layers:
        layer.name = f"Renamed {layer.name}"
    for thing in scene.objects:
        for modifier in thing.modifiers if thing.library is None and thing.override_library is None else ():
            modifier.name = f"Renamed {modifier.name}"
    for tree in [tree for one in bpy.data.materials if one.library is None and (tree := one.node_tree) is not None]:
        for node in tree.nodes:
            if not node.label:
                node.name = f"Renamed {node.name}"
    scene.name = "Renamed scene"


def delete_some(scene):
    for name in ("Lamp panel", "Petal", "In collection 1", "First"):
        thing = bpy.data.objects.get(name)
        if thing is not None:
            bpy.data.objects.remove(thing)
    if "Cloth" in bpy.data.materials:
        bpy.data.materials.remove(bpy.data.materials["Cloth"])


def remove_a_modifier(scene):
    thing = next(thing for thing in scene.objects if "user's own" in thing)
    thing.modifiers.remove(thing.modifiers[-1])


def add_more(scene):
    block(scene, "New", 0.5, material("Emission", name="New glow"))
    scene.view_layers.new("New layer")


def copy_objects(scene):
    """As Shift D does: custom properties are copied as well."""
    for number, thing in enumerate([thing for thing in scene.objects if "user's own" in thing]):
        copy = thing.copy()
        copy.name = f"Copy {number}"
        copy.data = thing.data.copy()
        copy.data.name = f"Copied mesh {number}"
        scene.collection.objects.link(copy)


def copy_a_material(scene):
    first = next(one for one in bpy.data.materials if one.library is None and one.override_library is None)
    copy = first.copy()
    copy.name = "Copied material"
    copy.use_fake_user = True


def move_in_stack(scene):
    thing = next(thing for thing in scene.objects if "user's own" in thing)
    thing.modifiers.move(0, len(thing.modifiers) - 1)


EDITS = (
    rename_everything, delete_some, remove_a_modifier, add_more, copy_objects, copy_a_material, move_in_stack,
)  # fmt: skip


def _is_made(block):
    """Whether the conversion made it: not a user's business here."""
    return any('"at": ["self"], "path": ""' in one["json"] for key, one in block.items() if key == "animerun_style")
