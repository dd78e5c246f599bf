# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs every test this machine can run, and says which it could not and why.

Pure tests and Blender tests in the main environment, Blender tests again in each further Blender whose Python is
here, interface tests in a real Blender window and in a browser (installed where we are root). Ends with one table and,
when anything failed, with code 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import chromium
from real_blender import Missing
from setup_env import FURTHER, MAIN_BLENDER_BY_PYTHON

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "out" / "tests"
# No limit on speed: a suite takes a minute or two, and one that hangs must not take the whole day.
HANGS_AFTER_S = 1200


@dataclass(frozen=True)
class Outcome:
    """What one pytest run counted, or why there was none."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    not_run: str = ""


def run_pytest(name: str, python: Path, folders: list[str], extra: list[str]) -> Outcome:
    """One suite in one Python; the counts come from pytest's own report, so a crash counts as a failure."""
    print(f"\n=== {name}: {', '.join(folders)}", flush=True)
    report = REPORTS / f"{name.replace(' ', '-')}.xml"
    report.unlink(missing_ok=True)
    start_s = time.monotonic()
    command = [str(python), "-m", "pytest", "-q", f"--junitxml={report}", *extra, *folders]
    try:
        code = subprocess.run(command, cwd=ROOT, check=False, timeout=HANGS_AFTER_S).returncode
    except subprocess.TimeoutExpired:
        return Outcome(name, failed=1, seconds=HANGS_AFTER_S, not_run=f"pytest hung for {HANGS_AFTER_S // 60} minutes")
    seconds = time.monotonic() - start_s
    if code not in (0, 1) or not report.exists():
        return Outcome(name, failed=1, seconds=seconds, not_run=f"pytest ended with code {code}")
    suite = ElementTree.parse(report).getroot().find("testsuite")  # noqa: S314
    assert suite is not None
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    skipped = int(suite.attrib["skipped"])
    passed = int(suite.attrib["tests"]) - failed - skipped
    return Outcome(name, passed, failed, skipped, seconds)


def further_environment(name: str) -> Path | str:
    """The Python of a second environment, made now if its interpreter is here; else why not."""
    version = ".".join(map(str, FURTHER[name][0]))
    find = ["sh", "tools/find_python.sh", version]
    found = subprocess.run(find, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        return f"no Python {version} here"
    made = subprocess.run([found.stdout.strip(), "tools/setup_env.py", name], cwd=ROOT, check=False)
    if made.returncode != 0:
        return "its environment could not be made (see above)"
    return ROOT / f".venv-{name}" / "bin" / "python"


def main() -> int:
    """Run all suites; the exit code says whether everything that ran passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="the long torture runs as well")
    options = parser.parse_args()
    extra = [] if options.all else ["-m", "not torture"]
    REPORTS.mkdir(parents=True, exist_ok=True)

    main_python = Path(sys.executable)
    outcomes = [run_pytest("main", main_python, ["tests/pure", "tests/blender"], extra)]
    main_blender = MAIN_BLENDER_BY_PYTHON[sys.version_info[:2]]
    for name in [name for name, (_, blender) in FURTHER.items() if blender != main_blender]:
        python = further_environment(name)
        if isinstance(python, str):
            outcomes.append(Outcome(name, not_run=python))
        else:
            outcomes.append(run_pytest(name, python, ["tests/blender"], extra))
    browser = chromium.prepare()
    if isinstance(browser, Missing):
        print(f"\nno browser, so its tests will be skipped: {browser.reason}", flush=True)
    outcomes.append(run_pytest("window", main_python, ["tests/gui"], extra))
    return summarize(outcomes)


def summarize(outcomes: list[Outcome]) -> int:
    """The closing table."""
    print("\n=== Summary")
    for outcome in outcomes:
        counts = f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped, {outcome.seconds:.0f} s"
        print(f"{outcome.name:8} {f'NOT RUN: {outcome.not_run}' if outcome.not_run else counts}")
    passed, failed, skipped = (sum(getattr(o, key) for o in outcomes) for key in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
