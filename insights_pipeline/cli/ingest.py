"""`insights ingest` and `insights rejects`: files into the tables, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from insights_pipeline.cli.dry_run import tell_preview
from insights_pipeline.cli.output import JSON, open_engine, parse_day, print_json, table
from insights_pipeline.cli.stopping import stop_on_signal

if TYPE_CHECKING:
    from insights_pipeline.traces.exports.mapping import Mapping
    from insights_pipeline.traces.ingest import IngestReport
    from insights_pipeline.traces.preview import Preview

_REJECTS_SHOWN = 10
_STOPPED = 130


def ingest(
    paths: list[Path] = typer.Argument(..., help="Trace files of any format below, or folders of them."),
    format_: str = typer.Option(
        "auto", "--format", help="auto, otlp, langsmith, langfuse, openai-chat, phoenix or map."
    ),
    map_: str | None = typer.Option(
        None, "--map", help="Where the fields are: a TOML file, or tau_bench, tau2_bench, swe_agent."
    ),
    at: str | None = typer.Option(
        None,
        "--at",
        help="Day of chats without times (YYYY-MM-DD). Default: when their file was changed last.",
    ),
    environment: str | None = typer.Option(
        None, "--environment", help="Environment of all that is read, whatever it says itself."
    ),
    tenant: str | None = typer.Option(
        None, "--tenant", help="Tenant of all that is read, whatever it says itself."
    ),
    dry_run: bool = typer.Option(
        False,
        "--dry-run",
        help="Read the first 100 records of each format, say what they become, write nothing.",
    ),
    strict: bool = typer.Option(False, "--strict", help="Exit 1 when any record was rejected."),
    as_json: bool = JSON,
) -> None:
    """Read trace files into the tables. A span that was read before is replaced, not doubled.

    Formats are told by content: OTLP (protobuf, JSON); LangSmith (runs, bulk export, feedback); Langfuse (API, blob
    export, scores); Phoenix (spans, annotations); OpenAI chat histories; anything else with --map. JSON, JSON lines,
    CSV, TSV and Parquet, also .gz and .zst.

    A record that cannot be read is kept in the rejects table with its reason, and the rest goes on. After Ctrl-C (or
    worse) the same command continues where it stopped.

    Examples:

      insights ingest traces.pb

      insights ingest exports/ more.jsonl.gz --strict

      insights ingest langfuse-export/ --dry-run

      insights ingest chats.jsonl --format openai-chat --at 2026-03-01

      insights ingest results.json --map tau2_bench

      insights ingest calls.parquet --map map.toml --environment staging

      insights ingest traces.json --json
    """
    from insights_pipeline.traces.exports.mapping import load_mapping

    mapping = load_mapping(map_) if map_ else None
    if dry_run:
        found = _preview(paths, format_, mapping, parse_day(at))
        rejected = sum(preview.rejects for preview in found)
        if as_json:
            print_json({"dry_run": [asdict(preview) for preview in found]})
        else:
            tell_preview(found)
    else:
        open_engine().lake.keep()
        report = bring(
            paths, format_=format_, mapping=mapping, at=parse_day(at), environment=environment, tenant=tenant
        )
        rejected = report.rejects
        if as_json:
            print_json(asdict(report))
        else:
            _tell(report)
        if report.stopped:
            raise typer.Exit(_STOPPED)
    if strict and rejected:
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


def bring(
    paths: Sequence[Path],
    *,
    format_: str = "auto",
    mapping: Mapping | None = None,
    at: date | None = None,
    environment: str | None = None,
    tenant: str | None = None,
) -> IngestReport:
    """Ingest with a progress bar on stderr (where that is a terminal). Ctrl-C keeps what was read."""
    from insights_pipeline.lake import now_ns
    from insights_pipeline.settings import settings
    from insights_pipeline.traces.ingest import ingest_paths
    from insights_pipeline.traces.table import Labels

    engine = open_engine()
    labels = Labels(environment, tenant) if environment or tenant else None
    with progress_bar("Reading", unit="bytes") as on_progress, stop_on_signal() as should_stop:
        return ingest_paths(
            engine.lake,
            paths,
            now_ns=now_ns(),
            max_field_chars=settings().max_field_chars,
            on_progress=on_progress,
            format_=format_,
            mapping=mapping,
            at_ns=_start_of(at),
            labels=labels,
            redact=_redactor(),
            engine=engine,
            state_dir=settings().temp_dir / "ingest",
            on_resume=_tell_resumed,
            should_stop=should_stop,
        )


def _preview(paths: Sequence[Path], format_: str, mapping: Mapping | None, at: date | None) -> list[Preview]:
    from insights_pipeline.lake import now_ns
    from insights_pipeline.settings import settings
    from insights_pipeline.traces.preview import preview_paths

    return preview_paths(
        paths,
        now_ns=now_ns(),
        max_field_chars=settings().max_field_chars,
        format_=format_,
        mapping=mapping,
        at_ns=_start_of(at),
        redact=_redactor(),
    )


def _start_of(day: date | None) -> int | None:
    from insights_pipeline.lake.days import start_ns

    return None if day is None else start_ns(day)


def _redactor() -> Callable[[str], str] | None:
    """What blots out what the settings name, or nothing."""
    from insights_pipeline.settings import settings
    from insights_pipeline.traces.redaction import redactor

    config = settings()
    return redactor(config.redact, patterns=config.redact_patterns, names_model=config.redact_names_model)


def _tell_resumed(files: int, records: int) -> None:
    typer.echo(f"resuming: {files:,} files, {records:,} records already read", err=True)


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
    first, last = (min(report.days), max(report.days)) if report.days else (None, None)
    days = "" if first is None else f"; day {first}" if first == last else f"; days {first} to {last}"
    formats = ", ".join(f"{name} {count:,}" for name, count in report.formats.items())
    found = {"trace": report.traces, "span": report.spans, "score": report.scores, "content": report.contents}
    counts = [
        f"{count:,} {word}{'s' * (count != 1)}"
        for word, count in found.items()
        if count or word in ("trace", "span")
    ]
    counts.append(f"{report.rejects:,} rejected")
    typer.echo(
        f"{report.files} file{'s' * (report.files != 1)}{f' ({formats})' * bool(formats)}: "
        f"{', '.join(counts)}{days}"
    )
    if report.undated:
        typer.echo(
            f"{report.undated:,} trace{'s' * (report.undated != 1)} came without a time: they are dated by --at, or by "
            "the last change of their file.",
            err=True,
        )
    if report.left_out:
        typer.echo(f"{report.left_out:,} metrics and log records that tell no trace were left out.", err=True)
    if report.rejects:
        rejects(limit=min(report.rejects, _REJECTS_SHOWN), as_json=False)
    if report.stopped:
        typer.echo("Stopped: the same command continues here.", err=True)
    elif report.spans:
        typer.echo("Next: insights run", err=True)
