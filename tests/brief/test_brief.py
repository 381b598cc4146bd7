from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import MAX_LINES, Facts, gather
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


SUNDAY = date(2026, 3, 8)


def observation(**changes: Any) -> dict[str, Any]:
    return {
        "intent_id": "int_1",
        "metric": "cost_usd",
        "direction": "up",
        "verdict": "drift",
        "severity": "warning",
        "n": 4_000,
        "observed": 0.013,
        "baseline_value": 0.010,
        "effect": 0.3,
        "effect_low": 0.2,
        "effect_high": 0.4,
        "explanation": {},
        **changes,
    }


def week(*items: dict[str, Any], observations: Sequence[dict[str, Any]] = ()) -> Facts:
    return gather(
        cadence="weekly",
        first=DAY,
        last=SUNDAY,
        items=items,
        observations=observations,
        model=READY,
        intents=[{"intent_id": "int_1", "name": "Where is my order", "status": "active"}],
        traffic=[
            {"date": DAY, "intent_id": "all", "n": 5_000, "k": 12},
            {"date": DAY, "intent_id": "int_1", "n": 4_000, "k": 12},
        ],
        bootstrap_traces=500,
    )


@pytest.mark.parametrize("state", ["new", "ongoing", "recovering", "accepted"])
def test_what_opened_in_a_week_is_new_to_the_week_whatever_became_of_it(state: str) -> None:
    opened = item(state=state, opened=date(2026, 3, 3), closed=SUNDAY if state == "accepted" else None)
    found = week(opened)
    assert [line.state for line in found.lines] == ["new"] and not found.ongoing
    assert "since 3 Mar" in markdown(found)


def test_a_new_intent_is_told_by_its_week_though_it_was_accepted_the_next_day() -> None:
    arrived = item(
        metric="volume",
        direction="new",
        state="accepted",
        opened=date(2026, 3, 4),
        closed=date(2026, 3, 5),
        effect=None,
        observed=None,
        n=31,
    )
    assert "Where is my order, new intent" in headline(week(arrived))
    assert week(item(**{**arrived, "opened": date(2026, 2, 20), "closed": date(2026, 2, 21)})).lines == ()


def test_what_opened_and_closed_in_a_week_is_resolved_with_both_days() -> None:
    over = item(state="resolved", opened=date(2026, 3, 3), closed=date(2026, 3, 7))
    assert "[resolved]" in markdown(week(over)) and "3 Mar – 7 Mar" in markdown(week(over))
    back = {**over, "metric": "volume", "direction": "gone", "effect": None, "observed": None, "n": None}
    assert "**Where is my order**: asked again, 20 % of traffic, 3 Mar – 7 Mar" in markdown(week(back))


def test_a_drift_that_only_the_whole_week_shows_is_a_line_since_its_first_day() -> None:
    found = week(observations=[observation(), observation(metric="step_count", verdict="quiet")])
    assert found.status == "changed"
    text = markdown(found)
    for part in (
        "[new] **Where is my order**: typical cost up, $0.01 → $0.013 (+30 %, 95 % +20 to +40 %)",
        "4,000 traces, 80 % of traffic, since 2 Mar",
    ):
        assert part in text, text


def test_a_drift_of_the_week_is_told_once_though_its_item_and_its_p95_tell_it_too() -> None:
    mean = observation(metric="latency_ms", observed=2_700.0, baseline_value=1_800.0, effect=0.5, n=5_000)
    tail = observation(metric="latency_p95_ms", effect=0.6)
    (line,) = week(item(state="ongoing"), observations=[tail, mean]).lines
    assert (line.metric, line.effect, line.observed, line.baseline, line.n) == (
        "latency_ms",
        0.5,
        2_700.0,
        1_800.0,
        5_000,
    )
    assert (line.effect_low, line.effect_high, line.trace_ids) == (0.2, 0.4, ("a" * 32, "b" * 32))
    assert [line.metric for line in week(observations=[tail, mean]).lines] == ["latency_ms"]


def test_an_item_keeps_its_numbers_where_the_week_found_nothing_or_the_opposite() -> None:
    quiet = observation(metric="latency_ms", verdict="quiet", effect=0.01)
    assert [line.effect for line in week(item(), observations=[quiet]).lines] == [0.72]
    fell = observation(metric="latency_ms", direction="down", effect=-0.2, severity="info")
    assert {(line.direction, line.effect) for line in week(item(), observations=[fell]).lines} == {
        ("up", 0.72),
        ("down", -0.2),
    }


@pytest.mark.parametrize(
    "silent",
    [{"state": "pending"}, {"state": "resolved", "opened": date(2026, 2, 1), "closed": date(2026, 2, 20)}],
)
def test_an_item_that_the_week_does_not_tell_hides_no_drift_of_the_week(silent: dict[str, Any]) -> None:
    found = week(item(metric="cost_usd", **silent), observations=[observation()])
    assert [(line.metric, line.since) for line in found.lines] == [("cost_usd", DAY)]


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


def test_no_control_character_of_a_trace_reaches_a_brief() -> None:
    assert escape("a\x1b]0;owned\x07b\u202ec\x9bd\n e") == "a\\]0;ownedbcd e"
    text = markdown(facts(item(trace_ids=["ab\x1b[2J\x9b\u200bcd"])))
    assert "`ab2Jcd`" in text
    assert not [char for char in text if unicodedata.category(char).startswith("C") and char != "\n"]


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
    found = read_items(engine.lake)
    assert found is not None and found.items[0]["intent"] == "Where is my order"


def test_a_window_brief_reads_the_tests_of_its_window_and_a_daily_one_does_not(engine: DuckDBEngine) -> None:
    seed_day(engine)
    week = DayRange(DAY, SUNDAY)
    own = {**observation(), "date": DAY, "cadence": "weekly", "explanation": json.dumps({"note": 1})}
    engine.lake.append("drift_observations", rows_to_table("drift_observations", [own]))
    write_daily_briefs(engine, week, bootstrap_traces=500)
    write_window_brief(engine, "weekly", week, bootstrap_traces=500)
    daily, weekly = (read_brief(engine.lake, cadence, DAY) for cadence in ("daily", "weekly"))
    assert daily is not None and json.loads(daily["facts"])["lines"] == []
    assert weekly is not None
    (line,) = json.loads(weekly["facts"])["lines"]
    assert (line["metric"], line["since"], line["effect"], line["explanation"]) == (
        "cost_usd",
        "2026-03-02",
        0.3,
        {"note": 1},
    )


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
