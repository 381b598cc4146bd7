"""Spans and annotations as Phoenix exports them: data frames in Parquet or CSV, or JSON, in OpenInference's terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from insights_pipeline.traces.exports.phoenix_scores import annotation_score, is_annotation, span_scores
from insights_pipeline.traces.exports.times import time_ns
from insights_pipeline.traces.exports.values import bounded
from insights_pipeline.traces.ids import span_id_of, trace_id_of
from insights_pipeline.traces.otlp.values import NESTED_TOO_DEEP, is_vector, keep
from insights_pipeline.traces.records import Attributes, Event, RawSpan, Record, Reject, excerpt
from insights_pipeline.traces.text import MAX_DEPTH, MISSING, loads_container

SCOPE = "openinference.phoenix"
_PREFIX = "attributes."
_STATUS = {"ok": 1, "error": 2}
# Free-form objects: one value each, whatever is in them.
_WHOLE = ("metadata", "llm.invocation_parameters", "llm.prompt_template.variables", "tool.parameters")
_LISTS = ("llm.input_messages", "llm.output_messages", "retrieval.documents", "reranker.output_documents")
_READ = frozenset(
    {
        "name", "span_kind", "parent_id", "start_time", "end_time", "status_code", "status_message", "events",
        "context", "context.span_id", "context.trace_id", "span_id", "trace_id", "id", "attributes", "project_name",
        "annotations", "span_annotations", "latency_ms", "__index_level_0__",
    }
)  # fmt: skip


def looks_like(row: dict[str, Any]) -> bool:
    """Whether a row is a span or an annotation of Phoenix."""
    return _is_span(row) or is_annotation(row)


def _is_span(row: dict[str, Any]) -> bool:
    return (
        bool(_context(row, "span_id"))
        and "start_time" in row
        and not row.keys().isdisjoint(("span_kind", "parent_id", "status_code"))
    )


def read_rows(rows: Iterable[tuple[str, Any]]) -> Iterator[Record]:
    """Spans (and the scores in them) and annotations; a row that is neither is a Reject."""
    for position, value in rows:
        row = bounded(value)
        if isinstance(row, dict) and _is_span(row):
            span = _span(row, position)
            yield span
            yield from span_scores(row, span)
        elif isinstance(row, dict) and is_annotation(row):
            yield annotation_score(row, position)
        else:
            remedy = "Export with get_spans_dataframe() or get_span_annotations_dataframe()."
            reason = "neither a span nor an annotation of Phoenix"
            yield Reject(position, reason, remedy, excerpt(str(value)[:8_000]))


def _span(row: dict[str, Any], position: str) -> RawSpan:
    attributes: Attributes = {}
    nested = loads_container(row.get("attributes"))
    if isinstance(nested, dict):
        _flatten("", nested, attributes, 0)
    for key, value in row.items():
        if key.startswith(_PREFIX):
            _flatten(key[len(_PREFIX) :], value, attributes, 0)
        elif key not in _READ and not key.startswith(("eval.", "cumulative_")) and keep(value):
            attributes[key] = value
    if isinstance(kind := row.get("span_kind"), str) and kind and kind.upper() != "UNKNOWN":
        attributes["openinference.span.kind"] = kind
    project = row.get("project_name")
    return RawSpan(
        trace_id_of(_context(row, "trace_id")),
        span_id_of(_context(row, "span_id")),
        span_id_of(_string(row.get("parent_id"))),
        _string(row.get("name")),
        time_ns(row.get("start_time")) or 0,
        time_ns(row.get("end_time")) or 0,
        _STATUS.get(_string(row.get("status_code")).lower(), 0),
        _string(row.get("status_message")),
        attributes,
        _events(row.get("events")),
        {"openinference.project.name": project} if isinstance(project, str) and project else {},
        SCOPE,
        position,
    )


def _context(row: dict[str, Any], name: str) -> str:
    context = loads_container(row.get("context"))
    inner = context.get(name) if isinstance(context, dict) else None
    return _string(row.get(f"context.{name}") or inner)


def _flatten(key: str, value: Any, into: Attributes, depth: int) -> None:
    """Nested objects and lists of objects as the numbered keys that OpenInference sends; vectors are left out."""
    if not keep(value):
        return
    if key in _LISTS and (parsed := loads_container(value)) is not MISSING:
        value = parsed
    if depth >= MAX_DEPTH:
        into[key] = NESTED_TOO_DEEP
    elif isinstance(value, dict) and key not in _WHOLE:
        for name, item in value.items():
            _flatten(f"{key}.{name}" if key else name, item, into, depth + 1)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            _flatten(f"{key}.{number}", item, into, depth + 1)
    elif not (isinstance(value, list) and is_vector(key, len(value), value and isinstance(value[0], float))):
        into[key] = value


def _events(value: Any) -> tuple[Event, ...]:
    events = loads_container(value)
    found: list[Event] = []
    for event in events if isinstance(events, list) else ():
        if not isinstance(event, dict):
            continue
        attributes: Attributes = {}
        inner = loads_container(event.get("attributes"))
        for key, item in (inner if isinstance(inner, dict) else {}).items():
            # Objects nested by the dots of their keys, as Phoenix stores attributes.
            _flatten(str(key), item, attributes, 0)
        if isinstance(message := event.get("message"), str) and message:  # releases before 4 say it here
            attributes.setdefault("exception.message", message)
        at = time_ns(event.get("timestamp") or event.get("time")) or 0
        found.append(Event(_string(event.get("name")), at, attributes))
    return tuple(found)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
