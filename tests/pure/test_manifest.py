# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells of a clip: it grows at the end, is never mixed, survives a kill, and is gone when the clip is."""

import json
import os

import pytest

from animerun_addon.dataset.layout import Clip, Direction, Kind
from animerun_addon.dataset.manifest import Records, begin, check_only_in, read_meta, remove
from animerun_addon.errors import InputError, OutputError

REMEDIES = ("--anew", "start anew", "another")


@pytest.fixture
def clip(tmp_path):
    return Clip(tmp_path / "set", "train", "shot")


def wanted(frames=(1, 2, 3), **changes):
    """What an export says that it makes."""
    return {
        "clip": "shot",
        "film": "film",
        "source": {"file": "a.blend", "scene": "Scene", "sha256": "aa"},
        "frames": list(frames),
        "digits": 4,
        "strides": [1],
        "labels": ["frames"],
        "looks": ["original"],
        "occlusion": "exact",
        "style": None,
        "versions": {"animerun": "1.0", "numpy": "1.26"},
        **changes,
    }


def files(root):
    """Everything that is there: what it holds and when it was written."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


def put(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# Beginning ------------------------------------------------------------------------------------------------------------


def test_a_new_clip_is_noted_down(clip):
    assert begin(clip, wanted()) == wanted()
    meta = read_meta(clip)
    assert meta["format"] == 1
    assert "1e10" in meta["conventions"]["flow"]
    assert meta.items() >= wanted().items()


def test_the_same_again_writes_nothing(clip):
    begin(clip, wanted())
    before = files(clip.root)
    assert begin(clip, wanted()) == wanted()
    assert files(clip.root) == before


def test_more_frames_go_on_with_all_that_the_clip_has(clip):
    begin(clip, wanted(strides=[1, 2], labels=["frames", "flow"], looks=["original", "color_1"]))
    now = begin(clip, wanted((1, 2, 3, 4), strides=[3], labels=["depth"]))
    assert now["frames"] == [1, 2, 3, 4]
    assert sorted(now["strides"]) == [1, 2, 3]
    assert sorted(now["labels"]) == ["depth", "flow", "frames"]
    assert now["looks"] == ["original", "color_1"]
    assert read_meta(clip).items() >= now.items()


def test_of_the_same_frames_only_what_is_asked_for_is_made_and_all_is_told(clip):
    begin(clip, wanted(strides=[1, 2]))
    now = begin(clip, wanted(strides=[3], labels=["flow"]))
    assert (now["strides"], now["labels"]) == ([3], ["flow"])
    meta = read_meta(clip)
    assert (meta["strides"], meta["labels"]) == ([1, 2, 3], ["frames", "flow"])


def test_a_frame_that_gets_a_next_one_gets_a_new_exr(clip):
    begin(clip, wanted())
    exrs = [put(clip.of_frame(Kind.EXR, frame, ".exr")) for frame in (1, 2, 3)]
    begin(clip, wanted((1, 2, 3), labels=["exr"]))
    assert all(path.exists() for path in exrs)
    begin(clip, wanted((1, 2, 3, 4)))
    assert [path.exists() for path in exrs] == [True, True, False]


@pytest.mark.parametrize("frames", [(0, 1, 2, 3), (2, 3, 4), (1, 2), (1, 3), (1, 3, 5, 7), (7, 8, 9, 10)])
def test_frames_that_do_not_only_add_to_the_end_are_refused(clip, frames):
    begin(clip, wanted())
    before = files(clip.root)
    with pytest.raises(OutputError, match=r"'shot' has frames 1 to 3 \(3 of them\) already") as refused:
        begin(clip, wanted(frames))
    assert any(word in str(refused.value) for word in REMEDIES)
    assert files(clip.root) == before


def test_a_single_frame_is_named_without_a_range(clip):
    begin(clip, wanted((5,)))
    with pytest.raises(OutputError, match="has frames 5 already"):
        begin(clip, wanted((6,)))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"occlusion": "consistency"}, 'occlusion was "exact", now "consistency"'),
        ({"style": {"seed": 1}}, 'style was null, now {"seed": 1}'),
        ({"versions": {"animerun": "1.1", "numpy": "1.26"}}, 'versions.animerun was "1.0", now "1.1"'),
        ({"source": {"file": "a.blend", "scene": "Other", "sha256": "aa"}}, 'source.scene was "Scene", now "Other"'),
        ({"source": {"file": "a.blend", "scene": "Scene", "sha256": "bb"}}, "the scene was changed since"),
        ({"digits": 5, "frames": [1, 2, 3, 10_000]}, "digits was 4, now 5"),
        ({"film": "カット"}, 'now "カット"'),
        ({"more": 1}, "more was null, now 1"),
    ],
)
def test_what_is_made_otherwise_is_refused_and_the_difference_named(clip, changes, named):
    begin(clip, wanted())
    before = files(clip.root)
    with pytest.raises(OutputError, match="Clip 'shot'") as refused:
        begin(clip, wanted(**changes))
    said = str(refused.value)
    assert named in said
    assert str(clip.root) in said
    assert any(word in said for word in REMEDIES)
    assert files(clip.root) == before


def test_long_differences_are_told_in_short(clip):
    begin(clip, wanted())
    with pytest.raises(OutputError) as refused:
        begin(clip, wanted(style={"materials": list(range(1000))}))
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "path",
    [
        lambda clip: clip.frame(1),
        lambda clip: clip.flow(1, Direction.FORWARD, 2),
        lambda clip: clip.of_frame(Kind.EXR, 1, ".exr"),
        lambda clip: clip.camera,
        lambda clip: clip.meta.parent / "parts" / "frame_0001.json",
    ],
)
def test_files_that_nothing_tells_of_are_refused(clip, path):
    """The published data set, say, or a clip that was half deleted: what they were made with is not known."""
    path = put(path(clip))
    before = files(clip.root)
    with pytest.raises(OutputError, match=r"shot' has files already.*another clip or folder, or start anew"):
        begin(clip, wanted())
    assert files(clip.root) == before
    path.unlink()
    begin(clip, wanted())


def test_other_clips_and_other_files_of_the_folder_do_not_count(clip):
    put(Clip(clip.root, "train", "other").flow(1, Direction.FORWARD))
    put(clip.root / "train" / "readme.txt")
    put(clip.root / "train" / "reviews" / "shot" / "a.txt")
    begin(clip, wanted())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"format": 2, "frames": [1]}',
        '{"format": 1}',
        '{"format": 1, "frames": []}',
        '{"format": 1, "frames": "1-3"}',
        '{"format": 1, "frames": [1], "labels": 5}',
        "\ufeff{}",
    ],
)
def test_a_damaged_or_foreign_meta_is_named_with_a_way_out(clip, text):
    put(clip.meta, text)
    with pytest.raises(InputError, match=r"meta\.json.*anew"):
        begin(clip, wanted())
    assert clip.meta.read_text(encoding="utf-8") == text


def test_a_meta_that_is_no_text_is_named(clip):
    put(clip.meta).write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(InputError, match=r"meta\.json"):
        read_meta(clip)


def test_a_name_on_both_sides_of_the_split_is_refused(clip):
    check_only_in(clip)
    begin(clip, wanted())
    check_only_in(clip)
    with pytest.raises(OutputError, match="'shot' is in 'train' already: name another clip"):
        check_only_in(Clip(clip.root, "test", "shot"))


# Removing -------------------------------------------------------------------------------------------------------------


def test_a_clip_is_removed_whole_and_nothing_else(clip):
    other = Clip(clip.root, "train", "other")
    kept = [
        put(other.flow(1, Direction.FORWARD, 2)),
        put(Clip(clip.root, "test", "shot").flow(1, Direction.FORWARD)),
        put(clip.root / "train" / "reviews" / "shot" / "a.txt"),
        put(clip.root / "train" / "shot"),
    ]
    begin(clip, wanted())
    put(clip.frame(1, "color_1"))
    put(clip.flow(1, Direction.FORWARD, 12))
    put(clip.of_frame(Kind.EXR, 1, ".exr"))
    remove(clip)
    assert set(files(clip.root)) == set(kept)


def test_removing_what_is_not_there_is_no_mistake(clip):
    remove(clip)
    assert not clip.root.exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_what_cannot_be_removed_is_named_and_the_clip_still_tells_what_it_is(clip, tmp_path):
    begin(clip, wanted())
    elsewhere = put(tmp_path / "elsewhere" / "0001.npy")
    clip.segment(1).parent.parent.mkdir(parents=True)
    clip.segment(1).parent.symlink_to(elsewhere.parent)
    with pytest.raises(OutputError, match=r"Cannot delete '.*Segment/shot'"):
        remove(clip)
    assert elsewhere.exists()
    assert read_meta(clip) is not None


# Records --------------------------------------------------------------------------------------------------------------


def test_what_is_put_down_is_in_two_files_at_the_end(clip):
    records = Records(clip)
    records.put_names(["Wall"], [])
    records.put_frame(2, {"lens": 2}, ["Smoke has no labels"])
    records.put_frame(1, {"lens": 1}, [])
    records.put_pair("forward/0001", ["Wall changes", "Smoke has no labels"])
    records.put_pair("backward/0002", [])
    records.put_names(["Wall", "Floor"], ["Red"])
    assert records.finish() == ["Smoke has no labels", "Wall changes"]
    assert json.loads(clip.camera.read_text()) == {"frames": {"0001": {"lens": 1}, "0002": {"lens": 2}}}
    assert json.loads(clip.notes.read_text()) == {
        "object_names": ["Wall", "Floor"],
        "material_names": ["Red"],
        "frames": {"0002": ["Smoke has no labels"]},
        "pairs": {"backward/0002": [], "forward/0001": ["Wall changes", "Smoke has no labels"]},
    }
    assert {path.name for path in clip.meta.parent.iterdir()} == {"camera.json", "notes.json"}


def filled(clip, frames):
    """Records of these frames and pairs; they are not finished."""
    records = Records(clip)
    records.put_names(["Wall"], ["Red"])
    for frame in frames:
        if not records.has_frame(frame):
            records.put_frame(frame, {"lens": frame}, [f"note {frame}"])
        key = f"stride2/forward/{frame:04d}"
        if not records.has_pair(key):
            records.put_pair(key, [f"pair {frame}"])
    return records


def told(clip):
    return clip.camera.read_text(), clip.notes.read_text()


@pytest.mark.parametrize("before", [(), (1, 2), (1, 2, 3, 4)])
def test_who_is_killed_and_goes_on_ends_with_the_same(clip, tmp_path, before):
    whole = Clip(tmp_path / "whole", "train", "shot")
    filled(whole, (1, 2, 3, 4)).finish()
    filled(clip, before)
    again = Records(clip)
    assert [again.has_frame(frame) for frame in (1, 2, 3, 4)] == [frame in before for frame in (1, 2, 3, 4)]
    assert again.has_pair("stride2/forward/0001") == (1 in before)
    filled(clip, (1, 2, 3, 4)).finish()
    assert told(clip) == told(whole)


@pytest.mark.parametrize("at", ["camera.json", "notes.json", "parts"])
def test_killed_while_finishing_nothing_is_lost(clip, tmp_path, monkeypatch, at):
    from animerun_addon.dataset import manifest

    whole = Clip(tmp_path / "whole", "train", "shot")
    filled(whole, (1, 2)).finish()

    def kill_at(work):
        def killed(path, *args):
            if path.name == at:
                raise KeyboardInterrupt
            work(path, *args)

        return killed

    records = filled(clip, (1, 2))
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "write_text", kill_at(manifest.write_text))
        patch.setattr(manifest.shutil, "rmtree", kill_at(manifest.shutil.rmtree))
        with pytest.raises(KeyboardInterrupt):
            records.finish()
    assert Records(clip).has_frame(1)
    assert Records(clip).has_pair("stride2/forward/0002")
    filled(clip, (1, 2)).finish()
    assert told(clip) == told(whole)
    assert not (clip.meta.parent / "parts").exists()


def test_a_longer_clip_tells_of_all_its_frames(clip, tmp_path):
    whole = Clip(tmp_path / "whole", "train", "shot")
    filled(whole, (1, 2, 3, 4)).finish()
    filled(clip, (1, 2)).finish()
    filled(clip, (1, 2, 3, 4)).finish()
    assert told(clip) == told(whole)


def test_nothing_new_changes_nothing(clip):
    filled(clip, (1, 2)).finish()
    before = told(clip)
    assert filled(clip, (1, 2)).finish() == ["note 1", "note 2", "pair 1", "pair 2"]
    assert told(clip) == before


def test_names_only_grow(clip):
    records = Records(clip)
    records.put_names(["Wall", "Floor"], ["Red"])
    records.put_names(["Wall"], [])
    records.finish()
    assert json.loads(clip.notes.read_text())["object_names"] == ["Wall", "Floor"]


@pytest.mark.parametrize("name", ["camera", "notes"])
@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"frames": []}', '{"frames": 1, "pairs": {}}'])
def test_damaged_records_are_named(clip, name, text):
    filled(clip, (1, 2)).finish()
    getattr(clip, name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}\.json.*start the clip anew"):
        Records(clip)


def test_frames_of_five_digits_are_called_as_their_files_are(clip):
    long = Clip(clip.root, "train", "shot", digits=5)
    records = Records(long)
    records.put_frame(9, {"lens": 1}, [])
    records.finish()
    assert list(json.loads(clip.camera.read_text())["frames"]) == ["00009"]
    assert Records(long).has_frame(9)
