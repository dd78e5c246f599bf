# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds a real Blender with a window for the tests, or prepares one: `make blender`.

In this order: $BLENDER, a `blender` on the PATH, a Debian sid tree in the cache folder (built as root when missing,
see debian_tree.py). Nothing is drawn here; tests/gui/harness.py starts what this finds.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import debian_tree

OLDEST = (4, 5, 0)

# What the harness starts beside Blender, and the Debian package of each.
HOST_TOOLS = {"Xvfb": "xvfb", "xdotool": "xdotool", "setpriv": "util-linux"}
TREE_TOOLS = {"debootstrap": "debootstrap", "unshare": "util-linux"}
# On Ubuntu debootstrap comes without Debian's keys.
TREE_PACKAGES = ("debian-archive-keyring",)


@dataclass(frozen=True)
class Missing:
    """Why there is no real Blender, in one line that says what to do; `exit_code` is the command's."""

    reason: str
    exit_code: int = 1


@dataclass(frozen=True)
class RealBlender:
    """A Blender that opens windows; `tree` is the system tree it lives in, None for this machine's own."""

    executable: Path
    version: str
    python: str
    tree: Path | None

    def command(self, *arguments: str, folders: Sequence[Path] = ()) -> list[str]:
        """A command line that starts it and ends everything it started when its parent ends, even by kill -9.

        `folders` are the existing folders, besides the one for temporary files, that it must see. All host folders are
        seen by a Blender of this machine, only those named by one in a tree, always at their own paths.
        """
        if self.tree is not None:
            # /tmp whatever TMPDIR says: the X server's socket is there.
            temporary = (Path("/tmp"), Path(tempfile.gettempdir()).resolve())  # noqa: S108
            start = debian_tree.enter_command(self.tree, [*temporary, *folders])
        elif debian_tree.namespaces_allowed():
            start = debian_tree.enter_command(Path("/"))
        else:
            start = ["setpriv", "--pdeathsig", "KILL", "--"]
        return [*start, str(self.executable), *arguments]

    def __str__(self) -> str:
        place = self.executable if self.tree is None else self.tree
        return f"Blender {self.version} (Python {self.python}) in {place}"


def cache_folder() -> Path:
    """Where everything large is kept: $ANIMERUN_CACHE, else the user's cache folder."""
    own = os.environ.get("ANIMERUN_CACHE")
    if own:
        return Path(own).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").resolve() / "animerun"


def find() -> RealBlender | Missing:
    """What is there already; installs nothing."""
    blender = _find_blender()
    if isinstance(blender, Missing):
        return blender
    lacking = _lacking(HOST_TOOLS)
    if lacking:
        return Missing(f"{' and '.join(lacking)} not installed (Debian: {_packages(HOST_TOOLS, lacking)})")
    return blender


def prepare() -> RealBlender | Missing:
    """What is there already, or else what root can install."""
    blender = _find_blender()
    if isinstance(blender, Missing) and blender.exit_code == 2:
        return blender
    needed = dict(HOST_TOOLS)
    extra: tuple[str, ...] = ()
    if isinstance(blender, Missing):
        if os.geteuid() != 0 or sys.platform != "linux":
            return Missing(f"{blender.reason}; without root, install Blender 4.5 or later and set $BLENDER to it")
        needed |= TREE_TOOLS
        extra = TREE_PACKAGES
    failure = install(needed, extra)
    if failure is not None:
        return failure
    if isinstance(blender, RealBlender):
        return blender
    if not debian_tree.namespaces_allowed():
        return Missing("this machine allows no private mounts (`unshare --mount --pid`): set $BLENDER to a Blender")
    try:
        tree, stamp = debian_tree.build(cache_folder(), os.environ.get("ANIMERUN_DEBIAN_MIRROR", debian_tree.MIRROR))
    except debian_tree.TreeError as error:
        return Missing(str(error))
    except OSError as error:
        return Missing(f"cannot write the cache folder: {error}; choose another with ANIMERUN_CACHE", exit_code=2)
    return _in_tree(tree, stamp)


def _find_blender() -> RealBlender | Missing:
    named = os.environ.get("BLENDER")
    if named:
        path = shutil.which(named)
        found = _probe(Path(path)) if path else Missing("no such program")
        return found if isinstance(found, RealBlender) else Missing(f"$BLENDER is {named}: {found.reason}", exit_code=2)
    reason = "no Blender on the PATH"
    on_path = shutil.which("blender")
    if on_path:
        found = _probe(Path(on_path))
        if isinstance(found, RealBlender):
            return found
        reason = f"{on_path}: {found.reason}"
    tree = debian_tree.existing(cache_folder())
    if tree is None:
        return Missing(f"{reason}, and none prepared in {cache_folder()}")
    if not debian_tree.namespaces_allowed():
        return Missing(f"{reason}, and only root may start the one prepared in {tree[0]}")
    return _in_tree(*tree)


def _in_tree(tree: Path, stamp: debian_tree.Stamp) -> RealBlender:
    return RealBlender(Path("/usr/bin/blender"), stamp.version, stamp.python, tree)


def _probe(executable: Path) -> RealBlender | Missing:
    """Start it once without a window: is it Blender, new enough, and is there what its window needs?"""
    with tempfile.TemporaryDirectory(prefix="animerun-probe-") as folder:
        env = os.environ | {"BLENDER_USER_RESOURCES": folder, "HOME": folder}
        command = [str(executable), "--background", "--python-expr", debian_tree.PROBE]
        try:
            done = subprocess.run(
                command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Missing(f"does not start: {error}")
    probed = debian_tree.read_probe(done.stdout)
    if probed is None:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it printed nothing"]
        return Missing(f"does not start as Blender does: {last[0]}")
    version = probed["blender"]
    if not isinstance(version, list) or tuple(version) < OLDEST:
        return Missing(f"version {probed['version']} is too old: 4.5 or later is needed")
    if probed["lacking"]:
        return Missing(f"no window: {probed['lacking']} (Debian: apt-get install {' '.join(debian_tree.GL_PACKAGES)})")
    return RealBlender(executable, str(probed["version"]), str(probed["python"]), tree=None)


def _lacking(tools: dict[str, str]) -> list[str]:
    return [tool for tool in tools if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None]


def _packages(tools: dict[str, str], lacking: Sequence[str]) -> str:
    return " ".join(dict.fromkeys(tools[tool] for tool in lacking))


def install(tools: dict[str, str], extra: Sequence[str] = ()) -> Missing | None:
    """Install what the host lacks with apt, or say which packages to install; `tools` are programs and packages."""
    lacking = _lacking(tools)
    if not lacking:
        return None
    packages = " ".join([_packages(tools, lacking), *extra])
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return Missing(f"{' and '.join(lacking)} not installed: as root, apt-get install {packages}")
    print(f"preparing: apt-get install {packages}", file=sys.stderr, flush=True)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages.split()]
    try:
        # Stale or missing package lists are the rule on a fresh machine; a failed update may still leave usable ones.
        subprocess.run(["apt-get", "update", "-q"], env=env, capture_output=True, timeout=300)
        done = subprocess.run(install, env=env, capture_output=True, text=True, errors="replace", timeout=600)
    except subprocess.TimeoutExpired as error:
        return Missing(f"{shlex.join(error.cmd)} took longer than {error.timeout:g} s")
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return Missing(f"apt-get install {packages} failed: {last[0]}")
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the command line that starts Blender on stdout, everything else on stderr."""
    parser = argparse.ArgumentParser(description="Find or prepare a real Blender with a window for the tests.")
    parser.add_argument("--check", action="store_true", help="only say what is there, install nothing")
    found = find() if parser.parse_args(arguments).check else prepare()
    if isinstance(found, Missing):
        print(f"no real Blender: {found.reason}", file=sys.stderr)
        return found.exit_code
    print(found, file=sys.stderr)
    print(shlex.join(found.command(folders=[Path.cwd()])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
