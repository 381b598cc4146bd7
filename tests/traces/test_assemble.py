from __future__ import annotations

import pytest

from insights_pipeline.lake import DayRange, DuckDBEngine, start_ns
from insights_pipeline.traces.assemble import assemble_traces
from tests.traces.assemble_cases import D0, D1, D3, D4, HOUR, MINUTE, SECOND, assemble, span, traces


def test_a_trace_adds_up_its_spans(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine,
        span(
            "root",
            "workflow",
            input_text="Where is my parcel?",
            output_text="It comes tomorrow.",
            end_ns=start_ns(D1) + 13 * HOUR,
        ),
        span("r", "retriever", at=1, parent_span_id="root"),
        span("e", "embedding", at=2, parent_span_id="r", model="embed", prompt_tokens=7, cost_usd=0.1),
        span(
            "l1",
            at=3,
            parent_span_id="root",
            model="large",
            prompt_tokens=10,
            completion_tokens=2,
            cost_usd=0.2,
        ),
        span("t1", "tool", at=4, parent_span_id="root", tool_name="track"),
        span("l2", at=5, parent_span_id="root", model="small", total_tokens=8, cached_tokens=3, cost_usd=0.0),
        span("t2", "tool", at=4, parent_span_id="root"),
    )
    expected = {
        "trace_id": "t",
        "date": D1,
        "start_ns": start_ns(D1) + 12 * HOUR,
        "end_ns": start_ns(D1) + 13 * HOUR,
        "latency_ms": 3_600_000.0,
        "step_count": 5,
        "llm_calls": 2,
        "tool_calls": ["track", "tool t2"],
        "prompt_tokens": 17,
        "completion_tokens": 2,
        "cached_tokens": 3,
        "total_tokens": 27,
        "cost_usd": 0.3,
        "cost_coverage": 1.0,
        "models": ["embed", "large", "small"],
        "primary_model": "large",
        "is_error": False,
        "error_type": None,
        "user_text": "Where is my parcel?",
        "output_text": "It comes tomorrow.",
        "output_chars": 18,
        "span_count": 7,
        "late_spans": 0,
        "feedback": None,
        "tags": [],
        "source": "otlp",
        "ttft_ms": None,
        "is_evaluation": False,
    }
    assert {name: trace[name] for name in expected} == expected


def test_what_no_span_knows_is_null_and_not_zero(engine: DuckDBEngine) -> None:
    [trace] = assemble(engine, span("root", "workflow"))
    unknown = (
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cost_usd",
        "cost_coverage",
        "user_text",
        "output_text",
        "output_chars",
        "messages",
        "primary_model",
        "metadata",
        "thread_id",
    )
    assert [trace[name] for name in unknown] == [None] * len(unknown)
    assert (trace["tool_calls"], trace["models"]) == ([], [])


def test_one_call_of_unknown_cost_makes_the_cost_of_the_trace_unknown(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine,
        span("a", prompt_tokens=5, cost_usd=0.5),
        span("b", prompt_tokens=5, cost_usd=None),
        span("c", is_error=True),  # failed before it used a token: not billed
        span("d", "tool"),
    )
    assert (trace["cost_usd"], trace["cost_coverage"]) == (None, 0.5)


def test_a_failed_call_without_tokens_does_not_hide_what_the_others_cost(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine,
        span("a", prompt_tokens=5, cost_usd=0.5),
        span("b", is_error=True, prompt_tokens=0),
        span("c", is_error=True, prompt_tokens=9, cost_usd=0.25),
    )
    assert (trace["cost_usd"], trace["cost_coverage"]) == (0.75, 1.0)


def test_a_cost_that_is_not_a_number_is_an_unknown_cost(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine, span("a", prompt_tokens=1, cost_usd=float("nan")), span("b", prompt_tokens=1, cost_usd=1.0)
    )
    assert (trace["cost_usd"], trace["cost_coverage"]) == (None, 0.5)


def test_tokens_count_only_on_calls(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine,
        span("root", "agent", prompt_tokens=100, model="alias"),
        span("a", parent_span_id="root", prompt_tokens=5),
    )
    assert (trace["prompt_tokens"], trace["total_tokens"], trace["models"]) == (5, 5, [])


def test_the_primary_model_has_most_tokens_then_most_calls_then_the_first_name(engine: DuckDBEngine) -> None:
    rows = assemble(
        engine,
        span("a", trace_id="1", model="x", total_tokens=10),
        span("b", trace_id="1", model="y", total_tokens=11),
        span("a", trace_id="2", model="x", total_tokens=4),
        span("b", trace_id="2", model="y", total_tokens=2),
        span("c", trace_id="2", model="y", total_tokens=2),
        span("a", trace_id="3", model="y"),
        span("b", trace_id="3", model="x"),
        span("a", trace_id="4", kind="embedding", model="embedder", total_tokens=900),
        span("b", trace_id="4", model="x"),
    )
    assert [row["primary_model"] for row in rows] == ["y", "y", "x", "x"]


def test_the_error_is_told_by_the_deepest_failed_span_not_by_those_it_bubbled_through(
    engine: DuckDBEngine,
) -> None:
    [trace] = assemble(
        engine,
        span("root", "workflow", is_error=True, error_type="Outer", error_message="failed"),
        span("mid", "agent", at=1, parent_span_id="root"),
        span(
            "deep",
            "tool",
            at=9,
            parent_span_id="mid",
            is_error=True,
            error_type="Timeout",
            error_message="30 s",
        ),
        span("flat", "tool", at=2, parent_span_id="root", is_error=True, error_type="Other"),
    )
    assert (trace["is_error"], trace["error_type"], trace["error_message"]) == (True, "Timeout", "30 s")


def test_equally_deep_errors_are_told_by_the_earliest_then_by_id(engine: DuckDBEngine) -> None:
    rows = assemble(
        engine,
        span("b", trace_id="1", at=1, is_error=True, error_type="early"),
        span("a", trace_id="1", at=2, is_error=True, error_type="late"),
        span("b", trace_id="2", is_error=True, error_type="b"),
        span("a", trace_id="2", is_error=True, error_type="a"),
        span("a", trace_id="3", is_error=True, error_type="orphan", parent_span_id="never arrived"),
        span("b", trace_id="3", at=1, is_error=True, error_type="root"),
    )
    assert [row["error_type"] for row in rows] == ["early", "a", "orphan"]


def test_parents_in_a_circle_and_chains_beyond_the_limit_still_give_one_row_each(
    engine: DuckDBEngine,
) -> None:
    circle = [
        span(
            str(n),
            trace_id="circle",
            at=n,
            parent_span_id=str((n + 1) % 3),
            is_error=True,
            error_type=str(n),
            session_id=f"s{n}",
        )
        for n in range(3)
    ]
    chain = [
        span(f"{n:03}", trace_id="long", at=n, parent_span_id=f"{n - 1:03}", is_error=True, error_type=str(n))
        for n in range(80)
    ]
    rows = assemble(
        engine, *circle, *chain, span("own", trace_id="self", parent_span_id="own", is_error=True)
    )
    assert [(row["trace_id"], row["error_type"], row["span_count"]) for row in rows] == [
        ("circle", "0", 3),
        ("long", "64", 80),
        ("self", None, 1),
    ]
    assert rows[0]["thread_id"] == "s0"


def test_user_turns_are_the_roots_words_then_each_new_message_in_order(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine,
        span("root", "chain", input_text="  Question: cancel my order \n"),
        span("a", at=1, parent_span_id="root", input_text="cancel my order"),
        span("b", at=2, parent_span_id="root", input_text="the blue one"),
        span("c", at=3, parent_span_id="root", input_text="the blue one "),
        span("d", at=4, parent_span_id="root", input_text="and refund it"),
    )
    assert trace["user_text"] == "Question: cancel my order\nthe blue one\nand refund it"


def test_a_root_that_speaks_json_leaves_the_word_to_the_model_calls(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine,
        span("root", "workflow", input_text='{"q": "x"}', output_text='["y"]'),
        span("a", at=1, parent_span_id="root", input_text="hello", output_text="first"),
        span("b", at=2, parent_span_id="root", input_text="hello", output_text="second"),
        span("c", at=3, parent_span_id="root", input_text="hello", output_text=None),
    )
    assert (trace["user_text"], trace["output_text"], trace["output_chars"]) == ("hello", "second", 6)


def test_without_words_of_root_or_model_the_first_plain_wrapper_tells_the_request(
    engine: DuckDBEngine,
) -> None:
    [trace] = assemble(
        engine,
        span("root", "workflow", input_text="{}"),
        span("t", "tool", at=1, parent_span_id="root", input_text="tool words"),
        span("a", "agent", at=2, parent_span_id="root", input_text="[1]"),
        span("b", "task", at=3, parent_span_id="root", input_text="change my plan"),
        span("c", "agent", at=4, parent_span_id="root", input_text="later"),
    )
    assert trace["user_text"] == "change my plan"


def test_judges_and_what_they_call_do_not_speak_for_the_user(engine: DuckDBEngine) -> None:
    paid = {"cost_usd": 1.0, "prompt_tokens": 1}
    judging = {"parent_span_id": "g", "input_text": "Judge: hello", "output_text": "safe"}
    scoring = {"parent_span_id": "vc", "input_text": "Score: hello", "output_text": "5"}
    talk = {"parent_span_id": "root", "input_text": "hello", "output_text": "hi"}
    [trace] = assemble(
        engine,
        span("root", "workflow", input_text="{}"),
        span("a", at=1, messages='["m"]', **talk, **paid),
        span("g", "guardrail", at=2, parent_span_id="root", input_text="is this safe?"),
        span("gl", at=3, messages='["m", "n"]', **judging, **paid),
        span("v", "evaluator", at=4, parent_span_id="root"),
        span("vc", "chain", at=5, parent_span_id="v"),
        span("vl", at=6, **scoring, **paid),
    )
    assert (trace["user_text"], trace["output_text"], trace["messages"]) == ("hello", "hi", '["m"]')
    assert (trace["cost_usd"], trace["llm_calls"]) == (3.0, 3)  # but they cost what they cost


def test_a_guardrail_that_wraps_the_whole_turn_is_no_judge_of_it(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine,
        span("g", "guardrail", input_text="hello"),
        span("a", at=1, parent_span_id="g", output_text="hi"),
    )
    assert (trace["user_text"], trace["output_text"]) == ("hello", "hi")


def test_messages_are_those_of_the_call_with_most_then_the_latest(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine,
        span("a", at=1, messages='["long but alone"]'),
        span("b", at=2, messages='["1", "2"]'),
        span("c", at=3, messages='["3", "4"]'),
        span("d", at=4, messages='["cut'),
    )
    assert trace["messages"] == '["3", "4"]'


def test_user_text_is_capped(engine: DuckDBEngine) -> None:
    turns = [span(f"{n:02}", at=n, input_text=f"{n:02} " + "x" * 3_000) for n in range(10)]
    [trace] = assemble(engine, *turns)
    assert len(trace["user_text"]) == 20_000
    assert trace["user_text"].startswith("00 xxx") and "\n06 xxx" in trace["user_text"]


def test_identity_comes_from_the_root_else_from_the_earliest_span_that_knows(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine,
        span("early", at=-5, parent_span_id="root", session_id="child", user_id="u1", environment="staging"),
        span("root", "workflow", session_id="root", release="2"),
        span("later", at=5, parent_span_id="root", user_id="u2", tenant_id="acme", release="1"),
    )
    names = ("thread_id", "user_id", "tenant_id", "environment", "release", "app")
    assert [trace[name] for name in names] == ["root", "u1", "acme", "staging", "2", None]


def test_tags_feedback_and_metadata_are_merged(engine: DuckDBEngine) -> None:
    first = {
        "tags": ["b", "a"],
        "feedback": '{"helpful": 1, "note": "fine"}',
        "attributes": '{"plan": "pro"}',
    }
    later = {"tags": ["a", "c"], "feedback": '{"helpful": 0.5, "tone": 3}', "attributes": '{"x": 1}'}
    [trace] = assemble(
        engine,
        span("root", "workflow", **first),
        span("a", at=1, parent_span_id="root", **later),
        span("b", at=2, parent_span_id="root", tags=[], feedback="not json"),
    )
    assert trace["tags"] == ["a", "b", "c"]
    assert trace["feedback"] == [("helpful", 0.5), ("tone", 3.0)]
    assert trace["metadata"] == '{"plan": "pro"}'


def test_time_to_first_token_is_of_the_first_streaming_call(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine,
        span("a", at=1, ttft_ms=900.0, is_streaming=False),
        span("c", at=3, ttft_ms=70.0, is_streaming=True),
        span("b", at=2, ttft_ms=50.0, is_streaming=True),
    )
    assert trace["ttft_ms"] == 50.0


def test_one_evaluation_span_flags_the_trace(engine: DuckDBEngine) -> None:
    [trace] = assemble(engine, span("a"), span("b", is_evaluation=True))
    assert trace["is_evaluation"] is True


def test_a_span_is_late_when_it_came_long_after_its_end_and_after_its_trace_was_live(
    engine: DuckDBEngine,
) -> None:
    start = start_ns(D1) + 12 * HOUR
    rows = assemble(
        engine,
        span("a", trace_id="live"),
        span("b", trace_id="live", ingested_ns=start + 12 * MINUTE),
        span("a", trace_id="history", ingested_ns=start + 30 * 24 * HOUR),
        span("b", trace_id="history", ingested_ns=start + 31 * 24 * HOUR),
        span("a", trace_id="slow", parent_span_id="b"),
        span("b", trace_id="slow", end_ns=start + HOUR, ingested_ns=start + HOUR + SECOND),
    )
    assert {row["trace_id"]: row["late_spans"] for row in rows} == {"live": 1, "history": 0, "slow": 0}


def test_a_trace_that_crosses_midnight_is_one_trace_of_its_first_day(engine: DuckDBEngine) -> None:
    rows = assemble(
        engine,
        span("a", "chain"),
        span("b", parent_span_id="a", prompt_tokens=1),
        span("c", at=12 * HOUR + 5, parent_span_id="a", prompt_tokens=2),
    )
    assert [(row["date"], row["span_count"], row["prompt_tokens"]) for row in rows] == [(D1, 3, 3)]


def test_a_trace_id_silent_for_a_day_starts_anew_and_days_or_a_range_agree(engine: DuckDBEngine) -> None:
    day = 24 * HOUR
    spans = [
        span("a"),
        span("b", at=2 * day),
        span("c", trace_id="u"),
        span("d", trace_id="u", at=day),
        span("e", trace_id="u", at=2 * day),
    ]
    ranged = assemble(engine, *spans)
    assert [(row["trace_id"], row["date"], row["span_count"]) for row in ranged] == [
        ("t", D1, 1),
        ("u", D1, 2),
        ("t", D3, 1),
    ]
    for each in reversed(list(DayRange(D0, D4))):
        assemble_traces(engine, DayRange.single(each))
    assert traces(engine.lake) == ranged


@pytest.mark.parametrize("days", [1, 5])
def test_days_without_spans_give_no_traces(engine: DuckDBEngine, days: int) -> None:
    assert assemble_traces(engine, DayRange.ending(D1, days)) == 0


def test_a_later_turn_of_a_thread_is_told_with_the_request_that_opened_it(engine: DuckDBEngine) -> None:
    history = (
        '[{"role":"user","content":"Do you have hiking boots?"},{"role":"assistant","content":"Which?"},'
        '{"role":"user","content":"The blue one"}]'
    )
    [trace] = assemble(
        engine,
        span("root", "agent", input_text="The blue one"),
        span("l1", at=1, parent_span_id="root", input_text="The blue one", messages=history),
    )
    assert trace["user_text"] == "Do you have hiking boots?\nThe blue one"


def test_a_prompt_that_wraps_the_request_is_no_earlier_turn(engine: DuckDBEngine) -> None:
    wrapped = '[{"role":"system","content":"Be brief."},{"role":"user","content":"Answer this: Where is my parcel?"}]'
    [trace] = assemble(
        engine,
        span("root", "agent", input_text="Where is my parcel?"),
        span("l1", at=1, parent_span_id="root", messages=wrapped),
    )
    assert trace["user_text"] == "Where is my parcel?"


def test_numbers_that_cannot_be_true_are_missing_and_fail_no_day(engine: DuckDBEngine) -> None:
    poison = {"prompt_tokens": 5 * 10**18, "completion_tokens": 6 * 10**18}
    rows = assemble(
        engine,
        span("a", cost_usd=9e25, **poison),
        span("b", cost_usd=9e25, prompt_tokens=1, completion_tokens=2),
        span("c", trace_id="u", cost_usd=float("nan"), total_tokens=2**63 - 1, cached_tokens=-(2**63)),
        span("d", trace_id="v", cost_usd=0.5, prompt_tokens=-3, total_tokens=7),
    )
    names = ("prompt_tokens", "completion_tokens", "cached_tokens", "total_tokens", "cost_usd", "span_count")
    assert {row["trace_id"]: tuple(row[name] for name in names) for row in rows} == {
        "t": (1, 2, None, 3, None, 2),
        "u": (None, None, None, None, None, 1),
        "v": (-3, None, None, 7, 0.5, 1),
    }


def test_a_call_that_two_instrumentations_told_counts_once(engine: DuckDBEngine) -> None:
    used = {"prompt_tokens": 10, "completion_tokens": 2, "cost_usd": 0.2}
    [trace] = assemble(
        engine,
        span("root", "agent", input_text="Where is my parcel?"),
        span("framework", at=1, parent_span_id="root", model="gpt-4o", **used),
        span("client", at=1, parent_span_id="framework", model="gpt-4o-2024-08-06", **used),
        span("alone", at=2, parent_span_id="root", model="gpt-4o-2024-08-06", **used),
    )
    told = {name: trace[name] for name in ("llm_calls", "step_count", "total_tokens", "cost_usd", "models")}
    assert told == {
        "llm_calls": 2,
        "step_count": 2,
        "total_tokens": 24,
        "cost_usd": pytest.approx(0.4),
        "models": ["gpt-4o-2024-08-06"],
    }


def test_an_outer_call_counts_where_the_inner_one_does_not_say_what_it_used(engine: DuckDBEngine) -> None:
    failed, told = assemble(
        engine,
        span("framework", trace_id="failed", model="gpt-4o", is_error=True),
        span("client", trace_id="failed", at=1, parent_span_id="framework", model="gpt-4o", is_error=True),
        span("framework", trace_id="told", model="gpt-4o", total_tokens=12, cost_usd=0.2),
        span("client", trace_id="told", at=1, parent_span_id="framework", is_error=True),
    )
    assert (failed["llm_calls"], failed["cost_usd"]) == (1, None)
    assert (told["total_tokens"], told["cost_usd"]) == (12, 0.2)
