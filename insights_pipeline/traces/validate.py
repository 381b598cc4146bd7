"""Which spans are kept: those with ids and a time that can be true."""

from __future__ import annotations

from insights_pipeline.lake.days import NS_PER_DAY
from insights_pipeline.traces.records import RawSpan, Reject, excerpt

EARLIEST_NS = 946_684_800 * 1_000_000_000  # 2000-01-01
_HEX = frozenset("0123456789abcdef")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_IDS = "Send the id as OpenTelemetry does: 16 bytes (32 hex digits) of trace id, 8 bytes (16) of span id, not zero."
_TIMES = "Check the clock of the sender: times are nanoseconds since 1970, UTC."


def problem(raw: RawSpan, *, now_ns: int) -> tuple[str, str] | None:
    """Reason and remedy when a span cannot be kept; None when it can.

    A missing end is no problem: the span was exported unfinished, its end is NULL, and when it is sent again
    finished, that arrival replaces it.
    """
    trace_id, span_id = raw.trace_id, raw.span_id
    if not trace_id or trace_id == _NO_TRACE:
        return "no trace id", _IDS
    if len(trace_id) != 32 or not _HEX.issuperset(trace_id):
        return "the trace id is not 16 bytes", _IDS
    if not span_id or span_id == _NO_SPAN:
        return "no span id", _IDS
    if len(span_id) != 16 or not _HEX.issuperset(span_id):
        return "the span id is not 8 bytes", _IDS
    if raw.start_ns <= 0:
        return "no start time", _TIMES
    if raw.start_ns < EARLIEST_NS:
        return "the start is before 2000-01-01", _TIMES
    latest = now_ns + NS_PER_DAY
    if raw.start_ns > latest:
        return "the start is more than a day after its arrival", _TIMES
    if raw.end_ns > latest:
        return "the end is more than a day after its arrival", _TIMES
    if raw.end_ns and raw.end_ns < raw.start_ns:
        return "the end is before the start", _TIMES
    return None


def parent_of(raw: RawSpan) -> str | None:
    """The parent's id, or None for a root: also where the id is zero, malformed or the span's own."""
    parent = raw.parent_span_id
    usable = len(parent) == 16 and parent != _NO_SPAN and parent != raw.span_id and _HEX.issuperset(parent)
    return parent if usable else None


def rejected(raw: RawSpan, reason: str, remedy: str) -> Reject:
    shown = {
        "trace_id": raw.trace_id,
        "span_id": raw.span_id,
        "name": raw.name[:200],
        "start_ns": raw.start_ns,
        "end_ns": raw.end_ns,
        "attributes": {key: str(value)[:200] for key, value in list(raw.attributes.items())[:20]},
    }
    return Reject(raw.position, reason, remedy, excerpt(str(shown)))
