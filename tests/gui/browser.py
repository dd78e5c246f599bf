# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a page in a Chromium without a window, acts on it as a user does, looks at it, and always ends it.

    with Browser(chromium.find()) as browser:
        browser.open(Path("index.html"))
        browser.press("#scrub", RIGHT)
        assert browser.run("return document.title") == "AnimeRun demo"
        assert not browser.complaints()

It speaks the WebDriver protocol with chromedriver, and Chromium's own protocol through that for what WebDriver lacks.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chromium import Chromium

START_SECONDS = 60
ANSWER_SECONDS = 60

# Keys as WebDriver sends them.
TAB, ENTER, LEFT, RIGHT, END = "\ue004", "\ue007", "\ue012", "\ue014", "\ue010"

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class BrowserError(RuntimeError):
    """The browser did not start, did not answer, or says that something cannot be done."""


class Browser:
    """One Chromium with a fresh profile, from `with` to its end."""

    def __init__(self, chromium: Chromium, size: tuple[int, int] = (1440, 900)) -> None:
        self._chromium = chromium
        self._size = size

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(prefix="animerun-browser-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            self._chromium.command("--port=0"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._session = ""
        try:
            self._port = self._wait_for_port()
            self._session = f"/session/{self._new_session()}"
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BrowserError, OSError):
            self._ask("DELETE", "")
        self._end()

    # What a user does ------------------------------------------------------------------------------------------------

    def open(self, page: Path) -> None:
        """Open a file and wait until it is loaded, pictures that are not put off included."""
        self._ask("POST", "/url", {"url": page.resolve().as_uri()})

    def press(self, selector: str, keys: str) -> None:
        """Type keys into an element, which gets the focus."""
        self._ask("POST", f"/element/{self._element(selector)}/value", {"text": keys})

    def click(self, selector: str) -> None:
        """Click on the middle of an element."""
        self._ask("POST", f"/element/{self._element(selector)}/click", {})

    # What can be found out -------------------------------------------------------------------------------------------

    def run(self, script: str) -> Any:
        """What a function body in JavaScript returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": []})

    def wait_for(self, script: str, timeout: float = 20) -> Any:
        """What a function body returns as soon as that is true."""
        deadline = time.monotonic() + timeout
        while not (value := self.run(script)):
            if time.monotonic() > deadline:
                raise BrowserError(f"not true after {timeout:g} s: {script}")
            time.sleep(0.05)
        return value

    def complaints(self) -> list[str]:
        """What the console got since the last time: errors, warnings, files that could not be loaded."""
        entries = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def accessible_name(self, selector: str) -> str:
        """What a screen reader calls an element."""
        return str(self._ask("GET", f"/element/{self._element(selector)}/computedlabel"))

    def screenshot(self, path: Path) -> Path:
        """A picture of the whole page, beyond the window's border too."""
        size = self.run("return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        options = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.devtools("Page.captureScreenshot", **options)["data"]))
        return path

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of Chromium's own protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    # How it is done --------------------------------------------------------------------------------------------------

    def _wait_for_port(self) -> int:
        assert self._process.stdout is not None
        said = b""
        deadline = time.monotonic() + START_SECONDS
        while (left := deadline - time.monotonic()) > 0 and select.select([self._process.stdout], [], [], left)[0]:
            piece = os.read(self._process.stdout.fileno(), 4096)
            said += piece
            port = re.search(rb"started successfully on port (\d+)", said)
            if port:
                return int(port[1])
            if not piece:
                break
        raise BrowserError(f"chromedriver did not start: {said.decode(errors='replace').strip()}")

    def _new_session(self) -> str:
        width, height = self._size
        options = {
            "binary": str(self._chromium.browser),
            "args": [*_FLAGS, f"--window-size={width},{height}", f"--user-data-dir={self._profile.name}"],
        }
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        return str(answer["sessionId"])

    def _element(self, selector: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, self._session + path, text, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())["value"]
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            raise BrowserError(f"chromedriver does not answer {method} {path}: {error}") from error
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise BrowserError(f"{method} {path}: {answer['error']}: {answer['message']}")
        return answer

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._profile.cleanup()
