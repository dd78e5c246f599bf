# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a short-lived program beside Blender and looks at it now and then, without threads; it ends with its watcher.

What to run and what it says is the callers'. The process of models is worker_process.py's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import InputError
from ..progress import Progress, Steps

_POLL_S = 0.02  # short: Blender's window may be what waits
# How long it may take to end by itself once its stdin is closed.
_GRACE_S = 0.5
# Without a console window.
CREATION_FLAGS = 0
if sys.platform == "win32":
    CREATION_FLAGS = subprocess.CREATE_NO_WINDOW


def watched_steps(
    words: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    telling: Callable[[], Progress],
    patience_s: float | None = None,
) -> Steps[int | None]:
    """Its exit code once it has ended, or None if it took longer than `patience_s`. What it prints goes into `log`."""
    give_up_s = None if patience_s is None else time.monotonic() + patience_s
    with _running(words, environment, log) as process:
        while process.poll() is None:
            if give_up_s is not None and time.monotonic() > give_up_s:
                return None
            yield telling()
            time.sleep(_POLL_S)
        return process.returncode


@contextlib.contextmanager
def _running(words: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=sys.platform != "win32",  # so that it can be ended with all that it started
                creationflags=CREATION_FLAGS,
            )
    except OSError as error:
        raise InputError(f"Cannot start '{words[0]}': {error.strerror or error}; choose another one") from error
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    if process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    if process.returncode is None:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
