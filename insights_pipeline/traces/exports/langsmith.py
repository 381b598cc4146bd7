"""LangSmith's runs out of files: rows of the API, of the SDKs' payloads, of the bulk export; feedback too."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from insights_pipeline.traces.exports.langsmith_live import payload_pieces
from insights_pipeline.traces.exports.langsmith_run import SYSTEM, feedback_score, run_scores, run_span
from insights_pipeline.traces.exports.merge import Piece, merged
from insights_pipeline.traces.exports.values import bounded, list_of, text_of
from insights_pipeline.traces.records import Attributes, RawSpan, Record, Reject, excerpt

__all__ = ["SYSTEM", "is_finished", "looks_like", "read_rows", "to_span"]

# Runs of payloads whose end did not come yet; more than so many are not waited for.
_MAX_OPEN = 1_000
_NO_RUN = "Export runs as LangSmith's API or bulk export gives them, or the SDK's {post, patch} payloads."


def looks_like(row: dict[str, Any]) -> bool:
    """Whether a row is a run, a list of runs, a payload of runs, or a feedback."""
    return _is_run(row) or _is_payload(row) or _is_feedback(row) or _holds_runs(row)


def read_rows(rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Record]:
    """Spans, scores and rejects of `(position, row)` pairs; never raises for what a row holds.

    Beginnings and ends of runs that come in different payloads are joined, whichever comes first; at most 1,000
    runs are held, then the oldest is given without its end.
    """
    held: OrderedDict[str, tuple[dict[str, Any], str]] = OrderedDict()
    for position, given in rows:
        row = bounded(given)
        if _is_payload(row):
            for piece in payload_pieces(row, position):
                yield from [piece] if isinstance(piece, Reject) else _joined(held, piece)
        elif _is_run(row):
            yield from _run(row, position)
        elif _is_feedback(row):
            yield feedback_score(row, position)
        elif _holds_runs(row):
            for number, run in enumerate(row["runs"], start=1):
                place = f"{position}, run {number}".lstrip(", ")
                yield from _run(run, place) if isinstance(run, dict) else [_no_run(run, place)]
        else:
            yield _no_run(row, position)
    for fields, position in held.values():
        yield from _run(fields, position)


def is_finished(fields: dict[str, Any]) -> bool:
    """Whether nothing more is expected of a run."""
    return bool(fields.get("end_time"))


def to_span(fields: dict[str, Any], position: str) -> RawSpan | Reject:
    """The span of a run put together of its pieces."""
    return run_span(fields, position)


def _joined(held: OrderedDict[str, tuple[dict[str, Any], str]], piece: Piece) -> Iterator[Record]:
    old, position = held.pop(piece.key, (None, piece.position))
    fields = merged(old, piece)
    if is_finished(fields) and fields.get("start_time"):
        yield from _run(fields, position)
        return
    held[piece.key] = (fields, position)
    if len(held) > _MAX_OPEN:
        _, (oldest, place) = held.popitem(last=False)
        yield from _run(oldest, place)


def _run(run: dict[str, Any], position: str) -> Iterator[Record]:
    """A run and the runs nested in it, which may leave their trace and parent to the nesting."""
    waiting = [(run, position)]
    while waiting:
        fields, place = waiting.pop()
        span = run_span(fields, place)
        yield span
        if isinstance(span, RawSpan):
            yield from run_scores(fields, span)
        for number, child in enumerate(list_of(fields.get("child_runs")), start=1):
            if isinstance(child, dict):
                waiting.append(({**_inherited(fields), **child}, f"{place}, child {number}"))


def _inherited(run: dict[str, Any]) -> Attributes:
    found = {"trace_id": run.get("trace_id") or run.get("id"), "parent_run_id": run.get("id")}
    return {**found, **{key: run[key] for key in ("session_id", "session_name") if key in run}}


def _is_run(row: dict[str, Any]) -> bool:
    return "run_type" in row and ("id" in row or "dotted_order" in row)


def _is_payload(row: dict[str, Any]) -> bool:
    runs = [run for key in ("post", "patch") if isinstance(row.get(key), list) for run in row[key][:1]]
    whole = (
        bool(row) and row.keys() <= {"post", "patch"} and all(isinstance(part, list) for part in row.values())
    )
    return whole or any(isinstance(run, dict) and ("id" in run or "dotted_order" in run) for run in runs)


def _is_feedback(row: dict[str, Any]) -> bool:
    return "key" in row and ("run_id" in row or "trace_id" in row) and ("score" in row or "value" in row)


def _holds_runs(row: dict[str, Any]) -> bool:
    runs = row.get("runs")
    return isinstance(runs, list) and bool(runs) and isinstance(runs[0], dict) and _is_run(runs[0])


def _no_run(row: object, position: str) -> Reject:
    shown = text_of(row) if isinstance(row, str) else str(row)[:2_000]
    return Reject(position, "not a run of LangSmith", _NO_RUN, excerpt(shown))
