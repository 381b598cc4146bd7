"""Merged and divided intents: what people or a model make of the past makes no false drift, and rewrites no table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.drift.baselines import baseline_days
from insights_pipeline.drift.constants import GONE, UP, VOLUME
from insights_pipeline.drift.life.item import ONGOING, OPEN, PENDING, Item
from insights_pipeline.drift.life.item_rows import to_row
from insights_pipeline.drift.life.succession import that_go_on
from insights_pipeline.drift.observe import observe_days, observe_window
from insights_pipeline.drift.series.keys import series_key
from insights_pipeline.drift.series.lineage import Lineage, lineage_of, lineages
from insights_pipeline.drift.series.rollups import read_panel, rollup_days
from insights_pipeline.lake import (
    DayRange,
    DuckDBEngine,
    Lake,
    Slice,
    connect_with,
    engine_config,
    rows_to_table,
)
from tests.drift.test_observe import day, lines
from tests.drift.traffic import Behaviour, fill, read

DAYS = 48
MERGED_ON = 40
USUAL = {
    "fast": Behaviour(volume=90, latency=1_000, cost=0.01, tools={"search": 0.8, "lookup": 0.2}),
    "slow": Behaviour(volume=80, latency=3_000, cost=0.03, tools={"search": 0.1, "lookup": 0.9}),
    **{f"i{k}": Behaviour(volume=volume) for k, volume in enumerate((100, 80, 60))},
}
Row = dict[str, Any]


def made(folder: Path, relabel: Callable[[Row], Row], intents: Callable[[Row], Row] = dict) -> DuckDBEngine:
    """The usual traffic with rows of `trace_intents` and `intents` as these functions make them, rolled up."""
    lake = Lake(str(folder / "lake"))
    engine = DuckDBEngine(lake, connect_with(engine_config(threads=2, memory_mb=512, temp_dir=folder)))
    span = fill(lake, USUAL, DAYS, seed=4)
    for table, function in (("trace_intents", relabel), ("intents", intents)):
        rows = [function(row) for row in lake.read(Slice(table)).to_pylist()]
        lake.replace(Slice(table, span), lambda table=table, rows=rows: rows_to_table(table, rows))
    rollup_days(engine, span)
    return engine


def from_the_merge_on(row: Row) -> Row:
    merged = row["intent_id"] == "slow" and row["date"] >= day(MERGED_ON)
    return row | ({"intent_id": "fast"} if merged else {})


def marked(row: Row) -> Row:
    merged = row["intent_id"] == "slow" and row["date"] >= day(MERGED_ON)
    return row | ({"status": "merged", "merged_into": "fast"} if merged else {})


def always(row: Row) -> Row:
    return row | ({"intent_id": "fast"} if row["intent_id"] == "slow" else {})


def everything(engine: DuckDBEngine, days: DayRange) -> dict[str, list[Row]]:
    return {
        name: [row for row in read(engine.lake, name, days) if row["intent_id"] != "slow"]
        for name in ("baselines", "drift_observations", "drift_items")
    }


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> DuckDBEngine:
    engine = made(tmp_path_factory.mktemp("merged"), from_the_merge_on, marked)
    days = DayRange(day(30), day(DAYS - 1))
    observe_days(engine, days)
    baseline_days(engine, days)
    return engine


def test_a_merge_of_two_steady_intents_makes_no_item(merged: DuckDBEngine) -> None:
    assert lines(merged.lake) == {}
    verdicts = {
        row["verdict"]
        for row in read(merged.lake, "drift_observations")
        if row["intent_id"] == "fast" and row["date"] >= day(MERGED_ON) and row["horizon"] == "7d"
    }
    assert verdicts == {"quiet"}  # and it was tested all the while


def test_the_same_traffic_without_the_merge_being_known_would_make_items(tmp_path: Path) -> None:
    engine = made(tmp_path, from_the_merge_on)
    observe_days(engine, DayRange(day(30), day(DAYS - 1)))
    assert {key[:2] for key in lines(engine.lake)} >= {("fast", "latency_ms"), ("fast", "tool_mix")}


def test_from_the_merge_on_all_is_as_if_the_two_had_always_been_one(
    merged: DuckDBEngine, tmp_path: Path
) -> None:
    engine = made(tmp_path, always)
    after = DayRange(day(MERGED_ON), day(DAYS - 1))
    observe_days(engine, after)
    baseline_days(engine, after)
    one, two = everything(merged, after), everything(engine, after)
    assert one["baselines"] == two["baselines"] and len(one["baselines"]) > 0
    assert one["drift_observations"] == two["drift_observations"]
    assert not [row for row in read(merged.lake, "baselines", after) if row["intent_id"] == "slow"]


def test_no_rollup_is_rewritten(merged: DuckDBEngine) -> None:
    before = read(merged.lake, "intent_rollups", DayRange(day(0), day(MERGED_ON - 1)))
    assert {row["intent_id"] for row in before} >= {"fast", "slow"}


def test_a_range_over_a_merge_gives_what_single_days_give(merged: DuckDBEngine, tmp_path: Path) -> None:
    engine = made(tmp_path, from_the_merge_on, marked)
    days = DayRange(day(30), day(DAYS - 1))
    for one in days:
        observe_days(engine, DayRange.single(one))
        baseline_days(engine, DayRange.single(one))
    assert everything(engine, days) == everything(merged, days)


def test_a_week_over_a_merge_is_quiet_too(merged: DuckDBEngine) -> None:
    week = DayRange.ending(day(DAYS - 1), 7)
    assert observe_window(merged, "weekly", week) > 0
    found = read(merged.lake, "drift_observations", cadence="weekly")
    assert found and {row["verdict"] for row in found if row["intent_id"] == "fast"} == {"quiet"}


def halved(row: Row) -> Row:
    """From day 40 on "fast" is what was "fast"; before it was both."""
    return always(row) if row["date"] < day(MERGED_ON) else row


def divided(row: Row) -> Row:
    if row["intent_id"] == "slow":
        return row | {"born": day(MERGED_ON), "changed": day(MERGED_ON), "split_from": "fast"}
    changed = row["intent_id"] == "fast" and row["date"] >= day(MERGED_ON)
    return row | ({"changed": day(MERGED_ON)} if changed else {})


def test_an_intent_that_was_divided_begins_anew_and_its_part_is_no_news(tmp_path: Path) -> None:
    engine = made(tmp_path, halved, divided)
    days = DayRange(day(30), day(DAYS - 1))
    observe_days(engine, days)
    baseline_days(engine, days)
    assert lines(engine.lake) == {}
    last = [
        row
        for row in read(engine.lake, "baselines", DayRange.single(days.last))
        if row["intent_id"] == "fast"
    ]
    assert {row["first_day"] for row in last} == {day(MERGED_ON)}
    untold = made(tmp_path / "untold", halved)
    observe_days(untold, days)
    assert ("fast", "latency_ms", "down") in lines(untold.lake)


def merged_with(tmp_path: Path, items: list[Item]) -> list[Row]:
    """The items of the day of the merge, of an engine whose day before had `items`."""
    engine = made(tmp_path, from_the_merge_on, marked)
    rows = [to_row(item, day(MERGED_ON - 1)) for item in items]
    engine.lake.append("drift_items", rows_to_table("drift_items", rows))
    observe_days(engine, DayRange.single(day(MERGED_ON)))
    known = {item.item_id for item in items}
    today = read(engine.lake, "drift_items", DayRange.single(day(MERGED_ON)))
    return [row for row in today if row["item_id"] in known]


def episode(series: str, state: str, *, direction: str = UP) -> Item:
    opened = day(MERGED_ON - 1)
    name = f"drf_{series}_{state}_{direction}"
    metric = VOLUME if direction == GONE else "latency_ms"
    return Item(name, series, metric, direction, state, opened, opened, quarantined=(opened,))


def test_an_episode_of_an_intent_that_became_part_of_another_goes_on_as_one_of_the_whole(
    tmp_path: Path,
) -> None:
    (item,) = merged_with(tmp_path, [episode("slow", ONGOING), episode("slow", PENDING)])
    assert (item["item_id"], item["intent_id"], item["closed"]) == ("drf_slow_ongoing_up", "fast", None)
    assert item["state"] in OPEN


def test_where_the_whole_has_the_episode_already_that_of_the_part_is_over(tmp_path: Path) -> None:
    items = [episode("slow", ONGOING), episode("fast", ONGOING), episode("slow", ONGOING, direction=GONE)]
    found = {item["item_id"]: item for item in merged_with(tmp_path, items)}
    assert found["drf_fast_ongoing_up"]["state"] in OPEN
    for over in ("drf_slow_ongoing_up", "drf_slow_ongoing_gone"):
        assert (found[over]["state"], found[over]["closed"]) == ("accepted", day(MERGED_ON))


def test_episodes_of_before_an_intent_was_divided_are_over() -> None:
    lineage = Lineage(since={"fast": day(MERGED_ON)})
    items = [episode("fast", ONGOING), episode("fast", PENDING), episode("slow", ONGOING)]
    today = that_go_on(items, day(MERGED_ON), lineage)
    assert [(item.item_id, item.state) for item in today] == [
        ("drf_fast_ongoing_up", "accepted"),
        ("drf_slow_ongoing_up", "ongoing"),
    ]


def test_episodes_of_slices_that_are_no_longer_series_of_their_own_are_over() -> None:
    whole, sliced = (
        episode("fast", ONGOING),
        replace(episode("slow", ONGOING), series=series_key("slow", "tenant=acme")),
    )
    gone = replace(sliced, item_id="drf_pending", state=PENDING)
    on = that_go_on([whole, sliced, gone], day(5), Lineage(), groups=("environment", "tenant"))
    assert on == [whole, sliced, gone]
    off = that_go_on([whole, sliced, gone], day(5), Lineage(), groups=("environment",))
    assert off == [whole, replace(sliced, state="accepted", closed=day(5))]


def intent(name: str, into: str | None = None, changed: date | None = None) -> Row:
    return {
        "intent_id": name,
        "status": "merged" if into else "active",
        "merged_into": into,
        "changed": changed,
    }


def test_chains_of_merges_end_at_the_last_and_circles_nowhere() -> None:
    found = lineage_of([intent("a", "b"), intent("b", "c"), intent("c"), intent("x", "y"), intent("y", "x")])
    assert found.target == {"a": "c", "b": "c"}


def test_what_came_in_with_a_later_beginning_makes_the_whole_begin_later() -> None:
    found = lineage_of([intent("a", "b", day(9)), intent("b", None, day(5)), intent("c", None, day(2))])
    assert found.since == {"b": day(9), "c": day(2)}


def test_a_day_without_intents_of_its_own_has_those_of_the_newest_before_it(
    merged: DuckDBEngine,
) -> None:
    days = DayRange(day(38), day(DAYS + 3))
    before, after = lineages(merged, days)
    assert before == (DayRange(day(38), day(MERGED_ON - 1)), Lineage())
    assert after == (DayRange(day(MERGED_ON), day(DAYS + 3)), Lineage({"slow": "fast"}))


def test_rollups_add_up_through_the_merge(merged: DuckDBEngine) -> None:
    days = DayRange(day(0), day(9))
    apart = read_panel(merged, days)
    joined = read_panel(merged, days, lineage=Lineage({"slow": "fast"}))
    rows = [apart.series.index(name) for name in ("fast", "slow")]
    whole = joined.series.index("fast")
    assert "slow" not in joined.series
    assert (joined.n[whole] == apart.n[rows].sum(axis=0)).all()
    assert (joined.error_k[whole] == apart.error_k[rows].sum(axis=0)).all()
    assert joined.sums["latency_ms"].slog[whole] == pytest.approx(
        apart.sums["latency_ms"].slog[rows].sum(axis=0)
    )
