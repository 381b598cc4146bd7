"""`insights drift …`: what changed, all of one change, what carries it, and the verbs by which people decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from insights_pipeline.cli import decide
from insights_pipeline.cli.find_items import check_metric, found_items, item_named
from insights_pipeline.cli.output import JSON, fail, open_engine, print_json, table
from insights_pipeline.drift.constants import TESTED

if TYPE_CHECKING:
    from insights_pipeline.drift.read import DayItems

_DAY = typer.Option(None, "--date", help="Day (YYYY-MM-DD, today, yesterday); default: the newest.")
_EVERY = typer.Option(False, "--all", help="Also pending, resolved, accepted and dismissed items.")
_INTENT = typer.Option(None, "--intent", help='Only of this intent (id, name, "all", "unknown").')
_METRIC = typer.Option(
    None, "--metric", help=f"Only of this metric (begins with): {', '.join(TESTED)} or score:NAME."
)
_STATE = typer.Option(None, "--state", help="Only in this state, e.g. new or resolved.", case_sensitive=False)
_STATES = ("pending", "new", "ongoing", "recovering", "no_data", "resolved", "accepted", "dismissed")
_ITEM = typer.Argument(..., help="Id of the item, the beginning of it, or the name of its intent.")

app = typer.Typer(
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    day: str | None = _DAY,
    every: bool = _EVERY,
    intent: str | None = _INTENT,
    metric: str | None = _METRIC,
    state: str | None = _STATE,
    as_json: bool = JSON,
) -> None:
    """What changed against the baseline: list, show and explain items, and decide about them. Without a verb: the list.

    An ITEM is named by its id, the beginning of it, or the name of its intent where that has one item only.

    Examples:

      insights drift

      insights drift --date 2026-03-02 --all --json

      insights drift show drf_4a1c

      insights drift explain "track order"

      insights drift accept drf_4a1c --note "the new model"
    """
    if context.invoked_subcommand is None:
        list_(day=day, every=every, intent=intent, metric=metric, state=state, as_json=as_json)
        return
    sources = [context.get_parameter_source(option) for option in context.params]
    if any(source is not None and source.name == "COMMANDLINE" for source in sources):
        # a script that asked for JSON must not be given a table
        fail(f"options come after the verb: `insights drift {context.invoked_subcommand} …`")


@app.command("list")
def list_(
    day: str | None = _DAY,
    every: bool = _EVERY,
    intent: str | None = _INTENT,
    metric: str | None = _METRIC,
    state: str | None = _STATE,
    as_json: bool = JSON,
) -> None:
    """List the drift items of a day, weightiest first: what changed, by how much, since when, what carries it.

    Examples:

      insights drift list

      insights drift list --intent refunds --metric latency

      insights drift list --state resolved --date 2026-03-02 --json
    """
    found = found_items(day)
    check_metric(metric, found)
    shown = [row for row in found.items if _wanted(row, found, every, intent, metric, state)]
    if as_json:
        print_json({"date": found.date, "status": found.status, "items": shown})
        return
    if found.status == "learning":
        typer.echo(f"learning ({found.traces_seen} of {found.bootstrap_traces})")
        return
    _list_table(found, shown)


@app.command("show")
def show(item: str = _ITEM, day: str | None = _DAY, as_json: bool = JSON) -> None:
    """Show all of one item: its days, before and now, the tests behind it, carriers, onset and traces.

    Examples:

      insights drift show drf_4a1c7f32

      insights drift show "track order" --json
    """
    from insights_pipeline.cli.show_item import facts_of, print_facts

    engine = open_engine()
    facts = facts_of(engine.lake, item_named(item, day))
    print_json(facts) if as_json else print_facts(facts)


@app.command("explain")
def explain(item: str = _ITEM, day: str | None = _DAY, as_json: bool = JSON) -> None:
    """Take a change apart: what each model, tenant, environment, service, release, prompt and tool adds, day by day.

    The parts of a dimension add up to the whole change: the slices' own changes, and that their shares moved.

    Examples:

      insights drift explain drf_4a1c7f32

      insights drift explain "track order" --json
    """
    from insights_pipeline.cli.explain_item import explained, print_explained

    told = explained(open_engine(), item_named(item, day))
    print_json(told) if as_json else print_explained(told)


def _wanted(
    row: dict[str, Any],
    found: DayItems,
    every: bool,
    intent: str | None,
    metric: str | None,
    state: str | None,
) -> bool:
    from insights_pipeline.drift.life.item import OPEN

    if state is not None and state.lower() not in _STATES:
        fail(f"--state {state}: an item is {', '.join(_STATES[:-1])} or {_STATES[-1]}")
    if state is not None and row["state"] != state.lower():
        return False
    if metric is not None and not row["metric"].startswith(metric.lower()):
        return False
    if intent is not None and row["intent_id"] != _intent(found, intent):
        return False
    return every or state is not None or row["state"] in OPEN


def _intent(found: DayItems, reference: str) -> str:
    """The id of an intent that items are of."""
    from insights_pipeline.drift.read import UnknownReferenceError, find_intent

    there = {row["intent_id"]: {"intent_id": row["intent_id"], "name": row["intent"]} for row in found.items}
    try:
        return find_intent(there.values(), reference)
    except UnknownReferenceError as error:
        fail(f"{error} among the intents with items on {found.date}")


def _list_table(found: DayItems, rows: list[dict[str, Any]]) -> None:
    from insights_pipeline.brief import units
    from insights_pipeline.cli.show_item import carried_by, who

    cells: list[list[Any]] = [
        [
            row["item_id"],
            row["state"],
            who(row),
            units.verb(row["metric"], row["direction"]),
            *units.scaled(row["metric"], row["effect"], row["effect_low"], row["effect_high"]),
            row["severity"],
            row["onset"] or row["opened"],
            row["n"],
            carried_by(row) or "–",
        ]
        for row in rows
    ]
    columns = [
        ("item", "left"),
        ("state", "left"),
        ("intent", "left"),
        ("what", "left"),
        ("change", "right"),
        ("95 %", "right"),
        ("severity", "left"),
        ("since", "right"),
        ("traces", "right"),
        ("carried by", "left"),
    ]
    table(f"{len(rows)} drift item{'s' * (len(rows) != 1)} on {found.date}", columns, cells)
    if rows:
        typer.echo("`insights drift explain ITEM` takes a change apart, `show ITEM` tells all of it.")


decide.register(app)
