"""Damaged OTLP bodies of every kind, the same for a seed, and a client that sends them as they are."""

from __future__ import annotations

import gzip
import http.client
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROTOBUF, JSON = "application/x-protobuf", "application/json"
START_NS = 1_772_366_400_000_000_000


class Client:
    """Sends samples over one connection; `status` is 0 where the server hung up."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def status(self, sample: Sample, path: str = "/v1/traces") -> int:
        try:
            self._connection.request("POST", path, sample.body, sample.headers)
            answer = self._connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            self.close()
            return 0

    def close(self) -> None:
        self._connection.close()


class Sample(NamedTuple):
    """A request body with what its headers say of it, and how it was made."""

    name: str
    body: bytes
    content_type: str = PROTOBUF
    encoding: str = ""

    @property
    def headers(self) -> dict[str, str]:
        found = {"content-type": self.content_type}
        return {**found, "content-encoding": self.encoding} if self.encoding else found


# Attributes as the SDKs send them.
_CALLS: tuple[dict[str, Any], ...] = (
    {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Where is it? é"}]}],
        "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"On its way."}]}]',
        "gen_ai.usage.input_tokens": 512,
        "gen_ai.usage.output_tokens": 33,
        "gen_ai.response.time_to_first_chunk": 0.25,
    },
    {
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "cancel my booking",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "cancel",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"id": "A1"}',
        "llm.token_count.prompt": 90,
        "input.value": '{"messages": [{"role": "user", "content": "cancel my booking"}]}',
        "embedding.embeddings.0.embedding.vector": [0.5, -1.25, 3.0],
        "metadata": '{"thread_id": "t-1"}',
    },
    {
        "netra.entity.type": "task",
        "netra.span.type": "TOOL",
        "input": '{"order": "W1234567", "deep": {"a": [1, 2, {"b": null}]}}',
        "output": "shipped",
        "netra.usage": '[{"model":"m","cost_in_usd":0.01}]',
        "netra.session_id": "s-1",
    },
    {"langfuse.observation.type": "generation", "langfuse.observation.input": "hi", "session.id": "s"},
    {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "x" * 300, "traceloop.span.kind": "task"},
)


def request(rng: random.Random, spans: int) -> ExportTraceServiceRequest:
    """A request of several SDKs' spans with ids of their own."""
    found = ExportTraceServiceRequest()
    group = found.resource_spans.add()
    _put(group.resource.attributes, {"service.name": "support", "deployment.environment": "production"})
    scope = group.scope_spans.add()
    scope.scope.name = "openinference.instrumentation.openai"
    trace_id = rng.randbytes(16)
    for number in range(spans):
        start = START_NS + rng.randrange(10**12)
        span = scope.spans.add(
            trace_id=trace_id,
            span_id=rng.randbytes(8),
            parent_span_id=rng.randbytes(8) if number else b"",
            name="step",
            start_time_unix_nano=start,
            end_time_unix_nano=start + 10**9,
        )
        _put(span.attributes, rng.choice(_CALLS))
        if rng.random() < 0.3:
            span.status.code = 2  # type: ignore[assignment]
            event = span.events.add(name="exception", time_unix_nano=start)
            _put(event.attributes, {"exception.type": "ValueError", "exception.message": "no such order"})
    return found


def as_json(message: ExportTraceServiceRequest) -> bytes:
    """OTLP/JSON: ids in hex, 64-bit numbers as strings."""
    groups = []
    for group in message.resource_spans:
        scopes = [
            {"scope": {"name": scope.scope.name}, "spans": [_json_span(span) for span in scope.spans]}
            for scope in group.scope_spans
        ]
        groups.append(
            {"resource": {"attributes": _json_pairs(group.resource.attributes)}, "scopeSpans": scopes}
        )
    return orjson.dumps({"resourceSpans": groups})


def _json_span(span: Any) -> dict[str, Any]:
    return {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_span_id.hex(),
        "name": span.name,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
        "attributes": _json_pairs(span.attributes),
        "status": {"code": span.status.code},
        "events": [
            {
                "name": event.name,
                "timeUnixNano": str(event.time_unix_nano),
                "attributes": _json_pairs(event.attributes),
            }
            for event in span.events
        ],
    }


def _json_pairs(attributes: Any) -> list[dict[str, Any]]:
    return [{"key": pair.key, "value": _json_value(pair.value)} for pair in attributes]


def _json_value(value: Any) -> dict[str, Any]:
    if value.HasField("string_value"):
        return {"stringValue": value.string_value}
    if value.HasField("array_value"):
        return {"arrayValue": {"values": [_json_value(item) for item in value.array_value.values]}}
    if value.HasField("kvlist_value"):
        return {"kvlistValue": {"values": _json_pairs(value.kvlist_value.values)}}
    return (
        {"doubleValue": value.double_value}
        if value.HasField("double_value")
        else {"intValue": str(value.int_value)}
    )


def _put(attributes: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        _set(attributes.add(key=key).value, value)


def _set(holder: Any, value: Any) -> None:
    if isinstance(value, str):
        holder.string_value = value
    elif isinstance(value, float):
        holder.double_value = value
    elif isinstance(value, list):
        for item in value:
            _set(holder.array_value.values.add(), item)
    elif isinstance(value, dict):
        _put(holder.kvlist_value.values, value)
    else:
        holder.int_value = value


def mutated(count: int, *, seed: int = 0, more: Sequence[bytes] = ()) -> Iterator[Sample]:
    """`count` damaged bodies; half protobuf, half JSON. `more` are further protobuf bodies to damage."""
    rng = random.Random(seed)
    whole = [request(rng, rng.randint(1, 12)) for _ in range(24)]
    protobuf = [message.SerializeToString() for message in whole] + list(more)
    json_bodies = [as_json(message) for message in whole]
    for number in range(count):
        is_json = rng.random() < 0.5
        bodies = json_bodies if is_json else protobuf
        ways = _JSON_WAYS if is_json else _PROTOBUF_WAYS
        damage = rng.choice(ways)
        body = damage(bytearray(rng.choice(bodies)), rng, bodies)
        for _ in range(rng.choice((0, 0, 0, 1, 3))):
            again = rng.choice(ways)
            body = again(bytearray(body), rng, bodies)
        yield _sent(f"{number} {damage.__name__}", body, JSON if is_json else PROTOBUF, rng)


def _sent(name: str, body: bytes, content_type: str, rng: random.Random) -> Sample:
    """Mostly as it should be sent; some compressed, damaged after that, or under a false flag."""
    dice = rng.random()
    if dice < 0.10:
        return Sample(f"{name} gzip", gzip.compress(body, 1), content_type, "gzip")
    if dice < 0.15:
        return Sample(f"{name} zstd", pa.Codec("zstd").compress(body, asbytes=True), content_type, "zstd")
    if dice < 0.22:
        packed = _flip_bits(bytearray(gzip.compress(body, 1)), rng, ())
        return Sample(f"{name} damaged gzip", packed, content_type, "gzip")
    if dice < 0.26:
        packed = _cut(bytearray(pa.Codec("zstd").compress(body, asbytes=True)), rng, ())
        return Sample(f"{name} damaged zstd", packed, content_type, "zstd")
    if dice < 0.29:
        return Sample(f"{name} not compressed", body, content_type, rng.choice(("gzip", "zstd")))
    if dice < 0.33:
        return Sample(f"{name} false type", body, JSON if content_type == PROTOBUF else PROTOBUF)
    if dice < 0.36:
        return Sample(
            f"{name} odd header", body, rng.choice(("text/html", "", "application/json; x=\xe9")), "br"
        )
    return Sample(name, body, content_type)


_Bodies = Sequence[bytes]


def _flip_bits(body: bytearray, rng: random.Random, _: _Bodies) -> bytes:
    for _number in range(rng.choice((1, 1, 2, 8, 64))):
        if body:
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body)


def _cut(body: bytearray, rng: random.Random, _: _Bodies) -> bytes:
    return bytes(body[: rng.randrange(len(body) + 1)])


def _drop_middle(body: bytearray, rng: random.Random, _: _Bodies) -> bytes:
    start = rng.randrange(len(body) + 1)
    del body[start : start + rng.choice((1, 2, 7, 100))]
    return bytes(body)


def _insert_noise(body: bytearray, rng: random.Random, _: _Bodies) -> bytes:
    place = rng.randrange(len(body) + 1)
    body[place:place] = rng.choice((rng.randbytes(rng.choice((1, 5, 300))), b"\0" * 9, b"\xff" * 11))
    return bytes(body)


def _splice(body: bytearray, rng: random.Random, bodies: _Bodies) -> bytes:
    other = rng.choice(bodies)
    return bytes(body[: rng.randrange(len(body) + 1)]) + other[rng.randrange(len(other) + 1) :]


def _lie_about_a_length(body: bytearray, rng: random.Random, _: _Bodies) -> bytes:
    places = list(_lengths(bytes(body), 0, len(body), 0))
    if not places:
        return bytes(body)
    start, end = rng.choice(places)
    lies = (0, 1, 127, len(body), 2**31 - 1, 2**32, 2**63, 2**64 - 1)
    body[start:end] = varint(rng.choice(lies))
    return bytes(body)


def _lie_about_a_type(body: bytearray, rng: random.Random, _: _Bodies) -> bytes:
    places = list(_lengths(bytes(body), 0, len(body), 0))
    if places:
        start, _end = rng.choice(places)
        body[start - 1] = rng.choice((0x00, 0x07, 0x0B, 0x0C, 0x0D, 0x09, 0x08, 0x10, 0xFF))
    return bytes(body)


def _lengths(data: bytes, at: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
    """Where lengths stand, in messages and what looks like messages inside of them."""
    while at < end and depth < 8:
        tag = data[at]
        at += 1
        kind = tag & 7
        if kind == 0 or kind == 2:
            value = shift = 0
            start = at
            while at < end:
                value |= (data[at] & 127) << shift
                shift += 7
                at += 1
                if data[at - 1] < 128 or shift > 63:
                    break
            if kind == 2:
                if at + value > end:
                    return
                yield start, at
                yield from _lengths(data, at, at + value, depth + 1)
                at += value
        elif kind == 1 or kind == 5:
            at += 8 if kind == 1 else 4
        else:
            return


def varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


_VALUES = (
    b"null", b"true", b"-1", b"1e999", b"NaN", b"Infinity", b"[]", b"{}", b'""', b'"\\ud800"', b'"\\u0000"',
    b"99999999999999999999999999", b'"-9223372036854775809"', b"[[[[]]]]", b'{"a":{"a":{}}}', b"0x10", b"'",
)  # fmt: skip
_KEYS = (b"resourceSpans", b"scopeSpans", b"spans", b"attributes", b"key", b"value", b"stringValue", b"traceId",
         b"startTimeUnixNano", b"events", b"status", b"scope", b"resource")  # fmt: skip


def _replace_a_value(body: bytearray, rng: random.Random, _: _Bodies) -> bytes:
    """A key keeps its name, what follows becomes something else; what was there stays or goes."""
    key = b'"' + rng.choice(_KEYS) + b'":'
    place = bytes(body).find(key, rng.randrange(len(body) + 1))
    if place < 0:
        return bytes(body) + rng.choice(_VALUES)
    place += len(key)
    end = min((at for stop in b",}]" if (at := body.find(stop, place)) >= 0), default=place)
    return bytes(body[:place]) + rng.choice(_VALUES) + bytes(body[rng.choice((place, end)) :])


def _rename_a_key(body: bytearray, rng: random.Random, _: _Bodies) -> bytes:
    return bytes(body).replace(rng.choice(_KEYS), rng.choice(_KEYS), rng.choice((1, 2, -1)))


def _drop_a_bracket(body: bytearray, rng: random.Random, _: _Bodies) -> bytes:
    places = [place for place, byte in enumerate(body) if byte in b'{}[]",:']
    if places:
        del body[rng.choice(places)]
    return bytes(body)


_WAYS = (_flip_bits, _flip_bits, _cut, _drop_middle, _insert_noise, _splice)
_PROTOBUF_WAYS: tuple[Callable[..., bytes], ...] = (
    *_WAYS,
    _lie_about_a_length,
    _lie_about_a_length,
    _lie_about_a_type,
)
_JSON_WAYS: tuple[Callable[..., bytes], ...] = (
    *_WAYS,
    _replace_a_value,
    _replace_a_value,
    _rename_a_key,
    _drop_a_bracket,
)
