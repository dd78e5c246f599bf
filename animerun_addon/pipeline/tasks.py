# SPDX-License-Identifier: GPL-3.0-or-later
"""Work beside Blender's main thread: what is done to arrays and files while Blender itself renders. No bpy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

Words = ParamSpec("Words")
Made = TypeVar("Made")


class Tasks:
    """Runs tasks in threads, begun in the order in which they are handed in: one may wait for those before it.

    What fails is raised at the next look. So few wait at a time that memory stays flat however long the whole is.
    """

    def __init__(self, most_waiting: int, *, inline: bool = False) -> None:
        """`inline`: without threads, each task at once."""
        self._inline = inline
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="animerun")
        self._most_waiting = most_waiting
        self._running: set[Future[object]] = set()
        self._makers: dict[Path, Future[object]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # What has begun is ended, so that files are whole; what has not is left to the next run.
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)

    def add(self, work: Callable[Words, Made], *args: Words.args, **kwargs: Words.kwargs) -> Future[Made]:
        """Hand a task in; waits while too many others do."""
        if self._inline:
            task: Future[Made] = Future()
            task.set_result(work(*args, **kwargs))
            return task
        while len(self._running) >= self._most_waiting:
            self._look(wait(self._running, return_when=FIRST_COMPLETED).done)
        task = self._pool.submit(work, *args, **kwargs)
        self._running.add(task)  # type: ignore[arg-type]  # only looked at
        return task

    def make(
        self,
        files: Iterable[Path],
        sources: Iterable[Path],
        work: Callable[Words, Made],
        *args: Words.args,
        **kwargs: Words.kwargs,
    ) -> None:
        """Hand in a task that makes `files`; those of its `sources` that tasks are making are waited for."""
        waits = [self._makers[path] for path in sources if path in self._makers]

        def work_then() -> Made:
            for each in waits:
                each.result()
            return work(*args, **kwargs)

        task = self.add(work_then)
        if not self._inline:
            self._makers |= dict.fromkeys(files, task)  # type: ignore[arg-type]  # only waited for

    def check(self) -> int:
        """Raise what has failed; returns how many are left."""
        self._look({task for task in self._running if task.done()})
        return len(self._running)

    def wait_for_one(self) -> int:
        """Wait until one more is done; returns how many are left."""
        if self._running:
            self._look(wait(self._running, return_when=FIRST_COMPLETED).done)
        return len(self._running)

    def _look(self, done: set[Future[object]]) -> None:
        self._running -= done
        self._makers = {path: task for path, task in self._makers.items() if task not in done}
        for task in done:
            task.result()
