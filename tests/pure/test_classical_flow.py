# SPDX-License-Identifier: GPL-3.0-or-later
"""The flow that is there without any network: on drawings whose motion is known, on frames of any size, and stopped."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from animerun_addon.errors import InputError
from animerun_addon.model_bridge.classical import classical_flow

GREY = (90, 90, 90)


def drawing(offset_px=(0, 0), size=(180, 240)):
    """A flat figure with lines before a flat ground with lines; the figure stands `offset_px` off its place."""
    picture = np.empty((*size, 3), dtype=np.uint8)
    picture[:] = (200, 220, 240)
    for x in range(10, size[1], 37):
        cv2.line(picture, (x, 0), (x + 15, size[0]), GREY, 2)
    dx, dy = offset_px
    cv2.rectangle(picture, (80 + dx, 50 + dy), (150 + dx, 130 + dy), (230, 120, 60), -1)
    cv2.rectangle(picture, (80 + dx, 50 + dy), (150 + dx, 130 + dy), (0, 0, 0), 2)
    cv2.circle(picture, (115 + dx, 90 + dy), 12, (20, 20, 90), -1)
    return picture


def figure_of(offset_px=(0, 0), size=(180, 240)):
    """(H, W), where the figure is."""
    x, y = np.arange(size[1]) - offset_px[0], np.arange(size[0])[:, None] - offset_px[1]
    return (abs(x - 115) <= 35) & (abs(y - 90) <= 40)


def error_px(flow, true_px, where):
    return np.linalg.norm(flow.flow_px[where] - true_px, axis=1)


@pytest.fixture(scope="module")
def moved():
    return classical_flow(drawing(), drawing((9, -6)))


def test_a_flat_figure_moves_as_a_whole(moved):
    for flow, true_px, where in (
        (moved.forward, (9, -6), figure_of()),
        (moved.backward, (-9, 6), figure_of((9, -6))),
    ):
        errors = error_px(flow, true_px, where)
        assert np.median(errors) < 1.0
        assert errors.mean() < 1.5


def test_the_ground_stands_still_up_to_near_the_figure(moved):
    near = cv2.dilate((figure_of() | figure_of((9, -6))).astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert error_px(moved.forward, (0, 0), ~near).mean() < 0.5


def test_is_known_everywhere_and_says_so(moved):
    assert moved.forward.valid.all()
    assert np.isfinite(moved.forward.flow_px).all()
    assert moved.forward.flow_px.dtype == np.float32


def test_what_the_figure_covers_is_occluded(moved):
    covered = figure_of((9, -6)) & ~figure_of()
    uncovered = figure_of() & ~figure_of((9, -6))
    rest = ~cv2.dilate((figure_of() | figure_of((9, -6))).astype(np.uint8), np.ones((15, 15))).astype(bool)
    assert moved.occluded_forward[covered].mean() > 0.5
    assert moved.occluded_backward[uncovered].mean() > 0.5
    assert moved.occluded_forward[rest].mean() < 0.12


def test_the_way_back_is_the_way_there_of_swapped_frames(moved):
    swapped = classical_flow(drawing((9, -6)), drawing())
    assert np.array_equal(moved.backward.flow_px, swapped.forward.flow_px)
    assert np.array_equal(moved.occluded_backward, swapped.occluded_forward)


def test_a_still_picture_stands_still():
    still = classical_flow(drawing(), drawing())
    assert np.abs(still.forward.flow_px).max() < 0.05
    assert not still.occluded_forward.any()


def test_a_small_frame_is_seen_with_its_border_drawn_out():
    frames = [drawing(offset)[40:140, 60:180].copy() for offset in ((0, 0), (9, -6))]
    wide = [np.pad(frame, ((18, 18), (8, 8), (0, 0)), mode="edge") for frame in frames]
    small, large = classical_flow(*frames), classical_flow(*wide)
    assert np.array_equal(small.forward.flow_px, large.forward.flow_px[18:-18, 8:-8])


SIZES = [(1, 1), (2, 3), (7, 5), (20, 500), (500, 20), (48, 48), (135, 137), (136, 900), (137, 136)]


def test_frames_of_any_size_come_through():
    """In a process of its own: on narrow pictures of certain sizes OpenCV's DIS, left to itself, ends the process."""
    program = (
        "import numpy as np\n"
        "from animerun_addon.model_bridge.classical import classical_flow\n"
        f"for size in {SIZES}:\n"
        "    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)\n"
        "    found = classical_flow(*frames)\n"
        "    for flow in (found.forward, found.backward):\n"
        "        assert flow.flow_px.shape == (*size, 2) and np.isfinite(flow.flow_px).all(), size\n"
        "    assert found.occluded_forward.shape == size\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_can_be_stopped_between_steps():
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        classical_flow(drawing(), drawing(), stop)
    assert len(calls) == 3


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["grey", "with alpha", "floats", "empty"],
)
def test_other_pictures_are_refused(frame):
    with pytest.raises(InputError, match="8-bit RGB"):
        classical_flow(frame, frame)


def test_frames_of_different_sizes_are_refused():
    with pytest.raises(InputError, match="240 x 180 and 240 x 100"):
        classical_flow(drawing(), drawing()[:100])
