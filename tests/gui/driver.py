# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside the tested Blender: executes Python that the harness sends, on the main thread between two redraws.

One JSON object a line over an inherited socket: {"id", "code"} comes in, {"id", "result"} or {"id", "error"} goes back.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import socket
import sys
import traceback
from typing import Any

import bpy

POLL_SECONDS = 0.01


def override(area_type: str, region_type: str = "WINDOW") -> Any:
    """Context manager for operators that need an area: `with override("VIEW_3D"): bpy.ops.view3d.view_all()`."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == area_type:
                region = next(region for region in area.regions if region.type == region_type)
                return bpy.context.temp_override(window=window, area=area, region=region)
    raise LookupError(f"no window shows an area of type {area_type}")


def execute(code: str) -> dict[str, Any]:
    """Run one piece of code in a namespace of its own and pack up its `result`, or the traceback."""
    namespace: dict[str, Any] = {"__name__": "__driven__", "bpy": bpy, "override": override, "result": None}
    try:
        exec(compile(code, "<sent by the test>", "exec"), namespace)
        answer = {"result": namespace["result"]}
        json.dumps(answer)
    except Exception:  # noqa: BLE001 - whatever the test's code raises belongs to the test
        return {"error": traceback.format_exc()}
    return answer


class Driver:
    """The socket and what has been read from it; `poll` is the timer."""

    def __init__(self, descriptor: int) -> None:
        # Programs that the add-on starts must not keep the harness's line open after Blender's death.
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        self._pending = b""

    def poll(self) -> float:
        """Answer at most one request, so that Blender handles events and redraws between two of them."""
        if b"\n" not in self._pending and select.select([self._socket], [], [], 0)[0]:
            received = self._socket.recv(1 << 20)
            if not received:
                os._exit(0)  # the harness is gone, and with it the reason to be
            self._pending += received
        if b"\n" in self._pending:
            line, _, self._pending = self._pending.partition(b"\n")
            self._answer(json.loads(line))
        return POLL_SECONDS

    def _answer(self, request: dict[str, Any]) -> None:
        answer = execute(request["code"]) | {"id": request["id"]}
        # What was printed must be in the console's file before the harness goes on to read it.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)
        self._socket.sendall(json.dumps(answer).encode() + b"\n")


def start() -> None:
    """Called by Blender's --python: settle the preferences that a test needs and wait for requests."""
    bpy.context.preferences.view.show_splash = False
    bpy.context.preferences.view.smooth_view = 0
    driver = Driver(int(os.environ["ANIMERUN_DRIVER"]))
    bpy.app.timers.register(driver.poll, first_interval=0, persistent=True)


start()
