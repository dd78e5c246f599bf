# SPDX-License-Identifier: GPL-3.0-or-later
"""The error of flow: every pixel counts once, unknown ones never, and nothing compared is not an error of 0."""

import numpy as np
import pytest

from animerun_addon.evaluation.endpoint_error import EndpointError, Mean, distance_px, endpoint_error

TRUE = np.zeros((1, 4, 2), np.float32)
FOUND = np.array([[(3, 4), (0, 1), (0, 0), (1e9, 0)]], np.float32)
KNOWN = np.array([[True, True, True, False]])
HIDDEN = np.array([[True, False, False, True]])


def test_distance_is_euclidean():
    assert distance_px(FOUND, TRUE)[0, :3].tolist() == [5, 1, 0]


def test_means_are_over_known_pixels_and_by_what_is_hidden():
    error = endpoint_error(FOUND, TRUE, KNOWN, HIDDEN)
    assert (error.all.px, error.visible.px, error.occluded.px) == (2, 0.5, 5)
    assert str(error) == "2.000 px (visible 0.500, occluded 5.000)"
    assert error.plain() == {"all": 2, "visible": 0.5, "occluded": 5, "pixels": 3}


def test_frames_add_up_by_their_pixels():
    one = endpoint_error(FOUND, TRUE, KNOWN)
    other = endpoint_error(FOUND[:, :1], TRUE[:, :1], KNOWN[:, :1])
    assert (one + other).all == Mean(11, 4)


def test_nothing_to_compare_with_is_no_error_of_0():
    error = endpoint_error(FOUND, TRUE, ~KNOWN & False, HIDDEN)
    assert error == EndpointError()
    assert error.all.px is None
    assert str(error) == "nothing to compare with"


def test_sums_of_many_pixels_stay_exact():
    off = np.full((2000, 2000, 2), (0.1, 0), np.float32)
    error = endpoint_error(off, np.zeros_like(off), np.ones((2000, 2000), bool))
    assert error.all.px == pytest.approx(0.1, rel=1e-6)
