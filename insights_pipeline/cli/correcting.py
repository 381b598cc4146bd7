"""What the verbs of `insights intents` share: the edits, the model under them, and storing one more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from insights_pipeline.cli.output import fail, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from insights_pipeline.intents.corrections.edits import Edit
    from insights_pipeline.intents.corrections.view import Preview
    from insights_pipeline.intents.model import Intent
    from insights_pipeline.lake import DuckDBEngine
    from insights_pipeline.state import State

BY = typer.Option(None, "--by", help="Who says so; default: the login name.")
INTENT = typer.Argument(..., help="Id, slug, name, or the beginning of one.")

_BESIDE = frozenset({"edit", "by", "name", "into_name"})  # a later name does not make an event another one


@dataclass(frozen=True, slots=True)
class Seen:
    """All edits, and the model under them (None while there is none)."""

    edits: list[Edit]
    preview: Preview | None

    def find(self, reference: str) -> Intent:
        """The intent that is meant; exits with the candidates where that is not clear."""
        from insights_pipeline.intents.corrections.view import UnknownIntentError, find_intent

        if self.preview is None:
            fail("there are no intents yet: bring traces with `insights ingest`, then `insights run`", code=1)
        try:
            return find_intent(self.preview.model.intents, reference)
        except UnknownIntentError as error:
            fail(str(error))

    def living(self, reference: str) -> Intent:
        """The same, and no part of another intent: whoever names it by now means that one, or undoes the merge."""
        found = self.find(reference)
        if found.status == "merged" and self.preview is not None:
            whole = self.preview.model.target_of(found.intent_id)
            name = next(one.name for one in self.preview.model.intents if one.intent_id == whole)
            fail(f"“{found.name}” is part of “{name}” ({whole}): name that one, or undo the merge")
        return found

    def anchor(self, intent: Intent) -> dict[str, Any]:
        from insights_pipeline.intents.corrections.edits import anchor_payload
        from insights_pipeline.intents.corrections.ledger import KEY

        assert self.preview is not None
        applied = self.preview.model.thresholds.get(KEY, {}).get("applied", {})
        of_split = next(
            (int(key) for key, made in applied.items() if intent.intent_id in made.get("made", [])), None
        )
        return anchor_payload(intent.intent_id, intent.name, intent.exemplar_texts, of_split=of_split)


def open_state() -> State:
    from insights_pipeline.settings import settings
    from insights_pipeline.state import State, StateError

    try:
        return State(settings().state_url.get_secret_value())
    except StateError as error:
        fail(str(error))


def shown_day(engine: DuckDBEngine) -> date | None:
    """The newest day with a model."""
    return max(engine.lake.days("intent_models"), default=None)


def look(engine: DuckDBEngine, day: date | None, *more: Any) -> Seen:
    """The edits (and those rows that might come to them) over the model of a day, the newest by default."""
    from insights_pipeline.intents.corrections.correct import edits_of
    from insights_pipeline.intents.corrections.view import preview
    from insights_pipeline.state import StateError, intent_edits
    from insights_pipeline.wiring import embeddings

    try:
        edits = edits_of([*intent_edits(open_state()), *more])
    except StateError as error:
        fail(str(error))
    return Seen(edits, preview(engine.lake, edits, embeddings=embeddings(), day=day))


def keep(
    engine: DuckDBEngine, seen: Seen, kind: str, payload: Mapping[str, Any], *, by: str | None, as_json: bool
) -> None:
    """Show what an edit will do, store it and say from when it holds; an edit that would do nothing is refused."""
    from insights_pipeline.cli.show_intent import edit_words, words_of
    from insights_pipeline.lake import now_ns
    from insights_pipeline.state import IntentEdit, StateError, add_intent_edit

    who = by or login()
    number = max((edit.edit_id for edit in seen.edits), default=0) + 1
    tried = look(engine, None, IntentEdit(number, now_ns(), who, kind, payload))
    assert tried.preview is not None and seen.preview is not None
    will = news(seen.preview.events, tried.preview.events)
    if not will and _rows(seen.preview) == _rows(tried.preview):
        fail("that is so already: nothing would change", code=1)
    try:
        edit = add_intent_edit(open_state(), at_ns=now_ns(), by=who, kind=kind, payload=payload)
    except StateError as error:
        fail(str(error))
    for event in will:
        event.update({"edit": edit.edit_id} if event.get("edit") == number else {})
    told = {"edit": edit.edit_id, "kind": kind, "by": who, "will": will, **_when(tried.preview)}
    if as_json:
        print_json(told)
        return
    for line in [words_of(event) for event in will] or [edit_words(tried.edits[-1])]:
        typer.echo(line)
    say_when(told)


def _rows(seen: Preview) -> list[dict[str, Any]]:
    return [intent.row(seen.day, "") for intent in seen.model.intents]


def news(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is told now and was not before, whoever says so by whichever edit."""

    def said(event: Mapping[str, Any]) -> str:
        return str(sorted((key, str(value)) for key, value in event.items() if key not in _BESIDE))

    known = {said(event) for event in before}
    return [dict(event) for event in now if said(event) not in known]


def _when(seen: Preview) -> dict[str, str]:
    return {
        "shown": "at once in `insights intents`",
        "in_tables": "from the next run",
        "apply_to_past": f"insights run --from {seen.discovered} --to {seen.day}",
    }


def say_when(told: Mapping[str, Any]) -> None:
    typer.echo(
        f"Edit {told['edit']}, shown at once in `insights intents`, in the tables from the next run. "
        f"To apply it to the past too: `{told['apply_to_past']}`. "
        f"To take it back: `insights intents undo {told['edit']}`."
    )


def when_of(seen: Seen) -> dict[str, str]:
    """When a change of the edits shows, where there is a model."""
    return {"apply_to_past": "insights run"} if seen.preview is None else _when(seen.preview)


def login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without a user of that number
        return "someone"
