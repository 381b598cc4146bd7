from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import MAX_LINES, gather
from insights_pipeline.brief.read import read_brief, read_items
from insights_pipeline.brief.render import escape, headline, markdown
from insights_pipeline.brief.write import write_daily_briefs, write_window_brief
from insights_pipeline.lake import DayRange, DuckDBEngine, Slice, rows_to_table

DAY = date(2026, 3, 2)
READY = {"status": "ready", "traces_seen": 9_000}


def item(**changes: Any) -> dict[str, Any]:
    return {
        "item_id": "drf_1",
        "intent_id": "int_1",
        "metric": "latency_ms",
        "direction": "up",
        "state": "new",
        "opened": DAY,
        "closed": None,
        "severity": "high",
        "baseline_value": 1_800.0,
        "observed": 3_100.0,
        "effect": 0.72,
        "effect_low": 0.55,
        "effect_high": 0.91,
        "n": 840,
        "traffic_share": 0.2,
        "trace_ids": ["a" * 32, "b" * 32],
        "explanation": {},
        **changes,
    }


def facts(*items: dict[str, Any], model: dict[str, Any] | None = READY, traces: int = 642, **more: Any):
    rollups = [
        {"date": DAY, "intent_id": "all", "n": traces, "k": 12},
        {"date": DAY, "intent_id": "unknown", "n": 32, "k": 0},
        {"date": date(2026, 3, 1), "intent_id": "all", "n": 600, "k": 9},
    ]
    return gather(
        cadence="daily",
        first=DAY,
        last=DAY,
        items=items,
        observations=[{"intent_id": "int_1", "metric": "latency_ms", "verdict": "quiet"}],
        model=model,
        intents=[{"intent_id": "int_1", "name": "Where is my order", "status": "active"}],
        traffic=rollups,
        bootstrap_traces=500,
        **more,
    )


def test_a_quiet_day_says_so_in_one_line() -> None:
    assert headline(facts()) == "Nothing significant changed: 1 intent, 1 series watched over 642 traces."


def test_before_enough_traces_the_brief_says_how_many_of_how_many() -> None:
    learning = facts(model={"status": "learning", "traces_seen": 20})
    assert "learning (20 of 500)" in markdown(learning)


def test_a_day_without_traces_is_not_called_quiet() -> None:
    assert headline(facts(traces=0)) == "No traces arrived this day."


def test_a_new_change_names_intent_change_interval_counts_and_traces() -> None:
    text = markdown(facts(item()))
    for part in (
        "**Where is my order**: typical latency up",
        "1.8 s → 3.1 s (+72 %, 95 % +55 to +91 %)",
        "840 traces",
        "20 % of traffic",
        "since 2 Mar",
        f"`{'a' * 32}`",
    ):
        assert part in text, text


def test_an_ongoing_change_is_counted_and_named_but_is_not_the_news() -> None:
    ongoing = facts(item(state="ongoing", opened=date(2026, 2, 20)))
    assert ongoing.status == "quiet"
    assert "Still open (1): Where is my order, typical latency up +72 % since 20 Feb." in markdown(ongoing)


def test_a_changed_tool_mix_says_which_tools_and_an_error_rate_how_many_failed() -> None:
    moved = {
        "gained": [{"tool": "search_help_center", "points": 25.0, "before": 0.05, "now": 0.30}],
        "lost": [{"tool": "get_order", "points": -25.0, "before": 0.45, "now": 0.20}],
    }
    mix = item(metric="tool_mix", direction="changed", effect=0.25, explanation=moved)
    assert (
        "tool mix changed, 25 % of calls moved, search_help_center 5.0 % → 30.0 %, get_order 45.0 % → 20.0 %"
        in markdown(facts(mix))
    )
    failing = item(metric="error_rate", effect=0.05, n=401, explanation={"errors": 26, "baseline_errors": 12})
    assert "26 of 401 traces failed" in markdown(facts(failing))


def test_what_is_over_is_called_back_to_normal() -> None:
    over = facts(item(state="resolved", opened=date(2026, 2, 20), closed=DAY))
    assert "the largest: Where is my order, typical latency back to normal after +72 %" in headline(over)
    assert "typical latency back to normal after 1.8 s → 3.1 s" in markdown(over)
    assert "20 Feb – 2 Mar" in markdown(over)


def test_pending_items_and_those_resolved_before_the_window_are_not_mentioned() -> None:
    past = item(state="resolved", opened=date(2026, 2, 1), closed=date(2026, 2, 20))
    assert markdown(facts(item(state="pending"), past)) == markdown(facts())


def test_worse_changes_of_busy_intents_come_first_and_ten_lines_are_enough() -> None:
    many = [item(item_id=f"i{i}", traffic_share=i / 100, trace_ids=[]) for i in range(1, 14)]
    better = item(item_id="better", direction="down", effect=-0.72, traffic_share=0.5)
    found = facts(*many, better)
    assert len(found.lines) == MAX_LINES
    assert [line.traffic_share for line in found.lines[:2]] == [0.5, 0.13]
    assert facts(item(traffic_share=0.16), better).lines[0].direction == "up"


def test_trace_text_cannot_become_markup() -> None:
    assert escape("[x](http://e)\n<img src=y> `z` *b*") == (
        "\\[x\\]\\(http://e\\) \\<img src=y\\> \\`z\\` \\*b\\*"
    )


@pytest.mark.parametrize(
    ("metric", "number", "text"),
    [
        ("latency_ms", 940.4, "940 ms"),
        ("latency_ms", 12_345.0, "12.3 s"),
        ("cost_usd", 0.00123, "$0.00123"),
        ("error_rate", 0.171, "17.1 %"),
        ("cost_usd", None, "–"),
    ],
)
def test_values_carry_their_unit(metric: str, number: float | None, text: str) -> None:
    assert units.value(metric, number) == text


def seed_day(engine: DuckDBEngine, *items: dict[str, Any]) -> None:
    def put(table: str, rows: list[dict[str, Any]]) -> None:
        engine.lake.append(table, rows_to_table(table, rows))

    put("intent_models", [{"date": DAY, "status": "ready", "traces_seen": 9_000, "version": "v"}])
    put("intents", [{"date": DAY, "intent_id": "int_1", "name": "Where is my order", "status": "active"}])
    put("intent_rollups", [{"date": DAY, "intent_id": "all", "metric": "error_rate", "n": 642, "k": 12}])
    put(
        "drift_observations",
        [{"date": DAY, "cadence": "daily", "intent_id": "int_1", "metric": "latency_ms", "verdict": "drift"}],
    )
    put("drift_items", [{**i, "date": DAY, "explanation": json.dumps(i["explanation"])} for i in items])


def test_a_brief_is_written_from_the_tables_and_read_back(engine: DuckDBEngine) -> None:
    seed_day(engine, item())
    for _ in range(2):
        assert write_daily_briefs(engine, DayRange.single(DAY), bootstrap_traces=500) == 1
    assert engine.lake.read(Slice("briefs")).num_rows == 1
    brief = read_brief(engine.lake, "daily")
    assert brief is not None
    assert brief["status"] == "changed"
    assert brief["headline"].startswith(
        "1 new change this day; the largest: Where is my order, typical latency up +72 %"
    )
    assert json.loads(brief["facts"])["lines"][0]["trace_ids"] == ["a" * 32, "b" * 32]
    assert read_items(engine.lake)[1][0]["intent"] == "Where is my order"


def test_a_weekly_brief_stands_beside_the_daily_one_of_the_same_date(engine: DuckDBEngine) -> None:
    seed_day(engine, item())
    monday = DAY
    assert monday.weekday() == 0
    week = DayRange(monday, date(2026, 3, 8))
    write_daily_briefs(engine, DayRange.single(DAY), bootstrap_traces=500)
    write_window_brief(engine, "weekly", week, bootstrap_traces=500)
    assert {row["cadence"] for row in engine.lake.read(Slice("briefs")).to_pylist()} == {"daily", "weekly"}
    weekly = read_brief(engine.lake, "weekly", monday)
    assert weekly is not None and weekly["window_last"] == date(2026, 3, 8)
