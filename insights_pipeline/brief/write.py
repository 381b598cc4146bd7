"""Briefs of days and of calendar windows: read the tables, gather the facts, render, replace."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import pyarrow.dataset as ds

from insights_pipeline.brief.facts import Facts, gather
from insights_pipeline.brief.render import headline, markdown
from insights_pipeline.drift.constants import BASELINE_DAYS
from insights_pipeline.drift.series.lineage import lineage_of
from insights_pipeline.lake import DayRange, Engine, Slice, rows_to_table

_DAYS_AT_ONCE = 60  # rows of this many days are held in memory
_VERDICTS = ("date", "intent_id", "metric", "verdict")
# What a week or month tells of its own tests; a day tells them through its items.
_TESTS = (
    *_VERDICTS,
    "direction",
    "severity",
    "n",
    "observed",
    "baseline_value",
    "effect",
    "effect_low",
    "effect_high",
    "explanation",
)


def write_daily_briefs(engine: Engine, days: DayRange, *, bootstrap_traces: int) -> int:
    """Briefs of each day of the range; gives their count."""
    windows = [DayRange.single(day) for day in days]
    briefs = [_row(facts.first, facts) for facts in _facts(engine, "daily", windows, bootstrap_traces)]
    return engine.lake.replace(
        Slice("briefs", days, cadence="daily"), lambda: rows_to_table("briefs", briefs)
    )


def write_window_brief(engine: Engine, cadence: str, window: DayRange, *, bootstrap_traces: int) -> int:
    """The brief of a calendar week (cadence weekly) or month (monthly), dated by its first day."""
    briefs = [_row(window.first, facts) for facts in _facts(engine, cadence, [window], bootstrap_traces)]
    into = Slice("briefs", DayRange.single(window.first), cadence=cadence)
    return engine.lake.replace(into, lambda: rows_to_table("briefs", briefs))


def _facts(
    engine: Engine, cadence: str, windows: Sequence[DayRange], bootstrap_traces: int
) -> Iterator[Facts]:
    """Facts of consecutive windows, read many at a time: a table is opened once, not once a day."""
    for start in range(0, len(windows), _DAYS_AT_ONCE):
        some = windows[start : start + _DAYS_AT_ONCE]
        rows = _read(engine, cadence, DayRange(some[0].first, some[-1].last))
        for window in some:
            observed_on = window.last if cadence == "daily" else window.first
            models = rows["intent_models"][window.last]
            yield gather(
                cadence=cadence,
                first=window.first,
                last=window.last,
                items=rows["drift_items"][window.last],
                observations=rows["drift_observations"][observed_on],
                model=models[0] if models else None,
                intents=rows["intents"][window.last],
                traffic=_as_of(rows, window),
                bootstrap_traces=bootstrap_traces,
                events=[
                    event
                    for day in window
                    for row in rows["intent_models"][day]
                    for event in json.loads(row["events"] or "[]")
                ],
            )


def _as_of(rows: dict[str, dict[date, list[dict[str, Any]]]], window: DayRange) -> list[dict[str, Any]]:
    """The traffic of the window and the days before it, that of merged intents under what they are part of."""
    lineage = lineage_of(rows["intents"][window.last])
    days = window.widen(before=BASELINE_DAYS)
    return [
        {**row, "intent_id": lineage.of(row["intent_id"])}
        for day in days
        for row in rows["intent_rollups"][day]
    ]


def _read(engine: Engine, cadence: str, days: DayRange) -> dict[str, dict[date, list[dict[str, Any]]]]:
    """The rows that briefs are made of, by table and day."""
    slices = (
        Slice("intent_models", days, ("date", "status", "traces_seen", "events")),
        Slice("intents", days, ("date", "intent_id", "name", "status", "merged_into", "changed")),
        Slice("drift_items", days),
        Slice("drift_observations", days, _VERDICTS if cadence == "daily" else _TESTS, cadence=cadence),
        Slice("intent_rollups", days.widen(before=BASELINE_DAYS), ("date", "intent_id", "metric", "n", "k")),
    )
    found: dict[str, dict[date, list[dict[str, Any]]]] = {}
    for slice_ in slices:
        # The error-rate series has a row for each intent and day with all its traces: it is the traffic.
        where = ds.field("metric") == "error_rate" if slice_.table == "intent_rollups" else None
        by_day = found.setdefault(slice_.table, defaultdict(list))
        for row in engine.lake.read(slice_, where=where).to_pylist():
            by_day[row["date"]].append(row)
    for table in ("drift_items", "drift_observations"):
        for row in (row for rows in found[table].values() for row in rows if "explanation" in row):
            row["explanation"] = json.loads(row["explanation"]) if row["explanation"] else {}
    return found


def _row(day: date, facts: Facts) -> dict[str, object]:
    return {
        "date": day,
        "cadence": facts.cadence,
        "window_first": facts.first,
        "window_last": facts.last,
        "status": facts.status,
        "headline": headline(facts),
        "facts": json.dumps(facts.to_json(), default=_plain, sort_keys=True),
        "markdown": markdown(facts),
    }


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"a fact of type {type(value).__name__} cannot be written as JSON")
