"""Batches of events and scores that Langfuse's SDKs send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from insights_pipeline.lake import DuckDBEngine
from insights_pipeline.traces.exports import langfuse
from insights_pipeline.traces.exports.pieces import Piece, is_finished, live_records
from insights_pipeline.traces.ids import span_id_of, trace_id_of
from insights_pipeline.traces.records import Reject, Score
from tests.traces.exports.export_cases import put_together, rejects, scores, spans, traces

START = 1_772_366_400 * 10**9  # 2026-03-01 12:00 UTC


def at(second: float) -> str:
    return f"2026-03-01T12:00:{second:06.3f}Z"


def event(kind: str, second: float, **body: Any) -> dict[str, Any]:
    return {"type": kind, "id": f"e-{kind}-{second}", "timestamp": at(second), "body": body}


def live(*events: Any) -> list[Piece | Score | Reject]:
    return list(live_records("langfuse.ingestion", json.dumps({"batch": list(events)}).encode(), "", {}))


# A conversation as SDK version 2 sends it: an agent without parent, a call in it, and a trace that is updated last.
TURN = [
    event("trace-create", 0.1, id="my-trace", name="chat", userId="u-1", sessionId="s-1", tags=["web"],
          input="Where is my parcel?", metadata={"tenant_id": "acme"}, release="v3", environment="staging"),
    event("span-create", 0.2, id="agent", traceId="my-trace", name="plan", startTime=at(0.2)),
    event("generation-create", 0.4, id="call", traceId="my-trace", parentObservationId="agent", name="answer",
          startTime=at(0.4), model="gpt-4o-mini", input=[{"role": "user", "content": "Where is my parcel?"}]),
    event("generation-update", 2.5, id="call", traceId="my-trace", endTime=at(2.5), completionStartTime=at(0.9),
          output={"role": "assistant", "content": "On its way."}, usage={"input": 12, "output": 4, "unit": "TOKENS"}),
    event("span-update", 2.6, id="agent", traceId="my-trace", endTime=at(2.6)),
    event("trace-create", 2.7, id="my-trace", output="On its way."),
    event("sdk-log", 2.8, log="nothing"),
    event("score-create", 3, id="sc", traceId="my-trace", name="helpful", value=1, dataType="BOOLEAN", comment="ok"),
]  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
def test_a_batch_is_a_trace_with_a_root_that_carries_what_is_said_of_it(
    engine: DuckDBEngine, turned: bool
) -> None:
    events = list(reversed(TURN)) if turned else TURN
    records = put_together(live(*events))
    [score] = scores(records)
    assert (score.value, score.label, score.comment, score.judge) == (1.0, None, "ok", "API")
    assert (score.trace_id, score.at_ns) == (trace_id_of("my-trace"), START + 3 * 10**9)
    root, agent, call = spans(put_together(live(*events)))
    assert (root["kind"], root["parent_span_id"], root["end_ns"]) == ("workflow", None, None)
    assert (agent["parent_span_id"], call["parent_span_id"]) == (root["span_id"], span_id_of("agent"))
    assert (call["model"], call["prompt_tokens"], call["completion_tokens"]) == ("gpt-4o-mini", 12, 4)
    assert (call["ttft_ms"], call["end_ns"]) == (500.0, START + 2_500_000_000)
    [trace] = traces(engine, records)
    facts = {
        "user_text": "Where is my parcel?", "output_text": "On its way.", "user_id": "u-1", "thread_id": "s-1",
        "tenant_id": "acme", "release": "v3", "environment": "staging", "tags": ["web"], "llm_calls": 1,
        "span_count": 3, "start_ns": START + 100_000_000, "end_ns": START + 2_600_000_000, "total_tokens": 16,
        "source": "langfuse",
    }  # fmt: skip
    assert {key: trace[key] for key in facts} == facts


def test_a_trace_that_is_never_told_of_has_its_first_observation_as_root(engine: DuckDBEngine) -> None:
    [trace] = traces(engine, put_together(live(*TURN[1:5])))
    assert (trace["span_count"], trace["user_text"], trace["thread_id"]) == (2, "Where is my parcel?", None)


def test_finished_is_what_has_an_end_and_a_trace_never_is() -> None:
    held = {record.key: record.fields for record in live(*TURN[:3]) if isinstance(record, Piece)}
    assert sorted(held) == ["agent", "call", "trace:my-trace"]
    assert not any(is_finished("langfuse", fields) for fields in held.values())
    [ended] = [record for record in live(TURN[3]) if isinstance(record, Piece)]
    assert is_finished("langfuse", ended.fields)
    [moment] = [
        record for record in live(event("event-create", 1, id="e", traceId="t")) if isinstance(record, Piece)
    ]
    assert is_finished("langfuse", moment.fields)
    [span] = spans(put_together([moment]))
    assert span["start_ns"] == span["end_ns"] == START + 10**9  # the time of the event around it


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("agent", "agent"),
        ("tool", "tool"),
        ("retriever", "retriever"),
        ("embedding", "embedding"),
        ("chain", "chain"),
    ],
)
def test_newer_types_have_events_of_their_own_or_name_it_in_the_body(kind: str, expected: str) -> None:
    body = {"id": "o", "traceId": "t", "startTime": at(0), "endTime": at(1), "name": "step"}
    for sent in (
        event(f"{kind}-create", 0, **body),
        event("observation-create", 0, **body, type=kind.upper()),
    ):
        [found] = spans(put_together(live(sent)))
        assert found["kind"] == expected


def test_an_update_whose_beginning_never_came_begins_when_it_was_sent_and_one_without_time_is_rejected() -> (
    None
):
    [span] = spans(put_together(live(event("generation-update", 5, id="o", traceId="t", output="x"))))
    assert (span["start_ns"], span["end_ns"]) == (START + 5 * 10**9, None)
    [found] = put_together(live({"type": "span-update", "body": {"id": "o", "traceId": "t"}}))
    assert isinstance(found, Reject) and found.reason == "an observation without start"


def test_what_is_no_event_is_rejected_and_the_rest_goes_on() -> None:
    bad = [7, {"type": "span-create"}, event("dance-create", 0, id="x"), event("span-create", 0, name="no id"),
           event("score-create", 0, name="no target", value=1)]  # fmt: skip
    records = live(*bad, TURN[1])
    assert [record.position for record in rejects(records)] == [f"event {number}" for number in range(1, 6)]
    assert isinstance(records[-1], Piece)
    [whole] = live_records("langfuse.ingestion", b'{"no": "batch"}', "", {})
    assert isinstance(whole, Reject) and whole.reason == "the body holds no batch"


def test_a_captured_batch_in_a_file_gives_the_same_spans() -> None:
    row = {"batch": TURN}
    assert langfuse.looks_like(row)
    assert spans(langfuse.read_rows([("line 1", row)])) == spans(put_together(live(*TURN)))


@pytest.mark.parametrize(
    ("fields", "value", "label"),
    [
        ({"value": 0.25, "dataType": "NUMERIC"}, 0.25, None),
        ({"value": True}, 1.0, None),
        ({"value": 0, "dataType": "BOOLEAN", "stringValue": "False"}, 0.0, None),
        ({"value": "good", "dataType": "CATEGORICAL"}, None, "good"),
        ({"value": 0, "stringValue": "good", "dataType": "CATEGORICAL"}, None, "good"),
        ({"value": 2, "stringValue": "good", "dataType": "CATEGORICAL"}, 2.0, "good"),
        ({"value": "0.5"}, 0.5, None),
        ({"value": "true", "dataType": "BOOLEAN"}, 1.0, None),
    ],
)
def test_a_score_is_a_number_or_a_verdict_in_words(
    fields: dict[str, Any], value: float | None, label: str
) -> None:
    body = {"id": "s", "name": "quality", "traceId": "A" * 32, "observationId": "b" * 16, **fields}
    one, listed = (json.dumps(sent).encode() for sent in (body, [body]))
    [found] = live_records("langfuse.scores", one, "", {})
    assert isinstance(found, Score) and list(live_records("langfuse.scores", listed, "", {})) == [found]
    assert (found.value, found.label, found.trace_id, found.span_id) == (value, label, "a" * 32, "b" * 16)


def test_a_score_of_a_session_keeps_the_session() -> None:
    [found] = live_records("langfuse.scores", b'{"name": "nps", "value": 9, "sessionId": "s-1"}', "", {})
    assert isinstance(found, Score) and (found.session_id, found.trace_id, found.span_id) == ("s-1", "", "")
    [again] = live_records("langfuse.scores", b'{"name": "nps", "value": 9, "sessionId": "s-1"}', "", {})
    assert isinstance(again, Score) and again.score_id == found.score_id


def test_only_so_many_observations_of_batches_are_held() -> None:
    rows = (
        ("", {"batch": [event("span-create", 1, id=f"o{number}", traceId="t")]})
        for number in range(10_000_000)
    )
    assert next(langfuse.read_rows(rows)).position == "event 1"  # type: ignore[union-attr]
