"""A local endpoint that speaks OpenAI's chat API: it answers as a script says, well or badly, and keeps what it got."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What the endpoint does with one request. `body` instead of a completion; `usage` False: none is told."""

    content: str | None = ""
    status: int = 200
    finish_reason: str = "stop"
    refusal: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    usage: bool = True
    delay: float = 0.0  # seconds before anything is sent
    dribble: float = 0.0  # seconds between the bytes of white space that go on until the endpoint stops
    reset: bool = False  # the connection is cut without an answer


Script = Callable[[dict[str, Any]], Reply]
Completion = Callable[[str], str]


def prompt_of(request: dict[str, Any]) -> str:
    """All messages of a request as one text."""
    return "\n".join(str(message["content"]) for message in request["messages"])


def failing(status: int, message: str = "no", **more: Any) -> Reply:
    """An error as OpenAI's API words it."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
    return Reply(status=status, body=body, **more)


class Endpoint:
    """A running endpoint: `requests` as they came, `script` may be changed at any time."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.stopping = Event()
        self._lock = Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with endpoint._lock:
                    endpoint.requests.append(request)
                    endpoint.keys.append(self.headers.get("authorization"))
                    reply = endpoint.script(request)
                endpoint._send(self, request, reply)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the signature of http.server
                """Nothing: the tests look at what was answered."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # a client that gave up leaves a broken pipe behind: that is what is tested
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def calls(self) -> int:
        return len(self.requests)

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _send(self, handler: BaseHTTPRequestHandler, request: dict[str, Any], reply: Reply) -> None:
        if reply.delay and self.stopping.wait(reply.delay):
            return
        if reply.reset:
            # a linger of 0 s makes closing a reset instead of an orderly end
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            handler.connection.close()
            return
        handler.send_response(reply.status)
        handler.send_header("content-type", "application/json")
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.dribble:
            handler.send_header("connection", "close")
            handler.end_headers()
            handler.close_connection = True
            while not self.stopping.wait(reply.dribble):
                handler.wfile.write(b" ")
                handler.wfile.flush()
            return
        body = reply.body if reply.body is not None else _completion(request, reply)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def _completion(request: dict[str, Any], reply: Reply) -> bytes:
    message = {"role": "assistant", "content": reply.content, "refusal": reply.refusal}
    prompt, completion = len(prompt_of(request)) // 4, len(reply.content or "") // 4
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": request["model"],
            "choices": [{"index": 0, "finish_reason": reply.finish_reason, "message": message}],
            **({"usage": usage} if reply.usage else {}),
        }
    ).encode()


@contextmanager
def endpoint(script: Script | Completion | str) -> Iterator[Endpoint]:
    """A running endpoint; it ends with the block. A function of the prompt, or a text, is what it always answers."""
    running = Endpoint(scripted(script))
    try:
        yield running
    finally:
        running.stop()


def scripted(script: Script | Completion | str) -> Script:
    """The script of a text, of a function of the prompt's text, or of a function of the request."""
    if isinstance(script, str):
        return lambda _: Reply(script)
    return lambda request: _as_reply(script, request)


def _as_reply(script: Script | Completion, request: dict[str, Any]) -> Reply:
    answer = script(request)  # type: ignore[arg-type]
    return answer if isinstance(answer, Reply) else Reply(answer)
