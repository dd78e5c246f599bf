# SPDX-License-Identifier: GPL-3.0-or-later
"""`make package`: honest manifests and zips, a folder that is whole or untouched, errors in one line. No network.

The last test runs Blender's real builder on tiny made-up wheels and is skipped where bpy is not installed.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import json
import os
import tomllib
import zipfile
from pathlib import Path

import pytest
from tiny_wheels import ROOT, FakeIndex, wheels

package = importlib.import_module("package")

SOURCE_MANIFEST = """schema_version = "1.0.0"
id = "tiny_addon"
version = "1.2.3"
name = "Tiny"
tagline = "Made for a test"
maintainer = "Nobody"
type = "add-on"
tags = ["Animation"]
blender_version_min = "4.5.0"
license = ["SPDX:GPL-3.0-or-later"]

[permissions]
files = "Write what you ask for"

[build]
paths_exclude_pattern = ["__pycache__/", "*.pyc", ".*", "*.zip"]
"""


# --- the manifest -------------------------------------------------------------------------------------------------


def test_the_built_manifest_is_the_source_plus_platform_and_wheels():
    names = ["b-1-py3-none-any.whl", "a-1-py3-none-any.whl"]
    built = tomllib.loads(package.built_manifest(SOURCE_MANIFEST, "linux-x64", names))
    assert built.pop("platforms") == ["linux-x64"]
    assert built.pop("wheels") == ["./wheels/a-1-py3-none-any.whl", "./wheels/b-1-py3-none-any.whl"]
    assert built == tomllib.loads(SOURCE_MANIFEST)


def test_this_repositorys_manifest_lists_no_wheels_and_honest_permissions():
    manifest = package.read_source_manifest(ROOT / "animerun_addon" / package.MANIFEST)
    assert manifest["id"] == "animerun_addon"
    # Blender's limit; a longer reason fails only when the zip is built.
    assert all(0 < len(reason) <= 64 and not reason.endswith(".") for reason in manifest["permissions"].values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOURCE_MANIFEST.replace('version = "1.2.3"\n', ""), "has no version: add it"),
        ('wheels = ["./wheels/a.whl"]\n' + SOURCE_MANIFEST, "lists wheels: remove them"),
        ('platforms = ["linux-x64"]\n' + SOURCE_MANIFEST, "lists platforms: remove them"),
        ("id = [\n", "cannot read"),
    ],
)
def test_a_bad_source_manifest_is_refused(tmp_path, text, words):
    (tmp_path / package.MANIFEST).write_text(text)
    with pytest.raises(wheels.PackageError, match=words):
        package.read_source_manifest(tmp_path / package.MANIFEST)


# --- the zip ------------------------------------------------------------------------------------------------------

WHEEL = "wheels/a-1-py3-none-any.whl"


def good_zip() -> dict[str, str]:
    return {
        package.MANIFEST: package.built_manifest(SOURCE_MANIFEST, "linux-x64", ["a-1-py3-none-any.whl"]),
        package.LICENSE: "free",
        "__init__.py": "def register() -> None: ...\n",
        "labels/motion.py": "FLOW = 1\n",
        "models/raft.toml": "name = 'raft'\n",
        WHEEL: "wheel",
    }


def problems_of(tmp_path: Path, content: dict[str, str]) -> list[str]:
    staged = tmp_path / "staged"
    for name in ("__init__.py", "labels/motion.py", "models/raft.toml"):
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        (staged / name).write_text("")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return package.zip_problems(tmp_path / "a.zip", staged, tomllib.loads(SOURCE_MANIFEST), "linux-x64")


def test_an_honest_zip_has_no_problems(tmp_path):
    assert problems_of(tmp_path, good_zip()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({WHEEL: None}, f"the manifest lists {WHEEL}, which is not in it"),
        (
            {"wheels/b-1-py3-none-any.whl": "x"},
            "it holds wheels/b-1-py3-none-any.whl, which the manifest does not list",
        ),
        ({package.LICENSE: None}, "LICENSE is missing"),
        ({"labels/motion.py": None}, "labels/motion.py is missing"),
        ({"models/raft.toml": None}, "models/raft.toml is missing"),
        ({"tests/test_a.py": "x = 1"}, "users have no use for tests/test_a.py"),
        ({"labels/__pycache__/motion.cpython-311.pyc": "x"}, "users have no use for labels/__pycache__"),
        ({".gitignore": "x"}, "users have no use for .gitignore"),
        ({"labels/motion.py": "type Flow = int\n"}, "labels/motion.py does not compile for Python 3.11: line 1"),
        ({"labels/motion.py": "return 1\n"}, "labels/motion.py does not compile for Python 3.11: line 1"),
        (
            {package.MANIFEST: good_zip()[package.MANIFEST].replace("1.2.3", "1.2.4")},
            "version is '1.2.4', the source's",
        ),
        ({package.MANIFEST: good_zip()[package.MANIFEST].replace("linux-x64", "windows-x64")}, "not for linux-x64"),
    ],
)
def test_each_fault_of_a_zip_is_named(tmp_path, change, words):
    content = {name: text for name, text in (good_zip() | change).items() if text is not None}
    problems = problems_of(tmp_path, content)
    assert len(problems) == 1
    assert words in problems[0]


# --- the output folder and the command line -------------------------------------------------------------------------


def test_an_earlier_package_may_be_replaced_and_nothing_else(tmp_path):
    out = tmp_path / "dist"
    package.check_replaceable(out, "tiny_addon")
    out.mkdir()
    for name in ("index.json", "index.html", "tiny_addon-1.0.0-linux_x64.zip"):
        (out / name).touch()
    package.check_replaceable(out, "tiny_addon")
    (out / "thesis.odt").touch()
    with pytest.raises(wheels.PackageError, match=r"holds other files \(thesis.odt\): choose an empty folder"):
        package.check_replaceable(out, "tiny_addon")
    with pytest.raises(wheels.PackageError, match="is a file"):
        package.check_replaceable(out / "thesis.odt", "tiny_addon")


def test_a_failed_swap_leaves_the_earlier_package(tmp_path, monkeypatch):
    new, out = tmp_path / "new", tmp_path / "dist"
    for folder in (new, out):
        folder.mkdir()
        (folder / folder.name).touch()
    rename = Path.rename

    def full_disk(self: Path, target: Path) -> Path:
        if self == new:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full_disk)
        with pytest.raises(OSError, match="No space left"):
            package.publish(new, out, tmp_path / "old")
    assert [path.name for path in out.iterdir()] == ["dist"]
    package.publish(new, out, tmp_path / "old")
    assert [path.name for path in out.iterdir()] == ["new"]


def error_line(capsys) -> str:
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_without_bpy_the_command_says_what_to_run(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert package.main(["--out", str(tmp_path / "dist")]) == 2
    assert "has no bpy" in (line := error_line(capsys))
    assert "run 'make package'" in line


def test_an_output_folder_that_cannot_be_made_is_one_line(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(package, "find_builder", lambda: None)
    (tmp_path / "file").touch()
    assert package.main(["--out", str(tmp_path / "file" / "dist")]) == 2
    assert "cannot write into" in error_line(capsys)


def test_an_unknown_platform_is_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        package.main(["--platform", "amiga"])
    assert stop.value.code == 2
    assert "amiga" in error_line(capsys)


def test_a_failing_download_leaves_the_earlier_package_alone(tmp_path, monkeypatch):
    root, out = tiny_repository(tmp_path), tmp_path / "dist"
    out.mkdir()
    (out / "index.json").write_text("earlier")
    monkeypatch.setattr(package, "find_builder", lambda: None)

    def offline(_need, _folder):
        raise wheels.PackageError("no internet")

    monkeypatch.setattr(wheels, "pip_download", offline)
    with pytest.raises(wheels.PackageError, match="no internet"):
        package.make_package(package.Layout.of(root), ["linux-x64"], out)
    assert [path.name for path in out.iterdir()] == ["index.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist", "repository"]


# --- with Blender's builder ---------------------------------------------------------------------------------------


def tiny_repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    source = root / "animerun_addon"
    (source / "labels" / "__pycache__").mkdir(parents=True)
    (source / package.MANIFEST).write_text(SOURCE_MANIFEST)
    (source / "__init__.py").write_text("def register() -> None: ...\n")
    (source / "labels" / "motion.py").write_text("FLOW = 1\n")
    (source / "labels" / "__pycache__" / "motion.cpython-311.pyc").write_bytes(b"x")
    (root / "requirements").mkdir()
    (root / "requirements" / "bundled.txt").write_text("opencv-python-headless==5.0.0.93\nOpenEXR==3.5.3\n")
    (root / "LICENSE").write_text("free\n")
    return root


@pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="bpy, which holds Blender's builder, is missing")
def test_blenders_builder_makes_three_valid_zips_and_an_index(tmp_path, monkeypatch):
    root, out = tiny_repository(tmp_path), tmp_path / "dist"
    monkeypatch.setattr(wheels, "pip_download", FakeIndex())
    zips = package.make_package(package.Layout.of(root), list(wheels.WHEEL_PLATFORMS), out)
    assert [path.name for path in zips] == [
        f"tiny_addon-1.2.3-{platform}.zip" for platform in ("linux_x64", "macos_arm64", "windows_x64")
    ]
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".zip") == ["index.html", "index.json"]
    index = json.loads((out / "index.json").read_text())
    assert sorted(entry["platforms"][0] for entry in index["data"]) == ["linux-x64", "macos-arm64", "windows-x64"]
    # What Blender compares with its own Python before it installs: see PYTHONS.
    assert all(entry["python_versions"] == ["3.11", "3.13", "3.14"] for entry in index["data"])
    with zipfile.ZipFile(zips[0]) as archive:
        names = sorted(name for name in archive.namelist() if not name.startswith("wheels/"))
    assert names == ["LICENSE", "__init__.py", "blender_manifest.toml", "labels/motion.py"]
    assert list((root / "build" / "package").iterdir()) == []

    # A checkout gives files the time of the checkout: that must not make another zip.
    before = {path.name: path.read_bytes() for path in zips}
    os.utime(root / "animerun_addon" / "__init__.py", (1_000_000_000, 1_000_000_000))
    package.make_package(package.Layout.of(root), list(wheels.WHEEL_PLATFORMS), out)
    assert {path.name: path.read_bytes() for path in out.glob("*.zip")} == before

    # A manifest that Blender refuses (its limit is 64 characters) changes nothing in the folder.
    (root / "animerun_addon" / package.MANIFEST).write_text(SOURCE_MANIFEST.replace("Write what", "Write " * 20))
    with pytest.raises(wheels.PackageError, match=r"builder refused 'build': .*64 characters"):
        package.make_package(package.Layout.of(root), ["linux-x64"], out)
    assert {path.name: path.read_bytes() for path in out.glob("*.zip")} == before
