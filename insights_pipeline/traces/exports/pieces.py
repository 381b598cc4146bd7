"""What the receiver stored for LangSmith and Langfuse, as pieces of spans; and pieces put together as spans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from insights_pipeline.traces.exports import langfuse, langsmith
from insights_pipeline.traces.exports.langfuse_live import ingestion_body, scores_body
from insights_pipeline.traces.exports.langsmith_live import (
    batch_body,
    feedback_body,
    multipart_body,
    run_body,
)
from insights_pipeline.traces.exports.merge import Piece, merged
from insights_pipeline.traces.records import RawSpan, Reject, Score

__all__ = ["KINDS", "Piece", "is_finished", "live_records", "merged", "to_span"]

KINDS = (
    "langfuse.ingestion", "langfuse.scores", "langsmith.multipart", "langsmith.batch", "langsmith.run",
    "langsmith.feedback",
)  # fmt: skip


def live_records(
    kind: str, body: bytes, content_type: str, headers: dict[str, str]
) -> Iterator[Piece | Score | Reject]:
    """The pieces, scores and rejects of a body, already decompressed; never raises for what it holds.

    `headers` are lower case: `method` and `run-id` matter for "langsmith.run". Raises ValueError for another kind.
    """
    if kind == "langfuse.ingestion":
        return ingestion_body(body)
    if kind == "langfuse.scores":
        return scores_body(body)
    if kind == "langsmith.multipart":
        return multipart_body(body, content_type)
    if kind == "langsmith.batch":
        return batch_body(body)
    if kind == "langsmith.run":
        return run_body(body, headers)
    if kind == "langsmith.feedback":
        return feedback_body(body)
    raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")


def is_finished(system: str, fields: dict[str, Any]) -> bool:
    """Whether nothing more is expected of a record.

    A run or an observation is finished when its end is told. A trace of Langfuse never is: give it whenever pieces of
    it have come and some time has passed, and again when more come; the later span replaces the earlier one.
    """
    return langsmith.is_finished(fields) if system == langsmith.SYSTEM else langfuse.is_finished(fields)


def to_span(system: str, fields: dict[str, Any], position: str) -> RawSpan | Reject:
    """The span of a record as far as its pieces are known; without an end its `end_ns` is 0."""
    make = langsmith.to_span if system == langsmith.SYSTEM else langfuse.to_span
    return make(fields, position)
