# SPDX-License-Identifier: GPL-3.0-or-later
"""`make package`: the right wheels, unharmed, in honest zips; errors in one line. No network.

The last test runs Blender's real builder on tiny made-up wheels and is skipped where bpy is not installed.
"""

from __future__ import annotations

import base64
import ctypes
import errno
import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
package = importlib.import_module("package")
isolation = importlib.import_module("package_isolation")
wheels = importlib.import_module("package_wheels")

CV = wheels.Pin("opencv-python-headless", "5.0.0.93")
EXR = wheels.Pin("OpenEXR", "3.5.3")
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


def record_row(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def make_wheel(folder: Path, name: str, content: bytes = b"answer = 42\n", member: str = "module.py") -> Path:
    """A wheel of one file, small but whole."""
    folder.mkdir(parents=True, exist_ok=True)
    info = "-".join(name.split("-")[:2]) + ".dist-info"
    meta = b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n"
    record = record_row(member, content) + record_row(f"{info}/WHEEL", meta) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(f"{info}/WHEEL", meta)
        archive.writestr(f"{info}/RECORD", record)
    return folder / name


def wheel_file_for(need) -> str:
    """The file name that the index has for a need, as of the pinned versions."""
    platform = wheels.WHEEL_PLATFORMS[need.platform][0]
    if need.pin == CV:
        return f"opencv_python_headless-5.0.0.93-cp37-abi3-{platform}.whl"
    tag = "cp{}{}".format(*need.python)
    return f"openexr-3.5.3-{tag}-{tag}-{platform}.whl"


class FakeIndex:
    """Stands in for pip; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, need, folder: Path) -> None:
        self.asked.append(str(need))
        make_wheel(folder, wheel_file_for(need))


# --- pins ---------------------------------------------------------------------------------------------------------


def test_the_repository_pins_both_packages_exactly():
    assert {pin.distribution for pin in wheels.read_pins(ROOT / "requirements" / "bundled.txt")} == {
        "opencv_python_headless",
        "openexr",
    }


def test_pins_are_read_around_comments(tmp_path):
    (tmp_path / "pins.txt").write_text("# why\n\nOpenEXR==3.5.3  # because\n")
    assert wheels.read_pins(tmp_path / "pins.txt") == (EXR,)


@pytest.mark.parametrize("line", ["OpenEXR>=3.5", "OpenEXR", "OpenEXR==3.5.*", "-r other.txt"])
def test_a_loose_pin_is_refused_with_its_place(tmp_path, line):
    (tmp_path / "pins.txt").write_text(f"# head\n{line}\n")
    with pytest.raises(wheels.PackageError, match=r"line 2: .* no exact pin: write NAME==VERSION"):
        wheels.read_pins(tmp_path / "pins.txt")


# --- which wheel --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pin", "platform", "python", "fits"),
    [
        ("openexr-3.5.3-cp311-cp311-manylinux_2_28_x86_64.whl", EXR, "linux-x64", (3, 11), True),
        ("OpenEXR-3.5.3-cp311-cp311-manylinux_2_28_x86_64.whl", EXR, "linux-x64", (3, 11), True),
        ("openexr-3.5.3-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", EXR, "linux-x64", (3, 11), True),
        ("openexr-3.5.3-1-cp311-cp311-win_amd64.whl", EXR, "windows-x64", (3, 11), True),
        ("openexr-3.5.3-py3-none-any.whl", EXR, "macos-arm64", (3, 14), True),
        ("opencv_python_headless-5.0.0.93-cp37-abi3-win_amd64.whl", CV, "windows-x64", (3, 14), True),
        # another version, distribution, Python, ABI or machine
        ("openexr-3.5.2-cp311-cp311-manylinux_2_28_x86_64.whl", EXR, "linux-x64", (3, 11), False),
        ("imath-3.5.3-cp311-cp311-manylinux_2_28_x86_64.whl", EXR, "linux-x64", (3, 11), False),
        ("openexr-3.5.3-cp311-cp311-manylinux_2_28_x86_64.whl", EXR, "linux-x64", (3, 13), False),
        ("openexr-3.5.3-cp314-cp314t-manylinux_2_28_x86_64.whl", EXR, "linux-x64", (3, 14), False),
        ("openexr-3.5.3-cp313-abi3-manylinux_2_28_x86_64.whl", EXR, "linux-x64", (3, 11), False),
        ("openexr-3.5.3-cp311-cp311-manylinux_2_34_x86_64.whl", EXR, "linux-x64", (3, 11), False),
        ("openexr-3.5.3-cp311-cp311-musllinux_1_2_x86_64.whl", EXR, "linux-x64", (3, 11), False),
        ("openexr-3.5.3-cp311-cp311-manylinux_2_28_aarch64.whl", EXR, "linux-x64", (3, 11), False),
        ("openexr-3.5.3-cp311-cp311-macosx_15_0_arm64.whl", EXR, "macos-arm64", (3, 11), False),
        ("openexr-3.5.3-cp311-cp311-macosx_11_0_x86_64.whl", EXR, "macos-arm64", (3, 11), False),
        ("openexr-3.5.3.tar.gz", EXR, "linux-x64", (3, 11), False),
    ],
)
def test_a_wheel_is_taken_only_where_it_loads(name, pin, platform, python, fits):
    chosen = wheels.choose_wheel([name], wheels.Need(pin, platform, python))
    assert chosen == (name if fits else None)


def test_a_wheel_for_this_python_goes_before_the_stable_abi_and_newer_platforms_before_older():
    need = wheels.Need(EXR, "linux-x64", (3, 13))
    names = [
        "openexr-3.5.3-cp37-abi3-manylinux_2_28_x86_64.whl",
        "openexr-3.5.3-cp313-cp313-manylinux_2_17_x86_64.whl",
        "openexr-3.5.3-cp313-cp313-manylinux_2_28_x86_64.whl",
    ]
    assert wheels.choose_wheel(names, need) == names[2]
    assert wheels.choose_wheel(names[:2], need) == names[1]


def test_every_python_of_a_supported_blender_has_a_wheel():
    # 4.5 and 5.0; 5.1 and 5.2; Linux distributions' 5.2: Blender refuses the add-on on any other (see PYTHONS).
    assert set(wheels.PYTHONS) == {(3, 11), (3, 13), (3, 14)}


# --- damage -------------------------------------------------------------------------------------------------------


def test_a_whole_wheel_has_no_damage(tmp_path):
    assert wheels.wheel_damage(make_wheel(tmp_path, "openexr-3.5.3-py3-none-any.whl")) is None


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flip_a_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"answer = 42", b"answer = 43"))


def replace_by_a_web_page(path: Path) -> None:
    path.write_bytes(b"<html>please log in</html>")


def replace_member_and_checksum(path: Path) -> None:
    rewrite(path, {"module.py": b"answer = 43\n"})


def drop_member(path: Path) -> None:
    rewrite(path, {"module.py": None})


def drop_record(path: Path) -> None:
    rewrite(path, {"openexr-3.5.3.dist-info/RECORD": None})


def rewrite(path: Path, changes: dict[str, bytes | None]) -> None:
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (cut_short, "zip"),
        (flip_a_byte, "CRC"),
        (replace_by_a_web_page, "zip"),
        (replace_member_and_checksum, "'module.py' differs"),
        (drop_member, "'module.py' is missing"),
        (drop_record, "no RECORD"),
        (Path.unlink, "No such file"),
    ],
)
def test_a_damaged_wheel_is_noticed(tmp_path, harm, words):
    wheel = make_wheel(tmp_path, "openexr-3.5.3-py3-none-any.whl")
    harm(wheel)
    assert words in (wheels.wheel_damage(wheel) or "")


# --- the cache ----------------------------------------------------------------------------------------------------


def test_one_stable_abi_wheel_serves_every_python_and_a_second_run_downloads_nothing(tmp_path):
    index = FakeIndex()
    first = wheels.gather_wheels((CV, EXR), "windows-x64", tmp_path / "cache", print, index)
    assert [path.name for path in first] == [
        "opencv_python_headless-5.0.0.93-cp37-abi3-win_amd64.whl",
        "openexr-3.5.3-cp311-cp311-win_amd64.whl",
        "openexr-3.5.3-cp313-cp313-win_amd64.whl",
        "openexr-3.5.3-cp314-cp314-win_amd64.whl",
    ]
    assert len(index.asked) == 4
    assert wheels.gather_wheels((CV, EXR), "windows-x64", tmp_path / "cache", print, index) == first
    assert len(index.asked) == 4


def test_the_cache_keeps_platforms_apart(tmp_path):
    index = FakeIndex()
    for platform in wheels.WHEEL_PLATFORMS:
        names = [path.name for path in wheels.gather_wheels((CV, EXR), platform, tmp_path, print, index)]
        assert len(names) == 4
        assert all(wheels.WHEEL_PLATFORMS[platform][0] in name for name in names)


def test_a_damaged_wheel_in_the_cache_is_fetched_again_and_said(tmp_path):
    index, said = FakeIndex(), []
    wheel = wheels.gather_wheels((EXR,), "linux-x64", tmp_path, said.append, index)[0]
    cut_short(wheel)
    said.clear()
    assert wheel in wheels.gather_wheels((EXR,), "linux-x64", tmp_path, said.append, index)
    assert wheels.wheel_damage(wheel) is None
    assert any("is damaged" in line and wheel.name in line for line in said)
    assert len(index.asked) == 4


def test_a_damaged_download_never_enters_the_cache(tmp_path):
    def broken(need, folder: Path) -> None:
        cut_short(make_wheel(folder, wheel_file_for(need)))

    with pytest.raises(wheels.PackageError, match=r"download of openexr-3\.5\.3.* is damaged .*run the command again"):
        wheels.gather_wheels((EXR,), "linux-x64", tmp_path, print, broken)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_brings_something_else_is_an_error(tmp_path):
    def wrong(_need, folder: Path) -> None:
        make_wheel(folder, "openexr-3.5.2-cp311-cp311-manylinux_2_28_x86_64.whl")

    with pytest.raises(wheels.PackageError, match="no wheel that fits"):
        wheels.gather_wheels((EXR,), "linux-x64", tmp_path, print, wrong)


def test_pip_is_asked_for_the_other_machine_and_never_builds(tmp_path):
    command = wheels.pip_command(wheels.Need(EXR, "windows-x64", (3, 13)), tmp_path)
    joined = " ".join(command)
    assert "--only-binary=:all:" in command
    assert "--no-deps" in command
    assert "--python-version 3.13 --abi cp313 --abi abi3 --platform win_amd64" in joined
    assert command[-1] == "OpenEXR==3.5.3"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            "WARNING: Retrying: NewConnectionError('Temporary failure in name resolution')\n"
            "ERROR: No matching distribution found for OpenEXR==3.5.3",
            "check the internet connection",
        ),
        (
            "ERROR: No matching distribution found for OpenEXR==9.9",
            "choose another version in requirements/bundled.txt",
        ),
        ("ERROR: something odd\n\n", "cannot download .*: ERROR: something odd$"),
        ("", "pip gave no reason"),
    ],
)
def test_pip_failures_become_one_line_with_a_remedy(output, words):
    line = wheels.explain_pip_failure(wheels.Need(EXR, "linux-x64", (3, 11)), output)
    assert "\n" not in line
    assert "OpenEXR 3.5.3 (linux-x64, Python 3.11)" in line
    with pytest.raises(wheels.PackageError, match=words):
        raise wheels.PackageError(line)


# --- two OpenEXRs in one process ----------------------------------------------------------------------------------


def tiny_library(tags: list[int]) -> bytes:
    """An ELF header, one PT_DYNAMIC program header and its entries."""
    entries = b"".join(struct.pack("<qQ", tag, 7 if tag else 0) for tag in tags)
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", header, 0x20, 64)
    struct.pack_into("<HH", header, 0x36, 56, 1)
    return bytes(header) + struct.pack("<IIQQQQQQ", 2, 6, 120, 120, 120, len(entries), len(entries), 8) + entries


def dynamic_tags(library: bytes) -> list[int]:
    return [struct.unpack_from("<q", library, place)[0] for place in range(120, len(library), 16)]


def test_a_library_is_told_to_prefer_its_own_symbols():
    changed = isolation.prefer_own_symbols(tiny_library([1, 5, 0, 0, 0]))
    assert dynamic_tags(changed) == [1, 5, 16, 0, 0]
    assert isolation.prefer_own_symbols(changed) == changed


def test_a_library_without_room_or_for_another_machine_is_refused():
    with pytest.raises(wheels.PackageError, match="no room"):
        isolation.prefer_own_symbols(tiny_library([1, 5, 0]))
    with pytest.raises(wheels.PackageError, match="another kind of machine"):
        isolation.prefer_own_symbols(b"\x7fELF\x01\x01" + bytes(100))


def test_only_linux_openexr_is_changed_and_the_change_shows(tmp_path):
    library = tiny_library([1, 0, 0])
    kept = [
        "openexr-3.5.3-cp311-cp311-win_amd64.whl",
        "opencv_python_headless-5.0.0.93-cp37-abi3-manylinux_2_28_x86_64.whl",
    ]
    (tmp_path / "out").mkdir()
    for name in kept:
        wheel = make_wheel(tmp_path / "in", name, library, "OpenEXR.so")
        carried = isolation.carry_wheel(wheel, tmp_path / "out")
        assert (carried.name, carried.read_bytes()) == (name, wheel.read_bytes())
    wheel = make_wheel(tmp_path / "in", "openexr-3.5.3-cp311-cp311-manylinux_2_28_x86_64.whl", library, "OpenEXR.so")
    carried = isolation.carry_wheel(wheel, tmp_path / "out")
    assert carried.name == "openexr-3.5.3-1animerun-cp311-cp311-manylinux_2_28_x86_64.whl"
    assert wheels.wheel_damage(carried) is None
    with zipfile.ZipFile(carried) as archive:
        assert dynamic_tags(archive.read("OpenEXR.so")) == [1, 16, 0]
        assert b"Build: 1animerun\n" in archive.read("openexr-3.5.3.dist-info/WHEEL")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only ELF binds names across libraries")
def test_a_changed_library_calls_itself_and_not_a_namesake_loaded_before(tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make two libraries with the same names")
    for name, value in (("blender", 1), ("wheel", 2)):
        code = f"int core(void) {{ return {value}; }} int ask_{name}(void) {{ return core(); }}"
        command = [compiler, "-shared", "-fPIC", "-O0", "-xc", "-", "-o", str(tmp_path / f"{name}.so")]
        subprocess.run(command, input=code, text=True, check=True)
    changed = tmp_path / "changed.so"
    changed.write_bytes(isolation.prefer_own_symbols((tmp_path / "wheel.so").read_bytes()))
    ctypes.CDLL(str(tmp_path / "blender.so"), mode=os.RTLD_NOW | os.RTLD_GLOBAL)
    assert ctypes.CDLL(str(tmp_path / "wheel.so")).ask_wheel() == 1  # the clash is real
    assert ctypes.CDLL(str(changed)).ask_wheel() == 2


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
        WHEEL: "wheel",
    }


def problems_of(tmp_path: Path, content: dict[str, str]) -> list[str]:
    staged = tmp_path / "staged"
    for name in ("__init__.py", "labels/motion.py"):
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
