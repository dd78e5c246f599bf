# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller holds of a request: it ends exactly once, with an answer or a named error.

Who answers is not known here.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from ..errors import Cancelled, ModelTimeoutError
from ..progress import Progress, Steps
from .protocol import Answer

Outcome = Answer | Exception

# Ctrl C is heard in between.
_LOOK_S = 0.1


class Reply:
    """The answer to a request, once it is there. Any thread may wait for it or cancel it."""

    def __init__(
        self,
        request_id: int,
        task: str,
        on_unwanted: Callable[[], None] = lambda: None,
        look: Callable[[float], None] | None = None,
    ) -> None:
        """`on_unwanted` is called when the caller does not want the answer any more; `look`, where nobody else sees to
        requests, does so for at most so many seconds.
        """
        self.id = request_id
        self.task = task
        self._on_unwanted = on_unwanted
        self._look = look
        self._outcome: Outcome | None = None
        self._settling = threading.Lock()
        self._settled = threading.Event()

    @property
    def is_done(self) -> bool:
        """Whether `result` returns or raises at once."""
        if self._look is not None and not self.is_settled:
            self._look(0.0)
        return self.is_settled

    @property
    def is_settled(self) -> bool:
        """As far as is known; for those who answer requests."""
        return self._settled.is_set()

    def settle(self, outcome: Outcome) -> bool:
        """End it; only the first outcome counts. For those who answer requests."""
        with self._settling:
            if self._settled.is_set():
                return False
            self._outcome = outcome
            self._settled.set()
            return True

    def cancel(self) -> None:
        """Free the caller at once: `result` raises Cancelled, unless the answer was there already."""
        self._withdraw(Cancelled(f"'{self.task}' was cancelled"))

    def result(self, timeout_s: float | None = None) -> Answer:
        """Wait for the answer, or raise what became of it instead. After `timeout_s` it is not wanted any more."""
        if not self._waited(timeout_s):
            self._withdraw(
                ModelTimeoutError(f"'{self.task}' took longer than {timeout_s:g} s: allow more, or give smaller frames")
            )
        if isinstance(self._outcome, Exception):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome

    def _waited(self, timeout_s: float | None) -> bool:
        if self._look is None:
            return self._settled.wait(timeout_s)
        end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while not self.is_settled and (left_s := end_s - time.monotonic()) > 0:
            self._look(min(left_s, _LOOK_S))
        return self.is_settled

    def steps(self, progress: Progress) -> Steps[Answer]:
        """Waiting as a part of a job; closing the job cancels the request."""
        try:
            while not self.is_done:
                yield progress
        finally:
            self.cancel()
        return self.result()

    def _withdraw(self, error: Exception) -> None:
        if self.settle(error):
            self._on_unwanted()
