"""Content and scores that come apart from the spans: before or after them, again, in any order, on any day."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insights_pipeline.lake import DayRange, DuckDBEngine
from insights_pipeline.traces.assemble import assemble_traces, compact_spans
from tests.traces.assemble_cases import D0, D4, HOUR, add, content, score, traces
from tests.traces.test_assemble_properties import fresh_engine, span_sets, without_lateness

ALL = DayRange(D0, D4)
Arrival = tuple[str, dict[str, Any]]
times = st.integers(-10, 70).map(lambda hours: hours * HOUR) | st.sampled_from([0, 1, 2])
said = st.lists(
    st.tuples(
        st.sampled_from(["user", "assistant", "system"]), st.sampled_from(["hello", "refund", " ", "x" * 90])
    ),
    max_size=3,
)


@st.composite
def apart(draw: st.DrawFn, spans: list[dict[str, Any]]) -> list[Arrival]:
    """Log records of these spans (or of none), and scores of their traces, some of them sent in several versions."""
    known = [(each["trace_id"], each["span_id"]) for each in spans]
    found: list[Arrival] = []
    for _ in range(draw(st.integers(0, 8))):
        trace_id, span_id = draw(st.sampled_from([*known, ("t", "none"), ("none", "a")]))
        record = content(
            span_id,
            trace_id=trace_id,
            at=draw(times),
            ordinal=draw(st.integers(0, 1)),
            inputs=draw(said),
            outputs=draw(said),
        )
        found.append(("span_contents", record))
    for version in range(draw(st.integers(0, 6))):
        row = score(
            draw(st.sampled_from(["1", "2", "3"])),
            draw(st.sampled_from(["a", "b", "c"])),
            draw(st.none() | st.sampled_from([0.0, 1.0, 2.5])),
            trace_id=draw(st.sampled_from([*(trace_id for trace_id, _ in known), "none"])),
            at=draw(times),
            label=draw(st.none() | st.just("good")),
            ingested_ns=version // 2,
        )
        found.append(("feedback", row))
    return found


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    spans = draw(span_sets())
    return [*(("spans", each) for each in spans), *draw(apart(spans))]


def put(engine: DuckDBEngine, found: list[Arrival]) -> None:
    for table in ("spans", "span_contents", "feedback"):
        if rows := [row for name, row in found if name == table]:
            add(engine.lake, table, *rows)


def rows_after(found: list[Arrival]) -> list[dict[str, Any]]:
    with fresh_engine() as engine:
        put(engine, found)
        assemble_traces(engine, ALL)
        return without_lateness(traces(engine.lake))


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(found=arrivals(), shuffle=st.randoms(use_true_random=False), threads=st.sampled_from([1, 2]))
def test_whenever_content_and_scores_arrive_the_rows_are_the_same(
    found: list[Arrival], shuffle: random.Random, threads: int
) -> None:
    again = [
        (table, row | ({"ingested_ns": 7, "source": "retry"} if table == "span_contents" else {}))
        for table, row in found
        if shuffle.random() < 0.3
    ]
    coming = [*found, *again]
    shuffle.shuffle(coming)
    with fresh_engine(threads=threads) as engine:
        while coming:
            size = shuffle.randrange(1, len(coming) + 1)
            put(engine, coming[:size])
            coming = coming[size:]
            for day in shuffle.sample(list(ALL), 2):
                compact_spans(engine, DayRange.single(day))
            if shuffle.random() < 0.3:
                assemble_traces(engine, ALL, part_spans=3)
        days = list(ALL)
        shuffle.shuffle(days)
        for day in days:
            assemble_traces(engine, DayRange.single(day))
        assert without_lateness(traces(engine.lake)) == rows_after(found)


@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(found=arrivals())
def test_compacting_twice_changes_nothing_and_makes_no_trace(found: list[Arrival]) -> None:
    with fresh_engine() as engine:
        put(engine, found)
        compact_spans(engine, ALL)
        assemble_traces(engine, ALL)
        once = traces(engine.lake)
        compact_spans(engine, ALL)
        assemble_traces(engine, ALL)
        assert traces(engine.lake) == once
    spans = {row["trace_id"] for table, row in found if table == "spans"}
    assert {row["trace_id"] for row in once} == spans
