# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model process can do, with a network of two numbers: in this process and in one of its own."""

import pickle
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="no torch in this Python")

import tiny_flow  # noqa: E402
from model_processes import PATIENCE_S  # noqa: E402
from tiny_flow import Tiny  # noqa: E402

from animerun_addon.errors import Cancelled, InputError, ModelError  # noqa: E402
from animerun_addon.model_bridge import worker  # noqa: E402
from animerun_addon.model_bridge.client import FlowChoice, ModelClient  # noqa: E402
from animerun_addon.model_bridge.networks import checkpoint  # noqa: E402
from animerun_addon.model_bridge.service import Call  # noqa: E402

TORCH_PATIENCE_S = 4 * PATIENCE_S
DARK, LIGHT = (np.full((20, 30, 3), value, np.uint8) for value in (10, 15))


@pytest.fixture
def weights(tmp_path):
    network = Tiny()
    network.load_state_dict({"scale": torch.tensor([1.0, 2.0]), "shift": torch.tensor([0.0, 0.5])})
    torch.save(network.state_dict(), tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth"


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(sys.modules, "animerun_addon.model_bridge.networks.tiny", None)
    tiny_flow.make_known()


@pytest.fixture
def client():
    with ModelClient(in_process=True) as made:
        yield made


@pytest.fixture
def models():
    return worker.Models()


def choice(weights, **arguments):
    return FlowChoice("tiny.Tiny", weights, arguments, "cpu")


def flow_call(choice, first, second, stop=lambda: None, **options):
    return Call({**choice.options(), **options}, {"first": first, "second": second}, stop)


class TestFlow:
    def test_it_is_the_networks_both_ways_at_the_frames_size(self, client, weights):
        answer = client.flow(choice(weights), DARK, LIGHT).result(PATIENCE_S)
        assert answer.arrays["forward"].shape == (20, 30, 2)
        assert answer.arrays["forward"].dtype == np.float32
        np.testing.assert_allclose(answer.arrays["forward"][3, 4], [5.0, 10.5])
        np.testing.assert_allclose(answer.arrays["backward"][3, 4], [-5.0, -9.5])

    def test_one_way_is_enough_when_asked(self, client, weights):
        assert set(client.flow(choice(weights), DARK, LIGHT, both=False).result(PATIENCE_S).arrays) == {"forward"}

    def test_float_frames_are_taken_as_they_are(self, client, weights):
        frames = [each.astype(np.float32) for each in (DARK, LIGHT)]
        np.testing.assert_allclose(
            client.flow(choice(weights), *frames).result(PATIENCE_S).arrays["forward"][0, 0], [5.0, 10.5]
        )

    def test_a_sequence_encodes_each_frame_once(self, models, weights):
        for first, second in [(DARK, LIGHT), (LIGHT, DARK), (DARK, LIGHT)]:
            models.flow(flow_call(choice(weights), first, second))
        assert models._model.network.encoded == 4
        models.flow(flow_call(choice(weights), DARK, LIGHT))
        assert models._model.network.encoded == 6, "this pair did not follow"

    def test_a_warm_start_is_taken_only_by_the_pair_that_follows(self, models, weights):
        cold = models.flow(flow_call(choice(weights), DARK, LIGHT, warm=True)).arrays["forward"][0, 0]
        follows = models.flow(flow_call(choice(weights), LIGHT, DARK, warm=True)).arrays["forward"][0, 0]
        np.testing.assert_allclose(cold, [5.0, 10.5])
        np.testing.assert_allclose(follows, [-5.0 + 5.0, -9.5 + 10.5])
        np.testing.assert_allclose(
            models.flow(flow_call(choice(weights), LIGHT, DARK, warm=True)).arrays["forward"][0, 0], [-5.0, -9.5]
        )

    def test_the_way_back_starts_warm_as_well(self, models, weights):
        models.flow(flow_call(choice(weights), DARK, LIGHT, warm=True))
        back = models.flow(flow_call(choice(weights), LIGHT, DARK, warm=True)).arrays["backward"][0, 0]
        np.testing.assert_allclose(back, [5.0 - 5.0, 10.5 - 9.5])

    def test_another_scale_is_another_model(self, models, weights):
        full, small = choice(weights), replace(choice(weights), scale=0.5)
        models.flow(flow_call(full, DARK, LIGHT))
        np.testing.assert_allclose(models.flow(flow_call(small, DARK, LIGHT)).arrays["forward"][0, 0], [10.0, 21.0])

    def test_half_precision_is_refused_by_networks_that_do_not_bear_it(self, models, weights):
        with pytest.raises(InputError, match="Tiny needs full precision"):
            models.load(flow_call(replace(choice(weights), half=True), DARK, LIGHT))

    def test_new_weights_in_the_same_file_are_seen(self, models, weights):
        models.flow(flow_call(choice(weights), DARK, LIGHT))
        torch.save({**Tiny().state_dict(), "shift": torch.tensor([100.0, 0.0])}, weights)
        np.testing.assert_allclose(
            models.flow(flow_call(choice(weights), DARK, LIGHT)).arrays["forward"][0, 0], [105.0, 5.0]
        )

    def test_the_same_model_is_loaded_once(self, models, weights):
        models.load(flow_call(choice(weights), DARK, LIGHT))
        network = models._model.network
        models.flow(flow_call(choice(weights), DARK, LIGHT))
        assert models._model.network is network
        models.release()
        assert models._model is None

    @pytest.mark.parametrize(
        ("first", "second", "words"),
        [
            (DARK, LIGHT[1:], "differ in size, 30 x 20 and 30 x 19"),
            (DARK[..., 0], LIGHT, r"first frame must be \(height, width, 3\), not \(20, 30\)"),
            (DARK, LIGHT[:0], "second frame must be"),
            (DARK.astype(np.int64), LIGHT, "must be uint8 or float32"),
        ],
    )
    def test_frames_that_are_none_are_refused(self, models, weights, first, second, words):
        with pytest.raises(InputError, match=words):
            models.flow(flow_call(choice(weights), first, second))

    @pytest.mark.parametrize(
        "name", ["tiny.Nobody", "nowhere.Tiny", "flow.FlowModel", "os.path", "..worker.Models", ""]
    )
    def test_only_flow_networks_can_be_named(self, models, weights, name):
        with pytest.raises(InputError, match="There is no flow network"):
            models.flow(flow_call(FlowChoice(name, weights, device="cpu"), DARK, LIGHT))

    def test_weights_that_are_not_there_are_named(self, models, tmp_path):
        with pytest.raises(InputError, match=r"no weights at '.*nothing.pth': download them, or choose the file"):
            models.load(flow_call(choice(tmp_path / "nothing.pth"), DARK, LIGHT))

    def test_a_device_that_is_not_there_is_named(self, models, weights):
        with pytest.raises(InputError, match=r"There is no device 'cuda:77'.*choose another"):
            models.load(flow_call(FlowChoice("tiny.Tiny", weights, device="cuda:77"), DARK, LIGHT))

    def test_devices_end_with_the_processor(self, models):
        answer = models.devices(Call({}, {}, lambda: None))
        assert answer.values["devices"][-1]["name"] == "cpu"


class TestStopping:
    def test_a_network_is_stopped_before_its_next_layer(self, models, weights):
        seen = []

        def stop():
            seen.append(None)
            if len(seen) > 10:
                raise Cancelled

        with pytest.raises(Cancelled):
            models.flow(flow_call(choice(weights, layers=100), DARK, LIGHT, stop))
        assert len(seen) == 11

    def test_what_was_stopped_leaves_no_hook_and_no_frame(self, models, weights):
        models.flow(flow_call(choice(weights, layers=100), DARK, LIGHT))
        assert models._model._last is not None
        self.test_a_network_is_stopped_before_its_next_layer(models, weights)
        assert models._last_frame is models._model._last is None
        assert not any(layer._forward_pre_hooks for layer in models._model.network.modules())

    def test_in_process_the_caller_is_free_at_once_and_the_next_is_served(self, client, weights):
        reply = client.flow(choice(weights, layers=10_000, seconds=0.01), DARK, LIGHT)
        time.sleep(0.1)
        reply.cancel()
        with pytest.raises(Cancelled):
            reply.result()
        assert client.flow(choice(weights), DARK, LIGHT).result(PATIENCE_S)

    def test_in_process_errors_keep_their_kind_and_closing_ends_what_waits(self, client, weights):
        with pytest.raises(ModelError, match="no model task 'paint'"):
            client.call("paint", timeout_s=PATIENCE_S)
        running = client.flow(choice(weights, layers=10_000, seconds=0.01), DARK, LIGHT)
        waiting = client.request("ping")
        time.sleep(0.1)
        client.close()
        for reply in (running, waiting):
            with pytest.raises(Cancelled, match="closed"):
                reply.result(PATIENCE_S)


class TestProcess:
    """The same, in a process: the longest of these tests, since torch is imported anew."""

    def test_flow_a_cancel_and_flow_again(self, client, weights):
        program = Path(tiny_flow.__file__)
        with ModelClient(program=program) as other:
            there = other.flow(choice(weights), DARK, LIGHT).result(TORCH_PATIENCE_S)
            here = client.flow(choice(weights), DARK, LIGHT).result(PATIENCE_S)
            for name in ("forward", "backward"):
                np.testing.assert_array_equal(there.arrays[name], here.arrays[name])
            pid = other._answerer.pid
            reply = other.flow(choice(weights, layers=10_000, seconds=0.01), DARK, LIGHT)
            time.sleep(0.3)
            reply.cancel()
            assert other.flow(choice(weights), DARK, LIGHT).result(TORCH_PATIENCE_S).arrays["forward"][0, 0, 0] == 5.0
            assert other._answerer.pid == pid, "it stopped between layers and was not replaced"


class Malice:
    def __reduce__(self):
        return Path.touch, (Path(Malice.path),)


class TestCheckpoints:
    def saved(self, tmp_path, content):
        torch.save(content, tmp_path / "weights.pth")
        return tmp_path / "weights.pth"

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda state: state,
            lambda state: {"state_dict": state, "epoch": 3},
            lambda state: {"model": state},
            lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
            lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
        ],
    )
    def test_weights_are_found_however_they_were_saved(self, tmp_path, wrap):
        state = {"scale": torch.tensor([1.0, 2.0]), "shift": torch.tensor([3.0, 4.0])}
        network = Tiny()
        checkpoint.fill(network, self.saved(tmp_path, wrap(state)))
        assert network.shift.tolist() == [3.0, 4.0]

    @pytest.mark.parametrize("parallel", ["", "module."])
    def test_weights_of_a_part_of_a_larger_network_are_found_by_its_prefix(self, tmp_path, parallel):
        names = {"flownet.scale": [1.0, 2.0], "flownet.shift": [3.0, 4.0], "other.weight": [0.0]}
        path = self.saved(tmp_path, {f"{parallel}{name}": torch.tensor(each) for name, each in names.items()})
        network = Tiny()
        checkpoint.fill(network, path, f"{parallel}flownet.")
        assert network.shift.tolist() == [3.0, 4.0]
        with pytest.raises(InputError, match=r"no tensors whose names begin with 'flow_net\.': mend key_prefix"):
            checkpoint.fill(network, path, "flow_net.")

    def test_what_does_not_fit_is_named(self, tmp_path):
        path = self.saved(tmp_path, {"scale": torch.zeros(3), "shift.bias": torch.zeros(1)})
        words = r"fit Tiny: missing: shift; unexpected: shift.bias; of another shape: scale \(3,\) for \(2,\)"
        with pytest.raises(InputError, match=words):
            checkpoint.fill(Tiny(), path)

    @pytest.mark.filterwarnings("ignore:Detected pickle protocol")
    def test_a_malicious_file_is_refused_and_nothing_of_it_runs(self, tmp_path):
        Malice.path = str(tmp_path / "it ran")
        path = self.saved(tmp_path, {"scale": Malice()})
        with pytest.raises(InputError, match="holds more than weights"):
            checkpoint.read(path)
        path.write_bytes(pickle.dumps(Malice()))
        with pytest.raises(InputError):
            checkpoint.read(path)
        assert not (tmp_path / "it ran").exists()

    @pytest.mark.parametrize("content", [b"", b"<html>Too many requests</html>", b"PK\3\4 cut short"])
    def test_what_is_no_weights_file_is_refused(self, tmp_path, content):
        (tmp_path / "weights.pth").write_bytes(content)
        with pytest.raises(InputError, match=r"weights.pth'"):
            checkpoint.read(tmp_path / "weights.pth")

    @pytest.mark.parametrize("content", [[1, 2], {}, {"lr": 0.1}, {3: torch.zeros(1)}, torch.zeros(3)])
    def test_what_holds_no_named_tensors_is_refused(self, tmp_path, content):
        with pytest.raises(InputError, match="no named tensors"):
            checkpoint.read(self.saved(tmp_path, content))

    def test_a_cut_file_is_refused(self, tmp_path):
        path = self.saved(tmp_path, {"scale": torch.zeros(10_000)})
        path.write_bytes(path.read_bytes()[:-5000])
        with pytest.raises(InputError, match="fetch it again"):
            checkpoint.read(path)

    def test_safetensors_are_read(self, tmp_path):
        safetensors = pytest.importorskip("safetensors.torch", reason="no safetensors in this Python")
        safetensors.save_file({"scale": torch.ones(2), "shift": torch.ones(2)}, tmp_path / "tiny.safetensors")
        assert checkpoint.read(tmp_path / "tiny.safetensors")["shift"].tolist() == [1.0, 1.0]
