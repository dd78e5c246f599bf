# SPDX-License-Identifier: GPL-3.0-or-later
"""MPI-Sintel, FlyingThings3D and Creative Flow+: tiny ones in their own layouts, written here byte by byte."""

import pickle

import cv2
import numpy as np
import pytest

from animerun_addon.dataset import Direction
from animerun_addon.dataset.foreign import CreativeFlow, FlyingThings3D, Sintel
from animerun_addon.dataset.formats import FormatError
from animerun_addon.errors import InputError

HEIGHT, WIDTH = 3, 5


def flow_of(number):
    """Some flow that tells from which frame it starts; u and v differ, and so do the rows."""
    y, x = np.indices((HEIGHT, WIDTH), dtype=np.float32)
    return np.stack([number + 0.25 * x, -number - 0.5 * y], axis=-1)


def write_picture(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), number, dtype=np.uint8))


def write_mask(path, *white, value=255, black=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.full((HEIGHT, WIDTH), black, dtype=np.uint8)
    for place in white:
        mask[place] = value
    cv2.imwrite(str(path), mask)


def write_flo(path, flow_px):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = np.float32(202021.25).tobytes() + np.int32([WIDTH, HEIGHT]).tobytes()
    path.write_bytes(header + flow_px.astype("<f4").tobytes())


def write_pfm(path, flow_px):
    """Rows from below, a third channel of zeros."""
    path.parent.mkdir(parents=True, exist_ok=True)
    three = np.concatenate([flow_px, np.zeros((HEIGHT, WIDTH, 1))], axis=2)
    path.write_bytes(b"PF\n%d %d\n-1\n" % (WIDTH, HEIGHT) + three[::-1].astype("<f4").tobytes())


@pytest.fixture
def sintel(tmp_path):
    for scene, count in (("alley_1", 3), ("bamboo_1", 2)):
        for number in range(1, count + 1):
            for look in ("clean", "final"):
                write_picture(tmp_path / f"training/{look}/{scene}/frame_{number:04d}.png", number)
            write_mask(tmp_path / f"training/invalid/{scene}/frame_{number:04d}.png", (0, number))
        for number in range(1, count):
            write_flo(tmp_path / f"training/flow/{scene}/frame_{number:04d}.flo", flow_of(number))
            write_mask(tmp_path / f"training/occlusions/{scene}/frame_{number:04d}.png", (1, number))
    for number in (1, 2):
        write_picture(tmp_path / f"test/clean/cave_3/frame_{number:04d}.png", number)
    return tmp_path


@pytest.fixture
def things(tmp_path):
    for camera in ("left", "right"):
        for number in (6, 7, 8):
            for look in ("frames_cleanpass", "frames_finalpass"):
                write_picture(tmp_path / f"{look}/TRAIN/A/0000/{camera}/{number:04d}.png", number)
                write_picture(tmp_path / f"{look}/TRAIN/B/0000/{camera}/{number:04d}.png", number)
            for into, name, sign in (("into_future", "Future", 1), ("into_past", "Past", -1)):
                file = f"OpticalFlowInto{name}_{number:04d}_{camera[0].upper()}.pfm"
                for part in "AB":
                    folder = tmp_path / f"optical_flow/TRAIN/{part}/0000/{into}/{camera}"
                    write_pfm(folder / file, sign * flow_of(number))
    return tmp_path


@pytest.fixture
def creative(tmp_path):
    for take in ("train/boy_jumps", "test/crab/cam0", "test/crab/cam1"):
        for number in (1, 2, 3):
            for style in ("style.flat.pen0", "style.ink0.none"):
                write_picture(tmp_path / take / f"renders/composite/{style}/frame{number:06d}.png", number)
        metadata = tmp_path / take / "metadata"
        for number in (1, 2):
            write_flo(metadata / f"flow/flow{number:06d}.flo", flow_of(number))
            write_flo(metadata / f"backflow/backflow{number:06d}.flo", -flow_of(number))
            write_mask(metadata / f"occlusions/occlusions{number:06d}.png", (2, number), value=247, black=9)
    return tmp_path


def numbers_in(frame):
    return int(frame.image.max())


class TestSintel:
    def test_pairs_of_all_scenes(self, sintel):
        pairs = Sintel(sintel).pairs()
        assert [pair.name for pair in pairs] == [
            "alley_1, frame_0001 to frame_0002",
            "alley_1, frame_0002 to frame_0003",
            "bamboo_1, frame_0001 to frame_0002",
        ]
        pair = pairs[1]
        assert [numbers_in(frame) for frame in (pair.first, pair.second)] == [2, 3]
        assert np.argwhere(pair.occluded).tolist() == [[1, 2]]

    def test_what_is_marked_invalid_is_not_valid_and_zero(self, sintel):
        pair = Sintel(sintel).pairs()[1]
        assert np.argwhere(~pair.valid).tolist() == [[0, 2]]
        assert not pair.flow_px[0, 2].any()
        np.testing.assert_array_equal(pair.flow_px[pair.valid], flow_of(2)[pair.valid])

    def test_without_invalid_and_occlusions_all_is_valid_and_nothing_known_of_occlusion(self, sintel):
        (sintel / "training/invalid").rename(sintel / "elsewhere")
        (sintel / "training/occlusions").rename(sintel / "elsewhere_too")
        pair = Sintel(sintel).pairs()[0]
        assert pair.valid.all()
        assert pair.occluded is None

    def test_passes_are_looks(self, sintel):
        clip = Sintel(sintel).clips[0]
        assert clip.looks == ("clean", "final")
        assert clip.frame(0).path.parts[-3] == "clean"
        assert clip.pair(0, look="final").second.path.parts[-3] == "final"

    def test_the_test_split_and_the_way_back_have_no_flow(self, sintel):
        pair = Sintel(sintel, "test").pairs()[0]
        assert not pair.has_flow
        assert not any(pair.has_flow for pair in Sintel(sintel).pairs(direction=Direction.BACKWARD))
        with pytest.raises(InputError, match="no flow of the pair 'cave_3"):
            pair.flow_px  # noqa: B018

    def test_flow_of_a_mask_of_another_size_is_refused(self, sintel):
        cv2.imwrite(str(sintel / "training/invalid/alley_1/frame_0001.png"), np.zeros((2, 2), np.uint8))
        with pytest.raises(FormatError, match="another size"):
            Sintel(sintel).pairs()[0].flow_px  # noqa: B018

    def test_triplets_have_flow_between_neighbours(self, sintel):
        triplet = Sintel(sintel).triplets()[0]
        assert triplet.first_to_middle.has_flow
        assert triplet.middle_to_last.has_flow
        assert not triplet.forward.has_flow


class TestFlyingThings3D:
    def test_flow_into_the_future_and_into_the_past_starts_at_the_frame_of_its_number(self, things):
        data = FlyingThings3D(things)
        assert [clip.name for clip in data.clips] == ["A/0000", "B/0000"]
        forward, backward = data.pairs()[1], data.pairs(direction=Direction.BACKWARD)[1]
        assert [numbers_in(frame) for frame in (forward.first, forward.second)] == [7, 8]
        assert [numbers_in(frame) for frame in (backward.first, backward.second)] == [8, 7]
        np.testing.assert_array_equal(forward.flow_px, flow_of(7))
        np.testing.assert_array_equal(backward.flow_px, -flow_of(8))
        assert forward.valid.all()
        assert forward.occluded is None

    def test_either_camera_and_either_pass(self, things):
        pair = FlyingThings3D(things, camera="right").pairs(look="frames_finalpass")[0]
        assert pair.flow_file.path.name == "OpticalFlowIntoFuture_0006_R.pfm"
        assert "frames_finalpass" in pair.first.path.parts
        assert FlyingThings3D(things).clips[0].looks == ("frames_cleanpass", "frames_finalpass")

    def test_flow_that_is_no_number_is_unknown(self, things):
        flow_px = flow_of(6)
        flow_px[1, 2] = np.nan, 3
        flow_px[2, 4] = 4, np.inf
        write_pfm(things / "optical_flow/TRAIN/A/0000/into_future/left/OpticalFlowIntoFuture_0006_L.pfm", flow_px)
        pair = FlyingThings3D(things).pairs()[0]
        assert np.argwhere(~pair.valid).tolist() == [[1, 2], [2, 4]]
        assert not pair.flow_px[~pair.valid].any()

    def test_a_grey_pfm_is_no_flow(self, things):
        path = things / "optical_flow/TRAIN/A/0000/into_future/left/OpticalFlowIntoFuture_0006_L.pfm"
        path.write_bytes(b"Pf\n1 1\n-1\n" + bytes(4))
        with pytest.raises(FormatError, match="no optical flow"):
            FlyingThings3D(things).pairs()[0].flow_px  # noqa: B018

    def test_across_a_missing_frame_there_is_no_flow(self, things):
        (things / "frames_cleanpass/TRAIN/A/0000/left/0007.png").unlink()
        clip = FlyingThings3D(things).clips[0]
        assert clip.frame_count == 2
        assert not clip.pair(0).has_flow


class TestCreativeFlow:
    def test_scenes_with_and_without_cameras(self, creative):
        assert [clip.name for clip in CreativeFlow(creative).clips] == ["boy_jumps"]
        assert [clip.name for clip in CreativeFlow(creative, "test").clips] == ["crab/cam0", "crab/cam1"]

    def test_pairs(self, creative):
        pair = CreativeFlow(creative, "test").pairs()[1]
        assert [numbers_in(frame) for frame in (pair.first, pair.second)] == [2, 3]
        np.testing.assert_array_equal(pair.flow_px, flow_of(2))
        assert np.argwhere(pair.occluded).tolist() == [[2, 2]]

    def test_flow_back_starts_at_the_frame_of_its_number_and_the_last_has_none(self, creative):
        pairs = CreativeFlow(creative).pairs(direction=Direction.BACKWARD)
        assert [pair.has_flow for pair in pairs] == [True, False]
        assert [numbers_in(frame) for frame in (pairs[0].first, pairs[0].second)] == [2, 1]
        np.testing.assert_array_equal(pairs[0].flow_px, -flow_of(2))
        assert pairs[0].occluded is None

    def test_styles_are_looks(self, creative):
        clip = CreativeFlow(creative).clips[0]
        assert clip.looks == ("style.flat.pen0", "style.ink0.none")
        with pytest.raises(InputError, match=r"'boy_jumps' has no look 'style.oil'"):
            clip.frame(0, "style.oil")

    def test_a_style_with_fewer_frames_is_named(self, creative):
        (creative / "train/boy_jumps/renders/composite/style.ink0.none/frame000002.png").unlink()
        with pytest.raises(InputError, match=r"no frame 2 in .*style\.ink0"):
            CreativeFlow(creative).clips[0].frame(1, "style.ink0.none")


@pytest.mark.parametrize(
    ("reader", "what"), [(Sintel, "training and test"), (FlyingThings3D, "frames_cleanpass"), (CreativeFlow, "train")]
)
class TestAllOfThem:
    def test_another_folder_is_refused(self, tmp_path, reader, what):
        with pytest.raises(InputError, match=what):
            reader(tmp_path)

    def test_a_split_that_is_not_there_is_named(self, tmp_path, reader, what):
        (tmp_path / "test/clean").mkdir(parents=True)
        (tmp_path / "frames_cleanpass/TEST").mkdir(parents=True)
        with pytest.raises(InputError, match=r"no split '(training|TRAIN|train)' in .*: there is (test|TEST)"):
            reader(tmp_path)

    def test_a_split_without_frames_is_refused(self, tmp_path, reader, what):
        (tmp_path / "frames_cleanpass/TRAIN/A/0000").mkdir(parents=True)
        (tmp_path / "training/clean/alley_1").mkdir(parents=True)
        (tmp_path / "train/boy").mkdir(parents=True)
        with pytest.raises(InputError, match="no frames in"):
            reader(tmp_path)


def test_pairs_travel_to_the_workers_of_a_loader(sintel):
    pair = pickle.loads(pickle.dumps(Sintel(sintel).pairs()))[1]
    assert (~pair.valid).sum() == 1
