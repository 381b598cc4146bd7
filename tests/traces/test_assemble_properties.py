"""Whatever way spans arrive, the rows are the same; and they are what a few plain lines of Python say."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insights_pipeline.lake import (
    DayRange,
    DuckDBEngine,
    Lake,
    connect_with,
    engine_config,
    rows_to_table,
    start_ns,
)
from insights_pipeline.traces.assemble import assemble_traces, compact_spans
from tests.traces.assemble_cases import D0, D1, D4, HOUR, MINUTE, span, traces

ALL = DayRange(D0, D4)
STEPS = ["llm", "llm", "tool", "retriever", "agent", "task"]
KINDS = [*STEPS, "workflow", "embedding", "chain", "guardrail", "evaluator", "other"]
words = st.none() | st.sampled_from(["hello", "hello there", "refund", "{}", "[1]", " ", "été\n"])
tokens = st.none() | st.integers(0, 9)


@st.composite
def span_sets(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Spans with unique keys: up to three traces, any tree (or circle, or missing parent), any time within 20 h."""
    spans = []
    for trace_id in draw(st.sets(st.sampled_from("tuv"), min_size=1)):
        ids = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True))
        begin = draw(st.integers(0, 40)) * HOUR
        for span_id in ids:
            spans.append(
                span(
                    span_id,
                    draw(st.sampled_from(KINDS)),
                    at=begin + draw(st.sampled_from([0, 1, 2, 10 * MINUTE, 8 * HOUR, 20 * HOUR])),
                    trace_id=trace_id,
                    parent_span_id=draw(st.none() | st.sampled_from([*ids, "gone"])),
                    input_text=draw(words),
                    output_text=draw(words),
                    messages=draw(st.none() | st.sampled_from(["[1]", "[2]", "[1,2]", "broken"])),
                    model=draw(st.none() | st.sampled_from("xyz")),
                    tool_name=draw(st.none() | st.sampled_from(["search", "refund"])),
                    prompt_tokens=draw(tokens),
                    completion_tokens=draw(tokens),
                    total_tokens=draw(tokens),
                    cost_usd=draw(st.none() | st.sampled_from([0.0, 0.1, 0.2, 1e-9])),
                    is_error=draw(st.booleans()),
                    error_type=draw(st.none() | st.sampled_from(["Timeout", "RateLimit"])),
                    session_id=draw(st.none() | st.sampled_from(["s1", "s2"])),
                    ttft_ms=draw(st.none() | st.sampled_from([1.5, 2.5])),
                    is_streaming=draw(st.none() | st.booleans()),
                    feedback=draw(st.none() | st.sampled_from(['{"a": 1}', '{"a": 2, "b": 0.5}'])),
                    tags=draw(st.none() | st.lists(st.sampled_from("xyz"), max_size=2)),
                )
            )
    return spans


@contextmanager
def fresh_engine(*, threads: int = 2) -> Iterator[DuckDBEngine]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        config = engine_config(threads=threads, memory_mb=512, temp_dir=path / "spill")
        yield DuckDBEngine(Lake(str(path / "lake")), connect_with(config))


def rows_after(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Traces when everything arrives once, in order, in one batch."""
    with fresh_engine() as engine:
        engine.lake.append("spans", rows_to_table("spans", spans))
        assemble_traces(engine, ALL)
        return traces(engine.lake)


def without_lateness(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "late_spans"} for row in rows]


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(spans=span_sets(), shuffle=st.randoms(use_true_random=False), threads=st.sampled_from([1, 2]))
def test_no_batching_order_duplication_or_delay_changes_a_row(
    spans: list[dict[str, Any]], shuffle: random.Random, threads: int
) -> None:
    with fresh_engine(threads=threads) as engine:
        arrivals = [each | {"ingested_ns": shuffle.randrange(10**18)} for each in spans]
        arrivals += [
            each | {"ingested_ns": shuffle.randrange(10**18)} for each in spans if shuffle.random() < 0.3
        ]
        shuffle.shuffle(arrivals)
        cut = shuffle.randrange(len(arrivals) + 1)
        engine.lake.append("spans", rows_to_table("spans", arrivals[:cut]))
        if shuffle.random() < 0.5:
            compact_spans(engine, ALL)
        assemble_traces(engine, ALL, part_spans=3)
        engine.lake.append("spans", rows_to_table("spans", arrivals[cut:]))
        days = list(ALL)
        shuffle.shuffle(days)
        for day in days:
            if shuffle.random() < 0.5:
                compact_spans(engine, DayRange.single(day))
            assemble_traces(engine, DayRange.single(day))
        assert without_lateness(traces(engine.lake)) == without_lateness(rows_after(spans))


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(spans=span_sets())
def test_rows_are_what_plain_python_says(spans: list[dict[str, Any]]) -> None:
    rows = {row["trace_id"]: row for row in rows_after(spans)}
    assert rows.keys() == {each["trace_id"] for each in spans}
    for trace_id, row in rows.items():
        expected = plainly(sorted((each for each in spans if each["trace_id"] == trace_id), key=in_order))
        assert {name: row[name] for name in expected} == expected


def in_order(each: dict[str, Any]) -> tuple[int, str]:
    return each["start_ns"], each["span_id"]


def plainly(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of one trace, from its spans in order, with nothing clever."""
    known = {each["span_id"]: each for each in spans}

    def parent(each: dict[str, Any]) -> dict[str, Any] | None:
        return known.get(each["parent_span_id"]) if each["parent_span_id"] != each["span_id"] else None

    def ancestors(each: dict[str, Any]) -> list[dict[str, Any]]:
        chain: list[dict[str, Any]] = []
        while (above := parent(each)) is not None and len(chain) < 64:
            chain.append(above)
            each = above
        return chain

    root = next((each for each in spans if parent(each) is None), spans[0])

    def judge(each: dict[str, Any]) -> bool:
        return each["kind"] == "evaluator" or (each["kind"] == "guardrail" and each is not root)

    def plain(text: str | None) -> str | None:
        text = (text or "").strip()
        return None if not text or text[0] in "{[" else text

    def used(each: dict[str, Any]) -> int | None:
        sides = [each[name] for name in ("prompt_tokens", "completion_tokens") if each[name] is not None]
        return each["total_tokens"] if each["total_tokens"] is not None else sum(sides) if sides else None

    def wraps(each: dict[str, Any]) -> bool:
        inner = [one for one in spans if one["kind"] == each["kind"] == "llm" and parent(one) is each]
        return any(
            used(one) is not None or (one["is_error"] and used(each) is None)
            for one in inner
            if one is not each
        )

    speaking = [each for each in spans if not any(judge(other) for other in [each, *ancestors(each)])]
    calls = [each for each in spans if each["kind"] in ("llm", "embedding") and not wraps(each)]
    llm_speaking = [each for each in speaking if each["kind"] == "llm"]
    said = plain(root["input_text"]) if root in speaking else None
    for text in ((each["input_text"] or "").strip() for each in llm_speaking):
        if text and (said is None or text not in said):
            said = text if said is None else f"{said}\n{text}"
    if said is None:
        wrappers = [each for each in speaking if each["kind"] in ("agent", "workflow", "chain", "task")]
        said = next((text for each in wrappers if (text := plain(each["input_text"]))), None)
    outputs = [each["output_text"] for each in llm_speaking if each["output_text"] is not None]
    answer = (
        root["output_text"] if root in speaking and plain(root["output_text"]) else (outputs or [None])[-1]
    )

    def total(values: list[int | None]) -> int | None:
        given_ = [value for value in values if value is not None]
        return sum(given_) if given_ else None

    priced = [each for each in calls if not (each["is_error"] and not used(each))]
    costs = [Fraction(str(each["cost_usd"])) for each in priced if each["cost_usd"] is not None]
    failed = [each for each in spans if each["is_error"]]
    worst = min(failed, key=lambda each: (-len(ancestors(each)), in_order(each)), default=None)
    return {
        "start_ns": spans[0]["start_ns"],
        "latency_ms": (max(each["end_ns"] for each in spans) - spans[0]["start_ns"]) / 1e6,
        "step_count": sum(
            (each["kind"] in ("llm", "tool", "retriever") and not wraps(each))
            or (each["kind"] in ("agent", "task") and each is not root)
            for each in spans
        ),
        "llm_calls": sum(each["kind"] == "llm" for each in calls),
        "tool_calls": [each["tool_name"] or each["name"] for each in spans if each["kind"] == "tool"],
        "prompt_tokens": total([each["prompt_tokens"] for each in calls]),
        "total_tokens": total([used(each) for each in calls]),
        "cost_usd": float(sum(costs)) if costs and len(costs) == len(priced) else None,
        "cost_coverage": len(costs) / len(priced) if priced else None,
        "models": sorted({each["model"] for each in calls if each["model"]}),
        "is_error": bool(failed),
        "error_type": worst and worst["error_type"],
        "user_text": said,
        "output_text": answer,
        "thread_id": next((each["session_id"] for each in [root, *spans] if each["session_id"]), None),
        "tags": sorted({tag for each in spans for tag in each["tags"] or []}),
        "span_count": len(spans),
    }


def test_rows_do_not_depend_on_threads_or_parts() -> None:
    rng = random.Random(7)
    spans = [
        span(
            f"{n % 7}",
            rng.choice(KINDS),
            trace_id=f"{n // 7:04}",
            at=rng.randrange(HOUR),
            cost_usd=rng.random(),
            prompt_tokens=rng.randrange(9),
            input_text=rng.choice(["a", "b", "c"]),
            model=rng.choice("xyz"),
        )
        for n in range(7 * 3_000)
    ]
    results = []
    for threads, part_spans in ((1, 10**6), (2, 10**6), (2, 1_000)):
        with fresh_engine(threads=threads) as engine:
            engine.lake.append("spans", rows_to_table("spans", spans))
            assert assemble_traces(engine, DayRange.single(D1), part_spans=part_spans) == 3_000
            results.append(traces(engine.lake))
    assert results[0] == results[1] == results[2]
    assert results[0][0]["start_ns"] >= start_ns(D1)
