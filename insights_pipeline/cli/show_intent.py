"""All of one intent, and lineage events, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from insights_pipeline.cli.show import shorten

if TYPE_CHECKING:
    from insights_pipeline.cli.correcting import Seen
    from insights_pipeline.intents.corrections.edits import Edit
    from insights_pipeline.intents.model import Intent
    from insights_pipeline.lake import DayRange, DuckDBEngine

_EXEMPLARS = 10


def lineage(engine: DuckDBEngine, days: DayRange | None = None) -> list[dict[str, Any]]:
    """Events of these days (of all, by default) with their date, oldest first."""
    import json

    from insights_pipeline.lake import Slice

    rows = engine.lake.read(Slice("intent_models", days, ("date", "events"))).to_pylist()
    rows.sort(key=lambda row: row["date"])
    return [{"date": row["date"], **event} for row in rows for event in json.loads(row["events"] or "[]")]


def concerns(event: Mapping[str, Any], intent_id: str) -> bool:
    """Whether an event names the intent anywhere."""
    return _names(list(event.values()), intent_id)


def _names(value: Any, intent_id: str) -> bool:
    if isinstance(value, Mapping):
        return any(_names(one, intent_id) for one in value.values())
    if isinstance(value, list):
        return any(_names(one, intent_id) for one in value)
    return bool(value == intent_id)


def words_of(event: Mapping[str, Any]) -> str:
    """An event as one line for people."""
    name = _quoted(event.get("name"))
    match event["kind"]:
        case "renamed":
            text = f"{_quoted(event.get('from'))} is called {_quoted(event.get('to'))}"
        case "merged":
            text = f"{name} is part of {_quoted(event.get('into_name') or event.get('into'))}"
        case "unmerged":
            text = f"{name} stands for itself again"
        case "split" if event.get("parts"):
            parts = ", ".join(_quoted(part.get("name")) for part in event["parts"])
            text = f"{name} is divided: {parts} on its own"
        case "moved" if "traces" in event and event.get("undone"):
            text = f"{_traces(event['traces'])} moved to {name} may go elsewhere again"
        case "moved" if "traces" in event:
            text = f"{_traces(event['traces'])} and those like them belong to {name}"
        case "moved":
            text = f"{name} is in the category {_quoted(event.get('to'))}"
        case "described":
            text = f"{name} is described anew"
        case "pinned":
            text = f"{name} is {'kept as it is' if event.get('pinned', True) else 'no longer kept as it is'}"
        case "anchored":
            text = f"{name} is what was {_quoted(event.get('anchor') or event.get('was'))}"
        case "correction_waiting":
            text = f"edit {event.get('edit')} waits: {shorten(str(event.get('why')), 160)}"
        case _:
            told = {"kind", "intent_id", "name", "date", "by", "edit", "undone"}
            more = [
                f"{key.replace('_', ' ')} {_plain(value)}"
                for key, value in sorted(event.items())
                if key not in told
            ]
            text = ": ".join(filter(None, [name if event.get("name") else "", ", ".join(more)]))
    who = event.get("by")
    return f"{text} ({shorten(str(who), 40)})" if who else text


def edit_words(edit: Edit) -> str:
    """An edit as one line for people."""
    if edit.unreadable is not None:
        return f"{edit.kind}: cannot be read ({edit.unreadable})"
    names = ", ".join(_quoted(anchor.name) for anchor in edit.intents)
    match edit.kind:
        case "rename":
            return f"rename {names} to {_quoted(edit.text)}"
        case "describe":
            return f"describe {names}: {shorten(edit.text, 80)}"
        case "move":
            return f"move {names} to the category {_quoted(edit.text)}"
        case "move_traces":
            return f"move {_traces(len(edit.traces))} to {names}"
        case "merge":
            return f"merge {names} into {_quoted(edit.into.name if edit.into else None)}"
        case "split":
            parts = [_quoted(part.name) for part in edit.parts if part.name]
            return f"split {names}" + (f" into {', '.join(parts)}" if parts else "")
        case "rediscover":
            return f"find the intents anew from {edit.since}"
    return f"{edit.kind} {names}"


def facts_of(engine: DuckDBEngine, seen: Seen, intent: Intent) -> dict[str, Any]:
    """Everything that is known of an intent."""
    from insights_pipeline.intents.corrections.view import overlaid, state_of
    from insights_pipeline.intents.show import intents_of

    assert seen.preview is not None
    found = intents_of(engine, seen.preview.day)
    assert found is not None  # the preview is of this day
    row = next(
        one for one in overlaid(found, seen.preview)["intents"] if one["intent_id"] == intent.intent_id
    )
    return {
        **{key: value for key, value in row.items() if key != "exemplars"},
        "date": seen.preview.day,
        "size": intent.size,
        "exemplars": [
            {"trace_id": trace_id, "text": text}
            for trace_id, text in zip(intent.exemplar_ids, intent.exemplar_texts, strict=True)
        ],
        "parts": [one.intent_id for one in seen.preview.model.intents if one.merged_into == intent.intent_id],
        "events": [event for event in lineage(engine) if concerns(event, intent.intent_id)],
        "edits": [
            {
                "edit": edit.edit_id,
                "by": edit.by,
                "what": edit_words(edit),
                "state": state_of(edit, seen.preview),
            }
            for edit in seen.edits
            if intent.intent_id in {anchor.intent_id for anchor in edit.anchors}
        ],
    }


def print_facts(facts: Mapping[str, Any]) -> None:
    """The facts for a person, without anything that a terminal would obey."""
    from insights_pipeline.intents.show import trend_words

    def say(label: str, text: object) -> None:
        if text not in (None, "", []):
            typer.echo(f"{label + ':':<13}{shorten(str(text), 400)}")

    typer.secho(shorten(facts["name"], 200), bold=True)
    say("id", f"{facts['intent_id']}, slug {facts['slug']}, named by {facts['named_by']}")
    say("status", _status(facts))
    say("category", facts["category"])
    say("is", facts["description"])
    say("neighbour", facts["apart_from"])
    trend = trend_words(facts)
    p = facts["trend_p"]
    say("trend", trend if p is None else f"{trend}, p = {p:.2g}")
    say("traffic", f"{facts['traces']:,} traces in 7 days, {100 * facts['share']:.0f} %")
    for part in facts["sub_intents"]:
        say("part", f"{part['name']} ({100 * part['share']:.0f} %)")
    typer.echo("people say:")
    for one in facts["exemplars"][:_EXEMPLARS]:
        typer.echo(f"  {shorten(one['trace_id'], 40):<34} {shorten(one['text'], 160)}")
    _section("history", [f"{event['date']}  {event['kind']}: {words_of(event)}" for event in facts["events"]])
    _section(
        "edits",
        [f"{edit['edit']}  {edit['what']} ({edit['by']}, {edit['state']})" for edit in facts["edits"]],
    )


def _status(facts: Mapping[str, Any]) -> str:
    parts = [facts["status"], f"since {facts['born']}"]
    if facts["merged_into_name"]:
        parts.append(f"part of “{facts['merged_into_name']}”")
    if facts["split_from_name"]:
        parts.append(f"split from “{facts['split_from_name']}”")
    if facts["pinned"]:
        parts.append("pinned")
    return ", ".join(parts)


def _section(title: str, lines: list[str]) -> None:
    if lines:
        typer.echo(f"{title}:")
        for line in lines:
            typer.echo(f"  {shorten(line, 300)}")


def _quoted(text: object) -> str:
    return f"“{shorten(str(text or '–'), 80)}”"


def _traces(count: int) -> str:
    return f"{count} trace{'s' * (count != 1)}"


def _plain(value: object) -> str:
    return shorten(str(round(value, 4) if isinstance(value, float) else value), 120) or ""
