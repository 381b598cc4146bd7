"""What a language model is asked about intents, and the shape its answers must have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, model_validator

from insights_pipeline.intents.model import LLM, Intent
from insights_pipeline.intents.naming.suspects import speaks_to_model
from insights_pipeline.intents.vectors import cosines, exact
from insights_pipeline.llm import Prompt, fenced_prompt, visible

Redact = Callable[[str], str]
_PACKAGE = "insights_pipeline.intents.naming"
BATCH, PAIRS = 10, 12
EXEMPLARS, _CENTRAL, _OTHERS, _OF_PAIR, _PHRASES = 10, 4, 5, 4, 8
_TEXT, _PHRASE = 200, 60  # characters
_CLEAN = 3  # messages that suffice without those that speak to the model


class _Shape(BaseModel):
    @model_validator(mode="before")
    @classmethod
    def _null_is_nothing_said(cls, value: Any) -> Any:
        """Models write null for what they leave out; one of them would otherwise spoil the answer for all."""
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


class Group(_Shape):
    """Messages of an intent that are of one kind."""

    name: str = ""
    messages: list[int] = Field(default_factory=list)


class NamedIntent(_Shape):
    number: int
    name: str
    description: str = ""
    coherent: bool = True
    groups: list[Group] = Field(default_factory=list)


class NamingAnswer(_Shape):
    intents: list[NamedIntent]


class PairVerdict(_Shape):
    number: int
    same: bool


class MergingAnswer(_Shape):
    pairs: list[PairVerdict]


class CategoryAnswer(_Shape):
    name: str
    description: str = ""
    intents: list[int]


class CategoriesAnswer(_Shape):
    categories: list[CategoryAnswer]


def shown(intent: Intent) -> list[int]:
    """At most ten exemplars by place: the most typical, then each the one least like those before it.

    Texts that speak to a model are left out where three others remain. The order is that of the exemplars.
    """
    clean = [
        place
        for place, text in enumerate(intent.exemplar_texts)
        if text.strip() and not speaks_to_model(text)
    ]
    places = clean if len(clean) >= _CLEAN else list(range(len(intent.exemplar_texts)))
    different = list({intent.exemplar_texts[place].casefold(): place for place in reversed(places)}.values())
    left = sorted(different)
    chosen, left = left[:_CENTRAL], left[_CENTRAL:]
    near = exact(intent.exemplar_vectors)
    while left and chosen and len(chosen) < EXEMPLARS:
        likeness = cosines(near[left], near[chosen]).max(axis=1)
        chosen.append(left.pop(int(likeness.argmin())))
    return sorted(chosen)


def naming_prompt(
    batch: Sequence[Intent], others: Sequence[Sequence[Intent]], redact: Redact, *, taken: Sequence[str] = ()
) -> Prompt:
    """Name these intents; `others` are, for each, intents like it; `taken` are names that are not free."""
    lines: list[str] = []
    for number, (intent, like) in enumerate(zip(batch, others, strict=True), start=1):
        phrases = [_quoted(phrase, _PHRASE, redact) for phrase in intent.phrases[:_PHRASES]]
        lines += [f"intent {number}", f"phrases: {', '.join(phrases) or 'none'}"]
        if intent.named_by == LLM:
            lines.append(f"current name: {_quoted(intent.name, _PHRASE, redact)}")
        lines.append("messages:")
        lines += [
            f"{place}. {_quoted(intent.exemplar_texts[index], _TEXT, redact)}"
            for place, index in enumerate(shown(intent), start=1)
        ]
        contrast = [text for one in like for text in _typical(one, 3)][:_OTHERS]
        lines += ["others:", *(f"- {_quoted(text, _TEXT, redact)}" for text in contrast)] if contrast else []
        lines.append("")
    if taken:
        lines.append(
            f"names that other intents have: {', '.join(_quoted(n, _PHRASE, redact) for n in taken)}"
        )
    return fenced_prompt(_PACKAGE, "naming", "\n".join(lines).strip())


def merging_prompt(pairs: Sequence[tuple[Intent, Intent]], redact: Redact) -> Prompt:
    """Are these the same?"""
    lines: list[str] = []
    for number, pair in enumerate(pairs, start=1):
        lines.append(f"pair {number}")
        for side, intent in zip("AB", pair, strict=True):
            lines += [
                f"{side}:",
                *(f"- {_quoted(text, _TEXT, redact)}" for text in _typical(intent, _OF_PAIR)),
            ]
        lines.append("")
    return fenced_prompt(_PACKAGE, "merging", "\n".join(lines).strip())


def categories_prompt(
    intents: Sequence[Intent], existing: Sequence[tuple[str, str]], wanted: str, redact: Redact
) -> Prompt:
    """Sort these intents into categories, of which some may exist."""
    lines = [
        f"existing: {_quoted(name, _PHRASE, redact)} {_quoted(said, _TEXT, redact)}"
        for name, said in existing
    ]
    lines += [
        f"{number}. {_quoted(one.name, _PHRASE, redact)}: {_quoted(one.description, 160, redact)}"
        for number, one in enumerate(intents, start=1)
    ]
    return fenced_prompt(_PACKAGE, "categories", "\n".join(lines), wanted=wanted)


def nearest_of(intent: Intent, among: Sequence[Intent], count: int) -> list[Intent]:
    """The intents most like this one by their centroids."""
    rest = [one for one in among if one.intent_id != intent.intent_id]
    if not rest:
        return []
    near = cosines(exact(intent.centroid[None, :]), exact(np.stack([one.centroid for one in rest])))[0]
    order = sorted(range(len(rest)), key=lambda place: (-float(near[place]), rest[place].intent_id))
    return [rest[place] for place in order[:count]]


def _typical(intent: Intent, count: int) -> list[str]:
    return [intent.exemplar_texts[place] for place in shown(intent)[:count]]


def _quoted(text: str, limit: int, redact: Redact) -> str:
    """One line in quotes that no text can leave; redacted before it is cut, or a piece of an address would stay."""
    return json.dumps(visible(redact(text), limit=limit), ensure_ascii=False)
