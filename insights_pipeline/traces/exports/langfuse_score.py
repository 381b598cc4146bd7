"""Langfuse's scores, as the API, the exports and the SDKs write them."""

from __future__ import annotations

from typing import Any

from insights_pipeline.traces.exports.langfuse_observation import SYSTEM
from insights_pipeline.traces.exports.merge import FIRST_NS
from insights_pipeline.traces.exports.values import field, moment, number_of, payload, text_of
from insights_pipeline.traces.ids import fingerprint, span_id_of, trace_id_of
from insights_pipeline.traces.records import Reject, Score, excerpt

_WORDS = frozenset({"CATEGORICAL", "TEXT", "CORRECTION"})
_TRUTH = {"true": 1.0, "false": 0.0}


def score_of(fields: dict[str, Any], position: str) -> Score | Reject:
    """A score of a trace, an observation or a session.

    A verdict in words is the label. The number beside it is the category's own, or a zero that says nothing.
    """
    name, trace = text_of(field(fields, "name")), text_of(field(fields, "traceId"))
    observation, session = text_of(field(fields, "observationId")), text_of(field(fields, "sessionId"))
    given = field(fields, "value")
    said = field(fields, "stringValue") or field(fields, "longStringValue")
    if not name or not (trace or session or observation):
        remedy = "A score has a name and tells the trace, observation or session that it judges."
        return Reject(position, "a score without name or target", remedy, excerpt(str(fields)[:2_000]))
    kind = text_of(field(fields, "dataType"))
    value = _TRUTH.get(given.lower()) if isinstance(given, str) else None
    value = number_of(given) if value is None else value
    if value is None and said is None:
        said = given
    if value is None and said is None:
        return Reject(position, "a score without value", "Send a value.", excerpt(str(fields)[:2_000]))
    if kind in _WORDS and said is not None:
        value = value or None
    if kind == "BOOLEAN":
        said = None
    at = moment(field(fields, "timestamp")) or moment(field(fields, "createdAt"))
    if not at and isinstance(first := fields.get(FIRST_NS), int):
        at = first
    return Score(
        text_of(field(fields, "id"))
        or fingerprint(SYSTEM, trace, observation, session, name, str(given), str(said)),
        trace_id_of(trace),
        span_id_of(observation),
        session,
        name,
        value,
        payload(said),
        payload(field(fields, "comment")),
        text_of(field(fields, "source")) or None,
        at,
        SYSTEM,
        position,
    )
