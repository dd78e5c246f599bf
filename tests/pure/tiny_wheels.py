# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels of one file and an index that serves them, for the tests of `make package`. Makes tools/ importable."""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.util
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
wheels = importlib.import_module("package_wheels")

CV = wheels.Pin("opencv-python-headless", "5.0.0.93")
EXR = wheels.Pin("OpenEXR", "3.5.3")


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
