"""Discovered drafts and edits for the tests of corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from insights_pipeline.intents.corrections.edits import Edit, anchor_payload, edits_of
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.embedding.wordllama_space import fit_space
from insights_pipeline.intents.life.refresh import first_draft
from insights_pipeline.intents.model import Draft, Intent, learning
from insights_pipeline.intents.vectors import Texts
from tests.intents.streams import FIRST, stream

NEXT = date(2026, 3, 10)


@dataclass(frozen=True, slots=True)
class Row:
    """As `state` gives it."""

    edit_id: int
    kind: str
    payload: Mapping[str, Any]
    by: str = "ana"
    at_ns: int = 1
    undone_by: str | None = None


@cache
def found(seed: int = 0, born: date = FIRST) -> tuple[Draft, Space, Mapping[str, str]]:
    """The intents of 300 traces of five planted kinds, the space, and the planted kind of each trace."""
    made = stream(1, 300, seed=seed)
    texts = made.traces.column("user_text").to_pylist()
    space = fit_space(texts)
    ids = tuple(made.traces.column("trace_id").to_pylist())
    sample = Texts((born,) * len(ids), ids, tuple(texts), space.embed(texts))
    return first_draft(learning(0), sample, space=space, day=born, seed=0), space, made.planted


def about(draft: Draft, planted: Mapping[str, str], kind: str) -> Intent:
    """The largest intent most of whose exemplars were planted as `kind`."""
    mine = [
        intent
        for intent in draft.intents.values()
        if sum(planted.get(one) == kind for one in intent.exemplar_ids) > len(intent.exemplar_ids) / 2
    ]
    return max(mine, key=lambda intent: (intent.size, intent.intent_id))


def anchor(intent: Intent, *, of_split: int | None = None) -> dict[str, Any]:
    return anchor_payload(intent.intent_id, intent.name, intent.exemplar_texts, of_split=of_split)


def rename(number: int, intent: Intent, name: str, **more: Any) -> Row:
    return Row(number, "rename", {"intent": anchor(intent), "name": name}, **more)


def merge(number: int, merged: Sequence[Intent], into: Intent, **more: Any) -> Row:
    payload = {"intents": [anchor(one) for one in merged], "into": anchor(into)}
    return Row(number, "merge", payload, **more)


def split(number: int, intent: Intent, *parts: Mapping[str, Any], **more: Any) -> Row:
    return Row(number, "split", {"intent": anchor(intent), "parts": list(parts)}, **more)


def move_traces(number: int, intent: Intent, traces: Mapping[str, str], **more: Any) -> Row:
    said = [{"trace_id": one, "text": text} for one, text in traces.items()]
    return Row(number, "move_traces", {"intent": anchor(intent), "traces": said}, **more)


def edits(*rows: Row) -> list[Edit]:
    return edits_of(rows)
