from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from insights_pipeline.defs.landing import ARRIVING, MAX_DAYS_PER_RUN, Landing
from insights_pipeline.lake import DayRange, Lake, rows_to_table, today

DAY = date(2026, 3, 5)
FIRST, LAST = date(2026, 3, 1), date(2026, 5, 31)


TABLES = {name: f"id of {name}" for name in ARRIVING}
EMPTY = Landing.from_cursor(None, tables=TABLES)


def landed(*days: date, known: set[date] | None = None) -> Landing:
    return EMPTY.after("spans", 3, dict.fromkeys(days, 100), known=known or set(days))


def test_landed_spans_ask_for_their_day_and_for_neighbours_that_hold_spans() -> None:
    state = landed(DAY, known={DAY - timedelta(days=1), DAY, DAY + timedelta(days=3)})
    assert state.next_run(first=FIRST, last=LAST) == DayRange(DAY - timedelta(days=1), DAY)


def test_a_long_landing_is_asked_for_in_order_thirty_days_at_a_time() -> None:
    state = landed(*DayRange(FIRST, date(2026, 4, 20)))
    first = state.next_run(first=FIRST, last=LAST)
    assert first is not None and (first.first, len(first)) == (FIRST, MAX_DAYS_PER_RUN)
    state = state.asked(first, now=1_000, newest_brief=None)
    second = state.next_run(first=FIRST, last=LAST)
    assert second == DayRange(first.last + timedelta(days=1), date(2026, 4, 20))
    assert state.asked(second, now=1_000, newest_brief=first.last).next_run(first=FIRST, last=LAST) is None


def test_days_before_the_first_partition_wait_until_it_reaches_them() -> None:
    state = landed(date(2026, 2, 1))
    assert state.next_run(first=FIRST, last=LAST) is None
    assert state.next_run(first=date(2026, 1, 1), last=LAST) == DayRange.single(date(2026, 2, 1))


def test_after_a_late_day_the_drift_of_the_days_behind_it_follows() -> None:
    late = landed(DAY).asked(DayRange.single(DAY), now=1_000, newest_brief=DAY + timedelta(days=9))
    assert late.refold_from == DAY
    assert landed(DAY).asked(DayRange.single(DAY), now=1_000, newest_brief=DAY).refold_from is None


def test_the_cursor_keeps_everything_and_a_table_made_anew_starts_over() -> None:
    state = landed(DAY).asked(DayRange.single(DAY), now=1_000, newest_brief=LAST)
    assert Landing.from_cursor(state.to_cursor(), tables=TABLES) == state
    anew = {**TABLES, "spans": "another"}
    assert Landing.from_cursor(state.to_cursor(), tables=anew) == Landing.from_cursor(None, tables=anew)
    scores = Landing.from_cursor(state.to_cursor(), tables={**TABLES, "feedback": "another"})
    assert scores.seen == {**state.seen, "feedback": ("another", -1)}
    assert scores.refold_from == state.refold_from


def test_a_day_of_live_traffic_that_was_just_asked_for_rests_and_its_later_spans_are_not_forgotten() -> None:
    asked = landed(DAY).asked(DayRange.single(DAY), now=1_000, newest_brief=None)
    more = asked.after("spans", 4, {DAY: 1_500}, known={DAY})
    assert more.rested(before=900).next_run(first=FIRST, last=DAY) is None
    assert more.rested(before=1_001).next_run(first=FIRST, last=DAY) == DayRange.single(DAY)
    assert more.rested(before=900).next_run(first=FIRST, last=LAST) == DayRange.single(DAY)  # history


def test_a_late_score_asks_for_the_day_of_its_trace_only_and_never_for_a_day_without_spans() -> None:
    known = {DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)}
    scored = EMPTY.after("feedback", 1, {DAY: 100, DAY + timedelta(days=9): 100}, known=known)
    assert set(scored.pending) == {DAY}


def test_late_content_asks_for_its_day_and_the_neighbours_whose_traces_it_may_complete() -> None:
    known = {DAY - timedelta(days=1), DAY}
    assert set(EMPTY.after("span_contents", 1, {DAY: 100}, known=known).pending) == known


@pytest.fixture
def lake_with_spans_of_today(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    rows = [
        {"date": day, "trace_id": "t", "span_id": str(day)}
        for day in (today(), today() - timedelta(days=400))
    ]
    lake.append("spans", rows_to_table("spans", rows))
    return lake


@pytest.mark.filterwarnings("ignore:InitResourceContext.dagster_run:DeprecationWarning")  # Dagster's own use
def test_the_sensor_asks_once_for_landed_days_and_not_again_for_those_that_were_run(
    lake_with_spans_of_today: Lake,
) -> None:
    from dagster_duckdb import DuckDBResource

    from insights_pipeline.defs.resources import EngineResource
    from insights_pipeline.defs.sensors import landed_data

    engine = EngineResource(lake_uri=lake_with_spans_of_today.uri, duckdb=DuckDBResource(database=":memory:"))

    def tick(instance: dg.DagsterInstance, cursor: str | None) -> tuple[list[dg.RunRequest], str]:
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"engine": engine}
        ) as context:
            found = landed_data.evaluate_tick(context)
        assert found.cursor is not None
        return list(found.run_requests or ()), found.cursor

    with dg.DagsterInstance.ephemeral() as instance:
        [request], cursor = tick(instance, None)
        assert request.tags["dagster/asset_partition_range_end"] == str(today())
        assert list(json.loads(cursor)["pending"]) == [str(today() - timedelta(days=400))]
        assert tick(instance, cursor)[0] == []

        @dg.asset(name="daily_brief", partitions_def=dg.DailyPartitionsDefinition(str(today()), end_offset=1))
        def brief() -> None: ...

        dg.materialize([brief], instance=instance, partition_key=str(today()))
        assert tick(instance, None)[0] == []
