# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python that runs models: its program, and where its packages are if they are not its own.

How one is made is environment.py's, whether one is fit existing_python.py's. No bpy, no torch.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

# What belongs to the Python of this process and would mislead another.
_OUR_PYTHONS = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")


@dataclass(frozen=True)
class WorkerPython:
    """What `ModelClient` starts. `paths` are folders of packages that come before the Python's own."""

    program: Path
    paths: tuple[Path, ...] = ()

    def environment(self) -> dict[str, str]:
        """The variables to start it with: ours, without what belongs to the Python of this process."""
        kept = {name: value for name, value in os.environ.items() if name not in _OUR_PYTHONS}
        if self.paths:
            kept["PYTHONPATH"] = os.pathsep.join(map(str, self.paths))
        return kept


@dataclass(frozen=True)
class Build:
    """What compiled packages are made for: a Python version on a kind of machine."""

    python: str  # "cpython-311"
    system: str  # "linux"
    machine: str  # "x86_64"

    @property
    def version(self) -> str:
        """As people say it: "3.11"."""
        digits = self.python.rpartition("-")[2]
        return f"{digits[:1]}.{digits[1:]}"

    def __str__(self) -> str:
        return f"Python {self.version} on {self.system} {self.machine}"


def this_build() -> Build:
    """That of the Python that runs this."""
    return Build(str(sys.implementation.cache_tag), sys.platform, platform.machine())
