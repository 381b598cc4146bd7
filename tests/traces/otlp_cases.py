"""Hand-made OTLP: attributes as Python values, spans and requests as protobuf."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from insights_pipeline.traces.table import span_table

SECOND = 1_000_000_000
START = 1_772_366_400 * SECOND  # 2026-03-01 12:00 UTC
NOW = START + 3_600 * SECOND
TRACE = bytes(range(1, 17))


def any_value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        found = AnyValue()
        found.array_value.values.extend(any_value(item) for item in value)
        return found
    if isinstance(value, dict):
        found = AnyValue()
        found.kvlist_value.values.extend(pairs(value))
        return found
    return AnyValue(string_value=value)


def pairs(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def make_span(
    attributes: dict[str, Any] | None = None,
    *,
    number: int = 1,
    name: str = "step",
    events: list[tuple[str, int, dict[str, Any]]] | None = None,
    status: int = 0,
    message: str = "",
    **fields: Any,
) -> Span:
    given = {
        "trace_id": TRACE,
        "span_id": number.to_bytes(8, "big"),
        "start_time_unix_nano": START + number * SECOND,
        "end_time_unix_nano": START + (number + 1) * SECOND,
        **fields,
    }
    span = Span(name=name, attributes=pairs(attributes or {}), **given)
    span.status.code = status  # type: ignore[assignment]
    span.status.message = message
    for event, after_ns, content in events or []:
        span.events.add(
            name=event, time_unix_nano=span.start_time_unix_nano + after_ns, attributes=pairs(content)
        )
    return span


def resource_spans(*spans: Span, resource: dict[str, Any] | None = None, scope: str = "") -> ResourceSpans:
    found = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
    found.resource.attributes.extend(pairs(resource or {}))
    found.scope_spans[0].scope.name = scope
    return found


def request(
    *spans: Span, resource: dict[str, Any] | None = None, scope: str = ""
) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest(resource_spans=[resource_spans(*spans, resource=resource, scope=scope)])


def tables(body: bytes, content_type: str = "", **options: Any) -> tuple[pa.Table, pa.Table]:
    given = {"now_ns": NOW, "max_field_chars": 100_000, **options}
    return span_table(body, content_type=content_type, **given)


def row(attributes: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """The one row that a span with these attributes becomes."""
    resource = options.pop("resource", None)
    scope = options.pop("scope", "")
    limit = options.pop("max_field_chars", 100_000)
    body = request(make_span(attributes, **options), resource=resource, scope=scope).SerializeToString()
    spans, rejects = tables(body, max_field_chars=limit)
    assert rejects.num_rows == 0, rejects.to_pylist()
    [found] = spans.to_pylist()
    return found
