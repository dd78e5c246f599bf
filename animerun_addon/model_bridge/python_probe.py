# SPDX-License-Identifier: GPL-3.0-or-later
"""Run as a file by another Python, of any version: tells in one line of JSON what that Python is and has.

With "packages" as its word it imports what networks need as well, which takes seconds. Imports nothing of ours.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # What lies beside this file is not to be taken for somebody's packages.
    _here = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - pathlib is not loaded yet
    sys.path[:] = [path for path in sys.path if os.path.realpath(path or ".") != _here]

import importlib
import importlib.util
import json
import platform

# Modules by the names of their packages.
MODULES = {"torch": "torch", "numpy": "numpy", "opencv-python-headless": "cv2", "safetensors": "safetensors"}
# What begins the line that counts, among what libraries print.
MARK = "animerun-probe: "


def told(with_packages: bool) -> dict[str, object]:
    """What there is to say."""
    versions, failures, devices = {}, {}, []
    for package, module in MODULES.items() if with_packages else ():
        try:
            versions[package] = str(importlib.import_module(module).__version__)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in somebody's library is what is told
            if importlib.util.find_spec(module) is not None:
                failures[package] = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
    if "torch" in versions:
        devices = devices_of_torch()
    return {
        "version": list(sys.version_info[:3]),
        "build": [sys.implementation.cache_tag, sys.platform, platform.machine()],
        "versions": versions,
        "failures": failures,
        "devices": devices,
    }


def devices_of_torch() -> list[str]:
    """What torch can compute on, the best first."""
    torch = importlib.import_module("torch")
    found = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("Apple GPU")
    return [*found, "Processor"]


if __name__ == "__main__":
    print(f"\n{MARK}{json.dumps(told('packages' in sys.argv[1:]))}", flush=True)
