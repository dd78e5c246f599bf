# SPDX-License-Identifier: GPL-3.0-or-later
"""PyTorch really installed into a private folder from wheels at hand, and a network run from there.

test_environment.py has all that can go wrong, without the minutes.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from model_processes import until

from animerun_addon.model_bridge.client import FlowChoice, ModelClient
from animerun_addon.model_bridge.environment import State, inspect, install_steps, remove_steps
from animerun_addon.model_bridge.existing_python import existing_python_steps
from animerun_addon.model_bridge.pip_install import Plan
from animerun_addon.model_bridge.torch_variants import Variant
from animerun_addon.model_bridge.worker_python import this_build
from animerun_addon.pipeline.job import Job
from animerun_addon.progress import JobState

pytestmark = pytest.mark.torture
GOLDEN = Path(__file__).parents[1] / "golden"
# As in golden_cases.py, which needs torch.
PARITY = 1e-4
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder with all wheels: torch's from PIP_FIND_LINKS, what it needs from where this machine's pip looks."""
    python = "cp{}{}".format(*sys.version_info)
    places = [Path(place) for place in os.environ.get("PIP_FIND_LINKS", "").split()]
    found = [path for place in places for path in sorted(place.glob(f"torch-*-{python}-*.whl"))]
    if not found:
        pytest.skip(f"no wheel of torch for {python} at hand: name a folder of such in PIP_FIND_LINKS")
    folder = tmp_path_factory.mktemp("wheels")
    version = re.match(r"torch-([^-]+)-", found[-1].name)[1]
    wanted = [f"torch=={version}", "numpy", "opencv-python-headless", "safetensors"]
    words = [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "-d", str(folder), *wanted]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the wheels that torch needs are not at hand: {done.stderr.strip().splitlines()[-1:]}")
    return folder


@pytest.fixture(scope="module")
def bare_python():
    """The Python that this environment was made from: nothing that is installed here is in it."""
    return Path(sys._base_executable)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("home") / "torch"


@pytest.fixture(scope="module")
def installed(folder, bare_python, wheels):
    seen = []
    steps = install_steps(folder, bare_python, Plan(Variant.CPU, wheels=wheels), online=False)
    environment = Job("Install PyTorch", steps).run(lambda status: seen.append(status.progress))
    return environment, seen


def test_cancelled_while_it_unpacks_it_leaves_nothing(folder, bare_python, wheels):
    job = Job("Install PyTorch", install_steps(folder, bare_python, Plan(Variant.CPU, wheels=wheels), online=False))
    while job.is_running and job.status.progress.fraction < 0.1:
        job.step()
    start_s = time.monotonic()
    job.cancel()
    assert time.monotonic() - start_s < 2.0
    assert job.status.state is JobState.CANCELLED
    assert inspect(folder).state is State.MISSING
    until(lambda: list(folder.parent.iterdir()) == [], PATIENCE_S)  # another process deletes it


def test_it_is_whole_and_known(installed, folder, bare_python):
    environment, seen = installed
    assert environment.state is State.WHOLE
    assert inspect(folder, bare_python) == environment
    assert environment.record.build == this_build()
    assert environment.record.size_bytes > 5e8
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert len({round(fraction, 1) for fraction in fractions}) > 7  # it moved all the time


def test_a_network_runs_from_it_and_gives_the_published_flow(installed, tmp_path):
    save_file = pytest.importorskip("safetensors.numpy", reason="no safetensors in this Python").save_file
    sys.path.append(str(GOLDEN))
    from filler import fill, read_manifest

    with np.load(GOLDEN / "raft_small.npz") as arrays:
        case = dict(arrays)
    filled = fill(read_manifest(GOLDEN / "raft_small.json"), int(case["seed"]), float(case["gain"]))
    save_file(filled, tmp_path / "weights.safetensors")
    choice = FlowChoice("raft.RaftSmall", tmp_path / "weights.safetensors", device="cpu")
    with ModelClient(installed[0].python) as client:
        assert client.call("devices", timeout_s=PATIENCE_S).values["torch"] == installed[0].record.versions["torch"]
        answer = client.flow(choice, case["image1"], case["image2"], both=False, iterations=int(case["iters"])).result(
            PATIENCE_S
        )
    largest = np.abs(case["flow"]).max()
    assert np.abs(answer.arrays["forward"] - case["flow"]).max() <= PARITY * largest


def test_a_python_that_has_torch_can_be_used_as_it_is(tmp_path):
    pytest.importorskip("torch", reason="no torch in this Python")
    python, facts = Job("Look", existing_python_steps(Path(sys.executable))).run()
    assert facts.devices[-1] == "Processor"
    with ModelClient(python) as client:
        assert client.call("devices", timeout_s=PATIENCE_S).values["torch"] == facts.versions["torch"]


def test_it_can_be_removed(installed, folder):
    Job("Remove PyTorch", remove_steps(folder)).run()
    assert inspect(folder).state is State.MISSING
    assert list(folder.parent.iterdir()) == []
