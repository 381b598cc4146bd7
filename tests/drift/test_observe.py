from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from insights_pipeline.drift.constants import ALL, TESTED, UNKNOWN
from insights_pipeline.drift.lasting import METRICS as LASTING
from insights_pipeline.drift.observe import observe_days, observe_window
from insights_pipeline.drift.series.rollups import rollup_days
from insights_pipeline.lake import (
    DayRange,
    DuckDBEngine,
    Lake,
    Slice,
    connect_with,
    engine_config,
    rows_to_table,
)
from tests.drift.traffic import START, Behaviour, fill, one_change, read, unchanged

USUAL = {f"i{k}": Behaviour(volume=volume) for k, volume in enumerate((120, 100, 90, 80, 70, 30, 20, 12))}
Row = dict[str, Any]


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def folded(
    tmp_path: Path, days: int, *, change=unchanged, usual=USUAL, seed: int = 1, observe_from: int = 0
) -> tuple[Lake, DuckDBEngine]:
    lake = Lake(str(tmp_path / f"lake{seed}"))
    engine = DuckDBEngine(lake, connect_with(engine_config(threads=2, memory_mb=512, temp_dir=tmp_path)))
    span = fill(lake, usual, days, change=change, seed=seed)
    rollup_days(engine, span)
    observe_days(engine, DayRange(day(observe_from), span.last))
    return lake, engine


def lines(lake: Lake, *, of_all: bool = False) -> dict[tuple[str, str, str], list[Row]]:
    """The days of every item that a brief would have shown, by (intent, metric, direction); one episode each.

    What happens to an intent may well show in all traffic too: those only when asked.
    """
    episodes: dict[str, list[Row]] = {}
    for row in read(lake, "drift_items"):
        if row["intent_id"] == ALL and not of_all:
            continue
        episodes.setdefault(str(row["item_id"]), []).append(row)
    shown = [rows for rows in episodes.values() if any(row["state"] == "new" for row in rows)]
    keys = [(str(rows[0]["intent_id"]), str(rows[-1]["metric"]), str(rows[0]["direction"])) for rows in shown]
    assert len(keys) == len(set(keys)), f"an episode was told twice: {sorted(keys)}"
    return dict(zip(keys, shown, strict=True))


@pytest.mark.parametrize("seed", [1, 2])
def test_unchanged_traffic_makes_no_item_and_young_intents_never_flag(tmp_path: Path, seed: int) -> None:
    lake, _ = folded(tmp_path, 46, seed=seed)
    assert lines(lake, of_all=True) == {}
    verdicts = {row["verdict"] for row in read(lake, "drift_observations")}
    assert verdicts == {"quiet", "learning", "no_data"}


def geometric(mean_steps: float) -> float:
    """Geometric mean of 1 + Poisson: effects of numeric metrics are ratios of those."""
    k = np.arange(60)
    return float(np.exp((stats.poisson.pmf(k, mean_steps - 1) * np.log1p(k)).sum()))


TRUTH = {
    ("i0", "latency_ms", "up"): 0.5,
    ("i1", "cost_usd", "up"): 0.5,
    ("i2", "error_rate", "up"): 0.15,
    ("i3", "tool_mix", "changed"): 0.3,
    ("i4", "step_count", "down"): geometric(3) / geometric(5) - 1,
}


def lasting(intent: str, offset: int, b: Behaviour) -> Behaviour:
    if offset < 36:
        return b
    changed: dict[str, dict[str, Any]] = {
        "i0": {"latency": b.latency * 1.5},
        "i1": {"cost": b.cost * 1.5},
        "i2": {"errors": b.errors + 0.15},
        "i3": {"tools": {"search": 0.2, "lookup": 0.3, "refund": 0.5}},
        "i4": {"steps": 3.0},
    }
    return replace(b, **changed.get(intent, {}))


def test_lasting_changes_become_one_item_each_with_the_right_direction_and_interval(tmp_path: Path) -> None:
    lake, _ = folded(tmp_path, 52, change=lasting, observe_from=25)
    found = lines(lake)
    assert set(found) == set(TRUTH)
    for key, rows in found.items():
        assert day(36) <= next(row for row in rows if row["state"] == "new")["date"] <= day(43)
        last = rows[-1]
        assert last["state"] == "ongoing"
        assert last["effect"] == pytest.approx(TRUTH[key], rel=0.3)
        assert set(last["quarantined_days"]) >= {day(offset) for offset in range(44, 52)}
        assert len(last["trace_ids"]) == 5
        assert all(trace.startswith(key[0]) for trace in last["trace_ids"])
    covered = [rows[-1]["effect_low"] <= TRUTH[key] <= rows[-1]["effect_high"] for key, rows in found.items()]
    # each is a 95 % interval, so one of five may miss; the rate itself is tested in test_statistics
    assert sum(covered) >= 4


def test_what_an_item_points_to_shows_the_change(tmp_path: Path) -> None:
    def change(intent: str, offset: int, b: Behaviour) -> Behaviour:
        if offset < 36:
            return b
        if intent == "i0":
            return replace(b, latency=b.latency * 2)
        if intent == "i1":
            return replace(b, errors=0.3)
        return (
            replace(b, tools={"search": 0.2, "lookup": 0.3, "refund": 0.2, "web": 0.3})
            if intent == "i2"
            else b
        )

    lake, _ = folded(tmp_path, 46, change=change, observe_from=30)
    traces = {row["trace_id"]: row for row in read(lake, "traces")}
    found = {key[:2]: rows[-1] for key, rows in lines(lake).items()}
    assert set(found) == {("i0", "latency_ms"), ("i1", "error_rate"), ("i2", "tool_mix")}
    usual = sorted(row["latency_ms"] for row in traces.values() if row["trace_id"].startswith("i0"))
    slow = [traces[trace]["latency_ms"] for trace in found["i0", "latency_ms"]["trace_ids"]]
    assert min(slow) > usual[int(len(usual) * 0.9)]
    assert all(traces[trace]["is_error"] for trace in found["i1", "error_rate"]["trace_ids"])
    assert all("web" in traces[trace]["tool_calls"] for trace in found["i2", "tool_mix"]["trace_ids"])
    latency = json.loads(found["i0", "latency_ms"]["explanation"])
    assert latency["also"][0]["metric"] == "latency_p95_ms"
    errors = json.loads(found["i1", "error_rate"]["explanation"])
    assert 0.2 < errors["errors"] / errors["n"] < 0.4 and errors["baseline_n"] > 1_000
    tools = json.loads(found["i2", "tool_mix"]["explanation"])
    assert tools["gained"][0]["tool"] == "web" and tools["gained"][0]["points"] == pytest.approx(30, abs=6)
    assert tools["lost"][0]["tool"] == "search"
    total = sum(behaviour.volume for behaviour in USUAL.values())
    assert found["i0", "latency_ms"]["traffic_share"] == pytest.approx(120 / total, rel=0.1)


def test_a_slow_rise_is_one_item_and_quarantine_does_not_hide_it(tmp_path: Path) -> None:
    def creep(intent: str, offset: int, b: Behaviour) -> Behaviour:
        return replace(b, latency=b.latency * 1.03 ** min(20, max(0, offset - 29))) if intent == "i0" else b

    lake, _ = folded(tmp_path, 60, change=creep, observe_from=22)
    ((key, rows),) = lines(lake).items()
    assert key == ("i0", "latency_ms", "up")
    assert rows[-1]["state"] == "ongoing"
    assert rows[-1]["effect"] == pytest.approx(1.03**20 - 1, rel=0.3)


def test_an_incident_that_reverts_resolves_and_is_not_told_again(tmp_path: Path) -> None:
    def burst(intent: str, offset: int, b: Behaviour) -> Behaviour:
        return replace(b, errors=0.3) if intent == "i1" and 32 <= offset < 37 else b

    lake, _ = folded(tmp_path, 68, change=burst, observe_from=25)
    ((key, rows),) = lines(lake).items()
    assert key == ("i1", "error_rate", "up")
    resolved = [row for row in rows if row["state"] == "resolved"]
    assert resolved and resolved[0]["closed"] <= day(37 + 14)
    assert rows[-1]["state"] == "resolved"


def test_a_shift_is_accepted_after_thirty_days_and_becomes_the_new_normal(tmp_path: Path) -> None:
    lake, _ = folded(tmp_path, 80, change=one_change("i1", 30, 99, cost=1.6), observe_from=25)
    ((_, rows),) = lines(lake).items()
    assert [row["state"] for row in rows if row["state"] == "accepted"]
    assert rows[-1]["state"] == "accepted"
    week = [
        row
        for row in read(lake, "drift_observations", DayRange.single(day(79)))
        if (row["intent_id"], row["metric"], row["horizon"]) == ("i1", "cost_usd", "7d")
    ]
    assert week[0]["verdict"] == "quiet" and abs(week[0]["effect"]) < 0.15


def test_a_new_intent_is_told_once_and_a_vanished_one_until_it_is_back(tmp_path: Path) -> None:
    def change(intent: str, offset: int, b: Behaviour) -> Behaviour:
        if intent == "i3" and offset < 20:
            return replace(b, volume=0.0)
        return replace(b, volume=0.0) if intent == "i2" and 30 <= offset < 37 else b

    lake, _ = folded(tmp_path, 44, change=change)
    found = lines(lake)
    assert set(found) == {("i3", "volume", "new"), ("i2", "volume", "gone")}
    arrived = found["i3", "volume", "new"]
    assert [row["state"] for row in arrived].count("new") == 1
    assert arrived[0]["date"] == day(21) and arrived[0]["severity"] == "info"
    assert arrived[0]["trace_ids"]
    gone = found["i2", "volume", "gone"]
    # silent on 30, 31 and 32; told when those days are over
    assert gone[0]["date"] == day(33) and len(gone[0]["trace_ids"]) == 5
    assert next(row["closed"] for row in gone if row["state"] == "resolved") == day(39)


@pytest.mark.parametrize(
    ("days", "why"),
    [(33, "the third silent day may still be under way"), (34, "the day after shows that it is back")],
)
def test_no_intent_vanishes_before_its_silent_days_are_over(tmp_path: Path, days: int, why: str) -> None:
    lake, _ = folded(tmp_path, days, change=one_change("i2", 30, 32, volume=0.0))
    assert not lines(lake), why


def change_for_folding(intent: str, offset: int, b: Behaviour) -> Behaviour:
    if intent == "i0" and offset >= 12:
        return replace(b, latency=b.latency * 2)
    if intent == "i1" and 14 <= offset < 17:
        return replace(b, errors=0.4)
    return replace(b, volume=0.0) if intent == "i2" and (offset < 10 or offset >= 20) else b


def tables(lake: Lake) -> Iterator[list[Row]]:
    yield read(lake, "drift_observations")
    yield read(lake, "drift_items")


def test_a_range_gives_what_its_days_give_one_by_one_and_again(tmp_path: Path) -> None:
    usual = {name: USUAL[name] for name in ("i0", "i1", "i2", "i3")}
    lake, engine = folded(tmp_path, 28, change=change_for_folding, usual=usual)
    span = DayRange(START, day(27))
    once = list(tables(lake))
    assert once[1] and any(row["verdict"] == "drift" for row in once[0])
    for one in DayRange(day(11), span.last):
        observe_days(engine, DayRange.single(one))
    assert list(tables(lake)) == once
    observe_days(engine, DayRange(day(15), day(20)))
    assert list(tables(lake)) == once


def test_every_series_has_a_row_per_metric_and_horizon_all_and_unknown_too(tmp_path: Path) -> None:
    lake, engine = folded(tmp_path, 12, usual={"i0": USUAL["i0"], "i1": USUAL["i1"]})
    rows = read(lake, "drift_observations", DayRange.single(day(11)))
    assert len(rows) == 3 * (3 * len(TESTED) + 2 * len(LASTING))
    assert {row["horizon"] for row in rows} == {"1d", "3d", "7d", "14d", "30d"}
    assert {row["intent_id"] for row in rows} == {"i0", "i1", ALL}
    assert {row["slice"] for row in rows} == {None}
    month = next(row for row in rows if row["horizon"] == "30d" and row["metric"] == "cost_usd")
    assert month["verdict"] == "learning" and month["p"] is None and month["q"] is None
    assigned = [
        row | {"intent_id": None} if row["intent_id"] == "i1" else row for row in read(lake, "trace_intents")
    ]
    lake.replace(
        Slice("trace_intents", DayRange(day(0), day(11))), lambda: rows_to_table("trace_intents", assigned)
    )
    rollup_days(engine, DayRange(day(0), day(11)))
    observe_days(engine, DayRange.single(day(11)))
    rows = read(lake, "drift_observations", DayRange.single(day(11)))
    assert {row["intent_id"] for row in rows} == {"i0", UNKNOWN, ALL}


def test_a_week_is_compared_with_the_thirty_days_before_it(tmp_path: Path) -> None:
    lake, engine = folded(tmp_path, 49, change=one_change("i1", 42, 48, cost=1.6), observe_from=36)
    week = DayRange(day(42), day(48))
    assert observe_window(engine, "weekly", week) == (len(USUAL) + 1) * len(TESTED)
    rows = read(lake, "drift_observations", DayRange.single(week.first), cadence="weekly")
    drifted = [row for row in rows if row["verdict"] == "drift" and row["intent_id"] != ALL]
    assert [(row["intent_id"], row["metric"]) for row in drifted] == [("i1", "cost_usd")]
    row = drifted[0]
    # the item that opened in the week took its first days, and at most two before them, out of the baseline
    left = row["days_left_out"]
    assert len(left) <= 2 and row["baseline_days"] == 30
    assert row["baseline_first"] == day(12 - len(left))
    assert row["baseline_last"] == day(41 - len(left))
    assert row["effect_low"] < 0.6 < row["effect_high"] and row["item_id"] is not None
    daily = read(lake, "drift_observations", DayRange.single(week.first), cadence="daily")
    assert len(daily) == (len(USUAL) + 1) * (3 * len(TESTED) + 2 * len(LASTING))
    with pytest.raises(ValueError, match="weekly or monthly"):
        observe_window(engine, "yearly", week)


def test_a_cost_that_half_of_the_traces_stop_reporting_is_not_a_drift(tmp_path: Path) -> None:
    from tests.drift.traffic import put

    lake = Lake(str(tmp_path / "lake"))
    engine = DuckDBEngine(lake, connect_with(engine_config(threads=2, memory_mb=512, temp_dir=tmp_path)))
    span = fill(Lake(str(tmp_path / "full")), {"i0": USUAL["i0"], "i1": USUAL["i1"]}, 20)
    full = Lake(str(tmp_path / "full"))
    rows = read(full, "traces")
    for row in rows:
        # the cheap half loses its price
        if row["date"] >= day(18) and row["cost_usd"] < 0.01:
            row["cost_usd"] = None
    put(lake, "traces", rows)
    for table in ("trace_intents", "intents"):
        put(lake, table, read(full, table))
    rollup_days(engine, span)
    observe_days(engine, span)
    costs = [
        row
        for row in read(lake, "drift_observations", DayRange.single(day(19)))
        if row["metric"] == "cost_usd" and row["horizon"] == "1d"
    ]
    assert {row["verdict"] for row in costs} == {"no_data"}
    assert json.loads(costs[0]["explanation"])["suppressed"] == "coverage moved"
    assert not [key for key in lines(lake) if key[1] == "cost_usd"]
