from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from insights_pipeline.drift.baselines import baseline_days
from insights_pipeline.drift.series.histograms import MovingHistogram
from insights_pipeline.drift.series.rollups import ACCURACY, GAMMA, read_panel, rollup_days
from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, connect_with, engine_config
from tests.drift.traffic import START, Behaviour, fill, put, read

ONE = DayRange.single(START)
Row = dict[str, Any]


def trace(name: str, **fields: object) -> Row:
    usual: Row = {
        "date": START,
        "trace_id": name,
        "latency_ms": 1_000.0,
        "cost_usd": 0.01,
        "step_count": 3,
        "output_chars": 10,
        "is_error": False,
        "tool_calls": ["search"],
        "is_evaluation": False,
    }
    return usual | fields


def assigned(name: str, intent: str | None, *, model: str | None = "m1") -> Row:
    return {"date": START, "trace_id": name, "intent_id": intent, "model_version": model}


def rollup(rows: list[Row], intent: str, metric: str) -> Row:
    return next(row for row in rows if (row["intent_id"], row["metric"]) == (intent, metric))


def test_a_day_is_counted_per_intent_unknown_and_all(lake: Lake, engine: DuckDBEngine) -> None:
    put(
        lake,
        "traces",
        [
            trace("a", tool_calls=["search", "search", "refund"], is_error=True),
            trace("b", cost_usd=None, tool_calls=[]),
            trace("c", cost_usd=0.0, latency_ms=500.0),
            trace("d", tool_calls=None),
            trace("e", is_evaluation=True),
        ],
    )
    put(lake, "trace_intents", [assigned("a", "x"), assigned("b", "x"), assigned("c", None)])
    assert rollup_days(engine, ONE) == 24
    rows = read(lake, "intent_rollups")
    assert {row["intent_id"] for row in rows} == {"x", "unknown", "all"}
    cost = rollup(rows, "all", "cost_usd")
    assert (cost["n"], cost["n_valid"], cost["n_pos"], cost["min"]) == (4, 3, 2, 0.0)
    assert cost["sum"] == Decimal("0.020000000")
    errors = rollup(rows, "x", "error_rate")
    assert (errors["n"], errors["k"], errors["sum"]) == (2, 1, None)
    tools = rollup(rows, "x", "tool_mix")
    assert tools["shares"] == [
        {"name": "(none)", "share": Decimal("1.000000000"), "calls": 0},
        {"name": "refund", "share": Decimal("0.333333333"), "calls": 1},
        {"name": "search", "share": Decimal("0.666666667"), "calls": 2},
    ]
    everything = rollup(rows, "all", "tool_mix")
    assert (everything["n"], everything["n_valid"]) == (4, 3)
    assert rollup(rows, "unknown", "latency_ms")["max"] == 500.0


def test_before_the_first_model_there_is_only_all_traffic(lake: Lake, engine: DuckDBEngine) -> None:
    put(lake, "traces", [trace("a"), trace("b")])
    put(lake, "trace_intents", [assigned("a", None, model=None)])
    rollup_days(engine, ONE)
    assert {row["intent_id"] for row in read(lake, "intent_rollups")} == {"all"}


def test_a_metric_nobody_reports_has_null_sums_and_no_histogram(lake: Lake, engine: DuckDBEngine) -> None:
    put(lake, "traces", [trace("a", cost_usd=None)])
    rollup_days(engine, ONE)
    cost = rollup(read(lake, "intent_rollups"), "all", "cost_usd")
    assert (cost["n"], cost["n_valid"], cost["sum"], cost["slog"], cost["min"]) == (1, 0, None, None, None)
    assert cost["histogram"] is None


def merged(parts: list[list[Row]]) -> dict[tuple[str, str], Row]:
    """Rollups of several parts of a day, added up by hand."""
    out: dict[tuple[str, str], Row] = {}
    for row in (row for part in parts for row in part):
        into = out.setdefault((str(row["intent_id"]), str(row["metric"])), defaultdict(int))
        for name in ("n", "n_valid", "n_pos", "k", "sum", "sumsq", "slog", "slog2"):
            if row[name] is not None:
                into[name] += row[name]
        for entry in row["histogram"] or []:
            into["bin", entry["bin"]] += entry["count"]
        for entry in row["shares"] or []:
            into["share", entry["name"]] += entry["share"]
            into["calls", entry["name"]] += entry["calls"]
    return {key: dict(value) for key, value in out.items()}


def test_two_halves_of_a_day_add_up_to_the_day_exactly(tmp_path: Path) -> None:
    def rolled(name: str, keep: slice, *, threads: int = 1, shuffle: int = 0) -> list[Row]:
        whole = Lake(str(tmp_path / "whole"))
        part = Lake(str(tmp_path / name))
        rows = {table: read(whole, table) for table in ("traces", "trace_intents")}
        for table, found in rows.items():
            Random(shuffle).shuffle(found) if shuffle else found.sort(key=lambda row: row["trace_id"])
            put(part, table, found[keep])
        config = engine_config(threads=threads, memory_mb=256, temp_dir=tmp_path / "spill")
        rollup_days(DuckDBEngine(part, connect_with(config)), ONE)
        return read(part, "intent_rollups")

    fill(Lake(str(tmp_path / "whole")), {"x": Behaviour(volume=150), "y": Behaviour(volume=90)}, 1)
    day = rolled("day", slice(None))
    halves = [rolled("first", slice(None, None, 2)), rolled("second", slice(1, None, 2))]
    assert merged(halves) == merged([day])
    assert rolled("shuffled", slice(None), threads=2, shuffle=7) == day


def test_running_a_day_again_gives_the_same_rows(lake: Lake, engine: DuckDBEngine) -> None:
    days = fill(lake, {"x": Behaviour(volume=30)}, 3)
    rollup_days(engine, days)
    once = read(lake, "intent_rollups")
    rollup_days(engine, DayRange.single(days.last))
    assert read(lake, "intent_rollups") == once


def test_the_p95_of_the_panel_is_within_two_percent(lake: Lake, engine: DuckDBEngine) -> None:
    days = fill(lake, {"x": Behaviour(volume=400)}, 5)
    rollup_days(engine, days)
    panel = read_panel(engine, days)
    for offset, day in enumerate(days):
        values = [row["latency_ms"] for row in read(lake, "traces", DayRange.single(day))]
        exact = np.quantile(values, 0.95, method="lower")
        assert panel.sums["latency_ms"].p95[0, offset] == pytest.approx(exact, rel=ACCURACY + 1e-9)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.95, 0.99])
def test_a_moving_histogram_answers_quantiles_within_two_percent_and_forgets(level: float) -> None:
    rng = np.random.default_rng(0)
    old, new = rng.lognormal(9, 1, 3_000), rng.lognormal(0, 2, 3_000)

    def bins(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.unique(np.ceil(np.log(values) / np.log(GAMMA)).astype(np.int64), return_counts=True)

    moving = MovingHistogram(1, -500, 500)
    for values in (old, new):
        bin_, count = bins(values)
        moving.add(np.zeros_like(bin_), bin_, count)
    bin_, count = bins(old)
    moving.remove(np.zeros_like(bin_), bin_, count)
    exact = np.quantile(new, level, method="lower")
    assert moving.quantile(level, np.array([0]))[0] == pytest.approx(exact, rel=ACCURACY + 1e-9)
    assert moving.quantile(0.4, np.array([3_000]))[0] == 0.0


def test_a_baseline_is_learning_for_a_week_and_then_says_what_it_could_detect(
    lake: Lake, engine: DuckDBEngine
) -> None:
    days = fill(lake, {"busy": Behaviour(volume=200), "rare": Behaviour(volume=8)}, 33)
    rollup_days(engine, days)
    after = days.widen(after=1)
    baseline_days(engine, after)
    rows = {(r["date"], r["intent_id"], r["metric"]): r for r in read(lake, "baselines")}
    assert (days.first, "busy", "latency_ms") not in rows
    young = rows[days.first + timedelta(days=6), "busy", "latency_ms"]
    assert (young["status"], young["days"]) == ("learning", 6)
    last = rows[after.last, "busy", "latency_ms"]
    assert (last["status"], last["days"]) == ("ready", 30)
    values = [
        r["latency_ms"]
        for r in read(lake, "traces", DayRange.before(after.last, 30))
        if "busy" in r["trace_id"]
    ]
    assert last["mean"] == pytest.approx(np.mean(values), rel=1e-9)
    assert last["p95"] == pytest.approx(np.quantile(values, 0.95, method="lower"), rel=ACCURACY + 1e-9)
    assert last["geometric_mean"] == pytest.approx(np.exp(np.mean(np.log(values))), rel=0.03)
    assert 0.4 < last["sd_within"] < 0.6
    assert 0.1 <= last["smallest_detectable"] < rows[after.last, "rare", "latency_ms"]["smallest_detectable"]
    shares = rows[after.last, "busy", "tool_mix"]["shares"]
    assert sum(entry["share"] for entry in shares) == pytest.approx(Decimal(1), abs=Decimal("1e-6"))
    assert rows[after.last, "busy", "error_rate"]["rate"] == pytest.approx(0.05, abs=0.02)
    assert (after.last, "all", "cost_usd") in rows


def test_baselines_of_a_range_are_those_of_its_days(lake: Lake, engine: DuckDBEngine) -> None:
    days = fill(lake, {"x": Behaviour(volume=40), "y": Behaviour(volume=20)}, 36)
    rollup_days(engine, days)
    baseline_days(engine, days)
    once = read(lake, "baselines")
    for day in DayRange.ending(days.last, 6):
        baseline_days(engine, DayRange.single(day))
    assert read(lake, "baselines") == once
