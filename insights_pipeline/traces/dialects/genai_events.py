"""Events of OpenTelemetry's conventions for generative AI that came as log records: messages and evaluations."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from insights_pipeline.traces.dialects.otel_genai import EVENTS, OUTPUT_EVENTS, instructions_of
from insights_pipeline.traces.ids import fingerprint
from insights_pipeline.traces.message_parts import Message
from insights_pipeline.traces.messages import read_messages
from insights_pipeline.traces.records import Attributes, Content, Record, Reject, Score, excerpt
from insights_pipeline.traces.text import MISSING, as_float, as_text, loads_container
from insights_pipeline.traces.validate import is_span_id, is_trace_id

DETAILS = "gen_ai.client.inference.operation.details"  # all of a call in one event, since v1.37
EVALUATION = "gen_ai.evaluation.result"
_NAMES = frozenset({*EVENTS, DETAILS, EVALUATION})
_INSIDE = (
    "Emit the event while its span is current, so that OpenTelemetry writes its ids into the log record."
)
_HEX_IDS = (
    "OTLP/JSON writes ids in hex; a generic protobuf-to-JSON printer writes base64. Use an OTLP exporter."
)
_REPORT = "This is a bug of the reader: report it with this record."


class LogEvent(NamedTuple):
    """A log record under its event's name; ids in hex as sent, `at_ns` 0 when it has no time."""

    name: str
    trace_id: str
    span_id: str
    at_ns: int
    attributes: Attributes
    body: Any
    position: str


class Ignored(NamedTuple):
    """What is read but not kept, and is no fault: `signal` is "log" (ordinary, or without content) or "metric"."""

    signal: str
    position: str


Found: TypeAlias = "Record | Ignored"


def is_event(name: str) -> bool:
    """Whether a log record of this event name is looked into."""
    return name in _NAMES


def read_event(event: LogEvent) -> Content | Score | Reject | Ignored:
    """What a log record says; one of other events, and one without any content, is ignored. Never raises."""
    if not is_event(event.name):
        return Ignored("log", event.position)
    try:
        return _score(event) if event.name == EVALUATION else _content(event)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        reason = f"the event cannot be read ({type(error).__name__}: {error})"
        return _reject(event, reason[:500], _REPORT)


def _content(event: LogEvent) -> Content | Reject | Ignored:
    inputs, outputs = _details(event) if event.name == DETAILS else _message(event)
    if not inputs and not outputs:  # capturing content is off, or the call failed before it had any
        return Ignored("log", event.position)
    if (found := _problem(event)) is not None:
        return _reject(event, *found)
    return Content(event.trace_id, event.span_id, event.at_ns, 0, inputs, outputs, event.position)


def _details(event: LogEvent) -> tuple[list[Message], list[Message]]:
    body = event.body if isinstance(event.body, dict) else {}
    fields = {**body, **event.attributes}
    inputs = _with_words(read_messages(fields.get("gen_ai.input.messages"), "user"))
    if not any(message["role"] == "system" for message in inputs):
        inputs = [*instructions_of(fields.get("gen_ai.system_instructions")), *inputs]
    return inputs, _with_words(read_messages(fields.get("gen_ai.output.messages"), "assistant"))


def _message(event: LogEvent) -> tuple[list[Message], list[Message]]:
    """One message an event, as until v1.36; the body is an object, some loggers make JSON text of it."""
    parsed = loads_container(event.body)
    body = event.body if parsed is MISSING else parsed
    fields = body if isinstance(body, dict) else {}
    value: Any = body
    for key in ("message", "gen_ai.prompt", "gen_ai.completion"):
        if found := fields.get(key) or event.attributes.get(key):
            value = found
            break
    role = EVENTS[event.name]
    if isinstance(value, dict) and not isinstance(value.get("role"), str):
        value = {**value, "role": role}
    messages = _with_words(read_messages(value, role))
    if role == "tool" and isinstance(call_id := fields.get("id"), str):
        messages = [
            {**message, "tool_call_id": message.get("tool_call_id") or call_id} for message in messages
        ]
    return ([], messages) if event.name in OUTPUT_EVENTS else (messages, [])


def _with_words(messages: list[Message]) -> list[Message]:
    """Without the messages that say nothing, which is what is left of them when content is not captured."""
    return [message for message in messages if message["content"] or message.get("tool_calls")]


def _problem(event: LogEvent) -> tuple[str, str] | None:
    if event.trace_id.endswith("=") or event.span_id.endswith("="):
        return "the ids are base64, not hex", _HEX_IDS
    if not is_trace_id(event.trace_id):
        return "content without a trace id", _INSIDE
    if not is_span_id(event.span_id):
        return "content without a span id", _INSIDE
    if event.at_ns <= 0:
        return "content without a time", "Send a time or an observed time with each log record."
    return None


def _score(event: LogEvent) -> Score | Reject:
    body = event.body if isinstance(event.body, dict) else {}
    fields = {**body, **event.attributes}
    name = fields.get("gen_ai.evaluation.name")
    if not isinstance(name, str) or not name:
        return _reject(event, "an evaluation without a name", "Send gen_ai.evaluation.name.")
    value = fields.get("gen_ai.evaluation.score.value")
    number = float(value) if isinstance(value, bool) else as_float(value)
    label, comment = (
        as_text(text) if (text := fields.get(f"gen_ai.evaluation.{key}")) is not None else None
        for key in ("score.label", "explanation")
    )
    if number is None and label is None:
        remedy = "Send gen_ai.evaluation.score.value or .label; an evaluation that failed has neither."
        return _reject(event, "an evaluation without a score", remedy)
    session = fields.get("gen_ai.conversation.id") or fields.get("session.id")
    trace_id = event.trace_id if is_trace_id(event.trace_id) else ""
    if not trace_id and not session:
        reason = "the ids are base64, not hex" if event.trace_id.endswith("=") else "a score of nothing"
        return _reject(event, reason, _HEX_IDS if event.trace_id.endswith("=") else _INSIDE)
    span_id = event.span_id if is_span_id(event.span_id) and trace_id else ""
    said = (name, str(number), label or "", str(event.at_ns))
    return Score(
        fingerprint("otlp", trace_id, span_id, as_text(session or ""), *said),
        trace_id,
        span_id,
        as_text(session or ""),
        name,
        number,
        label,
        comment,
        "EVAL",
        event.at_ns,
        "otlp",
        event.position,
    )


def _reject(event: LogEvent, reason: str, remedy: str) -> Reject:
    shown = {"event": event.name, "trace_id": event.trace_id, "span_id": event.span_id, "body": event.body}
    return Reject(event.position, reason, remedy, excerpt(str(shown)))
