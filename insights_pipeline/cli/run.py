"""`insights run`: materialise the daily lineage of a range of days through Dagster, in this process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from insights_pipeline.cli.output import JSON, fail, parse_day, print_json

if TYPE_CHECKING:
    from insights_pipeline.lake import DayRange


def run(
    first: str | None = typer.Option(None, "--from", help="First day (YYYY-MM-DD); default: first day with spans."),
    last: str | None = typer.Option(None, "--to", help="Last day; default: the last day with spans."),
    as_json: bool = JSON,
) -> None:
    """Materialise spans, traces, intents, baselines, drift and briefs of the days from --from to --to.

    The whole range goes in one Dagster run, kept in the run history of `dagster.yaml`. Running a day again
    gives the same tables.

    Examples:

      insights run                                     every day that has spans

      insights run --from 2026-03-01 --to 2026-03-31

      insights run --from yesterday --to yesterday
    """
    days = _days(first, last)
    report = materialise(days, quiet=as_json)
    if as_json:
        print_json(report)
    if not report["success"]:
        fail(f"the run failed at {', '.join(report['failed'])}; run it again once mended, days are replaced whole", code=1)


def _days(first: str | None, last: str | None) -> DayRange:
    from insights_pipeline.cli.output import open_engine
    from insights_pipeline.lake import DayRange

    known = open_engine().lake.days("spans")
    start, end = parse_day(first), parse_day(last)
    if not known and (start is None or end is None):
        fail("there are no spans yet: bring some with `insights ingest PATH…`, or give --from and --to", code=1)
    try:
        return DayRange(start or min(known), end or max(known))
    except ValueError as error:
        fail(f"--from and --to: {error}")


def materialise(days: DayRange, *, quiet: bool = False) -> dict[str, Any]:
    """Run the daily job over a range, telling each finished step; what went wrong is in `failed`."""
    import dagster as dg

    from insights_pipeline.definitions import defs
    from insights_pipeline.defs.partitions import DAILY, range_tags

    start = DAILY.start.date()
    if days.first < start:
        fail(f"{days.first} is before the first partition {start}: set INSIGHTS_FIRST_DAY={days.first}")
    job = defs.get_job_def("daily")
    started = time.monotonic()
    if not quiet:
        typer.secho(f"Running {len(days)} day{'s' * (len(days) != 1)}, {days}, through Dagster …", err=True)
    with _instance() as instance:
        result = job.execute_in_process(instance=instance, tags=range_tags(days), raise_on_error=False)
    failed = [event.step_key for event in result.all_events if event.is_step_failure and event.step_key]
    errors = [
        event.step_failure_data.error.to_string()
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.error
    ]
    rows = {
        event.asset_key.to_user_string(): value.value
        for event in result.get_asset_materialization_events()
        if event.asset_key and isinstance(value := event.materialization.metadata.get("dagster/row_count"), dg.IntMetadataValue)
    }
    checks = [
        {"check": evaluation.check_name, "passed": evaluation.passed, "message": evaluation.description}
        for evaluation in result.get_asset_check_evaluations()
    ]
    for error in errors:
        typer.echo(error, err=True)
    if not quiet:
        _tell(rows, checks)
    return {
        "days": [str(days.first), str(days.last)],
        "run_id": result.run_id,
        "success": result.success,
        "failed": failed,
        "rows": rows,
        "checks": checks,
        "seconds": round(time.monotonic() - started, 1),
    }


def _tell(rows: dict[str, Any], checks: list[dict[str, Any]]) -> None:
    for asset, count in rows.items():
        typer.echo(f"  {asset:<20} {count:>12,} rows", err=True)
    for check in checks:
        if not check["passed"]:
            typer.secho(f"  check {check['check']}: {check['message']}", fg="yellow", err=True)


def _instance() -> Any:
    """The Dagster instance of the working directory, so that the run shows in the UI; else a passing one."""
    import dagster as dg

    here = Path.cwd()
    if (here / "dagster.yaml").exists():
        return dg.DagsterInstance.from_config(str(here))
    return dg.DagsterInstance.ephemeral()
