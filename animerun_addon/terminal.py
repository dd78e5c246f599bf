# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command line shows and whom it listens to: progress line, result, errors, a supervising Blender. No bpy."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .errors import Cancelled
from .progress import JobStatus

# Exit codes.
DONE, ANSWER_IS_NO, USER_MISTAKE, OUR_BUG, INTERRUPTED = 0, 1, 2, 3, 130


class No(dict[str, Any]):
    """What a command found out, when the answer to what it was asked is no."""


class Supervisor:
    """The Blender that started this process, if one did.

    It gets progress as lines of JSON in a file (stdout belongs to Blender's own chatter), and it holds our stdin
    open: when that closes, because it wants us to stop or because it died, the work ends before its next step.
    """

    def __init__(self, report: Path | None) -> None:
        self._report = report
        self._file: IO[str] | None = None
        self._left = threading.Event()

    def __enter__(self) -> Supervisor:
        if self._report is not None:
            self._file = self._report.open("a", encoding="utf-8")
            threading.Thread(target=self._wait_for_end_of_stdin, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def _wait_for_end_of_stdin(self) -> None:
        while os.read(0, 4096):
            pass
        self._left.set()

    def tell(self, **message: Any) -> None:
        """Report one message, as pipeline/child.py reads them."""
        if self._file is not None:
            self._file.write(json.dumps(message) + "\n")
            self._file.flush()

    def check(self) -> None:
        """Raises Cancelled when nobody is there any more."""
        if self._left.is_set():
            raise Cancelled("Cancelled")


class Terminal:
    """Prints for people or, with `as_json`, for programs."""

    def __init__(self, as_json: bool) -> None:
        self.supervisor = Supervisor(None)
        self._as_json = as_json
        self._line_is_open = False
        self._is_interrupted = False

    def show(self, status: JobStatus) -> None:
        """The progress line, rewritten in place; nothing when stderr is no terminal."""
        progress = status.progress
        self.supervisor.tell(done=progress.done, total=progress.total, message=progress.message)
        self.supervisor.check()
        if self._is_interrupted:
            raise Cancelled("Cancelled")
        if sys.stderr.isatty():
            line = f"{status.title}: {status.summary()}  {progress.message}"
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r" + line[:width].ljust(width))
            sys.stderr.flush()
            self._line_is_open = True

    @contextlib.contextmanager
    def heeding_ctrl_c(self) -> Iterator[None]:
        """Ctrl C ends the work before its next step, a second one at once.

        Raised wherever it strikes, the first could land in what Blender calls, and Blender drops what is raised there.
        """

        def note(*_: object) -> None:
            self._is_interrupted = True
            signal.signal(signal.SIGINT, before)

        try:
            # None: the handler is Blender's own.
            before = signal.signal(signal.SIGINT, note) or signal.default_int_handler
        except ValueError:  # only the main thread may
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def finish(self, result: dict[str, Any], code: int = DONE) -> int:
        """Print what a command made; returns the exit code."""
        self._close_line()
        self.supervisor.tell(result=result)
        if self._as_json:
            print(json.dumps(result))
        else:
            for name, value in result.items():
                _print(name, value)
        return code

    def fail(self, message: str, code: int) -> int:
        """Print why there is no result; returns the exit code."""
        self._close_line()
        self.supervisor.tell(error=message, cancelled=code == INTERRUPTED)
        if self._as_json:
            print(json.dumps({"error": message, "code": code}))
        sys.stderr.write(f"animerun: {message}\n")
        return code

    def _close_line(self) -> None:
        if self._line_is_open:
            sys.stderr.write("\n")
            self._line_is_open = False


def _print(name: str, value: Any) -> None:
    """One result; several below each other, and nothing of an empty list."""
    if isinstance(value, dict):
        value = [f"{key}: {item}" for key, item in value.items()]
    if not isinstance(value, list):
        print(f"{name}: {'none' if value is None else value}")
    elif value:
        print("\n  ".join([f"{name}:", *value]))


@contextlib.contextmanager
def quiet_blender(verbose: bool) -> Iterator[None]:
    """Keep stdout for the result: Blender's C code writes "Saved: ..." and the like to the same file descriptor."""
    if verbose:
        yield
        return
    sys.stdout.flush()
    stdout = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        sys.stdout.flush()
        _flush_c_buffers()  # else what Blender printed would come out after stdout is back
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(nowhere)


def _flush_c_buffers() -> None:
    library = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
    library.fflush(None)
