# SPDX-License-Identifier: GPL-3.0-or-later
"""What switching the add-on on adds to the start of Blender, in fresh processes; and the shell's `animerun version`."""

from __future__ import annotations

import subprocess
import sys

from measure import Target, measure_in_turn, report

ROUNDS = 9


def python(*arguments: str) -> None:
    """One fresh process."""
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    """Blender without and with the add-on, Python without and with the command line."""
    enable = "import bpy, addon_utils; assert addon_utils.enable('animerun_addon')"
    seconds = measure_in_turn(
        {
            "blender": lambda: python("-c", "import bpy"),
            "blender with the add-on": lambda: python("-c", enable),
            "python": lambda: python("-c", "pass"),
            "animerun version": lambda: python("-m", "animerun_addon", "version"),
        },
        ROUNDS,
    )
    figures = {f"{name}, s": value for name, value in seconds.items()}
    figures["start with the add-on / without"] = seconds["blender with the add-on"] / seconds["blender"]
    figures["animerun version / import bpy"] = seconds["animerun version"] / seconds["blender"]
    report(
        "startup",
        figures,
        {
            "start with the add-on / without": Target(1.15, "lower"),
            "animerun version / import bpy": Target(0.5, "lower"),
        },
    )


if __name__ == "__main__":
    main()
