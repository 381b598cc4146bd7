"""What commands print: JSON for machines on stdout, text for people, errors with a remedy on stderr."""

from __future__ import annotations

import json
import sys
from datetime import date
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from insights_pipeline.lake import DuckDBEngine

JSON = typer.Option(False, "--json", help="Print JSON instead of text.")


def fail(message: str, *, code: int = 2) -> NoReturn:
    """Say what is wrong and how to mend it, and exit."""
    typer.secho(f"error: {message}", fg="red", err=True)
    sys.exit(code)


def print_json(value: object) -> None:
    typer.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    return str(value)


def console() -> Console:
    from rich.console import Console

    # Into a file or a pipe there is no width to respect; 80 columns would cut every cell.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def parse_day(text: str | None) -> date | None:
    """A day as YYYY-MM-DD, or `today` / `yesterday`."""
    if text is None:
        return None
    from datetime import timedelta

    from insights_pipeline.lake.days import today

    if text in ("today", "yesterday"):
        return today() - timedelta(days=text == "yesterday")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a day: write it as YYYY-MM-DD, today or yesterday"
        ) from None


def open_engine() -> DuckDBEngine:
    """The engine as settings say, for commands that read and write the lake without Dagster."""
    from insights_pipeline.lake import DuckDBEngine, Lake, connect_with, engine_config
    from insights_pipeline.settings import settings

    config = settings()
    config.temp_dir.mkdir(parents=True, exist_ok=True)
    return DuckDBEngine(
        Lake(config.lake_uri, config.storage_options),
        connect_with(
            engine_config(threads=config.threads, memory_mb=config.memory_mb, temp_dir=config.temp_dir)
        ),
    )


def _printable(cell: object) -> str:
    """A cell without control characters: texts come from strangers, and a terminal obeys escape sequences."""
    return "–" if cell is None else "".join(char for char in str(cell) if char.isprintable())


def table(title: str, columns: list[tuple[str, str]], rows: list[list[Any]]) -> None:
    """A table for a person; `columns` are (heading, left|right)."""
    from rich.markup import escape
    from rich.table import Table

    view = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for heading, justify in columns:
        # Text may wrap; a number or a day that is cut is worse than a wide table.
        view.add_column(heading, justify=justify, no_wrap=justify == "right")  # type: ignore[arg-type]
    for row in rows:
        view.add_row(*(escape(_printable(cell)) for cell in row))
    console().print(view)
