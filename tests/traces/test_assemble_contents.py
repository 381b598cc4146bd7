from __future__ import annotations

import json
from typing import Any

import pytest

from insights_pipeline.lake import DayRange, DuckDBEngine, Slice
from insights_pipeline.traces import contents as contents_module
from insights_pipeline.traces.assemble import assemble_traces, compact_spans
from tests.traces.assemble_cases import D0, D1, D4, HOUR, SECOND, add, content, span, traces

ALL = DayRange(D0, D4)
SYSTEM, QUESTION, ANSWER = ("system", "be kind"), ("user", "what is up?"), ("assistant", "the sky")
TOLD = [
    content("a", inputs=[SYSTEM]),
    content("a", at=1, inputs=[QUESTION]),
    content("a", at=2, outputs=[ANSWER]),
]


def trace(engine: DuckDBEngine) -> dict[str, Any]:
    assemble_traces(engine, ALL)
    [row] = traces(engine.lake)
    return row


def said(messages: str | None) -> list[tuple[str, str]] | None:
    return messages and [(message["role"], message["content"]) for message in json.loads(messages)]


def test_log_records_give_a_span_its_messages_and_texts(engine: DuckDBEngine) -> None:
    add(engine.lake, "spans", span("a"))
    add(engine.lake, "span_contents", *TOLD[::-1])
    row = trace(engine)
    assert said(row["messages"]) == [SYSTEM, QUESTION, ANSWER]
    assert (row["user_text"], row["output_text"], row["output_chars"]) == ("what is up?", "the sky", 7)
    compact_spans(engine, ALL)
    [stored] = engine.lake.read(Slice("spans")).to_pylist()
    assert said(stored["messages"]) == [SYSTEM, QUESTION, ANSWER]
    assert (stored["input_text"], stored["output_text"]) == ("what is up?", "the sky")
    assert trace(engine) == row


@pytest.mark.parametrize("compacted", [False, True])
def test_what_a_span_says_itself_wins(engine: DuckDBEngine, compacted: bool) -> None:
    own = '[{"role":"user","content":"mine"}]'
    add(
        engine.lake,
        "spans",
        span("a", messages=own, input_text="mine"),
        span("b", at=SECOND, output_text="own"),
    )
    add(engine.lake, "span_contents", *TOLD, *(each | {"span_id": "b"} for each in TOLD))
    if compacted:
        compact_spans(engine, ALL)
        compact_spans(engine, ALL)
    assemble_traces(engine, ALL)
    compact_spans(engine, ALL)
    first, second = engine.lake.read(Slice("spans")).to_pylist()
    assert (first["messages"], first["input_text"], first["output_text"]) == (own, "mine", "the sky")
    assert (said(second["messages"]), second["input_text"], second["output_text"]) == (
        [SYSTEM, QUESTION, ANSWER],
        "what is up?",
        "own",
    )


def test_records_that_arrive_after_a_compaction_complete_what_it_stored(engine: DuckDBEngine) -> None:
    add(engine.lake, "spans", span("a"))
    for record in TOLD:
        add(engine.lake, "span_contents", record)
        compact_spans(engine, ALL)
    assert said(trace(engine)["messages"]) == [SYSTEM, QUESTION, ANSWER]


def test_a_record_that_was_sent_again_counts_once_and_equal_messages_of_one_turn_twice(
    engine: DuckDBEngine,
) -> None:
    add(engine.lake, "spans", span("a"))
    again = [each | {"ingested_ns": 2**60, "source": "retry"} for each in TOLD]
    add(engine.lake, "span_contents", *again, *TOLD, TOLD[1] | {"ordinal": 1})
    assert said(trace(engine)["messages"]) == [SYSTEM, QUESTION, QUESTION, ANSWER]


def test_the_last_question_and_the_first_answer_are_the_texts(engine: DuckDBEngine) -> None:
    add(engine.lake, "spans", span("a"))
    add(
        engine.lake,
        "span_contents",
        content("a", outputs=[("assistant", " "), ("assistant", "one"), ("assistant", "two")], at=5),
        content("a", inputs=[("user", "first"), ("assistant", "hm"), ("user", "second"), ("user", "\n")]),
    )
    compact_spans(engine, ALL)
    [stored] = engine.lake.read(Slice("spans")).to_pylist()
    assert (stored["input_text"], stored["output_text"]) == ("second", "one")


def test_only_calls_of_a_model_have_messages(engine: DuckDBEngine) -> None:
    add(engine.lake, "spans", span("a", "agent"))
    add(engine.lake, "span_contents", *TOLD)
    row = trace(engine)
    assert (row["messages"], row["user_text"], row["output_text"]) == (None, "what is up?", "the sky")


def test_records_of_no_span_make_no_trace(engine: DuckDBEngine) -> None:
    add(engine.lake, "span_contents", *TOLD)
    add(engine.lake, "spans", span("b", trace_id="u"))
    assert [row["user_text"] for row in [trace(engine)]] == [None]
    assert compact_spans(engine, ALL) == 1


@pytest.mark.parametrize(("hours", "reached"), [(-13, True), (-37, False), (13, True), (37, False)])
def test_records_of_the_neighbouring_days_belong_to_a_span_and_no_others(
    engine: DuckDBEngine, hours: int, reached: bool
) -> None:
    add(engine.lake, "spans", span("a"))
    add(engine.lake, "span_contents", content("a", at=hours * HOUR, inputs=[QUESTION]))
    assert trace(engine)["user_text"] == ("what is up?" if reached else None)
    assemble_traces(engine, DayRange.single(D1))
    assert traces(engine.lake)[0]["user_text"] == ("what is up?" if reached else None)


@pytest.mark.parametrize("as_one", [True, False])
def test_the_oldest_messages_go_first_when_there_are_too_many(
    engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch, as_one: bool
) -> None:
    monkeypatch.setattr(contents_module, "MAX_CONTENT_CHARS", 200)
    turns = [("user", f"question {n:02}") for n in range(20)]
    add(engine.lake, "spans", span("a"))
    records = (
        [content("a", inputs=turns)]
        if as_one
        else [content("a", at=n, inputs=[turn]) for n, turn in enumerate(turns)]
    )
    add(engine.lake, "span_contents", *records, content("a", at=99, outputs=[ANSWER]))
    for _ in range(2):
        row = trace(engine)
        mark, *kept = said(row["messages"]) or []
        assert mark == ("cut", f"… [cut: {21 - len(kept)} earlier messages]")
        assert kept == [*turns, ANSWER][-len(kept) :]
        assert len(row["messages"]) <= 200 + 70
        assert len(kept) == 4
        assert row["user_text"].endswith("question 19")
        compact_spans(engine, ALL)


def test_a_message_over_the_limit_leaves_a_mark_and_its_text_cut(
    engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents_module, "MAX_CONTENT_CHARS", 100)
    add(engine.lake, "spans", span("a"))
    add(engine.lake, "span_contents", content("a", inputs=[("user", "é" * 300)]))
    for _ in range(2):
        row = trace(engine)
        assert said(row["messages"]) == [("cut", "… [cut: 1 earlier messages]")]
        assert row["user_text"] == "é" * 100
        compact_spans(engine, ALL)


def test_what_is_no_json_costs_only_itself(engine: DuckDBEngine) -> None:
    add(engine.lake, "spans", span("a", messages="broken"), span("b", at=SECOND))
    broken = content("b", at=SECOND) | {"inputs": ["{broken", None, "1", '"x"', '{"role":1,"content":{}}']}
    add(engine.lake, "span_contents", *TOLD, broken, content("b", at=2 * SECOND, inputs=[QUESTION]))
    add(engine.lake, "span_contents", content("c") | {"inputs": None, "outputs": None})
    row = trace(engine)
    assert row["user_text"] == "what is up?"


def test_parts_of_any_size_give_the_same(engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{n:02}" for n in range(40)]
    add(engine.lake, "spans", *(span("a", trace_id=name) for name in names))
    add(
        engine.lake,
        "span_contents",
        *(each | {"trace_id": name} for name in names for each in TOLD),
    )
    assemble_traces(engine, ALL)
    whole = traces(engine.lake)
    assert {row["user_text"] for row in whole} == {"what is up?"}
    monkeypatch.setattr(contents_module.gather_contents, "__kwdefaults__", {"part_bytes": 100})
    assemble_traces(engine, ALL, part_spans=7)
    assert traces(engine.lake) == whole
