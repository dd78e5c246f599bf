# SPDX-License-Identifier: GPL-3.0-or-later
"""What every bench shares: measure ours and the baseline in turn within one run, print a table, write the figures.

Times are only ever compared within a run: machines differ, and the same machine differs from minute to minute.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

OUT = Path(__file__).parents[1] / "out" / "bench"


@dataclass(frozen=True)
class Target:
    """What a figure should reach."""

    limit: float
    better: Literal["lower", "higher"]

    def is_met(self, figure: float) -> bool:
        """Whether the figure is on the right side of the limit."""
        return figure <= self.limit if self.better == "lower" else figure >= self.limit


def measure_in_turn(candidates: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> dict[str, float]:
    """Median seconds of each candidate; they take turns, so that a slow minute hits all of them alike."""
    times_s: dict[str, list[float]] = {name: [] for name in candidates}
    for round_number in range(-warm_up, rounds):
        for name, run in candidates.items():
            start_s = time.perf_counter()
            run()
            if round_number >= 0:
                times_s[name].append(time.perf_counter() - start_s)
    return {name: statistics.median(times) for name, times in times_s.items()}


def report(name: str, figures: Mapping[str, float], targets: Mapping[str, Target]) -> None:
    """Print the table and write out/bench/NAME.json. A missed target is a fact to report, not a failure."""
    met = {key: target.is_met(figures[key]) for key, target in targets.items()}
    print(f"\n{name}")
    for key, figure in figures.items():
        goal = ""
        if key in targets:
            sign = "<=" if targets[key].better == "lower" else ">="
            goal = f"{sign} {targets[key].limit:g}  {'met' if met[key] else 'MISSED'}"
        print(f"  {key:40} {figure:10.4g}  {goal}")
    OUT.mkdir(parents=True, exist_ok=True)
    content = {
        "figures": dict(figures),
        "targets": {key: asdict(target) for key, target in targets.items()},
        "met": met,
        "machine": machine(),
    }
    (OUT / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def machine() -> dict[str, str | int | None]:
    """What the figures were measured on."""
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def peak_gb() -> float:
    """The most memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():  # the other way counts what the parent held when it started this process
        line = next(each for each in status.read_text(encoding="utf-8").splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    import resource  # not on Windows

    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
