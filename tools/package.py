# SPDX-License-Identifier: GPL-3.0-or-later
"""`make package`: one installable zip for each platform, and the index of a repository that Blender can subscribe to.

The source tree stays as it is; wheels, platforms and licence are added to a copy in build/package/.
Blender's own builder, out of the bpy wheel, makes, validates and lists the zips.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from package_isolation import carry_wheel
from package_wheels import WHEEL_PLATFORMS, PackageError, Pin, gather_wheels, read_pins

MANIFEST = "blender_manifest.toml"
LICENSE = "LICENSE"
OLDEST_PYTHON = (3, 11)

# Written by the builder beside the zips. Only a folder that holds nothing else is ever replaced.
INDEX_FILES = ("index.json", "index.html")

# Files carry this time inside the zips: an unchanged add-on gives an unchanged zip, and studios' caches stay valid.
_ZIP_TIME = 1_767_225_600  # 2026-01-01T00:00:00Z


@dataclass(frozen=True)
class Layout:
    """Where a repository keeps what goes into the package."""

    source: Path
    license: Path
    pins: Path
    staging: Path
    wheel_cache: Path

    @classmethod
    def of(cls, root: Path) -> Layout:
        """The layout of this repository."""
        return cls(
            source=root / "animerun_addon",
            license=root / LICENSE,
            pins=root / "requirements" / "bundled.txt",
            staging=root / "build" / "package",
            wheel_cache=root / "build" / "wheels",
        )


@dataclass(frozen=True)
class Builder:
    """Blender's extension tool: a script that needs Python but no running Blender."""

    script: Path
    tags: Path

    def run(self, *arguments: str) -> None:
        """Run one of its subcommands; a refusal becomes a PackageError with the tool's last line."""
        command = [sys.executable, "-I", str(self.script), *arguments]
        # Zip entries carry local time, so the zone is fixed as well as the files' times.
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC"})
        if done.returncode != 0:
            complaint = last_line(done.stderr) or last_line(done.stdout) or f"exit code {done.returncode}"
            raise PackageError(f"Blender's builder refused '{arguments[0]}': {complaint.removeprefix('FATAL_ERROR: ')}")


def say(line: str) -> None:
    """Show one stage, at once even into a pipe."""
    print(line, flush=True)


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def find_builder() -> Builder:
    """Find the tool inside the bpy wheel without importing bpy, which would take seconds and start a Blender."""
    spec = importlib.util.find_spec("bpy")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for scripts in sorted(Path(folder).glob("*/scripts")):
            builder = Builder(
                script=scripts / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py",
                tags=scripts / "modules" / "_bpy_internal" / "extensions" / "tags.py",
            )
            if builder.script.is_file() and builder.tags.is_file():
                return builder
    raise PackageError(
        f"'{sys.executable}' has no bpy, whose extension builder is needed: run 'make package', which installs it"
    )


def read_source_manifest(path: Path) -> dict[str, Any]:
    """The source tree's manifest, which must list nothing that only a build adds."""
    try:
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PackageError(f"cannot read '{path}': {error}") from error
    for key in ("id", "name", "version"):
        if not isinstance(manifest.get(key), str):
            raise PackageError(f"'{path}' has no {key}: add it")
    for key in ("wheels", "platforms"):
        if key in manifest:
            raise PackageError(f"'{path}' lists {key}: remove them, they are written into the built manifest only")
    return manifest


def built_manifest(source_text: str, platform: str, wheel_names: Iterable[str]) -> str:
    """The manifest of one platform's zip."""
    # The new keys go first: behind a [table] they would belong to that table. (JSON's strings are TOML's as well.)
    wheels = "".join(f"  {json.dumps('./wheels/' + name)},\n" for name in sorted(wheel_names))
    return f"# Added by tools/package.py.\nplatforms = [{json.dumps(platform)}]\nwheels = [\n{wheels}]\n\n{source_text}"


def stage(layout: Layout, platform: str, wheels: Sequence[Path], folder: Path) -> None:
    """Lay out one platform's add-on: the source, its licence, its wheels and the built manifest."""
    shutil.copytree(layout.source, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(layout.license, folder / LICENSE)
    (folder / "wheels").mkdir()
    carried = [carry_wheel(wheel, folder / "wheels").name for wheel in wheels]
    manifest = folder / MANIFEST
    text = built_manifest(manifest.read_text(encoding="utf-8"), platform, carried)
    manifest.write_text(text, encoding="utf-8")
    for path in folder.rglob("*"):
        os.utime(path, (_ZIP_TIME, _ZIP_TIME))


def zip_name(manifest: dict[str, Any], platform: str) -> str:
    """The name that Blender's own builder gives a platform's zip."""
    return f"{manifest['id']}-{manifest['version']}-{platform.replace('-', '_')}.zip"


def zip_problems(archive_path: Path, staged: Path, source: dict[str, Any], platform: str) -> list[str]:
    """What Blender's validator does not look at: does the zip hold what it says, all of it and nothing else?"""
    with zipfile.ZipFile(archive_path) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        manifest = tomllib.loads(archive.read(MANIFEST).decode("utf-8"))
        sources = {name: archive.read(name) for name in sorted(names) if name.endswith(".py")}
    problems = list(_manifest_problems(manifest, source, platform))
    problems += _content_problems(names, manifest, staged)
    problems += [problem for name, code in sources.items() if (problem := compile_problem(name, code)) is not None]
    return problems


def _manifest_problems(manifest: dict[str, Any], source: dict[str, Any], platform: str) -> Iterator[str]:
    added = {"platforms", "wheels"}
    for key in sorted(source.keys() | manifest.keys() - added):
        if manifest.get(key) != source.get(key):
            yield f"its manifest's {key} is {manifest.get(key)!r}, the source's is {source.get(key)!r}"
    if manifest.get("platforms") != [platform]:
        yield f"its manifest is for {manifest.get('platforms')}, not for {platform}"


def _content_problems(names: set[str], manifest: dict[str, Any], staged: Path) -> Iterator[str]:
    listed = {str(PurePosixPath(wheel)) for wheel in manifest.get("wheels", ())}
    carried = {name for name in names if name.endswith(".whl")}
    for name in sorted(listed - carried):
        yield f"the manifest lists {name}, which is not in it"
    for name in sorted(carried - listed):
        yield f"it holds {name}, which the manifest does not list"
    ours = {path.relative_to(staged).as_posix() for suffix in (".py", ".toml") for path in staged.rglob(f"*{suffix}")}
    for name in sorted(ours | {LICENSE, MANIFEST}):
        if name not in names:
            yield f"{name} is missing (see paths_exclude_pattern in {MANIFEST})"
    for name in sorted(names):
        if is_litter(name):
            yield f"users have no use for {name} (see paths_exclude_pattern in {MANIFEST})"


def is_litter(name: str) -> bool:
    """Caches, tests, hidden files and editors' backups have no place in a zip."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part in ("__pycache__", "tests") for part in path.parts)
    return hidden or path.suffix in (".pyc", ".pyo", ".zip", ".orig", ".rej", ".blend1")


def compile_problem(name: str, code: bytes) -> str | None:
    """None when the oldest Python that we serve would compile this file (exact when that Python is running)."""
    try:
        compile(ast.parse(code, name, feature_version=OLDEST_PYTHON), name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        where = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        return f"{name} does not compile for Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]}: {where}{reason}"
    return None


def make_zip(builder: Builder, layout: Layout, platform: str, wheels: Sequence[Path], folder: Path) -> Path:
    """Build one platform's zip into a folder, then have it checked by Blender's validator and by our own."""
    source = read_source_manifest(layout.source / MANIFEST)
    archive = folder / zip_name(source, platform)
    with _scratch_folder(layout.staging, platform) as scratch:
        staged = scratch / source["id"]
        stage(layout, platform, wheels, staged)
        tags = ("--valid-tags", str(builder.tags))
        builder.run("build", "--source-dir", str(staged), "--output-filepath", str(archive), *tags)
        builder.run("validate", *tags, str(archive))
        if problems := zip_problems(archive, staged, source, platform):
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise PackageError(f"{archive.name}: {problems[0]}{more}")
    return archive


def make_index(builder: Builder, folder: Path) -> None:
    """List the zips of a folder for Blender (index.json) and for people (index.html)."""
    builder.run("server-generate", "--repo-dir", str(folder), "--html")
    # The builder leaves out a zip that it dislikes, and still reports success.
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    listed = {PurePosixPath(entry["archive_url"]).name for entry in index["data"]}
    if missing := sorted(path.name for path in folder.glob("*.zip") if path.name not in listed):
        raise PackageError(f"Blender's builder left {', '.join(missing)} out of the index: install another bpy version")


def check_replaceable(out: Path, extension_id: str) -> None:
    """Refuse to replace a folder that holds anything but an earlier package."""
    if not out.exists():
        return
    if not out.is_dir():
        raise PackageError(f"'{out}' is a file: choose a folder with --out")
    for path in sorted(out.iterdir()):
        if path.name not in INDEX_FILES and not (path.name.startswith(f"{extension_id}-") and path.suffix == ".zip"):
            raise PackageError(f"'{out}' holds other files ({path.name}): choose an empty folder with --out")


@contextmanager
def _scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder of this run alone inside another one, gone afterwards."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=parent, prefix=f".{name}-")
    except OSError as error:
        raise PackageError(f"cannot write into '{parent}': {error.strerror}: choose a writable folder") from error
    with scratch as folder:
        yield Path(folder)


def publish(new: Path, out: Path, aside: Path) -> None:
    """Put the finished folder where the old one was; if that fails, the old one is back."""
    had_old = out.exists()
    if had_old:
        out.rename(aside)
    try:
        new.rename(out)
    except OSError:
        if had_old:
            aside.rename(out)
        raise


def make_package(layout: Layout, platforms: Sequence[str], out: Path) -> list[Path]:
    """Everything from the pins to the finished folder; returns the zips. `out` changes only if all of it succeeded."""
    builder = find_builder()
    source = read_source_manifest(layout.source / MANIFEST)
    pins = read_pins(layout.pins)
    if not layout.license.is_file():
        raise PackageError(f"'{layout.license}' is missing: restore it from the repository")
    check_replaceable(out, source["id"])
    say(f"package  {source['name']} {source['version']} for {', '.join(platforms)}")
    with _scratch_folder(out.parent, out.name) as scratch:
        new = scratch / "new"
        new.mkdir()
        for platform in platforms:
            _make_platform(builder, layout, pins, platform, new)
        make_index(builder, new)
        say("index    index.json and index.html")
        publish(new, out, scratch / "old")
    return sorted(out.glob("*.zip"))


def _make_platform(builder: Builder, layout: Layout, pins: Sequence[Pin], platform: str, folder: Path) -> None:
    wheels = gather_wheels(pins, platform, layout.wheel_cache, say)
    say(f"wheels   {platform}: {len(wheels)} whole, {_megabytes(wheels)}")
    archive = make_zip(builder, layout, platform, wheels, folder)
    say(f"zip      {archive.name}: valid, {_megabytes([archive])}")


def _megabytes(paths: Iterable[Path]) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:.1f} MB"


class _OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"package: {message}: see --help\n")


def parse_arguments(arguments: Sequence[str] | None, root: Path) -> argparse.Namespace:
    """The command line, wrong ones answered in one line and exit code 2."""
    parser = _OneLineParser(prog="package", description="Build the add-on's zips and their repository index.")
    parser.add_argument(
        "--platform",
        action="append",
        choices=list(WHEEL_PLATFORMS),
        help="build this platform only (may be given more than once); default: all",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=root / "dist",
        help="folder that will hold the zips and the index, and nothing else; an earlier package there is replaced",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0: all zips are made, 2: they cannot be made."""
    root = Path(__file__).resolve().parent.parent
    options = parse_arguments(arguments, root)
    platforms = [platform for platform in WHEEL_PLATFORMS if platform in (options.platform or WHEEL_PLATFORMS)]
    try:
        make_package(Layout.of(root), platforms, options.out.absolute())
    except PackageError as error:
        print(f"package: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"package: {error}: check the disk and the folder's permissions", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"package: stopped: '{options.out}' is as it was", file=sys.stderr)
        return 130
    say(f"done     {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
