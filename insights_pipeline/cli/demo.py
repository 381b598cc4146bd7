"""`insights demo`: two months of made-up traffic through the real path, the brief, then the Dagster UI."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from insights_pipeline.cli.ingest import bring, progress_bar
from insights_pipeline.cli.output import JSON, fail, open_engine, print_json

if TYPE_CHECKING:
    from datetime import date


def demo(
    days: int = typer.Option(60, min=40, max=400, help="Days of traffic, ending yesterday."),
    seed: int = typer.Option(
        7, help="Seed of the traffic: the same seed, days and last day give the same bytes."
    ),
    serve: bool = typer.Option(True, "--serve/--no-serve", help="Start the Dagster UI at the end."),
    judge: bool = typer.Option(
        False,
        "--judge",
        help="Only compare the finished run with what was injected; exit 1 when it falls short.",
    ),
    port: int = typer.Option(3000, help="Port of the Dagster UI."),
    as_json: bool = JSON,
) -> None:
    """Show everything on made-up traffic of a shop's support agent, with incidents hidden in it.

    The traffic is written as OTLP files and read like anybody's. What was injected stands in a file that the
    pipeline never reads; --judge compares.

    Examples:

      insights demo --no-serve

      insights demo --judge
    """
    from insights_pipeline.settings import settings

    folder = settings().landing_dir / "demo"
    if judge:
        _judge(folder, as_json=as_json)
        return
    _empty_lake(settings().lake_uri)
    _bring_traffic(folder, days=days, seed=seed)
    from insights_pipeline.cli.run import materialise, stop_on_failure
    from insights_pipeline.lake import DayRange

    arrived = open_engine().lake.days("spans")
    stop_on_failure(materialise(DayRange(min(arrived), max(arrived))))
    _print_brief(max(arrived), as_json=as_json)
    if serve:
        _serve(port)


def _serve(port: int) -> None:
    """The Dagster UI, and a receiver that feeds the same lake, until Ctrl-C."""
    programs = Path(sys.executable).parent
    typer.secho(f"\nDagster UI: http://127.0.0.1:{port}  (Ctrl-C ends it)", bold=True, err=True)
    with subprocess.Popen([programs / "insights", "receive"]) as receiver:
        try:
            dagster: list[str | Path] = [
                programs / "dagster",
                "dev",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
            ]
            subprocess.run(dagster, check=False)
        except KeyboardInterrupt:
            pass  # both got it too, and end by themselves
        finally:
            receiver.terminate()


def _empty_lake(uri: str) -> None:
    """A fresh lake for the demo; one that holds anything else is refused, never emptied."""
    from insights_pipeline.lake.lake import DEMO_MARK

    if "://" in uri:
        fail(f"the demo writes to a local folder, and INSIGHTS_LAKE_URI is {uri}: set it to a folder")
    lake = Path(uri)
    if (lake / DEMO_MARK).exists():
        shutil.rmtree(lake)
    elif lake.exists() and _holds_anything(lake):
        fail(f"{lake} holds traces that no demo made: set INSIGHTS_LAKE_URI to another folder for the demo")
    lake.mkdir(parents=True, exist_ok=True)
    (lake / DEMO_MARK).touch()


def _holds_anything(lake: Path) -> bool:
    """Whether a folder holds more than tables without rows, which Dagster makes when it looks for the first day."""
    return any(
        entry.name != "_delta_log"
        for table in lake.iterdir()
        for entry in (table.iterdir() if table.is_dir() else [table])
    )


def _bring_traffic(folder: Path, *, days: int, seed: int) -> None:
    from insights_pipeline.demo.traffic import write_traffic

    if folder.exists():
        shutil.rmtree(folder)
    with progress_bar("Generating traffic", unit="days") as on_progress:
        traffic = write_traffic(folder, seed=seed, days=days, end=_yesterday(), on_progress=on_progress)
    typer.echo(f"{traffic.traces:,} traces, {traffic.spans:,} spans in {traffic.folder}", err=True)
    report = bring([traffic.folder])
    if report.rejects:
        fail(
            f"{report.rejects} records of the demo's own traffic were rejected: see `insights rejects`",
            code=1,
        )


def _print_brief(day: date, *, as_json: bool) -> None:
    from insights_pipeline.cli.show import brief

    typer.echo("", err=True)
    brief(day=str(day), window="day", as_json=as_json)


def _judge(folder: Path, *, as_json: bool) -> None:
    from insights_pipeline.demo.judge import judge, render

    if not folder.exists():
        fail("there is no finished demo here: run `insights demo --no-serve` first", code=1)
    verdict = judge(open_engine(), folder)
    if as_json:
        print_json(verdict.to_json())
    else:
        for line in render(verdict):
            typer.echo(line)
    if not verdict.passed:
        raise typer.Exit(1)


def _yesterday() -> date:
    from datetime import timedelta

    from insights_pipeline.lake import today

    return today() - timedelta(days=1)
