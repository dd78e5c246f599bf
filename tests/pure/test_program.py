# SPDX-License-Identifier: GPL-3.0-or-later
"""Users' own TorchScript and torch.export files behind a declared signature: our numbers in, our numbers out."""

import io
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="no torch in this Python")
torch.set_num_threads(1)

from animerun_addon.errors import InputError, ModelError  # noqa: E402
from animerun_addon.model_bridge import worker  # noqa: E402
from animerun_addon.model_bridge.catalog import read_catalog  # noqa: E402
from animerun_addon.model_bridge.choices import flow_choice, program_choice  # noqa: E402
from animerun_addon.model_bridge.client import ModelClient, ProgramChoice  # noqa: E402
from animerun_addon.model_bridge.model_entry import Channels, Format, Kind, Port, Signature, Task  # noqa: E402
from animerun_addon.model_bridge.service import Call  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PATIENCE_S = 60.0
RNG = np.random.default_rng(7)
FIRST, SECOND = (RNG.integers(0, 256, (50, 41, 3), np.uint8) for _ in range(2))


class Between(torch.nn.Module):
    """Mixes two frames by time; also a map, and how large the frames were that it got."""

    def forward(self, second: torch.Tensor, first: torch.Tensor, time: torch.Tensor):
        mixed = (1.0 - time) * first + time * second.flip(1) * 2.0 - time
        size = torch.tensor([float(first.shape[2]), float(first.shape[3])])
        return mixed, first[:, :1] > 0.0, size


class Moves(torch.nn.Module):
    """Flow by the brightness of the first and the second pixel, in twentieths of a pixel."""

    def forward(self, first: torch.Tensor, second: torch.Tensor):
        if first.shape[2] % 32 != 0 or first.shape[3] % 32 != 0:
            raise RuntimeError("sides must be multiples of 32")
        return torch.cat((first[:, :1], second[:, :1]), dim=1) / 20.0


class MovesBothWays(torch.nn.Module):
    def forward(self, first: torch.Tensor, second: torch.Tensor):
        return first[:, 1:], second[:, 1:]


class Sum(torch.nn.Module):
    """Nothing that depends on the size of frames, for torch.export."""

    def forward(self, first: torch.Tensor, second: torch.Tensor):
        return (first + second)[:, :2]


FRAMES = (Port("first", Kind.FRAME), Port("second", Kind.FRAME))
BETWEEN = Signature(
    Format.TORCHSCRIPT,
    inputs=(
        Port("second", Kind.FRAME, Channels.BGR, 0.0, 1.0),
        Port("first", Kind.FRAME, Channels.RGB, -1.0, 1.0),
        Port("time", Kind.TIME),
    ),
    outputs=(Port("middle", Kind.FRAME, Channels.RGB, -1.0, 1.0), Port("lit", Kind.MAP), Port("size", Kind.MAP)),
    side_step=16,
    least_side=64,
)


@pytest.fixture
def client():
    with ModelClient(in_process=True) as made:
        yield made


@pytest.fixture
def scripted(tmp_path):
    """Saves a network as TorchScript."""

    def save(network):
        path = tmp_path / f"{type(network).__name__}.pt"
        torch.jit.script(network).save(path)
        return path

    return save


def run(client, path, signature, **given):
    return client.run(ProgramChoice(path, signature, "cpu"), given).result(PATIENCE_S).arrays


def test_what_comes_out_is_in_our_numbers_whatever_the_program_counts_in(client, scripted):
    made = run(client, scripted(Between()), BETWEEN, first=FIRST, second=SECOND.astype(np.float32), time=0.25)
    np.testing.assert_allclose(made["middle"], 0.75 * FIRST + 0.25 * SECOND, atol=1e-3)
    assert made["middle"].dtype == np.float32
    np.testing.assert_array_equal(made["lit"][..., 0], FIRST[..., 0] >= 128)


def test_frames_are_padded_as_declared_and_what_is_not_per_pixel_is_passed_on_whole(client, scripted):
    made = run(client, scripted(Between()), BETWEEN, first=FIRST, second=SECOND, time=0.5)
    assert made["middle"].shape == (50, 41, 3)
    np.testing.assert_array_equal(made["size"], [64.0, 64.0])
    large = [np.zeros((70, 81, 3), np.uint8)] * 2
    made = run(client, scripted(Between()), BETWEEN, first=large[0], second=large[1], time=0.5)
    np.testing.assert_array_equal(made["size"], [80.0, 96.0])


def entry(tmp_path, task, form, signature_text):
    (tmp_path / "mine.toml").write_text(
        f'name = "mine"\ntitle = "Mine"\ntask = "{task}"\n{signature_text}\n[licence]\nname = "ours"\n'
        f'[[weights]]\nname = "v1"\nfile = "mine.pt"\nformat = "{form}"\npath = "mine.pt"\n'
    )
    found = read_catalog(tmp_path)
    assert found.problems == ()
    model, weights = found.weights("mine")
    return model, weights, Path(weights.address)


MOVES = """
[program]
side_step = 32
[[inputs]]
name = "first"
range = [0.0, 1.0]
[[inputs]]
name = "second"
range = [0.0, 1.0]
[[outputs]]
name = "forward"
pixels = 20
"""


def test_a_users_flow_program_does_what_our_networks_do(client, scripted, tmp_path):
    """From a TOML file to flow both ways, without a line of code."""
    scripted(Moves()).rename(tmp_path / "mine.pt")
    choice = flow_choice(*entry(tmp_path, "flow", "torchscript", MOVES), "cpu")
    made = client.flow(choice, FIRST, SECOND).result(PATIENCE_S).arrays
    np.testing.assert_allclose(made["forward"], np.stack((FIRST[..., 0], SECOND[..., 0]), -1) / 255, atol=1e-6)
    np.testing.assert_allclose(made["backward"], np.stack((SECOND[..., 0], FIRST[..., 0]), -1) / 255, atol=1e-6)
    assert set(client.flow(choice, FIRST, SECOND, both=False).result(PATIENCE_S).arrays) == {"forward"}


def test_a_program_that_gives_both_ways_runs_once(client, scripted, tmp_path):
    scripted(MovesBothWays()).rename(tmp_path / "mine.pt")
    text = "[program]\n" + "".join(
        f'[[{key}]]\nname = "{name}"\n'
        for key, name in [("inputs", "first"), ("inputs", "second"), ("outputs", "forward"), ("outputs", "backward")]
    )
    choice = flow_choice(*entry(tmp_path, "flow", "torchscript", text), "cpu")
    made = client.flow(choice, FIRST, SECOND).result(PATIENCE_S).arrays
    np.testing.assert_array_equal(made["forward"], FIRST[..., 1:])
    np.testing.assert_array_equal(made["backward"], SECOND[..., 1:])


def exported(path, *, dynamic):
    sides = {2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=2)}
    examples = (torch.zeros(1, 3, 24, 40), torch.zeros(1, 3, 24, 40))
    shapes = {"first": sides, "second": sides} if dynamic else None
    torch.export.save(torch.export.export(Sum(), examples, dynamic_shapes=shapes), path)
    return path


EXPORTED = Signature(Format.EXPORT, FRAMES, (Port("forward", Kind.FLOW),))


def test_a_torch_export_file_runs(client, tmp_path):
    dynamic = exported(tmp_path / "dynamic.pt2", dynamic=True)
    made = run(client, dynamic, EXPORTED, first=FIRST, second=SECOND)
    np.testing.assert_allclose(made["forward"], FIRST[..., :2].astype(float) + SECOND[..., :2])
    fixed = exported(tmp_path / "fixed.pt2", dynamic=False)
    with pytest.raises(ModelError, match="takes frames of any size only if its sides are dynamic"):
        run(client, fixed, EXPORTED, first=FIRST, second=SECOND)


def test_a_program_is_loaded_once_and_the_others_make_room_for_it(scripted):
    made_room = []
    programs = worker.Programs(lambda: made_room.append(True))
    signature = Signature(Format.TORCHSCRIPT, FRAMES, (Port("forward", Kind.FLOW), Port("backward", Kind.FLOW)))
    both, between = ProgramChoice(scripted(MovesBothWays()), signature), ProgramChoice(scripted(Between()), BETWEEN)
    frames = {"first": FIRST, "second": SECOND}

    def asked(choice, **options):
        return programs.run(Call({**choice.options(), "device": "cpu", **options}, frames, lambda: None)).arrays

    for _ in range(2):
        assert set(asked(both)) == {"forward", "backward"}
        assert len(made_room) == 1
    assert "middle" in asked(between, times={"time": 0.5})
    assert len(made_room) == 2
    programs.release()
    assert set(asked(both)) == {"forward", "backward"}
    assert len(made_room) == 3


# What does not fit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ((Port("middle", Kind.FRAME),), "gives 3 outputs, but its entry declares 1 outputs: let"),
        ((Port("lit", Kind.MAP), Port("middle", Kind.FRAME), Port("size", Kind.MAP)),
         r"gives an array \(1, 1, 64, 64\) as 'middle', which is no frame \(N, 3, height, width\): mend the order"),
        ((Port("a", Kind.MAP), Port("b", Kind.MAP), Port("size", Kind.FLOW)), r"\(2,\) as 'size', which is no flow"),
    ],
)  # fmt: skip
def test_outputs_that_are_not_as_declared_are_told(client, scripted, outputs, words):
    with pytest.raises(ModelError, match=words):
        run(client, scripted(Between()), replace(BETWEEN, outputs=outputs), first=FIRST, second=SECOND, time=0.5)


def test_what_the_program_itself_refuses_is_passed_on(client, scripted):
    signature = Signature(Format.TORCHSCRIPT, FRAMES, (Port("forward", Kind.FLOW),))
    with pytest.raises(ModelError, match=r"Moves\.pt' refuses .*multiples of 32.*compare inputs and side_step"):
        run(client, scripted(Moves()), signature, first=FIRST, second=SECOND)
    with pytest.raises(ModelError, match="refuses what its entry declares"):
        run(client, scripted(Moves()), replace(BETWEEN, outputs=signature.outputs), first=FIRST, second=SECOND, time=0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"second": SECOND, "time": 0.5}, r"'first' has to be a frame \(height, width, 3\), not nothing"),
        ({"first": FIRST[..., 0], "second": SECOND, "time": 0.5}, r"'first' has to be a frame .*not \(50, 41\)"),
        ({"first": 0.5, "second": SECOND, "time": 0.5}, "'first' has to be a frame .*not a number"),
        ({"first": FIRST, "second": SECOND}, "'time' has to be a number between 0 and 1"),
        ({"first": FIRST, "second": SECOND[1:], "time": 0.5}, "41 x 49, the rest 41 x 50|41 x 50, the rest 41 x 49"),
    ],
)
def test_inputs_that_do_not_fit_are_told(client, scripted, given, words):
    with pytest.raises(InputError, match=words):
        run(client, scripted(Between()), BETWEEN, **given)


def test_a_model_is_taken_for_its_own_task_only(tmp_path):
    raft = read_catalog().weights("raft")
    with pytest.raises(InputError, match="'raft' brings no network of its own"):
        program_choice(*raft, Path("x"))
    with pytest.raises(InputError, match="'raft' is for interpolation, not for flow"):
        flow_choice(replace(raft[0], task=Task.INTERPOLATION), raft[1], Path("x"))
    choice = flow_choice(*raft, Path("x"))
    assert (choice.network, choice.key_prefix, choice.scale) == ("raft.Raft", "module.", 1.0)
    assert flow_choice(*read_catalog().weights("searaft-s/spring"), Path("x")).scale == 0.5


class Malice:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_malicious_torchscript_file_runs_nothing(client, scripted, tmp_path):
    """The pickles of a good file are replaced one after the other."""
    good, mark = scripted(MovesBothWays()), tmp_path / "mark"
    signature = Signature(Format.TORCHSCRIPT, FRAMES, (Port("forward", Kind.FLOW), Port("backward", Kind.FLOW)))
    with zipfile.ZipFile(good) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    pickles = [name for name in content if name.endswith(".pkl")]
    assert len(pickles) >= 2
    for name in pickles:
        bad = tmp_path / "bad.pt"
        with zipfile.ZipFile(bad, "w") as archive:
            for other, data in content.items():
                archive.writestr(other, pickle.dumps(Malice(mark)) if other == name else data)
        with pytest.raises(InputError, match="cannot be loaded as torchscript"):
            run(client, bad, signature, first=FIRST, second=SECOND)
    assert not mark.exists()


@pytest.mark.parametrize("form", [Format.TORCHSCRIPT, Format.EXPORT])
@pytest.mark.parametrize("kind", ["empty", "text", "archive", "cut"])
def test_what_is_no_program_is_refused(client, scripted, tmp_path, form, kind):
    path, made = tmp_path / "none.pt", io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a/data.pkl", b"x")
    whole = exported(tmp_path / "x.pt2", dynamic=True) if form is Format.EXPORT else scripted(Sum())
    path.write_bytes(
        {"empty": b"", "text": b"hello", "archive": made.getvalue(), "cut": whole.read_bytes()[:-200]}[kind]
    )
    with pytest.raises(InputError, match=rf"none\.pt' cannot be loaded as {form} .*: make it anew"):
        run(client, path, replace(EXPORTED, form=form), first=FIRST, second=SECOND)
