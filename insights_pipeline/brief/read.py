"""Stored briefs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from insights_pipeline.lake import DayRange, Lake, Slice


def read_briefs(lake: Lake, cadence: str, days: DayRange | None = None) -> dict[date, dict[str, Any]]:
    """The briefs of a cadence by their date (first day of a week or month), of some days or of all."""
    return {row["date"]: row for row in lake.read(Slice("briefs", days, cadence=cadence)).to_pylist()}


def read_brief(lake: Lake, cadence: str, day: date | None = None) -> dict[str, Any] | None:
    """The brief of a cadence dated `day`, or the newest; None when there is none."""
    if day is None:
        day = max(
            lake.read(Slice("briefs", columns=("date",), cadence=cadence)).column("date").to_pylist(),
            default=None,
        )
    return None if day is None else read_briefs(lake, cadence, DayRange.single(day)).get(day)


@dataclass(frozen=True, slots=True)
class DayItems:
    """Drift items as of a day, newest first. `status` is that of the day's model: learning | ready."""

    date: date
    status: str
    traces_seen: int
    bootstrap_traces: int
    items: list[dict[str, Any]]


def read_items(lake: Lake, day: date | None = None) -> DayItems | None:
    """Drift items as of a day (default: the newest with a model) with the intents' names; None without a model.

    The model says which days were worked on: a day on which nothing could be tested has no drift rows.
    """
    when = day or max(lake.days("intent_models"), default=None)
    if when is None:
        return None
    days = DayRange.single(when)
    columns = ("status", "traces_seen", "bootstrap_traces")
    models = lake.read(Slice("intent_models", days, columns)).to_pylist()
    if not models:
        return None
    intents = lake.read(Slice("intents", days, ("intent_id", "name")))
    names = dict(zip(*(column.to_pylist() for column in intents.columns), strict=True))
    items = lake.read(Slice("drift_items", days)).to_pylist()
    for item in items:
        item["intent"] = names.get(item["intent_id"], item["intent_id"])
        item["explanation"] = json.loads(item["explanation"]) if item["explanation"] else {}
    newest_first = sorted(items, key=lambda item: (item["opened"], item["item_id"]), reverse=True)
    return DayItems(when, items=newest_first, **models[0])
