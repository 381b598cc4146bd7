"""Traces, observations and scores of Langfuse, as files hold them."""

from __future__ import annotations

import csv
import io
import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from insights_pipeline.lake import DuckDBEngine
from insights_pipeline.traces.exports import langfuse
from insights_pipeline.traces.exports.rows import Row
from insights_pipeline.traces.exports.rows import read_rows as rows_of
from insights_pipeline.traces.ids import span_id_of
from tests.traces.exports.export_cases import rejects, scores, spans, tables, traces

TRACE = "a" * 32
START = 1_772_366_400 * 10**9  # 2026-03-01 12:00 UTC


def call(**fields: Any) -> dict[str, Any]:
    """An observation as the API gives it."""
    return {
        "id": "b" * 16,
        "traceId": TRACE,
        "type": "GENERATION",
        "name": "answer",
        "startTime": "2026-03-01T12:00:00.000Z",
        "endTime": "2026-03-01T12:00:02.000Z",
        "model": "gpt-4o-mini",
        "input": '[{"role": "user", "content": "Where is my parcel?"}]',
        "output": '{"role": "assistant", "content": "On its way."}',
        "level": "DEFAULT",
        **fields,
    }


def trace(**fields: Any) -> dict[str, Any]:
    """A trace as the API lists it."""
    return {
        "id": TRACE,
        "timestamp": "2026-03-01T12:00:00.000Z",
        "name": "chat",
        "projectId": "p",
        "userId": "u-1",
        "sessionId": "s-1",
        "tags": ["web"],
        "release": "v3",
        "environment": "staging",
        "input": '"Where is my parcel?"',
        "output": '"On its way."',
        "metadata": '{"tenant_id": "acme", "plan": "pro"}',
        **fields,
    }


def read(*rows: dict[str, Any]) -> list[Any]:
    assert all(map(langfuse.looks_like, rows))
    return list(langfuse.read_rows((f"line {place}", row) for place, row in enumerate(rows, start=1)))


def one(**fields: Any) -> dict[str, Any]:
    [found] = spans(read(call(**fields)))
    return found


OF_TRACE = {
    "user_text": "Where is my parcel?", "output_text": "On its way.", "user_id": "u-1", "thread_id": "s-1",
    "tenant_id": "acme", "release": "v3", "environment": "staging", "tags": ["web"], "start_ns": START,
    "end_ns": START + 2 * 10**9,
}  # fmt: skip


def of_trace(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in OF_TRACE}


def test_the_one_root_of_a_whole_trace_carries_what_is_said_of_the_trace(engine: DuckDBEngine) -> None:
    inside = call(id="c" * 16, parentObservationId="b" * 16)
    rows = {"trace": trace(), "observations": [call(type="SPAN", input=None, output=None), inside]}
    root, inner = spans(read(rows))
    assert (root["span_id"], inner["parent_span_id"]) == ("b" * 16, "b" * 16)
    assert json.loads(root["attributes"])["langfuse.trace.metadata.plan"] == "pro"
    [found] = traces(engine, read(rows))
    assert of_trace(found) == OF_TRACE and found["span_count"] == 2


@pytest.mark.parametrize(
    "inside", [[], [call(), call(id="c" * 16)], [call(parentObservationId="d" * 16), call(id="c" * 16)]]
)
def test_without_exactly_one_root_a_root_of_its_own_carries_it(
    engine: DuckDBEngine, inside: list[dict[str, Any]]
) -> None:
    rows = trace(observations=inside, scores=[{"id": "s", "name": "ok", "value": 1, "dataType": "NUMERIC"}])
    records = read({"trace": rows, "observations": inside})
    assert [score.trace_id for score in scores(records)] == [TRACE]
    found = spans(records)
    [root] = [span for span in found if span["parent_span_id"] is None]
    assert root["kind"] == "workflow" and len(found) == len(inside) + 1
    [row] = traces(engine, read({"trace": rows, "observations": inside}))
    assert of_trace(row) == {**OF_TRACE, "end_ns": OF_TRACE["end_ns"] if inside else None}
    assert row["llm_calls"] == len(inside)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_traces_and_observations_of_the_legacy_export_join_in_any_order(
    engine: DuckDBEngine, order: tuple[int, ...]
) -> None:
    """Each file is read for itself; the root that stands for the trace has an id that both sides know."""
    inner = call(id="c" * 16, parentObservationId="b" * 16)
    files = [trace(), call(type="SPAN", input=None, output=None), inner]
    [found] = traces(engine, [record for place in order for record in read(files[place])])
    assert of_trace(found) == OF_TRACE
    assert (found["span_count"], found["llm_calls"]) == (3, 1)


def test_observations_of_the_legacy_export_alone_have_the_first_as_root(engine: DuckDBEngine) -> None:
    said = '[{"role": "user", "content": "Hi"}]'
    inner = call(id="c" * 16, parentObservationId="b" * 16, startTime="2026-03-01T12:00:01Z", input=said)
    outer = call(type="SPAN", input="Where is my parcel?", output="On its way.")
    [found] = traces(engine, read(inner, outer))
    assert (found["user_text"], found["output_text"]) == ("Where is my parcel?\nHi", "On its way.")


# A row of `observations_v2` in the enriched form: snake case, no zone, the trace joined to it.
ENRICHED: dict[str, Any] = {
    "id": "b" * 16, "trace_id": TRACE, "type": "GENERATION", "parent_observation_id": "",
    "start_time": "2026-03-01 12:00:00.000000", "end_time": "2026-03-01 12:00:02.000000", "name": "answer",
    "metadata": {"plan": "pro"}, "level": "DEFAULT", "status_message": None, "input": "Where is my parcel?",
    "output": "On its way.", "provided_model_name": "gpt-4o-mini", "model_parameters": '{"temperature": 0.2}',
    "usage_details": {"input": 10, "input_cached_tokens": 2, "output": 4, "total": 16},
    "cost_details": {"input": 0.001, "output": 0.002, "total": 0.003}, "total_cost": 0.003, "latency": 2.0,
    "time_to_first_token": 0.25, "completion_start_time": "2026-03-01 12:00:00.250000", "tool_calls": [],
    "environment": "staging", "user_id": "u-1", "session_id": "s-1", "trace_name": "chat", "tags": ["web"],
    "release": "v3",
}  # fmt: skip
OF_ROW = {
    "trace_id": TRACE, "span_id": "b" * 16, "parent_span_id": None, "kind": "llm", "name": "answer",
    "start_ns": START, "end_ns": START + 2 * 10**9, "model": "gpt-4o-mini", "input_text": "Where is my parcel?",
    "output_text": "On its way.", "prompt_tokens": 12, "cached_tokens": 2, "completion_tokens": 4, "total_tokens": 16,
    "cost_usd": 0.003, "ttft_ms": 250.0, "environment": "staging", "user_id": "u-1", "session_id": "s-1",
    "tags": ["web"], "release": "v3", "is_error": False, "source": "langfuse",
}  # fmt: skip


def as_json(path: Path, row: dict[str, Any]) -> None:
    path.write_text(json.dumps([row]))


def as_lines(path: Path, row: dict[str, Any]) -> None:
    path.write_text(json.dumps(row) + "\n")


def as_csv(path: Path, row: dict[str, Any]) -> None:
    """Objects and lists are JSON text in a cell."""
    cells = {key: json.dumps(cell) if isinstance(cell, (dict, list)) else cell for key, cell in row.items()}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(cells))
        writer.writeheader()
        writer.writerow(cells)


def as_parquet(path: Path, row: dict[str, Any]) -> None:
    """Objects are map columns."""
    maps = {"usage_details": pa.map_(pa.string(), pa.int64()), "cost_details": pa.map_(pa.string(), pa.float64()),
            "metadata": pa.map_(pa.string(), pa.string()), "tool_calls": pa.list_(pa.string())}  # fmt: skip
    cells = {key: list(cell.items()) if isinstance(cell, dict) else cell for key, cell in row.items()}
    pq.write_table(pa.table({key: pa.array([cell], maps.get(key)) for key, cell in cells.items()}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.json", as_json), ("a.jsonl", as_lines), ("a.csv", as_csv), ("a.parquet", as_parquet)],
)
def test_rows_of_the_blob_export_are_the_same_in_every_format(tmp_path: Path, name: str, write: Any) -> None:
    write(tmp_path / name, ENRICHED)
    raw = io.BytesIO((tmp_path / name).read_bytes())
    values = [row.value for row in rows_of(raw, name=name) if isinstance(row, Row)]
    given = [row for value in values for row in (value if isinstance(value, list) else [value])]
    [found] = spans(read(*given))
    assert {key: found[key] for key in OF_ROW} == OF_ROW
    left = json.loads(found["attributes"])
    assert left["langfuse.observation.metadata.plan"] == "pro"


def test_scores_of_the_blob_export_are_scores() -> None:
    row = {"id": "s1", "timestamp": "2026-03-01 12:00:00.5", "project_id": "p", "environment": "default",
           "trace_id": TRACE, "observation_id": "b" * 16, "session_id": None, "name": "tone", "value": None,
           "string_value": "warm", "data_type": "CATEGORICAL", "source": "ANNOTATION", "comment": "nice"}  # fmt: skip
    of_session = {
        **row,
        "id": "s2",
        "trace_id": None,
        "observation_id": None,
        "session_id": "s-1",
        "value": 4.0,
    }
    words, session = scores(read(row, of_session))
    assert (words.label, words.value, words.judge, words.comment) == ("warm", None, "ANNOTATION", "nice")
    assert (words.trace_id, words.span_id, words.at_ns) == (TRACE, "b" * 16, START + 500_000_000)
    assert (session.session_id, session.trace_id, session.value) == ("s-1", "", 4.0)
    assert tables(iter([words, session]))["feedback"].num_rows == 2


def test_pages_of_the_api_are_read_item_by_item() -> None:
    page = {"data": [call(), 7, call(id="c" * 16)], "meta": {"page": 1}}
    records = read(page)
    assert [record.position for record in records] == ["line 1, item 1", "line 1, item 2", "line 1, item 3"]
    assert len(rejects(records)) == 1


@pytest.mark.parametrize(
    ("evidence", "told", "expected"),
    [
        ({"timeToFirstToken": 0.5, "completionStartTime": "2026-03-01T12:00:00.500Z"}, 1, 1_000.0),
        ({"timeToFirstToken": 500, "completionStartTime": "2026-03-01T12:00:00.500Z"}, 1_500, 1_500.0),
        ({"timeToFirstToken": 1_800}, 900, 900.0),  # of a call of two seconds
        ({"timeToFirstToken": 0.25}, 1, 1_000.0),  # milliseconds are whole
        ({"timeToFirstToken": 1}, 1, None),
        ({}, 2, None),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_the_unit_of_the_first_token_is_told_by_the_rows_of_the_file(
    evidence: dict[str, Any], told: float, expected: float | None, is_first: bool
) -> None:
    rows = [call(id="c" * 16, **evidence), call(timeToFirstToken=told)]
    found = {span["span_id"]: span for span in spans(read(*(rows if is_first else rows[::-1])))}["b" * 16]
    assert found["ttft_ms"] == expected
    if expected is None:
        assert json.loads(found["attributes"])["langfuse.time_to_first_token … of unknown unit"] == told


def test_only_so_many_rows_wait_for_the_unit() -> None:
    waiting = (("", call(id=f"{number:016x}", timeToFirstToken=1)) for number in range(10_000_000))
    records = langfuse.read_rows(waiting)
    assert next(records).span_id == f"{0:016x}"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("usage", "prompt", "completion", "cached"),
    [
        ({"usageDetails": {"input": 10, "output": 5, "total": 15}}, 10, 5, None),
        (
            {"usageDetails": {"input": 10, "input_cached_tokens": 90, "output": 5, "output_audio": 3, "total": 108}},
            100, 8, 90,
        ),
        ({"usageDetails": {"input": 100, "input_cache_read": 90, "output": 5, "total": 105}}, 100, 5, 90),
        (
            {"usageDetails": {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}}},
            10, 5, 4,
        ),
        ({"usageDetails": {"input": 190, "output": 5, "total": 195, "prompt_details.cache_read": 40}}, 190, 5, 40),
        ({"usage": {"promptTokens": 10, "completionTokens": 5, "totalTokens": 15}}, 10, 5, None),
        ({"usage": {"input": 10, "output": 5, "unit": "TOKENS"}}, 10, 5, None),
        ({"usage": {"input": 10, "output": 5, "unit": "CHARACTERS"}}, None, None, None),
        ({"promptTokens": 10, "completionTokens": 5}, 10, 5, None),
        ({"inputUsage": 0, "outputUsage": 0, "totalUsage": 0}, None, None, None),
        ({"usageDetails": {"input": 0, "output": 0}, "level": "ERROR"}, None, None, None),
    ],
)  # fmt: skip
def test_tokens_are_found_in_every_version_s_fields(
    usage: dict[str, Any], prompt: int | None, completion: int | None, cached: int | None
) -> None:
    found = one(**usage)
    assert (found["prompt_tokens"], found["completion_tokens"], found["cached_tokens"]) == (
        prompt,
        completion,
        cached,
    )


def test_langfuse_s_cost_is_a_shipped_cost_but_zeros_are_unknown() -> None:
    assert one(totalCost=0.5)["cost_usd"] == one(costDetails={"input": 0.2, "output": 0.3})["cost_usd"] == 0.5
    assert one(providedCostDetails={"total": 0.5}, costDetails={})["cost_source"] == "span"
    assert one(totalCost=0, costDetails={"total": 0}, model="no-such-model")["cost_usd"] is None
    failed = one(level="ERROR", statusMessage="RateLimitError: slow down", totalCost=0.5)
    assert (failed["cost_usd"], failed["error_type"]) == (None, "RateLimitError")
    assert (failed["is_error"], failed["error_message"]) == (True, "RateLimitError: slow down")


def test_attributes_of_the_original_span_fill_what_langfuse_leaves_open_and_override_nothing() -> None:
    attributes = {"openinference.span.kind": "TOOL", "tool.name": "look_up", "session.id": "embedded",
                  "llm.model_name": "other-model", "llm.token_count.prompt": "99", "user.id": "kept"}  # fmt: skip
    metadata = {"attributes": attributes, "scope": {"name": "openinference.instrumentation.agno"},
                "resourceAttributes": {"service.name": "shop"}}  # fmt: skip
    tool = one(type="SPAN", metadata=json.dumps(metadata), sessionId="s-1", traceName="chat", model=None)
    assert (tool["kind"], tool["tool_name"], tool["service"]) == ("tool", "look_up", "shop")
    assert (tool["session_id"], tool["user_id"]) == ("s-1", "kept")
    attributes["openinference.span.kind"] = "LLM"
    llm = one(metadata=metadata, usageDetails={"input": 10, "output": 5})
    assert (llm["model"], llm["prompt_tokens"], llm["input_text"]) == (
        "gpt-4o-mini",
        10,
        "Where is my parcel?",
    )
    assert llm["source"] == "langfuse+openinference"


def test_a_tool_that_langchain_s_callback_sent_as_a_plain_span_is_a_tool() -> None:
    message = {"content": "sunny", "type": "tool", "name": "weather", "tool_call_id": "c1"}
    dump = {"lc": 1, "type": "constructor", "id": ["langchain_core", "messages", "ToolMessage"],
            "kwargs": {"content": "sunny", "tool_call_id": "c1"}}  # fmt: skip
    for output in (message, dump):
        found = one(type="SPAN", name="weather", output=json.dumps(output), model=None)
        assert (found["kind"], found["tool_name"], found["output_text"]) == ("tool", "weather", "sunny")
    node = one(type="SPAN", name="tools", output=json.dumps({"messages": [message]}), model=None)
    assert node["kind"] == "other"


def test_a_prompt_written_as_a_transcript_is_read_as_messages() -> None:
    found = one(input="system: Be brief.\nuser: Hi\nthere\nassistant: Hello\nuser: And now?")
    assert [message["role"] for message in json.loads(found["messages"])][:4] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert json.loads(found["messages"])[1]["content"] == "Hi\nthere"
    assert found["input_text"] == "And now?"


def test_thread_and_provider_of_langchain_s_callback_are_in_the_observation_s_metadata() -> None:
    metadata = {"thread_id": "t-1", "ls_provider": "openai", "user_id": "u-9"}
    found = one(metadata=metadata)
    assert (found["session_id"], found["user_id"], found["provider"]) == ("t-1", "u-9", "openai")
    assert one(metadata=metadata, sessionId="s-1", traceName="x")["session_id"] == "s-1"


def test_ids_that_are_not_opentelemetry_s_are_hashed_alike_everywhere() -> None:
    found = one(id="gen-1", traceId="my trace", parentObservationId="agent-1")
    assert (found["span_id"], found["parent_span_id"]) == (span_id_of("gen-1"), span_id_of("agent-1"))
    assert len(found["trace_id"]) == 32


def test_rows_of_something_else_are_rejected_and_the_rest_goes_on() -> None:
    rows = [("line 1", {"hello": 1}), ("line 2", call()), ("line 3", call(startTime=None, start_time=None))]
    records = list(langfuse.read_rows(rows))
    assert [record.position for record in rejects(records)] == ["line 1", "line 3"]
    assert not langfuse.looks_like({"id": "1", "timestamp": "2026-03-01", "messages": [], "user_id": "x"})
    assert not langfuse.looks_like({"id": "1", "run_type": "llm", "trace_id": "x", "start_time": "y"})
