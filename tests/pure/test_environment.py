# SPDX-License-Identifier: GPL-3.0-or-later
"""The private folder with PyTorch: installed with a pip that is played, cancelled, broken, and told for what it is."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_python import WHOLE, FakePython
from model_processes import lives, until

from animerun_addon.errors import InputError, OutputError
from animerun_addon.model_bridge import environment
from animerun_addon.model_bridge.environment import State, inspect, install_steps, remove_steps
from animerun_addon.model_bridge.pip_child import NO_PIP, TOLD
from animerun_addon.model_bridge.pip_install import PIP_CHILD, Plan, in_words
from animerun_addon.model_bridge.python_probe import MODULES
from animerun_addon.model_bridge.torch_variants import Variant
from animerun_addon.model_bridge.worker_python import WorkerPython, this_build
from animerun_addon.output import alone_in
from animerun_addon.pipeline.job import Job
from animerun_addon.progress import JobState

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="plays a Python by a script")
ONLINE = Plan(Variant.CPU)


@pytest.fixture(autouse=True)
def own_settings(monkeypatch):
    """None of this machine's pip."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def python(tmp_path):
    return FakePython(tmp_path / "python")


@pytest.fixture
def home(tmp_path):
    """What is beside the folder is looked at as well."""
    return tmp_path / "home"


@pytest.fixture
def folder(home):
    return home / "torch"


def finished(steps):
    return Job("Install", steps).run()


def installed(folder, python, plan=ONLINE, online=True):
    return finished(install_steps(folder, python.program, plan, online=online))


def begun(folder, python):
    """An installation whose pip runs and has made half a package."""
    python.does(
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "install('torch'); Path(here / 'pid').write_text(str(os.getpid()))\n"
        "sys.stdin.read(); Path(here / 'told').touch(); time.sleep(60)"
    )
    job = Job("Install", install_steps(folder, python.program, ONLINE, online=True))
    pid = python.folder / "pid"
    until(lambda: job.step() or (pid.exists() and pid.read_text()))
    return job, int(pid.read_text())


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestInstalling:
    def test_what_was_made_is_in_its_place_and_nothing_beside_it(self, python, home, folder):
        made = installed(folder, python)
        assert made.state is State.WHOLE
        assert made.python == WorkerPython(python.program, (folder / "packages",))
        assert names(folder / "packages") == sorted(MODULES.values())
        assert names(home) == ["torch"]
        assert names(folder) == ["environment.json", "packages"]

    def test_it_is_known_what_was_installed(self, python, folder):
        installed(folder, python)
        record = inspect(folder).record
        assert record.versions == WHOLE
        assert record.devices == ("Processor",)
        assert record.size_bytes == len(MODULES) * len("a package")

    def test_torch_comes_from_the_index_of_its_variant_alone_and_the_rest_does_not(self, python, folder):
        installed(folder, python, Plan(Variant.CUDA_12_6))
        torch, others = [asked["words"] for asked in python.asked()]
        assert torch[-3:] == ["torch>=2.4", "--index-url", "https://download.pytorch.org/whl/cu126"]
        assert others[-3:] == ["numpy>=1.26", "opencv-python-headless>=4.8", "safetensors>=0.4"]

    def test_on_a_mac_all_comes_from_the_usual_place(self, python, folder):
        installed(folder, python, Plan(Variant.MPS))
        (words,) = [asked["words"] for asked in python.asked()]
        assert "--index-url" not in words

    def test_a_studios_own_index_is_asked_for_everything(self, python, folder):
        installed(folder, python, Plan(Variant.CPU, index="https://pip.studio/simple"))
        (words,) = [asked["words"] for asked in python.asked()]
        assert words[-2:] == ["--index-url", "https://pip.studio/simple"]
        assert "torch>=2.4" in words

    def test_a_folder_of_wheels_needs_no_network_and_no_settings_lead_there(
        self, python, folder, tmp_path, monkeypatch
    ):
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://elsewhere")
        (tmp_path / "torch-2.9.1-cp311-any.whl").touch()
        installed(folder, python, Plan(Variant.CPU, wheels=tmp_path), online=False)
        (asked,) = python.asked()
        assert asked["words"][-3:] == ["--no-index", "--find-links", str(tmp_path)]
        assert "PIP_EXTRA_INDEX_URL" not in asked["environment"]
        assert asked["environment"]["PIP_CONFIG_FILE"] == os.devnull

    def test_the_users_proxy_holds_but_not_where_else_packages_should_go(self, python, folder, monkeypatch):
        monkeypatch.setenv("PIP_PROXY", "http://proxy")
        monkeypatch.setenv("PIP_TARGET", "/elsewhere")
        monkeypatch.setenv("PYTHONPATH", "/blenders/own")
        installed(folder, python)
        variables = python.asked()[0]["environment"]
        assert variables["PIP_PROXY"] == "http://proxy"
        assert not {"PIP_TARGET", "PYTHONPATH"} & set(variables)

    def test_all_happens_on_the_disk_where_it_ends(self, python, home, folder):
        installed(folder, python)
        assert Path(python.asked()[0]["environment"]["TMPDIR"]).is_relative_to(home)

    def test_what_was_there_is_replaced_as_a_whole(self, python, folder):
        installed(folder, python)
        (folder / "packages" / "old").mkdir()
        python.says({**WHOLE, "torch": "2.10.0"})
        installed(folder, python)
        assert names(folder / "packages") == sorted(MODULES.values())
        assert inspect(folder).record.versions["torch"] == "2.10.0"

    def test_it_is_told_how_far_it_is_and_never_backwards(self, python, folder):
        python.does(
            f"print('Collecting torch', flush=True); print('animerun-bytes: 700000000', flush=True); time.sleep(0.1)\n"
            f"print('Downloading https://x/torch-2.9.1-cp311-any.whl (184 MB)', flush=True); time.sleep(0.1)\n"
            f"print('animerun-bytes: 5', flush=True); time.sleep(0.1); install(*{list(MODULES.values())})"
        )
        for each in (folder.parent / ".torch.old" / "x", folder.parent / ".torch.part" / "y"):
            each.mkdir(parents=True)
        seen = []
        Job("Install", install_steps(folder, python.program, Plan(Variant.MPS), online=True)).run(
            lambda status: seen.append(status.progress)
        )
        fractions = [progress.fraction for progress in seen]
        assert fractions == sorted(fractions)
        assert any(0.7 < fraction < 0.8 for fraction in fractions)
        assert {"Looking for torch", "Downloading torch 2.9.1 (184 MB)"} <= {progress.message for progress in seen}

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("Processing ./wheels/torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl", "Reading torch 2.13.0+cpu"),
            ("  Using cached https://x/numpy-2.3.1-cp311-any.whl.metadata (62 kB)".strip(), "Reading numpy 2.3.1"),
            ("Installing collected packages: mpmath, torch", "Unpacking, which takes a minute or two"),
            ("WARNING: Retrying (Retry(total=4)) after connection broken by", "The connection dropped: trying again"),
            ("Requirement already satisfied: pip", ""),
        ],
    )
    def test_pips_lines_are_told_in_words(self, line, words):
        assert in_words(line) == words


class TestNotInstalling:
    def test_a_cancel_ends_pip_and_leaves_what_was_there(self, python, home, folder):
        installed(folder, python)
        job, pid = begun(folder, python)
        start_s = time.monotonic()
        job.cancel()
        assert time.monotonic() - start_s < 2.0
        assert job.status.state is JobState.CANCELLED
        assert (python.folder / "told").exists()
        assert not lives(pid)
        assert inspect(folder).state is State.WHOLE
        until(lambda: names(home) == ["torch"])  # another process deletes it

    def test_the_next_goes_on_with_what_was_downloaded(self, python, home, folder):
        python.does("cache = Path(words[words.index('--cache-dir') + 1]); (cache / 'torch').touch(); sys.exit(1)")
        with pytest.raises(OutputError):
            installed(folder, python)
        assert inspect(folder).state is State.HALF
        assert "goes on with what was downloaded" in inspect(folder).remedy
        python.does(
            "cache = Path(words[words.index('--cache-dir') + 1]); assert (cache / 'torch').exists()\n"
            f"if 'torch>=2.4' in words: install(*{list(MODULES.values())})"
        )
        installed(folder, python)
        assert names(home) == ["torch"]

    def test_one_that_was_killed_with_blender_is_half_and_the_next_begins_anew(self, python, home, folder):
        (home / ".torch.part" / "packages" / "torch").mkdir(parents=True)
        assert inspect(folder).state is State.HALF
        assert installed(folder, python).state is State.WHOLE
        assert names(home) == ["torch"]

    @pytest.mark.parametrize(
        ("said", "code", "error", "words"),
        [
            ("OSError: [Errno 28] No space left on device", 1, OutputError, "The disk is full"),
            ("ERROR: [Errno 2] HINT: Windows Long Path support", 1, OutputError, "turn on long paths"),
            (
                "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'\n"
                "ERROR: No matching distribution found for torch>=2.4",
                1,
                InputError,
                "The network does not answer: install again later, which goes on",
            ),
            ("SSLError(SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED)", 1, InputError, "set PIP_CERT"),
            ("ProxyError('Cannot connect to proxy.')", 1, InputError, "see HTTPS_PROXY"),
            ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", 1, InputError, "damaged: remove PyTorch"),
            (
                "ERROR: No matching distribution found for torch>=2.4",
                1,
                InputError,
                "no torch of the variant 'Processor only' for '.*': choose another variant",
            ),
            ("ERROR: a thing of tomorrow\n\nanimerun-bytes: 7", 2, OutputError, r"code 2 \(a thing of tomorrow\)"),
            ("", -9, OutputError, r"code -9 \(it said nothing\): install again"),
            ("", NO_PIP, InputError, "without pip and without ensurepip"),
        ],
    )
    def test_what_pip_dies_of_has_a_remedy_and_nothing_half_stays(self, python, home, folder, said, code, error, words):
        end = "os.kill(os.getpid(), 9)" if code == -9 else f"sys.exit({code})"
        python.does(f"install('torch'); print({said!r}, flush=True); {end}")
        with pytest.raises(error, match=words):
            installed(folder, python)
        until(lambda: names(home) == [])

    def test_a_wheel_that_is_not_in_the_folder_is_named(self, python, folder, tmp_path):
        (tmp_path / "torch-2.9.1-cp39-any.whl").touch()
        python.does("print('ERROR: No matching distribution found for torch>=2.4'); sys.exit(1)")
        with pytest.raises(InputError, match=f"'{tmp_path}' has no wheel of torch that '.*' can use"):
            installed(folder, python, Plan(Variant.CPU, wheels=tmp_path))

    @pytest.mark.parametrize(
        ("versions", "failures", "words"),
        [
            ({}, {"torch": "libcudart.so.12: no such file"}, r"torch does not load \(libcudart.*another variant"),
            ({}, {"torch": "[WinError 126] c10.dll"}, "Visual C"),
            ({"torch": "2.3.0"}, {}, "torch 2.3.0 is older than 2.4"),
        ],
    )
    def test_what_does_not_load_is_not_put_in_place(self, python, home, folder, versions, failures, words):
        python.says({**WHOLE, **versions}, failures)
        with pytest.raises(OutputError, match=words):
            installed(folder, python)
        until(lambda: names(home) == [])

    def test_without_the_users_leave_nothing_is_fetched(self, python, home, folder):
        with pytest.raises(InputError, match=r"not allowed online.*or install from a folder of wheels"):
            installed(folder, python, online=False)
        assert not python.asked()
        assert not home.exists()

    def test_without_room_nothing_is_begun(self, python, folder, monkeypatch):
        usage = shutil.disk_usage("/")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**9))
        with pytest.raises(OutputError, match=r"needs about 12.0 GB.*1.0 GB left"):
            installed(folder, python, Plan(Variant.CUDA_12_6))
        assert not python.asked()

    def test_a_folder_without_wheels_is_named(self, python, folder, tmp_path):
        with pytest.raises(InputError, match=r"no wheels \(\*.whl\) in"):
            installed(folder, python, Plan(Variant.CPU, wheels=tmp_path))

    def test_a_folder_that_python_cannot_be_told_is_refused(self, python, home):
        with pytest.raises(InputError, match="because of the ':'"):
            installed(home / "a:b", python)

    def test_a_python_that_is_too_old_is_refused_before_anything_is_fetched(self, python, folder):
        python.says(version=[3, 9, 2])
        with pytest.raises(InputError, match=r"is Python 3.9.2, which is too old: choose one of 3.11 or later"):
            installed(folder, python)
        assert not python.asked()

    def test_what_cannot_be_put_in_place_leaves_what_was_there(self, python, home, folder, monkeypatch):
        installed(folder, python)
        rename = Path.rename

        def refusing(path, target):
            if path.name == ".torch.part":
                raise PermissionError(13, "used by another process")
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", refusing)
        with pytest.raises(OutputError, match="used by another process"):
            installed(folder, python)
        assert inspect(folder).state is State.WHOLE
        until(lambda: names(home) == ["torch"])

    def test_only_one_at_a_time(self, python, home, folder):
        home.mkdir()
        with alone_in(home, folder.name), pytest.raises(OutputError, match="Another process is writing 'torch'"):
            installed(folder, python)

    def test_somebody_elses_folder_is_neither_replaced_nor_removed(self, python, folder):
        folder.mkdir(parents=True)
        (folder / "thesis.txt").touch()
        for steps in (install_steps(folder, python.program, ONLINE, online=True), remove_steps(folder)):
            with pytest.raises(InputError, match="holds something else"):
                finished(steps)
        assert "holds something else" in inspect(folder).remedy
        assert names(folder) == ["thesis.txt"]


class TestLooking:
    @pytest.fixture
    def whole(self, python, folder):
        installed(folder, python)
        return folder

    def test_nothing_is_missing_also_where_there_is_an_empty_folder(self, folder):
        assert inspect(folder).state is State.MISSING
        folder.mkdir(parents=True)
        assert inspect(folder).state is State.MISSING
        assert "install it, or use an existing Python" in inspect(folder).remedy

    def test_a_whole_one_is_run_by_the_python_that_looks(self, whole):
        assert inspect(whole).python == WorkerPython(Path(sys.executable), (whole / "packages",))

    @pytest.mark.parametrize("damage", [lambda f: (f / "environment.json").write_text("{"),
                                        lambda f: shutil.rmtree(f / "packages" / "torch")])  # fmt: skip
    def test_a_damaged_one_is_to_be_removed_and_can_be(self, whole, damage):
        damage(whole)
        assert inspect(whole).state is State.DAMAGED
        assert "remove it and install PyTorch again" in inspect(whole).remedy
        finished(remove_steps(whole))
        assert inspect(whole).state is State.MISSING

    def test_after_an_upgrade_of_blender_the_python_before_serves_as_long_as_it_is_there(self, whole, python):
        upgraded = replace(this_build(), python="cpython-399")
        seen = inspect(whole, Path("/blender/new/python"), upgraded)
        assert seen.state is State.WHOLE
        assert seen.python.program == python.program
        python.program.unlink()
        seen = inspect(whole, Path("/blender/new/python"), upgraded)
        assert seen.state is State.OTHER_PYTHON
        assert seen.python is None
        assert "this is Python 3.99: install again, or use an existing Python" in seen.remedy

    def test_an_upgrade_that_keeps_pythons_version_changes_nothing(self, whole, python):
        python.program.unlink()
        seen = inspect(whole, Path("/blender/new/python"))
        assert (seen.state, seen.python.program) == (State.WHOLE, Path("/blender/new/python"))

    def test_one_from_another_kind_of_machine_is_known(self, whole):
        seen = inspect(whole, build=replace(this_build(), machine="riscv64"))
        assert seen.state is State.OTHER_MACHINE
        assert "riscv64: install again" in seen.remedy

    def test_a_link_to_python_is_not_what_is_remembered(self, python, folder, tmp_path):
        (tmp_path / "python3").symlink_to(python.program)
        finished(install_steps(folder, tmp_path / "python3", ONLINE, online=True))
        assert inspect(folder).record.program == str(python.program)

    def test_removing_takes_everything(self, whole, home):
        (home / ".torch.cache").mkdir()
        (home / ".torch.part").mkdir()
        finished(remove_steps(whole))
        assert names(home) == []
        finished(remove_steps(whole))

    def test_what_is_in_use_is_not_removed_by_half(self, whole, home, monkeypatch):
        def refused(*_):
            raise PermissionError(13, "used by another process")

        monkeypatch.setattr(environment.Path, "rename", refused)
        with pytest.raises(OutputError, match="is in use"):
            finished(remove_steps(whole))
        assert inspect(whole).state is State.WHOLE


class TestPipChild:
    """The real one, with a pip of two lines or none."""

    def run(self, tmp_path, *words, pip=None, flags=(), **how):
        environment = {"PATH": os.environ["PATH"]}
        if pip is not None:
            (tmp_path / "path" / "pip").mkdir(parents=True)
            (tmp_path / "path" / "pip" / "__init__.py").touch()
            (tmp_path / "path" / "pip" / "__main__.py").write_text(pip)
            environment["PYTHONPATH"] = str(tmp_path / "path")
        (tmp_path / "work").mkdir()
        words = [sys.executable, *flags, str(PIP_CHILD), str(tmp_path / "work"), *words]
        return subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how)

    def said(self, child):
        """All it prints until it ends by itself."""
        said = child.stdout.read()
        child.wait(10)
        return said

    def test_it_ends_when_whoever_started_it_is_gone(self, tmp_path):
        child = self.run(tmp_path, pip="import time; print('begun', flush=True); time.sleep(60)")
        while child.stdout.readline() != "begun\n":
            pass
        child.stdin.close()
        assert child.wait(10) == TOLD
        child.stdout.close()

    def test_it_runs_pip_with_the_words_and_its_exit_code(self, tmp_path):
        child = self.run(tmp_path, "install", "x", pip="import sys; print(sys.argv[1:]); sys.exit(5)")
        said = self.said(child)
        assert "['install', 'x']" in said
        assert child.returncode == 5

    def test_where_there_is_no_pip_it_takes_the_one_of_ensurepip_and_leaves_that_python_alone(self, tmp_path):
        child = self.run(tmp_path, "--version", flags=["-S"])  # no site-packages
        said = self.said(child)
        assert f"from {tmp_path / 'work' / 'pip' / 'pip'}" in said
        assert child.returncode == 0

    def test_what_lies_beside_it_is_nobodys_package(self, tmp_path):
        child = self.run(tmp_path, pip="import importlib.util; print(importlib.util.find_spec('worker'))")
        assert "None" in self.said(child)
