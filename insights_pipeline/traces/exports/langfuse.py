"""Langfuse's traces, observations and scores out of files: the API's JSON, the app's downloads, the blob exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from insights_pipeline.traces.exports.langfuse_live import TYPES, batch_pieces
from insights_pipeline.traces.exports.langfuse_observation import (
    SYSTEM,
    TtftUnit,
    observation_span,
    root_id_of,
    trace_span,
    ttft_of,
)
from insights_pipeline.traces.exports.langfuse_score import score_of
from insights_pipeline.traces.exports.langfuse_ttft import FileUnit
from insights_pipeline.traces.exports.merge import WHAT, Piece, merged
from insights_pipeline.traces.exports.values import bounded, field, has, moment, text_of
from insights_pipeline.traces.records import RawSpan, Record, Reject, excerpt

__all__ = ["SYSTEM", "is_finished", "looks_like", "read_rows", "root_id_of", "to_span"]

# Observations whose time to the first token waits for evidence of its unit; more than so many are not held.
_MAX_HELD = 500
# Observations of batches of events, which may be told more of later in the file.
_MAX_OPEN = 5_000
_JOINED = ("sessionId", "userId", "traceName", "release")
# Other tools' rows have some of these too, but not so many.
_OF_TRACE = (
    "sessionId", "userId", "tags", "public", "bookmarked", "htmlPath", "latency", "projectId", "release", "version",
    "environment", "createdAt", "updatedAt",
)  # fmt: skip
_ENOUGH = 4
_NOT_OURS = "Export traces, observations or scores as Langfuse's API or blob storage export gives them."


class _Observed(NamedTuple):
    """An observation to be made a span as soon as the unit of its times is known."""

    fields: dict[str, Any]
    position: str
    trace: dict[str, Any] | None
    root_of_orphans: bool

    def span(self, unit: TtftUnit | None) -> RawSpan | Reject:
        return observation_span(
            self.fields,
            self.position,
            trace=self.trace,
            root_of_orphans=self.root_of_orphans,
            ttft_unit=unit,
        )


def looks_like(row: dict[str, Any]) -> bool:
    """Whether a row is a trace, an observation, a score, or something of Langfuse that holds them."""
    return _what(row) is not None


def read_rows(rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Record]:
    """Spans, scores and rejects of the `(position, row)` pairs of one file; never raises for what a row holds.

    A time to the first token is in seconds, or in milliseconds in files of older integrations: the rows of the file
    tell which. Up to 500 of those that cannot be read alone are held until one that can comes; when none does they
    have no `ttft_ms`, and their attributes say what was told.
    """
    unit = FileUnit()
    held: list[_Observed] = []
    for item in _items(rows):
        if not isinstance(item, _Observed):
            yield item
            continue
        unit.learn(item.fields)
        if not _needs_unit(item.fields):
            yield item.span(None)
            continue
        held.append(item)
        if unit.known is not None or len(held) > _MAX_HELD:
            yield from (waiting.span(unit.known) for waiting in held)
            held.clear()
    yield from (waiting.span(unit.known) for waiting in held)


def is_finished(fields: dict[str, Any]) -> bool:
    """Whether nothing more is expected: of a trace one never knows, since nothing ends it."""
    if fields.get(WHAT) == "trace":
        return False
    return field(fields, "type") == "EVENT" or field(fields, "endTime") is not None


def to_span(fields: dict[str, Any], position: str) -> RawSpan | Reject:
    """The span of an observation or of a trace put together of its pieces.

    An observation without a parent hangs on the root that stands for its trace, whether that has come or not.
    """
    if fields.get(WHAT) == "trace":
        return trace_span(fields, position)
    return observation_span(fields, position, root_of_orphans=True)


def _items(rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[_Observed | Record]:
    events: dict[str, tuple[dict[str, Any], str]] = {}
    for position, given in rows:
        row = bounded(given)
        what = _what(row)
        if what == "batch":
            yield from _events(row["batch"], position, events)
        elif what == "page":
            for number, item in enumerate(row["data"], start=1):
                place = f"{position}, item {number}".lstrip(", ")
                yield from _item(item, _what(item) if isinstance(item, dict) else None, place)
        else:
            yield from _item(row, what, position)
    for fields, position in events.values():
        yield to_span(fields, position)


def _events(
    batch: list[Any], position: str, known: dict[str, tuple[dict[str, Any], str]]
) -> Iterator[Record]:
    """Batches of events as the SDKs sent them: what they say of one observation is joined, as long as not more than
    5,000 others were begun in between."""
    for piece in batch_pieces(batch, position):
        if isinstance(piece, Piece):
            old, place = known.get(piece.key, (None, piece.position))
            known[piece.key] = (merged(old, piece), place)
            if len(known) > _MAX_OPEN:
                oldest = next(iter(known))
                yield to_span(*known.pop(oldest))
        else:
            yield piece


def _item(row: Any, what: str | None, position: str) -> Iterator[_Observed | Record]:
    if what == "file":
        yield from _whole(row["trace"], row.get("observations") or row["trace"].get("observations"), position)
    elif what == "trace":
        inside = row.get("observations")
        if isinstance(inside, list) and any(isinstance(item, dict) for item in inside):
            yield from _whole(row, inside, position)
        else:
            yield trace_span(row, position)
            yield from _scores(row, position)
    elif what == "score":
        yield score_of(row, position)
    elif what == "observation":
        # Where the export joined the trace to each observation there is no other row for it.
        yield _Observed(row, position, None, not any(field(row, name) is not None for name in _JOINED))
    else:
        yield Reject(
            position, "no trace, observation or score of Langfuse", _NOT_OURS, excerpt(str(row)[:2_000])
        )


def _whole(trace: dict[str, Any], inside: Any, position: str) -> Iterator[_Observed | Record]:
    """A trace with all its observations: its one root carries what is said of the trace, or one made for it does."""
    place = f"{position}, " if position else ""
    observations: list[dict[str, Any]] = []
    for number, item in enumerate(inside if isinstance(inside, list) else (), start=1):
        if isinstance(item, dict):
            observations.append({"traceId": trace.get("id"), **item, WHAT: f"{place}observation {number}"})
        else:
            reason = "the observation is no JSON object"
            yield Reject(f"{place}observation {number}", reason, _NOT_OURS, excerpt(str(item)[:2_000]))
    known = {text_of(field(item, "id")) for item in observations}
    tops = [text_of(field(item, "parentObservationId")) not in known for item in observations]
    has_root = sum(tops) == 1
    if not has_root:
        starts = [start for item in observations if (start := moment(field(item, "startTime")))]
        ends = [end for item in observations if (end := moment(field(item, "endTime")))]
        yield trace_span(trace, position, start_ns=min(starts, default=0), end_ns=max(ends, default=0))
    for item, is_top in zip(observations, tops, strict=True):
        fields = {**item, "parentObservationId": None, "parent_observation_id": None} if is_top else item
        yield _Observed(fields, item[WHAT], trace if is_top and has_root else None, not has_root)
    yield from _scores(trace, position)


def _scores(trace: dict[str, Any], position: str) -> Iterator[Record]:
    place = f"{position}, " if position else ""
    for what in ("scores", "corrections"):
        found = trace.get(what)
        for number, score in enumerate(found if isinstance(found, list) else (), start=1):
            if isinstance(score, dict):  # in lists of traces there are only ids
                known = {"traceId": trace.get("id"), **score}
                yield score_of(known, f"{place}{what[:-1]} {number}")


def _needs_unit(fields: dict[str, Any]) -> bool:
    return ttft_of(fields) is not None and not moment(field(fields, "completionStartTime"))


def _what(row: dict[str, Any]) -> str | None:
    if isinstance(row.get("trace"), dict) and ("observations" in row or "observations" in row["trace"]):
        return "file"
    if isinstance(batch := row.get("batch"), list):
        return "batch" if batch and isinstance(batch[0], dict) and "body" in batch[0] else None
    if isinstance(data := row.get("data"), list) and "meta" in row:
        return "page" if not data or (isinstance(data[0], dict) and _what(data[0])) else None
    if field(row, "id") is None:
        return None
    if field(row, "traceId") is not None and field(row, "startTime") is not None:
        return "observation" if text_of(field(row, "type")).lower() in TYPES else None
    if field(row, "dataType") is not None or field(row, "stringValue") is not None or "value" in row:
        targets = ("traceId", "sessionId", "observationId")
        return "score" if "name" in row and any(field(row, name) is not None for name in targets) else None
    if field(row, "timestamp") is not None and sum(has(row, name) for name in _OF_TRACE) >= _ENOUGH:
        return "trace"
    return None
