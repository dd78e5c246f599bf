# SPDX-License-Identifier: GPL-3.0-or-later
"""A loader written from the layout's description alone, and our reader, find the same in a data set made by hand."""

import numpy as np
import pytest
import tiny_dataset
from official_loader import OfficialLoader

from animerun_addon.dataset.layout import Direction
from animerun_addon.dataset.reader import AnimeRun


@pytest.fixture
def root(tmp_path):
    tiny_dataset.write_clip(tmp_path, name="slide", strides=(1, 2), looks=("original", "color_1"))
    tiny_dataset.write_clip(tmp_path, name="again", frames=(7, 9, 11), strides=(1, 2))
    return tmp_path


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("direction", list(Direction))
def test_both_find_the_same_pairs_in_the_same_order(root, direction, stride):
    theirs = OfficialLoader(root, "train", direction, stride)
    ours = AnimeRun(root, "train").pairs(stride, direction)
    assert [clip.name for clip in AnimeRun(root, "train").clips] == theirs.clips == ["again", "slide"]
    assert len(ours) == len(theirs) == 7 - 2 * stride
    for place in range(len(theirs)):
        one, other = ours[place], theirs[place]
        np.testing.assert_array_equal(one.first.image, other.first)
        np.testing.assert_array_equal(one.second.image, other.second)
        np.testing.assert_array_equal(one.flow_px, other.flow)
        np.testing.assert_array_equal(one.occluded, other.visible == 0)
        np.testing.assert_array_equal(one.first.flat, other.flat > 0)
        np.testing.assert_array_equal(one.first.segments, other.segments[0])
        np.testing.assert_array_equal(one.second.segments, other.segments[1])
        assert one.matches == [other.matching[label] for label in sorted(other.matching)]


def test_a_file_too_few_is_noticed(root):
    (root / "train" / "Flow" / "slide" / "forward" / "0002.flo").unlink()
    with pytest.raises(AssertionError):
        OfficialLoader(root, "train")
