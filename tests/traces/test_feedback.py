from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from insights_pipeline.lake import DuckDBEngine, Lake, rows_to_table
from insights_pipeline.lake.days import NS_PER_DAY, day_of_ns
from insights_pipeline.lake.tables import FEEDBACK
from insights_pipeline.traces.feedback import find_scores, place_scores
from tests.traces.otlp_cases import SECOND, START

DAY = date(2026, 3, 1)
HOUR = 3_600 * SECOND


def span(trace: int, *, number: int = 1, start_ns: int = START, session: str | None = None) -> dict[str, Any]:
    return {
        "date": day_of_ns(start_ns),
        "trace_id": f"{trace:032x}",
        "span_id": f"{trace * 100 + number:016x}",
        "session_id": session,
        "start_ns": start_ns,
    }


def score(name: str, *, at_ns: int = START, **ids: Any) -> dict[str, Any]:
    return {
        "date": day_of_ns(at_ns),
        "score_id": name,
        "name": "correct",
        "value": 1.0,
        "at_ns": at_ns,
        "source": "langfuse",
        "ingested_ns": at_ns + SECOND,
        **ids,
    }


def placed(
    lake: Lake, engine: DuckDBEngine, spans: list[dict[str, Any]], *scores: dict[str, Any]
) -> pa.Table:
    lake.append("spans", rows_to_table("spans", spans))
    return place_scores(engine, rows_to_table("feedback", list(scores)))


def test_a_score_gets_the_first_day_of_its_trace(lake: Lake, engine: DuckDBEngine) -> None:
    evening = START + 11 * HOUR
    spans = [span(1, start_ns=evening), span(1, number=2, start_ns=evening + 2 * HOUR)]
    late = score("late", at_ns=START + 9 * NS_PER_DAY, trace_id=f"{1:032x}")
    assert placed(lake, engine, spans, late).column("date").to_pylist() == [DAY]


def test_a_score_of_a_run_gets_the_trace_of_its_span(lake: Lake, engine: DuckDBEngine) -> None:
    spans = [span(7), span(7, number=2), span(8)]
    table = placed(lake, engine, spans, score("run", at_ns=START + 3 * NS_PER_DAY, span_id=f"{702:016x}"))
    [row] = table.to_pylist()
    assert (row["trace_id"], row["span_id"], row["date"]) == (f"{7:032x}", f"{702:016x}", DAY)


def test_a_score_of_a_session_goes_to_its_newest_trace_that_had_begun(
    lake: Lake, engine: DuckDBEngine
) -> None:
    spans = [
        span(1, start_ns=START - NS_PER_DAY, session="s"),
        span(2, start_ns=START, session="s"),
        span(2, number=2, start_ns=START + HOUR, session="s"),
        span(3, start_ns=START + 2 * HOUR, session="s"),
        span(4, start_ns=START + 1, session="another"),
    ]
    table = placed(lake, engine, spans, score("now", at_ns=START + HOUR + 1, session_id="s"))
    assert table.select(["trace_id", "date"]).to_pylist() == [{"trace_id": f"{2:032x}", "date": DAY}]


def test_a_score_before_every_trace_of_its_session_waits(lake: Lake, engine: DuckDBEngine) -> None:
    lake.append("spans", rows_to_table("spans", [span(1, session="s")]))
    early = rows_to_table("feedback", [score("early", at_ns=START - 1, session_id="s")])
    assert find_scores(engine, early).found == [False]


def test_the_named_trace_counts_even_where_span_and_session_say_another(
    lake: Lake, engine: DuckDBEngine
) -> None:
    spans = [span(1), span(2, session="s", start_ns=START + 1)]
    both = score("both", at_ns=START + HOUR, trace_id=f"{1:032x}", span_id=f"{201:016x}", session_id="s")
    assert placed(lake, engine, spans, both).column("trace_id").to_pylist() == [f"{1:032x}"]


def test_what_is_not_found_keeps_its_own_day_and_every_other_column(lake: Lake, engine: DuckDBEngine) -> None:
    lost = score("lost", at_ns=START + NS_PER_DAY, trace_id="f" * 32, comment="who knows", label="bad")
    given = rows_to_table("feedback", [{**lost, "date": date(2020, 1, 1)}])
    lake.append("spans", rows_to_table("spans", [span(1)]))
    [row] = place_scores(engine, given).to_pylist()
    assert row == {**given.to_pylist()[0], "date": DAY + timedelta(days=1)}


def test_rows_come_back_in_order_with_the_contract_whatever_is_found(
    lake: Lake, engine: DuckDBEngine
) -> None:
    lake.append("spans", rows_to_table("spans", [span(n, session=f"s{n}") for n in range(1, 40)]))
    kinds = [
        {"trace_id": f"{5:032x}"},
        {"span_id": f"{901:016x}"},
        {"session_id": "s3"},
        {"trace_id": "e" * 32},
        {"span_id": "e" * 16},
        {"session_id": "nobody"},
    ]
    rows = [score(f"{n}", at_ns=START + 1 + n, **kinds[n % len(kinds)]) for n in range(300)]
    scores, found = find_scores(engine, rows_to_table("feedback", rows))
    assert scores.schema == FEEDBACK.schema
    assert scores.column("score_id").to_pylist() == [str(n) for n in range(300)]
    assert found == [n % 6 < 3 for n in range(300)]
    expected = [f"{5:032x}", f"{9:032x}", f"{3:032x}", "e" * 32, None, None]
    assert scores.column("trace_id").to_pylist() == [expected[n % 6] for n in range(300)]


def test_a_trace_that_may_have_begun_before_what_is_looked_at_is_not_found(
    lake: Lake, engine: DuckDBEngine
) -> None:
    lake.append("spans", rows_to_table("spans", [span(1), span(1, number=2, start_ns=START + NS_PER_DAY)]))
    late = rows_to_table("feedback", [score("x", at_ns=START + 3 * NS_PER_DAY, trace_id=f"{1:032x}")])
    assert find_scores(engine, late, days=2).found == [False]
    assert find_scores(engine, late, days=3).scores.column("date").to_pylist() == [day_of_ns(START)]


@pytest.mark.parametrize(("age_days", "is_found"), [(35, True), (36, False)])
def test_a_trace_is_looked_for_so_many_days_back(
    lake: Lake, engine: DuckDBEngine, age_days: int, is_found: bool
) -> None:
    lake.append("spans", rows_to_table("spans", [span(1)]))
    late = rows_to_table("feedback", [score("x", at_ns=START + age_days * NS_PER_DAY, trace_id=f"{1:032x}")])
    assert find_scores(engine, late).found == [is_found]
    # another score of the same call widens what is read, but not what this one is looked for in
    older = score("older", at_ns=START, trace_id=f"{2:032x}")
    both = pa.concat_tables([late, rows_to_table("feedback", [older])])
    assert find_scores(engine, both).found == [is_found, False]


def test_no_scores_and_a_lake_without_spans_are_no_error(lake: Lake, engine: DuckDBEngine) -> None:
    assert place_scores(engine, FEEDBACK.schema.empty_table()).num_rows == 0
    alone = rows_to_table("feedback", [score("alone", session_id="s")])
    assert place_scores(engine, alone).to_pylist() == alone.to_pylist()
