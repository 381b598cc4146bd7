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

_PIPE = 10_000  # columns: into a file or a pipe nothing is shortened or wrapped
_GAP = 2
_NONE = "–"
_WORD = 20  # columns: a longer word of a text may be cut into lines
_LEAST = 8  # columns that short words get, so that “+10 to +28 %” is two lines and not four

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

    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE)


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


def of_metric(rows: list[dict[str, Any]], begins: str | None) -> list[dict[str, Any]]:
    """The rows of the metrics that begin so; exits with those there are where none does."""
    if begins is None:
        return rows
    kept = [row for row in rows if row["metric"].startswith(begins.lower())]
    if not kept:
        fail(
            f"no metric begins with {begins!r}; there are {', '.join(sorted({row['metric'] for row in rows}))}"
        )
    return kept


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
    return _NONE if cell is None else "".join(char for char in str(cell) if char.isprintable())


def table(title: str, columns: list[tuple[str, str]], rows: list[list[Any]]) -> None:
    """A table for a person; `columns` are (heading, left|right), the first one names the row.

    Where the names and the words do not fit whole side by side, each row is a paragraph.
    """
    from rich.table import Table
    from rich.text import Text

    out = console()
    headings = [heading for heading, _ in columns]
    cells = [[_printable(cell) for cell in row] for row in rows]
    widths = _widths([list(column) for column in zip(headings, *cells, strict=True)], out.width)
    if widths is None:
        _paragraphs(out, title, headings, cells)
        return
    view = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for (heading, justify), width in zip(columns, widths, strict=True):
        view.add_column(Text(heading), justify=justify, width=width, overflow="fold")  # type: ignore[arg-type]
    for row in cells:
        view.add_row(*map(Text, row))
    out.print(view)


def _widths(columns: list[list[str]], room: int) -> list[int] | None:
    """As wide as the cells are, or by as much narrower as must be; None where a name or a word would be cut."""
    from rich.cells import cell_len

    def least_of(cell: str) -> int:
        return max(min(cell_len(cell), _LEAST), *(min(cell_len(part), _WORD) for part in cell.split()), 0)

    most = [max(map(cell_len, column)) for column in columns]
    # a name is copied into the next command: it stays on one line
    least = [most[0], *(max(map(least_of, column)) for column in columns[1:])]
    room -= _GAP * (len(columns) - 1)
    if room < sum(least):
        return None
    part = min(1.0, (room - sum(least)) / max(1, sum(most) - sum(least)))
    return [low + int(part * (high - low)) for low, high in zip(least, most, strict=True)]


def _paragraphs(out: Console, title: str, headings: list[str], cells: list[list[str]]) -> None:
    """The rows of a table, each as its name and, under it, the other cells with their headings."""
    from rich.padding import Padding
    from rich.text import Text

    if title:
        out.print(Text(title, "italic"))
    for first, *others in cells:
        out.print(Text(first, "bold", overflow="fold"))
        known = [pair for pair in zip(headings[1:], others, strict=True) if pair[1] not in ("", _NONE)]
        said = [f"{heading} {cell}".strip() for heading, cell in known]
        out.print(Padding(Text(" · ".join(said), overflow="fold"), (0, 0, 0, _GAP)))
