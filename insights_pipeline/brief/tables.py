"""The rows that briefs are made of, by day."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.dataset as ds

from insights_pipeline.brief.changes import HISTORY_DAYS
from insights_pipeline.drift.constants import BASELINE_DAYS, ERRORS
from insights_pipeline.drift.series.lineage import lineage_of
from insights_pipeline.lake import DayRange, Engine, Slice, load_sql

_OBSERVED = (
    "date",
    "horizon",
    "intent_id",
    "slice",
    "metric",
    "verdict",
    "smallest_detectable",
    "explanation",
)
# What a week or month tells of its own tests; a day tells them through its items.
_TESTS = (
    "date",
    "intent_id",
    "slice",
    "metric",
    "verdict",
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
# The error-rate series has a row for each intent and day with all its traces: it is the traffic.
_TRAFFIC = ds.field("metric") == ERRORS

ByDay = Mapping[date, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows by day; of a day without any, an empty list. Explanations are parsed."""

    models: ByDay
    intents: ByDay
    items: ByDay  # also of the `HISTORY_DAYS` days before
    watched: ByDay
    drifted: ByDay  # of a week's or month's own tests
    traffic: ByDay  # also of the `BASELINE_DAYS` days before

    def traffic_as_of(self, window: DayRange) -> list[dict[str, Any]]:
        """The traffic of the window and the days before it, that of merged intents under what they are part of."""
        lineage = lineage_of(self.intents[window.last])
        return [
            {**row, "intent_id": lineage.of(row["intent_id"])}
            for day in window.widen(before=BASELINE_DAYS)
            for row in self.traffic[day]
        ]


def read_rows(engine: Engine, cadence: str, days: DayRange) -> Rows:
    """All that the briefs of a cadence whose windows lie in `days` need."""

    def by_day(slice_: Slice, where: ds.Expression | None = None) -> ByDay:
        return _by_day(engine.lake.read(slice_, where=where).to_pylist())

    observations = Slice("drift_observations", days, _OBSERVED, cadence=cadence)
    watched = engine.query(load_sql("insights_pipeline.brief", "watched"), {"observations": observations})
    tests = Slice("drift_observations", days, _TESTS, cadence=cadence)
    traffic = Slice(
        "intent_rollups", days.widen(before=BASELINE_DAYS), ("date", "intent_id", "metric", "n", "k")
    )
    return Rows(
        models=by_day(Slice("intent_models", days, ("date", "status", "traces_seen", "events"))),
        intents=by_day(
            Slice("intents", days, ("date", "intent_id", "name", "status", "merged_into", "changed"))
        ),
        items=_parsed(by_day(Slice("drift_items", days.widen(before=HISTORY_DAYS)))),
        watched=_by_day(watched.to_pylist()),
        drifted=_by_day([]) if cadence == "daily" else _parsed(by_day(tests, ds.field("verdict") == "drift")),
        traffic=by_day(traffic, _TRAFFIC),
    )


def _by_day(rows: list[dict[str, Any]]) -> ByDay:
    found: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["date"]].append(row)
    return found


def _parsed(by_day: ByDay) -> ByDay:
    for rows in by_day.values():
        for row in rows:
            row["explanation"] = json.loads(row["explanation"]) if row["explanation"] else {}
    return by_day
