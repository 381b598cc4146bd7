"""A baseline is what the tests of its day compare with: 30 days without those of drifts, for every series."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insights_pipeline.drift.baselines import baseline_days
from insights_pipeline.drift.constants import ALL, LATENCY, LATENCY_P95, NUMERIC, TESTED, UNKNOWN, VOLUME
from insights_pipeline.drift.life.decisions import Decision
from insights_pipeline.drift.observe import observe_days
from insights_pipeline.drift.series.rollups import rollup_days
from insights_pipeline.lake import (
    DayRange,
    DuckDBEngine,
    Lake,
    connect_with,
    engine_config,
)
from tests.drift.test_observe import day
from tests.drift.traffic import Behaviour, fill, put, read

USUAL = {
    "slow": Behaviour(volume=90),
    "dear": Behaviour(volume=80),
    "calm": Behaviour(volume=70),
    "young": Behaviour(volume=60),
    "sparse": Behaviour(volume=2),
}
Row = dict[str, Any]
DAYS = 60


def change(intent: str, offset: int, b: Behaviour) -> Behaviour:
    if intent == "slow" and offset >= 35:
        return replace(b, latency=b.latency * 1.8)
    if intent == "dear" and 33 <= offset < 41:
        return replace(b, errors=0.4)
    if intent == "young" and offset < DAYS - 4:
        return replace(b, volume=0.0)
    return b


def made(folder: Path, *, days: int = DAYS) -> DuckDBEngine:
    """Sixty days; some traces have no intent, and a third have no price."""
    folder.mkdir(parents=True, exist_ok=True)
    source = Lake(str(folder / "source"))
    fill(source, USUAL, days, change=change, seed=8)
    lake = Lake(str(folder / "lake"))
    engine = DuckDBEngine(lake, connect_with(engine_config(threads=2, memory_mb=512, temp_dir=folder)))
    traces = [
        row
        | {
            "cost_usd": None if number % 3 == 0 else row["cost_usd"],
            "tenant_id": "acme" if number % 2 else "zeta",
        }
        for number, row in enumerate(read(source, "traces"))
    ]
    assigned = [
        row | ({"intent_id": None} if number % 10 == 0 else {})
        for number, row in enumerate(read(source, "trace_intents"))
    ]
    put(lake, "traces", traces)
    put(lake, "trace_intents", assigned)
    put(lake, "intents", read(source, "intents"))
    rollup_days(engine, DayRange(day(0), day(days - 1)))
    return engine


ALL_DAYS = DayRange(day(32), day(DAYS - 1))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DuckDBEngine:
    engine = made(tmp_path_factory.mktemp("baselines"))
    observe_days(engine, ALL_DAYS)
    baseline_days(engine, ALL_DAYS)
    return engine


def by_series(rows: list[Row]) -> dict[tuple[str, str], Row]:
    return {(row["intent_id"], row["metric"]): row for row in rows}


def baselines(engine: DuckDBEngine, offset: int) -> dict[tuple[str, str], Row]:
    return by_series(read(engine.lake, "baselines", DayRange.single(day(offset))))


def compared_on(engine: DuckDBEngine, offset: int, horizon: str = "1d") -> dict[tuple[str, str], Row]:
    rows = read(engine.lake, "drift_observations", DayRange.single(day(offset)), cadence="daily")
    return by_series([row for row in rows if row["horizon"] == horizon])


def test_every_series_has_a_row_for_every_metric(engine: DuckDBEngine) -> None:
    rows = baselines(engine, DAYS - 1)
    assert {intent for intent, _ in rows} == {*USUAL, ALL, UNKNOWN}
    assert {metric for _, metric in rows} == {*TESTED} - {LATENCY_P95}
    assert len(rows) == (len(USUAL) + 2) * (len(TESTED) - 1)


@pytest.mark.parametrize("offset", [33, 38, 44, 52, 59])
def test_a_baseline_is_what_the_tests_of_its_day_compared_with(engine: DuckDBEngine, offset: int) -> None:
    rows, compared = baselines(engine, offset), compared_on(engine, offset)
    for key, row in rows.items():
        test = compared[key]
        assert (row["days"], row["n"]) == (test["baseline_days"], test["baseline_n"]), key
        assert row["days_left_out"] == test["days_left_out"], key
        assert (row["first_day"], row["last_day"]) == (test["baseline_first"], test["baseline_last"]), key
        if key[1] in NUMERIC and row["n"] > 0:
            assert row["geometric_mean"] == test["baseline_value"], key
        if key[1] == "error_rate":
            # the test's own rate is drawn a little towards that of all series
            assert row["rate"] == pytest.approx(test["baseline_value"], abs=0.02), key


def test_a_week_is_compared_with_the_baseline_of_its_first_day_while_nothing_is_quarantined(
    engine: DuckDBEngine,
) -> None:
    weeks, rows = compared_on(engine, 38, "7d"), baselines(engine, 32)
    for key in (("calm", LATENCY), (ALL, "cost_usd"), (UNKNOWN, "total_tokens")):
        assert rows[key]["days_left_out"] == weeks[key]["days_left_out"] == []
        for column, other in (("days", "baseline_days"), ("n", "baseline_n"), ("last_day", "baseline_last")):
            assert rows[key][column] == weeks[key][other]


def test_the_days_of_a_drift_are_left_out_and_replaced_by_earlier_ones(engine: DuckDBEngine) -> None:
    row = baselines(engine, 50)["slow", LATENCY]
    assert set(row["days_left_out"]) >= {day(offset) for offset in range(42, 50)}
    assert row["days"] == 30 and row["first_day"] < day(20)
    # a baseline that had the drift in it would be up to 1.8 times as slow
    before = baselines(engine, 34)["slow", LATENCY]
    for value in ("geometric_mean", "mean", "p50", "p95"):
        assert row[value] == pytest.approx(before[value], rel=0.08), value
    calm = baselines(engine, 50)["calm", LATENCY]
    assert calm["days_left_out"] == [] and calm["first_day"] == day(20)


def test_an_incident_that_is_over_stays_left_out(engine: DuckDBEngine) -> None:
    row = baselines(engine, 58)["dear", "error_rate"]
    assert set(row["days_left_out"]) >= {day(offset) for offset in range(36, 41)}
    assert row["rate"] == pytest.approx(0.05, abs=0.02)
    assert baselines(engine, 58)["dear", LATENCY]["days_left_out"] == []


def test_mean_and_quantiles_are_those_of_the_traces_of_the_days_that_count(engine: DuckDBEngine) -> None:
    row = baselines(engine, 50)["slow", LATENCY]
    out = set(row["days_left_out"])
    counted = [
        day(offset) for offset in range(50) if day(offset) >= row["first_day"] and day(offset) not in out
    ]
    assert len(counted) == 30
    mine = {
        assigned["trace_id"]
        for assigned in read(engine.lake, "trace_intents")
        if assigned["intent_id"] == "slow" and assigned["date"] in counted
    }
    values = [trace["latency_ms"] for trace in read(engine.lake, "traces") if trace["trace_id"] in mine]
    assert row["n"] == len(values)
    assert row["mean"] == pytest.approx(np.mean(values))
    for name, level in (("p50", 0.5), ("p95", 0.95)):
        assert row[name] == pytest.approx(np.quantile(values, level, method="lower"), rel=0.021)


def test_coverage_says_how_many_traces_have_a_price(engine: DuckDBEngine) -> None:
    rows = baselines(engine, 59)
    assert rows["calm", "cost_usd"]["coverage"] == pytest.approx(2 / 3, abs=0.03)
    assert rows["calm", LATENCY]["coverage"] == 1.0


def test_a_young_intent_is_learning_and_has_nothing_detectable_in_its_first_days(
    engine: DuckDBEngine,
) -> None:
    row = baselines(engine, 59)["young", LATENCY]
    assert (row["status"], row["days"]) == ("learning", 3)
    first = baselines(engine, 57)["young", LATENCY]
    assert (first["days"], first["smallest_detectable"]) == (1, None)
    assert baselines(engine, 59)["calm", LATENCY]["status"] == "ready"
    assert ("young", LATENCY) not in baselines(engine, 55)


def test_a_sparse_intent_can_only_be_seen_to_change_by_much(engine: DuckDBEngine) -> None:
    rows = baselines(engine, 59)
    assert rows["sparse", LATENCY]["smallest_detectable"] > 2 * rows["calm", LATENCY]["smallest_detectable"]


def test_volume_is_traces_a_day_and_the_share_of_all(engine: DuckDBEngine) -> None:
    rows = baselines(engine, 50)
    week = 70 * 0.9 * (5 + 2 * 0.45) / 7
    assert rows["calm", VOLUME]["mean"] == pytest.approx(week, rel=0.08)
    assert rows["calm", VOLUME]["rate"] == pytest.approx(70 * 0.9 / 242, rel=0.1)
    assert rows[ALL, VOLUME]["rate"] == 1.0


def test_days_one_by_one_and_again_give_what_the_range_gives(engine: DuckDBEngine) -> None:
    once = read(engine.lake, "baselines", ALL_DAYS)
    for one in DayRange(day(40), day(44)):
        observe_days(engine, DayRange.single(one))
        baseline_days(engine, DayRange.single(one))
    assert read(engine.lake, "baselines", ALL_DAYS) == once
    baseline_days(engine, DayRange(day(38), day(45)))
    assert read(engine.lake, "baselines", ALL_DAYS) == once


def test_an_accepted_level_is_the_baseline_from_the_next_day_on(tmp_path: Path) -> None:
    engine = made(tmp_path, days=46)
    days = DayRange(day(34), day(45))
    word = Decision(1, "accept", "slow", LATENCY, "up", day(42), "ada")
    observe_days(engine, days, decisions=[word])
    baseline_days(engine, days)
    before, after, later = (baselines(engine, offset)["slow", LATENCY] for offset in (42, 43, 45))
    assert after["geometric_mean"] == pytest.approx(1.8 * before["geometric_mean"], rel=0.15)
    assert day(33) <= after["first_day"] <= day(37)
    assert after["days"] == (day(43) - after["first_day"]).days
    assert later["days"] == after["days"] + 2 and later["last_day"] == day(44)


def test_slices_have_baselines_of_their_own_when_switched_on(tmp_path: Path) -> None:
    engine = made(tmp_path, days=20)
    days = DayRange(day(15), day(19))
    observe_days(engine, days, groups=("tenant",))
    baseline_days(engine, days, groups=("tenant",))
    rows = read(engine.lake, "baselines", DayRange.single(day(19)))
    found = {(row["intent_id"], row["slice"]): row for row in rows if row["metric"] == LATENCY}
    whole, parts = found["calm", None], [found["calm", f"tenant={name}"] for name in ("acme", "zeta")]
    assert sum(part["n"] for part in parts) == whole["n"]
    assert all(part["geometric_mean"] == pytest.approx(whole["geometric_mean"], rel=0.2) for part in parts)
    compared = {
        (row["intent_id"], row["slice"]): row
        for row in read(engine.lake, "drift_observations", DayRange.single(day(19)))
        if row["metric"] == LATENCY and row["horizon"] == "1d"
    }
    assert found.keys() <= compared.keys()
    for key, row in found.items():
        assert row["geometric_mean"] == compared[key]["baseline_value"], key


def test_without_traffic_there_are_no_baselines(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    engine = DuckDBEngine(lake, connect_with(engine_config(threads=2, memory_mb=512, temp_dir=tmp_path)))
    assert baseline_days(engine, DayRange(day(0), day(2) + timedelta(days=70))) == 0


def test_a_metric_whose_every_recent_day_was_left_out_says_so(tmp_path: Path) -> None:
    from insights_pipeline.drift.life.item import ONGOING, Item
    from insights_pipeline.drift.life.item_rows import to_row

    engine = made(tmp_path, days=20)
    quarantined = tuple(day(offset) for offset in range(19))
    item = Item("drf_x", "calm", LATENCY, "up", ONGOING, day(3), day(18), quarantined=quarantined)
    put(engine.lake, "drift_items", [to_row(item, day(18))])
    baseline_days(engine, DayRange.single(day(19)))
    row = baselines(engine, 19)["calm", LATENCY]
    assert (row["days"], row["n"], row["status"]) == (0, 0, "learning")
    assert row["days_left_out"] == list(quarantined)
    assert row["geometric_mean"] is row["coverage"] is row["first_day"] is None
