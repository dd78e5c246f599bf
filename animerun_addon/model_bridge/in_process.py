# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs model tasks in a thread of this very process, for scripts in a Python that has torch. Never within Blender.

Nothing is copied through files, and nothing can be ended by force: a crash takes the script along.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import Cancelled, ModelError
from .protocol import Array, Request, check_array, to_bytes
from .reply import Outcome, Reply
from .service import Call, Tasks


@dataclass(frozen=True)
class _Asked:
    options: Mapping[str, object]
    arrays: Mapping[str, Array]
    reply: Reply


class InProcess:
    """Answers requests one after the other, as a model process does."""

    def __init__(self, tasks: Tasks, array_bytes: int, stop_s: float) -> None:
        self._tasks = tasks
        self._array_bytes = array_bytes
        self._stop_s = stop_s
        self._last_id = 0
        self._asking = threading.Lock()
        self._is_closed = False
        self._waiting: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, task: str, options: Mapping[str, object], arrays: Mapping[str, Array]) -> Reply:
        """Hand in a request; copies the arrays, and waits for nothing else."""
        for name, array in arrays.items():
            check_array(name, array, self._array_bytes)
        copies = {name: np.array(array) for name, array in arrays.items()}
        with self._asking:
            if self._is_closed:
                raise ModelError("This model client was closed: make a new one")
            self._last_id += 1
            to_bytes(Request(self._last_id, task, dict(options), {}))  # what could not be said elsewhere, neither here
            reply = Reply(self._last_id, task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="animerun models", daemon=True)
                self._thread.start()
            self._waiting.put(_Asked(dict(options), copies, reply))
        return reply

    def look(self, _: float) -> None:
        """Nothing to see to: a thread does."""

    def close(self) -> None:
        """End all requests; what runs stops at its next layer."""
        with self._asking:
            self._is_closed = True
            self._waiting.put(None)
        if self._thread is not None:
            self._thread.join(self._stop_s)

    def _work(self) -> None:
        while (asked := self._waiting.get()) is not None:
            if not asked.reply.is_settled:
                asked.reply.settle(self._outcome(asked))
        self._tasks.release()

    def _outcome(self, asked: _Asked) -> Outcome:
        def stop() -> None:
            if self._is_closed or asked.reply.is_settled:
                raise Cancelled("The model client was closed")

        try:
            stop()
            return self._tasks.run(asked.reply.task, Call(asked.options, asked.arrays, stop))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            return error
