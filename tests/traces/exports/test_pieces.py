"""Pieces of records put together, and bodies of any content."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insights_pipeline.traces.exports import langfuse, langsmith
from insights_pipeline.traces.exports.pieces import KINDS, Piece, live_records, merged, to_span
from insights_pipeline.traces.records import RawSpan, Reject, Score
from insights_pipeline.traces.table import Batch
from tests.traces.exports.export_cases import NOW

# Keys that mean something, so that hostile values land where they are read.
KEYS = st.sampled_from([
    "id", "trace_id", "traceId", "run_type", "start_time", "startTime", "end_time", "inputs", "outputs", "extra",
    "metadata", "dotted_order", "child_runs", "feedback_stats", "events", "error", "tags", "usage", "usageDetails",
    "usage_metadata", "generations", "message", "kwargs", "post", "patch", "runs", "trace", "observations", "scores",
    "batch", "body", "type", "timestamp", "name", "value", "dataType", "level", "model", "costDetails", "input",
    "attributes", "scope", "parentObservationId", "parent_run_id", "timeToFirstToken", "completionStartTime", "data",
    "meta", "sessionId", "userId", "public", "environment", "key", "run_id", "score", "stringValue", "output",
])  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from([
        "2026-03-01T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "SPAN", "GENERATION", "ERROR",
        "llm", "null", "[]", '{"a": 1}', '"', "1e999", "trace-create", "generation-create", "score-create", "\ud800",
        "20260301T120000000000Zx.20260301T120000000000Zy", "E('", "E('a')\nTraceback (most recent call last):",
    ]),
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, st.text(max_size=3)), inner, max_size=6)
    ),
    max_leaves=25,
)
ROWS = st.dictionaries(KEYS, VALUES, max_size=8)
RUNS = st.fixed_dictionaries({"id": TEXTS, "run_type": TEXTS, "start_time": SCALARS}, optional={})
OBSERVATIONS = st.fixed_dictionaries(
    {"id": TEXTS, "traceId": TEXTS, "type": st.just("GENERATION"), "startTime": st.one_of(SCALARS, TEXTS)}
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(ROWS, st.tuples(RUNS, ROWS).map(lambda both: {**both[1], **both[0]})), max_size=4))
def test_runs_of_any_content_become_records_and_never_raise(rows: list[dict[str, Any]]) -> None:
    batch = Batch(NOW, 2_000)
    for record in langsmith.read_rows(("x", row) for row in rows):
        batch.add(record, "x")
    batch.tables()
    assert all(isinstance(langsmith.looks_like(row), bool) for row in rows)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(ROWS, st.tuples(OBSERVATIONS, ROWS).map(lambda both: {**both[1], **both[0]})), max_size=4
    )
)
def test_observations_of_any_content_become_records_and_never_raise(rows: list[dict[str, Any]]) -> None:
    batch = Batch(NOW, 2_000)
    for record in langfuse.read_rows(("x", row) for row in rows):
        batch.add(record, "x")
    batch.tables()
    assert all(isinstance(langfuse.looks_like(row), bool) for row in rows)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), VALUES, st.text(max_size=20))
def test_bodies_of_any_json_become_records_that_can_be_stored_and_never_raise(
    kind: str, value: Any, content_type: str
) -> None:
    wrapped = [
        value,
        {"batch": [value]},
        {"batch": [{"type": "span-create", "timestamp": "x", "body": value}]},
    ]
    for content in wrapped:
        body = json.dumps(content).encode()
        for record in live_records(kind, body, content_type, {"method": "PATCH", "run-id": "r"}):
            assert isinstance(record, (Piece, Score, Reject))
            if isinstance(record, Piece):
                fields = orjson.loads(orjson.dumps(merged(None, record)))
                assert isinstance(to_span(record.system, fields, "x"), (RawSpan, Reject))


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.binary(max_size=200),
    st.sampled_from(["", "multipart/form-data; boundary=b", "x=;;"]),
)
def test_bodies_of_any_bytes_never_raise(kind: str, body: bytes, content_type: str) -> None:
    for content in (
        body,
        b'--b\r\nContent-Disposition: form-data; name="post.x"\r\n\r\n' + body + b"\r\n--b--\r\n",
    ):
        assert all(
            isinstance(record, (Piece, Score, Reject))
            for record in live_records(kind, content, content_type, {})
        )


def piece(order: int, **fields: Any) -> Piece:
    return Piece("langfuse", "k", {"_order": order, "_first_ns": order, **fields}, "x")


def test_the_value_made_last_wins_and_nothing_never_replaces_something() -> None:
    pieces = [
        piece(1, name="a", output=None, metadata={"one": 1, "both": "early"}),
        piece(2, name="b", input="said", metadata={"two": 2, "both": "late"}),
        piece(3, name="", output="told", tags=[]),
    ]
    expected = {
        "_first_ns": 1, "name": "b", "input": "said", "output": "told", "tags": [],
        "metadata": {"one": 1, "two": 2, "both": "late"},
    }  # fmt: skip
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]):
        found: dict[str, Any] | None = None
        for place in order:
            before = json.dumps(found)
            held, found = found, merged(found, pieces[place])
            assert json.dumps(held) == before  # what was held is left as it was
        assert {
            key: value for key, value in (found or {}).items() if not key.startswith("_order")
        } == expected


def test_a_body_of_another_kind_is_the_caller_s_mistake() -> None:
    with pytest.raises(ValueError, match=r"otlp\.traces.* is none of"):
        live_records("otlp.traces", b"", "", {})
