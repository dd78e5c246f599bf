# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a Debian sid tree that holds Blender, and says how to start a command inside it.

Here live the packages, the cache folder's layout and the atomic build; which Blender the tests use is decided in
real_blender.py.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

MIRROR = "http://deb.debian.org/debian"
NEEDED_BYTES = 4 * 1024**3
PATIENCE_SECONDS = 300
ENTER = Path(__file__).resolve().with_name("enter_tree.sh")

# What Blender loads when it opens a window, and the drivers that draw without a graphics card.
GL_PACKAGES = ("libegl1", "libegl-mesa0", "libgl1", "libgl1-mesa-dri", "mesa-vulkan-drivers")
# Debian's Blender does not depend on the Python packages that Blender's own download carries for add-ons.
PACKAGES = ("blender", *GL_PACKAGES, "python3-numpy", "python3-requests", "python3-zstandard")
# Blender's extension manager imports cattrs, which Debian does not have; all of these wheels are pure Python.
WHEELS = ("cattrs==26.2.1", "attrs==26.1.0", "typing_extensions==4.16.0")

PROBE = (
    "import ctypes, json, sys, bpy\n"
    "try:\n    ctypes.CDLL('libEGL.so.1'), ctypes.CDLL('libGL.so.1'); lacking = ''\n"
    "except OSError as error:\n    lacking = str(error)\n"
    "print('ANIMERUN_PROBE', json.dumps({'blender': list(bpy.app.version), 'version': bpy.app.version_string,"
    " 'python': sys.version.split()[0], 'lacking': lacking}))"
)


class TreeError(Exception):
    """Why there is no tree, in one line that a user can act on."""


@dataclass(frozen=True)
class Stamp:
    """What a finished tree holds; a tree whose recipe has changed since is built again."""

    packages: tuple[str, ...]
    wheels: tuple[str, ...]
    version: str
    python: str


def namespace_prefix() -> list[str]:
    """Start of a command line whose processes and mounts all end when its parent ends, however that happens."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    unshare = ["unshare", *user, "--mount", "--pid", "--fork", "--kill-child", "--"]
    return ["setpriv", "--pdeathsig", "KILL", "--", *unshare]


def namespaces_allowed() -> bool:
    """Whether private mounts and process lists may be made: on most machines yes, in many containers no."""
    try:
        command = [*namespace_prefix(), "mount", "-t", "proc", "proc", "/proc"]
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def enter_command(tree: Path, folders: Sequence[Path] = ()) -> list[str]:
    """Start of a command line that runs inside `tree` and sees `folders`, which must exist, at the same paths."""
    outermost = [
        folder for folder in folders if not any(other != folder and folder.is_relative_to(other) for other in folders)
    ]
    seen = [str(folder) for folder in dict.fromkeys(outermost)]
    return [*namespace_prefix(), "sh", str(ENTER), str(tree), *seen, "--"]


def existing(cache: Path) -> tuple[Path, Stamp] | None:
    """The finished tree in the cache folder, if it was built from today's recipe."""
    tree = cache / "sid"
    try:
        raw = json.loads((tree / "animerun-stamp.json").read_text(encoding="utf-8"))
        stamp = Stamp(tuple(raw["packages"]), tuple(raw["wheels"]), str(raw["version"]), str(raw["python"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (tree, stamp) if (stamp.packages, stamp.wheels) == (PACKAGES, WHEELS) else None


def build(cache: Path, mirror: str = MIRROR) -> tuple[Path, Stamp]:
    """Make the tree under a temporary name and rename it when it is whole; two runs at once wait for each other.

    A mirror of a moving suite can be caught between two states, so a failure is tried once more from nothing,
    unless it took so long that the network is to blame.
    """
    cache.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(cache).free < NEEDED_BYTES:
        raise TreeError(f"{cache} has less than {NEEDED_BYTES // 1024**3} GB free: choose another with ANIMERUN_CACHE")
    with _locked(cache / "sid.lock"):
        found = existing(cache)
        if found is not None:
            return found
        started = time.monotonic()
        try:
            return _build_once(cache, mirror)
        except TreeError as error:
            if time.monotonic() - started > PATIENCE_SECONDS:
                raise
            _say(f"{error}; once more")
            return _build_once(cache, mirror)


def _build_once(cache: Path, mirror: str) -> tuple[Path, Stamp]:
    final, partial = cache / "sid", cache / "sid.partial"
    _remove(partial)
    try:
        with (cache / "sid.log").open("w", encoding="utf-8") as log:
            stamp = _fill(partial, mirror, log)
        (partial / "animerun-stamp.json").write_text(json.dumps(asdict(stamp), indent=1), encoding="utf-8")
        _remove(final)
        partial.rename(final)
    finally:
        _remove(partial)
    return final, stamp


def _fill(tree: Path, mirror: str, log: IO[str]) -> Stamp:
    _say(f"a Debian sid tree from {mirror}")
    _run([*namespace_prefix(), "debootstrap", "--variant=minbase", "sid", str(tree), mirror], "debootstrap", log)
    _configure(tree)
    _say("Blender and its libraries")
    # The package lists are those that debootstrap has just fetched and verified: no second look at a moving mirror.
    install = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    _run([*enter_command(tree), *install], "installing Blender with apt", log)
    _run([*enter_command(tree), "apt-get", "clean"], "emptying apt's cache", log)
    site = str(tree / "usr/lib/python3/dist-packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target", site]
    _run([*pip, *WHEELS], "installing Python packages with pip", log)
    _say("a first start")
    _run([*enter_command(tree), "blender", "--background", "--python-expr", PROBE], "starting Blender", log)
    probed = read_probe(Path(log.name).read_text(encoding="utf-8", errors="replace"))
    if probed is None or probed["lacking"]:
        raise TreeError(f"the new tree's Blender does not start: {_reason(Path(log.name))} (log: {log.name})")
    return Stamp(PACKAGES, WHEELS, str(probed["version"]), str(probed["python"]))


def read_probe(output: str) -> dict[str, object] | None:
    """What PROBE printed among Blender's other lines."""
    for line in output.splitlines():
        if line.startswith("ANIMERUN_PROBE "):
            probed: dict[str, object] = json.loads(line.removeprefix("ANIMERUN_PROBE "))
            return probed
    return None


def _configure(tree: Path) -> None:
    """Small and quiet: no manuals, no daemons, no waiting for the disk in a tree that can be built again."""
    (tree / "etc/dpkg/dpkg.cfg.d").mkdir(parents=True, exist_ok=True)
    (tree / "etc/dpkg/dpkg.cfg.d/animerun").write_text(
        "force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n"
        "path-include=/usr/share/doc/*/copyright\n"
    )
    policy = tree / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    mounts = tree / "etc/mtab"
    if not mounts.exists():
        mounts.symlink_to("/proc/self/mounts")
    for name in ("resolv.conf", "hosts"):
        source = Path("/etc") / name
        if source.exists():
            shutil.copyfile(source, tree / "etc" / name)


def _run(command: list[str], what: str, log: IO[str]) -> None:
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    env["PATH"] = f"{env.get('PATH', '')}:/usr/sbin:/sbin"  # debootstrap's place, not on every root's PATH
    env.pop("TMPDIR", None)  # it need not exist inside the tree
    log.flush()
    try:
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=900)
    except subprocess.TimeoutExpired:
        raise TreeError(f"{what} took longer than 15 minutes (log: {log.name})") from None
    except OSError as error:
        raise TreeError(f"{what} failed: {error}") from None
    if done.returncode != 0:
        raise TreeError(f"{what} failed: {_reason(Path(log.name))} (log: {log.name})")


def _reason(log: Path) -> str:
    """The most telling line: the last that debootstrap or apt marked as an error, else the last of all."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(("E:", "ERROR:", "W: Failure", "W: See"))]
    return (marked or lines or ["it said nothing"])[-1]


def _remove(folder: Path) -> None:
    """Never across a mount: whatever is mounted there belongs to somebody else."""
    if folder.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", "--", str(folder)], check=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"waiting for another run ({path})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(step: str) -> None:
    print(f"preparing Blender: {step}", file=sys.stderr, flush=True)
