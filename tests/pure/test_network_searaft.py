# SPDX-License-Identifier: GPL-3.0-or-later
"""SEA-RAFT, medium and small, against answers of the original code, and in the situations of real use."""

from pathlib import Path

import pytest
import torch
from golden_cases import PARITY, error_share, full_cases, own_case, read_full

from animerun_addon.model_bridge.networks.checkpoint import fill
from animerun_addon.model_bridge.networks.flow import FlowModel, Options
from animerun_addon.model_bridge.networks.searaft import SeaRaft, SeaRaftSmall
from animerun_addon.model_bridge.networks.upsampling import convex_upsampled

KINDS = {"searaft": SeaRaft, "searaft_small": SeaRaftSmall}
ONE_WAY = Options(both=False)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def case():
    return own_case("searaft_small")


@pytest.fixture(scope="module")
def network(case):
    return filled("searaft_small", case)


def filled(name, case):
    network = KINDS[name]().eval()
    network.load_state_dict(case.weights())
    return network


def flow_of(network, case, options=ONE_WAY, scale=1.0):
    """(H, W, 2), from the first to the second frame."""
    return in_rows(FlowModel(network, scale).estimate(*case.frames(), options)[0].flow_px)


def in_rows(maps):
    """(H, W, C) of (1, C, H, W)."""
    return maps[0].permute(1, 2, 0)


@pytest.mark.parametrize("name", KINDS)
def test_gives_the_original_answer(name):
    case = own_case(name)
    assert error_share(flow_of(filled(name, case), case), case["flow"]) < PARITY


@pytest.mark.parametrize("path", [*full_cases("searaft"), *full_cases("searaft_small")])
def test_gives_the_answers_of_the_full_cases(path):
    case = read_full(path)
    network = filled(path.parent.name, case)
    assert error_share(flow_of(network, case), case["flow"]) < PARITY
    if "flow_scale_minus1" in case.arrays:
        assert error_share(flow_of(network, case, scale=0.5), case["flow_scale_minus1"]) < PARITY


@pytest.mark.parametrize(
    "path",
    [
        each
        for name in KINDS
        for each in full_cases(name)
        if not isinstance(each.values[0], Path) or each.values[0].stem != "case_2"
    ],
)
def test_gives_all_that_the_original_gives_on_the_way(path):
    case = read_full(path)
    network = filled(path.parent.name, case)
    seen = {}

    def keep(name, module, part=lambda given, made: made):
        kept = seen.setdefault(name, [])
        module.register_forward_hook(lambda _module, given, made: kept.append(part(given, made)))

    keep("cnet", network.cnet)
    keep("init_conv", network.init_conv)
    keep("fmap", network.fnet)
    keep("flow_head", network.flow_head)
    keep("corr", network.update_block, lambda given, made: given[3])
    keep("net", network.update_block)
    keep("motion", network.update_block.encoder)
    keep("refine0", network.update_block.refine[0])
    keep("mask", network.upsample_weight)
    flow_of(network, case)

    heads = torch.stack([in_rows(each) for each in seen["flow_head"]])
    found = {
        "cnet": seen["cnet"][0][0, ::8],
        "init_conv": seen["init_conv"][0][0, ::8],
        "fmap1": seen["fmap"][0][0, ::8],
        "fmap2": seen["fmap"][1][0, ::16],
        "flow_head_all": heads,
        "flow_low_iters": heads[..., :2].cumsum(0),
        "flow_low": heads[..., :2].sum(0),
        "info": cut(convex_upsampled(seen["flow_head"][-1][:, 2:], 0.25 * seen["mask"][0]), case),
    }
    thin = {
        "corr_iter0": seen["corr"][0],
        "corr_iter1": seen["corr"][1],
        "motion_iter0": seen["motion"][0],
        "refine0_iter0": seen["refine0"][0],
        "net_iter0": seen["net"][0],
        "net_last": seen["net"][-1],
        "upmask_logits_last": seen["mask"][0],
    }
    found |= {name: maps[0, :, ::4, ::4] for name, maps in thin.items()}
    for name, ours in found.items():
        assert error_share(ours, case[name]) < PARITY, name


@pytest.mark.parametrize("path", full_cases("searaft_small")[:1])
def test_without_iterations_gives_the_first_guess(path):
    case = read_full(path)
    ours = flow_of(filled("searaft_small", case), case, Options(both=False, iterations=0))
    assert error_share(ours, case["flow_init"]) < PARITY


def cut(maps, case):
    """(H, W, C) of maps as large as the padded frame."""
    height, width = case["image1"].shape[:2]
    top, left = ((padded - side) // 2 for padded, side in zip(maps.shape[-2:], (height, width), strict=True))
    return in_rows(maps)[top : top + height, left : left + width]


def test_reads_a_file_that_holds_norms_of_two_names_once(tmp_path, case, network):
    """So the published hub files are written."""
    state = {name: tensor for name, tensor in case.weights().items() if ".downsample.1." not in name}
    torch.save(state, tmp_path / "sea.pth")
    read = SeaRaftSmall()
    fill(read, tmp_path / "sea.pth")
    wanted = network.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in read.state_dict().items())


def test_both_ways_are_the_two_single_ways(network, case):
    first, second = case.frames()
    forward, backward = FlowModel(network).estimate(first, second, Options())
    for both, pair in ((forward, (first, second)), (backward, (second, first))):
        alone = FlowModel(network).estimate(*pair, ONE_WAY)[0]
        assert error_share(both.flow_px, alone.flow_px.numpy()) < PARITY


def test_pairs_of_a_batch_do_not_know_each_other(network, case):
    first, second = case.frames()
    alone = [FlowModel(network).estimate(*pair, ONE_WAY)[0].flow_px for pair in ((first, second), (second, first))]
    frames = torch.cat([first, second]), torch.cat([second, first])
    for way, estimate in enumerate(FlowModel(network).estimate(*frames, Options())):
        wanted = torch.cat(alone if way == 0 else alone[::-1])
        assert error_share(estimate.flow_px, wanted.numpy()) < PARITY


def test_each_frame_of_a_sequence_is_encoded_once(network, case):
    encoded = []
    hook = network.fnet.register_forward_hook(lambda *_: encoded.append(1))
    model = FlowModel(network)
    one, two = case.frames()
    model.estimate(one, two, Options())
    model.estimate(two, one.clone(), Options())
    hook.remove()
    assert len(encoded) == 3


def test_half_precision_changes_the_flow_by_little(network, case):
    exact, half = (FlowModel(network, half=half).estimate(*case.frames(), ONE_WAY)[0].flow_px for half in (False, True))
    assert half.dtype == torch.float32
    assert 0 < error_share(half, exact.numpy()) < 0.03


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (40, 200), (65, 63)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_frames_of_any_size_get_finite_flow(network, size, scale):
    first, second = torch.rand(2, 1, 3, *size, generator=torch.Generator().manual_seed(3)) * 255
    for estimate in FlowModel(network, scale).estimate(first, second, Options()):
        assert estimate.flow_px.shape == (1, 2, *size)
        assert estimate.flow_px.isfinite().all()


def test_can_be_stopped_before_every_iteration(network, case):
    class StopHereError(Exception):
        pass

    def calls_of(iterations, last=None):
        calls = []

        def stop():
            calls.append(1)
            if len(calls) == last:
                raise StopHereError

        flow_of(network, case, Options(both=False, iterations=iterations, stop=stop))
        return len(calls)

    assert calls_of(3) == calls_of(0) + 3
    for last in (1, calls_of(1)):
        with pytest.raises(StopHereError):
            calls_of(1, last)
