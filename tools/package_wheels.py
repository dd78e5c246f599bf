# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheels that the packaged add-on carries: which ones, are they whole, and where they come from.

Knows file names, pip and a cache folder; nothing of manifests or zips (package.py).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# Blender refuses an extension that has a wheel for some Pythons but none for its own, so every Python that a supported
# Blender runs on must be listed: 3.11 (4.5 and 5.0), 3.13 (5.1 and 5.2), 3.14 (Linux distributions' own 5.2).
PYTHONS = ((3, 11), (3, 13), (3, 14))

# Blender's platform names -> the wheel platforms that run there, the preferred first. manylinux_2_28 is the glibc that
# Blender itself asks for. OpenCV 5 has no arm64 wheel for a macOS older than 13.
WHEEL_PLATFORMS = {
    "linux-x64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "windows-x64": ("win_amd64",),
    "macos-arm64": ("macosx_13_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"),
}

# What pip says when it could not reach an index at all, as opposed to an index that has no such wheel.
_CONNECTION_WORDS = ("connection", "timed out", "timeout", "name resolution", "proxyerror", "sslerror", "unreachable")


class PackageError(Exception):
    """The package cannot be made. The message is one line that says what is wrong and what to do."""


@dataclass(frozen=True)
class Pin:
    """One exact requirement, such as OpenEXR==3.5.3."""

    name: str
    version: str

    @property
    def distribution(self) -> str:
        """The name as wheel files spell it."""
        return re.sub(r"[-_.]+", "_", self.name).lower()


@dataclass(frozen=True)
class Need:
    """A pin on one of Blender's platforms and one Python."""

    pin: Pin
    platform: str
    python: tuple[int, int]

    def __str__(self) -> str:
        major, minor = self.python
        return f"{self.pin.name} {self.pin.version} ({self.platform}, Python {major}.{minor})"


@dataclass(frozen=True)
class WheelName:
    """The parts of a wheel's file name that decide where it runs."""

    distribution: str
    version: str
    pythons: tuple[str, ...]
    abis: tuple[str, ...]
    platforms: tuple[str, ...]


Download = Callable[[Need, Path], None]
Say = Callable[[str], None]


def read_pins(path: Path) -> tuple[Pin, ...]:
    """Read `NAME==VERSION` lines; anything looser would make two builds of one commit differ."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise PackageError(f"cannot read '{path}': {error.strerror}: restore it from the repository") from error
    pins = []
    for number, line in enumerate(lines, start=1):
        requirement = line.partition("#")[0].strip()
        if not requirement:
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", requirement)
        if match is None:
            raise PackageError(f"'{path}', line {number}: '{requirement}' is no exact pin: write NAME==VERSION")
        pins.append(Pin(match[1], match[2]))
    return tuple(pins)


def parse_wheel_name(file_name: str) -> WheelName | None:
    """Split a wheel's file name; None for anything that is not one."""
    if not file_name.endswith(".whl"):
        return None
    parts = file_name.removesuffix(".whl").split("-")
    if len(parts) not in (5, 6):  # six with the optional build tag
        return None
    pythons, abis, platforms = (tuple(tag.split(".")) for tag in parts[-3:])
    return WheelName(re.sub(r"[-_.]+", "_", parts[0]).lower(), parts[1], pythons, abis, platforms)


def _interpreter_rank(wheel: WheelName, python: tuple[int, int]) -> int | None:
    """0: built for this very Python; 1: stable ABI of this or an older one; 2: pure Python; None: will not load."""
    exact = f"cp{python[0]}{python[1]}"
    if exact in wheel.pythons and exact in wheel.abis:
        return 0
    if f"abi{python[0]}" in wheel.abis:
        for tag in wheel.pythons:
            match = re.fullmatch(r"cp(\d)(\d+)", tag)
            if match is not None and int(match[1]) == python[0] and int(match[2]) <= python[1]:
                return 1
    if f"py{python[0]}" in wheel.pythons and "none" in wheel.abis:
        return 2
    return None


def _rank(file_name: str, need: Need) -> tuple[int, int] | None:
    """How well a wheel serves a need (lower is better), None when it does not."""
    wheel = parse_wheel_name(file_name)
    if wheel is None or (wheel.distribution, wheel.version) != (need.pin.distribution, need.pin.version):
        return None
    interpreter = _interpreter_rank(wheel, need.python)
    accepted = (*WHEEL_PLATFORMS[need.platform], "any")
    platforms = [accepted.index(tag) for tag in wheel.platforms if tag in accepted]
    if interpreter is None or not platforms:
        return None
    return interpreter, min(platforms)


def choose_wheel(file_names: Iterable[str], need: Need) -> str | None:
    """The file that serves the need best, or None."""
    ranked = [(rank, name) for name in file_names if (rank := _rank(name, need)) is not None]
    return min(ranked)[1] if ranked else None


def wheel_damage(path: Path) -> str | None:
    """What is wrong with a wheel file, None when every file in it has the hash that its RECORD states."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _record_mismatch(archive)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError) as error:
        return str(error) or type(error).__name__


def _record_mismatch(archive: zipfile.ZipFile) -> str | None:
    names = archive.namelist()
    record = next((name for name in names if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)), None)
    if record is None:
        return "it has no RECORD"
    for row in csv.reader(archive.read(record).decode("utf-8").splitlines()):
        if len(row) < 2 or not row[1]:  # RECORD itself, and signatures, have no hash
            continue
        if row[0] not in names:
            return f"'{row[0]}' is missing"
        algorithm, _, expected = row[1].partition("=")
        digest = hashlib.new(algorithm, archive.read(row[0])).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii") != expected:
            return f"'{row[0]}' differs from its recorded hash"
    return None


def gather_wheels(
    pins: Iterable[Pin], platform: str, cache: Path, say: Say, download: Download | None = None
) -> tuple[Path, ...]:
    """Every wheel that a platform's zip needs, whole, sorted by name: from the cache, else from the package index."""
    cache.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    for pin in pins:
        for python in PYTHONS:
            need = Need(pin, platform, python)
            name = choose_wheel(_wheel_files(cache), need)
            if name in found:  # one stable-ABI wheel serves all Pythons
                continue
            if name is not None and (problem := wheel_damage(cache / name)) is not None:
                say(f"         {name} is damaged ({problem}): fetching it again")
                (cache / name).unlink()
                name = None
            if name is None:
                name = _fetch(need, cache, say, download or pip_download)
            found[name] = cache / name
    return tuple(found[name] for name in sorted(found))


def _wheel_files(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.whl")]


def _fetch(need: Need, cache: Path, say: Say, download: Download) -> str:
    say(f"         downloading {need}")
    # Beside the cache and then renamed: what lies in the cache is never half a file.
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as folder:
        fetched = Path(folder)
        download(need, fetched)
        name = choose_wheel(_wheel_files(fetched), need)
        if name is None:
            raise PackageError(f"the download of {need} brought no wheel that fits: change the pin")
        if (problem := wheel_damage(fetched / name)) is not None:
            raise PackageError(f"the download of {name} is damaged ({problem}): run the command again")
        (fetched / name).replace(cache / name)
    return name


def pip_command(need: Need, folder: Path) -> list[str]:
    """The pip call that brings one wheel made for another machine than this one."""
    major, minor = need.python
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--retries", "2", "--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", f"{major}.{minor}", "--abi", f"cp{major}{minor}", "--abi", f"abi{major}"]
    for tag in WHEEL_PLATFORMS[need.platform]:
        command += ["--platform", tag]
    return [*command, "--dest", str(folder), f"{need.pin.name}=={need.pin.version}"]


def pip_download(need: Need, folder: Path) -> None:
    """Let pip, with the user's own index settings, put the wheel into a folder."""
    if importlib.util.find_spec("pip") is None:
        raise PackageError(f"'{sys.executable}' has no pip: run 'make package', whose environment has it")
    done = subprocess.run(pip_command(need, folder), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PackageError(explain_pip_failure(need, done.stdout + done.stderr))


def explain_pip_failure(need: Need, output: str) -> str:
    """One line out of pip's many: is it the connection, the pin, or something else?"""
    lower = output.lower()
    # First the connection: pip closes with "no matching distribution" after a failed connection, too.
    if any(word in lower for word in _CONNECTION_WORDS):
        return f"cannot download {need}: the package index was not reached: check the internet connection and run again"
    if "no matching distribution" in lower:
        return f"the package index has no wheel of {need}: choose another version in requirements/bundled.txt"
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "pip gave no reason")
    return f"cannot download {need}: {last}"
