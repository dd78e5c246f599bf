# SPDX-License-Identifier: GPL-3.0-or-later
"""An export, read by a loader that knows only the layout's description, holds the labels that the scene has."""

from types import SimpleNamespace

import bpy
import exports
import numpy as np
import pytest
from exports import CLIP, SPLIT, folder, names
from labelled import flow_between, hidden_at, read_frames
from official_loader import OfficialLoader

from animerun_addon.dataset.layout import Direction
from animerun_addon.dataset.reader import AnimeRun
from animerun_addon.labels import fields
from animerun_addon.labels.lines import contour_lines
from animerun_addon.labels.matching import match_by_flow

FRAMES = [1, 2, 3, 4, 5, 6]
STRIDES = [1, 2, 3]
BOTH_WAYS = list(Direction)
SHAPE = (64, 96)
UNKNOWN = 1e10


@pytest.fixture(scope="module")
def shot(tmp_path_factory):
    """The data set's folder, and the frames' labels made directly."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    root = tmp_path_factory.mktemp("set")
    blend = exports.saved(exports.passing_scene(), root / "shot.blend")
    frames = read_frames(bpy.context.scene, FRAMES)
    result = exports.exported(blend, root, "1-6", "--stride", "1,2,3")
    return SimpleNamespace(root=root, frames=frames, result=result)


def loaded(shot, direction=Direction.FORWARD, stride=1):
    return OfficialLoader(shot.root, SPLIT, direction, stride)


def ends(place, stride, direction):
    """The frames that a pair leads from and to."""
    pair = FRAMES[place], FRAMES[place + stride]
    return pair if direction is Direction.FORWARD else pair[::-1]


def pairs(shot):
    """All pairs, both ways, with the frames they lead from and to."""
    for stride in STRIDES:
        for direction in BOTH_WAYS:
            loader = loaded(shot, direction, stride)
            for place in range(len(loader)):
                yield loader[place], *ends(place, stride, direction)


def test_the_loader_finds_every_frame_and_pair(shot):
    loader = loaded(shot)
    assert loader.clips == [CLIP]
    assert [len(found[CLIP]) for found in (loader.frames, loader.contours, loader.segments)] == [6, 6, 6]
    assert [len(loaded(shot, direction, stride)) for stride in STRIDES for direction in BOTH_WAYS] == [5, 5, 4, 4, 3, 3]


def test_files_of_a_frame_share_its_number_as_name(shot):
    stems = [f"{frame:04}" for frame in FRAMES]
    for kind, suffix in (("contour", "png"), ("LineArea", "npy"), ("Segment", "npy")):
        assert names(shot.root, kind) == [f"{stem}.{suffix}" for stem in stems]
    assert names(shot.root, "Frame_Anime", "original") == [f"{stem}.png" for stem in stems]
    assert names(shot.root, "Frame_Anime") == ["original"]


@pytest.mark.parametrize("stride", STRIDES)
def test_a_pairs_files_are_called_after_the_frame_that_the_flow_starts_from(shot, stride):
    suffix = "" if stride == 1 else f"_stride{stride}"
    for direction, starts in zip(BOTH_WAYS, (FRAMES[:-stride], FRAMES[stride:]), strict=True):
        stems = [f"{frame:04}" for frame in starts]
        assert names(shot.root, f"Flow{suffix}", direction) == [f"{stem}.flo" for stem in stems]
        assert names(shot.root, f"SegMatching{suffix}", direction) == [f"{stem}.json" for stem in stems]
        assert names(shot.root, f"Valid{suffix}", direction) == [f"{stem}.png" for stem in stems]
        assert names(shot.root, f"Unmatched{direction.capitalize()}{suffix}") == [f"{stem}.npy" for stem in stems]


def test_arrays_are_of_the_kinds_that_loaders_expect(shot):
    for pair, *_ in pairs(shot):
        assert pair.first.shape == pair.second.shape == (*SHAPE, 3)
        assert (pair.flow.shape, pair.flow.dtype) == ((*SHAPE, 2), np.float32)
        assert (pair.visible.shape, pair.visible.dtype) == (SHAPE, np.uint8)
        assert (pair.flat.shape, pair.flat.dtype) == (SHAPE, np.uint8)
        assert {segments.dtype for segments in pair.segments} == {np.dtype(np.int32)}
        assert {segments.shape for segments in pair.segments} == {SHAPE}
        assert set(np.unique(pair.visible)) | set(np.unique(pair.flat)) <= {0, 1}


def test_flow_is_the_scenes_and_1e10_where_nothing_is_known(shot):
    unknown = 0
    for pair, here, there in pairs(shot):
        ours = flow_between(shot.frames, here, there)
        np.testing.assert_array_equal(pair.flow[ours.valid], ours.flow_px[ours.valid])
        assert (pair.flow[~ours.valid] == np.float32(UNKNOWN)).all()
        unknown += np.count_nonzero(~ours.valid)
    assert unknown > 100, "the scene has a thing that cannot be followed"


def test_unmatched_is_1_where_the_other_frame_shows_it_too(shot):
    for pair, here, there in pairs(shot):
        hidden = hidden_at(shot.frames[here], shot.frames[there])
        np.testing.assert_array_equal(pair.visible == 0, hidden | (pair.flow[..., 0] == np.float32(UNKNOWN)))
        assert 0 < hidden.mean() < 0.5


def test_flow_leads_to_the_same_colour_in_the_second_image(shot):
    """What 0 and 1, the directions and the order of images mean: nothing else fits."""
    fits, turned, other_image, hidden = (
        np.mean([share_of_same_colours(pair, **otherwise) for pair, *_ in pairs(shot)])
        for otherwise in ({}, {"flow_sign": -1}, {"there": "first"}, {"seen": 0})
    )
    assert fits > 0.98
    assert max(turned, other_image, hidden) < 0.9


def share_of_same_colours(pair, flow_sign=1, there="second", seen=1):
    """Of the pixels of the things that pass before the wall, those that land on their own colour."""
    wall = pair.first[0, 0]
    y, x = np.nonzero((pair.visible == seen) & (pair.first != wall).any(axis=-1) & (np.abs(pair.flow[..., 0]) < 1e9))
    u, v = flow_sign * pair.flow[y, x].T
    column, row = np.floor(x + 0.5 + u).astype(int), np.floor(y + 0.5 + v).astype(int)
    inside = (column >= 0) & (column < SHAPE[1]) & (row >= 0) & (row < SHAPE[0])
    landed = getattr(pair, there)[row[inside], column[inside]]
    return (landed == pair.first[y, x][inside]).all(axis=-1).mean() if inside.any() else 0.0


def test_contour_is_black_on_white_along_the_labels_borders(shot):
    from official_loader import read_colours

    for frame, path in zip(FRAMES, loaded(shot).contours[CLIP], strict=True):
        drawn = read_colours(path)[..., 0]
        lines = contour_lines(shot.frames[frame].snapshot, shot.frames[frame].surface)
        np.testing.assert_array_equal(drawn == 0, lines)
        assert set(np.unique(drawn)) == {0, 255}


def test_line_area_is_0_within_10_px_of_a_line(shot):
    for frame, path in zip(FRAMES, loaded(shot).contours[CLIP], strict=True):
        from official_loader import read_colours

        expected = exports.far_from(read_colours(path)[..., 0] == 0, 10)
        flat = np.load(folder(shot.root, "LineArea") / f"{frame:04}.npy")
        np.testing.assert_array_equal(flat == 1, expected)
        assert expected.any()


def test_labels_of_segments_have_no_gaps(shot):
    for pair, *_ in pairs(shot):
        for segments in pair.segments:
            assert np.array_equal(np.unique(segments), np.arange(segments.max() + 1))
            assert segments.max() > 0


def test_every_segment_has_its_matches_best_first(shot):
    for pair, here, there in pairs(shot):
        first, second = pair.segments
        assert sorted(pair.matching) == list(range(first.max() + 1))
        hidden = hidden_at(shot.frames[here], shot.frames[there])
        flow = flow_between(shot.frames, here, there)
        expected = match_by_flow(first, flow.flow_px, hidden | ~flow.valid, second)
        assert [pair.matching[label] for label in sorted(pair.matching)] == expected


def test_our_own_reader_says_the_same(shot):
    (clip,) = AnimeRun(shot.root, SPLIT).clips
    assert (clip.name, clip.frame_count, list(clip.strides)) == (CLIP, 6, STRIDES)
    for stride in STRIDES:
        for direction in BOTH_WAYS:
            theirs = loaded(shot, direction, stride)
            ours = AnimeRun(shot.root, SPLIT).pairs(stride, direction)
            assert len(ours) == len(theirs)
            for place in range(len(theirs)):
                assert_same(ours[place], theirs[place])


def assert_same(ours, theirs):
    np.testing.assert_array_equal(ours.first.image, theirs.first)
    np.testing.assert_array_equal(ours.second.image, theirs.second)
    known = np.abs(theirs.flow[..., 0]) < 1e9
    np.testing.assert_array_equal(ours.valid, known)
    np.testing.assert_array_equal(ours.flow_px[known], theirs.flow[known])
    np.testing.assert_array_equal(ours.occluded, theirs.visible == 0)
    np.testing.assert_array_equal(ours.first.flat, theirs.flat > 0)
    np.testing.assert_array_equal(ours.first.segments, theirs.segments[0])
    np.testing.assert_array_equal(ours.second.segments, theirs.segments[1])
    assert ours.matches == [theirs.matching[label] for label in sorted(theirs.matching)]


def test_the_labels_that_loaders_know_nothing_of_are_the_scenes_too(shot):
    (clip,) = AnimeRun(shot.root, SPLIT).clips
    notes = exports.meta(shot.root, "notes")
    for place, number in enumerate(FRAMES):
        frame, direct = clip.frame(place), shot.frames[number]
        objects = fields.object_ids(direct.snapshot, direct.surface)
        materials = fields.material_ids(direct.snapshot, direct.surface)
        np.testing.assert_array_equal(frame.depth_m, fields.depth(direct.surface))
        np.testing.assert_array_equal(frame.normals, fields.normals(direct.surface))
        assert_same_names(frame.object_ids, notes["object_names"], objects, direct.snapshot.object_names)
        assert_same_names(frame.material_ids, notes["material_names"], materials, direct.snapshot.material_names)


def assert_same_names(ids, its_names, direct, direct_names):
    """Numbers may differ; what they mean may not."""
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids == -1, direct == -1)
    np.testing.assert_array_equal(np.array([*its_names, ""])[ids], np.array([*direct_names, ""])[direct])


def test_cameras_project_as_the_scenes_do(shot):
    cameras = exports.meta(shot.root, "camera")["frames"]
    assert sorted(cameras) == [f"{frame:04}" for frame in FRAMES]
    point = np.array((0.3, -0.2, 0.7, 1.0))
    for frame in FRAMES:
        camera, direct = cameras[f"{frame:04}"], shot.frames[frame].snapshot.camera
        x, y, w = (direct.clip_from_world @ point)[[0, 1, 3]]
        expected = (x / w + 1) / 2 * SHAPE[1], (1 - y / w) / 2 * SHAPE[0]
        right, up, back, _ = np.array(camera["camera_from_world"]) @ point
        # Blender's camera looks along -z with y up.
        seen = np.array((right, -up)) / -back
        image = np.array(camera["centre_px"]) + np.array(camera["focal_px"]) * seen
        np.testing.assert_allclose(image, expected, atol=1e-6)


def test_what_cannot_be_followed_is_named(shot):
    pairs_with_notes = exports.meta(shot.root, "notes")["pairs"]
    assert any("Finer" in note for note in pairs_with_notes["forward/0001"])
    assert any("Finer" in note for note in pairs_with_notes["backward/0002"])
    assert any("Finer" in note for note in pairs_with_notes["stride2/forward/0001"])
    assert not pairs_with_notes.get("stride3/forward/0001"), "three frames on it has the same mesh again"


def test_meta_tells_what_it_was_made_with(shot):
    made = exports.meta(shot.root)
    assert (made["clip"], made["frames"], made["strides"]) == (CLIP, FRAMES, STRIDES)
    assert (made["width_px"], made["height_px"], made["fps"]) == (96, 64, 24.0)
    assert made["source"]["file"] == "shot.blend"
    assert made["looks"] == ["original"]
    assert made["contour"] == "labels"
    assert made["backend"] in {"gpu", "numpy"}
    assert {"animerun", "blender", "numpy", "opencv"} <= made["versions"].keys()
