"""Sensors: landed data asks for the days it touched; failed runs say what failed and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import date

import dagster as dg

from insights_pipeline.defs.jobs import daily_job, drift_job
from insights_pipeline.defs.landing import ARRIVING, Landing
from insights_pipeline.defs.launch import end_runs_of_dead_processes
from insights_pipeline.defs.partitions import DAILY, range_tags
from insights_pipeline.defs.resources import EngineResource
from insights_pipeline.lake import DayRange, Lake, now_ns, today
from insights_pipeline.settings import settings

_IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dg.sensor(
    jobs=[daily_job, drift_job],
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests the days that new or late spans, contents and scores touched, read from the logs of their "
    "tables; then the drift of the days after a late one.",
)
def landed_data(
    context: dg.SensorEvaluationContext, engine: EngineResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    lake = engine.engine().lake
    state = Landing.from_cursor(context.cursor, tables={name: lake.table_id(name) for name in ARRIVING})
    landed = {name: lake.appended_days(name, after_version=state.seen[name][1]) for name in ARRIVING}
    known = lake.days("spans")
    for name, (version, appended) in landed.items():
        state = state.after(name, version, appended, known=known)
    state = state.without(_done(context.instance, state.pending))
    now = now_ns() // 1_000_000
    state = state.rested(before=now - settings().refresh_minutes * 60_000)
    first = DAILY.start.date()
    if too_old := sorted(day for day in state.pending if day < first):
        context.log.warning(
            "Spans wait on %d days from %s on, before the first partition %s: reload the code location to add them.",
            len(too_old),
            too_old[0],
            first,
        )
    end_runs_of_dead_processes(context.instance)
    # One after the other: a day builds on the day before it, and two runs of one day would only repeat each other.
    if busy := _in_flight(context.instance):
        yield dg.SkipReason(f"waiting for run {busy}; {len(state.pending)} days are pending")
    elif days := state.next_run(first=first, last=today()):
        yield dg.RunRequest(job_name=daily_job.name, tags=range_tags(days))
        state = state.asked(days, now=now, newest_brief=max(lake.days("briefs"), default=None))
    elif (days := _refold(state, lake)) is not None:
        yield dg.RunRequest(job_name=drift_job.name, tags=range_tags(days))
        state = replace(state, refold_from=None)
    else:
        waiting = f"; {len(state.pending)} days wait" if state.pending else ""
        yield dg.SkipReason(f"nothing to ask for since the last look{waiting}")
    context.update_cursor(state.to_cursor())


def _in_flight(instance: dg.DagsterInstance) -> str | None:
    for job in (daily_job.name, drift_job.name):
        for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=_IN_FLIGHT), limit=1):
            return run.run_id
    return None


def _done(instance: dg.DagsterInstance, pending: Mapping[date, int]) -> Collection[date]:
    """Pending days whose brief a run wrote that began after their spans had landed (`insights run`, a backfill)."""
    if not pending:
        return ()
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(
            asset_key=dg.AssetKey("daily_brief"),
            asset_partitions=[str(day) for day in pending],
            after_timestamp=min(pending.values()) / 1000,
        ),
        limit=10_000,
    ).records
    if not records:
        return ()
    runs = instance.get_run_records(dg.RunsFilter(run_ids=list({record.run_id for record in records})))
    began = {record.dagster_run.run_id: record.start_time or 0.0 for record in runs}
    return {
        day
        for record in records
        if began.get(record.run_id, 0.0) * 1000
        > pending[day := date.fromisoformat(str(record.partition_key))]
    }


def _refold(state: Landing, lake: Lake) -> DayRange | None:
    newest = max(lake.days("briefs"), default=None)
    if state.refold_from is None or newest is None or newest <= state.refold_from:
        return None
    return DayRange(state.refold_from, newest)


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
