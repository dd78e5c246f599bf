# SPDX-License-Identifier: GPL-3.0-or-later
"""A character's UDP colours, baked into its meshes: which they are, what stays as it was, and that no trace remains."""

import bpy
import numpy as np
import pytest
import rest_scenes
import rna_dump
from characters import CHARACTERS, on_stage
from demo_shots import built
from rest_scenes import build, stage, to_bone
from snapshot_scenes import hide_in_collection, instance_of, link
from test_rest_coordinates import divide

from animerun_addon.errors import InputError
from animerun_addon.labels.udp_encoding import Preset
from animerun_addon.scene.rest_copies import MOVERS
from animerun_addon.scene.udp_bake import BAKE_ATTRIBUTE, bake, bake_state, is_up_to_date, unbake
from animerun_addon.scene.udp_character import udp_character
from animerun_addon.udp_choices import EncodingChoice, Rest, RestChoice

REST, UNIFORM, CONR = RestChoice(), EncodingChoice(Preset.UNIFORM), EncodingChoice(Preset.CONR)
ALL = ("Hero body", "Hero feather", "Hero hat")


@pytest.fixture
def scene():
    return bpy.context.scene


@pytest.fixture
def rig(scene):
    rig = build(scene)
    stage(scene)
    return rig


def colours(thing):
    """(V, 4)"""
    attribute = thing.data.attributes[BAKE_ATTRIBUTE]
    assert (attribute.data_type, attribute.domain) == ("FLOAT_COLOR", "POINT")
    values = np.empty(len(attribute.data) * 4, np.float32)
    attribute.data.foreach_get("color", values)
    return values.reshape(-1, 4)


def points(thing):
    """(V, 3) of the mesh itself, which these characters have where they rest."""
    values = np.empty(len(thing.data.vertices) * 3, np.float32)
    thing.data.vertices.foreach_get("co", values)
    return values.reshape(-1, 3)


def exported(scene, rest=REST, encoding=UNIFORM):
    """What pictures of the hero are made from."""
    return udp_character(scene, "Hero", rest, encoding, frames=())


# Which colours they are -----------------------------------------------------------------------------------------------


def nothing(body):
    pass


def smooth(body):
    modifier = body.modifiers.new("Subdivision", "SUBSURF")
    modifier.levels, modifier.render_levels = 0, 2


def smooth_first(body):
    smooth(body)
    body.modifiers.move(len(body.modifiers) - 1, 0)


def thicken(body):
    body.modifiers.new("Solidify", "SOLIDIFY").thickness = 0.02


def wither(body):
    """Fewer vertices than it has."""
    body.modifiers.new("Decimate", "DECIMATE").ratio = 0.5


def by_nodes(body):
    divide(body)


@pytest.mark.parametrize("encoding", [UNIFORM, CONR, EncodingChoice(Preset.FREE, (0.5, -0.25, 0.3), (0.5, 0.5, 0))])
@pytest.mark.parametrize("change", [nothing, smooth, smooth_first, thicken, wither, by_nodes])
def test_each_point_has_the_colour_of_where_it_rests_whatever_modifiers_make_of_it(scene, rig, change, encoding):
    change(scene.objects["Hero body"])
    baked = bake(scene, "Hero", REST, encoding)
    assert baked.objects == ALL
    hero = exported(scene, encoding=encoding)
    assert baked.clipped_share == hero.clipped_surface
    for name in ALL:
        found = colours(scene.objects[name])
        assert found[:, :3] == pytest.approx(hero.encoding.encode(points(scene.objects[name])), abs=1e-6)
        assert (found[:, 3] == 1).all()


def test_points_that_modifiers_leave_alone_have_the_very_colours_of_exported_pictures(scene, rig):
    body = scene.objects["Hero body"]
    finer = body.modifiers.new("Subdivision", "SUBSURF")
    finer.subdivision_type, finer.render_levels = "SIMPLE", 1
    baked = bake(scene, "Hero", REST, UNIFORM)
    hero = exported(scene)
    for name in ALL:
        own = hero.encoding.encode(hero.by_object[name])[: len(scene.objects[name].data.vertices)]
        assert colours(scene.objects[name])[:, :3] == pytest.approx(own, abs=1e-6)
    assert len(hero.by_object["Hero body"]) > 5 * len(body.data.vertices)
    assert [note for note in baked.notes if "Mirror" in note and "'Hero body'" in note]


def test_modifiers_that_move_vertices_count(scene, rig):
    hat = scene.objects["Hero hat"]
    cast = hat.modifiers.new("Cast", "CAST")
    cast.factor = 0.7
    bake(scene, "Hero", REST, UNIFORM)
    hero = exported(scene)
    found = colours(hat)[:, :3]
    assert found == pytest.approx(hero.encoding.encode(hero.by_object["Hero hat"]), abs=1e-6)
    assert np.abs(found - hero.encoding.encode(points(hat))).max() > 0.01


def test_clothes_that_follow_a_mirrored_body_rest_where_it_takes_them(scene, rig):
    """They are bound to its vertices after the mirror: those of its own mesh would not do."""
    body = scene.objects["Hero body"]
    cloak = link(scene, "Hero cloak", rest_scenes.blocks("Hero cloak", ((0.0, 0.3, 0.9), (0.2, 0.02, 0.3))))
    cloak.parent = rig
    follow = cloak.modifiers.new("Follow", "SURFACE_DEFORM")
    follow.target = body
    scene.frame_set(0)
    rig.data.pose_position = "REST"
    with bpy.context.temp_override(object=cloak):
        bpy.ops.object.surfacedeform_bind(modifier="Follow")
    rig.data.pose_position = "POSE"
    assert follow.is_bound
    bent = RestChoice(Rest.FRAME, frame=8)
    bake(scene, "Hero", bent, UNIFORM)
    hero = exported(scene, bent)
    found = colours(cloak)[:, :3]
    assert found == pytest.approx(hero.encoding.encode(hero.by_object["Hero cloak"]), abs=1e-6)
    assert np.abs(found - hero.encoding.encode(points(cloak))).max() > 0.01


def test_shapes_count_as_they_are_at_rest(scene, rig):
    hat = scene.objects["Hero hat"]
    hat.shape_key_add(name="Basis")
    for name, is_keyed in (("Broad", False), ("Moved", True)):
        shape = hat.shape_key_add(name=name, from_mix=False)
        for point in shape.points:
            point.co.x *= 1.5
        shape.value = 1
        if is_keyed:
            shape.keyframe_insert("value", frame=1)
    bake(scene, "Hero", REST, UNIFORM)
    hero = exported(scene)
    wanted = points(hat) * (1.5, 1, 1)
    assert colours(hat)[:, :3] == pytest.approx(hero.encoding.encode(wanted), abs=1e-6)


def test_baked_in_a_made_a_pose_the_arms_are_where_they_are_held(scene, rig):
    before = rna_dump.dump()
    a_pose = RestChoice(Rest.A_POSE, arms_deg=20)
    bake(scene, "Hero", a_pose, UNIFORM)
    hero = exported(scene, a_pose)
    body = scene.objects["Hero body"]
    found = colours(body)[:, :3]
    assert found == pytest.approx(hero.encoding.encode(hero.by_object["Hero body"])[: len(found)], abs=1e-6)
    assert np.abs(found - hero.encoding.encode(points(body))).max() > 0.02
    assert unbake(scene, "Hero") == ALL
    assert rna_dump.differences(before, rna_dump.dump()) == []


def test_pose_frame_and_place_change_nothing(scene, rig):
    bake(scene, "Hero", REST, UNIFORM)
    before = {name: colours(scene.objects[name]).copy() for name in ALL}
    scene.frame_set(8)
    rig.location, rig.rotation_euler, rig.scale = (3, -2, 1), (0.1, 0.5, 2), (2, 2, 2)
    rig.pose.bones["Spine"].rotation_euler = (1, 1, 1)
    assert bake_state(scene, "Hero").stale == ()
    bake(scene, "Hero", REST, UNIFORM)
    for name in ALL:
        assert colours(scene.objects[name]) == pytest.approx(before[name], abs=1e-6)


def meshes_as_they_are():
    """All that rna_dump has of them; the bones of whole rigs take it minutes."""
    return {mesh.name_full: rna_dump._block(mesh) for mesh in bpy.data.meshes}


def check_bake(scene, name):
    """Bake a whole character, there and back; what its modifiers only move has the colours of exported pictures."""
    before = meshes_as_they_are()
    baked = bake(scene, name, REST, CONR)
    character = udp_character(scene, name, REST, CONR, frames=())
    assert set(baked.objects) == set(character.by_object)
    alike = 0
    for thing in map(scene.objects.get, baked.objects):
        assert np.isfinite(colours(thing)).all()
        if all(modifier.type in MOVERS for modifier in thing.modifiers):
            wanted = character.encoding.encode(character.by_object[thing.name_full])
            assert colours(thing)[:, :3] == pytest.approx(wanted, abs=1e-6)
            alike += 1
    assert bake_state(scene, name).stale == ()
    assert set(unbake(scene, name)) == set(baked.objects)
    assert rna_dump.differences(before, meshes_as_they_are()) == []
    return alike


@pytest.mark.parametrize("name", CHARACTERS)
def test_other_makers_characters_are_baked_there_and_back(name):
    rig = CHARACTERS[name]()
    assert check_bake(on_stage(rig), rig.name) > 0


def test_the_demos_heroine_is_baked_there_and_back():
    scene = built()
    bpy.context.window.scene = scene
    assert check_bake(scene, "AR Heroine") > 0


# What stays as it was -------------------------------------------------------------------------------------------------


def no_colours(mesh):
    pass


def one_active(mesh):
    mesh.color_attributes.new("Skin", "BYTE_COLOR", "CORNER")


def others_active(mesh):
    """Colours, what they render with, and an active attribute, all of them different ones."""
    for name, kind, domain in (("Skin", "BYTE_COLOR", "CORNER"), ("Blush", "FLOAT_COLOR", "POINT")):
        mesh.color_attributes.new(name, kind, domain)
    mesh.color_attributes.active_color_name, mesh.color_attributes.default_color_name = "Skin", "Blush"
    mesh.attributes.new("Weight", "FLOAT", "POINT")
    mesh.uv_layers.new(name="UVMap")
    mesh.attributes.active = mesh.attributes["Weight"]


def none_active(mesh):
    mesh.color_attributes.new("Skin", "FLOAT_COLOR", "POINT")
    mesh.color_attributes.active_color_name = mesh.color_attributes.default_color_name = ""


def active_of(mesh):
    active = mesh.attributes.active
    return mesh.color_attributes.active_color_name, mesh.color_attributes.default_color_name, active and active.name


@pytest.mark.parametrize("attributes", [no_colours, one_active, others_active, none_active])
def test_bake_leaves_other_attributes_as_they_were_and_unbake_leaves_nothing(scene, rig, attributes):
    meshes = [scene.objects[name].data for name in ALL]
    for mesh in meshes:
        attributes(mesh)
    before, active = rna_dump.dump(), [active_of(mesh) for mesh in meshes]
    bake(scene, "Hero", REST, UNIFORM)
    assert [active_of(mesh) for mesh in meshes] == active
    changed = rna_dump.differences(before, rna_dump.dump())
    assert {line.split("/")[0] for line in changed} == {"meshes"}
    assert {line.split("/")[2].split(":")[0] for line in changed} <= {
        "attributes",
        "color_attributes",
        "layers",
        "[animerun_udp]",
    }
    assert unbake(scene, "Hero") == ALL
    assert rna_dump.differences(before, rna_dump.dump()) == []
    assert unbake(scene, "Hero") == ()


def test_bake_twice_is_bake_once(scene, rig):
    bake(scene, "Hero", REST, UNIFORM)
    once = rna_dump.dump(), [colours(scene.objects[name]).tobytes() for name in ALL]
    assert bake(scene, "Hero", REST, UNIFORM).objects == ALL
    assert rna_dump.differences(once[0], rna_dump.dump()) == []
    assert [colours(scene.objects[name]).tobytes() for name in ALL] == once[1]


def test_a_saved_file_has_them_again(scene, rig, tmp_path):
    bake(scene, "Hero", REST, UNIFORM)
    before = rna_dump.dump(), [colours(scene.objects[name]).tobytes() for name in ALL]
    path = str(tmp_path / "baked.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    scene = bpy.context.scene
    assert [colours(scene.objects[name]).tobytes() for name in ALL] == before[1]
    meshes = [{k: v for k, v in dump.items() if k.startswith("meshes")} for dump in (before[0], rna_dump.dump())]
    assert rna_dump.differences(*meshes) == []
    state = bake_state(scene, "Hero")
    assert (state.baked, state.stale) == (ALL, ())
    assert is_up_to_date(scene, "Hero", REST, UNIFORM)


def test_unbake_leaves_no_dead_active_colours_when_the_user_had_ours_active(scene, rig):
    mesh = scene.objects["Hero hat"].data
    others_active(mesh)
    bake(scene, "Hero", REST, UNIFORM)
    mesh.color_attributes.active_color_name = mesh.color_attributes.default_color_name = BAKE_ATTRIBUTE
    unbake(scene, "Hero")
    names = set(mesh.color_attributes.keys())
    assert names == {"Skin", "Blush"}
    assert {mesh.color_attributes.active_color_name, mesh.color_attributes.default_color_name} <= names


# What is stale --------------------------------------------------------------------------------------------------------


def move_a_vertex(scene, rig):
    scene.objects["Hero hat"].data.vertices[3].co.x += 1e-4


def join_them_otherwise(scene, rig):
    mesh = scene.objects["Hero hat"].data
    at = [tuple(vertex.co) for vertex in mesh.vertices]
    faces = [tuple(face.vertices) for face in mesh.polygons][:-1]
    state = mesh["animerun_udp"].to_dict()
    kept = colours(scene.objects["Hero hat"]).copy()
    mesh.clear_geometry()
    mesh.from_pydata(at, [], faces)
    attribute = mesh.attributes.get(BAKE_ATTRIBUTE) or mesh.attributes.new(BAKE_ATTRIBUTE, "FLOAT_COLOR", "POINT")
    attribute.data.foreach_set("color", kept.ravel())
    mesh["animerun_udp"] = state


def divide_in_edit_mode(scene, rig):
    bpy.context.view_layer.objects.active = scene.objects["Hero hat"]
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    bpy.ops.object.mode_set(mode="OBJECT")


def paint_over(scene, rig):
    scene.objects["Hero hat"].data.attributes[BAKE_ATTRIBUTE].data[0].color = (0, 0, 0, 1)


@pytest.mark.parametrize("edit", [move_a_vertex, join_them_otherwise, divide_in_edit_mode, paint_over])
def test_an_edited_mesh_is_stale_alone_until_it_is_baked_again(scene, rig, edit):
    bake(scene, "Hero", REST, UNIFORM)
    assert (bake_state(scene, "Hero").baked, bake_state(scene, "Hero").stale) == (ALL, ())
    edit(scene, rig)
    assert (bake_state(scene, "Hero").baked, bake_state(scene, "Hero").stale) == (ALL, ("Hero hat",))
    assert not is_up_to_date(scene, "Hero", REST, UNIFORM)
    bake(scene, "Hero", REST, UNIFORM)
    assert bake_state(scene, "Hero").stale == ()


def test_another_basis_makes_stale(scene, rig):
    hat = scene.objects["Hero hat"]
    hat.shape_key_add(name="Basis")
    bake(scene, "Hero", REST, UNIFORM)
    hat.data.shape_keys.key_blocks["Basis"].points[0].co.x += 1e-4
    assert bake_state(scene, "Hero").stale == ("Hero hat",)


def test_another_rest_position_of_the_armature_makes_all_stale(scene, rig):
    bake(scene, "Hero", REST, UNIFORM)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    rig.data.edit_bones["Arm.L"].tail.z += 0.1
    bpy.ops.object.mode_set(mode="OBJECT")
    assert bake_state(scene, "Hero").stale == ALL


def test_what_does_not_change_colours_makes_nothing_stale(scene, rig):
    bake(scene, "Hero", REST, UNIFORM)
    scene.frame_set(8)
    mesh = scene.objects["Hero hat"].data
    mesh.materials.append(bpy.data.materials.new("Felt"))
    mesh.uv_layers.new(name="UVMap")
    mesh.color_attributes.new("Skin", "FLOAT_COLOR", "POINT")
    assert bake_state(scene, "Hero").stale == ()
    assert is_up_to_date(scene, "Hero", REST, UNIFORM)


def test_other_choices_are_no_edit_but_not_up_to_date(scene, rig):
    assert not is_up_to_date(scene, "Hero", REST, UNIFORM)
    assert bake_state(scene, "Hero").baked == ()
    bake(scene, "Hero", REST, UNIFORM)
    assert bake_state(scene, "Hero").stale == ()
    assert not is_up_to_date(scene, "Hero", REST, CONR)
    assert not is_up_to_date(scene, "Hero", RestChoice(Rest.FRAME, frame=3), UNIFORM)


def test_what_was_added_since_is_not_up_to_date(scene, rig):
    bake(scene, "Hero", REST, UNIFORM)
    ring = link(scene, "Ring", rest_scenes.blocks("Ring", rest_scenes.HAT))
    ring.parent = rig
    assert bake_state(scene, "Hero").stale == ()
    assert not is_up_to_date(scene, "Hero", REST, UNIFORM)


# What cannot be baked -------------------------------------------------------------------------------------------------


def notes_of(baked, name):
    return [note for note in baked.notes if f"'{name}'" in note and "Mirror" not in note]


def test_two_objects_of_one_mesh_that_need_other_colours_are_left_out(scene, rig):
    twin = link(scene, "Hero hat two", scene.objects["Hero hat"].data)
    to_bone(twin, rig, "Arm.R")
    twin.location.x = 0.3
    baked = bake(scene, "Hero", REST, UNIFORM)
    assert baked.objects == ("Hero body", "Hero feather")
    (note,) = notes_of(baked, "Hero hat two")
    assert "'Hero hat'" in note
    assert "single-user" in note
    assert BAKE_ATTRIBUTE not in twin.data.attributes


def test_two_objects_of_one_mesh_in_the_same_place_share_its_colours(scene, rig):
    twin = link(scene, "Hero hat two", scene.objects["Hero hat"].data)
    to_bone(twin, rig, "Spine")
    baked = bake(scene, "Hero", REST, UNIFORM)
    assert set(baked.objects) == {*ALL, "Hero hat two"}


def test_a_mesh_of_two_characters_is_left_out_where_they_need_other_colours(scene, rig):
    other = build(scene, "Villain")
    scene.objects["Villain hat"].data = scene.objects["Hero hat"].data
    scene.objects["Villain hat"].location.x = 0.2
    baked = bake(scene, "Hero", REST, UNIFORM)
    assert baked.objects == ("Hero body", "Hero feather")
    (note,) = notes_of(baked, "Hero hat")
    assert "'Villain'" in note
    other.location.x = 5


def test_linked_duplicates_of_a_whole_character_share_their_colours(scene, rig):
    copies = {}
    for thing in (rig, *(scene.objects[name] for name in ALL)):
        copies[thing] = thing.copy()
        scene.collection.objects.link(copies[thing])
    for thing, one in copies.items():
        if thing.parent in copies:
            one.parent = copies[thing.parent]
            one.matrix_parent_inverse = thing.matrix_parent_inverse
        for modifier in one.modifiers:
            if modifier.type == "ARMATURE":
                modifier.object = copies[rig]
            if modifier.type == "MIRROR":
                modifier.mirror_object = copies[rig]
    copies[rig].location = (2, 0, 0)
    assert bake(scene, "Hero", REST, UNIFORM).objects == ALL
    assert bake_state(scene, copies[rig].name).stale == ()


def test_what_is_no_mesh_or_has_no_points_is_named_and_the_others_are_baked(scene, rig):
    font = link(scene, "Name tag", bpy.data.curves.new("Name tag", "FONT"))
    font.data.body = "Hero"
    font.parent = rig
    empty = link(scene, "Nothing", bpy.data.meshes.new("Nothing"))
    empty.parent = rig
    grown = link(scene, "Grown", bpy.data.meshes.new("Grown"))
    grown.parent = rig
    tree = bpy.data.node_groups.new("Grow", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    tree.links.new(tree.nodes.new("GeometryNodeMeshCube").outputs[0], tree.nodes.new("NodeGroupOutput").inputs[0])
    grown.modifiers.new("Grow", "NODES").node_group = tree
    baked = bake(scene, "Hero", REST, UNIFORM)
    assert baked.objects == ALL
    assert "convert it" in notes_of(baked, "Name tag")[0]
    assert "no faces" in notes_of(baked, "Nothing")[0]
    assert "no points of its own" in notes_of(baked, "Grown")[0]


def test_a_name_that_is_taken_is_left_to_the_user(scene, rig):
    scene.objects["Hero hat"].vertex_groups.new(name=BAKE_ATTRIBUTE)
    scene.objects["Hero feather"].data.attributes.new(BAKE_ATTRIBUTE, "FLOAT", "FACE")
    before = rna_dump.dump()
    baked = bake(scene, "Hero", REST, UNIFORM)
    assert baked.objects == ("Hero body",)
    assert all("rename that" in notes_of(baked, name)[0] for name in ("Hero hat", "Hero feather"))
    unbake(scene, "Hero")
    assert rna_dump.differences(before, rna_dump.dump()) == []


def test_what_stands_in_an_instanced_collection_is_left_out(scene, rig):
    medal = link(scene, "Medal", rest_scenes.blocks("Medal", rest_scenes.FEATHER))
    holder = instance_of(scene, "Medal holder", hide_in_collection(medal))
    holder.parent = rig
    baked = bake(scene, "Hero", REST, UNIFORM)
    assert baked.objects == ALL
    assert "instanced collection" in notes_of(baked, "Medal")[0]


@pytest.mark.parametrize(("name", "mode"), [("Hero", "Edit"), ("Hero hat", "Edit"), ("Hero hat", "Sculpt")])
def test_what_is_being_edited_is_left_alone(scene, rig, name, mode):
    bpy.context.view_layer.objects.active = scene.objects[name]
    bpy.ops.object.mode_set(mode=mode.upper())
    with pytest.raises(InputError, match=rf"'{name}' is in {mode} Mode: leave that"):
        bake(scene, "Hero", REST, UNIFORM)
    with pytest.raises(InputError, match="leave that to un-bake"):
        unbake(scene, "Hero")
    bpy.ops.object.mode_set(mode="OBJECT")
    assert bake(scene, "Hero", REST, UNIFORM).objects == ALL


def test_a_state_can_be_asked_for_while_the_mesh_is_edited(scene, rig):
    bake(scene, "Hero", REST, UNIFORM)
    bpy.context.view_layer.objects.active = scene.objects["Hero hat"]
    bpy.ops.object.mode_set(mode="EDIT")
    state = bake_state(scene, "Hero")
    assert (state.baked, state.stale) == (ALL, ())
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_character_none_of_whose_meshes_can_be_baked_is_an_error_that_says_why(scene, rig, tmp_path):
    path = str(tmp_path / "hero.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, linked):
        linked.objects = ["Hero", *ALL]
    scene = bpy.context.scene
    for thing in linked.objects:
        scene.collection.objects.link(thing)
    with pytest.raises(InputError, match=r"Nothing of character 'Hero' can be baked: .*bake it in that file"):
        bake(scene, "Hero", REST, UNIFORM)
    assert bake_state(scene, "Hero").baked == ()
    assert unbake(scene, "Hero") == ()


def test_an_overridden_character_is_baked_in_the_meshes_that_are_its_own(scene, rig, tmp_path):
    heroes = bpy.data.collections.new("Heroes")
    for thing in (rig, *(scene.objects[name] for name in ALL)):
        scene.collection.objects.unlink(thing)
        heroes.objects.link(thing)
    scene.collection.children.link(heroes)
    path = str(tmp_path / "hero.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, linked):
        linked.collections = ["Heroes"]
    scene = bpy.context.scene
    scene.collection.children.link(linked.collections[0])
    linked.collections[0].override_hierarchy_create(scene, bpy.context.view_layer)
    rig = next(thing for thing in bpy.data.objects if thing.override_library and thing.type == "ARMATURE")
    own = link(scene, "Ring", rest_scenes.blocks("Ring", rest_scenes.HAT))
    own.parent = rig
    scene.collection.children.unlink(next(one for one in scene.collection.children if one.library))
    baked = bake(scene, rig.name, REST, UNIFORM)
    assert baked.objects == ("Ring",)
    assert len([note for note in baked.notes if "bake it in" in note]) == 3


def test_names_that_no_character_has_are_refused(scene, rig):
    for ask in (lambda: bake(scene, "Nobody", REST, UNIFORM), lambda: unbake(scene, "Nobody")):
        with pytest.raises(InputError, match="no character 'Nobody'"):
            ask()


# The buttons ----------------------------------------------------------------------------------------------------------


def test_the_buttons_bake_and_take_away(scene, addon, rig):
    before = rna_dump.dump()
    assert addon.bake_udp() == {"FINISHED"}
    assert bake_state(scene, "Hero").baked == ALL
    assert addon.unbake_udp() == {"FINISHED"}
    assert rna_dump.differences(before, rna_dump.dump()) == []


def test_the_buttons_say_why_they_cannot_be_pressed(scene, addon, rig):
    bpy.context.view_layer.objects.active = scene.objects["Hero hat"]
    bpy.ops.object.mode_set(mode="EDIT")
    for press in (addon.bake_udp, addon.unbake_udp):
        with pytest.raises(RuntimeError, match="Leave Edit Mode"):
            press()
    bpy.ops.object.mode_set(mode="OBJECT")
    with pytest.raises(RuntimeError, match="no window"):
        addon.preview_udp()
    bpy.data.batch_remove(list(bpy.data.armatures))
    with pytest.raises(RuntimeError, match="no armature"):
        addon.bake_udp()
