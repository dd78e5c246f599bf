# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a Python can run the models, and what is said where it cannot: of one that is played, and of this one."""

import shlex
import sys
from pathlib import Path

import pytest
from fake_python import WHOLE, FakePython
from model_processes import FAKES, PATIENCE_S, impatient

from animerun_addon.errors import InputError
from animerun_addon.model_bridge import existing_python, python_probe
from animerun_addon.model_bridge.client import ModelClient
from animerun_addon.model_bridge.existing_python import ask_steps, existing_python_steps
from animerun_addon.model_bridge.worker_python import WorkerPython, this_build
from animerun_addon.pipeline.job import Job

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="plays a Python by a script")

# What is asked of torch, and no more.
TORCH = """
__version__ = "2.9.1+cpu"
class cuda:
    device_count = staticmethod(lambda: 1)
    get_device_name = staticmethod(lambda number: f"Card {number}")
class backends:
    class mps:
        is_available = staticmethod(lambda: False)
"""


@pytest.fixture
def python(tmp_path):
    return FakePython(tmp_path / "python")


def validated(chosen):
    return Job("Look", existing_python_steps(Path(chosen))).run()


def asked(python, packages=True):
    return Job("Look", ask_steps(python, packages=packages)).run()


class TestFit:
    def test_one_that_has_all_can_be_given_to_the_client(self, python):
        worker, facts = validated(python.program)
        assert worker == WorkerPython(python.program)
        assert facts.versions == WHOLE
        assert facts.devices == ("Processor",)

    def test_the_folder_of_a_virtual_environment_will_do(self, python, tmp_path):
        (tmp_path / "venv" / "bin").mkdir(parents=True)
        link = tmp_path / "venv" / "bin" / "python3"
        link.symlink_to(python.program)
        for chosen in (tmp_path / "venv", link):
            worker, _ = validated(chosen)
            assert worker.program == link  # where the link leads it would not know of its environment

    def test_newer_versions_than_we_know_are_welcome(self, python):
        python.says({**WHOLE, "torch": "3.0.0a0+gitdeadbeef", "numpy": "2.10.0rc1"}, version=[3, 20, 0])
        validated(python.program)


class TestUnfit:
    @pytest.mark.parametrize(
        ("versions", "failures", "lack", "remedy"),
        [
            ({"torch": None}, {}, "it has no torch", ["torch>=2.4"]),
            ({"torch": "2.3.1"}, {}, "torch 2.3.1 is older than 2.4", ["torch>=2.4"]),
            ({"numpy": "1.9.0"}, {}, "numpy 1.9.0 is older than 1.26", ["numpy>=1.26"]),
            (
                {"opencv-python-headless": None, "safetensors": None},
                {},
                "it has no opencv-python-headless; it has no safetensors",
                ["opencv-python-headless>=4.8", "safetensors>=0.4"],
            ),
            (
                {"opencv-python-headless": None},
                {"opencv-python-headless": "libGL.so.1: cannot open"},
                r"opencv-python-headless does not load \(libGL.so.1: cannot open\)",
                ["--force-reinstall", "opencv-python-headless>=4.8"],
            ),
        ],
    )
    def test_each_lack_is_named_with_the_command_that_ends_it(self, python, versions, failures, lack, remedy):
        found = {package: version for package, version in {**WHOLE, **versions}.items() if version}
        python.says(found, failures)
        with pytest.raises(InputError, match=f"cannot run the models: {lack}. Run") as caught:
            validated(python.program)
        command = shlex.join([str(python.program), "-m", "pip", "install", *remedy])
        assert f"Run {command}, or choose another Python" in str(caught.value)

    def test_one_that_is_too_old_is_not_asked_to_install_anything(self, python):
        python.says(version=[3, 10, 14])
        with pytest.raises(InputError, match=r"is Python 3.10.14, which is too old: choose one of 3.11 or later"):
            validated(python.program)

    @pytest.mark.parametrize(
        ("does", "words"),
        [
            ("print('licence expired'); sys.exit(3)", r"no Python that works \(code 3: licence expired\)"),
            ("os.kill(os.getpid(), 11)", r"no Python that works \(code -11: it printed nothing\)"),
            ("print('animerun-probe: {}')", "no Python that works"),
            ("print('animerun-probe: [')", "no Python that works"),
        ],
    )
    def test_what_is_no_python_says_its_last_words(self, python, does, words):
        python.answers(does)
        with pytest.raises(InputError, match=words):
            validated(python.program)

    def test_one_that_hangs_is_given_up(self, python, monkeypatch):
        monkeypatch.setattr(existing_python, "_PATIENCE_S", 0.3)
        python.answers("time.sleep(60)")
        with pytest.raises(InputError, match=r"said nothing for 0.3 s"):
            validated(python.program)

    def test_what_is_not_there_or_does_not_start_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"There is no Python '.*/python'"):
            validated(tmp_path / "python")
        with pytest.raises(InputError, match="no Python in the folder"):
            validated(tmp_path)
        (tmp_path / "notes.txt").write_text("no program")
        with pytest.raises(InputError, match=r"Cannot start '.*notes.txt': Permission denied; choose another one"):
            validated(tmp_path / "notes.txt")


class TestProbe:
    """The real one, run by this Python with packages of a line each."""

    @pytest.fixture
    def packages(self, tmp_path):
        for name, code in {
            "torch": TORCH,
            "safetensors": "__version__ = '2.0.0'; print('safetensors says something')",
            "cv2": "raise ImportError('libGL.so.1:\\n cannot open')",
        }.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text(code)
        return tmp_path

    def test_it_says_what_this_python_is(self):
        facts = asked(WorkerPython(Path(sys.executable)), packages=False)
        assert facts.version == sys.version_info[:3]
        assert facts.build == this_build()
        assert not facts.versions

    def test_packages_come_from_the_folders_first_and_what_does_not_load_says_why(self, packages):
        facts = asked(WorkerPython(Path(sys.executable), (packages,)))
        assert (facts.versions["torch"], facts.versions["safetensors"]) == ("2.9.1+cpu", "2.0.0")
        assert facts.failures == {"opencv-python-headless": "cannot open"}
        assert facts.devices == ("Card 0", "Processor")

    def test_what_is_missing_is_not_said_to_be_broken(self, monkeypatch):
        monkeypatch.setattr(python_probe, "MODULES", {"nothing": "animerun_has_no_such_module"})
        told = python_probe.told(with_packages=True)
        assert (told["versions"], told["failures"]) == ({}, {})

    def test_the_client_starts_its_process_with_them(self, packages):
        program = packages / "program.py"
        program.write_text(f"import torch, runpy; runpy.run_path({str(FAKES)!r}, run_name='__main__')")
        python = WorkerPython(Path(sys.executable), (packages,))
        with ModelClient(python, program=program, limits=impatient()) as client:
            assert client.call("echo", {"x": 1}, timeout_s=PATIENCE_S).values == {"x": 1}

    def test_what_misled_this_python_does_not_mislead_that_one(self, packages, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", str(packages))
        monkeypatch.setenv("PYTHONHOME", "/nowhere")
        assert asked(WorkerPython(Path(sys.executable)), packages=False).version == sys.version_info[:3]
        assert "PYTHONPATH" not in WorkerPython(Path(sys.executable)).environment()
