"""Briefs from the tables and back, as the assets write them."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.links import Links
from insights_pipeline.brief.read import read_brief, read_briefs
from insights_pipeline.brief.write import write_daily_briefs, write_window_brief
from insights_pipeline.lake import DayRange, DuckDBEngine, Slice, rows_to_table
from tests.brief.made import DAY, SUNDAY, item

WEEK = DayRange(DAY, SUNDAY)


def put(engine: DuckDBEngine, table: str, rows: list[dict[str, Any]]) -> None:
    encoded = [
        {**row, "explanation": json.dumps(row["explanation"])} if "explanation" in row else row
        for row in rows
    ]
    engine.lake.append(table, rows_to_table(table, encoded))


def seed(engine: DuckDBEngine, days: DayRange) -> None:
    for day in days:
        put(engine, "intent_models", [{"date": day, "status": "ready", "traces_seen": 9_000, "version": "v"}])
        known = {"date": day, "intent_id": "int_1", "name": "Where is my order", "status": "active"}
        put(engine, "intents", [known])
        put(
            engine,
            "intent_rollups",
            [
                {"date": day, "intent_id": "all", "metric": "error_rate", "n": 642, "k": 12},
                {"date": day, "intent_id": "int_1", "metric": "error_rate", "n": 100, "k": 2},
                {"date": day, "intent_id": "all", "metric": "cost_usd", "n": 600},
            ],
        )


def observation(day: date, **changes: Any) -> dict[str, Any]:
    return {
        "date": day,
        "cadence": "daily",
        "horizon": "7d",
        "intent_id": "int_1",
        "metric": "latency_ms",
        "verdict": "quiet",
        **changes,
    }


def facts_of(engine: DuckDBEngine, cadence: str, day: date) -> Facts:
    brief = read_brief(engine.lake, cadence, day)
    assert brief is not None
    return Facts.from_json(json.loads(brief["facts"]))


def test_a_brief_is_written_in_every_format_and_again_is_the_same(engine: DuckDBEngine) -> None:
    seed(engine, DayRange.single(DAY))
    put(engine, "drift_items", [item()])
    rows = []
    for _ in range(2):
        assert write_daily_briefs(
            engine, DayRange.single(DAY), bootstrap_traces=500, links=Links("http://ui:3000")
        )
        rows.append(engine.lake.read(Slice("briefs")).to_pylist())
    assert rows[0] == rows[1] and len(rows[0]) == 1
    brief = rows[0][0]
    assert brief["status"] == "changed" and brief["summary"] is None
    assert brief["headline"].startswith("1 new change: Where is my order, typical latency up +72 %")
    assert json.loads(brief["facts"])["lines"][0]["trace_ids"] == ["a" * 32, "b" * 32]
    assert brief["html"].startswith("<!DOCTYPE html>") and brief["markdown"].startswith("### Monday 2 March")
    assert json.loads(brief["slack"])[0]["type"] == "header"
    for column in ("markdown", "html", "slack"):
        assert "http://ui:3000/assets/daily_brief?partition=2026-03-02" in brief[column]


def test_the_summary_stands_in_every_format_of_its_brief_only(engine: DuckDBEngine) -> None:
    seed(engine, DayRange(DAY, DAY + timedelta(days=1)))
    put(engine, "drift_items", [item()])

    def summarise(facts: Facts) -> str | None:
        return "Said in two. Sentences." if facts.first == DAY else None

    write_daily_briefs(
        engine, DayRange(DAY, DAY + timedelta(days=1)), bootstrap_traces=500, summarise=summarise
    )
    briefs = read_briefs(engine.lake, "daily")
    assert briefs[DAY]["summary"] == "Said in two. Sentences."
    assert all("Said in two" in briefs[DAY][column] for column in ("markdown", "html", "slack"))
    assert briefs[DAY + timedelta(days=1)]["summary"] is None


def test_what_was_watched_and_what_not_is_counted_from_the_observations(engine: DuckDBEngine) -> None:
    seed(engine, DayRange.single(DAY))
    moved = {"explanation": {"suppressed": "coverage moved"}, "verdict": "no_data"}
    put(
        engine,
        "drift_observations",
        [
            observation(DAY, smallest_detectable=0.2),
            observation(DAY, horizon="1d", verdict="learning"),
            observation(DAY, intent_id="int_2", smallest_detectable=0.4, verdict="drift"),
            observation(DAY, intent_id="all", smallest_detectable=0.01),
            observation(DAY, intent_id="int_2", slice="tenant=a", verdict="learning"),
            observation(DAY, intent_id="int_3", verdict="no_data"),
            observation(DAY, metric="cost_usd", **moved),
            observation(DAY, metric="cost_usd", horizon="30d"),
            observation(DAY, metric="cost_usd", horizon="14d", verdict="learning"),
            observation(DAY, metric="cost_usd", intent_id="int_2"),
        ],
    )
    write_daily_briefs(engine, DayRange.single(DAY), bootstrap_traces=500)
    watched = facts_of(engine, "daily", DAY).watched
    assert (watched.series, watched.learning, watched.no_data) == (4, 1, 1)
    assert watched.coverage_moved == {"cost_usd": 1}
    assert watched.detectable == {"latency_ms": 0.3}


def test_a_range_of_days_gives_the_briefs_of_its_single_days(engine: DuckDBEngine) -> None:
    days = DayRange(DAY, DAY + timedelta(days=70))
    seed(engine, days)
    for at, day in enumerate(days):
        state = "new" if at == 3 else "ongoing"
        effect, severity = 0.3 + 0.02 * at, "warning" if at < 20 else "high"
        if 3 <= at < 40:
            row = item(
                date=day, state=state, opened=DAY + timedelta(days=3), effect=effect, severity=severity
            )
            put(engine, "drift_items", [row])
    write_daily_briefs(engine, days, bootstrap_traces=500)
    whole = read_briefs(engine.lake, "daily")
    for day in (DAY + timedelta(days=n) for n in (3, 18, 19, 23, 39, 59, 60, 70)):
        write_daily_briefs(engine, DayRange.single(day), bootstrap_traces=500)
    assert read_briefs(engine.lake, "daily") == whole
    states = [facts_of(engine, "daily", day).lines for day in days]
    told = {at: lines[0].state for at, lines in enumerate(states) if lines}
    # graver on day 20; the effect it was told with then has grown by half on day 38
    assert told == {3: "new", 20: "worsened", 38: "worsened"}


def test_a_window_brief_reads_the_tests_of_its_window_and_a_daily_one_does_not(engine: DuckDBEngine) -> None:
    seed(engine, WEEK)
    own = observation(
        DAY,
        cadence="weekly",
        horizon="week",
        metric="cost_usd",
        direction="up",
        verdict="drift",
        severity="warning",
        effect=0.3,
        n=4_000,
        explanation={"note": 1},
    )
    put(engine, "drift_observations", [own])
    put(
        engine,
        "traces",
        [{"date": SUNDAY, "trace_id": f"t{n}", "start_ns": n, "cost_usd": 0.01 * n} for n in range(9)],
    )
    put(
        engine,
        "trace_intents",
        [{"date": SUNDAY, "trace_id": f"t{n}", "intent_id": "int_1", "model_version": "v"} for n in range(9)],
    )
    write_daily_briefs(engine, WEEK, bootstrap_traces=500)
    write_window_brief(engine, "weekly", WEEK, bootstrap_traces=500)
    assert facts_of(engine, "daily", DAY).lines == ()
    (line,) = facts_of(engine, "weekly", DAY).lines
    assert (line.metric, line.since, line.effect, line.explanation) == ("cost_usd", DAY, 0.3, {"note": 1})
    assert line.item_ids == () and line.trace_ids and set(line.trace_ids) <= {f"t{n}" for n in range(9)}


def test_a_weekly_brief_stands_beside_the_daily_one_of_the_same_date(engine: DuckDBEngine) -> None:
    seed(engine, WEEK)
    put(engine, "drift_items", [item(date=SUNDAY)])
    write_daily_briefs(engine, DayRange.single(DAY), bootstrap_traces=500)
    write_window_brief(engine, "weekly", WEEK, bootstrap_traces=500, links=Links("http://ui"))
    assert {row["cadence"] for row in engine.lake.read(Slice("briefs")).to_pylist()} == {"daily", "weekly"}
    weekly = read_brief(engine.lake, "weekly", DAY)
    assert weekly is not None and weekly["window_last"] == SUNDAY
    assert "http://ui/assets/weekly_brief?partition=2026-03-02" in weekly["markdown"]
