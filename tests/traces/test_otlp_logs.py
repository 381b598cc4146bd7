from __future__ import annotations

import gzip
import json
import random
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from insights_pipeline.lake import Lake, Slice
from insights_pipeline.traces.dialects.genai_events import DETAILS as DETAILS_EVENT
from insights_pipeline.traces.dialects.otel_genai import EVENTS
from insights_pipeline.traces.ingest import ingest_paths
from insights_pipeline.traces.otlp.read import read_records
from insights_pipeline.traces.otlp.window import decompressed
from insights_pipeline.traces.records import Content, RawSpan, Reject, Score
from insights_pipeline.traces.table import Batch
from tests.traces.otlp_cases import NOW, START, TRACE, make_span, request
from tests.traces.otlp_log_cases import SPAN, log, logs_request, only, read

CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": 1}'}}
CALLED = {"id": "c1", "name": "search", "arguments": '{"q":1}'}


@pytest.mark.parametrize(
    ("name", "body", "inputs", "outputs"),
    [
        ("gen_ai.system.message", {"content": "be kind"}, [{"role": "system", "content": "be kind"}], []),
        ("gen_ai.user.message", {"content": "hi"}, [{"role": "user", "content": "hi"}], []),
        ("gen_ai.user.message", {"content": "hi", "role": "human"}, [{"role": "user", "content": "hi"}], []),
        ("gen_ai.user.message", "hi", [{"role": "user", "content": "hi"}], []),
        ("gen_ai.user.message", '{"content": "hi"}', [{"role": "user", "content": "hi"}], []),
        (
            "gen_ai.assistant.message",
            {"tool_calls": [CALL]},
            [{"role": "assistant", "content": "", "tool_calls": [CALLED]}],
            [],
        ),
        (
            "gen_ai.tool.message",
            {"id": "c1", "content": "found"},
            [{"role": "tool", "content": "found", "tool_call_id": "c1"}],
            [],
        ),
        (
            "gen_ai.choice",
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}},
            [],
            [{"role": "assistant", "content": "hello"}],
        ),
        ("gen_ai.choice", {"index": 0, "content": "hello"}, [], [{"role": "assistant", "content": "hello"}]),
        (
            "gen_ai.choice",
            '{"message": {"content": "hello"}, "index": 0}',
            [],
            [{"role": "assistant", "content": "hello"}],
        ),
    ],
)
def test_a_message_event_is_a_message_in_or_out(
    name: str, body: Any, inputs: list[Any], outputs: list[Any]
) -> None:
    for record in (log(name, body), log(body=body, attributes={"event.name": name})):
        found = only(record)
        assert isinstance(found, Content)
        assert (found.trace_id, found.span_id, found.at_ns) == (TRACE.hex(), SPAN.hex(), START)
        assert (found.inputs, found.outputs) == (inputs, outputs)


DETAILS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system_instructions": [{"type": "text", "content": "be kind"}],
    "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
    "gen_ai.output.messages": [
        {"role": "assistant", "parts": [{"type": "text", "content": "hello"}], "finish_reason": "stop"}
    ],
}


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("in_body", [False, True])
def test_the_details_of_a_call_hold_the_whole_conversation(as_text: bool, in_body: bool) -> None:
    fields = {
        key: json.dumps(value) if as_text and isinstance(value, list) else value
        for key, value in DETAILS.items()
    }
    name = "gen_ai.client.inference.operation.details"
    found = only(log(name, fields) if in_body else log(name, attributes=fields))
    assert isinstance(found, Content)
    assert found.inputs == [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    assert found.outputs == [{"role": "assistant", "content": "hello"}]


def test_an_evaluation_is_a_score_of_its_trace_and_span() -> None:
    fields = {
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 0.5,
        "gen_ai.evaluation.score.label": "fair",
        "gen_ai.evaluation.explanation": "half of it",
    }
    score = only(log("gen_ai.evaluation.result", attributes=fields))
    assert isinstance(score, Score)
    assert (score.trace_id, score.span_id, score.at_ns) == (TRACE.hex(), SPAN.hex(), START)
    assert (score.name, score.value, score.label, score.comment) == ("relevance", 0.5, "fair", "half of it")
    assert (score.judge, score.source) == ("EVAL", "otlp")
    again = only(log("gen_ai.evaluation.result", attributes=fields))
    later = only(log("gen_ai.evaluation.result", attributes=fields, observed_time_unix_nano=START + 1))
    assert isinstance(again, Score)
    assert isinstance(later, Score)
    assert score.score_id == again.score_id != later.score_id


def test_an_evaluation_outside_a_span_may_judge_a_conversation() -> None:
    fields = {"gen_ai.evaluation.name": "kind", "gen_ai.evaluation.score.label": "yes", "session.id": "s1"}
    score = only(log("gen_ai.evaluation.result", attributes=fields, trace_id=b"", span_id=b""))
    assert isinstance(score, Score)
    assert (score.trace_id, score.span_id, score.session_id, score.value) == ("", "", "s1", None)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (log("gen_ai.user.message", {"content": "hi"}, trace_id=b""), "content without a trace id"),
        (log("gen_ai.user.message", {"content": "hi"}, trace_id=bytes(16)), "content without a trace id"),
        (log("gen_ai.user.message", {"content": "hi"}, span_id=b""), "content without a span id"),
        (log("gen_ai.user.message", {"content": "hi"}, span_id=b"short"), "content without a span id"),
        (
            log("gen_ai.user.message", {"content": "hi"}, observed_time_unix_nano=0, flags=1),
            "content without a time",
        ),
        (log("gen_ai.evaluation.result", {}), "an evaluation without a name"),
        (
            log("gen_ai.evaluation.result", attributes={"gen_ai.evaluation.name": "x"}),
            "an evaluation without a score",
        ),
        (
            log(
                "gen_ai.evaluation.result",
                attributes={"gen_ai.evaluation.name": "x", "gen_ai.evaluation.score.value": 1},
                trace_id=b"",
            ),
            "a score of nothing",
        ),
    ],
)
def test_an_event_that_belongs_nowhere_is_a_reject_with_its_reason(record: Any, reason: str) -> None:
    found = only(record)
    assert isinstance(found, Reject)
    assert found.reason == reason
    assert found.remedy
    assert found.position.startswith("byte ")


def test_ordinary_logs_and_events_without_content_are_left_out_and_counted() -> None:
    body = logs_request(
        log(body="started", severity_number=9),
        log("user.signed_in", {"content": "hi"}, trace_id=b"", span_id=b""),
        log("gen_ai.user.message", {}),
        log("gen_ai.tool.message", {"id": "c1"}),
        log("gen_ai.client.inference.operation.details", attributes={"gen_ai.operation.name": "chat"}),
        log("gen_ai.user.message", {"content": "kept"}),
    ).SerializeToString()
    found, ignored = read(body)
    assert [record.inputs[0]["content"] for record in found if isinstance(record, Content)] == ["kept"]
    assert (len(found), ignored) == (1, 5)


def test_events_of_one_span_and_one_time_keep_their_order_in_any_batch() -> None:
    records = [log("gen_ai.user.message", {"content": text}) for text in ("a", "b", "b")]
    other = log("gen_ai.user.message", {"content": "x"}, span_id=(2).to_bytes(8, "big"))
    found, _ = read(logs_request(other, *records).SerializeToString())
    assert [record.ordinal for record in found if isinstance(record, Content)] == [0, 0, 1, 2]


def as_json(*records: dict[str, Any]) -> str:
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]})


JSON_RECORD = {
    "observedTimeUnixNano": str(START),
    "traceId": TRACE.hex().upper(),
    "spanId": SPAN.hex(),
    "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "hi"}}]}},
}
NAMED = {"eventName": "gen_ai.user.message", **JSON_RECORD}
BY_ATTRIBUTE = {
    "attributes": [{"key": "event.name", "value": {"stringValue": "gen_ai.user.message"}}],
    **JSON_RECORD,
}


def test_json_says_the_same_as_protobuf() -> None:
    from_protobuf = only(log("gen_ai.user.message", {"content": "hi"}))
    for record in (NAMED, BY_ATTRIBUTE):
        [found], _ = read(as_json(record).encode())
        assert found == from_protobuf._replace(position="line 1, log record 1")


def test_a_json_log_with_ids_in_base64_or_that_is_no_object_is_a_reject() -> None:
    base64 = {**NAMED, "traceId": "W47/95gDgQPSabYzgT/GDA==", "spanId": "7uGbfsPBsXQ="}
    found, _ = read(as_json(base64, "no record", NAMED).encode())  # type: ignore[arg-type]
    assert [record.reason for record in found if isinstance(record, Reject)] == [
        "the ids are base64, not hex",
        "the log record is not a JSON object",
    ]
    assert found[2].position == "line 1, log record 3"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda body: pa.compress(body, "zstd", asbytes=True)])
@pytest.mark.parametrize("line", [True, False])
def test_files_of_a_collector_may_mix_traces_and_logs(pack: Any, line: bool) -> None:
    span = {
        "traceId": TRACE.hex(),
        "spanId": SPAN.hex(),
        "startTimeUnixNano": START,
        "name": "in json",
    }
    if line:
        spans = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
        body = f"{as_json(NAMED, {'body': {'stringValue': 'started'}})}\n{spans}\n{as_json(BY_ATTRIBUTE)}\n".encode()
    else:
        logs = logs_request(log("gen_ai.user.message", {"content": "hi"}), log(body="started"))
        messages = [logs, request(make_span()), logs]
        body = b"".join(
            len(each).to_bytes(4, "big") + each
            for each in (message.SerializeToString() for message in messages)
        )
    found = list(read_records(decompressed(BytesIO(pack(body)))))
    assert [type(record) for record in found] == [Content, RawSpan, Content]


@pytest.mark.parametrize("name", ["logs.json", "logs.jsonl.gz", "logs.pb"])
def test_log_files_are_ingested_like_files_of_spans(lake: Lake, tmp_path: Path, name: str) -> None:
    body = f"{as_json(NAMED, {'body': {'stringValue': 'started'}})}\n{as_json(BY_ATTRIBUTE)}\n".encode()
    if name.endswith(".pb"):
        body = logs_request(*[log("gen_ai.user.message", {"content": "hi"})] * 2).SerializeToString()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / name).write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    report = ingest_paths(lake, [tmp_path / "files"], now_ns=NOW)
    assert (report.spans, report.rejects) == (0, 0)
    rows = lake.read(Slice("span_contents")).to_pylist()
    assert {(row["span_id"], *row["inputs"]) for row in rows} == {
        (SPAN.hex(), '{"role":"user","content":"hi"}')
    }


def test_a_span_among_logs_is_told_where_it_belongs() -> None:
    [found], _ = read(request(make_span()).SerializeToString())
    assert isinstance(found, Reject)
    assert "/v1/traces" in found.remedy


def test_a_value_nested_beyond_all_bounds_is_cut_not_followed() -> None:
    body = AnyValue(string_value="deep")
    for _ in range(40):
        outer = AnyValue()
        outer.array_value.values.append(body)
        body = outer
    record = log("gen_ai.user.message")
    record.body.CopyFrom(body)
    found, ignored = read(logs_request(record).SerializeToString())
    assert len(found) + ignored == 1


EVALUATION = ["gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.dictionaries(
    st.sampled_from(
        [
            "content",
            "role",
            "message",
            "tool_calls",
            "parts",
            "id",
            "type",
            "kwargs",
            "lc",
            "data",
            *DETAILS,
            *EVALUATION,
        ]
    ),
    json_values,
    max_size=4,
)
names = st.sampled_from(["gen_ai.tool.message", "gen_ai.evaluation.result", "other", *EVENTS, DETAILS_EVENT])


def stored(body: bytes) -> int:
    """Rows after all the way to the tables: nothing that the reader gives may fail there."""
    found, ignored = read(body)
    batch = Batch(NOW, 1_000)
    for record in found:
        batch.add(record, "logs")
    return sum(table.num_rows for table in batch.tables().values()) + ignored


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value if item is not None] if isinstance(value, list) else value


@settings(max_examples=150, deadline=None)
@given(name=names, body=json_values | fields, attributes=fields)
def test_any_event_becomes_one_row_or_is_left_out(name: str, body: Any, attributes: dict[str, Any]) -> None:
    record = log(name, _without_none(body), _without_none(attributes))
    assert stored(logs_request(record).SerializeToString()) == 1


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=200))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    assert stored(body) >= 0
    assert stored(b"\x0a" + bytes([len(body) & 0x7F]) + body) >= 0


@pytest.mark.parametrize("sdk", ["genai_default", "genai_latest"])
def test_damaged_captures_never_raise_and_lose_only_what_is_damaged(real_data: Path, sdk: str) -> None:
    whole = (real_data / "sdk-captures" / sdk / "2.bin").read_bytes()
    intact = stored(whole)
    rng = random.Random(5)
    for _ in range(300):
        body = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        assert 1 <= stored(bytes(body)) <= intact + 3
        assert stored(whole[: rng.randrange(1, len(whole))]) >= 1
