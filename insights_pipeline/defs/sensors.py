"""Sensors: landed data asks for the days it touched; failed runs say what failed and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import dagster as dg

from insights_pipeline.defs.jobs import daily_job
from insights_pipeline.defs.partitions import DAILY, range_tags
from insights_pipeline.defs.resources import EngineResource
from insights_pipeline.lake import DayRange, contiguous, today

MAX_DAYS_PER_RUN = 30


@dg.sensor(
    job=daily_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests the days that new or late spans touched, read from the log of the spans table.",
)
def landed_data(
    context: dg.SensorEvaluationContext, engine: EngineResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    lake = engine.engine().lake
    after = int(context.cursor) if context.cursor else -1
    newest, touched = lake.appended_days("spans", after_version=after)
    first = date.fromisoformat(str(DAILY.start.date()))
    too_old = {day for day in touched if day < first}
    if too_old:
        context.log.warning(
            "Spans landed for %s, before the first partition %s: reload the code location to add those days.",
            ", ".join(map(str, sorted(too_old))),
            first,
        )
    wanted = days_to_refresh(touched, known=lake.days("spans"), first=first, last=today())
    if not wanted:
        yield dg.SkipReason("no spans landed since the last look")
    for days in wanted:
        yield dg.RunRequest(run_key=f"spans-{newest}-{days}", tags=range_tags(days))
    context.update_cursor(str(newest))


def days_to_refresh(touched: set[date], *, known: set[date], first: date, last: date) -> list[DayRange]:
    """Ranges of days to run for spans that landed on `touched`, each of at most 30 days.

    A span may belong to a trace that started the day before, or move the start of one known on the day after:
    the neighbours that hold spans are done again too.
    """
    around = {day for hit in touched for day in DayRange.single(hit).widen(before=1, after=1)}
    days = {day for day in touched | (around & known) if first <= day <= last}
    ranges: list[DayRange] = []
    for whole in contiguous(days):
        every = list(whole)
        for start in range(0, len(every), MAX_DAYS_PER_RUN):
            part = every[start : start + MAX_DAYS_PER_RUN]
            ranges.append(DayRange(part[0], part[-1]))
    return ranges


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    monitor_all_code_locations=False,
    description="Says in one message which run failed, for which days, at which step, and how to repeat it.",
)
def run_failed(context: dg.RunFailureSensorContext) -> None:
    run = context.dagster_run
    steps = [event.step_key for event in context.get_step_failure_events() if event.step_key]
    days = run.tags.get("dagster/partition") or "..".join(
        filter(None, (run.tags.get(tag) for tag in range_tags(DayRange.single(date.min))))
    )
    context.log.error(
        "Run %s of job %s failed for %s at %s. Nothing was half written: a partition is replaced whole. "
        "Open the run for the error, then re-execute it from failure.",
        run.run_id,
        run.job_name,
        days or "no partition",
        ", ".join(steps) or "start-up",
    )


SENSORS = [landed_data, run_failed]
