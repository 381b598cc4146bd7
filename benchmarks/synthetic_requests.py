"""OTLP requests as SDKs send them, the same for a seed: 512 model calls of about 5.2 kB in each.

The text is made of 20,000 pseudo-words by Zipf's law. Alone it shrinks 3.2 times in gzip; the turns of real customer
service shrink 4.2 times. No text is shared between spans, while real conversations repeat themselves from call to
call (their requests shrink 15 to 20 times, these 3.4 to 5.4 times): to compress, these are the harder ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

SPANS_A_REQUEST = 512
START_NS = 1_772_366_400_000_000_000  # 2026-03-01 12:00 UTC
_SYLLABLES = [
    "ka",
    "ter",
    "min",
    "o",
    "ra",
    "del",
    "is",
    "ven",
    "pro",
    "tur",
    "an",
    "lo",
    "che",
    "sto",
    "un",
    "fer",
    "i",
    "ga",
    "re",
    "con",
    "al",
    "ti",
    "so",
    "ment",
    "er",
    "qua",
    "bi",
    "en",
    "du",
    "pla",
]
_VOCABULARY = 20_000
_POOL = 2**20  # words; messages are cut from places of it at random


class _Text:
    """A source of prose: `take(chars)` is some of it, of about that length."""

    def __init__(self, rng: np.random.Generator) -> None:
        parts = rng.integers(1, 4, _VOCABULARY)
        words = ["".join(_SYLLABLES[at] for at in rng.integers(0, len(_SYLLABLES), n)) for n in parts]
        share = 1 / np.arange(2.7, _VOCABULARY + 2.7)
        drawn = rng.choice(_VOCABULARY, _POOL, p=share / share.sum())
        ends = rng.random(_POOL)
        pieces = [
            words[at] + (" " if end > 0.12 else ", " if end > 0.07 else ". ")
            for at, end in zip(drawn, ends, strict=True)
        ]
        self._all = "".join(pieces)
        self._rng = rng

    def take(self, chars: int) -> str:
        length = int(self._rng.integers(chars // 2, chars * 3 // 2))
        at = int(self._rng.integers(0, len(self._all) - length))
        return self._all[at : at + length].strip()


def netra_requests(count: int, *, seed: int = 0) -> Iterator[bytes]:
    """Chat calls of netra-sdk: 27 attributes, messages as JSON and flattened; serialised requests, uncompressed."""
    return _requests(count, seed, "netra.instrumentation.openai", _netra)


def openllmetry_requests(count: int, *, seed: int = 0) -> Iterator[bytes]:
    """Chat calls of traceloop-sdk 0.60 and later: messages once, as JSON of the OpenTelemetry conventions."""
    return _requests(count, seed, "opentelemetry.instrumentation.openai.v1", _openllmetry)


def real_requests(folder: Path, count: int, *, seed: int = 0) -> Iterator[bytes]:
    """The OTLP protobuf files of a folder, one after the other and again, with new ids each time."""
    rng = np.random.default_rng(seed)
    files = [ExportTraceServiceRequest.FromString(path.read_bytes()) for path in sorted(folder.glob("*.pb"))]
    for number in range(count):
        request = files[number % len(files)]
        salt = int(rng.integers(1, 2**63))
        for span in (
            span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans
        ):
            span.trace_id = _mixed(span.trace_id, salt)
            span.span_id = _mixed(span.span_id, salt)
            span.parent_span_id = _mixed(span.parent_span_id, salt)
        yield request.SerializeToString()


def _mixed(id_: bytes, salt: int) -> bytes:
    """Another id for each id, the same within one salt; no id stays none."""
    size = len(id_)
    return (int.from_bytes(id_, "big") ^ salt).to_bytes(size, "big") if size else id_


def _requests(count: int, seed: int, scope: str, attributes: Any) -> Iterator[bytes]:
    rng = np.random.default_rng(seed)
    text = _Text(rng)
    for number in range(count):
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        _put(
            group.resource,
            {
                "service.name": "support-bot",
                "deployment.environment": "production",
                "service.version": "1.3.0",
            },
        )
        spans = group.scope_spans.add()
        spans.scope.name = scope
        for _ in range(SPANS_A_REQUEST):
            _call(spans, rng, attributes(text, rng), START_NS + number * 10**9)
        yield request.SerializeToString()


def _call(spans: ScopeSpans, rng: np.random.Generator, attributes: dict[str, Any], begun_ns: int) -> None:
    start = begun_ns + int(rng.integers(0, 10**9))
    span = spans.spans.add(
        name="openai.chat",
        kind=3,
        trace_id=rng.bytes(16),
        span_id=rng.bytes(8),
        parent_span_id=rng.bytes(8),
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(rng.integers(10**8, 10**10)),
    )
    _put(span, attributes)


def _put(holder: Any, attributes: dict[str, Any]) -> None:
    for key, value in attributes.items():
        item = holder.attributes.add(key=key).value
        if isinstance(value, str):
            item.string_value = value
        elif isinstance(value, bool):
            item.bool_value = value
        elif isinstance(value, int):
            item.int_value = value
        else:
            item.double_value = value


def _turns(text: _Text, chars: int) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": text.take(2 * chars)},
        {"role": "user", "content": text.take(chars)},
        {"role": "assistant", "content": text.take(chars)},
        {"role": "user", "content": text.take(chars)},
    ]


def _netra(text: _Text, rng: np.random.Generator) -> dict[str, Any]:
    turns, answer = _turns(text, 345), {"role": "assistant", "content": text.take(345)}
    prompt, completion = int(rng.integers(200, 4_000)), int(rng.integers(10, 600))
    found: dict[str, Any] = {
        "netra.instrumentation.name": "openai",
        "library.name": "netra",
        "library.version": "1.2.2",
        "netra.session_id": f"session-{rng.integers(10**6)}",
        "netra.user_id": f"user-{rng.integers(10**5)}",
        "netra.tenant_id": f"tenant-{rng.integers(40)}",
        "netra.workflow.name": "chat-turn",
        "llm.request.type": "chat",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.2,
    }
    for number, turn in enumerate(turns):
        found[f"gen_ai.prompt.{number}.role"] = turn["role"]
        found[f"gen_ai.prompt.{number}.content"] = turn["content"]
    found |= {
        "input": orjson.dumps(turns).decode(),
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.usage.prompt_tokens": prompt,
        "gen_ai.usage.completion_tokens": completion,
        "llm.usage.total_tokens": prompt + completion,
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": answer["content"],
        "output": orjson.dumps([answer]).decode(),
        "gen_ai.performance.time_to_first_token": f"{rng.random():.17f}",
    }
    return found


def _openllmetry(text: _Text, rng: np.random.Generator) -> dict[str, Any]:
    turns = _turns(text, 690)
    answer = {
        "role": "assistant",
        "parts": [{"type": "text", "content": text.take(690)}],
        "finish_reason": "stop",
    }
    prompt, completion = int(rng.integers(200, 4_000)), int(rng.integers(10, 600))
    sent = [{"role": turn["role"], "parts": [{"type": "text", "content": turn["content"]}]} for turn in turns]
    return {
        "gen_ai.operation.name": "chat",
        "traceloop.workflow.name": "chat-turn",
        "traceloop.entity.path": "answer",
        "traceloop.association.properties.session_id": f"session-{rng.integers(10**6)}",
        "traceloop.association.properties.user_id": f"user-{rng.integers(10**5)}",
        "traceloop.association.properties.tenant_id": f"tenant-{rng.integers(40)}",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.is_streaming": False,
        "gen_ai.input.messages": orjson.dumps(sent).decode(),
        "gen_ai.openai.api_base": "https://api.openai.com/v1/",
        "gen_ai.response.id": f"chatcmpl-{rng.bytes(12).hex()}",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.finish_reasons": "stop",
        "gen_ai.usage.total_tokens": prompt + completion,
        "gen_ai.usage.input_tokens": prompt,
        "gen_ai.usage.output_tokens": completion,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.output.messages": orjson.dumps([answer]).decode(),
    }
