"""Annotations of Phoenix, and evaluations in a data frame of spans, as scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from insights_pipeline.traces.exports.times import time_ns
from insights_pipeline.traces.ids import fingerprint, span_id_of, trace_id_of
from insights_pipeline.traces.records import RawSpan, Reject, Score, excerpt
from insights_pipeline.traces.text import as_float, loads_container

_RESULT = ("score", "label", "explanation")
_EVAL = "eval."
_NO_TIME = "an annotation without the time at which it was made"
_NO_TARGET = "an annotation of no span, trace or session"


def is_annotation(row: dict[str, Any]) -> bool:
    """Whether a row is an annotation: a name, what it judges, and a result."""
    named = "annotation_name" in row or "name" in row
    judged = not row.keys().isdisjoint(("span_id", "trace_id", "session_id", "context.span_id"))
    result = "result" in row or any(f"result.{part}" in row for part in _RESULT)
    return named and judged and (result or "annotator_kind" in row)


def annotation_score(row: dict[str, Any], position: str) -> Score | Reject:
    """The score of an annotation; a Reject for one of nothing, or without a time."""
    at = time_ns(row.get("updated_at") or row.get("created_at"))
    span, trace, session = (
        _text(row, "span_id", "context.span_id"),
        _text(row, "trace_id"),
        _text(row, "session_id"),
    )
    if at is None:
        return Reject(position, _NO_TIME, "Keep created_at in the export.", excerpt(str(row)[:8_000]))
    if not (span or trace or session):
        remedy = "Keep span_id (the index of the data frame) in the export."
        return Reject(position, _NO_TARGET, remedy, excerpt(str(row)[:8_000]))
    score = _score(row, span=span, trace=trace, session=session, at_ns=at, position=position)
    name = _text(row, "annotation_name", "name") or "annotation"
    # Of one identifier the newest annotation counts: Phoenix updates it in place.
    own = _text(row, "id") or fingerprint("phoenix", span, trace, session, name, _text(row, "identifier"))
    return score._replace(score_id=own, name=name)


def span_scores(row: dict[str, Any], span: RawSpan) -> Iterator[Score | Reject]:
    """Evaluations beside a span: columns `eval.<name>.score`, or a list of annotations."""
    at = span.end_ns or span.start_ns
    evals: dict[str, dict[str, Any]] = {}
    for key, value in row.items():
        name, _, part = key.removeprefix(_EVAL).rpartition(".")
        if key.startswith(_EVAL) and name and part in _RESULT:
            evals.setdefault(name, {})[part] = value
    for name, result in evals.items():
        if any(value is not None for value in result.values()):
            made = _score(
                result, span=span.span_id, trace=span.trace_id, session="", at_ns=at, position=span.position
            )
            own = fingerprint("phoenix", span.trace_id, span.span_id, name)
            yield made._replace(score_id=own, name=name)
    listed = loads_container(row.get("annotations") or row.get("span_annotations"))
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and (item.get("name") or item.get("annotation_name")):
            timed = {"created_at": at, **{key: value for key, value in item.items() if value is not None}}
            yield annotation_score(
                {**timed, "span_id": span.span_id, "trace_id": span.trace_id}, span.position
            )


def _score(row: dict[str, Any], *, span: str, trace: str, session: str, at_ns: int, position: str) -> Score:
    result = loads_container(row.get("result"))
    parts = result if isinstance(result, dict) else {}
    score, label, comment = (
        next(
            (
                value
                for value in (parts.get(part), row.get(f"result.{part}"), row.get(part))
                if value is not None
            ),
            None,
        )
        for part in _RESULT
    )
    return Score(
        score_id="",
        trace_id=trace_id_of(trace),
        span_id=span_id_of(span),
        session_id=session,
        name="",
        value=float(score) if isinstance(score, bool) else as_float(score),
        label=label if isinstance(label, str) and label else None,
        comment=comment if isinstance(comment, str) and comment else None,
        judge=_text(row, "annotator_kind") or None,
        at_ns=at_ns,
        source="phoenix",
        position=position,
    )


def _text(row: dict[str, Any], *keys: str) -> str:
    return next((value for key in keys if isinstance(value := row.get(key), str) and value), "")
