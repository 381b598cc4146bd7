"""What a reader hands on: a span as it was sent, or a record that could not be read."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

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


Record: TypeAlias = "RawSpan | Reject"
MAX_RAW_CHARS = 2_000


def excerpt(raw: bytes | str) -> str:
    """The start of a rejected record as text; bytes that are not UTF-8 are shown as hex."""
    if isinstance(raw, str):
        return raw[:MAX_RAW_CHARS]
    head = raw[:MAX_RAW_CHARS]
    try:
        text = head.decode()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and text else "hex " + head[: MAX_RAW_CHARS // 2 - 2].hex()
