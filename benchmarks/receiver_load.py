"""Load on a receiver, from a process of its own: spans numbered one by one, so that each can be asked for later.

    python benchmarks/receiver_load.py < options     (one JSON line in, one out; `run_load` does that)

A body is built once; for each request the ids of its spans are written over: the number of a span is its span id and
the second half of its trace id. What becomes of each request is written down as a range of numbers.
"""

from __future__ import annotations

import gzip
import http.client
import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_PLACE = b"\xf1\xa7\x5c\xee\x13\x9d\x42\x0b"  # where an id goes; no text holds it
_VOCABULARY = 5_000
_BODIES = 4
_TRACE_SPANS = 8


@dataclass(frozen=True, slots=True)
class Load:
    """What to send. `spans` 0: until `seconds` are over. Numbers begin at `first`, a multiple of a thousand million.

    With `again` a 503 is sent again a little later, as exporters do; without it the request counts as refused.
    """

    port: int
    first: int
    spans: int = 0
    seconds: float = 0.0
    span_bytes: int = 5_000
    batch: int = 128
    connections: int = 4
    is_gzip: bool = False
    again: bool = True
    pause_seconds: float = 0.0  # of each connection between two requests


@dataclass(slots=True)
class Outcome:
    """Ranges [first, last) of spans by what became of their request, and how long acknowledgements took."""

    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    refused: list[tuple[int, int]] = field(default_factory=list)  # 503
    unknown: list[tuple[int, int]] = field(default_factory=list)  # reset, no connection, other statuses
    statuses: dict[str, int] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    bytes: int = 0

    def spans(self, what: str) -> int:
        return sum(last - first for first, last in getattr(self, what))


class Body:
    """A request of many spans whose ids can be set anew."""

    def __init__(self, spans: int, span_bytes: int, seed: int) -> None:
        self.spans = spans
        raw = _request(spans, span_bytes, np.random.default_rng(seed)).SerializeToString()
        self._bytes = np.frombuffer(bytearray(raw), np.uint8)
        starts = []
        at = raw.find(_PLACE)
        while at >= 0:
            starts.append(at)
            at = raw.find(_PLACE, at + 8)
        assert len(starts) == 2 * spans, "an id in every trace id and span id"
        self._trace_ids = np.array(starts[::2])[:, None] + np.arange(8)
        self._span_ids = np.array(starts[1::2])[:, None] + np.arange(8)

    def numbered(self, first: int) -> bytes:
        numbers = np.arange(first, first + self.spans)
        self._bytes[self._span_ids] = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
        self._bytes[self._trace_ids] = (numbers // _TRACE_SPANS).astype(">u8").view(np.uint8).reshape(-1, 8)
        return self._bytes.tobytes()


def _request(spans: int, span_bytes: int, rng: np.random.Generator) -> ExportTraceServiceRequest:
    """Model calls with messages, tokens and session; their text shrinks in gzip about as prose does."""
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, size)) for size in rng.integers(2, 10, _VOCABULARY)])
    found = ExportTraceServiceRequest()
    group = found.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "load"
    scope = group.scope_spans.add()
    now = time.time_ns()
    for number in range(spans):
        span = scope.spans.add(trace_id=b"insights" + _PLACE, span_id=_PLACE, name="chat", kind=3)
        span.start_time_unix_nano = now + number
        span.end_time_unix_nano = now + 10**9 + number
        chosen = words[rng.zipf(1.3, span_bytes // 5) % _VOCABULARY]
        text = " ".join(chosen)[: max(40, span_bytes - 700)]
        half = len(text) // 2
        prompt = [{"role": "user", "parts": [{"type": "text", "content": text[:half]}]}]
        answer = [{"role": "assistant", "parts": [{"type": "text", "content": text[half:]}]}]
        for key, value in {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.input.messages": json.dumps(prompt),
            "gen_ai.output.messages": json.dumps(answer),
            "session.id": f"session-{number // _TRACE_SPANS}",
        }.items():
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = int(rng.integers(10, 4_000))
        span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = int(rng.integers(1, 900))
    return found


class _Sender:
    """All connections of one load; `outcome` is complete after `run`."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.outcome = Outcome()
        self._lock = threading.Lock()
        self._next = load.first
        self._bodies = [
            [Body(load.batch, load.span_bytes, seed) for seed in range(_BODIES)]
            for _ in range(load.connections)
        ]
        self._headers = {"Content-Type": "application/x-protobuf"}
        if load.is_gzip:
            self._headers["Content-Encoding"] = "gzip"

    def stop(self) -> None:
        """No request begins any more."""
        self._end = 0.0

    def run(self) -> Outcome:
        began = time.monotonic()
        self._end = began + self.load.seconds if self.load.seconds else float("inf")
        threads = [threading.Thread(target=self._connection, args=(bodies,)) for bodies in self._bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _connection(self, bodies: list[Body]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.load.port, timeout=30)
        turn = 0
        while (first := self._take()) is not None:
            body = bodies[turn % len(bodies)].numbered(first)
            turn += 1
            if self.load.is_gzip:
                body = gzip.compress(body, 1)
            while (
                self._send(connection, body, first) == 503
                and self.load.again
                and time.monotonic() < self._end
            ):
                time.sleep(0.2)
        connection.close()

    def _take(self) -> int | None:
        """The first number of the next request."""
        with self._lock:
            first = self._next
            sent = first - self.load.first
            if (self.load.spans and sent >= self.load.spans) or time.monotonic() >= self._end:
                return None
            self._next += self.load.batch
            return first

    def _send(self, connection: http.client.HTTPConnection, body: bytes, first: int) -> int:
        """The status, 0 for none."""
        began = time.perf_counter()
        try:
            connection.request("POST", "/v1/traces", body, self._headers)
            answer = connection.getresponse()
            answer.read()
            status, told = answer.status, str(answer.status)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status, told = 0, type(error).__name__
            if isinstance(error, ConnectionRefusedError):
                time.sleep(0.05)
        took = 1_000 * (time.perf_counter() - began)
        span = (first, first + self.load.batch)
        outcome = self.outcome
        with self._lock:
            outcome.statuses[told] = outcome.statuses.get(told, 0) + 1
            outcome.bytes += len(body) if status == 200 else 0
            if status == 200:
                outcome.acknowledged.append(span)
                outcome.milliseconds.append(took)
            elif status != 503:
                outcome.unknown.append(span)
            elif not self.load.again:
                outcome.refused.append(span)
        return status


class LoadProcess:
    """A load that runs beside the caller."""

    def __init__(self, load: Load) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(load)) + "\n")
        self._process.stdin.flush()
        self._begun = self._line()  # bodies are built

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("stop\n")
        self._process.stdin.flush()

    def outcome(self) -> Outcome:
        """Waits for the end of the load."""
        found = Outcome(**json.loads(self._line()))
        assert self._process.wait(60) == 0
        self._process.communicate()
        return found


def missing_and_repeated(lake_uri: str, acknowledged: list[tuple[int, int]]) -> tuple[int, int, int]:
    """Of the numbered spans: acknowledged but not in the lake, in it more than once, and in it at all."""
    import pyarrow.dataset as ds
    from deltalake import DeltaTable

    try:
        files = DeltaTable(f"{lake_uri}/spans").file_uris()
    except Exception as error:
        if type(error).__name__ != "TableNotFoundError":
            raise
        return sum(last - first for first, last in acknowledged), 0, 0
    rows = ds.dataset(files, format="parquet").to_table(columns=["span_id"])
    texts = rows.column("span_id").to_pylist()
    stored, counts = np.unique(np.array([int(text, 16) for text in texts], np.uint64), return_counts=True)
    parts = [np.arange(first, last, dtype=np.uint64) for first, last in acknowledged]
    wanted = np.concatenate(parts) if parts else np.empty(0, np.uint64)
    return int((~np.isin(wanted, stored)).sum()), int((counts > 1).sum()), len(stored)


def main() -> None:
    load = Load(**json.loads(sys.stdin.readline()))
    sender = _Sender(load)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Thread(target=lambda: sys.stdin.readline() and sender.stop(), daemon=True).start()
    sys.stdout.write(json.dumps(asdict(sender.run())) + "\n")


if __name__ == "__main__":
    main()
