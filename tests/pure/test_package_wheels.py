# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make package` bundles: the right wheels, unharmed, and able to live beside Blender's libraries. No network."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tiny_wheels import CV, EXR, ROOT, FakeIndex, make_wheel, wheel_file_for, wheels

isolation = importlib.import_module("package_isolation")


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
