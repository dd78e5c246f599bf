# SPDX-License-Identifier: GPL-3.0-or-later
"""Augmentation: flow still leads to where the picture went, unknown flow stays unknown, chance can be repeated."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animerun_addon.errors import InputError
from animerun_addon.model_bridge.training.augmentation import Augmentation, Colours, Sample, resized

NOTHING = {
    "scale_chance": 0,
    "stretch_chance": 0,
    "flip_sideways_chance": 0,
    "flip_upside_down_chance": 0,
    "colours": None,
    "eraser_chance": 0,
}
SPATIAL = {
    "crop": {},
    "larger": {"scale_chance": 1, "least_scale": 0.3},
    "smaller": {"scale_chance": 1, "least_scale": -0.5, "most_scale": -0.2},
    "stretch": {"scale_chance": 1, "least_scale": 0, "most_scale": 0, "stretch_chance": 1, "most_stretch": 0.4},
    "sideways": {"flip_sideways_chance": 1},
    "upside_down": {"flip_upside_down_chance": 1},
    "everything": {"scale_chance": 1, "stretch_chance": 1, "flip_sideways_chance": 1, "flip_upside_down_chance": 1},
    "colours_alike": {"colours": Colours(0.2, 0.2, 0.2, asymmetric_chance=0)},
}


def painted(x, y):
    """A smooth picture without end, (H, W, 3), of which no two places nearby look alike."""
    waves = [np.sin(x / 9) + np.cos(y / 13), np.sin((x + y) / 11), np.cos(x / 14 - y / 8)]
    return (128 + 30 * np.stack(waves, axis=-1)).astype(np.float32)


def smooth_sample(height=90, width=120):
    """The second frame is the picture, the first shows what of it the flow, which turns and grows, leads to."""
    y, x = np.indices((height, width)) + 0.5
    u = 4 + 0.03 * x - 0.05 * y + np.sin(y / 20)
    v = -2 + 0.06 * x + 0.02 * y
    flow_px = np.stack([u, v], axis=-1).astype(np.float32)
    return Sample(painted(x + u, y + v), painted(x, y), flow_px, np.ones((height, width), dtype=bool))


def warp_errors(sample):
    """How far the second frame, fetched along the flow, is from the first, where the flow stays in the frame."""
    height, width = sample.valid.shape
    y, x = np.indices((height, width), dtype=np.float32)
    x_there, y_there = x + sample.flow_px[..., 0], y + sample.flow_px[..., 1]
    fetched = cv2.remap(np.ascontiguousarray(sample.image2), x_there, y_there, cv2.INTER_CUBIC)
    inside = (x_there > 1) & (x_there < width - 2) & (y_there > 1) & (y_there < height - 2)
    assert inside.mean() > 0.3
    return np.abs(fetched - sample.image1)[inside & sample.valid]


@pytest.mark.parametrize("changes", SPATIAL.values(), ids=SPATIAL.keys())
def test_flow_leads_to_where_the_picture_went(changes):
    augment = Augmentation(48, 64, **{**NOTHING, **changes})
    for seed in range(8):
        changed = augment(smooth_sample(), np.random.default_rng(seed))
        assert changed.valid.shape == (48, 64)
        assert changed.valid.all()
        assert warp_errors(changed).max() < 2
        assert warp_errors(changed).mean() < 0.4


def test_that_test_sees_a_tenth_of_the_flow_and_a_wrong_sign():
    sample = smooth_sample()
    assert warp_errors(sample).max() < 1
    for wrong in ([1.1, 1], [1, 1.1], [-1, 1], [1, -1]):
        assert warp_errors(sample._replace(flow_px=sample.flow_px * np.float32(wrong))).max() > 2


@pytest.mark.parametrize(("height", "width"), [(20, 200), (100, 30), (40, 50)])
def test_what_is_smaller_than_the_crop_is_scaled_up_and_keeps_its_shape(height, width):
    sample = smooth_sample(height, width)
    sample = sample._replace(flow_px=np.full((height, width, 2), [3, -2], dtype=np.float32))
    changed = Augmentation(48, 64, **NOTHING)(sample, np.random.default_rng(0))
    assert changed.valid.shape == (48, 64)
    factor = max(48 / height, 64 / width)
    np.testing.assert_allclose(changed.flow_px, np.full((48, 64, 2), [3 * factor, -2 * factor]), rtol=0.01)


SIDES = st.tuples(st.integers(2, 9), st.integers(2, 9))


@settings(max_examples=150, deadline=None)
@given(size=SIDES, new_size=SIDES, seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_unknown_flow_is_never_mixed_into_known(size, new_size, seed, share):
    valid = np.random.default_rng(seed).random(size) < share
    flow_px = valid[..., None] * np.float32([3, -2])
    image = np.zeros((*size, 3), dtype=np.float32)
    changed = resized(Sample(image, image, flow_px, valid), *new_size)
    factors = np.array(new_size)[::-1] / np.array(size)[::-1]
    np.testing.assert_allclose(changed.flow_px, changed.valid[..., None] * [3, -2] * factors, rtol=1e-4)
    if valid.all():
        assert changed.valid.all()
    for y, x in np.argwhere(changed.valid):
        # The old pixels that this new one is mixed of.
        rows, columns = (old_places(place, old, new) for place, old, new in zip((y, x), size, new_size, strict=True))
        assert valid[np.ix_(rows, columns)].all()


def old_places(place, old, new):
    centre = (place + 0.5) * old / new - 0.5
    low = int(np.floor(centre))
    weights = {low: 1 - (centre - low), low + 1: centre - low}
    return sorted({min(max(at, 0), old - 1) for at, weight in weights.items() if weight > 0.01})


class TestColours:
    IMAGES = smooth_sample()

    def changed(self, seed=0, **changes):
        augment = Augmentation(90, 120, **{**NOTHING, "colours": Colours(**changes)})
        sample = self.IMAGES._replace(image2=self.IMAGES.image1)
        return augment(sample, np.random.default_rng(seed))

    def test_equal_frames_stay_equal_unless_each_has_its_own(self):
        for seed in range(5):
            alike = self.changed(seed, asymmetric_chance=0)
            np.testing.assert_array_equal(alike.image1, alike.image2)
            apart = self.changed(seed, asymmetric_chance=1)
            assert np.abs(apart.image1 - apart.image2).max() > 1

    def test_they_stay_between_black_and_white(self):
        for seed in range(10):
            changed = self.changed(seed, brightness=0.9, contrast=3, saturation=5, hue=0.5)
            assert changed.image1.dtype == np.float32
            assert changed.image1.min() >= 0
            assert changed.image1.max() <= 255
            assert np.isfinite(changed.image1).all()

    def test_no_range_is_no_change(self):
        changed = self.changed(brightness=0, contrast=0, saturation=0, hue=0)
        np.testing.assert_allclose(changed.image1, self.IMAGES.image1, atol=0.01)

    def test_saturation_alone_keeps_the_greys(self):
        grey = [0.299, 0.587, 0.114]
        for seed in range(5):
            changed = self.changed(seed, brightness=0, contrast=0, saturation=0.3, hue=0)
            np.testing.assert_allclose(changed.image1 @ grey, self.IMAGES.image1 @ grey, atol=0.05)
            assert np.abs(changed.image1 - self.IMAGES.image1).max() > 0.5

    def test_hue_alone_turns_red_towards_its_neighbours(self):
        red = self.IMAGES._replace(image1=np.full((90, 120, 3), [200, 0, 0], dtype=np.float32))
        colours = Colours(brightness=0, contrast=0, saturation=0, hue=1 / 12, asymmetric_chance=1)
        augment = Augmentation(90, 120, **{**NOTHING, "colours": colours})
        pixels = np.array([augment(red, np.random.default_rng(seed)).image1[0, 0] for seed in range(20)])
        np.testing.assert_allclose(pixels[:, 0], 200, atol=0.1)
        assert (pixels[:, 1:].min(axis=1) < 0.1).all()
        assert pixels[:, 1:].max(axis=0).min() > 20
        assert pixels[:, 1:].max() < 101


class TestEraser:
    def test_only_the_second_frame_is_covered_and_flow_stays(self):
        sample = smooth_sample()
        augment = Augmentation(90, 120, **{**NOTHING, "eraser_chance": 1, "least_eraser_px": 20, "most_eraser_px": 30})
        for seed in range(5):
            changed = augment(sample, np.random.default_rng(seed))
            np.testing.assert_array_equal(changed.image1, sample.image1)
            np.testing.assert_array_equal(changed.flow_px, sample.flow_px)
            covered = (changed.image2 != sample.image2).any(axis=-1)
            assert 0 < covered.sum() <= 2 * 30 * 30
            mean = sample.image2.mean(axis=(0, 1))
            np.testing.assert_allclose(changed.image2[covered] - mean, 0, atol=0.01)


class TestChance:
    AUGMENT = Augmentation(48, 64)

    def test_the_same_generator_makes_the_same_sample(self):
        one, again = (self.AUGMENT(smooth_sample(), np.random.default_rng(7)) for _ in range(2))
        for array, same in zip(one, again, strict=True):
            np.testing.assert_array_equal(array, same)

    def test_another_one_another_sample(self):
        one, other = (self.AUGMENT(smooth_sample(), np.random.default_rng(seed)) for seed in (7, 8))
        assert not np.array_equal(one.image1, other.image1)

    def test_what_is_given_is_not_changed(self):
        sample = smooth_sample()
        for seed in range(10):
            Augmentation(90, 120)(sample, np.random.default_rng(seed))
        for array, untouched in zip(sample, smooth_sample(), strict=True):
            np.testing.assert_array_equal(array, untouched)


@pytest.mark.parametrize(
    "changes", [{"crop_height_px": 0}, {"least_scale": 1.0}, {"least_eraser_px": 0}, {"most_eraser_px": 1}]
)
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(InputError, match=r"choose|swap"):
        Augmentation(**{"crop_height_px": 8, "crop_width_px": 8, **changes})
