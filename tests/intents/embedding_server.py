"""A local server that speaks OpenAI's /v1/embeddings: vectors from the letters of a text, or what a script says."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

Answer = tuple[int, bytes, dict[str, str]]
Script = Callable[[int, list[str]], "Answer | None"]


def vector_of(text: str, dimensions: int) -> list[float]:
    """Words hashed to directions: texts with the same words are near."""
    total = np.zeros(dimensions)
    for word in text.split():
        total += np.random.default_rng(zlib.crc32(word.encode())).normal(size=dimensions)
    return [float(value) for value in total]


def answer_with(vectors: list[list[float]]) -> Answer:
    """A good answer; the vectors come last first, as `index` allows."""
    data = [{"object": "embedding", "index": i, "embedding": one} for i, one in enumerate(vectors)]
    body = {
        "object": "list",
        "data": data[::-1],
        "model": "m",
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
    return 200, json.dumps(body).encode(), {}


def refusal(status: int, message: str = "no", **headers: str) -> Answer:
    return status, json.dumps({"error": {"message": message, "type": "error"}}).encode(), headers


@dataclass(slots=True)
class EmbeddingServer:
    """`requests` holds every request body in the order of arrival, `keys` the keys shown."""

    address: str = ""
    dimensions: int = 24
    script: Script = lambda number, texts: None
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@contextmanager
def embedding_server(script: Script | None = None, *, dimensions: int = 24) -> Iterator[EmbeddingServer]:
    """`script` is asked with the number of the request (from 0) and its texts; None: the good answer."""
    state = EmbeddingServer(dimensions=dimensions)
    if script is not None:
        state.script = script
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # no connection stays open in the client's pool

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                number = len(state.requests)
                state.requests.append({**body, "path": self.path})
                state.keys.append(self.headers.get("authorization", ""))
            said = state.script(number, body["input"])
            good = answer_with([vector_of(text, state.dimensions) for text in body["input"]])
            status, content, headers = said or good
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 – the base class's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
