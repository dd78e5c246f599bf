# SPDX-License-Identifier: GPL-3.0-or-later
"""Two frames and the flow between them, changed alike at random: scaled, flipped, cropped, recoloured, partly covered.

Pure arrays and one generator of chance, no torch. Chances and ranges are those that RAFT was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...dataset.formats import Bool, Float32
from ...errors import InputError

# All, but for the rounding of what shares are added up from.
_KNOWN_SHARE = 1 - 1e-5
_GREY_WEIGHTS = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Sample(NamedTuple):
    """Images (H, W, 3), float32, 0 to 255; flow (H, W, 2), pixels right and down, 0 where it is not `valid` (H, W)."""

    image1: Float32
    image2: Float32
    flow_px: Float32
    valid: Bool


@dataclass(frozen=True)
class Colours:
    """How far colours may change: factors within 1 -+ the number, hue by a share of the colour circle."""

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.5 / np.pi
    # How often the two frames are changed differently.
    asymmetric_chance: float = 0.2


@dataclass(frozen=True)
class Augmentation:
    """What happens to a pair. Chances lie between 0 and 1; scales are powers of two.

    Frames that are smaller than the crop are scaled up until it fits, whatever the chances are. `colours` None leaves
    colours as they are; `eraser_chance` is how often one or two rectangles of the second frame are covered.
    """

    crop_height_px: int
    crop_width_px: int
    scale_chance: float = 0.8
    least_scale: float = -0.2
    most_scale: float = 0.5
    stretch_chance: float = 0.8
    most_stretch: float = 0.2
    flip_sideways_chance: float = 0.5
    flip_upside_down_chance: float = 0.1
    colours: Colours | None = Colours()
    eraser_chance: float = 0.5
    least_eraser_px: int = 50
    most_eraser_px: int = 100

    def __post_init__(self) -> None:
        if min(self.crop_height_px, self.crop_width_px) < 1:
            raise InputError(f"A crop cannot be {self.crop_width_px} x {self.crop_height_px} px: choose 1 or more")
        if self.least_scale > self.most_scale or not 1 <= self.least_eraser_px <= self.most_eraser_px:
            raise InputError("An augmentation's least scale and eraser must not be above its most: swap them")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """A sample as large as the crop; nothing of what is given is changed."""
        sample = _cropped(_flipped(self._scaled(sample, rng), self, rng), self, rng)
        images = (sample.image1, sample.image2)
        if self.colours is not None:
            images = _recoloured(*images, self.colours, rng)
        if rng.random() < self.eraser_chance:
            images = images[0], _erased(images[1], self, rng)
        return Sample(*images, sample.flow_px, sample.valid)

    def _scaled(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width = sample.valid.shape
        scale_x = scale_y = 1.0
        if rng.random() < self.scale_chance:
            scale_x = scale_y = 2.0 ** rng.uniform(self.least_scale, self.most_scale)
            if rng.random() < self.stretch_chance:
                scale_x *= 2.0 ** rng.uniform(-self.most_stretch, self.most_stretch)
                scale_y *= 2.0 ** rng.uniform(-self.most_stretch, self.most_stretch)
        # One factor for both sides, so that a small picture keeps its shape.
        enlarged = max(1.0, self.crop_width_px / (width * scale_x), self.crop_height_px / (height * scale_y))
        new_width = max(round(width * scale_x * enlarged), self.crop_width_px)
        new_height = max(round(height * scale_y * enlarged), self.crop_height_px)
        return resized(sample, new_height, new_width)


def resized(sample: Sample, height: int, width: int) -> Sample:
    """The sample in another size; flow is known where all that it is mixed of is known."""
    import cv2

    old_height, old_width = sample.valid.shape
    if (height, width) == (old_height, old_width):
        return sample

    def scaled(array: Float32) -> Float32:
        return cv2.resize(array, (width, height), interpolation=cv2.INTER_LINEAR)

    share = scaled(sample.valid.astype(np.float32))
    valid = share > _KNOWN_SHARE
    flow_px = scaled(sample.flow_px) * np.array([width / old_width, height / old_height], dtype=np.float32)
    flow_px[~valid] = 0
    return Sample(scaled(sample.image1), scaled(sample.image2), flow_px, valid)


def _flipped(sample: Sample, chances: Augmentation, rng: np.random.Generator) -> Sample:
    if rng.random() < chances.flip_sideways_chance:
        sample = _turned(sample, (slice(None), slice(None, None, -1)), (-1, 1))
    if rng.random() < chances.flip_upside_down_chance:
        sample = _turned(sample, (slice(None, None, -1), slice(None)), (1, -1))
    return sample


def _cropped(sample: Sample, size: Augmentation, rng: np.random.Generator) -> Sample:
    height, width = sample.valid.shape
    top = int(rng.integers(0, height - size.crop_height_px, endpoint=True))
    left = int(rng.integers(0, width - size.crop_width_px, endpoint=True))
    return _turned(sample, (slice(top, top + size.crop_height_px), slice(left, left + size.crop_width_px)), (1, 1))


def _turned(sample: Sample, window: tuple[slice, slice], signs: tuple[int, int]) -> Sample:
    """Those rows and columns of everything, and the signs of flow to the right and down changed with them."""
    flow_px = sample.flow_px[window] * np.array(signs, dtype=np.float32)
    return Sample(sample.image1[window], sample.image2[window], flow_px, sample.valid[window])


def _recoloured(
    image1: Float32, image2: Float32, colours: Colours, rng: np.random.Generator
) -> tuple[Float32, Float32]:
    if rng.random() < colours.asymmetric_chance:
        return _jittered(image1, colours, rng), _jittered(image2, colours, rng)
    # One picture of both: what depends on the mean changes them alike.
    both = _jittered(np.concatenate([image1, image2]), colours, rng)
    return both[: len(image1)], both[len(image1) :]


def _jittered(image: Float32, colours: Colours, rng: np.random.Generator) -> Float32:
    """Brightness, contrast, saturation and hue, one after the other in any order."""
    brightness, contrast, saturation = (
        np.float32(rng.uniform(max(0, 1 - most), 1 + most))
        for most in (colours.brightness, colours.contrast, colours.saturation)
    )
    hue = rng.uniform(-colours.hue, colours.hue)
    for step in rng.permutation(4):
        if step == 0:
            image = image * brightness
        elif step == 1:
            mean = (image @ _GREY_WEIGHTS).mean(dtype=np.float64)
            image = mean.astype(np.float32) + (image - mean.astype(np.float32)) * contrast
        elif step == 2:
            grey = (image @ _GREY_WEIGHTS)[..., None]
            image = grey + (image - grey) * saturation
        else:
            image = _hue_turned(image, hue)
        image = np.clip(image, 0, 255)
    return image


def _hue_turned(image: Float32, share: float) -> Float32:
    import cv2

    hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360 * share) % 360
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def _erased(image: Float32, size: Augmentation, rng: np.random.Generator) -> Float32:
    """One or two rectangles of the picture's mean colour: where the pixels that are covered went is still asked."""
    image = image.copy()
    mean = image.mean(axis=(0, 1))
    for _ in range(rng.integers(1, 2, endpoint=True)):
        height, width = rng.integers(size.least_eraser_px, size.most_eraser_px, size=2, endpoint=True)
        top, left = rng.integers(0, image.shape[0]), rng.integers(0, image.shape[1])
        image[top : top + height, left : left + width] = mean
    return image
