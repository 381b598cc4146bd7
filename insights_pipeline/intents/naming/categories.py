"""Categories that a language model makes of intents, where neither settings nor people have a say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from insights_pipeline.intents.model import LLM, MERGED, RETIRED, WORDS, Intent
from insights_pipeline.intents.naming.grounding import MAX_DESCRIPTION, plain_name
from insights_pipeline.intents.naming.memory import Memory
from insights_pipeline.intents.naming.questions import CategoriesAnswer
from insights_pipeline.intents.naming.suspects import speaks_to_model
from insights_pipeline.llm import has_link, plain

_LEAST, _MOST = 6, 200  # intents that are sorted in one question
_TRIES = 3
_WHOLE = 0.7  # share of the intents in one category above which nothing was sorted


def to_sort(intents: Mapping[str, Intent], memory: Memory) -> tuple[list[Intent], list[tuple[str, str]], str]:
    """Intents to sort, existing categories with descriptions, and how many categories there should be.

    All at first; once the model has made categories, only the intents that have none of them.
    """
    living = [one for _, one in sorted(intents.items()) if one.status not in (RETIRED, MERGED)]
    free = [one for one in living if one.category_by in (WORDS, LLM) and one.named_by != WORDS]
    made = {one.category for one in living if one.category_by == LLM}
    fixed = {one.category for one in living if one.category_by not in (WORDS, LLM)}
    existing = [(name, memory.categories.get(name, "")) for name in sorted(made | fixed) if name]
    if made:
        new = [one for one in free if one.category_by == WORDS and _tries(memory, one) < _TRIES]
        return new[:_MOST], existing, "as few new categories as possible"
    if len(free) < _LEAST or all(_tries(memory, one) >= _TRIES for one in free):
        return [], [], ""
    about = int(np.clip(round(1.6 * np.sqrt(len(free))), 3, 15))
    return free[:_MOST], existing, f"about {about} categories"


def count_try(intents: Sequence[Intent], memory: Memory) -> None:
    """Remember that these were asked about, so that an answer that is no use is not asked for every day."""
    for intent in intents:
        if (known := memory.of.get(intent.intent_id)) is not None:
            known["sorted"] = known.get("sorted", 0) + 1


def sorted_into(
    intents: Sequence[Intent], answer: CategoriesAnswer, existing: Sequence[tuple[str, str]], memory: Memory
) -> list[Intent]:
    """The intents that the answer sorts, each by its first mention; none where nearly all are in one category."""
    names = {name.casefold(): name for name, _ in existing}
    of: dict[int, str] = {}
    said: dict[str, str] = {}
    for one in answer.categories:
        name = plain_name(one.name)
        if name is None:
            continue
        name = names.setdefault(name.casefold(), name)
        said.setdefault(name, one.description)
        for number in one.intents:
            if 1 <= number <= len(intents):
                of.setdefault(number, name)
    largest = max(Counter(of.values()).values(), default=0)
    if not existing and largest > _WHOLE * len(intents):
        return []
    for name in set(of.values()):
        text = said[name]
        if name not in memory.categories and not has_link(text) and not speaks_to_model(text):
            memory.categories[name] = plain(text, limit=MAX_DESCRIPTION)
    return [
        replace(intents[number - 1], category=name, category_by=LLM, category_margin=None)
        for number, name in sorted(of.items())
    ]


def _tries(memory: Memory, intent: Intent) -> int:
    return int(memory.of.get(intent.intent_id, {}).get("sorted", 0))
