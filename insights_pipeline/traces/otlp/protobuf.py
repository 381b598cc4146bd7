"""OTLP protobuf to records: a walk over the wire format, one span in memory at a time.

Walked down to the single Span, a file of any size needs no more memory than its largest span, a truncated file
gives every span before the cut, a broken span costs only itself, and rejects carry their byte position.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from insights_pipeline.traces.dialects.genai_events import Found, Ignored, LogEvent, is_event, read_event
from insights_pipeline.traces.otlp.attributes import (
    RawAttributesSpan,
    any_value,
    attributes_from_bytes,
    attributes_from_messages,
)
from insights_pipeline.traces.otlp.signals import signal_of
from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import Attributes, Event, RawSpan, Reject, excerpt

MAX_SPAN_BYTES = 64 * 2**20
_RESOURCE_SPANS, _RESOURCE, _SCOPE_SPANS, _SCOPE, _SPANS = 1, 1, 2, 1, 2
_NO_EVENTS: tuple[Event, ...] = ()


class MalformedError(Exception):
    """The bytes are not what the format says; what encloses them may go on after its own end."""


class TruncatedError(Exception):
    """The stream ends in the middle of a message."""


def read_protobuf(window: Window) -> Iterator[Found]:
    """Spans and log records of one Export…ServiceRequest (also several of them joined), or of length-prefixed ones.

    The requests of traces, logs and metrics are nested alike, so what a record is shows in the record itself.

    A bare request starts with the tag of `resource_spans`, 0x0A. Otherwise the first bytes are a length and the
    tag follows it: as a varint (protobuf's delimited streams), or as 4 bytes, most significant first (the file
    exporter of the OpenTelemetry Collector).
    """
    try:
        prefix = _framing(window)
        if prefix is None:
            yield from _request(window, None)
        else:
            yield from _delimited(window, prefix)
    except MalformedError as error:
        yield _reject(window, str(error), "Export the file again, as OTLP protobuf or OTLP/JSON.")
    except TruncatedError:
        reason = window.damage or "the file ends in the middle of a message"
        yield _reject(window, reason, "Export or copy the file again; what precedes the cut was ingested.")


def _framing(window: Window) -> str | None:
    window.fill(16)
    head = window.data[window.at : window.at + 16]
    if not head or head[0] == 0x0A:
        return None
    if head[0] == 0 and head[4:5] == b"\x0a":
        return "fixed"
    size = next((place for place, byte in enumerate(head[:10]) if byte < 0x80), None)
    if size is not None and head[size + 1 : size + 2] == b"\x0a":
        return "varint"
    raise MalformedError("neither OTLP protobuf nor JSON")


def _delimited(window: Window, prefix: str) -> Iterator[Found]:
    while window.fill(1):
        if prefix == "varint":
            length = _varint(window)
        elif window.fill(4):
            length = int.from_bytes(window.take(4), "big")
        else:
            raise TruncatedError
        end = window.position + length
        yield from _within(window, end, _request(window, end))


def _request(window: Window, end: int | None) -> Iterator[Found]:
    for field, after in _fields(window, end):
        if field == _RESOURCE_SPANS:
            yield from _within(window, after, _resource_spans(window, after))
    if window.damage:
        raise TruncatedError


def _resource_spans(window: Window, end: int) -> Iterator[Found]:
    resource: Attributes = {}
    for field, after in _fields(window, end):
        if field == _RESOURCE:
            resource = attributes_from_messages(_parse(window, after, Resource).attributes)
        elif field == _SCOPE_SPANS:
            yield from _within(window, after, _scope_spans(window, after, resource))


def _scope_spans(window: Window, end: int, resource: Attributes) -> Iterator[Found]:
    scope = ""
    for field, after in _fields(window, end):
        if field == _SCOPE:
            scope = _parse(window, after, InstrumentationScope).name
        elif field == _SPANS:
            yield _span(window, after, resource, scope)


def _within(window: Window, end: int, records: Iterator[Found]) -> Iterator[Found]:
    """The records of one message; what is broken inside it does not hurt what follows it."""
    try:
        yield from records
    except MalformedError as error:
        yield _reject(window, str(error), "Export again; the rest of this message was left out.")
        if not window.skip_to(end):
            raise TruncatedError from error


def _fields(window: Window, end: int | None) -> Iterator[tuple[int, int]]:
    """Number and end of each length-delimited field up to `end`; whatever the caller leaves of it is skipped."""
    while window.position < end if end is not None else window.fill(1):
        tag = _varint(window)
        wire = tag & 7
        if tag >> 3 == 0:
            raise MalformedError("a field has number 0")
        if wire == 2:
            length = _varint(window)
            after = window.position + length
            if end is not None and after > end:
                raise MalformedError("a field is longer than the message it is in")
            yield tag >> 3, after
            if not window.skip_to(after):
                raise TruncatedError
        elif wire == 0:
            _varint(window)
        elif wire in (1, 5):
            if not window.skip_to(window.position + (8 if wire == 1 else 4)):
                raise TruncatedError
        else:
            raise MalformedError(f"wire type {wire} does not exist in OTLP")
        if end is not None and window.position > end:
            raise MalformedError("a field is longer than the message it is in")


def _varint(window: Window) -> int:
    if window.at >= len(window.data) and not window.fill(1):
        raise TruncatedError
    byte = window.data[window.at]
    window.at += 1
    if byte < 0x80:
        return byte
    value, shift = byte & 0x7F, 7
    while shift < 64:
        if window.at >= len(window.data) and not window.fill(1):
            raise TruncatedError
        byte = window.data[window.at]
        window.at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
    raise MalformedError("a number is longer than 10 bytes")


def _take(window: Window, after: int) -> bytes:
    size = after - window.position
    if size > MAX_SPAN_BYTES:
        raise MalformedError(f"a record of {size:,} bytes is over the limit of {MAX_SPAN_BYTES:,}")
    if not window.fill(size):
        raise TruncatedError
    return window.take(size)


def _parse(window: Window, after: int, kind: type[Any]) -> Any:
    try:
        return kind.FromString(_take(window, after))
    except DecodeError as error:
        raise MalformedError(f"a {kind.DESCRIPTOR.name} cannot be decoded") from error


def _span(window: Window, after: int, resource: Attributes, scope: str) -> Found:
    position = f"byte {window.position}"
    if after - window.position > MAX_SPAN_BYTES:
        size = after - window.position
        return Reject(
            position, f"a span of {size:,} bytes is over the limit", "Send less text in one span.", ""
        )
    data = _take(window, after)
    try:
        span = RawAttributesSpan.FromString(data)
        attributes = attributes_from_bytes(span.attributes)
    except (DecodeError, UnicodeDecodeError):
        span, attributes = None, {}
    if (
        span is None or not span.start_time_unix_nano
    ):  # in log records and metrics it is another kind of field
        signal = signal_of(data)
        if signal == "log":
            return _log(data, position)
        if signal == "metric":
            return Ignored("metric", position)
        if span is None:
            remedy = "Export the span again, with text as valid UTF-8."
            return Reject(position, "the span cannot be decoded", remedy, excerpt(data))
    status = span.status
    events = _NO_EVENTS
    if span.events:
        events = tuple(
            Event(
                event.name,
                event.time_unix_nano,
                attributes_from_messages(event.attributes) if event.attributes else {},
            )
            for event in span.events
        )
    return RawSpan(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        status.code,
        status.message,
        attributes,
        events,
        resource,
        scope,
        position,
    )


def _log(data: bytes, position: str) -> Found:
    try:
        log = LogRecord.FromString(data)
    except DecodeError:
        remedy = "Export the log record again, with text as valid UTF-8."
        return Reject(position, "the log record cannot be decoded", remedy, excerpt(data))
    named = (item.value.string_value for item in log.attributes if item.key == "event.name")
    name = log.event_name or next(named, "")
    if not is_event(name):
        return Ignored("log", position)
    return read_event(
        LogEvent(
            name,
            log.trace_id.hex(),
            log.span_id.hex(),
            log.time_unix_nano or log.observed_time_unix_nano,
            attributes_from_messages(log.attributes),
            any_value(log.body, "", 0),
            position,
        )
    )


def _reject(window: Window, reason: str, remedy: str) -> Reject:
    raw = window.data[window.at : window.at + 1_000]
    return Reject(f"byte {window.position}", reason, remedy, excerpt(raw) if raw else "")
