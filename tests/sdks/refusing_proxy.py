"""Stands before a receiver and plays overload: of each path the first body is answered 503, others are passed on."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def refusing_proxy(target: str) -> Iterator[tuple[str, list[str]]]:
    """Its URL, and the paths that it has refused so far."""
    refused: list[str] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on(None)

        def do_POST(self) -> None:
            body = self._body()
            with lock:
                is_first = self.path not in refused
                if is_first:
                    refused.append(self.path)
            if is_first:
                self._answer(503, b"", {"retry-after": "1"})
            else:
                self._pass_on(body)

        def _body(self) -> bytes:
            if (length := self.headers["content-length"]) is not None:
                return self.rfile.read(int(length))
            chunks = []  # as JavaScript's exporter sends
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def _pass_on(self, body: bytes | None) -> None:
            own = ("host", "content-length", "transfer-encoding")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in own}
            request = urllib.request.Request(
                target + self.path, data=body, headers=headers, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as reply:
                    kind = reply.headers.get("content-type", "")
                    self._answer(reply.status, reply.read(), {"content-type": kind})
            except urllib.error.HTTPError as error:
                self._answer(error.code, error.read(), {})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the signature of http.server
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", refused
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
