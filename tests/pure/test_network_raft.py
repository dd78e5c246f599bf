# SPDX-License-Identifier: GPL-3.0-or-later
"""RAFT, large and small, and GMA: the published answers out of published files, and what ours spares and bears.

The lookup has tests of its own (test_network_correlation.py), and so has the warm start (test_network_warm_start.py).
"""

import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks cannot be tried")

from golden_cases import PARITY, error_share, full_cases, own_case, read_full  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import flow_literal  # noqa: E402

from animerun_addon.errors import InputError  # noqa: E402
from animerun_addon.model_bridge.networks import checkpoint  # noqa: E402
from animerun_addon.model_bridge.networks.flow import FlowModel, Options  # noqa: E402
from animerun_addon.model_bridge.networks.gma import Gma  # noqa: E402
from animerun_addon.model_bridge.networks.raft import Raft, RaftSmall  # noqa: E402

NETWORKS = {"raft": Raft, "raft_small": RaftSmall, "gma": Gma}
EVERY_37TH = slice(None, None, 37)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=list(NETWORKS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def case(name):
    return own_case(name)


@pytest.fixture(scope="module")
def network(name, case):
    return filled(name, case)


def filled(name, case):
    network = NETWORKS[name]()
    network.load_state_dict(case.weights())
    return network


def channels_last(maps):
    """(H, W, C) of the only one of a batch."""
    return maps[0].permute(1, 2, 0)


def estimate(network, frames, **options):
    return FlowModel(network).estimate(*frames, Options(**options))


def small_frames(count=2, height=72, width=80):
    random = torch.Generator().manual_seed(3)
    return [255 * torch.rand(1, 3, height, width, generator=random) for _ in range(count)]


class Calls:
    """How often modules of a network ran, by name."""

    def __init__(self, network, *names):
        self.counts = defaultdict(int)
        self._handles = [network.get_submodule(name).register_forward_hook(self._counter(name)) for name in names]

    def _counter(self, name):
        def count(*_):
            self.counts[name] += 1

        return count

    def __enter__(self):
        return self.counts

    def __exit__(self, *_):
        for handle in self._handles:
            handle.remove()


class TestParity:
    def test_the_answer_is_the_published_one(self, network, case):
        forward, _ = estimate(network, case.frames(), iterations=int(case["iters"]))
        assert error_share(channels_last(forward.flow_px), case["flow"]) <= PARITY

    def test_it_comes_out_of_files_as_they_are_published(self, name, case, tmp_path):
        torch.save(case.weights(prefix="module."), tmp_path / "published.pth")
        network = NETWORKS[name]()
        checkpoint.fill(network, tmp_path / "published.pth")
        forward, _ = estimate(network, case.frames(), iterations=int(case["iters"]))
        assert error_share(channels_last(forward.flow_px), case["flow"]) <= PARITY

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            pytest.param(each, *parameter.values, marks=parameter.marks, id=f"{each}-{parameter.id}")
            for each in NETWORKS
            for parameter in full_cases(each)
        ],
    )
    def test_so_is_all_that_leads_to_it(self, name, path):
        case = read_full(path)
        found = intermediates(filled(name, case), case)
        assert set(found) <= set(case.arrays)
        for key, values in found.items():
            assert error_share(values, case[key]) <= PARITY, key


def intermediates(network, case):
    """What the golden data holds of a run, by its names."""
    seen = defaultdict(list)

    def keep(name):
        def hook(_module, inputs, output):
            seen[name].append((inputs, output))

        return hook

    block = network.update_block
    watched = {"fnet": network.fnet, "cnet": network.cnet, "encoder": block.encoder, "flow_head": block.flow_head}
    watched |= {name: getattr(block, name) for name in ("mask", "aggregator") if hasattr(block, name)}
    if hasattr(network, "att"):
        watched["att"] = network.att
    for name, module in watched.items():
        module.register_forward_hook(keep(name))
    forward, _ = estimate(network, case.frames(), both=False, iterations=int(case["iters"]))
    sparse = (0, slice(None), slice(None, None, 4), slice(None, None, 4))
    flows = [*(inputs[0] for inputs, _ in seen["encoder"][1:]), forward.coarse]
    found = {
        "flow": channels_last(forward.flow_px),
        "flow_low": channels_last(forward.coarse),
        "flow_low_iters": torch.stack([channels_last(flow) for flow in flows]),
        "fmap1": seen["fnet"][0][1][0, :32],
        "fmap2": seen["fnet"][1][1][0, :16],
        "cnet": seen["cnet"][0][1][0, ::8],
        "corr_iter0": seen["encoder"][0][0][1][sparse],
        "corr_iter1": seen["encoder"][1][0][1][sparse],
        "motion_iter0": seen["encoder"][0][1][sparse],
        "net_iter0": seen["flow_head"][0][0][0][sparse],
        "net_last": seen["flow_head"][-1][0][0][sparse],
    }
    if "mask" in watched:
        found["upmask_last"] = 0.25 * seen["mask"][0][1][sparse]
    if "att" in watched:
        borrowed = seen["att"][0][1]
        cells = flows[0].shape[-2:].numel()
        found["attention_rows"] = borrowed(torch.eye(cells)[None])[0, EVERY_37TH]
        found["motion_global_iter0"] = seen["aggregator"][0][1][sparse]
    return found


class TestWhatIsSpared:
    def test_the_step_by_step_formulation_gives_the_same(self, network):
        frames = small_frames(height=128, width=136)
        both = estimate(network, frames)
        for found, way in zip(both, (frames, frames[::-1]), strict=True):
            with torch.inference_mode():
                expected = flow_literal.raft(network, *way)
            assert error_share(found.flow_px, expected.numpy()) <= PARITY

    def test_the_way_back_is_that_of_the_frames_turned_round(self, network):
        frames = small_frames()
        _, backward = estimate(network, frames, iterations=2)
        expected, nothing = estimate(network, frames[::-1], iterations=2, both=False)
        assert nothing is None
        torch.testing.assert_close(backward.flow_px, expected.flow_px, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(backward.coarse, expected.coarse, rtol=1e-4, atol=1e-4)

    def test_frames_of_a_sequence_are_encoded_once(self, network):
        frames, model = small_frames(count=4), FlowModel(network)
        with Calls(network, "fnet", "cnet") as calls:
            for pair in pairwise(frames):
                model.estimate(*pair, Options(iterations=1))
        assert calls == {"fnet": 4, "cnet": 4}

    def test_one_way_needs_no_context_of_the_second_frame(self, network):
        with Calls(network, "fnet", "cnet") as calls:
            estimate(network, small_frames(), iterations=1, both=False)
        assert calls == {"fnet": 2, "cnet": 1}

    def test_pairs_of_a_sequence_answer_as_if_alone(self, network):
        frames, model = small_frames(count=3), FlowModel(network)
        model.estimate(*frames[:2], Options(iterations=2))
        in_sequence = model.estimate(*frames[1:], Options(iterations=2))
        alone = estimate(network, frames[1:], iterations=2)
        for one, other in zip(in_sequence, alone, strict=True):
            torch.testing.assert_close(one.flow_px, other.flow_px)

    def test_weights_for_the_upsampling_are_asked_for_once(self, network):
        if isinstance(network, RaftSmall):  # it has none
            assert not hasattr(network.update_block, "mask")
            return
        with Calls(network, "update_block.mask", "update_block.flow_head") as calls:
            estimate(network, small_frames(), iterations=3)
        assert calls == {"update_block.mask": 1, "update_block.flow_head": 3}


class TestWhatItBears:
    @pytest.mark.parametrize("size", [(1, 1), (20, 33), (64, 64), (67, 120)])
    def test_frames_too_small_for_the_pyramid(self, network, size):
        for each in estimate(network, small_frames(2, *size), iterations=2):
            assert each.flow_px.shape == (1, 2, *size)
            assert each.flow_px.isfinite().all()

    def test_batches(self, network):
        frames = small_frames(count=4)
        together = estimate(network, [torch.cat(frames[:2]), torch.cat(frames[2:])], iterations=2)
        for number in range(2):
            alone = estimate(network, frames[number::2], iterations=2)
            for one, other in zip(together, alone, strict=True):
                torch.testing.assert_close(one.flow_px[number : number + 1], other.flow_px, rtol=1e-4, atol=1e-4)

    def test_frames_of_two_sizes_are_refused(self, network):
        with pytest.raises(InputError, match=r"80 x 72 and 80 x 73"):
            estimate(network, [*small_frames(1), *small_frames(1, height=73)])

    def test_it_can_be_stopped_at_every_iteration(self, network):
        looks = []

        def stop():
            looks.append(None)
            if len(looks) > 9:
                raise InterruptedError

        with Calls(network, "update_block.flow_head") as calls, pytest.raises(InterruptedError):
            estimate(network, small_frames(), iterations=100, stop=stop)
        assert 0 < calls["update_block.flow_head"] < 9

    def test_training_mode_does_not_change_it(self, network, case):
        before = {key: value.clone() for key, value in network.state_dict().items()}
        network.train()
        estimate(network, small_frames(), iterations=1)
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


class TestHalfPrecision:
    def test_flow_is_nearly_the_same(self, network, case):
        forward, _ = FlowModel(network, half=True).estimate(*case.frames(), Options(iterations=int(case["iters"])))
        assert forward.flow_px.dtype == torch.float32
        assert PARITY < error_share(channels_last(forward.flow_px), case["flow"]) < 0.03


class TestWarmStart:
    def test_the_first_lookup_is_where_the_flow_before_leads(self, network):
        frames, seen = small_frames(), []
        handle = network.update_block.encoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
        there, back = torch.full((1, 2, 9, 10), 0.25), torch.full((1, 2, 9, 10), -0.5)
        estimate(network, frames, iterations=1, start=there, start_back=back)
        handle.remove()
        torch.testing.assert_close(seen[0], torch.cat([there, back]))

    def test_flow_of_frames_of_another_size_is_refused(self, network):
        with pytest.raises(InputError, match="begin anew"):
            estimate(network, small_frames(), start=torch.zeros(1, 2, 8, 8))


class TestGmaInBoundedMemory:
    def test_weights_that_do_not_fit_are_worked_out_again_and_again(self, monkeypatch):
        network, frames = filled("gma", own_case("gma")), small_frames()
        kept = estimate(network, frames, iterations=2)
        monkeypatch.setattr("animerun_addon.model_bridge.networks.gma.MOST_BYTES", 0)
        again = estimate(network, frames, iterations=2)
        for one, other in zip(kept, again, strict=True):
            torch.testing.assert_close(one.flow_px, other.flow_px, rtol=1e-4, atol=1e-4)
