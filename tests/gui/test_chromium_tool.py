# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/chromium.py where there is no browser: what it says. Fake programs on the PATH, so nothing is installed."""

from __future__ import annotations

from pathlib import Path

import chromium
import pytest
from real_blender import Missing


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def put(folder: Path, name: str, text: str = "exit 0") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_names_what_is_lacking_and_the_packages(programs):
    found = chromium.find()
    assert isinstance(found, Missing)
    assert "chromium and chromedriver not installed" in found.reason
    assert "chromium-driver" in found.reason


def test_a_browser_without_its_driver_is_not_enough(programs):
    put(programs, "chromium")
    assert chromium.find() == Missing("chromedriver not installed (Debian: chromium chromium-driver)")


@pytest.mark.parametrize("text", ["echo install the snap >&2; exit 1", "exec /nowhere/at/all"])
def test_a_browser_that_does_not_start_is_none(programs, text):
    browser = put(programs, "chromium", text)
    put(programs, "chromedriver")
    assert chromium.find() == Missing(f"{browser} does not start")


def test_another_name_of_the_browser_is_found(programs):
    browser, driver = put(programs, "google-chrome"), put(programs, "chromedriver")
    assert chromium.find() == chromium.Chromium(browser, driver)


def test_without_root_nothing_is_installed(programs, monkeypatch):
    monkeypatch.setattr(chromium.os, "geteuid", lambda: 1000)
    assert chromium.prepare() == chromium.find()
    assert isinstance(chromium.find(), Missing)


def test_what_is_there_is_not_installed_again(programs, monkeypatch):
    put(programs, "chromium")
    put(programs, "chromedriver")
    monkeypatch.setattr(chromium, "install", lambda *_: pytest.fail("installed something"))
    assert isinstance(chromium.prepare(), chromium.Chromium)
