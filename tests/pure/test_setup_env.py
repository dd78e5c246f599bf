# SPDX-License-Identifier: GPL-3.0-or-later
"""The newcomer's first minute: wrong Python, missing libraries, and a second run that does nothing."""

import sys
from collections import namedtuple
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import setup_env  # noqa: E402

Version = namedtuple("Version", "major minor micro releaselevel serial")


@pytest.mark.parametrize("minor", [8, 10, 12, 14])
def test_another_python_gets_one_line_that_names_both(minor, monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", Version(3, minor, 0, "final", 0))
    monkeypatch.setattr(sys, "argv", ["setup_env.py"])
    assert setup_env.main() == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "Python 3.11 (Blender 4.5 LTS)" in message
    assert "Python 3.13 (Blender 5.2 LTS)" in message


@pytest.mark.parametrize("minor", [11, 13])
def test_the_two_pythons_are_accepted(minor, monkeypatch):
    monkeypatch.setattr(sys, "version_info", Version(3, minor, 0, "final", 0))
    setup_env.check_python()


def test_without_root_the_packages_are_named(monkeypatch):
    monkeypatch.setattr(setup_env, "missing_library_packages", lambda: ["libegl1", "libgl1"])
    monkeypatch.setattr(setup_env.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(setup_env.sys, "platform", "linux")
    with pytest.raises(setup_env.SetupError, match="libegl1 libgl1"):
        setup_env.provide_gl_libraries()


def test_missing_library_is_found_missing(monkeypatch):
    monkeypatch.setattr(setup_env, "LIBRARIES", {"libnobody-has-this.so.9": "libnobody9"})
    monkeypatch.setattr(setup_env, "has_gl_driver", lambda: True)
    assert setup_env.missing_library_packages() == ["libnobody9"]
    monkeypatch.setattr(setup_env, "has_gl_driver", lambda: False)
    assert setup_env.missing_library_packages() == ["libnobody9", *setup_env.MESA_PACKAGES]


@pytest.fixture
def recorded(monkeypatch):
    """setup_env with its slow deeds replaced by a list of what they would have been."""
    deeds = []
    monkeypatch.setattr(setup_env, "provide_gl_libraries", lambda: deeds.append("gl"))
    monkeypatch.setattr(setup_env, "create_venv", lambda folder: deeds.append("venv"))
    monkeypatch.setattr(setup_env, "pip_install", lambda folder, arguments, doing: deeds.append(doing))
    monkeypatch.setattr(setup_env, "install_torch", lambda folder: deeds.append("torch"))
    monkeypatch.setattr(setup_env, "check_rendering", lambda folder: deeds.append("render"))
    return deeds


def test_second_run_does_nothing(recorded, tmp_path):
    setup_env.prepare(str(tmp_path), "bpy==4.5.*", True)
    assert recorded
    recorded.clear()
    setup_env.prepare(str(tmp_path), "bpy==4.5.*", True)
    assert recorded == []


def test_changed_pins_make_it_anew(recorded, tmp_path, monkeypatch):
    pins = tmp_path / "requirements"
    pins.mkdir()
    (pins / "test.txt").write_text("pytest==1")
    monkeypatch.setattr(setup_env, "REQUIREMENTS", str(pins))
    setup_env.prepare(str(tmp_path), "bpy==4.5.*", True)
    recorded.clear()
    (pins / "test.txt").write_text("pytest==2")
    setup_env.prepare(str(tmp_path), "bpy==4.5.*", True)
    assert "venv" in recorded


def test_a_broken_run_is_repeated(recorded, tmp_path, monkeypatch):
    def broken(_folder):
        raise setup_env.SetupError("no frame")

    monkeypatch.setattr(setup_env, "check_rendering", broken)
    with pytest.raises(setup_env.SetupError):
        setup_env.prepare(str(tmp_path), "bpy==4.5.*", True)
    assert not setup_env.is_ready(str(tmp_path), "bpy==4.5.*")


def test_failed_command_is_named(capsys):
    with pytest.raises(setup_env.SetupError, match="greeting failed"):
        setup_env.run([sys.executable, "-c", "print('why'); raise SystemExit(3)"], "greeting")
    assert "why" in capsys.readouterr().err


def test_every_pin_is_exact():
    for path in (ROOT / "requirements").glob("*.txt"):
        pins = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        assert pins, path
        assert all("==" in pin for pin in pins), path
