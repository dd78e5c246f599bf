# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command of ours in a Blender of its own, so that the animator goes on animating.

The child writes its progress as lines of JSON into a file, and ends when its stdin closes: cancelled, finished,
or because this Blender is gone, it never stays behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import bpy

from ..errors import AnimeRunError, BlenderError, Cancelled, blenders_words
from ..progress import Progress, Steps
from .job import Job

POLL_S = 0.1
# How long a child may take to end by itself once it was asked to; then it is ended.
GRACE_S = 2.0
LOG_TAIL_LINES = 5

ADDON_PACKAGE = __package__.rpartition(".")[0]


def command_job(title: str, arguments: Sequence[str]) -> Job[dict[str, Any]]:
    """`animerun <arguments>` in a child, as a job."""
    return _job(title, _command_steps(arguments))


def command_on_open_file_job(title: str, command: str, options: Sequence[str]) -> Job[dict[str, Any]]:
    """`animerun <command> FILE <options>` in a child; FILE is a copy of the open file, unsaved changes included."""
    folder = tempfile.TemporaryDirectory(prefix="animerun_", ignore_cleanup_errors=True)
    copy = Path(folder.name) / "open_file.blend"
    try:
        save_copy(copy)
    except AnimeRunError:
        folder.cleanup()
        raise
    return _job(title, _then_clean_up(_command_steps([command, str(copy), *options]), folder))


def _job(title: str, steps: Steps[dict[str, Any]]) -> Job[dict[str, Any]]:
    return Job(title, steps, pause_s=POLL_S, outlives_file=True)


def save_copy(path: Path) -> None:
    """Save the open file as a copy; what it is called and whether it counts as changed stays as it is."""
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, compress=False, relative_remap=True)
    except RuntimeError as error:
        raise BlenderError(f"The open file cannot be saved as a copy: {blenders_words(error)}") from error


def _then_clean_up(steps: Steps[dict[str, Any]], folder: tempfile.TemporaryDirectory[str]) -> Steps[dict[str, Any]]:
    with folder:
        return (yield from steps)


def _command_steps(arguments: Sequence[str]) -> Steps[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="animerun_", ignore_cleanup_errors=True) as folder:
        report, log = Path(folder) / "progress.jsonl", Path(folder) / "log.txt"
        report.touch()
        with report.open(encoding="utf-8") as messages, _child([*arguments, "--report-to", str(report)], log) as child:
            progress, answer = Progress(0, 0, "Starting Blender"), None
            while answer is None:
                yield progress
                has_ended = child.poll() is not None  # looked at first: what it wrote before it ended is still read
                for message in _new_messages(messages):
                    if "done" in message:
                        progress = Progress(**message)
                    else:
                        answer = message
                if has_ended and answer is None:
                    raise BlenderError(f"The background Blender ended with code {child.returncode}: {_tail(log)}")
    return _result(answer)


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    if "result" in answer:
        return answer["result"]
    if answer["cancelled"]:
        raise Cancelled(answer["error"])
    raise BlenderError(answer["error"])


def _new_messages(file: IO[str]) -> Iterator[dict[str, Any]]:
    """The whole lines written since the last call; a line still being written is left for the next."""
    while True:
        start = file.tell()
        line = file.readline()
        if not line.endswith("\n"):
            file.seek(start)
            return
        yield json.loads(line)


@contextlib.contextmanager
def _child(arguments: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command, environment = _launcher()
    with log.open("wb") as output:
        child = subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    try:
        yield child
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        child.stdin.close()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _launcher() -> tuple[list[str], dict[str, str]]:
    """The words that start `animerun` in a Blender like this one, and the environment for it."""
    environment = dict(os.environ)
    if bpy.app.binary_path:
        # The add-on may be switched on in this session only: the child is told by name.
        return [bpy.app.binary_path, "--background", "--addons", ADDON_PACKAGE, "--command", "animerun"], environment
    # bpy as a module: its Python runs the package from where it lies.
    package_folder = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_folder, environment.get("PYTHONPATH")]))
    return [sys.executable, "-m", ADDON_PACKAGE], environment


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-LOG_TAIL_LINES:]) or "it printed nothing"
