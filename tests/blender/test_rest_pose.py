# SPDX-License-Identifier: GPL-3.0-or-later
"""A landmark never changes: at every frame the UDP of a pixel is the rest coordinate of the surface point behind it."""

import bpy
import numpy as np
import pytest
import rest_scenes
import rna_dump
from characters import CHARACTERS, on_stage
from demo_shots import built
from labelled import look_at
from mathutils import Matrix
from rest_scenes import FRAMES, build, carried, mirrored, placed, placed_unevenly, stage, to_bone
from snapshot_scenes import link, scatter

from animerun_addon.errors import InputError
from animerun_addon.labels import fields
from animerun_addon.scene.engine import with_render_depsgraph
from animerun_addon.scene.rest_pose import REST_ATTRIBUTE, RestPose, rest_coordinates
from animerun_addon.scene.snapshot import SnapshotReader


def seen(scene, rest, frames=FRAMES):
    """[(pixels' rest coordinates by UDP (N, 3), their surface points in the world (N, 3))] of frames."""
    reader, snapshots = SnapshotReader(scene, rest_attribute=REST_ATTRIBUTE), []
    with_render_depsgraph(scene, frames, lambda _, depsgraph: snapshots.append(reader.read(depsgraph, rest.by_object)))
    low, high = (corner.astype(np.float64) for corner in rest.bounds)
    scale = np.full(3, 1 / (high - low).max())
    offset = 0.5 - scale * (low + high) / 2
    result = []
    for snapshot in snapshots:
        frame = look_at(snapshot)
        udp, clipped = fields.udp(snapshot, frame.surface, scale, offset)
        assert clipped == 0
        has_rest = udp[..., 3] > 0
        corners = snapshot.positions[snapshot.triangles[frame.surface.triangles[frame.surface.places]]]
        points = np.einsum("kn,nkc->nc", frame.surface.barycentrics, corners)
        result.append(((udp[has_rest][:, :3] - offset) / scale, points[has_rest[frame.ids >= 0]]))
    return result


def assert_landmarks_stay(scene, rig, rest, least=300):
    """What the UDP says of each pixel, carried by the bones by hand, is where the pixel's surface point is."""
    views = seen(scene, rest)
    for frame, (coordinates, points) in zip(FRAMES, views, strict=True):
        scene.frame_set(frame)
        size = np.abs(np.array(rig.matrix_world)[:3, :3]).sum(axis=1).max()
        assert len(coordinates) > least
        assert np.abs(carried(rig, coordinates) - points).max() < 1e-4 * size
    turned = [np.linalg.norm(points.mean(axis=0)) for _, points in views]
    assert np.ptp(turned) > 1e-3, "it does move"


def smooth(body, rig):
    modifier = body.modifiers.new("Subdivision", "SUBSURF")
    modifier.levels, modifier.render_levels = 0, 2


def smooth_before_the_armature(body, rig):
    smooth(body, rig)
    body.modifiers.move(len(body.modifiers) - 1, 1)


def thicken(body, rig):
    modifier = body.modifiers.new("Solidify", "SOLIDIFY")
    modifier.thickness, modifier.offset = 0.02, 1


def repeat(body, rig):
    modifier = body.modifiers.new("Array", "ARRAY")
    modifier.count, modifier.relative_offset_displace = 2, (0, 0.2, 0)
    body.modifiers.move(len(body.modifiers) - 1, 0)


def blink_and_bulge(body, rig):
    """One shape that is keyed, one driven by a bone; both are 0 where the frames are looked at by hand."""
    body.shape_key_add(name="Basis")
    for name in ("Blink", "Bulge"):
        shape = body.shape_key_add(name=name, from_mix=False)
        for point in shape.points:
            point.co.y -= 0.3
    keys = body.data.shape_keys.key_blocks
    for frame, value in ((0, 0), (2, 1), (3, 0), (20, 0)):
        keys["Blink"].value = value
        keys["Blink"].keyframe_insert("value", frame=frame)
    driver = keys["Bulge"].driver_add("value").driver
    driver.type = "SUM"
    target = driver.variables.new().targets[0]
    target.id, target.data_path = rig, 'pose.bones["Arm.L"].rotation_euler[0]'


def nodes(body, rig):
    from test_rest_coordinates import divide

    divide(body)


CHANGES = [smooth, smooth_before_the_armature, thicken, repeat, nodes]


@pytest.fixture
def scene():
    return bpy.context.scene


@pytest.mark.parametrize("change", [lambda body, rig: None, *CHANGES])
def test_a_landmark_never_changes_whatever_builds_the_body(scene, change):
    rig = build(scene)
    change(scene.objects["Hero body"], rig)
    stage(scene)
    rest = rest_coordinates(scene, "Hero")
    assert set(rest.by_object) == {"Hero body", "Hero hat", "Hero feather"}
    assert not rest.notes
    assert_landmarks_stay(scene, rig, rest)


def travelling(rig):
    for frame, x in ((1, -1), (8, 1)):
        rig.location.x = x
        rig.scale = (1 + 0.1 * x,) * 3
        rig.keyframe_insert("location", frame=frame)
        rig.keyframe_insert("scale", frame=frame)


def carried_by_another(rig):
    root = bpy.data.objects.new("Root", None)
    bpy.context.scene.collection.objects.link(root)
    travelling(root)
    rig.parent = root


@pytest.mark.parametrize("place", [placed, placed_unevenly, mirrored, travelling, carried_by_another])
def test_moving_and_scaling_the_character_changes_nothing(scene, place):
    rig = build(scene)
    stage(scene)
    before = rest_coordinates(scene, "Hero")
    place(rig)
    scene.frame_set(4)
    after = rest_coordinates(scene, "Hero")
    for name, values in before.by_object.items():
        assert after.by_object[name] == pytest.approx(values, abs=2e-6)
    assert_landmarks_stay(scene, rig, after)


def test_shape_keys_that_the_pose_moves_are_at_rest_and_others_stay(scene):
    rig = build(scene)
    stage(scene)
    plain = rest_coordinates(scene, "Hero").by_object["Hero body"]
    body = scene.objects["Hero body"]
    blink_and_bulge(body, rig)
    for frame in (2, 8):
        scene.frame_set(frame)
        assert rest_coordinates(scene, "Hero").by_object["Hero body"] == pytest.approx(plain, abs=1e-6)
    reader, read = SnapshotReader(scene), []
    rest = rest_coordinates(scene, "Hero").by_object
    with_render_depsgraph(scene, [2], lambda _, depsgraph: read.append(reader.read(depsgraph, rest)))
    scene.frame_set(2)
    (posed,) = (one for one in read[0].instances if one.object_name == "Hero body")
    moved = read[0].positions[posed.vertices] - carried(rig, read[0].rest_positions[posed.vertices].astype(float))
    assert np.linalg.norm(moved, axis=1).min() > 0.2, "the shapes are there in the frame"
    taller = body.shape_key_add(name="Broader", from_mix=False)
    for point in taller.points:
        point.co.y += 0.1
    taller.value = 1
    assert rest_coordinates(scene, "Hero").by_object["Hero body"] == pytest.approx(
        plain + np.array((0, 0.1, 0)), abs=1e-6
    )


def test_a_symmetric_character_has_symmetric_coordinates(scene):
    rig = build(scene)
    smooth(scene.objects["Hero body"], rig)
    placed(rig)
    stage(scene)
    points = rest_coordinates(scene, "Hero").by_object["Hero body"].astype(np.float64)
    mirror = points * (-1, 1, 1)
    nearest = np.linalg.norm(points[:, None] - mirror, axis=2).argmin(axis=1)
    scale, centre = 1 / np.ptp(points), 0.5
    u = points[:, 0] * scale + centre
    assert u + u[nearest] == pytest.approx(np.full(len(u), 2 * centre), abs=1e-5)
    assert len(np.unique(nearest)) == len(points)


# Poses ----------------------------------------------------------------------------------------------------------------


def posed_vertices(scene, rig, rest, frame):
    """(V, 3) in armature space, as the bones carry a rest at the frame."""
    scene.frame_set(frame)
    world = carried(rig, rest.astype(np.float64))
    rig_from_world = np.linalg.inv(np.array(rig.matrix_world))
    return world @ rig_from_world[:3, :3].T + rig_from_world[:3, 3]


def test_a_frame_of_the_scene_can_be_the_rest_pose(scene):
    rig = build(scene)
    placed(rig)
    stage(scene)
    rest = rest_coordinates(scene, "Hero").by_object
    at_frame = rest_coordinates(scene, "Hero", RestPose(frame=8)).by_object
    for name, values in rest.items():
        assert at_frame[name] == pytest.approx(posed_vertices(scene, rig, values, 8), abs=1e-5)


def test_a_frame_of_an_action_can_be_the_rest_pose(scene):
    rig = build(scene)
    stage(scene)
    rest = rest_coordinates(scene, "Hero").by_object
    walk = rig.animation_data.action
    walk.use_fake_user = True
    rig.animation_data.action = None
    rig.pose.bones["Arm.L"].rotation_euler = (2, 2, 2)
    at_frame = rest_coordinates(scene, "Hero", RestPose(action=walk.name, frame=8)).by_object
    rig.animation_data.action = walk
    rig.animation_data.action_slot = walk.slots[0]
    for name, values in rest.items():
        assert at_frame[name] == pytest.approx(posed_vertices(scene, rig, values, 8), abs=1e-5)


def test_bones_can_be_turned_out_of_the_rest_position(scene):
    rig = build(scene)
    stage(scene)
    rest = rest_coordinates(scene, "Hero").by_object["Hero body"]
    turns = {"Arm.L": (np.cos(0.3), 0, 0, np.sin(0.3))}
    turned = rest_coordinates(scene, "Hero", RestPose(turns=turns)).by_object["Hero body"]
    for bone in rig.pose.bones:
        bone.rotation_euler = (0, 0, 0.6 if bone.name == "Arm.L" else 0)
    bpy.context.view_layer.update()
    assert turned == pytest.approx(carried(rig, rest.astype(np.float64)), abs=1e-5)
    assert np.abs(turned - rest).max() > 0.1


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"action": "Walk"}, "at which frame of action 'Walk'"),
        ({"turns": {"Arm.L": (1, 0, 0, 0)}, "frame": 1}, "not both"),
    ],
)
def test_a_pose_that_contradicts_itself_is_refused(asked, words):
    with pytest.raises(InputError, match=words):
        RestPose(**asked)


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        (RestPose(action="Jump", frame=1), "no action 'Jump'.*HeroAction"),
        (RestPose(action="Light", frame=1), "'Light' moves no bones"),
        (RestPose(turns={"Tail": (1, 0, 0, 0)}), "no bone 'Tail'"),
    ],
)
def test_a_pose_that_is_not_there_is_an_error_and_leaves_no_trace(scene, pose, words):
    build(scene)
    stage(scene)
    bpy.data.actions.new("Light")
    before = rna_dump.dump()
    with pytest.raises(InputError, match=words):
        rest_coordinates(scene, "Hero", pose)
    assert not rna_dump.differences(before, rna_dump.dump())


# Whose file it is -----------------------------------------------------------------------------------------------------


def animate_everything(scene, rig):
    """A file with a bit of everything that the rest evaluation has to get around, at a frame of its own."""
    body, hat = scene.objects["Hero body"], scene.objects["Hero hat"]
    blink_and_bulge(body, rig)
    carried_by_another(rig)
    repeat(body, rig)
    for thing, path in ((hat, "hide_render"), (body, 'modifiers["Armature"].show_render')):
        thing.keyframe_insert(path, frame=1)
    hook = hat.modifiers.new("Hook", "HOOK")
    hook.object = bpy.data.objects.new("Handle", None)
    scene.collection.objects.link(hook.object)
    to_bone(hook.object, rig, "Arm.L")
    hook.matrix_inverse = Matrix.Identity(4)  # both are there in the rest position
    hook.vertex_indices_set([0, 1])
    rig["mood"] = 0.5
    rig.keyframe_insert('["mood"]', frame=1)
    limit = rig.pose.bones["Arm.L"].constraints.new("COPY_ROTATION")
    limit.target, limit.subtarget, limit.influence = rig, "Arm.R", 0.1
    action, slot = rig.animation_data.action, rig.animation_data.action_slot
    rig.animation_data.action = None
    rig.animation_data.nla_tracks.new().strips.new("Strip", 1, action).action_slot = slot
    cape = link(scene, "Cape", rest_scenes.blocks("Cape", rest_scenes.TORSO))
    cape.parent = rig
    cape.modifiers.new("Cloth", "CLOTH")
    stage(scene)
    scene.frame_set(5)


@pytest.mark.parametrize("pose", [RestPose(), RestPose(frame=3), RestPose(turns={"Arm.L": (0.9, 0.1, 0, 0)})])
def test_the_file_is_left_exactly_as_it_was(scene, pose):
    rig = build(scene)
    animate_everything(scene, rig)
    build(scene, "Friend")
    rig.pose.bones["Arm.L"].rotation_euler = (0.7, 0, 0)  # not keyed: an evaluation of the file itself loses it
    bpy.context.view_layer.update()
    before = rna_dump.dump()
    rest_coordinates(scene, "Hero", pose)
    assert not rna_dump.differences(before, rna_dump.dump())


def test_an_error_in_the_middle_leaves_the_file_exactly_as_it_was(scene, monkeypatch):
    animate_everything(scene, build(scene))
    before = rna_dump.dump()
    monkeypatch.setattr("animerun_addon.scene.rest_pose.read_mesh", lambda *_: 1 / 0)
    assert before["objects/Root"]["location"] != [0, 0, 0]
    with pytest.raises(ZeroDivisionError):
        rest_coordinates(scene, "Hero")
    assert not rna_dump.differences(before, rna_dump.dump())


def test_the_rest_pose_is_the_same_at_every_frame(scene):
    animate_everything(scene, build(scene))
    first = rest_coordinates(scene, "Hero")
    assert "Cape" in first.by_object
    scene.frame_set(8)
    again = rest_coordinates(scene, "Hero")
    for name, values in first.by_object.items():
        assert again.by_object[name] == pytest.approx(values, abs=1e-6)
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    centre, half = map(np.array, rest_scenes.HAT)
    assert first.by_object["Hero hat"] == pytest.approx(centre + corners * half, abs=1e-5), "the hook is at rest too"


@pytest.fixture
def library(tmp_path, scene):
    rig = build(scene)
    blink_and_bulge(scene.objects["Hero body"], rig)
    smooth(scene.objects["Hero hat"], rig)
    collection = bpy.data.collections.new("Heroes")
    for thing in [rig, *rig.children_recursive]:
        scene.collection.objects.unlink(thing)
        collection.objects.link(thing)
    scene.collection.children.link(collection)
    path = str(tmp_path / "hero.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    stage(scene)
    wanted = rest_coordinates(scene, "Hero").by_object
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, linked):
        linked.collections = ["Heroes"]
    return wanted


def check_linked(scene, character, wanted):
    before = rna_dump.dump()
    rest = rest_coordinates(scene, character)
    changes = rna_dump.differences(before, rna_dump.dump())
    # Blender counts what an override refers to once too often when a copy of the override goes; it counts anew on load.
    assert not [line for line in changes if "[hero.blend]/users: " not in line]
    for name, values in wanted.items():
        (found,) = (one for full, one in rest.by_object.items() if full.startswith(name))
        assert found == pytest.approx(values, abs=1e-6)
    return rest


def test_a_linked_character_that_stands_in_the_scene_has_its_own_files_coordinates(library):
    scene = bpy.context.scene
    scene.collection.children.link(bpy.data.collections["Heroes"])
    stage(scene)
    rest = check_linked(scene, "Hero", library)
    assert all(library_name.endswith("[hero.blend]") for library_name in rest.by_object)
    assert all(len(coordinates) > 300 for coordinates, _ in seen(scene, rest))


def test_an_instance_of_a_linked_character_has_them_too(library):
    scene = bpy.context.scene
    empty = link(scene, "Empty", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", bpy.data.collections["Heroes"]
    empty.location = (1, 2, 0)
    stage(scene)
    check_linked(scene, "Hero", library)


def test_an_overridden_character_has_them_wherever_it_is_moved(library):
    scene = bpy.context.scene
    scene.collection.children.link(bpy.data.collections["Heroes"])
    bpy.data.collections["Heroes"].override_hierarchy_create(scene, bpy.context.view_layer)
    rig = next(thing for thing in bpy.data.objects if thing.override_library and thing.type == "ARMATURE")
    body = next(thing for thing in bpy.data.objects if thing.override_library and "body" in thing.name)
    linked = next(one for one in scene.collection.children if one.library)
    scene.collection.children.unlink(linked)
    placed(rig)
    for key in body.data.shape_keys.key_blocks:
        key.mute = True
    stage(scene)
    rest = check_linked(scene, rig.name, library)
    assert set(rest.by_object) == {"Hero body", "Hero hat", "Hero feather"}
    assert all(thing.override_library for thing in (rig, body))


# Other people's characters, and characters that are not right -------------------------------------------------------


def follow_to_a_frame(scene, name, frames):
    """Fixed surface points of frames have one rest coordinate each; the pixels of every frame show it."""
    rest = rest_coordinates(scene, name)
    reader, snapshots = SnapshotReader(scene), []
    with_render_depsgraph(scene, frames, lambda _, depsgraph: snapshots.append(reader.read(depsgraph, rest.by_object)))
    low, high = rest.bounds
    for snapshot in snapshots:
        frame = look_at(snapshot)
        udp, clipped = fields.udp(
            snapshot, frame.surface, np.full(3, 1 / (high - low).max()), -low / (high - low).max()
        )
        own = udp[..., 3] > 0
        assert own.sum() > 200
        assert clipped == 0
        triangles = frame.surface.triangles[frame.surface.places]
        corners = snapshot.rest_positions[snapshot.triangles[triangles]].astype(np.float64)
        points = np.einsum("kn,nkc->nc", frame.surface.barycentrics, corners)[own[frame.ids >= 0]]
        assert np.abs(points - low - udp[own][:, :3] * (high - low).max()).max() < 1e-4 * (high - low).max()
    return rest


@pytest.mark.parametrize("name", CHARACTERS)
def test_other_makers_characters_keep_their_landmarks(name):
    rig = CHARACTERS[name]()
    scene = on_stage(rig)
    rest = follow_to_a_frame(scene, rig.name, [8, 10])
    # Their bind pose is what their meshes are without the armature.
    for skin in (thing for thing in scene.objects if thing.find_armature() == rig and thing.name in rest.by_object):
        points = np.empty(len(skin.data.vertices) * 3, np.float32)
        skin.data.vertices.foreach_get("co", points)
        if [modifier.type for modifier in skin.modifiers] == ["ARMATURE"]:
            placed = np.array(rig.matrix_world.inverted() @ skin.matrix_world)
            wanted = points.reshape(-1, 3) @ placed[:3, :3].T + placed[:3, 3]
            assert rest.by_object[skin.name_full] == pytest.approx(wanted, abs=float(1e-4 * np.ptp(wanted)))


def test_the_demos_heroine_keeps_her_landmarks_and_is_as_wide_on_either_side():
    scene = built()
    bpy.context.window.scene = scene
    scene.render.resolution_percentage = 25
    rest = follow_to_a_frame(scene, "AR Heroine", [20, 40])
    assert not rest.notes
    low, high = rest.bounds
    assert low[0] == pytest.approx(-high[0], abs=1e-5)
    assert 1.5 < high[2] - low[2] < 2
    turned = rest_coordinates(scene, "AR Heroine")
    assert all((turned.by_object[name] == values).all() for name, values in rest.by_object.items())


def test_instances_are_named_and_left_out(scene):
    rig = build(scene)
    scatter(scene, scene.objects["Hero feather"]).parent = rig
    link(scene, "Twice", rest_scenes.blocks("Twice", rest_scenes.HAT)).parent = rig
    faces = scene.objects["Twice"]
    faces.instance_type = "VERTS"
    faces.show_instancer_for_render = False
    scene.objects["Hero feather"].parent = faces
    stage(scene)
    rest = rest_coordinates(scene, "Hero")
    assert "Hero feather" not in rest.by_object
    assert any("'Hero feather' is" in note and "instances: realize them" in note for note in rest.notes)


def test_an_object_of_another_topology_is_named_and_left_to_its_attribute(scene):
    build(scene)
    hat = scene.objects["Hero hat"]
    modifier = hat.modifiers.new("Array", "ARRAY")
    for frame, count in ((1, 1), (8, 8)):
        modifier.count = count
        modifier.keyframe_insert("count", frame=frame)
    stage(scene)
    rest = rest_coordinates(scene, "Hero", frames=[1, 8])
    assert set(rest.by_object) == {"Hero body", "Hero feather"}
    (note,) = rest.notes
    assert "'Hero hat' is another mesh at frame 8 (64 vertices) than in the rest pose (8)" in note


def test_what_is_no_surface_or_not_rendered_is_named(scene):
    rig = build(scene)
    scene.objects["Hero hat"].hide_render = True
    for name, data in (("Empty mesh", bpy.data.meshes.new("Empty")), ("Hair", bpy.data.hair_curves.new("Hair"))):
        link(scene, name, data).parent = rig
    stage(scene)
    rest = rest_coordinates(scene, "Hero")
    assert set(rest.by_object) == {"Hero body", "Hero feather"}
    notes = " ".join(rest.notes)
    for words in ("'Hero hat' is not rendered", "'Empty mesh' has no faces", "'Hair' is hair"):
        assert words in notes


def test_two_characters_may_share_a_mesh(scene):
    first, second = build(scene), build(scene, "Friend")
    scene.objects["Friend body"].data = scene.objects["Hero body"].data
    placed(second)
    blink_and_bulge(scene.objects["Hero body"], first)
    stage(scene)
    one, two = (rest_coordinates(scene, name).by_object for name in ("Hero", "Friend"))
    assert one["Hero body"] == pytest.approx(two["Friend body"], abs=1e-5)
    assert one["Hero hat"] == pytest.approx(two["Friend hat"], abs=1e-5)


def test_no_character_no_surface_and_no_size_are_clear_errors(scene):
    with pytest.raises(InputError, match="has no character: bind a mesh"):
        rest_coordinates(scene, "Hero")
    rig = build(scene)
    with pytest.raises(InputError, match="no character 'Villain'; there are: Hero"):
        rest_coordinates(scene, "Villain")
    rig.scale = (1, 0, 1)
    with pytest.raises(InputError, match="'Hero' is scaled to nothing at frame 1"):
        rest_coordinates(scene, "Hero")
    rig.scale = (1, 1, 1)
    for thing in rig.children_recursive:
        thing.hide_render = True
    with pytest.raises(InputError, match=r"'Hero' has no surface.*not rendered"):
        rest_coordinates(scene, "Hero")
