"""Bodies that Langfuse's SDKs send beside OpenTelemetry: batches of events, and scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from insights_pipeline.traces.exports.langfuse_observation import SYSTEM
from insights_pipeline.traces.exports.langfuse_score import score_of
from insights_pipeline.traces.exports.merge import FIRST_NS, ORDER, WHAT, Piece
from insights_pipeline.traces.exports.values import bounded, moment, text_of
from insights_pipeline.traces.json_lines import parsed_json
from insights_pipeline.traces.records import Reject, Score, excerpt

TYPES = frozenset({
    "span", "generation", "event", "agent", "tool", "chain", "retriever", "evaluator", "embedding", "guardrail",
})  # fmt: skip
_SILENT = frozenset({"sdk-log"})  # the SDK's own log
_SEND = 'Send {"batch": [event, …]} as Langfuse\'s SDKs do; an event has a type and a body.'


def ingestion_body(body: bytes) -> Iterator[Piece | Score | Reject]:
    """The pieces and scores of a `{"batch": […]}`."""
    parsed = parsed_json(body)
    if isinstance(parsed, dict) and isinstance(parsed.get("batch"), list):
        yield from batch_pieces(parsed["batch"], "")
    else:
        yield Reject("body", "the body holds no batch", _SEND, excerpt(body[:2_000]))


def scores_body(body: bytes) -> Iterator[Score | Reject]:
    """One score, or a list of them."""
    parsed = bounded(parsed_json(body))
    for number, score in enumerate(parsed if isinstance(parsed, list) else [parsed], start=1):
        place = f"score {number}"
        if isinstance(score, dict):
            yield score_of(score, place)
        else:
            yield Reject(place, "the score is no JSON object", _SEND, excerpt(body[:2_000]))


def batch_pieces(batch: list[Any], position: str) -> Iterator[Piece | Score | Reject]:
    """The pieces and scores of a batch of events."""
    for number, event in enumerate(map(bounded, batch), start=1):
        place = f"{position}, event {number}".lstrip(", ")
        body = event.get("body") if isinstance(event, dict) else None
        if isinstance(event, dict) and text_of(event.get("type")) in _SILENT:
            continue
        if isinstance(event, dict) and isinstance(body, dict):
            yield _read(event, body, place)
        else:
            yield Reject(place, "an event without body", _SEND, excerpt(str(event)[:2_000]))


def _read(event: dict[str, Any], body: dict[str, Any], position: str) -> Piece | Score | Reject:
    kind, _, operation = text_of(event.get("type")).rpartition("-")
    sent = moment(event.get("timestamp"))
    if kind == "score" and operation == "create":
        return score_of({"id": event.get("id"), "source": "API", **body, FIRST_NS: sent}, position)
    own = text_of(body.get("id"))
    if operation not in ("create", "update") or kind not in TYPES | {"trace", "observation"}:
        reason = f"an event of the type {text_of(event.get('type'))[:100]!r}"
        return Reject(position, reason, _SEND, excerpt(str(event)[:2_000]))
    if not own:
        return Reject(position, "an event whose body has no id", _SEND, excerpt(str(event)[:2_000]))
    fields = {**body, ORDER: sent, FIRST_NS: sent, WHAT: "trace" if kind == "trace" else "observation"}
    if kind in TYPES:
        fields["type"] = kind.upper()
    return Piece(SYSTEM, f"trace:{own}" if kind == "trace" else own, fields, position)
