"""The verbs by which people decide about drift items: each stores one decision and says from when it holds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import typer

from insights_pipeline.cli.output import JSON, fail, open_engine, parse_day, print_json, table

if TYPE_CHECKING:
    from insights_pipeline.state import DriftDecision

_ITEM = typer.Argument(..., help="Id of the item, the beginning of it, or the name of its intent.")
_DAY = typer.Option(None, "--date", help="Day whose items are meant; default: the newest.")
_NOTE = typer.Option(None, "--note", help="Why, for whoever reads it later.")
_BY = typer.Option(None, "--by", help="Who says so; default: the login name.")


def accept(
    item: str = _ITEM,
    note: str | None = _NOTE,
    day: str | None = _DAY,
    by: str | None = _BY,
    as_json: bool = JSON,
) -> None:
    """Say that the new level is the normal one: the item is closed, and what comes is compared with the level since.

    Examples:

      insights drift accept drf_4a1c7f32

      insights drift accept "track order" --note "the new model, as planned" --json
    """
    _decide("accept", item, day, note=note, until=None, by=by, as_json=as_json)


def dismiss(
    item: str = _ITEM,
    until: str | None = typer.Option(
        None,
        "--until",
        help="Quiet up to this day (YYYY-MM-DD) only; a change that still shows is told again after.",
    ),
    note: str | None = _NOTE,
    day: str | None = _DAY,
    by: str | None = _BY,
    as_json: bool = JSON,
) -> None:
    """Say that an item is nothing: it is told no more, and its days count as normal ones. With --until only a pause.

    Examples:

      insights drift dismiss drf_4a1c7f32

      insights drift dismiss drf_4a1c7f32 --until 2026-04-01 --note "load test of the payment team"
    """
    _decide("dismiss", item, day, note=note, until=until, by=by, as_json=as_json)


def undo(
    decision: int = typer.Argument(
        ..., help="Number of the decision, as `insights drift decisions` shows it."
    ),
    by: str | None = _BY,
    as_json: bool = JSON,
) -> None:
    """Take a decision back: days run from then on are judged as if it had never been made.

    Examples:

      insights drift undo 3
    """
    from insights_pipeline.cli.correcting import login, open_state
    from insights_pipeline.lake import now_ns
    from insights_pipeline.state import StateError, undo_drift_decision

    try:
        undone = undo_drift_decision(open_state(), decision, at_ns=now_ns(), by=by or login())
    except StateError as error:
        fail(str(error))
    told = {**_told(undone), **_when(_day_of(undone))}
    if as_json:
        print_json(told)
        return
    typer.echo(f"Decision {decision} is undone, in the tables from the next run. {_now(told)}")


def decisions(
    every: bool = typer.Option(False, "--all", help="Also undone ones."),
    as_json: bool = JSON,
) -> None:
    """List what people decided about drift items, newest first.

    Examples:

      insights drift decisions

      insights drift decisions --all --json
    """
    from insights_pipeline.cli.correcting import open_state
    from insights_pipeline.state import StateError, drift_decisions

    try:
        stored = drift_decisions(open_state())
    except StateError as error:
        fail(str(error))
    rows = [_told(one) for one in reversed(stored) if every or one.undone_at_ns is None]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo("no decisions")
        return
    names = _names(rows)
    cells = [
        [
            row["decision"],
            row["kind"],
            _what(row, names),
            row["from"],
            row["until"],
            row["state"],
            row["by"],
            row["note"],
        ]
        for row in rows
    ]
    columns = [
        ("decision", "right"), ("kind", "left"), ("what", "left"), ("from", "right"), ("until", "right"),
        ("state", "left"), ("by", "left"), ("note", "left"),
    ]  # fmt: skip
    table(f"{len(rows)} decision{'s' * (len(rows) != 1)}", columns, cells)


def register(app: typer.Typer) -> None:
    """Put the verbs into the group."""
    for verb in (accept, dismiss, undo, decisions):
        app.command(verb.__name__)(verb)


def _decide(
    kind: str,
    reference: str,
    day: str | None,
    *,
    note: str | None,
    until: str | None,
    by: str | None,
    as_json: bool,
) -> None:
    from insights_pipeline.brief import units
    from insights_pipeline.cli.correcting import login, open_state
    from insights_pipeline.cli.deciding import refuse_idle, refuse_second
    from insights_pipeline.cli.find_items import item_named
    from insights_pipeline.cli.show_item import who
    from insights_pipeline.drift.life.decisions import effective, payload_of
    from insights_pipeline.lake import now_ns
    from insights_pipeline.state import StateError, add_drift_decision

    found = item_named(reference, day)
    end = parse_day(until)
    refuse_idle(kind, found, note)
    refuse_second(found)
    try:
        payload = payload_of(found, day=found["date"], until=end, note=units.one_line(note) if note else None)
    except ValueError as error:
        fail(str(error))
    try:
        made = add_drift_decision(open_state(), at_ns=now_ns(), by=by or login(), kind=kind, payload=payload)
    except StateError as error:
        fail(str(error))
    does = effective(kind, day=found["date"], until=end)
    told = {**_told(made), "does": does, **_when(found["date"])}
    if as_json:
        print_json(told)
        return
    typer.echo(f"{who(found)}: {units.verb(found['metric'], found['direction'])}. {does}")
    typer.echo(
        f"Decision {made.decision_id}. {_now(told)}To take it back: `insights drift undo {made.decision_id}`."
    )


def _told(one: DriftDecision) -> dict[str, Any]:
    """A decision as one flat row."""
    payload = one.payload
    return {
        "decision": one.decision_id,
        "kind": one.kind,
        "at": datetime.fromtimestamp(one.at_ns // 10**9, UTC).isoformat(),
        "by": one.by,
        "from": str(_day_of(one)),
        **{
            name: payload.get(name)
            for name in ("until", "note", "item_id", "intent_id", "slice", "metric", "direction")
        },
        "state": "undone" if one.undone_at_ns is not None else "in force",
        "undone_by": one.undone_by,
    }


def _day_of(one: DriftDecision) -> date:
    """First day that the decision is about."""
    from insights_pipeline.lake.days import day_of_ns

    stored = one.payload.get("day")
    return date.fromisoformat(stored) if stored else day_of_ns(one.at_ns)


def _when(day: date) -> dict[str, str | None]:
    """The command that applies a decision to the days there are; None where they are yet to come."""
    newest = max(open_engine().lake.days("intent_models"), default=None)
    applies = newest is not None and newest >= day
    return {"apply_now": f"insights run --from {day} --to {newest}" if applies else None}


def _now(told: dict[str, Any]) -> str:
    return f"To apply it now: `{told['apply_now']}`. " if told["apply_now"] else ""


def _names(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Names that the intents have today."""
    from insights_pipeline.drift.read import named

    lake = open_engine().lake
    newest = max(lake.days("intents"), default=None)
    of = [{"intent_id": row["intent_id"]} for row in rows]
    return {row["intent_id"]: row["intent"] for row in named(lake, newest, of)} if newest else {}


def _what(row: dict[str, Any], names: dict[str, str]) -> str:
    from insights_pipeline.brief import units
    from insights_pipeline.cli.show_item import who

    intent = {"intent": names.get(row["intent_id"]) or str(row["intent_id"]), "slice": row["slice"]}
    return f"{who(intent)}: {units.verb(str(row['metric']), str(row['direction']))}"
