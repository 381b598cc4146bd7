"""`insights doctor`: is this machine and this lake fit to run, and what is in it."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from insights_pipeline.cli.output import JSON, print_json


def doctor(as_json: bool = JSON) -> None:
    """Check settings, machine, offline models and tables; exit 1 when something is broken.

    Examples:

      insights doctor

      insights doctor --json
    """
    findings = [_run(name, check) for name, check in _CHECKS.items()]
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            mark, colour = ("ok", "green") if finding["ok"] else ("!!", "red")
            typer.echo(f"{typer.style(mark, fg=colour)}  {finding['check']:<12} {finding['detail']}")
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


def _run(name: str, check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"check": name, "ok": True, "detail": check()}
    except Exception as error:  # noqa: BLE001 – a doctor reports every illness instead of dying of it
        return {"check": name, "ok": False, "detail": f"{type(error).__name__}: {error}"}


def _python() -> str:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise RuntimeError(f"Python {platform.python_version()} is not supported: use 3.11 to 3.13")
    return f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"


def _settings() -> str:
    from insights_pipeline.settings import settings

    config = settings()
    return (
        f"lake {config.lake_uri}, {config.threads} threads, {config.memory_mb} MiB for the engine, "
        f"intents after {config.bootstrap_traces} traces"
    )


def _disk() -> str:
    from insights_pipeline.settings import settings

    config = settings()
    config.temp_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(config.temp_dir).free / 2**30
    if free < 1:
        raise RuntimeError(
            f"only {free:.1f} GiB free in {config.temp_dir}: set INSIGHTS_TEMP_DIR to a larger disk"
        )
    return f"{free:.0f} GiB free in {config.temp_dir} for spilling"


def _engine() -> str:
    from insights_pipeline.cli.output import open_engine

    version = open_engine().query("SELECT version() AS v", {}).to_pylist()[0]["v"]
    return f"DuckDB {version} in memory"


def _embedder() -> str:
    from insights_pipeline.intents.embedding.wordllama_space import load_table
    from insights_pipeline.settings import settings

    if (setting := settings().embedding) != "wordllama":
        return f"{setting}, asked when the next space is fitted"
    return f"WordLlama table of {load_table().shape[0]:,} tokens, read from the package, no download"


def _language_model() -> str:
    from insights_pipeline.wiring import language_model

    if (model := language_model()) is None:
        return "none: names are read off texts (INSIGHTS_LLM_MODEL)"
    from insights_pipeline.llm.check import readiness

    return readiness(*model)


def _state() -> str:
    from insights_pipeline.state import intent_edits
    from insights_pipeline.wiring import state

    database = state()
    count = len(intent_edits(database))
    return f"{database.where}, {count} correction{'s' * (count != 1)} of intents"


def _prices() -> str:
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')}, offline"


def _dagster() -> str:
    from importlib.metadata import version

    if not Path("dagster.yaml").exists():
        raise FileNotFoundError(
            "no dagster.yaml in this folder: runs would not be kept; start in the project's folder"
        )
    return f"dagster {version('dagster')}, history in data/dagster"


def _tables() -> str:
    from insights_pipeline.cli.output import open_engine

    lake = open_engine().lake
    counts = {table: lake.row_count(table) for table in ("spans", "traces", "rejects", "intents", "briefs")}
    days = lake.days("spans")
    span = (
        f"{min(days)} to {max(days)}" if days else "no days yet: `insights ingest PATH…` or `insights demo`"
    )
    return ", ".join(f"{count:,} {table}" for table, count in counts.items()) + f"; {span}"


def _receiver() -> str:
    from datetime import UTC, datetime

    from insights_pipeline.receiver.progress import published
    from insights_pipeline.receiver.segments import backlog_bytes
    from insights_pipeline.settings import settings

    folder = settings().receiver_dir
    if not folder.exists():
        return "not used yet: `insights receive`"
    told = published(folder)
    position, flushed, error = (told.get(name) for name in ("position", "last_flush_ns", "error"))
    waiting = backlog_bytes(folder, position if isinstance(position, int) else 0) / 2**20
    if error:
        raise RuntimeError(f"{waiting:.1f} MiB wait, and the tables cannot be written: {error}")
    if not isinstance(flushed, int):
        return f"{waiting:.1f} MiB wait in {folder}, nothing was brought in yet"
    at = datetime.fromtimestamp(flushed // 10**9, UTC)
    return f"{waiting:.1f} MiB wait in {folder}, last brought in {at:%Y-%m-%d %H:%M:%S} UTC"


def _contact_points() -> str:
    from insights_pipeline.notify import check
    from insights_pipeline.wiring import brief_points, contact_points, outgoing

    points, config = contact_points(), outgoing()
    told = {point.name for point in brief_points()}
    said = [f"{name} ({point.kind}: {check(point, config)})" for name, point in points.items()]
    if not said:
        return "none: briefs are sent to nobody (INSIGHTS_CONTACT_POINTS, docs/delivery.md)"
    return f"{', '.join(said)}; briefs go to {', '.join(sorted(told)) or 'nobody (INSIGHTS_BRIEF_TO)'}"


_CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "settings": _settings,
    "disk": _disk,
    "engine": _engine,
    "embedder": _embedder,
    "llm": _language_model,
    "state": _state,
    "prices": _prices,
    "dagster": _dagster,
    "tables": _tables,
    "receiver": _receiver,
    "contacts": _contact_points,
}
