# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's ends of the pipes to a model process: read and written without ever waiting, on every system.

Blender's own thread does this, and must not hang because a model process does.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

_AT_ONCE_BYTES = 1 << 16
# How often Windows is asked for news, which has no select for pipes.
_POLL_S = 0.005


def make_ready(fd: int) -> None:
    """To be called once for each end that the functions below are used with."""
    if sys.platform != "win32":
        os.set_blocking(fd, False)


def read_ready(fd: int) -> bytes | None:
    """What has arrived; None if nothing has, b"" if nothing will any more."""
    try:
        if sys.platform == "win32" and not _has_news(fd):
            return None
        return os.read(fd, _AT_ONCE_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def write_ready(fd: int, data: bytearray) -> None:
    """Write as much as goes at once, and take it from `data`. OSError when nobody reads any more.

    On Windows this waits where the pipe is full: it holds several messages, of which never more than two are under way.
    """
    while data:
        try:
            del data[: os.write(fd, data)]
        except BlockingIOError:
            return


class Bell:
    """Wakes a thread that waits for news."""

    def __init__(self) -> None:
        self.fd, self._ring_fd = os.pipe()
        for end in (self.fd, self._ring_fd):
            make_ready(end)

    def ring(self) -> None:
        """From any thread; many times are once."""
        write_ready(self._ring_fd, bytearray(1))

    def hush(self) -> None:
        """What it rang for is going to be seen to."""
        read_ready(self.fd)

    def close(self) -> None:
        """It will not be rung any more."""
        os.close(self.fd)
        os.close(self._ring_fd)


def wait_for_news(fds: Sequence[int], seconds: float) -> None:
    """Until one of the ends has something to read, or the time is over."""
    if sys.platform != "win32":
        select.select(fds, [], [], seconds)
        return
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s and not any(map(_has_news, fds)):
        time.sleep(_POLL_S)


def _has_news(fd: int) -> bool:
    """Windows only. What ended has news."""
    if sys.platform == "win32":
        import _winapi
        import msvcrt

        with contextlib.suppress(OSError):
            return bool(_winapi.PeekNamedPipe(msvcrt.get_osfhandle(fd), 0)[0])
    return True


def inherited(ends: Sequence[int]) -> tuple[list[str], dict[str, Any]]:
    """What a child calls the ends that it is to have and nobody else, and what has to be told to Popen for that."""
    if sys.platform == "win32":
        import msvcrt

        # Handles keep their numbers in the child; its own C library gives them descriptors again (service.py).
        handles = [msvcrt.get_osfhandle(end) for end in ends]
        for handle in handles:
            os.set_handle_inheritable(handle, True)
        return [str(handle) for handle in handles], {
            "startupinfo": subprocess.STARTUPINFO(lpAttributeList={"handle_list": handles})
        }
    return [str(end) for end in ends], {"pass_fds": ends}
