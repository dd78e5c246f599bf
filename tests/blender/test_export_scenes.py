# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes with everything in them export to what passes the check; damaged exports do not, each for its own reason."""

import json
import re
import shutil

import bpy
import exports
import numpy as np
import OpenEXR
import pytest
import shots
from exports import card, export, exported, folder, names
from flat_frames import SQUARE, cut_out_material
from official_loader import OfficialLoader, read_colours, read_flow

from animerun_addon.dataset.formats import read_npy, write_flo
from animerun_addon.dataset.layout import Direction
from animerun_addon.dataset.quality import Fault, check_steps
from animerun_addon.export_settings import ExportSettings, Label, needs
from animerun_addon.pipeline.job import Job

FRAMES = "1-6"
CUT_AT = 4


def verdict(root):
    """Of the one clip."""
    (clip,) = Job("Check", check_steps(root)).run().clips
    return clip


def faults(root):
    return {finding.fault for finding in verdict(root).findings}


# Everything in one scene ----------------------------------------------------------------------------------------------


def crowded_scene():
    """Instances, things in front, cut-outs, changing topology, and a cut to another camera."""
    scene = exports.passing_scene(160, 96)
    shading = scene.display.shading
    shading.color_type = "TEXTURE"
    add_instances(scene)
    add_cut_out(scene)
    front = card(scene, "In front", 0.8, (0.9, 0.3, 0.9), (0.6, 1.5, 0.9))
    shots.key(front, "location", *((0.6 - 0.1 * step, 1.5, 0.9) for step in range(6)))
    front.show_in_front = True
    other = bpy.data.objects.new("Other camera", bpy.data.cameras.new("Other camera"))
    other.location, other.rotation_euler, other.data.lens = (1.5, -7.0, 0.4), (np.pi / 2, 0.0, 0.2), 40.0
    scene.collection.objects.link(other)
    for frame, camera in ((1, scene.camera), (CUT_AT, other)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    return scene


def add_instances(scene):
    """Two of one collection, one of them mirrored, that drift apart."""
    source = card(scene, "Leaf", 0.7, (0.2, 0.7, 0.7))
    scene.collection.objects.unlink(source)
    hidden = bpy.data.collections.new("Leaves")
    hidden.objects.link(source)
    for number, side in enumerate((-1, 1)):
        empty = bpy.data.objects.new(f"Instance {number}", None)
        empty.instance_type, empty.instance_collection, empty.scale.x = "COLLECTION", hidden, side
        scene.collection.objects.link(empty)
        shots.key(empty, "location", *((side * (0.4 + 0.1 * step), -0.5, -1.2) for step in range(6)))


def add_cut_out(scene):
    """A card of a texture with holes, that passes before the wall."""
    mesh = bpy.data.meshes.new("Cut-out")
    mesh.from_pydata([(0.7 * x, 0.0, 0.7 * y) for x, y, _ in SQUARE], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new().data.foreach_set("uv", np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32).ravel())
    alpha = np.ones((6, 6), np.float32)
    alpha[1:3, 1:3] = alpha[3:5, 4] = 0
    mesh.materials.append(cut_out_material(alpha, "EXTEND"))
    thing = bpy.data.objects.new("Cut-out", mesh)
    scene.collection.objects.link(thing)
    shots.key(thing, "location", *((-1.6 + 0.15 * step, 0.5, 1.0) for step in range(6)))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    root = tmp_path_factory.mktemp("crowd")
    blend = exports.saved(crowded_scene(), root / "crowd.blend")
    exported(blend, root / "set", FRAMES, "--stride", "1,2")
    return root / "set"


def test_a_scene_with_everything_in_it_passes_the_check(crowd):
    clip = verdict(crowd)
    assert clip.passed, clip.failures


def test_everything_in_it_was_really_seen(crowd):
    notes = exports.meta(crowd, "notes")
    ids = np.stack([np.load(path) for path in sorted(folder(crowd, "ObjectId").iterdir())])
    seen = {notes["object_names"][number] for number in np.unique(ids[ids >= 0])}
    assert {"Wall", "Passer", "Finer", "Latecomer", "Leaf", "Cut-out", "In front"} <= seen
    cameras = exports.meta(crowd, "camera")["frames"]
    assert [camera["name"] for camera in cameras.values()] == ["Camera"] * 3 + ["Other camera"] * 3


def test_what_has_no_correspondence_is_named(crowd):
    notes = exports.meta(crowd, "notes")["pairs"]
    assert any("Finer: no flow" in note for note in notes["forward/0001"])
    for pair in ("forward/0003", "backward/0004", "stride2/forward/0002", "stride2/backward/0005"):
        assert any("a cut to camera" in note for note in notes[pair]), pair
    assert not any("a cut to camera" in note for note in notes["forward/0002"] + notes["forward/0004"])


def test_nothing_is_followed_across_a_cut(crowd):
    loader = OfficialLoader(crowd, exports.SPLIT)
    across = loader[CUT_AT - 2]
    assert (across.flow == np.float32(1e10)).all()
    assert not across.visible.any()
    assert all(targets == [-1] for targets in across.matching.values())
    assert (loader[CUT_AT - 1].flow < 1e9).any()


# Damaged --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file, and its export."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    root = tmp_path_factory.mktemp("whole")
    blend = exports.saved(exports.passing_scene(160, 96), root / "shot.blend")
    exported(blend, root / "set", FRAMES, "--stride", "1,2,3")
    return blend, root / "set"


@pytest.fixture
def damaged(whole, tmp_path):
    """A copy to damage."""
    return shutil.copytree(whole[1], tmp_path / "set")


def flows(root):
    for direction in Direction:
        yield from sorted(folder(root, "Flow", direction).iterdir())


def changed_array(path, change):
    np.save(path, change(np.load(path)))


def shift_the_flow(root):
    for path in flows(root):
        flow = read_flow(path)
        known = flow[..., 0] < 1e9
        write_flo(path, np.where(known[..., None], flow + np.array((3, 0)), 0), known)


def swap_directions(root):
    forward, backward = (folder(root, "Flow", direction) for direction in Direction)
    for first, second in zip(sorted(forward.iterdir()), sorted(backward.iterdir()), strict=True):
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)


def lose_a_key(root):
    path = folder(root, "SegMatching", "forward") / "0002.json"
    matching = json.loads(path.read_text())
    path.write_text(json.dumps({label: targets for label, targets in matching.items() if label != "1"}))


def leave_a_gap(root):
    changed_array(
        folder(root, "Segment") / "0003.npy", lambda labels: labels + (labels == labels.max()).astype(np.int32)
    )


def cut_a_column_off(root):
    changed_array(folder(root, "UnmatchedForward") / "0002.npy", lambda visible: visible[:, :-1])


def cut_rows_off_a_flow(root):
    path = folder(root, "Flow", "forward") / "0002.flo"
    write_flo(path, np.clip(read_flow(path)[:-2], -99, 99))


def invert_the_occlusion(root):
    for kind in ("UnmatchedForward", "UnmatchedBackward"):
        for path in folder(root, kind).iterdir():
            changed_array(path, lambda visible: 1 - visible)


def name_a_segment_that_is_not_there(root):
    path = folder(root, "SegMatching", "backward") / "0004.json"
    matching = json.loads(path.read_text())
    path.write_text(json.dumps({**matching, "0": [999]}))


def lose_a_file(root):
    (folder(root, "LineArea") / "0003.npy").unlink()


def cut_a_file_short(root):
    path = folder(root, "Flow", "backward") / "0003.flo"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        (shift_the_flow, {Fault.SHIFTED, Fault.OTHER_OBJECT}),
        (swap_directions, {Fault.FOLLOWING, Fault.INCONSISTENT}),
        (lose_a_key, {Fault.MATCHING_KEYS, Fault.UNREADABLE}),
        (leave_a_gap, {Fault.LABEL_GAP}),
        (cut_a_column_off, {Fault.SIZE}),
        (cut_rows_off_a_flow, {Fault.SIZE}),
        (invert_the_occlusion, {Fault.NEEDLESSLY_OCCLUDED, Fault.UNKNOWN_VISIBLE}),
        (name_a_segment_that_is_not_there, {Fault.MATCHING_TARGETS}),
        (lose_a_file, {Fault.MISSING}),
        (cut_a_file_short, {Fault.UNREADABLE}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_copy_fails_with_its_kind(damaged, damage, kinds):
    assert not faults(damaged)
    damage(damaged)
    assert faults(damaged) & kinds, verdict(damaged).failures


def test_the_check_after_an_export_decides_its_exit_code(whole, tmp_path):
    blend, root = whole
    words = ("--stride", "1,2,3", "--check")
    copied = shutil.copytree(root, tmp_path / "set")
    done = export(blend, copied, FRAMES, *words)
    assert (done.code, done.result["verdict"]["passed"]) == (0, True)
    invert_the_occlusion(copied)
    done = export(blend, copied, FRAMES, *words)
    assert (done.code, done.result["verdict"]["passed"]) == (1, False)


# Choices --------------------------------------------------------------------------------------------------------------


def test_a_longer_stride_is_the_way_between_frames_that_are_no_neighbours(whole):
    """The wall is followed everywhere: from 1 to 3 it goes as far as from 1 to 2 and from 2 to 3 together."""
    _, root = whole
    one, two, three = (
        read_flow(folder(root, f"Flow{suffix}", "forward") / "0002.flo") for suffix in ("", "_stride2", "_stride3")
    )
    corner = np.s_[:8, -8:]
    np.testing.assert_allclose(two[corner], 2 * one[corner], atol=1e-3)
    np.testing.assert_allclose(three[corner], 3 * one[corner], atol=1e-3)
    assert np.abs(one[corner]).max() > 0.5


def test_on_twos_flow_leads_from_each_drawing_to_the_next(whole, tmp_path):
    blend, root = whole
    exported(blend, tmp_path, FRAMES, "--step", "2", "--stride", "1,2")
    assert exports.meta(tmp_path)["frames"] == [1, 3, 5]
    assert names(tmp_path, "Flow", "forward") == ["0001.flo", "0003.flo"]
    assert names(tmp_path, "Flow_stride2", "backward") == ["0005.flo"]
    for stem in ("0001", "0003"):
        ours = read_flow(folder(tmp_path, "Flow", "forward") / f"{stem}.flo")
        theirs = read_flow(folder(root, "Flow_stride2", "forward") / f"{stem}.flo")
        np.testing.assert_array_equal(ours, theirs)
    assert verdict(tmp_path).passed


def hold_every_pose(scene, holds=2):
    """As a film at half the speed: what moves, moves every second frame."""
    for action in bpy.data.actions:
        for curve in curves_of(action):
            for point in curve.keyframe_points:
                point.interpolation = "CONSTANT"
                point.co.x = 1 + (point.co.x - 1) * holds
            curve.update()
    scene.frame_end = scene.frame_end * holds


def curves_of(action):
    if hasattr(action, "fcurves"):
        return list(action.fcurves)
    return [
        curve for layer in action.layers for strip in layer.strips for bag in strip.channelbags for curve in bag.fcurves
    ]


def test_held_frames_are_left_out(whole, tmp_path):
    _, root = whole
    scene = exports.passing_scene(160, 96)
    hold_every_pose(scene)
    blend = exports.saved(scene, tmp_path / "held.blend")
    exported(blend, tmp_path / "set", "1-12", "--remove-holds", "--stride", "1,2,3")
    made = exports.meta(tmp_path / "set")
    assert made["frames"] == [1, 3, 5, 7, 9, 11]
    assert made["holds_removed"]
    ours, theirs = (OfficialLoader(each, exports.SPLIT) for each in (tmp_path / "set", root))
    assert len(ours) == len(theirs) == 5
    for place in range(5):
        np.testing.assert_array_equal(ours[place].first, theirs[place].first)
        np.testing.assert_allclose(ours[place].flow, theirs[place].flow, atol=1e-3)
    assert verdict(tmp_path / "set").passed


@pytest.mark.parametrize("label", sorted(Label))
def test_each_label_alone_is_written_alone_or_names_what_it_needs(whole, tmp_path, label):
    done = export(whole[0], tmp_path, "1-3", "--labels", label)
    required = needs(label, ExportSettings())
    if required:
        assert done.code == 2
        assert all(f"{need}" in done.said for need in required), done.said
        assert not (tmp_path / exports.SPLIT).exists()
        # With them it goes.
        everything = {label} | required
        while further := set().union(*(needs(each, ExportSettings()) for each in everything)) - everything:
            everything |= further
        exported(whole[0], tmp_path, "1-3", "--labels", ",".join(sorted(everything)))
    else:
        assert done.code == 0, done.said
        kinds = {path.name for path in (tmp_path / exports.SPLIT).iterdir()}
        assert len(kinds - {"Meta"}) == (2 if label in {Label.OCCLUSION, Label.IDS} else 1), kinds
    assert exports.meta(tmp_path, "notes")


@pytest.mark.parametrize(
    "words",
    [
        ("--segments", "exact", "--matching", "surface"),
        ("--segments", "frame"),
        ("--occlusion", "consistency"),
        ("--style", "--contours", "fast"),
        ("--style", "--contours", "outline"),
        ("--style", "--contours", "fast", "--coloured-lines"),
    ],
    ids=lambda words: "-".join(word.strip("-") for word in words),
)
def test_every_way_of_making_labels_passes_the_check(whole, tmp_path, words):
    words = [*words]
    if "--coloured-lines" in words:
        words[-1:] = ["--with", "coloured-lines"]
    exported(whole[0], tmp_path, "1-4", *words)
    clip = verdict(tmp_path)
    assert clip.passed, clip.failures


def test_lines_of_the_fast_style_are_in_frames_and_contours_alike(whole, tmp_path):
    exported(whole[0], tmp_path, "1-3", "--style", "--contours", "fast")
    for name in names(tmp_path, "contour"):
        lines = read_colours(str(folder(tmp_path, "contour") / name))[..., 0] == 0
        frame = read_colours(str(folder(tmp_path, "Frame_Anime", "original") / name))
        assert lines.any()
        np.testing.assert_array_equal((frame == 0).all(axis=-1), lines)


def test_other_looks_are_the_same_drawings_in_other_colours(whole, tmp_path):
    exported(whole[0], tmp_path, "1-4", "--style", "--contours", "fast", "--augment", "2")
    assert exports.meta(tmp_path)["looks"] == ["original", "color_1", "color_2"]
    assert names(tmp_path, "Frame_Anime") == ["color_1", "color_2", "original"]
    for name in names(tmp_path, "Frame_Anime", "original"):
        original, first, second = (
            read_colours(str(folder(tmp_path, "Frame_Anime", look) / name))
            for look in ("original", "color_1", "color_2")
        )
        materials = read_npy(folder(tmp_path, "MaterialId") / name.replace(".png", ".npy"))
        for look in (first, second):
            assert every_material_has_one_colour(materials, (original == 0).all(axis=-1), look)
            assert (look != original).any(axis=-1).mean() > 0.3
        assert (first != second).any()
    pair = OfficialLoader(tmp_path, exports.SPLIT, look="color_2")[0]
    assert pair.first.shape == (96, 160, 3)
    assert verdict(tmp_path).passed


def every_material_has_one_colour(materials, lines, look):
    """Everywhere but on lines, and the lines black as they were."""
    seen = np.concatenate([materials[~lines][:, None], look[~lines]], axis=-1)
    return len(np.unique(seen, axis=0)) == len(np.unique(materials[~lines])) and not look[lines].any()


def test_exr_files_hold_the_frame_and_its_labels(whole, tmp_path):
    blend, root = whole
    exported(blend, tmp_path, FRAMES, "--exr")
    assert names(tmp_path, "EXR") == [f"000{frame}.exr" for frame in range(1, 7)]
    for frame in range(1, 7):
        channels = exr_channels(folder(tmp_path, "EXR") / f"000{frame}.exr")
        for direction, other in (("forward", frame + 1), ("backward", frame - 1)):
            valid = channels[f"{direction}.A"] > 0
            if not 1 <= other <= 6:
                assert not valid.any()
                continue
            flow = read_flow(folder(root, "Flow", direction) / f"000{frame}.flo")
            np.testing.assert_array_equal(valid, flow[..., 0] < 1e9)
            np.testing.assert_array_equal(channels[f"{direction}.u"][valid], flow[valid, 0])
            np.testing.assert_array_equal(channels[f"{direction}.v"][valid], -flow[valid, 1])
        depth = np.load(folder(root, "Depth") / f"000{frame}.npy")
        np.testing.assert_array_equal(channels["depth.Z"][np.isfinite(depth)], depth[np.isfinite(depth)])
        np.testing.assert_array_equal(channels["object_id.X"], np.load(folder(root, "ObjectId") / f"000{frame}.npy"))
        colours = read_colours(str(folder(root, "Frame_Anime", "original") / f"000{frame}.png"))
        red = colours[..., 0] / 255
        linear = np.where(red <= 0.04045, red / 12.92, ((red + 0.055) / 1.055) ** 2.4)
        np.testing.assert_allclose(channels["R"], linear, atol=1e-6)


def exr_channels(path):
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {name: np.array(channel.pixels) for name, channel in file.channels().items()}


def test_frame_numbers_beyond_four_digits_have_stems_of_one_length(tmp_path):
    scene = exports.passing_scene(24, 16)
    blend = exports.saved(scene, tmp_path / "shot.blend")
    exported(blend, tmp_path / "set", "9999-10001")
    assert names(tmp_path / "set", "Segment") == ["09999.npy", "10000.npy", "10001.npy"]
    assert sorted(exports.meta(tmp_path / "set", "notes")["pairs"]) == [
        f"{way}/{stem}"
        for way, stems in (("backward", ("10000", "10001")), ("forward", ("09999", "10000")))
        for stem in stems
    ]
    assert verdict(tmp_path / "set").passed


def test_a_single_frame_has_labels_and_no_pairs(whole, tmp_path):
    exported(whole[0], tmp_path, "3")
    assert names(tmp_path, "Segment") == ["0003.npy"]
    assert not any(
        re.fullmatch(r".*\.(flo|json)", path.name) for path in (tmp_path / exports.SPLIT / "Flow").rglob("*")
    )
    assert verdict(tmp_path).passed
