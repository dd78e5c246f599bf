# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds a Chromium and its WebDriver for the tests of the demo's page, or installs Debian's as root."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import debian_tree
from real_blender import Missing, install

# Other names of the same program; Google's own build is as good.
BROWSERS = ("chromium", "google-chrome", "chromium-browser")
PACKAGES = {"chromium": "chromium", "chromedriver": "chromium-driver"}


@dataclass(frozen=True)
class Chromium:
    """A browser without a window and the program that drives it."""

    browser: Path
    driver: Path

    def command(self, *arguments: str) -> list[str]:
        """A command line that starts the driver; where the machine allows it, all it started ends with its parent."""
        start = debian_tree.enter_command(Path("/")) if debian_tree.namespaces_allowed() else []
        return [*start, str(self.driver), *arguments]


def find() -> Chromium | Missing:
    """What is there already; installs nothing."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        lacking = " and ".join(name for name, path in (("chromium", browser), ("chromedriver", driver)) if path is None)
        return Missing(f"{lacking} not installed (Debian: {' '.join(PACKAGES.values())})")
    return Chromium(Path(browser), Path(driver)) if _starts(browser) else Missing(f"{browser} does not start")


def _starts(browser: str) -> bool:
    """Ubuntu's package is a script that only asks for a snap."""
    try:
        return subprocess.run([browser, "--version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def prepare() -> Chromium | Missing:
    """What is there already, or else what root can install."""
    found = find()
    if isinstance(found, Chromium):
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return found
    return install(PACKAGES) or find()
