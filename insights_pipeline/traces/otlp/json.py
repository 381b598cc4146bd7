"""OTLP/JSON to records: one request a line, or one document; ids in hex, 64-bit integers as strings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from insights_pipeline.traces.dialects.genai_events import Found, Ignored
from insights_pipeline.traces.json_lines import (
    MAX_DOCUMENT_BYTES,
    Line,
    lines_of,
    parsed_json,
    too_long,
)
from insights_pipeline.traces.otlp.json_logs import read_logs_request
from insights_pipeline.traces.otlp.json_values import (
    attributes_of,
    integer_of,
    list_of,
    member,
    object_of,
    objects_of,
    string_of,
)
from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import Attributes, Event, RawSpan, Record, Reject, excerpt
from insights_pipeline.traces.text import MISSING

_STATUS = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_SPANS, _LOGS = ("resourceSpans", "resource_spans"), ("resourceLogs", "resource_logs")
_METRICS = ("resourceMetrics", "resource_metrics")
_REQUEST_KEYS = frozenset((*_SPANS, *_LOGS, *_METRICS))
_AS_JSON = "Export as OTLP/JSON: one request a line, or one JSON document."
_HEX_IDS = (
    "OTLP/JSON writes ids in hex; a generic protobuf-to-JSON printer writes base64. Use an OTLP exporter."
)


def read_json(window: Window) -> Iterator[Found]:
    """Spans and log records of JSON text: requests a line each, one request, or a list of requests.

    As soon as a line is a request by itself the text is read line by line, with one request in memory at a time.
    Until then it may be one document, so its lines are gathered, up to 256 MiB.
    """
    gathered: list[Line] = []
    size = 0
    lines = lines_of(window)
    for line in lines:
        parsed = parsed_json(line.data)
        if _is_request(parsed):
            for earlier in gathered:
                yield _bad_line(earlier)
            yield from _requests(parsed, f"line {line.number}, ")
            for later in lines:
                yield from _line(later)
            break
        gathered.append(line)
        size += len(line.data or b"")
        if line.data is None or size > MAX_DOCUMENT_BYTES:
            yield Reject(
                f"line {line.number}",
                f"a JSON document of more than {min(size, MAX_DOCUMENT_BYTES):,} bytes",
                "Write one request a line: such a file may be of any size.",
                excerpt(gathered[0].data or b""),
            )
            return
    else:
        if gathered:
            yield from _document(b"\n".join(line.data or b"" for line in gathered))
    if window.damage:
        remedy = "Copy the file again; what precedes the damage was ingested."
        yield Reject(f"byte {window.position}", window.damage, remedy, "")


def _is_request(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) for item in value) and any(map(_is_request, value))
    return isinstance(value, dict) and not _REQUEST_KEYS.isdisjoint(value)


def _line(line: Line) -> Iterator[Found]:
    parsed = parsed_json(line.data)
    if isinstance(parsed, (dict, list)):
        yield from _requests(parsed, f"line {line.number}, ")
    else:
        yield _bad_line(line)


def _bad_line(line: Line) -> Reject:
    if line.data is None:
        return too_long(line, "Write smaller requests, one a line.")
    reason = (
        "the line is not JSON" if parsed_json(line.data) is MISSING else "the line holds no resourceSpans"
    )
    return Reject(f"line {line.number}", reason, _AS_JSON, excerpt(line.data))


def _document(data: bytes) -> Iterator[Found]:
    parsed = parsed_json(data.removeprefix(b"\xef\xbb\xbf"))
    if isinstance(parsed, (dict, list)):
        yield from _requests(parsed, "")
        return
    try:
        orjson.loads(data)
        position, reason = "line 1", "the document is neither a request nor a list of requests"
    except orjson.JSONDecodeError as error:
        position, reason = f"line {error.lineno}", f"the document is not JSON ({error.msg})"
    yield Reject(position, reason, _AS_JSON, excerpt(data[:8_000]))


def _requests(value: Any, where: str) -> Iterator[Found]:
    """Records of a request or of a list of them; counted through, so that `span 3` finds the third."""
    number = 0
    for index, request in enumerate(value if isinstance(value, list) else [value]):
        place = f"{where}request {index + 1}, " if isinstance(value, list) else where
        if not isinstance(request, dict) or (request and _REQUEST_KEYS.isdisjoint(request)):
            position = place.rstrip(", ") or "document"
            yield Reject(position, "no resourceSpans", _AS_JSON, excerpt(str(request)[:2_000]))
            continue
        if any(key in request for key in _METRICS):
            yield Ignored("metric", place.rstrip(", ") or "document")
        for reader in (_request, read_logs_request):
            for record in reader(request, place, number):
                number += 1
                yield record


def _request(request: dict[str, Any], place: str, number: int) -> Iterator[Record]:
    for resource_spans in objects_of(request, "resourceSpans", "resource_spans"):
        resource = attributes_of(object_of(resource_spans, "resource").get("attributes"))
        for scope_spans in objects_of(resource_spans, "scopeSpans", "scope_spans"):
            scope = string_of(object_of(scope_spans, "scope").get("name"))
            for span in list_of(scope_spans, "spans", "spans"):
                number += 1
                position = f"{place}span {number}"
                if isinstance(span, dict):
                    yield _span(span, resource, scope, position)
                else:
                    yield Reject(
                        position, "the span is not a JSON object", _AS_JSON, excerpt(str(span)[:2_000])
                    )


def _span(span: dict[str, Any], resource: Attributes, scope: str, position: str) -> Record:
    trace_id = string_of(member(span, "traceId", "trace_id")).lower()
    span_id = string_of(member(span, "spanId", "span_id")).lower()
    if (len(trace_id), len(span_id)) == (24, 12) and trace_id.endswith("="):
        return Reject(position, "the ids are base64, not hex", _HEX_IDS, excerpt(str(span)[:2_000]))
    status = object_of(span, "status")
    code = status.get("code", 0)
    return RawSpan(
        trace_id,
        span_id,
        string_of(member(span, "parentSpanId", "parent_span_id")).lower(),
        string_of(span.get("name")),
        integer_of(member(span, "startTimeUnixNano", "start_time_unix_nano")) or 0,
        integer_of(member(span, "endTimeUnixNano", "end_time_unix_nano")) or 0,
        _STATUS.get(code, 0) if isinstance(code, str) else integer_of(code) or 0,
        string_of(status.get("message")),
        attributes_of(span.get("attributes")),
        tuple(
            Event(
                string_of(event.get("name")),
                integer_of(member(event, "timeUnixNano", "time_unix_nano")) or 0,
                attributes_of(event.get("attributes")),
            )
            for event in objects_of(span, "events", "events")
        ),
        resource,
        scope,
        position,
    )
