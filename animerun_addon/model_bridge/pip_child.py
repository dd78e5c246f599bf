# SPDX-License-Identifier: GPL-3.0-or-later
"""Run as a file by the Python that packages are installed for: pip, which ends when its stdin closes.

So no pip outlives who started it. Where Python comes without pip, as in Blender, the one that `ensurepip` carries is
unpacked into the work folder (the first word), never into that Python. Imports nothing of ours.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # What lies beside this file is not to be taken for somebody's packages.
    _here = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - pathlib is not loaded yet
    sys.path[:] = [path for path in sys.path if os.path.realpath(path or ".") != _here]

import contextlib
import importlib.util
import runpy
import sysconfig
import threading
import time
import zipfile
from pathlib import Path

# How this ends where there is no pip, and where it was told to end.
NO_PIP, TOLD = 71, 72
# What begins a line that says how many bytes are in the work folder.
BYTES = "animerun-bytes: "
_TELL_S = 1.0


def end_when_told() -> None:
    """Nobody writes to stdin: reading it waits until whoever started this closes it, or is gone."""
    while os.read(0, 1024):
        pass
    os._exit(TOLD)


def tell_bytes(work: Path) -> None:
    """Say every now and then how far it is; pip itself says so in its newest versions only."""
    while True:
        os.write(1, f"\n{BYTES}{bytes_in(work)}\n".encode())
        time.sleep(_TELL_S)


def bytes_in(work: Path) -> int:
    """In packages and whole wheels. What pip buffers for its cache lies beside them, in no folder."""
    total = 0
    for folder, _, files in os.walk(work):
        if Path(folder).parent != work:
            for name in files:
                with contextlib.suppress(OSError):  # moved meanwhile
                    total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - many thousands of files
    return total


def find_pip(folder: Path) -> bool:
    """Whether pip can be imported, if need be from that folder."""
    if importlib.util.find_spec("pip") is not None:
        return True
    wheels = [wheel for place in places() for wheel in sorted(place.glob("pip-*.whl"))]
    if not wheels:
        return False
    with zipfile.ZipFile(wheels[-1]) as archive:
        archive.extractall(folder)
    sys.path.insert(0, str(folder))
    return True


def places() -> list[Path]:
    """Where `ensurepip` keeps its wheel: with itself, or where a Linux distribution has put it."""
    found = [Path(each) for each in [sysconfig.get_config_var("WHEEL_PKG_DIR")] if each]
    spec = importlib.util.find_spec("ensurepip")
    if spec is not None and spec.origin is not None:
        found.append(Path(spec.origin).parent / "_bundled")
    return found


if __name__ == "__main__":
    work = Path(sys.argv[1])
    for task in (end_when_told, lambda: tell_bytes(work)):
        threading.Thread(target=task, daemon=True).start()
    if not find_pip(work / "pip"):
        sys.exit(NO_PIP)
    sys.argv[:] = ["pip", *sys.argv[2:]]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
