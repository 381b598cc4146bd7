"""`insights intents …`: what users ask, its history, and the verbs that correct it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import typer

from insights_pipeline.cli import correct, evaluate
from insights_pipeline.cli.correcting import look, shown_day
from insights_pipeline.cli.output import JSON, console, fail, open_engine, parse_day, print_json, table

if TYPE_CHECKING:
    from insights_pipeline.intents.corrections.view import Preview

_DAY = typer.Option(None, "--date", help="Day (YYYY-MM-DD, today, yesterday); default: the newest.")
_CATEGORY = typer.Option(None, "--category", help="Only intents of this category (begins with).")
_STATUS = typer.Option(
    None,
    "--status",
    metavar="STATUS",
    help="Only emerging, active, fading, retired or merged ones.",
    case_sensitive=False,
)
_ALL = typer.Option(False, "--all", help="Also retired and merged intents.")
_Status = Literal["emerging", "active", "fading", "retired", "merged"]
_GONE = ("retired", "merged")
_LINEAGE_DAYS = 30
_NAME_WIDTH, _CATEGORY_WIDTH = 32, 24
_GAP = 2  # between columns
_LEAST_SAID, _MOST_SAID = 16, 110  # characters of what people say; with less room it is left out
_NO_MODEL = "there is no intent model yet: bring traces with `insights ingest`, then `insights run`"

app = typer.Typer(
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    day: str | None = _DAY,
    category: str | None = _CATEGORY,
    status: _Status | None = _STATUS,
    every: bool = _ALL,
    as_json: bool = JSON,
) -> None:
    """What users ask: list and show intents, and correct them. Without a verb: the list.

    An INTENT is named by its id, slug or name, or by the beginning of one. Corrections are shown at once, are in the
    tables from the next run, and hold for every day that is run after them.

    Examples:

      insights intents

      insights intents --date 2026-03-02 --json

      insights intents show refund

      insights intents rename "track order" "Where is my parcel"

      insights intents merge "refund status" "refund delay" --into refunds
    """
    if context.invoked_subcommand is None:
        list_(day=day, category=category, status=status, every=every, as_json=as_json)
        return
    sources = [context.get_parameter_source(option) for option in context.params]
    if any(source is not None and source.name == "COMMANDLINE" for source in sources):
        # a script that asked for JSON must not be given a table
        fail(f"options come after the verb: `insights intents {context.invoked_subcommand} …`")


@app.command("list")
def list_(
    day: str | None = _DAY,
    category: str | None = _CATEGORY,
    status: _Status | None = _STATUS,
    every: bool = _ALL,
    as_json: bool = JSON,
) -> None:
    """List the intents of a day: name, category, trend, how much traffic, what people say.

    Examples:

      insights intents list

      insights intents list --category billing --all

      insights intents list --status emerging --json
    """
    found = _found(day)
    rows = [row for row in found["intents"] if _wanted(row, category, status, every)]
    if as_json:
        print_json({**found, "intents": rows})
        return
    if found["status"] == "learning":
        typer.echo(f"learning ({found['traces_seen']} of {found['bootstrap_traces']})")
        return
    if not rows:
        typer.echo(f"no such intents on {found['date']}")
        return
    _list_table(found, rows, whole=category is None and status is None)


@app.command("show")
def show(
    intent: str = typer.Argument(..., help="Id, slug, name, or the beginning of one."),
    day: str | None = _DAY,
    as_json: bool = JSON,
) -> None:
    """Show all of one intent: what it is, its neighbour, parts, messages with their traces, trend, history, edits.

    Examples:

      insights intents show refund

      insights intents show int_4a1c7f32be --json
    """
    from insights_pipeline.cli.show_intent import facts_of, print_facts

    engine = open_engine()
    seen = look(engine, parse_day(day))
    if seen.preview is None:
        fail(_NO_MODEL, code=1)
    facts = facts_of(engine, seen, seen.find(intent))
    print_json(facts) if as_json else print_facts(facts)


@app.command("events")
def events(
    first: str | None = typer.Option(
        None, "--from", help="First day (YYYY-MM-DD, today, yesterday); default: 30 days before the last."
    ),
    last: str | None = typer.Option(None, "--to", help="Last day; default: the newest."),
    intent: str | None = typer.Option(None, "--intent", help="Only of this intent."),
    as_json: bool = JSON,
) -> None:
    """List what happened to the intents: found, new, promoted, faded, merged, split, renamed, with the evidence.

    Examples:

      insights intents events

      insights intents events --from 2026-03-01 --to 2026-03-31

      insights intents events --intent refund --json
    """
    from datetime import timedelta

    from insights_pipeline.cli.show_intent import concerns, lineage, words_of
    from insights_pipeline.lake import DayRange

    engine = open_engine()
    end = parse_day(last) or max(engine.lake.days("intent_models"), default=None)
    if end is None:
        fail(_NO_MODEL, code=1)
    start = parse_day(first) or end - timedelta(days=_LINEAGE_DAYS - 1)
    try:
        days = DayRange(start, end)
    except ValueError as error:
        fail(f"--from and --to: {error}")
    told = lineage(engine, days)
    if intent is not None:
        wanted = look(engine, None).find(intent).intent_id
        told = [event for event in told if concerns(event, wanted)]
    if as_json:
        print_json(told)
        return
    if not told:
        typer.echo(f"no events, {days}")
        return
    rows = [[event["date"], event["kind"], words_of(event)] for event in told]
    table(f"{len(rows)} events, {days}", [("day", "right"), ("what", "left"), ("", "left")], rows)


def _found(day: str | None) -> dict[str, Any]:
    """The intents of a day as a person sees them, with corrections that the tables do not have yet."""
    from insights_pipeline.intents.corrections.view import overlaid
    from insights_pipeline.intents.show import intents_of

    engine = open_engine()
    wanted = parse_day(day)
    found = intents_of(engine, wanted)
    if found is None:
        fail(_NO_MODEL, code=1)
    seen: Preview | None = look(engine, found["date"]).preview
    # of an earlier day the list says what its tables say
    newest = wanted is None or found["date"] == shown_day(engine)
    return overlaid(found, seen) if seen is not None and newest else {**found, "pending": []}


def _wanted(row: dict[str, Any], category: str | None, status: str | None, every: bool) -> bool:
    if category is not None and not (row["category"] or "").lower().startswith(category.lower()):
        return False
    if status is not None:
        return bool(row["status"] == status)
    return every or row["status"] not in _GONE


def _list_table(found: dict[str, Any], rows: list[dict[str, Any]], *, whole: bool) -> None:
    """One line an intent, whatever the width; `whole`: nothing is left out, so what has no intent is told too."""
    from insights_pipeline.cli.show import shorten

    cells: list[list[str]] = [
        [
            shorten(row["name"], _NAME_WIDTH) or "–",
            shorten(row["category"], _CATEGORY_WIDTH) or "–",
            _state(row),
            f"{row['traces']:,}",
            f"{100 * row['share']:.0f} %",
            _said(row["description"] or ""),
        ]
        for row in rows
    ]
    without = [("unknown: like no intent", "unknown"), ("no text, or before discovery", "unanswered")]
    for words, kind in without if whole else []:
        part = found[kind]
        if part["traces"] or kind == "unknown":
            cells.append([words, "–", "–", f"{part['traces']:,}", f"{100 * part['share']:.0f} %", ""])
    columns = [
        ("intent", "left"),
        ("category", "left"),
        ("state", "left"),
        ("traces", "right"),
        ("share", "right"),
        ("what people say", "left"),
    ]
    taken = sum(
        max([len(columns[place][0]), *(len(row[place]) for row in cells)]) + _GAP
        for place in range(len(columns) - 1)
    )
    room = console().width - taken
    if room >= _LEAST_SAID:
        cells = [[*row[:-1], shorten(row[-1], min(room, _MOST_SAID)) or ""] for row in cells]
    else:
        columns, cells = columns[:-1], [row[:-1] for row in cells]
    title = f"{len(rows)} intent{'s' * (len(rows) != 1)} on {found['date']}; traces of 7 days"
    table(title, columns, cells)
    if found["pending"]:
        count = len(found["pending"])
        console().print(
            f"With {count} change{'s' * (count != 1)} by people that the tables show from the next run "
            "(`insights intents edits`)."
        )


def _state(row: dict[str, Any]) -> str:
    """The status where it is not the usual one, else the trend."""
    from insights_pipeline.cli.show import shorten
    from insights_pipeline.intents.show import trend_words

    if row["status"] == "merged":
        return f"in {shorten(row['merged_into_name'], _NAME_WIDTH)}"
    pinned = ", pinned" * bool(row["pinned"])
    return (trend_words(row) if row["status"] == "active" else str(row["status"])) + pinned


def _said(description: str) -> str:
    """What people say, without what the heading says already."""
    return description.removeprefix("People ask: ")


correct.register(app)
app.command("evaluate")(evaluate.evaluate)
