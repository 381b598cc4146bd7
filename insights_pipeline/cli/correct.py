"""The verbs that correct intents: each stores one edit and says what it will do, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from insights_pipeline.cli.correcting import BY, INTENT, keep, login, look, news, open_state, when_of
from insights_pipeline.cli.output import JSON, fail, open_engine, parse_day, print_json, table

if TYPE_CHECKING:
    from insights_pipeline.cli.correcting import Seen
    from insights_pipeline.intents.corrections.edits import Part


def rename(
    intent: str = INTENT,
    name: str = typer.Argument(..., help="The new name."),
    by: str | None = BY,
    as_json: bool = JSON,
) -> None:
    """Give an intent a name of your own; no model and no later run changes it.

    Examples:

      insights intents rename "track order" "Where is my parcel"

      insights intents rename int_4a1c7f32be Refunds --by ana --json
    """
    _set("rename", intent, {"name": name}, by, as_json)


def describe(
    intent: str = INTENT,
    text: str = typer.Argument(..., help="What people want who ask this."),
    by: str | None = BY,
    as_json: bool = JSON,
) -> None:
    """Say in your own words what an intent is.

    Examples:

      insights intents describe refunds "Money back for goods that were returned or arrived broken."
    """
    _set("describe", intent, {"text": text}, by, as_json)


def pin(intent: str = INTENT, by: str | None = BY, as_json: bool = JSON) -> None:
    """Keep an intent as it is: no run merges, splits or retires it.

    Examples:

      insights intents pin refunds
    """
    _set("pin", intent, {}, by, as_json)


def unpin(intent: str = INTENT, by: str | None = BY, as_json: bool = JSON) -> None:
    """Let runs change an intent again.

    Examples:

      insights intents unpin refunds
    """
    _set("unpin", intent, {}, by, as_json)


def merge(
    intents: list[str] = typer.Argument(..., help="What becomes part of the other: ids, slugs or names."),
    into: str = typer.Option(..., "--into", help="The intent that they become part of."),
    by: str | None = BY,
    as_json: bool = JSON,
) -> None:
    """Make intents part of another; its history counts theirs from then on, and nothing stored is rewritten.

    Examples:

      insights intents merge "refund status" --into refunds

      insights intents merge int_0a1b2c3d4e int_5f6a7b8c9d --into refunds --json
    """
    engine = open_engine()
    seen = look(engine, None)
    merged = [seen.living(one) for one in intents]
    # a part named as target turns the merge around
    target = seen.find(into)
    if target.intent_id in {one.intent_id for one in merged}:
        fail(f"“{target.name}” cannot be part of itself")
    payload = {"intents": [seen.anchor(one) for one in merged], "into": seen.anchor(target)}
    keep(engine, seen, "merge", payload, by=by, as_json=as_json)


def split(
    intent: str = INTENT,
    part: list[str] = typer.Option(
        [], "--part", help="NAME=a message that belongs in it; again for more messages or parts."
    ),
    by: str | None = BY,
    as_json: bool = JSON,
) -> None:
    """Divide an intent: by the messages you give, else by its sub-intents, else in two.

    The largest part keeps the id; with one part given, the rest does.

    Examples:

      insights intents split refunds

      insights intents split refunds --part "Broken goods=the lamp arrived in pieces, i want my money back"

      insights intents split orders --part "Track=where is my parcel" --part "Track=has it been shipped" \\
        --part "Cancel=i do not want it any more"
    """
    from insights_pipeline.intents.corrections.view import frozen_parts

    engine = open_engine()
    seen = look(engine, None)
    found = seen.living(intent)
    assert seen.preview is not None
    try:
        parts = frozen_parts(seen.preview, found, _parts(part))
    except ValueError as error:
        fail(str(error))
    keep(engine, seen, "split", {"intent": seen.anchor(found), "parts": parts}, by=by, as_json=as_json)


def move(
    intent: str = INTENT,
    category: str | None = typer.Option(None, "--category", help="The category that it moves to."),
    trace: list[str] = typer.Option(
        [], "--trace", help="Id of a trace that belongs to INTENT; again for more."
    ),
    by: str | None = BY,
    as_json: bool = JSON,
) -> None:
    """Move an intent to a category, or traces to an intent: later traces like them follow.

    Examples:

      insights intents move refunds --category Billing

      insights intents move refunds --trace 4f2a9c1e5b7d8a3f --trace 9b1c0d2e4f6a8b7c
    """
    if (category is None) == (not trace):
        fail("say either --category NAME or --trace ID")
    if category is not None:
        _set("move", intent, {"category": category}, by, as_json)
        return
    from insights_pipeline.intents.corrections.edits import MAX_TRACES
    from insights_pipeline.intents.corrections.view import texts_of_traces

    if len(trace) > MAX_TRACES:
        fail(f"at most {MAX_TRACES} traces at once")
    engine = open_engine()
    seen = look(engine, None)
    found = seen.living(intent)
    texts = texts_of_traces(engine, trace)
    if missing := [one for one in trace if not texts.get(one, "").strip()]:
        fail(f"no trace with a message of its user: {', '.join(missing)}")
    traces = [{"trace_id": one, "text": texts[one]} for one in dict.fromkeys(trace)]
    payload = {"intent": seen.anchor(found), "traces": traces}
    keep(engine, seen, "move_traces", payload, by=by, as_json=as_json)


def edits(
    every: bool = typer.Option(False, "--all", help="Also undone ones."),
    as_json: bool = JSON,
) -> None:
    """List the corrections, newest first, each applied, pending (from the next run), waiting or undone.

    Waiting: no intent of today's model is like the one that the edit names; it is applied when there is one.

    Examples:

      insights intents edits

      insights intents edits --all --json
    """
    from datetime import UTC, datetime

    from insights_pipeline.cli.show_intent import edit_words
    from insights_pipeline.intents.corrections.view import UNDONE, state_of

    seen = look(open_engine(), None)
    rows: list[dict[str, Any]] = [
        {
            "edit": edit.edit_id,
            "at": datetime.fromtimestamp(edit.at_ns // 10**9, UTC).isoformat(),
            "by": edit.by,
            "kind": edit.kind,
            "what": edit_words(edit),
            "state": state_of(edit, seen.preview),
            "undone_by": edit.undone_by,
        }
        for edit in reversed(seen.edits)
    ]
    rows = [row for row in rows if every or row["state"] != UNDONE]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo("no edits")
        return
    columns = [("edit", "right"), ("state", "left"), ("what", "left"), ("by", "left"), ("at", "right")]
    cells = [[row["edit"], _in_words(row), row["what"], row["by"], row["at"][:16]] for row in rows]
    table(f"{len(rows)} edit{'s' * (len(rows) != 1)}", columns, cells)


def _in_words(row: dict[str, Any]) -> str:
    """The state of an edit; of one that was taken back after it had come into the tables, what is pending."""
    return "undone from the next run" if row["undone_by"] and row["state"] == "pending" else str(row["state"])


def undo(
    edit: int = typer.Argument(..., help="Number of the edit, as `insights intents edits` shows it."),
    by: str | None = BY,
    as_json: bool = JSON,
) -> None:
    """Take a correction back: names, categories and merges go back to what they were.

    Examples:

      insights intents undo 3
    """
    from insights_pipeline.cli.show_intent import words_of
    from insights_pipeline.lake import now_ns
    from insights_pipeline.state import StateError, undo_intent_edit

    engine = open_engine()
    before = look(engine, None)
    try:
        undone = undo_intent_edit(open_state(), edit, at_ns=now_ns(), by=by or login())
    except StateError as error:
        fail(str(error))
    seen = look(engine, None)
    will = []
    if before.preview is not None and seen.preview is not None:
        will = news(before.preview.events, seen.preview.events)
    told = {"edit": edit, "kind": undone.kind, "by": undone.undone_by, "will": will, **when_of(seen)}
    if as_json:
        print_json(told)
        return
    for event in will:
        typer.echo(words_of(event))
    typer.echo(
        f"Edit {edit} is undone, in the tables from the next run. "
        f"For the past too: `{told['apply_to_past']}`."
    )


def rediscover(
    first: str | None = typer.Option(
        None,
        "--from",
        help="First day of the new intents (YYYY-MM-DD, today, yesterday); default: the newest.",
    ),
    by: str | None = BY,
    as_json: bool = JSON,
) -> None:
    """Find the intents anew from a day on. What people corrected is applied to what is found.

    Examples:

      insights intents rediscover

      insights intents rediscover --from 2026-03-01
    """
    from insights_pipeline.lake import now_ns
    from insights_pipeline.state import StateError, add_intent_edit

    seen = look(open_engine(), None)
    if seen.preview is None:
        fail(
            "there are no intents yet: they are discovered by `insights run` once enough traces came", code=1
        )
    day = parse_day(first) or seen.preview.day
    who = by or login()
    try:
        edit = add_intent_edit(
            open_state(), at_ns=now_ns(), by=who, kind="rediscover", payload={"from": str(day)}
        )
    except StateError as error:
        fail(str(error))
    newest = seen.preview.day
    run = f"insights run --from {day} --to {newest}" if day <= newest else None
    told = {"edit": edit.edit_id, "kind": "rediscover", "by": who, "from": str(day), "apply_to_past": run}
    if as_json:
        print_json(told)
        return
    typer.echo(f"Edit {edit.edit_id}: intents are found anew on the first day that is run at or after {day}.")
    now = f"To do it now: `{run}`. " if run else f"The newest day with intents is {newest}. "
    typer.echo(f"{now}To take it back before: `insights intents undo {edit.edit_id}`.")


def register(app: typer.Typer) -> None:
    """Put the verbs into the group."""
    for verb in (rename, describe, merge, split, pin, unpin, move, edits, undo, rediscover):
        app.command(verb.__name__)(verb)


def _set(kind: str, reference: str, value: dict[str, Any], by: str | None, as_json: bool) -> None:
    from insights_pipeline.intents.corrections.edits import MAX_DESCRIPTION, MAX_NAME, visible

    most = MAX_DESCRIPTION if kind == "describe" else MAX_NAME
    for text in value.values():
        if not visible(text, most):
            fail("the text has no visible character")
        if len(" ".join(text.split())) > most:
            fail(f"the text has {len(text):,} characters: at most {most:,} are kept")
    engine = open_engine()
    seen = look(engine, None)
    found = seen.living(reference)
    if kind == "rename":
        _refuse_taken(seen, found.intent_id, visible(value["name"], most))
    keep(engine, seen, kind, {"intent": seen.anchor(found), **value}, by=by, as_json=as_json)


def _refuse_taken(seen: Seen, intent_id: str, name: str) -> None:
    """Two intents of one name could not be told apart, in a list as little as in a brief."""
    assert seen.preview is not None
    for other in seen.preview.model.living:
        if other.intent_id != intent_id and other.name.casefold() == name.casefold():
            fail(
                f"“{other.name}” is the name of {other.intent_id} already: choose another, or make them one with "
                f"`insights intents merge {intent_id} --into {other.intent_id}`"
            )


def _parts(given: list[str]) -> list[Part]:
    """`NAME=message` of each; messages of one name are one part."""
    from insights_pipeline.intents.corrections.edits import MAX_PARTS, Part

    messages: dict[str, list[str]] = {}
    for one in given:
        name, found, text = one.partition("=")
        if not found or not name.strip() or not text.strip():
            fail(f"--part {one!r}: write it as NAME=a message that belongs in it")
        messages.setdefault(name.strip(), []).append(text.strip())
    if len(messages) > MAX_PARTS:
        fail(f"at most {MAX_PARTS} parts")
    return [Part(name, tuple(texts)) for name, texts in messages.items()]
