"""OTLP/JSON to spans: one request a line, or one document; ids in hex, 64-bit integers as strings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from insights_pipeline.traces.otlp.values import NESTED_TOO_DEEP, finite, is_vector, keep
from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import Attributes, Event, RawSpan, Record, Reject, excerpt
from insights_pipeline.traces.text import MAX_DEPTH, MISSING, as_float

MAX_LINE_BYTES = 64 * 2**20
MAX_DOCUMENT_BYTES = 256 * 2**20
_STATUS = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_REQUEST_KEYS = ("resourceSpans", "resource_spans")
_OTHER_SIGNALS = ("resourceLogs", "resourceMetrics", "resource_logs", "resource_metrics")
_AS_JSON = "Export as OTLP/JSON: one request a line, or one JSON document."
_HEX_IDS = (
    "OTLP/JSON writes ids in hex; a generic protobuf-to-JSON printer writes base64. Use an OTLP exporter."
)


class Line(NamedTuple):
    number: int
    data: bytes | None  # None: longer than MAX_LINE_BYTES


def read_json(window: Window) -> Iterator[Record]:
    """Spans of JSON text: requests a line each, one request, or a list of requests.

    As soon as a line is a request by itself the text is read line by line, with one request in memory at a time.
    Until then it may be one document, so its lines are gathered, up to 256 MiB.
    """
    gathered: list[Line] = []
    size = 0
    lines = _lines(window)
    for line in lines:
        if line.data is not None and not line.data.strip():
            continue
        parsed = _parse(line.data)
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


def _lines(window: Window) -> Iterator[Line]:
    number = 0
    while window.fill(1):
        number += 1
        yield Line(number, _next_line(window))


def _next_line(window: Window) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while window.fill(1):
        end = window.data.find(b"\n", window.at)
        stop = len(window.data) if end < 0 else end
        size += stop - window.at
        if size <= MAX_LINE_BYTES:
            parts.append(window.data[window.at : stop])
        else:
            parts.clear()
        window.at = stop
        if end >= 0:
            window.at += 1
            break
    return b"".join(parts) if size <= MAX_LINE_BYTES else None


def _parse(data: bytes | None) -> Any:
    """The JSON value, or MISSING. What others write although it is not JSON is let pass: NaN and infinities become
    null, halves of surrogate pairs and bytes that are not UTF-8 a replacement character."""
    if data is None:
        return MISSING
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        if data.lstrip()[:1] not in (b"{", b"["):
            return MISSING
    text = data.decode("utf-8", "replace")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if not any(mark in text for mark in ("NaN", "Infinity", "\\u")):
            return MISSING
    try:
        lenient = json.loads(text, parse_constant=lambda _: None)
        return orjson.loads(json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return MISSING


def _is_request(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) for item in value) and any(map(_is_request, value))
    return isinstance(value, dict) and any(key in value for key in _REQUEST_KEYS)


def _line(line: Line) -> Iterator[Record]:
    if line.data is None or line.data.strip():
        parsed = _parse(line.data)
        if isinstance(parsed, (dict, list)):
            yield from _requests(parsed, f"line {line.number}, ")
        else:
            yield _bad_line(line)


def _bad_line(line: Line) -> Reject:
    if line.data is None:
        reason = f"a line of more than {MAX_LINE_BYTES:,} bytes"
        return Reject(f"line {line.number}", reason, "Write smaller requests, one a line.", "")
    reason = "the line is not JSON" if _parse(line.data) is MISSING else "the line holds no resourceSpans"
    return Reject(f"line {line.number}", reason, _AS_JSON, excerpt(line.data))


def _document(data: bytes) -> Iterator[Record]:
    parsed = _parse(data.removeprefix(b"\xef\xbb\xbf"))
    if isinstance(parsed, (dict, list)):
        yield from _requests(parsed, "")
        return
    try:
        orjson.loads(data)
        position, reason = "line 1", "the document is neither a request nor a list of requests"
    except orjson.JSONDecodeError as error:
        position, reason = f"line {error.lineno}", f"the document is not JSON ({error.msg})"
    yield Reject(position, reason, _AS_JSON, excerpt(data[:8_000]))


def _requests(value: Any, where: str) -> Iterator[Record]:
    """Spans of a request or of a list of them; counted through, so that `span 3` finds the third."""
    number = 0
    for index, request in enumerate(value if isinstance(value, list) else [value]):
        place = f"{where}request {index + 1}, " if isinstance(value, list) else where
        if not isinstance(request, dict) or not (any(key in request for key in _REQUEST_KEYS) or not request):
            signal = isinstance(request, dict) and any(key in request for key in _OTHER_SIGNALS)
            reason = "logs or metrics, not traces" if signal else "no resourceSpans"
            yield Reject(place.rstrip(", ") or "document", reason, _AS_JSON, excerpt(str(request)[:2_000]))
            continue
        for record in _request(request, place, number):
            number += 1
            yield record


def _request(request: dict[str, Any], place: str, number: int) -> Iterator[Record]:
    for resource_spans in _objects(request, "resourceSpans", "resource_spans"):
        resource = _attributes(_object(resource_spans, "resource").get("attributes"))
        for scope_spans in _objects(resource_spans, "scopeSpans", "scope_spans"):
            scope = _string(_object(scope_spans, "scope").get("name"))
            for span in _list(scope_spans, "spans", "spans"):
                number += 1
                position = f"{place}span {number}"
                if isinstance(span, dict):
                    yield _span(span, resource, scope, position)
                else:
                    yield Reject(
                        position, "the span is not a JSON object", _AS_JSON, excerpt(str(span)[:2_000])
                    )


def _span(span: dict[str, Any], resource: Attributes, scope: str, position: str) -> Record:
    trace_id = _string(_get(span, "traceId", "trace_id")).lower()
    span_id = _string(_get(span, "spanId", "span_id")).lower()
    if (len(trace_id), len(span_id)) == (24, 12) and trace_id.endswith("="):
        return Reject(position, "the ids are base64, not hex", _HEX_IDS, excerpt(str(span)[:2_000]))
    status = _object(span, "status")
    code = status.get("code", 0)
    return RawSpan(
        trace_id,
        span_id,
        _string(_get(span, "parentSpanId", "parent_span_id")).lower(),
        _string(span.get("name")),
        _integer(_get(span, "startTimeUnixNano", "start_time_unix_nano")) or 0,
        _integer(_get(span, "endTimeUnixNano", "end_time_unix_nano")) or 0,
        _STATUS.get(code, 0) if isinstance(code, str) else _integer(code) or 0,
        _string(status.get("message")),
        _attributes(span.get("attributes")),
        tuple(
            Event(
                _string(event.get("name")),
                _integer(_get(event, "timeUnixNano", "time_unix_nano")) or 0,
                _attributes(event.get("attributes")),
            )
            for event in _objects(span, "events", "events")
        ),
        resource,
        scope,
        position,
    )


def _attributes(items: object) -> Attributes:
    found: Attributes = {}
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and isinstance(key := item.get("key"), str):
            value = _value(item.get("value"), key, 0)
            if keep(value):
                found[key] = value
    return found


def _value(value: object, key: str, depth: int) -> Any:
    if not isinstance(value, dict):
        return None
    for kind, content in value.items():
        if kind == "stringValue" or kind == "string_value" or kind == "bytesValue" or kind == "bytes_value":
            return content if isinstance(content, str) else None
        if kind == "intValue" or kind == "int_value":
            return _integer(content)
        if kind == "boolValue" or kind == "bool_value":
            return content if isinstance(content, bool) else None
        if kind == "doubleValue" or kind == "double_value":
            return finite(content) if isinstance(content, float) else as_float(content)
        if kind in ("arrayValue", "array_value", "kvlistValue", "kvlist_value"):
            return NESTED_TOO_DEEP if depth >= MAX_DEPTH else _nested(kind, content, key, depth)
    return None


def _nested(kind: str, content: object, key: str, depth: int) -> Any:
    items = content.get("values") if isinstance(content, dict) else None
    if not isinstance(items, list):
        items = []
    if kind.startswith("array"):
        if is_vector(key, len(items), items and isinstance(items[0], dict) and "doubleValue" in items[0]):
            return None
        return [_value(item, "", depth + 1) for item in items]
    return {
        str(item.get("key")): _value(item.get("value"), str(item.get("key")), depth + 1)
        for item in items
        if isinstance(item, dict)
    }


def _integer(value: object) -> int | None:
    """A 64-bit integer as a number or as a string."""
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.lstrip("-").isdigit():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**63) <= value < 2**64 else None


def _get(value: dict[str, Any], camel: str, snake: str) -> Any:
    found = value.get(camel)
    return value.get(snake) if found is None else found


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _list(value: dict[str, Any], camel: str, snake: str) -> list[Any]:
    found = _get(value, camel, snake)
    return found if isinstance(found, list) else []


def _objects(value: dict[str, Any], camel: str, snake: str) -> Iterator[dict[str, Any]]:
    return (item for item in _list(value, camel, snake) if isinstance(item, dict))
