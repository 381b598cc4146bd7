"""The items of past days, read back: what the fold and the baselines of a day start from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from insights_pipeline.drift.constants import REACH_DAYS
from insights_pipeline.drift.life.item import Item
from insights_pipeline.drift.life.item_rows import from_rows
from insights_pipeline.lake import DayRange, Slice
from insights_pipeline.lake.engine import Engine


def items_before(engine: Engine, day: date) -> list[Item]:
    """Items of the newest day before `day`; older than a baseline's reach they no longer matter."""
    return items_before_each(engine, DayRange.single(day))[day]


def items_before_each(engine: Engine, days: DayRange) -> Mapping[date, list[Item]]:
    """The same for every day of `days`, in one read."""
    reach = DayRange(days.first - timedelta(days=REACH_DAYS), days.last - timedelta(days=1))
    there = [day for day in engine.lake.days("drift_items") if day in reach]
    if not there:
        return {day: [] for day in days}
    # of the days before the first one the newest is enough: a daily run reads one day, not seventy
    newest = max((day for day in there if day < days.first), default=min(there))
    by_day: dict[date, list[Mapping[str, Any]]] = {}
    for row in engine.lake.read(Slice("drift_items", DayRange(newest, reach.last))).to_pylist():
        by_day.setdefault(row["date"], []).append(row)
    current: tuple[date, list[Item]] | None = None
    before = {}
    for day in days.widen(before=REACH_DAYS):
        if day in days:
            near = current is not None and (day - current[0]).days <= REACH_DAYS
            before[day] = current[1] if near and current is not None else []
        if day in by_day:
            current = (day, from_rows(by_day[day]))
    return before
