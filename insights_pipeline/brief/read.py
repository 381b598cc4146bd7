"""Stored briefs."""

from __future__ import annotations

import json
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


def read_items(lake: Lake, day: date | None = None) -> tuple[date | None, list[dict[str, Any]]]:
    """Drift items as of a day (default: the newest observed) with the intents' names; (None, []) before the first."""
    observed = lake.days("drift_observations")
    when = day or max(observed, default=None)
    if when is None or when not in observed:
        return None, []
    days = DayRange.single(when)
    intents = lake.read(Slice("intents", days, ("intent_id", "name")))
    names = dict(zip(*(column.to_pylist() for column in intents.columns), strict=True))
    items = lake.read(Slice("drift_items", days)).to_pylist()
    for item in items:
        item["intent"] = names.get(item["intent_id"], item["intent_id"])
        item["explanation"] = json.loads(item["explanation"]) if item["explanation"] else {}
    return when, sorted(items, key=lambda item: (item["opened"], item["item_id"]), reverse=True)
