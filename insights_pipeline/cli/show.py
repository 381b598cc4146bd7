"""`insights brief`: what changed, in words."""

from __future__ import annotations

import json
from typing import Literal

import typer

from insights_pipeline.cli.output import JSON, console, fail, open_engine, parse_day, print_json

_CADENCE = {"day": "daily", "week": "weekly", "month": "monthly"}


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
        which = f"{window} brief" + (f" of {wanted}" if wanted else " yet")
        how = "`insights run` writes them"
        if window != "day":
            how += f", of each {window} that has ended in its range; so do the schedules"
        fail(f"there is no {which}: {how}", code=1)
    if as_json:
        print_json(
            {**found, "facts": json.loads(found["facts"]), "slack": json.loads(found["slack"] or "[]")}
        )
        return
    from rich.markdown import Markdown

    out = console()
    out.print(Markdown(found["markdown"])) if out.is_terminal else typer.echo(found["markdown"], nl=False)
