# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests in a window ask about the add-on's jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import BlenderWindow

PACKAGE = "bl_ext.user_default.animerun_addon"
STATUS = f"""
from {PACKAGE} import progress
result = [[s.title, s.state.name, s.note, s.progress.done] for s in progress.shown]
"""


def status(window: BlenderWindow) -> list[Any]:
    """Title, state, note and units done of the newest job."""
    return (window.run(STATUS) or [["", "", "", -1]])[-1]


def wait_for(window: BlenderWindow, condition: Callable[[], Any], timeout: float = 120) -> Any:
    """Poll until the condition gives something true."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{status(window)}\n{window.console_tail()}"
        time.sleep(0.05)
    return value


def child_processes(window: BlenderWindow) -> list[str]:
    """The command lines of Blenders that work for this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "--report-to" in words and any(str(window.folder) in word for word in words):
            found.append(" ".join(words))
    return found
