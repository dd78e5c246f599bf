# SPDX-License-Identifier: GPL-3.0-or-later
"""Sees to it that every request ends: starts a model process on demand, watches it, replaces it, tidies up after it.

All decisions are made in `_step`: by a thread of its own, or without threads by whoever looks at a reply. The process
gets one request at a time, so that an answer can only be to that one, and what still waits here survives a process that
had to be ended.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

from ..errors import AnimeRunError, Cancelled, ModelError, WorkerError
from .pipes import Bell, wait_for_news
from .protocol import (
    Alive,
    Answer,
    Array,
    Cancel,
    Failure,
    Hello,
    Leaving,
    ProtocolError,
    Request,
    Result,
    check_array,
    read_arrays,
    store_arrays,
    to_bytes,
)
from .reply import Outcome, Reply
from .scratch import Scratch
from .service import Rhythm, raised
from .worker_process import Heard, WorkerProcess
from .worker_python import WorkerPython

# Prefix of the files in which a request's arrays lie.
_IN = "in"
# How often a process is looked at that says nothing: one that has not read all, that works, is idle, is not there.
_BEHIND_TICK_S, _BUSY_TICK_S, _IDLE_TICK_S, _ALONE_TICK_S = 0.005, 0.1, 1.0, 60.0
# How long one that has said or shown that it leaves may take for it.
_LEAVING_S = 0.5


@dataclass(frozen=True)
class Limits:
    """What a client puts up with."""

    stop_s: float = 2.0  # from a cancel to the end of the process that has not heeded it
    start_s: float = 120.0  # until a new process says anything: Python may lie on a slow network drive
    silence_s: float = 60.0  # between two signs of life: importing torch holds them up
    array_bytes: int = 4 << 30  # of one array
    rhythm: Rhythm = field(default_factory=Rhythm)


@dataclass(frozen=True)
class _Asked:
    request: Request
    reply: Reply


class Supervisor:
    """Answers requests by means of one model process at a time."""

    def __init__(self, python: WorkerPython, program: Path, limits: Limits, *, threaded: bool) -> None:
        self._python = python
        self._program = program
        self._limits = limits
        self._is_threaded = threaded
        # Of all threads, under this lock.
        self._asking = threading.Lock()
        self._is_closed = False
        self._last_id = 0
        self._waiting: deque[_Asked] = deque()
        self._scratch: Scratch | None = None
        self._bell: Bell | None = None
        self._thread: threading.Thread | None = None
        # Of whoever decides, under this one; it is taken before the other.
        self._deciding = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._is_greeted = False
        self._running: _Asked | None = None
        self._last_step_s = time.monotonic()
        self._silent_s = 0.0
        self._ended_s = 0.0
        self._cancelled_s: float | None = None

    def ask(self, task: str, options: Mapping[str, object], arrays: Mapping[str, Array]) -> Reply:
        """Hand in a request; copies the arrays into files, and waits for nothing else."""
        for name, array in arrays.items():
            check_array(name, array, self._limits.array_bytes)
        request_id, scratch = self._begun()
        try:
            described = store_arrays(arrays, scratch.make_folder(request_id), _IN)
            request = Request(request_id, task, dict(options), described)
            to_bytes(request)  # can it be said at all?
        except BaseException:
            scratch.forget(request_id)
            if self._is_closed:  # meanwhile; the folder may have been made anew
                scratch.close()
            raise
        reply = Reply(request_id, task, self._wake, None if self._is_threaded else self.look)
        with self._asking:
            if not self._is_closed:
                self._waiting.append(_Asked(request, reply))
        if self._is_closed:
            scratch.close()
            reply.settle(_closed())
        self._wake()
        return reply

    def look(self, seconds: float) -> None:
        """Without threads: see to the requests, now or as soon as something comes within that time."""
        if not self._is_threaded and self._deciding.acquire(timeout=seconds):
            try:
                if seconds:
                    wait_for_news(self._news_fds(), min(seconds, self._tick_s()))
                with _ctrl_c_waits():
                    self._step_safely()
            finally:
                self._deciding.release()

    def close(self) -> None:
        """End the process and all requests; no file is left."""
        with _ctrl_c_waits():
            with self._asking:
                if self._is_closed:
                    return
                self._is_closed = True
                if self._bell is not None:
                    self._bell.ring()
            if self._thread is not None:
                self._thread.join()
            with self._deciding:
                self._finish()

    @property
    def pid(self) -> int | None:
        """The number of the process, if there is one."""
        worker = self._worker
        return None if worker is None else worker.pid

    def _begun(self) -> tuple[int, Scratch]:
        with _ctrl_c_waits(), self._asking:
            self._refuse_if_closed()
            if self._scratch is None:
                self._scratch = Scratch()
            if self._is_threaded and self._thread is None:
                self._bell = Bell()
                self._thread = threading.Thread(target=self._supervise, name="animerun models", daemon=True)
                self._thread.start()
            self._last_id += 1
            return self._last_id, self._scratch

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise ModelError("This model client was closed: make a new one")

    def _wake(self) -> None:
        """Something is to be decided."""
        self.look(0.0)
        with self._asking:
            if self._bell is not None and not self._is_closed:
                self._bell.ring()

    # From here on: whoever decides.

    def _supervise(self) -> None:
        assert self._bell is not None
        while not self._is_closed:
            wait_for_news([self._bell.fd, *self._news_fds()], self._tick_s())
            self._bell.hush()
            with self._deciding:
                self._step_safely()

    def _news_fds(self) -> list[int]:
        return [] if self._worker is None else self._worker.news_fds

    def _tick_s(self) -> float:
        if self._worker is None:
            return _ALONE_TICK_S
        if self._worker.is_behind:
            return _BEHIND_TICK_S
        return _IDLE_TICK_S if self._running is None else _BUSY_TICK_S

    def _step_safely(self) -> None:
        try:
            if not self._is_closed:
                self._step()
        except Exception as bug:  # noqa: BLE001 - who waits must hear of it, and the next must be served
            traceback.print_exc(file=sys.stderr)
            self._lose(f"{type(bug).__name__}: {bug} (a bug of ours: the console has the details)")

    def _finish(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None
        self._end_all(_closed)
        if self._scratch is not None:
            self._scratch.close()
        if self._bell is not None:
            self._bell.close()

    def _step(self) -> None:
        now_s, tick_s = time.monotonic(), self._tick_s()
        # Never much more than a tick: a laptop may have slept meanwhile, or nobody looked.
        waited_s = min(now_s - self._last_step_s, 2 * tick_s)
        self._last_step_s = now_s
        worker = self._worker
        if worker is not None:
            worker.push()
            for message in worker.hear():
                if worker is self._worker:  # not lost by what it said before
                    self._take(message)
        self._watch(waited_s)
        self._dispatch()

    def _take(self, message: Heard) -> None:
        self._silent_s = 0.0
        match message:
            case Hello():
                self._is_greeted = True
            case Alive():
                pass
            case Result() | Failure():
                self._conclude(message)
            case Leaving():
                self._retire()
            case None:
                self._lose_ended()
            case ProtocolError():
                self._lose(f"what it said makes no sense ({message})")
            case _:
                self._lose(f"it said what only a client says ({message})")

    def _conclude(self, message: Result | Failure) -> None:
        asked = self._running
        if asked is None or message.id != asked.request.id:
            self._lose("it answered what it was not asked")
            return
        try:
            outcome = self._outcome(message, asked)
        except ProtocolError as error:
            self._lose(f"its answer makes no sense ({error})")
            return
        self._running = None
        self._end(asked, outcome)

    def _outcome(self, message: Result | Failure, asked: _Asked) -> Outcome:
        if isinstance(message, Failure):
            return raised(message)
        if asked.reply.is_settled:  # nobody wants the arrays
            return Answer()
        assert self._scratch is not None
        try:
            folder = self._scratch.folder_of(asked.request.id)
            return Answer(message.values, read_arrays(message.arrays, folder, self._limits.array_bytes))
        except AnimeRunError as error:
            return error
        except MemoryError:
            return ModelError(f"The answer to '{asked.request.task}' needs more memory than there is")

    def _watch(self, waited_s: float) -> None:
        if self._worker is None:
            return
        self._silent_s += waited_s
        if self._worker.has_ended:  # something that it started may hold its pipe open
            self._ended_s += waited_s
            if self._ended_s > self._limits.stop_s:
                self._lose_ended()
            return
        limit_s = self._limits.silence_s if self._is_greeted else self._limits.start_s
        if self._silent_s > limit_s:
            self._lose(f"nothing was heard of it for {limit_s:g} s")
        elif self._running is not None and self._running.reply.is_settled:
            self._stop_running(self._running, waited_s)

    def _stop_running(self, asked: _Asked, waited_s: float) -> None:
        """Its caller has gone: ask the process to stop, and end it when it does not."""
        assert self._worker is not None
        if self._cancelled_s is None:
            self._cancelled_s = 0.0
            self._worker.say(Cancel(asked.request.id))
            return
        self._cancelled_s += waited_s
        if self._cancelled_s > self._limits.stop_s:
            self._worker.end()
            self._worker = self._running = None
            self._end(asked, Cancelled())

    def _dispatch(self) -> None:
        if self._running is not None or not self._take_next():
            return
        asked = self._running
        assert asked is not None
        try:
            worker = self._living_worker()
        except WorkerError as error:
            if self._worker is not None:
                self._worker.end()
                self._worker = None
            self._end_all(partial(WorkerError, str(error)))
            return
        self._cancelled_s = None
        worker.say(asked.request)

    def _take_next(self) -> bool:
        """The first that is still wanted becomes the running one; those that are not go, wherever they wait."""
        with self._asking:
            unwanted = [asked for asked in self._waiting if asked.reply.is_settled]
            self._waiting = deque(asked for asked in self._waiting if not asked.reply.is_settled)
            self._running = self._waiting.popleft() if self._waiting else None
        for asked in unwanted:
            self._end(asked, Cancelled())
        return self._running is not None

    def _living_worker(self) -> WorkerProcess:
        """The process, or a new one: it may have died while it had nothing to do."""
        assert self._scratch is not None
        if self._worker is not None and self._worker.has_ended:
            self._worker.end()
            self._worker = None
        if self._worker is None:
            self._is_greeted, self._silent_s, self._ended_s = False, 0.0, 0.0
            self._worker = WorkerProcess(self._scratch.folder)
            self._worker.start(self._python, self._program, self._limits.rhythm)
        return self._worker

    def _retire(self) -> None:
        """An idle process leaves. A request that crossed its word of it goes to the next."""
        assert self._worker is not None
        self._worker.wait(_LEAVING_S)
        self._worker.end()
        self._worker = None
        if self._running is not None:
            with self._asking:
                self._waiting.appendleft(self._running)
            self._running = None

    def _lose_ended(self) -> None:
        assert self._worker is not None
        self._worker.wait(_LEAVING_S)
        self._lose(self._worker.how_it_ended())

    def _lose(self, reason: str) -> None:
        """The process is not to be used any more, and all that waits is told."""
        last_words = ""
        if self._worker is not None:
            self._worker.end()
            last_words = self._worker.last_words()
            self._worker = None

        def error() -> WorkerError:  # one for each: whoever raises it changes it
            made = WorkerError(f"The model process was lost: {reason}. The next request starts a new one")
            if last_words:
                made.add_note(f"The last that it printed:\n{last_words}")
            return made

        self._end_all(error)

    def _end_all(self, outcome: Callable[[], Outcome]) -> None:
        with self._asking:
            ended, self._waiting = list(self._waiting), deque()
        if self._running is not None:
            ended.insert(0, self._running)
            self._running = None
        for asked in ended:
            self._end(asked, outcome())

    def _end(self, asked: _Asked, outcome: Outcome) -> None:
        """The process has done with it: its files go, and its caller hears of it, if nothing came before."""
        assert self._scratch is not None
        self._scratch.forget(asked.request.id)
        asked.reply.settle(outcome)


def _closed() -> Cancelled:
    return Cancelled("The model client was closed")


@contextlib.contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """It strikes after the block: half a decision, or half a start or end, cannot be undone."""
    raises = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(raises):
        yield
        return
    struck: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda _, frame: struck.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, raises)
        if struck:
            raises(signal.SIGINT, struck[0])
