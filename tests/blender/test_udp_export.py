# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported sequences: what is seen through which camera, colour frames that fit them, going on, and refusing to mix."""

import json

import bpy
import numpy as np
import pytest
import rest_scenes
import rna_dump
import shots
from labelled import show_flat
from snapshot_scenes import instance_of, link

from animerun_addon.dataset.formats import read_png
from animerun_addon.dataset.udp import UdpFormat, read_info
from animerun_addon.dataset.udp_sequence import UdpSequence
from animerun_addon.errors import InputError, OutputError
from animerun_addon.labels.udp_encoding import Preset
from animerun_addon.pipeline.export import Source
from animerun_addon.pipeline.job import Job
from animerun_addon.pipeline.udp import udp_steps
from animerun_addon.scene.udp_character import udp_character
from animerun_addon.style_settings import StyleSettings
from animerun_addon.udp_choices import EncodingChoice, Rest, RestChoice
from animerun_addon.udp_settings import Occluders, SheetChoice, UdpSettings, View

SOURCE = Source("shot.blend", "0" * 64, "shot")
FRAMES = (1, 4, 8)
UNIFORM = EncodingChoice(Preset.UNIFORM)
SMALL = (96, 96)


@pytest.fixture
def scene():
    scene = bpy.context.scene
    rest_scenes.build(scene)
    rest_scenes.stage(scene)
    show_flat(scene)
    return scene


def settings(**changes):
    return UdpSettings(**{"encoding": UNIFORM, "size_px": SMALL, **changes})


def export(scene, out, chosen=None, frames=FRAMES, names=("Hero",), **options):
    return Job("UDP", udp_steps(scene, names, out, frames, chosen or settings(), SOURCE, **options)).run()


def wall(scene, y, width=1.0):
    """Upright, in front of the character's left half for the camera at -Y."""
    thing = link(scene, "Wall", bpy.data.meshes.new("Wall"))
    thing.data.from_pydata([(0, y, -5), (width, y, -5), (width, y, 5), (0, y, 5)], [], [(0, 1, 2, 3)])
    return thing


def is_there(picture):
    return picture[..., 3] == 1


# What is seen ---------------------------------------------------------------------------------------------------------


def test_colours_are_rest_coordinates_of_the_surface(scene, tmp_path):
    (made,) = export(scene, tmp_path)
    hero = udp_character(scene, "Hero", RestChoice(), UNIFORM)
    sequence = UdpSequence(made.folder)
    points = np.concatenate(list(hero.by_object.values()))
    low, high = points.min(axis=0) - 1e-5, points.max(axis=0) + 1e-5
    assert list(sequence.info.frames) == list(FRAMES)
    for frame in FRAMES:
        picture = sequence.frame(frame)
        assert 0.05 < is_there(picture).mean() < 0.95
        rest = sequence.decode(frame)[is_there(picture)]
        assert (rest >= low).all()
        assert (rest <= high).all()
    assert sequence.info.clipped_surface == 0


def test_the_own_camera_shows_all_of_the_character_at_each_frame(scene, tmp_path):
    (made,) = export(scene, tmp_path, settings(margin=0.1, size_px=(200, 100)))
    union = np.any([is_there(picture) for picture in UdpSequence(made.folder)], axis=0)
    rows, columns = np.flatnonzero(union.any(axis=1)), np.flatnonzero(union.any(axis=0))
    assert union.shape == (100, 200)
    free = np.array([rows[0], 99 - rows[-1], columns[0], 199 - columns[-1]]) / (100, 100, 200, 200)
    assert free.min() == pytest.approx(0.1, abs=0.02)
    assert (free > 0.08).all()


def test_a_character_that_faces_another_way_is_seen_from_its_own_front(scene, tmp_path):
    (before,) = export(scene, tmp_path / "before")
    rig = scene.objects["Hero"]
    rig.rotation_euler.z += 2.0
    rig.location.x += 3.0
    (after,) = export(scene, tmp_path / "after")
    for one, other in zip(UdpSequence(before.folder), UdpSequence(after.folder), strict=True):
        differs = np.abs(one - other).max(axis=-1) > 0.02
        assert differs.mean() < 0.01  # but for pixels on edges


def test_through_the_scenes_camera_pictures_are_as_large_as_frames(scene, tmp_path):
    (made,) = export(scene, tmp_path, UdpSettings(encoding=UNIFORM, view=View.CAMERA))
    assert UdpSequence(made.folder)[0].shape == (shots.HEIGHT_PX, shots.WIDTH_PX, 4)


def test_markers_switch_the_scenes_camera_but_not_a_chosen_one(scene, tmp_path):
    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    other.location, other.rotation_euler = (9, 0, 1), (np.pi / 2, 0, np.pi / 2)
    scene.collection.objects.link(other)
    for frame, camera in ((1, scene.camera), (4, other)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    switched, chosen = (
        UdpSequence(export(scene, tmp_path / name, settings(view=View.CAMERA, camera=name))[0].folder)
        for name in ("", "Camera")
    )
    assert switched.frame(1) == pytest.approx(chosen.frame(1), abs=1e-6)
    assert not np.array_equal(switched.frame(4), chosen.frame(4))


def test_a_turntable_of_one_frame_goes_once_round(scene, tmp_path):
    (made,) = export(scene, tmp_path, settings(view=View.TURNTABLE, turn=4), frames=(4,))
    front, left, back, right = UdpSequence(made.folder)
    # The parts that face the camera are those that lie to its side in the rest pose; the hero hardly turns.
    depth = [np.mean(picture[is_there(picture)][:, :2], axis=0) for picture in (front, left, back, right)]
    assert depth[0][1] < depth[2][1]  # less of Y, its back, from the front
    assert depth[1][0] > depth[3][0]  # more of X, its left, from its left
    assert read_info(made.folder).frames == (1, 2, 3, 4)


def test_a_turntable_of_many_frames_plays_them(scene, tmp_path):
    (made,) = export(scene, tmp_path, settings(view=View.TURNTABLE, turn=2))
    assert read_info(made.folder).frames == FRAMES
    held = export(scene, tmp_path / "held", settings(view=View.TURNTABLE, turn=2), frames=(1,))[0]
    assert not np.array_equal(UdpSequence(made.folder)[1], UdpSequence(held.folder)[1])


def test_others_hide_the_character_only_if_they_are_to(scene, tmp_path):
    wall(scene, y=-3.0, width=50.0)
    through = {"view": View.CAMERA}
    alone = UdpSequence(export(scene, tmp_path / "alone", settings(**through))[0].folder)[1]
    among = UdpSequence(export(scene, tmp_path / "among", settings(occluders=Occluders.SCENE, **through))[0].folder)[1]
    middle = SMALL[0] // 2
    assert is_there(alone)[:, middle + 1 :].any()
    assert not is_there(among)[:, middle + 1 :].any()
    assert among[:, :middle] == pytest.approx(alone[:, :middle], abs=1e-6)


def test_each_character_has_a_sequence_with_its_own_numbers(scene, tmp_path):
    other = rest_scenes.build(scene, "Villain")
    other.location.x = 0.5
    chosen = settings(view=View.CAMERA, occluders=Occluders.SCENE)
    hero, villain = export(scene, tmp_path, chosen, names=("Hero", "Villain"))
    assert (hero.folder.name, villain.folder.name) == ("Hero", "Villain")
    both = [is_there(UdpSequence(made.folder)[0]) for made in (hero, villain)]
    assert both[0].any()
    assert both[1].any()
    assert not (both[0] & both[1]).any()


def test_an_instanced_character_is_filmed_where_its_instance_stands(scene, tmp_path):
    source = bpy.data.collections.new("Asset")
    for name in ("Hero", "Hero body", "Hero hat", "Hero feather"):
        thing = scene.objects[name]
        scene.collection.objects.unlink(thing)
        source.objects.link(thing)
    instance_of(scene, "Instance", source).location.x = 1.0
    (made,) = export(scene, tmp_path, settings(view=View.CAMERA))
    columns = np.flatnonzero(is_there(UdpSequence(made.folder)[1]).any(axis=0))
    assert columns.mean() > SMALL[0] / 2 + 3


# Colour frames and sheets ---------------------------------------------------------------------------------------------


def test_colour_frames_show_exactly_what_the_pictures_show(scene, tmp_path):
    wall(scene, y=-3.0, width=50.0)
    for view in (View.CAMERA, View.FIT, View.TURNTABLE):
        chosen = settings(view=view, turn=5, colour=True, occluders=Occluders.SCENE)
        (made,) = export(scene, tmp_path / view, chosen)
        for frame in FRAMES:
            colours = read_png(made.folder / "colour" / f"{frame:04}.png")
            assert np.array_equal(colours[..., 3] > 0, is_there(UdpSequence(made.folder).frame(frame))), (view, frame)
            assert not colours[colours[..., 3] == 0].any()


def test_colour_frames_are_in_the_style_that_is_asked_for_and_the_scene_is_not(scene, tmp_path):
    before = rna_dump.dump()
    export(scene, tmp_path, settings(colour=True, style=StyleSettings()))
    assert rna_dump.differences(before, rna_dump.dump()) == []


def test_a_sheet_has_each_view_of_each_pose_cut_out(scene, tmp_path):
    (made,) = export(scene, tmp_path, settings(sheet=SheetChoice(views=3, poses=2)))
    names = sorted(path.name for path in (made.folder / "sheet").iterdir())
    assert names == [f"pose_{pose}_view_{view}.png" for pose in (1, 2) for view in (1, 2, 3)]
    for name in names:
        picture = read_png(made.folder / "sheet" / name)
        assert picture.shape == (*SMALL, 4)
        assert 0.05 < (picture[..., 3] > 0).mean() < 0.95
    assert read_png(made.sheet).shape == (2 * SMALL[0], 3 * SMALL[1], 4)


def test_a_smaller_sheet_leaves_nothing_of_a_larger_one(scene, tmp_path):
    export(scene, tmp_path, settings(sheet=SheetChoice(views=4)))
    (made,) = export(scene, tmp_path, settings(sheet=SheetChoice(views=2)))
    assert len(list((made.folder / "sheet").iterdir())) == 2


# Going on and refusing ------------------------------------------------------------------------------------------------


def test_pictures_that_are_there_are_kept_and_more_frames_may_follow(scene, tmp_path):
    chosen = settings(view=View.CAMERA)
    (first,) = export(scene, tmp_path, chosen, frames=(1, 4))
    stamp = (first.folder / "udp" / "0001.npz").stat().st_mtime_ns
    (second,) = export(scene, tmp_path, chosen, frames=FRAMES)
    assert (first.written, first.kept, second.written, second.kept) == (2, 0, 1, 2)
    assert (first.folder / "udp" / "0001.npz").stat().st_mtime_ns == stamp
    assert read_info(first.folder).frames == FRAMES


def test_a_picture_that_went_missing_is_made_again(scene, tmp_path):
    (made,) = export(scene, tmp_path)
    path = made.folder / "udp" / "0004.npz"
    whole = path.read_bytes()
    path.unlink()
    (again,) = export(scene, tmp_path)
    assert again.written == 1
    assert path.read_bytes() == whole


def test_cancelled_exports_go_on_and_end_the_same(scene, tmp_path, monkeypatch):
    monkeypatch.setattr("animerun_addon.pipeline.udp.AT_ONCE", 1)
    (whole,) = export(scene, tmp_path / "whole")
    steps = udp_steps(scene, ["Hero"], tmp_path / "cut", FRAMES, settings(), SOURCE)
    for progress in steps:
        if progress.message == f"Drawing picture {FRAMES[1]}":
            break
    steps.close()
    assert read_info(tmp_path / "cut" / "Hero").frames == FRAMES[:1]
    (cut,) = export(scene, tmp_path / "cut")
    assert (cut.kept, cut.written) == (1, 2)
    for path in (whole.folder / "udp").iterdir():
        assert path.read_bytes() == (cut.folder / "udp" / path.name).read_bytes()
    assert (whole.folder / "udp.json").read_text() == (cut.folder / "udp.json").read_text()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"encoding": EncodingChoice(Preset.CONR)}, "encoding"),
        ({"margin": 0.2}, "margin"),
        ({"view": View.CAMERA}, "view"),
        ({"size_px": (64, 64)}, "width"),
        ({"file_format": UdpFormat.EXR}, "file format"),
        ({"occluders": Occluders.SCENE}, "occluders"),
        ({"rest": RestChoice(Rest.FRAME, frame=4)}, "encoding|rest"),
        ({"style": StyleSettings()}, "style|engine"),
    ],
)
def test_nothing_is_mixed(scene, tmp_path, change, named):
    (made,) = export(scene, tmp_path)
    before = {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match=f"begun otherwise.*({named}).*--anew"):
        export(scene, tmp_path, settings(**change))
    assert before == {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}


def test_other_frames_are_another_view_for_an_own_camera(scene, tmp_path):
    export(scene, tmp_path, frames=(1, 4, 8))
    with pytest.raises(OutputError, match="framed_frames"):
        export(scene, tmp_path, frames=(1, 5, 8))


def test_a_changed_scene_is_named(scene, tmp_path):
    export(scene, tmp_path)
    other = Source(SOURCE.file, "1" * 64, SOURCE.film)
    with pytest.raises(OutputError, match="the scene was changed since"):
        Job("UDP", udp_steps(scene, ["Hero"], tmp_path, FRAMES, settings(), other)).run()


def test_anew_deletes_the_sequence_and_nothing_else(scene, tmp_path):
    (made,) = export(scene, tmp_path, frames=(1, 4, 7))
    mine = made.folder / "notes.txt"
    mine.write_text("mine")
    export(scene, tmp_path, settings(margin=0.2), anew=True)
    assert read_info(made.folder).frames == FRAMES
    assert sorted(path.stem for path in (made.folder / "udp").iterdir()) == ["0001", "0004", "0008"]
    assert mine.read_text() == "mine"


def test_pictures_of_unknown_making_are_not_added_to(scene, tmp_path):
    (made,) = export(scene, tmp_path)
    (made.folder / "udp.json").unlink()
    with pytest.raises(OutputError, match=r"no udp\.json"):
        export(scene, tmp_path)


def test_what_it_was_made_from_is_noted(scene, tmp_path):
    (made,) = export(scene, tmp_path)
    plain = json.loads((made.folder / "udp.json").read_text())
    assert plain["made_from"]["file"] == SOURCE.file
    assert plain["made_from"]["view"] == "fit"
    assert plain["rest"] == "the armature's rest position"


# The scene, and what cannot be ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", list(View))
def test_the_scene_is_left_as_it_was(scene, tmp_path, view):
    wall(scene, y=-3.0)
    before = rna_dump.dump()
    chosen = settings(view=view, turn=3, colour=True, occluders=Occluders.SCENE, sheet=SheetChoice(2))
    export(scene, tmp_path, chosen)
    assert rna_dump.differences(before, rna_dump.dump()) == []


def test_an_own_camera_needs_none_of_the_scenes(scene, tmp_path):
    bpy.data.objects.remove(scene.camera)
    (made,) = export(scene, tmp_path, settings(colour=True))
    assert made.written == len(FRAMES)
    with pytest.raises(InputError, match="no camera"):
        export(scene, tmp_path, settings(view=View.CAMERA))


def test_a_camera_that_is_not_there_is_told_with_those_that_are(scene, tmp_path):
    with pytest.raises(InputError, match="no camera 'Drone'; there are: 'Camera'"):
        export(scene, tmp_path, settings(view=View.CAMERA, camera="Drone"))


def test_names_that_would_share_a_folder_are_refused(scene, tmp_path):
    rest_scenes.build(scene, "Hero!")
    with pytest.raises(InputError, match="one folder"):
        export(scene, tmp_path, names=("Hero", "Hero!"))


def test_another_process_in_the_same_sequence_is_refused(scene, tmp_path):
    steps = udp_steps(scene, ["Hero"], tmp_path, FRAMES, settings(), SOURCE)
    next(steps)
    try:
        with pytest.raises(OutputError, match="Another process"):
            export(scene, tmp_path)
    finally:
        steps.close()


def test_a_mesh_that_becomes_another_one_is_named_and_the_rest_goes_on(scene, tmp_path):
    growing = scene.objects["Hero hat"].modifiers.new("Array", "ARRAY")
    for frame, count in ((1, 1), (8, 3)):
        growing.count = count
        growing.keyframe_insert("count", frame=frame)
    (made,) = export(scene, tmp_path)
    assert any("'Hero hat' is another mesh at frame 8" in note for note in made.notes)
    assert is_there(UdpSequence(made.folder).frame(8)).any()
