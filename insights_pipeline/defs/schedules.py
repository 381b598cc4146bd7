"""Schedules, in UTC: yesterday's partition each night, last week's on Monday, last month's on the 1st."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from insights_pipeline.defs.jobs import daily_job, maintenance, monthly_job, weekly_job

_NIGHTLY = "30 0 * * *"
_RUNNING = dg.DefaultScheduleStatus.RUNNING


@dg.schedule(
    job=daily_job,
    cron_schedule=_NIGHTLY,
    execution_timezone="UTC",
    default_status=_RUNNING,
    description="The day that ended at midnight, whole.",
)
def daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    # Not built from the job: the newest partition is today's, which is still going on.
    yesterday = (context.scheduled_execution_time - timedelta(days=1)).date().isoformat()
    return dg.RunRequest(run_key=yesterday, partition_key=yesterday)


weekly_schedule = dg.build_schedule_from_partitioned_job(weekly_job, hour_of_day=2, default_status=_RUNNING)
monthly_schedule = dg.build_schedule_from_partitioned_job(monthly_job, hour_of_day=3, default_status=_RUNNING)
maintenance_schedule = dg.ScheduleDefinition(
    job=maintenance, cron_schedule="0 4 * * *", execution_timezone="UTC", default_status=_RUNNING
)

SCHEDULES = [daily_schedule, weekly_schedule, monthly_schedule, maintenance_schedule]
