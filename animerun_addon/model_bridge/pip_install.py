# SPDX-License-Identifier: GPL-3.0-or-later
"""pip as a child process: packages into a folder, told as progress, with pip's troubles turned into remedies.

What becomes of the folder is environment.py's; pip_child.py is what runs there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import AnimeRunError, InputError, OutputError
from ..progress import Progress, Steps
from .existing_python import OLDEST, requirement
from .pip_child import BYTES, NO_PIP
from .torch_variants import Variant
from .watched_program import watched_steps
from .worker_python import WorkerPython

PIP_CHILD = Path(__file__).with_name("pip_child.py")
_MB = 10**6
# What torch brings of its own accord is fetched from where torch comes from, the rest from PyPI.
_BESIDE_TORCH = tuple(name for name in OLDEST if name != "torch")
# Settings of the user's pip that would put packages elsewhere, or none. Proxies, mirrors and certificates stay.
_MISLEADING = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_NO_DEPS", "PIP_PLATFORM", "PIP_LOG")
_OURS = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@dataclass(frozen=True)
class Plan:
    """What to install from where: a folder of wheels, an index that has everything, or else the official places."""

    variant: Variant
    wheels: Path | None = None
    index: str | None = None

    @property
    def needs_network(self) -> bool:
        """Whether something is fetched."""
        return self.wheels is None

    @property
    def needed_bytes(self) -> int:
        """Of free disk, while it is installed: what is fetched lies there twice, in the cache and on its way."""
        build = self.variant.value
        return build.installed_bytes + (2 * build.download_bytes if self.needs_network else 0)

    def rounds(self) -> list[list[str]]:
        """The words of each run of pip: what and from where.

        torch comes from the index of its variant alone: beside another, pip would take the newer of two, whatever it
        computes on.
        """
        torch, others = requirement("torch"), [requirement(name) for name in _BESIDE_TORCH]
        if self.wheels is not None:
            return [[torch, *others, "--no-index", "--find-links", str(self.wheels)]]
        if self.index is not None:
            return [[torch, *others, "--index-url", self.index]]
        if self.variant.value.index is None:
            return [[torch, *others]]
        return [[torch, "--index-url", self.variant.value.index], others]


class Places(NamedTuple):
    """The folders of one installation: where all happens, within it what is made, and what the next may go on with."""

    work: Path
    packages: Path
    cache: Path

    @property
    def temporary(self) -> Path:
        """pip's own: on the same disk, since the system's may be too small for what it unpacks."""
        return self.work / "temporary"


def pip_steps(python: WorkerPython, plan: Plan, places: Places) -> Steps[None]:
    """Fill `places.packages`; an error with the remedy if pip fails."""
    reader = _Reader(plan)
    for number, words in enumerate(plan.rounds()):
        log = places.work / f"pip_{number}.txt"
        reader.begin(log)
        code = yield from watched_steps(
            _command(python, plan, places, words), _environment(python, plan, places), log, reader
        )
        if code != 0:
            said = log.read_text(encoding="utf-8", errors="replace")
            raise _trouble(code, said, plan, python)


def _command(python: WorkerPython, plan: Plan, places: Places, words: Sequence[str]) -> list[str]:
    cache = ["--cache-dir", str(places.cache)] if plan.needs_network else ["--no-cache-dir"]
    return [
        *(str(python.program), "-u", "-X", "utf8", str(PIP_CHILD), str(places.work)),
        *("install", "--target", str(places.packages), "--only-binary", ":all:", "--progress-bar", "off"),
        *("--no-warn-script-location", "--no-color", *cache, *words),
    ]


def _environment(python: WorkerPython, plan: Plan, places: Places) -> dict[str, str]:
    """With a folder of wheels pip heeds no settings of the user: among them may be places on the network."""
    kept = python.environment()
    for name in list(kept):
        if name in _MISLEADING or (not plan.needs_network and name.startswith("PIP_")):
            del kept[name]
    if not plan.needs_network:
        kept["PIP_CONFIG_FILE"] = os.devnull
    return kept | _OURS | {name: str(places.temporary) for name in ("TMPDIR", "TEMP", "TMP")}


class _Reader:
    """Follows what pip prints, and says where it is."""

    def __init__(self, plan: Plan) -> None:
        build = plan.variant.value
        self._total_bytes = build.installed_bytes + (build.download_bytes if plan.needs_network else 0)
        self._most_bytes = 0
        self._message = "Starting pip"
        self._log: Path | None = None
        self._read_to = 0

    def begin(self, log: Path) -> None:
        """From now on pip prints into this file."""
        self._log, self._read_to = log, 0

    def __call__(self) -> Progress:
        """What is new since the last call is read; half a line is left for the next."""
        if self._log is not None:
            with self._log.open("rb") as log:
                log.seek(self._read_to)
                new = log.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._read_to += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                self._take(line.strip())
        # How large it gets in the end is known roughly: it is never said to be done before it is.
        done = min(self._most_bytes, int(0.99 * self._total_bytes))
        return Progress(done // _MB, self._total_bytes // _MB, self._message)

    def _take(self, line: str) -> None:
        if line.startswith(BYTES):
            self._most_bytes = max(self._most_bytes, int(line.removeprefix(BYTES)))
        else:
            self._message = in_words(line) or self._message


def in_words(line: str) -> str:
    """What a line of pip's says about where it is; "" for all others."""
    if found := re.match(r"Collecting ([\w.-]+)", line):
        return f"Looking for {found[1]}"
    if found := re.match(r"Downloading (\S+) \(([^)]+)\)", line):
        return f"Downloading {_package(found[1])} ({found[2]})"
    if found := re.match(r"(?:Using cached|Processing) (\S+)", line):
        return f"Reading {_package(found[1])}"
    if line.startswith("Installing collected packages:"):
        return "Unpacking, which takes a minute or two"
    if "Retrying (" in line:
        return "The connection dropped: trying again"
    return ""


def _package(address: str) -> str:
    """ "torch 2.9.1" of a wheel's file name or address."""
    name = re.split(r"[/\\]", address)[-1].removesuffix(".metadata")
    return " ".join(name.split("-")[:2]) if name.endswith(".whl") else name


def _trouble(code: int | None, said: str, plan: Plan, python: WorkerPython) -> AnimeRunError:
    """The error for what pip died of."""
    if code == NO_PIP:
        return InputError(
            f"'{python.program}' comes without pip and without ensurepip: install them (Debian: python3-pip), "
            "or use an existing Python that has torch"
        )
    if re.search(r"No space left on device|Errno 28|not enough space on the disk", said):
        return OutputError("The disk is full: free some space and install again; what was downloaded is kept")
    if "Long Path" in said or "WinError 206" in said:
        return OutputError("Paths get too long for Windows: turn on long paths there, and install again")
    missing = re.search(r"No matching distribution found for ([\w.-]+)", said)
    if plan.wheels is not None and missing:
        return InputError(
            f"'{plan.wheels}' has no wheel of {missing[1]} that '{python.program}' can use: fetch them with "
            f"pip download on a machine of the same kind and with the same Python"
        )
    if re.search(r"CERTIFICATE_VERIFY_FAILED|SSLError", said):
        return InputError("A certificate is not trusted here: set PIP_CERT if your company has its own")
    if "ProxyError" in said:
        return InputError("The proxy does not let pip through: see HTTPS_PROXY, or install from a folder of wheels")
    if re.search(r"DO NOT MATCH THE HASHES|BadZipFile|invalid distribution|is invalid", said):
        return InputError("What arrived is damaged: remove PyTorch, which forgets it, and install again")
    if re.search(r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Connection(?:Reset|Aborted|)Error|"
                 r"IncompleteRead|IncompleteDownload", said):  # fmt: skip
        return InputError(
            "The network does not answer: install again later, which goes on with what was downloaded, "
            "or install from a folder of wheels"
        )
    if missing:
        return InputError(
            f"There is no {missing[1]} of the variant '{plan.variant.value.title}' for '{python.program}': choose "
            "another variant, or use an existing Python"
        )
    errors = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith(BYTES)]
    last = next((line for line in reversed(errors) if line.startswith("ERROR:")), (errors or ["it said nothing"])[-1])
    error = OutputError(f"pip failed with code {code} ({last.removeprefix('ERROR: ')}): install again")
    error.add_note("\n".join(errors[-20:]))
    return error
