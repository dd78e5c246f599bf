# SPDX-License-Identifier: GPL-3.0-or-later
"""PWC-Net against answers of the original code, from files as they are published, and in the situations of real use."""

from itertools import product

import pytest
import torch
from golden_cases import PARITY, error_share, full_cases, own_case, read_full

from animerun_addon.model_bridge.networks.checkpoint import fill
from animerun_addon.model_bridge.networks.flow import FlowModel, Options
from animerun_addon.model_bridge.networks.local_correlation import local_correlation
from animerun_addon.model_bridge.networks.pwcnet import NUMBERS, PwcNet
from animerun_addon.model_bridge.networks.pwcnet_nvidia import nvidia_names

ONE_WAY = Options(both=False)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def case():
    return own_case("pwcnet")


@pytest.fixture(scope="module")
def network(case):
    return filled(case)


def filled(case):
    network = PwcNet().eval()
    network.load_state_dict(case.weights())
    return network


def flow_of(network, case, options=ONE_WAY):
    """(H, W, 2), from the first to the second frame."""
    return FlowModel(network).estimate(*case.frames(), options)[0].flow_px[0].permute(1, 2, 0)


def test_gives_the_original_answer(network, case):
    assert error_share(flow_of(network, case), case["flow"]) < PARITY


@pytest.mark.parametrize("path", full_cases("pwcnet"))
def test_gives_all_that_the_original_gives_on_the_way(path):
    case = read_full(path)
    network = filled(case)
    seen = {}

    def keep(name, module, part):
        def hook(_module, given, made):
            seen.setdefault(name, part(given, made))  # the first frame, where there are two

        module.register_forward_hook(hook)

    keep("pyramid", network.moduleExtractor, lambda given, made: made)
    keep("refine_l2", network.moduleRefiner, lambda given, made: made)
    for level in range(2, 7):
        decoder = network.get_submodule(f"module{NUMBERS[level - 1]}")
        keep(f"flow_l{level}", decoder, lambda given, made: made[0])
        keep(f"volume_l{level}", decoder.get_submodule("moduleOne"), lambda given, made: given[0][:, :81])
        if level < 6:
            keep(f"upflow_l{level}", decoder.moduleUpflow, lambda given, made: made)
            keep(f"upfeat_l{level}", decoder.moduleUpfeat, lambda given, made: made)
    assert error_share(flow_of(network, case), case["flow"]) < PARITY
    for level in range(2, 7):
        step = 2 if level == 2 else 1
        features = seen["pyramid"][level - 2][0, ::4, ::step, ::step]
        assert error_share(features, case[f"feat1_l{level}"]) < PARITY
    for name in seen.keys() - {"pyramid"}:
        ours = seen[name][0]
        if name.startswith("volume"):
            step = {"volume_l2": 6, "volume_l3": 3}.get(name, 1)
            ours = ours[:, ::step, ::step]
        else:
            ours = ours.permute(1, 2, 0)
        assert error_share(ours, case[name]) < PARITY, name


@pytest.mark.parametrize("prefix", ["", "module."])
def test_reads_animeruns_files(tmp_path, case, network, prefix):
    path = tmp_path / "pwc.pth"
    torch.save({"state_dict": case.weights(prefix)}, path)
    read = PwcNet()
    fill(read, path)
    assert all(torch.equal(ours, wanted) for ours, wanted in zip(read.parameters(), network.parameters(), strict=True))


def test_reads_nvidias_file(tmp_path, case, network):
    """Their file has other names, one layer that is never used, and expects blue first."""
    ours = case.weights()
    first = "moduleExtractor.moduleOne.0.weight"
    ours[first] = ours[first][:, [2, 1, 0]]
    state = {
        f"{theirs}.{kind}": ours[f"{name}.{kind}"]
        for theirs, name in nvidia_names().items()
        for kind in ("weight", "bias")
    }
    assert len(state) == len(ours)
    state |= {"deconv2.weight": torch.zeros(2, 2, 4, 4), "deconv2.bias": torch.zeros(2)}
    torch.save(state, tmp_path / "pwc_net.pth.tar")
    read = PwcNet().eval()
    fill(read, tmp_path / "pwc_net.pth.tar")
    assert torch.equal(flow_of(read, case), flow_of(network, case))


def test_nvidias_names_are_those_of_the_published_table():
    """Some of each kind; among them where the order turns round, and what is stored with the coarser level."""
    assert (
        nvidia_names().items()
        >= {
            "conv1a.0": "moduleExtractor.moduleOne.0",
            "conv5aa.0": "moduleExtractor.moduleFiv.2",
            "conv6aa.0": "moduleExtractor.moduleSix.0",
            "conv6a.0": "moduleExtractor.moduleSix.2",
            "conv6b.0": "moduleExtractor.moduleSix.4",
            "conv6_0.0": "moduleSix.moduleOne.0",
            "conv2_4.0": "moduleTwo.moduleFiv.0",
            "predict_flow3": "moduleThr.moduleSix.0",
            "deconv6": "moduleFiv.moduleUpflow",
            "upfeat3": "moduleTwo.moduleUpfeat",
            "dc_conv1.0": "moduleRefiner.moduleMain.0",
            "dc_conv6.0": "moduleRefiner.moduleMain.10",
            "dc_conv7": "moduleRefiner.moduleMain.12",
        }.items()
    )


def test_both_ways_are_the_two_single_ways(network, case):
    first, second = case.frames()
    forward, backward = FlowModel(network).estimate(first, second, Options())
    assert torch.equal(forward.flow_px, FlowModel(network).estimate(first, second, ONE_WAY)[0].flow_px)
    assert torch.equal(backward.flow_px, FlowModel(network).estimate(second, first, ONE_WAY)[0].flow_px)


def test_pairs_of_a_batch_do_not_know_each_other(network, case):
    first, second = case.frames()
    alone = [FlowModel(network).estimate(*pair, ONE_WAY)[0].flow_px for pair in ((first, second), (second, first))]
    frames = torch.cat([first, second]), torch.cat([second, first])
    together = FlowModel(network).estimate(*frames, ONE_WAY)[0].flow_px
    assert error_share(together, torch.cat(alone).numpy()) < PARITY


def test_each_frame_of_a_sequence_is_encoded_once(network, case):
    encoded = []
    hook = network.moduleExtractor.register_forward_hook(lambda *_: encoded.append(1))
    model = FlowModel(network)
    one, two = case.frames()
    three = one.clone()
    model.estimate(one, two, Options())
    model.estimate(two, three, Options())
    hook.remove()
    assert len(encoded) == 3


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (40, 300), (65, 63)], ids=str)
def test_frames_of_any_size_get_finite_flow(network, size):
    first, second = torch.rand(2, 1, 3, *size, generator=torch.Generator().manual_seed(3)) * 255
    for estimate in FlowModel(network).estimate(first, second, Options()):
        assert estimate.flow_px.shape == (1, 2, *size)
        assert estimate.flow_px.isfinite().all()


def test_can_be_stopped_at_every_layer(network, case):
    class StopHereError(Exception):
        pass

    calls = []

    def stop():
        calls.append(1)
        if len(calls) == last:
            raise StopHereError

    last = -1
    flow_of(network, case, Options(stop=stop))
    all_calls = len(calls)
    assert all_calls > 2 * 5 * 6
    for last in (1, 10, all_calls):
        calls.clear()
        with pytest.raises(StopHereError):
            flow_of(network, case, Options(stop=stop))
        assert len(calls) == last


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 16), (11, 26)], ids=str)
def test_local_correlation_is_what_shifting_the_map_gives(size):
    first, second = torch.randn(2, 2, 6, *size, generator=torch.Generator().manual_seed(1))
    height, width = size
    wide = torch.nn.functional.pad(second, (4, 4, 4, 4))
    wanted = [
        (first * wide[:, :, 4 + dy : 4 + dy + height, 4 + dx : 4 + dx + width]).mean(1)
        for dy, dx in product(range(-4, 5), repeat=2)
    ]
    torch.testing.assert_close(local_correlation(first, second, 4), torch.stack(wanted, 1), rtol=1e-5, atol=1e-6)
