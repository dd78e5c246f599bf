# SPDX-License-Identifier: GPL-3.0-or-later
"""GMFlow, at one scale and refined: the published numbers, in bounded memory, for frames of any size."""

import sys
from itertools import pairwise
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks cannot be tried")

from golden_cases import PARITY, error_share, full_cases, own_case, read_full  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from gmflow_literal import gmflow  # noqa: E402

from animerun_addon.model_bridge.networks import checkpoint  # noqa: E402
from animerun_addon.model_bridge.networks.attention import attended  # noqa: E402
from animerun_addon.model_bridge.networks.flow import FlowModel, Options, never  # noqa: E402
from animerun_addon.model_bridge.networks.gmflow import GmFlow, GmFlowRefined  # noqa: E402

BUILT = {"gmflow": GmFlow, "gmflow_refine": GmFlowRefined}
both_variants = pytest.mark.parametrize("name", BUILT)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network_of(case, name):
    network = BUILT[name]().eval()
    network.load_state_dict(case.weights())
    return network


def drawn_frames(height, width, count=2):
    """Smooth random pictures, each a little further to the left."""
    random = torch.Generator().manual_seed(height * 1000 + width)
    coarse = torch.rand(1, 3, height // 8 + 3, width // 8 + 3, generator=random) * 255
    fine = torch.nn.functional.interpolate(coarse, (height + 8, width + 8), mode="bicubic").clamp(0, 255)
    return [fine[..., 4 : 4 + height, 2 * step : 2 * step + width].contiguous() for step in range(count)]


def as_picture(flow_px):
    return flow_px[0].permute(1, 2, 0)


class TestPublishedNumbers:
    @pytest.mark.parametrize(
        "packed",
        [lambda state: {"model": state}, lambda state: {f"module.{key}": value for key, value in state.items()}],
        ids=["as released", "as AnimeRun's training saves it"],
    )
    @both_variants
    def test_flow_is_that_of_the_original_from_a_file_as_they_come(self, name, packed, tmp_path):
        case = own_case(name)
        torch.save(packed(case.weights()), tmp_path / "weights.pth")
        network = BUILT[name]()
        checkpoint.fill(network, tmp_path / "weights.pth")
        forward, _ = FlowModel(network).estimate(*case.frames(), Options(both=False))
        assert error_share(as_picture(forward.flow_px), case["flow"]) < PARITY

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            pytest.param(name, *each.values, id=f"{name} {each.id}", marks=each.marks)
            for name in BUILT
            for each in full_cases(name)
        ],
    )
    def test_every_step_is_that_of_the_original(self, name, path):
        case = read_full(path)
        network = network_of(case, name)
        seen = watched(network)
        forward, _ = FlowModel(network).estimate(*case.frames(), Options(both=False))
        seen["flow"] = as_picture(forward.flow_px)
        assert {*case.arrays} - {*seen} == {"image1", "image2", "seed", "gain", "iters", "noise", "padded_hw"}
        for key, values in seen.items():
            assert error_share(values, case[key]) < PARITY, key


def watched(network):
    """What the full cases hold, cut down as they say, off the network's own parts."""
    seen = {}
    transformer, propagation = network.transformer, network.feature_flow_attn
    passed, from_everywhere, from_around = transformer.passed, propagation.from_everywhere, propagation.from_around

    def thinned(maps, scale):
        return maps[:: 2**scale, :: 2**scale, ::8]

    def keep_maps(_layer, _inputs, maps):
        for scale, each in enumerate(maps):
            seen.setdefault(f"backbone_s{scale}", thinned(each[0].permute(1, 2, 0), scale).permute(2, 0, 1))

    def keep_cells(_layer, inputs, cells):
        scale = int(inputs[1] == 8)
        for when, pair in (("in", inputs[0]), ("out", cells)):
            for number, each in enumerate(pair):
                seen[f"tr_{when}{number}_s{scale}"] = thinned(each, scale).permute(2, 0, 1)

    def keep_block(block, cells, windows, *others):
        result = passed(block, cells, windows, *others)
        number = list(transformer.layers).index(block)
        if number < 2:
            seen[f"l{number}_s{int(windows == 8)}"] = thinned(result[0], int(windows == 8))
        return result

    def keep_flows(scale, propagate):
        def keep(cells, flow, *others):
            result = propagate(cells, flow, *others)
            for step, each in (("match", flow), ("prop", result)):
                seen[f"flow_{step}_s{scale}"] = as_picture(each)
            return result

        return keep

    def keep_last(_layer, inputs, logits):
        thin = 32 // network.factor
        seen["upmask_logits"] = logits[0, :, ::thin, ::thin]
        seen["flow_low"] = as_picture(inputs[0][:, :2])

    network.backbone.register_forward_hook(keep_maps)
    transformer.register_forward_hook(keep_cells)
    transformer.passed = keep_block
    propagation.from_everywhere = keep_flows(0, from_everywhere)
    propagation.from_around = keep_flows(1, from_around)
    network.upsampler.register_forward_hook(keep_last)
    return seen


@both_variants
class TestPair:
    def test_flow_back_is_that_of_the_swapped_pair(self, name):
        network, frames = network_of(own_case(name), name), drawn_frames(64, 96)
        forward, backward = FlowModel(network).estimate(*frames, Options())
        swapped, nothing = FlowModel(network).estimate(*frames[::-1], Options(both=False))
        assert nothing is None
        assert error_share(swapped.flow_px, backward.flow_px.numpy()) < PARITY
        assert error_share(swapped.flow_px, forward.flow_px.numpy()) > 0.01

    def test_cut_windows_are_rolled_and_masked_ones(self, name):
        """Sizes at which windows have odd sides and differ in height and width, beside the published formulation."""
        step = BUILT[name].side_step
        network, frames = network_of(own_case(name), name), drawn_frames(3 * step, 5 * step)
        ours, _ = FlowModel(network).estimate(*frames, Options(both=False))
        with torch.inference_mode():
            published = gmflow(network, *frames)
        assert error_share(ours.flow_px, published.numpy()) < PARITY

    def test_pairs_of_a_batch_do_not_know_each_other(self, name):
        network = network_of(own_case(name), name)
        pairs = [drawn_frames(64, 64), drawn_frames(64, 64, 3)[1:]]
        alone = [FlowModel(network).estimate(*pair, Options()) for pair in pairs]
        together = FlowModel(network).estimate(*(torch.cat(each) for each in zip(*pairs, strict=True)), Options())
        for way in (0, 1):
            expected = torch.cat([each[way].flow_px for each in alone])
            assert error_share(together[way].flow_px, expected.numpy()) < PARITY

    @pytest.mark.parametrize("size", [(1, 1), (3, 40), (17, 16), (33, 31)])
    def test_small_frames_have_finite_flow(self, name, size):
        estimates = FlowModel(network_of(own_case(name), name)).estimate(*drawn_frames(*size), Options())
        for each in estimates:
            assert each.flow_px.shape == (1, 2, *size)
            assert each.flow_px.isfinite().all()

    def test_features_of_a_frame_are_made_once_in_a_sequence(self, name):
        network, frames = network_of(own_case(name), name), drawn_frames(64, 64, 3)
        encoded = []
        network.backbone.register_forward_hook(lambda *_: encoded.append(1))
        model = FlowModel(network)
        for pair in pairwise(frames):
            last, _ = model.estimate(*pair, Options())
        assert len(encoded) == len(frames)
        fresh, _ = FlowModel(network).estimate(*frames[1:], Options())
        assert torch.equal(last.flow_px, fresh.flow_px)

    def test_it_can_be_stopped_in_every_layer(self, name):
        network = network_of(own_case(name), name)
        layers = []
        for block in network.transformer.layers:
            block.register_forward_pre_hook(lambda *_: layers.append(1))
        asked_after = set()
        FlowModel(network).estimate(*drawn_frames(64, 64), Options(stop=lambda: asked_after.add(len(layers))))
        assert asked_after == set(range(len(layers) + 1))


class TestAttention:
    def test_it_is_the_softmax_of_scaled_products(self):
        random = torch.Generator().manual_seed(1)
        queries, keys, values = (torch.randn(2, *shape, generator=random) for shape in ((70, 16), (90, 16), (90, 2)))
        expected = (queries @ keys.mT / 4).softmax(-1) @ values
        assert error_share(attended(queries, keys, values, never), expected.numpy()) < 1e-6

    @pytest.mark.parametrize("size", [2, 128], ids=["flow", "features"])
    @torch.no_grad()
    def test_never_are_all_cells_held_against_all_others(self, size):
        cells, values = torch.randn(1, 900, 128), torch.randn(1, 900, size)
        with Largest() as largest:  # in inference mode it would not see inside
            attended(cells, cells, values, never)
        assert 0 < largest.numbers < 900**2 / 4

    def test_many_queries_give_many_chances_to_stop(self):
        asked = []
        attended(torch.ones(1, 10_000, 2), torch.ones(1, 3, 2), torch.ones(1, 3, 2), lambda: asked.append(1))
        assert len(asked) >= 2


class Largest(TorchDispatchMode):
    """Watches how large tensors get."""

    numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        result = function(*arguments, **(named or {}))
        for each in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(each, torch.Tensor):
                self.numbers = max(self.numbers, each.numel())
        return result
