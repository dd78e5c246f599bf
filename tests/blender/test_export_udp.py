# SPDX-License-Identifier: GPL-3.0-or-later
"""Ultra-Dense Pose as a label of a data set: all characters in one picture, each encoded for itself."""

import json

import bpy
import numpy as np
import pytest
import rest_scenes
from labelled import show_flat
from snapshot_scenes import link

from animerun_addon.dataset.formats import read_npy
from animerun_addon.dataset.layout import Clip, Kind
from animerun_addon.dataset.quality import check_steps
from animerun_addon.dataset.reader import AnimeRun
from animerun_addon.dataset.udp import read_udp
from animerun_addon.errors import OutputError
from animerun_addon.export_settings import ExportSettings, Label
from animerun_addon.labels.udp_encoding import Preset, UdpEncoding
from animerun_addon.pipeline.export import Source, export_steps
from animerun_addon.pipeline.job import Job
from animerun_addon.scene.rest_pose import REST_ATTRIBUTE
from animerun_addon.scene.udp_character import udp_character
from animerun_addon.udp_choices import EncodingChoice, RestChoice

SOURCE = Source("shot.blend", "0" * 64, "shot")
UNIFORM = EncodingChoice(Preset.UNIFORM)
LABELS = frozenset({Label.UDP, Label.IDS, Label.FRAMES})


@pytest.fixture
def scene():
    scene = bpy.context.scene
    rest_scenes.build(scene)
    rest_scenes.build(scene, "Villain").location.x = 1.2
    rest_scenes.stage(scene)
    show_flat(scene)
    ground = link(scene, "Ground", bpy.data.meshes.new("Ground"))
    ground.data.from_pydata([(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)], [], [(0, 1, 2, 3)])
    return scene


def export(scene, root, frames=(1, 4), encoding=UNIFORM, labels=LABELS, **options):
    clip = Clip(root, "train", "shot")
    settings = ExportSettings(labels=labels, udp_encoding=encoding)
    Job("Export", export_steps(scene, clip, frames, settings, SOURCE, **options)).run()
    return clip


def described(clip):
    return json.loads(clip.characters.read_text())["characters"]


def names_seen(clip, frame):
    """(H, W) the object's name at each pixel."""
    names = json.loads(clip.notes.read_text())["object_names"]
    return np.array([*names, ""])[read_npy(clip.of_frame(Kind.OBJECT_ID, frame, ".npy"))]


def test_each_characters_pixels_decode_into_its_own_rest_pose(scene, tmp_path):
    clip = export(scene, tmp_path)
    characters = described(clip)
    assert set(characters) == {"Hero", "Villain"}
    for frame in (1, 4):
        udp, names = AnimeRun(tmp_path).clips[0].frame((1, 4).index(frame)).udp, names_seen(clip, frame)
        own = [np.isin(names, characters[name]["objects"]) for name in characters]
        assert np.array_equal(udp[..., 3] == 1, own[0] | own[1])
        for name, here in zip(characters, own, strict=True):
            assert here.any()
            told = characters[name]["encoding"]
            hero = udp_character(scene, name, RestChoice(), UNIFORM)
            assert told["scale"] == list(hero.encoding.scale)
            rest = UdpEncoding(told["scale"], told["offset"]).decode(udp)[here]
            points = np.concatenate(list(hero.by_object.values()))
            assert (rest >= points.min(axis=0) - 1e-5).all()
            assert (rest <= points.max(axis=0) + 1e-5).all()


def test_the_check_knows_of_it(scene, tmp_path):
    clip = export(scene, tmp_path, labels=LABELS | {Label.FLOW, Label.OCCLUSION, Label.VALID, Label.CONTOUR})
    clip.udp(4).unlink()
    (verdict,) = Job("Check", check_steps(tmp_path)).run().clips
    assert any("UDP" in failure for failure in verdict.failures)


def test_it_can_be_added_to_a_clip_and_not_in_another_encoding(scene, tmp_path):
    export(scene, tmp_path, labels=LABELS - {Label.UDP})
    clip = export(scene, tmp_path)
    before = clip.udp(1).read_bytes()
    with pytest.raises(OutputError, match="begun otherwise"):
        export(scene, tmp_path, encoding=EncodingChoice(Preset.CONR), frames=(1, 4, 8))
    export(scene, tmp_path, frames=(1, 4, 8))
    assert clip.udp(1).read_bytes() == before
    assert clip.udp(8).exists()
    export(scene, tmp_path, encoding=EncodingChoice(Preset.CONR), anew=True)
    assert described(clip)["Hero"]["encoding"]["preset"] == "conr"


def test_a_scene_without_characters_has_empty_pictures(tmp_path):
    scene = bpy.context.scene
    rest_scenes.stage(scene)
    clip = export(scene, tmp_path)
    assert described(clip) == {}
    assert not read_udp(clip.udp(1)).any()


def test_what_the_encoding_clips_is_told(scene, tmp_path):
    clip = Clip(tmp_path, "train", "shot")
    narrow = EncodingChoice(Preset.FREE, (5.0, 5.0, 5.0), (0.5, 0.5, 0.5))
    settings = ExportSettings(labels=LABELS, udp_encoding=narrow)
    made = Job("Export", export_steps(scene, clip, (1,), settings, SOURCE)).run()
    assert any("the surface of 'Hero'" in note for note in made.notes)


def test_a_mesh_that_becomes_another_one_is_named_and_its_attribute_counts(scene, tmp_path):
    growing = scene.objects["Hero hat"].modifiers.new("Array", "ARRAY")
    for frame, count in ((1, 1), (8, 3)):
        growing.count = count
        growing.keyframe_insert("count", frame=frame)
    without = export(scene, tmp_path / "without", frames=(1, 8))
    assert "'Hero hat' is another mesh at frame 8" in without.notes.read_text()
    hat = scene.objects["Hero hat"].data
    rest = hat.attributes.new(REST_ATTRIBUTE, "FLOAT_VECTOR", "POINT")
    rest.data.foreach_set("vector", np.tile((0.0, 0.0, 1.5), (len(hat.vertices), 1)).ravel())
    known = export(scene, tmp_path / "with", frames=(1, 8))
    seen = names_seen(known, 8) == "Hero hat"
    assert seen.any()
    assert not read_udp(without.udp(8))[seen].any()
    assert (read_udp(known.udp(8))[seen][:, 3] == 1).all()
