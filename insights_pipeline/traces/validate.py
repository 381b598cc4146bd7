"""Which spans are kept: those with ids and a time that can be true."""

from __future__ import annotations

import math

from insights_pipeline.lake.days import NS_PER_DAY
from insights_pipeline.traces.ids import fingerprint
from insights_pipeline.traces.records import Content, RawSpan, Reject, Score, excerpt

EARLIEST_NS = 946_684_800 * 1_000_000_000  # 2000-01-01
_HEX = "0123456789abcdef"
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_IDS = "Send the id as OpenTelemetry does: 16 bytes (32 hex digits) of trace id, 8 bytes (16) of span id, not zero."
_TIMES = "Check the clock of the sender: times are nanoseconds since 1970, UTC."


def is_trace_id(text: str) -> bool:
    return len(text) == 32 and text != _NO_TRACE and not text.strip(_HEX)


def is_span_id(text: str) -> bool:
    return len(text) == 16 and text != _NO_SPAN and not text.strip(_HEX)


def problem(raw: RawSpan, *, now_ns: int) -> tuple[str, str] | None:
    """Reason and remedy when a span cannot be kept; None when it can.

    A missing end is no problem: the span was exported unfinished, its end is NULL, and when it is sent again
    finished, that arrival replaces it.
    """
    trace_id, span_id = raw.trace_id, raw.span_id
    if not trace_id or trace_id == _NO_TRACE:
        return "no trace id", _IDS
    if len(trace_id) != 32 or trace_id.strip(_HEX):
        return "the trace id is not 16 bytes", _IDS
    if not span_id or span_id == _NO_SPAN:
        return "no span id", _IDS
    if len(span_id) != 16 or span_id.strip(_HEX):
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
    usable = len(parent) == 16 and parent != _NO_SPAN and parent != raw.span_id and not parent.strip(_HEX)
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


def checked_content(content: Content, received: int) -> Content | Reject:
    """A content that names its span and a time that can be true."""
    if (
        is_trace_id(content.trace_id)
        and is_span_id(content.span_id)
        and EARLIEST_NS <= content.at_ns <= received + NS_PER_DAY
    ):
        return content
    reason = "content without the trace id, span id and time of its span"
    remedy = "Emit the event inside the span, so that OpenTelemetry writes its ids into the log record."
    return Reject(content.position, reason, remedy, excerpt(str(content.inputs or content.outputs)))


def checked_score(score: Score, received: int) -> Score | Reject:
    """A score that judges something, with an id and a time; one of another clock is of the time it arrived."""
    if not score.name or not (score.trace_id or score.span_id or score.session_id):
        reason = "a score without a name" if not score.name else "a score of nothing"
        remedy = "Send its name, and the id of the trace or the session that it judges."
        return Reject(score.position, reason, remedy, excerpt(str(score._asdict())))
    value = score.value if score.value is not None and math.isfinite(score.value) else None
    at_ns = score.at_ns if EARLIEST_NS <= score.at_ns <= received + NS_PER_DAY else received
    named = (score.source, score.trace_id, score.span_id, score.session_id, score.name, str(at_ns))
    return score._replace(score_id=score.score_id or fingerprint(*named), value=value, at_ns=at_ns)
