"""Daily, weekly and monthly partitions from the first day of data, and the days that a run is asked for."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import dagster as dg

from insights_pipeline.lake import DayRange, Lake, today
from insights_pipeline.settings import Settings, settings

HISTORY_DAYS = 92


def first_day(config: Settings, *, now: date) -> date:
    """The first day of the daily partitions: as set, else the first day with spans.

    Of a lake without spans it is 92 days ago: what the receiver is sent first may be history.
    """
    if config.first_day != "auto":
        return date.fromisoformat(config.first_day)
    days = Lake(config.lake_uri, config.storage_options).days("spans")
    return min(days) if days else now - timedelta(days=HISTORY_DAYS)


def next_monday(day: date) -> date:
    """The first Monday on or after a day."""
    return day + timedelta(days=-day.weekday() % 7)


def next_first(day: date) -> date:
    """The first first-of-the-month on or after a day."""
    return day if day.day == 1 else (day.replace(day=1) + timedelta(days=32)).replace(day=1)


_FIRST = first_day(settings(), now=today())

# Today's partition exists while the day is still going on: the landed-data sensor fills it as traces arrive.
DAILY = dg.DailyPartitionsDefinition(start_date=_FIRST.isoformat(), end_offset=1)
# Weeks and months start inside the daily range: a window that reaches outside it is an error in Dagster.
WEEKLY = dg.WeeklyPartitionsDefinition(start_date=next_monday(_FIRST).isoformat(), day_offset=1)
MONTHLY = dg.MonthlyPartitionsDefinition(start_date=next_first(_FIRST).isoformat())

# One run takes a whole range; every daily asset has the same policy, else a backfill splits into separate runs.
WHOLE_RANGE = dg.BackfillPolicy.single_run()
DAY_BEFORE = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> DayRange:
    """The days of a run: one partition or a range of them."""
    window = context.partition_time_window
    return DayRange(_date(window.start), _date(window.end) - timedelta(days=1))


def windows_of(context: dg.AssetExecutionContext) -> list[DayRange]:
    """The weeks or months of a run, in order."""
    partitions = context.assets_def.partitions_def
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    return [_window(partitions, key) for key in context.partition_keys]


def ended_in(partitions: dg.TimeWindowPartitionsDefinition, days: DayRange) -> list[DayRange]:
    """The windows of past weeks or months whose last day is one of `days`, in order."""
    windows = (_window(partitions, key) for key in partitions.get_partition_keys())
    return [window for window in windows if days.first <= window.last <= days.last]


def range_tags(days: DayRange) -> dict[str, str]:
    """Run tags that ask in one run for the partitions from that of the first day to that of the last."""
    return {
        "dagster/asset_partition_range_start": str(days.first),
        "dagster/asset_partition_range_end": str(days.last),
    }


def _window(partitions: dg.TimeWindowPartitionsDefinition, key: str) -> DayRange:
    window = partitions.time_window_for_partition_key(key)
    return DayRange(_date(window.start), _date(window.end) - timedelta(days=1))


def _date(moment: datetime) -> date:
    return moment.date()
