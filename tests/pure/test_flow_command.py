# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun flow` as a shell user sees it: answers, exit codes, one line a mistake; and networks behind it."""

import importlib.util
import json
import sys

import numpy as np
import pytest
from tiny_dataset import write_clip

from animerun_addon import cli
from animerun_addon.dataset.formats import write_png
from animerun_addon.dataset.layout import Direction
from animerun_addon.dataset.reader import AnimeRun

FORWARD, BACKWARD = Direction
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="no torch in this Python")


@pytest.fixture(autouse=True)
def own_models(tmp_path, monkeypatch):
    """Weights and models of the test's own."""
    monkeypatch.setenv("ANIMERUN_MODELS", str(tmp_path / "models"))


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "sh010"
    folder.mkdir()
    whole = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    for frame in (1, 2, 3):
        write_png(folder / f"{frame:04}.png", whole[:64, 4 - frame : 84 - frame])
    return folder


@pytest.fixture
def run(tmp_path, capfd):
    """Runs a command; the answer."""

    def flow(*words, code=0):
        assert cli.main(["flow", *map(str, words), "--out", str(tmp_path / "out"), "--json"]) == code
        return json.loads(capfd.readouterr().out)

    return flow


def test_classical_flow_of_a_folder(run, frames, tmp_path):
    answer = run(frames, "--model", "classical")
    assert (answer["frames"], answer["estimated"], answer["kept"]) == (3, 2, 0)
    assert answer["folder"] == str(tmp_path / "out" / "train")
    assert "epe_px" not in answer
    (clip,) = AnimeRun(tmp_path / "out").clips
    assert clip.pair(1, direction=BACKWARD).flow_px.shape == (64, 80, 2)
    assert (run(frames, "--model", "classical"))["kept"] == 2


def test_the_error_against_a_clip_of_a_data_set(run, tmp_path, capfd):
    clip = write_clip(tmp_path / "dataset", size=(96, 64))
    answer = run(clip.frame(1).parent, "--model", "classical", "--frames", "1-3")
    forward = answer["epe_px"]["forward"]
    assert 0 < forward["all"] < 3
    assert 0 < forward["visible"] < forward["occluded"]
    assert forward["pixels"] == 2 * 96 * 64
    assert list(answer["epe_px"]["backward"]["frames"]) == ["0002", "0003"]
    words = ["flow", str(clip.frame(1).parent), "--model", "classical", "--frames", "1-3", "--out"]
    assert cli.main([*words, str(tmp_path / "out")]) == 0
    assert f"  forward: {forward['all']:.3f} px (visible" in capfd.readouterr().out


def test_one_way_is_forward_alone(run, frames, tmp_path):
    run(frames, "--model", "classical", "--one-way")
    assert {path.parent.name for path in (tmp_path / "out").rglob("*.flo")} == {"forward"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", "rft"], "There is no flow model 'rft': there are classical, gma, gmflow"),
        (["--model", "raft/sitnel"], "did you mean 'sintel'?"),
        (["--model", "classical", "--iterations", "3"], "has neither weights nor iterations"),
        (["--model", "classical", "--frames", "3-4"], "has no frame 4"),
        (["--model", "classical", "--frames", "3"], "there is one only"),
        (["--model", "classical", "--scene", "Scene"], "has no scenes"),
        (["--model", "classical", "--truth", "nowhere"], "choose a clip of a data set"),
        (["--model", "raft"], "`animerun weights get raft/things`, or have"),
        (["--model", "raft/sintel"], "`animerun weights import raft/sintel FILE`"),
        (["--model", "raft", "--weights", "nowhere.pth"], "There is no file 'nowhere.pth'"),
        (["--model", "raft", "--iterations", "0"], "give 1 or more"),
        ([], "--model"),
    ],
)
def test_mistakes_are_told(run, frames, words, told):
    assert told in run(frames, *words, code=2)["error"]


def test_a_folder_that_is_none_is_told(run, tmp_path):
    assert "There is no folder" in run(tmp_path / "nowhere", "--model", "classical", code=2)["error"]


def test_flow_is_never_estimated_into_the_data_set_itself(tmp_path, capfd):
    clip = write_clip(tmp_path / "dataset")
    before = clip.flow(1, FORWARD).read_bytes()
    for more in ([], ["--anew"]):
        words = ["flow", str(clip.frame(1).parent), "--model", "classical", "--out", str(tmp_path / "dataset"), *more]
        assert cli.main(words) == 2
        assert "name another --out" in capfd.readouterr().err
    assert clip.flow(1, FORWARD).read_bytes() == before


def test_without_torch_the_remedy_is_named(run, frames, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "torch" else find(name, *more))
    (tmp_path / "raft.pth").write_bytes(b"weights")
    error = run(frames, "--model", "raft", "--weights", tmp_path / "raft.pth", code=2)["error"]
    assert "(--python PATH)" in error
    assert "'classical'" in error


def test_a_python_that_cannot_run_networks_is_told_before_any_work(run, frames, tmp_path):
    (tmp_path / "raft.pth").write_bytes(b"weights")
    words = [frames, "--model", "raft", "--weights", tmp_path / "raft.pth", "--python"]
    assert "There is no Python '" in run(*words, tmp_path / "nowhere", code=2)["error"]
    assert "There is no Python in the folder" in run(*words, frames, code=2)["error"]
    (tmp_path / "python").write_text("no program")
    assert f"Cannot start '{tmp_path / 'python'}'" in run(*words, tmp_path / "python", code=2)["error"]
    assert not (tmp_path / "out").exists()


@needs_torch
class TestNetwork:
    @pytest.fixture
    def weights(self, tmp_path):
        import torch
        from golden_cases import own_case

        torch.save(own_case("raft_small").weights("module."), tmp_path / "raft-small.pth")
        return tmp_path / "raft-small.pth"

    def test_a_network_runs_in_a_process_of_its_own_and_goes_on(self, run, frames, weights, tmp_path, monkeypatch):
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        words = [frames, "--model", "raft-small", "--weights", weights, "--device", "cpu", "--iterations", "2"]
        answer = run(*words, "--python", sys.executable, "--frames", "1-2")
        assert answer["estimated"] == 1
        (clip,) = AnimeRun(tmp_path / "out").clips
        assert clip.meta["estimated_by"]["iterations"] == 2
        for direction in Direction:
            pair = clip.pair(0, direction=direction)
            assert np.isfinite(pair.flow_px).all()
            assert np.ptp(pair.flow_px) > 0
        assert run(*words)["kept"] == 1
        error = run(*words[:-1], "3", code=2)["error"]
        assert "estimated_by.iterations was 2, now 3" in error
        before = AnimeRun(tmp_path / "out").clips[0].pair(0).flow_px
        run(*words[:-1], "3", "--anew")
        assert not np.array_equal(before, AnimeRun(tmp_path / "out").clips[0].pair(0).flow_px)

    def test_weights_that_do_not_fit_are_told(self, run, frames, weights, tmp_path):
        error = run(frames, "--model", "raft", "--weights", weights, "--device", "cpu", code=2)["error"]
        assert "does not fit Raft" in error
        assert not list((tmp_path / "out").rglob("*.flo"))

    def test_a_cancel_ends_the_request_of_the_network(self, frames, tmp_path):
        from pathlib import Path

        import torch
        from tiny_flow import Tiny

        from animerun_addon.dataset.footage import footage_in
        from animerun_addon.errors import Cancelled
        from animerun_addon.model_bridge.client import FlowChoice, ModelClient
        from animerun_addon.pipeline.flow_models import NetworkModel
        from animerun_addon.pipeline.job import Job
        from animerun_addon.pipeline.model_run import flow_clip, flow_steps, shot_of

        torch.save(Tiny().state_dict(), tmp_path / "tiny.pth")
        choice = FlowChoice("tiny.Tiny", tmp_path / "tiny.pth", {"layers": 1000, "seconds": 0.1}, "cpu")
        client = ModelClient(program=Path(__file__).with_name("tiny_flow.py"))
        footage = footage_in(frames)
        clip = flow_clip(tmp_path / "out", *footage.place, list(footage.files))
        with NetworkModel({"name": "tiny"}, choice, client) as model:
            job = Job("Flow", flow_steps(shot_of(footage), clip, model), pause_s=0.02)
            seen = []

            def watch(status):
                if status.progress.message.startswith("Flow of frames 1 and 2"):
                    seen.append(status)
                if len(seen) == 20:
                    job.cancel()

            with pytest.raises(Cancelled):
                job.run(watch)
            assert client.call("ping", timeout_s=60).values["pid"]  # the process goes on, and is free
        assert not list((tmp_path / "out").rglob("*.flo"))
