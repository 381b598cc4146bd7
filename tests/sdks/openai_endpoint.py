"""A local endpoint that answers as OpenAI's API does, always the same: a tool call, an answer, a stream, a failure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

MODEL = "gpt-4o-mini-2024-07-18"  # what the API calls the "gpt-4o-mini" of a request
ANSWER = "It is 18 degrees and sunny in Paris."
STREAM = ("Rain ", "falls ", "on ", "Paris.")
FAILURE = "Rate limit reached for gpt-4o-mini"
STEP_MS = 40.0  # of a call; a chunk of a stream takes a quarter: latencies that can be told from noise


def _usage(prompt: int, completion: int, *, cached: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


CALL_USAGE = _usage(1_080, 20)
ANSWER_USAGE = _usage(1_120, 15, cached=1_024)
STREAM_USAGE = _usage(40, 30)
_TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}


def _completion(message: dict[str, Any], reason: str, usage: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": reason, "logprobs": None, "message": {"refusal": None, **message}}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": MODEL,
        "choices": [choice],
        "usage": usage,
    }


def _reply(request: dict[str, Any]) -> dict[str, Any]:
    if request["messages"][-1]["role"] == "tool":
        return _completion({"role": "assistant", "content": ANSWER}, "stop", ANSWER_USAGE)
    message = {"role": "assistant", "content": None, "tool_calls": [_TOOL_CALL]}
    return _completion(message, "tool_calls", CALL_USAGE)


def _chunks(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    base = {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1_750_000_000, "model": MODEL}
    deltas: list[tuple[dict[str, str], str | None]] = [({"content": text}, None) for text in STREAM]
    for delta, reason in [({"role": "assistant", "content": ""}, None), *deltas, ({}, "stop")]:
        yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
    if (request.get("stream_options") or {}).get("include_usage"):
        yield {**base, "choices": [], "usage": STREAM_USAGE}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        time.sleep(STEP_MS / 1_000)
        if not self.path.endswith("/chat/completions"):
            self._send(404, {"error": {"message": f"no {self.path} here", "type": "invalid_request_error"}})
        elif "FAIL" in str(request["messages"][-1]["content"]):
            error = {"message": FAILURE, "type": "requests", "param": None, "code": "rate_limit_exceeded"}
            self._send(429, {"error": error})
        elif request.get("stream"):
            self._stream(_chunks(request))
        else:
            self._send(200, _reply(request))

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, chunks: Iterator[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            self.wfile.flush()
            time.sleep(STEP_MS / 4_000)
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the signature of http.server
        """Nothing: the tests read what was traced, not this log."""


@contextmanager
def openai_endpoint() -> Iterator[str]:
    """The base URL of a running endpoint; it ends with the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
