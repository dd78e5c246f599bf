# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimating the flow of a folder of frames: on drawings whose motion is known, gone on with, refused, cancelled."""

import shutil

import cv2
import numpy as np
import pytest
from tiny_dataset import write_clip

from animerun_addon.dataset.footage import footage_in
from animerun_addon.dataset.formats import read_flo, read_npy, read_png, write_flo, write_png
from animerun_addon.dataset.layout import Direction
from animerun_addon.dataset.reader import AnimeRun
from animerun_addon.errors import Cancelled, InputError, OutputError
from animerun_addon.labels.motion import Flow
from animerun_addon.labels.occlusion import consistency_occlusion
from animerun_addon.labels.visualize import flow_colours
from animerun_addon.model_bridge.catalog import read_catalog
from animerun_addon.model_bridge.weights import Cache
from animerun_addon.pipeline.flow_models import FlowModel, flow_model_steps
from animerun_addon.pipeline.job import Job
from animerun_addon.pipeline.model_run import flow_clip, flow_steps, shot_of

SHIFT_PX = (4, -2)
SIZE = (144, 160)
FORWARD, BACKWARD = Direction


def drawing(step, size=SIZE):
    """Blotches that all move by SHIFT_PX a step."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    large = cv2.resize(noise, (320, 320), interpolation=cv2.INTER_CUBIC)
    left, top = 80 - SHIFT_PX[0] * step, 80 - SHIFT_PX[1] * step
    return np.ascontiguousarray(large[top : top + size[0], left : left + size[1]])


def write_frames(folder, count=3, first=1):
    folder.mkdir(exist_ok=True)
    for step in range(count):
        write_png(folder / f"shot_{first + step:04}.png", drawing(step))
    return folder


class Counting(FlowModel):
    """Says that everything moves by a tenth of the first pixel's red, and counts how often it is asked."""

    def __init__(self, name="counting"):
        self.described = {"name": name}
        self.asked = 0

    def steps(self, first, second, progress, *, both):
        yield progress
        self.asked += 1
        flow_px = np.full((*first.shape[:2], 2), first[0, 0, 0] / 10, dtype=np.float32)
        return flow_px, -flow_px if both else None

    def close(self):
        pass


def model_of(name, folder, **words):
    return Job("Model", flow_model_steps(name, read_catalog(), Cache(folder / "weights"), **words)).run()


def estimate(folder, out, model, frames=None, truth=None, **words):
    footage = footage_in(folder, frames)
    clip = flow_clip(out, *footage.place, list(footage.files))
    return Job("Flow", flow_steps(shot_of(footage, truth), clip, model, **words)).run()


@pytest.fixture
def frames(tmp_path):
    return write_frames(tmp_path / "sh010")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flow")
    frames = write_frames(folder / "sh010")
    with model_of("classical", folder) as model:
        return estimate(frames, folder / "out", model)


class TestClassical:
    def test_flow_is_right_within_a_pixel_both_ways(self, made):
        (clip,) = AnimeRun(made.clip.root).clips
        for direction, sign in ((FORWARD, 1), (BACKWARD, -1)):
            for pair in clip.pairs(direction=direction):
                off_px = np.linalg.norm(pair.flow_px - sign * np.array(SHIFT_PX), axis=2)
                assert off_px[20:-20, 20:-20].max() < 1.0
                assert pair.valid.all()

    def test_our_reader_opens_it_and_files_are_the_data_sets(self, made):
        (clip,) = AnimeRun(made.clip.root).clips
        assert (clip.name, clip.frame_count, clip.strides) == ("sh010", 3, (1,))
        assert clip.meta["estimated_by"] == {"name": "classical"}
        for file in ("Flow/sh010/forward/0001.flo", "Flow/sh010/backward/0003.flo", "UnmatchedBackward/sh010/0002.npy"):
            assert (made.clip.root / "train" / file).is_file()

    @pytest.mark.parametrize(("source", "target", "direction"), [(1, 2, FORWARD), (2, 1, BACKWARD)])
    def test_hidden_is_what_both_ways_do_not_agree_on(self, made, source, target, direction):
        clip = made.clip
        opposite = BACKWARD if direction is FORWARD else FORWARD
        there = Flow(*read_flo(clip.flow(source, direction)), ())
        back = Flow(*read_flo(clip.flow(target, opposite)), ())
        visible = read_npy(clip.unmatched(source, direction))
        assert visible.dtype == np.uint8
        assert np.array_equal(visible == 0, consistency_occlusion(there, back))
        assert 0.01 < (visible == 0).mean() < 0.2  # what leaves the frame

    def test_pictures_of_the_flow_are_in_one_scale(self, made):
        assert made.scale_px == 5
        for direction, stems in ((FORWARD, (1, 2)), (BACKWARD, (2, 3))):
            files = sorted((made.colours / direction).iterdir())
            assert [path.name for path in files] == [f"{stem:04}.png" for stem in stems]
            for path, stem in zip(files, stems, strict=True):
                expected = flow_colours(*read_flo(made.clip.flow(stem, direction)), made.scale_px)
                assert np.array_equal(read_png(path), expected)
        assert (made.colours / "wheel.png").is_file()


def test_what_is_no_number_is_unknown(frames, tmp_path):
    class Broken(Counting):
        def steps(self, first, second, progress, *, both):
            there, back = yield from super().steps(first, second, progress, both=both)
            there[5, 6, 0] = np.nan
            return there, back

    made = estimate(frames, tmp_path / "out", Broken())
    _, valid = read_flo(made.clip.flow(1, FORWARD))
    assert np.argwhere(~valid).tolist() == [[5, 6]]
    assert read_npy(made.clip.unmatched(1, FORWARD))[5, 6] == 0


class TestGoingOn:
    def test_only_what_is_missing_is_estimated(self, frames, tmp_path):
        model = Counting()
        made = estimate(frames, tmp_path / "out", model)
        assert (made.estimated, made.kept, model.asked) == (2, 0, 2)
        made.clip.unmatched(3, BACKWARD).unlink()
        again = estimate(frames, tmp_path / "out", model)
        assert (again.estimated, again.kept, model.asked) == (1, 1, 3)
        assert made.clip.unmatched(3, BACKWARD).is_file()

    def test_a_cancelled_run_leaves_whole_pairs(self, frames, tmp_path):
        model = Counting()
        footage = footage_in(frames)
        clip = flow_clip(tmp_path / "out", *footage.place, list(footage.files))
        job = Job("Flow", flow_steps(shot_of(footage), clip, model))
        with pytest.raises(Cancelled):
            job.run(lambda status: job.cancel() if model.asked == 1 else None)
        assert {path.name for path in clip.root.rglob("*.flo")} == {"0001.flo", "0002.flo"}
        assert not list(clip.root.rglob("*.part*"))
        assert estimate(frames, tmp_path / "out", model).kept == 1

    def test_frames_may_be_added_behind(self, frames, tmp_path):
        model = Counting()
        estimate(frames, tmp_path / "out", model, frames=[1, 2])
        assert estimate(frames, tmp_path / "out", model).kept == 1
        assert AnimeRun(tmp_path / "out").clips[0].frame_count == 3
        with pytest.raises(OutputError, match=r"has frames 1 to 3 \(3 of them\) already"):
            estimate(frames, tmp_path / "out", model, frames=[2, 3])

    def test_the_way_back_may_come_later(self, frames, tmp_path):
        model = Counting()
        one_way = estimate(frames, tmp_path / "out", model, one_way=True)
        files = {path.parent.name for path in one_way.clip.root.rglob("*.flo")}
        assert files == {"forward"}
        assert not (one_way.clip.root / "train" / "UnmatchedForward").exists()
        assert estimate(frames, tmp_path / "out", model).estimated == 2

    def test_models_are_not_mixed(self, frames, tmp_path):
        made = estimate(frames, tmp_path / "out", Counting())
        before = made.clip.flow(1, FORWARD).read_bytes()
        with pytest.raises(OutputError, match=r'estimated_by\.name was "counting", now "other"'):
            estimate(frames, tmp_path / "out", Counting("other"))
        assert made.clip.flow(1, FORWARD).read_bytes() == before
        assert estimate(frames, tmp_path / "out", Counting("other"), anew=True).estimated == 2

    def test_frames_that_have_changed_are_not_mixed(self, frames, tmp_path):
        estimate(frames, tmp_path / "out", Counting())
        write_png(frames / "shot_0002.png", drawing(5))
        with pytest.raises(OutputError, match=r"shot_0002.png' has changed since"):
            estimate(frames, tmp_path / "out", Counting())
        assert estimate(frames, tmp_path / "out", Counting(), anew=True).estimated == 2

    def test_an_exported_clip_is_never_deleted(self, frames, tmp_path):
        exported = write_clip(tmp_path / "dataset", name="sh010")
        for words in ({}, {"anew": True}):
            with pytest.raises(OutputError, match="sh010"):
                estimate(frames, tmp_path / "dataset", Counting(), **words)
        assert exported.segment(1).is_file()

    def test_pictures_of_earlier_flow_go(self, frames, tmp_path):
        made = estimate(frames, tmp_path / "out", Counting())
        mine = made.colours / "mine.png"
        mine.write_text("mine")
        shutil.rmtree(made.clip.root / "train")
        estimate(frames, tmp_path / "out", Counting(), frames=[2, 3])
        assert [path.name for path in (made.colours / "forward").iterdir()] == ["0002.png"]
        assert mine.exists()

    def test_progress_only_grows(self, frames, tmp_path):
        footage = footage_in(frames)
        clip = flow_clip(tmp_path / "out", *footage.place, list(footage.files))
        fractions = [progress.fraction for progress in flow_steps(shot_of(footage), clip, Counting())]
        assert fractions == sorted(fractions)


class TestError:
    """The model says that all moves by (2, 2) px, for the first pixel's red is 20."""

    @pytest.fixture
    def still(self, tmp_path):
        (tmp_path / "still").mkdir()
        for frame in (1, 2, 3):
            write_png(tmp_path / "still" / f"{frame}.png", np.full((4, 6, 3), 20, np.uint8))
        return tmp_path / "still"

    def test_against_flow_that_was_made_by_hand(self, still, tmp_path):
        true = np.full((4, 6, 2), 2, np.float32)
        true[0] = (5, 6)  # 5 px off
        known = np.ones((4, 6), bool)
        known[3] = False
        for direction in Direction:
            (tmp_path / "true" / direction).mkdir(parents=True)
        for stem in ("1", "2"):
            write_flo(tmp_path / "true" / "forward" / f"{stem}.flo", true, known)
        made = estimate(still, tmp_path / "out", Counting(), truth=tmp_path / "true")
        assert set(made.errors) == {FORWARD}
        error = made.error(FORWARD)
        assert (error.all.count, error.all.px) == (36, pytest.approx(5 / 3))
        assert error.visible.px is error.occluded.px is None
        assert str(error) == "1.667 px"

    def test_against_flow_both_ways_by_the_frame_that_it_starts_from(self, still, tmp_path):
        for direction, stems, px in ((FORWARD, "12", 2), (BACKWARD, "23", -2)):
            (tmp_path / "true" / direction).mkdir(parents=True)
            for stem in stems:
                flow_px = np.full((4, 6, 2), (px, px + int(stem)), np.float32)
                write_flo(tmp_path / "true" / direction / f"{stem}.flo", flow_px)
        made = estimate(still, tmp_path / "out", Counting(), truth=tmp_path / "true")
        assert [each.all.px for each in made.errors[FORWARD].values()] == [1, 2]
        assert {stem: each.all.px for stem, each in made.errors[BACKWARD].items()} == {"0002": 2, "0003": 3}

    def test_a_plain_folder_goes_by_place_where_names_differ(self, still, tmp_path):
        for number, px in enumerate((2, 3)):
            (tmp_path / "true").mkdir(exist_ok=True)
            write_flo(tmp_path / "true" / f"flow{'ab'[number]}.flo", np.full((4, 6, 2), (2, px), np.float32))
        made = estimate(still, tmp_path / "out", Counting(), truth=tmp_path / "true")
        assert [each.all.px for each in made.errors[FORWARD].values()] == [0, 1]
        (tmp_path / "true" / "flowb.flo").unlink()
        with pytest.raises(InputError, match=r"1 .flo files for 2 pairs"):
            estimate(still, tmp_path / "out", Counting(), truth=tmp_path / "true")

    def test_frames_of_a_data_set_are_compared_with_its_flow(self, tmp_path):
        clip = write_clip(tmp_path / "dataset")
        frames = clip.frame(1).parent
        for folder in (frames, frames.parent):
            made = estimate(folder, tmp_path / "out", Counting())
            assert (made.clip.split, made.clip.name) == ("train", "slide")
            for direction, sign in ((FORWARD, 1), (BACKWARD, -1)):
                expected, hidden = expected_error(tmp_path / "dataset", direction, sign * 20.0)
                error = made.error(direction)
                assert error.all.px == pytest.approx(expected, rel=1e-5)
                assert error.occluded.count == hidden > 0
                assert error.visible.count + error.occluded.count == error.all.count

    def test_estimated_flow_is_not_taken_for_the_true_one(self, tmp_path):
        clip = write_clip(tmp_path / "dataset", estimated_by={"name": "other"})
        frames = clip.frame(1).parent
        assert estimate(frames, tmp_path / "out", Counting()).errors == {}
        assert set(estimate(frames, tmp_path / "out", Counting(), truth=frames).errors) == set(Direction)

    def test_a_clip_may_be_named_by_any_of_its_folders(self, tmp_path):
        clip = write_clip(tmp_path / "dataset")
        copy = tmp_path / "copy"
        shutil.copytree(clip.frame(1).parent, copy)
        for truth in (clip.flow(1, FORWARD).parents[1], clip.flow(1, FORWARD).parent, clip.frame(1).parent):
            made = estimate(copy, tmp_path / "out", Counting(), truth=truth)
            assert len(made.errors[FORWARD]) == len(made.errors[BACKWARD]) == 3

    def test_true_flow_of_another_size_or_of_other_frames_is_refused(self, still, frames, tmp_path):
        (tmp_path / "true").mkdir()
        write_flo(tmp_path / "true" / "1.flo", np.zeros((2, 2, 2), np.float32))
        with pytest.raises(InputError, match="frame 1 is 2 x 2, the frame 6 x 4"):
            estimate(still, tmp_path / "out", Counting(), truth=tmp_path / "true")
        clip = write_clip(tmp_path / "dataset")
        with pytest.raises(InputError, match="has no flow of the frames 'shot_0001' to 'shot_0003'"):
            estimate(frames, tmp_path / "out2", Counting(), truth=clip.flow(1, FORWARD).parent)
        for nothing in (tmp_path / "nowhere", still):
            with pytest.raises(InputError, match=r"clip of a data set, or a folder"):
                estimate(still, tmp_path / "out", Counting(), truth=nothing)


def expected_error(root, direction, moved_px):
    """What Counting is off, and how many pixels are hidden: the background, (200, ...), is in the first pixel."""
    pairs = AnimeRun(root).pairs(direction=direction)
    errors = [np.linalg.norm(moved_px - pair.flow_px, axis=2) for pair in pairs]
    return np.mean(errors), sum(int(pair.occluded.sum()) for pair in pairs)


class TestFrames:
    def test_numbers_are_sorted_as_numbers_and_jpeg_counts(self, tmp_path):
        for number in (10, 9, 101):
            (tmp_path / f"take2_{number}.JPG").touch()
        for other in (".take2_1.jpg", "notes.txt"):
            (tmp_path / other).touch()
        assert list(footage_in(tmp_path).files) == [9, 10, 101]
        assert list(footage_in(tmp_path, [9, 101]).files) == [9, 101]
        with pytest.raises(InputError, match=r"has no frame 11: it has 9 to 101 \(3 of them\)"):
            footage_in(tmp_path, [10, 11])

    def test_without_numbers_names_are_sorted_and_counted(self, tmp_path):
        for name in ("b.png", "a.png", "c3.png"):
            (tmp_path / name).touch()
        assert [path.name for path in footage_in(tmp_path).files.values()] == ["a.png", "b.png", "c3.png"]
        assert list(footage_in(tmp_path).files) == [1, 2, 3]

    def test_a_date_is_no_frame_number(self, tmp_path):
        for name in ("20261121123000.png", "20261121123001.png"):
            (tmp_path / name).touch()
        assert list(footage_in(tmp_path).files) == [1, 2]

    @pytest.mark.parametrize(
        ("names", "told"),
        [
            ([], "There are no PNG or JPEG pictures"),
            (["1.png"], "there is one only"),
            (["1.png", "1.jpg"], "a frame twice, '1.jpg' and '1.png'"),
            (["a_1.png", "b_1.png"], "'a_1.png' and 'b_1.png' .* have one number"),
        ],
    )
    def test_what_is_no_sequence_is_refused(self, tmp_path, names, told):
        for name in names:
            (tmp_path / name).touch()
        with pytest.raises(InputError, match=told):
            footage_in(tmp_path)

    def test_frames_of_different_sizes_are_named(self, frames, tmp_path):
        write_png(frames / "shot_0003.png", drawing(2, (100, 120)))
        model = Counting()
        with pytest.raises(InputError, match=r"shot_0003.png' is 120 x 100 and 'shot_0001.png' 160 x 144"):
            estimate(frames, tmp_path / "out", model)
        assert model.asked == 0

    @pytest.mark.parametrize("name", ["shot_0003.png", "shot_0004.jpg"])
    def test_a_frame_that_cannot_be_read_is_named_before_any_work(self, frames, tmp_path, name):
        (frames / name).write_bytes(b"no picture")
        model = Counting()
        with pytest.raises(InputError, match=name):
            estimate(frames, tmp_path / "out", model)
        assert model.asked == 0

    def test_jpeg_frames_have_red_first(self, tmp_path):
        (tmp_path / "jpeg").mkdir()
        for number in (1, 2):
            cv2.imwrite(str(tmp_path / "jpeg" / f"{number}.jpg"), np.full((16, 16, 3), (0, 0, 50), np.uint8))
        made = estimate(tmp_path / "jpeg", tmp_path / "out", Counting())
        flow_px, _ = read_flo(made.clip.flow(1, FORWARD))
        assert flow_px == pytest.approx(5, abs=0.3)
