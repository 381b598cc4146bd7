"""Phoenix's data frames as its documentation has them: flattened columns, nested objects, annotations."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.traces.exports.detect import open_records
from insights_pipeline.traces.exports.phoenix import looks_like
from insights_pipeline.traces.records import Record, Score
from insights_pipeline.traces.table import Batch

NOW = 1_790_000_000_000_000_000
AT = pd.Timestamp("2026-03-01T12:00:00.123456", tz="UTC")
TRACE, ROOT, CALL, TOOL, FIND = "ab" * 16, "01" * 8, "02" * 8, "03" * 8, "04" * 8


def frame() -> pd.DataFrame:
    """What `get_spans_dataframe()` gives, with `context.span_id` as index."""
    nan = float("nan")
    shared = {
        "context.trace_id": TRACE,
        "status_code": "OK",
        "status_message": "",
        "events": [],
        "parent_id": ROOT,
    }
    end = AT + pd.Timedelta(seconds=2)
    return pd.DataFrame(
        [
            {
                **shared,
                "context.span_id": ROOT,
                "parent_id": None,
                "name": "agent",
                "span_kind": "AGENT",
                "start_time": AT,
                "end_time": end,
                "attributes.input.value": "Weather in Oslo?",
                "attributes.output.value": "4 °C",
                "attributes.session.id": "sess-1",
                "attributes.user.id": "u-1",
                "attributes.metadata": {"tenant_id": "acme", "plan": "pro"},
                "attributes.llm.token_count.prompt": nan,
                "cumulative_token_count.total": 12,
            },
            {
                **shared,
                "context.span_id": CALL,
                "name": "ChatCompletion",
                "span_kind": "LLM",
                "start_time": AT,
                "end_time": end,
                "attributes.llm.model_name": "gpt-4.1-mini",
                "attributes.llm.token_count.prompt": 10.0,
                "attributes.llm.token_count.completion": 2.0,
                "attributes.llm.invocation_parameters": '{"temperature": 0}',
                "attributes.llm.input_messages": [
                    {"message.role": "system", "message.content": "Be brief."},
                    {"message.role": "user", "message.content": "Weather in Oslo?"},
                ],
                "attributes.llm.output_messages": [
                    {
                        "message.role": "assistant",
                        "message.tool_calls": [
                            {
                                "tool_call.function.name": "get_weather",
                                "tool_call.function.arguments": '{"city": "Oslo"}',
                            }
                        ],
                    }
                ],
            },
            {
                **shared,
                "context.span_id": TOOL,
                "name": "get_weather",
                "span_kind": "TOOL",
                "start_time": AT,
                "end_time": pd.NaT,
                "status_code": "ERROR",
                "status_message": "boom",
                "events": [
                    {
                        "name": "exception",
                        "timestamp": AT.isoformat(),
                        "attributes": {"exception": {"type": "ValueError", "message": "boom"}},
                    }
                ],
                "attributes.tool.name": "get_weather",
                "attributes.input.value": '{"city": "Oslo"}',
            },
            {
                **shared,
                "context.span_id": FIND,
                "name": "find",
                "span_kind": "RETRIEVER",
                "start_time": AT,
                "end_time": end,
                "attributes.input.value": "oslo",
                "attributes.retrieval.documents": [
                    {"document": {"content": "Oslo is cold.", "id": "d1", "score": 0.5}},
                    {"document.content": "Rome is warm."},
                ],
            },
        ]
    ).set_index("context.span_id")


def as_parquet(table: pd.DataFrame) -> bytes:
    out = BytesIO()
    pq.write_table(pa.Table.from_pandas(table), out)
    return out.getvalue()


def as_lines(table: pd.DataFrame) -> bytes:
    rows = table.reset_index().to_json(orient="records", lines=True, date_format="iso", date_unit="us")
    return str(rows).encode()


def as_nested(table: pd.DataFrame) -> bytes:
    """The spans of the REST API: `context` and `attributes` are objects."""
    rows = []
    for row in json.loads(table.reset_index().to_json(orient="records", date_format="iso", date_unit="us")):
        attributes = {key[11:]: value for key, value in row.items() if key.startswith("attributes.")}
        context = {"trace_id": row["context.trace_id"], "span_id": row["context.span_id"]}
        plain = {key: value for key, value in row.items() if not key.startswith(("attributes.", "context."))}
        rows.append({**plain, "context": context, "attributes": attributes})
    return json.dumps({"data": rows, "next_cursor": None}).encode()


def read(body: bytes, name: str) -> tuple[str, list[Record], list[dict[str, Any]]]:
    opened = open_records(BytesIO(body), name=name, base_ns=0)
    found = list(opened.records)
    batch = Batch(NOW, 100_000)
    for record in found:
        batch.add(record, name)
    assert batch.rejects == []
    tables = batch.tables()
    rows = tables["spans"].to_pylist() if "spans" in tables else []
    return opened.format, found, rows


@pytest.mark.parametrize("write", [as_parquet, as_lines, as_nested])
def test_a_data_frame_of_spans_is_read_in_every_form_it_is_written(write: Any) -> None:
    kind, _, rows = read(write(frame()), "spans")
    assert kind == "phoenix"
    found = {row["span_id"]: row for row in rows}
    assert set(found) == {ROOT, CALL, TOOL, FIND}
    assert {row["trace_id"] for row in rows} == {TRACE}
    assert {row["source"] for row in rows} == {"openinference"}
    root, call, tool, find = (found[key] for key in (ROOT, CALL, TOOL, FIND))
    assert (root["kind"], root["parent_span_id"], root["input_text"], root["output_text"]) == (
        "agent",
        None,
        "Weather in Oslo?",
        "4 °C",
    )
    assert (root["session_id"], root["user_id"], root["tenant_id"]) == ("sess-1", "u-1", "acme")
    assert root["start_ns"] == AT.value
    assert root["end_ns"] - root["start_ns"] == 2 * 10**9
    assert (call["kind"], call["model"], call["prompt_tokens"], call["completion_tokens"]) == (
        "llm",
        "gpt-4.1-mini",
        10,
        2,
    )
    messages = json.loads(call["messages"])
    assert [message["role"] for message in messages] == ["system", "user", "assistant"]
    assert messages[2]["tool_calls"][0]["name"] == "get_weather"
    assert (tool["kind"], tool["tool_name"], tool["is_error"], tool["error_type"], tool["end_ns"]) == (
        "tool",
        "get_weather",
        True,
        "ValueError",
        None,
    )
    assert (find["kind"], find["output_text"]) == ("retriever", "Oslo is cold.\nRome is warm.")
    assert "cumulative" not in str(root["attributes"])


def test_annotations_are_scores_of_their_spans() -> None:
    annotations = pd.DataFrame(
        [
            {
                "span_id": CALL,
                "annotation_name": "correctness",
                "annotator_kind": "LLM",
                "result.score": 1.0,
                "result.label": "correct",
                "result.explanation": "It is.",
                "created_at": AT,
                "updated_at": AT,
                "id": "U3Bh",
            },
            {
                "span_id": CALL,
                "annotation_name": "tone",
                "annotator_kind": "HUMAN",
                "result.label": "kind",
                "created_at": AT,
            },
        ]
    )
    for body in (as_parquet(annotations), as_lines(annotations)):
        opened = open_records(BytesIO(body), name="annotations", base_ns=0)
        assert (opened.format, opened.scores_only) == ("phoenix", True)
        first, second = opened.records
        assert isinstance(first, Score)
        assert isinstance(second, Score)
        assert first[:8] == ("U3Bh", "", CALL, "", "correctness", 1.0, "correct", "It is.")
        assert (first.judge, first.at_ns, first.source) == ("LLM", AT.value, "phoenix")
        assert (second.name, second.value, second.label) == ("tone", None, "kind")


def test_evaluations_beside_spans_are_scores_too() -> None:
    table = frame().head(1).assign(**{"eval.Relevance.score": 0.5, "eval.Relevance.label": "so so"})
    _, found, rows = read(as_parquet(table), "spans.parquet")
    assert len(rows) == 1
    [score] = [record for record in found if isinstance(record, Score)]
    assert (score.name, score.value, score.label, score.span_id, score.trace_id) == (
        "Relevance",
        0.5,
        "so so",
        ROOT,
        TRACE,
    )


def test_an_annotation_without_time_or_target_is_a_reject() -> None:
    rows = [
        {"span_id": CALL, "name": "a", "result": {"score": 1}},
        {"span_id": "", "name": "a", "result": {"score": 1}, "created_at": "2026-03-01"},
    ]
    body = b"\n".join(json.dumps(row).encode() for row in rows)
    found = list(open_records(BytesIO(body), name="x.jsonl", base_ns=0, format_="phoenix").records)
    assert [record.reason for record in found] == [  # type: ignore[union-attr]
        "an annotation without the time at which it was made",
        "an annotation of no span, trace or session",
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
KEYS = [
    "name", "span_kind", "parent_id", "start_time", "end_time", "status_code", "events", "context.span_id",
    "context.trace_id", "context", "attributes", "attributes.llm.input_messages", "attributes.metadata", "span_id",
    "annotation_name", "result", "created_at", "annotations", "eval.x.score", "attributes.retrieval.documents",
]  # fmt: skip


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=12), max_size=4))
def test_no_row_raises(rows: list[dict[str, Any]]) -> None:
    body = b"\n".join(json.dumps(row).encode() for row in rows)
    batch = Batch(NOW, 10_000)
    for record in open_records(BytesIO(body), name="x.jsonl", base_ns=0, format_="phoenix").records:
        batch.add(record, "x")
    assert [one.reason for _, one in batch.rejects if "cannot be read" in one.reason] == []
    batch.tables()
    for row in rows:
        looks_like(row)
