"""An observation or a trace of Langfuse, in any spelling, to a span in the `langfuse` dialect."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from insights_pipeline.traces.exports.langfuse_usage import cost_details, usage_details
from insights_pipeline.traces.exports.merge import FIRST_NS
from insights_pipeline.traces.exports.values import (
    field,
    iso_of,
    list_of,
    moment,
    object_of,
    payload,
    text_of,
    unquoted,
)
from insights_pipeline.traces.ids import span_id_of, trace_id_of
from insights_pipeline.traces.records import Attributes, RawSpan, Reject, excerpt
from insights_pipeline.traces.text import as_float, as_text

SYSTEM = "langfuse"
TtftUnit: TypeAlias = Literal["s", "ms"]
_NS_OF = {"s": 1_000_000_000, "ms": 1_000_000}
_OBSERVATION = "langfuse.observation."
# What Langfuse keeps of an OpenTelemetry span, inside the metadata.
_EMBEDDED = ("attributes", "resourceAttributes", "scope")
_TOLD = "… of unknown unit"
# Kept under names of their own, beside those that are mapped.
_ASIDE = {
    "modelParameters": "model.parameters", "promptName": "prompt.name", "promptVersion": "prompt.version",
    "toolCalls": "tool_calls", "toolCallNames": "tool_call_names", "toolDefinitions": "tool_definitions",
}  # fmt: skip
_BEGUN = (
    "Send the observation's beginning as well, or export it whole: without a start it has no place in time."
)


def observation_span(
    fields: dict[str, Any],
    position: str,
    *,
    trace: dict[str, Any] | None = None,
    root_of_orphans: bool = False,
    ttft_unit: TtftUnit | None = None,
) -> RawSpan | Reject:
    """The span of an observation; with `trace` it is the root and carries what is said of the trace.

    `root_of_orphans`: without a parent it hangs on the root that stands for its trace (see `trace_span`).
    `ttft_unit` is the unit of a time to the first token without the time itself; None when it cannot be told.
    """
    own = text_of(field(fields, "id"))
    parent = text_of(field(fields, "parentObservationId"))
    trace_id = text_of(field(fields, "traceId")) or ("" if parent else own)
    start = moment(field(fields, "startTime")) or moment(field(fields, "timestamp")) or _first_ns(fields)
    if not own or not trace_id:
        reason = f"an observation without {'trace' if own else 'id'}"
        return Reject(position, reason, "Export or send the observation whole.", excerpt(str(fields)[:2_000]))
    if not start:
        return Reject(position, "an observation without start", _BEGUN, excerpt(str(fields)[:2_000]))
    kind = text_of(field(fields, "type")).lower() or "span"
    end = moment(field(fields, "endTime")) or (start if kind == "event" else 0)
    metadata = field(fields, "metadata")
    attributes, resource, scope = _embedded(object_of(metadata))
    attributes[_OBSERVATION + "type"] = kind
    _put(attributes, _OBSERVATION + "input", payload(field(fields, "input")))
    _put(attributes, _OBSERVATION + "output", payload(field(fields, "output")))
    _put_metadata(attributes, _OBSERVATION + "metadata", metadata)
    is_error = field(fields, "level") == "ERROR"
    _put(attributes, _OBSERVATION + "level", field(fields, "level"))
    _put(attributes, _OBSERVATION + "status_message", text_of(field(fields, "statusMessage")))
    _put(
        attributes,
        _OBSERVATION + "model.name",
        text_of(field(fields, "model") or field(fields, "providedModelName")),
    )
    _put(attributes, _OBSERVATION + "usage_details", usage_details(fields, is_error=is_error))
    _put(attributes, _OBSERVATION + "cost_details", cost_details(fields))
    for name, kept in _ASIDE.items():
        _put(attributes, _OBSERVATION + kept, field(fields, name))
    _put_first_token(attributes, fields, start, ttft_unit)
    _put_trace_fields(attributes, fields)
    if trace is not None:
        _put_trace(attributes, trace)
    parent_id = span_id_of(parent) or (root_id_of(trace_id) if root_of_orphans else "")
    name = text_of(field(fields, "name"))
    return RawSpan(
        trace_id_of(trace_id), span_id_of(own), parent_id, name, start, end, 0, "", attributes, (), resource, scope,
        position,
    )  # fmt: skip


def trace_span(
    trace: dict[str, Any], position: str, *, start_ns: int = 0, end_ns: int = 0
) -> RawSpan | Reject:
    """The root that stands for a trace: its user, session, tags, input and output, without which none would say them.

    Its id follows from the trace's, so that it is one span however often it is told of. Start and end are those of
    its observations where they are known; else the trace's time, and no end.
    """
    trace_id = text_of(field(trace, "id"))
    start = min(
        (time for time in (start_ns, moment(field(trace, "timestamp"))) if time), default=_first_ns(trace)
    )
    if not trace_id or not start:
        reason = f"a trace without {'time' if trace_id else 'id'}"
        return Reject(position, reason, "Export or send the trace whole.", excerpt(str(trace)[:2_000]))
    attributes, resource, scope = _embedded(object_of(field(trace, "metadata")))
    attributes = {_OBSERVATION + "type": "trace"}
    _put_trace(attributes, trace)
    name = text_of(field(trace, "name"))
    return RawSpan(
        trace_id_of(trace_id), root_id_of(trace_id), "", name, start, end_ns, 0, "", attributes, (), resource, scope,
        position,
    )  # fmt: skip


def root_id_of(trace_id: str) -> str:
    """The span id of the root that stands for a trace."""
    return span_id_of(f"root of {trace_id_of(trace_id)}")


def _first_ns(fields: dict[str, Any]) -> int:
    first = fields.get(FIRST_NS)
    return first if isinstance(first, int) else 0


def _embedded(metadata: dict[str, Any]) -> tuple[Attributes, Attributes, str]:
    """Attributes, resource and scope of the OpenTelemetry span that an observation was; the dialects read them too.

    Langfuse writes every value as text.
    """
    attributes, resource, scope = (object_of(metadata.get(name)) for name in _EMBEDDED)
    kept = {key: value for key, value in attributes.items() if value is not None and value != ""}
    return kept, resource, text_of(scope.get("name"))


def _put_metadata(attributes: Attributes, prefix: str, value: Any) -> None:
    metadata = object_of(value)
    for key, item in metadata.items():
        if key not in _EMBEDDED:
            _put(attributes, f"{prefix}.{key}", item)
    if not metadata:
        _put(attributes, prefix, payload(value))


def _put_first_token(
    attributes: Attributes, fields: dict[str, Any], start: int, unit: TtftUnit | None
) -> None:
    first = moment(field(fields, "completionStartTime"))
    told = ttft_of(fields)
    if not first and told is not None and unit is not None:
        first = start + round(told * _NS_OF[unit])
    if first:
        attributes[_OBSERVATION + "completion_start_time"] = iso_of(first)
    elif told is not None:
        attributes["langfuse.time_to_first_token " + _TOLD] = told


def ttft_of(fields: dict[str, Any]) -> float | None:
    """The time to the first token as told, in seconds or milliseconds; None when there is none."""
    told = as_float(field(fields, "timeToFirstToken"))
    return told if told is not None and 0 < told < 1e9 else None


def _put_trace_fields(attributes: Attributes, fields: dict[str, Any]) -> None:
    """What observations and traces both have, or observations have where the export joined the trace to them."""
    _put(attributes, "langfuse.environment", text_of(field(fields, "environment")))
    _put(attributes, "langfuse.release", text_of(field(fields, "release")))
    _put(attributes, "langfuse.version", text_of(field(fields, "version")))
    _put(attributes, "session.id", text_of(field(fields, "sessionId")))
    _put(attributes, "user.id", text_of(field(fields, "userId")))
    _put(attributes, "langfuse.trace.name", text_of(field(fields, "traceName")))
    _put(attributes, "langfuse.trace.tags", [as_text(tag) for tag in list_of(field(fields, "tags"))])


def _put_trace(attributes: Attributes, trace: dict[str, Any]) -> None:
    _put_trace_fields(attributes, trace)
    _put(attributes, "langfuse.trace.name", text_of(field(trace, "name")))
    _put(attributes, "langfuse.trace.input", payload(unquoted(field(trace, "input"))))
    _put(attributes, "langfuse.trace.output", payload(unquoted(field(trace, "output"))))
    _put_metadata(attributes, "langfuse.trace.metadata", field(trace, "metadata"))


def _put(attributes: Attributes, key: str, value: Any) -> None:
    if value is not None and value not in ("", [], {}):
        attributes[key] = value
