"""The real receiver on a real socket, for tests: HTTP by uvicorn in a thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from insights_pipeline.receiver.app import create_app
from insights_pipeline.receiver.config import ReceiverConfig
from insights_pipeline.receiver.intake import Door
from insights_pipeline.receiver.segments import Entry, read_entries
from insights_pipeline.receiver.serve import http_server, receiving
from tests.traces.otlp_cases import make_span, request

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
BODY = request(make_span({"gen_ai.request.model": "m"}, number=1), make_span(number=2)).SerializeToString()
JSON_SPAN = {
    "traceId": "0102030405060708090a0b0c0d0e0f10",
    "spanId": "0000000000000001",
    "name": "step",
    "startTimeUnixNano": "1772366401000000000",
    "endTimeUnixNano": "1772366402000000000",
}


class Running(NamedTuple):
    client: httpx.Client
    door: Door
    config: ReceiverConfig
    port: int
    after: int = 0

    @property
    def entries(self) -> list[Entry]:
        """What lies on disk behind `after`."""
        return [entry for _, entry in read_entries(self.config.folder, self.after)]

    def from_now_on(self) -> Running:
        """The same receiver for the next test, which sees only its own entries."""
        return self._replace(after=self.door.writer.position)

    @property
    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}{path}"  # not joined: a path may begin with //
        return self.client.post(url, content=body, headers=headers if headers is not None else PROTOBUF)


@contextmanager
def running(
    folder: Path, *, drain_trouble: Callable[[], str | None] | None = None, **options: Any
) -> Iterator[Running]:
    """A receiver without a drain, listening on a free port of this machine."""
    config = ReceiverConfig(folder=folder, port=0, with_drain=False, **options)
    listens = threading.Event()
    with receiving(config) as door, socket.create_server(("127.0.0.1", 0)) as sock:
        app = create_app(config, door.writer, door=door, drain_trouble=drain_trouble)
        server = http_server(config, app, on_ready=listens.set)
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            assert listens.wait(10)
            port = sock.getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                yield Running(client, door, config, port)
        finally:
            server.should_exit = True
            thread.join(15)
            assert not thread.is_alive()


def send_head(sock: socket.socket, size: int) -> None:
    """The head of a request whose body has so many bytes."""
    head = ("POST /v1/traces HTTP/1.1", "host: x", "content-type: application/x-protobuf")
    sock.sendall("\r\n".join([*head, f"content-length: {size}", "", ""]).encode())


def otlp_json(*spans: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def broken_protobuf(*, good: int, bad: int) -> bytes:
    """A request with spans that can be read and spans whose text is no UTF-8."""
    spans = [make_span(number=number + 1) for number in range(good)]
    spans += [make_span(number=good + number + 1, name="\x7f\x7f\x7f\x7f") for number in range(bad)]
    return request(*spans).SerializeToString().replace(b"\x7f\x7f\x7f\x7f", b"\xff\xff\xff\xff")
