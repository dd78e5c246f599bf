# SPDX-License-Identifier: GPL-3.0-or-later
"""The torch data set over pairs: tensors as RAFT's training code takes them, the same in any worker."""

import numpy as np
import pytest
from tiny_dataset import HEIGHT_PX, WIDTH_PX, flow_and_visible, write_clip

from animerun_addon.dataset import AnimeRun
from animerun_addon.dataset.formats import write_flo, write_png
from animerun_addon.errors import InputError
from animerun_addon.model_bridge.training.augmentation import Augmentation

torch = pytest.importorskip("torch", reason="torch is not installed: the data set for it cannot be tried")

from torch.utils.data import ConcatDataset, DataLoader  # noqa: E402

from animerun_addon.model_bridge.training.flow_dataset import FlowDataset  # noqa: E402

CROP = Augmentation(24, 32, least_eraser_px=4, most_eraser_px=8)


@pytest.fixture
def root(tmp_path):
    write_clip(tmp_path)
    return tmp_path


@pytest.fixture
def pairs(root):
    return AnimeRun(root).pairs()


def same(items, others):
    return all(
        torch.equal(tensor, other)
        for item, other_item in zip(items, others, strict=True)
        for tensor, other in zip(item, other_item, strict=True)
    )


class TestItems:
    def test_they_are_the_pair_as_tensors(self, pairs):
        image1, image2, flow, valid = FlowDataset(pairs)[1]
        np.testing.assert_array_equal(image1.numpy(), pairs[1].first.image.transpose(2, 0, 1))
        np.testing.assert_array_equal(image2.numpy(), pairs[1].second.image.transpose(2, 0, 1))
        np.testing.assert_array_equal(flow.numpy(), flow_and_visible(1, 2)[0].transpose(2, 0, 1))
        assert valid.shape == (HEIGHT_PX, WIDTH_PX)
        assert valid.all()
        assert {tensor.dtype for tensor in (image1, image2, flow, valid)} == {torch.float32}

    def test_augmented_ones_have_the_size_of_the_crop(self, pairs):
        for item in FlowDataset(pairs, CROP):
            assert [tuple(tensor.shape) for tensor in item] == [(3, 24, 32), (3, 24, 32), (2, 24, 32), (24, 32)]
            assert all(tensor.is_contiguous() for tensor in item)

    def test_unknown_flow_and_flow_beyond_1000_px_are_zero_and_not_valid(self, root, pairs):
        flow_px = np.ones((HEIGHT_PX, WIDTH_PX, 2), dtype=np.float32)
        flow_px[3, 4, 1], flow_px[5, 6, 0] = 1000, -2000
        known = np.ones((HEIGHT_PX, WIDTH_PX), dtype=bool)
        known[7, 8] = False
        write_flo(root / "train/Flow/slide/forward/0001.flo", flow_px, known)
        _, _, flow, valid = FlowDataset(pairs)[0]
        assert torch.argwhere(valid == 0).tolist() == [[3, 4], [5, 6], [7, 8]]
        assert not flow[:, valid == 0].any()

    def test_pairs_without_flow_are_left_out(self, root):
        (root / "train/Flow/slide/forward/0002.flo").unlink()
        data = FlowDataset(AnimeRun(root).pairs())
        assert len(data) == 2
        np.testing.assert_array_equal(data[1][2].numpy(), flow_and_visible(2, 3)[0].transpose(2, 0, 1))

    def test_no_flow_at_all_is_refused(self, root):
        with pytest.raises(InputError, match="None of 2 pairs has flow"):
            FlowDataset(AnimeRun(root).pairs(stride=2))

    def test_frames_and_flow_of_different_size_are_named(self, root, pairs):
        write_png(root / "train/Frame_Anime/slide/original/0002.png", np.zeros((5, 5, 3), dtype=np.uint8))
        with pytest.raises(InputError, match="'slide, 0001 to 0002' differ in size"):
            FlowDataset(pairs)[0]

    def test_index_errors_end_it(self, pairs):
        data = FlowDataset(pairs)
        assert len(list(data)) == len(data) == 3
        assert same([data[-1]], [data[2]])


class TestChance:
    def test_an_item_depends_on_seed_epoch_and_index_alone(self, pairs):
        data, again = FlowDataset(pairs, CROP, seed=3), FlowDataset(pairs, CROP, seed=3)
        first = list(data)
        assert same(first, reversed([again[place] for place in (2, 1, 0)]))
        data.set_epoch(1)
        assert not same(first, list(data))
        data.set_epoch(0)
        assert same(first, list(data))
        assert not same(first, list(FlowDataset(pairs, CROP, seed=4)))

    def test_repeats_are_augmented_differently(self, pairs):
        data = FlowDataset(pairs, CROP, repeats=2)
        assert len(data) == 6
        assert not same([data[0]], [data[3]])
        plain = FlowDataset(pairs, repeats=2)
        assert same([plain[0]], [plain[3]])

    @pytest.mark.parametrize("wrong", [{"repeats": 0}, {"seed": -1}])
    def test_numbers_that_make_no_sense_are_refused(self, pairs, wrong):
        with pytest.raises(InputError, match="choose 1 or more"):
            FlowDataset(pairs, CROP, **wrong)
        with pytest.raises(InputError, match="count from 0"):
            FlowDataset(pairs).set_epoch(-1)


class TestLoader:
    def test_two_workers_make_what_one_process_makes_epoch_by_epoch(self, pairs):
        data = FlowDataset(pairs, CROP, repeats=2)
        loader = DataLoader(data, batch_size=2, num_workers=2, persistent_workers=True)
        for epoch in (0, 1):
            data.set_epoch(epoch)
            batches = list(loader)
            assert [tuple(tensor.shape) for tensor in batches[0]] == [
                (2, 3, 24, 32),
                (2, 3, 24, 32),
                (2, 2, 24, 32),
                (2, 24, 32),
            ]
            assert same([item for batch in batches for item in zip(*batch, strict=True)], list(data))

    def test_it_mixes_with_other_data_sets(self, pairs):
        mixed = ConcatDataset([FlowDataset(pairs, CROP, repeats=3), FlowDataset(pairs, CROP)])
        assert len(mixed) == 12
        assert mixed[11][0].shape == (3, 24, 32)
