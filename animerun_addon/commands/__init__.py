# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell commands that make data sets and judge them; cli.py joins them with the others."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

# Adds a command: its name, what runs it (options, terminal -> result), and what it does in one line.
AddCommand = Callable[[str, Callable[..., dict[str, Any]], str], argparse.ArgumentParser]
