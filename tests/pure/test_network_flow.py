# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter that fits frames of any size to a network and its flow to the frames; what networks find is theirs."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks cannot be tried")

from animerun_addon.errors import InputError  # noqa: E402
from animerun_addon.model_bridge.networks.flow import (  # noqa: E402
    Estimate,
    FlowModel,
    FlowNetwork,
    Options,
    full_precision,
)


class Echo(FlowNetwork):
    """Its flow is the first two colours of the frame that it starts from; it remembers what it was shown."""

    side_step = 8
    least_side = 32

    def __init__(self):
        super().__init__()
        self.shown = []

    def encode(self, image):
        self.shown.append(image)
        return image

    def match(self, first, second, options):
        return Estimate(first[:, :2].float()), Estimate(second[:, :2].float()) if options.both else None


class Stretched(Echo):
    resize_step = 64


class Multiplying(Echo):
    """A matrix product is what half precision shows at."""

    bears_half = True

    def match(self, first, second, options):
        with full_precision(first):
            exact = first[:, :1] @ torch.eye(first.shape[-1])
        return Estimate(torch.cat([exact, first[:, :1] @ torch.eye(first.shape[-1])], 1)), None


def frame(height, width, seed=0):
    return 255 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def estimate(model, *frames, **options):
    return model.estimate(*frames, Options(**options))


class TestPadding:
    @pytest.mark.parametrize("size", [(32, 40), (33, 47), (39, 33), (3, 50), (1, 1)])
    def test_flow_is_cut_where_the_frame_was_put(self, size):
        network, one = Echo(), frame(*size)
        forward, backward = estimate(FlowModel(network), one, frame(*size, seed=1))
        assert torch.equal(forward.flow_px, one[:, :2])
        assert torch.equal(backward.flow_px, frame(*size, seed=1)[:, :2])

    def test_networks_see_sides_that_fit(self):
        network = Echo()
        estimate(FlowModel(network), frame(33, 5), frame(33, 5))
        assert [shown.shape for shown in network.shown] == [(1, 3, 40, 32)] * 2

    def test_the_border_goes_on_and_the_larger_half_is_below_and_right(self):
        network, one = Echo(), frame(35, 37)
        estimate(FlowModel(network), one, one.clone())
        padded = network.shown[0]
        assert torch.equal(padded[..., 2:37, 1:38], one)
        assert torch.equal(padded[..., 0, 1:38], one[..., 0, :])
        assert torch.equal(padded[..., 2:37, -1], one[..., -1])


class TestOtherSizes:
    def test_flow_is_measured_in_pixels_of_the_frame_not_of_what_was_seen(self):
        # Stretched from 32 x 40 to 64 x 64: what is 10 px there is 5 px down and 6.25 px across here.
        one = torch.full((1, 3, 32, 40), 10.0)
        flow_px = estimate(FlowModel(Stretched()), one, one.clone())[0].flow_px
        assert flow_px.shape == (1, 2, 32, 40)
        torch.testing.assert_close(flow_px[0, 0], torch.full((32, 40), 6.25))
        torch.testing.assert_close(flow_px[0, 1], torch.full((32, 40), 5.0))

    def test_frames_seen_at_half_their_size_move_twice_as_far(self):
        network, one = Echo(), torch.full((1, 3, 64, 80), 10.0)
        flow_px = estimate(FlowModel(network, scale=0.5), one, one.clone())[0].flow_px
        assert network.shown[0].shape == (1, 3, 32, 40)
        torch.testing.assert_close(flow_px, torch.full((1, 2, 64, 80), 20.0))

    def test_frames_that_differ_are_refused(self):
        with pytest.raises(InputError, match="40 x 32 and 48 x 32"):
            estimate(FlowModel(Echo()), frame(32, 40), frame(32, 48))


class TestSequence:
    def test_the_second_frame_is_known_when_it_comes_first(self):
        network, frames = Echo(), [frame(32, 32, seed) for seed in range(3)]
        model = FlowModel(network)
        estimate(model, *frames[:2])
        estimate(model, *frames[1:])
        assert len(network.shown) == 3

    def test_a_frame_alike_is_another_frame(self):
        network = Echo()
        model = FlowModel(network)
        estimate(model, frame(32, 32), frame(32, 32, seed=1))
        estimate(model, frame(32, 32, seed=1), frame(32, 32, seed=2))
        assert len(network.shown) == 4

    def test_what_is_forgotten_is_looked_at_again(self):
        network, frames = Echo(), [frame(32, 32, seed) for seed in range(3)]
        model = FlowModel(network)
        estimate(model, *frames[:2])
        model.forget()
        estimate(model, *frames[1:])
        assert len(network.shown) == 4

    def test_it_can_be_stopped_before_each_frame(self):
        network, looks = Echo(), []

        def stop():
            looks.append(len(network.shown))
            if network.shown:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            estimate(FlowModel(network), frame(32, 32), frame(32, 32), stop=stop)
        assert looks == [0, 1]


class TestHalfPrecision:
    def test_only_what_bears_it_is_cut(self):
        one = torch.full((1, 3, 32, 32), 100.3)
        exact, cut = estimate(FlowModel(Multiplying(), half=True), one, one.clone())[0].flow_px[0].float()
        torch.testing.assert_close(exact, torch.full((32, 32), 100.3))
        assert (cut - 100.3).abs().min() > 0.05

    def test_nothing_is_cut_unless_asked_for(self):
        one = torch.full((1, 3, 32, 32), 100.3)
        flow_px = estimate(FlowModel(Multiplying()), one, one.clone())[0].flow_px
        torch.testing.assert_close(flow_px, torch.full((1, 2, 32, 32), 100.3))

    def test_networks_that_do_not_bear_it_are_refused(self):
        with pytest.raises(InputError, match="Echo needs full precision"):
            FlowModel(Echo(), half=True)

    def test_so_are_devices_that_have_none(self, monkeypatch):
        monkeypatch.setattr(torch.amp, "is_autocast_available", lambda _device: False)
        one = frame(32, 32)
        assert estimate(FlowModel(Multiplying()), one, one.clone())[0].flow_px.shape == (1, 2, 32, 32)
        with pytest.raises(InputError, match="no half precision on 'cpu'"):
            estimate(FlowModel(Multiplying(), half=True), one, one.clone())
