# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests in a real Blender's window: which Blender, the built zip, and a window with or without it.

A failed test leaves a picture of its window in out/gui/ and shows what Blender printed last.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "tools", ROOT / "tests" / "gui"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import real_blender as tool  # noqa: E402
from harness import WINDOW_PX, BlenderWindow  # noqa: E402

NO_BLENDER = "no real Blender"
PICTURES = ROOT / "out" / "gui"
# Not dist/: packaging replaces all of a folder, and there may be zips for other platforms in it.
PACKAGE = ROOT / "out" / "gui-package"


@pytest.fixture(scope="session")
def real_blender() -> tool.RealBlender:
    """The Blender to test in; without one the test is skipped, with a wrong $BLENDER it fails."""
    found = tool.find()
    if isinstance(found, tool.Missing):
        if found.exit_code == 2:
            pytest.fail(found.reason, pytrace=False)
        pytest.skip(f"{NO_BLENDER}: {found.reason}; run `make blender`")
    return found


@pytest.fixture(scope="session")
def built_zip() -> Path:
    """The Linux package: $ANIMERUN_ZIP, or the newest in dist/ if it is newer than the sources, else a new one."""
    named = os.environ.get("ANIMERUN_ZIP")
    if named:
        path = Path(named).resolve()
        if not path.is_file():
            pytest.fail(f"$ANIMERUN_ZIP is no file: {path}", pytrace=False)
        return path
    newest = _newest_zip()
    return newest if newest and newest.stat().st_mtime >= _sources_changed() else _build_zip()


@pytest.fixture(scope="module")
def _module_bare_window(
    real_blender: tool.RealBlender, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BlenderWindow]:
    with BlenderWindow(real_blender, folders=[tmp_path_factory.getbasetemp()]) as window:
        yield window


@pytest.fixture(scope="module")
def _module_window(
    request: pytest.FixtureRequest,
    real_blender: tool.RealBlender,
    built_zip: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BlenderWindow]:
    # A module may say how large it wants it.
    size = getattr(request.module, "WINDOW_PX", WINDOW_PX)
    with BlenderWindow(real_blender, install=built_zip, size=size, folders=[tmp_path_factory.getbasetemp()]) as window:
        yield window


@pytest.fixture
def bare_window(_module_bare_window: BlenderWindow) -> BlenderWindow:
    """A Blender without the add-on, at its default scene; one process serves a module's tests while it lives."""
    return _fresh(_module_bare_window)


@pytest.fixture
def window(_module_window: BlenderWindow) -> BlenderWindow:
    """A Blender with the built zip installed, at its default scene; one process serves a module's tests."""
    return _fresh(_module_window)


def _fresh(window: BlenderWindow) -> BlenderWindow:
    if window.alive:
        window.reset()
    else:
        window.restart()
        window.printed_before = len(window.console())
    return window


def _newest_zip() -> Path | None:
    zips = [path for folder in (ROOT / "dist", PACKAGE) for path in folder.glob("*linux*.zip")]
    return max(zips, key=lambda path: path.stat().st_mtime, default=None)


def _sources_changed() -> float:
    files = [path for path in (ROOT / "animerun_addon").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return max(path.stat().st_mtime for path in [*files, *(ROOT / "tools").glob("package*.py")])


def _build_zip() -> Path:
    command = [sys.executable, str(ROOT / "tools" / "package.py"), "--platform", "linux-x64", "--out", str(PACKAGE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    newest = _newest_zip()
    if done.returncode != 0 or newest is None:
        pytest.fail(f"tools/package.py built no Linux zip:\n{done.stdout}{done.stderr}", pytrace=False)
    return newest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """After a failure: a picture of every window that the test used, and the end of its console."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and NO_BLENDER in report.longrepr[2]:
        # One place for all of them, so that pytest's summary folds them into one line.
        report.longrepr = (__file__, 0, report.longrepr[2])
    if report.when == "call" and report.failed:
        windows = [value for value in item.funcargs.values() if isinstance(value, BlenderWindow)]
        for number, window in enumerate(dict.fromkeys(windows)):
            name = re.sub(r"[^\w.-]+", "_", f"{item.module.__name__}-{item.name}{number or ''}")
            picture = window.screenshot(PICTURES / f"{name}.png")
            report.sections.append((f"Blender's console (picture: {picture})", window.console_tail()))
    return report
