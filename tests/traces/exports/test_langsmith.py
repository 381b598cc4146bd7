"""Runs of LangSmith, as files hold them."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from insights_pipeline.lake import DuckDBEngine
from insights_pipeline.traces.exports import langsmith
from insights_pipeline.traces.ids import span_id_of
from insights_pipeline.traces.records import RawSpan
from tests.traces.exports.export_cases import NOW, rejects, scores, spans, tables, traces
from tests.traces.otlp_cases import tables as otlp_tables

ROOT = "11111111-1111-4111-8111-111111111111"
CHILD = "22222222-2222-4222-8222-222222222222"
START = 1_772_366_400 * 10**9  # 2026-03-01 12:00 UTC


def run(**fields: Any) -> dict[str, Any]:
    return {
        "id": ROOT,
        "trace_id": ROOT,
        "name": "ask",
        "run_type": "chain",
        "start_time": "2026-03-01T12:00:00+00:00",
        "end_time": "2026-03-01T12:00:02.500000+00:00",
        "inputs": {"question": "Where is my parcel?"},
        "outputs": {"answer": "On its way."},
        **fields,
    }


def one(**fields: Any) -> dict[str, Any]:
    [found] = spans(langsmith.read_rows([("line 1", run(**fields))]))
    return found


def call(**fields: Any) -> dict[str, Any]:
    return one(run_type="llm", inputs={"messages": [{"role": "user", "content": "Hi"}]}, **fields)


def test_a_run_says_its_project_thread_user_tenant_environment_and_release() -> None:
    metadata = {
        "thread_id": "t-1",
        "user_id": "u-1",
        "tenant_id": "acme",
        "environment": "staging",
        "revision_id": "v7",
        "plan": "pro",
        "LANGSMITH_ENDPOINT": "http://here",
    }
    found = one(session_name="support", tags=["a,b", "c"], extra={"metadata": metadata})
    assert (found["app"], found["session_id"], found["user_id"]) == ("support", "t-1", "u-1")
    assert (found["tenant_id"], found["environment"], found["release"]) == ("acme", "staging", "v7")
    assert found["tags"] == ["a,b", "c"]
    assert json.loads(found["attributes"]) == {"langsmith.metadata.plan": "pro"}
    assert (found["input_text"], found["output_text"]) == ("Where is my parcel?", "On its way.")
    assert (found["end_ns"] - found["start_ns"], found["source"]) == (2_500_000_000, "langsmith")


@pytest.mark.parametrize("key", ["session_id", "thread_id", "conversation_id"])
def test_the_conversation_is_in_the_metadata_and_never_the_project_s_id(key: str) -> None:
    found = one(session_id="project-uuid", extra={"metadata": {key: "c-1"}})
    assert (found["session_id"], found["app"]) == ("c-1", "project-uuid")
    assert one(session_id="project-uuid")["session_id"] is None


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:02.5Z"),
        ("2026-03-01T12:00:00", "2026-03-01T12:00:02.500000"),
        ("2026-03-01 12:00:00", "2026-03-01 12:00:02.5"),
        ("2026-03-01T14:00:00+02:00", "2026-03-01T07:00:02.5-05:00"),
        (1_772_366_400_000, 1_772_366_402_500),
        (1_772_366_400_000.0, 1_772_366_402_500.0),
        (1_772_366_400.0, 1_772_366_402.5),
    ],
)
def test_times_are_read_in_every_spelling(start: object, end: object) -> None:
    found = one(start_time=start, end_time=end)
    assert (found["start_ns"], found["end_ns"]) == (START, START + 2_500_000_000)


def test_the_dotted_order_tells_start_trace_and_parent_where_nothing_else_does() -> None:
    order = f"20260301T120000000000Z{ROOT}.20260301T120001250000Z{CHILD}"
    bare = {"run_type": "tool", "name": "look", "dotted_order": order, "end_time": "2026-03-01T12:00:02"}
    [found] = spans(langsmith.read_rows([("line 1", bare)]))
    assert (found["trace_id"], found["span_id"]) == (ROOT.replace("-", ""), span_id_of(CHILD))
    assert (found["parent_span_id"], found["start_ns"]) == (span_id_of(ROOT), START + 1_250_000_000)


def test_a_run_whose_beginning_is_not_known_is_rejected_with_a_remedy() -> None:
    bare = {"id": CHILD, "run_type": "llm", "parent_run_id": ROOT, "end_time": "2026-03-01T12:00:02"}
    [found] = rejects(langsmith.read_rows([("line 3", bare)]))
    assert (found.position, found.reason) == ("line 3", "a run without trace")
    assert "dotted_order" in found.remedy


def test_the_server_s_counts_and_cost_are_taken_and_zeros_mean_that_it_knows_none() -> None:
    usage = {"input_tokens": 7, "output_tokens": 3, "input_token_details": {"cache_read": 4}}
    known = call(
        prompt_tokens=120,
        completion_tokens=30,
        total_tokens=150,
        total_cost="0.00042",
        outputs={"usage_metadata": usage},
    )
    assert (known["prompt_tokens"], known["completion_tokens"], known["total_tokens"]) == (120, 30, 150)
    assert (known["cached_tokens"], known["cost_usd"], known["cost_source"]) == (4, 0.00042, "span")
    unknown = call(
        prompt_tokens=0, completion_tokens=0, total_tokens=0, total_cost=0, outputs={"text": "Hello"}
    )
    assert unknown["prompt_tokens"] is unknown["total_tokens"] is unknown["cost_usd"] is None
    parts = call(prompt_tokens=1, prompt_cost=Decimal("0.1"), completion_cost=Decimal("0.2"))
    assert parts["cost_usd"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("outputs", "counts"),
    [
        (
            {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}},
            (9, 2, 5),
        ),
        ({"usage": {"input_tokens": 9, "output_tokens": 2, "cache_read_input_tokens": 5}}, (14, 2, 5)),
        ({"llm_output": {"token_usage": {"prompt_tokens": 9, "completion_tokens": 2}}}, (9, 2, None)),
        (
            {"generations": [[{"message": {"kwargs": {"usage_metadata": {
                "input_tokens": 9, "output_tokens": 2, "input_token_details": {"cache_read": 5}}}}}]]},
            (9, 2, 5),
        ),
    ],
)  # fmt: skip
def test_usage_is_found_in_what_the_provider_returned(
    outputs: dict[str, Any], counts: tuple[Any, ...]
) -> None:
    found = call(outputs=outputs)
    assert (found["prompt_tokens"], found["completion_tokens"], found["cached_tokens"]) == counts


def test_the_model_is_the_one_that_answered_else_the_one_that_was_asked() -> None:
    asked = {"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini"}}
    assert call(extra=asked, outputs={"model": "gpt-4o-mini-2024-07-18"})["model"] == "gpt-4o-mini-2024-07-18"
    assert (call(extra=asked)["model"], call(extra=asked)["provider"]) == ("gpt-4o-mini", "openai")
    assert call(extra={"invocation_params": {"model_name": "o3"}})["model"] == "o3"


def test_only_streams_have_a_time_to_the_first_token() -> None:
    told = call(first_token_time="2026-03-01T12:00:00.250000")
    assert (told["ttft_ms"], told["is_streaming"]) == (250.0, True)
    event = call(
        events=[{"name": "start", "time": "x"}, {"name": "new_token", "time": "2026-03-01T12:00:00.75"}]
    )
    assert (event["ttft_ms"], event["is_streaming"]) == (750.0, True)
    assert call()["ttft_ms"] is call()["is_streaming"] is None


def test_an_error_is_its_class_and_its_words_and_the_traceback_stays_aside() -> None:
    traceback = 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: it\'s late'
    text = f"ValueError('it\\'s late')\n\n{traceback}"
    found = one(error=text, outputs=None)
    assert (found["is_error"], found["error_type"], found["error_message"]) == (
        True,
        "ValueError",
        "it's late",
    )
    assert json.loads(found["attributes"])["exception.stacktrace"].startswith("Traceback (most")
    plain = one(error="the tool broke", status="error")
    assert (plain["is_error"], plain["error_message"]) == (True, "the tool broke")
    several = one(error="KeyError('a', 'b')")
    assert (several["error_type"], several["error_message"]) == ("KeyError", "'a', 'b'")


def test_feedback_stats_are_scores_and_those_in_words_an_attribute() -> None:
    stats = {"helpful": {"n": 2, "avg": 0.5}, "tone": {"n": 1, "avg": None, "values": {"warm": 1}}}
    records = list(langsmith.read_rows([("line 1", run(feedback_stats=stats, reference_example_id=CHILD))]))
    [score] = scores(records)
    assert (score.name, score.value, score.trace_id) == ("helpful", 0.5, ROOT.replace("-", ""))
    assert (score.span_id, score.source) == (span_id_of(ROOT), "langsmith")
    [span] = spans(records)  # this takes the attributes out of the records
    assert span["is_evaluation"]
    assert json.loads(span["attributes"])["langsmith.feedback_stats"] == {"tone": stats["tone"]}
    assert scores(langsmith.read_rows([("again", run(feedback_stats=stats))]))[0].score_id == score.score_id


def test_a_feedback_row_is_a_score_of_its_run() -> None:
    rows = [
        {"id": "f1", "key": "correct", "score": True, "run_id": CHILD, "trace_id": ROOT, "session_id": "project",
         "comment": "fine", "feedback_source": {"type": "api"}, "created_at": "2026-03-01T12:00:00"},
        {"id": "f2", "key": "tone", "score": None, "value": "warm", "run_id": CHILD},
    ]  # fmt: skip
    assert all(map(langsmith.looks_like, rows))
    number, words = scores(langsmith.read_rows((f"line {place}", row) for place, row in enumerate(rows)))
    assert (number.value, number.label, number.comment, number.judge) == (1.0, None, "fine", "api")
    assert (number.trace_id, number.span_id, number.session_id) == (
        ROOT.replace("-", ""),
        span_id_of(CHILD),
        "",
    )
    assert number.at_ns == START
    assert (words.value, words.label, words.trace_id) == (None, "warm", "")


def test_nested_runs_take_trace_and_parent_from_the_nesting() -> None:
    child = run(id=CHILD, run_type="tool", child_runs=[])
    del child["trace_id"]
    root, inner = spans(langsmith.read_rows([("", run(child_runs=[child]))]))
    parents = {found["span_id"]: found["parent_span_id"] for found in (root, inner)}
    assert parents == {span_id_of(ROOT): None, span_id_of(CHILD): span_id_of(ROOT)}
    assert root["trace_id"] == inner["trace_id"]


def test_beginnings_and_ends_in_different_rows_are_joined_whichever_comes_first() -> None:
    begun = {"post": [run(end_time=None, outputs={}, tags=["web"])]}
    ended = {"patch": [{"id": ROOT, "end_time": "2026-03-01T12:00:05", "outputs": {"answer": "Done."}}]}
    for rows in ([begun, ended], [ended, begun]):
        assert all(map(langsmith.looks_like, rows))
        [found] = spans(
            langsmith.read_rows((f"line {place}", row) for place, row in enumerate(rows, start=1))
        )
        assert (found["output_text"], found["tags"]) == ("Done.", ["web"])
        assert found["end_ns"] == START + 5 * 10**9
    [alone] = spans(langsmith.read_rows([("line 1", begun)]))
    assert alone["end_ns"] is None


def test_rows_of_the_bulk_export_are_read(tmp_path: Path) -> None:
    """The schema of the documentation: objects are JSON text, times have no zone, costs are decimals."""
    row = {
        "id": CHILD, "tenant_id": "workspace", "session_id": "project-uuid", "is_root": False, "name": "model",
        "run_type": "llm", "start_time": "2026-03-01T12:00:00", "end_time": "2026-03-01T12:00:01",
        "first_token_time": "2026-03-01T12:00:00.5",
        "inputs": json.dumps({"messages": [{"role": "user", "content": "Hi"}]}),
        "outputs": json.dumps({"choices": [{"message": {"role": "assistant", "content": "Hello"}}]}),
        "extra": json.dumps({"metadata": {"ls_model_name": "gpt-4o", "thread_id": "t-9"}}), "error": None,
        "events": json.dumps([{"name": "new_token", "time": "2026-03-01T12:00:00.5"}]),
        "feedback_stats": json.dumps({"helpful": {"n": 1, "avg": 1.0}}), "trace_id": ROOT, "parent_run_id": ROOT,
        "dotted_order": f"20260301T115959000000Z{ROOT}.20260301T120000000000Z{CHILD}", "status": "success",
        "prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16, "total_cost": Decimal("0.000125"),
        "tags": ["x"], "trace_tier": "longlived",
    }  # fmt: skip
    path = tmp_path / "runs.parquet"
    columns = [(name, pa.decimal128(18, 9) if name == "total_cost" else None) for name in row]
    pq.write_table(
        pa.table({name: pa.array([row[name]], kind) for name, kind in columns}), path, compression="zstd"
    )
    [given] = pq.read_table(path).to_pylist()
    assert langsmith.looks_like(given)
    records = list(langsmith.read_rows([("row 1", given)]))
    [found] = spans(records)
    assert (found["input_text"], found["output_text"], found["model"]) == ("Hi", "Hello", "gpt-4o")
    assert (found["prompt_tokens"], found["total_tokens"], found["cost_usd"]) == (11, 16, 0.000125)
    assert (found["session_id"], found["tenant_id"], found["app"]) == ("t-9", None, "project-uuid")
    assert (found["ttft_ms"], found["tags"], found["parent_span_id"]) == (500.0, ["x"], span_id_of(ROOT))
    left = json.loads(found["attributes"])
    assert (left["langsmith.tenant_id"], left["langsmith.trace_tier"]) == ("workspace", "longlived")
    assert len(scores(records)) == 1


def test_a_row_of_something_else_is_rejected_and_the_rest_goes_on() -> None:
    rows = [("line 1", {"hello": 1}), ("line 2", run()), ("line 3", {"runs": [run(id=CHILD)]})]
    records = list(langsmith.read_rows(rows))
    assert [record.position for record in rejects(records)] == ["line 1"]
    assert [record.position for record in records if isinstance(record, RawSpan)] == [
        "line 2",
        "line 3, run 1",
    ]
    assert not langsmith.looks_like({"hello": 1}) and langsmith.looks_like(rows[2][1])


# Model, prompt, completion and reasoning tokens, and whether the call streamed, of the SDK's own test payloads.
PAYLOADS = {
    "langsmith_js_wrap_openai_reasoning": ("o1-mini-2024-09-12", 43, 1901, 960, None),
    "langsmith_py_wrap_openai_": ("gpt-4o-mini-2024-07-18", 9, 9, 0, False),
    "langsmith_py_wrap_openai_reasoning": ("o1-mini-2024-09-12", 43, 2497, 1408, False),
    "langsmith_py_wrap_openai_stream": ("gpt-4o-mini-2024-07-18", 9, 9, 0, True),
    "langsmith_py_wrap_openai_stream_no_usage": ("gpt-4o-mini-2024-07-18", None, None, None, True),
    "wrap_openai_chat": ("o1-mini-2024-09-12", 43, 2144, 1280, False),
    "wrap_openai_chat_async_stream_usage": ("gpt-4o-mini-2024-07-18", 9, 9, 0, True),
    "wrap_openai_chat_complex_usage": ("o1-mini-2024-09-12", 43, 3037, 1856, False),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_payloads_of_real_sdks_are_one_call_each(real_data: Path, name: str) -> None:
    parsed = json.loads((real_data / "langsmith" / f"{name}.json").read_bytes())
    rows = parsed if isinstance(parsed, list) else [parsed]
    assert all(map(langsmith.looks_like, rows))
    [found] = spans(langsmith.read_rows((f"item {place}", row) for place, row in enumerate(rows, start=1)))
    facts = [
        found[key]
        for key in ("model", "prompt_tokens", "completion_tokens", "reasoning_tokens", "is_streaming")
    ]
    assert tuple(facts) == PAYLOADS[name]
    assert (found["kind"], found["provider"], found["app"]) == ("llm", "openai", "default")
    assert found["input_text"].startswith(("howdy", "Write a bash script"))
    assert found["output_text"] and found["end_ns"] > found["start_ns"]
    assert (found["ttft_ms"] is not None) == bool(found["is_streaming"])


FACTS = (
    "name", "kind", "app", "model", "provider", "tool_name", "input_text", "output_text", "messages", "prompt_tokens",
    "completion_tokens", "cached_tokens", "reasoning_tokens", "total_tokens", "cost_usd", "is_error", "error_type",
    "error_message", "session_id", "user_id", "tenant_id", "tags",
)  # fmt: skip
TRACE_FACTS = (
    "thread_id", "user_id", "tenant_id", "app", "step_count", "llm_calls", "tool_calls", "prompt_tokens",
    "completion_tokens", "cached_tokens", "total_tokens", "cost_usd", "models", "is_error", "error_type",
    "error_message", "user_text", "output_text", "messages", "tags", "span_count",
)  # fmt: skip


def facts(row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """What must be equal of two runs of the scenario: the ids of tool calls are random."""
    found = {key: row[key] for key in keys}
    return {**found, "messages": re.sub(r"call_[0-9a-f]+", "call", row["messages"] or "")}


def test_the_native_runs_say_what_the_opentelemetry_mode_says_of_the_same_scenario(
    real_data: Path, engine: DuckDBEngine
) -> None:
    lines = (real_data / "sdk-captures" / "langsmith_runs.jsonl").read_text().splitlines()
    rows = [(f"line {place}", json.loads(line)) for place, line in enumerate(lines, start=1)]
    body = (real_data / "sdk-captures" / "langsmith_otel" / "1.bin").read_bytes()
    from_otel, _ = otlp_tables(body, now_ns=NOW)
    expected = sorted(from_otel.to_pylist(), key=lambda row: row["start_ns"])
    found = spans(langsmith.read_rows(rows))
    assert [facts(row, FACTS) for row in found] == [facts(row, FACTS) for row in expected]
    assert sum(row["prompt_tokens"] or 0 for row in found) == 530
    engine.lake.append("spans", from_otel)
    of_both = traces(engine, langsmith.read_rows(rows))
    assert len(of_both) == 8
    said = sorted(json.dumps(facts(row, TRACE_FACTS)) for row in of_both)
    assert said[::2] == said[1::2]


def test_what_is_not_json_s_own_is_kept_readable() -> None:
    odd = {"a": float("nan"), "b": 10**30, "c": b"\xff", "d": [[[[0]]]], "e": "\ud800", 7: "seven"}
    deep: Any = "end"
    for _ in range(500):
        deep = [deep]
    found = one(inputs={"odd": odd, "deep": deep, "vector": [0.5] * 1_000})
    assert "nested too deep" in found["input_text"]
    assert tables([]) == {}


def test_only_so_many_runs_of_payloads_wait_for_their_end() -> None:
    begun = (
        (f"line {number}", {"post": [run(id=f"r{number}", end_time=None)]}) for number in range(10_000_000)
    )
    first = next(langsmith.read_rows(begun))
    assert isinstance(first, RawSpan) and (first.position, first.end_ns) == ("line 0, post 1", 0)
