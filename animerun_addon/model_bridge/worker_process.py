# SPDX-License-Identifier: GPL-3.0-or-later
"""One model process from without: starting it with two private pipes, talking to it, ending it, and how it ended.

When to do what is supervisor.py's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

from ..errors import WorkerError
from .pipes import inherited, make_ready, read_ready, write_ready
from .protocol import End, Message, ProtocolError, take_message, to_bytes
from .service import Rhythm
from .worker_python import WorkerPython

# How long one that was ended may take to be gone; one that hangs in a driver cannot be waited for.
_GONE_S = 1.0
# So that one that never stops talking does not keep its listener.
_MOST_READS = 64
_LOG_TAIL_BYTES = 8192
# Without a console window, and behind Blender; on other systems the process sees to that itself.
_CREATION_FLAGS = 0
if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
_WINDOWS_CRASHES = {0xC0000005: "a crash (access violation)", 0xC0000374: "a crash (heap corruption)"}

# What it said, what was wrong with that, or None after the last.
Heard = Message | ProtocolError | None


class WorkerProcess:
    """A running model process. What it prints goes into a file, of which errors show the end.

    Nothing here waits for it, but for what ends it, and no thread is needed.
    """

    def __init__(self, folder: Path) -> None:
        """Not started yet: what holds it can end it whatever happens while it is."""
        self._folder = folder
        self._log = folder / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._is_group_ended = False
        self._heard, self._to_say = bytearray(), bytearray()
        self._is_deaf = False
        their_read_fd, self._write_fd = os.pipe()
        self._read_fd, their_write_fd = os.pipe()
        self._our_fds, self._their_fds = [self._read_fd, self._write_fd], [their_read_fd, their_write_fd]
        for number in (self._read_fd, self._write_fd):
            make_ready(number)

    def start(self, python: WorkerPython, program: Path, rhythm: Rhythm) -> None:
        """Begin it; a WorkerError says why not."""
        # -P: no folder of the program's becomes importable; -B: nothing is written beside it.
        words = [str(python.program), "-u", "-B", "-P", "-X", "utf8", "-X", "faulthandler", str(program)]
        names, how = inherited(self._their_fds)
        words += [*names, str(self._folder), *map(str, astuple(rhythm))]
        try:
            with self._log.open("wb") as output:
                self._process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=python.environment(),
                    start_new_session=sys.platform != "win32",  # so that it can be ended with all that it started
                    creationflags=_CREATION_FLAGS,
                    **how,
                )
        except OSError as error:
            raise WorkerError(
                f"Cannot start the Python '{python.program}' for models: {error.strerror or error}; choose another one"
            ) from error
        finally:
            _close(self._their_fds)

    @property
    def pid(self) -> int | None:
        """Its number in the system."""
        return None if self._process is None else self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone; what it started goes with it."""
        if self._process is not None and self._process.poll() is None:
            return False
        self._end_group()
        return True

    @property
    def news_fds(self) -> list[int]:
        """Where its next words arrive; nowhere after the last."""
        return [] if self._is_deaf else [self._read_fd]

    @property
    def is_behind(self) -> bool:
        """Whether it has not read all that was said to it."""
        return bool(self._to_say)

    def say(self, message: Message) -> None:
        """Send a message, as far as it reads; `push` sends the rest."""
        self._to_say += to_bytes(message)
        self.push()

    def push(self) -> None:
        """Send what it had not read yet."""
        try:
            write_ready(self._write_fd, self._to_say)
        except OSError:  # that it is gone is seen elsewhere
            self._to_say.clear()

    def hear(self) -> list[Heard]:
        """What it has said since the last call."""
        said: list[Heard] = []
        if self._is_deaf:
            return said
        for _ in range(_MOST_READS):
            data = read_ready(self._read_fd)
            if not data:
                break
            self._heard += data
        try:
            while (message := take_message(self._heard)) is not None:
                said.append(message)
        except ProtocolError as error:
            said.append(error)
            self._is_deaf = True
        if data == b"" and not self._is_deaf:
            said.append(None)
            self._is_deaf = True
        return said

    def end(self) -> None:
        """End it at once; it has nothing to tidy up. Does not raise. The last that is done with it.

        It is told as well: where a starter script stands between, only that is ended here, and the process would take
        the closed pipe for the end of its client.
        """
        if self._our_fds:
            self.say(End())
        self._kill()
        _close(self._our_fds)
        _close(self._their_fds)

    def wait(self, seconds: float) -> bool:
        """Whether it leaves by itself within that time."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        return self.has_ended

    def how_it_ended(self) -> str:
        """In words: what the system knows of it, and where it ended by itself its last line."""
        code = None if self._process is None else self._process.poll()
        if code is None or code < 0 or not self.last_words():
            return _exit_in_words(code)
        return f"{_exit_in_words(code)}: {self.last_words().rpartition(chr(10))[2]}"

    def last_words(self) -> str:
        """The end of what it printed."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, self._log.stat().st_size - _LOG_TAIL_BYTES))
                return log.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def _kill(self) -> None:
        if not self.has_ended:
            self._end_group()
            self.wait(_GONE_S)

    def _end_group(self) -> None:
        """Once only, and no later than the end is seen: from then on the system may give its number to another."""
        if self._process is None or self._is_group_ended:
            return
        self._is_group_ended = True
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)


def _close(fds: list[int]) -> None:
    """Each once, whatever comes between: a number may soon be another file's."""
    while fds:
        os.close(fds.pop())


def _exit_in_words(code: int | None) -> str:
    if code is None:
        return "it closed its pipe"
    if sys.platform == "win32":
        return _WINDOWS_CRASHES.get(code, f"it ended with code {code}")
    if code >= 0:
        return f"it ended with code {code}"
    if -code == signal.SIGKILL:
        return "it was killed, most likely because memory ran out"
    with contextlib.suppress(ValueError):
        return f"it crashed ({signal.Signals(-code).name})"
    return f"it was ended by signal {-code}"
