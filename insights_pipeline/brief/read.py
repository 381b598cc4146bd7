"""Stored briefs."""

from __future__ import annotations

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
