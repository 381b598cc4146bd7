"""Log records of an OTLP/JSON request: those that are events of generative AI, and how many are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from insights_pipeline.traces.dialects.genai_events import Found, Ignored, LogEvent, is_event, read_event
from insights_pipeline.traces.otlp.json_values import (
    attributes_of,
    integer_of,
    list_of,
    member,
    objects_of,
    string_of,
    value_of,
)
from insights_pipeline.traces.records import Reject, excerpt

_AS_JSON = "Export as OTLP/JSON: one request a line, or one JSON document."


def read_logs_request(request: dict[str, Any], place: str, number: int) -> Iterator[Found]:
    """Every log record of `resourceLogs`, counted on from `number`."""
    for resource_logs in objects_of(request, "resourceLogs", "resource_logs"):
        for scope_logs in objects_of(resource_logs, "scopeLogs", "scope_logs"):
            for record in list_of(scope_logs, "logRecords", "log_records"):
                number += 1
                position = f"{place}log record {number}"
                if isinstance(record, dict):
                    yield _log(record, position)
                else:
                    reason = "the log record is not a JSON object"
                    yield Reject(position, reason, _AS_JSON, excerpt(str(record)[:2_000]))


def _log(record: dict[str, Any], position: str) -> Found:
    name = string_of(member(record, "eventName", "event_name")) or _named(record)
    if not is_event(name):
        return Ignored("log", position)
    return read_event(
        LogEvent(
            name,
            string_of(member(record, "traceId", "trace_id")).lower(),
            string_of(member(record, "spanId", "span_id")).lower(),
            integer_of(member(record, "timeUnixNano", "time_unix_nano"))
            or integer_of(member(record, "observedTimeUnixNano", "observed_time_unix_nano"))
            or 0,
            attributes_of(record.get("attributes")),
            value_of(record.get("body"), "", 0),
            position,
        )
    )


def _named(record: dict[str, Any]) -> str:
    """The event's name as an attribute: where it was before log records had a field for it."""
    for item in objects_of(record, "attributes", "attributes"):
        if item.get("key") == "event.name" and isinstance(value := item.get("value"), dict):
            return string_of(member(value, "stringValue", "string_value"))
    return ""
