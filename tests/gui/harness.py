# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a real Blender in a window of its own, drives it, looks at it and always ends it.

    with BlenderWindow(blender, install=zip_path) as window:
        window.run("bpy.ops.animerun.add_demo_scene()")
        assert window.run("result = len(bpy.data.objects)") > 10
        window.open_sidebar("AnimeRun")
        window.screenshot(Path("panel.png"))
        assert "Traceback" not in window.console()

Code given to `run` is executed on Blender's main thread (see driver.py); names do not outlive the call, and the JSON
value of `result` comes back. `with override("VIEW_3D"):` around an operator gives it an area. The N-panel is opened
with `open_sidebar(category)`: it shows the sidebar, waits for Blender to lay it out and only then sets
`region.active_panel_category`, which knows no category before the first drawing.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import cv2
import numpy as np
import numpy.typing as npt
from display import Display
from real_blender import RealBlender, cache_folder

CONSOLE_TAIL = 30
DRIVER = Path(__file__).with_name("driver.py")
# What a developer's shell may hold and the tested Blender must not see.
HIDDEN_VARIABLES = ("BLENDER", "PYTHON", "VIRTUAL_ENV", "WAYLAND", "XDG_")


class DrivenError(RuntimeError):
    """The code raised inside Blender; the message is Blender's traceback."""


class BlenderTimeoutError(RuntimeError):
    """Blender gave no answer, or what was waited for did not come true."""


class BlenderDiedError(RuntimeError):
    """Blender is gone; the message tells how and what it printed last."""


@dataclass(frozen=True)
class Rectangle:
    """A part of the screen in X coordinates: pixels from the left and from the TOP."""

    left: int
    top: int
    width: int
    height: int

    @property
    def center(self) -> tuple[int, int]:
        """The pixel in the middle, for a click."""
        return self.left + self.width // 2, self.top + self.height // 2

    def crop(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """That part of an (H, W, 3) picture of the screen."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


WINDOW_PX = (1280, 800)


class BlenderWindow:
    """One Blender with a fresh configuration on a screen of its own, from `with` to its end.

    `install` is a built zip to install as a user would; `folders` are further folders that Blender must see.
    """

    def __init__(
        self,
        blender: RealBlender,
        *,
        install: Path | None = None,
        size: tuple[int, int] = WINDOW_PX,
        gpu_backend: Literal["opengl", "vulkan"] | None = None,
        folders: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        start_timeout: float = 120,
    ) -> None:
        self.blender = blender
        self.size = size
        self._install = install
        self._backend = ["--gpu-backend", gpu_backend] if gpu_backend else []
        self._folders = folders
        self._extra_env = dict(env or {})
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._requests = 0
        # Length of the console at the last reset: what came before belongs to earlier tests.
        self.printed_before = 0

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="animerun-gui-")
        self.folder = Path(self._temporary.name).resolve()
        self.resources = self.folder / "resources"
        for folder in (self.resources, self.folder / "tmp"):
            folder.mkdir()
        (cache_folder() / "shaders").mkdir(parents=True, exist_ok=True)
        # A copy, and no other file of the repository: what is tested is the installed zip, not the source tree.
        shutil.copy(DRIVER, self.folder)
        try:
            self.display = Display(self.folder / "display", *self.size)
        except BaseException:
            self._temporary.cleanup()
            raise
        try:
            if self._install is not None:
                self.install_zip(self._install)
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.display.close()
        self._temporary.cleanup()

    # Starting and ending

    @property
    def alive(self) -> bool:
        """Whether Blender runs."""
        return self._process is not None and self._process.poll() is None

    def install_zip(self, path: Path) -> None:
        """Install an extension as the user's own, enabled, while Blender does not run."""
        local = Path(shutil.copy(path, self.folder))
        command = ["--command", "extension", "install-file", "-r", "user_default", "--enable", str(local)]
        done = subprocess.run(
            self._command(*command),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=self._start_timeout,
        )
        if done.returncode != 0 or "Traceback" in done.stdout:
            raise RuntimeError(f"{path.name} was not installed (exit code {done.returncode}):\n{done.stdout}")

    def start(self) -> None:
        """Open the window and wait until it is drawn; the first drawing compiles shaders, which can take seconds."""
        ours, theirs = socket.socketpair()
        width, height = map(str, self.size)
        options = ["--window-geometry", "0", "0", width, height, *self._backend, "--python-exit-code", "3"]
        with theirs, (self.folder / "console.txt").open("ab") as console:
            self._process = subprocess.Popen(
                self._command(*options, "--python", str(self.folder / DRIVER.name)),
                env=self._environment() | {"ANIMERUN_DRIVER": str(theirs.fileno())},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._socket = ours
        self._pending = b""
        self.settle(timeout=self._start_timeout)

    def quit(self) -> None:
        """End Blender as a user does, preferences saved."""
        if self.alive:
            with suppress(BlenderDiedError):
                self.run("bpy.ops.wm.quit_blender()")
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=20)
        self.kill()

    def kill(self) -> None:
        """End Blender and everything it started, at once."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # The line is cut when the last process that holds it is gone, and only then can the folder be removed.
        self._socket.settimeout(10)
        with suppress(OSError):
            while self._socket.recv(1 << 16):
                pass
        self._socket.close()
        self._process = None

    def restart(self) -> None:
        """A new Blender with the old one's configuration, whether that still runs or not."""
        self.quit()
        self.start()

    # Driving

    def run(self, code: str, timeout: float = 60) -> Any:
        """Execute Python in Blender and return the JSON value of its variable `result` (None if it sets none)."""
        self._requests += 1
        request = {"id": self._requests, "code": textwrap.dedent(code)}
        deadline = time.monotonic() + timeout
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            answer = self._receive(deadline)
            while answer["id"] != self._requests:  # the late answer to a request that was given up
                answer = self._receive(deadline)
        except TimeoutError:
            raise BlenderTimeoutError(f"no answer within {timeout:g} s to:\n{code}\n{self.console_tail()}") from None
        except OSError:
            raise self._death() from None
        if "error" in answer:
            raise DrivenError(answer["error"])
        return answer["result"]

    def wait_until(self, expression: str, timeout: float = 30) -> Any:
        """Evaluate a Python expression in Blender until it is true; returns its value."""
        deadline = time.monotonic() + timeout
        while True:
            value = self.run(f"result = ({expression})")
            if value:
                return value
            if time.monotonic() > deadline:
                raise BlenderTimeoutError(
                    f"not true within {timeout:g} s: {expression} (is {value!r})\n{self.console_tail()}"
                )
            time.sleep(0.05)

    def settle(self, timeout: float = 60) -> None:
        """Let Blender handle what it was sent and redraw everything."""
        self.run(
            """
            for window in bpy.context.window_manager.windows:
                for area in window.screen.areas:
                    area.tag_redraw()
            """,
            timeout,
        )
        # The driver answers one request in one turn of Blender's main loop, and every turn ends with the drawing.
        for _ in range(2):
            self.run("", timeout)

    def reset(self) -> None:
        """The default scene in the default layout, as after File > New; preferences and add-ons stay."""
        self.run("bpy.ops.wm.read_homefile()")
        self.settle()
        self.printed_before = len(self.console())

    def console(self) -> str:
        """Everything that Blender has printed since the first start."""
        return (self.folder / "console.txt").read_text(encoding="utf-8", errors="replace")

    def printed(self) -> str:
        """What Blender has printed since the last reset; the fixtures reset between two tests."""
        return self.console()[self.printed_before :]

    # Looking

    def pixels(self) -> npt.NDArray[np.uint8]:
        """The screen once it is redrawn and stands still (for at most a second), uint8 (H, W, 3)."""
        self.settle()
        before = self.display.pixels()
        for _ in range(10):
            time.sleep(0.1)
            now = self.display.pixels()
            if np.array_equal(before, now):
                break
            before = now
        return before

    def screenshot(self, path: Path) -> Path:
        """Save what `pixels` returns as a PNG; works even when Blender is dead or does not answer."""
        try:
            picture = self.pixels()
        except RuntimeError:
            picture = self.display.pixels()
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), picture[:, :, ::-1]):
            raise OSError(f"cannot write {path}")
        return path

    def area_region(self, area_type: str, region_type: str = "WINDOW") -> Rectangle:
        """Where on the screen a region is; Blender counts from the bottom, X from the top."""
        left, bottom, width, height = self.run(
            f"""
            for window in bpy.context.window_manager.windows:
                for area in window.screen.areas:
                    for region in area.regions:
                        if area.type == {area_type!r} and region.type == {region_type!r}:
                            result = [window.x + region.x, window.y + region.y, region.width, region.height]
            if result is None:
                raise LookupError("no window shows {area_type} with {region_type}")
            """
        )
        return Rectangle(left, self.size[1] - bottom - height, width, height)

    def open_sidebar(self, category: str, area_type: str = "VIEW_3D") -> Rectangle:
        """Show the N-panel with that tab in front; returns where it is."""
        with_area = f"with override({area_type!r}, 'UI'):\n    area, region = bpy.context.area, bpy.context.region\n"
        self.run(with_area + "    area.spaces.active.show_region_ui = True\n    area.tag_redraw()")
        self.settle()
        self.run(with_area + f"    region.active_panel_category = {category!r}\n    area.tag_redraw()")
        self.settle()
        return self.area_region(area_type, "UI")

    # Mouse and keyboard, as a person uses them; Blender has handled them when the call returns

    def move(self, x: int, y: int) -> None:
        """Move the mouse."""
        self.display.xdotool("mousemove", str(x), str(y))
        self.settle()

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Move there and press the button: 1 left, 2 middle, 3 right."""
        self.move(x, y)
        self.display.xdotool("click", str(button))
        self.settle()

    def key(self, *names: str) -> None:
        """Press keys one after the other ("n", "Escape", "ctrl+z"); they go to the area under the mouse."""
        self.display.xdotool("key", "--delay", "50", *names)
        self.settle()

    # How it is done

    def _command(self, *arguments: str) -> list[str]:
        return self.blender.command(*arguments, folders=[self.folder, cache_folder() / "shaders", *self._folders])

    def _environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN_VARIABLES)}
        return env | {
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "LC_ALL": "C.UTF-8",
            "DISPLAY": self.display.name,
            "BLENDER_USER_RESOURCES": str(self.resources),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "GALLIUM_DRIVER": "llvmpipe",
            # Compiled shaders outlive the fresh home: 2 s to a drawn window instead of 8.
            "MESA_SHADER_CACHE_DIR": str(cache_folder() / "shaders"),
            "ANIMERUN_GUI_FOLDER": str(self.folder),
            **self._extra_env,
        }

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._pending:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            received = self._socket.recv(1 << 20)
            if not received:
                raise self._death()
            self._pending += received
        line, _, self._pending = self._pending.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _death(self) -> BlenderDiedError:
        if self._process is None:
            return BlenderDiedError("Blender was not started, or was ended by the test")
        code = self._process.wait(timeout=30)
        # A shell between us and Blender reports death by a signal as 128 + its number.
        number = -code if code < 0 else code - 128
        how = f"killed by {signal.Signals(number).name}" if number in set(signal.Signals) else f"exit code {code}"
        return BlenderDiedError(f"Blender died: {how}\n{self.console_tail()}")

    def console_tail(self) -> str:
        lines = self.console().splitlines()[-CONSOLE_TAIL:]
        return "\n".join([f"--- the last {len(lines)} lines that Blender printed", *lines])
