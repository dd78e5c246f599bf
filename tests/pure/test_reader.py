# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader: our exports by name, the published layout by place, and what is missing, damaged or not told apart."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_dataset import HEIGHT_PX, WIDTH_PX, drawn, flow_and_visible, write_clip

from animerun_addon.dataset import AnimeRun, Direction
from animerun_addon.dataset.formats import FormatError, read_png, write_npy, write_png
from animerun_addon.dataset.layout import Kind
from animerun_addon.errors import InputError

BOTH = list(Direction)
FOLDERS = sorted(set(Kind) - {Kind.VALID, Kind.NORMAL, Kind.EXR})


@pytest.fixture
def root(tmp_path):
    write_clip(tmp_path, strides=(1, 2), looks=("original", "color_1"))
    return tmp_path


@pytest.fixture
def published(root):
    """As the published data set has it: no Meta, names that do not tell the direction, no LineArea for the last."""
    split = root / "train"
    for kind in (Kind.META, Kind.OBJECT_ID, Kind.MATERIAL_ID, Kind.DEPTH, Kind.VALID):
        shutil.rmtree(split / kind)
    for stride in ("", "_stride2"):
        for kind, suffix in ((Kind.FLOW, ".flo"), (Kind.MATCHING, ".json")):
            renumber(split / f"{kind}{stride}/slide/backward", "Image{:05d}", suffix)
    renumber(split / "contour/slide", "line{:02d}", ".png")
    renumber(split / "UnmatchedForward/slide", "Image{:04d}", ".npy")
    (split / "LineArea/slide/0004.npy").unlink()
    renumber(split / "LineArea/slide", "Image{:04d}", ".npy")
    return root


def renumber(folder, pattern, suffix):
    for number, path in enumerate(sorted(folder.glob(f"*{suffix}")), start=7):
        path.rename(folder / (pattern.format(number) + suffix))


class TestWhatIsRead:
    @pytest.mark.parametrize("layout", ["root", "published"])
    @pytest.mark.parametrize("stride", [1, 2])
    @pytest.mark.parametrize("direction", BOTH)
    def test_pairs_lead_from_their_first_frame_to_their_second(self, request, layout, stride, direction):
        pairs = AnimeRun(request.getfixturevalue(layout)).pairs(stride, direction)
        assert len(pairs) == 4 - stride
        for place, pair in enumerate(pairs):
            steps = (place, place + stride) if direction is Direction.FORWARD else (place + stride, place)
            flow_px, seen = flow_and_visible(*steps)
            np.testing.assert_array_equal(pair.flow_px, flow_px)
            np.testing.assert_array_equal(pair.occluded, seen == 0)
            assert pair.valid.all()
            assert [pair.first.name, pair.second.name] == [f"{step + 1:04d}" for step in steps]
            np.testing.assert_array_equal(pair.first.segments == 3, drawn(steps[0]) == -1)
            assert len(pair.matches) == 4
            assert (pair.stride, pair.direction, pair.clip) == (stride, direction, "slide")

    @pytest.mark.parametrize("layout", ["root", "published"])
    def test_line_areas_and_contours_go_with_their_frames(self, request, layout):
        folder = request.getfixturevalue(layout)
        flats = [np.load(path) > 0 for path in sorted((folder / "train/LineArea/slide").iterdir())]
        contours = [read_png(path) for path in sorted((folder / "train/contour/slide").iterdir())]
        frames = [AnimeRun(folder).clips[0].frame(place) for place in range(4)]
        for frame, flat in zip(frames, flats, strict=False):
            np.testing.assert_array_equal(frame.flat, flat)
        assert (frames[3].flat is None) == (layout == "published")
        for frame, contour in zip(frames, contours, strict=True):
            np.testing.assert_array_equal(frame.contour, contour)

    def test_arrays_have_the_promised_kinds(self, root):
        pair = AnimeRun(root).pairs()[0]
        frame = pair.first
        size = (HEIGHT_PX, WIDTH_PX)
        kinds = {name: (array.dtype, array.shape) for name, array in arrays_of(frame, pair).items()}
        assert kinds == {
            "image": (np.uint8, (*size, 3)),
            "contour": (np.uint8, size),
            "flat": (np.bool_, size),
            "segments": (np.int32, size),
            "object_ids": (np.int32, size),
            "material_ids": (np.int32, size),
            "depth_m": (np.float32, size),
            "flow_px": (np.float32, (*size, 2)),
            "valid": (np.bool_, size),
            "occluded": (np.bool_, size),
        }
        assert frame.normals is None
        assert frame.object_ids.min() == -1

    def test_an_array_is_read_once(self, root):
        frame = AnimeRun(root).clips[0].frame(0)
        first = frame.image
        frame.path.unlink()
        assert frame.image is first

    def test_looks_are_colour_folders_and_the_first_is_the_original(self, root):
        clip = AnimeRun(root).clips[0]
        assert clip.looks == ("original", "color_1")
        original, other = clip.frame(1), clip.frame(1, "color_1")
        np.testing.assert_array_equal(original.image, clip.frame(1, "original").image)
        np.testing.assert_array_equal(np.roll(original.image, 1, axis=2), other.image)
        with pytest.raises(InputError, match="no look 'ink': there are original, color_1"):
            clip.frame(1, "ink")

    def test_grey_and_transparent_frames_become_colours(self, root):
        clip = AnimeRun(root).clips[0]
        write_png(clip.frame(0).path, np.full((3, 4), 9, dtype=np.uint8))
        write_png(clip.frame(1).path, np.full((3, 4, 4), 9, dtype=np.uint8))
        write_png(clip.frame(2).path, np.full((3, 4), 9, dtype=np.uint16))
        assert {clip.frame(place).image.shape for place in (0, 1)} == {(3, 4, 3)}
        with pytest.raises(FormatError, match="16 bits"):
            clip.frame(2).image  # noqa: B018

    def test_labels_of_other_number_types_are_whole_numbers(self, root):
        clip = AnimeRun(root).clips[0]
        folder = root / "train/Segment/slide"
        write_npy(folder / "0001.npy", np.full((3, 4), 2.0))
        write_npy(folder / "0002.npy", np.full((3, 4), 2.5))
        write_npy(folder / "0003.npy", np.full((3, 4), np.nan))
        assert clip.frame(0).segments.dtype == np.int32
        for place in (1, 2):
            with pytest.raises(FormatError, match="whole numbers"):
                clip.frame(place).segments  # noqa: B018

    def test_meta_is_what_the_clip_was_made_with(self, root, tmp_path):
        clip = AnimeRun(root).clips[0]
        assert clip.meta["film"] == "film"
        assert clip.strides == (1, 2)
        shutil.rmtree(root / "train/Meta")
        assert AnimeRun(root).clips[0].meta is None
        assert AnimeRun(root).clips[0].strides == (1, 2)


class TestSequences:
    def test_pairs_and_triplets_of_all_clips_follow_each_other(self, root):
        write_clip(root, name="another", frames=(8, 9, 10))
        data = AnimeRun(root)
        assert [clip.name for clip in data.clips] == ["another", "slide"]
        names = [pair.name for pair in data.pairs()]
        assert names == [
            "another, 0008 to 0009",
            "another, 0009 to 0010",
            *(f"slide, 000{number} to 000{number + 1}" for number in (1, 2, 3)),
        ]
        assert [pair.name for pair in data.pairs()[1:4:2]] == names[1:4:2]
        assert data.pairs()[-1].name == names[-1]
        assert [triplet.middle.name for triplet in data.triplets()] == ["0009", "0002", "0003"]
        with pytest.raises(IndexError):
            data.pairs()[5]

    def test_triplets_share_their_frames_among_their_pairs(self, root):
        triplet = AnimeRun(root).triplets()[1]
        assert [frame.name for frame in (triplet.first, triplet.middle, triplet.last)] == ["0002", "0003", "0004"]
        for pair, source, target in [
            (triplet.forward, triplet.first, triplet.last),
            (triplet.backward, triplet.last, triplet.first),
            (triplet.first_to_middle, triplet.first, triplet.middle),
            (triplet.middle_to_first, triplet.middle, triplet.first),
            (triplet.middle_to_last, triplet.middle, triplet.last),
            (triplet.last_to_middle, triplet.last, triplet.middle),
        ]:
            assert pair.first is source
            assert pair.second is target
            steps = [int(frame.name) - 1 for frame in (source, target)]
            np.testing.assert_array_equal(pair.flow_px, flow_and_visible(*steps)[0])

    def test_frames_numbered_on_twos_are_neighbours(self, tmp_path):
        write_clip(tmp_path, frames=(1, 3, 5, 9998, 10000), digits=5)
        clip = tmp_path / "train"
        for path in [path for path in clip.rglob("*.*") if path.stem.isdigit()]:
            path.rename(path.with_stem(path.stem.zfill(5)))
        names = [(pair.first.name, pair.second.name) for pair in AnimeRun(tmp_path).pairs() if pair.has_flow]
        assert names == [("00001", "00003"), ("00003", "00005"), ("00005", "09998"), ("09998", "10000")]

    def test_they_travel_to_the_workers_of_a_loader(self, root):
        pairs = pickle.loads(pickle.dumps(AnimeRun(root).pairs()[1:]))
        np.testing.assert_array_equal(pairs[0].flow_px, flow_and_visible(1, 2)[0])

    def test_a_stride_below_one_is_refused(self, root):
        for ask in (AnimeRun(root).pairs, AnimeRun(root).clips[0].triplets):
            with pytest.raises(InputError, match="0 frames apart"):
                ask(stride=0)

    def test_places_beyond_the_clip_are_index_errors(self, root):
        clip = AnimeRun(root).clips[0]
        for ask in (lambda: clip.frame(4), lambda: clip.pair(3), lambda: clip.pair(-1), lambda: clip.triplet(2)):
            with pytest.raises(IndexError, match="slide"):
                ask()


class TestWhatIsMissing:
    def test_no_such_folder(self, tmp_path):
        with pytest.raises(InputError, match=r"no folder '.*nowhere': choose the folder that holds train and test"):
            AnimeRun(tmp_path / "nowhere")

    def test_no_such_split_names_those_there_are(self, root):
        (root / "notes").mkdir()
        with pytest.raises(InputError, match=r"no split 'val' in .*: there are train$"):
            AnimeRun(root, "val")

    def test_a_split_given_as_the_root_is_told(self, root):
        with pytest.raises(InputError, match="choose the folder that holds train or test"):
            AnimeRun(root / "train")

    def test_no_clips(self, tmp_path):
        (tmp_path / "test/Frame_Anime").mkdir(parents=True)
        with pytest.raises(InputError, match="no clips"):
            AnimeRun(tmp_path, "test")

    def test_hidden_and_strange_files_are_not_seen(self, root):
        for folder in ("Frame_Anime/slide/original", "Flow/slide/forward", "contour/slide"):
            for name in (".0001.part.png", "._0001.flo", "Thumbs.db"):
                (root / "train" / folder / name).write_bytes(b"")
        (root / "train/Frame_Anime/.DS_Store").write_bytes(b"")
        (root / "train/Frame_Anime/notes.txt").write_bytes(b"")
        shutil.rmtree(root / "train/Meta")
        data = AnimeRun(root)
        assert [clip.name for clip in data.clips] == ["slide"]
        assert data.pairs()[0].first.contour is not None

    @pytest.mark.parametrize("direction", BOTH)
    def test_published_flow_that_fits_no_frame_count_is_named(self, published, direction):
        next((published / f"train/Flow/slide/{direction}").iterdir()).unlink()
        data = AnimeRun(published)
        with pytest.raises(InputError, match=rf"'slide' has 3 pairs, but 2 files in '.*{direction}'"):
            data.pairs(direction=direction)[0]
        other = Direction.BACKWARD if direction is Direction.FORWARD else Direction.FORWARD
        assert data.pairs(direction=other)[0].has_flow

    def test_other_published_labels_that_fit_no_count_are_named_when_asked_for(self, published):
        (published / "train/contour/slide/line07.png").unlink()
        (published / "train/UnmatchedBackward/slide/0003.npy").unlink()
        pair = AnimeRun(published).pairs(direction=Direction.BACKWARD)[0]
        assert pair.flow_px.any()
        for ask in (lambda: pair.occluded, lambda: pair.first.contour):
            with pytest.raises(InputError, match="'slide' has"):
                ask()

    def test_of_an_unfinished_export_nothing_is_mispaired(self, root):
        (root / "train/Flow/slide/forward/0001.flo").unlink()
        (root / "train/contour/slide/0002.png").unlink()
        (root / "train/Frame_Anime/slide/original/0003.png").unlink()
        pairs = AnimeRun(root).pairs()
        assert [pair.has_flow for pair in pairs] == [False, True, True]
        np.testing.assert_array_equal(pairs[1].flow_px, flow_and_visible(1, 2)[0])
        assert [pair.first.contour is None for pair in pairs] == [False, True, False]
        with pytest.raises(InputError, match=r"0003\.png"):
            pairs[2].first.image  # noqa: B018
        with pytest.raises(InputError, match="no flow of the pair 'slide, 0001 to 0002'"):
            pairs[0].flow_px  # noqa: B018

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            '{"frames": [1, 2]}',
            '{"frames": [2, 1], "strides": [1], "digits": 4}',
            '{"frames": [], "strides": [1], "digits": 4}',
            '{"frames": [1, true], "strides": [1], "digits": 4}',
            '{"frames": [1, 2], "strides": [0], "digits": 4}',
            '{"frames": [1, 2], "strides": [1], "digits": 1e9}',
            "[" * 100000,
        ],
    )
    def test_a_damaged_meta_file_is_named_when_the_clip_is_asked(self, root, text):
        (root / "train/Meta/slide/meta.json").write_text(text)
        clip = AnimeRun(root).clips[0]
        for ask in (lambda: clip.meta, lambda: clip.frame_count, lambda: clip.frame(0)):
            with pytest.raises(FormatError, match=r"meta\.json"):
                ask()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_clip(folder, strides=(1, 2))
    return folder


# The folder of a module is the same for all examples: each copies it.
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(missing=st.sets(st.sampled_from(FOLDERS)))
def test_whatever_folders_are_missing_the_rest_is_read(whole, tmp_path_factory, missing):
    root = tmp_path_factory.mktemp("part") / "copy"
    shutil.copytree(whole, root, ignore=lambda folder, names: set(names) & missing if folder.endswith("train") else ())
    frame_kinds = {Kind.FRAMES, Kind.CONTOUR, Kind.SEGMENT, Kind.OBJECT_ID, Kind.MATERIAL_ID, Kind.DEPTH}
    if missing >= frame_kinds | {Kind.META}:
        with pytest.raises(InputError, match="no split 'train'"):
            AnimeRun(root)
        return
    clip = AnimeRun(root).clips[0]
    assert clip.frame_count == 4
    pair = clip.pair(1)
    found = arrays_of(pair.first, pair, lenient=True)
    expected = {
        "image": Kind.FRAMES,
        "contour": Kind.CONTOUR,
        "flat": Kind.LINE_AREA,
        "segments": Kind.SEGMENT,
        "object_ids": Kind.OBJECT_ID,
        "material_ids": Kind.MATERIAL_ID,
        "depth_m": Kind.DEPTH,
        "flow_px": Kind.FLOW,
        "valid": Kind.FLOW,
        "occluded": Kind.UNMATCHED_FORWARD,
    }
    assert set(found) == {name for name, kind in expected.items() if kind not in missing}
    assert (pair.matches is None) == (Kind.MATCHING in missing)


@MANY
@given(data=st.data())
def test_a_damaged_file_is_named_when_it_is_asked_for_and_only_then(whole, tmp_path_factory, data):
    root = tmp_path_factory.mktemp("damaged") / "copy"
    shutil.copytree(whole, root)
    pair = AnimeRun(root).clips[0].pair(1)
    files = {
        name: getattr(owner, f"{name.split('_px')[0].split('_m')[0]}_file").path
        for owner, name in [(pair.first, name) for name in FRAME_ARRAYS[1:-1]] + [(pair, "flow_px"), (pair, "matches")]
    }
    files["image"] = pair.first.path
    victim = data.draw(st.sampled_from(sorted(files)))
    whole_bytes = files[victim].read_bytes()
    files[victim].write_bytes(whole_bytes[: data.draw(st.integers(0, len(whole_bytes) - 1))])
    for name in files:
        owner = pair if name in ("flow_px", "matches") else pair.first
        if name == victim:
            with pytest.raises(FormatError, match=re.escape(str(files[victim]))):
                getattr(owner, name)
        else:
            assert getattr(owner, name) is not None


FRAME_ARRAYS = ("image", "contour", "flat", "segments", "object_ids", "material_ids", "depth_m", "normals")
PAIR_ARRAYS = ("flow_px", "valid", "occluded")


def arrays_of(frame, pair, lenient=False):
    """Those arrays that there are, by name."""
    found = {}
    for owner, name in [*((frame, name) for name in FRAME_ARRAYS), *((pair, name) for name in PAIR_ARRAYS)]:
        try:
            found[name] = getattr(owner, name)
        except InputError:
            assert lenient
    return {name: array for name, array in found.items() if array is not None}


def test_it_needs_neither_bpy_nor_torch(root):
    program = (
        "import sys; sys.modules['bpy'] = sys.modules['torch'] = None\n"
        "from animerun_addon.dataset import AnimeRun\n"
        f"print(AnimeRun({str(root)!r}).pairs()[0].flow_px.shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == str((HEIGHT_PX, WIDTH_PX, 2)), done.stderr


def test_meta_is_json_as_the_exporter_writes_it(root):
    written = json.loads((root / "train/Meta/slide/meta.json").read_text())
    assert AnimeRun(root).clips[0].meta == written
