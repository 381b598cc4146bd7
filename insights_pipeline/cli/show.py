"""`insights brief | drift`: what the tables say."""

from __future__ import annotations

import json
from typing import Any, Literal

import typer

from insights_pipeline.cli.output import JSON, console, fail, open_engine, parse_day, print_json, table

_CADENCE = {"day": "daily", "week": "weekly", "month": "monthly"}
_DAY = typer.Option(None, "--date", help="Day (YYYY-MM-DD, today, yesterday); default: the newest.")


def shorten(text: str | None, width: int) -> str | None:
    """The first `width` characters on one line, without control characters."""
    from insights_pipeline.brief.units import one_line

    flat = one_line(text or "")
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def brief(
    day: str | None = typer.Option(
        None, "--date", help="Day of the brief; for a week or month any day in it; default: the newest."
    ),
    window: Literal["day", "week", "month"] = typer.Option("day", help="Which brief."),
    as_json: bool = JSON,
) -> None:
    """Print a brief: what changed, for whom, by how much, and on which traces.

    Examples:

      insights brief

      insights brief --date 2026-03-02 --json

      insights brief --window week
    """
    from datetime import timedelta

    from insights_pipeline.brief.read import read_brief

    wanted = parse_day(day)
    if wanted and window == "week":
        wanted -= timedelta(days=wanted.weekday())
    if wanted and window == "month":
        wanted = wanted.replace(day=1)
    found = read_brief(open_engine().lake, _CADENCE[window], wanted)
    if found is None:
        which = f"{window} brief of {wanted}" if wanted else f"{window} brief yet"
        fail(f"there is no {which}: materialise it with `insights run` (week and month: in Dagster)", code=1)
    if as_json:
        print_json({**found, "facts": json.loads(found["facts"])})
        return
    from rich.markdown import Markdown

    out = console()
    out.print(Markdown(found["markdown"])) if out.is_terminal else typer.echo(found["markdown"], nl=False)


def drift(
    day: str | None = _DAY,
    every: bool = typer.Option(False, "--all", help="Also resolved, accepted and pending items."),
    as_json: bool = JSON,
) -> None:
    """List the drift items of a day: what changed against the baseline, since when, by how much.

    Examples:

      insights drift

      insights drift --date 2026-03-02 --all --json
    """
    from insights_pipeline.brief import units
    from insights_pipeline.brief.read import read_items
    from insights_pipeline.drift.life.lifecycle import OPEN

    found = read_items(open_engine().lake, parse_day(day))
    if found is None:
        fail("drift was not observed yet: run `insights run`", code=1)
    shown = [item for item in found.items if every or item["state"] in OPEN]
    if as_json:
        print_json({"date": found.date, "status": found.status, "items": shown})
        return
    if found.status == "learning":
        typer.echo(f"learning ({found.traces_seen} of {found.bootstrap_traces})")
        return
    rows: list[list[Any]] = [
        [
            item["state"],
            units.one_line(item["intent"]),
            units.verb(item["metric"], item["direction"]),
            units.effect(item["metric"], item["effect"]),
            units.interval(item["metric"], item["effect_low"], item["effect_high"]),
            item["severity"],
            item["opened"],
            item["n"],
        ]
        for item in shown
    ]
    columns = [
        ("state", "left"),
        ("intent", "left"),
        ("what", "left"),
        ("change", "right"),
        ("95 %", "right"),
        ("severity", "left"),
        ("since", "right"),
        ("traces", "right"),
    ]
    table(f"{len(rows)} drift item{'s' * (len(rows) != 1)} on {found.date}", columns, rows)
