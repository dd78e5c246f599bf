# SPDX-License-Identifier: GPL-3.0-or-later
"""What the 2D conversion hides: air, light, glass, helpers, names, hair, drawings; and what it must not hide."""

import time

import bpy
import pytest
from demo_shots import built
from snapshot_scenes import hide_in_collection, instance_of, link, shots, square
from style_scenes import block, convert, material, told, touched, workbench

from animerun_addon.labels.snapshot import NO_SURFACE
from animerun_addon.scene.id_pass import visible_triangles
from animerun_addon.scene.snapshot import SnapshotReader
from animerun_addon.scene.style import StyleSettings, restore
from animerun_addon.scene.style import convert as convert_all
from animerun_addon.scene.versions import node_tree_of
from animerun_addon.style_settings import GreasePencil


def hide_environment(scene, **choices):
    return convert(scene, "hide_environment", **choices)


def is_hidden(thing):
    assert thing.hide_render == thing.hide_viewport
    return thing.hide_render


def domain(scene, name, kind):
    thing = block(scene, name)
    fluid = thing.modifiers.new("Fluid", "FLUID")
    fluid.fluid_type = "DOMAIN"
    fluid.domain_settings.domain_type = kind
    return thing


def fog(name="Fog"):
    return material("VolumePrincipled", into="Volume", name=name)


def glass():
    return material("BsdfTransparent", "BsdfGlass", name="Glass")


def paint():
    return material("BsdfDiffuse", name="Paint")


def glow(strength=1.0, name="Glow"):
    return material("Emission", name=name, Strength=strength)


def rig(scene, *things):
    armature = link(scene, "Rig", bpy.data.armatures.new("Rig"))
    for thing in things:
        thing.parent = armature
    return armature


def test_volumes_go_and_surfaces_stay(tiny_scene):
    volume = link(tiny_scene, "Cloud", bpy.data.volumes.new("Cloud"))
    smoke, water = domain(tiny_scene, "Smoke", "GAS"), domain(tiny_scene, "Water", "LIQUID")
    haze, mixed = block(tiny_scene, "Haze", 1, fog()), block(tiny_scene, "Mixed", 1, fog(), paint())
    before = touched(tiny_scene)
    hide_environment(tiny_scene)
    assert [is_hidden(thing) for thing in (volume, haze, water, mixed)] == [True, True, False, False]
    assert smoke.hide_render
    assert not bpy.data.objects["Triangle"].hide_render
    restore(tiny_scene)
    assert touched(tiny_scene) == before


def test_the_worlds_volume_is_unplugged_and_plugged_in_again(tiny_scene):
    tiny_scene.world = bpy.data.worlds.new("World")
    tree = node_tree_of(tiny_scene.world)
    tree.nodes.clear()
    output, mist = tree.nodes.new("ShaderNodeOutputWorld"), tree.nodes.new("ShaderNodeVolumeScatter")
    sky = tree.nodes.new("ShaderNodeBackground")
    tree.links.new(mist.outputs[0], output.inputs["Volume"])
    tree.links.new(sky.outputs[0], output.inputs["Surface"])
    hide_environment(tiny_scene)
    mist.name = output.name = "Renamed"
    assert output.inputs["Volume"].links[0].is_muted
    assert not output.inputs["Surface"].links[0].is_muted
    report = restore(tiny_scene)
    assert not output.inputs["Volume"].links[0].is_muted
    assert not report.kept


def test_panes_go_unless_they_are_to_stay(tiny_scene):
    pane = block(tiny_scene, "Pane", 1, glass())
    lens = block(tiny_scene, "Lens", 1, material("BsdfPrincipled", **{"Transmission Weight": 1.0}))
    window = block(tiny_scene, "Window", 1, glass(), paint())
    card = block(tiny_scene, "Card", 1, material("BsdfTransparent", "BsdfDiffuse"))
    mirror = block(tiny_scene, "Mirror", 1, material("BsdfGlossy"))
    ghost = block(tiny_scene, "Ghost", 1, material("BsdfPrincipled", Alpha=0.3))
    things = (pane, lens, window, card, mirror, ghost)
    hide_environment(tiny_scene)
    assert [is_hidden(thing) for thing in things] == [True, True, False, False, False, False]
    hide_environment(tiny_scene, hide_glass=False)
    assert not any(map(is_hidden, things))


def test_water_and_glass_characters_stay_and_are_told(tiny_scene):
    sea, slime, cornea = (block(tiny_scene, name, 1, glass()) for name in ("Sea", "Slime", "Cornea"))
    sea.modifiers.new("Ocean", "OCEAN")
    for thing, bones in ((slime, ("hip", "head")), (cornea, ("head",))):
        thing.modifiers.new("Rig", "ARMATURE").object = rig(tiny_scene)
        for bone in bones:
            thing.vertex_groups.new(name=bone)
    report = hide_environment(tiny_scene)
    assert [is_hidden(thing) for thing in (sea, slime, cornea)] == [False, False, True]
    assert "water" in told(report, sea)
    assert "character" in told(report, slime)


def test_glass_in_a_group_is_found(tiny_scene):
    tree = bpy.data.node_groups.new("Glass", "ShaderNodeTree")
    for kind in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Shader", in_out=kind, socket_type="NodeSocketShader")
    entry, leave = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    mix, clear = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBsdfTransparent")
    tree.links.new(entry.outputs[0], mix.inputs[1])
    tree.links.new(clear.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], leave.inputs[0])
    kinds = []
    for shader in ("BsdfGlass", "BsdfDiffuse"):
        made = material(shader)
        nodes, links = made.node_tree.nodes, made.node_tree.links
        group = nodes.new("ShaderNodeGroup")
        group.node_tree = tree
        links.new(next(node for node in nodes if shader in node.bl_idname).outputs[0], group.inputs[0])
        links.new(group.outputs[0], next(node for node in nodes if node.type == "OUTPUT_MATERIAL").inputs["Surface"])
        kinds.append(block(tiny_scene, shader, 1, made))
    hide_environment(tiny_scene)
    assert [is_hidden(thing) for thing in kinds] == [True, False]


def test_light_panels_go(tiny_scene):
    box, flat = block(tiny_scene, "Box", 1, glow()), block(tiny_scene, "Flat", 1, glow(5.0))
    flat.scale.z = 0.02
    for number in range(3):
        block(tiny_scene, f"House {number}", 1, paint())
    hide_environment(tiny_scene)
    assert is_hidden(box)
    assert is_hidden(flat)
    assert not any(is_hidden(bpy.data.objects[f"House {number}"]) for number in range(3))


def skinned(scene, thing):
    thing.modifiers.new("Rig", "ARMATURE").object = rig(scene)


def on_a_bone(scene, thing):
    rig(scene, thing)


def follows_a_bone(scene, thing):
    thing.constraints.new("COPY_TRANSFORMS").target = rig(scene)


def with_a_blink(scene, thing):
    thing.shape_key_add(name="Basis")


def with_a_picture(scene, thing):
    nodes, links = thing.data.materials[0].node_tree.nodes, thing.data.materials[0].node_tree.links
    emission = next(node for node in nodes if node.type == "EMISSION")
    links.new(nodes.new("ShaderNodeTexImage").outputs["Color"], emission.inputs["Color"])


def in_a_characters_material(scene, thing):
    skinned(scene, block(scene, "Body", 1, thing.data.materials[0]))


def of_many_faces(scene, thing):
    bpy.ops.mesh.primitive_uv_sphere_add()
    sphere = bpy.context.object
    sphere.data.materials.append(thing.data.materials[0])
    thing.data = sphere.data


@pytest.mark.parametrize(
    "made",
    [skinned, on_a_bone, follows_a_bone, with_a_blink, with_a_picture, in_a_characters_material, of_many_faces],
    ids=lambda made: made.__name__,
)
@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_emission_that_is_no_panel_stays(tiny_scene, made, strength):
    thing = block(tiny_scene, "Glowing", 1, glow(strength))
    for number in range(5):
        block(tiny_scene, f"House {number}", 1, paint())
    made(tiny_scene, thing)
    report = hide_environment(tiny_scene)
    assert not is_hidden(thing)
    # Of rigged things that glow nothing is told: they are characters. The others may be meant to go.
    is_in_doubt = strength > 1 and made in (with_a_picture, in_a_characters_material, of_many_faces)
    assert bool(told(report, thing)) == is_in_doubt


def test_a_scene_that_is_painted_with_emission_stays_but_for_what_is_brighter(tiny_scene):
    houses = [block(tiny_scene, f"House {number}", 1, glow(name="Wall")) for number in range(5)]
    lamp = block(tiny_scene, "Lamp", 1, glow(4.0))
    hide_environment(tiny_scene)
    assert not any(map(is_hidden, houses))
    assert is_hidden(lamp)


def test_what_the_camera_does_not_see_is_not_drawn_by_workbench_either(tiny_scene, tmp_path):
    for thing in tuple(tiny_scene.objects):
        if thing.type == "MESH":
            bpy.data.objects.remove(thing)
    bouncer, catcher, hole, mask = (block(tiny_scene, name) for name in ("Bouncer", "Catcher", "Hole", "Mask"))
    for thing in (bouncer, catcher, hole, mask):
        thing.location.z = -5
    bouncer.visible_camera = False
    catcher.is_shadow_catcher = hole.is_holdout = True
    mask.data.materials.append(material("Holdout"))
    assert workbench(tiny_scene, tmp_path)[..., 3].any()
    hide_environment(tiny_scene)
    assert all(map(is_hidden, (bouncer, catcher, hole, mask)))
    assert not workbench(tiny_scene, tmp_path)[..., 3].any()


def test_what_only_lights_in_every_view_layer_goes(tiny_scene):
    bouncer = square(tiny_scene, "Bouncer")
    collection = hide_in_collection(bouncer)
    tiny_scene.collection.children.link(collection)
    tiny_scene.view_layers.new("Second")
    first, second = (layer.layer_collection.children[0] for layer in tiny_scene.view_layers)
    first.indirect_only = True
    hide_environment(tiny_scene)
    assert not is_hidden(bouncer)
    second.indirect_only = True
    hide_environment(tiny_scene)
    assert is_hidden(bouncer)


def test_an_animated_ray_visibility_is_told(tiny_scene):
    thing = block(tiny_scene)
    thing.visible_camera = False
    thing.keyframe_insert("visible_camera", frame=1)
    assert "animate its render visibility" in told(hide_environment(tiny_scene), thing)
    assert not is_hidden(thing)


def test_names_and_materials_of_the_users_choice_go(tiny_scene):
    dot, other = block(tiny_scene, "Shiny dot.001"), block(tiny_scene, "Dotted")
    half = block(tiny_scene, "Half", 1, material("BsdfDiffuse", name="Sparkle"), paint())
    whole = block(tiny_scene, "Whole", 1, bpy.data.materials["Sparkle"])
    hide_environment(tiny_scene, hidden_names="shiny*, SPARKLE")
    assert [is_hidden(thing) for thing in (dot, other, half, whole)] == [True, False, False, True]


def test_hidden_things_go_on_pushing_and_emitting(tiny_scene):
    bumper, wind, emitter, spots = (block(tiny_scene, name, 1, fog()) for name in ("Bump", "Wind", "Emit", "Spots"))
    bumper.modifiers.new("Collision", "COLLISION")
    tiny_scene.view_layers[0].objects.active = wind
    bpy.ops.object.forcefield_toggle()
    emitter.modifiers.new("Particles", "PARTICLE_SYSTEM").particle_system.settings.render_type = "HALO"
    spots.instance_type = "VERTS"
    square(tiny_scene, "Spot").parent = spots
    before = touched(tiny_scene)
    hide_environment(tiny_scene)
    for thing in (bumper, wind):
        assert (thing.hide_render, thing.hide_viewport) == (True, False)
    for thing in (emitter, spots):
        assert not is_hidden(thing)
        assert not thing.show_instancer_for_render
    restore(tiny_scene)
    assert touched(tiny_scene) == before


def test_animated_visibility_is_overruled_and_comes_back(tiny_scene):
    haze = block(tiny_scene, "Haze", 1, fog())
    for frame, value in ((1, True), (2, False)):
        haze.hide_render = value
        haze.keyframe_insert("hide_render", frame=frame)
    before = touched(tiny_scene)
    hide_environment(tiny_scene)
    for frame in (1, 2):
        tiny_scene.frame_set(frame)
        assert haze.hide_render
    tiny_scene.frame_set(2)
    restore(tiny_scene)
    assert touched(tiny_scene) == before


def test_what_nodes_put_into_the_frame_is_told(tiny_scene):
    dot, host = block(tiny_scene, "Dot", 1, glow()), square(tiny_scene, "Host")
    tree = bpy.data.node_groups.new("Nodes", "GeometryNodeTree")
    tree.nodes.new("GeometryNodeObjectInfo").inputs["Object"].default_value = dot
    host.modifiers.new("Nodes", "NODES").node_group = tree
    report = hide_environment(tiny_scene, hidden_names="dot")
    assert is_hidden(dot)
    assert "'Host' still put it into the frame" in told(report, dot)


def linked_from_library(path, *blocks):
    """The same of a library at `path`; the local ones are removed."""
    names = [block.name for block in blocks]
    bpy.data.libraries.write(str(path), set(blocks))
    for one in blocks:
        for thing in tuple(one.all_objects):
            bpy.data.objects.remove(thing)
        bpy.data.collections.remove(one)
    with bpy.data.libraries.load(str(path), link=True) as (_, into):
        into.collections = names
    return into.collections


def test_linked_things_are_excluded_with_their_collection_or_their_empty_or_told(tiny_scene, tmp_path):
    all_fog, some_fog, shown = (bpy.data.collections.new(name) for name in ("All fog", "Some fog", "Instanced fog"))
    for collection, *names in ((all_fog, "Haze"), (some_fog, "Mist", "Tree"), (shown, "Steam")):
        for name in names:
            thing = block(tiny_scene, name, 1, fog() if name != "Tree" else paint())
            collection.objects.link(thing)
            tiny_scene.collection.objects.unlink(thing)
    all_fog, some_fog, shown = linked_from_library(tmp_path / "library.blend", all_fog, some_fog, shown)
    for collection in (all_fog, some_fog):
        tiny_scene.collection.children.link(collection)
    empty = instance_of(tiny_scene, "Steamer", shown)
    tiny_scene.view_layers.new("Second")
    before = touched(tiny_scene)
    report = hide_environment(tiny_scene)
    for layer in tiny_scene.view_layers:
        assert [child.exclude for child in layer.layer_collection.children] == [True, False]
    assert is_hidden(empty)
    assert {finding.name.partition(" ")[0] for finding in report.left} == {"Mist"}
    assert "linked from" in " ".join(finding.text for finding in report.left)
    restore(tiny_scene)
    assert touched(tiny_scene) == before


def test_what_shows_itself_is_hidden_even_if_an_empty_shows_it_too(tiny_scene):
    haze = block(tiny_scene, "Haze", 1, fog())
    collection = bpy.data.collections.new("Shown")
    collection.objects.link(haze)
    empty = instance_of(tiny_scene, "Empty", collection)
    hide_environment(tiny_scene)
    assert is_hidden(empty)
    assert is_hidden(haze)


def test_two_scenes_that_share_fog_hide_it_until_both_let_go(tiny_scene):
    haze = block(tiny_scene, "Haze", 1, fog())
    other = bpy.data.scenes.new("Other")
    other.collection.objects.link(haze)
    before = touched(tiny_scene)
    hide_environment(tiny_scene)
    hide_environment(other)
    restore(tiny_scene)
    assert is_hidden(haze)
    restore(other)
    assert touched(tiny_scene) == before


def test_grease_pencil_is_told_or_hidden(tiny_scene):
    bpy.ops.object.grease_pencil_add(type="STROKE")
    drawing = bpy.context.object
    assert "no flow" in told(convert(tiny_scene), drawing)
    assert not is_hidden(drawing)
    assert not told(convert(tiny_scene, grease_pencil=GreasePencil.HIDE), drawing)
    assert is_hidden(drawing)
    restore(tiny_scene)
    assert not is_hidden(drawing)


def test_hair_goes_and_the_skin_stays(tiny_scene):
    head, wig, ribbon = (
        square(tiny_scene, "Head"),
        *(link(tiny_scene, name, bpy.data.hair_curves.new(name)) for name in ("Wig", "Ribbon")),
    )
    settings = head.modifiers.new("Hair", "PARTICLE_SYSTEM").particle_system.settings
    settings.type = "HAIR"
    tree = bpy.data.node_groups.new("Nodes", "GeometryNodeTree")
    tree.nodes.new("GeometryNodeCurveToMesh")
    ribbon.modifiers.new("Nodes", "NODES").node_group = tree
    before = touched(tiny_scene)
    convert(tiny_scene, "no_hair")
    assert not head.modifiers["Hair"].show_render
    assert not head.modifiers["Hair"].show_viewport
    assert [is_hidden(thing) for thing in (head, wig, ribbon)] == [False, True, False]
    restore(tiny_scene)
    assert touched(tiny_scene) == before


def test_none_of_fog_fur_glass_and_glow_is_left_in_the_demo_scene():
    scene = built()
    before = touched(scene)
    convert_all(scene, StyleSettings())
    reader, seen = SnapshotReader(scene), []
    for snapshot in shots(scene, (1, 24), reader):
        ids = visible_triangles(snapshot)[0]
        seen.append({snapshot.object_names[number] for number in snapshot.object_ids[ids[ids != NO_SURFACE]]})
        assert not snapshot.notes
        assert not any("particles" in str(instance.key).lower() for instance in snapshot.instances)
    for names in seen:
        assert not {"AR Fog", "AR Vending machine glass", "AR Vending machine light", "AR Shop sign"} & names
        assert {"AR Heroine body", "AR Heroine face", "AR Heroine hair", "AR Dog body", "AR Street lamp 2"} <= names
        assert any(name.startswith("AR Petal.") for name in names)
    assert not scene.objects["AR Fur grass"].hide_render
    restore(scene)
    assert touched(scene) == before


def test_two_thousand_objects_are_gone_through_in_no_time(tiny_scene):
    made = [material("BsdfDiffuse"), fog(), glass(), glow()]
    meshes = [block(tiny_scene, "Source", 1, one).data for one in made]
    for number in range(2000):
        link(tiny_scene, f"Thing {number}", meshes[number % 4])
    start = time.process_time()
    convert(tiny_scene, "no_hair", "replace_particles", "hide_environment")
    seconds = time.process_time() - start
    print(f"2,000 objects: {seconds * 1e3:.0f} ms")
    assert sum(thing.hide_render for thing in tiny_scene.objects) > 999
    assert seconds < 1
