from __future__ import annotations

import pytest

from insights_pipeline.lake import DayRange, DuckDBEngine
from insights_pipeline.traces.assemble import assemble_traces
from tests.traces.assemble_cases import D0, D1, D4, HOUR, add, score, span, traces


def feedback(engine: DuckDBEngine, *scores: dict[str, object], **columns: object) -> object:
    """The map of the one trace, as a range and its own day alone give it."""
    add(engine.lake, "spans", span("a", **columns))
    if scores:
        add(engine.lake, "feedback", *scores)
    assemble_traces(engine, DayRange(D0, D4))
    [ranged] = traces(engine.lake)
    assemble_traces(engine, DayRange.single(D1))
    assert traces(engine.lake) == [ranged]
    return None if ranged["feedback"] is None else dict(ranged["feedback"])


def test_scores_of_a_trace_and_of_its_spans_are_in_its_map(engine: DuckDBEngine) -> None:
    found = feedback(
        engine,
        score("1", "thumbs", 1.0),
        score("2", "helpful", 0.0, span_id="a"),
        feedback='{"tone": 0.5, "thumbs": 0}',
    )
    assert found == {"helpful": 0.0, "thumbs": 1.0, "tone": 0.5}


def test_of_two_scores_of_one_name_the_newest_counts(engine: DuckDBEngine) -> None:
    newest = score("2", "thumbs", 1.0, at=2, ingested_ns=1)
    assert feedback(engine, score("1", "thumbs", 0.0, at=1, ingested_ns=9), newest) == {"thumbs": 1.0}


def test_a_score_that_was_sent_again_replaces_itself(engine: DuckDBEngine) -> None:
    corrected = score("1", "thumbs", 0.0, ingested_ns=2)
    assert feedback(engine, corrected, score("1", "thumbs", 1.0, at=5, ingested_ns=1)) == {"thumbs": 0.0}


def test_a_score_with_a_label_only_is_not_in_the_map_and_hides_no_number(engine: DuckDBEngine) -> None:
    label = score("2", "tone", None, at=9, label="harsh")
    assert feedback(engine, score("1", "tone", 0.25), label) == {"tone": 0.25}


def test_a_score_that_was_taken_back_is_gone(engine: DuckDBEngine) -> None:
    gone = score("1", "thumbs", None, ingested_ns=2**61)
    assert feedback(engine, score("1", "thumbs", 1.0), gone, score("2", "tone", 1.0)) == {"tone": 1.0}


def test_an_older_score_of_the_name_is_back_when_the_newer_was_taken_back(engine: DuckDBEngine) -> None:
    newer = score("2", "thumbs", 0.0, at=5)
    gone = newer | {"value": None, "ingested_ns": 2**61}
    assert feedback(engine, score("1", "thumbs", 1.0), newer, gone) == {"thumbs": 1.0}


@pytest.mark.parametrize(("hours", "reached"), [(-13, True), (-37, False), (13, True), (37, False)])
def test_scores_dated_on_the_days_around_are_found_and_no_others(
    engine: DuckDBEngine, hours: int, reached: bool
) -> None:
    assert feedback(engine, score("1", "thumbs", 1.0, at=hours * HOUR)) == (
        {"thumbs": 1.0} if reached else None
    )


def test_a_late_score_dated_on_the_day_of_its_trace_is_found(engine: DuckDBEngine) -> None:
    assert feedback(engine, score("1", "thumbs", 1.0, at=900 * HOUR, date=D1)) == {"thumbs": 1.0}


def test_scores_of_unknown_traces_make_no_trace_and_odd_ones_do_no_harm(engine: DuckDBEngine) -> None:
    odd = [
        score("1", "thumbs", float("nan")),
        score("2", "thumbs", float("inf")),
        score("3", "x", 1.0, trace_id="unknown"),
        score("4", "session", 1.0) | {"trace_id": None, "session_id": "s"},
        score("5", "unnamed", 1.0) | {"name": None},
    ]
    assert feedback(engine, *odd) is None
