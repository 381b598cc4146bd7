"""`insights ingest` and `insights rejects`: files into the spans table, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from insights_pipeline.cli.output import JSON, open_engine, print_json, table

if TYPE_CHECKING:
    from insights_pipeline.traces.ingest import IngestReport

_REJECTS_SHOWN = 10
# Lies in a lake that holds nothing but the demo's traffic: only such a lake is ever emptied, by a new demo.
DEMO_MARK = "MADE_BY_DEMO"


def ingest(
    paths: list[Path] = typer.Argument(
        ..., help="OTLP files (protobuf or JSON, also .gz) or folders of them."
    ),
    strict: bool = typer.Option(False, "--strict", help="Exit 1 when any record was rejected."),
    as_json: bool = JSON,
) -> None:
    """Read trace files into the spans table. A span that was read before is replaced, not doubled.

    A record that cannot be read is kept in the rejects table with its reason, and the rest goes on.

    Examples:

      insights ingest traces.pb

      insights ingest exports/ more.jsonl.gz --strict

      insights ingest traces.json --json
    """
    _keep_from_the_demo()
    report = bring(paths)
    if as_json:
        print_json(asdict(report))
    else:
        _tell(report)
    if strict and report.rejects:
        raise typer.Exit(1)


def rejects(
    limit: int = typer.Option(20, min=1, help="How many of the newest."),
    as_json: bool = JSON,
) -> None:
    """List records that could not be read: where they were, why, and what to do.

    Example:

      insights rejects --limit 5 --json
    """
    from insights_pipeline.lake import Slice

    rows = open_engine().lake.read(Slice("rejects")).to_pylist()
    newest = sorted(rows, key=lambda row: (-row["ingested_ns"], row["source"], row["position"]))[:limit]
    if as_json:
        print_json({"rejects": len(rows), "newest": newest})
        return
    columns = [("source", "left"), ("position", "left"), ("reason", "left"), ("remedy", "left")]
    table(
        f"{len(rows)} rejected record{'s' * (len(rows) != 1)}",
        columns,
        [[row["source"], row["position"], row["reason"], row["remedy"]] for row in newest],
    )


def _keep_from_the_demo() -> None:
    """From now on the lake holds somebody's own traces: no demo may empty it."""
    from insights_pipeline.settings import settings

    (Path(settings().lake_uri) / DEMO_MARK).unlink(missing_ok=True)


def bring(paths: Sequence[Path]) -> IngestReport:
    """Ingest with a progress bar on stderr (where that is a terminal)."""
    from insights_pipeline.lake import now_ns
    from insights_pipeline.settings import settings
    from insights_pipeline.traces.ingest import ingest_paths

    engine = open_engine()
    with progress_bar("Reading", unit="bytes") as on_progress:
        return ingest_paths(
            engine.lake,
            paths,
            now_ns=now_ns(),
            max_field_chars=settings().max_field_chars,
            on_progress=on_progress,
        )


@contextmanager
def progress_bar(label: str, *, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, silent where that is no terminal; gives a function of (done, total)."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    out = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _tell(report: IngestReport) -> None:
    first, last = (min(report.days), max(report.days)) if report.days else ("–", "–")
    typer.echo(
        f"{report.files} file{'s' * (report.files != 1)}: {report.traces:,} traces, {report.spans:,} spans, "
        f"{report.rejects:,} rejected; days {first} to {last}"
    )
    if report.rejects:
        rejects(limit=min(report.rejects, _REJECTS_SHOWN), as_json=False)
    elif report.spans:
        typer.echo("Next: insights run", err=True)
