# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a Python can run the models: it is started and asked, and what it lacks is said with the remedy.

Works for a studio's own Python and for what environment.py has just installed. No torch in this process.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..progress import Progress, Steps
from .python_probe import MARK
from .watched_program import watched_steps
from .worker_python import Build, WorkerPython

PROBE = Path(__file__).with_name("python_probe.py")
OLDEST_PYTHON = (3, 11)
# What networks need, and the oldest version of each; by the names that pip knows.
OLDEST: Mapping[str, tuple[int, ...]] = {
    "torch": (2, 4),
    "numpy": (1, 26),
    "opencv-python-headless": (4, 8),
    "safetensors": (0, 4),
}
# Importing torch for the first time from a slow disk takes this long.
_PATIENCE_S = 180.0
# Where Python lies in the folder of a virtual environment.
_IN_VENV = ("Scripts/python.exe",) if sys.platform == "win32" else ("bin/python3", "bin/python")


@dataclass(frozen=True)
class PythonFacts:
    """What a Python says of itself. `failures` are packages that are there but do not load, and why."""

    version: tuple[int, ...]
    build: Build
    versions: Mapping[str, str]
    failures: Mapping[str, str]
    devices: tuple[str, ...]


def existing_python_steps(chosen: Path) -> Steps[tuple[WorkerPython, PythonFacts]]:
    """A user's Python, or the folder of a virtual environment, if it can run the models; else an InputError."""
    python = WorkerPython(_program(chosen))
    facts = yield from ask_steps(python, packages=True)
    wrong = lacks(facts)
    if wrong:
        raise InputError(
            f"'{python.program}' cannot run the models: {'; '.join(wrong)}. Run {_remedy(python.program, facts)}, "
            "or choose another Python"
        )
    return python, facts


def ask_steps(python: WorkerPython, *, packages: bool) -> Steps[PythonFacts]:
    """What a Python is, and with `packages` what it has; InputError if it is none, or too old."""
    title = f"Asking {python.program.name} what it has" if packages else f"Asking {python.program.name} its version"
    words = [str(python.program), "-B", "-X", "utf8", str(PROBE), *(["packages"] if packages else [])]
    with tempfile.TemporaryDirectory(prefix="animerun_", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log.txt"
        steps = watched_steps(words, python.environment(), log, lambda: Progress(0, 0, title), _PATIENCE_S)
        code = yield from steps
        said = log.read_text(encoding="utf-8", errors="replace")
    if code is None:
        raise InputError(f"'{python.program}' said nothing for {_PATIENCE_S:g} s: choose another Python")
    facts = _facts(said)
    if facts is None:
        last = (said.strip().splitlines() or ["it printed nothing"])[-1]
        raise InputError(f"'{python.program}' is no Python that works (code {code}: {last}): choose another one")
    if facts.version < OLDEST_PYTHON:
        version = ".".join(map(str, facts.version))
        raise InputError(
            f"'{python.program}' is Python {version}, which is too old: choose one of {_dotted(OLDEST_PYTHON)} or later"
        )
    return facts


def lacks(facts: PythonFacts) -> list[str]:
    """What keeps a Python from running the models, each in words."""
    wrong = []
    for package, oldest in OLDEST.items():
        found = facts.versions.get(package)
        if package in facts.failures:
            wrong.append(f"{package} does not load ({facts.failures[package]})")
        elif found is None:
            wrong.append(f"it has no {package}")
        elif _numbers(found) < oldest:
            wrong.append(f"{package} {found} is older than {_dotted(oldest)}")
    return wrong


def requirement(package: str) -> str:
    """As pip reads it: "torch>=2.4"."""
    return f"{package}>={_dotted(OLDEST[package])}"


def _program(chosen: Path) -> Path:
    # Not resolved: a virtual environment is known by where its link to Python lies.
    chosen = chosen.expanduser().absolute()
    if chosen.is_dir():
        for place in _IN_VENV:
            if (chosen / place).is_file():
                return chosen / place
        raise InputError(f"There is no Python in the folder '{chosen}': choose the program itself")
    if not chosen.is_file():
        raise InputError(f"There is no Python '{chosen}': choose one that is there")
    return chosen


def _remedy(program: Path, facts: PythonFacts) -> str:
    wanted = []
    for package, oldest in OLDEST.items():
        found = facts.versions.get(package)
        if found is None or _numbers(found) < oldest:
            wanted.append(requirement(package))
    force = ["--force-reinstall"] if facts.failures else []
    return shlex.join([str(program), "-m", "pip", "install", *force, *wanted])


def _facts(said: str) -> PythonFacts | None:
    lines = [line.removeprefix(MARK) for line in said.splitlines() if line.startswith(MARK)]
    if not lines:
        return None
    try:
        told: dict[str, Any] = json.loads(lines[-1])
        return PythonFacts(
            tuple(told["version"]), Build(*told["build"]), told["versions"], told["failures"], tuple(told["devices"])
        )
    except (ValueError, KeyError, TypeError):
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
