"""Run the jobs over a range of days in this process, and tell each finished step."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from insights_pipeline.defs.partitions import DAILY, MONTHLY, WEEKLY, ended_in, range_tags
from insights_pipeline.lake import DayRange

_HOST, _PID = "insights/host", "insights/pid"

# Step, rows (None where it has none), seconds.
OnStep = Callable[[str, int | None, float], None]


@dataclass(frozen=True, slots=True)
class RunReport:
    """How the runs of a range went. `rows` per asset, `checks` that did not pass, `errors` of failed steps."""

    first: str
    last: str
    run_ids: tuple[str, ...]  # of the days, and of the weeks and months that ended in them
    success: bool
    failed: tuple[str, ...]
    errors: tuple[str, ...]
    rows: dict[str, int]
    checks: tuple[str, ...]
    seconds: float

    def then(self, other: RunReport) -> RunReport:
        """Both, of the days of the first."""
        return replace(
            self,
            run_ids=self.run_ids + other.run_ids,
            success=self.success and other.success,
            failed=self.failed + other.failed,
            errors=self.errors + other.errors,
            rows=self.rows | other.rows,
            checks=self.checks + other.checks,
            seconds=round(self.seconds + other.seconds, 1),
        )


def run_range(definitions: dg.Definitions, days: DayRange, *, on_step: OnStep) -> RunReport:
    """Materialise every daily asset over the range in one run, then the briefs of weeks and months that ended in it.

    The runs are kept in the instance of the working directory; a failed one is the last. Raises ValueError when the
    range starts before the first partition.
    """
    first = DAILY.start.date()
    if days.first < first:
        raise ValueError(
            f"{days.first} is before the first partition {first}: set INSIGHTS_FIRST_DAY={days.first}"
        )
    with _instance() as instance:
        end_runs_of_dead_processes(instance)
        report = _run(definitions, "daily", days, instance, on_step)
        for job, partitions in (("weekly", WEEKLY), ("monthly", MONTHLY)):
            if report.success and (windows := ended_in(partitions, days)):
                keys = DayRange(windows[0].first, windows[-1].first)
                report = report.then(_run(definitions, job, keys, instance, on_step))
    return report


def _run(
    definitions: dg.Definitions, job: str, keys: DayRange, instance: dg.DagsterInstance, on_step: OnStep
) -> RunReport:
    """One run of the partitions from that of the first of `keys` to that of the last."""
    started = time.monotonic()
    rows: dict[str, int] = {}
    console = dg.LoggerDefinition(lambda _: _step_logger(rows, on_step))
    result = (
        definitions.resolve_job_def(job)
        .with_logger_defs({"console": console})
        .execute_in_process(
            instance=instance,
            tags={**range_tags(keys), _HOST: socket.gethostname(), _PID: str(os.getpid())},
            run_config={"loggers": {"console": {}}},
            raise_on_error=False,
        )
    )
    failures = [event for event in result.all_events if event.is_step_failure]
    return RunReport(
        first=str(keys.first),
        last=str(keys.last),
        run_ids=(result.run_id,),
        success=result.success,
        failed=tuple(event.step_key or "start-up" for event in failures),
        errors=tuple(
            event.step_failure_data.error.to_string() for event in failures if event.step_failure_data.error
        ),
        rows=rows,
        checks=tuple(
            f"{check.check_name}: {check.description}"
            for check in result.get_asset_check_evaluations()
            if not check.passed
        ),
        seconds=round(time.monotonic() - started, 1),
    )


def _step_logger(rows: dict[str, int], on_step: OnStep) -> logging.Logger:
    logger = logging.Logger("insights.run", logging.DEBUG)
    logger.addHandler(_StepHandler(rows, on_step))
    return logger


class _StepHandler(logging.Handler):
    """Hears a run's events: keeps row counts, tells finished steps, passes warnings of the code on."""

    def __init__(self, rows: dict[str, int], on_step: OnStep) -> None:
        super().__init__()
        self._rows, self._on_step = rows, on_step

    def emit(self, record: logging.LogRecord) -> None:
        event: Any = (getattr(record, "dagster_meta", None) or {}).get("dagster_event")
        if event is None:
            return
        if event.event_type_value == "ASSET_MATERIALIZATION" and event.asset_key:
            count = event.step_materialization_data.materialization.metadata.get("rows")
            if isinstance(count, dg.IntMetadataValue) and count.value is not None:
                self._rows[event.asset_key.to_user_string()] = count.value
        if event.event_type_value == "STEP_SUCCESS":
            seconds = event.step_success_data.duration_ms / 1000
            self._on_step(event.step_key, self._rows.get(event.step_key), seconds)


def end_runs_of_dead_processes(instance: dg.DagsterInstance) -> None:
    """Mark runs that were killed as failed and give back the pool slots that they still hold.

    A run that `dagster dev` launched is watched by its daemon; one of `run_range` is noticed only here. Otherwise
    the next run, and the sensor, would wait for ever for a process that is gone.
    """
    running = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], tags={_HOST: socket.gethostname()})
    for run in instance.get_runs(running):
        if not _is_alive(int(run.tags[_PID])):
            instance.report_run_failed(
                run, "Its process is gone (killed?). Days are replaced whole: run them again."
            )
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


def _instance() -> dg.DagsterInstance:
    """The Dagster instance of the working directory, so that the run shows in the UI; else a passing one."""
    here = Path.cwd()
    if (here / "dagster.yaml").exists():
        return dg.DagsterInstance.from_config(str(here))
    return dg.DagsterInstance.ephemeral()
