"""What a reader hands on: a span as it was sent, what belongs to a span but came apart from it, or a reject."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from insights_pipeline.traces.message_parts import Message

Attributes: TypeAlias = dict[str, Any]


class Event(NamedTuple):
    """An event of a span; `attributes` is empty for the bare ones (stream chunks)."""

    name: str
    time_ns: int
    attributes: Attributes


class RawSpan(NamedTuple):
    """A span with its attributes as Python values: no NaN, no empty string, no embedding vector.

    Ids are lower-case hex as sent (not yet checked), times are ns since the epoch (0 = missing), `attributes`
    belongs to this span alone: the dialects take out of it what they map. `position` says where in the source.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    attributes: Attributes
    events: tuple[Event, ...]
    resource: Attributes
    scope: str
    position: str


class Reject(NamedTuple):
    """A record that was not ingested: where it is, why, what to do, and its first characters."""

    position: str
    reason: str
    remedy: str
    raw: str


class Content(NamedTuple):
    """What a span said, sent apart from it: an OTLP log record with GenAI messages.

    Ids as in RawSpan; contents of one span stand in the order of (`at_ns`, `ordinal`).
    """

    trace_id: str
    span_id: str
    at_ns: int
    ordinal: int
    inputs: list[Message]
    outputs: list[Message]
    position: str


class Score(NamedTuple):
    """A judgement of a trace, of one span of it (`span_id`), or of a session; what is not known is "".

    `value` is a number (a yes is 1, a no is 0), `label` a verdict in words; `judge` says who judged (a person, an
    API, an evaluator), `source` by which tool it came.
    """

    score_id: str
    trace_id: str
    span_id: str
    session_id: str
    name: str
    value: float | None
    label: str | None
    comment: str | None
    judge: str | None
    at_ns: int
    source: str
    position: str


Record: TypeAlias = "RawSpan | Content | Score | Reject"
MAX_RAW_CHARS = 2_000
HEX_MARK = "hex "


def excerpt(raw: bytes | str) -> str:
    """The start of a rejected record as text; bytes that are not UTF-8 are shown as hex."""
    if isinstance(raw, str):
        return raw[:MAX_RAW_CHARS]
    head = raw[:MAX_RAW_CHARS]
    try:
        text = head.decode()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and text else HEX_MARK + head[: MAX_RAW_CHARS // 2 - 2].hex()
