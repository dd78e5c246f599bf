# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: every bench, one after the other, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# What several benches share; and `*_literal.py`, the straightforward variants that ours are held against.
NO_BENCH = {"measure.py", "labelled.py", "docs_table.py", "run_all.py"}


def is_shared(path: Path) -> bool:
    """Whether a file measures nothing by itself."""
    return path.name in NO_BENCH or path.stem.endswith("_literal")


def main() -> int:
    """0 whether targets are met or not; 1 when a bench itself broke."""
    files = [path for path in sorted(Path(__file__).parent.glob("*.py")) if not is_shared(path)]
    broken = [path.name for path in files if subprocess.run([sys.executable, str(path)], check=False).returncode != 0]
    if broken:
        print("These benches broke:", ", ".join(broken), file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
