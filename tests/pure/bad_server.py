# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server on this machine that misbehaves as it is told, one behaviour a request; and something to serve."""

from __future__ import annotations

import contextlib
import io
import pickle
import socket
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TAG = '"one"'


def torch_file(size: int = 300_000) -> bytes:
    """What looks like a file of torch from outside."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(number * 7 % 251 for number in range(size)))
    return made.getvalue()


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]

    @property
    def start(self) -> int:
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])


@dataclass
class Server:
    """`script` says what each request gets, the last of it also every further one."""

    url: str
    content: bytes
    script: list = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def behave(self, *script):
        self.script = list(script)
        self.asked.clear()


@contextlib.contextmanager
def serving(content: bytes):
    """A server for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            server.asked.append(Asked(self.path, dict(self.headers)))
            behaviour = server.script.pop(0) if len(server.script) > 1 else server.script[0]
            with contextlib.suppress(OSError):  # the client hung up
                behaviour(self, server)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.handle_error = lambda *_: None  # clients hang up, too
    http.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http.server_port}", content, [whole])
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


# Behaviours -----------------------------------------------------------------------------------------------------------


def head(handler, status, length=None, **headers):
    handler.send_response(status)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def whole(handler, server):
    """As it should be, ranges included."""
    part(handler, server, len(server.content))


def part(handler, server, most, tag=TAG, announced=None):
    """Sends `most` bytes and hangs up if that is not all."""
    start, total = server.asked[-1].start, len(server.content) if announced is None else announced
    if start >= total:
        head(handler, 416, 0, Content_Range=f"bytes */{total}")
        return
    if "Range" in server.asked[-1].headers:
        head(handler, 206, total - start, ETag=tag, Content_Range=f"bytes {start}-{total - 1}/{total}")
    else:
        head(handler, 200, total, ETag=tag)
    sent = server.content[start : start + most]
    handler.wfile.write(sent)
    if start + len(sent) < total:
        hang_up(handler)


def drops_after(most, **more):
    return lambda handler, server: part(handler, server, most, **more)


def in_pieces(most):
    """Gives less than it is asked for, and says so."""

    def behave(handler, server):
        start, total = server.asked[-1].start, len(server.content)
        end = min(start + most, total)
        if "Range" in server.asked[-1].headers:
            head(handler, 206, end - start, ETag=TAG, Content_Range=f"bytes {start}-{end - 1}/{total}")
            handler.wfile.write(server.content[start:end])
        else:
            part(handler, server, most)

    return behave


def hang_up(handler, *_):
    handler.wfile.flush()
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.connection.shutdown(socket.SHUT_RDWR)


def without_ranges(handler, server):
    head(handler, 200, len(server.content))
    handler.wfile.write(server.content)


def drops_without_ranges(most):
    def behave(handler, server):
        head(handler, 200, len(server.content))
        handler.wfile.write(server.content[:most])
        hang_up(handler)

    return behave


def of_unknown_length(handler, server):
    handler.close_connection = True
    head(handler, 200)
    handler.wfile.write(server.content)


def endless(handler, server):
    handler.close_connection = True
    head(handler, 200)
    while True:
        handler.wfile.write(server.content)


def announces_too_little(handler, server):
    head(handler, 200, len(server.content) - 1000)
    handler.wfile.write(server.content[:-1000])


def status(code, **headers):
    return lambda handler, _: head(handler, code, 0, **headers)


def redirect(to):
    return lambda handler, _: head(handler, 302, 0, Location=to)


def redirect_by_path(**targets):
    """Each path of `targets` leads to another, all others to the file."""

    def behave(handler, server):
        target = targets.get(handler.path.strip("/"))
        if target is None:
            whole(handler, server)
        else:
            head(handler, 302, 0, Location=target)

    return behave


def page(text, **headers):
    def behave(handler, _):
        sent = text.encode()
        head(handler, 200, len(sent), Content_Type="text/html; charset=utf-8", **headers)
        handler.wfile.write(sent)

    return behave


def other_bytes(content):
    def behave(handler, _):
        head(handler, 200, len(content))
        handler.wfile.write(content)

    return behave


def silent(handler, _):
    """Answers nothing until the client gives up."""
    handler.connection.settimeout(20)
    with contextlib.suppress(OSError):
        handler.connection.recv(1)
    handler.close_connection = True


def slow(chunk, wait: threading.Event):
    """Sends a first chunk and the rest when it is told to."""

    def behave(handler, server):
        head(handler, 200, len(server.content), ETag=TAG)
        handler.wfile.write(server.content[:chunk])
        handler.wfile.flush()
        wait.wait(20)
        handler.wfile.write(server.content[chunk:])

    return behave
