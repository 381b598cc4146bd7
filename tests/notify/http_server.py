"""A real HTTP server of scripted behaviour: what a Slack or a webhook may do to its caller."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


def response(status: int, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


OK = response(200, b"ok")


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script = bytes | str | Callable[[Request], bytes]


@dataclass
class Server:
    """Answers each connection as `script` says: bytes to send, or the name of a misdeed."""

    port: int
    script: Script = OK
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle(self, connection: socket.socket) -> None:
        script = self.script
        request = _read(connection)
        if request is None:
            return
        self.requests.append(request)
        if callable(script):
            connection.sendall(script(request))
        elif isinstance(script, bytes):
            connection.sendall(script)
        elif script == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif script == "silent":
            self.stopped.wait(30)
        elif script == "trickling head":
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 10_000:
                connection.sendall(bytes([byte]))
                if self.stopped.wait(0.1):
                    return
        elif script in ("slow body", "slow error body"):
            status = b"200 OK" if script == "slow body" else b"404 Gone"
            connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 100\r\n\r\nno_")
            self.stopped.wait(30)
        elif script == "huge body":
            connection.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 10000000000\r\n\r\n")
            while not self.stopped.is_set():
                connection.sendall(b"x" * 65_536)
        elif script == "no http":
            connection.sendall(b"220 mail.example ESMTP\r\n")
        else:
            raise AssertionError(script)


def _read(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65_536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65_536)
    return Request(first, headers, body)


@contextmanager
def serving(
    script: Script = OK, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[Server]:
    """The server on a free port, a thread a connection."""
    listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    server = Server(listener.getsockname()[1], script)
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                wrapped = tls.wrap_socket(connection, server_side=True) if tls else connection
                with wrapped:
                    server.handle(wrapped)
            except OSError:  # the caller had enough, which is what is tested
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            thread = threading.Thread(target=one, args=(connection,))
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield server
    finally:
        server.stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [acceptor, *threads]:
            thread.join(10)
