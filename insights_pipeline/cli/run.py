"""`insights run`: materialise the lineage of a range of days through Dagster, in this process."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from insights_pipeline.cli.output import JSON, fail, open_engine, parse_day, print_json

if TYPE_CHECKING:
    from insights_pipeline.defs.launch import RunReport
    from insights_pipeline.lake import DayRange


def run(
    first: str | None = typer.Option(
        None, "--from", help="First day (YYYY-MM-DD, today, yesterday); default: the first with spans."
    ),
    last: str | None = typer.Option(None, "--to", help="Last day; default: the last with spans."),
    as_json: bool = JSON,
) -> None:
    """Materialise spans, traces, intents, baselines, drift and briefs of the days from --from to --to.

    The whole range goes in one Dagster run, kept in the run history of `dagster.yaml`. Weeks and months that
    ended in the range get their briefs, too. Running a day again gives the same tables.

    Examples:

      insights run                                     from the first day with spans to the last

      insights run --from 2026-03-01 --to 2026-03-31

      insights run --from yesterday --to yesterday --json
    """
    report = materialise(_days(first, last))
    if as_json:
        print_json(asdict(report))
    stop_on_failure(report)


def materialise(days: DayRange) -> RunReport:
    """Run the jobs over a range, telling each finished step on stderr."""
    from insights_pipeline.definitions import defs
    from insights_pipeline.defs.launch import run_range

    typer.secho(f"Running {len(days)} day{'s' * (len(days) != 1)}, {days}, through Dagster", err=True)
    report = run_range(defs, days, on_step=_tell)
    for warning in report.checks:
        typer.secho(f"  check {warning}", fg="yellow", err=True)
    return report


def stop_on_failure(report: RunReport) -> None:
    """Exit 1 with the errors of the failed steps, if any failed."""
    if report.success:
        return
    for error in report.errors:
        typer.echo(error, err=True)
    fail(
        f"the run failed at {', '.join(report.failed)}; days are replaced whole, so run them again once mended",
        code=1,
    )


def _tell(step: str, rows: int | None, seconds: float) -> None:
    count = "" if rows is None else f"{rows:,} rows"
    typer.echo(f"  {step:<20} {count:>16} {seconds:>8.1f} s", err=True)


def _days(first: str | None, last: str | None) -> DayRange:
    from insights_pipeline.lake import DayRange
    from insights_pipeline.lake.days import today

    known = open_engine().lake.days("spans")
    start, end = parse_day(first), parse_day(last)
    now = today()
    for option, day in (("--from", start), ("--to", end)):
        if day is not None and day > now:
            of = f"; data runs from {min(known)} to {max(known)}" if known else ""
            fail(f"{option} {day} is after today, {now} (UTC){of}")
    if not known and (start is None or end is None):
        fail(
            "there are no spans yet: bring some with `insights ingest PATH…`, or give --from and --to", code=1
        )
    try:
        return DayRange(start or min(known), end or max(known))
    except ValueError as error:
        fail(f"--from and --to: {error}")
