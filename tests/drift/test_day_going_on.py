"""A day that is still going on: run every few minutes, and whole once it is over."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.drift.constants import ALL, VOLUME
from insights_pipeline.drift.observe import observe_days
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
from tests.drift.traffic import START, Behaviour, Change, fill, one_change, read, unchanged

USUAL = {"i0": Behaviour(volume=90), "i1": Behaviour(volume=70), "i2": Behaviour(volume=50)}
DAYS = 30
TODAY = START + timedelta(days=DAYS - 1)
YESTERDAY = TODAY - timedelta(days=1)
Row = dict[str, Any]


def observed(
    folder: Path, *, part: float, complete_until: date | None, change: Change = unchanged
) -> tuple[Lake, DuckDBEngine, list[Row]]:
    """Days that were judged, the last with a `part` of its traces only; and all traces of the last."""
    lake = Lake(str(folder / "lake"))
    engine = DuckDBEngine(lake, connect_with(engine_config(threads=1, memory_mb=512, temp_dir=folder)))
    span = fill(lake, USUAL, DAYS, change=change, seed=3)
    rollup_days(engine, span)
    observe_days(engine, DayRange(span.first, YESTERDAY))
    traces = read(lake, "traces", DayRange.single(TODAY))
    put_today(lake, engine, [row for at, row in enumerate(traces) if at % 100 < 100 * part])
    observe_days(engine, DayRange.single(TODAY), complete_until=complete_until)
    return lake, engine, traces


def put_today(lake: Lake, engine: DuckDBEngine, traces: list[Row]) -> None:
    lake.replace(Slice("traces", DayRange.single(TODAY)), lambda: rows_to_table("traces", traces))
    rollup_days(engine, DayRange.single(TODAY))


def volume_items(lake: Lake) -> list[tuple[str, str]]:
    rows = read(lake, "drift_items", DayRange.single(TODAY))
    return [(row["intent_id"], row["state"]) for row in rows if row["metric"] == VOLUME]


@pytest.mark.parametrize("part", [0.02, 0.5])
def test_how_little_there_was_so_far_is_no_change_of_volume(tmp_path: Path, part: float) -> None:
    lake, _, _ = observed(tmp_path, part=part, complete_until=YESTERDAY)
    assert volume_items(lake) == []
    rows = [
        row
        for row in read(lake, "drift_observations", DayRange.single(TODAY))
        if row["metric"] == VOLUME and row["intent_id"] == ALL
    ]
    verdicts = {row["horizon"]: (row["verdict"], row["n"]) for row in rows}
    assert verdicts["1d"] == ("no_data", 0)
    assert verdicts["7d"][0] == "quiet" and verdicts["7d"][1] > 0  # the six days before it are judged


def test_the_same_little_traffic_is_a_change_once_the_day_is_over(tmp_path: Path) -> None:
    lake, engine, _ = observed(tmp_path, part=0.1, complete_until=YESTERDAY)
    assert volume_items(lake) == []
    observe_days(engine, DayRange.single(TODAY), complete_until=TODAY)
    assert volume_items(lake) == [(ALL, "new")]


def test_a_change_of_volume_that_was_open_waits_for_the_day_to_end(tmp_path: Path) -> None:
    change = one_change("i1", DAYS - 9, DAYS, volume=3.0)
    lake, engine, traces = observed(tmp_path, part=0.1, complete_until=YESTERDAY, change=change)
    assert ("i1", "no_data") in volume_items(lake)
    put_today(lake, engine, traces)
    observe_days(engine, DayRange.single(TODAY), complete_until=TODAY)
    assert ("i1", "ongoing") in volume_items(lake)


def test_a_day_that_is_over_is_judged_alike_whenever_it_is_run(tmp_path: Path) -> None:
    lake, engine, _ = observed(tmp_path, part=1.0, complete_until=TODAY)
    once = read(lake, "drift_items"), read(lake, "drift_observations")
    observe_days(
        engine, DayRange(TODAY - timedelta(days=5), TODAY), complete_until=TODAY + timedelta(days=40)
    )
    assert (read(lake, "drift_items"), read(lake, "drift_observations")) == once
