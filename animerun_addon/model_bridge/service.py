# SPDX-License-Identifier: GPL-3.0-or-later
"""The model process from within: one request at a time, told to stop from beside, and gone when its client is.

What it can do is handed in as a table of tasks (worker.py has ours). No bpy, no torch.
"""

from __future__ import annotations

import os
import platform
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import errors
from ..errors import AnimeRunError, Cancelled, ModelError
from .protocol import (
    Alive,
    Answer,
    Array,
    Cancel,
    End,
    Failure,
    Hello,
    Leaving,
    Message,
    ProtocolError,
    Request,
    Result,
    map_arrays,
    store_arrays,
    take_message,
    to_bytes,
)
from .scratch import delete

# Prefix of the files in which results lie.
OUT = "out"
# Behind Blender and whatever else wants the processor: the interface keeps drawing.
_NICENESS = 5
_AT_ONCE_BYTES = 1 << 16
# Where nobody listens any more the client was killed, which the listening thread is about to hear and tidy up after,
# or the pipe alone broke, and the client lives and tidies up itself.
_LISTEN_ON_S = 1.0


@dataclass(frozen=True)
class Call:
    """What a task gets. Its arrays may vanish after it returned: what it keeps it copies."""

    options: Mapping[str, Any]
    arrays: Mapping[str, Array]
    # To be called between layers and iterations: raises Cancelled once the answer is not wanted any more.
    stop: Callable[[], None]


Task = Callable[[Call], Answer]


@dataclass(frozen=True)
class Tasks:
    """What a model process can do."""

    by_name: Mapping[str, Task]
    release: Callable[[], None] = field(default=lambda: None)  # let memory go that only makes the next call faster

    def run(self, name: str, call: Call) -> Answer:
        """Raises AnimeRunError or Cancelled, and nothing else but what ends the process."""
        try:
            if name not in self.by_name:
                raise ModelError(f"There is no model task '{name}': there are {', '.join(sorted(self.by_name))}")
            return self.by_name[name](call)
        except (AnimeRunError, Cancelled):
            raise
        except Exception as error:
            raise _explained(name, error) from error


def _explained(task: str, error: Exception) -> ModelError:
    """An error for users out of one of Python's or torch's."""
    # torch says it in three ways, and none can be imported here.
    out_of_memory = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    if out_of_memory or "can't allocate memory" in str(error):
        return ModelError(f"'{task}' needs more memory than there is: take smaller frames or another device")
    first_line = str(error).strip().partition("\n")[0]
    return ModelError(f"'{task}' failed: {type(error).__name__}: {first_line}")


@dataclass(frozen=True)
class Rhythm:
    """How often a model process says that it lives, and when an idle one lets go of memory and ends."""

    heartbeat_s: float = 1.0
    release_s: float = 60.0
    end_s: float = 600.0


class Line:
    """This side's ends of the two pipes. Any thread may say something; one thread listens."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._heard = bytearray()
        self._one_at_a_time = threading.Lock()

    def say(self, message: Message) -> None:
        """Send it whole. OSError when nobody listens any more."""
        data = memoryview(to_bytes(message))
        with self._one_at_a_time:
            while data:
                data = data[os.write(self._write_fd, data) :]

    def hear(self) -> Message | None:
        """Wait for the next message; None when the client is gone."""
        while (message := take_message(self._heard)) is None:
            data = os.read(self._read_fd, _AT_ONCE_BYTES)
            if not data:
                return None
            self._heard += data
        return message


class Service:
    """Answers requests until the client ends it, is gone, or has not asked for long."""

    def __init__(self, line: Line, folder: Path, rhythm: Rhythm, tasks: Tasks) -> None:
        self._line = line
        self._folder = folder
        self._rhythm = rhythm
        self._tasks = tasks
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._cancelled_id = 0
        self._leaving = threading.Lock()

    def serve(self) -> None:
        """Does not return: ends the process."""
        code = 1
        try:
            self._work()
            code = 0
        except OSError:
            time.sleep(_LISTEN_ON_S)
        except BaseException:  # noqa: BLE001 - a bug of a task's or of ours: into the log, and not to hang at the exit
            traceback.print_exc()
        with self._leaving:
            leave(code)

    def _work(self) -> None:
        self._line.say(Hello(os.getpid(), platform.python_version()))
        for work in (self._listen, self._beat):
            threading.Thread(target=work, name=f"animerun {work.__name__}", daemon=True).start()
        while (request := self._next()) is not None:
            self._line.say(self._answered(request))
        self._line.say(Leaving())

    def _next(self) -> Request | None:
        """The next request; None after a long time without one."""
        rest_s = max(0.0, self._rhythm.end_s - self._rhythm.release_s)
        try:
            return self._requests.get(timeout=self._rhythm.release_s)
        except queue.Empty:
            self._tasks.release()
        try:
            return self._requests.get(timeout=rest_s)
        except queue.Empty:
            return None

    def _answered(self, request: Request) -> Message:
        folder = self._folder / str(request.id)

        def stop() -> None:
            if self._cancelled_id == request.id:
                raise Cancelled

        try:
            arrays = map_arrays(request.arrays, folder)
            answer = self._tasks.run(request.task, Call(request.options, arrays, stop))
            result = Result(request.id, dict(answer.values), store_arrays(answer.arrays, folder, OUT))
            to_bytes(result)  # can it be said at all?
        except (AnimeRunError, Cancelled) as error:
            return _failure(request.id, error)
        except ProtocolError as error:  # somebody tidied up the temporary folder
            return _failure(request.id, ModelError(f"The arrays of '{request.task}' cannot be read: {error}"))
        return result

    def _listen(self) -> None:
        """In a thread of its own: a cancel has to be heard while the request is worked on."""
        try:
            while (message := self._line.hear()) is not None:
                match message:
                    case Request():
                        self._requests.put(message)
                    case Cancel():
                        self._cancelled_id = message.id
                    case End():
                        leave()
                    case _:
                        raise ProtocolError(f"a client does not say {message}")
        except ProtocolError as error:
            print(f"The client cannot be understood: {error}", file=sys.stderr)
            leave(1)
        self._leave_orphaned()

    def _beat(self) -> None:
        parent = os.getppid()
        while True:
            time.sleep(self._rhythm.heartbeat_s)
            # A process that the client forked may hold its end of the pipe open when the client itself is gone.
            if sys.platform != "win32" and os.getppid() != parent:
                self._leave_orphaned()
            try:
                self._line.say(Alive())
            except OSError:
                time.sleep(_LISTEN_ON_S)
                leave(1)

    def _leave_orphaned(self) -> None:
        """The client was killed: its files are left to this process."""
        with self._leaving:  # the first to notice; another thread would leave while files are still being deleted
            delete(self._folder)
            leave()


def _failure(request_id: int, error: AnimeRunError | Cancelled) -> Failure:
    details = "".join(traceback.format_exception(error.__cause__)) if error.__cause__ is not None else ""
    known = next(kind for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
    return Failure(request_id, known.__name__, str(error)[:4000], details[-20000:])


def raised(failure: Failure) -> Exception:
    """The error that a failure stands for."""
    kind = getattr(errors, failure.error, ModelError)
    if not (isinstance(kind, type) and issubclass(kind, AnimeRunError | Cancelled)):
        kind = ModelError
    error = kind(failure.message)
    if failure.details:
        error.add_note(failure.details)
    return error


def leave(code: int = 0) -> None:
    """End this process now, whatever its other threads and torch are doing."""
    os._exit(code)


def main(arguments: list[str], tasks: Tasks) -> None:
    """What a model process does, begun by worker_process.py with these words."""
    read_end, write_end, folder, *rhythm = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl C in a terminal reaches all processes; the client decides
    if sys.platform != "win32":  # there the client sets it
        os.nice(_NICENESS)
    line = Line(_private_fd(read_end, os.O_RDONLY), _private_fd(write_end, os.O_WRONLY))
    Service(line, Path(folder), Rhythm(*map(float, rhythm)), tasks).serve()


def _private_fd(number: str, access: int) -> int:
    """A pipe's end that the client let this process inherit, from now on nobody else."""
    if sys.platform == "win32":
        import msvcrt

        return msvcrt.open_osfhandle(int(number), access | os.O_NOINHERIT)
    os.set_inheritable(int(number), False)
    return int(number)
