# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that answers as a Python does which is asked what it is and runs pip: as the test tells it. No tests."""

import json
import sys

from animerun_addon.model_bridge.python_probe import MARK, MODULES
from animerun_addon.model_bridge.worker_python import this_build

WHOLE = {"torch": "2.9.1+cpu", "numpy": "2.3.1", "opencv-python-headless": "4.12.0", "safetensors": "0.6.2"}

PROGRAM = """#!{python} -ES
import json, os, sys, time
from pathlib import Path
here, words = Path({here!r}), sys.argv[1:]
if words[0] == "-c":
    sys.argv[:] = words[:1] + words[2:]
    exec(words[1])
    sys.exit()
if any("python_probe" in word for word in words):
    exec((here / "probe.py").read_text())
    sys.exit()
with (here / "asked.jsonl").open("a") as asked:
    asked.write(json.dumps({{"words": words, "environment": dict(os.environ)}}) + "\\n")
target = Path(words[words.index("--target") + 1])
def install(*modules):
    for module in modules:
        (target / module).mkdir(parents=True, exist_ok=True)  # as pip in its second run
        (target / module / "__init__.py").write_text("a package")
exec((here / "pip.py").read_text())
"""


class FakePython:
    """The program and what it was asked; `pip` and `probe` are what it does then, as Python code."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self.program = folder / "python"
        self.program.write_text(PROGRAM.format(python=sys.executable, here=str(folder)))
        self.program.chmod(0o755)
        self.does(f"install(*{list(MODULES.values())})")
        self.says()

    def does(self, code):
        """When it is to run pip."""
        (self.folder / "pip.py").write_text(code)

    def says(self, versions=WHOLE, failures=None, version=None, build=None, devices=("Processor",)):
        """When it is asked what it is and has."""
        build = build or this_build()
        told = {
            "version": version or list(sys.version_info[:3]),
            "build": [build.python, build.system, build.machine],
            "versions": versions,
            "failures": failures or {},
            "devices": list(devices),
        }
        self.answers(f"print('libraries print this'); print({MARK + json.dumps(told)!r}); print('and that')")

    def answers(self, code):
        """The same as code."""
        (self.folder / "probe.py").write_text(code)

    def asked(self):
        """Of each run of pip: its words and its variables."""
        path = self.folder / "asked.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
