# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings one file from the web, however often the line drops: goes on where it stopped, waits when it is told to.

Whether it is the right file, where it goes, and what to do instead when this fails, is weights.py's; web pages in its
place are web_pages.py's.
"""

from __future__ import annotations

import contextlib
import email.utils
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from ..errors import Cancelled, InputError, OutputError
from ..progress import Progress, Steps
from ..version import VERSION
from .web_pages import confirmed_address, title_of

if TYPE_CHECKING:
    import requests

_CHUNK_BYTES = 1 << 15  # a chunk counts once it is whole: on a slow line a large one would take long
_MOST_BYTES = 32 << 30  # of a file whose length nobody tells
_MOST_OF_A_PAGE = 1 << 20
_POLL_S = 0.02  # short: Blender's window may be what waits
_MB = 1e6
# Statuses after which it may work a moment later: timeout, too early, too many requests, the server's own trouble.
_PASSING = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Patience:
    """How long to bear with a server."""

    attempts: int = 6  # in a row that bring nothing
    first_wait_s: float = 1.0  # doubled after each of them
    longest_wait_s: float = 60.0  # what a server may ask for; if it asks for more, the user decides
    connect_s: float = 15.0
    silence_s: float = 30.0


@dataclass(frozen=True)
class Errand:
    """What to bring from where. `asks_first`: it may answer with a page that asks whether one really wants the file."""

    url: str
    size: int | None = None
    asks_first: bool = False


class _PassingError(Exception):
    """It did not work, and may work the next time."""

    def __init__(self, what: str, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.wait_s = wait_s


def download_steps(errand: Errand, part: Path, patience: Patience = Patience()) -> Steps[bool]:
    """Fill `part`, going on with what is in it of an earlier download. Returns whether there was such.

    This starts a thread, so in a Blender of Python 3.11 it belongs into a process of its own (pipeline/child.py).

    Beside it lies a note of what the server said about the file, by which the next download knows whether it still is
    the same. Both stay when this fails or is cancelled.
    """
    transfer = _Transfer(errand, part, patience)
    # A thread, because reading waits as long as the server likes, and whoever cancels must not.
    thread = threading.Thread(target=transfer.run, name="download", daemon=True)
    thread.start()
    try:
        while True:
            thread.join(_POLL_S)
            has_ended = not thread.is_alive()  # looked at first, so that the end of it is told too
            yield transfer.progress()
            if has_ended:
                break
    finally:
        transfer.stop()
    if transfer.error is not None:
        raise transfer.error
    return transfer.went_on


def note_of(part: Path) -> Path:
    """Where it is noted what the server said about the file."""
    return part.with_name(f"{part.name}.json")


class _Transfer:
    """What the thread does."""

    def __init__(self, errand: Errand, part: Path, patience: Patience) -> None:
        self.error: BaseException | None = None
        self.went_on = False
        self._errand = errand
        self._part = part
        self._patience = patience
        self._total = errand.size
        self._message = "Connecting"
        self._stopped = threading.Event()
        # Held while the file is touched, so that nothing is once stop() has returned.
        self._touching = threading.Lock()

    def progress(self) -> Progress:
        """Where it stands, in bytes."""
        have = self._have()
        megabytes = f"{have / _MB:.1f} MB" if self._total is None else f"{have / _MB:.1f} of {self._total / _MB:.1f} MB"
        return Progress(have, self._total or 0, f"{megabytes}, {self._message}" if self._message else megabytes)

    def stop(self) -> None:
        """Touch nothing any more. The thread itself ends when the server next says something, or is silent for long."""
        with self._touching:
            self._stopped.set()

    def run(self) -> None:
        """To the end, or to an error."""
        try:
            self._fetch()
        except BaseException as error:  # noqa: BLE001 - it is raised where the steps are
            self.error = error

    def _fetch(self) -> None:
        import requests

        with requests.Session() as session:
            session.headers.update({"User-Agent": f"animerun/{VERSION}", "Accept-Encoding": "identity"})
            self.went_on = self._have() > 0
            most, failures = self._have(), 0
            while not self._is_whole():
                try:
                    self._attempt(session)
                    return
                except _PassingError as trouble:
                    failures = 0 if self._have() > most else failures + 1
                    most = max(most, self._have())
                    self._bear(trouble, failures)
                    self.went_on = True

    def _bear(self, trouble: _PassingError, failures: int) -> None:
        """Wait until the next attempt; an error if there were enough, or if the wait would be long."""
        if failures >= self._patience.attempts:
            raise InputError(
                f"'{self._errand.url}' cannot be fetched: {trouble}. What has arrived is kept: try again later"
            ) from trouble
        if trouble.wait_s > self._patience.longest_wait_s:
            minutes = -(-trouble.wait_s // 60)
            raise InputError(
                f"'{self._errand.url}' cannot be fetched: {trouble}. Try again in {minutes:.0f} minutes"
            ) from trouble
        wait_s = max(trouble.wait_s, self._patience.first_wait_s * 2 ** max(failures - 1, 0))
        self._message = f"{trouble}: again in {wait_s:.0f} s"
        if self._stopped.wait(wait_s):
            raise Cancelled

    def _is_whole(self) -> bool:
        return self._errand.size is not None and self._have() == self._errand.size

    def _attempt(self, session: requests.Session) -> None:
        import requests
        import urllib3

        self._forget_other()
        try:
            url = self._confirmed(session) if self._errand.asks_first else self._errand.url
            self._receive(session, url)
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE" not in str(error):
                raise _PassingError("the connection dropped") from error
            raise InputError(
                f"'{self._errand.url}' has no certificate that is trusted here: "
                "set REQUESTS_CA_BUNDLE if your company has its own"
            ) from error
        except requests.exceptions.ProxyError as error:
            raise _PassingError("the proxy does not answer (see HTTPS_PROXY)") from error
        except requests.Timeout as error:
            raise _PassingError("the server does not answer") from error
        except requests.ConnectionError as error:
            raise _PassingError("the connection dropped, or there is none") from error
        except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError) as error:
            raise _PassingError("the connection dropped") from error
        except requests.TooManyRedirects as error:
            raise InputError(f"'{self._errand.url}' leads in circles") from error
        except requests.RequestException as error:  # such as an address that is none
            raise InputError(f"'{self._errand.url}' cannot be asked for ({error}): mend the address") from error

    def _confirmed(self, session: requests.Session) -> str:
        """The address behind the page that asks whether one really wants the file, if there is such a page."""
        with self._answer(session, self._errand.url, {}) as response:
            if not _is_page(response):
                return self._errand.url
            page = _text_of(response)
            target = confirmed_address(page)
            if target is None:
                raise InputError(f"'{self._errand.url}' gives no file but {title_of(page)}")
            return urljoin(response.url, target)

    def _receive(self, session: requests.Session, url: str) -> None:
        """Go on with the file where it ends here, or begin it."""
        have = self._have()
        with self._answer(session, url, {"Range": f"bytes={have}-"} if have else {}) as response:
            if response.status_code == 416:
                self._end_reached(response, have)
                return
            if _is_page(response):
                raise InputError(f"'{url}' gives no file but {title_of(_text_of(response))}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise InputError(f"'{url}' is sent compressed, which was not asked for")
            start = self._start(response, have)
            self._take_note(response, start)
            self._message = ""
            # Straight from the wire, and an end before the announced one is an error.
            for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
                self._write(chunk, start)
                start += len(chunk)
                if start > (self._total or _MOST_BYTES):
                    raise InputError(f"'{url}' gives more than it should: {start} bytes and no end")
            if self._total is not None and start != self._total:
                raise _PassingError("the connection dropped")

    @contextlib.contextmanager
    def _answer(self, session: requests.Session, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        patience = self._patience
        timeouts = (patience.connect_s, patience.silence_s)
        with session.get(url, headers=headers, stream=True, timeout=timeouts) as response:
            if self._stopped.is_set():
                raise Cancelled
            if url.startswith("https:") and response.url.startswith("http:"):
                raise InputError(f"'{url}' leads to '{response.url}', which is not secure")
            if response.status_code in _PASSING:
                raise _PassingError(f"the server answers {_status(response)}", _asked_wait_s(response))
            if response.status_code not in (200, 206, 416):
                raise InputError(f"'{url}' answers {_status(response)}")
            yield response

    def _start(self, response: requests.Response, have: int) -> int:
        """Where in the file the answer begins; what does not go on with what is here is an error, or begins anew."""
        start, total = 0, _whole_number(response.headers.get("Content-Length"))
        if response.status_code == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            start, total = (int(found[1]), _whole_number(found[2])) if found else (-1, None)
        if self._errand.size is not None and total not in (None, self._errand.size):
            raise InputError(
                f"'{self._errand.url}' is a file of {total} bytes, not of {self._errand.size} as its catalog entry "
                "says: it was replaced"
            )
        if response.status_code == 206 and (start != have or self._is_other(response, total)):
            self._discard()
            raise _PassingError("the file on the server has changed")
        self._total = total if self._errand.size is None else self._errand.size
        return start

    def _end_reached(self, response: requests.Response, have: int) -> None:
        """The server has nothing behind what is here: all of it, or of another file."""
        found = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != have or self._is_other(response, have):
            self._discard()
            raise _PassingError("the file on the server has changed")

    def _is_other(self, response: requests.Response, total: int | None) -> bool:
        """Whether this is another file than the one that was begun, as far as the server says."""
        noted = self._noted()
        told = {"tag": response.headers.get("ETag"), "total": total}
        return any(None not in (noted.get(key), value) and noted[key] != value for key, value in told.items())

    def _take_note(self, response: requests.Response, start: int) -> None:
        if start == 0:
            note = {"url": self._errand.url, "tag": response.headers.get("ETag"), "total": self._total}
            with self._touch(), _telling_where(self._part):
                note_of(self._part).write_text(json.dumps(note), encoding="utf-8")
                self._part.write_bytes(b"")
                free = shutil.disk_usage(self._part.parent).free
            if self._total is not None and self._total > free:
                raise OutputError(
                    f"'{self._part.parent}' has {free / _MB:.0f} MB left, the file takes {self._total / _MB:.0f} MB: "
                    "free some space, or choose another folder"
                )

    def _noted(self) -> dict[str, Any]:
        try:
            noted = json.loads(note_of(self._part).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def _forget_other(self) -> None:
        """Drop what is of another address, or of unknown origin."""
        if self._have() and self._noted().get("url") != self._errand.url:
            self._discard()

    def _discard(self) -> None:
        with self._touch(), _telling_where(self._part):
            discard(self._part)

    def _write(self, chunk: bytes, start: int) -> None:
        with self._touch(), _telling_where(self._part), self._part.open("r+b") as file:
            file.seek(start)
            file.write(chunk)

    @contextlib.contextmanager
    def _touch(self) -> Iterator[None]:
        with self._touching:
            if self._stopped.is_set():
                raise Cancelled
            yield

    def _have(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0


def discard(part: Path) -> None:
    """Delete what has arrived, and the note beside it."""
    part.unlink(missing_ok=True)
    note_of(part).unlink(missing_ok=True)


@contextlib.contextmanager
def _telling_where(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"Cannot write '{path}': {error.strerror or error}; free some space, or choose another folder"
        ) from error


def _is_page(response: requests.Response) -> bool:
    is_html = response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html"
    return is_html and not response.headers.get("Content-Disposition", "").startswith("attachment")


def _text_of(response: requests.Response) -> str:
    return response.raw.read(_MOST_OF_A_PAGE, decode_content=True).decode("utf-8", errors="replace")


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason or ''}".strip()


def _asked_wait_s(response: requests.Response) -> float:
    """What Retry-After asks for, in seconds or as a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,18}", text) else None
