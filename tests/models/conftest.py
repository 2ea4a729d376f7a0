from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class FileServer:
    """Serves files over HTTP as a model hub does.

    Attributes:
        files: Content by path.
        break_after: Cut each answer after this many bytes; None sends all.
        headers: Further headers by path.
        asked: (method, path, Range header) of every request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    break_after: int | None = None
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    stall: bool = False
    url: str = ""

    def serve(self, handler: BaseHTTPRequestHandler, send_body: bool) -> None:
        asked_range = handler.headers.get("Range")
        self.asked.append((handler.command, handler.path, asked_range))
        content = self.files.get(handler.path)
        if content is None:
            handler.send_error(404)
            return
        start = int(asked_range.removeprefix("bytes=").removesuffix("-")) if asked_range else 0
        handler.send_response(206 if asked_range else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        for name, value in self.headers.get(handler.path, {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        if send_body:
            end = len(content) if self.break_after is None else start + self.break_after
            handler.wfile.write(content[start:end])
            handler.wfile.flush()
            if self.stall:
                self.release.wait(30)
        handler.close_connection = True


@pytest.fixture
def files() -> Iterator[FileServer]:
    served = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.serve(self, send_body=True)

        def do_HEAD(self) -> None:
            served.serve(self, send_body=False)

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served
    served.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
