# SPDX-License-Identifier: GPL-3.0-or-later
"""A screen of our own without a monitor (Xvfb): its pixels, its mouse and its keyboard. Knows nothing of Blender."""

from __future__ import annotations

import os
import select
import struct
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

START_SECONDS = 30
# struct of an X window dump's header, big-endian: the fields after the size of the header itself.
XWD_HEADER = struct.Struct(">25I")


class DisplayError(RuntimeError):
    """The screen could not be started or used."""


class Display:
    """An Xvfb on a display number that was free; ends when closed, and by itself when this process is gone."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self.folder = folder
        folder.mkdir()
        reader, writer = os.pipe()
        command = ["setpriv", "--pdeathsig", "KILL", "--", "Xvfb", "-displayfd", str(writer), "-nolisten", "tcp"]
        command += ["-noreset", "-screen", "0", f"{width}x{height}x24", "-fbdir", str(folder)]
        with (folder / "xvfb.txt").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=os.environ | {"ANIMERUN_GUI_FOLDER": str(folder)},
                pass_fds=[writer],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        os.close(writer)
        with os.fdopen(reader) as lines:
            ready = select.select([lines], [], [], START_SECONDS)[0]
            number = lines.readline().strip() if ready else ""
        if not number:
            self.close()
            raise DisplayError(f"Xvfb did not start: {(folder / 'xvfb.txt').read_text(errors='replace').strip()}")
        self.name = f":{number}"

    def pixels(self) -> npt.NDArray[np.uint8]:
        """What the screen shows now, uint8 (H, W, 3), red first; read from Xvfb's own frame buffer."""
        raw = (self.folder / "Xvfb_screen0").read_bytes()
        header = XWD_HEADER.unpack_from(raw)
        header_size, width, height, little_endian = header[0], header[4], header[5], header[7] == 0
        bits_per_pixel, bytes_per_line, colours = header[11], header[12], header[19]
        if bits_per_pixel != 32:
            raise DisplayError(f"Xvfb keeps {bits_per_pixel} bits a pixel, not 32")
        start = header_size + 12 * colours
        rows = np.frombuffer(raw, np.uint8, bytes_per_line * height, start).reshape(height, bytes_per_line // 4, 4)
        blue_first = rows[:, :width, :3] if little_endian else rows[:, :width, :0:-1]
        return np.ascontiguousarray(blue_first[:, :, ::-1])

    def xdotool(self, *arguments: str) -> None:
        """Move, click or type as a person would."""
        env = os.environ | {"DISPLAY": self.name}
        done = subprocess.run(["xdotool", *arguments], env=env, capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise DisplayError(f"xdotool {' '.join(arguments)}: {done.stderr.strip()}")

    def close(self) -> None:
        """End the X server; asked first, so that it removes its lock file."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
