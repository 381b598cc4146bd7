from __future__ import annotations

import gzip
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.traces.exports.detect import FORMATS, Opened, open_records
from insights_pipeline.traces.exports.mapping import built_in
from insights_pipeline.traces.records import RawSpan, Reject, Score
from insights_pipeline.traces.table import Batch
from tests.traces.otlp_cases import make_span, request

CHAT = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
OTLP = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "ab" * 16, "spanId": "01" * 8}]}]}]}
LANGSMITH_FEEDBACK = {
    "id": "f1",
    "key": "stars",
    "run_id": "r",
    "trace_id": "t",
    "score": 1,
    "created_at": "2026-03-01",
}
PHOENIX = {
    "context.span_id": "01" * 8,
    "context.trace_id": "ab" * 16,
    "start_time": "2026-03-01",
    "span_kind": "LLM",
}


def opened(body: bytes, name: str = "file", **options: Any) -> Opened:
    return open_records(BytesIO(body), name=name, base_ns=1_772_366_400_000_000_000, **options)


def lines(*rows: Any) -> bytes:
    return b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (CHAT, "openai-chat"),
        (OTLP, "otlp"),
        ({"resourceLogs": []}, "otlp"),
        (LANGSMITH_FEEDBACK, "langsmith"),
        (PHOENIX, "phoenix"),
        ({"traj": [], "task_id": 1, "reward": 0.0, "trial": 0}, "map tau_bench"),
    ],
)
@pytest.mark.parametrize("layout", ["line", "lines", "list", "data", "gzip", "indented"])
def test_a_format_is_told_by_the_first_records_in_every_layout(row: Any, kind: str, layout: str) -> None:
    body = {
        "line": lines(row),
        "lines": lines(row, row),
        "list": json.dumps([row, row]).encode(),
        "data": json.dumps({"next": None, "data": [row]}).encode(),
        "gzip": gzip.compress(lines(row, row)),
        "indented": json.dumps(row, indent=2).encode(),
    }[layout]
    assert opened(body).format == kind


def test_protobuf_is_otlp_under_any_name() -> None:
    body = request(make_span()).SerializeToString()
    for name in ("x.pb", "x.json", "x.csv", "x"):
        found = opened(body, name)
        assert found.format == "otlp"
        assert len(list(found.records)) == 1


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}", b"[]"])
def test_nothing_is_read_from_an_empty_file(body: bytes) -> None:
    found = opened(body, "x.json")
    assert (found.format, list(found.records)) == ("empty", [])


def test_a_table_without_rows_is_empty() -> None:
    found = opened(b"question,answer\n", "x.csv")
    assert (found.format, list(found.records)) == ("empty", [])


def test_a_compressed_file_that_is_cut_before_its_first_byte_is_no_empty_one() -> None:
    found = opened(gzip.compress(b"x" * 1_000)[:12], "x.json.gz")
    assert [type(record) for record in found.records] == [Reject]


def test_a_torn_document_says_that_it_is_torn() -> None:
    [reject] = opened(b'{"a": [1,', "x.json").records
    assert isinstance(reject, Reject)
    assert reject.reason == "the document is not JSON (unexpected end of data)"


def test_what_nobody_recognises_is_told_with_its_fields() -> None:
    [reject] = opened(b"question,answer\nq,a\n", "x.csv").records
    assert isinstance(reject, Reject)
    assert reject.remedy.endswith(" Its fields: question, answer.")
    [reject] = opened(json.dumps({f"k{n}": 1 for n in range(50)}).encode(), "x.json").records
    assert isinstance(reject, Reject)
    assert reject.remedy.endswith("k19, ….")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"a": 1}\n{"a": 2}\n', "x.jsonl"),
        (b"a,b\n1,2\n", "x.csv"),
        (b"Dear all,\nthis is a letter.\n", "letter"),
        (b"not json", "x.json"),
    ],
)
def test_a_file_that_nobody_recognises_is_one_reject_that_names_the_ways_out(body: bytes, name: str) -> None:
    found = opened(body, name)
    [reject] = found.records
    assert isinstance(reject, Reject)
    assert (found.format, reject.position, reject.reason) == (
        "unknown",
        "file",
        "the format is not recognised",
    )
    assert all(name in reject.remedy for name in (*FORMATS[1:], "--format", "--map"))
    assert reject.raw == body.decode().strip()


def test_broken_lines_before_the_first_record_do_not_hide_the_format() -> None:
    found = opened(lines(*[b"oops"] * 50, CHAT, CHAT), "x.jsonl")
    records = list(found.records)
    assert found.format == "openai-chat"
    assert [record.position for record in records if isinstance(record, Reject)] == [
        f"line {number}" for number in range(1, 51)
    ]
    assert sum(isinstance(record, RawSpan) for record in records) == 4


@pytest.mark.parametrize("kind", ["langsmith", "phoenix", "openai-chat"])
def test_lines_of_another_shape_are_rejects_where_they_stand(kind: str) -> None:
    good = {"langsmith": LANGSMITH_FEEDBACK, "phoenix": PHOENIX, "openai-chat": CHAT}[kind]
    found = opened(lines(good, {"other": 1}, b"oops", [1, 2], good), "x.jsonl")
    records = list(found.records)
    rejected = [record.position for record in records if isinstance(record, Reject)]
    assert found.format == kind
    assert {position.partition(",")[0] for position in rejected} == {"line 2", "line 3", "line 4"}
    assert sum(isinstance(record, (RawSpan, Score)) for record in records) in (2, 4)


def test_a_file_of_scores_says_so() -> None:
    assert opened(lines(LANGSMITH_FEEDBACK)).scores_only
    assert not opened(lines(PHOENIX)).scores_only


def test_a_named_format_is_taken_and_a_wrong_one_gives_rejects() -> None:
    found = opened(lines(CHAT), format_="phoenix")
    [reject] = found.records
    assert isinstance(reject, Reject)
    assert (found.format, reject.reason) == ("phoenix", "neither a span nor an annotation of Phoenix")


def test_a_format_that_is_none_and_a_map_without_mapping_are_errors() -> None:
    with pytest.raises(ValueError, match="'xml' is no format: formats are auto, otlp"):
        opened(b"{}", format_="xml")
    with pytest.raises(ValueError, match="--format map needs a mapping"):
        opened(b"{}", format_="map")
    assert (
        opened(lines({"traj": CHAT["messages"]}), mapping=built_in("tau_bench")).format == "map tau-bench run"
    )


@pytest.mark.parametrize(
    ("folder", "kind", "files"),
    [("langfuse", "langfuse", 20), ("langsmith", "langsmith", 8), ("swe-agent", "map swe_agent", 3)],
)
def test_real_exports_are_recognised_and_give_spans(
    real_data: Path, folder: str, kind: str, files: int
) -> None:
    paths = [path for path in (real_data / folder).iterdir() if path.suffix in (".json", ".traj")]
    assert len(paths) == files
    for path in paths:
        with path.open("rb") as raw:
            found = open_records(raw, name="file", base_ns=0)
            assert found.format == kind, path
            assert any(isinstance(record, RawSpan) for record in found.records), path


def test_what_is_no_trace_is_not_taken_for_one(real_data: Path) -> None:
    for name in (
        "clinc150/data_small.json",
        "azure-llm-traces/AzureLLMInferenceTrace_code.csv",
        "tau2-bench/runs.jsonl",
    ):
        with (real_data / name).open("rb") as raw:
            assert open_records(raw, name=name, base_ns=0).format == "unknown"


KEYS = [
    "messages", "role", "content", "traj", "task_id", "reward", "trial", "trajectory", "history", "info", "post",
    "patch", "run_type", "id", "trace_id", "start_time", "observations", "trace", "traceId", "type", "data", "runs",
    "context.span_id", "span_kind", "span_id", "name", "result", "created_at", "resourceSpans", "model_stats", "value",
]  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.just("2026-03-01T00:00:00Z"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=24,
)


@given(st.lists(JSON, max_size=5))
def test_no_json_raises_whatever_it_is_taken_for(rows: list[Any]) -> None:
    for body in (lines(*rows), json.dumps(rows).encode(), json.dumps({"data": rows}).encode()):
        batch = Batch(1_790_000_000_000_000_000, 10_000)
        for record in opened(body, "x.json").records:
            batch.add(record, "x")
        batch.tables()


def test_a_mapping_contradicts_a_format_of_another_name() -> None:
    with pytest.raises(ValueError, match="--map and --format otlp contradict each other"):
        opened(b"{}", format_="otlp", mapping=built_in("tau_bench"))
    assert opened(b"{}", format_="map", mapping=built_in("tau_bench")).format == "map tau-bench run"


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x"])
def test_a_text_in_utf_16_is_told_to_be_one(name: str) -> None:
    found = opened(json.dumps(CHAT).encode("utf-16"), name)
    [reject] = found.records
    assert isinstance(reject, Reject)
    assert (found.format, reject.reason) == ("unknown", "the file is UTF-16")
