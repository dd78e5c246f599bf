# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's version, read from the manifest: the one place where it is written."""

import tomllib
from pathlib import Path

MANIFEST = Path(__file__).with_name("blender_manifest.toml")
VERSION: str = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["version"]
