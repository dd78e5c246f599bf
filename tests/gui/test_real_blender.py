# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/real_blender.py where there is no real Blender: what it says, and that it leaves nothing half made.

Fake programs on the PATH play Blender and debootstrap, so nothing is downloaded or installed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import debian_tree
import pytest
import real_blender

TOOL = Path(real_blender.__file__).resolve()

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or not debian_tree.namespaces_allowed(), reason="needs root and private namespaces"
)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_blender(path: Path, version: list[int], lacking: str = "") -> Path:
    name = ".".join(map(str, version))
    probed = json.dumps({"blender": version, "version": name, "python": "3.11.11", "lacking": lacking})
    return script(path, f"echo 'Blender {name}'\necho 'ANIMERUN_PROBE {probed}'")


@pytest.fixture(autouse=True)
def empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No $BLENDER, none on the PATH, an empty cache; returns the folder that comes first on the PATH."""
    monkeypatch.delenv("BLENDER", raising=False)
    monkeypatch.setenv("ANIMERUN_CACHE", str(tmp_path / "cache"))
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in real_blender.HOST_TOOLS:
        if shutil.which(tool) is None:
            script(programs / tool, "exit 1")
    found = shutil.which("blender")
    others = [folder for folder in os.environ["PATH"].split(":") if not found or Path(folder) != Path(found).parent]
    monkeypatch.setenv("PATH", ":".join([str(programs), *others]))
    return programs


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(TOOL), *arguments], capture_output=True, text=True, timeout=60)


def test_check_says_in_one_line_that_there_is_none() -> None:
    done = run_tool("--check")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no real Blender: no Blender on the PATH, and none prepared in ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_a_wrong_blender_variable_is_the_users_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    old = fake_blender(tmp_path / "old" / "blender", [3, 4, 1])
    other = script(tmp_path / "other", "echo 'usage: other' >&2\nexit 64")
    blind = fake_blender(tmp_path / "blind", [5, 2, 2], lacking="libEGL.so.1: cannot open")
    for path, reason in [
        (tmp_path / "nowhere", "no such program"),
        (old, "version 3.4.1 is too old: 4.5 or later is needed"),
        (other, "does not start as Blender does: usage: other"),
        (blind, "no window: libEGL.so.1: cannot open (Debian: apt-get install libegl1"),
    ]:
        monkeypatch.setenv("BLENDER", str(path))
        done = run_tool(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert f"$BLENDER is {path}: {reason}" in done.stderr


def test_the_blender_variable_goes_before_the_path(monkeypatch: pytest.MonkeyPatch, empty_machine: Path) -> None:
    fake_blender(empty_machine / "blender", [4, 5, 3])
    monkeypatch.setenv("BLENDER", str(fake_blender(empty_machine / "my-blender", [5, 2, 2])))
    done = run_tool("--check")
    assert (done.returncode, done.stdout.split()[-1]) == (0, str(empty_machine / "my-blender"))
    assert done.stderr == f"Blender 5.2.2 (Python 3.11.11) in {empty_machine / 'my-blender'}\n"


def test_an_old_blender_on_the_path_is_passed_over(empty_machine: Path) -> None:
    fake_blender(empty_machine / "blender", [3, 4, 1])
    found = real_blender.find()
    assert isinstance(found, real_blender.Missing)
    assert "version 3.4.1 is too old" in found.reason
    assert found.exit_code == 1


def test_without_root_it_names_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    prepared = real_blender.prepare()
    assert isinstance(prepared, real_blender.Missing)
    assert "without root, install Blender 4.5 or later and set $BLENDER to it" in prepared.reason


def test_missing_host_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, empty_machine: Path) -> None:
    fake_blender(empty_machine / "blender", [5, 2, 2])
    monkeypatch.setattr(real_blender, "HOST_TOOLS", {"no-such-screen": "xvfb", "no-such-mouse": "xdotool"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = real_blender.find()
    assert found == real_blender.Missing("no-such-screen and no-such-mouse not installed (Debian: xvfb xdotool)")
    prepared = real_blender.prepare()
    assert isinstance(prepared, real_blender.Missing)
    assert prepared.reason.endswith("as root, apt-get install xvfb xdotool")


def test_a_tree_of_another_recipe_does_not_count(tmp_path: Path) -> None:
    stamp = {"packages": debian_tree.PACKAGES, "wheels": debian_tree.WHEELS, "version": "5.2.2", "python": "3.14"}
    path = tmp_path / "sid" / "animerun-stamp.json"
    path.parent.mkdir()
    path.write_text(json.dumps(stamp))
    assert debian_tree.existing(tmp_path) is not None
    path.write_text(json.dumps(stamp | {"wheels": []}))
    assert debian_tree.existing(tmp_path) is None
    path.write_text("{ half a fi")
    assert debian_tree.existing(tmp_path) is None


def test_folders_inside_others_are_named_once() -> None:
    command = debian_tree.enter_command(Path("/tree"), [Path("/tmp"), Path("/tmp/x"), Path("/home/a"), Path("/home/a")])
    assert command[-4:] == ["/tree", "/tmp", "/home/a", "--"]


@needs_namespaces
def test_a_broken_mirror_is_tried_twice_and_leaves_nothing(empty_machine: Path, tmp_path: Path) -> None:
    attempts = tmp_path / "attempts"
    script(
        empty_machine / "debootstrap",
        f'echo x >> {attempts}; mkdir -p "$3/etc"; echo "E: Failed getting release file"; exit 1',
    )
    (tmp_path / "cache" / "sid.partial" / "left-by-a-killed-run").mkdir(parents=True)
    done = run_tool()
    assert (done.returncode, done.stdout) == (1, "")
    assert "no real Blender: debootstrap failed: E: Failed getting release file" in done.stderr.splitlines()[-1]
    assert attempts.read_text().count("x") == 2
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["sid.lock", "sid.log"]


@needs_namespaces
def test_two_runs_at_once_wait_for_each_other(empty_machine: Path, tmp_path: Path) -> None:
    busy = tmp_path / "busy"
    script(
        empty_machine / "debootstrap",
        f"mkdir {busy} || {{ echo 'E: two at once'; exit 1; }}; sleep 0.4; rmdir {busy}; echo 'E: no mirror'; exit 1",
    )
    command = [sys.executable, str(TOOL)]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [run.communicate(timeout=60)[1] for run in runs]
    assert all("no real Blender: debootstrap failed: E: no mirror" in output for output in outputs)
    assert sum("waiting for another run" in output for output in outputs) == 1


@needs_namespaces
def test_a_killed_run_takes_its_programs_along(empty_machine: Path, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    script(empty_machine / "debootstrap", f'mkdir -p "$3"; while :; do date +%s.%N > {alive}; sleep 0.05; done')
    run = subprocess.Popen([sys.executable, str(TOOL)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not alive.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    time.sleep(0.3)
    last = alive.read_text()
    time.sleep(0.3)
    assert alive.read_text() == last
    assert not (tmp_path / "cache" / "sid").exists()
