# SPDX-License-Identifier: GPL-3.0-or-later
"""A model process that misbehaves on request. Run as a file, in place of start_worker.py; needs no torch."""

import ctypes
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from animerun_addon.errors import InputError
from animerun_addon.model_bridge import service
from animerun_addon.model_bridge.protocol import MAGIC, MOST_BYTES, VERSION, Answer
from animerun_addon.model_bridge.service import Tasks

PATIENCE_S = 60.0


def echo(call):
    return Answer(call.options, {name: np.array(array) for name, array in call.arrays.items()})


def work(call):
    """Stops between layers."""
    for _ in range(int(call.options["seconds"] / 0.01)):
        call.stop()
        time.sleep(0.01)
    return echo(call)


def stubborn(call):
    """Does not stop."""
    time.sleep(call.options.get("seconds", PATIENCE_S))
    return echo(call)


def die(call):
    os.kill(os.getpid(), getattr(signal, call.options["signal"]))
    time.sleep(PATIENCE_S)


def leave(call):
    print("the last words", flush=True)
    os._exit(call.options["code"])


def freeze(call):
    """Hold the interpreter's lock: no heartbeat, nothing is heard."""
    ctypes.PyDLL(None).sleep(int(PATIENCE_S))


def out_of_memory(call):
    np.empty(1 << 60, np.uint8)


def no_memory_left(call):
    raise MemoryError


def wrong(call):
    raise InputError("the frame is upside down")


def bug(call):
    return {}["no such key"]


def unspeakable(call):
    return Answer({"a set": {1, 2}})


def noise(call):
    print("hello from a library", flush=True)
    os.write(1, b"and from its C part\n")
    return echo(call)


def raw(data):
    """Write into the private pipe what the protocol does not allow."""

    def task(call):
        os.write(int(sys.argv[2]), data)
        time.sleep(call.options.get("seconds", PATIENCE_S))
        return echo(call)

    return task


def frame(body):
    return struct.pack("<4sHI", MAGIC, VERSION, len(body)) + body


def says(body):
    """A reply that is no use, to the request that runs."""

    def task(call):
        text = body.replace("ID", str(call.options["id"]))
        os.write(int(sys.argv[2]), frame(text.encode()))
        time.sleep(PATIENCE_S)

    return task


def result(described):
    """The words of a result with one array."""
    return f'{{"kind": "result", "id": ID, "values": {{}}, "arrays": {{"a": {described}}}}}'


def writes_and_says(call):
    """A file that is shorter than the array it is said to hold."""
    folder = Path(sys.argv[3]) / str(call.options["id"])
    (folder / "out0").write_bytes(b"123")
    return says(result('{"dtype": "<f4", "shape": [1000], "file": "out0"}'))(call)


def child(call):
    """Something of the model's own that holds everything open that it can."""
    process = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({PATIENCE_S})"], close_fds=False)
    return Answer({"pid": process.pid})


def deaf(call):
    threading.Thread(target=freeze, args=(call,)).start()
    return Answer()


def farewell(call):
    """As if the process had left just before it was asked, the first time."""
    marker = Path(call.options["marker"])
    if not marker.exists():
        marker.touch()
        os.write(int(sys.argv[2]), frame(b'{"kind": "leaving"}'))
        os._exit(0)
    return echo(call)


def closes_the_pipe(call):
    os.close(int(sys.argv[2]))
    time.sleep(PATIENCE_S)


MALFORMED = {
    "no magic": raw(b"Warning: something deep inside a library\n"),
    "wrong version": raw(struct.pack("<4sHI", MAGIC, VERSION + 1, 2) + b"{}"),
    "endless": raw(struct.pack("<4sHI", MAGIC, VERSION, MOST_BYTES + 1)),
    "no JSON": raw(frame(b"{")),
    "no object": raw(frame(b"[1, 2]")),
    "no text": raw(frame(b"\xff\xfe")),
    "deep": raw(frame(b"[" * 100_000)),
    "unknown kind": raw(frame(b'{"kind": "greeting"}')),
    "missing field": raw(frame(b'{"kind": "failure", "id": 1}')),
    "wrong type": raw(frame(b'{"kind": "result", "id": "1", "values": {}}')),
    "not for a client": raw(frame(b'{"kind": "cancel", "id": 1}')),
    "never asked": raw(frame(b'{"kind": "result", "id": 999999, "values": {"of": "another"}}')),
    "closed pipe": closes_the_pipe,
    "no file": says(result('{"dtype": "<f4", "shape": [4], "file": "nowhere"}')),
    "outside": says(result('{"dtype": "|u1", "shape": [4], "file": "../log.txt"}')),
    "absolute": says(result('{"dtype": "|u1", "shape": [4], "file": "/etc/hostname"}')),
    "no shape": says(result('{"dtype": "<f4", "shape": [-1], "file": "x"}')),
    "huge shape": says(result('{"dtype": "<f4", "shape": [99999999999999999999], "file": "x"}')),
    "objects": says(result('{"dtype": "|O", "shape": [1], "file": "x"}')),
    "no dtype": says(result('{"dtype": "f4,,", "shape": [1], "file": "x"}')),
    "no description": says(result("5")),
    "short file": writes_and_says,
}
TASKS = {
    "echo": echo,
    "work": work,
    "stubborn": stubborn,
    "die": die,
    "leave": leave,
    "freeze": freeze,
    "deaf": deaf,
    "out of memory": out_of_memory,
    "no memory left": no_memory_left,
    "wrong": wrong,
    "bug": bug,
    "unspeakable": unspeakable,
    "noise": noise,
    "child": child,
    "farewell": farewell,
    **MALFORMED,
}

if __name__ == "__main__":
    service.main(sys.argv[1:], Tasks(TASKS, lambda: print("released", flush=True)))
